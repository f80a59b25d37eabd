//! The exact Gram matrix of one block, factored: the baseline that forms `J J^T`.
//!
//! Cai, Gao, Hou, Chen, Wang, He, Zhang and Wang, *Gram-Gauss-Newton method: learning
//! overparameterized neural networks for regression problems* (2019), with the Gram matrix from
//! popcounts.

use faer::{Mat, Par};
use nearlin_dense::{Cholesky, Real};
use nearlin_relu::{Jacobian, gram};

use super::{Block, InnerSolver, SolverKind};
use crate::TrainError;
use crate::dual::Factor;

/// `G + mu I = L L^T`, built at `n^2 m / 2` bit operations and `n^3 / 3` flops a step, in `n^2`
/// memory. For one output the solve is exact and takes one iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExactGram;

impl<T: Real> InnerSolver<T> for ExactGram {
    fn kind(&self) -> SolverKind {
        SolverKind::Cholesky
    }

    fn build(
        &self,
        jacobian: &Jacobian<'_, T>,
        ridge: f64,
        par: Par,
    ) -> Result<Factor<T>, TrainError> {
        let build = || {
            let mut g = block(jacobian, par);
            for i in 0..g.nrows() {
                g[(i, i)] += T::of(ridge);
            }
            g
        };
        Ok(Factor::Cholesky(Cholesky::factor_shifted(build, par)?))
    }

    fn block(
        &self,
        jacobian: &Jacobian<'_, T>,
        _: f64,
        par: Par,
    ) -> Result<Option<Block<T>>, TrainError> {
        Ok(Some(Block::Dense(block(jacobian, par))))
    }
}

fn block<T: Real>(jacobian: &Jacobian<'_, T>, par: Par) -> Mat<T> {
    gram(jacobian.x(), jacobian.mask(), par).expect("the Jacobian has checked its parts")
}
