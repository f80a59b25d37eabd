//! The products `J v` and `J^T u` of a masked layer, block by block through GEMM tiles, or through
//! tables of partial sums where there is one output (see [`tabulated`](crate::tabulated)).
//!
//! Row `(i, k)` of `J` is `sum over r of a_rk M_ir (e_r kron x_i)`, scaled by `alpha`. A tile of
//! `X V^T` lives in the second-level cache only for as long as its mask is applied; nothing of
//! size n x m is stored.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use crate::error::check_shape;
use crate::parallel::for_each_row_chunk;
use crate::simd::{Tile, apply_mask, fill_masked, masked_row_sums};
use crate::tabulated::Layer;
use crate::{DenseError, PackedMask, Real};

/// Examples in a tile.
const ROWS: usize = 128;

/// Neurons in a tile, a multiple of 64 so that tiles start at a word of the mask.
const NEURONS: usize = 256;

/// `y <- alpha J v`: `y_ik = alpha sum over r of a_rk M_ir (x_i . v_r)`.
///
/// `y : n x K`, `mask : n x m`, `x : n x d`, `v : m x d`, `signs = a : m x K`. Takes
/// `2 n m (d + K)` flops and a fixed buffer per thread.
///
/// # Errors
/// [`DenseError::Shape`] if the operands do not fit together.
pub fn masked_apply<T: Real>(
    y: MatMut<'_, T>,
    mask: &PackedMask,
    x: MatRef<'_, T>,
    v: MatRef<'_, T>,
    signs: MatRef<'_, T>,
    alpha: T,
    par: Par,
) -> Result<(), DenseError> {
    let (n, m, d, k) = (mask.nrows(), mask.width(), x.ncols(), signs.ncols());
    check_shape("input matrix", (x.nrows(), d), (n, d))?;
    check_shape("layer vector", (v.nrows(), v.ncols()), (m, d))?;
    check_shape("output weights", (signs.nrows(), k), (m, k))?;
    check_shape("output", (y.nrows(), y.ncols()), (n, k))?;
    let layer = Layer { mask, x, signs, alpha };
    if layer.suits() {
        layer.apply(y, v, par);
        return Ok(());
    }
    for_each_row_chunk(y, ROWS, par, |first_row, mut y| {
        let rows = y.nrows();
        let x = x.subrows(first_row, rows);
        y.fill(T::of(0.0));
        T::with_buffer(ROWS * NEURONS, |tile| {
            for first in (0..m).step_by(NEURONS) {
                let neurons = NEURONS.min(m - first);
                let words = |i: usize| &mask.row(first_row + i)[first / 64..];
                let shape = Tile { rows, cols: neurons, stride: neurons };
                let tile = &mut tile[..rows * neurons];
                let products = MatMut::from_row_major_slice_mut(tile, rows, neurons);
                let v = v.subrows(first, neurons);
                matmul(products, Accum::Replace, x, v.transpose(), T::of(1.0), Par::Seq);
                if k == 1 {
                    let mut weights = [T::of(0.0); NEURONS];
                    for (r, w) in weights[..neurons].iter_mut().enumerate() {
                        *w = signs[(first + r, 0)] * alpha;
                    }
                    masked_row_sums(tile, shape, &weights, words, |i, sum| {
                        y[(i, 0)] += sum;
                    });
                } else {
                    apply_mask(tile, shape, words);
                    let products = MatRef::from_row_major_slice(tile, rows, neurons);
                    let signs = signs.subrows(first, neurons);
                    matmul(y.as_mut(), Accum::Add, products, signs, alpha, Par::Seq);
                }
            }
        });
    });
    Ok(())
}

