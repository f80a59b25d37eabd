//! The products of a masked layer with one output on the matrix unit (Intel AMX), in `f32`.
//!
//! The unit multiplies tiles of `bf16`, 16 x 32 by 32 x 16, and adds to sums in `f32`: sixteen times the work of the FMA
//! units in the same time. Entries of the mask are 0 or 1, which a `bf16` holds, and an `f32` is the sum of three of
//! them exactly (see [`pieces`]), so three products of tiles add the very terms that are asked for, and what rounds are
//! sums alone, as anywhere else. Subnormal pieces and sums count as zero. A number that is not finite spoils all sums that its
//! row has a bit in a tile with, whatever that bit is.
//!
//! Both products sum rows `s` of a factor where the mask tells,
//!
//! `sums_oc = sum over s of M_so pieces_sc`,
//!
//! over neurons for the examples `o` of `J v`, whose bits lie side by side and are the left factor, and over examples for
//! the neurons `o` of `J^T u`, where the mask is the right one. Words of the mask become tiles [`RING`] blocks at a time, in a
//! first-level cache, or where several tiles of columns use them [`BLOCK`] rows at a time. A task is a chunk of neurons, and
//! their sums are added in order, as in [`tabulated`](crate::tabulated).

mod pieces;
mod simd;
#[cfg(test)]
mod tests;

use std::ops::Range;

use faer::{MatMut, MatRef, Par};

use self::simd::{Ahead, Columns, Rows, Sums, Tile, Unit, dot, split_rows, sum_lanes, turn};
use crate::layer::Layer;
use crate::parallel::{for_each_part, for_each_row_chunk};
use crate::simd::Level;
use crate::{PackedMask, Real};

pub(crate) use self::simd::permitted;

/// Rows and columns of a tile of sums.
const SIDE: usize = 16;

/// Rows that a product of two tiles sums over.
const DEEP: usize = 32;

/// Numbers of a tile of sums, and pairs of `bf16` in one of factors.
const NUMBERS: usize = SIDE * SIDE;

/// Tiles that a factor in `f32` takes.
const PIECES: usize = 3;

/// Outputs whose sums are under way at a time: the bits of a word, and the tiles that they are.
const GROUP: usize = 64;
const TILES: usize = GROUP / SIDE;

/// Columns that are gone through before the mask is read again: their factors and sums stay in a second-level cache.
const COLUMNS: usize = 64;

/// Rows whose bits are tiles at a time, where these are used for several tiles of columns.
const BLOCK: usize = 1536;

/// Blocks of [`DEEP`] rows whose bits are tiles at a time, where they are used once.
const RING: usize = 4;

/// Most words of a chunk of neurons, and most where there are more than `FEW` columns, whose factors and sums take more of
/// a second-level cache.
const WORDS: usize = 48;
const FEWER: usize = 24;
const FEW: usize = 32;

/// Tasks below which there are smaller ones, and fewest neurons of these.
const TASKS: usize = 8;
const LEAST: usize = 256;

/// A chunk's bits of a row of the mask.
type Words = [u64; WORDS];

/// Whether the unit is there, and worth it: as for look-up, tiles of bits must serve many rows.
pub(crate) fn suits<T: Real>(layer: &Layer<'_, T>) -> bool {
    T::NAME == "f32" && layer.suits() && !layer.is_empty() && Level::Amx.on()
}

/// Tiles of `d` columns.
fn tiles(d: usize) -> usize {
    d.div_ceil(SIDE)
}

/// `d` columns, [`COLUMNS`] at a time.
fn columns(d: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    (0..d).step_by(COLUMNS).map(move |first| first..d.min(first + COLUMNS))
}

/// Runs `body` on `count` tiles of factors of arbitrary contents.
fn with_tiles<R>(count: usize, body: impl FnOnce(&mut [Tile]) -> R) -> R {
    f32::with_buffer(count * NUMBERS, |buffer| body(simd::as_tiles(buffer)))
}

