//! Triangular solves with a few right-hand sides, at the speed at which the factor can be read or
//! multiplied by.
//!
//! A factor and its transpose lie in the two triangles of one square matrix, column by column, so
//! that `L x = b` and `L^T x = b` are the same computation: once a block of [`BLOCK`] unknowns is
//! known, their columns are subtracted from all rows that are left, a tile of rows (a line of the
//! cache) at a time whose sums stay in registers. Inside a block the same is done tile by tile, and
//! inside a tile by substitution: nothing is inverted but the numbers on the diagonal, so the bounds
//! of plain substitution hold.
//!
//! Every entry of the solution is computed by the same operations in the same order, whatever the
//! number of threads, and of columns if there are 2 to 255; one alone has a kernel of its own, and more
//! are left to faer, whose products of matrices are quicker than single tiles then.

mod simd;
mod single_simd;

use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::parallel::fixed_par;
use crate::{Real, for_each_col_chunk};

/// Unknowns whose columns are subtracted together: a tile's part of them stays in the first-level
/// cache while all right-hand sides take their turns.
const BLOCK: usize = 64;

/// Most right-hand sides that are solved together: a block of their unknowns fits into a cache, and
/// more of them would not make the reading of the factor cheaper.
const TOGETHER: usize = 64;

/// Right-hand sides from which faer's solves are quicker.
const MANY: usize = 256;

/// Multiplications in a task that is worth another thread.
const TASK: usize = 1 << 17;

/// Bytes of a square below which a single right-hand side is solved from one triangle: half of it stays
/// in a cache, where the whole would not; from memory both ways read the same.
const CACHED: usize = 64 << 20;

/// Which triangle of the square is solved with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The lower one, from the first unknown on.
    Lower,
    /// The upper one, from the last unknown on.
    Upper,
}

/// A matrix with a lower triangular factor below its diagonal and the factor's transpose above.
#[derive(Clone, Debug)]
pub(crate) struct Square<T> {
    entries: Mat<T>,
    reciprocals: Vec<T>,
}

impl<T: Real> Square<T> {
    /// Takes a matrix whose two triangles are one another's transposes, with no zero between them.
    pub(crate) fn new(entries: Mat<T>) -> Self {
        let reciprocals = (0..entries.nrows()).map(|i| T::of(1.0) / entries[(i, i)]).collect();
        Self { entries, reciprocals }
    }

