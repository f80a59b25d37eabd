//! Common ones of rows of bits on the matrix unit: products of tiles of bytes 0 and 1, summed in integers.
//!
//! A word of 16 columns is a tile of 16 x 64 bytes, a row for each; the same word of 16 rows is the other factor, which holds
//! four bits of each row side by side, as [`nibbles`] has them. Sums of 16 x 16 pairs are in the order of the counts, and are
//! loaded from there and stored there. Two tiles take 16 cycles for 16 x 16 pairs of words, where AND, count and addition of
//! vectors take 32; but all operands must be in a first-level cache: tiles are made from the bits a few words ahead, over and
//! over, as tiles that come from a second level take 1.4 times as long.

use std::arch::asm;
use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_loadu_si512, _mm512_maskz_mov_epi8, _mm512_or_si512,
    _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_slli_epi16, _mm512_srli_epi16,
    _mm512_storeu_si512,
};
use std::ops::Range;
use std::ptr::from_ref;

use super::super::SIDE;
use super::{ROW, Unit};
use crate::PackedMask;
use crate::simd::{COLS, ROWS, transposed_words as transposed};

/// Words of a row that are copied at a time, where rows a power of two apart do not drive one another out of the caches.
const COPIED: usize = 64;

/// Words of a line of the cache.
const LINE: usize = 8;

/// Tiles of sums side by side in the registers, of columns and of rows.
const PAIR: usize = 2;

/// Rows that are copied while two tiles of columns meet two of rows.
const MEANWHILE: usize = 12;

/// Words whose tiles are there at a time, and how many words ahead they are made: stores that are still under way would hold
/// up a load.
const RING: usize = 4;
const AHEAD: usize = 2;

/// Bytes from the counts of one column to those of the next.
const APART: usize = ROWS * size_of::<u32>();

/// 16 rows of 64 bytes, 0 or 1.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Bytes([[u8; ROW]; SIDE]);

/// Words of a row.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Words([u64; COPIED]);

/// Bits of the rows of a tile.
type Masks = [u64; SIDE];

/// For each sixteen rows or columns, the bits of a tile for each word that was copied; the words of both that come next; and
/// tiles.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    rows: Vec<[Masks; COPIED]>,
    cols: Vec<[Masks; COPIED]>,
    words: Vec<Words>,
    tiles: Vec<[Bytes; 2 * PAIR]>,
}

impl Unit {
    /// `counts[j ROWS + i] += common ones of rows i and j`; leaves out some pairs above the diagonal.
    ///
    /// # Panics
    /// For more rows than [`ROWS`], more columns than [`COLS`], or counts of fewer.
    #[allow(clippy::unused_self, reason = "the unit must be set up")]
    pub(crate) fn count(
        &mut self,
        counts: &mut [u32],
        buffers: &mut Buffers,
        mask: &PackedMask,
        rows: &Range<usize>,
        cols: &Range<usize>,
    ) {
        assert!(rows.len() <= ROWS && cols.len() <= COLS && counts.len() >= ROWS * COLS);
        let Buffers { rows: row_masks, cols: col_masks, words: copied, tiles } = buffers;
        let pairs = |all: &Range<usize>| PAIR * all.len().div_ceil(PAIR * SIDE);
        row_masks.resize(pairs(rows), [[0; SIDE]; COPIED]);
        col_masks.resize(pairs(cols), [[0; SIDE]; COPIED]);
        tiles.resize(RING, [Bytes([[0; ROW]; SIDE]); 2 * PAIR]);
        let all = SIDE * (row_masks.len() + col_masks.len());
        copied.resize(all, Words([0; COPIED]));

        let copy = |from: usize| Copy { mask, rows, cols, words: from, at: 0 };
        copy(0).go_on(copied, all);
        for from in (0..mask.words_per_row()).step_by(COPIED) {
            let words = COPIED.min(mask.words_per_row() - from);
            let (of_rows, of_cols) = copied.as_chunks::<SIDE>().0.split_at(row_masks.len());
            // SAFETY: whoever has the unit and these counts has the instructions.
            unsafe {
                row_masks.iter_mut().zip(of_rows).for_each(|(masks, words)| by_rows(masks, words));
                col_masks.iter_mut().zip(of_cols).for_each(|(masks, words)| by_cols(masks, words));
            }
            let mut ahead = copy(from + COPIED);
            for (j, cols_pair) in col_masks.as_chunks::<PAIR>().0.iter().enumerate() {
                for (i, rows_pair) in row_masks.as_chunks::<PAIR>().0.iter().enumerate() {
                    let (i, j) = (i * PAIR * SIDE, j * PAIR * SIDE);
                    if rows.start + i + PAIR * SIDE <= cols.start + j {
                        continue;
                    }
                    ahead.go_on(copied, MEANWHILE);
                    let counts = &mut counts[j * ROWS + i..];
                    let factors = cols_pair.each_ref().map(|masks| &masks[..words]);
                    let others = rows_pair.each_ref().map(|masks| &masks[..words]);
                    // SAFETY: the unit is set up, and counts go on for two tiles of columns.
                    unsafe { multiply(counts, factors, others, tiles) };
                }
            }
            ahead.go_on(copied, all);
        }
    }
}

