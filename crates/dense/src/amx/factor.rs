//! Factors of products on the matrix unit: rows of numbers as tiles of their pieces.

use faer::{Par, RowRef};

use super::simd::{Tile, split_rows, turn};
use super::{BLOCK, DEEP, PIECES, SIDE, block_tiles, columns, tiles};
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

/// Tiles of rows of `d` columns, [`COLUMNS`] after as many; of these, [`BLOCK`] rows after as many, a column of tiles after the
/// other, each tile with its pieces. Across, the rows are columns of the tiles. Row `i` is `row(i)`, a row and what it is
/// multiplied by, or zeros.
pub(super) fn factor<'a, T: Real>(
    mut out: &mut [Tile],
    d: usize,
    across: bool,
    row: impl Fn(usize) -> Option<(RowRef<'a, T>, T)> + Sync + Send,
    par: Par,
) {
    let (all, len) = (out.len() / (PIECES * tiles(d)), SIDE * tiles(d));
    let mut tasks: Vec<_> = (0..all.div_ceil(BLOCK / DEEP)).map(|_| Vec::new()).collect();
    for columns in columns(d) {
        let count = tiles(columns.len());
        let (part, rest) = out.split_at_mut(all * PIECES * count);
        for (task, tiles) in tasks.iter_mut().zip(part.chunks_mut(block_tiles(count))) {
            task.push((columns.start, tiles.as_chunks_mut::<PIECES>().0));
        }
        out = rest;
    }
    for_each_task(tasks.into_iter().enumerate().collect(), par, |(b, mut pieces)| {
        let blocks = (all - b * BLOCK / DEEP).min(BLOCK / DEEP);
        f32::with_buffer(DEEP * len, |rows| {
            for at in 0..blocks {
                for (i, out) in (b * BLOCK + at * DEEP..).zip(rows.chunks_exact_mut(len)) {
                    match row(i) {
                        Some((row, weight)) => copy_row(out, row, weight),
                        None => out.fill(0.0),
                    }
                }
                for (column, out) in &mut pieces {
                    split_rows(&mut out[at..], blocks, &rows[*column..], len);
                    if across {
                        out[at..].iter_mut().step_by(blocks).flatten().for_each(turn);
                    }
                }
            }
        });
    });
}
