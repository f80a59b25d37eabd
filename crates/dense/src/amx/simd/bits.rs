//! Bits of the mask as factors.
#![allow(unsafe_code)]
#![allow(clippy::inline_always, reason = "must be compiled with their caller's instruction set")]

use std::arch::x86_64::{
    __m512i, _MM_HINT_T1, _mm_prefetch, _mm512_loadu_si512, _mm512_maskz_mov_epi16,
    _mm512_set1_epi16, _mm512_storeu_si512, _pdep_u64,
};
use std::ops::Range;

use super::super::{DEEP, GROUP, SIDE, TILES, WORDS, Words};
use super::{ROW, Tile, Unit};
use crate::PackedMask;

/// 1 as a `bf16`.
const ONE: i16 = 0x3f80;

/// Bits as a factor, tiles of which are made block by block.
pub(in super::super) trait Bits: Copy {
    /// Whether they are the left one: then rows of the sums are outputs, else columns are.
    const LEFT: bool;

    /// Blocks of [`DEEP`] rows that there are bits of.
    fn blocks(self) -> usize;

    /// Writes a quarter of the tiles of block `b`.
    ///
    /// # Safety
    /// The processor must have the unit.
    unsafe fn expand(self, tiles: &mut [Tile; TILES], b: usize, quarter: usize);
}

/// Bits of outputs, each a row of words, from word `at` on.
#[derive(Clone, Copy)]
pub(in super::super) struct Rows<'a> {
    pub(in super::super) rows: &'a [Words; GROUP],
    pub(in super::super) at: usize,
}

/// Bits of rows, of which word `at` has those of the outputs.
#[derive(Clone, Copy)]
pub(in super::super) struct Columns<'a> {
    pub(in super::super) rows: &'a [Words],
    pub(in super::super) at: usize,
}

impl Bits for Rows<'_> {
    const LEFT: bool = true;

    fn blocks(self) -> usize {
        2 * (WORDS - self.at)
    }

    /// # Safety
    /// As for any [`Bits`].
    #[inline(always)]
    unsafe fn expand(self, tiles: &mut [Tile; TILES], b: usize, quarter: usize) {
        let (word, shift) = (self.at + b / 2, DEEP * (b % 2));
        let rows = &self.rows.as_chunks::<SIDE>().0[quarter];
        let tile = tiles[quarter].as_chunks_mut::<SIDE>().0;
        for (row, words) in tile.iter_mut().zip(rows) {
            // SAFETY: as promised.
            unsafe { write(row, words[word] >> shift) };
        }
    }
}

impl Bits for Columns<'_> {
    const LEFT: bool = false;

    fn blocks(self) -> usize {
        self.rows.len() / DEEP
    }

    /// # Safety
    /// As for any [`Bits`].
    #[inline(always)]
    unsafe fn expand(self, tiles: &mut [Tile; TILES], b: usize, quarter: usize) {
        let pairs = self.rows.as_chunks::<DEEP>().0[b].as_chunks::<2>().0;
        for p in SIDE / 4 * quarter..SIDE / 4 * (quarter + 1) {
            let [even, odd] = pairs[p].each_ref().map(|words| words[self.at]);
            for half in 0..2 {
                // SAFETY: as promised.
                let pairs = unsafe { in_turn(even >> (DEEP * half), odd >> (DEEP * half)) };
                for o in 0..2 {
                    let row = &mut tiles[2 * half + o].as_chunks_mut::<SIDE>().0[p];
                    // SAFETY: as promised.
                    unsafe { write(row, pairs >> (DEEP * o)) };
                }
            }
        }
    }
}

/// Writes the lower 32 bits as a row of a tile.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn write(row: &mut [u32; SIDE], bits: u64) {
    let entries = _mm512_maskz_mov_epi16(bits as u32, _mm512_set1_epi16(ONE));
    // SAFETY: a row is as long.
    unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), entries) };
}

/// The lower 32 bits of two words in turn.
#[inline]
#[target_feature(enable = "bmi2")]
fn in_turn(even: u64, odd: u64) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    _pdep_u64(even, EVEN) | _pdep_u64(odd, !EVEN)
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
        let (words_per_row, lines) = (mask.words_per_row(), words.len().div_ceil(ROW / 8));
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
        let word = self.words.as_ptr().wrapping_add(self.line * (ROW / 8));
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
    /// Copies words of a row.
    #[allow(clippy::unused_self, reason = "who has the unit has the instructions")]
    pub(in super::super) fn copy_words(&self, to: &mut [u64], from: &[u64]) {
        #[target_feature(enable = "avx512f")]
        fn compiled(to: &mut [u64], from: &[u64]) {
            let ((lines, rest), (from_lines, from_rest)) = (to.as_chunks_mut(), from.as_chunks());
            for (to, from) in lines.iter_mut().zip(from_lines) {
                store(to, load(from));
            }
            for (to, from) in rest.iter_mut().zip(from_rest) {
                *to = *from;
            }
        }
        // SAFETY: who has the unit has the instructions.
        unsafe { compiled(to, from) }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &[u64; 8]) -> __m512i {
    // SAFETY: a line is as long as a vector.
    unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(line: &mut [u64; 8], words: __m512i) {
    // SAFETY: a line is as long as a vector.
    unsafe { _mm512_storeu_si512(line.as_mut_ptr().cast(), words) }
}
