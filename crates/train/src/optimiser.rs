//! The outer iteration: Gauss-Newton with a certificate for every step.
//!
//! With `D` the step, `f(W + D) - y = (r + J D) + e` exactly, where `e = f(W + D) - f(W) - J D`. So
//! the contraction is at most `eta_inner + eta_lin`, the relative sizes of the two terms: the first
//! says what the inner solver left, the second what the linear model missed. The second shrinks as
//! the scale of the initial weights grows, since sign flips become rarer while the first step stays
//! the same; the optimiser takes a scale at which every step certifies, at most eight times one that is too small.

mod advance;
mod damp;
mod direct;
mod line;
mod members;
mod pin;
mod refresh;
mod saved;
mod search;

pub(crate) use damp::Damping;
pub(crate) use members::Members;
pub(crate) use refresh::Wear;
use refresh::Worth;
pub(crate) use saved::{Saved, Search};
pub(crate) use search::Attempt;

use self::pin::Pin;
use nearlin_relu::{Activations, Forward, Init, Network, PackedMask, Signs};

use crate::checkpoint::Checkpoint;
use crate::dual::{Preconditioner, Quality};
use crate::observe::{Latch, Observer};
use crate::options::{Options, Precision};
use crate::plan::{self, Candidate, Shape, plan};
use crate::primal::is_overdetermined;
use crate::replan::Course;
use crate::report::{Ending, Run, StepReport};
use crate::solver::{InnerSolver, SolverKind, sketch_size};
use crate::step::{Direction, Features, Passes, gradient};
use crate::vector::{Element, norm};
use crate::{Equations, TrainError};

/// The reason of a run that an observer stopped.
const STOPPED: &str = "the observer asked to stop";

/// Steps in a row that gain less than [`LITTLE`] before a run counts as stagnated.
const PATIENCE: usize = 3;

/// What a step must gain, relative to the measure of convergence.
const LITTLE: f64 = 1e-3;

/// Trains a network on `equations`.
///
/// # Errors
/// [`TrainError`] for options out of their range or a factorisation that cannot be made. Not
/// converging is no error: read [`Run::ending`].
///
/// # Examples
/// ```
/// use core::ops::ControlFlow;
/// use nearlin::{Ending, Equations, Event, Options, train};
///
/// // Forty points of a parabola, with a bias coordinate.
/// let x: Vec<f64> = (0..40).flat_map(|i| [i as f64 / 20.0 - 1.0, 1.0]).collect();
/// let y: Vec<f64> = x.chunks(2).map(|x| x[0] * x[0]).collect();
/// let equations = Equations::new(x, y, 2, 1)?;
/// let options = Options::default().width(512).ridge(1e-3);
/// let run = train(&equations, &options, &mut |_: &Event<'_>| ControlFlow::Continue(()))?;
/// assert_eq!(run.ending, Ending::Converged);
/// assert!(run.rel_residual < 0.05);
/// # Ok::<(), nearlin::TrainError>(())
/// ```
pub fn train(
    equations: &Equations,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Run, TrainError> {
    options.check()?;
    let Some(solver) = options.solver else {
        let plan = plan(&shape(equations, options), options);
        let options = options.alternatives(plan.alternatives);
        return start(equations, &options, plan.chosen, None, observer);
    };
    start(equations, options, solver, None, observer)
}

/// Goes on with a run from a [`Checkpoint`] of it, and ends with the same bits as it would have.
///
/// The budget of steps may be another one, so a run that spent it can be given more.
///
/// # Errors
/// As [`train`], and [`TrainError::Checkpoint`] for a checkpoint of other equations or options.
pub fn resume(
    equations: &Equations,
    options: &Options,
    checkpoint: &Checkpoint,
    observer: &mut dyn Observer,
) -> Result<Run, TrainError> {
    options.check()?;
    checkpoint.check(equations, options)?;
    start(equations, options, checkpoint.solver, Some(checkpoint), observer)
}

/// What a run is planned for: one thread, so that it is the same run on any number of them.
pub(crate) fn shape(equations: &Equations, options: &Options) -> Shape {
    Shape { threads: 1, ..Shape::new(equations, options) }
}

/// Runs with a solver, in the precision that is asked for.
fn start(
    equations: &Equations,
    options: &Options,
    kind: SolverKind,
    from: Option<&Checkpoint>,
    observer: &mut dyn Observer,
) -> Result<Run, TrainError> {
    let observer = &mut Latch::new(observer);
    match options.precision {
        Precision::F64 => Optimiser::<f64>::of(equations, options, kind)?.run(from, observer),
        Precision::F32 => Optimiser::<f32>::of(equations, options, kind)?.run(from, observer),
    }
}

/// A preconditioner, with what it was built for.
struct Built<T> {
    preconditioner: Preconditioner<T>,
    /// `None` where the mask does not matter.
    mask: Option<PackedMask>,
    /// The ridge and the damping.
    ridge: f64,
    wear: Wear,
}

/// What does not change during a run.
struct Optimiser<'a, T> {
    equations: &'a Equations,
    options: &'a Options,
    /// The solver that the run began with.
    planned: SolverKind,
    solver: Box<dyn InnerSolver<T>>,
    /// What its factor costs and saves.
    worth: Worth,
    /// How it has done, where there are others to go on with.
    course: Option<Course>,
    init: Init,
    exact: Features<f64>,
    features: Features<T>,
    /// Output signs, m x K.
    signs: Vec<f64>,
    y_norm: f64,
    /// Fewer parameters than equations: the residual cannot vanish, the gradient can.
    overdetermined: bool,
    /// `J J^T g = r` was found to have no solution: steps are least-squares ones.
    deficient: bool,
    /// The last preconditioner.
    built: Option<Built<T>>,
    /// The state at the initial weights of some scale.
    start: Option<State>,
    /// The first step, which no scale changes.
    first: Option<(Direction, Quality)>,
}

