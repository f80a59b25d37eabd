//! The products of a masked layer with one output, or few [classes](crate::classes), by table look-up: past the peak of the FMA
//! units.
//!
//! `J v` needs `x_i . (sum over active r of a_r v_r)`. A sum over a subset can be looked up (Arlazarov,
//! Dinic, Kronrod and Faradzev, 1970, "the four Russians"): for six neurons all 64 partial sums of their
//! `a_r v_r` are tabulated, and each example adds one row of the table, of length `d`, where a product
//! takes six multiply-adds of that length; `x_i` meets the whole sum. `J^T u` is the same with examples and
//! neurons exchanged. Eight tables work at a time, so that an index of 48 bits is one word and the sums stay
//! in registers.
//!
//! Work is cut into chunks of up to [`CHUNK`] neurons. `J v` of a chunk is a vector of its own, and these are
//! added in order, so no bit depends on the threads; `J J^T u` takes a chunk's `J^T u` to its `J v`
//! without storing it anywhere else.

mod index;
mod kernel;
mod reader;
mod simd;
#[cfg(target_arch = "x86_64")]
mod simd_columns;
#[cfg(target_arch = "x86_64")]
mod simd_wide;

use faer::{MatMut, MatRef, Par, RowRef};

use self::index::BATCH;
use self::kernel::VECTOR;
use self::reader::{Reader, Scratch, with_scratch};
use self::simd::{add_rows, by_columns, by_rows, dot_rows, row_bytes, scale_rows};
use crate::Real;
use crate::classes::{Chunk, Classed};
use crate::parallel::{for_each_part, for_each_task};

/// Most neurons of a task: a multiple of 64 (words of the mask) and of 8 x 48 (bits of eight indices).
const CHUNK: usize = 1536;

/// Tasks below which there are an even number of equal ones, smaller: long runs of a row of the mask are quicker to
/// read, but threads must have something to share.
const TASKS: usize = 8;

/// Fewest neurons of each of several tasks, but for the last: tables that are made for one must serve many more than
/// their 64 rows.
const LEAST: usize = 256;

/// Examples whose sums are under way at a time.
const ROWS: usize = 2048;

/// Rows that are packed by one task.
const TOGETHER: usize = 512;

/// Indices from one row of them to the next: no power of two, which a cache could hold few of.
const STRIDE: usize = ROWS + 8;

/// Rows whose bits become indices at a time.
const LINES: usize = 64;

/// Rows of the mask that are read at a time down columns: whole words and whole indices.
const COLUMNS: usize = 192;

/// Numbers of the longest row of a piece.
const LONGEST: usize = 4 * VECTOR;

/// A chunk's bits of one row of the mask.
type Words = [u64; CHUNK / 64];

/// Columns `first .. first + cols` of `x`, held as rows of `vectors` times [`VECTOR`] numbers.
#[derive(Clone, Copy)]
struct Piece {
    first: usize,
    cols: usize,
    vectors: usize,
    /// Numbers that the pieces before it take for each row.
    before: usize,
}

/// The pieces that `d` columns are cut into: as even as whole vectors allow, each of at most
/// [`row_bytes`].
fn pieces<T>(d: usize) -> impl Iterator<Item = Piece> + Clone {
    let vectors = d.div_ceil(VECTOR);
    let count = vectors.div_ceil((row_bytes() / VECTOR / size_of::<T>()).max(1));
    (0..count).map(move |p| {
        let (from, to) = (vectors * p / count, vectors * (p + 1) / count);
        let first = from * VECTOR;
        Piece { first, cols: (to * VECTOR).min(d) - first, vectors: to - from, before: first }
    })
}

/// `d` rounded up to whole vectors.
fn padded(d: usize) -> usize {
    d.next_multiple_of(VECTOR)
}

/// Rows of a matrix piece by piece: `rows x padded(d)`, each piece a block of its own, zeros where a
/// vector goes past the last column.
struct Packed<'a, T> {
    values: &'a [T],
    rows: usize,
}

impl<T: Real> Packed<'_, T> {
    fn piece(&self, piece: Piece) -> &[T] {
        let start = piece.before * self.rows;
        &self.values[start..start + piece.vectors * VECTOR * self.rows]
    }
}

