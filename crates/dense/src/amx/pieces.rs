//! Numbers in `f32` as sums of three in `bf16`, and tiles of them.
#![allow(clippy::inline_always, reason = "must be compiled with their caller's instruction set")]

use super::simd::{Sums, Tile};
use super::{Lanes, NUMBERS, PIECES, SIDE, TILES};

/// The bits of an `f32` that are a `bf16`'s: its sign, its exponent and 8 of its 24 digits.
const UPPER: u32 = 0xffff_0000;

/// `x` as a sum of three `bf16`, whose bits are the upper ones: the first 8 digits, the next 8 and the last. Nothing is
/// rounded, as differences of numbers with the same leading digits are exact.
#[inline(always)]
fn split(x: f32) -> [u32; PIECES] {
    let first = x.to_bits() & UPPER;
    let rest = x - f32::from_bits(first);
    let second = rest.to_bits() & UPPER;
    let last = rest - f32::from_bits(second);
    [first, second, last.to_bits() & UPPER]
}

/// [`SIDE`] columns after as many of 32 rows of `len` numbers, as tiles of their three pieces, each so many after the one
/// before: row `p` of a tile holds, column by column, rows `2 p` and `2 p + 1`.
#[inline(always)]
pub(super) fn split_rows(out: &mut [[Tile; PIECES]], apart: usize, rows: &[f32], len: usize) {
    for (c, tiles) in out.iter_mut().step_by(apart).enumerate() {
        for p in 0..SIDE {
            let side = |row: usize| rows[row * len + c * SIDE..].first_chunk::<SIDE>();
            let pair = (side(2 * p), side(2 * p + 1));
            let (Some(even), Some(odd)) = pair else { unreachable!("32 rows of whole tiles") };
            for l in 0..SIDE {
                let (low, high) = (split(even[l]), split(odd[l]));
                for (tile, (low, high)) in tiles.iter_mut().zip(low.into_iter().zip(high)) {
                    tile[p * SIDE + l] = low >> 16 | high;
                }
            }
        }
    }
}

/// The transpose of a tile.
#[inline(always)]
pub(super) fn turn<T: Copy>(tile: &mut [T; NUMBERS]) {
    let from = *tile;
    for p in 0..SIDE {
        for c in 0..SIDE {
            tile[c * SIDE + p] = from[p * SIDE + c];
        }
    }
}

/// Adds `sums_o o x_o` for some outputs `o`, whose `x_o` are `len` numbers apart, to their lanes; tile `t` of the sums holds
/// columns `t / 4` of 16 outputs.
#[inline(always)]
pub(super) fn dot(lanes: &mut [Lanes], sums: &[Sums], x: &[f32], len: usize) {
    for (o, (lanes, x)) in lanes.iter_mut().zip(x.chunks(len)).enumerate() {
        let columns = sums[o / SIDE..].iter().step_by(TILES);
        for (x, sums) in x.as_chunks::<SIDE>().0.iter().zip(columns) {
            let sums = &sums.as_chunks::<SIDE>().0[o % SIDE];
            for l in 0..SIDE {
                lanes[l] += sums[l] * x[l];
            }
        }
    }
}

/// `part <- part +` sums of the lanes of each.
#[inline(always)]
pub(super) fn sum_lanes(part: &mut [f32], lanes: &[Lanes]) {
    for (part, lanes) in part.iter_mut().zip(lanes) {
        let mut lanes = *lanes;
        let mut width = SIDE;
        while width > 1 {
            width /= 2;
            for l in 0..width {
                lanes[l] += lanes[l + width];
            }
        }
        *part += lanes[0];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The pieces of a number add up to it, each of at most eight digits, unless the last falls below all that are
        /// normal.
        #[test]
        fn pieces_are_the_number(bits: u32) {
            let x = f32::from_bits(bits);
            prop_assume!(x.is_finite() && x.abs() > 1e-30);
            let pieces = split(x).map(f32::from_bits);
            prop_assert_eq!(pieces[0] + (pieces[1] + pieces[2]), x);
            prop_assert!(split(x).iter().all(|piece| piece & !UPPER == 0));
            prop_assert!(pieces[1].abs() <= pieces[0].abs() / 128.0);
            prop_assert!(pieces[2].abs() <= pieces[0].abs() / 32768.0);
        }
    }

    #[test]
    fn tiles_hold_pairs_of_rows() {
        let rows: Vec<f32> = (0..32 * 48).map(|i| 1.0 + i as f32 / 4096.0).collect();
        let mut tiles = [[[0; NUMBERS]; PIECES]; 3];
        split_rows(&mut tiles, 1, &rows, 48);
        for (row, c) in (0..32).flat_map(|row| (0..48).map(move |c| (row, c))) {
            let pieces = (0..PIECES).map(|piece| {
                let pair = tiles[c / SIDE][piece][row / 2 * SIDE + c % SIDE];
                f32::from_bits(if row % 2 == 0 { pair << 16 } else { pair & UPPER })
            });
            assert!(pieces.sum::<f32>() == rows[row * 48 + c], "row {row}, column {c}");
        }
        let (mut turned, tile) = (tiles[1][1], tiles[1][1]);
        turn(&mut turned);
        assert!((0..NUMBERS).all(|i| turned[i] == tile[i % SIDE * SIDE + i / SIDE]));
    }
}
