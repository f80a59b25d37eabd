//! One step of the outer iteration: found, certified, and kept or not.

use super::direct::Care;
use super::line::Line;
use super::search::{FLIPS_THAT_MATTER, Failure};
use super::{Damping, Hold, Optimiser, Pin, STOPPED, State, Verdict};
use crate::TrainError;
use crate::dual::Quality;
use crate::observe::{Event, Observer, Phase};
use crate::report::{Ending, StepReport};
use crate::step::{Direction, Passes, TOLD};
use crate::vector::{Element, distance, norm, ratio};

/// A direction of which more is left says nothing of its scale.
const UNTOLD: f64 = 0.25;

/// A step that contracts less than this asks for a larger scale.
const CONTRACTION: f64 = 0.5;

/// The first damping, relative to the mean diagonal of `J J^T`.
const WEAK: f64 = 1e-2;

/// Halvings of a step that raises the objective at its best length, as only rounding lets it.
const MAX_HALVINGS: usize = 12;

/// Where fewer entries of the mask than this have flipped, what the linear model misses is summed over
/// them; else it takes a pass.
const FEW_FLIPS: f64 = 1.0 / 256.0;

/// Where a step leads.
struct Trial {
    next: State,
    eta_inner: f64,
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
        let (mut direction, mut quality) = match known {
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
        let mut damping = Damping::NONE;
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
                (direction, quality) = self.direction(state, start, steps, Care::Full, observer)?;
                direction.iterations += spent;
                if direction.stopped {
                    return Ok(Verdict::End(Ending::Stopped, STOPPED.into()));
                }
                continue;
            }
            if steps.is_empty() && self.first.is_none() {
                self.first = Some((direction.clone(), quality));
            }
            let end = (length == 1.0 && !trial.certified()).then(|| trial.next.mask().clone());
            // Where gains decide, a step need not contract, and one that gains nothing is the end.
            let by_gain = self.by_gain();
            let solved = direction.reduction <= UNTOLD;
            if by_gain && solved && !trial.lower && !steps.is_empty() {
                let reason = "the next step would not lower the objective".to_owned();
                return Ok(Verdict::End(Ending::Converged, reason));
            }
            let undamped = state.damping.strength() == 0.0;
            if length == 1.0
                && undamped
                && self.options.ridge > 0.0
                && !trial.certified()
                && !by_gain
            {
                trial = self.onto_kinks(state, (start, steps), &direction, trial, observer)?;
            }
            let flips = trial.next.mask().count_differences(state.mask()) as f64;
            // Shorter steps do not pass a few convex kinks either.
            let calls = !trial.certified() && flips > FLIPS_THAT_MATTER;
            if length == 1.0 && !may_grow && !by_gain && (calls || !undamped) {
                let gain_ratio = self.gain_ratio(state, &direction, &trial);
                damping = state.damping.after(gain_ratio, self.weak());
            }
            // A larger scale helps where the linear model missed, not where the solver did.
            if may_grow && direction.reduction <= UNTOLD {
                let Trial { eta_lin, contraction, lower, .. } = trial;
                if steps.is_empty() && !(eta_lin < self.options.first_eta && lower) {
                    return Ok(Verdict::Grow(Failure { eta_lin, contraction: None, flips }));
                }
                // Where the residual cannot vanish, no scale makes it contract.
                let stays = self.overdetermined || self.deficient || by_gain;
                if !(trial.certified() || stays) {
                    let contraction = Some(contraction);
                    return Ok(Verdict::Grow(Failure { eta_lin, contraction, flips }));
                }
            }
            let gains = trial.next.objective < state.objective || trial.contraction < 1.0;
            if trial.lower && gains {
                let how = (steps.len() + 1, quality, length, damping);
                return Ok(Verdict::Keep(Box::new(
                    self.kept(state, start, &direction, trial, how),
                )));
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

    /// A step that is kept: its number, what its preconditioner is, its length and the next one's damping.
    fn kept(
        &self,
        state: &State,
        start: f64,
        direction: &Direction,
        trial: Trial,
        (step, quality, step_length, damping): (usize, Quality, f64, Damping),
    ) -> (State, StepReport) {
        let Trial { mut next, eta_inner, eta_lin, contraction, iterations, .. } = trial;
        next.gain = ratio(state.objective - next.objective, next.objective);
        next.damping = damping;
        let report = StepReport {
            step,
            solver: self.solver.kind(),
            rel_residual: self.relative(norm(&next.residual)),
            eta_inner,
            eta_lin,
            contraction,
            gain: next.gain,
            flipped: next.mask().count_differences(state.mask()) as f64 / self.entries(),
            inner_iterations: iterations,
            condition: direction.condition,
            rel_gradient: (self.options.ridge > 0.0).then(|| ratio(next.measure, start)),
            shift: quality.shift,
            rank: quality.rank,
            left: quality.left,
            step_length,
            damping: state.damping.strength(),
            pinned: next.pins.len(),
        };
        (next, report)
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
            let image = self.image(state, &next, &direction.step, direction.reduction)?;
            direction.eta_inner = ratio(norm(&along(&image, 1.0)), r);
            direction.reduction = direction.eta_inner;
            image
        };
        let linear = along(&image, length);
        // What a part of a step leaves is more than what the whole one would.
        let part = length != 1.0 && self.options.ridge == 0.0;
        let trial = Trial {
            eta_inner: if part { ratio(norm(&linear), r) } else { direction.eta_inner },
            eta_lin: ratio(distance(&next.residual, &linear), r),
            contraction: ratio(next.measure, state.measure),
            lower: next.objective <= state.objective * (1.0 + self.rounding()),
            iterations: direction.iterations,
            next,
        };
        direction.image = Some(image);
        Ok(Some(trial))
    }

