//! Common ones by AVX-512's `vpopcntq`: one word of eight rows and one column an instruction.
//!
//! Both sides are transposed first, so that a vector holds one word of eight rows and sums stay in
//! their lanes: an entry costs AND, count and addition for every word and nothing at the end of a
//! row. Transposed panels also lie in one piece, where rows a power of two apart would drive one
//! another out of the caches.

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_storeu_si256, _mm512_add_epi64,
    _mm512_and_si512, _mm512_cvtepi64_epi32, _mm512_loadu_si512, _mm512_maskz_loadu_epi64,
    _mm512_popcnt_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_shuffle_i64x2,
    _mm512_storeu_si512, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
};
use std::ops::Range;
use std::ptr::{from_mut, from_ref};

use super::{COLS, ROWS};
use crate::PackedMask;

/// Rows, or columns, of a vector, one a lane.
const LANES: usize = 8;

/// Vectors of rows and single columns of the register tile.
const VECTORS: usize = 4;
const SINGLES: usize = 4;

/// Words that are transposed at a time, a multiple of [`LANES`]: rows of 64 KiB and columns of
/// 128 KiB, which a second-level cache holds. The rows of a register tile, 16 KiB, stay in the first
/// level while the columns pass by.
const WORDS: usize = 64;

/// One word of [`LANES`] rows or columns.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Word([u64; LANES]);

/// Transposed panels of one tile.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// For each [`VECTORS`] vectors of rows, their words one after the other.
    rows: Vec<[Word; VECTORS]>,
    /// For each vector of columns, its words one after the other.
    cols: Vec<[Word; 1]>,
}

/// `counts[j ROWS + i] += common ones of rows i and j`; leaves out some pairs above the diagonal.
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
pub(super) fn add(
    counts: &mut [u32],
    buffers: &mut Buffers,
    mask: &PackedMask,
    rows: &Range<usize>,
    cols: &Range<usize>,
) {
    let zero = Word([0; LANES]);
    buffers.rows.resize(ROWS / LANES / VECTORS * WORDS, [zero; VECTORS]);
    buffers.cols.resize(COLS / LANES * WORDS, [zero]);
    let vectors = rows.len().div_ceil(LANES);
    for first in (0..mask.words_per_row()).step_by(WORDS) {
        let words = first..mask.words_per_row().min(first + WORDS);
        for v in 0..vectors {
            let panel = &mut buffers.rows[v / VECTORS * WORDS..][..WORDS];
            transpose(panel, v % VECTORS, mask, rows.start + v * LANES..rows.end, &words);
        }
        for (u, panel) in buffers.cols.chunks_mut(WORDS).enumerate() {
            if u * LANES < cols.len() {
                transpose(panel, 0, mask, cols.start + u * LANES..cols.end, &words);
            }
        }
        for v in (0..vectors).step_by(VECTORS) {
            let panel = &buffers.rows[v / VECTORS * WORDS..][..words.len()];
            for j in (0..cols.len()).step_by(SINGLES) {
                let single = &buffers.cols[j / LANES * WORDS..][..words.len()];
                let above = (cols.start + j).saturating_sub(rows.start) / LANES;
                let (from, to) = (above.max(v), vectors.min(v + VECTORS));
                let (counts, tile) =
                    (&mut counts[j * ROWS..], (panel, from - v, single, j % LANES));
                match to.saturating_sub(from) {
                    0 => {}
                    1 => count::<1>(counts, from, tile),
                    2 => count::<2>(counts, from, tile),
                    3 => count::<3>(counts, from, tile),
                    _ => count::<4>(counts, from, tile),
                }
            }
        }
    }
}

/// Words of [`VECTORS`] vectors of rows and the first vector to be counted, words of a vector of
/// columns and the first of [`SINGLES`] columns to be counted.
type Tile<'a> = (&'a [[Word; VECTORS]], usize, &'a [[Word; 1]], usize);

