//! Eigenvalues and eigenvectors of a symmetric matrix, over faer's divide and conquer.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{Mat, MatRef, Par};

use crate::error::check_shape;
use crate::parallel::fixed_par;
use crate::{DenseError, Real};

/// `A = V diag(values) V^T` with orthonormal `V`.
///
/// # Accuracy
/// Values and `V` are exact for some `A + E` with `|E|_2 <= O(n eps) |A|_2`, up to a rotation of `V` by
/// `O(n eps)` (Golub and Van Loan, *Matrix Computations*, 4th ed., section 8.3).
#[derive(Clone, Debug)]
pub struct SymmetricEigen<T> {
    values: Vec<T>,
    vectors: Mat<T>,
}

impl<T: Real> SymmetricEigen<T> {
    /// Decomposes `a` (n x n, symmetric, lower triangle read) in some `9 n^3` flops, with room for
    /// three more n x n matrices while it does.
    ///
    /// # Errors
    /// [`DenseError::Shape`] if `a` is not square, [`DenseError::NonFinite`] if an entry on or below
    /// its diagonal is not finite, [`DenseError::NoConvergence`] if an eigenvalue was not found.
    pub fn decompose(a: MatRef<'_, T>, par: Par) -> Result<Self, DenseError> {
        let dim = a.nrows();
        check_shape("matrix", (dim, a.ncols()), (dim, dim))?;
        for col in 0..dim {
            if let Some(row) = (col..dim).find(|&row| !a[(row, col)].is_finite()) {
                let value = a[(row, col)].as_f64();
                return Err(DenseError::NonFinite { what: "matrix", row, col, value });
            }
        }
        let (mut values, mut vectors) = (Diag::<T>::zeros(dim), Mat::zeros(dim, dim));
        let (par, params) = (fixed_par(par), faer::prelude::default());
        let scratch = self_adjoint_evd_scratch::<T>(dim, ComputeEigenvectors::Yes, par, params);
        self_adjoint_evd(
            a,
            values.as_mut(),
            Some(vectors.as_mut()),
            par,
            MemStack::new(&mut MemBuffer::new(scratch)),
            params,
        )
        .map_err(|_| DenseError::NoConvergence { dim })?;
        Ok(Self { values: values.column_vector().iter().copied().collect(), vectors })
    }

    /// Eigenvalues, smallest first.
    #[must_use]
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Eigenvectors, n x n: column `j` belongs to value `j`.
    #[must_use]
    pub fn vectors(&self) -> MatRef<'_, T> {
        self.vectors.as_ref()
    }
}