/// The iterate.
#[derive(Clone)]
struct State {
    network: Network,
    active: Activations,
    /// `f(W) - y`.
    residual: Vec<f64>,
    multipliers: Option<Vec<f64>>,
    /// Entries of the mask that are held on their kinks.
    pins: Vec<Pin>,
    /// What convergence is measured by: the residual's norm, or the gradient's.
    measure: f64,
    /// What the step here lowered the objective by, relative to it.
    gain: f64,
    /// Of the next step.
    damping: Damping,
    /// `measure` relative to the gradient with `relu'(0) = 0`: below 1 only on kinks.
    share: f64,
    objective: f64,
}

impl State {
    fn mask(&self) -> &PackedMask {
        self.active.mask()
    }
}

/// What a step hands on beside the weights.
#[derive(Default)]
struct Hold {
    multipliers: Option<Vec<f64>>,
    pins: Vec<Pin>,
}

/// What became of a step.
enum Verdict {
    Keep(Box<(State, StepReport)>),
    /// The scale is too small.
    Grow(search::Failure),
    End(Ending, String),
}

impl<'a, T: Element> Optimiser<'a, T> {
    /// With a solver of this kind.
    fn of(
        equations: &'a Equations,
        options: &'a Options,
        kind: SolverKind,
    ) -> Result<Self, TrainError> {
        Self::new(equations, options, instance(equations, options, kind))
    }

    fn new(
        equations: &'a Equations,
        options: &'a Options,
        solver: Box<dyn InnerSolver<T>>,
    ) -> Result<Self, TrainError> {
        let (n, d, k) = (equations.rows(), equations.inputs(), equations.outputs());
        // Orthogonal signs save iterations where nothing else conditions the system, but leave fewer
        // directions, which costs test error; a ridge conditions it anyway.
        let signs = options.signs.unwrap_or_else(|| match options.ridge {
            0.0 => Signs::suitable(n, d, k, options.width),
            _ => Signs::usual(k),
        });
        let init = Init { inputs: d, outputs: k, width: options.width, seed: options.seed, signs };
        let network = init.network(1.0)?;
        Ok(Self {
            equations,
            options,
            planned: solver.kind(),
            course: options.alternatives.as_ref().and_then(|all| Course::new(all, solver.kind())),
            worth: worth(equations, options, solver.kind()),
            solver,
            init,
            exact: Features::new(equations, network.signs(), options.width),
            features: Features::new(equations, network.signs(), options.width),
            signs: network.signs().to_vec(),
            y_norm: norm(equations.y()),
            overdetermined: is_overdetermined(n, (options.width, d), k),
            deficient: false,
            built: None,
            start: None,
            first: None,
        })
    }

    /// The state of a network that has seen `forward`.
    fn state(&self, network: Network, forward: Forward, hold: Hold) -> State {
        let Forward { outputs, mask, .. } = forward;
        let Hold { multipliers, pins } = hold;
        let active = Activations::of(mask, &network);
        let residual: Vec<f64> =
            outputs.iter().zip(self.equations.y()).map(|(f, y)| f - y).collect();
        let ridge = self.options.ridge;
        let (measure, share) = if self.by_gradient() {
            // Where steps are judged by what they lower the objective by, it is only shown.
            let rough = T::NAME == "f32" && self.by_gain() && pins.is_empty();
            let mut passes = Passes {
                exact: self.exact.jacobian(&active),
                working: rough.then(|| self.features.jacobian(&active)),
                par: self.options.par,
            };
            let plain = gradient(&mut passes, &residual, network.change(), ridge);
            let size = norm(&plain);
            let smallest = self.smallest_gradient(plain, &network, active.mask(), &residual, &pins);
            (smallest, if size > 0.0 { smallest / size } else { 1.0 })
        } else {
            (norm(&residual), 1.0)
        };
        let (r, u) = (norm(&residual), norm(network.change()));
        let objective = r * r + ridge * u * u;
        State {
            network,
            active,
            residual,
            multipliers,
            pins,
            measure,
            gain: f64::INFINITY,
            damping: Damping::NONE,
            share,
            objective,
        }
    }

