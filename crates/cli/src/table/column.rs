//! A table's cells in memory: per column one string with all cells, and where each ends, or numbers.
//!
//! A cell of text costs that and four bytes, about what it costs on disk; numbers and categories
//! are made when asked for. Text is kept even where all cells are numbers, because a class label
//! may be `3` and a model may have learnt a column as categories. A missing value is no text, and
//! not a number.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use super::error::{TableError, nearest};
use super::missing::is_missing;
use super::source;

/// A file's rows, column by column, with the line that each row starts on.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) lines: Vec<u64>,
    /// What rows weigh.
    pub(super) weights: Option<Column>,
}

impl Table {
    /// Reads a text file (RFC 4180, header first), gzipped or not, whatever its name; `-` is standard
    /// input.
    ///
    /// Fields are divided by commas, or else by tabs, or else by semicolons: by the first of these
    /// that the header has outside quotes.
    /// White space (ASCII) around a cell or a name is not part of it, quoted or not; a byte-order
    /// mark is dropped; blank lines are skipped; lines end with LF or CR LF; a quoted field may
    /// span lines. A cell that is empty or one of [`MISSING`](super::MISSING), capitals or not, has
    /// no value. Memory: the text and four bytes a cell.
    ///
    /// # Errors
    /// [`TableError`] for a file that cannot be read, decompressed or decoded, that has no rows,
    /// a ragged row, an empty or repeated column name, or a cell that reads as an infinite number
    /// (`inf`, `1e999`).
    pub fn read(path: &Path) -> Result<Self, TableError> {
        source::read(path, &|_| true)
    }

    /// Like [`read`](Self::read), but keeps only the columns whose name `keep` accepts.
    ///
    /// The other columns may hold infinite cells. This is how a table without known
    /// targets is read: `Table::read_where(path, |name| name != target)`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_where(path: &Path, keep: impl Fn(&str) -> bool) -> Result<Self, TableError> {
        source::read(path, &keep)
    }

    /// Takes the column called `name` out of the others: from now on it is the rows' weights.
    ///
    /// # Errors
    /// [`TableError::NoColumn`].
    pub fn weigh_by(&mut self, name: &str) -> Result<(), TableError> {
        self.find(name)?;
        let at = self.columns.iter().position(|column| column.name == name);
        self.weights = at.map(|at| self.columns.remove(at));
        Ok(())
    }

    /// Number of rows, the header not counted.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// All columns, in the file's order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column called `name`.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column called `name`, or the error that lists what there is.
    pub(super) fn find(&self, name: &str) -> Result<&Column, TableError> {
        let names = || self.columns.iter().map(|column| column.name.as_str());
        self.column(name).ok_or_else(|| TableError::NoColumn {
            name: name.to_owned(),
            columns: names().map(str::to_owned).collect(),
            nearest: nearest(name, names()),
        })
    }

    /// Line of the file that row `row` starts on (the header is line 1).
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }
}

/// One column: its name and its cells.
#[derive(Clone, Debug)]
pub struct Column {
    name: String,
    text: String,
    ends: Vec<u32>,
    numbers: usize,
    missing: usize,
    first_text: Option<usize>,
}

/// A column's cells, typed.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Every cell that has a value is a finite number; the others are NaN.
    Numeric(Vec<f64>),
    /// Some cell is not, or none has a value.
    Categorical(Categories),
}

/// Cells as indices into the different texts that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Categories {
    /// The different texts, in order of their bytes; an empty one for cells without a value.
    pub levels: Vec<String>,
    /// For each row its index in `levels`.
    pub codes: Vec<u32>,
}

/// Why a cell cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellFault {
    Infinite,
    TooLong,
}

impl Column {
    pub(super) fn new(name: String) -> Self {
        let (text, ends) = (String::new(), Vec::new());
        Self { name, text, ends, numbers: 0, missing: 0, first_text: None }
    }

    /// Appends a cell that is trimmed already.
    pub(super) fn push(&mut self, cell: &str) -> Result<(), CellFault> {
        let missing = is_missing(cell);
        match cell.parse::<f64>() {
            _ if missing => self.missing += 1,
            Ok(number) if number.is_finite() => self.numbers += 1,
            Ok(_) => return Err(CellFault::Infinite),
            Err(_) => {
                self.first_text.get_or_insert(self.ends.len());
            }
        }
        self.text.push_str(if missing { "" } else { cell });
        self.ends.push(u32::try_from(self.text.len()).map_err(|_| CellFault::TooLong)?);
        Ok(())
    }

    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// The column's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn rows(&self) -> usize {
        self.ends.len()
    }

    /// The text of row `row`, empty if it has no value.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn cell(&self, row: usize) -> Cow<'_, str> {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        Cow::Borrowed(&self.text[start..self.ends[row] as usize])
    }

    /// Row `row` as a number, if it is one.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn number(&self, row: usize) -> Option<f64> {
        self.cell(row).parse().ok()
    }

    /// Whether row `row` has no value.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn is_missing(&self, row: usize) -> bool {
        self.cell(row).is_empty()
    }

    /// Whether some cell has a value and every such cell is a finite number.
    #[must_use]
    pub fn is_numeric(&self) -> bool {
        self.first_text.is_none() && self.numbers > 0
    }

    /// How many cells are numbers.
    #[must_use]
    pub fn numbers(&self) -> usize {
        self.numbers
    }

    /// How many cells have no value.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// The first row whose cell has a value that is not a number.
    #[must_use]
    pub fn first_text(&self) -> Option<usize> {
        self.first_text
    }

    /// The cells as numbers if the column is numeric, else as categories.
    #[must_use]
    pub fn values(&self) -> Values {
        if !self.is_numeric() {
            return Values::Categorical(self.categories());
        }
        let numbers = (0..self.rows()).map(|row| self.number(row).unwrap_or(f64::NAN));
        Values::Numeric(numbers.collect())
    }

    /// The cells as categories by their text, numbers or not (`1` and `1.0` are two).
    #[must_use]
    pub fn categories(&self) -> Categories {
        let mut index: BTreeMap<Cow<'_, str>, u32> = BTreeMap::new();
        for row in 0..self.rows() {
            index.entry(self.cell(row)).or_default();
        }
        for (code, slot) in index.values_mut().enumerate() {
            *slot = code as u32;
        }
        let codes = (0..self.rows()).map(|row| index[&self.cell(row)]).collect();
        Categories { levels: index.into_keys().map(Cow::into_owned).collect(), codes }
    }
}
