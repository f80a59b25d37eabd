//! What the networks of an ensemble cost together.

use super::{Candidate, Plan, Rates, Shape, cost, decided, plan_at};
use crate::options::{Options, Scale};

/// Numbers of a network beside its signs, for each of its parameters: their changes, and directions, which neurons share in pairs
/// at least.
const KEPT: f64 = 1.5;

/// [`plan_at`] for as many networks as [`train_ensemble`](crate::train_ensemble()) trains: the first finds the scale for all of
/// them, a factor that does not follow the masks is built once for all of them, and networks are kept until they are averaged.
///
/// # Examples
/// ```
/// use nearlin::{Options, Rates, Shape, plan_at, plan_ensemble_at};
///
/// let (shape, rates) = (Shape::of(2000, 20, 1, 2), Rates::default());
/// let options = Options::default().ridge(1e-2);
/// let (one, four) =
///     (plan_at(&shape, &options, &rates), plan_ensemble_at(4, &shape, &options, &rates));
/// assert_eq!(plan_ensemble_at(1, &shape, &options, &rates), one);
/// assert!(four.candidates[0].predicted_seconds < 4.0 * one.candidates[0].predicted_seconds);
/// ```
#[must_use]
pub fn plan_ensemble_at(members: usize, shape: &Shape, options: &Options, rates: &Rates) -> Plan {
    let plan = plan_at(shape, options, rates);
    if members <= 1 {
        return plan;
    }
    let later = plan_at(shape, &options.scale(Scale::Fixed(1.0)), rates).candidates;
    // Systems of weights have one candidate, whatever the solver, and factors of their own.
    let in_weights = plan.candidates.len() == 1;
    let together = |first: &Candidate| {
        let later = later.iter().find(|later| later.solver == first.solver).unwrap_or(first);
        let shared = !in_weights && !first.solver.follows_masks();
        together((members, shared), first, later, shape, options)
    };
    let candidates: Vec<Candidate> = plan.candidates.iter().map(together).collect();
    if in_weights {
        return Plan { candidates, ..plan };
    }
    // A solver is kept for all networks.
    Plan { alternatives: None, ..decided(candidates, options, plan.steps) }
}

/// What all networks cost with one solver, of which the first costs `first` and each of the others `later`, less a factor where
/// that is `shared`.
fn together(
    (members, shared): (usize, bool),
    first: &Candidate,
    later: &Candidate,
    shape: &Shape,
    options: &Options,
) -> Candidate {
    let Candidate { builds, build_seconds, .. } = *later;
    let others = (members - 1) as f64;
    let saved = if shared { cost::IN_TURN * builds as f64 * build_seconds } else { 0.0 };
    let seconds = first.predicted_seconds + others * (later.predicted_seconds - saved).max(0.0);
    let (n, k, m) = (shape.rows as f64, shape.outputs as f64, options.width as f64);
    let network = 8.0 * m * (KEPT * shape.inputs as f64 + k);
    // The last one trains beside the others; then their average is told of all rows, beside all of them.
    let last = later.predicted_bytes + others * network;
    let masks = cost::MASKS * n * (m / 64.0).ceil() * 8.0;
    let average =
        members as f64 * (2.0 * network + masks) + 8.0 * 3.0 * n * (shape.inputs as f64 + k);
    Candidate {
        predicted_seconds: seconds,
        predicted_bytes: first.predicted_bytes.max(last).max(average),
        builds: if shared { builds } else { builds.saturating_mul(members) },
        ..first.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SolverKind;

    /// Each network costs its steps again, but not a factor that serves all; each stays in memory.
    #[test]
    fn networks_share_what_does_not_follow_masks() {
        let (shape, rates) = (Shape::of(3000, 20, 1, 2), Rates::default());
        let options = Options::default().ridge(1e-3).width(8192);
        let of = |members: usize| plan_ensemble_at(members, &shape, &options, &rates);
        let (one, two, five, many) = (of(1), of(2), of(5), of(50));
        assert_eq!(one, plan_at(&shape, &options, &rates));
        for kind in SolverKind::ALL {
            let find =
                |plan: &Plan| plan.candidates.iter().find(|c| c.solver == kind).unwrap().clone();
            let [one, two, five, many] = [&one, &two, &five, &many].map(find);
            let step = two.predicted_seconds - one.predicted_seconds;
            let grown = five.predicted_seconds - two.predicted_seconds;
            assert!((grown / step - 3.0).abs() < 1e-9 && step < one.predicted_seconds, "{kind}");
            let (per, builds) = if kind.follows_masks() { (5, one.builds) } else { (1, 0) };
            assert_eq!(five.builds, per * one.builds, "{kind}");
            assert!(step > builds as f64 * one.build_seconds, "{kind}");
            if !kind.follows_masks() {
                let factor = one.builds as f64 * one.build_seconds;
                assert!(step <= one.predicted_seconds - factor, "{kind}");
            }
            let kept = (many.predicted_bytes - five.predicted_bytes) / 45.0;
            let network = 8.0 * 8192.0 * (1.5 * 20.0 + 1.0);
            assert!(kept >= 0.7 * network && kept < 6.0 * network, "{kind}: {kept}");
            assert!(one.predicted_bytes <= two.predicted_bytes, "{kind}");
        }
        assert!(one.alternatives.is_some() && five.alternatives.is_none());
        let asked = options.solver(Some(SolverKind::Srht));
        assert_eq!(plan_ensemble_at(3, &shape, &asked, &rates).chosen, SolverKind::Srht);
    }

    /// Fewer parameters than equations and no ridge: steps are solved for in the weights, for each network.
    #[test]
    fn systems_of_weights_are_solved_for_each() {
        let (shape, rates) = (Shape::of(20_000, 10, 1, 2), Rates::default());
        let options = Options::default().width(16).ridge(0.0);
        let of = |members: usize| plan_ensemble_at(members, &shape, &options, &rates);
        let (one, three) = (of(1), of(3));
        assert_eq!((three.candidates.len(), &three.reason), (1, &one.reason));
        let ratio = three.candidates[0].predicted_seconds / one.candidates[0].predicted_seconds;
        assert!(ratio > 2.0 && ratio <= 3.0, "{ratio}");
        // Factors of some examples, of which each network makes its own.
        let wide = options.width(2000).solver(Some(SolverKind::ArcCosine));
        let of =
            |members: usize| plan_ensemble_at(members, &shape, &wide, &rates).candidates[0].clone();
        let (one, three) = (of(1), of(3));
        assert!(one.builds > 0 && three.builds == 3 * one.builds);
        assert!(three.predicted_seconds > 2.0 * one.predicted_seconds);
    }
}
