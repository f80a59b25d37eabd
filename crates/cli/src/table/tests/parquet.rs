//! Parquet files: `parquet.py` in this folder wrote the one here.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::super::source;
use crate::table::{Table, TableError, TableRows, Values};

const BYTES: &[u8] = include_bytes!("parquet.parquet");

/// Columns that can be kept.
fn fits(name: &str) -> bool {
    name != "list" && name != "raw"
}

fn from(bytes: &[u8], keep: impl Fn(&str) -> bool) -> Result<Table, TableError> {
    source::from(Cursor::new(bytes), Path::new("t.parquet"), &keep)
}

#[test]
fn every_type_becomes_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    // No name tells what a file is.
    let path = folder.path().join("table.csv");
    fs::write(&path, BYTES).unwrap();
    for table in [Table::read_where(&path, fits).unwrap(), from(BYTES, fits).unwrap()] {
        assert_eq!((table.rows(), table.line(0), table.line(3)), (4, 1, 4));
        let numbers = |name: &str| -> Vec<Option<f64>> {
            let column = table.column(name).unwrap();
            assert!(column.is_numeric(), "{name}");
            (0..4).map(|row| column.number(row)).collect()
        };
        assert_eq!(numbers("number"), [Some(0.1), None, None, Some(-2.5e300)]);
        assert_eq!(numbers("half"), [Some(1.5), Some(-0.25), None, Some(65504.0)]);
        assert_eq!(numbers("count"), [Some(1.0), None, Some(-3.0), Some(2_147_483_647.0)]);
        assert_eq!(numbers("byte"), [Some(0.0), Some(255.0), Some(7.0), None]);
        assert_eq!(numbers("price"), [Some(1.25), None, Some(-0.07), Some(3.0)]);
        let texts = |name: &str| -> Vec<String> {
            let column = table.column(name).unwrap();
            (0..4).map(|row| column.cell(row).into_owned()).collect()
        };
        assert_eq!(texts("truth"), ["true", "false", "", "true"]);
        assert_eq!(texts("text"), ["a", "b,\"c\"", "", "é"]);
        assert_eq!(texts("level"), ["x", "y", "x", "x"]);
        assert_eq!(texts("day"), ["1970-01-01", "2024-02-29", "", "1969-12-31"]);
        let Values::Dates(days) = table.column("day").unwrap().values() else { panic!("dates") };
        assert_eq!((days[0], days[1], days[3]), (0.0, 19_782.0, -1.0));
        assert_eq!(
            texts("time"),
            ["2001-09-09T01:46:40.000000", "", "1970-01-01", "1969-12-31T23:59:59.000005"]
        );
        assert!(table.column("time").unwrap().is_date());
    }
}

#[test]
fn what_no_input_can_be_made_of_is_named() {
    for (name, holds) in [("list", "lists or structures"), ("raw", "BYTE_ARRAY")] {
        let error = from(BYTES, |column| column == name).unwrap_err().to_string();
        assert!(error.contains(&format!("column `{name}` holds {holds}")), "{error}");
    }
    assert_eq!(from(BYTES, |_| false).unwrap().rows(), 4);
}

/// A file that was cut off or changed is refused, or read where what changed does not matter; nothing panics.
#[test]
fn broken_files_are_refused() {
    for end in (4..BYTES.len()).step_by(97) {
        let error = from(&BYTES[..end], fits).unwrap_err().to_string();
        assert!(error.contains("t.parquet") && error.contains("Parquet"), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut");
    fs::write(&path, &BYTES[..BYTES.len() / 2]).unwrap();
    for error in [Table::read(&path).map(drop), TableRows::open(&path).map(drop)] {
        assert!(matches!(error, Err(TableError::Parquet { .. })), "{error:?}");
    }
}

/// Texts that read as infinite numbers are refused among numbers alone.
#[test]
fn infinite_texts() {
    for (cells, refused) in [(["1", "12e84729", "2"], true), (["1", "12e84729", "2b"], false)] {
        let schema = parse_message_type("message m { required binary a (UTF8); }").unwrap();
        let mut bytes = Vec::new();
        let mut file =
            SerializedFileWriter::new(&mut bytes, Arc::new(schema), Arc::default()).unwrap();
        let mut group = file.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let cells = cells.map(ByteArray::from);
        column.typed::<ByteArrayType>().write_batch(&cells, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        file.close().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts");
        fs::write(&path, bytes).unwrap();
        let some = TableRows::open(&path).unwrap().read(&[0, 1, 2]);
        for found in [Table::read(&path), some] {
            assert_eq!(matches!(found, Err(TableError::NonFinite { line: 2, .. })), refused);
            assert_eq!(found.is_ok(), !refused);
        }
    }
}

/// So is one with a byte that is another, unless that byte does not matter.
#[test]
fn changed_bytes_are_no_panic() {
    for at in (0..BYTES.len()).step_by(7) {
        for bits in [1, 0x80, 0xff] {
            let mut bytes = BYTES.to_vec();
            bytes[at] ^= bits;
            if let Ok(table) = from(&bytes, fits) {
                assert_eq!(table.rows(), 4, "{at}");
            }
        }
    }
}
