//! What can be wrong with a call.

use faer::MatRef;

use crate::Scalar;

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
    /// A right-hand side or a start holds NaN or infinity.
    #[error("{what} holds {value} at row {row}, column {column}; expected finite numbers")]
    NonFinite {
        /// The operand.
        what: &'static str,
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
    /// An operator that should be positive definite is not.
    #[error("a Ritz value of the operator is {value}, expected positive ones")]
    NotPositive {
        /// The least Ritz value.
        value: f64,
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

/// `Ok` if all entries are finite, else a [`KrylovError::NonFinite`] with the first that is not.
pub(crate) fn check_finite<T: Scalar>(
    what: &'static str,
    matrix: MatRef<'_, T>,
) -> Result<(), KrylovError> {
    for column in 0..matrix.ncols() {
        for row in 0..matrix.nrows() {
            let value = matrix[(row, column)];
            if !value.is_finite() {
                return Err(KrylovError::NonFinite { what, row, column, value: value.into() });
            }
        }
    }
    Ok(())
}

/// `Ok` unless `value` is negative or NaN.
pub(crate) fn check_tolerance(name: &'static str, value: f64) -> Result<(), KrylovError> {
    if value >= 0.0 {
        return Ok(());
    }
    Err(KrylovError::Setting { name, value, expected: "a number that is not negative" })
}

/// The same without infinity.
pub(crate) fn check_size(name: &'static str, value: f64) -> Result<(), KrylovError> {
    check_tolerance(name, value)?;
    if value.is_finite() {
        return Ok(());
    }
    Err(KrylovError::Setting { name, value, expected: "a finite number that is not negative" })
}
