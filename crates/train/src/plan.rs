//! The planner: what each solver would cost, and which one to take.
//!
//! Costs are operation counts of the parts (`cost.rs`) at the rates of a machine (`rates.rs`), with iterations guessed
//! (`guess.rs`) from a look at the eigenvalues of the infinite-width Gram matrix (`decay.rs`), of which rows that are
//! nearly alike have the smallest (`pairs.rs`).

mod cost;
mod decay;
mod ensemble;
mod guess;
mod pairs;
mod rates;
mod weights;

pub use decay::Decay;
pub use ensemble::plan_ensemble_at;
pub use rates::{Line, Rates, Speeds};

use crate::batches::LOOSE;
use crate::options::{InnerTolerance, Options, Precision};
use crate::replan::{Alternatives, Expected};
use crate::solver::SolverKind;
use crate::{Batches, Equations, Loss};

/// Rows, and multiply-adds of a pass, from which on eigenvalues are looked at: an exact factor of fewer rows is soon made.
const ROWS: usize = 2000;
const LOOK: f64 = 1e7;

/// The solver whose iterations are no guess.
const EXACT: SolverKind = SolverKind::Cholesky;

/// How many times as dear as the cheapest it may be to be taken.
const SURER: f64 = 1.25;

/// What a step on a batch takes beside its iterations, in iterations: the certificate, the outputs before and after, and a
/// part of the look at all rows that ends a pass.
const BESIDE: f64 = 5.0;

/// The size of a problem: all that costs depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Shape {
    /// Equations `n`, after merging.
    pub rows: usize,
    /// Inputs `d`.
    pub inputs: usize,
    /// Outputs `K`.
    pub outputs: usize,
    /// Threads that work.
    pub threads: usize,
    /// How the eigenvalues fall; `None` where nobody has looked: then like those of common tables.
    pub decay: Option<Decay>,
    /// An upper bound of the smallest eigenvalue, by rows that are nearly alike; infinite where nobody has looked.
    pub least_eigenvalue: f64,
    /// Whether rows have curvatures that differ from step to step and vanish, as under a loss with corners: only
    /// solvers that can scale the rows of what they factor are for that.
    pub corners: bool,
    /// Whether the loss is the sum of squares.
    pub squared: bool,
    /// Whether outputs share a curvature, as under a softmax.
    pub coupled: bool,
}

impl Shape {
    /// The shape of `equations`, with the threads of `options`, and a look at how the eigenvalues fall.
    #[must_use]
    pub fn new(equations: &Equations, options: &Options) -> Self {
        let (rows, inputs, outputs) = (equations.rows(), equations.inputs(), equations.outputs());
        // Where a pass is nothing, a look would be the dearest part of the plan.
        let pass = rows as f64 * inputs as f64 * options.width as f64;
        let worthwhile = rows >= ROWS && pass > LOOK;
        let decay = if worthwhile { Decay::of(equations.x(), options.par).ok() } else { None };
        let least_eigenvalue = pairs::least_eigenvalue(equations.x());
        Self { decay, least_eigenvalue, ..Self::of(rows, inputs, outputs, options.par.degree()) }
    }

    /// A shape from its numbers: `n` equations, `d` inputs, `K` outputs.
    #[must_use]
    pub fn of(rows: usize, inputs: usize, outputs: usize, threads: usize) -> Self {
        Self {
            rows,
            inputs,
            outputs,
            threads,
            decay: None,
            least_eigenvalue: f64::INFINITY,
            corners: false,
            squared: true,
            coupled: false,
        }
    }

    /// This shape under a loss.
    #[must_use]
    pub fn under(self, loss: Loss) -> Self {
        let (corners, coupled) = (loss.has_corners(), loss.couples());
        Self { corners, squared: loss == Loss::Squared, coupled, ..self }
    }
}

/// What one solver would cost.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// The solver.
    pub solver: SolverKind,
    /// Seconds for a run of [`Plan::steps`] steps.
    pub predicted_seconds: f64,
    /// Bytes at the high-water mark of training, beside what the process holds before.
    pub predicted_bytes: f64,
    /// Seconds to build the preconditioner once.
    pub build_seconds: f64,
    /// Times it is built.
    pub builds: usize,
    /// Guessed iterations of the inner solver in a step.
    pub iterations: f64,
    /// Seconds for one iteration.
    pub iteration_seconds: f64,
}

