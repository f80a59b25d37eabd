//! Common ones by table look-ups, on AVX2: four neurons, 32 rows and two columns an instruction.
//!
//! The four-Russians idea in registers. For four neurons, a *group*, a row `i` holds four bits, and
//! its ones in common with a column are a function of those bits: 16 values, which `vpshufb` looks
//! up for 32 rows at once. Counts are at most 4, so a byte has room for two columns, a *pair*: one
//! in its low half, one in its high half, `t = l + 16 h`. Three look-ups are added before a half
//! could overflow, and are taken apart in two sums over bytes, modulo 256,
//!
//! ```text
//! a = sum of t            = L + 16 H
//! b = sum of t >> 4       = H (+ 16 L of the next byte: the shift is one of 16 bits)
//! ```
//!
//! from which `L = a - 16 b` and then `H` follow exactly as long as both are below 256, which they
//! are for 63 groups. So 3 look-ups, 4 additions and a shift count 768 pairs of bits, 96 an
//! instruction; `popcnt` counts 64 in three, a carry-save tree over `vpand` 42 an instruction.
//! On a Zen 3 core the look-ups alone run at 1.99e12 flop-equivalents a second, four times what AND,
//! `popcnt` and addition do, and whole Gram matrices at 1.3e12.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_add_epi8, _mm256_add_epi16, _mm256_add_epi32,
    _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_castsi256_si128, _mm256_cvtepu16_epi32,
    _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_set_m128i, _mm256_set1_epi8,
    _mm256_set1_epi16, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16,
    _mm256_srli_epi16, _mm256_storeu_si256, _mm256_sub_epi8, _mm256_sub_epi16,
    _mm256_unpackhi_epi8, _mm256_unpackhi_epi16, _mm256_unpacklo_epi8, _mm256_unpacklo_epi16,
};
use std::ops::Range;
use std::ptr::from_ref;

use super::{COLS, ROWS};
use crate::PackedMask;

/// Rows of a vector, one a byte.
const LANES: usize = 32;

/// Vectors of a tile.
const VECTORS: usize = ROWS / LANES;

/// Groups of a word.
const IN_WORD: usize = 16;

/// Groups whose counts fit in a byte, and a multiple of three.
const BLOCK: usize = 63;

/// Words that are packed at a time: the fewest that are whole blocks. The indices are 126 KiB and
/// the pairs 63 KiB, which a second-level cache holds; those of a block, 12 KiB, the first level.
const WORDS: usize = 63;

/// Times [`WORDS`] words whose counts fit in 16 bits.
const SPILL: usize = u16::MAX as usize / (64 * WORDS);

/// Row `l + 16 h` holds, for each four bits `i`, the ones of `i & l` and 16 times those of `i & h`.
static COMMON: Table = {
    let mut table = [[0; 16]; 256];
    let mut pair = 0;
    while pair < 256 {
        let mut i = 0;
        while i < 16 {
            let (low, high) = (i & pair & 15, i & (pair >> 4));
            table[pair][i] = (low.count_ones() + 16 * high.count_ones()) as u8;
            i += 1;
        }
        pair += 1;
    }
    Table(table)
};

#[repr(align(64))]
struct Table([[u8; 16]; 256]);

/// The four bits of a group, of each row of a tile.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Indices([[u8; LANES]; VECTORS]);

/// Words of a row, two and two.
type Line = [[u64; 2]; WORDS.div_ceil(2)];

/// Counts of a pair of columns: for each vector those of its even and odd rows with the first
/// column, then with the second.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Sums([[[u16; LANES / 2]; 4]; VECTORS]);

/// Packed panels and sums of one tile.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    lines: Vec<Line>,
    indices: Vec<Indices>,
    pairs: Vec<[[u8; IN_WORD]; WORDS]>,
    sums: Vec<Sums>,
}

