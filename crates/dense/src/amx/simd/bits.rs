//! Bits of the mask as factors.
#![allow(unsafe_code)]
#![allow(clippy::inline_always, reason = "must be compiled with their caller's instruction set")]

use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm512_gf2p8affine_epi64_epi8,
    _mm512_loadu_si512, _mm512_maskz_mov_epi8, _mm512_permutexvar_epi8, _mm512_set1_epi8,
    _mm512_set1_epi64, _mm512_storeu_si512, _mm512_unpackhi_epi8, _mm512_unpackhi_epi16,
    _mm512_unpackhi_epi32, _mm512_unpacklo_epi8, _mm512_unpacklo_epi16, _mm512_unpacklo_epi32,
};
use std::ops::Range;

use super::super::{DEEP, GROUP, PAIR, SIDE, WORDS, Words};
use super::{Tile, Unit};
use crate::PackedMask;
use crate::simd::transposed_words;

/// Words of a line of the cache.
pub(in super::super) const LINE: usize = 8;

/// Rows that are asked for ahead of the one that is copied.
const ASKED: usize = 8;

/// Bits of outputs as a factor, tiles of which are made block by block.
pub(in super::super) trait Bits: Copy {
    /// Blocks of [`DEEP`] rows that there are bits of.
    fn blocks(self) -> usize;

    /// The bits of output `o` of the group in block `b`.
    fn word(self, b: usize, o: usize) -> u64;
}

/// Bits of outputs, each a row of words.
impl Bits for &[Words; GROUP] {
    fn blocks(self) -> usize {
        WORDS
    }

    #[inline(always)]
    fn word(self, b: usize, o: usize) -> u64 {
        self[o][b]
    }
}

/// Bits of outputs, block after block.
impl Bits for &[Turned] {
    fn blocks(self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn word(self, b: usize, o: usize) -> u64 {
        self[b][o]
    }
}

/// Of [`DEEP`] rows, the bits of each output.
pub(in super::super) type Turned = [u64; GROUP];

/// Writes a quarter of two tiles of bits: those of block `b` of the outputs from `first` on.
///
/// # Safety
/// The processor must have the unit.
#[inline(always)]
pub(super) unsafe fn expand<B: Bits>(
    tiles: &mut [Tile; PAIR],
    bits: B,
    b: usize,
    first: usize,
    quarter: usize,
) {
    const QUARTER: usize = PAIR * SIDE / 4;
    let rows = tiles.as_flattened_mut().as_chunks_mut::<SIDE>().0.as_chunks_mut::<QUARTER>().0;
    for (row, o) in rows[quarter].iter_mut().zip(first + QUARTER * quarter..) {
        // SAFETY: as promised.
        unsafe { write(row, bits.word(b, o)) };
    }
}

/// Writes 64 bits as a row of a tile.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn write(row: &mut [u32; SIDE], bits: u64) {
    let entries = _mm512_maskz_mov_epi8(bits, _mm512_set1_epi8(1));
    // SAFETY: a row is as long.
    unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), entries) };
}

/// Words of the mask that will be read later, asked for line by line.
#[derive(Debug)]
pub(in super::super) struct Ahead<'a> {
    /// From the first word that is asked for.
    words: &'a [u64],
    words_per_row: usize,
    /// Rows that are left, and lines of each.
    rows: usize,
    lines: usize,
    /// The next one.
    line: usize,
}

impl<'a> Ahead<'a> {
    /// Of these words of some rows, as many as there are.
    pub(in super::super) fn new(
        mask: &'a PackedMask,
        rows: Range<usize>,
        words: Range<usize>,
    ) -> Self {
        let (words_per_row, lines) = (mask.words_per_row(), words.len().div_ceil(LINE));
        let at = rows.start * words_per_row + words.start;
        let words = mask.words().get(at..).unwrap_or_default();
        let rows = rows.end.min(mask.nrows()).saturating_sub(rows.start);
        Self { words, words_per_row, rows, lines, line: 0 }
    }

    /// Asks for a line.
    #[inline]
    pub(super) fn ask(&mut self) {
        if self.rows == 0 {
            return;
        }
        let word = self.words.as_ptr().wrapping_add(self.line * LINE);
        // SAFETY: any address may be asked for.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(word.cast()) };
        self.line += 1;
        if self.line == self.lines {
            (self.line, self.rows) = (0, self.rows - 1);
            self.words = self.words.get(self.words_per_row..).unwrap_or_default();
        }
    }
}