/// Runs `body` on `count` tiles of zero sums.
fn with_sums<R>(count: usize, body: impl FnOnce(&mut [Sums]) -> R) -> R {
    f32::with_buffer(count * NUMBERS, |buffer| {
        buffer.fill(0.0);
        body(buffer.as_chunks_mut().0)
    })
}

/// Sums of which each takes every sixteenth term.
type Lanes = [f32; SIDE];

/// Runs `body` on `count` rows of words of arbitrary contents.
fn with_words<R>(count: usize, body: impl FnOnce(&mut [Words]) -> R) -> R {
    f32::with_buffer(2 * WORDS * count, |buffer| body(simd::as_words(buffer)))
}

/// Rows of numbers, of whole tiles.
#[derive(Clone, Copy)]
struct Numbers<'a> {
    values: &'a [f32],
    /// Numbers from one row to the next.
    len: usize,
}

impl Numbers<'_> {
    /// From column `first` on.
    fn from(self, first: usize) -> Self {
        Self { values: &self.values[first..], ..self }
    }
}

/// Copies `weight(r) row r` of `a` to rows of whole tiles, zeros past the last column and the last row.
fn copy_rows<T: Real>(out: &mut [f32], a: MatRef<'_, T>, weight: impl Fn(usize) -> T) {
    let mut out = out.chunks_exact_mut(SIDE * tiles(a.ncols()));
    for (r, (row, out)) in a.row_iter().zip(&mut out).enumerate() {
        let (out, rest) = out.split_at_mut(a.ncols());
        rest.fill(0.0);
        let weight = weight(r);
        let single = |x: T| (weight * x).as_f64() as f32;
        match row.try_as_row_major() {
            Some(row) => out.iter_mut().zip(row.as_slice()).for_each(|(o, &x)| *o = single(x)),
            None => out.iter_mut().zip(row.iter()).for_each(|(o, &x)| *o = single(x)),
        }
    }
    out.for_each(|row| row.fill(0.0));
}

/// The tiles of `weight(r) row r` of `a`, [`DEEP`] rows after as many; for each [`BLOCK`] of these, a column of tiles after
/// the other, each tile with its pieces. Across, the rows of `a` are columns of the tiles.
fn factor<T: Real>(out: &mut [Tile], a: MatRef<'_, T>, across: bool, weight: impl Fn(usize) -> T) {
    let (count, len) = (tiles(a.ncols()), SIDE * tiles(a.ncols()));
    f32::with_buffer(DEEP * len, |rows| {
        for (b, out) in out.chunks_mut(block_tiles(count)).enumerate() {
            let out = out.as_chunks_mut::<PIECES>().0;
            let blocks = out.len() / count;
            for at in 0..blocks {
                let first = a.nrows().min(b * BLOCK + at * DEEP);
                let some = a.subrows(first, DEEP.min(a.nrows() - first));
                copy_rows(rows, some, |r| weight(first + r));
                split_rows(&mut out[at..], blocks, rows, len);
                if across {
                    for tile in out[at..].iter_mut().step_by(blocks).flatten() {
                        turn(tile);
                    }
                }
            }
        }
    });
}

impl<T: Real> Layer<'_, T> {
    /// Neurons of a task, as many for each of several where there are few: threads must have something to share.
    fn unit_chunk(&self) -> usize {
        let each = self.mask.width().div_ceil(TASKS).next_multiple_of(GROUP);
        each.clamp(LEAST, GROUP * if self.x.ncols() > FEW { FEWER } else { WORDS })
    }

    /// Weight of neuron `r`.
    fn weight(&self, r: usize) -> T {
        self.signs[(r, 0)] * self.alpha
    }
}