/// `v <- alpha J^T u`: `v_r = alpha sum over i of M_ir (sum over k of a_rk u_ik) x_i`.
///
/// The adjoint of [`masked_apply`]: `u : n x K`, `v : m x d`, the other operands as there, and
/// the same cost.
///
/// # Errors
/// [`DenseError::Shape`] if the operands do not fit together.
pub fn masked_adjoint<T: Real>(
    v: MatMut<'_, T>,
    mask: &PackedMask,
    x: MatRef<'_, T>,
    u: MatRef<'_, T>,
    signs: MatRef<'_, T>,
    alpha: T,
    par: Par,
) -> Result<(), DenseError> {
    let (n, m, d, k) = (mask.nrows(), mask.width(), x.ncols(), signs.ncols());
    check_shape("input matrix", (x.nrows(), d), (n, d))?;
    check_shape("layer vector", (v.nrows(), v.ncols()), (m, d))?;
    check_shape("output weights", (signs.nrows(), k), (m, k))?;
    check_shape("residual", (u.nrows(), u.ncols()), (n, k))?;
    let layer = Layer { mask, x, signs, alpha };
    if layer.suits() {
        layer.adjoint(v, u, par);
        return Ok(());
    }
    for_each_row_chunk(v, NEURONS, par, |first, mut v| {
        let neurons = v.nrows();
        let signs = signs.subrows(first, neurons);
        v.fill(T::of(0.0));
        T::with_buffer(ROWS * NEURONS, |tile| {
            for first_row in (0..n).step_by(ROWS) {
                let rows = ROWS.min(n - first_row);
                let words = |i: usize| &mask.row(first_row + i)[first / 64..];
                let shape = Tile { rows, cols: neurons, stride: neurons };
                let tile = &mut tile[..rows * neurons];
                let u = u.subrows(first_row, rows);
                if k == 1 {
                    fill_masked(tile, shape, |i| u[(i, 0)] * alpha, words);
                } else {
                    let weights = MatMut::from_row_major_slice_mut(tile, rows, neurons);
                    matmul(weights, Accum::Replace, u, signs.transpose(), alpha, Par::Seq);
                    apply_mask(tile, shape, words);
                }
                let weights = MatRef::from_row_major_slice(tile, rows, neurons);
                let x = x.subrows(first_row, rows);
                matmul(v.as_mut(), Accum::Add, weights.transpose(), x, T::of(1.0), Par::Seq);
            }
        });
        if k == 1 {
            for r in 0..neurons {
                for entry in v.as_mut().row_mut(r).iter_mut() {
                    *entry *= signs[(r, 0)];
                }
            }
        }
    });
    Ok(())
}

/// Shape of the scratch that [`masked_gram_apply`] needs: m x d, or nothing where one sweep does.
#[must_use]
pub fn masked_gram_scratch<T: Real>(
    mask: &PackedMask,
    x: MatRef<'_, T>,
    signs: MatRef<'_, T>,
) -> (usize, usize) {
    let layer = Layer { mask, x, signs, alpha: T::of(1.0) };
    if layer.suits() { (0, 0) } else { (mask.width(), x.ncols()) }
}

/// `y <- alpha^2 J J^T u`: [`masked_adjoint`] and [`masked_apply`] in one sweep over the neurons where
/// there is one output, one after the other through `scratch` where there are several.
///
/// `scratch` has the shape that [`masked_gram_scratch`] tells.
///
/// `y, u : n x K`, the other operands as in [`masked_apply`], and the cost of both.
///
/// # Errors
/// [`DenseError::Shape`] if the operands do not fit together.
#[allow(clippy::too_many_arguments, reason = "the operands of the two products")]
pub fn masked_gram_apply<T: Real>(
    y: MatMut<'_, T>,
    mask: &PackedMask,
    x: MatRef<'_, T>,
    u: MatRef<'_, T>,
    signs: MatRef<'_, T>,
    alpha: T,
    mut scratch: MatMut<'_, T>,
    par: Par,
) -> Result<(), DenseError> {
    let (n, m, d, k) = (mask.nrows(), mask.width(), x.ncols(), signs.ncols());
    check_shape("input matrix", (x.nrows(), d), (n, d))?;
    check_shape("output weights", (signs.nrows(), k), (m, k))?;
    check_shape("residual", (u.nrows(), u.ncols()), (n, k))?;
    check_shape("output", (y.nrows(), y.ncols()), (n, k))?;
    let layer = Layer { mask, x, signs, alpha };
    if layer.suits() {
        layer.gram_apply(y, u, par);
        return Ok(());
    }
    masked_adjoint(scratch.as_mut(), mask, x, u, signs, alpha, par)?;
    masked_apply(y, mask, x, scratch.as_ref(), signs, alpha, par)
}
