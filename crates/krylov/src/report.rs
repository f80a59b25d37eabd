//! What a solver shows on the way and says at the end.

use core::ops::ControlFlow;

/// How a solve, or one column of it, ended. Every ending leaves a usable iterate.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Ending {
    /// The true residual met the tolerance.
    Converged,
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
        /// `"p' A p"` (operator) or `"r' P r"` (preconditioner).
        what: &'static str,
        /// The offending value, for a right-hand side of norm 1.
        value: f64,
    },
}

impl Ending {
    /// The graver of two endings: what a solve of several columns reports.
    #[must_use]
    pub(crate) fn worse(self, other: Self) -> Self {
        let rank = |e: &Self| match e {
            Self::Converged => 0,
            Self::Stagnated => 1,
            Self::MaxIters => 2,
            Self::Stopped => 3,
            Self::Breakdown { .. } => 4,
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
        self.columns.iter().map(|c| c.rel_residual).fold(0.0, f64::max)
    }

    /// The largest estimate of the preconditioned operator's condition number by any column.
    #[must_use]
    pub fn condition(&self) -> f64 {
        self.columns.iter().map(|c| c.condition).fold(1.0, f64::max)
    }
}

/// What an iterative solver shows after each step.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Step<'a> {
    /// Steps completed, from 1.
    pub iter: usize,
    /// `|r_j| / |b_j|` of the recurrence, one for each right-hand side.
    pub rel_residuals: &'a [f64],
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
