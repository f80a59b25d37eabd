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
    let shared = matches!(plan.chosen, SolverKind::Cg | SolverKind::RpCholesky);
    if ensemble > 1 && options.solver.is_none() && !shared {
        plan.chosen = SolverKind::ArcCosine;
        plan.reason = "arc-cosine is factored once for all networks of the ensemble".into();
    }
    plan
}
