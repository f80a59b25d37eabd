//! The search for the smallest scale whose steps certify.

use super::saved::Search;
use super::{Hold, Optimiser, STOPPED, State, Verdict};
use crate::TrainError;
use crate::checkpoint::{Checkpoint, Snapshot};
use crate::observe::{Event, Observer, Phase};
use crate::options::{MAX_SCALE, Scale};
use crate::report::{Ending, Run, ScaleTrial, StepReport};
use crate::vector::{Element, norm};

/// How much a later step's failure enlarges the scale.
const GROWTH: f64 = 8.0;

/// How much larger the next scale of a fit that ends where gains are small is at most, by the rate of its first step.
const FARTHEST: f64 = 1024.0;

/// With a ridge, a scale whose first step flips this many entries is still too small as a rule.
pub(super) const FLIPS_THAT_MATTER: f64 = 64.0;

/// Why a scale is too small.
pub(crate) struct Failure {
    pub(super) eta_lin: f64,
    /// The contraction that showed it; `None` if the first step's certificate already failed.
    pub(super) contraction: Option<f64>,
    /// Entries of the mask that the step flipped.
    pub(super) flips: f64,
}

/// A run at one scale.
pub(crate) struct Attempt {
    pub(super) scale: f64,
    /// The measure of convergence at the initial weights.
    pub(super) start: f64,
    pub(super) state: State,
    pub(super) steps: Vec<StepReport>,
    /// `None` while it goes on, and where the scale is too small.
    pub(super) ending: Option<Ending>,
    pub(super) reason: String,
    pub(super) failure: Option<Failure>,
}

impl Attempt {
    /// An attempt at its initial weights.
    pub(super) fn new(scale: f64, state: State) -> Self {
        let (steps, reason) = (Vec::new(), String::new());
        Self { scale, start: state.measure, state, steps, ending: None, reason, failure: None }
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
            accepted: self.ending.is_some() && self.failure.is_none(),
        }
    }

    /// Whether it ended where it should.
    fn reached(&self) -> bool {
        matches!(self.ending, Some(Ending::Converged | Ending::Floor))
    }
}

