//! Training a network on any loss: a convex problem for each activation pattern.
//!
//! With the masks of the current weights held, the outputs are linear in the weights' change, and the loss
//! with its ridge is minimised over it by the parent module's Newton method (generalised Gauss-Newton,
//! Schraudolph, *Fast curvature matrix-vector products for second-order gradient descent*, 2002). The
//! network at the minimiser is then looked at: where its outputs are not what the linear model said, masks
//! have changed, and the next step starts from the new ones. As for the squared loss, scales grow until the
//! first step's linear model is off by less than a quarter and each step halves the gradient at least.

use core::ops::ControlFlow;

use nearlin_relu::{Activations, Forward, Init, Network, Signs};

use super::saved::LossSnapshot;
use super::{Loss, coupled};
use crate::observe::{Event, Latch, Observer, Phase};
use crate::options::{MAX_SCALE, Options, Precision, Scale};
use crate::plan::{Shape, plan};
use crate::report::{Ending, Run, ScaleTrial, StepReport};
use crate::solver::{InnerSolver, SolverKind, sketch_size};
use crate::step::{Features, Passes, gradient};
use crate::vector::{distance, norm};
use crate::{Equations, TrainError};

/// A step that contracts less than this asks for a larger scale.
const CONTRACTION: f64 = 0.5;

/// How much it grows.
const GROWTH: f64 = 8.0;

/// Halvings of a step that raises the objective.
pub(super) const MAX_HALVINGS: usize = 12;

/// Steps in a row that may gain less than a thousandth.
const PATIENCE: usize = 3;

/// Least accurate solution of a step's convex problem.
pub(super) const LOOSE: f64 = 0.1;

/// Trains a network on the sum over examples of `weights_i loss(f_i, y_i)`, plus half the ridge times
/// `|W - W_0|^2`: with [`Loss::Squared`] and no weights, what [`train`](crate::train()) minimises.
///
/// The ridge must be positive, as the loss of rows that can be told apart vanishes only at infinity; the run
/// is in `f64` throughout. In the report, residuals are those of [`Loss::mean`]: of probabilities for the
/// cross-entropies.
///
/// # Errors
/// [`TrainError`] for options, targets or weights out of their range, or a factorisation that cannot be
/// made. Not converging is no error: read [`Run::ending`].
///
/// # Examples
/// ```
/// use core::ops::ControlFlow;
/// use nearlin::{Ending, Equations, Event, Loss, Options, train_loss};
///
/// // Two classes of points on a line, with a bias coordinate.
/// let x: Vec<f64> = (0..40).flat_map(|i| [i as f64 / 20.0 - 1.0, 1.0]).collect();
/// let y: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i % 20 < 10))).collect();
/// let equations = Equations::new(x, y, 2, 1)?;
/// let options = Options::default().width(512).ridge(1e-3).tolerance(1e-6);
/// let mut watch = |_: &Event<'_>| ControlFlow::Continue(());
/// let run = train_loss(&equations, Loss::Logistic, None, &options, &mut watch)?;
/// assert_eq!(run.ending, Ending::Converged);
/// # Ok::<(), nearlin::TrainError>(())
/// ```
pub fn train_loss(
    equations: &Equations,
    loss: Loss,
    weights: Option<&[f64]>,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Run, TrainError> {
    Trainer::new(equations, loss, weights, options, None)?.run(&mut Latch::new(observer))
}

/// Whether weights are n positive numbers.
pub(super) fn check_weights(weights: &[f64], rows: usize) -> Result<(), TrainError> {
    if weights.len() != rows {
        let got = weights.len();
        return Err(TrainError::Shape { what: "weights", got, rows, cols: 1 });
    }
    match weights.iter().find(|w| !(**w > 0.0 && w.is_finite())) {
        None => Ok(()),
        Some(&value) => {
            let (name, expected) = ("weight", "a positive finite number");
            Err(TrainError::Option { name, value, expected })
        }
    }
}

/// What does not change during a run.
pub(super) struct Trainer<'a> {
    pub(super) equations: &'a Equations,
    pub(super) loss: Loss,
    pub(super) weights: Option<&'a [f64]>,
    pub(super) options: &'a Options,
    pub(super) init: Init,
    pub(super) features: Features<f64>,
    pub(super) solver: Box<dyn InnerSolver<f64>>,
    /// What makes blocks where that is not the solver.
    pub(super) coupled: Option<Box<dyn InnerSolver<f64>>>,
}