/// `counts[j ROWS + i] += common ones of rows i and j`; leaves out some pairs above the diagonal.
#[target_feature(enable = "avx2")]
pub(super) fn add(
    counts: &mut [u32],
    buffers: &mut Buffers,
    mask: &PackedMask,
    rows: &Range<usize>,
    cols: &Range<usize>,
) {
    let Buffers { lines, indices, pairs, sums } = buffers;
    lines.resize(LANES, [[0; 2]; WORDS.div_ceil(2)]);
    indices.resize(WORDS * IN_WORD, Indices([[0; LANES]; VECTORS]));
    pairs.resize(COLS / 2, [[0; IN_WORD]; WORDS]);
    sums.clear();
    sums.resize(COLS / 2, Sums([[[0; LANES / 2]; 4]; VECTORS]));
    let vectors = rows.len().div_ceil(LANES);
    for (pass, first) in (0..mask.words_per_row()).step_by(WORDS).enumerate() {
        let words = first..mask.words_per_row().min(first + WORDS);
        let groups = (words.len() * IN_WORD).next_multiple_of(3);
        for v in 0..vectors {
            pack_rows(indices, lines, v, mask, rows, &words);
        }
        for (p, pairs) in pairs[..cols.len().div_ceil(2)].iter_mut().enumerate() {
            pack_pair(pairs, mask, cols.start + 2 * p..cols.end, &words);
        }
        for block in (0..groups).step_by(BLOCK) {
            let block = block..groups.min(block + BLOCK);
            for (p, pairs) in pairs[..cols.len().div_ceil(2)].iter().enumerate() {
                let (indices, pairs) =
                    (&indices[block.clone()], &pairs.as_flattened()[block.clone()]);
                let above = (cols.start + 2 * p).saturating_sub(rows.start) / LANES;
                match vectors.saturating_sub(above) {
                    0 => {}
                    1 => count::<1>(&mut sums[p], above, indices, pairs),
                    2 => count::<2>(&mut sums[p], above, indices, pairs),
                    3 => count::<3>(&mut sums[p], above, indices, pairs),
                    _ => count::<4>(&mut sums[p], above, indices, pairs),
                }
            }
        }
        if pass % SPILL == SPILL - 1 || words.end == mask.words_per_row() {
            spill(counts, sums, cols.len());
        }
    }
}

