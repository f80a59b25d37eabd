//! How a run ended and what each step did: data, never errors.

use nearlin_relu::Network;

use crate::solver::SolverKind;

/// Why a run ended. Every ending leaves a usable network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Ending {
    /// The tolerance is met (by the relative residual without a ridge, by the gradient with one), or a step or a pass gains
    /// less than [`Options::least_gain`](crate::Options::least_gain).
    Converged,
    /// The tolerance is met by everything that can be fitted; what remains of the residual is the
    /// floor of rows with equal inputs and different targets, which is above the tolerance.
    Floor,
    /// The budget of steps is spent.
    MaxSteps,
    /// No step makes enough progress any more: see [`Run::reason`].
    Stagnated,
    /// The observer asked to stop.
    Stopped,
    /// The inner solver broke down before it gave any usable step.
    Breakdown,
}

impl Ending {
    /// The name in reports: `converged`, `floor`, `max-steps`, `stagnated`, `stopped`, `breakdown`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::Floor => "floor",
            Self::MaxSteps => "max-steps",
            Self::Stagnated => "stagnated",
            Self::Stopped => "stopped",
            Self::Breakdown => "breakdown",
        }
    }
}

/// A kept step, with its certificate.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct StepReport {
    /// From 1, counted since the last restart.
    pub step: usize,
    /// The inner solver.
    pub solver: SolverKind,
    /// `|f(W) - y| / |y|` after the step.
    pub rel_residual: f64,
    /// What the inner solver and damping left: `|r + J D| / |r|` without a ridge,
    /// `|(G + mu I) g - b| / |b|` with one. Recomputed, never taken from a recurrence.
    pub eta_inner: f64,
    /// What the linear model missed: `|f(W + D) - f(W) - J D| / |r|`.
    pub eta_lin: f64,
    /// The ratio of the gradients' norms with a ridge, or with fewer parameters than equations; else, and on batches always,
    /// `|r_new| / |r_old|`.
    pub contraction: f64,
    /// What the objective `|f(W) - y|^2 + mu |W - W_0|^2` fell by, relative to its value after the step.
    pub gain: f64,
    /// Fraction of the activation mask that changed.
    pub flipped: f64,
    /// Iterations of the inner solver.
    pub inner_iterations: usize,
    /// A lower bound of the preconditioned system's condition number, from the inner solver's own coefficients: how good the
    /// preconditioner is. 1 where nothing had to be solved.
    pub condition: f64,
    /// `|J^T r + mu (W - W_0)|` after the step, relative to its value at `W_0`; `None` without a
    /// ridge, where nothing needs it, and on batches.
    pub rel_gradient: Option<f64>,
    /// What a Cholesky factorisation had to add to its diagonal; 0 unless it failed without.
    pub shift: f64,
    /// The rank of a low-rank preconditioner; `None` for others.
    pub rank: Option<usize>,
    /// What that leaves of the matrix: [`LowRankPlus::left`](crate::LowRankPlus::left).
    pub left: Option<f64>,
    /// The fraction of the Gauss-Newton step that was taken; below 1 only where a full step at a
    /// fixed scale raised the objective.
    pub step_length: f64,
    /// `lambda` of a Levenberg-Marquardt step or of one on a batch, in the units of the ridge; 0 for a Gauss-Newton step.
    pub damping: f64,
    /// Entries of the activation mask that the step put on their kinks, where `relu'` is any number
    /// of `[0, 1]`; the gradient is the smallest that these allow. 0 without a ridge.
    pub pinned: usize,
}

/// A scale that was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ScaleTrial {
    /// Standard deviation of the initial weights.
    pub scale: f64,
    /// `eta_lin` of the first step.
    pub eta_lin: f64,
    /// The worst contraction of any step at this scale, the rejected one included; `None` if the
    /// first step's certificate already failed.
    pub worst_contraction: Option<f64>,
    /// Whether the run ended at this scale.
    pub accepted: bool,
}

/// A trained network with the story of its training.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Run {
    /// The network after the last kept step.
    pub network: Network,
    /// Standard deviation of its initial weights.
    pub scale: f64,
    /// Why the run ended.
    pub ending: Ending,
    /// The ending in words, with figures.
    pub reason: String,
    /// `|f(W) - y| / |y|`, orthogonal to the floor; 0 if all targets are 0.
    pub rel_residual: f64,
    /// Kept steps since the last restart.
    pub steps: Vec<StepReport>,
    /// Scales tried, that of the run last; empty for a fixed scale.
    pub scale_search: Vec<ScaleTrial>,
}
