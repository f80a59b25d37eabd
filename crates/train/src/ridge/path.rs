//! Ridges and what was found for them.

/// Errors that differ by less, relative to the least, count as equal: far below what they are uncertain by,
/// which is some `1 / sqrt(2 n)`.
const EQUAL: f64 = 1e-3;

/// How ridges were judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Criterion {
    /// The exact leave-one-out residual.
    LeaveOneOut,
    /// Generalised cross-validation with an estimated trace.
    GeneralisedCrossValidation,
    /// The loss on a fifth of the equations, of networks trained on the others.
    HeldOut,
}

impl Criterion {
    /// The name in reports: `leave-one-out`, `generalised-cross-validation` or `held-out`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LeaveOneOut => "leave-one-out",
            Self::GeneralisedCrossValidation => "generalised-cross-validation",
            Self::HeldOut => "held-out",
        }
    }
}

/// A ridge and what was found for it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RidgePoint {
    /// `mu`.
    pub ridge: f64,
    /// The root of the sum of squared residuals of examples that were left out, relative to `|y|`; of another
    /// loss, the loss relative to that of outputs 0.
    pub error: f64,
    /// `trace(G (G + mu I)^-1)`, for each output the number of parameters that the data determine; 0 where
    /// that was not looked at.
    pub effective_parameters: f64,
}

/// Ridges from the smallest to the largest, and the best of them.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RidgePath {
    /// How they were judged.
    pub criterion: Criterion,
    /// Each ridge, smallest first.
    pub points: Vec<RidgePoint>,
    /// The index of the best: the largest ridge whose error is within 0.1% of the least.
    pub best: usize,
    /// Equations that they were judged by.
    pub rows: usize,
}

impl RidgePath {
    /// The best ridge.
    #[must_use]
    pub fn ridge(&self) -> f64 {
        self.points[self.best].ridge
    }

    /// The error of the best, as [`RidgePoint::error`].
    #[must_use]
    pub fn error(&self) -> f64 {
        self.points[self.best].error
    }

    pub(crate) fn new(criterion: Criterion, points: Vec<RidgePoint>, rows: usize) -> Self {
        let least = points.iter().map(|point| point.error).fold(f64::INFINITY, f64::min);
        let good = |point: &RidgePoint| point.error <= (1.0 + EQUAL) * least;
        let best = points.iter().rposition(good).unwrap_or(0);
        Self { criterion, points, best, rows }
    }
}
