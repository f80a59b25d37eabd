//! Several networks that differ in their initial weights, and their average.
//!
//! In the linear regime the average of `K` networks is close to one of `K` times the width, without the memory that its
//! step would take; it varies less with the seed. The arc-cosine kernel is the limit that they share, so that where it
//! preconditions them there is one factorisation to pay for.

use nearlin_relu::Network;

use crate::observe::{Event, Latch, Observer};
use crate::optimiser::{Members, shape};
use crate::options::{Options, Scale};
use crate::plan::{Rates, plan_ensemble_at};
use crate::report::{Ending, Run};
use crate::vector::{distance, norm};
use crate::{Equations, TrainError};

/// Networks and their average.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ensemble {
    /// The average, of as many times the width as there are members.
    pub network: Network,
    /// `|f(W) - y| / |y|` of the average, orthogonal to the floor; 0 if all targets are 0.
    pub rel_residual: f64,
    /// The run of each, in the order of their seeds; fewer than were asked for if an observer stopped one.
    pub members: Vec<Run>,
}

/// Trains `members` networks that differ in their seeds, from that of `options` on by ones, and averages them.
///
/// The first finds the scale for all of them. Without a solver in `options` it is the one of [`plan_ensemble_at`], which counts
/// that all networks share the factor of a solver that does not follow the masks, such as
/// [`SolverKind::ArcCosine`](crate::SolverKind::ArcCosine). The average costs as much as a network of `members` times the width to
/// predict with.
///
/// # Errors
/// As [`train`](crate::train()); [`TrainError::Option`] for no members.
///
/// # Examples
/// ```
/// use core::ops::ControlFlow;
/// use nearlin::{Equations, Event, Options, train_ensemble};
///
/// let x: Vec<f64> = (0..40).flat_map(|i| [i as f64 / 20.0 - 1.0, 1.0]).collect();
/// let y: Vec<f64> = x.chunks(2).map(|x| x[0] * x[0]).collect();
/// let equations = Equations::new(x, y, 2, 1)?;
/// let options = Options::default().width(128).ridge(1e-3);
/// let watch = &mut |_: &Event<'_>| ControlFlow::Continue(());
/// let ensemble = train_ensemble(&equations, &options, 3, watch)?;
/// assert_eq!((ensemble.members.len(), ensemble.network.width()), (3, 3 * 128));
/// assert!(ensemble.rel_residual < 0.05);
/// # Ok::<(), nearlin::TrainError>(())
/// ```
pub fn train_ensemble(
    equations: &Equations,
    options: &Options,
    members: usize,
    observer: &mut dyn Observer,
) -> Result<Ensemble, TrainError> {
    options.check()?;
    if members == 0 {
        return Err(TrainError::Option { name: "members", value: 0.0, expected: "at least 1" });
    }
    let planned =
        || plan_ensemble_at(members, &shape(equations, options), options, &Rates::default()).chosen;
    let kind = options.solver.unwrap_or_else(planned);
    let mut shared = Members::new(kind, options.precision);
    let observer = &mut Latch::new(observer);
    let mut runs = Vec::<Run>::new();
    for member in 0..members {
        let told = Event::Member { member: member + 1, of: members };
        if observer.on_event(&told).is_break() && !runs.is_empty() {
            break;
        }
        let scale = runs.first().map_or(options.scale, |first| Scale::Fixed(first.scale));
        let seed = options.seed.wrapping_add(member as u64);
        let options = Options { scale, seed, alternatives: None, ..*options };
        let run = shared.train(equations, &options, observer)?;
        let stopped = run.ending == Ending::Stopped;
        runs.push(run);
        if stopped {
            break;
        }
    }
    drop(shared);
    let networks: Vec<&Network> = runs.iter().map(|run| &run.network).collect();
    let network = Network::average(&networks)?;
    let outputs = network.forward(equations.x(), options.par)?.outputs;
    let size = norm(equations.y());
    let rel_residual = if size > 0.0 { distance(&outputs, equations.y()) / size } else { 0.0 };
    Ok(Ensemble { network, rel_residual, members: runs })
}
