//! The forward pass: what a change of the weights does to rectified products, and the mask after it.

use std::sync::Mutex;

use faer::{MatMut, MatRef, Par};

use super::kernel::{Panel, Strip};
use super::simd::{Task, Vector, on_vectors, panels, panels_mut};
use super::{BLOCK, PACKED, WORD, block, pack};
use crate::error::check_shape;
use crate::parallel::{for_each_part, for_each_row_chunk};
use crate::simd::transposed;
use crate::{DenseError, PackedMask, Real};

/// What [`rectified_apply`] starts from.
#[derive(Clone, Copy, Debug)]
pub struct Rectified<'a, T> {
    /// Inputs, n x d.
    pub x: MatRef<'a, T>,
    /// Weights before the change, p x d, those of neurons `q`, `q + p`, `q + 2 p`, ..
    pub directions: MatRef<'a, T>,
    /// Change of the weights, m x d, where `m` is a multiple of `p`.
    pub change: MatRef<'a, T>,
    /// Output weights, m x K.
    pub signs: MatRef<'a, T>,
}

impl<T> Rectified<'_, T> {
    /// Copies of each direction, if the operands fit together.
    pub(crate) fn check(&self) -> Result<usize, DenseError> {
        let Self { x, directions, change, signs } = *self;
        let (d, m, p, k) = (x.ncols(), change.nrows(), directions.nrows(), signs.ncols());
        let copies = m.checked_div(p).unwrap_or(0);
        check_shape("directions", (p, directions.ncols()), (p, d))?;
        check_shape("change of the weights", (m, change.ncols()), (p * copies, d))?;
        check_shape("output weights", (signs.nrows(), k), (m, k))?;
        Ok(copies)
    }
}

/// `y_ik <- alpha sum over r of a_rk (relu(z_ir) - relu(z0_ir))` with `z0 = X W_0^T` and
/// `z = z0 + X U^T`; the mask `[z > 0]`, n x m; and for each example the entries in which it differs from
/// `[z0 > 0]`.
///
/// One sweep of `2 n m d (1 + p / m) + 2 n m K` flops, which stores no product: each lives in a
/// first-level cache until its sums and bits are taken. Takes a buffer of `n d` numbers and a fixed one
/// per thread.
///
/// # Errors
/// [`DenseError::Shape`] if the operands do not fit together.
///
/// # Accuracy
/// A neuron whose sign stays contributes `x . u_r` or 0, one that flips `z` or `-z0`, each of the
/// size of `x . u_r`: `W_0` takes part in no difference.
pub fn rectified_apply<T: Real>(
    y: MatMut<'_, T>,
    of: Rectified<'_, T>,
    alpha: T,
    par: Par,
) -> Result<(PackedMask, Vec<u32>), DenseError> {
    let copies = of.check()?;
    let (n, m, k) = (of.x.nrows(), of.change.nrows(), of.signs.ncols());
    check_shape("output", (y.nrows(), y.ncols()), (n, k))?;
    let (mut mask, mut flips) = (PackedMask::zeros(n, m), vec![0; n]);
    let plan = Plan { of, alpha, copies, par };
    on_vectors(Forward { plan, y, mask: &mut mask, flips: &mut flips });
    Ok((mask, flips))
}

/// What all tasks share.
#[derive(Clone, Copy)]
struct Plan<'a, T> {
    of: Rectified<'a, T>,
    alpha: T,
    copies: usize,
    par: Par,
}

struct Forward<'a, T> {
    plan: Plan<'a, T>,
    y: MatMut<'a, T>,
    mask: &'a mut PackedMask,
    flips: &'a mut [u32],
}

/// The bits of a task's [`WORD`] examples.
struct Bits<'a> {
    words: &'a mut [u64],
    words_per_row: usize,
    flips: &'a mut [u32],
}

impl Bits<'_> {
    /// Enters columns of bits from neuron `neuron` on, and counts those that differ from `before`, both
    /// transposed by [`transposed`] already.
    fn enter(&mut self, neuron: usize, now: &[u64; BLOCK], before: &[u64; BLOCK]) {
        let blocks = now.as_chunks::<WORD>().0.iter().zip(before.as_chunks::<WORD>().0);
        for (b, (now, before)) in blocks.enumerate() {
            let rows = self.words.chunks_exact_mut(self.words_per_row).zip(&mut *self.flips);
            for ((row, flips), (&now, &before)) in rows.zip(now.iter().zip(before)) {
                *flips += (now ^ before).count_ones();
                if now != 0 {
                    PackedMask::or_bits(row, neuron + b * WORD, now);
                }
            }
        }
    }
}

/// Transposes the blocks of columns.
pub(super) fn transpose_all(columns: &mut [u64; BLOCK]) {
    columns.as_chunks_mut::<WORD>().0.iter_mut().for_each(transposed);
}

/// Numbers that a direction takes in the packed operands: its own, then each copy's change and signs.
fn each(d: usize, k: usize, copies: usize) -> usize {
    d + copies * (d + k)
}

