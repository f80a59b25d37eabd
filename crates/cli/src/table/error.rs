//! What can be wrong with a table or with what is asked of it.

mod array;
mod text;

use std::io;
use std::path::PathBuf;

pub use self::array::ArrayFault;
use self::text::{counted, listing, suggestion};
pub(crate) use self::text::{excerpt, nearest};
use super::delimiter::Delimiter;

/// A table that cannot be read, or a request that does not fit it.
///
/// Lines count from 1, the header's; a row's line is the one it starts on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file cannot be opened or read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file starts like gzip and does not decompress.
    #[error("cannot decompress `{path}`, which is truncated or corrupt gzip: {source}")]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        source: io::Error,
    },
    /// The file starts like a zip archive and is none, or one of its members cannot be decompressed.
    #[error("cannot unpack `{path}`, which starts like a zip archive: {source}")]
    Zip {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        source: io::Error,
    },
    /// An NPZ archive holds something else than arrays.
    #[error("`{path}` is a zip archive with `{member}`, expected nothing but arrays (NPZ)")]
    Member {
        /// The file.
        path: PathBuf,
        /// The first such member.
        member: String,
    },
    /// The file starts like Parquet and cannot be read as such.
    #[error("cannot read `{path}`, which starts like a Parquet file: {reason}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the decoder says, or that there is none.
        reason: String,
    },
    /// A column of a type that no input can be made of.
    #[error("column `{column}` holds {found}, expected numbers, texts, booleans, dates or times")]
    ColumnType {
        /// Its name.
        column: String,
        /// What it holds.
        found: String,
    },
    /// An array that cannot be read as columns.
    #[error("array `{array}` {fault}")]
    Array {
        /// Its name in the archive, or the file.
        array: String,
        /// What is wrong with it.
        fault: ArrayFault,
    },
    /// No byte, or nothing but blank lines.
    #[error("`{path}` is empty, expected a header and rows")]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// A header and nothing else.
    #[error("`{path}` has a header and no rows")]
    HeaderOnly {
        /// The file.
        path: PathBuf,
    },
    /// A field is not UTF-8.
    #[error("line {line} is not UTF-8 (field {field}); save the file as UTF-8")]
    NotUtf8 {
        /// Line of the row.
        line: u64,
        /// Field of the row, from 1.
        field: usize,
    },
    /// A quoted field runs to the end of the file.
    #[error("line {line} opens a quote (\") that is never closed")]
    OpenQuote {
        /// Line of the row.
        line: u64,
    },
    /// A row with more or fewer fields than the header.
    #[error(
        "line {line} has {}, expected {expected} as in the header; {delimiter} divide fields here",
        counted(*found, "field")
    )]
    Ragged {
        /// Line of the row.
        line: u64,
        /// Fields it has.
        found: usize,
        /// Fields of the header.
        expected: usize,
        /// What divides fields, by the header.
        delimiter: Delimiter,
    },
    /// A column without a name.
    #[error(
        "column {position} of the header has no name{}",
        if *position == 1 { "; pandas writes its index like that, unless it is told `index=False`" } else { "" }
    )]
    EmptyName {
        /// Position in the header, from 1.
        position: usize,
    },
    /// Two columns with one name.
    #[error("columns {first} and {second} of the table are both called `{name}`")]
    DuplicateName {
        /// The name.
        name: String,
        /// Position of the first, from 1.
        first: usize,
        /// Position of the second.
        second: usize,
    },
    /// A cell among numbers that reads as a number but as no finite one.
    #[error("line {line}, column `{column}`: `{text}` is not a finite number")]
    NonFinite {
        /// Line of the row.
        line: u64,
        /// Name of the column.
        column: String,
        /// The cell.
        text: String,
    },
    /// More than 4 GiB of text in one column.
    #[error("line {line}: column `{column}` holds more than 4 GiB of text")]
    ColumnTooLong {
        /// Line where it became too much.
        line: u64,
        /// Name of the column.
        column: String,
    },
    /// A row's weight.
    #[error(
        "line {line}, column `{column}`: found `{text}`, expected a weight, a number from 1e-100 to 1e100"
    )]
    Weight {
        /// Line that the row starts on.
        line: u64,
        /// The column of weights.
        column: String,
        /// Start of the cell.
        text: String,
    },
    /// The encoded table does not fit in memory.
    #[error("{rows} rows of {inputs} inputs do not fit in memory; is a column an identifier?")]
    TooLarge {
        /// Rows to encode.
        rows: usize,
        /// Inputs after encoding.
        inputs: usize,
    },
    /// A column that was asked for by name.
    #[error("no column `{name}`{}; the columns are {}", suggestion(nearest.as_deref()), listing(columns))]
    NoColumn {
        /// What was asked for.
        name: String,
        /// The columns that there are.
        columns: Vec<String>,
        /// The one most like it, if any is.
        nearest: Option<String>,
    },
    /// Columns that a model needs.
    #[error("the table lacks columns that the model needs: {}", listing(missing))]
    MissingColumns {
        /// All of them.
        missing: Vec<String>,
    },
    /// A text where a model expects a number.
    #[error("line {line}, column `{column}`: `{text}` is not a number, as the model expects")]
    NotNumeric {
        /// Line of the row.
        line: u64,
        /// Name of the column.
        column: String,
        /// The cell.
        text: String,
    },
    /// A text where a model expects a date.
    #[error(
        "line {line}, column `{column}`: `{text}` is not a date (YYYY-MM-DD, perhaps with a time), \
         as the model expects"
    )]
    NotDate {
        /// Line of the row.
        line: u64,
        /// Name of the column.
        column: String,
        /// The cell.
        text: String,
    },
    /// Regression on a target that is not numeric.
    #[error(
        "line {line}, column `{column}`: `{text}` is not a number, as `--task regression` expects"
    )]
    TargetNotNumeric {
        /// Line of the row.
        line: u64,
        /// Name of the target.
        column: String,
        /// The cell.
        text: String,
    },
    /// A target of numbers but for a few cells, of which nobody has said that it holds classes.
    #[error(
        "line {line}: target column `{column}` holds `{}`, though {numbers} of its {rows} cells are numbers; correct it, or \
         say --task classification if these are classes",
        excerpt(text)
    )]
    MostlyNumericTarget {
        /// Name of the target.
        column: String,
        /// The first cell that is no number.
        text: String,
        /// Line of the row.
        line: u64,
        /// Cells that are numbers.
        numbers: usize,
        /// All cells.
        rows: usize,
    },
    /// A target of numbers, some of them in another notation, of which nobody has said that it holds classes.
    #[error(
        "line {line}: target column `{column}` holds `{}` and such cells, {others} of {rows}; numbers have a decimal point and \
         nothing between thousands; correct them, or say --task classification if these are classes",
        excerpt(text)
    )]
    OtherNumbersTarget {
        /// Name of the target.
        column: String,
        /// The first cell with a comma.
        text: String,
        /// Line of the row.
        line: u64,
        /// Cells with commas.
        others: usize,
        /// All cells.
        rows: usize,
    },
    /// A target whose text differs from row to row, of which nobody has said that it holds classes.
    #[error(
        "target column `{column}` holds {levels} different texts in {rows} rows; say --task classification if these are \
         classes"
    )]
    NoClasses {
        /// Name of the target.
        column: String,
        /// Different cells.
        levels: usize,
        /// Rows.
        rows: usize,
    },
    /// A row without a target where one is due.
    #[error("line {line}, column `{column}`: the target has no value")]
    TargetMissing {
        /// Line of the row.
        line: u64,
        /// Name of the target.
        column: String,
    },
    /// A target without any value.
    #[error("target `{column}` has no value in any row, so there is nothing to learn")]
    NoTarget {
        /// Name of the target.
        column: String,
    },
    /// A target with one value on all training rows.
    #[error(
        "target `{column}` is `{text}` on all {rows} training rows, so there is nothing to learn"
    )]
    ConstantTarget {
        /// Name of the target.
        column: String,
        /// Its value.
        text: String,
        /// Training rows.
        rows: usize,
    },
    /// Fewer than two rows that have a target.
    #[error("the table has {} with a target, expected at least 2", counted(*found, "row"))]
    TooFewRows {
        /// Such rows.
        found: usize,
    },
    /// An option whose value does not fit, or does not fit the table.
    #[error("`{option}` is {value}, expected {expected}")]
    BadOption {
        /// The option as it is written on the command line.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: String,
    },
}
