//! `nearlin inspect`.

mod model;
mod share;
mod table;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;

use super::args::InspectArgs;
use super::error::ProgramError;
use super::show;
use crate::model::Model;
use crate::table::{STDIN, Table, TableError};

/// Bytes that tell models, tables and other files apart.
const HEAD: u64 = 4096;

/// No header of a safetensors file is longer.
const LONGEST_HEADER: u64 = 100_000_000;

/// Columns that are listed.
const COLUMNS: usize = 20;

/// Categories of a column, or classes, that are listed.
const LEVELS: usize = 3;

/// Categories of a column that JSON has.
const LEVELS_OF_JSON: usize = 20;

/// Prints what is in a file.
///
/// # Errors
/// [`ProgramError`], with exit code 2 for what is neither a model nor a table.
pub(super) fn run(args: &InspectArgs) -> Result<(), ProgramError> {
    let path = &args.file;
    let most = |limit| if args.all { usize::MAX } else { limit };
    if path == Path::new(STDIN) {
        let table = Table::read(path)?;
        let about = table::About::new("standard input".into(), None, &table, most(LEVELS_OF_JSON));
        return print(args.json, &about, || about.text(most(COLUMNS), most(LEVELS)));
    }
    let cannot_read = |source| TableError::Read { path: path.clone(), source };
    let about = std::fs::metadata(path).map_err(cannot_read)?;
    // What is read from a pipe to tell it apart would be gone.
    let head = if about.is_file() { head(path).map_err(cannot_read)? } else { Vec::new() };
    let bytes = about.len();
    let file = path.display().to_string();
    if is_model(&head) {
        let about = model::About::new(file, bytes, &Model::read(path)?);
        return print(args.json, &about, || about.text(most(COLUMNS), most(LEVELS)));
    }
    let table = Table::read(path).map_err(|error| match error {
        // Errors of text say nothing about what is none.
        TableError::Read { .. } => ProgramError::Table(error),
        _ if head.contains(&0) && !is_packed(&head) => ProgramError::Neither { path: path.clone() },
        error => ProgramError::Table(error),
    })?;
    let about = table::About::new(file, Some(bytes), &table, most(LEVELS_OF_JSON));
    print(args.json, &about, || about.text(most(COLUMNS), most(LEVELS)))
}

fn print(
    json: bool,
    about: &impl Serialize,
    text: impl Fn() -> String,
) -> Result<(), ProgramError> {
    if !json {
        return show(&text());
    }
    let json = serde_json::to_string_pretty(about).map_err(io::Error::from);
    show(&(json.map_err(ProgramError::Stdout)? + "\n"))
}

/// A line for each name, the texts below each other.
fn headed(lines: &[(&str, String)]) -> String {
    lines.iter().map(|(name, text)| format!("{name:<9} {text}\n")).collect::<Vec<_>>().concat()
        + "\n"
}

/// `3 numbers, 1 category`, from the kind of each column.
fn kinds<'a>(columns: impl Iterator<Item = &'a str>) -> String {
    let columns: Vec<&str> = columns.collect();
    let words = [
        ("number", "numbers"),
        ("date", "dates"),
        ("category", "categories"),
        ("means", "categories by means"),
        ("other", "others"),
    ];
    let counts = words.into_iter().filter_map(|(one, more)| {
        match columns.iter().filter(|&&kind| kind == one).count() {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {more}")),
        }
    });
    let counts: Vec<String> = counts.collect();
    if counts.is_empty() { "none".into() } else { counts.join(", ") }
}

/// What stands below a list that leaves columns out.
fn more(columns: usize) -> String {
    match columns {
        0 => String::new(),
        _ => format!("  and {columns} more: --all lists them\n"),
    }
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// Whether a file with this beginning is gzip, a zip archive, an NPY array or Parquet, whose own errors tell what is wrong.
fn is_packed(head: &[u8]) -> bool {
    [&b"\x1f\x8b"[..], b"PK", b"\x93NUMPY", b"PAR1"]
        .into_iter()
        .any(|magic| head.starts_with(magic))
}

/// Whether a file with this beginning is meant to be a safetensors file: the length of a header, and JSON.
fn is_model(head: &[u8]) -> bool {
    let Some((length, rest)) = head.split_first_chunk() else { return false };
    u64::from_le_bytes(*length) <= LONGEST_HEADER && rest.first() == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_told_by_their_beginning() {
        assert!(is_model(b"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":"));
        for other in [
            &b""[..],
            b"a,b,c,d,{e",
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02",
            b"PK\x03\x04\x14\0\0\0",
        ] {
            assert!(!is_model(other), "{other:?}");
        }
    }
}
