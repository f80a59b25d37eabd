//! How much of a function its training rows leave open, place by place.
//!
//! In the linear regime the network is Gaussian-process regression with the tangent kernel `K` and noise of variance
//! `mu`: given the training rows, the function at `x` has variance `k(x, x) - k_x^T (K + mu I)^-1 k_x` (Rasmussen and
//! Williams, *Gaussian processes for machine learning*, 2006, eq. 2.26), in the units in which the noise has `mu`. That
//! would take all rows to every prediction. With `q` landmarks among them, `phi(x) = L^-1 k_z(x)` for the kernel
//! `K_zz = L L^T` of the landmarks, and the features `Phi` of all rows, it is
//!
//! `k(x, x) - |phi|^2 + phi^T (I + Phi^T Phi / mu)^-1 phi`
//!
//! (Quinonero-Candela and Rasmussen, *A unifying view of sparse approximate Gaussian process regression*, 2005, eq. 24b),
//! which is exact where every row is a landmark.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use nearlin_dense::{Cholesky, Triangular, fixed_par};
use nearlin_relu::{arc_cosine_cross, arc_cosine_kernel};

use crate::{Equations, TrainError};

/// Landmarks.
const LANDMARKS: usize = 256;

/// Rows whose features are held at a time.
const BLOCK: usize = 2048;

/// What is added to the diagonal of the landmarks' kernel, relative to its mean, so that it has a factor.
const JITTER: f64 = 1e-10;

/// The posterior variance of the infinitely wide network's function, from landmarks among the training rows.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// q x d, row-major.
    landmarks: Vec<f64>,
    inputs: usize,
    ridge: f64,
    /// `L^T`.
    basis: Triangular<f64>,
    /// `R` with `R^T R = I + Phi^T Phi / mu`.
    inner: Triangular<f64>,
}

impl Posterior {
    /// Given `equations`, each of a weight `w_i >= 0` or all of 1, and a ridge; also the standard deviation at each equation's
    /// inputs had it been left out.
    ///
    /// An equation of weight `w` has noise of variance `mu / w`; for a loss of its own that is its curvature at the minimum.
    /// At most 256 landmarks `q`, equations at even distances: `n q (d + 2 q)` flops.
    ///
    /// # Errors
    /// [`TrainError::Option`] for a ridge that is not positive, [`TrainError::Factor`] where rounding leaves no factor.
    ///
    /// # Panics
    /// If there are not `n` weights.
    ///
    /// # Examples
    /// ```
    /// use faer::{MatRef, Par};
    /// use nearlin::{Equations, Posterior};
    ///
    /// // Rows of a line with a bias, none of them around 0.
    /// let x: Vec<f64> = (0..40).flat_map(|i| [1.0 + i as f64 / 40.0, 1.0]).collect();
    /// let equations = Equations::new(x, vec![0.0; 40], 2, 1)?;
    /// let (posterior, left_out) = Posterior::new(&equations, None, 0.1, Par::Seq)?;
    /// assert_eq!(left_out.len(), 40);
    /// let x = [1.5, 1.0, -1.0, 1.0];
    /// let sure = posterior.deviations(MatRef::from_row_major_slice(&x, 2, 2), Par::Seq);
    /// assert!(sure[0] < 0.2 * sure[1]);
    /// # Ok::<(), nearlin::TrainError>(())
    /// ```
    pub fn new(
        equations: &Equations,
        weights: Option<&[f64]>,
        ridge: f64,
        par: Par,
    ) -> Result<(Self, Vec<f64>), TrainError> {
        if !(ridge > 0.0 && ridge.is_finite()) {
            let (name, expected) = ("ridge", "a positive finite number");
            return Err(TrainError::Option { name, value: ridge, expected });
        }
        let (x, n, d) = (equations.x(), equations.rows(), equations.inputs());
        let q = n.min(LANDMARKS);
        let at: Vec<usize> = (0..q).map(|at| at * n / q).collect();
        let landmarks: Vec<f64> = at.iter().flat_map(|&i| (0..d).map(move |c| x[(i, c)])).collect();
        let basis = basis(&landmarks, d, par)?;

        assert!(weights.is_none_or(|weights| weights.len() == n), "{n} weights");
        let weight = |i: usize| weights.map_or(1.0, |weights| weights[i]);

        let mut gram = Mat::<f64>::zeros(q, q);
        let blocks =
            || (0..n).step_by(BLOCK).map(|first| (first, x.subrows(first, BLOCK.min(n - first))));
        for (first, rows) in blocks() {
            let phi = features(&landmarks, &basis, rows, par);
            let weighted = Mat::from_fn(q, rows.nrows(), |a, i| weight(first + i) * phi[(a, i)]);
            let scale = 1.0 / ridge;
            matmul(gram.as_mut(), Accum::Add, &phi, weighted.transpose(), scale, fixed_par(par));
        }
        (0..q).for_each(|i| gram[(i, i)] += 1.0);
        let inner = upper(&Cholesky::factor(gram, par)?)?;
        let posterior = Self { landmarks, inputs: d, ridge, basis, inner };

        let mut left_out = Vec::with_capacity(n);
        for (first, rows) in blocks() {
            let (_, variances) = posterior.coordinates(rows, par);
            for (i, (open, known)) in variances.into_iter().enumerate() {
                // Without itself a row knows less of its features (Sherman and Morrison, 1950).
                let rest = 1.0 - weight(first + i) * known / ridge;
                left_out.push((open + known / rest.max(f64::EPSILON)).sqrt());
            }
        }
        Ok((posterior, left_out))
    }

