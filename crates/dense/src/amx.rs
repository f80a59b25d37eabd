//! The products of a masked layer with one output, or few [classes](crate::classes), on the matrix unit (Intel AMX), in `f32`.
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

mod chunk;
mod factor;
mod pieces;
mod simd;
#[cfg(test)]
mod tests;

use std::ops::Range;

use faer::{MatMut, MatRef, Par};

use self::chunk::{adjoint_chunks, apply_all};
use self::factor::{Numbers, copy_row, factor};
use self::simd::Tile;
use crate::Real;
use crate::classes::{Chunk, Classed};
use crate::parallel::{for_each_part, for_each_task};
use crate::simd::Level;

pub(crate) use self::simd::{Buffers, Unit, counts_bytes, permitted};

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
    BLOCK / DEEP * PIECES * count
}

/// Sums of which each takes every sixteenth term.
type Lanes = [f32; SIDE];

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
    let write = |(chunk, mut v): (&Chunk, Vec<MatMut<'_, T>>), factors: &[Tile]| {
        f32::with_buffer(chunk.len().next_multiple_of(GROUP) * len, |w| {
            adjoint_chunks(layer.mask, chunk, w, len, factors);
            for (part, v) in chunk.parts().iter().zip(&mut v) {
                let sums = w.chunks_exact(len).skip(part.rows().start);
                for ((v, w), r) in v.as_mut().row_iter_mut().zip(sums).zip(part.neurons()) {
                    let weight = layer.weight(chunk.class, r);
                    v.iter_mut().zip(w).for_each(|(v, &w)| *v = weight * T::of(f64::from(w)));
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
            with_examples(layer, residual, within, |factors| {
                for_each_task(tasks, within, |task| write(task, factors));
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
    examples: &[Tile],
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
    body: impl FnOnce(&[Tile]),
) {
    let blocks = layer.x.nrows().div_ceil(DEEP);
    with_tiles(blocks * PIECES * tiles(layer.x.ncols()), |factors| {
        let row = |i: usize| residual.get(i).map(|&u| (layer.x.row(i), u));
        factor(factors, layer.x.ncols(), true, row, par);
        body(factors);
    });
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
