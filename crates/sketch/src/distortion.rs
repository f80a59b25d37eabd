//! How far a sketch is from an isometry on the range of a matrix, told at run time, and dimensions that are doubled until it is
//! near enough.
//!
//! The triangular factor of one sketch is judged by a second one, so that nothing of the size of the matrix is factored.

use faer::{MatRef, Par};
use rand::RngCore;

use crate::random::{Purpose, stream};
use crate::range::{Range, lengths, scaled, sketched, tolerance};
use crate::{Scalar, Sketch, SketchError, SparseSign};

/// Estimates of the extreme singular values of `S U`, for an orthonormal basis `U` of the range of a matrix.
///
/// # Accuracy
/// Let the second sketch keep lengths on the range within `1 +- eta`. Then both are those of `S U` within a factor of `1 +- eta`
/// each ([`within`](Self::within)): from `S A = Q R` the singular values of `A R^-1` are the inverses of those of `S U`, and the
/// second sketch changes its extreme ones by `1 +- eta` at most. For `eta` see
/// [`Gaussian::distortion_bound`](crate::Gaussian::distortion_bound) and [`SparseSign::distortion_bound`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distortion {
    least: f64,
    largest: f64,
    rank: usize,
}

impl Distortion {
    /// The least factor by which a length in the range changes: 0 if a direction of the range is lost.
    #[must_use]
    pub fn least(&self) -> f64 {
        self.least
    }

    /// The largest factor by which a length in the range changes.
    #[must_use]
    pub fn largest(&self) -> f64 {
        self.largest
    }

    /// Dimension of the range as the sketch shows it: how many of the columns are independent, to rounding.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The largest relative change of a length in the range: `max(largest - 1, 1 - least)`.
    #[must_use]
    pub fn distortion(&self) -> f64 {
        (self.largest - 1.0).max(1.0 - self.least)
    }

    /// Between which numbers the true distortion lies if the second sketch keeps lengths on the range within `1 +- eta`.
    #[must_use]
    pub fn within(&self, eta: f64) -> (f64, f64) {
        let of = |eta: f64| (self.largest * (1.0 + eta) - 1.0).max(1.0 - self.least * (1.0 - eta));
        (of(-eta).max(0.0), of(eta))
    }
}

/// The distortion of `sketch` on the range of `a : N x d`, told by `second`, an independent sketch with at least `d` rows.
///
/// Costs the two sketches of `a`, and factorisations of these: `O((s + s') d^2)`. Independent means another seed, if it is a
/// sketch of the same kind. Scales of columns do not matter, and they may depend on each other: it is the range that counts, of
/// which columns are chosen by pivoting. A direction of it that `sketch` maps to zero but `second` does not, as sampled rows do,
/// has `least = 0`; this is seen where it makes up more of a column than the square root of what counts as rounding,
/// `8 (sqrt(N) + d) eps`.
///
/// # Errors
/// [`SketchError::Shape`] if a sketch does not fit, [`SketchError::Few`] if `second` has less than `d` rows,
/// [`SketchError::NotFinite`] for a column that has no finite sketch.
///
/// # Examples
/// ```
/// use faer::{Mat, Par};
/// use nearlin_sketch::{Gaussian, SparseSign, distortion};
///
/// let a = Mat::from_fn(4000, 5, |i, j| (((i + 1) * (j + 1)) as f64).sin());
/// let (sketch, second) = (SparseSign::new(4000, 200, 8, 1)?, Gaussian::new(4000, 800, 2)?);
/// let found = distortion(&sketch, &second, a.as_ref(), Par::Seq)?;
/// let (low, high) = found.within(second.distortion_bound(5, 1e-9));
/// assert!(low <= found.distortion() && found.distortion() <= high && high < 0.8);
/// # Ok::<(), nearlin_sketch::SketchError>(())
/// ```
pub fn distortion<T: Scalar>(
    sketch: &dyn Sketch<T>,
    second: &dyn Sketch<T>,
    a: MatRef<'_, T>,
    par: Par,
) -> Result<Distortion, SketchError> {
    let (n, d) = (a.nrows(), a.ncols());
    if second.embedding_dim() < d {
        let dim = second.embedding_dim();
        return Err(SketchError::Few { dim, cols: d });
    }
    let (first, second) = (sketched(sketch, a, par)?, sketched(second, a, par)?);
    let lengths = lengths(second.as_ref());
    let tolerance = tolerance::<T>(n, d);
    let range = Range::new(scaled(first.as_ref(), &lengths).as_ref(), tolerance);
    let (white, left) = range.whiten(scaled(second.as_ref(), &lengths).as_ref());
    let lost = left > tolerance.sqrt();
    let (mut least, mut largest) = (1.0, 1.0);
    if range.rank > 0 {
        // Finite entries of moderate size have singular values.
        let values = white.singular_values().map_err(|_| SketchError::NotFinite { at: 0 })?;
        (least, largest) = (1.0 / values[0], 1.0 / values[range.rank - 1]);
    }
    Ok(Distortion { least: if lost { 0.0 } else { least }, largest, rank: range.rank })
}