impl<T: Element> Optimiser<'_, T> {
    /// The whole run, or the rest of one: attempts at growing scales, and the story of them.
    pub(super) fn run(
        &mut self,
        from: Option<&Checkpoint>,
        observer: &mut dyn Observer,
    ) -> Result<Run, TrainError> {
        let (automatic, mut scale) = match self.options.scale {
            Scale::Auto => (true, 1.0),
            Scale::Fixed(scale) => (false, scale),
        };
        let mut search = Search::default();
        let mut under_way = None;
        if let Some(from) = from {
            let (restored, attempt) = self.restore(from, observer)?;
            (search, scale) = (restored, attempt.scale);
            under_way = Some(attempt);
        }
        let mut attempt = loop {
            let attempt = match under_way.take() {
                Some(attempt) => attempt,
                None => Attempt::new(scale, self.initial(scale, observer)?),
            };
            let may_grow = automatic && scale < MAX_SCALE;
            let attempt = self.attempt(attempt, may_grow, &search, observer)?;
            let trial = attempt.trial();
            let stopped = attempt.ending == Some(Ending::Stopped);
            let (next, last) = if attempt.ending.is_none() {
                search.trials.push(trial);
                let larger = (scale * self.growth(&attempt)).min(MAX_SCALE);
                // Nor does what a first step's rate passes over need an attempt.
                let told = attempt.failure.as_ref().is_some_and(|f| f.contraction.is_none());
                let rejected = if told { scale.max(larger / GROWTH) } else { scale };
                search.rejected = rejected.max(search.rejected);
                // A smaller scale than a certified one: the search is over.
                (search.certified.is_none().then_some(larger), Some(attempt))
            } else {
                // A run that was stopped, or missed what the one at a larger scale reached, tells less than that.
                let told_more = |held: &Attempt| stopped || held.reached() && !attempt.reached();
                let worse = search.certified.as_ref().is_some_and(told_more);
                let passed_over =
                    if worse { Some(attempt) } else { search.certified.replace(attempt) };
                // One that was stopped was not judged.
                if automatic && !stopped {
                    search.trials.extend(passed_over.map(|passed_over| passed_over.trial()));
                }
                // A jump may have passed a smaller scale that certifies.
                let passed = scale > GROWTH * search.rejected.max(1.0 / GROWTH);
                ((automatic && !stopped && !worse && passed).then_some(scale / GROWTH), None)
            };
            let told = automatic && observer.on_event(&Event::Scale(&trial)).is_break();
            let next = next.filter(|_| !told);
            let goes_on = next
                .is_some_and(|scale| observer.on_event(&Event::Restart { scale }).is_continue());
            match (next, search.certified.take(), last) {
                (Some(next), certified, _) if goes_on => {
                    (scale, search.certified) = (next, certified);
                }
                (_, Some(certified), _) => break certified,
                // Stopped before any scale was found: what was kept at the last one stands.
                (_, None, Some(mut last)) => {
                    last.end((Ending::Stopped, STOPPED.into()));
                    break last;
                }
                (_, None, None) => unreachable!("an attempt that ended is held"),
            }
        };
        // One that ended by a smaller budget, of the run that goes on here.
        let more = attempt.steps.len() < self.options.max_steps;
        if attempt.ending == Some(Ending::MaxSteps) && more {
            attempt.ending = None;
            attempt = self.attempt(attempt, false, &search, observer)?;
        }
        // Nothing was tried where it was stopped before a step, and what was rejected has been told.
        let untried = attempt.ending == Some(Ending::Stopped) && attempt.steps.is_empty();
        if automatic && !untried && attempt.failure.is_none() {
            search.trials.push(attempt.trial());
        }
        let rel_residual = self.relative(norm(&attempt.state.residual));
        Ok(Run {
            network: attempt.state.network,
            scale: attempt.scale,
            ending: attempt.ending.unwrap_or(Ending::Stopped),
            reason: attempt.reason,
            rel_residual,
            steps: attempt.steps,
            scale_search: search.trials,
        })
    }

    /// Steps from where an attempt is, until the run ends or a step says that the scale is too small.
    fn attempt(
        &mut self,
        mut attempt: Attempt,
        may_grow: bool,
        search: &Search,
        observer: &mut dyn Observer,
    ) -> Result<Attempt, TrainError> {
        while attempt.ending.is_none() {
            let Attempt { start, state, steps, .. } = &attempt;
            if let Some(end) = self.finished(state, *start, steps) {
                attempt.end(end);
                break;
            }
            match self.step(state, *start, steps, may_grow, observer)? {
                Verdict::End(ending, reason) => attempt.end((ending, reason)),
                Verdict::Grow(failure) => {
                    attempt.failure = Some(failure);
                    break;
                }
                Verdict::Keep(kept) => {
                    attempt.keep(*kept);
                    let report = &attempt.steps[attempt.steps.len() - 1];
                    let told = observer.on_event(&Event::Step(report)).is_break();
                    let snapshot = Snapshot {
                        equations: self.equations,
                        options: self.options,
                        planned: self.planned,
                        solver: self.solver.kind(),
                        course: self.course.as_ref(),
                        search,
                        attempt: &attempt,
                        built: self
                            .built
                            .as_ref()
                            .map(|built| (built.ridge, built.mask.as_ref(), built.wear)),
                        deficient: self.deficient,
                        // No scale is left to try where it was given.
                        first: self.first.as_ref().filter(|_| self.options.scale == Scale::Auto),
                    };
                    if observer.on_event(&Event::Kept(snapshot)).is_break() || told {
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
    /// the root of the scale while there are many flips, so scales short of where that rate meets the limit need no
    /// attempt. Flips fall with the scale, and 8 times is the most where few would be left, and where later steps
    /// must contract. Else
    /// eight times, or a power of eight with a ridge: then every flip matters, and the first step's
    /// flips, of which there are fewer the larger the scale, tell how far it is at least.
    fn growth(&self, attempt: &Attempt) -> f64 {
        let Some(Failure { contraction: Some(_), flips, .. }) = attempt.failure else {
            let (eta_lin, flips) =
                attempt.failure.as_ref().map_or((0.0, 0.0), |f| (f.eta_lin, f.flips));
            let jump = (eta_lin / self.options.first_eta).powi(2);
            let farthest = if self.by_gain() { FARTHEST } else { GROWTH };
            let most = (flips / FLIPS_THAT_MATTER).clamp(GROWTH, farthest);
            // Also where `eta_lin` is no number.
            return if jump > 2.0 { jump.min(most).log2().floor().exp2() } else { 2.0 };
        };
        let first = attempt.steps.first().map_or(flips, |s| s.flipped * self.entries());
        let jump = (first / FLIPS_THAT_MATTER).log(GROWTH).floor().max(1.0);
        if self.options.ridge > 0.0 { GROWTH.powf(jump) } else { GROWTH }
    }

    /// Entries of the activation mask.
    pub(super) fn entries(&self) -> f64 {
        (self.equations.rows() * self.options.width) as f64
    }

    /// The state at the initial weights. Masks and residual are the same at every scale: one forward pass
    /// serves them all.
    pub(super) fn initial(
        &mut self,
        scale: f64,
        observer: &mut dyn Observer,
    ) -> Result<State, TrainError> {
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
