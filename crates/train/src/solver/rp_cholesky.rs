//! The infinite-width Gram matrix to a low rank, by randomly pivoted Cholesky, once for the whole run.

use faer::{MatMut, MatRef, Par};
use nearlin_dense::Real;
use nearlin_relu::{Jacobian, arc_cosine_cross};
use nearlin_sketch::{LowRank, Psd, RpCholesky, Scalar};

use super::{Block, InnerSolver, SolverKind};
use crate::TrainError;
use crate::dual::Factor;
use crate::low_rank::LowRankPlus;
use crate::vector::cast;

/// Highest rank: a factor of so many columns for 40,000 rows is made in some seconds on two cores.
const MOST: usize = 2048;

/// Most numbers of a factor: 1 GiB of `f64`.
const NUMBERS: usize = 1 << 27;

/// The mean of the diagonal that a factor may leave, relative to the ridge.
const ENOUGH: f64 = 0.1;

/// `K + mu I ~ F F^T + delta I` with the arc-cosine kernel `K`, the limit of the Gram matrix at infinite width, and
/// `F : n x k` from `k` of its columns: `3 n k^2` flops and `n k` arc cosines once for the whole run, in memory for `n k`
/// numbers; `4 n k` flops for each output of each iteration.
///
/// Randomly pivoted Cholesky as in [`RpCholesky`], up to rank 2,048 and 2^27 numbers, until the mean of the diagonal
/// that is left is a tenth of the ridge; as a preconditioner: Diaz, Epperly, Frangella, Tropp and Webber, *Robust,
/// randomized preconditioning for kernel ridge regression* (2023).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PivotedKernel {
    /// Highest rank, such as [`default_rank`].
    pub rank: usize,
    /// Names the random choices.
    pub seed: u64,
}

/// The rank that is aimed at for `rows` rows.
#[must_use]
pub fn default_rank(rows: usize) -> usize {
    rows.min(MOST).min((NUMBERS / rows.max(1)).max(1))
}

/// Whether a factor need not grow: by the mean of the diagonal that it leaves.
pub(crate) fn low_rank_ends(left: f64, ridge: f64) -> bool {
    left <= ENOUGH * ridge
}

impl<T: Real + Scalar> InnerSolver<T> for PivotedKernel {
    fn kind(&self) -> SolverKind {
        SolverKind::RpCholesky
    }

    fn build(
        &self,
        jacobian: &Jacobian<'_, T>,
        ridge: f64,
        par: Par,
    ) -> Result<Factor<T>, TrainError> {
        let low = self.factor(jacobian.x(), ridge, par)?;
        Ok(Factor::LowRank(LowRankPlus::new(low, ridge, par)?))
    }

    fn block(
        &self,
        jacobian: &Jacobian<'_, T>,
        ridge: f64,
        par: Par,
    ) -> Result<Option<Block<T>>, TrainError> {
        Ok(Some(Block::LowRank(self.factor(jacobian.x(), ridge, par)?)))
    }

    fn follows_masks(&self) -> bool {
        false
    }
}

impl PivotedKernel {
    /// `F`, for ridges from this one on.
    pub(crate) fn factor<T: Real + Scalar>(
        &self,
        x: MatRef<'_, T>,
        ridge: f64,
        par: Par,
    ) -> Result<LowRank<T>, TrainError> {
        pivoted(&Kernel(x), self.rank, self.seed, ridge, par)
    }
}

/// Up to a rank, until the mean of the diagonal that is left is a tenth of the ridge.
pub(super) fn pivoted<T: Real + Scalar>(
    a: &impl Psd<T>,
    rank: usize,
    seed: u64,
    ridge: f64,
    par: Par,
) -> Result<LowRank<T>, TrainError> {
    let n = a.dim();
    let rank = rank.clamp(1, n);
    let trace: f64 = a.diagonal().iter().map(|d| Real::as_f64(*d)).sum();
    let tolerance = if trace > 0.0 { ENOUGH * ridge * n as f64 / trace } else { 0.0 };
    Ok(RpCholesky::new(rank).with_tolerance(tolerance).with_seed(seed).factor(a, par)?)
}

/// The arc-cosine kernel of the rows of `x : n x d`.
pub(crate) struct Kernel<'a, T>(pub(crate) MatRef<'a, T>);

impl<T: Real + Scalar> Psd<T> for Kernel<'_, T> {
    fn dim(&self) -> usize {
        self.0.nrows()
    }

    fn diagonal(&self) -> Vec<T> {
        self.0.row_iter().map(|x| x * x.transpose() * cast::<T>(0.5)).collect()
    }

    fn entries(&self, first: usize, cols: &[usize], mut out: MatMut<'_, T>) {
        let pivots = faer::Mat::from_fn(cols.len(), self.0.ncols(), |i, q| self.0[(cols[i], q)]);
        let rows = self.0.subrows(first, out.nrows());
        out.copy_from(arc_cosine_cross(rows, pivots.as_ref(), Par::Seq));
        // A row beside itself: rounding of its cosine would count in an arc's root.
        for (j, &col) in cols.iter().enumerate() {
            if let Some(i) = col.checked_sub(first).filter(|&i| i < out.nrows()) {
                out[(i, j)] = rows.row(i) * rows.row(i).transpose() * cast::<T>(0.5);
            }
        }
    }
}
