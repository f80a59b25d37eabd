//! The forward pass: outputs and activation masks in one sweep.
//!
//! With `z0 = w0_r . x`, `delta = u_r . x` and `z = z0 + delta` a neuron contributes
//! `relu(z) - relu(z0)`: `delta` where both are active, `z` or `-z0` where the sign flipped, else
//! 0. Each is of the size of `delta`, so nothing cancels, and the terms `relu(z0)` that were
//! dropped cancel exactly between the neurons of a pair.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use nearlin_dense::{PackedMask, Real, for_each_row_chunk};
use std::sync::Mutex;

use crate::error::check_shape;
use crate::{Network, ReluError};

/// Examples in a tile.
const ROWS: usize = 128;

/// Directions in a tile, a multiple of 64.
const DIRECTIONS: usize = 256;

/// What a forward pass gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// `f(W, x_i)`, n x K, row-major.
    pub outputs: Vec<f64>,
    /// `[w_r . x_i > 0]`, n x m.
    pub mask: PackedMask,
}

impl Network {
    /// Outputs and masks at `x : n x d`, in `2 n m d (1 + 1 / copies) + 2 n m K` flops and a fixed
    /// buffer per thread.
    ///
    /// # Errors
    /// [`ReluError::Shape`] if `x` has not `d` columns.
    ///
    /// # Accuracy
    /// Outputs err by `O(d + m) eps m^(-1/2) sum over r of |u_r| |x|`, whatever the scale of `W_0`.
    pub fn forward(&self, x: MatRef<'_, f64>, par: Par) -> Result<Forward, ReluError> {
        let (n, k) = (x.nrows(), self.outputs());
        check_shape("input matrix", (n, x.ncols()), (n, self.inputs()))?;
        let mut outputs = vec![0.0; n * k];
        let mut mask = PackedMask::zeros(n, self.width());
        let words_per_row = mask.words_per_row();
        let rows_of_words: Vec<Mutex<&mut [u64]>> =
            mask.words_mut().chunks_mut(ROWS * words_per_row).map(Mutex::new).collect();
        let y = MatMut::from_row_major_slice_mut(&mut outputs, n, k);
        for_each_row_chunk(y, ROWS, par, |first, y| {
            let x = x.subrows(first, y.nrows());
            // Uncontended: each chunk of rows is one task's.
            let mut words = rows_of_words[first / ROWS]
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            self.forward_chunk(y, &mut words, words_per_row, x);
        });
        Ok(Forward { outputs, mask })
    }

    fn forward_chunk(
        &self,
        mut y: MatMut<'_, f64>,
        words: &mut [u64],
        words_per_row: usize,
        x: MatRef<'_, f64>,
    ) {
        let (rows, d, k) = (x.nrows(), self.inputs(), self.outputs());
        let directions = self.directions();
        let count = directions.nrows();
        let change = MatRef::from_row_major_slice(self.change(), self.width(), d);
        let signs = MatRef::from_row_major_slice(self.signs(), self.width(), k);
        let scale = self.normalisation();
        f64::with_buffer(2 * ROWS * DIRECTIONS, |buffer| {
            let (z0, delta) = buffer.split_at_mut(ROWS * DIRECTIONS);
            for first in (0..count).step_by(DIRECTIONS) {
                let cols = DIRECTIONS.min(count - first);
                let (z0, delta) = (&mut z0[..rows * cols], &mut delta[..rows * cols]);
                let tile = MatMut::from_row_major_slice_mut(z0, rows, cols);
                let w = directions.subrows(first, cols);
                matmul(tile, Accum::Replace, x, w.transpose(), 1.0, Par::Seq);
                for copy in 0..self.copies() {
                    let neuron = copy * count + first;
                    let tile = MatMut::from_row_major_slice_mut(delta, rows, cols);
                    let u = change.subrows(neuron, cols);
                    matmul(tile, Accum::Replace, x, u.transpose(), 1.0, Par::Seq);
                    activate(z0, delta, cols, |i, at, word| {
                        let row = &mut words[i * words_per_row..(i + 1) * words_per_row];
                        PackedMask::or_bits(row, neuron + at, word);
                    });
                    let tile = MatRef::from_row_major_slice(delta, rows, cols);
                    let a = signs.subrows(neuron, cols);
                    matmul(y.as_mut(), Accum::Add, tile, a, scale, Par::Seq);
                }
            }
        });
    }
}

/// `delta <- relu(z0 + delta) - relu(z0)` on a row-major tile, with `emit(row, column, word)` for
/// each 64 bits `[z0 + delta > 0]`.
fn activate(z0: &[f64], delta: &mut [f64], cols: usize, mut emit: impl FnMut(usize, usize, u64)) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let rows = z0.chunks_exact(cols).zip(delta.chunks_exact_mut(cols)).enumerate();
            for (i, (z0, delta)) in rows {
                for (c, (z0, delta)) in z0.chunks(64).zip(delta.chunks_mut(64)).enumerate() {
                    let mut active = [0u8; 64];
                    for ((z0, delta), active) in z0.iter().zip(delta).zip(&mut active) {
                        let z = z0 + *delta;
                        let (now, before) = (z > 0.0, *z0 > 0.0);
                        *active = u8::from(now);
                        let stays = if before { *delta } else { z };
                        let leaves = if before { -z0 } else { 0.0 };
                        *delta = if now { stays } else { leaves };
                    }
                    emit(i, c * 64, pack(&active));
                }
            }
        },
    );
}

/// The lowest bits of 64 bytes as one word, the first lowest.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn pack(bytes: &[u8; 64]) -> u64 {
    let (eights, _) = bytes.as_chunks::<8>();
    let mut word = 0;
    for (i, eight) in eights.iter().enumerate() {
        // Multiplication gathers the lowest bit of each byte in the top byte.
        let gathered = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        word |= gathered << (8 * i);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_keeps_the_order_of_bits() {
        for word in [0u64, 1, u64::MAX, 0x8000_0000_0000_0001, 0x0123_4567_89ab_cdef] {
            let bytes: [u8; 64] = std::array::from_fn(|i| (word >> i & 1) as u8);
            assert_eq!(pack(&bytes), word);
        }
    }
}
