//! The exact Gram matrix of one block to a low rank, by randomly pivoted Cholesky.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use nearlin_dense::{PackedMask, Real, popcount_cross};
use nearlin_relu::Jacobian;
use nearlin_sketch::{LowRank, Psd, Scalar};

use super::rp_cholesky::pivoted;
use super::{Block, InnerSolver, SolverKind};
use crate::TrainError;
use crate::dual::Factor;
use crate::low_rank::LowRankPlus;
use crate::vector::cast;

/// `G + mu I ~ F F^T + delta I` with the Gram matrix `G = J_k J_k^T` of one block and `F : n x k` from `k` of its
/// columns: `3 n k^2` flops and `n k m` bit operations, as [`PivotedKernel`](super::PivotedKernel), which knows the
/// infinite-width limit alone and takes more iterations the narrower the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PivotedGram {
    /// Highest rank, such as [`default_rank`](super::default_rank).
    pub rank: usize,
    /// Names the random choices.
    pub seed: u64,
}

impl PivotedGram {
    fn factor<T: Real + Scalar>(
        &self,
        jacobian: &Jacobian<'_, T>,
        ridge: f64,
        par: Par,
    ) -> Result<LowRank<T>, TrainError> {
        let gram = Gram { x: jacobian.x(), mask: jacobian.mask() };
        pivoted(&gram, self.rank, self.seed, ridge, par)
    }
}

impl<T: Real + Scalar> InnerSolver<T> for PivotedGram {
    fn kind(&self) -> SolverKind {
        SolverKind::RpGram
    }

    fn build(
        &self,
        jacobian: &Jacobian<'_, T>,
        ridge: f64,
        par: Par,
    ) -> Result<Factor<T>, TrainError> {
        let low = self.factor(jacobian, ridge, par)?;
        Ok(Factor::LowRank(LowRankPlus::new(low, ridge, par)?))
    }

    fn block(
        &self,
        jacobian: &Jacobian<'_, T>,
        ridge: f64,
        par: Par,
    ) -> Result<Option<Block<T>>, TrainError> {
        Ok(Some(Block::LowRank(self.factor(jacobian, ridge, par)?)))
    }
}

/// `(X X^T) o (M M^T) / m` for `x : n x d` and a mask `M : n x m`.
struct Gram<'a, T> {
    x: MatRef<'a, T>,
    mask: &'a PackedMask,
}

impl<T: Real> Gram<'_, T> {
    fn scale(&self) -> T {
        cast(1.0 / self.mask.width() as f64)
    }
}

impl<T: Real + Scalar> Psd<T> for Gram<'_, T> {
    fn dim(&self) -> usize {
        self.x.nrows()
    }

    fn diagonal(&self) -> Vec<T> {
        let square = |(i, x): (usize, faer::RowRef<'_, T>)| {
            let ones = cast::<T>(f64::from(self.mask.common(i, i)));
            x * x.transpose() * ones * self.scale()
        };
        self.x.row_iter().enumerate().map(square).collect()
    }

    fn entries(&self, first: usize, cols: &[usize], mut out: MatMut<'_, T>) {
        let pivots = Mat::from_fn(cols.len(), self.x.ncols(), |i, q| self.x[(cols[i], q)]);
        let rows = self.x.subrows(first, out.nrows());
        matmul(out.as_mut(), Accum::Replace, rows, pivots.transpose(), cast(1.0), Par::Seq);
        popcount_cross(out, self.mask, first, cols, self.scale())
            .expect("entries are asked for within the matrix");
    }

    fn block(&self, at: &[usize], mut out: MatMut<'_, T>) {
        for (j, &col) in at.iter().enumerate() {
            for (i, &row) in at.iter().enumerate() {
                let ones = cast::<T>(f64::from(self.mask.common(row, col)));
                let product = self.x.row(row) * self.x.row(col).transpose();
                out[(i, j)] = product * ones * self.scale();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use nearlin_relu::gram;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Its entries, its diagonal and its blocks are the Gram matrix's: products of `d` terms, in any order.
        #[test]
        fn entries_are_the_gram_matrixs(n in 1usize..400, m in 1usize..300, d in 1usize..5, seed: u64) {
            let noise = |at: usize| {
                let z = (at as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                (z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
            };
            let mask = PackedMask::from_fn(n, m, |i, r| noise(i * m + r) >> 40 & 1 == 1);
            let x = Mat::from_fn(n, d, |i, q| (noise(i * d + q) >> 11) as f64 / 2f64.powi(53) - 0.5);
            let whole = gram(x.as_ref(), &mask, Par::Seq).unwrap();
            let entry = |i: usize, j: usize| whole[(i.max(j), i.min(j))];
            let sparse = Gram { x: x.as_ref(), mask: &mask };
            let cols: Vec<usize> = (0..n.min(200)).map(|j| (noise(j) % n as u64) as usize).collect();
            let first = (noise(n) % n as u64) as usize;
            let mut out = Mat::zeros(n - first, cols.len());
            sparse.entries(first, &cols, out.as_mut());
            let mut block = Mat::zeros(cols.len(), cols.len());
            Psd::block(&sparse, &cols, block.as_mut());
            let diagonal = sparse.diagonal();
            for (j, &col) in cols.iter().enumerate() {
                for i in 0..out.nrows() {
                    prop_assert!((out[(i, j)] - entry(first + i, col)).abs() <= 1e-15);
                }
                for (i, &row) in cols.iter().enumerate() {
                    prop_assert!((block[(i, j)] - entry(row, col)).abs() <= 1e-15);
                }
                prop_assert!((diagonal[col] - entry(col, col)).abs() <= 1e-15);
            }
        }
    }
}