/// Adds common ones of `V` vectors of rows and [`SINGLES`] columns, to rows from vector `at` on.
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn count<const V: usize>(counts: &mut [u32], at: usize, (rows, v0, cols, j0): Tile<'_>) {
    assert!(v0 + V <= VECTORS && j0 + SINGLES <= LANES);
    let mut sums = [[_mm512_setzero_si512(); V]; SINGLES];
    for (rows, [col]) in rows.iter().zip(cols) {
        let (rows, singles) = (&rows[v0..v0 + V], &col.0[j0..j0 + SINGLES]);
        for j in 0..SINGLES {
            let single = _mm512_set1_epi64(singles[j].cast_signed());
            for v in 0..V {
                let common = _mm512_and_si512(load(&rows[v]), single);
                sums[j][v] = _mm512_add_epi64(sums[j][v], _mm512_popcnt_epi64(common));
            }
        }
    }
    for (counts, sums) in counts.chunks_mut(ROWS).zip(sums) {
        let (eights, _) = counts[at * LANES..].as_chunks_mut::<LANES>();
        for (counts, sum) in eights.iter_mut().zip(sums) {
            add_counts(counts, _mm512_cvtepi64_epi32(sum));
        }
    }
}

/// Writes words `words` of the first [`LANES`] rows of `rows` as vector `v` of the panel; rows past
/// the end have no ones.
#[target_feature(enable = "avx512f")]
fn transpose<const V: usize>(
    panel: &mut [[Word; V]],
    v: usize,
    mask: &PackedMask,
    rows: Range<usize>,
    words: &Range<usize>,
) {
    for first in (0..words.len()).step_by(LANES) {
        let len = LANES.min(words.len() - first);
        let lanes = u8::MAX >> (LANES - len);
        let mut x = [_mm512_setzero_si512(); LANES];
        for (x, i) in x.iter_mut().zip(rows.clone()) {
            let row = &mask.row(i)[words.start + first..][..len];
            // SAFETY: only the lanes below `len` are read, and the slice has as many words.
            *x = unsafe { _mm512_maskz_loadu_epi64(lanes, row.as_ptr().cast()) };
        }
        for (word, x) in panel[first..first + len].iter_mut().zip(transposed(&x)) {
            store(&mut word[v], x);
        }
    }
}

/// Rows and columns of 8 x 8 words exchanged.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn transposed(x: &[__m512i; LANES]) -> [__m512i; LANES] {
    // Words 2 q of rows 2 p and 2 p + 1 side by side in quarter q, then words 2 q + 1.
    let even: [__m512i; 4] = std::array::from_fn(|p| _mm512_unpacklo_epi64(x[2 * p], x[2 * p + 1]));
    let odd: [__m512i; 4] = std::array::from_fn(|p| _mm512_unpackhi_epi64(x[2 * p], x[2 * p + 1]));
    let [x0, x2, x4, x6] = quarters(even);
    let [x1, x3, x5, x7] = quarters(odd);
    [x0, x1, x2, x3, x4, x5, x6, x7]
}

/// Rows and columns of 4 x 4 quarters exchanged.
#[inline]
#[target_feature(enable = "avx512f")]
fn quarters([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (ab_low, ab_high) =
        (_mm512_shuffle_i64x2::<0x44>(a, b), _mm512_shuffle_i64x2::<0xee>(a, b));
    let (cd_low, cd_high) =
        (_mm512_shuffle_i64x2::<0x44>(c, d), _mm512_shuffle_i64x2::<0xee>(c, d));
    [
        _mm512_shuffle_i64x2::<0x88>(ab_low, cd_low),
        _mm512_shuffle_i64x2::<0xdd>(ab_low, cd_low),
        _mm512_shuffle_i64x2::<0x88>(ab_high, cd_high),
        _mm512_shuffle_i64x2::<0xdd>(ab_high, cd_high),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(word: &Word) -> __m512i {
    // SAFETY: 64 bytes are read, those of the array.
    unsafe { _mm512_loadu_si512(from_ref(word).cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(word: &mut Word, x: __m512i) {
    // SAFETY: 64 bytes are written, those of the array.
    unsafe { _mm512_storeu_si512(from_mut(word).cast(), x) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add_counts(counts: &mut [u32; LANES], found: __m256i) {
    let at = from_mut(counts).cast();
    // SAFETY: 32 bytes are read and written, those of the array.
    unsafe { _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), found)) }
}
