//! Signs of a product in whole numbers of 16 bits, where they are certain.
//!
//! Rows of length 1 are rounded to multiples of `1 / S`; products of these are exact in 32 bits. By Cauchy and Schwarz no
//! sum exceeds `S^2` by more than rounding, nor does any part of it. Processors that multiply and add pairs of such numbers take half the time that
//! single precision does.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "for the one instruction set"))]

mod simd;

use faer::Par;

use crate::PackedMask;
use crate::parallel::for_each_part;

/// `S`: the largest number is 32,767 whatever the rounding before.
const UNIT: f32 = 32_766.0;

/// A sum with it has 1 in its last place.
const SHIFT: f32 = 3.0 * (1 << 22) as f32;

/// Most inputs: beyond, rounding leaves too many signs open.
const MOST: usize = 1024;

/// Weights that are multiplied together, whose bits are a word of the mask.
const WORD: usize = 64;

/// Rows of a task.
const ROWS: usize = 63;

/// Pairs of numbers of packed weights that all tasks meet before the next.
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
/// [`tiles::screen`](crate::tiles::screen) gives, where [`suits`] says so and `p` is a positive multiple of 64.
///
/// Rows of `x : n x d` and of `W` have length 1. Takes a copy of `x` in half the memory, and a fixed buffer.
pub(super) fn screen(
    x: (&[f32], usize),
    radius: &[f32],
    row: impl Fn(usize, &mut [f32]) + Sync + Send,
    par: Par,
) -> [PackedMask; 2] {
    screen_by(PACKED, x, radius, row, par)
}

/// The same with so many pairs of packed weights at a time.
fn screen_by(
    most: usize,
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
    let stretch = (most / (WORD * pairs)).clamp(1, words_per_row);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(i: usize, j: usize) -> f64 {
        let bits = (i as u64 * 1_000_003 + j as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9).cast_signed() as f64 / 2f64.powi(63)
    }

    fn unit(row: &mut [f64]) {
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        for x in row {
            *x /= length;
        }
    }

    /// What is certain is so, also next to zero, and what is not is within the rounding of 16 bits; packed at once or word by
    /// word.
    #[test]
    fn certain_signs_are_those_of_the_product() {
        const N: usize = 150;
        const P: usize = 192;
        for d in [1, 2, 31, 97, 1024].into_iter().filter(|&d| suits(d)) {
            let row = |i: usize| -> Vec<f64> {
                let mut row: Vec<f64> = (0..d).map(|j| noise(i, j)).collect();
                unit(&mut row);
                row
            };
            let weights: Vec<Vec<f64>> = (0..P).map(|q| row(1000 + q)).collect();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let reach = (d as f64).sqrt() / f64::from(UNIT);
            let x: Vec<Vec<f64>> = (0..N)
                .map(|i| {
                    // A product with one of the weights that is about what rounding takes.
                    let (mut x, w) = (row(i), &weights[i % P]);
                    let off = dot(&x, w) - 2.0 * reach * noise(i, d);
                    x.iter_mut().zip(w).for_each(|(x, w)| *x -= if d > 1 { off * w } else { 0.0 });
                    unit(&mut x);
                    x
                })
                .collect();
            let plain: Vec<f32> = x.iter().flatten().map(|&x| x as f32).collect();
            let give = |q: usize, out: &mut [f32]| {
                out.iter_mut().zip(&weights[q]).for_each(|(out, &w)| *out = w as f32);
            };
            for radius in [0.0f32, 0.01] {
                let screen = |most| screen_by(most, (&plain, d), &[radius; P], give, Par::Seq);
                let found = screen(PACKED);
                assert_eq!(screen(1), found);
                let [above, near] = found;
                for (i, x) in x.iter().enumerate() {
                    for (q, w) in weights.iter().enumerate() {
                        let (z, radius) = (dot(x, w), f64::from(radius));
                        assert!(!above.get(i, q) || z > radius, "{d}: {z} is not above {radius}");
                        let within = z.abs() <= radius + 2.1 * reach;
                        assert!(!near.get(i, q) || within, "{d}: {z} is not near {radius}");
                        let below = !above.get(i, q) && !near.get(i, q);
                        assert!(!below || z < -radius, "{d}: {z} is not below {radius}");
                    }
                }
            }
        }
    }
}
