//! Rows that are read as they are needed are those of the whole table.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::table::{Table, TableError, TableRows};

/// The cells of some rows as texts, with their lines.
fn cells(table: &Table, rows: &[usize]) -> Vec<(u64, Vec<String>)> {
    let texts = |row: usize| table.columns().iter().map(|c| c.cell(row).into_owned()).collect();
    rows.iter().map(|&row| (table.line(row), texts(row))).collect()
}

#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, TableError>, parts: &[&str]) {
    let error = result.unwrap_err().to_string();
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
}

/// Checks these rows against those of the whole table.
fn agree(path: &Path, keep: fn(&str) -> bool, rows: &[usize], in_memory: bool) {
    let (whole, some) =
        (Table::read_where(path, keep).unwrap(), TableRows::open_where(path, keep).unwrap());
    assert_eq!((some.rows(), some.in_memory()), (whole.rows(), in_memory));
    let read = some.read(rows).unwrap();
    let all: Vec<usize> = (0..read.rows()).collect();
    assert_eq!(cells(&read, &all), cells(&whole, rows));
    for (column, other) in read.columns().iter().zip(whole.columns()) {
        assert_eq!(column.name(), other.name());
    }
    let size = 1 + rows.len();
    let mut next = 0;
    let blocks = some.blocks(size, &mut |first, block| {
        let all: Vec<usize> = (0..block.rows()).collect();
        let these: Vec<usize> = (first..whole.rows().min(first + size)).collect();
        assert_eq!((first, cells(&block, &all)), (next, cells(&whole, &these)));
        next += size;
        Ok::<(), TableError>(())
    });
    blocks.unwrap();
    assert!(next >= whole.rows());
}

/// An array of `rows x columns` numbers of four bytes, in a file.
fn array(folder: &Path, rows: usize, columns: usize, fortran: &str) -> PathBuf {
    let header =
        format!("{{'descr': '<f4', 'fortran_order': {fortran}, 'shape': ({rows}, {columns}), }}");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    let numbers = (0..rows * columns).flat_map(|i| (i as f32 * 0.5).to_le_bytes());
    let bytes =
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &numbers.collect::<Vec<u8>>()];
    let path = folder.join(format!("{rows}-{columns}-{fortran}"));
    fs::write(&path, bytes.concat()).unwrap();
    path
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Near one another and far apart, in rows of a few bytes and of so many that few are read at once.
    #[test]
    fn rows_of_arrays(
        mut rows in prop::collection::vec(0usize..3000, 0..40), columns in 1usize..400,
    ) {
        rows.sort_unstable();
        rows.dedup();
        let folder = tempfile::tempdir().unwrap();
        let path = array(folder.path(), 3000, columns, "False");
        agree(&path, |name| name != "x1", &rows, false);
    }
}

/// What has no way to a row but through all others is kept.
#[test]
fn other_tables_are_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    agree(&array(folder.path(), 5, 3, "True"), |_| true, &[0, 4], true);
    let path = folder.path().join("text.csv");
    fs::write(&path, "a,b\n1,x\n\n,y\n2020-01-01,\n").unwrap();
    agree(&path, |_| true, &[1, 2], true);
    agree(&path, |name| name == "b", &[0, 2], true);
}

#[test]
fn arrays_of_another_length_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = array(folder.path(), 5, 3, "False");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    says(TableRows::open(&path), &["5 x 3", "ends too early"]);
    fs::write(&path, [&bytes[..], b"."].concat()).unwrap();
    says(TableRows::open(&path), &["5 x 3", "goes on"]);
}

/// An infinite number is named by its row in the file.
#[test]
fn infinite_numbers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = array(folder.path(), 5, 3, "False");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 4 * 4;
    bytes[at..at + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let rows = TableRows::open(&path).unwrap();
    assert_eq!(rows.read(&[0, 4]).unwrap().rows(), 2);
    says(rows.read(&[1, 3]), &["`x2`", "line 4"]);
}

/// Row groups of three rows and of one.
#[cfg(feature = "parquet")]
#[test]
fn rows_of_row_groups() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table");
    fs::write(&path, include_bytes!("parquet.parquet")).unwrap();
    for rows in [&[][..], &[0], &[3], &[1, 2], &[0, 3], &[2, 3], &[0, 1, 2, 3]] {
        agree(&path, |name| name != "list" && name != "raw", rows, false);
    }
    says(TableRows::open(&path), &["column `list` holds lists"]);
}
