//! The plan of a run, whatever kind it is of.

use nearlin::{Options, Plan, Rates, Shape, SolverKind, plan_ensemble_at};

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
    plan_ensemble_at(ensemble, shape, options, rates).within(budget)
}

/// The plan of a run that goes on with the solver that it began with, unless another one is asked for.
pub(in crate::program) fn goes_on(plan: &mut Plan, options: &Options, solver: SolverKind) {
    if options.solver.is_none() && plan.chosen != solver {
        plan.reason = format!("the run began with {solver}; {} would be planned now", plan.chosen);
        plan.chosen = solver;
    }
}
