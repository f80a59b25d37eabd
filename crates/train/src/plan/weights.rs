//! What a run costs whose steps are solved for in the space of the weights: fewer parameters than equations and no
//! ridge, where no solver's factor is built (`primal.rs`).

use super::{Candidate, Rates, Shape, cost};
use crate::options::{Options, Precision};
use crate::primal::{
    drawn, factor_after, is_overdetermined, normal_factor_after, normal_factor_columns,
    sampled_bytes,
};
use crate::solver::SolverKind;

/// The part that steps take of the iterations without a preconditioner, which are guessed for systems that have a solution; solves
/// for each step that may be taken, as some are not kept; what an iteration takes beside the same product in the space of the
/// multipliers; iterations with a factor of some examples, and builds of it for each step. All by comparison with runs.
const PART: f64 = 0.6;
const SOLVES: f64 = 1.6;
const PACE: f64 = 1.5;
const SAMPLED: f64 = 60.0;
const BUILDS: f64 = 0.8;

/// Whether steps are solved for there: with the squared loss only.
pub(super) fn applies(shape: &Shape, options: &Options) -> bool {
    let Shape { rows, inputs, outputs, squared, .. } = *shape;
    squared && options.ridge == 0.0 && is_overdetermined(rows, (options.width, inputs), outputs)
}

/// What the run costs, whatever the solver that it is named after: conjugate gradients in `f64`, in as many steps as may be
/// taken, as such runs seldom end before. The factor of `J^T J` that a step takes where they are slow is less work than
/// these would have been, and counts as memory.
pub(super) fn candidate(
    named: SolverKind,
    shape: &Shape,
    options: &Options,
    rates: &Rates,
) -> Candidate {
    let steps = options.max_steps;
    // Steps are not tried again at larger scales, which cannot make them contract.
    let shape = Shape { least_eigenvalue: f64::INFINITY, ..*shape };
    let options = options.precision(Precision::F64);
    let plain = cost::candidate(SolverKind::Cg, &shape, &options, steps, rates);
    let mut iterations = PART * plain.iterations;
    let (rows, parameters) = (shape.rows, options.width * shape.inputs);
    let normal = normal_factor_after(parameters).is_some();
    let (mut build_seconds, mut builds, mut factor_bytes) = (0.0, 0, 0.0);
    let mut iteration_seconds = PACE * plain.iteration_seconds;
    if normal {
        let p = parameters as f64;
        let (summed, held) = normal_factor_columns(rows, parameters);
        // What is added up, and a sum of it, where examples are taken some at a time.
        let matrices = if summed == held { 2.0 } else { 4.0 };
        factor_bytes = 8.0 * (matrices * p * p + p * held as f64);
    } else if factor_after(parameters, shape.outputs).is_some() {
        factor_bytes = sampled_bytes(rows, (options.width, shape.inputs));
        if iterations > SAMPLED {
            let some = Shape { rows: drawn(rows, parameters), ..shape };
            let single = options.precision(Precision::F32);
            let of_some = cost::candidate(SolverKind::Cholesky, &some, &single, 1, rates);
            build_seconds = of_some.build_seconds;
            iteration_seconds += of_some.iteration_seconds;
            (iterations, builds) = (SAMPLED, (BUILDS * steps as f64).ceil() as usize);
        }
    }
    let solves = SOLVES * (steps as f64 + 1.0);
    let solved = solves * iterations * iteration_seconds + builds as f64 * build_seconds;
    let before = (steps as f64 + 1.0) * plain.iterations * plain.iteration_seconds;
    Candidate {
        solver: named,
        predicted_seconds: plain.predicted_seconds + cost::IN_TURN * (solved - before),
        predicted_bytes: plain.predicted_bytes + factor_bytes,
        build_seconds,
        builds,
        iterations,
        iteration_seconds,
        ..plain
    }
}

/// Why no solver's factor serves, in a sentence.
pub(super) fn explain(candidate: &Candidate) -> String {
    format!(
        "fewer parameters than equations and no ridge: each step is a least-squares problem in the weights, of {:.0} \
         iterations",
        candidate.iterations
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan;

    /// One candidate, of as many steps as may be taken, with room for a factor of `J^T J` where there may be one. A ridge,
    /// or a width for which there are parameters enough, makes it a plan of solvers.
    #[test]
    fn few_parameters_without_a_ridge_are_planned_for() {
        let shape = Shape::of(20_000, 10, 1, 2);
        let of = |width: usize, ridge: f64| {
            plan(&shape, &Options::default().width(width).ridge(ridge).max_steps(7))
        };
        let narrow = of(16, 0.0);
        let [only] = &narrow.candidates[..] else { panic!("{:?}", narrow.candidates) };
        assert_eq!((only.solver, only.builds, narrow.steps), (narrow.chosen, 0, 7));
        // No more than there are parameters, in pairs.
        assert!(only.iterations <= 82.0 && narrow.reason.contains("least-squares"));
        assert_eq!(narrow.clone().within(1.0), narrow);
        assert!(of(16, 1e-3).candidates.len() > 1 && of(4096, 0.0).candidates.len() > 1);
        let bytes = |width: usize| of(width, 0.0).candidates[0].predicted_bytes;
        assert!(bytes(300) - bytes(302) > 8.0 * 2.5 * 3000f64.powi(2), "the factor of 3,000");
    }

    /// Other losses take no such steps.
    #[test]
    fn other_losses_have_solvers() {
        let shape = Shape::of(20_000, 10, 1, 2).under(crate::Loss::Logistic);
        let options = Options::default().width(16).ridge(0.0);
        assert!(plan(&shape, &options).candidates.len() > 1);
    }
}