impl<T: Real> Plan<'_, T> {
    /// Packs `count` directions from `from` on, strip by strip: the directions, then copy by copy.
    fn pack<V: Vector<T>>(&self, out: &mut [T], from: usize, rows: usize) {
        let Rectified { x, directions, change, signs } = self.of;
        let (d, k, p) = (x.ncols(), signs.ncols(), directions.nrows());
        let each = each(d, k, self.copies);
        for_each_part(out, rows * each, self.par, |part, out| {
            let (first, count) = (from + part * rows, out.len() / each);
            let (own, rest) = out.split_at_mut(count * d);
            pack::inner(own, V::TALL, directions.subrows(first, count), T::of(1.0));
            for (copy, out) in rest.chunks_exact_mut(count * (d + k)).enumerate() {
                let (inner, outer) = out.split_at_mut(count * d);
                let first = copy * p + first;
                pack::inner(inner, V::TALL, change.subrows(first, count), T::of(1.0));
                pack::outer(outer, V::TALL, signs.subrows(first, count), self.alpha);
            }
        });
    }

    /// One task's sums and bits from the packed directions `from ..`.
    fn strips<V: Vector<T>>(
        &self,
        [sums, before, strip]: [&mut [Panel<V>]; 3],
        bits: &mut Bits<'_>,
        lanes: &[Panel<V>],
        (weights, from, rows): (&[T], usize, usize),
    ) {
        let Rectified { x, directions, signs, .. } = self.of;
        let (d, k, p) = (x.ncols(), signs.ncols(), directions.nrows());
        let (width, each) = (2 * V::LANES, each(d, k, self.copies));
        for (b, weights) in weights.chunks(rows * each).enumerate() {
            let count = weights.len() / each;
            let strip = &mut strip[..count];
            let (own, changes) = weights.split_at(count * d);
            let mut bits_before = [0; BLOCK];
            for (at, lanes) in lanes.chunks_exact(d).enumerate() {
                let before = &mut before[at * rows..][..count];
                V::plain(before, own, lanes, &mut bits_before, at * width);
            }
            transpose_all(&mut bits_before);
            for (copy, weights) in changes.chunks_exact(count * (d + k)).enumerate() {
                let (inner, outer) = weights.split_at(count * d);
                let mut bits_now = [0; BLOCK];
                for (at, lanes) in lanes.chunks_exact(d).enumerate() {
                    let sums = &mut sums[at * k..][..k];
                    let before = &before[at * rows..][..count];
                    let of = Strip { inner, outer, lanes, products: &mut *strip, sums };
                    V::rectified(of, before, &mut bits_now, at * width);
                }
                transpose_all(&mut bits_now);
                bits.enter(copy * p + from + b * rows, &bits_now, &bits_before);
            }
        }
    }
}

impl<T: Real> Task<T> for Forward<'_, T> {
    /// Lanes are examples, a word of them to a task. Directions are packed [`PACKED`] numbers at a time
    /// with all their copies, and each task goes through them strip by strip.
    fn run<V: Vector<T>>(self) {
        let Self { plan, mut y, mask, flips } = self;
        let Rectified { x, directions, signs, .. } = plan.of;
        let (n, d, p, k) = (x.nrows(), x.ncols(), directions.nrows(), signs.ncols());
        y.fill(T::of(0.0));
        if n * d * p * plan.copies == 0 {
            return;
        }
        let words_per_row = mask.words_per_row();
        let words = mask.words_mut().chunks_mut(WORD * words_per_row);
        let bits = words.zip(flips.chunks_mut(WORD));
        let bits: Vec<_> =
            bits.map(|(words, flips)| Mutex::new(Bits { words, words_per_row, flips })).collect();
        let width = 2 * V::LANES;
        let rows = block(d + k + WORD);
        let each = each(d, k, plan.copies);
        let stretch = (PACKED / each / rows * rows).max(rows).min(p);
        let len = n.next_multiple_of(width) * d;
        T::with_buffer(len + stretch * each, |buffer| {
            let (lanes, weights) = buffer.split_at_mut(len);
            pack::lanes_par(lanes, width, x, plan.par);
            let lanes = panels::<T, V>(lanes);
            for from in (0..p).step_by(stretch) {
                let weights = &mut weights[..stretch.min(p - from) * each];
                plan.pack::<V>(weights, from, rows);
                for_each_row_chunk(y.as_mut(), WORD, plan.par, |first, mut y| {
                    let count = y.nrows().div_ceil(width);
                    let lanes = &lanes[first / width * d..][..count * d];
                    // Uncontended: each word of examples is one task's.
                    let bits = bits[first / WORD].lock();
                    let mut bits = bits.unwrap_or_else(std::sync::PoisonError::into_inner);
                    T::with_buffer(width * (count * (k + rows) + rows), |buffer| {
                        let (sums, rest) = buffer.split_at_mut(width * count * k);
                        pack::lanes(sums, width, y.as_ref());
                        let (before, strip) = rest.split_at_mut(width * count * rows);
                        let targets = [panels_mut(sums), panels_mut(before), panels_mut(strip)];
                        plan.strips::<V>(targets, &mut bits, lanes, (weights, from, rows));
                        pack::unpack_lanes(y.as_mut(), width, sums);
                    });
                });
            }
        });
    }
}
