//! What a run shows while it goes on. The library reads no clock: an observer that wants times
//! takes them when a phase begins.

use core::ops::ControlFlow;

use crate::checkpoint::Snapshot;
use crate::loss::LossSnapshot;
use crate::replan::Replanned;
use crate::report::{ScaleTrial, StepReport};

/// What the optimiser is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Learning how inputs are weighted; only an [`Estimator`](crate::Estimator) does that.
    Metric,
    /// Judging ridges; only an [`Estimator`](crate::Estimator) does that.
    Ridge,
    /// A forward pass: outputs and activation masks.
    Masks,
    /// Building the preconditioner: Gram matrix or sketch, and its factorisation.
    Build,
    /// Solving for the step by preconditioned conjugate gradients.
    Solve,
    /// The certificate and the update of the weights.
    Update,
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A phase begins; the previous one ends.
    Phase(Phase),
    /// An iteration of the inner solver.
    Inner {
        /// Iterations of this solve, from 1.
        iteration: usize,
        /// Relative residual of the recurrence.
        rel_residual: f64,
    },
    /// A scale was accepted or rejected.
    Scale(&'a ScaleTrial),
    /// The run starts again from the initial weights at another scale; the steps so far are void.
    Restart {
        /// The new scale.
        scale: f64,
    },
    /// A network of several begins; only of [`train_ensemble`](crate::train_ensemble()).
    Member {
        /// Which, from 1.
        member: usize,
        /// How many.
        of: usize,
    },
    /// The inner solver took more iterations than it was expected to; the run was planned anew, and goes on with another
    /// one.
    Replanned(Replanned),
    /// A step was kept.
    Step(&'a StepReport),
    /// All rows were gone over once; only of [`train_batches`](crate::train_batches()).
    Pass {
        /// Which pass, from 1.
        pass: usize,
        /// At most so many.
        of: usize,
        /// Steps so far.
        steps: usize,
        /// Relative residual of all rows.
        rel_residual: f64,
        /// Of all rows: squared residuals, and the ridge times the squared change of the weights.
        objective: f64,
    },
    /// The same step, for an observer that wants to set the run down; only of [`train`](crate::train()) and
    /// [`resume`](crate::resume).
    Kept(Snapshot<'a>),
    /// The same of [`train_loss`](crate::train_loss()) and [`resume_loss`](crate::resume_loss()).
    KeptOnLoss(LossSnapshot<'a>),
}

/// Watches a run, and may stop it. Any `FnMut(&Event) -> ControlFlow<()>` is one.
pub trait Observer {
    /// Called for each event; `Break` stops the run after the last kept step, and no more events are told.
    fn on_event(&mut self, event: &Event<'_>) -> ControlFlow<()>;
}

impl<F: FnMut(&Event<'_>) -> ControlFlow<()>> Observer for F {
    fn on_event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self(event)
    }
}

/// Remembers that an observer asked to stop, and asks it no more: whatever is asked next is told so again.
pub(crate) struct Latch<'a> {
    observer: &'a mut dyn Observer,
    pub(crate) stopped: bool,
}

impl<'a> Latch<'a> {
    pub(crate) fn new(observer: &'a mut dyn Observer) -> Self {
        Self { observer, stopped: false }
    }
}

impl Observer for Latch<'_> {
    fn on_event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.stopped = self.stopped || self.observer.on_event(event).is_break();
        if self.stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
