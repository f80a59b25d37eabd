//! What a metric is learned from.

use nearlin::{
    Equations, Judge, Metric, MetricChoice, MetricForm, Options, learn_metric, refine_metric,
};

use crate::program::error::ProgramError;
use crate::table::{Problem, Task};

/// The metric that `judged` are best told by.
///
/// # Errors
/// [`ProgramError::Train`] as of [`learn_metric`] and [`refine_metric`].
pub(super) fn learned(
    problem: &Problem,
    judged: &Equations,
    forms: &[MetricForm],
    options: &Options,
) -> Result<MetricChoice, ProgramError> {
    let spreads = problem.encoder.spreads();
    let own_units = spreads.and_then(|spreads| Metric::own_units(&spreads));
    let bases: Vec<Metric> = own_units.into_iter().collect();
    let judge = match problem.target.task() {
        Task::Regression => Judge::SquaredError,
        Task::Classification => Judge::Misclassified,
    };
    let choice = learn_metric(judged, &bases, forms, judge, options.par)?;
    Ok(refine_metric(judged, choice, judge, options)?)
}

/// The equations of another loss as those of squared errors: with their weights, and targets of mean 0.
///
/// # Errors
/// [`ProgramError::Train`] for numbers that are not finite.
pub(super) fn in_squares(
    problem: &Problem,
    equations: &Equations,
) -> Result<Equations, ProgramError> {
    let (n, d, k) = (equations.rows(), equations.inputs(), equations.outputs());
    let root = |i: usize| problem.weights.as_ref().map_or(1.0, |weights| weights[i].sqrt());
    let mean = |c: usize| problem.target.shares().map_or(0.0, |shares| shares[c]);
    let x = (0..n * d).map(|at| root(at / d) * equations.x()[(at / d, at % d)]).collect();
    let y = equations.y().iter().enumerate();
    let y = y.map(|(at, y)| root(at / k) * (y - mean(at % k))).collect();
    Ok(Equations::new(x, y, d, k)?)
}
