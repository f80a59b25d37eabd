//! The solver.

use faer::{Mat, MatRef, Par};
use nearlin_krylov::{
    AdjointOp, Ending, LeastSquares, LeastSquaresColumn, LeastSquaresReport, LinOp, Product,
};
use nearlin_sketch::{Sketch, SparseSign};

use crate::error::check_shape;
use crate::factor::{Factored, Inverse, Transposed, factor};
use crate::matrix::Scalar;
use crate::refine::refine;
use crate::report::{Fit, Report};
use crate::ridged::Ridged;
use crate::rows::sketch_rows;
use crate::run::{multiply, run};
use crate::{LstsqError, Matrix};

/// Signs in each column of the sketch.
const SIGNS: usize = 8;

/// Entries of a matrix that is small enough for residuals in twice the working precision, some twenty operations each.
const SMALL: f64 = 1e6;

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
    /// Relative gradient, and relative residual, that each stage is to reach; below what rounding allows a stage ends where it
    /// can do no more. Default: 4 times the rounding of the scalars.
    pub tol: Option<f64>,
    /// Singular values of at most this part of the largest are taken for zero, unless the columns are independent once they
    /// have one length: then none is. Default: the larger dimension times the rounding of the scalars.
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
            seed: 0,
            par: Par::rayon(0),
        }
    }
}

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
    /// iterations, `O(s n^2)` flops for its factor, and memory for the sketch, `s x n`. Where a factor of `A` itself is cheaper
    /// than that, `A` is its own sketch. A wide `A` is sketched from the other side; with a ridge it costs `O(n^3)`.
    ///
    /// # Errors
    /// [`LstsqError`] for operands that do not fit or are not finite, and settings out of range. Failing to converge is no
    /// error: read [`Report::ending`].
    ///
    /// # Accuracy
    /// The backward error is `O(eps)` up to factors of the dimensions, as with Householder QR (arXiv 2406.03468, Thm 4.1), for
    /// condition numbers to about `1 / (max(m, n) eps)`; beyond, singular values are dropped ([`rcond`](Self::rcond)). Problems
    /// of full rank with at most a million entries for which `A` is its own sketch end with steps whose residuals are formed
    /// in twice the working precision: `x` is then right to nearly its last digit.
    pub fn solve<T: Scalar>(
        &self,
        a: &dyn Matrix<T>,
        b: MatRef<'_, T>,
    ) -> Result<Fit<T>, LstsqError> {
        self.weighted(a, b, None)
    }

    /// Solves `min sum_i weights_i (b_i - (A x)_i)^2 + ridge |x|^2` for a tall `A`.
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
        self.weighted(a, b, Some(&roots))
    }

    fn weighted<T: Scalar>(
        &self,
        a: &dyn Matrix<T>,
        b: MatRef<'_, T>,
        scales: Option<&[T]>,
    ) -> Result<Fit<T>, LstsqError> {
        let (m, n) = (a.nrows(), a.ncols());
        self.check(m, n, b)?;
        if m < n && self.ridge == 0.0 && scales.is_none() {
            return self.wide(a, b);
        }
        self.tall(a, b, scales)
    }

    /// From a sketch of the columns.
    fn tall<T: Scalar>(
        &self,
        a: &dyn Matrix<T>,
        b: MatRef<'_, T>,
        scales: Option<&[T]>,
    ) -> Result<Fit<T>, LstsqError> {
        let (m, n, k) = (a.nrows(), a.ncols(), b.ncols());
        let rows = sketch_rows(self.oversampling, (m, n), a.entries());
        let ridge_rows = if self.ridge > 0.0 { n } else { 0 };
        let scaled = (scales.is_some() || ridge_rows > 0).then(|| {
            Mat::from_fn(m + ridge_rows, k, |i, j| match scales {
                _ if i >= m => T::zero(),
                Some(scales) => scales[i] * b[(i, j)],
                None => b[(i, j)],
            })
        });
        let b = scaled.as_ref().map_or(b, Mat::as_ref);
        let op = Ridged { a, scales, root: of(self.ridge.sqrt()) };

        // No fewer rows than columns, with zeros below: a factor that is singular then is told so.
        let height = (rows.unwrap_or(m) + ridge_rows).max(n);
        let mut sketched = Mat::<T>::zeros(height, n + k);
        let above = rows.unwrap_or(m);
        let (to_a, to_b) = sketched.as_mut().subrows_mut(0, above).split_at_col_mut(n);
        let b_above = b.subrows(0, m);
        if let Some(rows) = rows {
            let sketch = SparseSign::new(m, rows, SIGNS.min(rows), self.seed)?;
            a.sketch(to_a, &sketch, scales, self.par)?;
            sketch.apply(to_b, b_above, self.par)?;
        } else {
            a.write(to_a, scales, self.par);
            let mut to_b = to_b;
            to_b.copy_from(b_above);
        }
        for j in 0..ridge_rows {
            sketched[(above + j, j)] = op.root;
        }
        check_sketch(sketched.as_ref().subcols(0, n))?;
        let factored = factor(sketched, n, self.limit::<T>(m, n))?;
        let mut x = factored.start.clone();
        let mut told = Told { passes: 1, ..Told::default() };
        let mut report = self.stages(&op, Some(&factored.inverse), b, &mut x, &mut told)?;
        let small = rows.is_none() && (m * n) as f64 <= SMALL;
        if let (true, Inverse::Triangular(r)) = (small && ridge_rows == 0, &factored.inverse) {
            let mut copy = Mat::<T>::zeros(m, n);
            a.write(copy.as_mut(), scales, self.par);
            told.refinements = refine(copy.as_ref(), b, r.as_ref(), &mut x);
            told.passes += 2 * told.refinements;
            report = self.truth(&op, b, &mut x, &report, &mut told)?;
        }
        let columns = of_matrix(report.columns, factored.norm);
        Ok(fit(x, report.ending, &factored, above, told, columns))
    }

    /// The report of a solution on a system itself, in place of the one that was solved, with its endings.
    fn truth<T: Scalar>(
        &self,
        op: &dyn AdjointOp<T>,
        b: MatRef<'_, T>,
        x: &mut Mat<T>,
        of: &LeastSquaresReport,
        told: &mut Told,
    ) -> Result<LeastSquaresReport, LstsqError> {
        let plain = self.settings::<T>().with_max_iters(0);
        let mut truth = run(&plain, op, None, b, x, self.par)?;
        told.passes += truth.applications;
        truth.ending = of.ending;
        for (column, of) in truth.columns.iter_mut().zip(&of.columns) {
            (column.ending, column.iters) = (of.ending, of.iters);
        }
        Ok(truth)
    }

    /// From a sketch of the rows, preconditioned from the left.
    fn wide<T: Scalar>(&self, a: &dyn Matrix<T>, b: MatRef<'_, T>) -> Result<Fit<T>, LstsqError> {
        let (m, n, k) = (a.nrows(), a.ncols(), b.ncols());
        let rows = sketch_rows(self.oversampling, (n, m), a.entries());
        let height = rows.unwrap_or(n);
        let mut sketched = Mat::<T>::zeros(height, m);
        if let Some(rows) = rows {
            let sketch = SparseSign::new(n, rows, SIGNS.min(rows), self.seed)?;
            a.sketch_adjoint(sketched.as_mut(), &sketch, self.par)?;
        } else {
            let transposed = Transposed(a as &dyn AdjointOp<T>);
            let identity = Mat::<T>::identity(m, m);
            multiply(&transposed, sketched.as_mut(), identity.as_ref(), self.par);
        }
        check_sketch(sketched.as_ref())?;
        let factored = factor(sketched, m, self.limit::<T>(m, n))?;
        let left = Transposed(&factored.inverse as &dyn AdjointOp<T>);
        let op = Product::new(&left, a);
        let mut turned = Mat::zeros(left.nrows(), k);
        multiply(&left, turned.as_mut(), b, self.par);
        let mut x = Mat::zeros(n, k);
        let mut told = Told { passes: 1, ..Told::default() };
        let report = self.stages(&op, None, turned.as_ref(), &mut x, &mut told)?;
        let report = self.truth(a, b, &mut x, &report, &mut told)?;
        let columns = of_matrix(report.columns, factored.norm);
        Ok(fit(x, report.ending, &factored, height, told, columns))
    }

    /// Iterates, each time from what the last has left.
    fn stages<T: Scalar>(
        &self,
        op: &dyn AdjointOp<T>,
        right: Option<&dyn AdjointOp<T>>,
        b: MatRef<'_, T>,
        x: &mut Mat<T>,
        told: &mut Told,
    ) -> Result<LeastSquaresReport, LstsqError> {
        let mut stage = || -> Result<LeastSquaresReport, LstsqError> {
            let report = run(&self.settings::<T>(), op, right, b, x, self.par)?;
            told.passes += report.applications;
            told.iterations.push(report.iters);
            Ok(report)
        };
        let mut report = stage()?;
        for _ in 1..self.stages {
            report = stage()?;
        }
        Ok(report)
    }

    fn settings<T: Scalar>(&self) -> LeastSquares {
        let tol = self.tol.unwrap_or_else(|| 4.0 * T::epsilon().into());
        LeastSquares::lsqr().with_tol(tol).with_max_iters(self.max_iters).with_warm_start(true)
    }

    fn limit<T: Scalar>(&self, m: usize, n: usize) -> f64 {
        self.rcond.unwrap_or_else(|| m.max(n) as f64 * T::epsilon().into())
    }

    fn check<T: Scalar>(&self, m: usize, n: usize, b: MatRef<'_, T>) -> Result<(), LstsqError> {
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
        at_least("ridge", self.ridge, 0.0, positive)?;
        at_least("tol", self.tol.unwrap_or(0.0), 0.0, positive)?;
        at_least("rcond", self.rcond.unwrap_or(0.0), 0.0, positive)?;
        at_least("stages", self.stages as f64, 1.0, "at least 1")?;
        at_least("oversampling", self.oversampling.unwrap_or(1.0), 1.0, "at least 1")
    }
}

