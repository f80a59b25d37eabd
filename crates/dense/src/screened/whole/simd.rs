//! Products of pairs of 16 bits with AVX-512 VNNI.
#![allow(unsafe_code)]

use super::{Pairs, WORD};

/// Rows of a tile: with four registers of sums each, all but four of 32.
const TALL: usize = 7;

/// Whether the CPU has the instructions.
pub(super) fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    return crate::simd::Level::Avx512.on() && std::is_x86_feature_detected!("avx512vnni");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Words of some rows of both masks, `words_per_row` apart: bits of the products with 64 weights that are above their limit,
/// and of those within it.
pub(super) fn signs(
    [above, near]: &mut [&mut [u64]; 2],
    (word, words_per_row): (usize, usize),
    rows: &[i32],
    of: (&[Pairs], &[i32; WORD]),
) {
    #[cfg(target_arch = "x86_64")]
    {
        assert!(available(), "chosen where the CPU has the instructions");
        let targets = above.chunks_mut(TALL * words_per_row);
        let targets = targets.zip(near.chunks_mut(TALL * words_per_row));
        for ((above, near), rows) in targets.zip(rows.chunks(TALL * of.0.len())) {
            let above = above.iter_mut().skip(word).step_by(words_per_row);
            let mut targets = above.zip(near.iter_mut().skip(word).step_by(words_per_row));
            let count = targets.len();
            let mut enter = |bits: &[[u64; 2]]| {
                for ((above, near), bits) in targets.by_ref().zip(bits) {
                    [*above, *near] = *bits;
                }
            };
            macro_rules! tile {
                ($($rows:literal)*) => {
                    match count {
                        $($rows => {
                            // SAFETY: the CPU has the instructions.
                            let bits = unsafe { x86::tile::<$rows>(rows, of) };
                            enter(&bits);
                        })*
                        _ => {}
                    }
                };
            }
            tile!(1 2 3 4 5 6 7);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!(
        "{} {} {word} {words_per_row} {}",
        above.len(),
        near.len(),
        rows.len() + of.0.len()
    )
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm512_cmpge_epi32_mask, _mm512_cmpgt_epi32_mask, _mm512_dpwssd_epi32, _mm512_load_si512,
        _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_sub_epi32,
    };

    use super::{Pairs, WORD};

    /// Registers of a word.
    const REGISTERS: usize = 4;

    /// The two words of `R` rows.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn tile<const R: usize>(
        rows: &[i32],
        (weights, limits): (&[Pairs], &[i32; WORD]),
    ) -> [[u64; 2]; R] {
        let pairs = weights.len();
        let mut x: [&[i32]; R] = [&[]; R];
        for r in 0..R {
            x[r] = &rows[r * pairs..][..pairs];
        }
        let mut sums = [[_mm512_setzero_si512(); REGISTERS]; R];
        for (p, Pairs(weights)) in weights.iter().enumerate() {
            let mut w = [_mm512_setzero_si512(); REGISTERS];
            for (h, w) in w.iter_mut().enumerate() {
                // SAFETY: sixteen of 64 numbers that start at a line of the cache.
                *w = unsafe { _mm512_load_si512(weights[16 * h..].as_ptr().cast()) };
            }
            for r in 0..R {
                let x = _mm512_set1_epi32(x[r][p]);
                for h in 0..REGISTERS {
                    sums[r][h] = _mm512_dpwssd_epi32(sums[r][h], w[h], x);
                }
            }
        }
        let mut found = [[0; 2]; R];
        for h in 0..REGISTERS {
            // SAFETY: sixteen of 64 numbers.
            let limit = unsafe { _mm512_loadu_si512(limits[16 * h..].as_ptr().cast()) };
            let below = _mm512_sub_epi32(_mm512_setzero_si512(), limit);
            for r in 0..R {
                let above = _mm512_cmpgt_epi32_mask(sums[r][h], limit);
                let near = _mm512_cmpge_epi32_mask(sums[r][h], below) & !above;
                found[r][0] |= u64::from(above) << (16 * h);
                found[r][1] |= u64::from(near) << (16 * h);
            }
        }
        found
    }
}