/// The iterate.
pub(super) struct State {
    pub(super) network: Network,
    pub(super) active: Activations,
    /// `f(W)`, nK.
    pub(super) outputs: Vec<f64>,
    /// Of the last step: where the next one starts.
    pub(super) multipliers: Vec<f64>,
    pub(super) objective: f64,
    /// The gradient's norm.
    pub(super) gradient: f64,
}

/// A run at one scale.
pub(super) struct Attempt {
    pub(super) state: State,
    /// The gradient at the initial weights.
    pub(super) start: f64,
    /// What the last step lowered the objective by, relative to it.
    pub(super) gain: f64,
    pub(super) steps: Vec<StepReport>,
    /// `eta_lin` and, after the first step, the contraction of a step that says that the scale is too small.
    pub(super) failure: Option<(f64, Option<f64>)>,
    pub(super) ending: Option<(Ending, String)>,
}

impl Attempt {
    fn trial(&self, scale: f64) -> ScaleTrial {
        let first = self.steps.first().map(|step| step.eta_lin);
        let failed = self.failure;
        let kept = self.steps.iter().map(|step| step.contraction);
        ScaleTrial {
            scale,
            eta_lin: first.or(failed.map(|(eta, _)| eta)).unwrap_or(0.0),
            worst_contraction: kept.chain(failed.and_then(|(_, c)| c)).reduce(f64::max),
            accepted: failed.is_none(),
        }
    }
}

impl<'a> Trainer<'a> {
    /// A trainer for valid options, targets and weights; with a solver that was chosen before, or the planner's.
    pub(super) fn new(
        equations: &'a Equations,
        loss: Loss,
        weights: Option<&'a [f64]>,
        options: &'a Options,
        chosen: Option<SolverKind>,
    ) -> Result<Self, TrainError> {
        options.check()?;
        loss.check(equations.y(), equations.outputs())?;
        if options.ridge == 0.0 {
            let (name, value, expected) =
                ("ridge", 0.0, "a positive number with a loss of its own");
            return Err(TrainError::Option { name, value, expected });
        }
        if let Some(weights) = weights {
            check_weights(weights, equations.rows())?;
        }
        let (n, d) = (equations.rows(), equations.inputs());
        let parameters = options.width * d;
        let planned = || {
            let shape = Shape { threads: 1, ..Shape::new(equations, options).under(loss) };
            plan(&shape, &options.precision(Precision::F64)).chosen
        };
        let kind = options.solver.or(chosen).unwrap_or_else(planned);
        let sketch = sketch_size(kind, options.sketch_rows, n, parameters);
        let outputs = equations.outputs();
        let signs = options.signs.unwrap_or_else(|| Signs::usual(outputs));
        let init = Init { inputs: d, outputs, width: options.width, seed: options.seed, signs };
        let features = Features::new(equations, init.network(1.0)?.signs(), options.width);
        let solver = kind.instance(sketch, options.seed);
        let coupled =
            loss.couples().then(|| coupled::solver(kind, (n, outputs), options.seed)).flatten();
        Ok(Self { equations, loss, weights, options, init, features, solver, coupled })
    }

    fn run(&self, observer: &mut dyn Observer) -> Result<Run, TrainError> {
        let scale = match self.options.scale {
            Scale::Auto => 1.0,
            Scale::Fixed(scale) => scale,
        };
        let multipliers = vec![0.0; self.equations.y().len()];
        let attempt = self.begin(scale, &multipliers, observer)?;
        self.go_on(attempt, scale, Vec::new(), observer)
    }

