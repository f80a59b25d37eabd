//! What can be wrong with a call.

use std::ops::Range;

use faer::{MatMut, MatRef};

/// A sketch that cannot be made, or operands that do not fit it.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SketchError {
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
    /// The embedding dimension is zero, or more than there are rows to sample.
    #[error("embedding dimension {dim} for vectors of length {input}, expected 1 to {most}")]
    Dimension {
        /// The embedding dimension asked for.
        dim: usize,
        /// Length of the vectors to embed.
        input: usize,
        /// The largest possible.
        most: usize,
    },
    /// A sketch has not so many rows or columns.
    #[error("{what} {start}..{end} of a sketch, expected a range within 0..{len}")]
    Range {
        /// Rows or columns.
        what: &'static str,
        /// The first asked for.
        start: usize,
        /// The one behind the last.
        end: usize,
        /// How many there are.
        len: usize,
    },
    /// The embedding dimension of a sketch that hashes into `Z_2^k` is no power of two.
    #[error("embedding dimension {dim}, expected a power of two, such as {}", dim.next_power_of_two())]
    PowerOfTwo {
        /// The embedding dimension asked for.
        dim: usize,
    },
    /// A matrix that should be positive semidefinite is not.
    #[error("diagonal entry {at} is {value}, expected a finite number that is not negative")]
    NotPsd {
        /// Its index.
        at: usize,
        /// The entry.
        value: f64,
    },
    /// An operator that should be positive semidefinite is not, or its products are not finite.
    #[error("products are not finite, or not those of a positive semidefinite operator")]
    Indefinite,
    /// A column of a sparse sketch has no entries, or more than there are rows.
    #[error("{each} signs in each column of {dim} rows, expected 1 to {dim}")]
    Sparsity {
        /// The signs asked for.
        each: usize,
        /// The embedding dimension.
        dim: usize,
    },
    /// Scores to sample by must be finite and not negative, and not all zero.
    #[error(
        "score {at} is {value}, expected a finite number that is not negative, and one that is positive"
    )]
    Score {
        /// Which of them.
        at: usize,
        /// The score.
        value: f64,
    },
    /// A sketch has less rows than the matrix whose range it is to tell has columns.
    #[error("a sketch of {dim} rows for {cols} columns, expected at least as many")]
    Few {
        /// The embedding dimension.
        dim: usize,
        /// Columns of the matrix.
        cols: usize,
    },
    /// No embedding dimension that may be tried has so small a distortion.
    #[error(
        "distortion {found} at embedding dimension {dim}, expected at most {target} within {most} rows"
    )]
    Distortion {
        /// That of the last dimension.
        found: f64,
        /// The largest that would do.
        target: f64,
        /// The last dimension.
        dim: usize,
        /// The largest that may be tried.
        most: usize,
    },
    /// A column of a sketch, or of products with test vectors, is not finite.
    #[error("column {at} of the sketch is not finite, expected columns of finite numbers")]
    NotFinite {
        /// Which of them.
        at: usize,
    },
    /// A factor of a Kronecker product is longer than `2^32`, or the product than memory.
    #[error(
        "cannot sketch a Kronecker product of vectors of length {left} and {right}, expected at most 2^32 each, and less \
         than 2^64 in all"
    )]
    Long {
        /// Length of the left factor.
        left: usize,
        /// Length of the right one.
        right: usize,
    },
    /// The vectors to embed have no entries.
    #[error("cannot sketch vectors of length 0")]
    Empty,
}

/// `Ok` if `got == want`, else a [`SketchError::Shape`] that names `what`.
pub(crate) fn check_shape(
    what: &'static str,
    got: (usize, usize),
    want: (usize, usize),
) -> Result<(), SketchError> {
    if got == want {
        return Ok(());
    }
    Err(SketchError::Shape { what, rows: want.0, cols: want.1, got_rows: got.0, got_cols: got.1 })
}

/// `Ok` if the adjoint of an `s x N` sketch takes `y` to `out`.
pub(crate) fn check_adjoint<T>(
    out: &MatMut<'_, T>,
    y: MatRef<'_, T>,
    (s, n): (usize, usize),
) -> Result<(), SketchError> {
    check_shape("sketched matrix", (y.nrows(), y.ncols()), (s, y.ncols()))?;
    check_shape("matrix to fill", (out.nrows(), out.ncols()), (n, y.ncols()))
}

/// `Ok` if there are such rows and columns of an `s x N` sketch.
pub(crate) fn check_ranges(
    rows: &Range<usize>,
    cols: &Range<usize>,
    (s, n): (usize, usize),
) -> Result<(), SketchError> {
    for (what, range, len) in [("rows", rows, s), ("columns", cols, n)] {
        if range.start > range.end || range.end > len {
            return Err(SketchError::Range { what, start: range.start, end: range.end, len });
        }
    }
    Ok(())
}
