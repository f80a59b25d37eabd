//! Sums over the rows of a chunk of neurons, and over all examples for them.

use faer::{Par, RowRef};

use super::factor::{Numbers, factor};
use super::simd::{Ahead, Columns, Rows, Sums, Tile, Unit, as_words, dot, sum_lanes, turn_sums};
use super::{
    BLOCK, COLUMNS, DEEP, GROUP, NUMBERS, PIECES, RING, SIDE, TILES, WORDS, Words, block_tiles,
    columns, tiles, with_tiles,
};
use crate::classes::{Chunk, Part};
use crate::{PackedMask, Real};

/// Runs `body` on `count` tiles of zero sums.
fn with_sums<R>(count: usize, body: impl FnOnce(&mut [Sums]) -> R) -> R {
    f32::with_buffer(count * NUMBERS, |buffer| {
        buffer.fill(0.0);
        body(buffer.as_chunks_mut().0)
    })
}

/// Runs `body` on `count` rows of words of arbitrary contents.
fn with_words<R>(count: usize, body: impl FnOnce(&mut [Words]) -> R) -> R {
    f32::with_buffer(2 * WORDS * count, |buffer| body(as_words(buffer)))
}

/// `part <- part + sum over the rows r of a chunk of M_ir (x_i . row(r))`, [`COLUMNS`] of `d` after as many.
pub(super) fn apply_all<'a, T: Real>(
    mask: &PackedMask,
    chunk: &Chunk,
    part: &mut [f32],
    x: Numbers<'_>,
    d: usize,
    row: impl Fn(usize) -> Option<(RowRef<'a, T>, T)> + Sync + Send,
) {
    let blocks = 2 * chunk.len().div_ceil(GROUP);
    for columns in columns(d) {
        let (first, width) = (columns.start, columns.len());
        with_tiles(blocks * PIECES * tiles(width), |factors| {
            let some = |at: usize| row(at).map(|(row, w)| (row.subcols(first, width), w));
            factor(factors, width, false, some, Par::Seq);
            apply_chunk((mask, chunk), part, factors, tiles(width), x.from(first));
        });
    }
}

/// The same for some columns, `count` tiles of them.
fn apply_chunk(
    (mask, chunk): (&PackedMask, &Chunk),
    part: &mut [f32],
    factors: &[Tile],
    count: usize,
    x: Numbers<'_>,
) {
    let n = part.len();
    let block = if count == 1 { factors.len() } else { block_tiles(count) };
    // The words that come first are as good as all: a chunk of several parts has few words of each.
    let first_words = chunk.parts().first().map_or(0..0, Part::words);
    let mut unit = Unit::new();
    let mut group =
        |bits: &mut [Words; GROUP], tiles: &mut [_], sums: &mut [Sums], first: usize| {
            copy_bits(&unit, bits, mask, first, chunk);
            let after = first + GROUP;
            let mut ahead = Ahead::new(mask, after..after + GROUP, first_words.clone());
            sums.as_flattened_mut().fill(0.0);
            for (b, factors) in factors.chunks(block).enumerate() {
                let bits = Rows { rows: bits, at: b * BLOCK / 64 };
                unit.multiply(sums, tiles, bits, factors, Some(&mut ahead));
            }
            let x = x.from(first * x.len);
            let mut lanes = [[0.0; SIDE]; GROUP];
            dot(&mut lanes[..n.min(after) - first], sums, x.values, x.len);
            sum_lanes(&mut part[first..n.min(after)], &lanes);
        };
    with_words(GROUP, |bits| {
        let bits = bits.first_chunk_mut().expect("as many");
        with_tiles(TILES * room(count), |tiles| {
            let tiles = tiles.as_chunks_mut().0;
            with_sums(TILES * count, |sums| {
                (0..n).step_by(GROUP).for_each(|first| group(bits, tiles, sums, first));
            });
        });
    });
}

/// Copies a chunk's words of the mask's rows from `first` on, as many rows as there are. Where there is none any bits will do:
/// sums of examples that there are not are not read, and factors of those are zero.
fn copy_bits(unit: &Unit, bits: &mut [Words], mask: &PackedMask, first: usize, chunk: &Chunk) {
    for (bits, i) in bits.iter_mut().zip(first..mask.nrows()) {
        let (row, mut at) = (mask.row(i), 0);
        for part in chunk.parts() {
            let words = &row[part.words()];
            unit.copy_words(&mut bits[at..at + words.len()], words);
            at += words.len();
        }
    }
}

/// Blocks of [`DEEP`] rows that there is room for the bits of: with one tile of columns, they are used once.
fn room(count: usize) -> usize {
    if count == 1 { RING } else { BLOCK / DEEP }
}

/// `w_r <- sum over examples i of M_ir factor_i` for the neurons of a chunk, rows of `len` numbers, groups of whole words.
pub(super) fn adjoint_chunks(
    mask: &PackedMask,
    chunk: &Chunk,
    w: &mut [f32],
    len: usize,
    factors: &[Tile],
) {
    let each = factors.chunks(mask.nrows().div_ceil(DEEP) * PIECES * tiles(COLUMNS));
    with_words(BLOCK, |words| {
        for (factors, columns) in each.zip(columns(len)) {
            let (w, count) = (&mut w[columns.start..], tiles(columns.len()));
            adjoint_chunk((mask, chunk), (w, len), factors, count, words);
        }
    });
}

/// The same for some columns, `count` tiles of them, with room for the words of a block.
fn adjoint_chunk(
    (mask, chunk): (&PackedMask, &Chunk),
    (w, len): (&mut [f32], usize),
    factors: &[Tile],
    count: usize,
    words: &mut [Words],
) {
    let mut unit = Unit::new();
    let groups = w.len().div_ceil(GROUP * len);
    with_tiles(TILES * room(count), |tiles| {
        with_sums(groups * TILES * count, |sums| {
            for (b, factors) in factors.chunks(block_tiles(count)).enumerate() {
                copy_bits(&unit, words, mask, b * BLOCK, chunk);
                for (at, sums) in sums.chunks_exact_mut(TILES * count).enumerate() {
                    let bits = Columns { rows: words, at };
                    unit.multiply(sums, tiles.as_chunks_mut().0, bits, factors, None);
                }
            }
            for (sums, w) in sums.chunks_exact(TILES * count).zip(w.chunks_mut(GROUP * len)) {
                write_rows(w, len, sums);
            }
        });
    });
}

/// Writes the sums of a group, whose columns are outputs, to rows of `len` numbers.
fn write_rows(w: &mut [f32], len: usize, sums: &[Sums]) {
    for (t, tile) in sums.iter().enumerate() {
        let mut tile = *tile;
        turn_sums(&mut tile);
        let (c, o) = (t / TILES, t % TILES);
        for (row, tile) in w.chunks_mut(len).skip(o * SIDE).zip(tile.chunks_exact(SIDE)) {
            row[c * SIDE..(c + 1) * SIDE].copy_from_slice(tile);
        }
    }
}
