//! The search for the smallest scale whose steps certify.

use core::ops::ControlFlow;

use super::{Hold, Optimiser, STOPPED, State, Verdict};
use crate::TrainError;
use crate::observe::{Event, Observer, Phase};
use crate::options::{MAX_SCALE, Scale};
use crate::report::{Ending, Run, ScaleTrial, StepReport};
use crate::vector::{Element, norm};

/// How much a later step's failure enlarges the scale.
const GROWTH: f64 = 8.0;

/// With a ridge, a scale whose first step flips this many entries is still too small as a rule.
const FLIPS_THAT_MATTER: f64 = 64.0;

/// Why a scale is too small.
pub(super) struct Failure {
    pub(super) eta_lin: f64,
    /// The contraction that showed it; `None` if the first step's certificate already failed.
    pub(super) contraction: Option<f64>,
    /// Entries of the mask that the step flipped.
    pub(super) flips: f64,
}

/// A run at one scale.
struct Attempt {
    scale: f64,
    state: State,
    steps: Vec<StepReport>,
    /// `None` where the scale is too small.
    ending: Option<Ending>,
    reason: String,
    failure: Option<Failure>,
}

impl Attempt {
    fn new(scale: f64, state: State) -> Self {
        let (steps, reason) = (Vec::new(), String::new());
        Self { scale, state, steps, ending: None, reason, failure: None }
    }

    fn keep(&mut self, (state, report): (State, StepReport)) {
        self.state = state;
        self.steps.push(report);
    }

    fn end(&mut self, (ending, reason): (Ending, String)) {
        (self.ending, self.reason) = (Some(ending), reason);
    }

    fn trial(&self) -> ScaleTrial {
        let failed = self.failure.as_ref();
        let first = self.steps.first().map(|s| s.eta_lin);
        let kept = self.steps.iter().map(|s| s.contraction);
        let all = kept.chain(failed.and_then(|f| f.contraction));
        ScaleTrial {
            scale: self.scale,
            eta_lin: first.or(failed.map(|f| f.eta_lin)).unwrap_or(0.0),
            worst_contraction: all.reduce(f64::max),
            accepted: self.ending.is_some(),
        }
    }
}