    /// The rest of a run, from an attempt at that scale.
    pub(super) fn go_on(
        &self,
        mut attempt: Attempt,
        mut scale: f64,
        mut search: Vec<ScaleTrial>,
        observer: &mut dyn Observer,
    ) -> Result<Run, TrainError> {
        let automatic = self.options.scale == Scale::Auto;
        loop {
            let may_grow = automatic && scale < MAX_SCALE;
            self.steps(&mut attempt, (scale, &search), may_grow, observer)?;
            let nothing = attempt.steps.is_empty() && attempt.failure.is_none();
            if nothing && attempt.ending.is_none() {
                // It was stopped before it tried anything.
                return Ok(self.report(attempt, scale, search));
            }
            if automatic {
                search.push(attempt.trial(scale));
                if observer.on_event(&Event::Scale(&search[search.len() - 1])).is_break() {
                    return Ok(self.report(attempt, scale, search));
                }
            }
            let Some((_, contraction)) = attempt.failure else {
                return Ok(self.report(attempt, scale, search));
            };
            scale = (scale * if contraction.is_some() { GROWTH } else { 2.0 }).min(MAX_SCALE);
            // Multipliers of the last attempt: the linear problem is the same at every scale.
            let multipliers = attempt.state.multipliers;
            if observer.on_event(&Event::Restart { scale }).is_break() {
                let still = &mut |_: &Event<'_>| ControlFlow::Continue(());
                return Ok(self.report(self.begin(scale, &multipliers, still)?, scale, search));
            }
            attempt = self.begin(scale, &multipliers, observer)?;
        }
    }

    fn report(&self, attempt: Attempt, scale: f64, scale_search: Vec<ScaleTrial>) -> Run {
        let stopped = || (Ending::Stopped, "the observer asked to stop".to_owned());
        let (ending, reason) = attempt.ending.unwrap_or_else(stopped);
        let rel_residual = self.rel_residual(&attempt.state.outputs);
        let (network, steps) = (attempt.state.network, attempt.steps);
        Run { network, scale, ending, reason, rel_residual, steps, scale_search }
    }

    /// The weighted sum of `visit(f_i, y_i)`.
    pub(super) fn sum(&self, f: &[f64], visit: impl Fn(&[f64], &[f64]) -> f64) -> f64 {
        let k = self.equations.outputs();
        let rows = f.chunks_exact(k).zip(self.equations.y().chunks_exact(k)).enumerate();
        rows.map(|(i, (f, y))| self.weights.map_or(1.0, |w| w[i]) * visit(f, y)).sum()
    }

    pub(super) fn rel_residual(&self, outputs: &[f64]) -> f64 {
        let (k, y) = (self.equations.outputs(), self.equations.y());
        let mut mean = outputs.to_vec();
        mean.chunks_exact_mut(k).for_each(|f| self.loss.mean(f));
        let size = norm(y);
        if size > 0.0 { distance(&mean, y) / size } else { 0.0 }
    }

    /// The state of a network that has seen `forward`.
    pub(super) fn state(&self, network: Network, forward: Forward, multipliers: Vec<f64>) -> State {
        let Forward { outputs, mask, .. } = forward;
        let (k, ridge) = (self.equations.outputs(), self.options.ridge);
        let active = Activations::of(mask, &network);
        let mut slopes = vec![0.0; outputs.len()];
        let rows = outputs.chunks_exact(k).zip(self.equations.y().chunks_exact(k));
        for (i, ((f, y), g)) in rows.zip(slopes.chunks_exact_mut(k)).enumerate() {
            self.loss.gradient(f, y, g);
            let weight = self.weights.map_or(1.0, |w| w[i]);
            for g in g {
                *g *= weight;
            }
        }
        let (exact, par) = (self.features.jacobian(&active), self.options.par);
        let mut passes = Passes::<f64> { exact, working: None, par };
        let gradient = gradient(&mut passes, &slopes, network.change(), ridge);
        let objective = self.sum(&outputs, |f, y| self.loss.value(f, y))
            + 0.5 * ridge * norm(network.change()).powi(2);
        State { network, active, outputs, multipliers, objective, gradient: norm(&gradient) }
    }

