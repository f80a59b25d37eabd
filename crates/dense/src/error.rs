//! What can be wrong with a call.

/// A call that cannot be carried out, or a matrix that cannot be factored.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DenseError {
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
    /// A matrix with fewer rows than columns has no square triangular factor.
    #[error("a QR factor needs at least as many rows as columns, found {rows} x {cols}")]
    Wide {
        /// Rows it has.
        rows: usize,
        /// Columns it has.
        cols: usize,
    },
    /// An entry is NaN or infinite.
    #[error("{what} holds {value} at row {row}, column {col}; every entry must be finite")]
    NonFinite {
        /// The operand.
        what: &'static str,
        /// Row of the first such entry.
        row: usize,
        /// Column of the first such entry.
        col: usize,
        /// The entry.
        value: f64,
    },
    /// A pivot of a Cholesky factorisation is not positive.
    #[error("not positive definite: pivot {index} of {dim} is not positive")]
    NotPositiveDefinite {
        /// Zero-based index of the pivot.
        index: usize,
        /// Dimension of the matrix.
        dim: usize,
    },
    /// A triangular factor has a zero on its diagonal.
    #[error("singular triangular factor: diagonal entry {index} of {dim} is zero")]
    Singular {
        /// Zero-based index of the entry.
        index: usize,
        /// Dimension of the factor.
        dim: usize,
    },
    /// An eigenvalue was not found.
    #[error("the eigenvalues of a matrix of dimension {dim} were not all found")]
    NoConvergence {
        /// Dimension of the matrix.
        dim: usize,
    },
}

/// `Ok` if `got == want`, else a [`DenseError::Shape`] that names `what`.
pub(crate) fn check_shape(
    what: &'static str,
    got: (usize, usize),
    want: (usize, usize),
) -> Result<(), DenseError> {
    if got == want {
        return Ok(());
    }
    Err(DenseError::Shape { what, rows: want.0, cols: want.1, got_rows: got.0, got_cols: got.1 })
}
