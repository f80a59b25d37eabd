//! No preconditioner at all.

use faer::Par;
use nearlin_dense::Real;
use nearlin_relu::Jacobian;

use super::{InnerSolver, SolverKind};
use crate::TrainError;
use crate::dual::Factor;

/// Plain conjugate gradients: nothing to build, nothing of size n x n in memory, and as many
/// iterations as the condition of the Gram matrix asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainCg;

impl<T: Real> InnerSolver<T> for PlainCg {
    fn kind(&self) -> SolverKind {
        SolverKind::Cg
    }

    fn build(&self, _: &Jacobian<'_, T>, _: f64, _: Par) -> Result<Factor<T>, TrainError> {
        Ok(Factor::Identity)
    }

    fn follows_masks(&self) -> bool {
        false
    }
}
