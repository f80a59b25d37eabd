//! A table's cells in memory: per column one string with all cells, and where each ends, or numbers.
//!
//! A cell of text costs that and four bytes, about what it costs on disk; numbers and categories
//! are made when asked for. Text is kept even where all cells are numbers, because a class label
//! may be `3` and a model may have learnt a column as categories. A missing value is no text, and
//! not a number.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use super::date;
use super::error::{TableError, excerpt, nearest};
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
    /// Reads a text file (RFC 4180, header first) or arrays (NPY, NPZ), gzipped or not, told by the first
    /// bytes, whatever its name; `-` is standard input.
    ///
    /// An array of two dimensions is a table without names: its columns are `x0`, `x1`, .., or `A0`, `A1`, ..
    /// where it is called `A` in an NPZ; one of one dimension is the column `x0` or `A`. Floats (`f4`, `f8`),
    /// integers and bool of either byte order are read; integers past 2^53 as the nearest `f64`. Memory: 8
    /// bytes a cell.
    ///
    /// Fields are divided by commas, or else by tabs, or else by semicolons: by the first of these
    /// that the header has outside quotes.
    /// White space (ASCII) around a cell or a name is not part of it, quoted or not; a byte-order
    /// mark is dropped; blank lines are skipped; lines end with LF or CR LF; a quoted field may
    /// span lines. A cell that is empty or one of [`MISSING`](super::MISSING), capitals or not, or
    /// `nan` with a sign, has no value. Memory: the text and four bytes a cell.
    ///
    /// # Errors
    /// [`TableError`] for a file that cannot be read, decompressed or decoded, that has no rows,
    /// a ragged row, an empty or repeated column name, or among numbers alone a cell that reads as an
    /// infinite one (`inf`, `1e999`; in a column of texts it is a text); for arrays of other types, of
    /// more dimensions, or of different lengths.
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

    /// Line of the file that row `row` starts on (the header is line 1); of arrays, the row's number
    /// from 1.
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
    cells: Cells,
    numbers: usize,
    /// Cells of text that read as infinite numbers.
    infinite: usize,
    dates: usize,
    missing: usize,
    first_text: Option<usize>,
}

#[derive(Clone, Debug)]
enum Cells {
    /// All texts, one after the other, and where each ends.
    Text { text: String, ends: Vec<u32> },
    /// NaN where there is no value.
    Numbers(Vec<f64>),
}

