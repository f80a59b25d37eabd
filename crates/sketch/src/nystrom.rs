//! The randomised Nyström approximation: eigenvalues and eigenvectors of a positive semidefinite operator from few
//! products with it.
//!
//! Tropp, Yurtsever, Udell and Cevher, *Fixed-rank approximation of a positive-semidefinite matrix from streaming data*
//! (2017, algorithm 3), as in Frangella, Tropp and Udell, *Randomized Nyström preconditioning* (2021, algorithms 2.1
//! and E.2): the shift that keeps it stable, and a rank that doubles until what is left is small.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{
    LltRegularization, cholesky_in_place, cholesky_in_place_scratch,
};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Mat, MatMut, MatRef, Par};

use crate::fixed::{fixed, multiply, orthonormal, thin_qr, thin_svd};
use crate::random::{Purpose, normal_columns};
use crate::scalar::wide;
use crate::{Scalar, SketchError};

/// Steps of the power method that estimate a norm.
const POWERS: usize = 10;

/// Shifts that are tried, each ten times the last.
const SHIFTS: i32 = 8;

/// How to approximate.
///
/// # Examples
/// ```
/// use faer::{Mat, MatMut, MatRef, Par};
/// use nearlin_sketch::Nystrom;
///
/// // Eigenvalues 1, 1/2, 1/4, ... known only by products.
/// let d = |i: usize| 0.5f64.powi(i as i32);
/// let product = |mut y: MatMut<'_, f64>, x: MatRef<'_, f64>| {
///     for j in 0..x.ncols() {
///         for i in 0..x.nrows() {
///             y[(i, j)] = d(i) * x[(i, j)];
///         }
///     }
/// };
/// let found = Nystrom::new(4).with_tolerance(1e-4, 32).with_seed(1).approximate(50, product, Par::Seq)?;
/// assert!(found.norm_left() <= 1e-4);
/// assert!((found.values()[0] - 1.0).abs() < 1e-3 && found.rank() <= 32);
/// # Ok::<(), nearlin_sketch::SketchError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nystrom {
    rank: usize,
    most: usize,
    tolerance: f64,
    seed: u64,
}

/// `A ~ U diag(lambda) U^T`, nowhere above `A`.
#[derive(Clone, Debug)]
pub struct Eigenpairs<T> {
    vectors: Mat<T>,
    values: Vec<T>,
    norm_left: f64,
}

impl Nystrom {
    /// To this rank.
    #[must_use]
    pub fn new(rank: usize) -> Self {
        Self { rank, most: rank, tolerance: 0.0, seed: 0 }
    }

    /// This one, whose rank doubles, up to `most`, until the estimated norm of what is left is at most `tolerance`.
    #[must_use]
    pub fn with_tolerance(self, tolerance: f64, most: usize) -> Self {
        Self { tolerance, most: most.max(self.rank), ..self }
    }

    /// This one with a seed, which names all random choices. Default 0.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Approximates the operator `A` (n x n, symmetric positive semidefinite) that `product` applies, `Y <- A X` for the
    /// columns of `X : n x c`: `k` products and ten for each rank that is tried, some `13 n k^2` flops, in memory for
    /// some `3.4 n k` numbers (measured).
    ///
    /// The expected norm of what is left is at most the best's of rank `p`, `lambda_{p+1}`, times `3 + 4 e^2 sr / p` or
    /// so for `k >= 2 p`, where `sr` is the sum of the eigenvalues beyond over the largest of them (Frangella et al.,
    /// proposition 2.2).
    ///
    /// # Errors
    /// [`SketchError::Empty`] for `n = 0`, [`SketchError::Dimension`] for rank 0 or one over `n`,
    /// [`SketchError::Indefinite`] if products are not finite or not those of a positive semidefinite operator.
    pub fn approximate<T: Scalar>(
        &self,
        n: usize,
        mut product: impl FnMut(MatMut<'_, T>, MatRef<'_, T>),
        par: Par,
    ) -> Result<Eigenpairs<T>, SketchError> {
        if n == 0 {
            return Err(SketchError::Empty);
        }
        if self.rank == 0 || self.rank > n {
            return Err(SketchError::Dimension { dim: self.rank, input: n, most: n });
        }
        let (mut test, mut image) = (Mat::<T>::zeros(n, 0), Mat::<T>::zeros(n, 0));
        let mut rank = self.rank;
        loop {
            let old = test.ncols();
            let more = self.more(&test, rank, par);
            test.resize_with(n, rank, |i, j| more[(i, j - old)]);
            drop(more);
            image.resize_with(n, rank, |_, _| T::zero());
            product(image.as_mut().subcols_mut(old, rank - old), test.subcols(old, rank - old));
            let core = Core::of(&test, &image, par)?;
            let norm_left = self.norm_left(&core, &test, &image, &mut product, par)?;
            if norm_left <= self.tolerance || rank >= self.most.min(n) {
                return core.eigenpairs(test, image, norm_left, par);
            }
            rank = (2 * rank).min(self.most).min(n);
        }
    }

    /// Orthonormal columns that make `test` one of `rank` columns, orthogonal to those that it has.
    fn more<T: Scalar>(&self, test: &Mat<T>, rank: usize, par: Par) -> Mat<T> {
        let (n, old) = (test.nrows(), test.ncols());
        let mut columns = normal_columns((n, rank - old), self.seed, Purpose::Range, old as u64);
        // Twice, as once leaves what rounding makes of what was taken away.
        for _ in 0..2 {
            let along = multiply(test.transpose(), columns.as_ref(), par);
            columns -= multiply(test.as_ref(), along.as_ref(), par);
        }
        orthonormal(columns, par)
    }

