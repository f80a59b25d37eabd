//! The exact Gram matrix of one block to a low rank, from its products with random vectors.

use faer::{Mat, MatMut, MatRef, Par};
use nearlin_dense::Real;
use nearlin_relu::Jacobian;
use nearlin_sketch::{Nystrom, Scalar};

use super::{InnerSolver, SolverKind};
use crate::TrainError;
use crate::dual::Factor;
use crate::low_rank::LowRankPlus;

/// The first rank that is tried.
const FIRST: usize = 64;

/// The norm that an approximation may leave, relative to the ridge.
const ENOUGH: f64 = 10.0;

/// `U (Lambda + mu I) U^T / (lambda_k + mu) + (I - U U^T)` with the randomised Nyström approximation
/// `G ~ U Lambda U^T` of the Gram matrix `G = J_k J_k^T` of one block, from `k` products with it: `4 n m d k` flops and
/// `13 n k^2` more, in memory for `3.4 n k` numbers, of which `n k` are kept; `4 n k` flops for each output of each
/// iteration.
///
/// Frangella, Tropp and Udell, *Randomized Nyström preconditioning* (2023), (1.3) and algorithm E.2: the rank begins with
/// 64 and doubles until the norm of `G - U Lambda U^T` is estimated at no more than ten times the ridge, at most
/// [`default_rank`](super::default_rank). The condition number is then at most `1 + (lambda_k + |G - U Lambda U^T|) / mu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SketchedGram {
    /// Highest rank, such as [`default_rank`](super::default_rank).
    pub rank: usize,
    /// Names the random choices.
    pub seed: u64,
}

/// The ranks that are tried, up to a highest one.
pub(crate) fn ranks_tried(most: usize) -> impl Iterator<Item = usize> {
    let double = move |rank: &usize| (*rank < most).then(|| (2 * rank).min(most));
    std::iter::successors(Some(FIRST.min(most)), double)
}

/// Whether a rank need not grow: by the norm that it leaves.
pub(crate) fn nystrom_ends(left: f64, ridge: f64) -> bool {
    left <= ENOUGH * ridge
}

impl<T: Real + Scalar> InnerSolver<T> for SketchedGram {
    fn kind(&self) -> SolverKind {
        SolverKind::Nystrom
    }

    fn build(
        &self,
        jacobian: &Jacobian<'_, T>,
        ridge: f64,
        par: Par,
    ) -> Result<Factor<T>, TrainError> {
        let block = jacobian.of_output(0);
        let (n, (rows, cols)) = (block.examples(), block.gram_scratch());
        let mut scratch = Mat::<T>::zeros(cols, rows);
        let product = |mut y: MatMut<'_, T>, x: MatRef<'_, T>| {
            for j in 0..x.ncols() {
                let (y, x) = (y.as_mut().subcols_mut(j, 1), x.subcols(j, 1));
                let scratch = scratch.as_mut().transpose_mut();
                block.apply_gram(y, x, scratch, par).expect("columns are as long as the matrix");
            }
        };
        let most = self.rank.clamp(1, n);
        let how = Nystrom::new(FIRST.min(most)).with_tolerance(ENOUGH * ridge, most);
        let pairs = how.with_seed(self.seed).approximate(n, product, par)?;
        Ok(Factor::LowRank(LowRankPlus::from_eigenpairs(pairs, ridge)))
    }
}