/// Words of rows and columns that are being copied, whole tiles of both; zeros where there are none.
struct Copy<'a> {
    mask: &'a PackedMask,
    rows: &'a Range<usize>,
    cols: &'a Range<usize>,
    /// The first of [`COPIED`] words.
    words: usize,
    /// The next row.
    at: usize,
}

impl Copy<'_> {
    /// Copies the next rows, up to `count` of them.
    fn go_on(&mut self, to: &mut [Words], count: usize) {
        let words = self.words..self.mask.words_per_row().min(self.words + COPIED);
        if words.is_empty() {
            return;
        }
        let last = to.len().min(self.at + count);
        for (at, Words(to)) in (self.at..).zip(&mut to[self.at..last]) {
            let (to, rest) = to.split_at_mut(words.len());
            rest.fill(0);
            match self.row(at) {
                Some(row) => to.copy_from_slice(&row[words.clone()]),
                None => to.fill(0),
            }
        }
        self.at = last;
    }

    /// The row of the mask that is row `at` of all.
    fn row(&self, at: usize) -> Option<&[u64]> {
        let cols = self.rows.len().next_multiple_of(PAIR * SIDE);
        let (all, at) = if at < cols { (self.rows, at) } else { (self.cols, at - cols) };
        (at < all.len()).then(|| self.mask.row(all.start + at))
    }
}

/// `counts <- counts +` products of two tiles of columns and two of rows for each word, whose bits are given.
///
/// # Safety
/// The unit must be set up, and there be the instructions.
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn multiply(
    counts: &mut [u32],
    [a0, a1]: [&[Masks]; PAIR],
    [b0, b1]: [&[Masks]; PAIR],
    tiles: &mut [[Bytes; 2 * PAIR]],
) {
    let words = a0.len().min(a1.len()).min(b0.len()).min(b1.len());
    assert!(tiles.len() == RING && counts.len() >= (PAIR * SIDE - 1) * ROWS + PAIR * SIDE);
    let below = &raw mut counts[SIDE];
    let right = &raw mut counts[SIDE * ROWS];
    let both = &raw mut counts[SIDE * ROWS + SIDE];
    let first = counts.as_mut_ptr();
    // SAFETY: 16 columns of 16 counts each lie there.
    unsafe {
        load!(0, first, APART);
        load!(1, below, APART);
        load!(2, right, APART);
        load!(3, both, APART);
    }
    for w in 0..words.min(AHEAD) {
        let [a, b, c, d] = &mut tiles[w];
        expand(a, &a0[w]);
        expand(b, &b0[w]);
        expand(c, &b1[w]);
        expand(d, &a1[w]);
    }
    for w in 0..words {
        let next = w + AHEAD;
        macro_rules! expand_next {
            ($tile:literal, $masks:ident) => {
                if next < words {
                    expand(&mut tiles[next % RING][$tile], &$masks[next]);
                }
            };
        }
        macro_rules! tile {
            ($tile:literal) => {
                from_ref(&tiles[w % RING][$tile])
            };
        }
        // SAFETY: all of these are whole tiles.
        unsafe {
            expand_next!(0, a0);
            load!(4, tile!(0), ROW);
            load!(6, tile!(1), ROW);
            add_bytes!(0, 4, 6);
            expand_next!(1, b0);
            load!(7, tile!(2), ROW);
            add_bytes!(1, 4, 7);
            expand_next!(2, b1);
            load!(5, tile!(3), ROW);
            add_bytes!(2, 5, 6);
            expand_next!(3, a1);
            add_bytes!(3, 5, 7);
        }
    }
    // SAFETY: as when they were loaded.
    unsafe {
        store!(0, first, APART);
        store!(1, below, APART);
        store!(2, right, APART);
        store!(3, both, APART);
    }
}

