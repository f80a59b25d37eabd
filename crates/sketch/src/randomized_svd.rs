//! The randomised singular value decomposition: leading singular values and vectors of an operator from few products with
//! it and its transpose.
//!
//! Halko, Martinsson and Tropp, *Finding structure with randomness: probabilistic algorithms for constructing approximate
//! matrix decompositions*, SIAM Review 53 (2011): the range by subspace iteration (algorithm 4.4), the decomposition by it
//! (algorithm 5.1), and what is left by fresh random vectors (section 4.3), which lets the rank double until it is little.

use core::f64::consts::FRAC_2_PI;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};

use crate::fixed::{fixed, multiply, orthonormal, thin_svd};
use crate::random::{Purpose, normal_columns};
use crate::scalar::wide;
use crate::{Scalar, SketchError};

/// The factor of equation 4.3, and the inverse of the probability with which a single probe fails.
const SAFETY: f64 = 10.0;

/// Where the streams of probes begin: beyond those of test vectors.
const PROBES: u64 = 1 << 63;

/// How to decompose.
///
/// # Examples
/// ```
/// use faer::{Mat, Par};
/// use nearlin_sketch::RandomizedSvd;
///
/// // Singular values that fall fast.
/// let a = Mat::from_fn(300, 200, |i, j| 1.0 / (1.0 + i as f64 + j as f64));
/// let how = RandomizedSvd::new(4).with_tolerance(1e-6, 64).with_seed(1);
/// let found = how.decompose(a.as_ref(), Par::Seq)?;
/// assert!(found.error_bound() <= 1e-6 && found.rank() < 20);
/// let scaled = Mat::from_fn(300, found.rank(), |i, j| found.left()[(i, j)] * found.values()[j]);
/// assert!((&a - scaled * found.right().transpose()).norm_l2() < 1e-6);
/// # Ok::<(), nearlin_sketch::SketchError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomizedSvd {
    rank: usize,
    most: usize,
    tolerance: f64,
    oversampling: usize,
    powers: usize,
    probes: usize,
    seed: u64,
}

/// `A ~ U diag(sigma) V^T`.
#[derive(Clone, Debug)]
pub struct SingularTriplets<T> {
    left: Mat<T>,
    values: Vec<T>,
    right: Mat<T>,
    error_bound: f64,
}

impl RandomizedSvd {
    /// To this rank.
    #[must_use]
    pub fn new(rank: usize) -> Self {
        Self { rank, most: rank, tolerance: 0.0, oversampling: 10, powers: 2, probes: 6, seed: 0 }
    }

    /// This one, whose rank doubles, up to `most`, until the bound for what is left is at most `tolerance`.
    #[must_use]
    pub fn with_tolerance(self, tolerance: f64, most: usize) -> Self {
        Self { tolerance, most: most.max(self.rank), ..self }
    }

    /// This one with so many test vectors beyond the rank. Default 10.
    #[must_use]
    pub fn with_oversampling(self, oversampling: usize) -> Self {
        Self { oversampling, ..self }
    }

    /// This one with so many steps of subspace iteration: the more, the slower singular values may fall. Default 2.
    #[must_use]
    pub fn with_powers(self, powers: usize) -> Self {
        Self { powers, ..self }
    }

    /// This one with so many random vectors, at least 1, to bound what is left: the bound fails with a probability of at most
    /// `10^-probes`. Default 6.
    #[must_use]
    pub fn with_probes(self, probes: usize) -> Self {
        Self { probes: probes.max(1), ..self }
    }

