//! Least squares by LSQR or LSMR: rectangular, singular or damped, for several right-hand sides at once.
//!
//! Both run on one bidiagonalisation (`golub_kahan.rs`) and stop by the rules of Paige and Saunders (ACM Trans. Math.
//! Softw. 8, 1982, section 6) and Fong and Saunders (SIAM J. Sci. Comput. 33, 2011, section 5). What they estimate on the
//! way decides when to stop; what the report says is computed from the solution, by a product with `A` and one with its
//! adjoint at the end.

mod process;

use core::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::{Mat, MatMut, MatRef, Par};

pub(crate) use self::process::Estimates;
use self::process::{State, products_scratch, residuals};
use crate::KrylovError;
use crate::compose::Product;
use crate::error::{check_finite, check_shape, check_size, check_tolerance};
use crate::op::{AdjointOp, LinOp, Scalar};
use crate::report::{Ending, LeastSquaresColumn, LeastSquaresReport, Observer, Step};
use crate::vector::{add, norm, robust_norm, scale, scaled_copy};

/// The recurrence that makes iterates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The residual shrinks from step to step; as conjugate gradients on the normal equations.
    Lsqr,
    /// The gradient shrinks from step to step; as MINRES on the normal equations.
    Lsmr,
}

/// Settings for `min |b - A x|^2 + damping^2 |x|^2`.
///
/// # Examples
/// ```
/// use faer::mat;
/// use nearlin_krylov::{Ending, LeastSquares};
///
/// // The line through (0, 1), (1, 2), (2, 2).
/// let a = mat![[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]];
/// let b = mat![[1.0], [2.0], [2.0]];
/// let fit = LeastSquares::lsqr().solve(&a, b.as_ref())?;
/// assert_eq!(fit.report.ending, Ending::LeastSquares);
/// assert!((fit.x[(0, 0)] - 7.0 / 6.0_f64).abs() < 1e-10);
/// assert!((fit.x[(1, 0)] - 0.5_f64).abs() < 1e-10);
/// # Ok::<(), nearlin_krylov::KrylovError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LeastSquares {
    /// The recurrence.
    pub method: Method,
    /// Relative error that entries of `A` are taken to have: ends a solve whose gradient is `|A* r| <= atol |A| |r|`. Default
    /// `1e-10`.
    pub atol: f64,
    /// Relative error of entries of `b`: ends one whose residual is `|r| <= btol |b| + atol |A| |x|`. Default `1e-10`.
    pub btol: f64,
    /// Ends a solve where the estimated condition number of `A` passes this, before small singular values spoil `x`. Default
    /// infinite.
    pub condition_limit: f64,
    /// Ends a solve from a warm start where `|N* A* r|` is at most this times the norm of that start. With an `N` from the right that
    /// makes the columns of `A N` nearly orthonormal, this is the norm of what `A` can still explain of the residual, and
    /// `x` then solves a problem whose matrix differs from `A` by this in norm (Chang, Paige and Titley-Peloquin, SIAM J.
    /// Matrix Anal. Appl. 31, 2009). Default 0.
    pub projection_tol: f64,
    /// Weight of the penalty on `x`. Default 0.
    pub damping: f64,
    /// Most steps. Default 1000.
    pub max_iters: usize,
    /// Whether the true residual is formed at the end, by one more application of `A` and its adjoint; without it norms and endings
    /// in the report are the recurrence's, of the preconditioned `A`, for callers who form the true ones themselves. Default `true`.
    pub final_check: bool,
    /// Whether `x` on entry is where to start from. With damping, what is damped is the way from there. Default `false`: 0.
    pub warm_start: bool,
}

/// A solution with the report on it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeastSquaresSolution<T> {
    /// `n x k`.
    pub x: Mat<T>,
    /// How the solve ended, and how good `x` is.
    pub report: LeastSquaresReport,
}

/// How many times what the tolerances allow a true residual may be that was taken to have met them.
const FALSE: f64 = 2.0;

impl LeastSquares {
    fn with_method(method: Method) -> Self {
        Self {
            method,
            atol: 1e-10,
            btol: 1e-10,
            condition_limit: f64::INFINITY,
            projection_tol: 0.0,
            damping: 0.0,
            max_iters: 1000,
            final_check: true,
            warm_start: false,
        }
    }

