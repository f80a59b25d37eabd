//! Dense Gaussian embedding: the reference that others are compared with.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::error::check_shape;
use crate::random::{Purpose, stream};
use crate::{Scalar, Sketch, SketchError};

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

impl Gaussian {
    /// The sketch `R^input -> R^dim` named by `seed`.
    ///
    /// # Errors
    /// [`SketchError::Empty`] if `input` is 0, [`SketchError::Dimension`] if `dim` is.
    pub fn new(input: usize, dim: usize, seed: u64) -> Result<Self, SketchError> {
        match (input, dim) {
            (0, _) => Err(SketchError::Empty),
            (_, 0) => Err(SketchError::Dimension { dim, input, most: usize::MAX }),
            _ => Ok(Self { input, dim, seed }),
        }
    }

    /// Row `i` of `S`.
    fn row<T: Scalar>(&self, i: usize) -> impl Iterator<Item = T> {
        let scale = 1.0 / (self.dim as f64).sqrt();
        let mut rng = stream(self.seed, Purpose::Gaussian, i as u64);
        (0..self.input).map(move |_| {
            let value: f64 = StandardNormal.sample(&mut rng);
            T::of(value * scale)
        })
    }
}

impl<T: Scalar> Sketch<T> for Gaussian {
    fn input_dim(&self) -> usize {
        self.input
    }

    fn embedding_dim(&self) -> usize {
        self.dim
    }

    fn apply(&self, out: MatMut<'_, T>, a: MatRef<'_, T>, par: Par) -> Result<(), SketchError> {
        let k = a.ncols();
        check_shape("matrix to sketch", (a.nrows(), k), (self.input, k))?;
        check_shape("sketched matrix", (out.nrows(), out.ncols()), (self.dim, k))?;
        let block = |first: usize, out: MatMut<'_, T>| {
            let mut rows = Mat::<T>::zeros(self.input, out.nrows());
            for i in 0..out.nrows() {
                for (entry, value) in rows.col_mut(i).iter_mut().zip(self.row(first + i)) {
                    *entry = value;
                }
            }
            matmul(out, Accum::Replace, rows.transpose(), a, T::of(1.0), Par::Seq);
        };
        let count = self.dim.div_ceil(ROWS);
        match par {
            Par::Seq => {
                let mut rest = out;
                for c in 0..count {
                    let rows = ROWS.min(rest.nrows());
                    let (head, tail) = rest.split_at_row_mut(rows);
                    block(c * ROWS, head);
                    rest = tail;
                }
            }
            Par::Rayon(_) => {
                out.par_row_chunks_mut(ROWS)
                    .enumerate()
                    .for_each(|(c, rows)| block(c * ROWS, rows));
            }
        }
        Ok(())
    }
}
