//! The loops themselves: the sums of some tiles in some columns stay in registers while the columns
//! of the factor go by.
//!
//! A tile reads one line of each column. No processor foresees that, so the next tile's line is
//! prefetched, which halves the time and more.
#![allow(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "for the instruction set of the caller; loops over lanes are of one form"
)]

use super::super::Side;
use crate::Real;

/// Columns of a column-major matrix from one row on.
#[derive(Clone, Copy)]
pub(super) struct Panel<T> {
    /// Its first entry.
    pub(super) first: *const T,
    /// Entries from one column to the next.
    pub(super) stride: usize,
}

/// `y - a x`, rounded once if `FMA`.
#[inline(always)]
fn minus<T: Real, const FMA: bool>(y: T, a: T, x: T) -> T {
    if FMA { num_traits::Float::mul_add(-a, x, y) } else { y - a * x }
}

/// Substitution in a triangle of a whole tile for all columns, a vector of them at a time; what lies
/// in the other triangle of `a` is not read.
#[inline(always)]
pub(super) fn substitute_all<T: Real, const V: usize, const FMA: bool>(
    side: Side,
    tile: &mut [[T; V]],
    a: &[[T; V]; V],
    inverse: &[T; V],
) {
    if V == 8 {
        substitute_columns::<T, V, 4, FMA>(side, tile, a, inverse);
    } else {
        substitute_columns::<T, V, 8, FMA>(side, tile, a, inverse);
    }
}

/// With vectors of `W` columns.
#[inline(always)]
fn substitute_columns<T: Real, const V: usize, const W: usize, const FMA: bool>(
    side: Side,
    tile: &mut [[T; V]],
    a: &[[T; V]; V],
    inverse: &[T; V],
) {
    for tile in tile.chunks_mut(W) {
        let mut x = [[T::of(0.0); W]; V];
        for (q, y) in tile.iter().enumerate() {
            for i in 0..V {
                x[i][q] = y[i];
            }
        }
        for step in 0..V {
            let (j, others) = match side {
                Side::Lower => (step, step + 1..V),
                Side::Upper => (V - 1 - step, 0..V - 1 - step),
            };
            for q in 0..W {
                x[j][q] *= inverse[j];
            }
            for i in others {
                for q in 0..W {
                    x[i][q] = minus::<T, FMA>(x[i][q], a[j][i], x[j][q]);
                }
            }
        }
        for (q, y) in tile.iter_mut().enumerate() {
            for i in 0..V {
                y[i] = x[i][q];
            }
        }
    }
}

/// All tiles of `y`, as many at a time and as many columns at a time as the registers hold sums of.
///
/// # Safety
/// As [`dispatch_subtract`].
#[inline(always)]
pub(super) unsafe fn subtract_all<T: Real, const V: usize, const FMA: bool>(
    y: &mut [[T; V]],
    x: &[[T; V]],
    k: usize,
    panel: Panel<T>,
    cols: usize,
) {
    let groups = k.div_ceil(6);
    let at_once = match k {
        1 => 6,
        2 => 3,
        3 => 2,
        _ => 1,
    };
    let mut tiles = y.chunks_exact_mut(at_once * k);
    let mut row = 0;
    for y in tiles.by_ref() {
        // SAFETY: these tiles are among those of `panel`; `x` as above.
        unsafe {
            let panel = Panel { first: panel.first.add(row), ..panel };
            match k {
                1 => group::<T, V, 6, 1, FMA>(y, x, k, 0, panel, cols),
                2 => group::<T, V, 3, 2, FMA>(y, x, k, 0, panel, cols),
                3 => group::<T, V, 2, 3, FMA>(y, x, k, 0, panel, cols),
                _ => columns::<T, V, FMA>(y, x, k, groups, panel, cols),
            }
        }
        row += at_once * V;
    }
    for y in tiles.into_remainder().chunks_exact_mut(k) {
        // SAFETY: as above.
        unsafe {
            let panel = Panel { first: panel.first.add(row), ..panel };
            columns::<T, V, FMA>(y, x, k, groups, panel, cols);
        }
        row += V;
    }
}

/// One tile, its `k` columns in `groups` of nearly equal size, up to six.
///
/// # Safety
/// As [`dispatch_subtract`].
#[inline(always)]
unsafe fn columns<T: Real, const V: usize, const FMA: bool>(
    y: &mut [[T; V]],
    x: &[[T; V]],
    k: usize,
    groups: usize,
    panel: Panel<T>,
    cols: usize,
) {
    let mut q = 0;
    for group_index in 0..groups {
        let next = (group_index + 1) * k / groups;
        // SAFETY: passed on; `q` and the columns after it that a group takes are below `k`.
        unsafe {
            match next - q {
                1 => group::<T, V, 1, 1, FMA>(y, x, k, q, panel, cols),
                2 => group::<T, V, 1, 2, FMA>(y, x, k, q, panel, cols),
                3 => group::<T, V, 1, 3, FMA>(y, x, k, q, panel, cols),
                4 => group::<T, V, 1, 4, FMA>(y, x, k, q, panel, cols),
                5 => group::<T, V, 1, 5, FMA>(y, x, k, q, panel, cols),
                _ => group::<T, V, 1, 6, FMA>(y, x, k, q, panel, cols),
            }
        }
        q = next;
    }
}