/// A column's cells, typed.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Every cell that has a value is a finite number; the others are NaN.
    Numeric(Vec<f64>),
    /// Every cell that has a value is a date, here in days since the beginning of 1970; the others are
    /// NaN.
    Dates(Vec<f64>),
    /// Some cell is neither, or none has a value.
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
    /// A column for cells of text.
    pub(super) fn new(name: String) -> Self {
        let cells = Cells::Text { text: String::new(), ends: Vec::new() };
        Self { name, cells, numbers: 0, infinite: 0, dates: 0, missing: 0, first_text: None }
    }

    /// A column for numbers.
    pub(super) fn numeric(name: String) -> Self {
        Self { cells: Cells::Numbers(Vec::new()), ..Self::new(name) }
    }

    /// Appends a cell that is trimmed already; whether infinite numbers are texts is for
    /// [`finite`](Self::finite), once all cells are there.
    pub(super) fn push(&mut self, cell: &str) -> Result<(), CellFault> {
        let number = cell.parse::<f64>();
        let missing = is_missing(cell) || number.as_ref().is_ok_and(|number| number.is_nan());
        match number {
            _ if missing => self.missing += 1,
            Ok(number) if number.is_finite() => self.numbers += 1,
            Ok(_) => {
                self.infinite += 1;
                self.first_text.get_or_insert(self.rows());
            }
            Err(_) => {
                // One text that is no date is enough to look no further.
                let so_far = self.numbers == 0 && self.dates == self.rows() - self.missing;
                self.dates += usize::from(so_far && date::days(cell).is_some());
                self.first_text.get_or_insert(self.rows());
            }
        }
        match &mut self.cells {
            Cells::Text { text, ends } => {
                text.push_str(if missing { "" } else { cell });
                ends.push(u32::try_from(text.len()).map_err(|_| CellFault::TooLong)?);
            }
            Cells::Numbers(numbers) => numbers.push(cell.parse().unwrap_or(f64::NAN)),
        }
        Ok(())
    }

    /// Appends a number to a column for numbers; NaN is no value.
    pub(super) fn push_number(&mut self, number: f64) -> Result<(), CellFault> {
        if number.is_infinite() {
            return Err(CellFault::Infinite);
        }
        let Cells::Numbers(numbers) = &mut self.cells else { return self.push(&text(number)) };
        numbers.push(number);
        let count = if number.is_nan() { &mut self.missing } else { &mut self.numbers };
        *count += 1;
        Ok(())
    }

    /// Refuses infinite numbers unless they are texts: some other cell has a value that is no number.
    ///
    /// # Errors
    /// [`TableError::NonFinite`] with the first of them; `lines` are those of the rows.
    pub(super) fn finite(&self, lines: &[u64]) -> Result<(), TableError> {
        match self.first_text {
            Some(row) if self.numbers + self.infinite + self.missing == self.rows() => {
                let (line, column) = (lines[row], self.name.clone());
                Err(TableError::NonFinite { line, column, text: excerpt(&self.cell(row)) })
            }
            _ => Ok(()),
        }
    }

    /// The column of these rows.
    pub(super) fn subset(&self, rows: &[usize]) -> Self {
        let mut some = match &self.cells {
            Cells::Text { .. } => Self::new(self.name.clone()),
            Cells::Numbers(_) => Self::numeric(self.name.clone()),
        };
        for &row in rows {
            let pushed = match &self.cells {
                Cells::Text { .. } => some.push(&self.cell(row)),
                Cells::Numbers(numbers) => some.push_number(numbers[row]),
            };
            debug_assert!(pushed.is_ok(), "a cell that was kept once");
        }
        some
    }

    pub(super) fn shrink(&mut self) {
        match &mut self.cells {
            Cells::Text { text, ends } => {
                text.shrink_to_fit();
                ends.shrink_to_fit();
            }
            Cells::Numbers(numbers) => numbers.shrink_to_fit(),
        }
    }

    /// The column's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn rows(&self) -> usize {
        match &self.cells {
            Cells::Text { ends, .. } => ends.len(),
            Cells::Numbers(numbers) => numbers.len(),
        }
    }

    /// The text of row `row`, empty if it has no value; the shortest one of a number that was no text.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn cell(&self, row: usize) -> Cow<'_, str> {
        match &self.cells {
            Cells::Text { text, ends } => {
                let start = if row == 0 { 0 } else { ends[row - 1] as usize };
                Cow::Borrowed(&text[start..ends[row] as usize])
            }
            Cells::Numbers(numbers) if numbers[row].is_nan() => Cow::Borrowed(""),
            Cells::Numbers(numbers) => Cow::Owned(text(numbers[row])),
        }
    }

    /// Row `row` as a number, if it is a finite one.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn number(&self, row: usize) -> Option<f64> {
        match &self.cells {
            Cells::Text { .. } => self.cell(row).parse().ok().filter(|x: &f64| x.is_finite()),
            Cells::Numbers(numbers) => Some(numbers[row]).filter(|number| !number.is_nan()),
        }
    }

    /// Row `row` as days since the beginning of 1970, if it is a date: `YYYY-MM-DD` or `YYYY/MM/DD`, with
    /// a time as in ISO 8601 or without, in UTC where it has an offset.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn date(&self, row: usize) -> Option<f64> {
        date::days(&self.cell(row))
    }

    /// Whether row `row` has no value.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn is_missing(&self, row: usize) -> bool {
        match &self.cells {
            Cells::Text { .. } => self.cell(row).is_empty(),
            Cells::Numbers(numbers) => numbers[row].is_nan(),
        }
    }

    /// Whether some cell has a value and every such cell is a finite number.
    #[must_use]
    pub fn is_numeric(&self) -> bool {
        self.first_text.is_none() && self.numbers > 0
    }

    /// Whether some cell has a value and every such cell is a date.
    #[must_use]
    pub fn is_date(&self) -> bool {
        self.dates > 0 && self.dates == self.rows() - self.missing
    }

    /// How many cells are finite numbers.
    #[must_use]
    pub fn numbers(&self) -> usize {
        self.numbers
    }

    /// How many cells have no value.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// The first row whose cell has a value that is not a finite number.
    #[must_use]
    pub fn first_text(&self) -> Option<usize> {
        self.first_text
    }

    /// The cells as numbers or dates if all that have a value are, else as categories.
    #[must_use]
    pub fn values(&self) -> Values {
        let each = |read: &dyn Fn(usize) -> Option<f64>| {
            (0..self.rows()).map(|row| read(row).unwrap_or(f64::NAN)).collect()
        };
        if self.is_numeric() {
            Values::Numeric(each(&|row| self.number(row)))
        } else if self.is_date() {
            Values::Dates(each(&|row| self.date(row)))
        } else {
            Values::Categorical(self.categories())
        }
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

/// The shortest text that reads as `number`: `3`, `0.1`, `1e300`.
pub(super) fn text(number: f64) -> String {
    // Of both zeros the one without a sign.
    let number = number + 0.0;
    match number.abs() {
        0.0 | 1e-5..1e16 => number.to_string(),
        _ => format!("{number:?}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn zeros_read_alike() {
        assert_eq!((super::text(0.0), super::text(-0.0)), ("0".into(), "0".into()));
        assert_eq!(super::text(-1e300), "-1e300");
    }
}
