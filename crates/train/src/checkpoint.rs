//! A run set down after a step, so that another process can go on with it.

use core::fmt;

use nearlin_dense::PackedMask;

use crate::dual::Quality;
use crate::optimiser::{Attempt, Saved, Search, Wear};
use crate::options::Options;
use crate::replan::Course;
use crate::report::{ScaleTrial, StepReport};
use crate::solver::SolverKind;
use crate::step::Direction;
use crate::{Equations, TrainError};

/// A run after a kept step: with its equations and options, all that the rest of it depends on.
///
/// [`resume`](crate::resume) goes on from here and ends with the same bits as the run would have. With the
/// feature `serde` it can be written in any of serde's formats that keep every bit of an `f64`. About
/// `8 m d` bytes, three times that while a scale is still being looked for.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Checkpoint {
    /// Digest of the equations.
    pub(crate) equations: u64,
    /// What else decides the course of a run, as text.
    pub(crate) options: String,
    /// The solver that the run began with.
    pub(crate) planned: SolverKind,
    /// The one that it goes on with, and how that has done.
    pub(crate) solver: SolverKind,
    pub(crate) course: Option<Course>,
    /// Scales that were rejected.
    pub(crate) trials: Vec<ScaleTrial>,
    /// The largest of them.
    pub(crate) rejected: f64,
    /// The end of a run at a larger scale.
    pub(crate) certified: Option<Saved>,
    pub(crate) current: Saved,
    /// The ridge with the damping that the preconditioner was built for, the mask, row after row, if that matters, and
    /// how it has served.
    pub(crate) built: Option<(f64, Option<Vec<u64>>, Wear)>,
    pub(crate) deficient: bool,
    /// The first step, with what is reported of its preconditioner.
    pub(crate) first: Option<(Direction, Quality)>,
}

impl Checkpoint {
    /// The solver that the run began with.
    #[must_use]
    pub fn planned(&self) -> SolverKind {
        self.planned
    }

    /// The steps so far at the present scale, at least one.
    #[must_use]
    pub fn steps(&self) -> &[StepReport] {
        &self.current.steps
    }

    /// Standard deviation of the initial weights.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.current.scale
    }

    /// Refuses a checkpoint of other equations or options; a budget of steps and threads may differ.
    pub(crate) fn check(&self, equations: &Equations, options: &Options) -> Result<(), TrainError> {
        same_fields(&self.options, &decisive(options))?;
        if let Some(kind) = options.solver.filter(|&kind| kind != self.planned) {
            return Err(TrainError::Checkpoint {
                found: format!("one with solver: {}", self.planned),
                expected: format!("solver: {kind}, or none"),
            });
        }
        if self.equations != equations.digest() || !self.fits(equations, options) {
            return Err(TrainError::Checkpoint {
                found: "one of other data".to_owned(),
                expected: "that of the same rows, inputs and targets".to_owned(),
            });
        }
        Ok(())
    }

    /// Whether all lengths are those of the problem.
    fn fits(&self, equations: &Equations, options: &Options) -> bool {
        let (n, k) = (equations.rows(), equations.outputs());
        let (parameters, residuals) = (options.width * equations.inputs(), n * k);
        let words = n * options.width.div_ceil(64);
        let saved = |saved: &Saved| {
            saved.change.len() == parameters
                && saved.multipliers.as_ref().is_none_or(|g| g.len() == residuals)
                && saved.pins.iter().all(|pin| pin.example < n && pin.neuron < options.width)
        };
        let direction = |direction: &Direction| {
            direction.step.len() == parameters
                && direction.multipliers.len() == residuals
                && direction.image.as_ref().is_none_or(|image| image.len() == residuals)
        };
        saved(&self.current)
            && self.certified.as_ref().is_none_or(saved)
            && self
                .built
                .as_ref()
                .and_then(|built| built.1.as_ref())
                .is_none_or(|mask| mask.len() == words)
            && self.first.as_ref().is_none_or(|(first, _)| direction(first))
    }
}

/// A run at a kept step, as an observer sees it: a view that costs nothing until it is [`taken`](Self::take).
#[derive(Clone, Copy)]
pub struct Snapshot<'a> {
    pub(crate) equations: &'a Equations,
    pub(crate) options: &'a Options,
    pub(crate) planned: SolverKind,
    pub(crate) solver: SolverKind,
    pub(crate) course: Option<&'a Course>,
    pub(crate) search: &'a Search,
    pub(crate) attempt: &'a Attempt,
    pub(crate) built: Option<(f64, Option<&'a PackedMask>, Wear)>,
    pub(crate) deficient: bool,
    pub(crate) first: Option<&'a (Direction, Quality)>,
}

impl Snapshot<'_> {
    /// A copy of all that is needed to go on.
    #[must_use]
    pub fn take(&self) -> Checkpoint {
        let words =
            |mask: &PackedMask| (0..mask.nrows()).flat_map(|i| mask.row(i)).copied().collect();
        Checkpoint {
            equations: self.equations.digest(),
            options: decisive(self.options),
            planned: self.planned,
            solver: self.solver,
            course: self.course.copied(),
            trials: self.search.trials.clone(),
            rejected: self.search.rejected,
            certified: self.search.certified.as_ref().map(Saved::of),
            current: Saved::of(self.attempt),
            built: self.built.map(|(ridge, mask, wear)| (ridge, mask.map(words), wear)),
            deficient: self.deficient,
            first: self.first.cloned(),
        }
    }
}

impl fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

/// Refuses a checkpoint's list of fields that is not the one expected, by the first that differs.
pub(crate) fn same_fields(found: &str, expected: &str) -> Result<(), TrainError> {
    if found == expected {
        return Ok(());
    }
    let (theirs, ours) = (found.split(", "), expected.split(", "));
    let (found, expected) =
        theirs.zip(ours).find(|(theirs, ours)| theirs != ours).unwrap_or(("", ""));
    let (found, expected) = (format!("one with {found}"), expected.to_owned());
    Err(TrainError::Checkpoint { found, expected })
}

/// The options that decide the course of a run. Solvers are told apart, as a planner may have chosen them.
pub(crate) fn decisive(options: &Options) -> String {
    let others = Options::default();
    let (max_steps, par, solver, alternatives) = (others.max_steps, faer::Par::Seq, None, None);
    format!("{:?}", Options { solver, alternatives, max_steps, par, ..*options })
}
