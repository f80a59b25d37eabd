//! Cholesky factorisation `A = L L^T` of a symmetric positive definite matrix, on the tiles that masked
//! products are made of.
//!
//! A Gram matrix is often singular to working precision. [`Cholesky::factor_shifted`] then adds
//! the smallest of a fixed sequence of shifts to the diagonal and says which.

use faer::linalg::triangular_inverse::invert_lower_triangular;
use faer::{Mat, MatMut, MatRef, Par};

use crate::error::check_shape;
use crate::parallel::fixed_par;
use crate::solve::{Side, Square};
use crate::tiles::factor;
use crate::{DenseError, Real};

/// The largest shift that [`Cholesky::factor_shifted`] tries, beside the mean of the diagonal.
const MOST: f64 = 10.0;

/// A Cholesky factor `L`, with `L L^T = A + shift I`.
///
/// # Accuracy
/// The computed factor is that of `A + E`, `|E| <= gamma_{n+2} |L| |L^T|` entry by entry
/// (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., Thm 10.3, and one more rounding
/// for the reciprocals of the diagonal).
#[derive(Clone, Debug)]
pub struct Cholesky<T> {
    square: Square<T>,
    shift: T,
}

impl<T: Real> Cholesky<T> {
    /// Factors `a` (n x n, symmetric positive definite, lower triangle read) in its own memory
    /// and a buffer of `512 n` numbers, at `n^3 / 3` flops.
    ///
    /// # Errors
    /// [`DenseError::Shape`] if `a` is not square, [`DenseError::NotPositiveDefinite`] if a pivot
    /// is not positive (or not finite).
    pub fn factor(mut a: Mat<T>, par: Par) -> Result<Self, DenseError> {
        let dim = a.nrows();
        check_shape("matrix", (dim, a.ncols()), (dim, dim))?;
        factor_lower(a.as_mut(), par)?;
        Ok(Self::new(a, 0.0))
    }

    /// Factors `a + shift I` with the first shift of `0, e t, 10 e t, 100 e t, ..` that makes it
    /// positive definite; `a = build()`, `t = trace(a) / n` and `e` is `1e-12` (`f64`) or `1e-7`
    /// (`f32`).
    ///
    /// A failed attempt destroys its matrix, so `build` (n x n, lower triangle read) is called
    /// once more for each: time is spent only where it is needed, memory never.
    ///
    /// # Errors
    /// [`DenseError::Shape`] if the matrix is not square, [`DenseError::NonFinite`] if its
    /// diagonal is not finite, [`DenseError::NotPositiveDefinite`] if no shift up to `10 t` helps.
    pub fn factor_shifted(mut build: impl FnMut() -> Mat<T>, par: Par) -> Result<Self, DenseError> {
        let mut shift = 0.0;
        loop {
            let mut a = build();
            let dim = a.nrows();
            check_shape("matrix", (dim, a.ncols()), (dim, dim))?;
            let trace: f64 = (0..dim).map(|i| a[(i, i)].as_f64()).sum();
            if let Some(row) = (0..dim).find(|&i| !a[(i, i)].is_finite()) {
                let value = a[(row, row)].as_f64();
                return Err(DenseError::NonFinite { what: "matrix", row, col: row, value });
            }
            (0..dim).for_each(|i| a[(i, i)] += T::of(shift));
            let mean = trace / dim.max(1) as f64;
            match factor_lower(a.as_mut(), par) {
                Ok(()) => return Ok(Self::new(a, shift)),
                // Half of it, as ten times a power of ten may be a rounding more than the next.
                Err(error) if !(mean > 0.0) || shift > 0.5 * MOST * mean => return Err(error),
                Err(_) if shift > 0.0 => shift *= 10.0,
                Err(_) => shift = mean * if T::NAME == "f32" { 1e-7 } else { 1e-12 },
            }
        }
    }

    fn new(factors: Mat<T>, shift: f64) -> Self {
        Self { square: Square::new(factors), shift: T::of(shift) }
    }

    /// Dimension `n`.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.square.dim()
    }

    /// What was added to the diagonal; 0 unless a factorisation without it failed.
    #[must_use]
    pub fn shift(&self) -> T {
        self.shift
    }

    /// The factor `L`, with `L^T` above its diagonal.
    #[must_use]
    pub fn lower(&self) -> MatRef<'_, T> {
        self.square.entries()
    }

    /// `x <- (L L^T)^-1 x` for `x : n x k`, at `2 n^2 k` flops.
    ///
    /// # Panics
    /// If `x` has not `n` rows.
    pub fn solve_in_place(&self, x: MatMut<'_, T>, par: Par) {
        self.square.solve_in_place(&[Side::Lower, Side::Upper], x, par);
    }

    /// The diagonal of `(L L^T)^-1`, the squared lengths of the columns of `L^-1`: `n^3 / 3` flops, and room
    /// for another n x n matrix.
    #[must_use]
    pub fn inverse_diagonal(&self, par: Par) -> Vec<T> {
        self.inverse_diagonal_in(Mat::zeros(self.dim(), self.dim()).as_mut(), par)
    }

    /// [`inverse_diagonal`](Self::inverse_diagonal), which leaves `L^-1` in the lower triangle of `room`: for many factors of one
    /// size, as new memory costs a tenth of them.
    ///
    /// # Panics
    /// If `room` is not n x n.
    #[must_use]
    pub fn inverse_diagonal_in(&self, mut room: MatMut<'_, T>, par: Par) -> Vec<T> {
        invert_lower_triangular(room.as_mut(), self.lower(), fixed_par(par));
        let below = |j: usize| room.as_ref().col(j).subrows(j, self.dim() - j);
        (0..self.dim()).map(|j| below(j).squared_norm_l2()).collect()
    }

    /// The matrix of [`lower`](Self::lower), to be filled again.
    #[must_use]
    pub fn into_matrix(self) -> Mat<T> {
        self.square.into_entries()
    }
}

fn factor_lower<T: Real>(a: MatMut<'_, T>, par: Par) -> Result<(), DenseError> {
    let dim = a.nrows();
    factor(a, par).map_err(|index| DenseError::NotPositiveDefinite { index, dim })
}
