//! The direction of a step: a preconditioner where there is none that serves, and the inner solve.

use core::ops::ControlFlow;

use nearlin_relu::PackedMask;

use super::{Built, Optimiser, State, instance, worth};
use crate::TrainError;
use crate::dual::Quality;
use crate::observe::{Event, Observer, Phase};
use crate::options::InnerTolerance;
use crate::primal::{least_squares, was_helped};
use crate::replan::{Replanned, Watch};
use crate::report::StepReport;
use crate::step::{Direction, Point, System, draft_suffices};
use crate::vector::Element;

/// A system of which this much is left has no solution, as far as the solver can tell.
const UNSOLVED: f64 = 0.5;

/// How much more accurately a direction is solved when a step onto kinks fails to contract.
const SHARPER: f64 = 1e-4;

/// How many times larger or smaller the ridge of a preconditioner may be.
const NEAR: f64 = 8.0;

/// How carefully a direction is solved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// By the solver's word, where that is likely to do; the trial tells.
    Draft,
    /// To the tolerance of the step, seen in `f64`.
    Full,
    /// More accurately than that.
    Sharp,
}

impl<T: Element> Optimiser<'_, T> {
    /// Builds the preconditioner where there is none for this mask, and solves for the step.
    pub(super) fn direction(
        &mut self,
        state: &State,
        start: f64,
        steps: &[StepReport],
        care: Care,
        observer: &mut dyn Observer,
    ) -> Result<(Direction, Quality), TrainError> {
        let none = || Direction::stopped(state.network.change().len(), state.residual.len());
        let options = self.options;
        let factor = if care == Care::Sharp { SHARPER } else { 1.0 };
        let tolerance = factor * self.inner_tolerance(state, start, steps);
        let damping = state.damping.strength();
        let ridge = options.ridge + damping;
        let singular = self.deficient || (self.overdetermined && options.ridge == 0.0);
        let mut dual = damping > 0.0 || !singular;
        if dual && !self.built.as_ref().is_some_and(|built| self.serves(built, state.mask(), ridge))
        {
            if observer.on_event(&Event::Phase(Phase::Build)).is_break() {
                return Ok((none(), Quality::default()));
            }
            // Freed before the next one is built: they are the largest things in memory.
            self.built = None;
            match self.build(&state.active, ridge) {
                // Nothing to factor, as when no neuron is active: a fact about the data.
                Err(TrainError::Factor(_)) if ridge == 0.0 => {
                    (self.deficient, dual) = (true, false);
                }
                built => built?,
            }
        }
        let (exact, active, residual) = (&self.exact, &state.active, &state.residual);
        let in_weight_space = |observer: &mut dyn Observer| {
            let counts = steps.iter().map(|step| step.inner_iterations);
            let outputs = residual.len() / exact.jacobian(active).examples();
            let helped = was_helped(counts, state.network.change().len(), outputs);
            least_squares(exact, active, residual, (tolerance, helped), options, observer)
        };
        if !dual {
            return Ok((in_weight_space(observer)?, Quality::default()));
        }
        let Some(Built { preconditioner, mask, wear, .. }) = &self.built else {
            unreachable!("a preconditioner has just been built")
        };
        let flipped = mask.as_ref().map_or(0.0, |mask| self.flipped(mask, state.mask()));
        let worn = wear.most(flipped, self.worth.build);
        // Of a factor that may be replaced; a solve in the space of the weights has nothing to do with it.
        let limited = options.max_inner(options.max_inner.min(worn));
        let point = Point {
            active: &state.active,
            residual: &state.residual,
            change: state.network.change(),
            multipliers: state.multipliers.as_deref(),
        };
        let system = System {
            point,
            exact: &self.exact,
            features: &self.features,
            preconditioner,
            ridge: options.ridge,
            damping,
        };
        let adaptive = options.inner_tolerance == InnerTolerance::Adaptive;
        let suffices = ridge == 0.0 && adaptive && draft_suffices::<T>(tolerance);
        let ahead = self.course.as_ref().map_or(0, |course| course.ahead(steps.len()));
        let mut watch = Watch::new(observer, self.course.as_mut(), tolerance, ahead);
        let found = if care == Care::Draft && suffices {
            system.draft(tolerance, &limited, &mut watch)?
        } else {
            system.direction(tolerance, &limited, &mut watch)?
        };
        let change = watch.change;
        let quality = preconditioner.quality();
        if let Some(change) = change {
            if self.change_solver(change, observer).is_break() {
                return Ok((found, quality));
            }
            let (mut other, quality) = self.direction(state, start, steps, care, observer)?;
            other.iterations += found.iterations;
            return Ok((other, quality));
        }
        if let Some(course) = &mut self.course {
            course.count(found.iterations, found.reduction.max(tolerance));
        }
        if let Some(built) = &mut self.built {
            built.wear.count(flipped, found.iterations);
        }
        let unfinished = found.reduction > tolerance && !found.stopped;
        if found.iterations >= worn && unfinished {
            // A new factor finds it.
            self.built = None;
            let (mut other, quality) = self.direction(state, start, steps, care, observer)?;
            other.iterations += found.iterations;
            return Ok((other, quality));
        }
        let stuck = found.step.iter().all(|&s| s == 0.0);
        let unsolved = found.reduction > UNSOLVED;
        if found.stopped || ridge > 0.0 || !(stuck || unsolved) {
            return Ok((found, quality));
        }
        // Linearly dependent columns can leave J without full rank although it has enough columns.
        let mut other = in_weight_space(observer)?;
        other.iterations += found.iterations;
        if stuck || other.eta_inner < found.eta_inner {
            // Unless more iterations might have solved it.
            self.deficient = stuck || found.iterations < limited.max_inner;
            return Ok((other, Quality::default()));
        }
        Ok((found, quality))
    }

    /// Whether a preconditioner serves at a mask, with a ridge: that of `G + a I` leaves `G + b I` with a
    /// condition number of at most the larger of `a / b` and `b / a`.
    fn serves(&self, built: &Built<T>, now: &PackedMask, ridge: f64) -> bool {
        let near =
            built.ridge == ridge || (built.ridge <= NEAR * ridge && ridge <= NEAR * built.ridge);
        let few = |mask: &PackedMask| built.wear.serves(self.flipped(mask, now), self.worth);
        near && built.mask.as_ref().is_none_or(few)
    }

    /// The part of the mask that has flipped.
    fn flipped(&self, then: &PackedMask, now: &PackedMask) -> f64 {
        then.count_differences(now) as f64 / self.entries()
    }

    /// Goes on with another solver.
    fn change_solver(&mut self, change: Replanned, observer: &mut dyn Observer) -> ControlFlow<()> {
        self.solver = instance(self.equations, self.options, change.to);
        self.worth = worth(self.equations, self.options, change.to);
        self.built = None;
        observer.on_event(&Event::Replanned(change))
    }

    /// How far to solve: as far as the last step's nonlinearity lets the work show, and no further
    /// than the outer tolerance asks.
    pub(super) fn inner_tolerance(&self, state: &State, start: f64, steps: &[StepReport]) -> f64 {
        match self.options.inner_tolerance {
            InnerTolerance::Fixed(tolerance) => tolerance,
            InnerTolerance::Adaptive => {
                let needed = 0.3 * self.options.tolerance * start / state.measure;
                let last = steps
                    .last()
                    .map_or(1.0, |s| if self.by_gradient() { s.contraction } else { s.eta_lin });
                let tolerance = last.min(0.1).max(needed).min(0.1);
                // The plain step undoes what holds the iterate on its kinks, which is large beside
                // what is left of the gradient, and is put back afterwards.
                if state.pins.is_empty() { tolerance } else { 1e-3 * tolerance * state.share }
            }
        }
    }
}