    /// LSQR with the default settings.
    #[must_use]
    pub fn lsqr() -> Self {
        Self::with_method(Method::Lsqr)
    }

    /// LSMR with the default settings.
    #[must_use]
    pub fn lsmr() -> Self {
        Self::with_method(Method::Lsmr)
    }

    /// These settings with `atol` and `btol` both `tol`.
    #[must_use]
    pub fn with_tol(self, tol: f64) -> Self {
        Self { atol: tol, btol: tol, ..self }
    }

    /// These settings with `atol` for the operator.
    #[must_use]
    pub fn with_atol(self, atol: f64) -> Self {
        Self { atol, ..self }
    }

    /// These settings with `btol` for right-hand sides.
    #[must_use]
    pub fn with_btol(self, btol: f64) -> Self {
        Self { btol, ..self }
    }

    /// These settings with a limit to the condition number.
    #[must_use]
    pub fn with_condition_limit(self, condition_limit: f64) -> Self {
        Self { condition_limit, ..self }
    }

    /// These settings with a tolerance for the projection of the residual.
    #[must_use]
    pub fn with_projection_tol(self, projection_tol: f64) -> Self {
        Self { projection_tol, ..self }
    }

    /// These settings with a penalty on `x`.
    #[must_use]
    pub fn with_damping(self, damping: f64) -> Self {
        Self { damping, ..self }
    }

    /// These settings with at most `max_iters` steps.
    #[must_use]
    pub fn with_max_iters(self, max_iters: usize) -> Self {
        Self { max_iters, ..self }
    }

    /// These settings with or without the true residual formed at the end.
    #[must_use]
    pub fn with_final_check(self, final_check: bool) -> Self {
        Self { final_check, ..self }
    }

    /// These settings, starting from `x` on entry or from 0.
    #[must_use]
    pub fn with_warm_start(self, warm_start: bool) -> Self {
        Self { warm_start, ..self }
    }

    /// Solves for `k` columns at once from `x = 0`, allocating what it needs.
    ///
    /// `A : m x n` of any shape and rank, `b : m x k`, `x : n x k`. Without damping `x` is the solution of least norm.
    ///
    /// # Errors
    /// As [`solve_into`](Self::solve_into).
    pub fn solve<T: Scalar>(
        &self,
        a: &dyn AdjointOp<T>,
        b: MatRef<'_, T>,
    ) -> Result<LeastSquaresSolution<T>, KrylovError> {
        self.allocated(a, None, b, Par::Seq)
    }

    /// Solves `min |b - A N y|^2 + damping^2 |y|^2` and returns `x = N y`, for an `N : n x l` with which `A N` is better
    /// conditioned: the inverse of a triangular factor of a sketch of `A`, say.
    ///
    /// # Errors
    /// As [`solve_into`](Self::solve_into).
    pub fn solve_preconditioned<T: Scalar>(
        &self,
        a: &dyn AdjointOp<T>,
        right: &dyn AdjointOp<T>,
        b: MatRef<'_, T>,
        par: Par,
    ) -> Result<LeastSquaresSolution<T>, KrylovError> {
        self.allocated(a, Some(right), b, par)
    }

    fn allocated<T: Scalar>(
        &self,
        a: &dyn AdjointOp<T>,
        right: Option<&dyn AdjointOp<T>>,
        b: MatRef<'_, T>,
        par: Par,
    ) -> Result<LeastSquaresSolution<T>, KrylovError> {
        let mut x = Mat::zeros(a.ncols(), b.ncols());
        self.check(a, right, x.as_ref(), b)?;
        let mut scratch = MemBuffer::new(Self::scratch(a, right, b.ncols(), par));
        let mut watch = |_: &Step<'_>| ControlFlow::Continue(());
        let stack = MemStack::new(&mut scratch);
        let cold = self.with_warm_start(false);
        let report = cold.solve_into(x.as_mut(), a, right, b, &mut watch, par, stack)?;
        Ok(LeastSquaresSolution { x, report })
    }

