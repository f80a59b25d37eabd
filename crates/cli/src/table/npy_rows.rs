//! Some rows of an NPY file at a time.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::column::{CellFault, Column, Table, text};
use super::error::{ArrayFault, TableError, excerpt};
use super::npy::{self, Element, Header};

/// Rows that lie nearer to one another are read at once, with what is between them.
const GAP: usize = 1 << 12;

/// Bytes that are read at once, at least one row; few enough in tests that they meet the end.
const MOST: usize = if cfg!(test) { 1 << 12 } else { 1 << 22 };

/// An array of two dimensions in row order, of which nothing is in memory but the header.
#[derive(Debug)]
pub(super) struct ArrayRows {
    path: PathBuf,
    file: File,
    /// Where the first number stands.
    start: u64,
    element: Element,
    rows: usize,
    columns: usize,
    /// For each column its name, if it is kept.
    names: Vec<Option<String>>,
}

impl ArrayRows {
    /// `None` for what is not read row by row: other shapes, other orders, and what is no array that can be read, which
    /// is for those to say who read it whole.
    ///
    /// # Errors
    /// [`TableError`] for a file that cannot be read, or that has not the length that its header says.
    pub(super) fn open(
        mut file: File,
        path: &Path,
        keep: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Self>, TableError> {
        let failed = |source| TableError::Read { path: path.to_owned(), source };
        let header = npy::header(&mut file).map_err(failed)?;
        let Some(Header { descr, fortran: false, shape }) = Header::parse(&header) else {
            return Ok(None);
        };
        let (Some(element), &[rows, columns]) = (Element::of(&descr), &shape[..]) else {
            return Ok(None);
        };
        if rows == 0 || columns == 0 {
            return Ok(None);
        }
        let start = file.stream_position().map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let size = element.size;
        let numbers = (rows as u128) * (columns as u128) * (size as u128);
        let fault = match (u128::from(start) + numbers).cmp(&u128::from(length)) {
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(ArrayFault::Truncated { rows, columns, size }),
            std::cmp::Ordering::Less => Some(ArrayFault::Longer { rows, columns }),
        };
        if let Some(fault) = fault {
            let array = excerpt(&path.display().to_string());
            return Err(TableError::Array { array, fault });
        }
        let names = (0..columns).map(|i| Some(format!("x{i}")).filter(|name| keep(name))).collect();
        Ok(Some(Self { path: path.to_owned(), file, start, element, rows, columns, names }))
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The table of these rows, which ascend.
    ///
    /// # Errors
    /// [`TableError`] for a file that cannot be read, or an infinite number in one of the rows.
    pub(super) fn read(&self, rows: &[usize]) -> Result<Table, TableError> {
        let failed = |source| TableError::Read { path: self.path.clone(), source };
        let mut columns: Vec<Option<Column>> =
            self.names.iter().map(|name| name.clone().map(Column::numeric)).collect();
        let width = self.columns * self.element.size;
        let near = |a: &usize, b: &usize| (b - a) * width <= GAP;
        let mut bytes = Vec::new();
        for together in rows.chunk_by(near).flat_map(|run| run.chunks((MOST / width).max(1))) {
            let (first, last) = (together[0], together[together.len() - 1]);
            self.bytes(first, last + 1, &mut bytes).map_err(failed)?;
            for &row in together {
                let cells = bytes[(row - first) * width..][..width].chunks_exact(self.element.size);
                for (column, cell) in columns.iter_mut().zip(cells) {
                    let Some(column) = column else { continue };
                    let number = self.element.number(cell);
                    column.push_number(number).map_err(|_: CellFault| TableError::NonFinite {
                        line: row as u64 + 1,
                        column: column.name().to_owned(),
                        text: text(number),
                    })?;
                }
            }
        }
        let lines = rows.iter().map(|&row| row as u64 + 1).collect();
        Ok(Table { columns: columns.into_iter().flatten().collect(), lines, weights: None })
    }

    /// Reads rows `first .. last`.
    fn bytes(&self, first: usize, last: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        let width = self.columns * self.element.size;
        bytes.resize((last - first) * width, 0);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.start + (first * width) as u64))?;
        file.read_exact(bytes)
    }
}