    /// From what [`landmarks`](Self::landmarks), [`ridge`](Self::ridge) and [`inner`](Self::inner) gave; `None` if that
    /// cannot be.
    #[must_use]
    pub fn from_parts(landmarks: Vec<f64>, ridge: f64, inner: &[f64], par: Par) -> Option<Self> {
        let q = inner.len().isqrt();
        let inputs = landmarks.len().checked_div(q)?;
        let finite = landmarks.iter().chain(inner).all(|v| v.is_finite());
        let whole = q * q == inner.len() && q * inputs == landmarks.len();
        if !(finite && whole && inputs > 0 && ridge > 0.0 && ridge.is_finite()) {
            return None;
        }
        let basis = basis(&landmarks, inputs, par).ok()?;
        let inner = Triangular::upper(MatRef::from_row_major_slice(inner, q, q).to_owned()).ok()?;
        Some(Self { landmarks, inputs, ridge, basis, inner })
    }

    /// The standard deviation of the function at the rows of `x : n x d`: `n q (d + 2 q)` flops.
    ///
    /// # Panics
    /// If `x` has not `d` columns.
    #[must_use]
    pub fn deviations(&self, x: MatRef<'_, f64>, par: Par) -> Vec<f64> {
        let mut all = Vec::with_capacity(x.nrows());
        for first in (0..x.nrows()).step_by(BLOCK) {
            let rows = x.subrows(first, BLOCK.min(x.nrows() - first));
            let (_, variances) = self.coordinates(rows, par);
            all.extend(variances.into_iter().map(|(open, known)| (open + known).sqrt()));
        }
        all
    }

    /// `R^-T phi(x)` of rows `x : n x d`, q x n, whose products over `mu` are what an error at one row moves the function by
    /// at another; and of each row what no feature tells, `k(x, x) - |phi|^2`, and what the features' weights leave open.
    pub(crate) fn coordinates(&self, x: MatRef<'_, f64>, par: Par) -> (Mat<f64>, Vec<(f64, f64)>) {
        let squares = |phi: &Mat<f64>| -> Vec<f64> {
            phi.col_iter().map(|phi| phi.squared_norm_l2()).collect()
        };
        let mut phi = features(&self.landmarks, &self.basis, x, par);
        let told = squares(&phi);
        self.inner.solve_transpose_in_place(phi.as_mut(), par);
        let open = x.row_iter().zip(told).map(|(x, told)| 0.5 * x.squared_norm_l2() - told);
        let variances = open.map(|open| open.max(0.0)).zip(squares(&phi)).collect();
        (phi, variances)
    }

    /// The landmarks, q x d, row-major.
    #[must_use]
    pub fn landmarks(&self) -> &[f64] {
        &self.landmarks
    }

    /// `d`.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// `mu`, the variance of the noise.
    #[must_use]
    pub fn ridge(&self) -> f64 {
        self.ridge
    }

