//! The products of a masked layer with one output by table look-up: past the peak of the FMA units.
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

use faer::{MatMut, MatRef, Par};

use self::index::BATCH;
use self::kernel::VECTOR;
use self::reader::{Reader, Scratch, with_scratch};
use self::simd::{add_rows, by_columns, by_rows, dot_rows, row_bytes};
use crate::Real;
use crate::layer::Layer;
use crate::parallel::{for_each_col_chunk, for_each_row_chunk};

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

/// Indices from one row of them to the next: no power of two, which a cache could hold few of.
const STRIDE: usize = ROWS + 8;

/// Rows whose bits become indices at a time.
const LINES: usize = 64;

/// Rows of the mask that are read at a time down columns: whole words and whole indices.
const COLUMNS: usize = 192;

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

/// Writes `weight(i) row i` of `a` to `out`, packed.
fn pack<T: Real>(out: &mut [T], a: MatRef<'_, T>, weight: impl Fn(usize) -> T) {
    for piece in pieces::<T>(a.ncols()) {
        let len = piece.vectors * VECTOR;
        let block = &mut out[piece.before * a.nrows()..][..len * a.nrows()];
        for (i, row) in block.chunks_exact_mut(len).enumerate() {
            let w = weight(i);
            let source = a.row(i).subcols(piece.first, piece.cols);
            if let Some(source) = source.try_as_row_major() {
                row.iter_mut().zip(source.as_slice()).for_each(|(r, &s)| *r = w * s);
            } else {
                row.iter_mut().zip(source.iter()).for_each(|(r, &s)| *r = w * s);
            }
            row[piece.cols..].fill(T::of(0.0));
        }
    }
}

