//! Reading an NPY file, one array of numbers, into a [`Table`].
//!
//! The header (`numpy.lib.format`, versions 1 to 3) is a Python dictionary with the type, the order
//! and the shape. What it says is believed only as far as bytes arrive: memory grows with them.

use std::io::{self, Read};
use std::path::Path;

use super::column::{CellFault, Column, Table, text};
use super::error::{ArrayFault, TableError, excerpt};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// A longer header is no header.
const LONGEST_HEADER: usize = 1 << 16;
const CHUNK: usize = 1 << 16;

/// How an array and its columns are called.
pub(super) struct Names<'a> {
    /// The array, in messages.
    pub(super) array: &'a str,
    /// Columns of a table are called this and their number, from 0.
    pub(super) prefix: &'a str,
    /// The column of an array of one dimension.
    pub(super) single: String,
}

/// Reads an array that is a file of its own.
pub(super) fn read(
    mut input: impl Read,
    path: &Path,
    keep: &dyn Fn(&str) -> bool,
    failed: &dyn Fn(io::Error) -> TableError,
) -> Result<Table, TableError> {
    let array = path.display().to_string();
    let names = Names { array: &array, prefix: "x", single: "x0".to_owned() };
    let (rows, columns) = self::array(&mut input, &names, keep, failed)?;
    Ok(table(columns, rows))
}

/// The table of these columns; its lines are the rows' numbers.
pub(super) fn table(columns: Vec<Column>, rows: usize) -> Table {
    Table { columns, lines: (1..=rows as u64).collect(), weights: None }
}

/// Reads one array to the end of `input`: its number of rows, and the columns that `keep` accepts.
pub(super) fn array(
    input: &mut dyn Read,
    names: &Names<'_>,
    keep: &dyn Fn(&str) -> bool,
    failed: &dyn Fn(io::Error) -> TableError,
) -> Result<(usize, Vec<Column>), TableError> {
    let wrong = |fault| TableError::Array { array: excerpt(names.array), fault };
    let header = header(input).map_err(failed)?;
    let Header { descr, fortran, shape } = Header::parse(&header).ok_or_else(|| {
        let found = excerpt(&String::from_utf8_lossy(&header));
        wrong(ArrayFault::Header { found })
    })?;
    let (rows, columns) = match shape[..] {
        [rows] => (rows, 1),
        [rows, columns] => (rows, columns),
        _ => return Err(wrong(ArrayFault::Dimensions { found: shape.len() })),
    };
    if rows == 0 || columns == 0 {
        return Err(wrong(ArrayFault::Empty { rows, columns }));
    }
    let name = |i: usize| match shape.len() {
        1 => names.single.clone(),
        _ => format!("{}{i}", names.prefix),
    };
    if shape.len() == 1 && !keep(&names.single) {
        // Of any type, so all that is known is that each element takes a byte.
        let bytes = io::copy(input, &mut io::sink()).map_err(failed)?;
        if bytes < rows as u64 {
            return Err(wrong(ArrayFault::Truncated { rows, columns, size: 1 }));
        }
        return Ok((rows, Vec::new()));
    }
    let element =
        Element::of(&descr).ok_or_else(|| wrong(ArrayFault::Type { found: excerpt(&descr) }))?;
    let truncated = || wrong(ArrayFault::Truncated { rows, columns, size: element.size });
    // A pass is a row, or in Fortran's order a column.
    let (passes, length) = if fortran { (columns, rows) } else { (rows, columns) };
    let length = length.checked_mul(element.size).ok_or_else(truncated)?;

    let new = |i| Some(name(i)).filter(|name| keep(name)).map(Column::numeric);
    let mut kept: Vec<Option<Column>> = Vec::new();
    let mut buffer = Vec::new();
    for pass in 0..passes {
        let mut left = length;
        let mut place = 0;
        if fortran {
            kept.push(new(pass));
        }
        while left > 0 {
            // Rows are read whole, so that columns are made only where there are numbers for them.
            let wanted = if fortran { left.min(CHUNK / element.size * element.size) } else { left };
            buffer.clear();
            input.take(wanted as u64).read_to_end(&mut buffer).map_err(failed)?;
            if buffer.len() < wanted {
                return Err(truncated());
            }
            if kept.is_empty() {
                kept.extend((0..columns).map(new));
            }
            for bytes in buffer.chunks_exact(element.size) {
                let (row, column) = if fortran { (place, pass) } else { (pass, place) };
                place += 1;
                let Some(column) = &mut kept[column] else { continue };
                let number = element.number(bytes);
                column.push_number(number).map_err(|_: CellFault| TableError::NonFinite {
                    line: row as u64 + 1,
                    column: column.name().to_owned(),
                    text: text(number),
                })?;
            }
            left -= wanted;
        }
    }
    if input.take(1).read_to_end(&mut buffer).map_err(failed)? > 0 {
        return Err(wrong(ArrayFault::Longer { rows, columns }));
    }
    let mut kept: Vec<Column> = kept.into_iter().flatten().collect();
    kept.iter_mut().for_each(Column::shrink);
    Ok((rows, kept))
}

