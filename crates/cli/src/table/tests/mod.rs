//! Laws and errors of the table modules.

#![allow(clippy::float_cmp, reason = "equality is meant where it is asserted")]

mod arrays;
mod dates;
mod encode;
mod levels;
mod merge;
mod missing;
#[cfg(feature = "parquet")]
mod parquet;
mod predictions;
mod problem;
mod read;
mod rows;
mod split;
mod target;

use std::fmt::Write;
use std::io::{BufReader, Read};
use std::path::Path;

use super::{Table, TableError, read as reading};

/// Half the distance from 1 to the next number: one operation errs by this much, relatively.
const U: f64 = f64::EPSILON / 2.0;

fn parse(input: impl Read) -> Result<Table, TableError> {
    let path = Path::new("table.csv");
    let failed = |source| TableError::Read { path: path.to_owned(), source };
    reading::parse(BufReader::new(input), path, &|_| true, &failed)
}

pub(super) fn table(text: &str) -> Table {
    parse(text.as_bytes()).unwrap()
}

/// A table of numeric columns `c0, c1, ..` written so that each number reads back exactly.
fn numeric_table(columns: &[Vec<f64>]) -> Table {
    let names: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
    let mut text = names.join(",");
    for row in 0..columns[0].len() {
        let cells: Vec<String> =
            columns.iter().map(|column| format!("{:?}", column[row])).collect();
        write!(text, "\n{}", cells.join(",")).unwrap();
    }
    table(&text)
}

pub(super) fn all(table: &Table) -> Vec<usize> {
    (0..table.rows()).collect()
}

/// Asserts an error's message, which a user will read.
#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, TableError>, message: &str) {
    assert_eq!(result.unwrap_err().to_string(), message);
}
