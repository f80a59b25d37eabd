//! Indices of tables: six bits of the mask in each byte of a word.

use super::{CHUNK, COLUMNS, STRIDE, Words};
use crate::transpose::transpose;

/// Bits that an index takes from the mask: eight tables of six bits.
pub(super) const BATCH: usize = 48;

/// The lowest 48 bits of `x`, six to a byte.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn spread(x: u64) -> u64 {
    let x = (x & 0x0000_00ff_ffff) | (x & 0xffff_ff00_0000) << 8;
    let x = (x & 0x0000_0fff_0000_0fff) | (x & 0x00ff_f000_00ff_f000) << 4;
    (x & 0x003f_003f_003f_003f) | (x & 0x0fc0_0fc0_0fc0_0fc0) << 2
}

/// `indices[b][at + i]` is made of bits `48 b .. 48 b + 48` of row `i`, for a multiple of eight `b`.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
pub(super) fn by_rows(indices: &mut [[u64; STRIDE]], at: usize, rows: &[Words]) {
    for (group, eight) in indices.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        for (i, row) in rows.iter().enumerate() {
            let [a, b, c, d, e, f] = row.as_chunks::<6>().0[group];
            let fields = [
                a,
                a >> 48 | b << 16,
                b >> 32 | c << 32,
                c >> 16,
                d,
                d >> 48 | e << 16,
                e >> 32 | f << 32,
                f >> 16,
            ];
            // A loop, as closures are not compiled with the instruction set.
            for b in 0..8 {
                eight[b][at + i] = spread(fields[b]);
            }
        }
    }
}

/// `indices[f][r]` is made of bit `r` of the rows `48 f .. 48 f + 48`, for the first `words` words.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
pub(super) fn by_columns(
    indices: &mut [[u64; CHUNK]; COLUMNS / BATCH],
    rows: &[Words; COLUMNS],
    words: usize,
) {
    for word in 0..words {
        let mut blocks = [[0; 64]; COLUMNS / 64];
        for (block, rows) in blocks.iter_mut().zip(rows.as_chunks::<64>().0) {
            for (bits, row) in block.iter_mut().zip(rows) {
                *bits = row[word];
            }
            transpose(block);
        }
        for i in 0..64 {
            let [a, b, c] = [blocks[0][i], blocks[1][i], blocks[2][i]];
            let fields = [a, a >> 48 | b << 16, b >> 32 | c << 32, c >> 16];
            for f in 0..COLUMNS / BATCH {
                indices[f][64 * word + i] = spread(fields[f]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bit `b` of an index, counted without the two unused bits of each byte.
    fn bit(index: u64, b: usize) -> bool {
        index >> (8 * (b / 6) + b % 6) & 1 == 1
    }

    proptest! {
        /// Every bit of the mask lands in its byte of its index, along rows and along columns, and
        /// nothing lands in the two upper bits.
        #[test]
        #[allow(clippy::large_stack_arrays, reason = "a hundredth of a thread's stack")]
        fn bits_become_indices(words in prop::collection::vec(any::<u64>(), CHUNK / 64 * COLUMNS)) {
            let rows: &[Words] = words.as_chunks().0;
            let mut across = vec![[0; STRIDE]; CHUNK / BATCH];
            by_rows(&mut across, 3, rows);
            let mut down = vec![[0; CHUNK]; COLUMNS / BATCH];
            by_columns(down.first_chunk_mut().unwrap(), rows.first_chunk().unwrap(), CHUNK / 64);
            for (i, row) in rows.iter().enumerate() {
                for r in 0..CHUNK {
                    let want = row[r / 64] >> (r % 64) & 1 == 1;
                    prop_assert_eq!(bit(across[r / BATCH][3 + i], r % BATCH), want);
                    prop_assert_eq!(bit(down[i / BATCH][r], i % BATCH), want);
                }
            }
            let unused = 0xc0c0_c0c0_c0c0_c0c0;
            let mut all = across.iter().flatten().chain(down.iter().flatten());
            prop_assert!(all.all(|index| index & unused == 0));
        }
    }
}