    /// Scratch that [`solve_into`](Self::solve_into) needs for `k` columns: a block `m x k`, seven of `n x k`, five of them with as
    /// many rows as the preconditioner has columns, and what the operators ask for. Panics if the preconditioner does not fit.
    #[must_use]
    pub fn scratch<T: Scalar>(
        a: &dyn AdjointOp<T>,
        right: Option<&dyn AdjointOp<T>>,
        k: usize,
        par: Par,
    ) -> StackReq {
        let inner = match right {
            None => products_scratch(a, k, par),
            Some(right) => products_scratch(&Product::new(a, right), k, par),
        };
        let block = temp_mat_scratch::<T>(right.map_or(a.ncols(), LinOp::ncols), k);
        let tall = temp_mat_scratch::<T>(a.nrows(), k);
        let wide = temp_mat_scratch::<T>(a.ncols(), k);
        let inner = inner.or(products_scratch(a, k, par));
        let inner = right.map_or(inner, |right| {
            inner.or(right.apply_scratch(k, par)).or(right.apply_adjoint_scratch(k, par))
        });
        StackReq::all_of(&[tall, wide, wide, block, block, block, block, block, inner])
    }

    /// Solves for `k` columns at once, with an optional preconditioner from the right.
    ///
    /// A step costs one application of `A` and one of its adjoint to a block of the columns that are not done, both in one
    /// call; one more call to begin, and one at the end for the report. Nothing is allocated within the loop. Each right-hand side is
    /// scaled to norm 1, so its magnitude does not matter.
    ///
    /// # Errors
    /// [`KrylovError`] for operands that do not fit, entries that are not finite or settings out of range. Failing to
    /// converge is no error: read [`LeastSquaresReport::ending`].
    #[allow(clippy::too_many_arguments, reason = "output, operands, observer, resources")]
    pub fn solve_into<T: Scalar>(
        &self,
        mut x: MatMut<'_, T>,
        a: &dyn AdjointOp<T>,
        right: Option<&dyn AdjointOp<T>>,
        b: MatRef<'_, T>,
        observer: &mut dyn Observer,
        par: Par,
        stack: &mut MemStack,
    ) -> Result<LeastSquaresReport, KrylovError> {
        self.check(a, right, x.as_ref(), b)?;
        let (m, n, k) = (a.nrows(), a.ncols(), b.ncols());
        let length = right.map_or(n, LinOp::ncols);
        let (mut u, stack) = temp_mat_zeroed::<T, _, _>(m, k, stack);
        let (mut y, stack) = temp_mat_zeroed::<T, _, _>(length, k, stack);
        let (mut q, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (mut z, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (mut u, mut y) = (u.as_mat_mut(), y.as_mat_mut());
        let (mut q, mut z) = (q.as_mat_mut(), z.as_mat_mut());
        let product = right.map(|right| Product::new(a, right));
        let op: &dyn AdjointOp<T> = product.as_ref().map_or(a, |product| product);

        // What is left to fit, for right-hand sides of norm 1, and its product with the adjoint.
        let b_norms: Vec<f64> = b.col_iter().map(robust_norm).collect();
        if self.warm_start {
            // The answer to nothing is nothing.
            for (j, _) in b_norms.iter().enumerate().filter(|(_, norm)| **norm == 0.0) {
                x.as_mut().col_mut(j).fill(T::of(0.0));
            }
            let blocks = (u.as_mut(), q.as_mut(), z.as_mut());
            residuals(a, x.as_ref(), b, &b_norms, blocks, par, stack);
            match right {
                Some(right) => right.apply_adjoint(y.as_mut(), z.as_ref(), par, stack),
                None => y.copy_from(z.as_ref()),
            }
        } else {
            x.fill(T::of(0.0));
            for (j, &b_norm) in b_norms.iter().enumerate() {
                scaled_copy(u.as_mut().col_mut(j), b.col(j), b_norm);
            }
            op.apply_adjoint(y.as_mut(), u.as_ref(), par, stack);
        }
        let mut states = Vec::with_capacity(k);
        for (j, &b_norm) in b_norms.iter().enumerate() {
            let start_norm = norm(u.as_ref().col(j));
            if start_norm > 0.0 {
                scale(u.as_mut().col_mut(j), 1.0 / start_norm);
                scale(y.as_mut().col_mut(j), 1.0 / start_norm);
            }
            // The start itself, where there is one.
            let enough = self.projection_tol * norm(q.as_ref().col(j));
            states.push(State::new(b_norm, start_norm, enough));
        }
        let iters = self.iterate(op, u.as_mut(), y.as_mut(), &mut states, observer, par, stack);
        // A start that nothing was done to has its residuals already.
        let known = self.warm_start && iters == 0;
        if !known {
            let step = match right {
                None => y.as_ref(),
                Some(right) => {
                    right.apply(q.as_mut(), y.as_ref(), par, stack);
                    q.as_ref()
                }
            };
            for (j, state) in states.iter().enumerate() {
                add(x.as_mut().col_mut(j), state.start_norm * state.b_norm, step.col(j));
            }
        }
        let checked = self.final_check && !known;
        if checked {
            // What is true of `x`, in place of what the recurrence says.
            residuals(a, x.as_ref(), b, &b_norms, (u.as_mut(), q.as_mut(), z.as_mut()), par, stack);
        }
        let shift = -self.damping * self.damping;
        let mut columns = Vec::with_capacity(k);
        for (j, state) in states.iter().enumerate() {
            if !(checked || known) {
                scaled_copy(q.as_mut().col_mut(j), x.as_ref().col(j), state.b_norm);
            }
            let solution = norm(q.as_ref().col(j));
            let is = &state.estimates;
            let (residual, gradient) = if checked || known {
                add(z.as_mut().col_mut(j), shift, q.as_ref().col(j));
                let residual = if known { state.start_norm } else { norm(u.as_ref().col(j)) };
                (residual, norm(z.as_ref().col(j)))
            } else {
                (is.residual * state.start_norm, is.gradient * state.start_norm)
            };
            columns.push(self.column(state, residual, gradient, solution));
        }
        let ending = columns.iter().fold(Ending::Converged, |worst, c| worst.worse(c.ending));
        // One to begin and one for the report.
        let applications = iters + 1 + usize::from(checked);
        Ok(LeastSquaresReport { ending, iters, applications, columns })
    }

    /// What is said of a column, from its true residual, gradient and norm beside a right-hand side of norm 1.
    fn column(
        &self,
        state: &State,
        residual: f64,
        gradient: f64,
        solution: f64,
    ) -> LeastSquaresColumn {
        let is = &state.estimates;
        let operator = is.operator;
        let size = operator * is.solution * state.start_norm;
        // A claim that the true residual does not bear out.
        let ending = match state.ending.unwrap_or(Ending::Converged) {
            Ending::Converged if residual > FALSE * (self.btol + self.atol * size) => {
                Ending::Stagnated
            }
            other => other,
        };
        LeastSquaresColumn {
            ending,
            iters: state.iters,
            rel_residual: residual,
            residual_norm: residual * state.b_norm,
            gradient_norm: gradient * state.b_norm,
            solution_norm: solution * state.b_norm,
            operator_norm: operator,
            condition: state.estimates.condition,
        }
    }

    fn check<T: Scalar>(
        &self,
        a: &dyn AdjointOp<T>,
        right: Option<&dyn AdjointOp<T>>,
        x: MatRef<'_, T>,
        b: MatRef<'_, T>,
    ) -> Result<(), KrylovError> {
        let (m, n, k) = (a.nrows(), a.ncols(), b.ncols());
        check_shape("right-hand side", (b.nrows(), k), (m, k))?;
        check_shape("solution", (x.nrows(), x.ncols()), (n, k))?;
        if let Some(right) = right {
            check_shape("preconditioner", (right.nrows(), right.ncols()), (n, right.ncols()))?;
        }
        check_tolerance("atol", self.atol)?;
        check_tolerance("btol", self.btol)?;
        check_tolerance("condition_limit", self.condition_limit)?;
        check_tolerance("projection_tol", self.projection_tol)?;
        check_size("damping", self.damping)?;
        check_finite("right-hand side", b)?;
        if self.warm_start { check_finite("start", x) } else { Ok(()) }
    }
}
