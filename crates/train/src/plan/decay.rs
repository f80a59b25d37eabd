//! How fast the eigenvalues of the infinite-width Gram matrix fall.

use faer::{Mat, MatRef, Par};
use nearlin_sketch::RpCholesky;

use crate::TrainError;
use crate::solver::Kernel;
use crate::vector::ratio;

/// Rows that are looked at.
const ROWS: usize = 512;

/// The highest rank is 2 to one less than this.
const LEVELS: usize = 8;

/// What the diagonal of the arc-cosine kernel keeps, on average, after its factors of ranks 1, 2, 4, .. 128: a picture of
/// its eigenvalues, which says how many iterations solvers will need.
///
/// Of at most 512 rows, by randomly pivoted Cholesky: some milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decay {
    /// Mean diagonal entry.
    whole: f64,
    left: [f64; LEVELS],
}

impl Decay {
    /// Of the kernel of rows `x`.
    ///
    /// # Errors
    /// [`TrainError`] for rows without a kernel, such as none.
    pub fn of(x: MatRef<'_, f64>, par: Par) -> Result<Self, TrainError> {
        let n = x.nrows().min(ROWS);
        let rows = Mat::from_fn(n, x.ncols(), |i, q| x[(i * x.nrows() / n, q)]);
        let most = 1 << (LEVELS - 1);
        let low = RpCholesky::new(most.min(n)).factor(&Kernel(rows.as_ref()), par)?;
        let squares: Vec<f64> = low.factor().col_iter().map(|f| f.squared_norm_l2()).collect();
        let mut left = [0.0; LEVELS];
        for (level, left) in left.iter_mut().enumerate() {
            let told: f64 = squares.iter().take(1 << level).sum();
            *left = ((low.trace() - told) / n as f64).max(0.0);
        }
        Ok(Self { whole: low.trace() / n as f64, left })
    }

    /// The mean of the diagonal that a factor of rank `k` leaves of the kernel of many rows: between the ranks, and beyond
    /// them, as a power of the rank.
    #[must_use]
    pub fn left(&self, k: f64) -> f64 {
        if k < 1.0 {
            return self.whole + (self.left[0] - self.whole) * k.max(0.0);
        }
        let level = k.log2();
        let below = (level.floor() as usize).min(LEVELS - 2);
        let (low, high) = (self.left[below], self.left[below + 1]);
        if low <= 0.0 || high <= 0.0 {
            return 0.0;
        }
        low * (high / low).powf(level - below as f64)
    }

    /// The eigenvalue number `k` of the kernel of `n` rows.
    #[must_use]
    pub fn eigenvalue(&self, k: f64, n: usize) -> f64 {
        let (low, high) = (0.75 * k, 1.5 * k.max(1.0));
        n as f64 * (self.left(low) - self.left(high)).max(0.0) / (high - low)
    }

    /// `tr K (K + mu I)^-1`: how many directions a ridge leaves free.
    #[must_use]
    pub fn dimension(&self, ridge: f64, n: usize) -> f64 {
        let mut sum = 0.0;
        let mut k = 1.0;
        while k < n as f64 {
            let next = (2.0 * k).min(n as f64);
            let lambda = self.eigenvalue((k * next).sqrt(), n);
            sum += (next - k) * ratio(lambda, lambda + ridge);
            k = next;
        }
        sum + 1.0
    }
}

#[cfg(test)]
mod tests {
    use nearlin_dense::SymmetricEigen;
    use nearlin_relu::arc_cosine_kernel;

    use super::*;

    /// Inputs on a curve: sums of the estimated eigenvalues beyond a rank are those of the true ones within a factor of 4,
    /// the loss of random pivots and of powers between ranks, and the estimate of the dimension within 2.
    #[test]
    fn eigenvalues_are_told_roughly() {
        let n = 600;
        let x = Mat::from_fn(n, 3, |i, q| match q {
            0 => (0.01 * i as f64).cos(),
            1 => (0.017 * i as f64).sin(),
            _ => 1.0,
        });
        let decay = Decay::of(x.as_ref(), Par::Seq).unwrap();
        let eigen = {
            let kernel = arc_cosine_kernel(x.as_ref(), Par::Seq);
            SymmetricEigen::decompose(kernel.as_ref(), Par::Seq).unwrap()
        };
        let mut values: Vec<f64> = eigen.values().to_vec();
        values.sort_by(|a, b| b.total_cmp(a));
        for k in [4usize, 16, 64] {
            let left: f64 = values[k..].iter().sum::<f64>() / n as f64;
            let told = decay.left(k as f64);
            assert!(told >= 0.99 * left && told < 4.0 * left, "{k}: {told} for {left}");
        }
        for ridge in [1e-3, 0.1] {
            let dimension: f64 = values.iter().map(|v| v.max(0.0) / (v.max(0.0) + ridge)).sum();
            let told = decay.dimension(ridge, n);
            assert!(told > 0.5 * dimension && told < 2.0 * dimension, "{told} for {dimension}");
        }
        // More rows, as much more of each eigenvalue.
        assert!((decay.eigenvalue(8.0, 2 * n) / decay.eigenvalue(8.0, n) - 2.0).abs() < 1e-12);
    }
}
