//! Reading a CSV file, gzipped or not, into a [`Table`].
//!
//! The csv crate splits records. Its own line numbers point before any blank lines and, with
//! CR LF, at the line before; therefore only LF ends a record here (the CR goes with the white
//! space), and a row's line is the reader's line after it, less the line feeds inside it.
//! An end mark is appended to the input: it ends the last line, and a quote that is never closed
//! swallows it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Terminator};
use flate2::bufread::MultiGzDecoder;

use super::column::{CellFault, Column, Table};
use super::error::{TableError, excerpt};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const END: &[u8] = b"\n\0end of table\0\n";

/// Reads `path`, keeping the columns whose name `keep` accepts.
pub(super) fn read(path: &Path, keep: &dyn Fn(&str) -> bool) -> Result<Table, TableError> {
    let failed = |source| TableError::Read { path: path.to_owned(), source };
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?);
    if file.fill_buf().map_err(failed)?.starts_with(&GZIP_MAGIC) {
        let broken = |source| TableError::Gzip { path: path.to_owned(), source };
        parse(MultiGzDecoder::new(file), path, keep, &broken)
    } else {
        parse(file, path, keep, &failed)
    }
}

/// Reads decompressed text; `path` is for messages only.
pub(super) fn parse(
    input: impl Read,
    path: &Path,
    keep: &dyn Fn(&str) -> bool,
    failed: &dyn Fn(std::io::Error) -> TableError,
) -> Result<Table, TableError> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .terminator(Terminator::Any(b'\n'))
        .from_reader(input.chain(END));
    let mut record = ByteRecord::new();
    let mut next = |record: &mut ByteRecord| {
        let more = reader.read_byte_record(record).map_err(|error| failed(error.into()))?;
        Ok::<_, TableError>(more.then(|| reader.position().line()))
    };

    let mut header: Option<Header> = None;
    let mut lines = Vec::new();
    while let Some(after) = next(&mut record)? {
        let bytes = record.as_slice();
        let inside = bytes.split(|&byte| byte == b'\n').count() as u64 - 1;
        if bytes.ends_with(END) {
            return Err(TableError::OpenQuote { line: after - inside });
        }
        let line = after - inside - 1;
        let is_end = &END[1..END.len() - 1] == bytes;
        if is_end || (record.len() == 1 && bytes.trim_ascii().is_empty()) {
            continue;
        }
        match &mut header {
            None => header = Some(Header::new(&record, line, keep)?),
            Some(header) => {
                header.push(&record, line)?;
                lines.push(line);
            }
        }
    }
    let Some(header) = header else {
        return Err(TableError::EmptyFile { path: path.to_owned() });
    };
    if lines.is_empty() {
        return Err(TableError::HeaderOnly { path: path.to_owned() });
    }
    lines.shrink_to_fit();
    Ok(Table { columns: header.into_columns(), lines, weights: None })
}

/// The header's columns, `None` where a column is not kept.
struct Header(Vec<Option<Column>>);

impl Header {
    fn new(
        record: &ByteRecord,
        line: u64,
        keep: &dyn Fn(&str) -> bool,
    ) -> Result<Self, TableError> {
        let mut names: Vec<&str> = Vec::new();
        for (i, field) in record.iter().enumerate() {
            let name = text(field, line, i)?;
            // The csv crate drops a byte-order mark only if its first read returns it whole.
            let name = if i == 0 { name.trim_start_matches('\u{feff}').trim_ascii() } else { name };
            if name.is_empty() {
                return Err(TableError::EmptyName { position: i + 1 });
            }
            names.push(name);
        }
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by_key(|&i| (names[i], i));
        if let Some(pair) = order.windows(2).find(|pair| names[pair[0]] == names[pair[1]]) {
            let (first, second) = (pair[0] + 1, pair[1] + 1);
            return Err(TableError::DuplicateName { name: names[pair[0]].into(), first, second });
        }
        let column = |&name: &&str| keep(name).then(|| Column::new(name.to_owned()));
        Ok(Self(names.iter().map(column).collect()))
    }

    fn push(&mut self, record: &ByteRecord, line: u64) -> Result<(), TableError> {
        let (found, expected) = (record.len(), self.0.len());
        if found != expected {
            return Err(TableError::Ragged { line, found, expected });
        }
        for (i, (field, column)) in record.iter().zip(&mut self.0).enumerate() {
            let cell = text(field, line, i)?;
            let Some(column) = column else { continue };
            column.push(cell).map_err(|fault| {
                let column = column.name().to_owned();
                match fault {
                    CellFault::Empty => TableError::EmptyCell { line, column },
                    CellFault::TooLong => TableError::ColumnTooLong { line, column },
                    CellFault::NonFinite => {
                        TableError::NonFinite { line, column, text: excerpt(cell) }
                    }
                }
            })?;
        }
        Ok(())
    }

    fn into_columns(self) -> Vec<Column> {
        let mut columns: Vec<Column> = self.0.into_iter().flatten().collect();
        columns.iter_mut().for_each(Column::shrink);
        columns
    }
}

fn text(field: &[u8], line: u64, i: usize) -> Result<&str, TableError> {
    let text = std::str::from_utf8(field);
    text.map(str::trim_ascii).map_err(|_| TableError::NotUtf8 { line, field: i + 1 })
}
