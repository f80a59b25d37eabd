//! Dense embeddings with independent entries: normal ones, the reference that others are compared with, and random signs.

use std::ops::Range;

use faer::{Mat, MatMut, MatRef, Par};
use rand::RngCore;
use rand_distr::{Distribution, StandardNormal};

use crate::dense::{self, DEPTH, Rows};
use crate::error::check_ranges;
use crate::random::{Purpose, stream, stream_part};
use crate::stream::apply_by_blocks;
use crate::{AdjointSketch, Scalar, Sketch, SketchError, Streaming};

/// Columns of `S` that share a stream of normal numbers, as these take a varying count of random bits.
const STREAM: usize = 256;

/// `S` with independent entries `N(0, 1 / s)`; columns `256 b` to `256 b + 255` of row `i` are part `b` of stream `i` of the
/// seed, generated when needed.
///
/// A column costs `2 s N` flops, on top of `s N` normal variates for each call, which takes as much memory again as its output
/// and 1024 rows of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gaussian {
    input: usize,
    dim: usize,
    seed: u64,
}

/// `S` with independent entries `+-1 / sqrt(s)` (Achlioptas, *Database-friendly random projections*, J. Comput. Syst. Sci. 66,
/// 2003); row `i` is stream `i` of the seed, generated when needed.
///
/// A column costs `2 s N` flops, on top of `s N` random bits for each call, which takes as much memory again as its output and
/// 1024 rows of its input.
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

    /// The distortion of a `d`-dimensional subspace that is not exceeded with probability `1 - failure`:
    /// `(sqrt(d) + sqrt(2 ln(2 / failure))) / sqrt(s)`.
    ///
    /// All singular values of `S U` are within that of 1 for an orthonormal `U : N x d` (Davidson and Szarek, *Local operator
    /// theory, random matrices and Banach spaces*, 2001, theorem II.13).
    #[must_use]
    pub fn distortion_bound(&self, d: usize, failure: f64) -> f64 {
        ((d as f64).sqrt() + (2.0 * (2.0 / failure).ln()).sqrt()) / (self.dim as f64).sqrt()
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

impl Rows for Gaussian {
    fn dims(&self) -> (usize, usize) {
        (self.input, self.dim)
    }

    fn part<T: Scalar>(&self, i: usize, first: usize, part: &mut [T]) {
        let scale = 1.0 / (self.dim as f64).sqrt();
        let (mut rest, mut first) = (part, first);
        while !rest.is_empty() {
            let inside = first % STREAM;
            let (entries, after) = rest.split_at_mut((STREAM - inside).min(rest.len()));
            let mut rng =
                stream_part(self.seed, Purpose::Gaussian, i as u64, (first / STREAM) as u64);
            let mut draw = || -> f64 { StandardNormal.sample(&mut rng) };
            first += entries.len();
            for _ in 0..inside {
                let _ = draw();
            }
            for entry in entries {
                *entry = T::of(draw() * scale);
            }
            rest = after;
        }
    }
}

impl Rows for Rademacher {
    fn dims(&self) -> (usize, usize) {
        (self.input, self.dim)
    }

    fn part<T: Scalar>(&self, i: usize, first: usize, part: &mut [T]) {
        let scale = T::of(1.0 / (self.dim as f64).sqrt());
        let mut rng = stream(self.seed, Purpose::Rademacher, i as u64);
        // 64 columns are two words of 32 bits.
        rng.set_word_pos(2 * (first / 64) as u128);
        let mut word = rng.next_u64() >> (first % 64);
        for (at, entry) in (first..).zip(part) {
            if at % 64 == 0 && at != first {
                word = rng.next_u64();
            }
            *entry = if word & 1 == 1 { -scale } else { scale };
            word >>= 1;
        }
    }
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
                apply_by_blocks(self, out, a, par)
            }

            fn entries(
                &self,
                rows: Range<usize>,
                cols: Range<usize>,
            ) -> Result<Mat<T>, SketchError> {
                check_ranges(&rows, &cols, (self.dim, self.input))?;
                Ok(dense::transposed::<T>(self, rows, cols).transpose().to_owned())
            }
        }

        impl<T: Scalar> AdjointSketch<T> for $kind {
            fn apply_adjoint(
                &self,
                out: MatMut<'_, T>,
                y: MatRef<'_, T>,
                par: Par,
            ) -> Result<(), SketchError> {
                dense::apply_adjoint(self, out, y, par)
            }
        }

        impl<T: Scalar> Streaming<T> for $kind {
            fn block(&self) -> usize {
                DEPTH
            }

            fn add_block(&self, sums: MatMut<'_, T>, a: MatRef<'_, T>, first: usize, par: Par) {
                dense::add_block(self, sums, a, first, par);
            }
        }
    };
}

sketch!(Gaussian);
sketch!(Rademacher);
