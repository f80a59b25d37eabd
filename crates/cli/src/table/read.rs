//! Reading delimited text into a [`Table`].
//!
//! The header tells the [`Delimiter`]; the csv crate splits records. Its own line numbers point
//! before any blank lines and, with CR LF, at the line before; therefore only LF ends a record here
//! (the CR goes with the white space), and a row's line is the reader's line after it, less the line
//! feeds inside it. A blank line is no row, though a record of one empty field in quotes is: how many bytes it took
//! tells them apart.
//! An end mark is appended to the input: it ends the last line, and a quote that is never closed
//! swallows it.

use std::io::{BufRead, Read};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Terminator};

use super::column::{CellFault, Column, Table};
use super::delimiter::{self, Delimiter};
use super::error::TableError;

const END: &[u8] = b"\n\0end of table\0\n";

/// Reads decompressed text; `path` is for messages only.
pub(super) fn parse(
    mut input: impl BufRead,
    path: &Path,
    keep: &dyn Fn(&str) -> bool,
    failed: &dyn Fn(std::io::Error) -> TableError,
) -> Result<Table, TableError> {
    let head = delimiter::header(&mut input).map_err(failed)?;
    let delimiter = Delimiter::of(&head);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter.byte())
        .terminator(Terminator::Any(b'\n'))
        .from_reader(head.chain(input).chain(END));
    let mut record = ByteRecord::new();
    let mut next = |record: &mut ByteRecord| {
        let more = reader.read_byte_record(record).map_err(|error| failed(error.into()))?;
        let place = reader.position();
        Ok::<_, TableError>(more.then(|| (place.line(), place.byte())))
    };

    let mut header: Option<Header> = None;
    let mut lines = Vec::new();
    let mut before = (1, 0);
    while let Some((after, end)) = next(&mut record)? {
        let bytes = record.as_slice();
        let inside = bytes.split(|&byte| byte == b'\n').count() as u64 - 1;
        if bytes.ends_with(END) {
            return Err(TableError::OpenQuote { line: after - inside });
        }
        let line = after - inside - 1;
        let is_end = &END[1..END.len() - 1] == bytes;
        // Of one field, what is neither text nor a line feed is a quote.
        let plain = after - before.0 + bytes.len() as u64 - inside;
        let quoted = end - before.1 > plain && header.is_some();
        before = (after, end);
        if is_end || (record.len() == 1 && bytes.trim_ascii().is_empty() && !quoted) {
            continue;
        }
        match &mut header {
            None => header = Some(Header::new(&record, line, delimiter, keep)?),
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
    let columns = header.into_columns();
    columns.iter().try_for_each(|column| column.finite(&lines))?;
    Ok(Table { columns, lines, weights: None })
}

/// The header's columns, `None` where a column is not kept.
struct Header {
    columns: Vec<Option<Column>>,
    delimiter: Delimiter,
}

impl Header {
    fn new(
        record: &ByteRecord,
        line: u64,
        delimiter: Delimiter,
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
        unique(&names)?;
        let column = |&name: &&str| keep(name).then(|| Column::new(name.to_owned()));
        Ok(Self { columns: names.iter().map(column).collect(), delimiter })
    }

    fn push(&mut self, record: &ByteRecord, line: u64) -> Result<(), TableError> {
        let (found, expected) = (record.len(), self.columns.len());
        if found != expected {
            let delimiter = self.delimiter;
            return Err(TableError::Ragged { line, found, expected, delimiter });
        }
        for (i, (field, column)) in record.iter().zip(&mut self.columns).enumerate() {
            let cell = text(field, line, i)?;
            let Some(column) = column else { continue };
            column.push(cell).map_err(|_: CellFault| {
                let column = column.name().to_owned();
                TableError::ColumnTooLong { line, column }
            })?;
        }
        Ok(())
    }

    fn into_columns(self) -> Vec<Column> {
        let mut columns: Vec<Column> = self.columns.into_iter().flatten().collect();
        columns.iter_mut().for_each(Column::shrink);
        columns
    }
}

/// Refuses names that occur twice.
pub(super) fn unique(names: &[&str]) -> Result<(), TableError> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&i| (names[i], i));
    let twice = order.windows(2).find(|pair| names[pair[0]] == names[pair[1]]);
    twice.map_or(Ok(()), |pair| {
        let (first, second) = (pair[0] + 1, pair[1] + 1);
        Err(TableError::DuplicateName { name: names[pair[0]].into(), first, second })
    })
}

fn text(field: &[u8], line: u64, i: usize) -> Result<&str, TableError> {
    let text = std::str::from_utf8(field);
    text.map(str::trim_ascii).map_err(|_| TableError::NotUtf8 { line, field: i + 1 })
}