/// Writes rows of `d` columns to `out`, packed: row `i` is `row(i)`, a row and what it is multiplied by, or zeros.
fn pack<'a, T: Real>(
    mut out: &mut [T],
    d: usize,
    row: impl Fn(usize) -> Option<(RowRef<'a, T>, T)> + Sync + Send,
    par: Par,
) {
    let count = out.len() / padded(d).max(1);
    let mut tasks: Vec<_> = (0..count.div_ceil(TOGETHER)).map(|_| Vec::new()).collect();
    for piece in pieces::<T>(d) {
        let len = piece.vectors * VECTOR;
        let (block, rest) = out.split_at_mut(len * count);
        for (task, rows) in tasks.iter_mut().zip(block.chunks_mut(len * TOGETHER)) {
            task.push((piece, rows.chunks_exact_mut(len)));
        }
        out = rest;
    }
    for_each_task(tasks.into_iter().enumerate().collect(), par, |(at, mut pieces)| {
        // All pieces of a row together: it is read once, from one end to the other.
        for i in (at * TOGETHER..count).take(TOGETHER) {
            let source = row(i).map(|(source, w)| (source, source.try_as_row_major(), w));
            for (piece, rows) in &mut pieces {
                let Some(target) = rows.next() else { return };
                let (target, rest) = target.split_at_mut(piece.cols);
                rest.fill(T::of(0.0));
                let columns = piece.first..piece.first + piece.cols;
                match source {
                    Some((_, Some(source), w)) => {
                        let source = &source.as_slice()[columns];
                        target.iter_mut().zip(source).for_each(|(t, &s)| *t = w * s);
                    }
                    Some((source, None, w)) => {
                        let source = source.subcols(piece.first, piece.cols);
                        target.iter_mut().zip(source.iter()).for_each(|(t, &s)| *t = w * s);
                    }
                    None => target.fill(T::of(0.0)),
                }
            }
        }
    });
}

