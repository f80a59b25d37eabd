//! The products of a masked layer with one output, or few [classes](crate::classes), on the matrix unit (Intel AMX), in `f32`.
//!
//! The unit multiplies tiles of bytes, 16 x 64 by 64 x 16, and adds to sums of whole numbers: 32 times the work of the FMA units in
//! the same time. Entries of the mask are bytes 0 or 1. The numbers of a column of the other factor are rounded to
//! multiples of a unit, a power of two, that are three bytes each: the largest number of a column is 2^22 to 2^23 units, so what
//! is multiplied is off by at most about a 2^23th of it. Sums of multiples are exact within a chunk of neurons or a round of
//! examples, where sums in `f32` round every term; those of chunks and rounds are added in `f32`. So the error of a sum of `t` terms is at
//! most some `t 2^-23` times the largest number of the column, whether that is one of them or not: numbers that are small beside
//! it have fewer digits, as have those of a column whose largest is below some 5e-32. A number that is not finite makes all sums of
//! its column so.
//!
//! Both products sum rows `s` of a factor where the mask tells,
//!
//! `sums_oc = sum over s of M_so v_sc`,
//!
//! over neurons for the examples `o` of `J v`, whose bits lie side by side in the mask, and over examples for the neurons `o` of
//! `J^T u`, whose bits are turned first, 64 x 64 at a time, of [`ROUND`] examples. Words become tiles [`RING`] blocks at a time,
//! in a first-level cache, or where several tiles of columns use them [`BLOCK`] rows at a time. A task is a chunk of neurons, and
//! their sums are added in order, as in [`tabulated`](crate::tabulated).

mod chunk;
mod factor;
mod pieces;
mod simd;
#[cfg(test)]
mod tests;

use std::ops::Range;

use faer::{MatMut, MatRef, Par};

use self::chunk::{adjoint_chunks, apply_all};
use self::factor::{Factor, Numbers, copy_row, with_factor};
use self::simd::Tile;
use crate::Real;
use crate::classes::{Chunk, Classed};
use crate::parallel::{for_each_part, for_each_task};
use crate::simd::Level;

pub(crate) use self::simd::{Buffers, Unit, permitted};

/// Rows and columns of a tile of sums.
const SIDE: usize = 16;

/// Rows that a product of two tiles sums over.
const DEEP: usize = 64;

/// Numbers of a tile of sums, and fours of bytes in one of factors.
const NUMBERS: usize = SIDE * SIDE;

/// Tiles that a factor in `f32` takes.
const PIECES: usize = 3;

/// Outputs that share copies of the mask's bits, as many as a word has; the tiles that they are, and those whose sums are under
/// way at a time.
const GROUP: usize = 64;
const TILES: usize = GROUP / SIDE;
const PAIR: usize = 2;

/// Columns that are gone through before the mask is read again: their factors and sums stay in a second-level cache.
const COLUMNS: usize = 64;

/// Rows whose bits are tiles at a time, where these are used for several tiles of columns.
const BLOCK: usize = 512;

/// Examples whose bits are turned at a time.
const ROUND: usize = 3 * BLOCK;

/// Blocks of [`DEEP`] rows whose bits are tiles at a time, where they are used once.
const RING: usize = 4;

/// Most words of a chunk of neurons, and most where there are more than `FEW` columns, whose factors and sums take more of
/// a second-level cache.
const WORDS: usize = 48;
const FEWER: usize = 24;
const FEW: usize = 32;

/// Tasks below which there are smaller ones, and fewest neurons that these may have at most.
const TASKS: usize = 8;
const LEAST: usize = 256;

/// A chunk's bits of a row of the mask.
type Words = [u64; WORDS];

/// Whether the unit is there, and worth it: as for look-up, tiles of bits must serve many rows.
pub(crate) fn suits<T: Real>(layer: &Classed<'_, T>) -> bool {
    T::NAME == "f32" && layer.x.ncols() > 0 && Level::Amx.on()
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

/// Tiles of a factor of [`BLOCK`] rows in `count` tiles of columns.
fn block_tiles(count: usize) -> usize {
    BLOCK / DEEP * count
}

impl<T: Real> Classed<'_, T> {
    /// All neurons, in the chunks that are tasks: as many for each of several where there are few, as threads must have
    /// something to share.
    fn unit_tasks(&self) -> Vec<Chunk> {
        let each = self.mask.width().div_ceil(TASKS).next_multiple_of(GROUP);
        let most = GROUP * if self.x.ncols() > FEW { FEWER } else { WORDS };
        self.chunks(each.clamp(LEAST, most), GROUP)
    }

    /// How the work on a class is shared, where that on classes is by `par`: not at all if these are many.
    fn within(&self, par: Par) -> Par {
        if self.count() < TASKS { par } else { Par::Seq }
    }
}

/// `y <- alpha J v`, with `y : n x K` and `v : m x d`.
pub(crate) fn apply<T: Real>(layer: &Classed<'_, T>, y: MatMut<'_, T>, v: MatRef<'_, T>, par: Par) {
    sum_over_chunks(layer, y, par, |chunks, parts, x| {
        for_each_part(parts, layer.x.nrows(), par, |c, part| {
            let chunk = &chunks[c];
            let weighted = |r: usize| Some((v.row(r), layer.weight(chunk.class, r)));
            apply_all(layer.mask, chunk, part, x, v.ncols(), |at| {
                chunk.neuron(at).and_then(weighted)
            });
        });
    });
}