    /// An attempt at the initial weights of a scale.
    fn begin(
        &self,
        scale: f64,
        multipliers: &[f64],
        observer: &mut dyn Observer,
    ) -> Result<Attempt, TrainError> {
        let _ = observer.on_event(&Event::Phase(Phase::Masks));
        let network = self.init.network(scale)?;
        let forward = network.forward(self.equations.x(), self.options.par)?;
        let state = self.state(network, forward, multipliers.to_vec());
        let (start, gain, steps) = (state.gradient, f64::INFINITY, Vec::new());
        Ok(Attempt { state, start, gain, steps, failure: None, ending: None })
    }

    /// Steps until the run ends, the scale fails or the observer stops.
    fn steps(
        &self,
        attempt: &mut Attempt,
        (scale, search): (f64, &[ScaleTrial]),
        may_grow: bool,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        loop {
            attempt.ending = self.finished(attempt);
            if attempt.ending.is_some() {
                return Ok(());
            }
            let Some((next, report)) = self.step(attempt, observer)? else {
                return Ok(());
            };
            let Some(next) = next else {
                let why = "no part of the step lowers the objective".to_owned();
                attempt.ending = Some((Ending::Stagnated, why));
                return Ok(());
            };
            let StepReport { eta_lin, contraction, .. } = report;
            let first = attempt.steps.is_empty();
            let failed = if first && !(eta_lin < self.options.first_eta) {
                Some((eta_lin, None))
            } else {
                (contraction > CONTRACTION && self.options.least_gain == 0.0)
                    .then_some((eta_lin, Some(contraction)))
            };
            if may_grow && failed.is_some() {
                attempt.failure = failed;
                attempt.state.multipliers = next.multipliers;
                return Ok(());
            }
            let objective = next.objective;
            attempt.gain = (attempt.state.objective - objective) / objective.abs();
            attempt.state = next;
            attempt.steps.push(report);
            let report = &attempt.steps[attempt.steps.len() - 1];
            let told = observer.on_event(&Event::Step(report)).is_break();
            let snapshot = LossSnapshot { of: self, attempt, scale, search };
            if observer.on_event(&Event::KeptOnLoss(snapshot)).is_break() || told {
                return Ok(());
            }
        }
    }

    /// The ending that holds before any further step, if there is one.
    fn finished(&self, attempt: &Attempt) -> Option<(Ending, String)> {
        let Options { tolerance, max_steps, .. } = *self.options;
        let (gradient, start) = (attempt.state.gradient, attempt.start);
        let relative = if start > 0.0 { gradient / start } else { 0.0 };
        if gradient <= tolerance * start {
            let words = format!("relative gradient {relative:.1e} met {tolerance:e}");
            return Some((Ending::Converged, words));
        }
        if self.options.least_gain > 0.0 && attempt.gain < self.options.least_gain {
            let (gain, least) = (attempt.gain, self.options.least_gain);
            let words = format!(
                "the last step lowered the objective by {gain:.1e} of it, less than {least:e}"
            );
            return Some((Ending::Converged, words));
        }
        let steps = &attempt.steps;
        if steps.len() >= max_steps {
            return Some((Ending::MaxSteps, format!("{max_steps} steps were taken")));
        }
        let idle = steps.iter().rev().take_while(|s| s.contraction > 1.0 - 1e-3).count();
        (idle >= PATIENCE).then(|| {
            let why = "gained less than 1e-3 each";
            let words = format!("relative gradient {relative:.1e}; the last {idle} steps {why}");
            (Ending::Stagnated, words)
        })
    }
}