impl Candidate {
    fn expected(&self) -> Expected {
        let &Self { solver, build_seconds, iterations, iteration_seconds, .. } = self;
        Expected { solver, build_seconds, iterations, iteration_seconds }
    }
}

/// The choice, and what it was chosen from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The solver to use.
    pub chosen: SolverKind,
    /// Why, in a sentence.
    pub reason: String,
    /// What to go on with where the choice takes other than was guessed; `None` where a solver was asked for.
    pub alternatives: Option<Alternatives>,
    /// Steps that the predictions are for.
    pub steps: usize,
    /// The solvers that can be taken, cheapest first.
    pub candidates: Vec<Candidate>,
    /// Whether the choice is the planner's.
    free: bool,
}

impl Plan {
    /// The same candidates, of which the cheapest is taken that needs at most `bytes`; the choice as it is where none
    /// needs so few, or a solver was asked for.
    #[must_use]
    pub fn within(self, bytes: f64) -> Self {
        if !self.free {
            return self;
        }
        let fits = |candidate: &&Candidate| candidate.predicted_bytes <= bytes;
        let fitting: Vec<&Candidate> = self.candidates.iter().filter(fits).collect();
        let Some((best, why)) = choice(&fitting) else { return self };
        let chosen = best.solver;
        let kept = |one: &Expected| fitting.iter().any(|fits| fits.solver == one.solver);
        let alternatives = self.alternatives.map(|all| all.only(kept));
        let cheaper: Vec<&str> = (self.candidates.iter())
            .take_while(|candidate| candidate.solver != chosen)
            .filter(|candidate| !fits(candidate))
            .map(|candidate| candidate.solver.name())
            .collect();
        let reason = match cheaper.len() {
            0 => why,
            many => format!(
                "{why}; {} {} more than {:.2} GiB",
                cheaper.join(" and "),
                if many == 1 { "needs" } else { "need" },
                bytes.max(0.0) / f64::from(1 << 30)
            ),
        };
        Self { chosen, reason, alternatives, ..self }
    }
}

/// Ranks the solvers for a problem and takes the cheapest, at the rates of a common machine.
#[must_use]
pub fn plan(shape: &Shape, options: &Options) -> Plan {
    plan_at(shape, options, &Rates::default())
}

/// The same at the rates of a machine.
#[must_use]
pub fn plan_at(shape: &Shape, options: &Options, rates: &Rates) -> Plan {
    let rates = rates.with_threads(shape.threads);
    let steps = guess::steps(options);
    let able =
        |kind: &SolverKind| !shape.corners || kind.scales_rows() || options.solver == Some(*kind);
    let candidates = (SolverKind::ALL.iter())
        .filter(|kind| able(kind))
        .map(|&kind| cost::candidate(kind, shape, options, steps, &rates))
        .collect();
    let plan = decided(candidates, options, steps);
    if !weights::applies(shape, options) {
        return plan;
    }
    // The choice is what a damped step would be solved by; it makes no difference to others.
    let only = weights::candidate(plan.chosen, shape, options, &rates);
    let (reason, steps) = (weights::explain(&only), options.max_steps);
    Plan { reason, steps, candidates: vec![only], free: false, ..plan }
}

/// The plan with these candidates.
fn decided(mut candidates: Vec<Candidate>, options: &Options, steps: usize) -> Plan {
    candidates.sort_by(|a, b| a.predicted_seconds.total_cmp(&b.predicted_seconds));
    let all: Vec<&Candidate> = candidates.iter().collect();
    let cheapest = all[0].solver;
    let (chosen, reason) = match (options.solver, choice(&all)) {
        (Some(solver), _) if solver == cheapest => {
            (solver, format!("{solver} was asked for, and is the cheapest"))
        }
        (Some(solver), _) => {
            (solver, format!("{solver} was asked for; {cheapest} would be the cheapest"))
        }
        (None, Some((best, why))) => (best.solver, why),
        (None, None) => unreachable!("there are solvers"),
    };
    let free = options.solver.is_none();
    let expected = all.iter().map(|one| one.expected());
    let alternatives = free.then(|| Alternatives::new(steps, guess::reduction(options), expected));
    Plan { chosen, reason, alternatives, steps, candidates, free }
}

