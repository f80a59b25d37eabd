//! Gauss-Newton on batches of rows, for tables of which no whole pass is wanted, or that do not fit into memory.
//!
//! A whole step with a ridge ends where `r = mu g` and `U = -J^T g` for multipliers `g`, one for each row. On a batch `B` a
//! step moves the multipliers of its rows alone, to where that holds for them: with what they are, `g_B`, and a first part
//! of the step that goes on with the last one, `c = theta D'`, it solves
//!
//! `(J_B J_B^T + (mu + lambda) I) h = r_B - mu g_B + J_B c`, `D = c - J_B^T h`, `g_B <- g_B + h`,
//!
//! where `g` has gone on by `theta` times its own last change before. Without momentum and `lambda` that is block coordinate
//! ascent on the dual problem (Shalev-Shwartz and Zhang, *Stochastic dual coordinate ascent methods for regularized loss
//! minimization*, 2013), which ends at the optimum of all rows, where steps that know a batch alone wander about it.
//! Without a ridge it is SPRING (Goldshlager, Abrahamsen and Lin, *A Kaczmarz-inspired approach to accelerate the
//! optimization of neural network wavefunctions*, 2024). Both are the system of a whole step with other names, solved and
//! certified by the same code.

mod how;
mod npy;

use nearlin_relu::{Activations, Forward, Init, Network, Signs};

use crate::dual::Preconditioner;
use crate::equations::mixed;
use crate::observe::{Event, Latch, Observer, Phase};
use crate::options::{MAX_SCALE, Options, Scale};
use crate::plan::{Rates, Shape, plan_batches_at};
use crate::report::{Ending, Run, ScaleTrial, StepReport};
use crate::solver::{InnerSolver, sketch_size};
use crate::step::{Features, Point, System};
use crate::vector::{distance, norm, ratio};
use crate::{Equations, TrainError};

pub use how::{Batches, Source};
pub use npy::NpyRows;

/// Halvings of a step that makes the batch's objective more than four times as large.
const MAX_HALVINGS: usize = 8;

/// How many times as large `lambda` becomes after a pass that did not lower the objective.
const FIRMER: f64 = 4.0;

/// Least accurate solution of a step's system.
pub(crate) const LOOSE: f64 = 0.01;

/// Most that the linear model may miss of the first step: no other scale is tried later.
const NEAR: f64 = 0.02;

/// How much the scale grows where the linear model misses too much of the first step.
const GROWTH: f64 = 8.0;

/// Trains a network as [`train`](crate::train()) does, a batch of rows at a time, in memory for a batch, some arrays of the
/// weights, two numbers for each target and three for each row.
///
/// Each step is certified on its batch: residuals, contractions (of residuals, with a ridge too) and gains are of the
/// batch, and [`StepReport::damping`] is `lambda`. After each pass the residual of all rows is looked at; a pass after which the objective is higher makes `lambda`
/// four times as large. The run ends when a pass lowers the objective by less than `least_gain` of it, when the
/// residual meets the tolerance without a ridge, or when all passes are made; the network is the one with the lowest
/// objective. Steps are in `f64`.
///
/// # Errors
/// [`TrainError`] for options out of their range, rows that cannot be read or a factorisation that cannot be made.
///
/// # Examples
/// ```
/// use core::ops::ControlFlow;
/// use nearlin::{Batches, Equations, Event, Options, train_batches};
///
/// let x: Vec<f64> = (0..400).flat_map(|i| [i as f64 / 200.0 - 1.0, 1.0]).collect();
/// let y: Vec<f64> = x.chunks(2).map(|x| x[0] * x[0]).collect();
/// let equations = Equations::new(x, y, 2, 1)?;
/// let options = Options::default().width(256).ridge(1e-3).least_gain(1e-3);
/// let mut watch = |_: &Event<'_>| ControlFlow::Continue(());
/// let run = train_batches(&equations, &options, &Batches::of(100), &mut watch)?;
/// assert!(run.rel_residual < 0.05, "{}", run.reason);
/// # Ok::<(), nearlin::TrainError>(())
/// ```
pub fn train_batches(
    source: &dyn Source,
    options: &Options,
    batches: &Batches,
    observer: &mut dyn Observer,
) -> Result<Run, TrainError> {
    options.check()?;
    batches.check()?;
    let (n, d, k) = (source.rows(), source.inputs(), source.outputs());
    if n * d * k == 0 {
        return Err(TrainError::Empty { rows: n, inputs: d, outputs: k });
    }
    let rows = batches.rows.min(n);
    let shape = Shape::of(rows, d, k, 1);
    let planned = || plan_batches_at(n, &shape, options, batches, &Rates::default()).chosen;
    let kind = options.solver.unwrap_or_else(planned);
    let signs = options.signs.unwrap_or_else(|| Signs::usual(k));
    let init = Init { inputs: d, outputs: k, width: options.width, seed: options.seed, signs };
    let walk = Walk {
        source,
        options,
        batches: Batches { rows, ..*batches },
        solver: kind.instance(
            sketch_size(kind, options.sketch_rows, rows, options.width * d),
            options.seed,
        ),
        init,
    };
    walk.run(&mut Latch::new(observer))
}

