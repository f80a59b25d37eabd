//! Runs on a loss that are set down after a step, and taken up again.

use core::fmt;

use super::Loss;
use super::network::{Attempt, Trainer};
use crate::checkpoint::{decisive, same_fields};
use crate::equations::mixed;
use crate::observe::{Latch, Observer};
use crate::options::Options;
use crate::report::{Run, ScaleTrial, StepReport};
use crate::solver::SolverKind;
use crate::{Equations, TrainError};

/// A run of [`train_loss`](crate::train_loss()) after a kept step: with its equations, loss, weights and options, all
/// that the rest of it depends on.
///
/// [`resume_loss`] goes on from here and ends with the same bits as the run would have. With the feature `serde` it can
/// be written in any of serde's formats that keep every bit of an `f64`. About `8 (m d + n K)` bytes.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LossCheckpoint {
    /// Digest of the equations and the weights.
    equations: u64,
    /// Loss and options that decide the course of a run, as text.
    options: String,
    solver: SolverKind,
    /// Scales that were rejected.
    trials: Vec<ScaleTrial>,
    scale: f64,
    /// The gradient's norm at the initial weights.
    start: f64,
    /// What the last step lowered the objective by, relative to it.
    gain: f64,
    change: Vec<f64>,
    multipliers: Vec<f64>,
    steps: Vec<StepReport>,
}

impl LossCheckpoint {
    /// The solver of the run.
    #[must_use]
    pub fn planned(&self) -> SolverKind {
        self.solver
    }

    /// The steps so far at the present scale, at least one.
    #[must_use]
    pub fn steps(&self) -> &[StepReport] {
        &self.steps
    }

    /// Standard deviation of the initial weights.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Refuses a checkpoint of another problem or other options; a budget of steps and threads may differ.
    fn check(&self, of: &Trainer<'_>) -> Result<(), TrainError> {
        same_fields(&self.options, &told(of))?;
        if of.solver.kind() != self.solver {
            return Err(TrainError::Checkpoint {
                found: format!("one with solver: {}", self.solver),
                expected: format!("solver: {}, or none", of.solver.kind()),
            });
        }
        let parameters = of.options.width * of.equations.inputs();
        let fits =
            (self.change.len(), self.multipliers.len()) == (parameters, of.equations.y().len());
        if self.equations != digest(of.equations, of.weights) || !fits || self.steps.is_empty() {
            return Err(TrainError::Checkpoint {
                found: "one of other data".to_owned(),
                expected: "that of the same rows, inputs, targets and weights".to_owned(),
            });
        }
        Ok(())
    }
}

/// A run on a loss at a kept step, as an observer sees it: a view that costs nothing until it is
/// [`taken`](Self::take).
#[derive(Clone, Copy)]
pub struct LossSnapshot<'a> {
    pub(super) of: &'a Trainer<'a>,
    pub(super) attempt: &'a Attempt,
    pub(super) scale: f64,
    pub(super) search: &'a [ScaleTrial],
}

impl LossSnapshot<'_> {
    /// A copy of all that is needed to go on.
    #[must_use]
    pub fn take(&self) -> LossCheckpoint {
        let Attempt { state, start, gain, steps, .. } = self.attempt;
        LossCheckpoint {
            equations: digest(self.of.equations, self.of.weights),
            options: told(self.of),
            solver: self.of.solver.kind(),
            trials: self.search.to_vec(),
            scale: self.scale,
            start: *start,
            gain: *gain,
            change: state.network.change().to_vec(),
            multipliers: state.multipliers.clone(),
            steps: steps.clone(),
        }
    }
}

impl fmt::Debug for LossSnapshot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LossSnapshot").finish_non_exhaustive()
    }
}

/// Goes on with a run on a loss from a checkpoint, to the end that it would have had, bit for bit.
///
/// # Errors
/// [`TrainError::Checkpoint`] for one of other equations, weights, loss or options, and as of
/// [`train_loss`](crate::train_loss()).
///
/// # Examples
/// ```
/// use core::ops::ControlFlow;
/// use nearlin::{Equations, Event, Loss, Options, resume_loss, train_loss};
///
/// let x: Vec<f64> = (0..40).flat_map(|i| [i as f64 / 20.0 - 1.0, 1.0]).collect();
/// let y: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i % 20 < 10))).collect();
/// let equations = Equations::new(x, y, 2, 1)?;
/// let options = Options::default().width(512).ridge(1e-3);
/// let mut last = None;
/// let mut watch = |event: &Event<'_>| {
///     if let Event::KeptOnLoss(snapshot) = event {
///         last.get_or_insert_with(|| snapshot.take());
///     }
///     ControlFlow::Continue(())
/// };
/// let whole = train_loss(&equations, Loss::Logistic, None, &options, &mut watch)?;
/// let mut still = |_: &Event<'_>| ControlFlow::Continue(());
/// let from = last.expect("a kept step");
/// let rest = resume_loss(&equations, Loss::Logistic, None, &options, &from, &mut still)?;
/// assert_eq!(whole.network, rest.network);
/// # Ok::<(), nearlin::TrainError>(())
/// ```
pub fn resume_loss(
    equations: &Equations,
    loss: Loss,
    weights: Option<&[f64]>,
    options: &Options,
    from: &LossCheckpoint,
    observer: &mut dyn Observer,
) -> Result<Run, TrainError> {
    let trainer = Trainer::new(equations, loss, weights, options, Some(from.solver))?;
    from.check(&trainer)?;
    let mut network = trainer.init.network(from.scale)?;
    network.change_mut().copy_from_slice(&from.change);
    let forward = network.forward(equations.x(), options.par)?;
    let state = trainer.state(network, forward, from.multipliers.clone());
    let LossCheckpoint { start, gain, scale, .. } = *from;
    let steps = from.steps.clone();
    let attempt = Attempt { state, start, gain, steps, failure: None, ending: None };
    trainer.go_on(attempt, scale, from.trials.clone(), &mut Latch::new(observer))
}

fn told(of: &Trainer<'_>) -> String {
    format!("loss: {:?}, {}", of.loss, decisive(of.options))
}

fn digest(equations: &Equations, weights: Option<&[f64]>) -> u64 {
    let of_weights = weights.into_iter().flatten().map(|w| w.to_bits());
    of_weights.fold(equations.digest(), mixed)
}
