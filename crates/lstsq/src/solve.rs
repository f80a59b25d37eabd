//! The solver.

use faer::{Mat, MatRef, Par};
use nearlin_krylov::{AdjointOp, LeastSquares, LeastSquaresReport};

use crate::error::check_shape;
use crate::matrix::{Scalar, of};
use crate::problem::{Problem, Told};
use crate::report::Fit;
use crate::run::run;
use crate::{LstsqError, Matrix};

/// Settings for `min |b - A x|`.
///
/// # Examples
/// ```
/// use faer::Mat;
/// use nearlin_lstsq::Lstsq;
///
/// let a = Mat::from_fn(500, 2, |i, j| (i as f64 / 500.0).powi(j as i32));
/// let b = Mat::from_fn(500, 1, |i, _| 1.0 + i as f64 / 500.0);
/// let fit = Lstsq::default().with_ridge(1e-3).solve(&a, b.as_ref())?;
/// assert!(fit.x[(1, 0)] < 1.0);
/// # Ok::<(), nearlin_lstsq::LstsqError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Lstsq {
    /// Relative gradient, or relative residual, that the last stage is to reach, and each one before an equal part of the digits;
    /// below what rounding allows a stage ends where it can do no more. Default: 4 times the rounding of the scalars.
    pub tol: Option<f64>,
    /// Singular values of at most this part of the largest are taken for zero, unless the columns are independent once they
    /// have one length: then none is. Default: what sums of so many terms lose, `4 (min(m, n) + max(m, n)^(1/2))` times
    /// the rounding of the scalars.
    pub rcond: Option<f64>,
    /// Rows of the sketch for each column of the matrix, at least 1. Default: what a count of operations finds cheapest.
    pub oversampling: Option<f64>,
    /// Penalty `ridge |x|^2`. Default 0.
    pub ridge: f64,
    /// Most iterations in each stage. Default 100.
    pub max_iters: usize,
    /// Times that the iteration begins, each from the residual that the last has left: two are enough for a backward error like
    /// that of Householder QR. Default 2.
    pub stages: usize,
    /// Whether a tall dense matrix may be copied to an order of its entries that iterations read faster
    /// ([`RowBlocks`](nearlin_krylov::RowBlocks)), where that pays: for as much memory as the matrix takes. Default true.
    pub copies: bool,
    /// Seed of the sketch. Default 0.
    pub seed: u64,
    /// Threads. Default: those of rayon's pool.
    pub par: Par,
}

impl Default for Lstsq {
    fn default() -> Self {
        Self {
            tol: None,
            rcond: None,
            oversampling: None,
            ridge: 0.0,
            max_iters: 100,
            stages: 2,
            copies: true,
            seed: 0,
            par: Par::rayon(0),
        }
    }
}

/// Part of the rounding of a matrix that makes no difference to a solution, beside that rounding itself.
const NEGLIGIBLE: f64 = 0.01;

/// The solution of least norm of `min |b - A x|`, for every column of `b`, with the default settings.
///
/// `A : m x n` of any shape and rank, `b : m x k`, `x : n x k`. See [`Lstsq::solve`] for cost and accuracy.
///
/// # Errors
/// [`LstsqError`] for operands that do not fit or are not finite.
pub fn lstsq<T: Scalar>(a: &dyn Matrix<T>, b: MatRef<'_, T>) -> Result<Fit<T>, LstsqError> {
    Lstsq::default().solve(a, b)
}

impl Lstsq {
    /// These settings with a tolerance.
    #[must_use]
    pub fn with_tol(self, tol: f64) -> Self {
        Self { tol: Some(tol), ..self }
    }

    /// These settings with a limit for singular values.
    #[must_use]
    pub fn with_rcond(self, rcond: f64) -> Self {
        Self { rcond: Some(rcond), ..self }
    }

    /// These settings with so many sketch rows for each column.
    #[must_use]
    pub fn with_oversampling(self, oversampling: f64) -> Self {
        Self { oversampling: Some(oversampling), ..self }
    }

    /// These settings with a penalty.
    #[must_use]
    pub fn with_ridge(self, ridge: f64) -> Self {
        Self { ridge, ..self }
    }

    /// These settings with at most `max_iters` iterations a stage.
    #[must_use]
    pub fn with_max_iters(self, max_iters: usize) -> Self {
        Self { max_iters, ..self }
    }

    /// These settings with so many stages.
    #[must_use]
    pub fn with_stages(self, stages: usize) -> Self {
        Self { stages, ..self }
    }

    /// These settings with or without copies.
    #[must_use]
    pub fn with_copies(self, copies: bool) -> Self {
        Self { copies, ..self }
    }

