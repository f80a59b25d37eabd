//! A file's rows, some at a time: for tables that do not fit in memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use super::column::{Column, Table};
use super::error::TableError;
use super::npy;
use super::npy_rows::ArrayRows;
#[cfg(feature = "parquet")]
use super::parquet::GroupRows;
use super::source::STDIN;

/// A table whose rows are read when they are needed.
///
/// Of an NPY file (two dimensions, in row order) the rows that are asked for are read; of a Parquet file the row groups
/// that they lie in, one after the other. Other files have no way to a row but through all before it: these are kept in
/// memory.
#[derive(Debug)]
pub struct TableRows {
    held: Held,
}

#[derive(Debug)]
enum Held {
    Array(ArrayRows),
    #[cfg(feature = "parquet")]
    Groups(GroupRows),
    Whole(Table),
}

impl TableRows {
    /// Opens a table in any form that [`Table::read`] reads.
    ///
    /// # Errors
    /// As [`Table::read`], but for what is wrong with rows that have not been read.
    pub fn open(path: &Path) -> Result<Self, TableError> {
        Self::open_where(path, |_| true)
    }

    /// Like [`open`](Self::open), but keeps only the columns whose name `keep` accepts.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_where(path: &Path, keep: impl Fn(&str) -> bool) -> Result<Self, TableError> {
        let held = match Self::apart(path, &keep)? {
            Some(held) => held,
            None => Held::Whole(Table::read_where(path, keep)?),
        };
        Ok(Self { held })
    }

    /// What is read row by row, if that is its form.
    fn apart(path: &Path, keep: &dyn Fn(&str) -> bool) -> Result<Option<Held>, TableError> {
        if path == Path::new(STDIN) {
            return Ok(None);
        }
        let failed = |source| TableError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Ok(None);
        }
        let mut input = BufReader::new(file);
        if input.fill_buf().map_err(failed)?.starts_with(npy::MAGIC) {
            input.rewind().map_err(failed)?;
            return Ok(ArrayRows::open(input.into_inner(), path, keep)?.map(Held::Array));
        }
        #[cfg(feature = "parquet")]
        if super::source::is_parquet_file(&mut input).map_err(failed)? {
            let file = input.into_inner();
            return Ok(Some(Held::Groups(GroupRows::open(file, path, keep)?)));
        }
        Ok(None)
    }

    /// How many there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        match &self.held {
            Held::Array(array) => array.rows(),
            #[cfg(feature = "parquet")]
            Held::Groups(groups) => groups.rows(),
            Held::Whole(table) => table.rows(),
        }
    }

    /// Whether all rows are in memory.
    #[must_use]
    pub fn in_memory(&self) -> bool {
        matches!(self.held, Held::Whole(_))
    }

    /// The table of these rows, whose lines are those of the file.
    ///
    /// # Errors
    /// [`TableError`] for a file that cannot be read, or a cell that [`Table::read`] would refuse.
    ///
    /// # Panics
    /// If `rows` do not ascend, or there is no such row.
    pub fn read(&self, rows: &[usize]) -> Result<Table, TableError> {
        assert!(rows.is_sorted_by(|a, b| a < b), "rows ascend");
        assert!(rows.last().is_none_or(|&last| last < self.rows()), "{} rows", self.rows());
        match &self.held {
            Held::Array(array) => array.read(rows),
            #[cfg(feature = "parquet")]
            Held::Groups(groups) => groups.read(rows),
            Held::Whole(table) => Ok(table.subset(rows)),
        }
    }

    /// Hands all rows to `each`, `rows` at a time, in order, with the place of the first: a file is read once.
    ///
    /// # Errors
    /// As [`read`](Self::read), or what `each` says.
    ///
    /// # Panics
    /// If `rows` is 0.
    pub fn blocks<E: From<TableError>>(
        &self,
        rows: usize,
        each: &mut dyn FnMut(usize, Table) -> Result<(), E>,
    ) -> Result<(), E> {
        #[cfg(feature = "parquet")]
        if let Held::Groups(groups) = &self.held {
            return groups.blocks(rows, each);
        }
        for first in (0..self.rows()).step_by(rows) {
            let block: Vec<usize> = (first..self.rows().min(first + rows)).collect();
            each(first, self.read(&block)?)?;
        }
        Ok(())
    }
}

impl Table {
    /// The table of these rows.
    fn subset(&self, rows: &[usize]) -> Self {
        let subset = |column: &Column| column.subset(rows);
        Self {
            columns: self.columns.iter().map(subset).collect(),
            lines: rows.iter().map(|&row| self.lines[row]).collect(),
            weights: self.weights.as_ref().map(subset),
        }
    }
}