/// A byte for each bit.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn expand(Bytes(tile): &mut Bytes, masks: &Masks) {
    for (row, &mask) in tile.iter_mut().zip(masks) {
        store(row, _mm512_maskz_mov_epi8(mask, _mm512_set1_epi8(1)));
    }
}

/// For each word of 16 columns the columns' bits.
#[target_feature(enable = "avx512f")]
fn by_cols(masks: &mut [Masks; COPIED], words: &[Words; SIDE]) {
    for (at, masks) in masks.as_chunks_mut::<LINE>().0.iter_mut().enumerate() {
        let line = |r: usize| load(&words[r].0.as_chunks().0[at]);
        let first = transposed(&std::array::from_fn(line));
        let second = transposed(&std::array::from_fn(|r| line(LINE + r)));
        for (masks, (first, second)) in masks.iter_mut().zip(first.into_iter().zip(second)) {
            let [low, high] = masks.as_chunks_mut::<LINE>().0 else { unreachable!("two lines") };
            store_words(low, first);
            store_words(high, second);
        }
    }
}

/// For each word of 16 rows, bits `4 p .. 4 p + 4` of one after the other for each `p`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn by_rows(masks: &mut [Masks; COPIED], words: &[Words; SIDE]) {
    for (at, masks) in masks.as_chunks_mut::<LINE>().0.iter_mut().enumerate() {
        let line = |r: usize| load(&words[r].0.as_chunks().0[at]);
        let even = transposed(&std::array::from_fn(|r| line(2 * r)));
        let odd = transposed(&std::array::from_fn(|r| line(2 * r + 1)));
        for (masks, (even, odd)) in masks.iter_mut().zip(even.into_iter().zip(odd)) {
            let [low, high] = nibbles(even, odd);
            for (pair, (low, high)) in
                masks.as_chunks_mut::<2>().0.iter_mut().zip(low.into_iter().zip(high))
            {
                *pair = [low, high];
            }
        }
    }
}

/// Of eight words of rows 0, 2, .. and as many of rows 1, 3, .., bits `8 q .. 8 q + 4` of all 16 in word `q`, and bits
/// `8 q + 4 .. 8 q + 8`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn nibbles(even: __m512i, odd: __m512i) -> [[u64; LINE]; 2] {
    /// Byte `q` of word `t` to byte `t` of word `q`.
    const TURNED: [u8; 64] = {
        let mut turned = [0; 64];
        let mut at = 0;
        while at < 64 {
            turned[at] = (at % 8 * 8 + at / 8) as u8;
            at += 1;
        }
        turned
    };
    // SAFETY: 64 bytes are read, those of the array.
    let turned = unsafe { _mm512_loadu_si512(TURNED.as_ptr().cast()) };
    let (even, odd) = (_mm512_permutexvar_epi8(turned, even), _mm512_permutexvar_epi8(turned, odd));
    let (low, high) = (_mm512_set1_epi8(0x0f), _mm512_set1_epi8(0xf0_u8.cast_signed()));
    let of = |x: __m512i| {
        let mut words = [0u64; LINE];
        // SAFETY: 64 bytes are written, those of the array.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), x) };
        words
    };
    let lows = _mm512_or_si512(
        _mm512_and_si512(even, low),
        _mm512_and_si512(_mm512_slli_epi16::<4>(odd), high),
    );
    let highs = _mm512_or_si512(
        _mm512_and_si512(_mm512_srli_epi16::<4>(even), low),
        _mm512_and_si512(odd, high),
    );
    [of(lows), of(highs)]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[u64; LINE]) -> __m512i {
    // SAFETY: 64 bytes are read, those of the array.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(row: &mut [u8; ROW], x: __m512i) {
    // SAFETY: 64 bytes are written, those of the array.
    unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), x) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_words(words: &mut [u64; LINE], x: __m512i) {
    // SAFETY: 64 bytes are written, those of the array.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), x) }
}