    /// Whether convergence is measured by the gradient: the residual does not vanish with a ridge,
    /// nor where there are fewer parameters than equations.
    fn by_gradient(&self) -> bool {
        self.options.ridge > 0.0 || self.overdetermined
    }

    /// Whether a step counts by what it lowers the objective by: then the gradient need not contract.
    fn by_gain(&self) -> bool {
        self.options.ridge > 0.0 && self.options.least_gain > 0.0
    }

    fn relative(&self, residual: f64) -> f64 {
        if self.y_norm > 0.0 { residual / self.y_norm } else { 0.0 }
    }

    /// The ending that holds before any further step, if there is one.
    fn finished(
        &self,
        state: &State,
        start: f64,
        steps: &[StepReport],
    ) -> Option<(Ending, String)> {
        let (tolerance, floor) = (self.options.tolerance, self.equations.floor());
        let rel = self.relative(norm(&state.residual));
        if state.measure <= tolerance * start {
            let words = if self.options.ridge > 0.0 {
                let gradient = if start > 0.0 { state.measure / start } else { 0.0 };
                (Ending::Converged, format!("relative gradient {gradient:.1e} met {tolerance:e}"))
            } else if self.overdetermined && rel > tolerance {
                let why = "fewer parameters than equations: this is the least-squares optimum of \
                           the linearised network";
                (Ending::Stagnated, format!("relative residual {rel:.3e}; {why}"))
            } else if floor > tolerance {
                let why = "all that remains is the floor of rows that contradict one another";
                (Ending::Floor, format!("relative residual {rel:.1e}; {why}, {floor:.3e}"))
            } else {
                (Ending::Converged, format!("relative residual {rel:.1e} met {tolerance:e}"))
            };
            return Some(words);
        }
        if self.by_gain() && state.gain < self.options.least_gain {
            let (gain, least) = (state.gain, self.options.least_gain);
            let words = format!(
                "the last step lowered the objective by {gain:.1e} of it, less than {least:e}"
            );
            return Some((Ending::Converged, words));
        }
        if steps.len() >= self.options.max_steps {
            return Some((Ending::MaxSteps, format!("{} steps were taken", steps.len())));
        }
        // Steps need not lower the gradient while they lower the objective.
        let idles = |s: &&StepReport| s.contraction > 1.0 - LITTLE && s.gain <= LITTLE;
        let idle = steps.iter().rev().take_while(idles).count();
        if idle >= PATIENCE && !self.by_gain() {
            let rel_gradient = if start > 0.0 { state.measure / start } else { 0.0 };
            let at = if self.by_gradient() {
                format!("relative gradient {rel_gradient:.1e}")
            } else {
                format!("relative residual {rel:.3e}")
            };
            let why = "gained less than 1e-3 each";
            return Some((Ending::Stagnated, format!("{at}; the last {idle} steps {why}")));
        }
        None
    }
}

/// The solver of a kind for these equations.
fn instance<T: Element>(
    equations: &Equations,
    options: &Options,
    kind: SolverKind,
) -> Box<dyn InnerSolver<T>> {
    let (n, parameters) = (equations.rows(), options.width * equations.inputs());
    kind.instance(sketch_size(kind, options.sketch_rows, n, parameters), options.seed)
}

/// What a solver's factor costs and saves.
fn worth(equations: &Equations, options: &Options, kind: SolverKind) -> Worth {
    let (rows, inputs, outputs) = (equations.rows(), equations.inputs(), equations.outputs());
    // Of a common machine and one thread, for runs to be the same on all.
    let shape = Shape::of(rows, inputs, outputs, 1);
    let Candidate { build_seconds, iteration_seconds, .. } = plan::alone(kind, &shape, options);
    let apart = plan::alone(SolverKind::ArcCosine, &shape, options).iterations;
    Worth { build: build_seconds / iteration_seconds, apart }
}

/// The solver that a run would use, for messages before it starts.
#[must_use]
pub fn chosen_solver(equations: &Equations, options: &Options) -> SolverKind {
    options.solver.unwrap_or_else(|| plan(&shape(equations, options), options).chosen)
}
