//! Attempts as plain data, and back.

use nearlin_dense::PackedMask;
use nearlin_relu::Activations;

use super::pin::Pin;
use super::refresh::Wear;
use super::search::Attempt;
use super::{Built, Damping, Hold, Optimiser, State};
use crate::TrainError;
use crate::checkpoint::Checkpoint;
use crate::dual::Preconditioner;
use crate::observe::{Event, Observer, Phase};
use crate::report::{Ending, ScaleTrial, StepReport};
use crate::vector::Element;

/// An attempt: what its network, residual and gradient can be computed from.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Saved {
    pub(crate) scale: f64,
    /// `W - W_0`, m x d.
    pub(crate) change: Vec<f64>,
    pub(crate) multipliers: Option<Vec<f64>>,
    pub(crate) pins: Vec<Pin>,
    pub(crate) gain: f64,
    pub(crate) damping: Damping,
    pub(crate) steps: Vec<StepReport>,
    pub(crate) ending: Option<Ending>,
    pub(crate) reason: String,
}

impl Saved {
    pub(crate) fn of(attempt: &Attempt) -> Self {
        let Attempt { scale, state, steps, ending, reason, .. } = attempt;
        Self {
            scale: *scale,
            change: state.network.change().to_vec(),
            multipliers: state.multipliers.clone(),
            pins: state.pins.clone(),
            gain: state.gain,
            damping: state.damping,
            steps: steps.clone(),
            ending: *ending,
            reason: reason.clone(),
        }
    }
}

/// How far the search for a scale is.
#[derive(Default)]
pub(crate) struct Search {
    /// Scales that were rejected.
    pub(crate) trials: Vec<ScaleTrial>,
    /// The largest of them.
    pub(crate) rejected: f64,
    /// A run at a larger scale that ended.
    pub(crate) certified: Option<Attempt>,
}

impl<T: Element> Optimiser<'_, T> {
    /// Takes over what a checkpoint holds: the search, and the attempt that was under way.
    pub(super) fn restore(
        &mut self,
        from: &Checkpoint,
        observer: &mut dyn Observer,
    ) -> Result<(Search, Attempt), TrainError> {
        self.planned = from.planned;
        self.course = from.course;
        self.deficient = from.deficient;
        self.first.clone_from(&from.first);
        let certified = from.certified.as_ref();
        let search = Search {
            trials: from.trials.clone(),
            rejected: from.rejected,
            certified: certified.map(|saved| self.attempted(saved, observer)).transpose()?,
        };
        let current = self.attempted(&from.current, observer)?;
        if let Some((ridge, built, wear)) = &from.built {
            let _ = observer.on_event(&Event::Phase(Phase::Build));
            let Some(built) = built else {
                self.build(&current.state.active, *ridge)?;
                self.wear(*wear);
                return Ok((search, current));
            };
            let (n, m) = (self.equations.rows(), self.options.width);
            let words = m.div_ceil(64);
            let mask =
                PackedMask::from_fn(n, m, |i, r| built[i * words + r / 64] >> (r % 64) & 1 == 1);
            self.build(&Activations::of(mask, &current.state.network), *ridge)?;
            self.wear(*wear);
        }
        Ok((search, current))
    }

    /// Builds the preconditioner at some activations, for a ridge and a damping that add up to `ridge`.
    pub(super) fn build(&mut self, active: &Activations, ridge: f64) -> Result<(), TrainError> {
        let jacobian = self.features.jacobian(active);
        let factor = self.solver.build(&jacobian, ridge, self.options.par)?;
        let (examples, outputs) = (self.equations.rows(), self.equations.outputs());
        let preconditioner = Preconditioner { factor, examples, outputs };
        let mask = self.solver.follows_masks().then(|| active.mask().clone());
        self.built = Some(Built { preconditioner, mask, ridge, wear: Wear::default() });
        Ok(())
    }

    fn wear(&mut self, wear: Wear) {
        if let Some(built) = &mut self.built {
            built.wear = wear;
        }
    }

    fn attempted(
        &mut self,
        saved: &Saved,
        observer: &mut dyn Observer,
    ) -> Result<Attempt, TrainError> {
        let start = self.initial(saved.scale, observer)?;
        let mut network = start.network.clone();
        network.change_mut().copy_from_slice(&saved.change);
        let forward = network.forward(self.equations.x(), self.options.par)?;
        let hold = Hold { multipliers: saved.multipliers.clone(), pins: saved.pins.clone() };
        let state = State {
            gain: saved.gain,
            damping: saved.damping,
            ..self.state(network, forward, hold)
        };
        Ok(Attempt {
            start: start.measure,
            state,
            steps: saved.steps.clone(),
            ending: saved.ending,
            reason: saved.reason.clone(),
            ..Attempt::new(saved.scale, start)
        })
    }
}
