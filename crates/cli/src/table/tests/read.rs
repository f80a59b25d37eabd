//! Reading: what a file may look like, and every way in which it may be wrong.

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::{parse, says, table};
use crate::table::{Categories, Table, TableError, TableRows, Values};

fn lines(table: &Table) -> Vec<u64> {
    (0..table.rows()).map(|row| table.line(row)).collect()
}

fn cells(table: &Table) -> Vec<Vec<String>> {
    let row = |row| table.columns().iter().map(|column| column.cell(row).into_owned()).collect();
    (0..table.rows()).map(row).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A file of these bytes, for as long as the folder lives.
fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn cells_types_and_lines() {
    let table = table("a,b,c\n1, x ,3\n-2.5e3,y,7a\n");
    assert_eq!(table.rows(), 2);
    assert_eq!(lines(&table), [2, 3]);
    assert_eq!(cells(&table), [["1", "x", "3"], ["-2.5e3", "y", "7a"]]);
    let a = table.column("a").unwrap();
    assert_eq!(a.values(), Values::Numeric(vec![1.0, -2500.0]));
    let levels = ["3", "7a"].map(String::from).to_vec();
    let c = table.column("c").unwrap();
    assert_eq!(c.values(), Values::Categorical(Categories { levels, codes: vec![0, 1] }));
    assert_eq!((c.numbers(), c.first_text()), (1, Some(1)));
    let levels = ["-2.5e3", "1"].map(String::from).to_vec();
    assert_eq!(a.categories(), Categories { levels, codes: vec![1, 0] });
    assert!(table.column("d").is_none());
}

#[test]
fn white_space_around_cells_is_dropped_quoted_or_not() {
    let table = table(" a ,\" b\"\n \t1 ,\"  two words  \"\n");
    assert_eq!(table.columns()[0].name(), "a");
    assert_eq!(table.columns()[1].name(), "b");
    assert_eq!(cells(&table), [["1", "two words"]]);
}

#[test]
fn lines_count_blank_lines_quoted_line_feeds_and_both_endings() {
    let text = "a,b\n\n1,x\n  \n2,\"p\nq\n\nr\"\n\n\n3,y\n4,z";
    for ending in ["\n", "\r\n"] {
        let table = table(&text.replace('\n', ending));
        assert_eq!(lines(&table), [3, 5, 11, 12]);
        assert_eq!(table.column("b").unwrap().cell(1), "p\nq\n\nr".replace('\n', ending));
    }
}

/// A row of a table of one column may have no value; a blank line is no row.
#[test]
fn quotes_tell_an_empty_cell_from_a_blank_line() {
    let text = "\n\"\"\nx\n1\n\"\"\n\n  \n\" \"\n\n\n\"\n\"\n3\n\"\"";
    for ending in ["\n", "\r\n"] {
        let table = table(&text.replace('\n', ending));
        assert_eq!(cells(&table), [["1"], [""], [""], [""], ["3"], [""]], "{ending:?}");
        assert_eq!(lines(&table), [4, 5, 8, 11, 13, 14]);
        assert_eq!(table.columns()[0].missing(), 4);
    }
    assert_eq!(table("x\n1\n\"\"\n3\n").rows(), 3);
    says(
        parse(&b"a,b\n1,2\n\"\"\n"[..]),
        "line 3 has 1 field, expected 2 as in the header; commas divide fields here",
    );
}

#[test]
fn byte_order_mark_is_dropped_however_the_bytes_arrive() {
    /// Gives one byte at a time.
    struct Drip<'a>(&'a [u8]);
    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }
    let text = "\u{feff}a,b\r\n1,2\r\n";
    for table in [table(text), parse(Drip(text.as_bytes())).unwrap()] {
        assert_eq!(table.columns()[0].name(), "a");
        assert_eq!(lines(&table), [2]);
    }
}

#[test]
fn gzip_is_known_by_its_content() {
    let plain = b"a,b\n1,x\n2,y\n";
    let members = [gzip(&plain[..8]), gzip(&plain[8..])].concat();
    for bytes in [plain.to_vec(), gzip(plain), members, gzip(b"\xef\xbb\xbfa,b\n1,x\n2,y")] {
        let (_folder, path) = file(&bytes);
        let table = Table::read(&path).unwrap();
        assert_eq!(cells(&table), [["1", "x"], ["2", "y"]]);
        assert_eq!(table.columns()[0].name(), "a");
    }
}

