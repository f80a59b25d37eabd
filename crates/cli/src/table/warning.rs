//! What a user should know although nothing is wrong.

use std::fmt;

use super::error::excerpt;
use super::missing::MISSING;

/// Something noticed while a table was prepared; `Display` is the sentence to show.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// An input column with one value, or none, on all training rows; it is not used.
    ConstantColumn {
        /// Name of the column.
        column: String,
        /// Its value; empty if it has none.
        text: String,
    },
    /// Rows without a target; they are left out.
    MissingTarget {
        /// Name of the target.
        column: String,
        /// Line of the first.
        line: u64,
        /// How many there are.
        rows: usize,
    },
    /// Cells without a value where every training row had one; they are taken as the mean.
    NewlyMissing {
        /// Name of the column.
        column: String,
        /// Line of the first.
        line: u64,
        /// How many there are.
        rows: usize,
    },
    /// Categories that were not in the training rows; they get the all-zero code.
    UnseenCategory {
        /// Name of the column.
        column: String,
        /// The first such cell.
        text: String,
        /// Its line.
        line: u64,
        /// How many rows hold such cells.
        rows: usize,
    },
    /// The same in a column that is coded by mean targets; they get the mean of all rows.
    UnseenLevel {
        /// Name of the column.
        column: String,
        /// The first such cell.
        text: String,
        /// Its line.
        line: u64,
        /// How many rows hold such cells.
        rows: usize,
    },
    /// A column with too many categories for a coordinate each; it is coded by mean targets.
    CodedByMeans {
        /// Name of the column.
        column: String,
        /// Different cells in the training rows.
        levels: usize,
        /// Training rows.
        rows: usize,
    },
    /// A column with so many categories that mean targets tell nothing; it is not used.
    Identifier {
        /// Name of the column.
        column: String,
        /// Different cells in the training rows.
        levels: usize,
        /// Training rows.
        rows: usize,
    },
    /// Classes of the target that are only in test rows; they count as wrong.
    UnseenClass {
        /// Name of the target.
        column: String,
        /// The first such class.
        text: String,
        /// Its line.
        line: u64,
        /// How many test rows hold such classes.
        rows: usize,
    },
    /// At least nine cells of ten are numbers, but the column is read as categories.
    MostlyNumeric {
        /// Name of the column.
        column: String,
        /// The first cell that is no number.
        text: String,
        /// Its line.
        line: u64,
        /// Cells that are numbers.
        numbers: usize,
        /// All cells.
        rows: usize,
    },
    /// At least nine cells of ten are numbers, but some of these with a decimal comma or with commas between thousands.
    OtherNumbers {
        /// Name of the column.
        column: String,
        /// The first cell with a comma.
        text: String,
        /// Its line.
        line: u64,
        /// Cells with commas.
        others: usize,
        /// All cells.
        rows: usize,
    },
    /// At least nine cells of ten are dates, but the column is read as categories.
    MostlyDates {
        /// Name of the column.
        column: String,
        /// The first cell that is no date.
        text: String,
        /// Its line.
        line: u64,
        /// Cells that are dates.
        dates: usize,
        /// All cells.
        rows: usize,
    },
    /// Numbers that count the rows.
    CountsRows {
        /// Name of the column.
        column: String,
        /// The first of them.
        first: u64,
    },
    /// More than 20 categories, and more than one for every ten training rows.
    ManyLevels {
        /// Name of the column.
        column: String,
        /// Different cells in the training rows.
        levels: usize,
        /// Training rows.
        rows: usize,
    },
}

impl Warning {
    /// Adds the cells that another warning counts to those of this one, if both say the same of one column.
    pub(crate) fn absorb(&mut self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::NewlyMissing { column, rows, .. },
                Self::NewlyMissing { column: same, rows: more, .. },
            )
            | (
                Self::UnseenCategory { column, rows, .. },
                Self::UnseenCategory { column: same, rows: more, .. },
            )
            | (
                Self::UnseenLevel { column, rows, .. },
                Self::UnseenLevel { column: same, rows: more, .. },
            ) if column == same => {
                *rows += more;
                true
            }
            _ => false,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConstantColumn { column, text } if text.is_empty() => {
                write!(f, "column `{column}` has no value on any training row: dropped")
            }
            Self::ConstantColumn { column, text } => {
                write!(f, "column `{column}` is `{}` on all training rows: dropped", excerpt(text))
            }
            Self::MissingTarget { column, line, rows } => write!(
                f,
                "target `{column}`, line {line}: no value (the cell is empty or one of {}); \
                 such rows, here {rows}, are left out",
                MISSING.join(", ")
            ),
            Self::NewlyMissing { column, line, rows } => write!(
                f,
                "column `{column}`, line {line}: no value, and all training rows had one; \
                 such cells, here {rows}, are taken as the mean"
            ),
            Self::UnseenCategory { column, text, line, rows } => write!(
                f,
                "column `{column}`, line {line}: {} among the training rows; \
                 such cells, here {rows}, get the all-zero code",
                unseen(text)
            ),
            Self::UnseenLevel { column, text, line, rows } => write!(
                f,
                "column `{column}`, line {line}: {} among the training rows; \
                 such cells, here {rows}, get the mean of all rows",
                unseen(text)
            ),
            Self::CodedByMeans { column, levels, rows } => write!(
                f,
                "column `{column}` has {levels} categories in {rows} training rows: \
                 each is coded by the mean target of its rows"
            ),
            Self::Identifier { column, levels, rows } => write!(
                f,
                "column `{column}` has {levels} categories in {rows} training rows, \
                 too few rows each to tell of the target: dropped"
            ),
            Self::UnseenClass { column, text, line, rows } => write!(
                f,
                "target `{column}`, line {line}: class `{}` is not among the training rows; \
                 such test rows, here {rows}, count as wrong",
                excerpt(text)
            ),
            Self::MostlyNumeric { column, text, line, numbers, rows } => write!(
                f,
                "column `{column}` is read as categories because of `{}` on line {line}, \
                 though {numbers} of its {rows} cells are numbers",
                excerpt(text)
            ),
            Self::OtherNumbers { column, text, line, others, rows } => write!(
                f,
                "column `{column}` is read as categories because of `{}` on line {line} and such cells, here \
                 {others} of {rows}; numbers have a decimal point and nothing between thousands",
                excerpt(text)
            ),
            Self::MostlyDates { column, text, line, dates, rows } => write!(
                f,
                "column `{column}` is read as categories because of `{}` on line {line}, \
                 though {dates} of its {rows} cells are dates",
                excerpt(text)
            ),
            Self::CountsRows { column, first } => write!(
                f,
                "column `{column}` counts the rows from {first} on: if it is an index, it tells nothing of new rows"
            ),
            Self::ManyLevels { column, levels, rows } => write!(
                f,
                "column `{column}` has {levels} categories in {rows} training rows; \
                 is it an identifier or a number?"
            ),
        }
    }
}

/// `text` and its absence, in words.
fn unseen(text: &str) -> String {
    match text {
        "" => "no value, which is not".into(),
        _ => format!("`{}` is not", excerpt(text)),
    }
}
