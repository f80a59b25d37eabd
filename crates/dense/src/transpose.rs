//! Transposes of bits, 64 x 64 at a time.

use crate::PackedMask;
use crate::simd::transposed;

/// The transpose of 64 x 64 bits, by swapping ever smaller blocks (Warren, *Hacker's Delight*, 7-3).
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
pub(crate) fn transpose(rows: &mut [u64; 64]) {
    swap::<32>(rows, 0x0000_0000_ffff_ffff);
    swap::<16>(rows, 0x0000_ffff_0000_ffff);
    swap::<8>(rows, 0x00ff_00ff_00ff_00ff);
    swap::<4>(rows, 0x0f0f_0f0f_0f0f_0f0f);
    swap::<2>(rows, 0x3333_3333_3333_3333);
    swap::<1>(rows, 0x5555_5555_5555_5555);
}

/// Exchanges the upper bits of the first `N` rows with the lower bits of the next `N`, in every block
/// of `2 N` rows and columns.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn swap<const N: usize>(rows: &mut [u64; 64], low: u64) {
    for block in rows.chunks_exact_mut(2 * N) {
        let (a, b) = block.split_at_mut(N);
        for (a, b) in a.iter_mut().zip(b) {
            let t = (*a >> N ^ *b) & low;
            *a ^= t << N;
            *b ^= t;
        }
    }
}

/// Bit `e` of `words[s]` is bit `64 word + s` of row `first + e` of the mask, for 64 rows, missing ones
/// counting as zero. `words` is a multiple of 64 long.
pub(crate) fn columns(words: &mut [u64], mask: &PackedMask, first: usize, word: usize) {
    let blocks = words.as_chunks_mut::<64>().0;
    blocks.fill([0; 64]);
    for (e, i) in (first..mask.nrows().min(first + 64)).enumerate() {
        for (block, bits) in blocks.iter_mut().zip(&mask.row(i)[word..]) {
            block[e] = *bits;
        }
    }
    blocks.iter_mut().for_each(transposed);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Columns of a mask are its columns, wherever it ends.
        #[test]
        fn columns_are_columns(rows in 1usize..90, width in 1usize..200, seed: u64) {
            let bit = |i: usize, r: usize| {
                (seed ^ (i as u64 * 0x9e37 + r as u64)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1
            };
            let mask = PackedMask::from_fn(rows, width, bit);
            let (first, word) = (rows / 2, width / 128);
            let mut words = [7; 128];
            columns(&mut words, &mask, first, word);
            for (s, column) in words.iter().enumerate() {
                for e in 0..64 {
                    let (i, r) = (first + e, 64 * word + s);
                    let want = i < rows && r < width && bit(i, r);
                    prop_assert_eq!(column >> e & 1 == 1, want);
                }
            }
        }
    }
}
