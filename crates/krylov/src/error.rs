//! What can be wrong with a call.

/// A call that cannot be carried out, found before any arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KrylovError {
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
    /// A right-hand side holds NaN or infinity.
    #[error("right-hand side holds {value} at row {row}, column {column}; expected finite numbers")]
    NonFinite {
        /// Row of the first such entry.
        row: usize,
        /// Column of the first such entry.
        column: usize,
        /// The entry.
        value: f64,
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
}

/// `Ok` if `got == want`, else a [`KrylovError::Shape`] that names `what`.
pub(crate) fn check_shape(
    what: &'static str,
    got: (usize, usize),
    want: (usize, usize),
) -> Result<(), KrylovError> {
    if got == want {
        return Ok(());
    }
    Err(KrylovError::Shape { what, rows: want.0, cols: want.1, got_rows: got.0, got_cols: got.1 })
}
