//! Rows as slices, and their sums compiled for several instruction sets.
#![allow(unsafe_code)]

use faer::MatRef;

use crate::Real;
use crate::simd::dispatched;

dispatched!(
    /// [`super::combine`].
    pub(super) fn combine [T: Real] (
        sum: &mut [T], terms: &[(T, usize)], a: &[T],
    ) = super::combine
);

/// The numbers of a row-major matrix without gaps between its rows; `None` of any other.
pub(crate) fn contiguous<T>(a: MatRef<'_, T>) -> Option<&[T]> {
    let (rows, cols) = (a.nrows(), a.ncols());
    let gapless =
        (cols <= 1 || a.col_stride() == 1) && (rows <= 1 || a.row_stride() == cols.cast_signed());
    // SAFETY: entry (i, j) lies at i cols + j, so the matrix is `rows cols` numbers side by side, all of
    // which it borrows for the lifetime of the slice.
    gapless.then(|| unsafe { std::slice::from_raw_parts(a.as_ptr(), rows * cols) })
}
