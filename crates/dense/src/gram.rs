//! Symmetric products: `X X^T`, and the popcount Gram matrix of a masked feature map, made and kept
//! up to date.

mod update;

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{Accum, Mat, MatMut, MatRef, Par};

use crate::error::check_shape;
use crate::parallel::{fixed_par, for_each_col_chunk, for_each_row_chunk};
use crate::simd::{self, COLS, Counts, ROWS};
use crate::{DenseError, PackedMask, Real};

pub(crate) use update::change;
pub use update::popcount_gram_update;

/// The lower triangle of `x x^T` (n x n) for `x : n x d`, at `n^2 d` flops; the strict upper
/// triangle of the result is zero.
#[must_use]
pub fn symmetric_product<T: Real>(x: MatRef<'_, T>, par: Par) -> Mat<T> {
    let n = x.nrows();
    let mut g = Mat::zeros(n, n);
    matmul(
        g.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Replace,
        x,
        BlockStructure::Rectangular,
        x.transpose(),
        BlockStructure::Rectangular,
        T::of(1.0),
        fixed_par(par),
    );
    g
}

/// `G <- scale (G o M M^T)` on the lower triangle of `g : n x n`, for a mask `M : n x m`.
///
/// With `G = X X^T` and `scale = 1 / m` the result is the Gram matrix `J J^T` of a masked layer
/// whose output weights are all +-1. Each entry of `M M^T` is a popcount of two packed rows:
/// `n^2 m / 2` bit operations in all, exact in integers.
///
/// # Errors
/// [`DenseError::Shape`] if `g` is not n x n.
pub fn popcount_gram<T: Real>(
    g: MatMut<'_, T>,
    mask: &PackedMask,
    scale: T,
    par: Par,
) -> Result<(), DenseError> {
    let n = mask.nrows();
    check_shape("Gram matrix", (g.nrows(), g.ncols()), (n, n))?;
    for_each_tile(g, par, |first_row, first_col, mut g| {
        Counts::with(|counts| {
            let (rows, cols) = (first_row..first_row + g.nrows(), first_col..first_col + g.ncols());
            counts.add(mask, &rows, &cols);
            for j in 0..cols.len() {
                let above = (first_col + j).saturating_sub(first_row).min(rows.len());
                let counts = &counts.col(j)[above..rows.len()];
                let mut col = g.rb_mut().col_mut(j).subrows_mut(above, counts.len());
                if let Some(entries) = col.rb_mut().try_as_col_major_mut() {
                    simd::multiply(entries.as_slice_mut(), counts, scale);
                } else {
                    for (entry, count) in col.iter_mut().zip(counts) {
                        *entry = multiplied(*entry, *count, scale);
                    }
                }
            }
        });
    });
    Ok(())
}

/// `out <- scale (out o M[rows, :] M[cols, :]^T)` for the rows of a mask `M : n x m` from `first` on, as many as `out` has,
/// and columns of any order: [`popcount_gram`]'s entries, some of them, on the caller's thread.
///
/// # Errors
/// [`DenseError::Shape`] if `out` has not as many columns as `cols`, or more rows than there are.
///
/// # Panics
/// If a column is not below `n`.
pub fn popcount_cross<T: Real>(
    mut out: MatMut<'_, T>,
    mask: &PackedMask,
    first: usize,
    cols: &[usize],
    scale: T,
) -> Result<(), DenseError> {
    let rows = out.nrows().min(mask.nrows().saturating_sub(first));
    check_shape("part of a Gram matrix", (out.nrows(), out.ncols()), (rows, cols.len()))?;
    let mut side = PackedMask::zeros(COLS + ROWS, mask.width());
    for (at, cols) in cols.chunks(COLS).enumerate() {
        // Rows come after columns, so that no pair counts as one above the diagonal.
        let past = cols.len();
        for (j, &col) in cols.iter().enumerate() {
            side.copy_row(j, mask, col);
        }
        for top in (0..rows).step_by(ROWS) {
            let height = ROWS.min(rows - top);
            for i in 0..height {
                side.copy_row(past + i, mask, first + top + i);
            }
            Counts::with(|counts| {
                counts.add(&side, &(past..past + height), &(0..past));
                for j in 0..past {
                    let entries = out.rb_mut().col_mut(at * COLS + j).subrows_mut(top, height);
                    for (entry, count) in entries.iter_mut().zip(counts.col(j)) {
                        *entry = multiplied(*entry, *count, scale);
                    }
                }
            });
        }
    }
    Ok(())
}

/// [`multiplied`] for each entry and its count.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
pub(crate) fn multiply<T: Real>(entries: &mut [T], counts: &[u32], scale: T) {
    for (entry, count) in entries.iter_mut().zip(counts) {
        *entry = multiplied(*entry, *count, scale);
    }
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn multiplied<T: Real>(entry: T, count: u32, scale: T) -> T {
    entry * scale * T::of(f64::from(count))
}

/// Calls `task(first_row, first_col, tile)` for each tile of `g : n x n` that holds entries on or
/// below the diagonal.
fn for_each_tile<T: Real>(
    g: MatMut<'_, T>,
    par: Par,
    task: impl Fn(usize, usize, MatMut<'_, T>) + Sync + Send,
) {
    let n = g.nrows();
    for_each_col_chunk(g, COLS, par, |first_col, g| {
        let below = g.subrows_mut(first_col, n - first_col);
        for_each_row_chunk(below, ROWS, par, |row, tile| task(first_col + row, first_col, tile));
    });
}

/// Copies the strict lower triangle of `g : n x n` onto the upper one.
///
/// # Panics
/// If `g` is not square.
pub fn mirror_lower<T: Real>(mut g: MatMut<'_, T>) {
    /// Rows and columns of a block: each of its columns is a line or two of the cache, and it goes
    /// through a copy, as columns a power of two apart would drive one another out of the cache.
    const SIDE: usize = 16;
    assert_eq!(g.nrows(), g.ncols(), "a symmetric matrix is square");
    let n = g.nrows();
    let mut block = [[T::of(0.0); SIDE]; SIDE];
    for first_col in (0..n).step_by(SIDE) {
        let cols = SIDE.min(n - first_col);
        for first_row in (first_col..n).step_by(SIDE) {
            let rows = SIDE.min(n - first_row);
            let below = g.rb().submatrix(first_row, first_col, rows, cols);
            for j in 0..cols {
                for i in 0..rows {
                    block[j][i] = below[(i, j)];
                }
            }
            let mut above = g.rb_mut().submatrix_mut(first_col, first_row, cols, rows);
            for i in 0..rows {
                for j in 0..cols.min(first_row + i - first_col) {
                    above[(j, i)] = block[j][i];
                }
            }
        }
    }
}
