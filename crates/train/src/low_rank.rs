//! A low-rank factor with a multiple of the identity, as a preconditioner.

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use nearlin_dense::{Cholesky, Real, fixed_par, symmetric_product};
use nearlin_sketch::LowRank;

use crate::TrainError;

/// `F F^T + delta I` for `F : n x k` and `delta > 0`, in the form that solves: with `L L^T = F^T F + delta I` and
/// `V = F L^-T` its inverse is `(I - V V^T) / delta` (Woodbury).
#[derive(Clone, Debug)]
pub struct LowRankPlus<T> {
    /// n x k.
    v: Mat<T>,
    delta: f64,
}

impl<T: Real> LowRankPlus<T> {
    /// From a factor of a matrix to which `ridge` is added: `2 n k^2` flops.
    ///
    /// `delta` is the ridge and the mean of the diagonal that the factor has left, which stands for the eigenvalues
    /// beyond its rank; at least what rounding leaves of the factor's largest.
    pub(crate) fn new(low: LowRank<T>, ridge: f64, par: Par) -> Result<Self, TrainError> {
        let left = mean_left(&low);
        Self::from_factor(low.into_factor(), ridge + left, par)
    }

    /// From `F`, with `delta` or what rounding leaves of the factor's largest eigenvalue if that is more.
    pub(crate) fn from_factor(mut v: Mat<T>, delta: f64, par: Par) -> Result<Self, TrainError> {
        let k = v.ncols();
        let mut square = symmetric_product(v.transpose(), par);
        let size: f64 = (0..k).map(|j| square[(j, j)].as_f64()).sum();
        let delta = delta.max(64.0 * T::epsilon().as_f64() * size).max(f64::MIN_POSITIVE);
        (0..k).for_each(|j| square[(j, j)] += T::of(delta));
        let factor = Cholesky::factor(square, par)?;
        solve_lower_triangular_in_place(factor.lower(), v.as_mut().transpose_mut(), fixed_par(par));
        Ok(Self { v, delta })
    }

    /// `k`.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.v.ncols()
    }

    /// `delta`.
    #[must_use]
    pub fn delta(&self) -> f64 {
        self.delta
    }

    /// `x <- (F F^T + delta I)^-1 x` for each column: `4 n k` flops each.
    pub(crate) fn solve_in_place(&self, mut x: MatMut<'_, T>, par: Par) {
        let par = fixed_par(par);
        let mut seen = Mat::zeros(self.rank(), x.ncols());
        matmul(seen.as_mut(), Accum::Replace, self.v.transpose(), x.as_ref(), T::of(1.0), par);
        let minus: MatRef<'_, T> = self.v.as_ref();
        matmul(x.as_mut(), Accum::Add, minus, seen.as_ref(), T::of(-1.0), par);
        let scale = T::of(1.0 / self.delta);
        for column in x.col_iter_mut() {
            column.iter_mut().for_each(|x| *x *= scale);
        }
    }
}

/// The mean of the diagonal that a factor has left.
pub(crate) fn mean_left<T>(low: &LowRank<T>) -> f64 {
    low.trace_left() / (low.factor().nrows() - low.rank()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use nearlin_sketch::{RpCholesky, random_signs};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// What it solves is the factor's square and `delta`: an error of `eps` times the condition number.
        #[test]
        fn solving_undoes_multiplying(n in 2usize..60, part in 1usize..60, k in 1usize..3, power in -6i32..2, seed: u64) {
            let rank = part.min(n);
            let half: Vec<f64> = random_signs(n * n, seed, 0);
            let half = MatRef::from_column_major_slice(&half, n, n);
            let a = Mat::from_fn(n, n, |i, j| (half.row(i) * half.row(j).transpose()) / n as f64);
            let low = RpCholesky::new(rank).with_seed(seed).factor(&a.as_ref(), Par::Seq).unwrap();
            let f = low.factor().to_owned();
            let plus = LowRankPlus::new(low, 10f64.powi(power), Par::rayon(2)).unwrap();
            prop_assert_eq!(plus.rank(), f.ncols());
            prop_assert!(plus.delta() >= 10f64.powi(power));
            let x: Vec<f64> = random_signs(n * k, seed, 1);
            let x = MatRef::from_column_major_slice(&x, n, k);
            let mut y = &f * (f.transpose() * x) + x * plus.delta();
            let size = y.norm_l2();
            plus.solve_in_place(y.as_mut(), Par::rayon(2));
            let error = (&y - x).norm_l2();
            prop_assert!(error <= 1e-13 * n as f64 * size / plus.delta(), "{error}");
        }
    }
}