/// A text whose header begins as a Parquet file does.
#[test]
fn a_name_is_no_magic() {
    for text in ["PAR1,y\n1,2\n3,4\n", "PAR1\n1\n2", "PAR1 and more;y\r\n1;2\r\n3;4\r\n"] {
        for bytes in [text.as_bytes().to_vec(), gzip(text.as_bytes())] {
            let (_folder, path) = file(&bytes);
            let table = Table::read(&path).unwrap();
            assert!(table.columns()[0].name().starts_with("PAR1"), "{text:?}");
            assert_eq!((table.rows(), TableRows::open(&path).unwrap().rows()), (2, 2), "{text:?}");
        }
    }
}

/// Every proper prefix, and every single changed byte of the body or the check sum, is an error;
/// the header has bytes that do not matter (time, system).
#[test]
fn broken_gzip_is_an_error() {
    let whole = gzip(b"a,b\n1,x\n2,y\n");
    for length in 2..whole.len() {
        let (_folder, path) = file(&whole[..length]);
        let error = Table::read(&path).unwrap_err();
        assert!(matches!(error, TableError::Gzip { .. }), "{length}: {error}");
    }
    for at in 10..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x11;
        let (_folder, path) = file(&bytes);
        assert!(Table::read(&path).is_err(), "byte {at}");
    }
}

#[test]
fn absent_and_empty_files() {
    let folder = tempfile::tempdir().unwrap();
    let absent = Table::read(&folder.path().join("absent.csv")).unwrap_err();
    assert!(matches!(absent, TableError::Read { .. }));
    assert!(absent.to_string().contains("absent.csv"));
    assert!(matches!(Table::read(folder.path()), Err(TableError::Read { .. })));
    for text in ["", "\n", "\r\n\n  \n", "\u{feff}"] {
        let (_folder, path) = file(text.as_bytes());
        assert!(matches!(Table::read(&path), Err(TableError::EmptyFile { .. })), "{text:?}");
        let (_folder, path) = file(&gzip(text.as_bytes()));
        assert!(matches!(Table::read(&path), Err(TableError::EmptyFile { .. })), "{text:?}");
    }
    for text in ["a,b", "a,b\n", "a,b\n\n\n"] {
        says(parse(text.as_bytes()), "`table.csv` has a header and no rows");
    }
}

#[test]
fn text_that_is_not_utf8() {
    let latin1 = b"a,b\n1,2\n3,caf\xe9\n";
    says(parse(&latin1[..]), "line 3 is not UTF-8 (field 2); save the file as UTF-8");
    assert!(matches!(
        parse(&b"a\xff,b\n1,2\n"[..]),
        Err(TableError::NotUtf8 { line: 1, field: 1 })
    ));
    // Two fields whose bytes would be valid only together.
    let split = b"a,b\n\xc3,\xa9\n";
    assert!(matches!(parse(&split[..]), Err(TableError::NotUtf8 { line: 2, field: 1 })));
}

#[test]
fn rows_that_do_not_fit_the_header() {
    says(
        parse(&b"a,b\n1,2\n\n3\n"[..]),
        "line 4 has 1 field, expected 2 as in the header; commas divide fields here",
    );
    says(
        parse(&b"a,b\n1,2,3\n"[..]),
        "line 2 has 3 fields, expected 2 as in the header; commas divide fields here",
    );
    says(
        parse(&b"a,b\n1,2,\n"[..]),
        "line 2 has 3 fields, expected 2 as in the header; commas divide fields here",
    );
    says(
        parse(&b"a;b\n1;2;3\n"[..]),
        "line 2 has 3 fields, expected 2 as in the header; semicolons divide fields here",
    );
    says(
        parse(&b"a\tb\n\n1,2\n"[..]),
        "line 3 has 1 field, expected 2 as in the header; tabs divide fields here",
    );
    let open = "line 3 opens a quote (\") that is never closed";
    says(parse(&b"a,b\n1,2\n3,\"4\n5,6\n"[..]), open);
    says(parse(&b"a,b\n1,2\n3,\"4"[..]), open);
    says(parse(&b"a,\"b\n1,2\n"[..]), "line 1 opens a quote (\") that is never closed");
    says(parse(&b"a\t\"b\n1\t2\n"[..]), "line 1 opens a quote (\") that is never closed");
}