/// The same for [`train_batches`](crate::train_batches()) over `rows` rows, of which `shape` is a batch, with as many passes
/// as may be made: each step builds anew, as no two batches have the same rows, its system has the damping beside the
/// ridge and is solved to a hundredth, and each pass ends with a look at all rows.
#[must_use]
pub fn plan_batches_at(
    rows: usize,
    shape: &Shape,
    options: &Options,
    batches: &Batches,
    rates: &Rates,
) -> Plan {
    // Rows have length 1, which a diagonal of a half is of.
    let damped = options.ridge(options.ridge + 0.5 * batches.damping).precision(Precision::F64);
    let one = damped.max_steps(1).inner_tolerance(InnerTolerance::Fixed(LOOSE));
    let mut candidates = plan_at(shape, &one, rates).candidates;
    let steps = rows.div_ceil(shape.rows.max(1)).saturating_mul(batches.passes);
    for candidate in &mut candidates {
        let work = candidate.iterations + BESIDE;
        let step = candidate.build_seconds + work * candidate.iteration_seconds;
        candidate.predicted_seconds = steps as f64 * step;
        candidate.builds = if candidate.builds == 0 { 0 } else { steps };
        // Multipliers of all rows, their last changes, and the order of a pass.
        candidate.predicted_bytes += rows as f64 * (16.0 * shape.outputs as f64 + 24.0);
    }
    // A solver is kept for the whole run.
    Plan { alternatives: None, ..decided(candidates, options, steps) }
}

/// What one solver would cost at the rates of a common machine.
pub(crate) fn alone(kind: SolverKind, shape: &Shape, options: &Options) -> Candidate {
    let rates = Rates::default().with_threads(shape.threads);
    cost::candidate(kind, shape, options, guess::steps(options), &rates)
}

/// The cheapest of candidates, cheapest first, or one that is surer where it costs little more, and why: the exact factor,
/// or in place of no factor at all any other, whose iterations depend on less that is guessed.
fn choice<'a>(candidates: &[&'a Candidate]) -> Option<(&'a Candidate, String)> {
    let cheapest = *candidates.first()?;
    let ratio = |candidate: &Candidate| candidate.predicted_seconds / cheapest.predicted_seconds;
    let near = |surer: &dyn Fn(SolverKind) -> bool| {
        let mut others = candidates.iter().filter(|candidate| surer(candidate.solver));
        others.next().copied().filter(|candidate| ratio(candidate) <= SURER)
    };
    let factored = || near(&|kind| cheapest.solver == SolverKind::Cg && kind != SolverKind::Cg);
    match near(&|kind| kind == EXACT).or_else(factored) {
        Some(surer) if surer.solver != cheapest.solver => {
            let (why, other) = (explain(surer, None), cheapest.solver);
            let but = format!("{other} could be {:.1} times cheaper", ratio(surer));
            Some((surer, format!("{why}; {but}, by a guess of its iterations")))
        }
        _ => Some((cheapest, explain(cheapest, candidates.get(1).copied()))),
    }
}