impl<T: Real> Classed<'_, T> {
    /// All neurons, in the chunks that are tasks.
    fn tasks(&self) -> Vec<Chunk> {
        let width = self.mask.width();
        let most = if (2 * LEAST..TASKS * CHUNK).contains(&width) {
            let tasks = 2 * width.div_ceil(CHUNK);
            width.div_ceil(tasks).next_multiple_of(64).max(LEAST)
        } else {
            CHUNK
        };
        self.chunks(most, 8 * BATCH)
    }

    /// `y <- alpha J v`, with `y : n x K` and `v : m x d`.
    pub(crate) fn apply(&self, y: MatMut<'_, T>, v: MatRef<'_, T>, par: Par) {
        let (n, d) = (self.x.nrows(), self.x.ncols());
        self.sum_over_chunks(y, par, |chunks, parts, x| {
            for_each_part(parts, n, par, |c, part| {
                let chunk = &chunks[c];
                T::with_buffer(chunk.len() * padded(d), |w| {
                    let row = |r: usize| Some((v.row(r), self.weight(chunk.class, r)));
                    pack(w, d, |at| chunk.neuron(at).and_then(row), Par::Seq);
                    self.apply_chunk(part, chunk, w, x);
                });
            });
        });
    }

    /// `v <- alpha J^T u`, with `u : n x K` and `v : m x d`.
    pub(crate) fn adjoint(&self, v: MatMut<'_, T>, u: MatRef<'_, T>, par: Par) {
        let (n, d) = (self.x.nrows(), self.x.ncols());
        let chunks = self.tasks();
        T::with_buffer(n * (padded(d) + self.count()), |buffer| {
            let (x, residuals) = buffer.split_at_mut(n * padded(d));
            self.pack_examples(x, par);
            self.residuals(residuals, u, par);
            let x = &Packed { values: x, rows: n };
            let rows = Self::split_rows(v, &chunks);
            for_each_task(chunks.iter().zip(rows).collect(), par, |(chunk, mut v)| {
                let count = chunk.len();
                T::with_buffer(count * padded(d), |w| {
                    self.adjoint_chunk(w, chunk, x, &residuals[chunk.class * n..][..n]);
                    for piece in pieces::<T>(d) {
                        let len = piece.vectors * VECTOR;
                        let block = &w[piece.before * count..][..len * count];
                        for (part, v) in chunk.parts().iter().zip(&mut v) {
                            let sums = block.chunks_exact(len).skip(part.rows().start);
                            let rows = v.as_mut().row_iter_mut().zip(sums);
                            for ((v, sums), r) in rows.zip(part.neurons()) {
                                let a = self.weight(chunk.class, r);
                                let v = v.subcols_mut(piece.first, piece.cols);
                                v.iter_mut().zip(sums).for_each(|(v, &s)| *v = a * s);
                            }
                        }
                    }
                });
            });
        });
    }

    /// `y <- alpha^2 J J^T u`, with `y, u : n x K`, in one sweep over the neurons.
    pub(crate) fn gram_apply(&self, y: MatMut<'_, T>, u: MatRef<'_, T>, par: Par) {
        let (n, d) = (self.x.nrows(), self.x.ncols());
        self.sum_over_chunks(y, par, |chunks, parts, x| {
            T::with_buffer(n * self.count(), |residuals| {
                self.residuals(residuals, u, par);
                for_each_part(parts, n, par, |c, part| {
                    let (chunk, count) = (&chunks[c], chunks[c].len());
                    T::with_buffer(count * padded(d), |w| {
                        self.adjoint_chunk(w, chunk, x, &residuals[chunk.class * n..][..n]);
                        for piece in pieces::<T>(d) {
                            let len = piece.vectors * VECTOR;
                            let block = &mut w[piece.before * count..][..len * count];
                            for (at, row) in block.chunks_exact_mut(len).enumerate() {
                                let a = chunk.neuron(at).map(|r| self.weight(chunk.class, r));
                                let squared = a.map_or(T::of(0.0), |a| a * a);
                                for entry in row {
                                    *entry *= squared;
                                }
                            }
                        }
                        self.apply_chunk(part, chunk, w, x);
                    });
                });
            });
        });
    }

    fn pack_examples(&self, out: &mut [T], par: Par) {
        pack(out, self.x.ncols(), |i| Some((self.x.row(i), T::of(1.0))), par);
    }

    /// `y <- sum over chunks`, in order, of what `body(chunks, parts, packed x)` writes to their parts.
    fn sum_over_chunks(
        &self,
        y: MatMut<'_, T>,
        par: Par,
        body: impl FnOnce(&[Chunk], &mut [T], &Packed<'_, T>),
    ) {
        let (n, width) = (self.x.nrows(), padded(self.x.ncols()));
        let chunks = self.tasks();
        T::with_buffer(n * (width + chunks.len()), |buffer| {
            let (x, parts) = buffer.split_at_mut(n * width);
            self.pack_examples(x, par);
            body(&chunks, parts, &Packed { values: x, rows: n });
            self.combine(y, &chunks, parts);
        });
    }

    /// `part <- sum over the neurons r of the chunk of M_ir (x_i . w_r)`.
    fn apply_chunk(&self, part: &mut [T], chunk: &Chunk, w: &[T], x: &Packed<'_, T>) {
        let w = &Packed { values: w, rows: chunk.len() };
        let batches = w.rows.div_ceil(BATCH).next_multiple_of(8);
        with_scratch(|Scratch { across, words, .. }| {
            let indices = &mut across.as_chunks_mut().0[..batches];
            let mut reader = Reader::new(self.mask, chunk, &mut words[..LINES], false);
            for (block, part) in part.chunks_mut(ROWS).enumerate() {
                let (from, rows) = (block * ROWS, part.len());
                for at in (0..rows).step_by(LINES) {
                    by_rows(indices, at, reader.next(LINES.min(rows - at)));
                }
                T::with_buffer(rows * VECTOR, |sums| {
                    sums.fill(T::of(0.0));
                    let sums = sums.as_chunks_mut::<VECTOR>().0;
                    for piece in pieces::<T>(self.x.ncols()) {
                        let len = piece.vectors * VECTOR;
                        let x = &x.piece(piece)[from * len..(from + rows) * len];
                        let w = w.piece(piece).chunks(BATCH * len);
                        // The sums over active neurons of the whole chunk, before they meet the example.
                        T::with_buffer(rows * len, |active| {
                            active.fill(T::of(0.0));
                            for (w, indices) in w.zip(&*indices) {
                                add_rows(piece.vectors, active, w, &indices[..rows], &mut reader);
                            }
                            dot_rows(piece.vectors, sums, active, x);
                        });
                    }
                    for (p, lanes) in part.iter_mut().zip(&*sums) {
                        let [a, b, c, d, e, f, g, h] = *lanes;
                        *p = ((a + e) + (b + f)) + ((c + g) + (d + h));
                    }
                });
            }
        });
    }

    /// `w_r <- sum over examples i of M_ir u_i x_i` for the neurons of a chunk, packed.
    fn adjoint_chunk(&self, w: &mut [T], chunk: &Chunk, x: &Packed<'_, T>, u: &[T]) {
        let neurons = chunk.len();
        w.fill(T::of(0.0));
        let mut weighted = [T::of(0.0); BATCH * LONGEST];
        with_scratch(|Scratch { down, words, .. }| {
            let indices = down.first_chunk_mut().expect("room for so many rows");
            let mut reader = Reader::new(self.mask, chunk, words, true);
            for from in (0..x.rows).step_by(COLUMNS) {
                let rows = COLUMNS.min(x.rows - from);
                let words = reader.next(COLUMNS).first_chunk().expect("that many");
                by_columns(indices, words, neurons.div_ceil(64));
                for piece in pieces::<T>(self.x.ncols()) {
                    let len = piece.vectors * VECTOR;
                    let x = &x.piece(piece)[from * len..(from + rows) * len];
                    let u = u[from..from + rows].chunks(BATCH);
                    let w = &mut w[piece.before * neurons..][..len * neurons];
                    for ((x, u), indices) in x.chunks(BATCH * len).zip(u).zip(indices.iter()) {
                        let weighted = &mut weighted[..x.len()];
                        scale_rows(piece.vectors, weighted, x, u);
                        add_rows(piece.vectors, w, weighted, &indices[..neurons], &mut reader);
                    }
                }
            }
        });
    }
}