/// The header's dictionary; what stands there if it is none.
pub(super) fn header(input: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(8).read_to_end(&mut bytes)?;
    let width = match bytes[..] {
        [.., 1, _] if bytes.len() == 8 => 2,
        [.., 2 | 3, _] if bytes.len() == 8 => 4,
        _ => return Ok(bytes),
    };
    if !bytes.starts_with(MAGIC) {
        return Ok(bytes);
    }
    input.take(width).read_to_end(&mut bytes)?;
    let length = bytes[8..].iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    let mut header = Vec::new();
    input.take(length.min(LONGEST_HEADER) as u64).read_to_end(&mut header)?;
    Ok(header)
}

pub(super) struct Header {
    pub(super) descr: String,
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
}

impl Header {
    /// Reads `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`, keys in any order.
    pub(super) fn parse(header: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(header).ok()?.trim();
        let mut rest = text.strip_prefix('{')?.strip_suffix('}')?.trim();
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, after) = rest.strip_prefix('\'')?.split_once('\'')?;
            let after = after.trim_start().strip_prefix(':')?.trim_start();
            let end = match after.as_bytes().first()? {
                b'(' => after.find(')')? + 1,
                b'\'' => after[1..].find('\'')? + 2,
                // A list: elements of several fields.
                b'[' => after.rfind(']')? + 1,
                _ => after.find(',').unwrap_or(after.len()),
            };
            let (value, after) = after.split_at(end);
            match key {
                "descr" => descr = Some(value.trim_matches('\'').to_owned()),
                "fortran_order" => {
                    fortran = Some(match value.trim() {
                        "True" => true,
                        "False" => false,
                        _ => return None,
                    });
                }
                "shape" => {
                    let sizes = value.strip_prefix('(')?.strip_suffix(')')?.split(',');
                    let sizes = sizes.map(str::trim).filter(|size| !size.is_empty());
                    let size = |text: &str| text.trim_end_matches('L').parse().ok();
                    shape = Some(sizes.map(size).collect::<Option<Vec<usize>>>()?);
                }
                _ => return None,
            }
            let after = after.trim_start();
            rest = after.strip_prefix(',').or(after.is_empty().then_some(after))?.trim_start();
        }
        Some(Self { descr: descr?, fortran: fortran?, shape: shape? })
    }
}

/// The type of an array's elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    kind: Kind,
    pub(super) size: usize,
    big: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Bool,
    Signed,
    Unsigned,
    Float,
}

impl Element {
    /// Reads `<f8`, `>i2`, `|b1`.
    pub(super) fn of(descr: &str) -> Option<Self> {
        let (order, rest) = descr.split_at_checked(1)?;
        let (kind, size) = rest.split_at_checked(1)?;
        let size = size.parse().ok()?;
        let kind = match (kind, size) {
            ("b", 1) => Kind::Bool,
            ("i", 1 | 2 | 4 | 8) => Kind::Signed,
            ("u", 1 | 2 | 4 | 8) => Kind::Unsigned,
            ("f", 4 | 8) => Kind::Float,
            _ => return None,
        };
        let big = match (order, size) {
            ("<", _) | ("|", 1) => false,
            (">", _) => true,
            _ => return None,
        };
        Some(Self { kind, size, big })
    }

    /// The number of these `size` bytes.
    pub(super) fn number(self, bytes: &[u8]) -> f64 {
        let push = |bits: u64, &byte: &u8| bits << 8 | u64::from(byte);
        let bits =
            if self.big { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) };
        let unused = 64 - 8 * self.size as u32;
        match self.kind {
            Kind::Bool => f64::from(u8::from(bits != 0)),
            Kind::Unsigned => bits as f64,
            Kind::Signed => ((bits << unused).cast_signed() >> unused) as f64,
            Kind::Float if self.size == 4 => f64::from(f32::from_bits(bits as u32)),
            Kind::Float => f64::from_bits(bits),
        }
    }
}