impl<T: Real> Layer<'_, T> {
    /// Whether look-up pays: a table of 64 rows must serve many more than 64 examples and neurons.
    pub(crate) fn suits(&self) -> bool {
        self.signs.ncols() == 1 && self.mask.nrows() >= 128 && self.mask.width() >= 128
    }

    /// Neurons of a task.
    fn chunk(&self) -> usize {
        let width = self.mask.width();
        if !(2 * LEAST..TASKS * CHUNK).contains(&width) {
            return CHUNK;
        }
        let tasks = 2 * width.div_ceil(CHUNK);
        width.div_ceil(tasks).next_multiple_of(64).max(LEAST)
    }

    /// `y <- alpha J v`, with `y : n x 1` and `v : m x d`.
    pub(crate) fn apply(&self, y: MatMut<'_, T>, v: MatRef<'_, T>, par: Par) {
        let width = padded(self.x.ncols());
        self.sum_over_chunks(y, par, |first, part, x| {
            let neurons = self.chunk().min(self.mask.width() - first);
            T::with_buffer(neurons * width, |w| {
                let v = v.subrows(first, neurons);
                pack(w, v, |r| self.signs[(first + r, 0)] * self.alpha);
                self.apply_chunk(part, first, &Packed { values: w, rows: neurons }, x);
            });
        });
    }

    /// `v <- alpha J^T u`, with `u : n x 1` and `v : m x d`.
    pub(crate) fn adjoint(&self, v: MatMut<'_, T>, u: MatRef<'_, T>, par: Par) {
        let (n, width) = (self.x.nrows(), padded(self.x.ncols()));
        T::with_buffer(n * width, |x| {
            pack(x, self.x, |i| u[(i, 0)]);
            let x = &Packed { values: x, rows: n };
            for_each_row_chunk(v, self.chunk(), par, |first, mut v| {
                let neurons = v.nrows();
                T::with_buffer(neurons * width, |w| {
                    self.adjoint_chunk(w, first, neurons, x);
                    for piece in pieces::<T>(self.x.ncols()) {
                        let len = piece.vectors * VECTOR;
                        let block = &w[piece.before * neurons..][..len * neurons];
                        for (r, row) in block.chunks_exact(len).enumerate() {
                            let a = self.signs[(first + r, 0)] * self.alpha;
                            let target = v.as_mut().row_mut(r).subcols_mut(piece.first, piece.cols);
                            target.iter_mut().zip(row).for_each(|(t, &s)| *t = a * s);
                        }
                    }
                });
            });
        });
    }

    /// `y <- alpha^2 J J^T u`, with `y, u : n x 1`, in one sweep over the neurons.
    pub(crate) fn gram_apply(&self, y: MatMut<'_, T>, u: MatRef<'_, T>, par: Par) {
        let (n, width) = (self.x.nrows(), padded(self.x.ncols()));
        T::with_buffer(n * width, |weighted| {
            pack(weighted, self.x, |i| u[(i, 0)]);
            let weighted = &Packed { values: weighted, rows: n };
            self.sum_over_chunks(y, par, |first, part, x| {
                let neurons = self.chunk().min(self.mask.width() - first);
                T::with_buffer(neurons * width, |w| {
                    self.adjoint_chunk(w, first, neurons, weighted);
                    for piece in pieces::<T>(self.x.ncols()) {
                        let len = piece.vectors * VECTOR;
                        let block = &mut w[piece.before * neurons..][..len * neurons];
                        for (r, row) in block.chunks_exact_mut(len).enumerate() {
                            let a = self.signs[(first + r, 0)] * self.alpha;
                            for entry in row {
                                *entry *= a * a;
                            }
                        }
                    }
                    self.apply_chunk(part, first, &Packed { values: w, rows: neurons }, x);
                });
            });
        });
    }

    /// `y <- sum over chunks`, in order, of what `chunk(first neuron, part, packed x)` writes to `part`.
    fn sum_over_chunks(
        &self,
        mut y: MatMut<'_, T>,
        par: Par,
        chunk: impl Fn(usize, &mut [T], &Packed<'_, T>) + Sync + Send,
    ) {
        let (n, width) = (self.x.nrows(), padded(self.x.ncols()));
        let count = self.mask.width().div_ceil(self.chunk());
        T::with_buffer(n * (width + count), |buffer| {
            let (x, parts) = buffer.split_at_mut(n * width);
            pack(x, self.x, |_| T::of(1.0));
            let x = &Packed { values: x, rows: n };
            let columns = MatMut::from_column_major_slice_mut(parts, n, count);
            for_each_col_chunk(columns, 1, par, |c, part| {
                let part = part.col_mut(0).try_as_col_major_mut();
                chunk(
                    c * self.chunk(),
                    part.expect("a column of a packed matrix").as_slice_mut(),
                    x,
                );
            });
            for i in 0..n {
                y[(i, 0)] = (0..count).fold(T::of(0.0), |sum, c| sum + parts[c * n + i]);
            }
        });
    }

    /// `part <- sum over the neurons r of the chunk of M_ir (x_i . w_r)`.
    fn apply_chunk(&self, part: &mut [T], first: usize, w: &Packed<'_, T>, x: &Packed<'_, T>) {
        let batches = w.rows.div_ceil(BATCH).next_multiple_of(8);
        with_scratch(|Scratch { across, words, .. }| {
            let indices = &mut across.as_chunks_mut().0[..batches];
            let mut reader = Reader::new(self.mask, first / 64, &mut words[..LINES], false);
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

    /// `w_r <- sum over examples i of M_ir x_i` for the neurons of a chunk, packed; `x` holds
    /// `u_i x_i`.
    fn adjoint_chunk(&self, w: &mut [T], first: usize, neurons: usize, x: &Packed<'_, T>) {
        w.fill(T::of(0.0));
        with_scratch(|Scratch { down, words, .. }| {
            let indices = down.first_chunk_mut().expect("room for so many rows");
            let mut reader = Reader::new(self.mask, first / 64, words, true);
            for from in (0..x.rows).step_by(COLUMNS) {
                let rows = COLUMNS.min(x.rows - from);
                let words = reader.next(COLUMNS).first_chunk().expect("that many");
                by_columns(indices, words, neurons.div_ceil(64));
                for piece in pieces::<T>(self.x.ncols()) {
                    let len = piece.vectors * VECTOR;
                    let x = &x.piece(piece)[from * len..(from + rows) * len];
                    let w = &mut w[piece.before * neurons..][..len * neurons];
                    for (x, indices) in x.chunks(BATCH * len).zip(indices.iter()) {
                        add_rows(piece.vectors, w, x, &indices[..neurons], &mut reader);
                    }
                }
            }
        });
    }
}