/// Counts one pair of columns with `V` vectors of rows, from vector `first` on, over one block.
#[target_feature(enable = "avx2")]
fn count<const V: usize>(sums: &mut Sums, first: usize, indices: &[Indices], pairs: &[u8]) {
    let mut a = [_mm256_setzero_si256(); V];
    let mut b = [_mm256_setzero_si256(); V];
    let triples = indices.as_chunks::<3>().0.iter().zip(pairs.as_chunks::<3>().0);
    for ([x, y, z], &[p, q, r]) in triples {
        let (p, q, r) = (common(p), common(q), common(r));
        for v in 0..V {
            let t = _mm256_add_epi8(
                _mm256_shuffle_epi8(p, load(&x.0[first + v])),
                _mm256_shuffle_epi8(q, load(&y.0[first + v])),
            );
            let t = _mm256_add_epi8(t, _mm256_shuffle_epi8(r, load(&z.0[first + v])));
            a[v] = _mm256_add_epi8(a[v], t);
            b[v] = _mm256_add_epi8(b[v], _mm256_srli_epi16::<4>(t));
        }
    }
    let high_halves = _mm256_set1_epi8(0xf0u8.cast_signed());
    let low_bytes = _mm256_set1_epi16(0xff);
    for v in 0..V {
        let low =
            _mm256_sub_epi8(a[v], _mm256_and_si256(_mm256_slli_epi16::<4>(b[v]), high_halves));
        let low_odd = _mm256_srli_epi16::<8>(low);
        let high_even = _mm256_sub_epi16(b[v], _mm256_slli_epi16::<4>(low_odd));
        let found = [
            _mm256_and_si256(low, low_bytes),
            low_odd,
            _mm256_and_si256(high_even, low_bytes),
            _mm256_srli_epi16::<8>(b[v]),
        ];
        for (sum, found) in sums.0[first + v].iter_mut().zip(found) {
            add_to(sum, found);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn common(pair: u8) -> __m256i {
    // SAFETY: 16 bytes are read, those of a row of the table.
    let row = unsafe { _mm_loadu_si128(from_ref(&COMMON.0[usize::from(pair)]).cast()) };
    _mm256_broadcastsi128_si256(row)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(indices: &[u8; LANES]) -> __m256i {
    // SAFETY: 32 bytes are read, those of the array.
    unsafe { _mm256_loadu_si256(from_ref(indices).cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn add_to(sum: &mut [u16; LANES / 2], x: __m256i) {
    let at = std::ptr::from_mut(sum).cast();
    // SAFETY: 32 bytes are read and written, those of the array.
    unsafe { _mm256_storeu_si256(at, _mm256_add_epi16(_mm256_loadu_si256(at), x)) }
}

/// Adds the sums of all pairs to the counts and clears them.
#[target_feature(enable = "avx2")]
fn spill(counts: &mut [u32], sums: &mut [Sums], cols: usize) {
    let (cols, _) = counts.as_chunks_mut::<ROWS>().0.split_at_mut(cols.next_multiple_of(2));
    for (pair, sums) in cols.as_chunks_mut::<2>().0.iter_mut().zip(sums) {
        for v in 0..VECTORS {
            for (col, found) in pair.iter_mut().zip(sums.0[v].as_chunks::<2>().0) {
                let (eights, _) = col[v * LANES..(v + 1) * LANES].as_chunks_mut::<8>();
                let (even, odd) = (load_sums(&found[0]), load_sums(&found[1]));
                // Rows 0 .. 8 and 16 .. 24, then 8 .. 16 and 24 .. 32.
                let low = _mm256_unpacklo_epi16(even, odd);
                let high = _mm256_unpackhi_epi16(even, odd);
                add_counts(&mut eights[0], _mm256_castsi256_si128(low));
                add_counts(&mut eights[1], _mm256_castsi256_si128(high));
                add_counts(&mut eights[2], _mm256_extracti128_si256::<1>(low));
                add_counts(&mut eights[3], _mm256_extracti128_si256::<1>(high));
            }
            sums.0[v] = [[0; LANES / 2]; 4];
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_sums(sums: &[u16; LANES / 2]) -> __m256i {
    // SAFETY: 32 bytes are read, those of the array.
    unsafe { _mm256_loadu_si256(from_ref(sums).cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn add_counts(counts: &mut [u32; 8], found: __m128i) {
    let (at, found) = (std::ptr::from_mut(counts).cast(), _mm256_cvtepu16_epi32(found));
    // SAFETY: 32 bytes are read and written, those of the array.
    unsafe { _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), found)) }
}

/// The groups of words `words` of columns `cols.start` and `cols.start + 1` side by side; a column
/// past the end has no ones.
///
/// Of each word first the eight groups in the low halves of its bytes, then those in the high ones.
#[target_feature(enable = "avx2")]
fn pack_pair(
    pairs: &mut [[u8; IN_WORD]; WORDS],
    mask: &PackedMask,
    cols: Range<usize>,
    words: &Range<usize>,
) {
    const LOW: u64 = u64::from_le_bytes([0x0f; 8]);
    let first = &mask.row(cols.start)[words.clone()];
    let second =
        if cols.len() > 1 { &mask.row(cols.start + 1)[words.clone()] } else { &[0; WORDS] };
    for ((pairs, x), y) in pairs.iter_mut().zip(first).zip(second) {
        let (low, high) = (x & LOW | (y & LOW) << 4, x >> 4 & LOW | y & !LOW);
        pairs[..8].copy_from_slice(&low.to_le_bytes());
        pairs[8..].copy_from_slice(&high.to_le_bytes());
    }
}

/// The groups of words `words` of the rows of vector `v`, in the order of [`pack_pair`]; zero past
/// the last row, and up to a whole number of triples.
#[target_feature(enable = "avx2")]
fn pack_rows(
    indices: &mut [Indices],
    lines: &mut [Line],
    v: usize,
    mask: &PackedMask,
    rows: &Range<usize>,
    words: &Range<usize>,
) {
    let first_row = rows.start + v * LANES;
    for (l, line) in lines.iter_mut().enumerate() {
        let line = line.as_flattened_mut();
        let copied = if first_row + l < rows.end {
            line[..words.len()].copy_from_slice(&mask.row(first_row + l)[words.clone()]);
            words.len()
        } else {
            0
        };
        // The last of two words and the last groups of a triple may lie past the words.
        line[copied..(words.len() + 1).min(WORDS + 1)].fill(0);
    }
    let low_halves = _mm256_set1_epi8(15);
    for (w, groups) in indices.chunks_mut(2 * IN_WORD).take(words.len() / 2 + 1).enumerate() {
        let bytes = transpose(lines, w);
        for (k, bytes) in bytes.into_iter().enumerate() {
            let at = k / 8 * IN_WORD + k % 8;
            if let Some(group) = groups.get_mut(at) {
                store(&mut group.0[v], _mm256_and_si256(bytes, low_halves));
            }
            if let Some(group) = groups.get_mut(at + 8) {
                let high = _mm256_srli_epi16::<4>(bytes);
                store(&mut group.0[v], _mm256_and_si256(high, low_halves));
            }
        }
    }
}

/// Byte `k` of words `2 w` and `2 w + 1` of all rows, for each `k < 16`.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(lines: &[Line], w: usize) -> [__m256i; 16] {
    let lines = &lines[..LANES];
    let mut x = [_mm256_setzero_si256(); 16];
    for r in 0..16 {
        x[r] = _mm256_set_m128i(two_words(&lines[r + 16][w]), two_words(&lines[r][w]));
    }
    interleave::<8>(&mut x);
    interleave::<4>(&mut x);
    interleave::<2>(&mut x);
    interleave::<1>(&mut x);
    x
}

/// Takes the highest bit of a byte's place in its 16 for the bit `D` of the register's number, and
/// that bit for the lowest one of its place. Once for each bit, it transposes 16 x 16 bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn interleave<const D: usize>(x: &mut [__m256i; 16]) {
    for r in 0..16 {
        if r & D == 0 {
            let (a, b) = (x[r], x[r + D]);
            x[r] = _mm256_unpacklo_epi8(a, b);
            x[r + D] = _mm256_unpackhi_epi8(a, b);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn two_words(words: &[u64; 2]) -> __m128i {
    // SAFETY: 16 bytes are read, those of the array.
    unsafe { _mm_loadu_si128(from_ref(words).cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(to: &mut [u8; LANES], x: __m256i) {
    // SAFETY: 32 bytes are written, those of the array.
    unsafe { _mm256_storeu_si256(std::ptr::from_mut(to).cast(), x) }
}
