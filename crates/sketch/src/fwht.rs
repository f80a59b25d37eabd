//! Fast Walsh-Hadamard transform.
//!
//! `H_1 = 1`, `H_2n = [H_n H_n; H_n -H_n]` (Sylvester's order, unnormalised). Fino and Algazi, *Unified
//! Matrix Treatment of the Fast Walsh-Hadamard Transform*, IEEE Trans. Computers 25 (1976). Levels
//! run from the farthest to the nearest, so that after some of them the blocks of a vector are
//! independent; every function here keeps that order and so gives the same bits.

use faer::{ColMut, MatMut, Par};
use rayon::prelude::*;

use crate::Scalar;
use crate::simd::entries;

/// Columns of a row-major matrix with gaps that are transformed together, in bytes. Narrower strips
/// leave most of a cache unused when rows are a power of two apart.
const STRIP: usize = 2048;

/// Fewest entries that are shared between threads.
const SHARED: usize = 1 << 16;

/// Parts that a pass over shared entries is cut in.
const PARTS: usize = 16;

/// Shortest block that is pruned, and how many entries there must be to a sample: with fewer, the
/// calls for the parts of a block cost more than the parts without samples save.
const BLOCK: usize = 512;

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
    T::kernels().vector(x);
}

/// [`fwht`] of one long vector on several threads: the same bits, whatever their number.
///
/// # Panics
/// If `x.len()` is not a power of two.
///
/// # Examples
/// ```
/// let mut x = vec![1.0f32; 1 << 17];
/// nearlin_sketch::fwht_par(&mut x, faer::Par::rayon(0));
/// assert_eq!((x[0], x[1]), (131_072.0, 0.0));
/// ```
pub fn fwht_par<T: Scalar>(x: &mut [T], par: Par) {
    let len = x.len();
    if par == Par::Seq || len < SHARED || !len.is_power_of_two() {
        return fwht(x);
    }
    let kernels = T::kernels();
    share(x, &|piece| kernels.vector(piece));
}

/// The six farthest levels of `x`, then `finish` for each of its 64 pieces.
///
/// Eight pieces at a time: that many fit the ways of a cache even when they are a power of two
/// apart, as sixteen don't.
fn share<T: Scalar>(x: &mut [T], finish: &(impl Fn(&mut [T]) + Sync)) {
    let kernels = T::kernels();
    let eighth = x.len() / 8;
    for block in [x.len(), eighth] {
        x.par_chunks_exact_mut(block).for_each(|block| {
            let apart = block.len() / 8;
            MatMut::from_row_major_slice_mut(block, 8, apart)
                .par_col_chunks_mut(apart.div_ceil(PARTS))
                .for_each(|strip| kernels.columns(strip));
        });
    }
    x.par_chunks_exact_mut(eighth / 8).for_each(finish);
}

/// The entries `samples` (ascending) of `H x` in their places of `x`, all others of which are
/// destroyed: in `P log2 s + O(P)` additions for `s` samples of `P` entries.
///
/// After the farthest levels the blocks are independent, and those without samples are dropped;
/// Ailon and Liberty, *Fast dimension reduction using Rademacher series on dual BCH codes*, SODA
/// 2008, prune alike.
///
/// # Panics
/// If `x.len()` is not a power of two.
pub(crate) fn fwht_at<T: Scalar>(x: &mut [T], samples: &[usize]) {
    assert!(x.len().is_power_of_two(), "fwht: length {} is not a power of two", x.len());
    pruned(x, 0, samples);
}

/// [`fwht_at`] for a block that begins at `start`.
fn pruned<T: Scalar>(x: &mut [T], start: usize, samples: &[usize]) {
    let kernels = T::kernels();
    let len = x.len();
    if len <= BLOCK || samples.len() * BLOCK > len {
        return kernels.vector(x);
    }
    let piece = len / 8;
    kernels.columns(MatMut::from_row_major_slice_mut(x, 8, piece));
    let mut rest = samples;
    for (block, start) in x.chunks_exact_mut(piece).zip((start..).step_by(piece)) {
        let (inside, after) = rest.split_at(rest.partition_point(|&i| i < start + piece));
        if !inside.is_empty() {
            pruned(block, start, inside);
        }
        rest = after;
    }
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
/// Column-major matrices are done column by column, row-major ones many columns to an
/// instruction; others through a buffer. The bits are those of [`fwht`].
///
/// # Panics
/// If the number of rows is not a power of two.
pub fn fwht_columns<T: Scalar>(a: MatMut<'_, T>, par: Par) {
    let rows = a.nrows();
    assert!(rows.is_power_of_two(), "fwht_columns: {rows} rows are not a power of two");
    if a.col_stride() == 1 && a.row_stride() >= 0 && a.ncols() > 1 {
        return rows_contiguous(a, par);
    }
    let transform = |mut column: ColMut<'_, T>| {
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

/// [`fwht_columns`] for contiguous rows.
fn rows_contiguous<T: Scalar>(a: MatMut<'_, T>, par: Par) {
    let kernels = T::kernels();
    let (rows, cols) = (a.nrows(), a.ncols());
    let apart = match entries(a) {
        Ok(x) if par == Par::Seq || rows < 64 || x.len() < SHARED => {
            return kernels.columns(MatMut::from_row_major_slice_mut(x, rows, cols));
        }
        Ok(x) => {
            return share(x, &|piece| {
                kernels.columns(MatMut::from_row_major_slice_mut(piece, rows / 64, cols));
            });
        }
        Err(apart) => apart,
    };
    let strip = STRIP / size_of::<T>();
    if par != Par::Seq {
        return apart.par_col_chunks_mut(strip).for_each(|strip| kernels.columns(strip));
    }
    let mut rest = apart;
    while rest.ncols() > 0 {
        let here = strip.min(rest.ncols());
        let (strip, after) = rest.split_at_col_mut(here);
        kernels.columns(strip);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pruned transform has the bits of the whole one wherever it was asked for them.
    #[test]
    fn pruning_changes_no_bits() {
        for log in 0..=16 {
            let len = 1usize << log;
            let x: Vec<f32> = (0..len).map(|i| (i * i % 1009) as f32 / 7.0 - 60.0).collect();
            let mut want = x.clone();
            fwht(&mut want);
            for step in [1, 3, 50, 1000, 30_011] {
                let samples: Vec<usize> = (step / 2..len).step_by(step).collect();
                let mut got = x.clone();
                fwht_at(&mut got, &samples);
                assert!(samples.iter().all(|&i| got[i] == want[i]), "2^{log}, every {step}th");
            }
        }
    }
}
