//! The networks of an ensemble, trained one after the other.

use super::{Built, Optimiser};
use crate::observe::Observer;
use crate::options::{Options, Precision};
use crate::report::Run;
use crate::solver::SolverKind;
use crate::vector::Element;
use crate::{Equations, TrainError};

/// Runs that differ in their seeds, and hand on a preconditioner that does not depend on them.
pub(crate) struct Members {
    kind: SolverKind,
    built: EitherBuilt,
}

enum EitherBuilt {
    Double(Option<Built<f64>>),
    Single(Option<Built<f32>>),
}

impl Members {
    pub(crate) fn new(kind: SolverKind, precision: Precision) -> Self {
        let built = match precision {
            Precision::F64 => EitherBuilt::Double(None),
            Precision::F32 => EitherBuilt::Single(None),
        };
        Self { kind, built }
    }

    /// The next of them.
    pub(crate) fn train(
        &mut self,
        equations: &Equations,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<Run, TrainError> {
        match &mut self.built {
            EitherBuilt::Double(built) => {
                Optimiser::of(equations, options, self.kind)?.run_sharing(built, observer)
            }
            EitherBuilt::Single(built) => {
                Optimiser::of(equations, options, self.kind)?.run_sharing(built, observer)
            }
        }
    }
}

impl<T: Element> Optimiser<'_, T> {
    /// The whole run with a preconditioner that another one has left, if it serves, and leaves its own.
    fn run_sharing(
        mut self,
        built: &mut Option<Built<T>>,
        observer: &mut dyn Observer,
    ) -> Result<Run, TrainError> {
        if !self.solver.follows_masks() {
            self.built = built.take();
        }
        let run = self.run(None, observer)?;
        // One that follows the masks serves no other network, and is large.
        if self.solver.kind() == self.planned && !self.solver.follows_masks() {
            *built = self.built;
        }
        Ok(run)
    }
}
