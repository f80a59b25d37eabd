//! A square triangular factor and its solves.

use faer::{Mat, MatMut, MatRef};

use crate::error::check_shape;
use crate::gram::mirror_lower;
use crate::solve::{Side, Square};
use crate::{DenseError, Real};

/// An upper triangular factor `R` (n x n, nonsingular) with solves for `R` and `R^T`.
///
/// Only the upper triangle of the stored matrix is read.
#[derive(Clone, Debug)]
pub struct Triangular<T> {
    square: Square<T>,
}

impl<T: Real> Triangular<T> {
    /// Takes the upper triangle of `upper`, n x n.
    ///
    /// # Errors
    /// [`DenseError::Shape`] if it is not square, [`DenseError::NonFinite`] if the diagonal is not
    /// finite, [`DenseError::Singular`] if a diagonal entry is zero.
    pub fn upper(mut upper: Mat<T>) -> Result<Self, DenseError> {
        let dim = upper.nrows();
        check_shape("triangular factor", (dim, upper.ncols()), (dim, dim))?;
        for index in 0..dim {
            let value = upper[(index, index)];
            if !value.is_finite() {
                return Err(DenseError::NonFinite {
                    what: "triangular factor",
                    row: index,
                    col: index,
                    value: value.as_f64(),
                });
            }
            if value == T::of(0.0) {
                return Err(DenseError::Singular { index, dim });
            }
        }
        mirror_lower(upper.as_mut().transpose_mut());
        Ok(Self { square: Square::new(upper) })
    }

    /// Dimension `n`.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.square.dim()
    }

    /// The factor; what lies below its diagonal has no meaning.
    #[must_use]
    pub fn matrix(&self) -> MatRef<'_, T> {
        self.square.entries()
    }

    /// `x <- R^-1 x` for `x : n x k`, at `n^2 k` flops.
    ///
    /// # Panics
    /// If `x` has not `n` rows.
    pub fn solve_in_place(&self, x: MatMut<'_, T>, par: faer::Par) {
        self.square.solve_in_place(&[Side::Upper], x, par);
    }

    /// `x <- R^-T x` for `x : n x k`, at `n^2 k` flops.
    ///
    /// # Panics
    /// If `x` has not `n` rows.
    pub fn solve_transpose_in_place(&self, x: MatMut<'_, T>, par: faer::Par) {
        self.square.solve_in_place(&[Side::Lower], x, par);
    }

    /// `x <- (R^T R)^-1 x` for `x : n x k`, at `2 n^2 k` flops.
    ///
    /// # Panics
    /// If `x` has not `n` rows.
    pub fn solve_gram_in_place(&self, x: MatMut<'_, T>, par: faer::Par) {
        self.square.solve_in_place(&[Side::Lower, Side::Upper], x, par);
    }
}