/// `y <- alpha J v`, with `y : n x 1` and `v : m x d`.
pub(crate) fn apply<T: Real>(layer: Layer<'_, T>, y: MatMut<'_, T>, v: MatRef<'_, T>, par: Par) {
    sum_over_chunks(layer, y, par, |first, part, x| {
        let neurons = layer.unit_chunk().min(layer.mask.width() - first);
        let blocks = 2 * neurons.div_ceil(GROUP);
        for columns in columns(v.ncols()) {
            let v = v.submatrix(first, columns.start, neurons, columns.len());
            with_tiles(blocks * PIECES * tiles(v.ncols()), |factors| {
                factor(factors, v, false, |r| layer.weight(first + r));
                let bits = (layer.mask, first / 64);
                apply_chunk(bits, part, factors, tiles(v.ncols()), x.from(columns.start));
            });
        }
    });
}

/// `v <- alpha J^T u`, with `u : n x 1` and `v : m x d`.
pub(crate) fn adjoint<T: Real>(layer: Layer<'_, T>, v: MatMut<'_, T>, u: MatRef<'_, T>, par: Par) {
    with_examples(layer, u, |factors| {
        for_each_row_chunk(v, layer.unit_chunk(), par, |first, mut v| {
            let (neurons, len) = (v.nrows(), SIDE * tiles(v.ncols()));
            f32::with_buffer(neurons.next_multiple_of(GROUP) * len, |w| {
                adjoint_chunks((layer.mask, first / 64), w, len, factors);
                for (r, w) in w.chunks_exact(len).take(neurons).enumerate() {
                    let weight = layer.weight(first + r);
                    let row = v.as_mut().row_mut(r);
                    row.iter_mut().zip(w).for_each(|(v, &w)| *v = weight * T::of(f64::from(w)));
                }
            });
        });
    });
}

/// `y <- alpha^2 J J^T u`, with `y, u : n x 1`, in one sweep over the neurons.
pub(crate) fn gram_apply<T: Real>(
    layer: Layer<'_, T>,
    y: MatMut<'_, T>,
    u: MatRef<'_, T>,
    par: Par,
) {
    with_examples(layer, u, |examples| {
        sum_over_chunks(layer, y, par, |first, part, x| {
            let neurons = layer.unit_chunk().min(layer.mask.width() - first);
            let (groups, len) = (neurons.div_ceil(GROUP), x.len);
            f32::with_buffer(groups * GROUP * len, |w| {
                let bits = (layer.mask, first / 64);
                adjoint_chunks(bits, w, len, examples);
                let w = MatRef::from_row_major_slice(&w[..neurons * len], neurons, len);
                let squared = |r: usize| {
                    let weight = layer.weight(first + r).as_f64() as f32;
                    weight * weight
                };
                for columns in columns(len) {
                    let (w, count) =
                        (w.subcols(columns.start, columns.len()), tiles(columns.len()));
                    with_tiles(2 * groups * PIECES * count, |factors| {
                        factor(factors, w, false, squared);
                        apply_chunk(bits, part, factors, count, x.from(columns.start));
                    });
                }
            });
        });
    });
}

/// Runs `body` on the factor of the examples, `u_i x_i`: [`COLUMNS`] after as many.
fn with_examples<T: Real>(layer: Layer<'_, T>, u: MatRef<'_, T>, body: impl FnOnce(&[Tile])) {
    let (n, d) = (layer.x.nrows(), layer.x.ncols());
    let blocks = n.div_ceil(DEEP);
    with_tiles(blocks * PIECES * tiles(d), |factors| {
        let each = factors.chunks_mut(blocks * PIECES * tiles(COLUMNS));
        for (factors, columns) in each.zip(columns(d)) {
            let x = layer.x.subcols(columns.start, columns.len());
            factor(factors, x, true, |i| u[(i, 0)]);
        }
        body(factors);
    });
}

