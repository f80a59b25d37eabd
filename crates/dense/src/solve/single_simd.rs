//! One right-hand side: both solves from the lower triangle, eight columns at a time.
//!
//! With one column there is nothing to reuse, so what counts is how much of the factor is read: the two
//! triangles of the square would take twice the room in a cache. `L x = b` subtracts columns, `L^T x = b`
//! forms their inner products.
#![allow(unsafe_code)]

use faer::MatRef;

use crate::Real;
use crate::simd::dispatched;

/// Columns that are read together.
const COLS: usize = 8;

/// `x <- L^-1 x`, with the reciprocals of the diagonal.
pub(super) fn forward<T: Real>(l: MatRef<'_, T>, reciprocals: &[T], x: &mut [T]) {
    for first in (0..x.len()).step_by(COLS) {
        let end = x.len().min(first + COLS);
        let (known, rest) = x[first..].split_at_mut(end - first);
        for j in first..end {
            known[j - first] *= reciprocals[j];
            for i in j + 1..end {
                known[i - first] -= l[(i, j)] * known[j - first];
            }
        }
        if let Some(known) = known.first_chunk() {
            subtract(rest, columns(l, first, end), known);
        }
    }
}

/// `x <- L^-T x`, with the reciprocals of the diagonal.
pub(super) fn backward<T: Real>(l: MatRef<'_, T>, reciprocals: &[T], x: &mut [T]) {
    for first in (0..x.len()).step_by(COLS).rev() {
        let end = x.len().min(first + COLS);
        let (unknown, rest) = x[first..].split_at_mut(end - first);
        if let Some(unknown) = unknown.first_chunk_mut() {
            subtract_dots(unknown, columns(l, first, end), rest);
        }
        for j in (first..end).rev() {
            for i in j + 1..end {
                unknown[j - first] -= l[(i, j)] * unknown[i - first];
            }
            unknown[j - first] *= reciprocals[j];
        }
    }
}

/// Rows `end ..` of the columns from `first` on.
fn columns<T: Real>(l: MatRef<'_, T>, first: usize, end: usize) -> [&[T]; COLS] {
    std::array::from_fn(|c| {
        let column = l.col(first + c).try_as_col_major().expect("a factor is stored by columns");
        &column.as_slice()[end..]
    })
}

dispatched!(
    /// `y <- y - A x`.
    fn subtract [T: Real] (y: &mut [T], a: [&[T]; COLS], x: &[T; COLS]) = subtract_lanes
);
dispatched!(
    /// `x <- x - A^T y`.
    fn subtract_dots [T: Real] (x: &mut [T; COLS], a: [&[T]; COLS], y: &[T]) = subtract_dots_lanes
);

#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn subtract_lanes<T: Real>(y: &mut [T], a: [&[T]; COLS], x: &[T; COLS]) {
    let whole = y.len() / 8 * 8;
    let (y, last) = y.split_at_mut(whole);
    let chunks = a.map(|a| a[..whole].as_chunks::<8>().0);
    for (at, y) in y.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        for c in 0..COLS {
            for l in 0..8 {
                y[l] -= chunks[c][at][l] * x[c];
            }
        }
    }
    for (at, y) in last.iter_mut().enumerate() {
        for c in 0..COLS {
            *y -= a[c][whole + at] * x[c];
        }
    }
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn subtract_dots_lanes<T: Real>(x: &mut [T; COLS], a: [&[T]; COLS], y: &[T]) {
    let (whole, last) = y.as_chunks::<8>();
    let chunks = a.map(|a| &a.as_chunks::<8>().0[..whole.len()]);
    let mut sums = [[T::of(0.0); 8]; COLS];
    for (at, y) in whole.iter().enumerate() {
        for c in 0..COLS {
            for l in 0..8 {
                sums[c][l] += chunks[c][at][l] * y[l];
            }
        }
    }
    for c in 0..COLS {
        let [s, t, u, v, w, x, y, z] = sums[c];
        let sum = ((s + w) + (t + x)) + ((u + y) + (v + z));
        let rest = &a[c][8 * whole.len()..];
        sums[c][0] = rest.iter().zip(last).fold(sum, |sum, (&a, &y)| sum + a * y);
    }
    for c in 0..COLS {
        x[c] -= sums[c][0];
    }
}
