//! Fast Walsh-Hadamard transform.
//!
//! `H_1 = 1`, `H_2n = [H_n H_n; H_n -H_n]` (Sylvester's order, unnormalised). Fino and Algazi, *Unified
//! Matrix Treatment of the Fast Walsh-Hadamard Transform*, IEEE Trans. Computers 25 (1976). Two
//! levels are done in one pass over the data; vectors longer than the first-level cache are split
//! from the top, so that each quarter is finished while it is near.

use faer::{MatMut, Par};
use rayon::prelude::*;

use crate::Scalar;

/// Longest vector that is transformed level by level: 32 KiB of `f64`.
const IN_CACHE: usize = 1 << 12;

/// `x <- H x` in place, `H` the unnormalised Sylvester-Hadamard matrix, in `n log2 n` additions.
///
/// # Panics
/// If `x.len()` is not a power of two.
///
/// # Accuracy
/// The result is that of a perturbed `x + e`, `|e| <= log2(n) eps |x|` to first order: each level is
/// an orthogonal map, up to scale, with one rounding an entry.
///
/// # Examples
/// ```
/// let mut x = [1.0, 2.0, 3.0, 4.0];
/// nearlin_sketch::fwht(&mut x);
/// assert_eq!(x, [10.0, -2.0, -4.0, 0.0]);
/// ```
pub fn fwht<T: Scalar>(x: &mut [T]) {
    assert!(x.len().is_power_of_two(), "fwht: length {} is not a power of two", x.len());
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || split(x),
    );
}

/// `H x` for `x` followed by as many zeros as make its length a power of two; see [`padded_len`].
#[must_use]
pub fn fwht_padded<T: Scalar>(x: &[T]) -> Vec<T> {
    let mut y = x.to_vec();
    y.resize(padded_len(x.len()), T::of(0.0));
    fwht(&mut y);
    y
}

/// The least power of two that is at least `len` and at least 1.
#[must_use]
pub fn padded_len(len: usize) -> usize {
    len.max(1).next_power_of_two()
}

/// `a <- H a`, the transform of every column of `a : n x k`, in `k n log2 n` additions.
///
/// # Panics
/// If the number of rows is not a power of two.
pub fn fwht_columns<T: Scalar>(a: MatMut<'_, T>, par: Par) {
    let rows = a.nrows();
    assert!(rows.is_power_of_two(), "fwht_columns: {rows} rows are not a power of two");
    let transform = |mut column: faer::ColMut<'_, T>| {
        if let Some(contiguous) = column.as_mut().try_as_col_major_mut() {
            fwht(contiguous.as_slice_mut());
        } else {
            T::with_buffer(rows, |buffer| {
                buffer.iter_mut().zip(column.as_ref().iter()).for_each(|(b, v)| *b = *v);
                fwht(buffer);
                column.iter_mut().zip(buffer.iter()).for_each(|(v, b)| *v = *b);
            });
        }
    };
    match par {
        Par::Seq => a.col_iter_mut().for_each(transform),
        Par::Rayon(_) => a.par_col_iter_mut().for_each(transform),
    }
}

/// Splits from the top, two levels at a time, until a piece fits the cache.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn split<T: Scalar>(x: &mut [T]) {
    // An explicit stack instead of recursion, which would not be inlined: three pieces wait at each
    // of at most 26 depths.
    let mut stack = [(0, 0); 80];
    let mut depth = 1;
    stack[0] = (0, x.len());
    while depth > 0 {
        depth -= 1;
        let (start, len) = stack[depth];
        let part = &mut x[start..start + len];
        if len <= IN_CACHE {
            levels(part);
            continue;
        }
        let piece = len / 4;
        radix4(part, piece);
        for quarter in (0..4).rev() {
            stack[depth] = (start + quarter * piece, piece);
            depth += 1;
        }
    }
}

/// All levels of a vector in the cache, the two nearest first.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn levels<T: Scalar>(x: &mut [T]) {
    let n = x.len();
    let mut half = 1;
    if n >= 8 {
        let (chunks, _) = x.as_chunks_mut::<8>();
        for c in chunks {
            eight(c);
        }
        half = 8;
    }
    if n / half > 1 && (n / half).trailing_zeros() % 2 == 1 {
        for pair in x.chunks_exact_mut(2 * half) {
            let (lo, hi) = pair.split_at_mut(half);
            for (a, b) in lo.iter_mut().zip(hi) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
    while half < n {
        for block in x.chunks_exact_mut(4 * half) {
            radix4(block, half);
        }
        half *= 4;
    }
}

/// Two levels at distance `half` on `4 half` entries.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn radix4<T: Scalar>(x: &mut [T], half: usize) {
    let (x0, rest) = x.split_at_mut(half);
    let (x1, rest) = rest.split_at_mut(half);
    let (x2, x3) = rest.split_at_mut(half);
    for (((a, b), c), d) in x0.iter_mut().zip(x1).zip(x2).zip(x3) {
        let (s, t, u, v) = (*a + *b, *a - *b, *c + *d, *c - *d);
        (*a, *b, *c, *d) = (s + u, t + v, s - u, t - v);
    }
}

/// Three levels on eight neighbours.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn eight<T: Scalar>(x: &mut [T; 8]) {
    let [a, b, c, d, e, f, g, h] = *x;
    let (a, b, c, d) = (a + b, a - b, c + d, c - d);
    let (e, f, g, h) = (e + f, e - f, g + h, g - h);
    let (a, b, c, d) = (a + c, b + d, a - c, b - d);
    let (e, f, g, h) = (e + g, f + h, e - g, f - h);
    *x = [a + e, b + f, c + g, d + h, a - e, b - f, c - g, d - h];
}
