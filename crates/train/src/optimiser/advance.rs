//! One step of the outer iteration: found, certified, and kept or not.

use nearlin_relu::PackedMask;

use super::line::Line;
use super::search::Failure;
use super::{Hold, Optimiser, Pin, STOPPED, State, Verdict, ratio};
use crate::TrainError;
use crate::observe::{Event, Observer, Phase};
use crate::options::InnerTolerance;
use crate::primal::least_squares;
use crate::report::{Ending, StepReport};
use crate::step::{Direction, Point, System, draft_suffices};
use crate::vector::{Element, distance, norm, rows, rows_mut};

/// A direction of which more is left says nothing of its scale.
const UNTOLD: f64 = 0.25;

/// A step that contracts less than this asks for a larger scale.
const CONTRACTION: f64 = 0.5;

/// Halvings of a step that raises the objective at its best length, as only rounding lets it.
const MAX_HALVINGS: usize = 12;

/// Largest fraction of the activation mask that may have flipped since a preconditioner was built for
/// it to be used again. Measured on digits and diamonds: below it the iterations hardly grow.
const REUSE: f64 = 5e-4;

/// A system of which this much is left has no solution, as far as the solver can tell.
const UNSOLVED: f64 = 0.5;

/// How much more accurately a direction is solved when a step onto kinks fails to contract.
const SHARPER: f64 = 1e-4;

/// Where fewer entries of the mask than this have flipped, what the linear model misses is summed over
/// them; else it takes a pass.
const FEW_FLIPS: f64 = 1.0 / 256.0;

/// How carefully a direction is solved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Care {
    /// By the solver's word, where that is likely to do; the trial tells.
    Draft,
    /// To the tolerance of the step, seen in `f64`.
    Full,
    /// More accurately than that.
    Sharp,
}

/// Where a step leads.
struct Trial {
    next: State,
    eta_lin: f64,
    contraction: f64,
    /// The objective does not rise, beyond rounding.
    lower: bool,
    iterations: usize,
}

impl Trial {
    fn certified(&self) -> bool {
        self.contraction <= CONTRACTION && self.lower
    }
}