impl<T: Element> Optimiser<'_, T> {
    /// The whole run: attempts at growing scales, and the story of them.
    pub(super) fn run(mut self, observer: &mut dyn Observer) -> Result<Run, TrainError> {
        let (automatic, mut scale) = match self.options.scale {
            Scale::Auto => (true, 1.0),
            Scale::Fixed(scale) => (false, scale),
        };
        let mut search: Vec<ScaleTrial> = Vec::new();
        let mut rejected = 0.0;
        let mut certified: Option<Attempt> = None;
        let attempt = loop {
            let attempt = self.attempt(scale, automatic && scale < MAX_SCALE, observer)?;
            let trial = attempt.trial();
            let stopped = attempt.ending == Some(Ending::Stopped);
            let next = if attempt.ending.is_none() {
                rejected = scale.max(rejected);
                search.push(trial);
                // A smaller scale than a certified one: the search is over.
                certified.is_none().then(|| (scale * self.growth(&attempt)).min(MAX_SCALE))
            } else {
                certified = Some(attempt);
                // A jump may have passed a smaller scale that certifies.
                let passed = automatic && !stopped && scale > GROWTH * rejected.max(1.0 / GROWTH);
                passed.then_some(scale / GROWTH)
            };
            let told = automatic && observer.on_event(&Event::Scale(&trial)).is_break();
            match (next, certified) {
                (None, Some(attempt)) => break attempt,
                (Some(next), held) if !told => {
                    (scale, certified) = (next, held);
                    if observer.on_event(&Event::Restart { scale }).is_break() {
                        break certified.map_or_else(|| self.stopped(scale), Ok)?;
                    }
                }
                (_, held) => break held.map_or_else(|| self.stopped(scale), Ok)?,
            }
        };
        if automatic {
            search.push(attempt.trial());
        }
        let rel_residual = self.relative(norm(&attempt.state.residual));
        Ok(Run {
            network: attempt.state.network,
            scale: attempt.scale,
            ending: attempt.ending.unwrap_or(Ending::Stopped),
            reason: attempt.reason,
            rel_residual,
            steps: attempt.steps,
            scale_search: search,
        })
    }

    /// Steps from the initial weights of one scale, until the run ends or a step says that the scale
    /// is too small.
    fn attempt(
        &mut self,
        scale: f64,
        may_grow: bool,
        observer: &mut dyn Observer,
    ) -> Result<Attempt, TrainError> {
        let state = self.initial(scale, observer)?;
        let start = state.measure;
        let mut attempt = Attempt::new(scale, state);
        while attempt.ending.is_none() {
            let Attempt { state, steps, .. } = &mut attempt;
            if let Some(end) = self.finished(state, start, steps) {
                attempt.end(end);
                break;
            }
            match self.step(state, start, steps, may_grow, observer)? {
                Verdict::End(ending, reason) => attempt.end((ending, reason)),
                Verdict::Grow(failure) => {
                    attempt.failure = Some(failure);
                    break;
                }
                Verdict::Keep(kept) => {
                    attempt.keep(*kept);
                    let report = &attempt.steps[attempt.steps.len() - 1];
                    if observer.on_event(&Event::Step(report)).is_break() {
                        attempt.end((Ending::Stopped, STOPPED.into()));
                    }
                }
            }
        }
        Ok(attempt)
    }

    /// How much larger the next scale should be.
    ///
    /// Where the first step's certificate failed, a power of two: `eta_lin` falls no faster than one over
    /// the root of the scale, so scales short of where that rate meets the limit need no attempt. Else
    /// eight times, or a power of eight with a ridge: then every flip matters, and the first step's
    /// flips, of which there are fewer the larger the scale, tell how far it is at least.
    fn growth(&self, attempt: &Attempt) -> f64 {
        let Some(Failure { contraction: Some(_), flips, .. }) = attempt.failure else {
            let eta_lin = attempt.failure.as_ref().map_or(0.0, |failure| failure.eta_lin);
            let jump = (eta_lin / self.options.first_eta).powi(2).log2().floor().exp2();
            // Also where `eta_lin` is no number.
            return if jump > 2.0 { jump.min(GROWTH) } else { 2.0 };
        };
        let first = attempt.steps.first().map_or(flips, |s| s.flipped * self.entries());
        let jump = (first / FLIPS_THAT_MATTER).log(GROWTH).floor().max(1.0);
        if self.options.ridge > 0.0 { GROWTH.powf(jump) } else { GROWTH }
    }

    /// Entries of the activation mask.
    pub(super) fn entries(&self) -> f64 {
        (self.equations.rows() * self.options.width) as f64
    }

    /// The attempt of a run that was stopped between two scales.
    fn stopped(&mut self, scale: f64) -> Result<Attempt, TrainError> {
        let mut attempt = Attempt::new(
            scale,
            self.initial(scale, &mut |_: &Event<'_>| ControlFlow::Continue(()))?,
        );
        attempt.end((Ending::Stopped, STOPPED.into()));
        Ok(attempt)
    }

    /// The state at the initial weights. Masks and residual are the same at every scale: one forward pass
    /// serves them all.
    fn initial(&mut self, scale: f64, observer: &mut dyn Observer) -> Result<State, TrainError> {
        let _ = observer.on_event(&Event::Phase(Phase::Masks));
        let network = self.init.network(scale)?;
        if let Some(start) = &self.start {
            return Ok(State { network, ..start.clone() });
        }
        let forward = network.forward(self.equations.x(), self.options.par)?;
        let state = self.state(network, forward, Hold::default());
        if self.options.scale == Scale::Auto {
            self.start = Some(state.clone());
        }
        Ok(state)
    }
}