#[test]
fn names_of_columns() {
    says(parse(&b"a,,c\n1,2,3\n"[..]), "column 2 of the header has no name");
    let index = "column 1 of the header has no name; pandas writes its index like that, unless it is told `index=False`";
    says(parse(&b",a\n0,2\n"[..]), index);
    says(parse(&b"a,\" \"\n1,2\n"[..]), "column 2 of the header has no name");
    says(parse(&b"a,b,c,b\n1,2,3,4\n"[..]), "columns 2 and 4 of the table are both called `b`");
    says(parse(&b"a, a\n1,2\n"[..]), "columns 1 and 2 of the table are both called `a`");
    assert_eq!(table("a,A\n1,2\n").columns().len(), 2);
}

/// Each way to say that there is no value reads as none, in numbers and in texts.
#[test]
fn cells_without_a_value() {
    let markers = ["", "  ", "\"\"", "\" \"", "NA", "n/a", "N/A", "null", "NULL", "None", "?"];
    for cell in markers.into_iter().chain(["nan", "NaN", "-nan", "+NaN"]) {
        let table = table(&format!("a,b\n1,x\n{cell},{cell}\n"));
        assert_eq!(cells(&table), [["1", "x"], ["", ""]], "{cell:?}");
        let (a, b) = (&table.columns()[0], &table.columns()[1]);
        let Values::Numeric(numbers) = a.values() else { panic!("{cell:?}") };
        assert!(numbers[0] == 1.0 && numbers[1].is_nan() && a.number(1).is_none());
        assert_eq!(
            (a.missing(), a.numbers(), a.is_missing(0), a.is_missing(1)),
            (1, 1, false, true)
        );
        let levels = ["", "x"].map(String::from).to_vec();
        assert_eq!(b.values(), Values::Categorical(Categories { levels, codes: vec![1, 0] }));
        assert_eq!((b.missing(), b.first_text()), (1, Some(0)));
    }
    for cell in ["-", "nil", "#N/A", "none of them", "N", "??", "--nan", "-na"] {
        let table = table(&format!("a,b\n1,{cell}\n"));
        assert_eq!((table.columns()[1].missing(), &*cells(&table)[0][1]), (0, cell));
    }
    // Nothing at all is neither number nor text, and a category.
    let nothing = table("a,b\n1,NA\n2,\n");
    let b = &nothing.columns()[1];
    assert!(!b.is_numeric() && b.first_text().is_none());
    let levels = vec![String::new()];
    assert_eq!(b.values(), Values::Categorical(Categories { levels, codes: vec![0, 0] }));
}

#[test]
fn numbers_that_are_not_finite() {
    for cell in ["inf", "-Infinity", "+inf", "1e999", "-1e400", "12e84729"] {
        let message = format!("line 3, column `b`: `{cell}` is not a finite number");
        for others in [["1", "2"], ["", "2.5"], ["NA", ""], ["1", "-inf"]] {
            let [before, after] = others;
            let text = format!("a,b\n1,{before}\n1,{cell}\n1,{after}\n");
            says(parse(text.as_bytes()), &message);
        }
        // In a column of texts it is one.
        for others in [["text", "1"], ["1", "12ab4729"], ["2024-02-29", ""]] {
            let [before, after] = others;
            let table = table(&format!("a,b\n1,{before}\n1,{cell}\n1,{after}\n"));
            let b = table.column("b").unwrap();
            assert_eq!((&*b.cell(1), b.number(1), b.is_missing(1)), (cell, None, false));
            assert!(!b.is_numeric() && !b.is_date());
            let Values::Categorical(categories) = b.values() else { panic!("{others:?}") };
            assert!(categories.levels.iter().any(|level| level == cell));
        }
    }
    let table = table("a\n1e308\n-0\n1e-999\n.5\n5.\n+1E+2\n");
    let values = vec![1e308, -0.0, 0.0, 0.5, 5.0, 100.0];
    assert_eq!(table.column("a").unwrap().values(), Values::Numeric(values));
    for cell in ["1,5", "0x10", "1_000", "infinite", "1 2", "٣"] {
        let table = parse(format!("a\n\"{cell}\"\n").as_bytes()).unwrap();
        assert!(!table.column("a").unwrap().is_numeric(), "{cell}");
    }
}