/// `v <- alpha J^T u`, with `u : n x K` and `v : m x d`.
pub(crate) fn adjoint<T: Real>(
    layer: &Classed<'_, T>,
    v: MatMut<'_, T>,
    u: MatRef<'_, T>,
    par: Par,
) {
    let len = SIDE * tiles(layer.x.ncols());
    let (chunks, within) = (layer.unit_tasks(), layer.within(par));
    let mut rows = Classed::split_rows(v, &chunks).into_iter();
    let write = |(chunk, mut v): (&Chunk, Vec<MatMut<'_, T>>), factor: Factor<'_>| {
        f32::with_buffer(chunk.len().next_multiple_of(GROUP) * len, |w| {
            adjoint_chunks(layer.mask, chunk, w, len, factor);
            for (part, v) in chunk.parts().iter().zip(&mut v) {
                let sums = w.chunks_exact(len).skip(part.rows().start);
                for ((mut v, w), r) in v.as_mut().row_iter_mut().zip(sums).zip(part.neurons()) {
                    let weight = layer.weight(chunk.class, r);
                    let scaled = |(v, w): (&mut T, &f32)| *v = weight * T::of(f64::from(*w));
                    match v.as_mut().try_as_row_major_mut() {
                        Some(v) => v.as_slice_mut().iter_mut().zip(w).for_each(scaled),
                        None => v.iter_mut().zip(w).for_each(scaled),
                    }
                }
            }
        });
    };
    with_residuals(layer, u, par, |residuals| {
        let classes = chunks.chunk_by(|a, b| a.class == b.class);
        let tasks = classes.zip(residuals.chunks_exact(u.nrows())).map(|(own, residual)| {
            let tasks: Vec<_> = own.iter().zip(&mut rows).collect();
            (tasks, residual)
        });
        for_each_task(tasks.collect(), par, |(tasks, residual)| {
            with_examples(layer, residual, within, |factor| {
                for_each_task(tasks, within, |task| write(task, factor));
            });
        });
    });
}

/// `y <- alpha^2 J J^T u`, with `y, u : n x K`, in one sweep over the neurons.
pub(crate) fn gram_apply<T: Real>(
    layer: &Classed<'_, T>,
    y: MatMut<'_, T>,
    u: MatRef<'_, T>,
    par: Par,
) {
    let (n, within) = (layer.x.nrows(), layer.within(par));
    sum_over_chunks(layer, y, par, |chunks, parts, x| {
        let classes = chunks.chunk_by(|a, b| a.class == b.class);
        with_residuals(layer, u, par, |residuals| {
            let mut rest = parts;
            let tasks = classes.zip(residuals.chunks_exact(n)).map(|(own, residual)| {
                let (of_class, others) = std::mem::take(&mut rest).split_at_mut(own.len() * n);
                rest = others;
                (own, of_class, residual)
            });
            for_each_task(tasks.collect(), par, |(own, of_class, residual)| {
                with_examples(layer, residual, within, |examples| {
                    for_each_part(of_class, n, within, |c, part| {
                        sweep_chunk(layer, &own[c], part, examples, x);
                    });
                });
            });
        });
    });
}

/// `part <- part + alpha^2 J J^T` of a chunk of neurons and what `examples` holds.
fn sweep_chunk<T: Real>(
    layer: &Classed<'_, T>,
    chunk: &Chunk,
    part: &mut [f32],
    examples: Factor<'_>,
    x: Numbers<'_>,
) {
    let (len, count) = (x.len, chunk.len().next_multiple_of(GROUP));
    f32::with_buffer(count * len, |w| {
        adjoint_chunks(layer.mask, chunk, w, len, examples);
        let w = MatRef::from_row_major_slice(&*w, count, len);
        let squared = |at: usize| {
            let weight = layer.weight(chunk.class, chunk.neuron(at)?).as_f64() as f32;
            Some((w.row(at), weight * weight))
        };
        apply_all(layer.mask, chunk, part, x, len, squared);
    });
}

/// Runs `body` on what each class has in place of the residual.
fn with_residuals<T: Real>(
    layer: &Classed<'_, T>,
    u: MatRef<'_, T>,
    par: Par,
    body: impl FnOnce(&[T]),
) {
    T::with_buffer(u.nrows() * layer.count(), |residuals| {
        layer.residuals(residuals, u, par);
        body(residuals);
    });
}

/// Runs `body` on the factor of the examples, `x_i` times what a class has in place of the residual: [`COLUMNS`] after as
/// many.
fn with_examples<T: Real>(
    layer: &Classed<'_, T>,
    residual: &[T],
    par: Par,
    body: impl FnOnce(Factor<'_>),
) {
    let row = |i: usize| residual.get(i).map(|&u| (layer.x.row(i), u));
    with_factor(layer.x.nrows().div_ceil(DEEP), layer.x.ncols(), row, par, body);
}

/// `y <- sum over chunks`, in order, of what `body(chunks, parts, rows of x)` adds to their parts.
fn sum_over_chunks<T: Real>(
    layer: &Classed<'_, T>,
    y: MatMut<'_, T>,
    par: Par,
    body: impl FnOnce(&[Chunk], &mut [f32], Numbers<'_>),
) {
    let (n, len) = (layer.x.nrows(), SIDE * tiles(layer.x.ncols()));
    let chunks = layer.unit_tasks();
    f32::with_buffer(n * (len + chunks.len()), |buffer| {
        let (x, parts) = buffer.split_at_mut(n * len);
        for (i, out) in x.chunks_exact_mut(len).enumerate() {
            copy_row(out, layer.x.row(i), T::of(1.0));
        }
        for_each_part(parts, n, par, |_, part| part.fill(0.0));
        body(&chunks, parts, Numbers { values: x, len });
        layer.combine(y, &chunks, parts);
    });
}