impl<T: Element> Optimiser<'_, T> {
    /// One step from `state`.
    pub(super) fn step(
        &mut self,
        state: &State,
        start: f64,
        steps: &[StepReport],
        may_grow: bool,
        observer: &mut dyn Observer,
    ) -> Result<Verdict, TrainError> {
        let known = self.first.as_ref().filter(|_| steps.is_empty());
        let (mut direction, mut shift) = match known {
            Some(first) => first.clone(),
            None => self.direction(state, start, steps, Care::Draft, observer)?,
        };
        if direction.stopped {
            return Ok(Verdict::End(Ending::Stopped, STOPPED.into()));
        }
        if direction.step.iter().all(|&s| s == 0.0) {
            let what = if direction.broken { "broke down" } else { "made no progress" };
            let reason = format!("the inner solver {what}: no step that lowers the residual");
            let ending = if direction.broken { Ending::Breakdown } else { Ending::Stagnated };
            return Ok(Verdict::End(ending, reason));
        }

        let tolerance = self.inner_tolerance(state, start, steps);
        let mut length = 1.0;
        for _ in 0..=MAX_HALVINGS {
            let drafted = direction.image.is_none();
            let Some(mut trial) =
                self.trial(state, &mut direction, length, Vec::new(), observer)?
            else {
                return Ok(Verdict::End(Ending::Stopped, STOPPED.into()));
            };
            if drafted && !trial.certified() && direction.reduction > tolerance {
                // The recurrence said otherwise: from now on, its word is not enough.
                let spent = direction.iterations;
                (direction, shift) = self.direction(state, start, steps, Care::Full, observer)?;
                direction.iterations += spent;
                if direction.stopped {
                    return Ok(Verdict::End(Ending::Stopped, STOPPED.into()));
                }
                continue;
            }
            if steps.is_empty() && self.first.is_none() {
                self.first = Some((direction.clone(), shift));
            }
            let end = (length == 1.0 && !trial.certified()).then(|| trial.next.mask().clone());
            // Where gains decide, a step need not contract, and one that gains nothing is the end.
            let by_gain = self.by_gain();
            let solved = direction.reduction <= UNTOLD;
            if by_gain && solved && !trial.lower && !steps.is_empty() {
                let reason = "the next step would not lower the objective".to_owned();
                return Ok(Verdict::End(Ending::Converged, reason));
            }
            if length == 1.0 && self.options.ridge > 0.0 && !trial.certified() && !by_gain {
                trial = self.onto_kinks(state, (start, steps), &direction, trial, observer)?;
            }
            // A larger scale helps where the linear model missed, not where the solver did.
            if may_grow && direction.reduction <= UNTOLD {
                let flips = trial.next.mask().count_differences(state.mask()) as f64;
                let Trial { eta_lin, contraction, lower, .. } = trial;
                if steps.is_empty() && !(eta_lin < self.options.first_eta && lower) {
                    return Ok(Verdict::Grow(Failure { eta_lin, contraction: None, flips }));
                }
                // Where the residual cannot vanish, no scale makes it contract.
                if !(trial.certified() || self.overdetermined || by_gain) {
                    let contraction = Some(contraction);
                    return Ok(Verdict::Grow(Failure { eta_lin, contraction, flips }));
                }
            }
            let gains = trial.next.objective < state.objective || trial.contraction < 1.0;
            if trial.lower && gains {
                let Trial { mut next, eta_lin, contraction, iterations, .. } = trial;
                next.gain = ratio(state.objective - next.objective, next.objective);
                let report = StepReport {
                    step: steps.len() + 1,
                    solver: self.solver.kind(),
                    rel_residual: self.relative(norm(&next.residual)),
                    eta_inner: direction.eta_inner,
                    eta_lin,
                    contraction,
                    flipped: next.mask().count_differences(state.mask()) as f64 / self.entries(),
                    inner_iterations: iterations,
                    rel_gradient: (self.options.ridge > 0.0).then(|| ratio(next.measure, start)),
                    shift,
                    step_length: length,
                    pinned: next.pins.len(),
                };
                return Ok(Verdict::Keep(Box::new((next, report))));
            }
            length *= match (&end, &direction.image) {
                (Some(end), Some(image)) => {
                    let line = Line {
                        network: &state.network,
                        x: self.equations.x(),
                        residual: &state.residual,
                        step: &direction.step,
                        image,
                        ends: [state.mask(), end],
                        ridge: self.options.ridge,
                    };
                    // Where the whole step is best, only rounding kept it from being taken.
                    Some(line.best()).filter(|&best| best < 1.0).unwrap_or(0.5)
                }
                _ => 0.5,
            };
            if length == 0.0 {
                break;
            }
        }
        let reason = format!(
            "no part of the Gauss-Newton step lowers the objective (eta_inner {:.1e})",
            direction.eta_inner
        );
        Ok(Verdict::End(Ending::Stagnated, reason))
    }

    /// Tries steps onto the kinks that a plain step crossed without contracting, first with the
    /// direction at hand, then with one that is solved more accurately; returns the best trial.
    fn onto_kinks(
        &mut self,
        state: &State,
        (start, steps): (f64, &[StepReport]),
        plain: &Direction,
        mut best: Trial,
        observer: &mut dyn Observer,
    ) -> Result<Trial, TrainError> {
        let mut direction = plain.clone();
        for accurate in [false, true] {
            if accurate {
                let (solved, _) = self.direction(state, start, steps, Care::Sharp, observer)?;
                let spent = direction.iterations;
                direction = Direction { iterations: spent + solved.iterations, ..solved };
            }
            let Some((onto, pins)) = self.pinned(state, &direction, best.next.mask(), observer)?
            else {
                break;
            };
            let mut onto = onto;
            let Some(other) = self.trial(state, &mut onto, 1.0, pins, observer)? else { break };
            if other.lower && (other.contraction < best.contraction || !best.lower) {
                best = other;
            }
            if best.certified() {
                break;
            }
        }
        Ok(best)
    }

    /// The network at `length` times a step, looked at; `None` if the observer stops. Completes the
    /// direction where it is a draft.
    fn trial(
        &self,
        state: &State,
        direction: &mut Direction,
        length: f64,
        pins: Vec<Pin>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Trial>, TrainError> {
        if observer.on_event(&Event::Phase(Phase::Masks)).is_break() {
            return Ok(None);
        }
        let mut network = state.network.clone();
        for (u, s) in network.change_mut().iter_mut().zip(&direction.step) {
            *u += length * s;
        }
        let forward = network.forward(self.equations.x(), self.options.par)?;
        let _ = observer.on_event(&Event::Phase(Phase::Update));
        let hold = Hold { multipliers: Some(direction.multipliers.clone()), pins };
        let next = self.state(network, forward, hold);
        let along = |image: &[f64], length: f64| -> Vec<f64> {
            state.residual.iter().zip(image).map(|(r, v)| r + length * v).collect()
        };
        let r = norm(&state.residual);
        let image = if let Some(image) = direction.image.take() {
            image
        } else {
            let image = self.image(state, &next, &direction.step)?;
            direction.eta_inner = ratio(norm(&along(&image, 1.0)), r);
            direction.reduction = direction.eta_inner;
            image
        };
        let linear = along(&image, length);
        let trial = Trial {
            eta_lin: ratio(distance(&next.residual, &linear), r),
            contraction: ratio(next.measure, state.measure),
            lower: next.objective <= state.objective * (1.0 + self.rounding()),
            iterations: direction.iterations,
            next,
        };
        direction.image = Some(image);
        Ok(Some(trial))
    }

    /// `J D` for the whole step `D` from `state` to `next`: what the outputs changed by, without what the
    /// linear model missed, or by a pass where that would be dearer.
    fn image(&self, state: &State, next: &State, step: &[f64]) -> Result<Vec<f64>, TrainError> {
        let (x, par) = (self.equations.x(), self.options.par);
        let flipped = next.mask().count_differences(state.mask()) as f64;
        if flipped <= FEW_FLIPS * self.entries() {
            let masks = (state.mask(), next.mask());
            let missed = next.network.linearisation_error(x, masks, par)?;
            let change = next.residual.iter().zip(&state.residual);
            return Ok(change.zip(missed).map(|((next, r), e)| next - r - e).collect());
        }
        let jacobian = self.exact.jacobian(&state.active);
        let (n, k) = (jacobian.examples(), jacobian.outputs());
        let mut image = vec![0.0; n * k];
        jacobian
            .apply(rows_mut(&mut image, n, k), rows(step, jacobian.width(), jacobian.inputs()), par)
            .expect("equations and network have been matched");
        Ok(image)
    }

    /// Relative rounding error of the objective: sums of `nK` squares, each of a residual that is a
    /// sum over `m` neurons, with errors of random sign.
    fn rounding(&self) -> f64 {
        let terms = [self.equations.y().len(), self.options.width];
        4.0 * f64::EPSILON * terms.iter().map(|&n| (n as f64).sqrt()).sum::<f64>()
    }

    /// Builds the preconditioner where there is none for this mask, and solves for the step.
    fn direction(
        &mut self,
        state: &State,
        start: f64,
        steps: &[StepReport],
        care: Care,
        observer: &mut dyn Observer,
    ) -> Result<(Direction, f64), TrainError> {
        let options = self.options;
        let factor = if care == Care::Sharp { SHARPER } else { 1.0 };
        let tolerance = factor * self.inner_tolerance(state, start, steps);
        let dual = !(self.deficient || (self.overdetermined && options.ridge == 0.0));
        if dual && !self.built.as_ref().is_some_and(|(_, mask)| self.serves(mask, state.mask())) {
            let _ = observer.on_event(&Event::Phase(Phase::Build));
            // Freed before the next one is built: they are the largest things in memory.
            self.built = None;
            match self.build(&state.active) {
                // Nothing to factor, as when no neuron is active: a fact about the data.
                Err(TrainError::Factor(_)) => self.deficient = true,
                built => built?,
            }
        }
        let (exact, active, residual) = (&self.exact, &state.active, &state.residual);
        let in_weight_space = |observer: &mut dyn Observer| {
            least_squares(exact, active, residual, tolerance, options, observer)
        };
        if self.deficient || (self.overdetermined && options.ridge == 0.0) {
            return Ok((in_weight_space(observer)?, 0.0));
        }
        let Some((preconditioner, _)) = &self.built else {
            unreachable!("a preconditioner has just been built")
        };
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
        };
        let adaptive = options.inner_tolerance == InnerTolerance::Adaptive;
        let suffices = options.ridge == 0.0 && adaptive && draft_suffices::<T>(tolerance);
        let found = if care == Care::Draft && suffices {
            system.draft(tolerance, options, observer)?
        } else {
            system.direction(tolerance, options, observer)?
        };
        let shift = preconditioner.shift();
        let stuck = found.step.iter().all(|&s| s == 0.0);
        let unsolved = options.ridge == 0.0 && found.reduction > UNSOLVED;
        if found.stopped || !(stuck || unsolved) {
            return Ok((found, shift));
        }
        // Linearly dependent columns can leave J without full rank although it has enough columns.
        let other = in_weight_space(observer)?;
        if stuck || other.eta_inner < found.eta_inner {
            self.deficient = true;
            return Ok((other, 0.0));
        }
        Ok((found, shift))
    }

    /// Whether a preconditioner built at one mask still serves at another.
    fn serves(&self, built: &PackedMask, now: &PackedMask) -> bool {
        let flipped = built.count_differences(now) as f64;
        !self.solver.follows_masks() || flipped <= REUSE * self.entries()
    }

    /// How far to solve: as far as the last step's nonlinearity lets the work show, and no further
    /// than the outer tolerance asks.
    fn inner_tolerance(&self, state: &State, start: f64, steps: &[StepReport]) -> f64 {
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
