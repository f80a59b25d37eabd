//! The triangular factor of a QR factorisation, over faer's blocked Householder kernel.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::qr::no_pivoting::factor::{
    qr_in_place, qr_in_place_scratch, recommended_block_size,
};
use faer::{Mat, Par};

use crate::parallel::fixed_par;
use crate::{DenseError, Real};

/// The factor `R` (s x s upper triangular) of `a = Q R`, `a : r x s` with `r >= s`, in
/// `2 s^2 (r - s / 3)` flops; `a` is overwritten.
///
/// `R^T R = a^T a`, with a condition number that is not squared on the way. The result is a copy
/// of the upper triangle, its lower triangle zero. A rank-deficient `a` gives a zero or tiny
/// diagonal entry; see [`Triangular::upper`](crate::Triangular::upper).
///
/// # Errors
/// [`DenseError::Wide`] if `a` has fewer rows than columns.
///
/// # Accuracy
/// `R` is the exact factor of `a + E` with `|E|_F <= O(r s eps) |a|_F` (Higham, 2nd ed.,
/// Thm 19.4).
pub fn qr_r<T: Real>(a: &mut Mat<T>, par: Par) -> Result<Mat<T>, DenseError> {
    let (rows, cols) = (a.nrows(), a.ncols());
    if rows < cols {
        return Err(DenseError::Wide { rows, cols });
    }
    let par = fixed_par(par);
    let block = recommended_block_size::<T>(rows, cols);
    let mut coeff = Mat::<T>::zeros(block, cols);
    let params = faer::prelude::default();
    let mut scratch = MemBuffer::new(qr_in_place_scratch::<T>(rows, cols, block, par, params));
    qr_in_place(a.as_mut(), coeff.as_mut(), par, MemStack::new(&mut scratch), params);
    Ok(Mat::from_fn(cols, cols, |i, j| if i <= j { a[(i, j)] } else { T::of(0.0) }))
}
