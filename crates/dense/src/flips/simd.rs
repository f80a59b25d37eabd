//! The kernels compiled for several instruction sets and chosen at run time.
#![allow(unsafe_code)]

use faer::MatRef;

use super::{Flip, kernel};
use crate::Real;
use crate::simd::dispatched;

dispatched!(
    /// [`kernel::dots`].
    pub(super) fn dots [T: Real] (
        sums: &mut [T], x: &[T], v: &[T], signs: &[T], flips: &[Flip],
    ) = kernel::dots
);
dispatched!(
    /// [`kernel::rows`].
    pub(super) fn rows [T: Real] (
        sums: &mut [T], signs: &[T], u: &[T], x: &[T], flips: &[Flip],
    ) = kernel::rows
);

/// The numbers of a row-major matrix without gaps between its rows; `None` of any other.
pub(super) fn contiguous<T>(a: MatRef<'_, T>) -> Option<&[T]> {
    let (rows, cols) = (a.nrows(), a.ncols());
    let gapless =
        (cols <= 1 || a.col_stride() == 1) && (rows <= 1 || a.row_stride() == cols.cast_signed());
    // SAFETY: entry (i, j) lies at i cols + j, so the matrix is `rows cols` numbers side by side, all of
    // which it borrows for the lifetime of the slice.
    gapless.then(|| unsafe { std::slice::from_raw_parts(a.as_ptr(), rows * cols) })
}
