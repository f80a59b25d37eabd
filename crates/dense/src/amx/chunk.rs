//! Sums over the rows of a chunk of neurons, and over all examples for them.

use faer::{Par, RowRef};

use super::factor::{Factor, Numbers, with_factor};
use super::simd::{Ahead, LINE, Pair, Turned, Unit, as_sums, as_turned, as_words};
use super::{
    BLOCK, COLUMNS, DEEP, GROUP, NUMBERS, PAIR, PIECES, RING, ROUND, SIDE, TILES, WORDS, Words,
    block_tiles, columns, tiles, with_tiles,
};
use crate::classes::{Chunk, Part};
use crate::{PackedMask, Real};

/// Sums of a group in one tile of columns.
type Group = [Pair; TILES / PAIR];

/// Runs `body` on sums of a group in `count` tiles of columns, of arbitrary contents.
fn with_sums<R>(count: usize, body: impl FnOnce(&mut [Group]) -> R) -> R {
    f32::with_buffer(count * TILES * PIECES * NUMBERS, |sums| body(as_sums(sums)))
}

/// Runs `body` on the words of [`GROUP`] rows, of arbitrary contents.
fn with_words<R>(body: impl FnOnce(&mut [Words; GROUP]) -> R) -> R {
    f32::with_buffer(2 * WORDS * GROUP, |buffer| {
        body(as_words(buffer).first_chunk_mut().expect("as many"))
    })
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
    for columns in columns(d) {
        let (first, width) = (columns.start, columns.len());
        let some = |at: usize| row(at).map(|(row, w)| (row.subcols(first, width), w));
        with_factor(chunk.len().div_ceil(DEEP), width, some, Par::Seq, |factor| {
            apply_chunk((mask, chunk), part, factor, tiles(width), x.from(first));
        });
    }
}

/// The same for some columns, `count` tiles of them.
fn apply_chunk(
    (mask, chunk): (&PackedMask, &Chunk),
    part: &mut [f32],
    factor: Factor<'_>,
    count: usize,
    x: Numbers<'_>,
) {
    let n = part.len();
    // The words that come first are as good as all: a chunk of several parts has few words of each.
    let first_words = chunk.parts().first().map_or(0..0, Part::words);
    let mut unit = Unit::new();
    let mut group =
        |bits: &mut [Words; GROUP], room: &mut [_], sums: &mut [Group], first: usize| {
            copy_bits(&unit, bits, mask, first, chunk);
            let after = first + GROUP;
            let mut ahead = Ahead::new(mask, after..after + GROUP, first_words.clone());
            for (b, factors) in factor.tiles.chunks(block(count)).enumerate() {
                let bits = (&*bits, b * BLOCK / DEEP);
                unit.multiply((sums, b == 0), room, bits, factors, Some(&mut ahead));
            }
            let outputs = part[first..n.min(after)].chunks_mut(PAIR * SIDE).enumerate();
            for (pair, part) in outputs {
                let x = x.from((first + pair * PAIR * SIDE) * x.len);
                let sums = sums.iter().map(|group| &group[pair]);
                unit.dot(part, &sums, factor.units, (x.values, x.len));
            }
        };
    with_words(|bits| {
        with_tiles(PAIR * room(count), |room| {
            let room = room.as_chunks_mut().0;
            with_sums(count, |sums| {
                (0..n).step_by(GROUP).for_each(|first| group(bits, room, sums, first));
            });
        });
    });
}

/// Copies a chunk's words of the mask's rows from `first` on, as many rows as there are. Where there is none any bits will do:
/// sums of examples that there are not are not read, and factors of those are zero.
fn copy_bits(
    unit: &Unit,
    bits: &mut [Words; GROUP],
    mask: &PackedMask,
    first: usize,
    chunk: &Chunk,
) {
    for (bits, i) in bits.iter_mut().zip(first..mask.nrows()) {
        let (row, mut at) = (mask.row(i), 0);
        for part in chunk.parts() {
            let words = &row[part.words()];
            unit.copy_words(&mut bits[at..at + words.len()], words, mask.words_per_row());
            at += words.len();
        }
    }
}

/// Tiles of the factor that are gone through at once: with one tile of columns, all.
fn block(count: usize) -> usize {
    if count == 1 { usize::MAX } else { block_tiles(count) }
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
    factor: Factor<'_>,
) {
    let each = factor.tiles.chunks(mask.nrows().div_ceil(DEEP) * tiles(COLUMNS));
    f32::with_buffer(2 * WORDS * ROUND, |buffer| {
        for (tiles, columns) in each.zip(columns(len)) {
            let factor = Factor { tiles, units: &factor.units[columns.clone()] };
            adjoint_chunk((mask, chunk), (&mut w[columns.start..], len), factor, as_turned(buffer));
        }
    });
}

/// The same for some columns, with room for the bits of a round.
fn adjoint_chunk(
    (mask, chunk): (&PackedMask, &Chunk),
    (w, len): (&mut [f32], usize),
    factor: Factor<'_>,
    turned: &mut [Turned],
) {
    let mut unit = Unit::new();
    let count = tiles(factor.units.len());
    let each = factor.tiles.chunks(ROUND / DEEP * count);
    with_tiles(PAIR * room(count), |room| {
        let room = room.as_chunks_mut().0;
        with_sums(count, |sums| {
            for (r, factors) in each.enumerate() {
                let blocks = factors.len() / count;
                turn_round(&unit, turned, (mask, chunk), r * ROUND / DEEP, blocks);
                let groups = w.chunks_mut(GROUP * len).zip(turned.chunks_exact(blocks));
                for (w, bits) in groups {
                    for (b, factors) in factors.chunks(block(count)).enumerate() {
                        let bits = (bits, b * BLOCK / DEEP);
                        unit.multiply((sums, b == 0), room, bits, factors, None);
                    }
                    write_rows(&unit, (w, len), sums, factor.units, r == 0);
                }
            }
        });
    });
}

/// Turns a chunk's bits of so many blocks of [`DEEP`] examples from block `first` on: word after word of a row, block after
/// block.
fn turn_round(
    unit: &Unit,
    turned: &mut [Turned],
    (mask, chunk): (&PackedMask, &Chunk),
    first: usize,
    blocks: usize,
) {
    with_words(|bits| {
        for b in 0..blocks {
            copy_bits(unit, bits, mask, (first + b) * DEEP, chunk);
            for line in 0..chunk.len().div_ceil(GROUP * LINE) {
                unit.turn_bits(&mut turned[line * LINE * blocks + b..], blocks, bits, line);
            }
        }
    });
}

/// Adds the numbers of a group to rows of `len` numbers, which begin as zeros if `anew`.
fn write_rows(
    unit: &Unit,
    (w, len): (&mut [f32], usize),
    sums: &[Group],
    units: &[f32],
    anew: bool,
) {
    for (c, (group, units)) in sums.iter().zip(units.as_chunks().0).enumerate() {
        for (t, sums) in group.as_flattened().iter().enumerate() {
            let rows = w.chunks_mut(len).skip(t * SIDE);
            unit.write(rows.map(|row| &mut row.as_chunks_mut().0[c]), sums, units, anew);
        }
    }
}
