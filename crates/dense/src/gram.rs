//! Symmetric products: `X X^T`, and the popcount Gram matrix of a masked feature map.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, MatMut, MatRef, Par};

use crate::error::check_shape;
use crate::parallel::{fixed_par, for_each_col_chunk};
use crate::simd::count_common;
use crate::{DenseError, PackedMask, Real};

/// Rows of a tile of the Gram matrix.
const TILE: usize = 64;

/// Words of a mask row that a tile reads at a time: two panels of 64 rows by 128 words are
/// 128 KiB, which a second-level cache holds.
const WORDS: usize = 128;

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
    for_each_col_chunk(g, TILE, par, |first_col, mut g| {
        let mut counts = [0u32; TILE * TILE];
        for first_row in (first_col..n).step_by(TILE) {
            let (rows, cols) = (TILE.min(n - first_row), TILE.min(n - first_col));
            counts.fill(0);
            for first_word in (0..mask.words_per_row()).step_by(WORDS) {
                let last_word = mask.words_per_row().min(first_word + WORDS);
                let words = |i: usize| &mask.row(i)[first_word..last_word];
                let (left, right) = (|i| words(first_row + i), |j| words(first_col + j));
                count_common(&mut counts, TILE, &(rows, left), &(cols, right));
            }
            for j in 0..cols {
                for i in 0..rows {
                    if first_row + i >= first_col + j {
                        let entry = &mut g[(first_row + i, j)];
                        *entry = *entry * scale * T::of(f64::from(counts[j * TILE + i]));
                    }
                }
            }
        }
    });
    Ok(())
}

/// Copies the strict lower triangle of `g : n x n` onto the upper one.
///
/// # Panics
/// If `g` is not square.
pub fn mirror_lower<T: Real>(mut g: MatMut<'_, T>) {
    assert_eq!(g.nrows(), g.ncols(), "a symmetric matrix is square");
    let n = g.nrows();
    for first_col in (0..n).step_by(TILE) {
        for first_row in (first_col..n).step_by(TILE) {
            for j in first_col..n.min(first_col + TILE) {
                for i in first_row.max(j + 1)..n.min(first_row + TILE) {
                    g[(j, i)] = g[(i, j)];
                }
            }
        }
    }
}