/// A search for the embedding dimension that a matrix needs: doubled until the estimated distortion is small enough.
///
/// Each dimension is judged by a second sketch of its own, [`SparseSign`] with eight signs and four times as many rows, so that a
/// dimension `s` costs one sketch of its kind, `8 N d` additions and `O(s d^2)`; all of them together twice the last.
///
/// # Examples
/// ```
/// use faer::{Mat, Par};
/// use nearlin_sketch::{Doubling, Srht};
///
/// let a = Mat::from_fn(5000, 4, |i, j| (((i + 1) * (j + 1)) as f64).cos());
/// let found = Doubling::new(0.3).with_first(8).find(a.as_ref(), |s| Srht::new(5000, s, 7), Par::Seq)?;
/// assert!(found.distortion.distortion() <= 0.3);
/// assert_eq!(found.dim, 8 << found.doublings);
/// # Ok::<(), nearlin_sketch::SketchError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Doubling {
    target: f64,
    first: Option<usize>,
    most: Option<usize>,
    seed: u64,
}

/// A sketch that is good enough.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Doubled<S> {
    /// The sketch.
    pub sketch: S,
    /// Its embedding dimension.
    pub dim: usize,
    /// Its distortion, as estimated.
    pub distortion: Distortion,
    /// How often the dimension was doubled.
    pub doublings: usize,
}

impl Doubling {
    /// Until the estimate is at most `target`, from `2 d` rows to at most `N`.
    #[must_use]
    pub fn new(target: f64) -> Self {
        Self { target, first: None, most: None, seed: 0 }
    }

    /// The dimension to try first; `2 d` by default.
    #[must_use]
    pub fn with_first(self, first: usize) -> Self {
        Self { first: Some(first), ..self }
    }

    /// The largest dimension to try; `N` by default.
    #[must_use]
    pub fn with_most(self, most: usize) -> Self {
        Self { most: Some(most), ..self }
    }

    /// The seed of the second sketches; 0 by default.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// A sketch for the range of `a`, of those that `make` gives for a dimension.
    ///
    /// # Errors
    /// [`SketchError::Distortion`] if no dimension that was tried suffices, [`SketchError::Dimension`] if there is none to try,
    /// and those of `make` and of [`distortion`].
    pub fn find<T: Scalar, S: Sketch<T>>(
        &self,
        a: MatRef<'_, T>,
        mut make: impl FnMut(usize) -> Result<S, SketchError>,
        par: Par,
    ) -> Result<Doubled<S>, SketchError> {
        let (n, d) = (a.nrows(), a.ncols());
        let most = self.most.unwrap_or(n);
        let mut dim = self.first.unwrap_or(2 * d);
        if dim == 0 || dim > most {
            return Err(SketchError::Dimension { dim, input: n, most });
        }
        let mut doublings = 0;
        loop {
            let seed = stream(self.seed, Purpose::Judge, doublings as u64).next_u64();
            let rows = 4 * dim.max(d);
            let (sketch, second) = (make(dim)?, SparseSign::new(n, rows, rows.min(8), seed)?);
            let distortion = distortion(&sketch, &second, a, par)?;
            let found = distortion.distortion();
            if found <= self.target {
                return Ok(Doubled { sketch, dim, distortion, doublings });
            }
            if dim > most / 2 {
                return Err(SketchError::Distortion { found, target: self.target, dim, most });
            }
            dim *= 2;
            doublings += 1;
        }
    }
}