    /// The upper triangular `R` with `R^T R = I + Phi^T Phi / mu`, q x q, row-major, zeros below its diagonal.
    #[must_use]
    pub fn inner(&self) -> Vec<f64> {
        let r = self.inner.matrix();
        let q = r.nrows();
        (0..q * q)
            .map(|at| (at / q, at % q))
            .map(|(i, j)| if i <= j { r[(i, j)] } else { 0.0 })
            .collect()
    }
}

/// What it was made from tells all.
impl PartialEq for Posterior {
    fn eq(&self, other: &Self) -> bool {
        let parts = |of: &Self| (of.ridge, of.inputs, of.inner());
        self.landmarks == other.landmarks && parts(self) == parts(other)
    }
}

/// `L^T` of the landmarks' kernel.
fn basis(landmarks: &[f64], inputs: usize, par: Par) -> Result<Triangular<f64>, TrainError> {
    let q = landmarks.len() / inputs;
    let mut k = arc_cosine_kernel(MatRef::from_row_major_slice(landmarks, q, inputs), par);
    let mean = (0..q).map(|i| k[(i, i)]).sum::<f64>() / q as f64;
    (0..q).for_each(|i| k[(i, i)] += JITTER * mean);
    upper(&Cholesky::factor(k, par)?)
}

/// The transpose of a factor.
fn upper(factor: &Cholesky<f64>) -> Result<Triangular<f64>, TrainError> {
    let lower = factor.lower();
    let of = |i: usize, j: usize| if i <= j { lower[(j, i)] } else { 0.0 };
    Ok(Triangular::upper(Mat::from_fn(lower.nrows(), lower.nrows(), of))?)
}

/// `phi(x)` of rows `x : n x d`, q x n.
fn features(landmarks: &[f64], basis: &Triangular<f64>, x: MatRef<'_, f64>, par: Par) -> Mat<f64> {
    let z = MatRef::from_row_major_slice(landmarks, basis.dim(), x.ncols());
    let mut phi = arc_cosine_cross(z, x, par);
    basis.solve_transpose_in_place(phi.as_mut(), par);
    phi
}

#[cfg(test)]
mod tests {
    use nearlin_relu::arc_cosine_entry;
    use proptest::prelude::*;

    use super::*;

