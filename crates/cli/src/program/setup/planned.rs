//! The plan of a run, whatever kind it is of.

use nearlin::{Options, Plan, Rates, Shape, SolverKind, plan_at};

use crate::program::batches::Beyond;

/// The plan for one network, or for several that share what can be shared, or for one that is trained on batches of so many
/// equations.
pub(super) fn planned(
    shape: &Shape,
    options: &Options,
    rates: &Rates,
    (ensemble, beyond): (usize, Option<(&Beyond, usize)>),
    budget: f64,
) -> Plan {
    if let Some((beyond, trained)) = beyond {
        return beyond.plan(trained, shape, options, rates).within(budget);
    }
    let mut plan = plan_at(shape, options, rates).within(budget);
    let shared = |kind| matches!(kind, SolverKind::Cg | SolverKind::RpCholesky);
    if ensemble > 1 && options.solver.is_none() && !shared(plan.chosen) {
        let fits = |kind: &dyn Fn(SolverKind) -> bool| {
            let mut fitting = plan.candidates.iter().filter(|c| c.predicted_bytes <= budget);
            fitting.find(|candidate| kind(candidate.solver)).map(|candidate| candidate.solver)
        };
        let arc_cosine = SolverKind::ArcCosine;
        let found = fits(&|kind| kind == arc_cosine).or_else(|| fits(&shared));
        plan.chosen = found.unwrap_or(arc_cosine);
        let of = if shared(plan.chosen) { "serves" } else { "is factored once for" };
        plan.reason = format!("{} {of} all networks of the ensemble", plan.chosen);
    }
    plan
}

/// The plan of a run that goes on with the solver that it began with, unless another one is asked for.
pub(in crate::program) fn goes_on(plan: &mut Plan, options: &Options, solver: SolverKind) {
    if options.solver.is_none() && plan.chosen != solver {
        plan.reason = format!("the run began with {solver}; {} would be planned now", plan.chosen);
        plan.chosen = solver;
    }
}
