//! A low-rank factor with a multiple of the identity, as a preconditioner.

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use nearlin_dense::{Cholesky, Real, fixed_par, symmetric_product};
use nearlin_sketch::{Eigenpairs, LowRank, Scalar};

use crate::TrainError;
use crate::vector::cast;

/// `F F^T + delta I` for `F : n x k` and `delta > 0`, in the form that solves: with `L L^T = F^T F + delta I` and
/// `V = F L^-T` its inverse is `(I - V V^T) / delta` (Woodbury). Of eigenpairs `F` is `U (diag(lambda) - lambda_k I)^(1/2)`.
#[derive(Clone, Debug)]
pub struct LowRankPlus<T> {
    /// n x k.
    v: Mat<T>,
    delta: f64,
    left: f64,
}

impl<T: Real> LowRankPlus<T> {
    /// From a factor of a matrix to which `ridge` is added: `2 n k^2` flops.
    ///
    /// `delta` is the ridge and the mean of the diagonal that the factor has left, which stands for the eigenvalues
    /// beyond its rank; at least what rounding leaves of the factor's largest.
    pub(crate) fn new(low: LowRank<T>, ridge: f64, par: Par) -> Result<Self, TrainError> {
        let left = mean_left(&low);
        Ok(Self { left, ..Self::from_factor(low.into_factor(), ridge + left, par)? })
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
        Ok(Self { v, delta, left: 0.0 })
    }

    /// From eigenpairs `U diag(lambda) U^T` of a matrix to which the ridge `mu` is added, `n k` flops: with `delta = lambda_k + mu`,
    /// `U (diag(lambda) + mu I) U^T + delta (I - U U^T)`, which is `delta` times (1.3) of Frangella, Tropp and Udell,
    /// *Randomized Nyström preconditioning* (2023).
    ///
    /// `delta`, and every eigenvalue, is at least what rounding leaves of the largest.
    pub(crate) fn from_eigenpairs(pairs: Eigenpairs<T>, ridge: f64) -> Self
    where
        T: Scalar,
    {
        let left = pairs.norm_left();
        let shifted: Vec<f64> = pairs.values().iter().map(|value| value.as_f64() + ridge).collect();
        let (first, last) = (shifted.first().copied(), shifted.last().copied());
        let least = 64.0 * T::epsilon().as_f64() * first.unwrap_or(ridge);
        let delta = last.unwrap_or(ridge).max(least).max(f64::MIN_POSITIVE);
        let mut v = pairs.into_vectors();
        for (column, value) in v.col_iter_mut().zip(shifted) {
            let part = cast::<T>((1.0 - delta / value.max(delta)).sqrt());
            column.iter_mut().for_each(|v| *v *= part);
        }
        Self { v, delta, left }
    }

    /// `k`.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.v.ncols()
    }

    /// `V`, n x k.
    pub(crate) fn directions(&self) -> MatRef<'_, T> {
        self.v.as_ref()
    }

    /// `delta`.
    #[must_use]
    pub fn delta(&self) -> f64 {
        self.delta
    }

    /// What the factor leaves of the matrix: of eigenpairs an estimate of its norm, of pivots the mean of its diagonal.
    #[must_use]
    pub fn left(&self) -> f64 {
        self.left
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
    use faer::Side;
    use nearlin_sketch::{Nystrom, RpCholesky, random_signs};
    use proptest::prelude::*;

    use super::*;

    /// `S S^T / n` for signs `S : n x n`.
    fn square(n: usize, seed: u64) -> Mat<f64> {
        let half: Vec<f64> = random_signs(n * n, seed, 0);
        let half = MatRef::from_column_major_slice(&half, n, n);
        Mat::from_fn(n, n, |i, j| (half.row(i) * half.row(j).transpose()) / n as f64)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// What it solves is the factor's square and `delta`: an error of `eps` times the condition number.
        #[test]
        fn solving_undoes_multiplying(n in 2usize..60, part in 1usize..60, k in 1usize..3, power in -6i32..2, seed: u64) {
            let rank = part.min(n);
            let a = square(n, seed);
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

        /// Of eigenpairs it is `delta` times `P = U (Lambda + mu I) U^T / (lambda_k + mu) + (I - U U^T)`, written out, to
        /// `eps` times its condition number. And as `Â + mu I <= (lambda_k + mu) P <= Â + (lambda_k + mu) I` for
        /// `Â = U Lambda U^T <= A`, it leaves `A + mu I` with one of at most `1 + (lambda_k + |A - Â|) / mu`.
        #[test]
        fn eigenpairs_precondition_as_published(
            n in 2usize..40, part in 1usize..40, power in -4i32..2, decay in 0.0f64..0.5, seed: u64,
        ) {
            let (rank, mu) = (part.min(n), 10f64.powi(power));
            let mut a = square(n, seed);
            // Eigenvalues that fall, and the rounding of what is symmetric by its definition.
            let scale = |i: usize| (-decay * i as f64).exp();
            a = Mat::from_fn(n, n, |i, j| scale(i) * scale(j) * a[(i.max(j), i.min(j))]);
            let product = |mut y: MatMut<'_, f64>, x: MatRef<'_, f64>| y.copy_from(&a * x);
            let pairs = Nystrom::new(rank).with_seed(seed).approximate(n, product, Par::Seq).unwrap();
            let (u, values) = (pairs.vectors().to_owned(), pairs.values().to_vec());
            let plus = LowRankPlus::from_eigenpairs(pairs, mu);
            let delta = values[rank - 1] + mu;
            prop_assert_eq!((plus.rank(), plus.delta()), (rank, delta));

            let weighted = |of: &dyn Fn(f64) -> f64| {
                let scaled = Mat::from_fn(n, rank, |i, j| u[(i, j)] * of(values[j]));
                scaled * u.transpose()
            };
            let complement = Mat::<f64>::identity(n, n) - weighted(&|_| 1.0);
            let published = weighted(&|value| (value + mu) / delta) + complement;
            let x: Vec<f64> = random_signs(2 * n, seed, 1);
            let x = MatRef::from_column_major_slice(&x, n, 2);
            let mut y = &published * x;
            let size = y.norm_l2();
            plus.solve_in_place(y.as_mut(), Par::Seq);
            let error = (y * faer::Scale(delta) - x).norm_l2();
            prop_assert!(error <= 1e-13 * n as f64 * size, "{error}");

            let left = &a - weighted(&|value| value);
            let left = left.self_adjoint_eigenvalues(Side::Lower).unwrap()[n - 1];
            let ridged = &a + Mat::<f64>::identity(n, n) * faer::Scale(mu);
            let lower = ridged.llt(Side::Lower).unwrap().L().to_owned();
            let mut solved = lower.clone();
            plus.solve_in_place(solved.as_mut(), Par::Seq);
            let values_left = (lower.transpose() * solved).self_adjoint_eigenvalues(Side::Lower).unwrap();
            let condition = values_left[n - 1] / values_left[0];
            let bound = 1.0 + (values[rank - 1] + left) / mu;
            prop_assert!(condition <= bound * (1.0 + 1e-6), "{condition} {bound}");
        }
    }
}
