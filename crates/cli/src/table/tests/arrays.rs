//! Arrays as tables: what NPY and NPZ files may hold, and every way in which they may be wrong.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use proptest::prelude::*;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::says;
use crate::table::{ArrayFault, Table, TableError, Task, Values, source};

/// An NPY file, version 1.
fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    header += &" ".repeat(63 - (header.len() + 10) % 64);
    header.push('\n');
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

fn npz(members: &[(&str, Vec<u8>)], deflated: bool) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let method =
        if deflated { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    for (name, bytes) in members {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn read(bytes: &[u8]) -> Result<Table, TableError> {
    source::from(bytes, Path::new("data.npy"), &|_| true)
}

fn columns(table: &Table) -> Vec<(&str, Vec<f64>)> {
    let numbers = |column: &crate::table::Column| {
        (0..table.rows()).map(|row| column.number(row).unwrap_or(f64::NAN)).collect()
    };
    table.columns().iter().map(|column| (column.name(), numbers(column))).collect()
}

fn floats(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[test]
fn shapes_orders_and_names() {
    let six = floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let table = read(&npy("<f8", false, "(3, 2)", &six)).unwrap();
    assert_eq!(columns(&table), [("x0", vec![1.0, 3.0, 5.0]), ("x1", vec![2.0, 4.0, 6.0])]);
    assert_eq!((table.rows(), table.line(0), table.line(2)), (3, 1, 3));
    let table = read(&npy("<f8", true, "(3, 2)", &six)).unwrap();
    assert_eq!(columns(&table), [("x0", vec![1.0, 2.0, 3.0]), ("x1", vec![4.0, 5.0, 6.0])]);
    for fortran in [false, true] {
        let table = read(&npy("<f8", fortran, "(6,)", &six)).unwrap();
        assert_eq!(columns(&table), [("x0", vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]);
    }
    let members = [
        ("X.npy", npy("<f8", false, "(3, 2)", &six)),
        ("y.npy", npy("|u1", false, "(3,)", &[7, 8, 9])),
    ];
    for deflated in [false, true] {
        let table = read(&npz(&members, deflated)).unwrap();
        let expected =
            [("X0", vec![1.0, 3.0, 5.0]), ("X1", vec![2.0, 4.0, 6.0]), ("y", vec![7.0, 8.0, 9.0])];
        assert_eq!(columns(&table), expected);
    }
}

/// From a file, where the archive is not held in memory, as from a pipe; and gzipped.
#[test]
fn files_pipes_and_gzip() {
    let array = npy("<f8", false, "(2, 1)", &floats(&[1.5, -2.0]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("any.name");
    for (bytes, name) in [(array.clone(), "x0"), (npz(&[("A.npy", array)], true), "A0")] {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&bytes).unwrap();
        for bytes in [bytes, gzip.finish().unwrap()] {
            fs::write(&path, &bytes).unwrap();
            for table in [read(&bytes).unwrap(), Table::read(&path).unwrap()] {
                assert_eq!(columns(&table), [(name, vec![1.5, -2.0])]);
            }
        }
    }
}

#[test]
fn types_and_byte_orders() {
    let case = |descr: &str, data: &[u8], expected: &[f64]| {
        let table = read(&npy(descr, false, &format!("({},)", expected.len()), data)).unwrap();
        assert_eq!(columns(&table)[0].1, expected, "{descr}");
    };
    case("|b1", &[0, 1, 1], &[0.0, 1.0, 1.0]);
    case("|i1", &[255, 128, 127], &[-1.0, -128.0, 127.0]);
    case("|u1", &[255, 128, 0], &[255.0, 128.0, 0.0]);
    case("<i2", &[0xff, 0xff, 0, 0x80], &[-1.0, -32768.0]);
    case(">i2", &[0xff, 0xfe, 0x12, 0x34], &[-2.0, 4660.0]);
    case("<u4", &[0xff, 0xff, 0xff, 0xff], &[4_294_967_295.0]);
    case(">i4", &(-123_456_i32).to_be_bytes(), &[-123_456.0]);
    case("<i8", &i64::MIN.to_le_bytes(), &[-9_223_372_036_854_775_808.0]);
    case(">u8", &u64::MAX.to_be_bytes(), &[18_446_744_073_709_551_616.0]);
    case("<f4", &0.1_f32.to_le_bytes(), &[f64::from(0.1_f32)]);
    case(">f4", &(-2.5_f32).to_be_bytes(), &[-2.5]);
    case(">f8", &0.1_f64.to_be_bytes(), &[0.1]);
}

/// Numbers are labels in the shortest text that there is.
#[test]
fn numbers_as_text() {
    let numbers = [3.0, -0.5, 0.1, 1e300, 1e-7, 0.0, f64::NAN];
    let table = read(&npy("<f8", false, "(7,)", &floats(&numbers))).unwrap();
    let column = &table.columns()[0];
    let texts: Vec<_> = (0..7).map(|row| column.cell(row).into_owned()).collect();
    assert_eq!(texts, ["3", "-0.5", "0.1", "1e300", "1e-7", "0", ""]);
    assert_eq!((column.numbers(), column.missing(), column.is_missing(6)), (6, 1, true));
    assert_eq!(Task::auto(column), Task::Regression);
    let Values::Numeric(values) = column.values() else { panic!("numbers") };
    assert!(values[6].is_nan() && values[3] == 1e300);
    assert_eq!(column.categories().levels, ["", "-0.5", "0", "0.1", "1e-7", "1e300", "3"]);
}

#[test]
fn arrays_that_are_no_columns() {
    let two = floats(&[1.0, 2.0]);
    let says = |bytes: &[u8], message: &str| says(read(bytes), message);
    let shaped = |shape| npy("<f8", false, shape, &two);
    says(&shaped("()"), "array `data.npy` has 0 dimensions, expected 1 or 2");
    says(&shaped("(1, 1, 2)"), "array `data.npy` has 3 dimensions, expected 1 or 2");
    says(&shaped("(0, 2)"), "array `data.npy` is empty: its shape is 0 x 2");
    says(&shaped("(2, 0)"), "array `data.npy` is empty: its shape is 2 x 0");
    says(
        &shaped("(3,)"),
        "array `data.npy` ends too early: its header says 3 x 1 elements of 8 bytes",
    );
    says(&shaped("(1,)"), "array `data.npy` goes on after the 1 x 1 elements that its header says");
    for descr in ["<U3", "|O", "<c16", "<f2", "|S1", "=f8", "|f8", "<M8[ns]", "", "é", "<f16"] {
        let message = format!(
            "array `data.npy` has elements `{descr}`, expected floats (f4, f8), integers (i1 to \
             u8) or bool (b1)"
        );
        says(&npy(descr, false, "(1,)", &two), &message);
    }
    let infinite = npy("<f8", true, "(1, 2)", &floats(&[1.0, f64::NEG_INFINITY]));
    says(&infinite, "line 1, column `x1`: `-inf` is not a finite number");
    let fields =
        String::from_utf8_lossy(&npy("@", false, "(1,)", &[])).replace("'@'", "[('a', '<f8')]");
    let mut fields = [b"\x93NUMPY\x01\x00v\x00", &fields.as_bytes()[12..]].concat();
    fields[8] = u8::try_from(fields.len() - 10).unwrap();
    says(
        &fields,
        "array `data.npy` has elements `[('a', '<f8')]`, expected floats (f4, f8), integers (i1 \
         to u8) or bool (b1)",
    );
    let error = read(b"\x93NUMPY\x01\x00\x05\x00{'a'}").unwrap_err().to_string();
    assert!(error.starts_with("array `data.npy` has the header `{'a'}`, expected"), "{error}");
}

/// What a header claims costs nothing until the bytes are there.
#[test]
fn huge_claims_are_errors() {
    let most = usize::MAX;
    for shape in [
        format!("({most},)"),
        format!("({most}, {most})"),
        format!("(1, {most})"),
        format!("(1, {})", most / 8),
        format!("(2, {})", 1_u64 << 40),
        format!("({}, 2)", 1_u64 << 40),
    ] {
        for fortran in [false, true] {
            let error = read(&npy("<f8", fortran, &shape, &floats(&[1.0; 4]))).unwrap_err();
            assert!(error.to_string().contains("ends too early"), "{shape}: {error}");
        }
    }
    let error = read(&npy("<f8", false, &format!("({most}0,)"), &[])).unwrap_err();
    assert!(error.to_string().contains("has the header"), "{error}");
    // A header of 4 GiB.
    let error = read(b"\x93NUMPY\x03\x00\xff\xff\xff\xff{").unwrap_err();
    assert!(error.to_string().contains("has the header `{`"), "{error}");
}

#[test]
fn archives_that_are_no_tables() {
    let column = |rows: usize| npy("|u1", false, &format!("({rows},)"), &vec![1; rows]);
    let table = npy("|u1", false, "(2, 2)", &[1; 4]);
    let says =
        |members: &[(&str, Vec<u8>)], message: &str| says(read(&npz(members, true)), message);
    says(&[("a.npy", column(3)), ("b.npy", column(2))], "array `b` has 2 rows, and `a` has 3");
    says(
        &[("X.npy", table), ("X1.npy", column(2))],
        "columns 2 and 3 of the table are both called `X1`",
    );
    says(
        &[("a.npy", column(2)), ("readme.txt", vec![])],
        "`data.npy` is a zip archive with `readme.txt`, expected nothing but arrays (NPZ)",
    );
    says(&[], "`data.npy` is empty, expected a header and rows");
    let whole = npz(&[("a.npy", column(40))], true);
    for length in 4..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
}

/// Columns that are not kept are not looked at.
#[test]
fn only_what_is_kept_is_read() {
    let members = [
        ("X.npy", npy("|u1", false, "(2, 2)", &[1, 2, 3, 4])),
        ("y.npy", npy("<U1", false, "(2,)", b"a\0\0\0b\0\0\0")),
    ];
    let bytes = npz(&members, true);
    assert!(matches!(read(&bytes), Err(TableError::Array { .. })));
    let keep = |name: &str| name != "y" && name != "X0";
    let table = source::from(&bytes[..], Path::new("a"), &keep).unwrap();
    assert_eq!(columns(&table), [("X1", vec![2.0, 4.0])]);
    // But rows that are not there are not believed.
    let huge = npy("<f8", false, "(1152921504606846976,)", &[0; 16]);
    let none = |_: &str| false;
    let error = source::from(&huge[..], Path::new("a"), &none).unwrap_err();
    assert!(matches!(error, TableError::Array { fault: ArrayFault::Truncated { .. }, .. }));
}

proptest! {
    /// Every finite number comes back bit for bit, from either order, and from its text.
    #[test]
    fn numbers_are_exact(
        bits in prop::collection::vec(any::<u64>(), 1..40), width in 1..5usize, fortran: bool,
    ) {
        let number = |bits| Some(f64::from_bits(bits)).filter(|x| x.is_finite()).unwrap_or(0.1);
        let rows = bits.len().div_ceil(width);
        let at = |i: usize| number(bits[i % bits.len()]);
        let data: Vec<f64> = (0..rows * width)
            .map(|i| if fortran { at(i % rows * width + i / rows) } else { at(i) })
            .collect();
        let table = read(&npy("<f8", fortran, &format!("({rows}, {width})"), &floats(&data))).unwrap();
        for row in 0..rows {
            for column in 0..width {
                let (got, want) = (&table.columns()[column], at(row * width + column));
                prop_assert_eq!(got.number(row).unwrap().to_bits(), want.to_bits());
                prop_assert_eq!(got.cell(row).parse::<f64>().unwrap().to_bits(), want.to_bits());
            }
        }
    }

    /// Changed bytes give a table or an error.
    #[test]
    fn no_array_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let array = npy("<f8", false, "(2, 2)", &floats(&[1.0, 2.0, 3.0, 4.0]));
        for mut bytes in [array.clone(), npz(&[("a.npy", array)], true)] {
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            let _ = read(&bytes);
        }
    }
}
