//! The loops of a triangular solve over a tile, compiled for AVX2 with fused multiplication and
//! addition and for whatever the target has.
#![allow(unsafe_code)]

mod kernel;

use std::ops::Range;

use faer::MatRef;

use super::{BLOCK, Side};
use crate::Real;
#[cfg(target_arch = "x86_64")]
use crate::simd::Level;
use kernel::{Panel, substitute_all, subtract_all};

/// `y <- y - A x` for `k` columns: `A` the rows of `entries` from `row` on (as many as there are in
/// `y` and in `entries`) in the columns `cols`; tiles as in [`Square`](super::Square).
pub(super) fn subtract<T: Real, const V: usize>(
    y: &mut [[T; V]],
    x: &[[T; V]],
    k: usize,
    entries: MatRef<'_, T>,
    row: usize,
    cols: Range<usize>,
) {
    if cols.is_empty() || y.is_empty() {
        return;
    }
    assert!(k > 0 && y.len().is_multiple_of(k) && x.len() >= cols.len().div_ceil(V) * k);
    assert!(cols.end <= entries.ncols() && cols.len() <= BLOCK && row < entries.nrows());
    let whole = (y.len() / k).min((entries.nrows() - row) / V);
    let (y, rest) = y.split_at_mut(whole * k);
    let view = entries.submatrix(row, cols.start, whole * V, cols.len());
    assert!(view.row_stride() == 1 && view.col_stride() >= 0);
    let panel = Panel { first: view.as_ptr(), stride: view.col_stride().unsigned_abs() };
    // SAFETY: `view` holds `V` rows for each tile of `y` in each column, with the rows of a column
    // side by side, and there is an `x` for each column, as asserted.
    unsafe { dispatch_subtract(y, x, k, panel, cols.len()) };
    if rest.is_empty() {
        return;
    }
    // The last tile has fewer rows than others: zeros take the places of those that are missing.
    let mut tile = [[T::of(0.0); V]; BLOCK];
    let from = row + whole * V;
    for (lanes, col) in tile.iter_mut().zip(cols.clone()) {
        for (lane, i) in lanes.iter_mut().zip(from..entries.nrows()) {
            *lane = entries[(i, col)];
        }
    }
    let panel = Panel { first: tile.as_ptr().cast(), stride: V };
    // SAFETY: `tile` holds `V` rows of at least `cols.len()` columns; `x` as above.
    unsafe { dispatch_subtract(rest, x, k, panel, cols.len()) };
}

/// Solves with the triangle on the diagonal from `first` on for all columns of a tile; it has as
/// many rows as there are `reciprocals` of its diagonal.
pub(super) fn substitute<T: Real, const V: usize>(
    side: Side,
    tile: &mut [[T; V]],
    entries: MatRef<'_, T>,
    reciprocals: &[T],
    first: usize,
) {
    let rows = reciprocals.len();
    // Rows past the end stay zero.
    let (mut a, mut inverse) = ([[T::of(0.0); V]; V], [T::of(0.0); V]);
    inverse[..rows].copy_from_slice(reciprocals);
    for (j, lanes) in a.iter_mut().enumerate().take(rows) {
        for (i, lane) in lanes.iter_mut().enumerate().take(rows) {
            *lane = entries[(first + i, first + j)];
        }
    }
    dispatch_substitute(side, tile, &a, &inverse);
}

/// # Safety
/// `panel` must hold `V` rows for each `k` of `y`, in `cols` columns, and `x` must have
/// `cols.div_ceil(V) k` tiles.
unsafe fn dispatch_subtract<T: Real, const V: usize>(
    y: &mut [[T; V]],
    x: &[[T; V]],
    k: usize,
    panel: Panel<T>,
    cols: usize,
) {
    #[cfg(target_arch = "x86_64")]
    {
        /// # Safety
        /// As the function around it, and the CPU must have the features.
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2<T: Real, const V: usize>(
            y: &mut [[T; V]],
            x: &[[T; V]],
            k: usize,
            panel: Panel<T>,
            cols: usize,
        ) {
            // SAFETY: passed on.
            unsafe { subtract_all::<T, V, true>(y, x, k, panel, cols) };
        }
        if Level::Avx2.on() {
            // SAFETY: the CPU has the features, the rest is passed on.
            return unsafe { avx2(y, x, k, panel, cols) };
        }
    }
    // SAFETY: passed on.
    unsafe { subtract_all::<T, V, FUSED>(y, x, k, panel, cols) };
}

fn dispatch_substitute<T: Real, const V: usize>(
    side: Side,
    tile: &mut [[T; V]],
    a: &[[T; V]; V],
    inverse: &[T; V],
) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn avx2<T: Real, const V: usize>(
            side: Side,
            tile: &mut [[T; V]],
            a: &[[T; V]; V],
            inverse: &[T; V],
        ) {
            substitute_all::<T, V, true>(side, tile, a, inverse);
        }
        if Level::Avx2.on() {
            // SAFETY: the CPU has the features that the function is compiled for.
            return unsafe { avx2(side, tile, a, inverse) };
        }
    }
    substitute_all::<T, V, FUSED>(side, tile, a, inverse);
}

/// Whether the plain target multiplies and adds in one instruction.
const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