fn explain(best: &Candidate, next: Option<&Candidate>) -> String {
    let iterations = match best.iterations.round() {
        1.0 => "1 iteration a step".to_owned(),
        many => format!("{many} iterations a step"),
    };
    let work = if best.builds == 0 {
        format!("nothing to build and {iterations}")
    } else {
        let times = if best.builds == 1 { "once".into() } else { format!("{} times", best.builds) };
        let build = best.build_seconds;
        let build =
            if build < 0.1 { format!("{:.1} ms", 1e3 * build) } else { format!("{build:.1} s") };
        format!("a factor built {times} at {build} and {iterations}")
    };
    let than = next.map_or(String::new(), |next| {
        let ratio = next.predicted_seconds / best.predicted_seconds;
        format!(", {ratio:.1} times cheaper than {}", next.solver)
    });
    format!("{} needs {work}{than}", best.solver)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The less memory, the fewer candidates; the cheapest of those that are left is taken.
    #[test]
    fn a_budget_rules_out_what_needs_more() {
        let options = Options::default().ridge(0.1);
        let free = plan(&Shape::of(20_000, 30, 1, 2), &options);
        assert_eq!(free.clone().within(f64::INFINITY), free);
        assert_eq!(free.clone().within(1.0), free, "nothing needs one byte");
        let asked = plan(&Shape::of(20_000, 30, 1, 2), &options.solver(Some(SolverKind::Cholesky)));
        assert_eq!(asked.clone().within(1e8), asked, "it was asked for");
        for limit in &free.candidates {
            let within = free.clone().within(limit.predicted_bytes);
            let chosen = within.candidates.iter().find(|c| c.solver == within.chosen).unwrap();
            assert!(chosen.predicted_bytes <= limit.predicted_bytes);
            assert!(chosen.predicted_seconds <= SURER * limit.predicted_seconds);
            assert!(
                (within.chosen == free.chosen) || within.reason.contains("more than"),
                "{}",
                within.reason
            );
        }
    }

    /// Twice the passes take twice as long; a solver that was asked for is taken; memory is that of a batch.
    #[test]
    fn batches_are_planned_for() {
        let options = Options::default().ridge(0.1);
        let shape = Shape::of(500, 30, 1, 2);
        let of = |passes: usize, options: &Options| {
            let batches = Batches::of(500).passes(passes);
            plan_batches_at(1_000_000, &shape, options, &batches, &Rates::default())
        };
        let (one, two) = (of(1, &options), of(2, &options));
        assert_eq!((one.steps, two.steps), (2000, 4000));
        for (one, two) in one.candidates.iter().zip(&two.candidates) {
            assert!((two.predicted_seconds / one.predicted_seconds - 2.0).abs() < 1e-9);
            assert!(one.predicted_bytes < 1e9, "{}", one.predicted_bytes);
        }
        let chosen =
            one.candidates.iter().find(|candidate| candidate.solver == one.chosen).unwrap();
        assert!(chosen.predicted_seconds <= SURER * one.candidates[0].predicted_seconds);
        let builds = |kind| one.candidates.iter().find(|c| c.solver == kind).unwrap().builds;
        assert_eq!((builds(SolverKind::Cg), builds(SolverKind::ArcCosine)), (0, 2000));
        let asked = of(1, &options.solver(Some(SolverKind::Srht)));
        assert_eq!((asked.chosen, asked.alternatives), (SolverKind::Srht, None));
        assert_eq!(of(usize::MAX, &options).steps, usize::MAX);
        for budget in one.candidates.iter().map(|candidate| candidate.predicted_bytes) {
            assert_eq!(one.clone().within(budget).alternatives, None, "a solver is kept for a run");
        }
    }

    /// A step on a batch is taken once and its system damped: without a ridge, too, an exact factor takes one iteration,
    /// however near rows are to one another.
    #[test]
    fn steps_on_batches_are_damped() {
        let shape = Shape { least_eigenvalue: 1e-9, ..Shape::of(500, 30, 1, 2) };
        let options = Options::default().ridge(0.0);
        let plan = plan_batches_at(10_000, &shape, &options, &Batches::of(500), &Rates::default());
        let of = |kind| plan.candidates.iter().find(|c| c.solver == kind).unwrap().iterations;
        assert!((of(SolverKind::Cholesky) - 1.0).abs() < 1e-12, "{}", of(SolverKind::Cholesky));
        assert!(of(SolverKind::Cg) < 200.0, "{}", of(SolverKind::Cg));
    }

    /// Memory of low rank grows like the rows, that of a factor like their square.
    #[test]
    fn low_rank_is_for_many_rows() {
        let chosen =
            |rows| plan(&Shape::of(rows, 30, 1, 2), &Options::default().ridge(0.01)).chosen;
        assert_eq!(chosen(500), SolverKind::Cholesky);
        assert_eq!(chosen(100_000), SolverKind::RpCholesky);
        let bytes = |rows, kind| {
            let plan = plan(&Shape::of(rows, 30, 1, 2), &Options::default().width(64));
            plan.candidates.iter().find(|c| c.solver == kind).unwrap().predicted_bytes
        };
        let growth = |kind| bytes(80_000, kind) / bytes(40_000, kind);
        assert!(growth(SolverKind::RpCholesky) < 2.1 && growth(SolverKind::ArcCosine) > 3.9);
        assert!(growth(SolverKind::Nystrom) < 2.1);
        // As many numbers as a factor may have, 3.4 times, whatever the rows.
        let more = bytes(1_000_000, SolverKind::Nystrom) - bytes(1_000_000, SolverKind::Cg);
        assert!(more < 3.4 * f64::from(1 << 30) + 1e7, "{more}");
    }
}
