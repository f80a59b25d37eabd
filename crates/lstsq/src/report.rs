//! What a solve says of itself.

use faer::Mat;
use nearlin_krylov::{Ending, LeastSquaresColumn};

/// A solution with the report on it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fit<T> {
    /// `n x k`.
    pub x: Mat<T>,
    /// How it was found, and how good it is.
    pub report: Report,
}

/// What a solve did, and how good its solution is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The gravest ending of any column in the last stage.
    pub ending: Ending,
    /// Rank that was told by the sketch: the matrix's own unless a singular value is near the limit.
    pub rank: usize,
    /// Condition number of the sketch without what was dropped, and so of the matrix but for the sketch's distortion.
    pub condition: f64,
    /// Rows of the sketch.
    pub sketch_rows: usize,
    /// Iterations in each stage.
    pub iterations: Vec<usize>,
    /// Estimates of the relative gradient, `|A* r| / (|A| |r|)` of the preconditioned matrix, after each iteration of all stages:
    /// the largest of any right-hand side.
    pub gradients: Vec<f64>,
    /// Steps with residuals in twice the working precision, which small problems of full rank end with.
    pub refinements: usize,
    /// Times that the matrix was read: by the sketch, by iterations, and for residuals; refinements read a copy of their own. The
    /// sketch of an [`Operator`](crate::Operator) counts for one, though it takes as many products as the smaller dimension.
    pub passes: usize,
    /// One entry for each right-hand side; norms are of the system that is solved, without a preconditioner: with weights its rows
    /// are scaled by their roots, with a ridge residuals contain the penalty. The operator's norm and condition are
    /// those of that system's sketch.
    pub columns: Vec<LeastSquaresColumn>,
}

impl Report {
    /// The largest [`LeastSquaresColumn::backward_error`] of any column.
    #[must_use]
    pub fn backward_error(&self) -> f64 {
        let errors = self.columns.iter().map(LeastSquaresColumn::backward_error);
        // One that is not known is not small.
        errors.fold(0.0, |most, error| if most.is_nan() || error <= most { most } else { error })
    }
}
