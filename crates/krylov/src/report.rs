//! What a solver shows on the way and says at the end.

use core::ops::ControlFlow;

/// How a solve, or one column of it, ended. Every ending leaves a usable iterate.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Ending {
    /// The true residual met the tolerance.
    Converged,
    /// The residual is not small, but its gradient `A* r` is: `x` solves the least-squares problem.
    LeastSquares,
    /// The estimated condition number passed its limit.
    ConditionLimit,
    /// The step budget ran out.
    MaxIters,
    /// The observer asked to stop.
    Stopped,
    /// The recurrence claims convergence again and again, the true residual does not follow: the
    /// accuracy that the operator's rounding allows is reached.
    Stagnated,
    /// A quantity that must be positive is not: the operator or the preconditioner is not positive
    /// definite along a search direction, or not finite.
    Breakdown {
        /// First column that broke down.
        column: usize,
        /// `"p' A p"`, `"|A v|"` or `"|A* r|"` (operator), or `"r' P r"` (preconditioner).
        what: &'static str,
        /// The offending value, for a right-hand side of norm 1.
        value: f64,
    },
}

impl Ending {
    /// How columns end that are still worked on when the observer asked to stop, or all steps are taken.
    #[must_use]
    pub(crate) fn spent(stopped: bool, out_of_steps: bool) -> Option<Self> {
        match (stopped, out_of_steps) {
            (true, _) => Some(Self::Stopped),
            (false, true) => Some(Self::MaxIters),
            (false, false) => None,
        }
    }

    /// The graver of two endings: what a solve of several columns reports.
    #[must_use]
    pub(crate) fn worse(self, other: Self) -> Self {
        let rank = |e: &Self| match e {
            Self::Converged => 0,
            Self::LeastSquares => 1,
            Self::Stagnated => 2,
            Self::ConditionLimit => 3,
            Self::MaxIters => 4,
            Self::Stopped => 5,
            Self::Breakdown { .. } => 6,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
}

/// What became of one right-hand side.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Column {
    /// Why it ended.
    pub ending: Ending,
    /// Steps in which this column took part.
    pub iters: usize,
    /// `|b - A x| / |b|` of the returned `x`, recomputed; 0 where `b = 0`.
    pub rel_residual: f64,
    /// The largest over the least Ritz value of the preconditioned operator: a lower bound of its condition number, and close
    /// to that of the part which the right-hand side sees where it converged; of the first 1,024 steps, 1 for none.
    pub condition: f64,
}

/// What a solve did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The gravest ending of any column.
    pub ending: Ending,
    /// Steps taken.
    pub iters: usize,
    /// Applications of the operator to a block, those that recompute residuals included.
    pub applications: usize,
    /// One entry for each right-hand side.
    pub columns: Vec<Column>,
}

impl Report {
    /// The largest true relative residual of any column.
    #[must_use]
    pub fn worst_residual(&self) -> f64 {
        largest(0.0, self.columns.iter().map(|c| c.rel_residual))
    }

    /// The largest estimate of the preconditioned operator's condition number by any column.
    #[must_use]
    pub fn condition(&self) -> f64 {
        largest(1.0, self.columns.iter().map(|c| c.condition))
    }
}

/// The largest of `values` and `least`, or NaN where one is NaN: what is not known is not small.
pub(crate) fn largest(least: f64, values: impl Iterator<Item = f64>) -> f64 {
    values.fold(least, |most, value| if most.is_nan() || value <= most { most } else { value })
}

/// What became of one right-hand side of a least-squares problem. Norms are in its units and recomputed from the returned `x`,
/// unless they are called estimates.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LeastSquaresColumn {
    /// Why it ended.
    pub ending: Ending,
    /// Steps in which this column took part.
    pub iters: usize,
    /// `|b - A x| / |b|`; 0 where `b = 0`.
    pub rel_residual: f64,
    /// `|b - A x|`.
    pub residual_norm: f64,
    /// `|A* (b - A x) - damping^2 x|`, without the damping from a warm start.
    pub gradient_norm: f64,
    /// `|x|`.
    pub solution_norm: f64,
    /// Estimate of the Frobenius norm of `A` (of `A N` with a preconditioner), and of damping beside it: from below for the
    /// first steps, and somewhat beyond it where rounding makes directions come again.
    pub operator_norm: f64,
    /// Estimate of its condition number, as published: LSQR's is of Frobenius norms, LSMR's the ratio of diagonal entries of its
    /// second factorisation, which is one from below and may be far below.
    pub condition: f64,
}

impl LeastSquaresColumn {
    /// Upper bound, up to the estimate of the norm of an `A` without a preconditioner, of the least relative change of `A`
    /// for which `x` is the exact solution: `|A* r| / (|A| |r|)` (Stewart, *Research, development, and LINPACK*, 1977); 0 where
    /// the gradient is.
    #[must_use]
    pub fn backward_error(&self) -> f64 {
        if self.gradient_norm == 0.0 {
            return 0.0;
        }
        self.gradient_norm / (self.operator_norm * self.residual_norm)
    }
}

/// What a least-squares solve did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LeastSquaresReport {
    /// The gravest ending of any column.
    pub ending: Ending,
    /// Steps taken.
    pub iters: usize,
    /// Passes over the operator, each of which may apply it and its adjoint: one for each step, one to begin, one for the
    /// report.
    pub applications: usize,
    /// One entry for each right-hand side.
    pub columns: Vec<LeastSquaresColumn>,
}

/// What an iterative solver shows after each step.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Step<'a> {
    /// Steps completed, from 1.
    pub iter: usize,
    /// `|r_j| / |b_j|` of the recurrence, one for each right-hand side.
    pub rel_residuals: &'a [f64],
    /// Estimates of `|A* r_j| / (|A| |r_j|)` for least squares, one for each right-hand side; empty for other solvers.
    pub rel_gradients: &'a [f64],
}

/// Watches a solver, and may stop it. Any `FnMut(&Step) -> ControlFlow<()>` is one.
pub trait Observer {
    /// Called after every step; `Break` stops the solver and keeps the iterate.
    fn on_step(&mut self, step: &Step<'_>) -> ControlFlow<()>;
}

impl<F: FnMut(&Step<'_>) -> ControlFlow<()>> Observer for F {
    fn on_step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        self(step)
    }
}