fn check_sketch<T: Scalar>(sketched: MatRef<'_, T>) -> Result<(), LstsqError> {
    let finite = |column: faer::ColRef<'_, T>| column.iter().all(|v| v.is_finite());
    match sketched.col_iter().position(|column| !finite(column)) {
        Some(col) => Err(LstsqError::NonFinite { col }),
        None => Ok(()),
    }
}

fn fit<T: Scalar>(
    x: Mat<T>,
    ending: Ending,
    factored: &Factored<T>,
    sketch_rows: usize,
    told: Told,
    columns: Vec<LeastSquaresColumn>,
) -> Fit<T> {
    let Told { passes, refinements, iterations } = told;
    let (rank, condition) = (factored.rank, factored.condition);
    let report =
        Report { ending, rank, condition, sketch_rows, iterations, refinements, passes, columns };
    Fit { x, report }
}

/// What is counted on the way.
#[derive(Default)]
struct Told {
    passes: usize,
    refinements: usize,
    iterations: Vec<usize>,
}

/// Columns that speak of the matrix, whose norm the sketch tells, in place of the preconditioned one.
fn of_matrix(mut columns: Vec<LeastSquaresColumn>, norm: f64) -> Vec<LeastSquaresColumn> {
    for column in &mut columns {
        column.operator_norm = norm;
    }
    columns
}

fn of<T: Scalar>(x: f64) -> T {
    <T as nearlin_krylov::Scalar>::of(x)
}