/// `y <- sum over chunks`, in order, of what `chunk(first neuron, part, rows of x)` adds to `part`.
fn sum_over_chunks<T: Real>(
    layer: Layer<'_, T>,
    mut y: MatMut<'_, T>,
    par: Par,
    chunk: impl Fn(usize, &mut [f32], Numbers<'_>) + Sync + Send,
) {
    let (n, len) = (layer.x.nrows(), SIDE * tiles(layer.x.ncols()));
    let count = layer.mask.width().div_ceil(layer.unit_chunk());
    f32::with_buffer(n * (len + count), |buffer| {
        let (x, parts) = buffer.split_at_mut(n * len);
        copy_rows(x, layer.x, |_| T::of(1.0));
        let x = Numbers { values: x, len };
        for_each_part(parts, n, par, |c, part| {
            part.fill(0.0);
            chunk(c * layer.unit_chunk(), part, x);
        });
        for i in 0..n {
            let sum = (0..count).fold(0.0, |sum, c| sum + parts[c * n + i]);
            y[(i, 0)] = T::of(f64::from(sum));
        }
    });
}

/// `part <- part + sum over the neurons r of a chunk of M_ir (x_i . factor_r)`, with some columns of `x`, `count` tiles of
/// them; the chunk's bits begin at word `at` of the mask.
fn apply_chunk(
    (mask, at): (&PackedMask, usize),
    part: &mut [f32],
    factors: &[Tile],
    count: usize,
    x: Numbers<'_>,
) {
    let n = part.len();
    let words = factors.len() / (2 * PIECES * count);
    let block = if count == 1 { factors.len() } else { block_tiles(count) };
    let mut unit = Unit::new();
    let mut group =
        |bits: &mut [Words; GROUP], tiles: &mut [_], sums: &mut [Sums], first: usize| {
            copy_bits(&unit, bits, mask, first, (at, words));
            let after = first + GROUP;
            let mut ahead = Ahead::new(mask, after..after + GROUP, (at, words));
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

/// Copies words of the mask's rows from `first` on, `count` from word `at` on, as many rows as there are. Where there is
/// none any bits will do: sums of examples that there are not are not read, and factors of those are zero.
fn copy_bits(
    unit: &Unit,
    bits: &mut [Words],
    mask: &PackedMask,
    first: usize,
    (at, count): (usize, usize),
) {
    for (bits, i) in bits.iter_mut().zip(first..mask.nrows()) {
        unit.copy_words(bits, &mask.row(i)[at..at + count]);
    }
}

/// Tiles of a factor of [`BLOCK`] rows in `count` tiles of columns.
fn block_tiles(count: usize) -> usize {
    BLOCK / DEEP * PIECES * count
}

/// Blocks of [`DEEP`] rows that there is room for the bits of: with one tile of columns, they are used once.
fn room(count: usize) -> usize {
    if count == 1 { RING } else { BLOCK / DEEP }
}

/// `w_r <- sum over examples i of M_ir factor_i` for the neurons of a chunk, rows of `len` numbers, groups of whole words.
fn adjoint_chunks((mask, at): (&PackedMask, usize), w: &mut [f32], len: usize, factors: &[Tile]) {
    let each = factors.chunks(mask.nrows().div_ceil(DEEP) * PIECES * tiles(COLUMNS));
    with_words(BLOCK, |words| {
        for (factors, columns) in each.zip(columns(len)) {
            let (w, count) = (&mut w[columns.start..], tiles(columns.len()));
            adjoint_chunk((mask, at), (w, len), factors, count, words);
        }
    });
}

/// The same for some columns, `count` tiles of them, with room for the words of a block.
fn adjoint_chunk(
    (mask, at): (&PackedMask, usize),
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
                copy_bits(&unit, words, mask, b * BLOCK, (at, groups));
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
        simd::turn_sums(&mut tile);
        let (c, o) = (t / TILES, t % TILES);
        for (row, tile) in w.chunks_mut(len).skip(o * SIDE).zip(tile.chunks_exact(SIDE)) {
            row[c * SIDE..(c + 1) * SIDE].copy_from_slice(tile);
        }
    }
}