    /// This one with a seed, which names all random choices. Default 0.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Decomposes a matrix, as [`approximate`](Self::approximate) does.
    ///
    /// # Errors
    /// As [`approximate`](Self::approximate).
    pub fn decompose<T: Scalar>(
        &self,
        a: MatRef<'_, T>,
        par: Par,
    ) -> Result<SingularTriplets<T>, SketchError> {
        let product = |y: MatMut<'_, T>, a: MatRef<'_, T>, x: MatRef<'_, T>| {
            matmul(y, Accum::Replace, a, x, T::one(), fixed(par));
        };
        let (apply, adjoint) = (
            |y: MatMut<'_, T>, x: MatRef<'_, T>| product(y, a, x),
            |x: MatMut<'_, T>, y: MatRef<'_, T>| product(x, a.transpose(), y),
        );
        self.approximate((a.nrows(), a.ncols()), apply, adjoint, par)
    }

    /// Decomposes the operator `A` (m x n, `dims`) that `apply` applies, `Y <- A X` for the columns of `X : n x c`, and whose
    /// transpose `adjoint` applies, `X <- A^T Y` for those of `Y : m x c`: `q + 1` products of each for `l = k + oversampling`
    /// columns and one with every probe, `O((m + n) l^2 q)` flops, in memory for `2 (m + n) l` numbers; a rank that doubles
    /// takes less than twice what the last one does.
    ///
    /// # Accuracy
    /// With `p` for the oversampling and `q` for the powers, the expected norm of what is left is at most the best's of rank `k`,
    /// `sigma_{k+1}`, times `1 + (1 + (k / (p - 1))^(1/2) + e ((k + p) (min(m, n) - k))^(1/2) / p)^(1 / (2 q + 1))` (corollary
    /// 10.10, and theorem 9.3 for what is cut off beyond rank `k`).
    ///
    /// # Errors
    /// [`SketchError::Empty`] for `m = 0` or `n = 0`, [`SketchError::Dimension`] for rank 0 or one over both,
    /// [`SketchError::NotFinite`] if products are not finite.
    pub fn approximate<T: Scalar>(
        &self,
        dims: (usize, usize),
        mut apply: impl FnMut(MatMut<'_, T>, MatRef<'_, T>),
        mut adjoint: impl FnMut(MatMut<'_, T>, MatRef<'_, T>),
        par: Par,
    ) -> Result<SingularTriplets<T>, SketchError> {
        let (m, n) = dims;
        let most = m.min(n);
        if most == 0 {
            return Err(SketchError::Empty);
        }
        if self.rank == 0 || self.rank > most {
            return Err(SketchError::Dimension { dim: self.rank, input: n, most });
        }
        let mut apply = |x: &Mat<T>| product(&mut apply, m, x);
        let mut adjoint = |y: &Mat<T>| product(&mut adjoint, n, y);
        let mut rank = self.rank;
        loop {
            let columns = (rank + self.oversampling).min(most);
            let mut range = orthonormal(apply(&self.normal(n, columns, 0))?, par);
            for _ in 0..self.powers {
                let back = orthonormal(adjoint(&range)?, par);
                range = orthonormal(apply(&back)?, par);
            }
            let mut found = decomposed(&range, &adjoint(&range)?, rank, par)?;
            // Streams of their own for each rank: probes must not have been looked at before.
            let probes = self.normal(n, self.probes, PROBES + ((rank as u64) << 32));
            found.error_bound = found.bound(&probes, &apply(&probes)?, par);
            if found.error_bound <= self.tolerance || rank >= self.most.min(most) {
                return Ok(found);
            }
            rank = (2 * rank).min(self.most).min(most);
        }
    }

    /// Columns of independent normal numbers, from a stream each from `first` on.
    fn normal<T: Scalar>(&self, rows: usize, columns: usize, first: u64) -> Mat<T> {
        normal_columns((rows, columns), self.seed, Purpose::Singular, first)
    }
}

impl<T: Scalar> SingularTriplets<T> {
    /// `U`, m x k, orthonormal columns.
    #[must_use]
    pub fn left(&self) -> MatRef<'_, T> {
        self.left.as_ref()
    }

    /// `sigma`, k of them, falling, none negative.
    #[must_use]
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// `V`, n x k, orthonormal columns.
    #[must_use]
    pub fn right(&self) -> MatRef<'_, T> {
        self.right.as_ref()
    }

    /// `k`.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.values.len()
    }

    /// What bounds the spectral norm of `A - U diag(sigma) V^T`, up to rounding, for each rank that was tried but with a
    /// probability of at most `10^-probes`: `10 (2 / pi)^(1/2)` times the longest of its products with the probes (equation
    /// 4.3), and so 8 times the norm at the least to be expected.
    #[must_use]
    pub fn error_bound(&self) -> f64 {
        self.error_bound
    }

    fn bound(&self, probes: &Mat<T>, images: &Mat<T>, par: Par) -> f64 {
        let mut seen = multiply(self.right.transpose(), probes.as_ref(), par);
        for (i, &value) in self.values.iter().enumerate() {
            seen.row_mut(i).iter_mut().for_each(|entry| *entry *= value);
        }
        let mut left = images.clone();
        left -= multiply(self.left.as_ref(), seen.as_ref(), par);
        let longest = left.col_iter().map(|left| wide(left.norm_l2())).fold(0.0, f64::max);
        SAFETY * FRAC_2_PI.sqrt() * longest
    }
}

/// The operator times `x`, if that is finite.
fn product<T: Scalar>(
    apply: &mut impl FnMut(MatMut<'_, T>, MatRef<'_, T>),
    rows: usize,
    x: &Mat<T>,
) -> Result<Mat<T>, SketchError> {
    let mut y = Mat::zeros(rows, x.ncols());
    apply(y.as_mut(), x.as_ref());
    let bad = y.col_iter().position(|column| !column.is_all_finite());
    bad.map_or(Ok(y), |at| Err(SketchError::NotFinite { at }))
}

/// The decomposition from an orthonormal range `Q` and `A^T Q`, cut off after `rank`.
fn decomposed<T: Scalar>(
    range: &Mat<T>,
    back: &Mat<T>,
    rank: usize,
    par: Par,
) -> Result<SingularTriplets<T>, SketchError> {
    // Finite entries of moderate size have singular values.
    let svd = thin_svd(back.as_ref(), par).ok_or(SketchError::NotFinite { at: 0 })?;
    let (right, mut values, turned) = svd;
    values.truncate(rank);
    Ok(SingularTriplets {
        left: multiply(range.as_ref(), turned.as_ref().subcols(0, rank), par),
        values,
        right: right.as_ref().subcols(0, rank).to_owned(),
        error_bound: f64::INFINITY,
    })
}
