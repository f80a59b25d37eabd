//! Dense embeddings with independent entries: normal ones, the reference that others are compared with, and random signs.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rand::RngCore;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::error::check_shape;
use crate::random::{Purpose, stream};
use crate::{AdjointSketch, Scalar, Sketch, SketchError};

/// Rows of `S` that exist at a time, in each task.
const ROWS: usize = 64;

/// `S` with independent entries `N(0, 1 / s)`; row `i` is stream `i` of the seed, generated when
/// needed.
///
/// A column costs `2 s N` flops, on top of `s N` normal variates for each call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gaussian {
    input: usize,
    dim: usize,
    seed: u64,
}

/// `S` with independent entries `+-1 / sqrt(s)` (Achlioptas, *Database-friendly random projections*, J. Comput. Syst. Sci. 66,
/// 2003); row `i` is stream `i` of the seed, generated when needed.
///
/// A column costs `2 s N` flops, on top of `s N` random bits for each call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rademacher {
    input: usize,
    dim: usize,
    seed: u64,
}

/// `Ok` if there can be such a dense sketch.
fn check(input: usize, dim: usize) -> Result<(), SketchError> {
    match (input, dim) {
        (0, _) => Err(SketchError::Empty),
        (_, 0) => Err(SketchError::Dimension { dim, input, most: usize::MAX }),
        _ => Ok(()),
    }
}

impl Gaussian {
    /// The sketch `R^input -> R^dim` named by `seed`.
    ///
    /// # Errors
    /// [`SketchError::Empty`] if `input` is 0, [`SketchError::Dimension`] if `dim` is.
    pub fn new(input: usize, dim: usize, seed: u64) -> Result<Self, SketchError> {
        check(input, dim).map(|()| Self { input, dim, seed })
    }
}

impl Rademacher {
    /// The sketch `R^input -> R^dim` named by `seed`.
    ///
    /// # Errors
    /// [`SketchError::Empty`] if `input` is 0, [`SketchError::Dimension`] if `dim` is.
    pub fn new(input: usize, dim: usize, seed: u64) -> Result<Self, SketchError> {
        check(input, dim).map(|()| Self { input, dim, seed })
    }
}

/// A sketch that is known by its rows.
trait Rows: Sync {
    /// `N` and `s`.
    fn dims(&self) -> (usize, usize);

    /// Writes row `i` of `S`.
    fn row<T: Scalar>(&self, i: usize, row: &mut [T]);

    /// Rows from `first` on, as columns.
    fn rows<T: Scalar>(&self, first: usize, count: usize) -> Mat<T> {
        let mut rows = Mat::<T>::zeros(self.dims().0, count);
        for i in 0..count {
            let column = rows.col_mut(i).try_as_col_major_mut();
            self.row(first + i, column.expect("columns of a matrix are contiguous").as_slice_mut());
        }
        rows
    }
}

impl Rows for Gaussian {
    fn dims(&self) -> (usize, usize) {
        (self.input, self.dim)
    }

    fn row<T: Scalar>(&self, i: usize, row: &mut [T]) {
        let scale = 1.0 / (self.dim as f64).sqrt();
        let mut rng = stream(self.seed, Purpose::Gaussian, i as u64);
        for entry in row {
            let value: f64 = StandardNormal.sample(&mut rng);
            *entry = T::of(value * scale);
        }
    }
}

impl Rows for Rademacher {
    fn dims(&self) -> (usize, usize) {
        (self.input, self.dim)
    }

    fn row<T: Scalar>(&self, i: usize, row: &mut [T]) {
        let scale = T::of(1.0 / (self.dim as f64).sqrt());
        let mut rng = stream(self.seed, Purpose::Rademacher, i as u64);
        for entries in row.chunks_mut(64) {
            let word = rng.next_u64();
            for (bit, entry) in entries.iter_mut().enumerate() {
                *entry = if word >> bit & 1 == 1 { -scale } else { scale };
            }
        }
    }
}

fn apply<T: Scalar>(
    sketch: &impl Rows,
    out: MatMut<'_, T>,
    a: MatRef<'_, T>,
    par: Par,
) -> Result<(), SketchError> {
    let ((input, dim), k) = (sketch.dims(), a.ncols());
    check_shape("matrix to sketch", (a.nrows(), k), (input, k))?;
    check_shape("sketched matrix", (out.nrows(), out.ncols()), (dim, k))?;
    let block = |first: usize, out: MatMut<'_, T>| {
        let rows = sketch.rows::<T>(first, out.nrows());
        matmul(out, Accum::Replace, rows.transpose(), a, T::of(1.0), Par::Seq);
    };
    match par {
        Par::Seq => {
            let mut rest = out;
            for first in (0..dim).step_by(ROWS) {
                let rows = ROWS.min(rest.nrows());
                let (head, tail) = rest.split_at_row_mut(rows);
                block(first, head);
                rest = tail;
            }
        }
        Par::Rayon(_) => {
            out.par_row_chunks_mut(ROWS).enumerate().for_each(|(c, rows)| block(c * ROWS, rows));
        }
    }
    Ok(())
}

fn apply_adjoint<T: Scalar>(
    sketch: &impl Rows,
    mut out: MatMut<'_, T>,
    y: MatRef<'_, T>,
    par: Par,
) -> Result<(), SketchError> {
    let ((input, dim), k) = (sketch.dims(), y.ncols());
    check_shape("sketched matrix", (y.nrows(), k), (dim, k))?;
    check_shape("matrix to fill", (out.nrows(), out.ncols()), (input, k))?;
    out.fill(T::of(0.0));
    for first in (0..dim).step_by(ROWS) {
        let count = ROWS.min(dim - first);
        let rows = sketch.rows::<T>(first, count);
        let y = y.subrows(first, count);
        matmul(out.as_mut(), Accum::Add, rows.as_ref(), y, T::of(1.0), par);
    }
    Ok(())
}

macro_rules! sketch {
    ($kind:ty) => {
        impl<T: Scalar> Sketch<T> for $kind {
            fn input_dim(&self) -> usize {
                self.input
            }

            fn embedding_dim(&self) -> usize {
                self.dim
            }

            fn apply(
                &self,
                out: MatMut<'_, T>,
                a: MatRef<'_, T>,
                par: Par,
            ) -> Result<(), SketchError> {
                apply(self, out, a, par)
            }
        }

        impl<T: Scalar> AdjointSketch<T> for $kind {
            fn apply_adjoint(
                &self,
                out: MatMut<'_, T>,
                y: MatRef<'_, T>,
                par: Par,
            ) -> Result<(), SketchError> {
                apply_adjoint(self, out, y, par)
            }
        }
    };
}

sketch!(Gaussian);
sketch!(Rademacher);
