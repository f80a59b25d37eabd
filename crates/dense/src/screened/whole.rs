//! Signs of a product in whole numbers of 16 bits, where they are certain.
//!
//! Rows of length 1 are rounded to multiples of `1 / S`; products of these are exact in 32 bits. By Cauchy and Schwarz no
//! sum exceeds `S^2`, nor does any part of it. Processors that multiply and add pairs of such numbers take half the time that
//! single precision does.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "for the one instruction set"))]

mod simd;

use faer::Par;

use crate::PackedMask;
use crate::parallel::for_each_part;

/// `S`: with rounding, the largest number is 32,767.
const UNIT: f32 = 32_766.0;

/// A sum with it has 1 in its last place.
const SHIFT: f32 = 3.0 * (1 << 22) as f32;

/// Most inputs: beyond, rounding leaves too many signs open.
const MOST: usize = 1024;

/// Weights that are multiplied together, whose bits are a word of the mask.
const WORD: usize = 64;

/// Rows of a task.
const ROWS: usize = 126;

/// Numbers of packed weights that all tasks meet before the next.
const PACKED: usize = 1 << 19;

/// Pairs of numbers of a [`WORD`] of weights, side by side.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Pairs([i32; WORD]);

/// Whether rows of `d` numbers are told by this machine in less time than in single precision.
pub(super) fn suits(d: usize) -> bool {
    d <= MOST && simd::available()
}

/// Entries of `X W^T` above the radius of their column, and those within it on either side of zero, both n x p: what
/// [`tiles::screen`](crate::tiles::screen) gives, where [`suits`] says so and `p` is a multiple of 64.
///
/// Rows of `x : n x d` and of `W` have length 1. Takes a copy of `x` in half the memory, and a fixed buffer.
pub(super) fn screen(
    (x, d): (&[f32], usize),
    radius: &[f32],
    row: impl Fn(usize, &mut [f32]) + Sync + Send,
    par: Par,
) -> [PackedMask; 2] {
    let (n, p, pairs) = (x.len() / d, radius.len(), d.div_ceil(2));
    let mut found = [PackedMask::zeros(n, p), PackedMask::zeros(n, p)];
    let mut rows = vec![0; n * pairs];
    let packed = rows.chunks_exact_mut(pairs).zip(x.chunks_exact(d));
    let lost_x = packed.map(|(out, x)| pack(out, x)).fold(0.0, f64::max);
    let words_per_row = found[0].words_per_row();
    let [above, near] = found.each_mut().map(PackedMask::words_mut);
    let tasks = above.chunks_mut(ROWS * words_per_row).zip(near.chunks_mut(ROWS * words_per_row));
    let mut tasks: Vec<[&mut [u64]; 2]> = tasks.map(|(above, near)| [above, near]).collect();
    let stretch = (PACKED / (WORD * pairs)).clamp(1, words_per_row.max(1));
    let mut weights = vec![Pairs([0; WORD]); stretch * (pairs + 1)];
    for first in (0..words_per_row).step_by(stretch) {
        let count = stretch.min(words_per_row - first);
        // The last of each word's are limits.
        let weights = &mut weights[..count * (pairs + 1)];
        for_each_part(weights, pairs + 1, par, |word, out| {
            let (mut plain, mut whole) = (vec![0.0; d], vec![0; pairs + 1]);
            for lane in 0..WORD {
                let q = WORD * (first + word) + lane;
                row(q, &mut plain);
                let lost = pack(&mut whole[..pairs], &plain);
                whole[pairs] = limit(radius[q], [lost_x, lost]);
                out.iter_mut().zip(&whole).for_each(|(out, &pair)| out.0[lane] = pair);
            }
        });
        for_each_part(&mut tasks, 1, par, |task, targets| {
            let rows = &rows[task * ROWS * pairs..];
            for (word, weights) in weights.chunks_exact(pairs + 1).enumerate() {
                let Some((Pairs(limits), weights)) = weights.split_last() else { return };
                simd::signs(
                    &mut targets[0],
                    (first + word, words_per_row),
                    rows,
                    (weights, limits),
                );
            }
        });
    }
    found
}

/// Overwrites `out` with `S` times the numbers of a row, rounded, in pairs of 16 bits, the last with a zero where `d` is odd.
/// Returns the length of what rounding took.
fn pack(out: &mut [i32], row: &[f32]) -> f64 {
    let (pairs, last) = row.as_chunks::<2>();
    out.iter_mut().zip(pairs).for_each(|(out, &[a, b])| *out = whole(a) | whole(b) << 16);
    if let (&[a], Some(out)) = (last, out.last_mut()) {
        *out = whole(a);
    }
    // Each in single precision, which takes less than another 256th.
    let lost = |x: f32| f64::from(x * UNIT - ((x * UNIT + SHIFT) - SHIFT));
    let lost: f64 = row.iter().map(|&x| lost(x) * lost(x)).sum();
    lost.sqrt() + (row.len() as f64).sqrt() / 256.0
}

/// `S x`, rounded, in the lower 16 bits, for `|x| <= 1`.
fn whole(x: f32) -> i32 {
    i32::from((x * UNIT + SHIFT).to_bits() as u16)
}

/// The largest product that counts as within a radius, where rounding took vectors of these lengths from both operands.
fn limit(radius: f32, [x, w]: [f64; 2]) -> i32 {
    let unit = f64::from(UNIT);
    let lost = 1.001 * unit * (x + w) + x * w + 1.0;
    // Saturates, where all are.
    (f64::from(radius) * unit * unit + lost).ceil() as i32
}