    /// An estimate from below of the norm of `A - U diag(lambda) U^T`, by the power method: of what is left of
    /// `A + shift I`, which is larger by no more than the shift.
    fn norm_left<T: Scalar>(
        &self,
        core: &Core<T>,
        test: &Mat<T>,
        image: &Mat<T>,
        product: &mut impl FnMut(MatMut<'_, T>, MatRef<'_, T>),
        par: Par,
    ) -> Result<f64, SketchError> {
        let (n, rank) = (test.nrows(), test.ncols() as u64);
        let mut x: Mat<T> = normal_columns((n, 1), self.seed, Purpose::Norm, rank);
        let mut norm = 0.0;
        for _ in 0..POWERS {
            let size = x.norm_l2();
            if wide(size) <= wide(T::min_positive_value()) {
                return Ok(0.0);
            }
            x *= faer::Scale(T::one() / size);
            let mut y = Mat::zeros(n, 1);
            product(y.as_mut(), x.as_ref());
            y += &x * faer::Scale(core.shift);
            y -= core.apply(test, image, x.as_ref(), par);
            norm = wide(multiply(x.transpose(), y.as_ref(), par)[(0, 0)]) - wide(core.shift);
            x = y;
        }
        if norm.is_finite() { Ok(norm.max(0.0)) } else { Err(SketchError::Indefinite) }
    }
}

impl<T: Scalar> Eigenpairs<T> {
    /// `U`, n x k, orthonormal columns.
    #[must_use]
    pub fn vectors(&self) -> MatRef<'_, T> {
        self.vectors.as_ref()
    }

    /// `lambda`, k of them, falling, none negative.
    #[must_use]
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// `k`.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.values.len()
    }

    /// The norm of `A - U diag(lambda) U^T`, as ten steps of the power method see it: below the true one, which it
    /// seldom misses by much.
    #[must_use]
    pub fn norm_left(&self) -> f64 {
        self.norm_left
    }

    /// `U`, n x k, without a copy.
    #[must_use]
    pub fn into_vectors(self) -> Mat<T> {
        self.vectors
    }
}

/// The Cholesky factor of `Q^T (A + shift I) Q` for orthonormal test vectors `Q : n x k`.
struct Core<T> {
    /// k x k, in the lower triangle.
    lower: Mat<T>,
    shift: T,
}

impl<T: Scalar> Core<T> {
    /// From test vectors and their images `A Q`.
    fn of(test: &Mat<T>, image: &Mat<T>, par: Par) -> Result<Self, SketchError> {
        let (n, k) = (test.nrows(), test.ncols());
        let size = wide(image.norm_l2());
        if !size.is_finite() {
            return Err(SketchError::Indefinite);
        }
        let square = multiply(test.transpose(), image.as_ref(), par);
        let least = (n as f64).sqrt() * wide(T::epsilon()) * size;
        for power in 0..SHIFTS {
            let shift = T::of((least * 10f64.powi(power)).max(wide(T::min_positive_value())));
            let diagonal = |i, j| if i == j { shift } else { T::zero() };
            let mut lower = Mat::from_fn(k, k, |i, j| {
                (square[(i, j)] + square[(j, i)]) * T::of(0.5) + diagonal(i, j)
            });
            if factored(lower.as_mut(), par) {
                return Ok(Self { lower, shift });
            }
        }
        Err(SketchError::Indefinite)
    }

    /// The approximation of `A + shift I` times `x`: `Y L^-T L^-1 Y^T x` for `Y = A Q + shift Q`.
    fn apply(&self, test: &Mat<T>, image: &Mat<T>, x: MatRef<'_, T>, par: Par) -> Mat<T> {
        let shift = faer::Scale(self.shift);
        let mut seen = multiply(image.transpose(), x, par);
        seen += multiply(test.transpose(), x, par) * shift;
        let (lower, fixed) = (self.lower.as_ref(), fixed(par));
        solve_lower_triangular_in_place(lower, seen.as_mut(), fixed);
        solve_upper_triangular_in_place(lower.transpose(), seen.as_mut(), fixed);
        multiply(image.as_ref(), seen.as_ref(), par)
            + multiply(test.as_ref(), seen.as_ref(), par) * shift
    }

    /// The eigenpairs of the approximation: those of `Y L^-T` times its transpose, less the shift.
    fn eigenpairs(
        self,
        test: Mat<T>,
        mut image: Mat<T>,
        norm_left: f64,
        par: Par,
    ) -> Result<Eigenpairs<T>, SketchError> {
        // Column by column, as sums of matrices are made beside them.
        for (mut image, test) in image.col_iter_mut().zip(test.col_iter()) {
            image += test * faer::Scale(self.shift);
        }
        drop(test);
        let turned = image.as_mut().transpose_mut();
        solve_lower_triangular_in_place(self.lower.as_ref(), turned, fixed(par));
        let (q, r) = thin_qr(image, par);
        let (u, values, _) = thin_svd(r.as_ref(), par).ok_or(SketchError::Indefinite)?;
        let vectors = multiply(q.as_ref(), u.as_ref(), par);
        let values = values.into_iter().map(|s| (s * s - self.shift).max(T::zero())).collect();
        Ok(Eigenpairs { vectors, values, norm_left })
    }
}

/// Whether `a`, whose lower triangle becomes its Cholesky factor, is positive definite.
fn factored<T: Scalar>(a: MatMut<'_, T>, par: Par) -> bool {
    let par = fixed(par);
    let (none, params) = (LltRegularization::default(), faer::prelude::default());
    let scratch = cholesky_in_place_scratch::<T>(a.nrows(), par, params);
    let mut scratch = MemBuffer::new(scratch);
    cholesky_in_place(a, none, par, MemStack::new(&mut scratch), params).is_ok()
}
