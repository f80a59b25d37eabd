//! Factors of products on the matrix unit: rows of numbers as tiles of their pieces.

use faer::{Par, RowRef};

use super::simd::{Tile, as_tiles, raise, split_rows};
use super::{BLOCK, DEEP, NUMBERS, PIECES, SIDE, block_tiles, columns, pieces, tiles};
use crate::Real;
use crate::parallel::for_each_task;

/// Rows of numbers, of whole tiles.
#[derive(Clone, Copy)]
pub(super) struct Numbers<'a> {
    pub(super) values: &'a [f32],
    /// Numbers from one row to the next.
    pub(super) len: usize,
}

impl Numbers<'_> {
    /// From column `first` on.
    pub(super) fn from(self, first: usize) -> Self {
        Self { values: &self.values[first..], ..self }
    }
}

/// Rows as tiles: [`COLUMNS`](super::COLUMNS) of their columns after as many; of these, [`BLOCK`] rows after as many, a column
/// of tiles after the other, each tile with its pieces.
#[derive(Clone, Copy)]
pub(super) struct Factor<'a> {
    pub(super) tiles: &'a [[Tile; PIECES]],
    /// What the numbers of each column are multiples of.
    pub(super) units: &'a [f32],
}

/// Copies a row, so many times, to one of whole tiles, zeros past its end.
pub(super) fn copy_row<T: Real>(out: &mut [f32], row: RowRef<'_, T>, weight: T) {
    let (out, rest) = out.split_at_mut(row.ncols());
    rest.fill(0.0);
    let single = |x: T| (weight * x).as_f64() as f32;
    match row.try_as_row_major() {
        Some(row) => out.iter_mut().zip(row.as_slice()).for_each(|(o, &x)| *o = single(x)),
        None => out.iter_mut().zip(row.iter()).for_each(|(o, &x)| *o = single(x)),
    }
}

/// Runs `body` on the factor of `blocks` blocks of rows of `d` columns. Row `i` is `row(i)`, a row and what it is multiplied
/// by, or zeros.
pub(super) fn with_factor<'a, T: Real, R>(
    blocks: usize,
    d: usize,
    row: impl Fn(usize) -> Option<(RowRef<'a, T>, T)> + Sync + Send,
    par: Par,
    body: impl FnOnce(Factor<'_>) -> R,
) -> R {
    let len = SIDE * tiles(d);
    let parts = blocks.div_ceil(BLOCK / DEEP);
    let count = blocks * PIECES * tiles(d);
    f32::with_buffer(count * NUMBERS + len * (parts + 1), |buffer| {
        let (buffer, units) = buffer.split_at_mut(count * NUMBERS);
        let (units, others) = units.split_at_mut(len);
        find_units(units, others, &row, par);
        let tiles = as_tiles(buffer).as_chunks_mut().0;
        write_tiles(tiles, d, &others[..len], &row, par);
        body(Factor { tiles, units })
    })
}

/// The units of the columns, and in the first of `others` their reciprocals; there is room for a row for each [`BLOCK`] rows.
fn find_units<'a, T: Real>(
    units: &mut [f32],
    others: &mut [f32],
    row: &(impl Fn(usize) -> Option<(RowRef<'a, T>, T)> + Sync + Send),
    par: Par,
) {
    let len = units.len();
    for_each_task(others.chunks_exact_mut(len).enumerate().collect(), par, |(b, largest)| {
        largest.fill(0.0);
        f32::with_buffer(len, |numbers| {
            for (of, weight) in (b * BLOCK..(b + 1) * BLOCK).filter_map(row) {
                copy_row(numbers, of, weight);
                raise(largest, numbers);
            }
        });
    });
    units.fill(0.0);
    others.chunks_exact(len).for_each(|largest| raise(units, largest));
    pieces::units(units, others);
}

fn write_tiles<'a, T: Real>(
    mut out: &mut [[Tile; PIECES]],
    d: usize,
    reciprocals: &[f32],
    row: &(impl Fn(usize) -> Option<(RowRef<'a, T>, T)> + Sync + Send),
    par: Par,
) {
    let (all, len) = (out.len() / tiles(d), SIDE * tiles(d));
    let mut tasks: Vec<_> = (0..all.div_ceil(BLOCK / DEEP)).map(|_| Vec::new()).collect();
    for columns in columns(d) {
        let count = tiles(columns.len());
        let (part, rest) = out.split_at_mut(all * count);
        for (task, tiles) in tasks.iter_mut().zip(part.chunks_mut(block_tiles(count))) {
            task.push((columns.start, tiles));
        }
        out = rest;
    }
    for_each_task(tasks.into_iter().enumerate().collect(), par, |(b, mut tiles)| {
        let blocks = (all - b * BLOCK / DEEP).min(BLOCK / DEEP);
        f32::with_buffer(DEEP * len, |rows| {
            for at in 0..blocks {
                for (i, out) in (b * BLOCK + at * DEEP..).zip(rows.chunks_exact_mut(len)) {
                    match row(i) {
                        Some((row, weight)) => copy_row(out, row, weight),
                        None => out.fill(0.0),
                    }
                }
                for (column, out) in &mut tiles {
                    let reciprocals = &reciprocals[*column..];
                    split_rows(&mut out[at..], blocks, &rows[*column..], len, reciprocals);
                }
            }
        });
    });
}
