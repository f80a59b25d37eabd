//! What can be wrong with a call.

use nearlin_krylov::KrylovError;
use nearlin_sketch::SketchError;

/// A call that cannot be carried out, found before the matrix is read but for its entries.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LstsqError {
    /// Operands do not fit together.
    #[error("{what} is {got_rows} x {got_cols}, expected {rows} x {cols}")]
    Shape {
        /// The operand.
        what: &'static str,
        /// Rows it should have.
        rows: usize,
        /// Columns it should have.
        cols: usize,
        /// Rows it has.
        got_rows: usize,
        /// Columns it has.
        got_cols: usize,
    },
    /// The matrix has no rows or no columns.
    #[error("the matrix is {rows} x {cols}; there is nothing to fit")]
    Empty {
        /// Its rows.
        rows: usize,
        /// Its columns.
        cols: usize,
    },
    /// The sketch of the matrix holds NaN or infinity, and so does the matrix, or its entries are too large to add.
    #[error(
        "column {col} of the matrix holds an entry that is not finite, or too large to be added to others"
    )]
    NonFinite {
        /// The first column with such an entry.
        col: usize,
    },
    /// The same of a matrix with more columns than rows, of which rows are sketched.
    #[error(
        "row {row} of the matrix holds an entry that is not finite, or too large to be added to others"
    )]
    NonFiniteRow {
        /// The first row with such an entry.
        row: usize,
    },
    /// A setting is out of its range.
    #[error("{name} is {value}, expected {expected}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// A weight is negative or not finite, or its root is too large for the scalars.
    #[error(
        "weight {row} is {value}, expected a finite number that is not negative, whose root the scalars can hold"
    )]
    Weight {
        /// Its row.
        row: usize,
        /// The weight.
        value: f64,
    },
    /// Singular values of the sketch were not found.
    #[error("singular values of a {dim} x {dim} matrix were not found")]
    NoConvergence {
        /// Its dimension.
        dim: usize,
    },
    /// The iteration refuses its operands.
    #[error(transparent)]
    Krylov(#[from] KrylovError),
    /// The sketch refuses its operands.
    #[error(transparent)]
    Sketch(#[from] SketchError),
}

/// `Ok` if `got == want`, else a [`LstsqError::Shape`] that names `what`.
pub(crate) fn check_shape(
    what: &'static str,
    got: (usize, usize),
    want: (usize, usize),
) -> Result<(), LstsqError> {
    if got == want {
        return Ok(());
    }
    Err(LstsqError::Shape { what, rows: want.0, cols: want.1, got_rows: got.0, got_cols: got.1 })
}
