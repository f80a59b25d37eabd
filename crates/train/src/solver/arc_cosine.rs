//! The infinite-width Gram matrix, factored once.

use faer::Par;
use nearlin_dense::{Cholesky, Real};
use nearlin_relu::{Jacobian, arc_cosine_kernel};

use super::{Block, InnerSolver, SolverKind};
use crate::TrainError;
use crate::dual::Factor;

/// `K + mu I = L L^T` with the arc-cosine kernel `K`, the limit of the Gram matrix at infinite
/// width: `n^2 d + n^3 / 3` flops once for the whole run, in `n^2` memory. The number of
/// iterations says how far the network is from that limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArcCosine;

impl<T: Real> InnerSolver<T> for ArcCosine {
    fn kind(&self) -> SolverKind {
        SolverKind::ArcCosine
    }

    fn build(
        &self,
        jacobian: &Jacobian<'_, T>,
        ridge: f64,
        par: Par,
    ) -> Result<Factor<T>, TrainError> {
        let build = || {
            let mut k = arc_cosine_kernel(jacobian.x(), par);
            for i in 0..k.nrows() {
                k[(i, i)] += T::of(ridge);
            }
            k
        };
        Ok(Factor::Cholesky(Cholesky::factor_shifted(build, par)?))
    }

    fn block(
        &self,
        jacobian: &Jacobian<'_, T>,
        _: f64,
        par: Par,
    ) -> Result<Option<Block<T>>, TrainError> {
        Ok(Some(Block::Dense(arc_cosine_kernel(jacobian.x(), par))))
    }

    fn follows_masks(&self) -> bool {
        false
    }
}