/// What does not change during a run.
struct Walk<'a> {
    source: &'a dyn Source,
    options: &'a Options,
    batches: Batches,
    solver: Box<dyn InnerSolver<f64>>,
    init: Init,
}

/// The iterate.
struct State {
    network: Network,
    /// The last step, m x d.
    last: Vec<f64>,
    /// `g` and its last change, nK.
    multipliers: Vec<f64>,
    change: Vec<f64>,
    /// `lambda` relative to the mean diagonal.
    damping: f64,
    steps: Vec<StepReport>,
}

/// All rows at a network.
struct Whole {
    objective: f64,
    rel_residual: f64,
}

impl Walk<'_> {
    fn run(&self, observer: &mut dyn Observer) -> Result<Run, TrainError> {
        let (mut state, scale, search) = self.begin(observer)?;
        let mut best = (state.network.clone(), self.whole(&state.network)?);
        let mut before = best.1.objective;
        let (mut ending, mut reason) = (None, String::new());
        for pass in 0..self.batches.passes {
            for batch in self.order(pass).chunks(self.batches.rows) {
                let mut rows = batch.to_vec();
                rows.sort_unstable();
                let equations = self.read(&rows)?;
                let Some(report) = self.step(&mut state, (&rows, &equations), observer)? else {
                    ending = Some(Ending::Stopped);
                    break;
                };
                state.steps.push(report);
                if observer.on_event(&Event::Step(&state.steps[state.steps.len() - 1])).is_break() {
                    ending = Some(Ending::Stopped);
                    break;
                }
            }
            let now = self.whole(&state.network)?;
            let (objective, rel) = (now.objective, now.rel_residual);
            if objective < best.1.objective {
                best = (state.network.clone(), now);
            }
            if ending == Some(Ending::Stopped) {
                "the observer asked to stop".clone_into(&mut reason);
                break;
            }
            let (pass, of, steps) = (pass + 1, self.batches.passes, state.steps.len());
            let passed = Event::Pass { pass, of, steps, rel_residual: rel, objective };
            if observer.on_event(&passed).is_break() {
                ending = Some(Ending::Stopped);
                "the observer asked to stop".clone_into(&mut reason);
                break;
            }
            let gain = ratio(before - objective, objective);
            if self.options.ridge == 0.0 && rel <= self.options.tolerance {
                ending = Some(Ending::Converged);
                reason = format!("relative residual {rel:.1e} met {:e}", self.options.tolerance);
                break;
            }
            if gain < self.options.least_gain && gain >= 0.0 {
                ending = Some(Ending::Converged);
                reason = format!("the last pass lowered the objective by {gain:.1e} of it");
                break;
            }
            if gain < 0.0 {
                state.damping *= FIRMER;
            }
            before = objective;
        }
        if ending.is_none() {
            reason = format!("{} passes were made", self.batches.passes);
        }
        let ending = ending.unwrap_or(Ending::MaxSteps);
        let (network, Whole { rel_residual, .. }) = best;
        let steps = state.steps;
        Ok(Run { network, scale, ending, reason, rel_residual, steps, scale_search: search })
    }

    /// The initial network at a scale where the linear model misses little of a first step.
    fn begin(
        &self,
        observer: &mut dyn Observer,
    ) -> Result<(State, f64, Vec<ScaleTrial>), TrainError> {
        let fresh = |scale: f64| -> Result<State, TrainError> {
            let network = self.init.network(scale)?;
            let last = vec![0.0; network.change().len()];
            let rows = self.source.rows() * self.source.outputs();
            Ok(State {
                network,
                last,
                multipliers: vec![0.0; rows],
                change: vec![0.0; rows],
                damping: self.batches.damping,
                steps: Vec::new(),
            })
        };
        let mut scale = match self.options.scale {
            Scale::Fixed(scale) => return Ok((fresh(scale)?, scale, Vec::new())),
            Scale::Auto => 1.0,
        };
        let mut rows = self.order(0)[..self.batches.rows].to_vec();
        rows.sort_unstable();
        let first = self.read(&rows)?;
        let mut search = Vec::new();
        loop {
            let Some(tried) = self.step(&mut fresh(scale)?, (&rows, &first), observer)? else {
                return Ok((fresh(scale)?, scale, search));
            };
            let eta_lin = tried.eta_lin;
            let accepted = eta_lin < self.options.first_eta.min(NEAR) || scale >= MAX_SCALE;
            search.push(ScaleTrial { scale, eta_lin, worst_contraction: None, accepted });
            let stopped = observer.on_event(&Event::Scale(&search[search.len() - 1])).is_break();
            if accepted || stopped {
                return Ok((fresh(scale)?, scale, search));
            }
            scale = (scale * GROWTH).min(MAX_SCALE);
            let _ = observer.on_event(&Event::Restart { scale });
        }
    }

    /// The equations of these rows.
    fn read(&self, rows: &[usize]) -> Result<Equations, TrainError> {
        let (source, equations) = (self.source, self.source.read(rows)?);
        let (got, expected) = (equations.rows(), rows.len());
        let other =
            (equations.inputs(), equations.outputs()) != (source.inputs(), source.outputs());
        if got != expected || other {
            let (what, cols) = ("a batch of a source", source.inputs());
            let got = got * equations.inputs();
            return Err(TrainError::Shape { what, got, rows: expected, cols });
        }
        Ok(equations)
    }

    /// All rows in the order of a pass.
    fn order(&self, pass: usize) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.source.rows()).collect();
        let seed = mixed(self.options.seed, pass as u64 + 1);
        rows.sort_by_cached_key(|&row| mixed(mixed(seed, row as u64), row as u64 ^ seed));
        rows
    }

    /// The objective and the residual of all rows, a batch at a time.
    fn whole(&self, network: &Network) -> Result<Whole, TrainError> {
        let (n, ridge) = (self.source.rows(), self.options.ridge);
        let (mut squares, mut size) = (0.0, 0.0);
        for first in (0..n).step_by(self.batches.rows) {
            let rows: Vec<usize> = (first..n.min(first + self.batches.rows)).collect();
            let equations = self.read(&rows)?;
            let outputs = network.forward(equations.x(), self.options.par)?.outputs;
            squares += distance(&outputs, equations.y()).powi(2);
            size += norm(equations.y()).powi(2);
        }
        let objective = squares + ridge * norm(network.change()).powi(2);
        Ok(Whole { objective, rel_residual: ratio(squares, size).sqrt() })
    }

    /// One step on a batch; `None` if the observer stops.
    fn step(
        &self,
        state: &mut State,
        (rows, batch): (&[usize], &Equations),
        observer: &mut dyn Observer,
    ) -> Result<Option<StepReport>, TrainError> {
        let (options, par) = (self.options, self.options.par);
        let k = batch.outputs();
        if observer.on_event(&Event::Phase(Phase::Masks)).is_break() {
            return Ok(None);
        }
        let network = &state.network;
        let features = Features::<f64>::new(batch, network.signs(), options.width);
        let Forward { outputs, mask, .. } = network.forward(batch.x(), par)?;
        let residual: Vec<f64> = outputs.iter().zip(batch.y()).map(|(f, y)| f - y).collect();
        let active = Activations::of(mask, network);

        // Half of |x|^2 on average, as half of the neurons are active.
        let diagonal = 0.5 * batch.x().squared_norm_l2() / batch.rows() as f64;
        let (mu, lambda) = (options.ridge, state.damping * diagonal);
        let theta = self.batches.momentum;
        // The first part `c` of the step with its sign changed: where a whole step has `U`.
        let change: Vec<f64> = state.last.iter().map(|last| -theta * last).collect();
        let at = |i: usize| rows[i / k] * k + i % k;
        let gone_on = |i: usize| state.multipliers[at(i)] + theta * state.change[at(i)];
        let target: Vec<f64> =
            residual.iter().enumerate().map(|(i, r)| r - mu * gone_on(i)).collect();

        let _ = observer.on_event(&Event::Phase(Phase::Build));
        let factor = self.solver.build(&features.jacobian(&active), mu + lambda, par)?;
        let preconditioner = Preconditioner { factor, examples: batch.rows(), outputs: k };
        let point =
            Point { active: &active, residual: &target, change: &change, multipliers: None };
        let system = System {
            point,
            exact: &features,
            features: &features,
            preconditioner: &preconditioner,
            ridge: mu + lambda,
            damping: 0.0,
        };
        let direction = system.direction(LOOSE, options, observer)?;
        if direction.stopped {
            return Ok(None);
        }

        let _ = observer.on_event(&Event::Phase(Phase::Update));
        let image = direction.image.as_deref().unwrap_or(&[]);
        let r = norm(&residual);
        let share = batch.rows() as f64 / self.source.rows() as f64;
        let objective = |residual: &[f64], network: &Network| {
            norm(residual).powi(2) + share * mu * norm(network.change()).powi(2)
        };
        let before = objective(&residual, network);
        let mut length = 1.0;
        for halving in 0..=MAX_HALVINGS {
            let mut next = network.clone();
            for (u, step) in next.change_mut().iter_mut().zip(&direction.step) {
                *u += length * step;
            }
            let Forward { outputs, mask, .. } = next.forward(batch.x(), par)?;
            let after: Vec<f64> = outputs.iter().zip(batch.y()).map(|(f, y)| f - y).collect();
            let now = objective(&after, &next);
            // Momentum may lead a batch uphill for a while; what must not happen is that it overshoots.
            let fits = now <= 4.0 * before.max(f64::MIN_POSITIVE);
            if !fits && halving < MAX_HALVINGS {
                length *= 0.5;
                continue;
            }
            let linear: Vec<f64> =
                residual.iter().zip(image).map(|(r, image)| r + length * image).collect();
            let quality = preconditioner.quality();
            let report = StepReport {
                step: state.steps.len() + 1,
                solver: self.solver.kind(),
                rel_residual: ratio(norm(&after), norm(batch.y())),
                eta_inner: direction.eta_inner,
                eta_lin: ratio(distance(&after, &linear), r),
                contraction: ratio(norm(&after), r),
                gain: ratio(before - now, now),
                flipped: mask.count_differences(active.mask()) as f64
                    / (batch.rows() * options.width) as f64,
                inner_iterations: direction.iterations,
                condition: direction.condition,
                rel_gradient: None,
                shift: quality.shift,
                rank: quality.rank,
                left: quality.left,
                step_length: length,
                damping: lambda,
                pinned: 0,
            };
            state.last = direction.step.iter().map(|step| length * step).collect();
            state.network = next;
            state.change.iter_mut().for_each(|change| *change *= length * theta);
            for (i, h) in direction.multipliers.iter().enumerate() {
                state.change[at(i)] += length * h;
            }
            for (g, change) in state.multipliers.iter_mut().zip(&state.change) {
                *g += change;
            }
            return Ok(Some(report));
        }
        unreachable!("the last halving is taken")
    }
}