    /// The matrix.
    pub(crate) fn entries(&self) -> MatRef<'_, T> {
        self.entries.as_ref()
    }

    /// Gives the matrix back.
    pub(crate) fn into_entries(self) -> Mat<T> {
        self.entries
    }

    /// Dimension `n`.
    pub(crate) fn dim(&self) -> usize {
        self.entries.nrows()
    }

    /// Solves with one triangle after another: `x : n x k`, at `n^2 k` flops each.
    ///
    /// # Panics
    /// If `x` has not `n` rows.
    pub(crate) fn solve_in_place(&self, sides: &[Side], x: MatMut<'_, T>, par: Par) {
        assert_eq!(x.nrows(), self.dim(), "a right-hand side has a row for each unknown");
        if x.ncols() == 1 && self.dim().pow(2) * size_of::<T>() <= CACHED {
            return self.solve_one(sides, x);
        }
        if x.ncols() >= MANY {
            return self.solve_many(sides, x, par);
        }
        for_each_col_chunk(x, TOGETHER, par, |_, x| {
            if size_of::<T>() == 4 {
                self.solve_tiled::<16>(sides, x, par);
            } else {
                self.solve_tiled::<8>(sides, x, par);
            }
        });
    }

    /// For so many columns that products are all that counts, with faer's.
    fn solve_many(&self, sides: &[Side], mut x: MatMut<'_, T>, par: Par) {
        for side in sides {
            match side {
                Side::Lower => {
                    solve_lower_triangular_in_place(self.entries(), x.as_mut(), fixed_par(par));
                }
                Side::Upper => {
                    solve_upper_triangular_in_place(self.entries(), x.as_mut(), fixed_par(par));
                }
            }
        }
    }

    /// For `x : n x 1`.
    fn solve_one(&self, sides: &[Side], mut x: MatMut<'_, T>) {
        T::with_buffer(self.dim(), |buffer| {
            buffer.iter_mut().zip(x.as_ref().col(0).iter()).for_each(|(b, &x)| *b = x);
            for side in sides {
                match side {
                    Side::Lower => single_simd::forward(self.entries(), &self.reciprocals, buffer),
                    Side::Upper => single_simd::backward(self.entries(), &self.reciprocals, buffer),
                }
            }
            x.as_mut().col_mut(0).iter_mut().zip(&*buffer).for_each(|(x, &b)| *x = b);
        });
    }

    /// With tiles of `V` rows, which is a line of the cache.
    fn solve_tiled<const V: usize>(&self, sides: &[Side], mut x: MatMut<'_, T>, par: Par) {
        let (n, k) = (self.dim(), x.ncols());
        T::with_buffer(n.next_multiple_of(V) * k, |buffer| {
            let (tiles, _) = buffer.as_chunks_mut::<V>();
            for (t, tile) in tiles.chunks_exact_mut(k.max(1)).enumerate() {
                for (q, lanes) in tile.iter_mut().enumerate() {
                    for (l, lane) in lanes.iter_mut().enumerate() {
                        *lane = if t * V + l < n { x[(t * V + l, q)] } else { T::of(0.0) };
                    }
                }
            }
            for &side in sides {
                self.substitute(side, tiles, k, par);
            }
            for (t, tile) in tiles.chunks_exact(k.max(1)).enumerate() {
                for (q, lanes) in tile.iter().enumerate() {
                    for (l, lane) in lanes.iter().enumerate().take(n - t * V) {
                        x[(t * V + l, q)] = *lane;
                    }
                }
            }
        });
    }

    /// Solves with one triangle for `k` columns, which lie tile by tile: `tiles[t k + q][l]` is
    /// `x[t V + l][q]`.
    fn substitute<const V: usize>(&self, side: Side, tiles: &mut [[T; V]], k: usize, par: Par) {
        let n = self.dim();
        let blocks = n.div_ceil(BLOCK);
        for step in 0..blocks {
            let block = if side == Side::Lower { step } else { blocks - 1 - step };
            let (first, end) = (block * BLOCK, n.min((block + 1) * BLOCK));
            self.substitute_block(side, tiles, k, first..end);
            let (above, rest) = tiles.split_at_mut(first / V * k);
            let (known, below) = rest.split_at_mut((end - first).div_ceil(V) * k);
            let (left, row) = match side {
                Side::Lower => (below, end),
                Side::Upper => (above, 0),
            };
            self.subtract(left, known, k, (row, first..end), par);
        }
    }

    /// `y <- y - A x` for the tiles `y` from `row` on, in tasks of their own if there is enough to
    /// do; which makes no difference to any entry.
    fn subtract<const V: usize>(
        &self,
        y: &mut [[T; V]],
        x: &[[T; V]],
        k: usize,
        (row, cols): (usize, std::ops::Range<usize>),
        par: Par,
    ) {
        let task = (TASK / (V * k * cols.len()).max(1)).max(8);
        let entries = self.entries.as_ref();
        if par == Par::Seq || y.len() <= task * k {
            return simd::subtract(y, x, k, entries, row, cols);
        }
        y.par_chunks_mut(task * k).enumerate().for_each(|(t, y)| {
            simd::subtract(y, x, k, entries, row + t * task * V, cols.clone());
        });
    }

    /// Solves with the block `rows` on the diagonal.
    fn substitute_block<const V: usize>(
        &self,
        side: Side,
        tiles: &mut [[T; V]],
        k: usize,
        rows: std::ops::Range<usize>,
    ) {
        let (from, count) = (rows.start / V, rows.len().div_ceil(V));
        let entries = self.entries.as_ref();
        for step in 0..count {
            let t = from + if side == Side::Lower { step } else { count - 1 - step };
            let (first, end) = (t * V, rows.end.min((t + 1) * V));
            let (above, rest) = tiles.split_at_mut(t * k);
            let (tile, below) = rest.split_at_mut(k);
            match side {
                Side::Lower => {
                    let known = &above[from * k..];
                    simd::subtract(tile, known, k, entries, first, rows.start..first);
                }
                Side::Upper => {
                    let known = &below[..(from + count - 1 - t) * k];
                    simd::subtract(tile, known, k, entries, first, end..rows.end);
                }
            }
            simd::substitute(side, tile, entries, &self.reciprocals[first..end], first);
        }
    }
}