    fn points(n: usize, d: usize, seed: u64) -> Vec<f64> {
        let noise = |at: usize| {
            let bits = (seed ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let bits = (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (bits ^ bits >> 32).cast_signed() as f64 / 2f64.powi(63)
        };
        (0..n * d).map(noise).collect()
    }

    /// `(K + mu I)^-1`, and the kernel between `x` and other rows.
    fn direct(x: &[f64], z: &[f64], d: usize, ridge: f64) -> (Mat<f64>, Mat<f64>) {
        let between = |x: &[f64], z: &[f64]| {
            let row = |x: &[f64], i: usize| x[i * d..(i + 1) * d].to_vec();
            Mat::from_fn(x.len() / d, z.len() / d, |i, j| arc_cosine_entry(&row(x, i), &row(z, j)))
        };
        let mut k = between(x, x);
        (0..k.nrows()).for_each(|i| k[(i, i)] += ridge);
        let mut inverse = Mat::<f64>::identity(k.nrows(), k.nrows());
        Cholesky::factor(k, Par::Seq).unwrap().solve_in_place(inverse.as_mut(), Par::Seq);
        (inverse, between(x, z))
    }

    proptest! {
        /// With every row a landmark the variances are the posterior's by its own formula, at new rows and at
        /// rows that were left out, whose noisy variance is one over the inverse's diagonal.
        #[test]
        fn variances_are_the_posteriors(n in 2usize..40, d in 1usize..5, ridge in 1e-3..10.0f64, seed: u64) {
            let (x, z) = (points(n, d, seed), points(7, d, !seed));
            let equations = Equations::new(x.clone(), vec![0.0; n], d, 1).unwrap();
            let (posterior, left_out) = Posterior::new(&equations, None, ridge, Par::Seq).unwrap();
            let rows = MatRef::from_row_major_slice(&z, 7, d);
            let (inverse, cross) = direct(&x, &z, d, ridge);
            for (at, sigma) in posterior.deviations(rows, Par::Seq).into_iter().enumerate() {
                let k = cross.col(at);
                let alike = 0.5 * rows.row(at).squared_norm_l2();
                let told: f64 = k.transpose() * (&inverse * k);
                prop_assert!((sigma * sigma - (alike - told)).abs() < 1e-6, "{} {}", sigma * sigma, alike - told);
            }
            for (i, sigma) in left_out.iter().enumerate() {
                let variance = 1.0 / inverse[(i, i)];
                prop_assert!((sigma * sigma + ridge - variance).abs() < 1e-6 * (1.0 + variance));
            }
        }
    }

    proptest! {
        /// A row of weight `w` is a row that is multiplied by the root of `w`.
        #[test]
        fn weights_are_scales(n in 2usize..40, d in 1usize..5, ridge in 1e-2..10.0f64, seed: u64) {
            let x = points(n, d, seed);
            let weights: Vec<f64> = points(n, 1, seed ^ 5).iter().map(|w| 1.01 + w).collect();
            let scaled = x.iter().enumerate().map(|(at, x)| weights[at / d].sqrt() * x).collect();
            let made = |x: Vec<f64>, weights: Option<&[f64]>| {
                let equations = Equations::new(x, vec![0.0; n], d, 1).unwrap();
                Posterior::new(&equations, weights, ridge, Par::Seq).unwrap()
            };
            let (by_scale, scaled_out) = made(scaled, None);
            let (by_weight, left_out) = made(x, Some(&weights));
            let z = points(7, d, !seed);
            let z = MatRef::from_row_major_slice(&z, 7, d);
            let pairs = by_scale.deviations(z, Par::Seq).into_iter().zip(by_weight.deviations(z, Par::Seq));
            for (scaled, weighted) in pairs {
                prop_assert!((scaled.powi(2) - weighted.powi(2)).abs() < 1e-6, "{scaled} {weighted}");
            }
            for ((scaled, weighted), w) in scaled_out.iter().zip(&left_out).zip(&weights) {
                prop_assert!((scaled.powi(2) - w * weighted.powi(2)).abs() < 1e-6, "{scaled} {weighted}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// Fewer landmarks than rows leave variances between nothing and the prior's.
        #[test]
        fn variances_are_bounded(n in 257usize..300, d in 1usize..4, ridge in 1e-2..1.0f64, seed: u64) {
            let x = points(n, d, seed);
            let equations = Equations::new(x.clone(), vec![0.0; n], d, 1).unwrap();
            let (posterior, left_out) = Posterior::new(&equations, None, ridge, Par::Seq).unwrap();
            let rows = MatRef::from_row_major_slice(&x, n, d);
            let inside = posterior.deviations(rows, Par::Seq);
            for ((x, inside), left_out) in rows.row_iter().zip(inside).zip(left_out) {
                let prior = (0.5 * x.squared_norm_l2()).sqrt();
                prop_assert!(inside <= left_out * (1.0 + 1e-9) && left_out <= prior * (1.0 + 1e-6) + 1e-9);
            }
        }

        /// The parts make the same posterior, to the last bit.
        #[test]
        fn parts_make_it_whole(n in 2usize..30, d in 1usize..5, seed: u64) {
            let equations = Equations::new(points(n, d, seed), vec![0.0; n], d, 1).unwrap();
            let (posterior, _) = Posterior::new(&equations, None, 0.1, Par::Seq).unwrap();
            let (landmarks, inner) = (posterior.landmarks().to_vec(), posterior.inner());
            let again = Posterior::from_parts(landmarks, 0.1, &inner, Par::Seq).unwrap();
            let x = equations.x();
            prop_assert_eq!(again.deviations(x, Par::Seq), posterior.deviations(x, Par::Seq));
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let made = |landmarks: &[f64], ridge: f64, inner: &[f64]| {
            Posterior::from_parts(landmarks.to_vec(), ridge, inner, Par::Seq).is_some()
        };
        assert!(made(&[1.0, 2.0], 0.1, &[1.0]));
        assert!(!made(&[1.0, 2.0], 0.0, &[1.0]));
        assert!(!made(&[1.0, f64::NAN], 0.1, &[1.0]));
        assert!(!made(&[1.0, 2.0], 0.1, &[0.0]));
        assert!(!made(&[1.0, 2.0], 0.1, &[]));
        assert!(!made(&[1.0, 2.0, 3.0], 0.1, &[1.0, 0.0, 0.0, 1.0]));
        assert!(!made(&[], 0.1, &[1.0]));
    }
}