impl Unit {
    /// Copies words of a row, and asks for those of a row some further on, rows being so many words apart.
    #[allow(clippy::unused_self, reason = "who has the unit has the instructions")]
    pub(in super::super) fn copy_words(&self, to: &mut [u64], from: &[u64], apart: usize) {
        #[target_feature(enable = "avx512f")]
        #[allow(unused_unsafe, reason = "the intrinsic is safe in newer versions")]
        fn compiled(to: &mut [u64], from: &[u64], ahead: usize) {
            let ((lines, rest), (from_lines, from_rest)) = (to.as_chunks_mut(), from.as_chunks());
            for (to, from) in lines.iter_mut().zip(from_lines) {
                let soon = from.as_ptr().wrapping_add(ahead);
                // SAFETY: any address may be asked for.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(soon.cast()) };
                store(to, load(from));
            }
            // Not a call for nothing.
            if !rest.is_empty() {
                rest.copy_from_slice(from_rest);
            }
        }
        // SAFETY: who has the unit has the instructions.
        unsafe { compiled(to, from, ASKED * apart) }
    }

    /// Turns the bits of [`LINE`] words of 64 rows, those of a line: of word `w` of these, the bits of each output become
    /// `to[w apart]`.
    #[allow(clippy::unused_self, reason = "who has the unit has the instructions")]
    pub(in super::super) fn turn_bits(
        &self,
        to: &mut [Turned],
        apart: usize,
        rows: &[Words; DEEP],
        line: usize,
    ) {
        // SAFETY: who has the unit has the instructions.
        unsafe { turn(to, apart, rows, line) }
    }
}

/// Byte `b` of word `i` to byte `7 - i` of word `b`.
const BYTES: [u8; 64] = {
    let mut turned = [0; 64];
    let mut at = 0;
    while at < 64 {
        turned[at] = (8 * (7 - at % 8) + at / 8) as u8;
        at += 1;
    }
    turned
};

/// Byte `8 r + 2 l + q` to byte `16 l + 2 r + q`, from where bytes of eight vectors, put together two, four and eight at a
/// time, come out in order.
const SPREAD: [u8; 64] = {
    let mut spread = [0; 64];
    let mut at = 0;
    while at < 64 {
        spread[at] = (8 * (at % 16 / 2) + 2 * (at / 16) + at % 2) as u8;
        at += 1;
    }
    spread
};

/// A bit each, of a byte.
const EACH: i64 = 0x8040_2010_0804_0201_u64.cast_signed();

/// See [`Unit::turn_bits`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn turn(to: &mut [Turned], apart: usize, rows: &[Words; DEEP], line: usize) {
    // SAFETY: 64 bytes are read, those of the arrays.
    let [bytes, spread] =
        [BYTES, SPREAD].map(|at| unsafe { _mm512_loadu_si512(at.as_ptr().cast()) });
    let each = _mm512_set1_epi64(EACH);
    // Of eight rows the words one below the other, for each word.
    let mut of_rows = [[each; 8]; 8];
    for (of_rows, rows) in of_rows.iter_mut().zip(rows.as_chunks::<8>().0) {
        let lines = rows.each_ref().map(|row| load(&row.as_chunks::<LINE>().0[line]));
        *of_rows = transposed_words(&lines);
    }
    for (w, to) in to.iter_mut().step_by(apart).take(LINE).enumerate() {
        // Byte by byte an output, of which there are eight rows.
        let outputs: [__m512i; 8] = std::array::from_fn(|g| {
            let squares = _mm512_permutexvar_epi8(bytes, of_rows[g][w]);
            _mm512_permutexvar_epi8(spread, _mm512_gf2p8affine_epi64_epi8::<0>(each, squares))
        });
        let pair = |high: bool, g: usize| {
            let (a, b) = (outputs[g], outputs[g + 1]);
            if high { _mm512_unpackhi_epi8(a, b) } else { _mm512_unpacklo_epi8(a, b) }
        };
        let mut words = to.as_chunks_mut::<LINE>().0.iter_mut();
        for high in [false, true] {
            let [a, b, c, d] = [0, 2, 4, 6].map(|g| pair(high, g));
            for (four, others) in [
                (_mm512_unpacklo_epi16(a, b), _mm512_unpacklo_epi16(c, d)),
                (_mm512_unpackhi_epi16(a, b), _mm512_unpackhi_epi16(c, d)),
            ] {
                for of in [_mm512_unpacklo_epi32(four, others), _mm512_unpackhi_epi32(four, others)]
                {
                    if let Some(words) = words.next() {
                        store(words, of);
                    }
                }
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &[u64; LINE]) -> __m512i {
    // SAFETY: a line is as long as a vector.
    unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(line: &mut [u64; LINE], words: __m512i) {
    // SAFETY: a line is as long as a vector.
    unsafe { _mm512_storeu_si512(line.as_mut_ptr().cast(), words) }
}