    /// What the step lowered the objective by, relative to what the linear model promised.
    fn gain_ratio(&self, state: &State, direction: &Direction, trial: &Trial) -> f64 {
        let squares =
            |u: &[f64], v: &[f64]| -> f64 { u.iter().zip(v).map(|(u, v)| (u + v) * (u + v)).sum() };
        let image = direction.image.as_deref().expect("a trial completes its direction");
        let promised = squares(&state.residual, image)
            + self.options.ridge * squares(state.network.change(), &direction.step);
        let least = self.rounding() * state.objective;
        (state.objective - trial.next.objective + least)
            / (state.objective - promised).max(0.0).max(least)
    }

    /// A damping that hardly changes a step: a part of the mean diagonal of `J J^T`, half of `|x|^2` on average.
    fn weak(&self) -> f64 {
        let x = self.equations.x();
        0.5 * WEAK * x.squared_norm_l2() / x.nrows() as f64
    }

    /// `J D` for the whole step `D` from `state` to `next`: what the outputs changed by, without what the
    /// linear model missed, or by a pass where that would be dearer, in `T` where what is `left` of the system is told by it.
    fn image(
        &self,
        state: &State,
        next: &State,
        step: &[f64],
        left: f64,
    ) -> Result<Vec<f64>, TrainError> {
        let (x, par) = (self.equations.x(), self.options.par);
        let flipped = next.mask().count_differences(state.mask()) as f64;
        if flipped <= FEW_FLIPS * self.entries() {
            let masks = (state.mask(), next.mask());
            let missed = next.network.linearisation_error(x, masks, par)?;
            let change = next.residual.iter().zip(&state.residual);
            return Ok(change.zip(missed).map(|((next, r), e)| next - r - e).collect());
        }
        let told = T::NAME == "f32" && left >= TOLD;
        let passes = Passes {
            exact: self.exact.jacobian(&state.active),
            working: told.then(|| self.features.jacobian(&state.active)),
            par,
        };
        let mut image = vec![0.0; state.residual.len()];
        passes.image(&mut image, step);
        Ok(image)
    }

    /// Relative rounding error of the objective: sums of `nK` squares, each of a residual that is a
    /// sum over `m` neurons, with errors of random sign.
    fn rounding(&self) -> f64 {
        let terms = [self.equations.y().len(), self.options.width];
        4.0 * f64::EPSILON * terms.iter().map(|&n| (n as f64).sqrt()).sum::<f64>()
    }
}