/// Columns that are not kept may hold anything that is UTF-8.
#[test]
fn columns_that_are_not_kept_are_not_checked() {
    let (_folder, path) = file(b"a,y,b\n1,-inf,2\n3,1e999,4\n");
    let table = Table::read_where(&path, |name| name != "y").unwrap();
    assert_eq!(cells(&table), [["1", "2"], ["3", "4"]]);
    assert!(matches!(Table::read(&path), Err(TableError::NonFinite { line: 2, .. })));
    let (_folder, path) = file(b"a,y\n1,\n3\n");
    let ragged = Table::read_where(&path, |name| name != "y");
    assert!(matches!(ragged, Err(TableError::Ragged { line: 3, .. })));
}

prop_compose! {
    /// Cells with commas, quotes, line feeds and spaces, never empty, never a number.
    fn any_cells()(columns in 2..5usize, rows in 1..8usize)(
        cells in prop::collection::vec(
            prop::collection::vec("[ ]?z[,\"\n\r é'a1]{0,5}[ ]?", columns), rows),
    ) -> Vec<Vec<String>> {
        cells
    }
}

proptest! {
    /// What a CSV writer wrote comes back, on the lines where it stands, blank lines or not.
    #[test]
    fn reading_undoes_writing(
        cells_in in any_cells(),
        blank in prop::collection::vec(0..3usize, 8),
        crlf: bool,
    ) {
        let ending = if crlf { "\r\n" } else { "\n" };
        let names: Vec<String> = (0..cells_in[0].len()).map(|i| format!("c{i}")).collect();
        let mut text = names.join(",") + ending;
        let mut expected_lines = Vec::new();
        for (row, blank) in cells_in.iter().zip(&blank) {
            text += &ending.repeat(*blank);
            expected_lines.push(1 + text.matches('\n').count() as u64);
            let mut writer = csv::WriterBuilder::new()
                .terminator(if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') })
                .from_writer(Vec::new());
            writer.write_record(row).unwrap();
            text += std::str::from_utf8(&writer.into_inner().unwrap()).unwrap();
        }
        let table = table(&text);
        let trimmed: Vec<Vec<String>> = cells_in
            .iter()
            .map(|row| row.iter().map(|cell| cell.trim_ascii().to_owned()).collect())
            .collect();
        prop_assert_eq!(cells(&table), trimmed);
        prop_assert_eq!(lines(&table), expected_lines);
    }

    /// Tabs and semicolons divide as commas do: cells and lines are the same.
    #[test]
    fn delimiters_are_alike(cells_in in any_cells(), blank in 0..3usize) {
        let text = |delimiter: u8| {
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
            writer.write_record((0..cells_in[0].len()).map(|i| format!("c,{i}\t;"))).unwrap();
            for row in &cells_in {
                writer.write_record(row).unwrap();
            }
            "\n".repeat(blank).into_bytes().into_iter().chain(writer.into_inner().unwrap())
        };
        let read = |delimiter: u8| {
            let table = parse(&text(delimiter).collect::<Vec<u8>>()[..]).unwrap();
            let names = table.columns().iter().map(|c| c.name().to_owned()).collect::<Vec<_>>();
            (names, cells(&table), lines(&table))
        };
        prop_assert_eq!(read(b'\t'), read(b','));
        prop_assert_eq!(read(b';'), read(b','));
    }

    /// Any bytes give a table or an error.
    #[test]
    fn no_input_panics(bytes in prop::collection::vec(
        prop_oneof![Just(b','), Just(b'\t'), Just(b'\n'), Just(b'"'), Just(b'\r'), Just(b'1'), any::<u8>()],
        0..60,
    )) {
        if let Ok(table) = parse(&bytes[..]) {
            prop_assert_eq!(cells(&table).len(), table.rows());
        }
    }
}