    /// These settings with a seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// These settings with threads.
    #[must_use]
    pub fn with_par(self, par: Par) -> Self {
        Self { par, ..self }
    }

    /// Solves `min |b - A x|^2 + ridge |x|^2` for every column of `b`; of several solutions the one of least norm.
    ///
    /// `A : m x n` of any shape and rank, `b : m x k`, `x : n x k`. One pass over `A` for the sketch and some twenty for the
    /// iterations, `O(s n^2)` flops for its factor, and memory for the sketch, `s x n`, and for a copy of `A` if that is read
    /// faster ([`copies`](Self::copies)). Where a factor of `A` itself is cheaper
    /// than that, `A` is its own sketch. A wide `A` is sketched from the other side, and
    /// read twice in an iteration.
    ///
    /// # Errors
    /// [`LstsqError`] for operands that do not fit or are not finite, and settings out of range. Failing to converge is no
    /// error: read [`Report::ending`](crate::Report::ending).
    ///
    /// # Accuracy
    /// The backward error is `O(eps)` up to factors of the dimensions, as with Householder QR (arXiv 2406.03468, Thm 4.1), for
    /// condition numbers to about the inverse of `rcond`; beyond, singular values are dropped ([`rcond`](Self::rcond)). Problems
    /// of full rank with at most a million entries for which `A` is its own sketch end with steps whose residuals are formed
    /// in twice the working precision: `x` is then right to nearly its last digit.
    pub fn solve<T: Scalar>(
        &self,
        a: &dyn Matrix<T>,
        b: MatRef<'_, T>,
    ) -> Result<Fit<T>, LstsqError> {
        self.one(a, b, None)
    }

