//! The exact Gram matrix of one output, from popcounts.

use faer::{Mat, MatRef, Par};
use nearlin_dense::{PackedMask, Real, popcount_gram, symmetric_product};

use crate::ReluError;

/// The lower triangle of `G = J J^T = (X X^T) o (M M^T) / m` for one output (n x n), whatever the
/// signs: `a_rk^2 = 1`.
///
/// For several outputs it is the diagonal block of each. Takes `n^2 d` flops and `n^2 m / 2` bit
/// operations; the strict upper triangle is zero.
///
/// # Errors
/// [`ReluError::Shape`] if `x` and `mask` have not the same number of rows.
pub fn gram<T: Real>(x: MatRef<'_, T>, mask: &PackedMask, par: Par) -> Result<Mat<T>, ReluError> {
    let n = mask.nrows();
    crate::error::check_shape("input matrix", (x.nrows(), x.ncols()), (n, x.ncols()))?;
    let mut g = symmetric_product(x, par);
    // Of no neurons it is 0.
    let scale = T::of(1.0 / mask.width().max(1) as f64);
    popcount_gram(g.as_mut(), mask, scale, par).map_err(ReluError::from_dense)?;
    Ok(g)
}

/// Entry `(i, j)` of [`gram`], in `2 d` flops and `m / 64` word operations.
///
/// # Panics
/// If `i` or `j` is out of range.
#[must_use]
pub fn gram_entry<T: Real>(x: MatRef<'_, T>, mask: &PackedMask, i: usize, j: usize) -> T {
    let product = x.row(i) * x.row(j).transpose();
    product * T::of(f64::from(mask.common(i, j)) / mask.width().max(1) as f64)
}