/// `N` tiles, the columns from `q` to `q + Q`.
///
/// # Safety
/// As [`dispatch_subtract`] for `N` tiles `y`, with `q + Q <= k`.
#[inline(always)]
unsafe fn group<T: Real, const V: usize, const N: usize, const Q: usize, const FMA: bool>(
    y: &mut [[T; V]],
    x: &[[T; V]],
    k: usize,
    q: usize,
    panel: Panel<T>,
    cols: usize,
) {
    debug_assert!(y.len() == N * k && q + Q <= k && x.len() >= cols.div_ceil(V) * k);
    let mut sums = [[[T::of(0.0); V]; Q]; N];
    for t in 0..N {
        for j in 0..Q {
            sums[t][j] = y[t * k + q + j];
        }
    }
    let (mut col, mut of_tile) = (panel.first, x.as_ptr().wrapping_add(q).cast::<T>());
    for _ in 0..cols / V {
        for l in 0..V {
            prefetch(col.wrapping_add(N * V));
            // SAFETY: `N V` rows can be read in each of `cols` columns, and `Q` tiles of `x` that
            // hold the row of this column.
            unsafe { step::<T, V, N, Q, FMA>(&mut sums, col, of_tile.wrapping_add(l)) };
            col = col.wrapping_add(panel.stride);
        }
        of_tile = of_tile.wrapping_add(k * V);
    }
    for l in 0..cols % V {
        // SAFETY: as above.
        unsafe { step::<T, V, N, Q, FMA>(&mut sums, col, of_tile.wrapping_add(l)) };
        col = col.wrapping_add(panel.stride);
    }
    for t in 0..N {
        for j in 0..Q {
            y[t * k + q + j] = sums[t][j];
        }
    }
}

/// One column `a` of `N` tiles, times its `x` in `Q` columns that lie `V` apart.
///
/// # Safety
/// `a` must hold `N V` entries and `x` its `Q`.
#[inline(always)]
unsafe fn step<T: Real, const V: usize, const N: usize, const Q: usize, const FMA: bool>(
    sums: &mut [[[T; V]; Q]; N],
    a: *const T,
    x: *const T,
) {
    for t in 0..N {
        // SAFETY: within `a`, as promised.
        let a: [T; V] = unsafe { *a.add(t * V).cast() };
        for j in 0..Q {
            // SAFETY: within `x`, as promised.
            let x = unsafe { *x.add(j * V) };
            for l in 0..V {
                sums[t][j][l] = minus::<T, FMA>(sums[t][j][l], a[l], x);
            }
        }
    }
}

#[inline(always)]
fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without fused operations the sums are those of a plain loop in the same order, bit by bit,
    /// for every group of columns: this is what a processor without them runs.
    #[test]
    fn portable_loops_subtract_the_product() {
        const V: usize = 8;
        let (tiles, cols) = (7, 21);
        let number = |i: usize| ((i * 2_654_435_761) % 1009) as f64 / 1009.0 - 0.5;
        let a: Vec<f64> = (0..tiles * V * cols).map(number).collect();
        for k in 1..=13 {
            let tile =
                |from: usize| move |i: usize| std::array::from_fn(|l| number(from + i * V + l));
            let x: Vec<[f64; V]> = (0..cols.div_ceil(V) * k).map(tile(5)).collect();
            let y: Vec<[f64; V]> = (0..tiles * k).map(tile(7)).collect();
            let mut got = y.clone();
            let panel = Panel { first: a.as_ptr(), stride: tiles * V };
            // SAFETY: `a` holds `tiles V` rows of `cols` columns, `x` their tiles.
            unsafe { subtract_all::<f64, V, false>(&mut got, &x, k, panel, cols) };
            for (i, lanes) in got.iter().enumerate() {
                for (l, &lane) in lanes.iter().enumerate() {
                    let (row, q) = (i / k * V + l, i % k);
                    let want = (0..cols).fold(y[i][l], |sum, c| {
                        sum - a[c * tiles * V + row] * x[c / V * k + q][c % V]
                    });
                    assert!(lane == want, "{k} columns, row {row}, column {q}");
                }
            }
        }
    }
}