    /// Solves `min sum_i weights_i (b_i - (A x)_i)^2 + ridge |x|^2`; of several solutions the one of least norm.
    ///
    /// # Errors
    /// As [`solve`](Self::solve), and [`LstsqError::Weight`] for a weight that is negative or not finite.
    pub fn solve_weighted<T: Scalar>(
        &self,
        a: &dyn Matrix<T>,
        b: MatRef<'_, T>,
        weights: &[f64],
    ) -> Result<Fit<T>, LstsqError> {
        check_shape("weights", (weights.len(), 1), (a.nrows(), 1))?;
        if let Some(row) = weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
            return Err(LstsqError::Weight { row, value: weights[row] });
        }
        let roots: Vec<T> = weights.iter().map(|w| of(w.sqrt())).collect();
        if let Some(row) = roots.iter().position(|root| !root.is_finite()) {
            return Err(LstsqError::Weight { row, value: weights[row] });
        }
        self.one(a, b, Some(&roots))
    }

    /// Solves `min |b - A x|^2 + ridge |x|^2` for each of `ridges` from one sketch, one [`Fit`] for each in their order;
    /// [`ridge`](Self::ridge) is not read.
    ///
    /// Each costs the iterations and `O(n^3)` flops for the factor of the sketch with its ridge, `n` the smaller dimension; the
    /// passes that the first one tells contain the sketch's.
    ///
    /// # Errors
    /// As [`solve`](Self::solve); [`LstsqError::Setting`] for a ridge that is negative or not finite.
    ///
    /// # Examples
    /// ```
    /// use faer::Mat;
    /// use nearlin_lstsq::Lstsq;
    ///
    /// let a = Mat::from_fn(500, 6, |i, j| (i as f64 / 500.0).powi(j as i32));
    /// let b = Mat::from_fn(500, 1, |i, _| (i as f64 * 0.01).sin());
    /// let path = Lstsq::default().solve_path(&a, b.as_ref(), &[1e-6, 1e-3, 1.0])?;
    /// assert!(path.windows(2).all(|pair| pair[1].x.norm_l2() < pair[0].x.norm_l2()));
    /// # Ok::<(), nearlin_lstsq::LstsqError>(())
    /// ```
    pub fn solve_path<T: Scalar>(
        &self,
        a: &dyn Matrix<T>,
        b: MatRef<'_, T>,
        ridges: &[f64],
    ) -> Result<Vec<Fit<T>>, LstsqError> {
        self.all(a, b, None, ridges)
    }

    fn one<T: Scalar>(
        &self,
        a: &dyn Matrix<T>,
        b: MatRef<'_, T>,
        scales: Option<&[T]>,
    ) -> Result<Fit<T>, LstsqError> {
        let mut fits = self.all(a, b, scales, &[self.ridge])?;
        Ok(fits.remove(0))
    }

    fn all<T: Scalar>(
        &self,
        a: &dyn Matrix<T>,
        b: MatRef<'_, T>,
        scales: Option<&[T]>,
        ridges: &[f64],
    ) -> Result<Vec<Fit<T>>, LstsqError> {
        self.check(a.nrows(), a.ncols(), b, ridges)?;
        if let Some(&value) = ridges.iter().find(|ridge| !of::<T>(ridge.sqrt()).is_finite()) {
            let expected = "one whose root its scalars can hold";
            return Err(LstsqError::Setting { name: "ridge", value, expected });
        }
        let problem = Problem { a, b, scales };
        if a.nrows() < a.ncols() {
            self.wide(&problem, ridges)
        } else {
            self.tall(&problem, ridges)
        }
    }

    /// Iterates, each time from what the last has left; a product with `op` and its adjoint reads the matrix `reads` times, and its
    /// columns have the Frobenius norm `norm` without `right`, which makes them nearly orthonormal; 0 if that is not so.
    #[allow(clippy::too_many_arguments, reason = "operands, solution, what is counted")]
    pub(crate) fn iterate<T: Scalar>(
        &self,
        op: &dyn AdjointOp<T>,
        right: Option<&dyn AdjointOp<T>>,
        b: MatRef<'_, T>,
        x: &mut Mat<T>,
        (reads, norm): (usize, f64),
        told: &mut Told,
    ) -> Result<LeastSquaresReport, LstsqError> {
        let tol = self.tolerance::<T>();
        let eps: f64 = T::epsilon().into();
        for stage in 1..=self.stages {
            let last = stage == self.stages;
            // Equal parts of the digits: what is beyond those of a stage is lost to rounding, or found by the next one.
            let mut settings = self
                .settings::<T>()
                .with_tol(tol.powf(stage as f64 / self.stages as f64))
                .with_final_check(last);
            if stage > 1 && last {
                settings = settings.with_projection_tol(NEGLIGIBLE * eps * norm);
            }
            let report = run(&settings, op, right, b, x, &mut told.gradients, self.par)?;
            told.passes += reads * report.applications;
            told.iterations.push(report.iters);
            if last {
                return Ok(report);
            }
        }
        unreachable!("there is at least one stage")
    }

    /// The report of a solution on a system itself, in place of the one that was solved, with its endings.
    pub(crate) fn truth<T: Scalar>(
        &self,
        problem: &Problem<'_, T>,
        root: T,
        b: MatRef<'_, T>,
        x: &mut Mat<T>,
        of: &LeastSquaresReport,
        told: &mut Told,
    ) -> Result<LeastSquaresReport, LstsqError> {
        let plain = self.settings::<T>().with_max_iters(0);
        let mut truth = run(&plain, &problem.ridged(root), None, b, x, &mut Vec::new(), self.par)?;
        told.passes += problem.reads() * truth.applications;
        truth.ending = of.ending;
        for (column, of) in truth.columns.iter_mut().zip(&of.columns) {
            (column.ending, column.iters) = (of.ending, of.iters);
        }
        Ok(truth)
    }

    pub(crate) fn settings<T: Scalar>(&self) -> LeastSquares {
        let settings = LeastSquares::lsqr().with_tol(self.tolerance::<T>());
        settings.with_max_iters(self.max_iters).with_warm_start(true)
    }

    fn tolerance<T: Scalar>(&self) -> f64 {
        self.tol.unwrap_or_else(|| 4.0 * T::epsilon().into())
    }

    pub(crate) fn limit<T: Scalar>(&self, m: usize, n: usize) -> f64 {
        let terms = m.min(n) as f64 + (m.max(n) as f64).sqrt();
        self.rcond.unwrap_or_else(|| 4.0 * terms * T::epsilon().into())
    }

    fn check<T: Scalar>(
        &self,
        m: usize,
        n: usize,
        b: MatRef<'_, T>,
        ridges: &[f64],
    ) -> Result<(), LstsqError> {
        if m == 0 || n == 0 {
            return Err(LstsqError::Empty { rows: m, cols: n });
        }
        check_shape("right-hand side", (b.nrows(), b.ncols()), (m, b.ncols()))?;
        let at_least = |name, value: f64, least: f64, expected| {
            if value >= least && value.is_finite() {
                return Ok(());
            }
            Err(LstsqError::Setting { name, value, expected })
        };
        let positive = "a finite number that is not negative";
        for &ridge in ridges {
            at_least("ridge", ridge, 0.0, positive)?;
        }
        at_least("tol", self.tol.unwrap_or(0.0), 0.0, positive)?;
        at_least("rcond", self.rcond.unwrap_or(0.0), 0.0, positive)?;
        at_least("stages", self.stages as f64, 1.0, "at least 1")?;
        at_least("oversampling", self.oversampling.unwrap_or(1.0), 1.0, "at least 1")
    }
}
