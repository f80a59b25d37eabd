//! Laws of the Lanczos process.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use faer::dyn_stack::MemStack;
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_krylov::{
    KrylovError, LinOp, Symmetric, lanczos, lanczos_each, log_determinant, trace_of,
};
use proptest::prelude::*;

/// A symmetric matrix with known eigenvalues: a reflection of a diagonal one.
fn reflected(values: &[f64]) -> Mat<f64> {
    let n = values.len();
    let u: Vec<f64> = (0..n).map(|i| ((i * i + 1) as f64).sin() + 1.5).collect();
    let square: f64 = u.iter().map(|u| u * u).sum();
    let h = Mat::from_fn(n, n, |i, j| f64::from(u8::from(i == j)) - 2.0 * u[i] * u[j] / square);
    let scaled = Mat::from_fn(n, n, |i, j| h[(i, j)] * values[j]);
    &scaled * h.transpose()
}

/// `v^T A^p v` by products.
fn moment(a: &Mat<f64>, v: &Mat<f64>, p: usize) -> f64 {
    let product = (0..p).fold(v.clone(), |w, _| a * &w);
    (v.transpose() * &product)[(0, 0)]
}

proptest! {
    /// Quadrature is exact for polynomials of degree `2 steps - 1`, and is not for the next one.
    ///
    /// Eigenvalues in `[0.1, 1]`: all moments are sums of positive terms of size at most `|v|^2`, and
    /// both ways err by some `p n eps` of that.
    #[test]
    fn moments(values in prop::collection::vec(0.1..1.0f64, 8..30), steps in 1usize..7) {
        let a = reflected(&values);
        let v = Mat::from_fn(values.len(), 1, |i, _| 1.0 + (i as f64 * 0.7).cos());
        let of = lanczos(&a, v.as_ref(), steps, Par::Seq).unwrap();
        prop_assert_eq!(of.steps(), steps);
        let size = v.squared_norm_l2();
        for p in 0..2 * steps {
            let power = |t: f64| (0..p).fold(1.0, |product, _| product * t);
            let error = (of.quadratic_form(power) - moment(&a, &v, p)).abs();
            prop_assert!(error <= 1e-12 * size, "degree {}: {:e}", p, error);
        }
        let weights: f64 = of.nodes().iter().map(|node| node.weight).sum();
        prop_assert!((weights - 1.0).abs() < 1e-13);
        if steps == 1 {
            let next = (of.quadratic_form(|t| t * t) - moment(&a, &v, 2)).abs();
            let spread = values.iter().fold(0.0_f64, |s, t| s.max((t - values[0]).abs()));
            prop_assert!(next > 0.0 || spread == 0.0);
        }
        // What the first steps gave is what fewer steps give.
        prop_assert_eq!(of.truncated(1), lanczos(&a, v.as_ref(), 1, Par::Seq).unwrap());
    }

    /// Processes side by side are what each is alone, wherever the others end: one sees nothing, one a single eigenvalue.
    #[test]
    fn each_is_itself(values in prop::collection::vec(0.1..1.0f64, 8..30), steps in 1usize..7) {
        let (n, a) = (values.len(), reflected(&values));
        let a = Symmetric::new(a.as_ref());
        let image = Mat::from_fn(n, 1, |i, _| f64::from(u8::from(i == 3)));
        let mut starts = Mat::from_fn(n, 4, |i, j| 1.0 + ((i * (j + 1)) as f64 * 0.7).cos());
        starts.col_mut(1).fill(0.0);
        starts.col_mut(2).copy_from((reflected(&vec![1.0; n]) * image).col(0));
        let found = lanczos_each(&a, starts.as_ref(), steps, Par::Seq).unwrap();
        prop_assert_eq!(found.len(), 4);
        for (j, found) in found.iter().enumerate() {
            let alone = lanczos(&a, starts.subcols(j, 1), steps, Par::Seq).unwrap();
            prop_assert_eq!(found, &alone);
        }
        prop_assert_eq!((found[0].steps(), found[1].steps()), (steps, 0));
        let threads = lanczos_each(&a, starts.as_ref(), steps, Par::rayon(3)).unwrap();
        prop_assert_eq!(threads, found);
    }

    /// At least as many steps as there are different eigenvalues: every function is exact.
    #[test]
    fn all_of_a_spectrum(few in prop::collection::vec(1..20u8, 1..5), repeats in 2usize..6) {
        let values: Vec<f64> = (0..repeats).flat_map(|_| few.iter().map(|&t| f64::from(t))).collect();
        let a = reflected(&values);
        let v = Mat::from_fn(values.len(), 1, |i, _| 1.0 + (i as f64 * 0.7).cos());
        let of = lanczos(&a, v.as_ref(), values.len(), Par::Seq).unwrap();
        // v^T A^-1 v by the reflection's own eigenvectors.
        let inverse = reflected(&values.iter().map(|t| 1.0 / t).collect::<Vec<_>>());
        let want = moment(&inverse, &v, 1);
        prop_assert!((of.quadratic_form(|t| 1.0 / t) - want).abs() <= 1e-10 * want);
    }
}

/// A start that spans an invariant subspace ends the process.
#[test]
fn what_is_spanned_is_noticed() {
    let thrice = Mat::<f64>::from_fn(9, 9, |i, j| if i == j { 3.0 } else { 0.0 });
    let of = lanczos(&thrice, Mat::from_fn(9, 1, |i, _| i as f64).as_ref(), 9, Par::Seq).unwrap();
    assert_eq!(of.steps(), 1);
    assert!((of.quadratic_form(|t| 1.0 / t) - 68.0).abs() < 1e-13);
}

#[test]
fn wrong_calls_are_errors_and_zero_is_zero() {
    let a = reflected(&[1.0, 2.0, 3.0]);
    let shape = |rows, cols| lanczos(&a, Mat::zeros(rows, cols).as_ref(), 2, Par::Seq);
    assert!(matches!(shape(2, 1), Err(KrylovError::Shape { what: "start", .. })));
    assert!(matches!(shape(3, 2), Err(KrylovError::Shape { what: "start", .. })));
    let wide = Mat::<f64>::zeros(2, 3);
    let error = lanczos(&wide, Mat::zeros(3, 1).as_ref(), 2, Par::Seq).unwrap_err();
    assert!(matches!(error, KrylovError::Shape { what: "operator", .. }));
    let bad = Mat::from_fn(3, 1, |i, _| if i == 1 { f64::NAN } else { 1.0 });
    let error = lanczos(&a, bad.as_ref(), 2, Par::Seq).unwrap_err();
    assert!(matches!(error, KrylovError::NonFinite { row: 1, column: 0, .. }));
    let zero = shape(3, 1).unwrap();
    assert_eq!((zero.steps(), zero.start_norm(), zero.quadratic_form(|t| 1.0 / t)), (0, 0.0, 0.0));
}

/// There is an eigenvalue within the bound of every Ritz value, the extremes come first, and a run that was cut short has the
/// bounds of a shorter one.
#[test]
fn ritz_values_are_near_eigenvalues() {
    let eigenvalues: Vec<f64> =
        (0..80).map(|i| (f64::from(i) / 10.0).sin() + 0.03 * f64::from(i)).collect();
    let a = Mat::from_fn(80, 80, |i, j| if i == j { eigenvalues[i] } else { 0.0 });
    let v = Mat::from_fn(80, 1, |i, _| 1.0 + (i % 3) as f64);
    let long = lanczos(&a, v.as_ref(), 25, Par::Seq).unwrap();
    for steps in [1, 5, 12, 25] {
        let cut = long.truncated(steps);
        assert_eq!(cut.ritz(), lanczos(&a, v.as_ref(), steps, Par::Seq).unwrap().ritz());
        for ritz in cut.ritz() {
            let nearest =
                eigenvalues.iter().map(|l| (l - ritz.value).abs()).fold(f64::INFINITY, f64::min);
            assert!(nearest <= ritz.error + 1e-12, "{ritz:?}, {nearest}");
        }
    }
    let largest = eigenvalues.iter().copied().fold(f64::MIN, f64::max);
    let last = *long.ritz().last().unwrap();
    assert!((last.value - largest).abs() < 1e-3 && last.error > 0.0);
    // As many steps as there are eigenvalues leave nothing.
    let whole = lanczos(&a, v.as_ref(), 80, Par::Seq).unwrap();
    assert!(whole.ritz().iter().all(|ritz| ritz.error < 1e-10));
}

/// The standard error is what it says: the true trace is within four of them (probability of less than 1e-3 for a normal mean;
/// the probes are fixed), and signs have none on a diagonal matrix.
#[test]
fn traces_are_estimated() {
    let n = 60;
    let q = Mat::from_fn(n, n, |i, j| (1.3 * (i * n + j + 1) as f64).sin()).qr().compute_thin_Q();
    let values: Vec<f64> = (0..n).map(|i| 1.0 + i as f64).collect();
    let a = &Mat::from_fn(n, n, |i, j| q[(i, j)] * values[j]) * q.transpose();
    let a = Mat::from_fn(n, n, |i, j| 0.5 * (a[(i, j)] + a[(j, i)]));
    let sign = |i: usize, j: usize| {
        // SplitMix64.
        let mut word = ((i * 131 + j) as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        if (word ^ word >> 31) & 1 == 1 { -1.0 } else { 1.0 }
    };
    let probes = Mat::from_fn(n, 40, sign);
    let exact: f64 = values.iter().map(|v| v.ln()).sum();
    let estimate = trace_of(&a, f64::ln, probes.as_ref(), n, Par::Seq).unwrap();
    assert!(estimate.standard_error > 0.0 && estimate.standard_error < 0.1 * exact);
    assert!(
        (estimate.value - exact).abs() < 4.0 * estimate.standard_error,
        "{estimate:?}, {exact}"
    );
    assert!(trace_of(&a, f64::ln, probes.as_ref().subcols(0, 0), n, Par::Seq).is_err());
    assert_eq!(
        trace_of(&a, f64::ln, probes.as_ref().subcols(0, 1), n, Par::Seq).unwrap().standard_error,
        f64::INFINITY
    );
}

/// `ln det (c A) = ln det A + n ln c`, term by term; few steps are from above, and an operator that is not definite is named.
#[test]
fn determinants_are_estimated() {
    let n = 40;
    let values: Vec<f64> = (0..n).map(|i| 0.5 + (i as f64 * 0.4).powi(2)).collect();
    let a = reflected(&values);
    let probes =
        Mat::from_fn(n, 16, |i, j| if (i * i + 3 * i * j + j) % 5 < 2 { -1.0 } else { 1.0 });
    let of = |a: &Mat<f64>, steps| log_determinant(a, probes.as_ref(), steps, Par::Seq).unwrap();
    let exact = of(&a, n);
    assert_eq!(exact, trace_of(&a, f64::ln, probes.as_ref(), n, Par::Seq).unwrap());
    // By the reflection's own eigenvectors.
    let logarithm = reflected(&values.iter().map(|v| v.ln()).collect::<Vec<_>>());
    let form = |j: usize| {
        let v = probes.as_ref().subcols(j, 1);
        (v.transpose() * &logarithm * v)[(0, 0)]
    };
    let mean = (0..16).map(form).sum::<f64>() / 16.0;
    assert!((exact.value - mean).abs() < 1e-11 * mean, "{exact:?}, {mean}");
    let scaled = of(&(8.0 * &a), n);
    assert!((scaled.value - exact.value - n as f64 * 8.0_f64.ln()).abs() < 1e-11 * scaled.value);
    let few: Vec<f64> = [3, 6, 12].map(|steps| of(&a, steps).value).to_vec();
    assert!(few[0] > few[1] && few[1] > few[2] && few[2] > exact.value, "{few:?}, {exact:?}");
    let indefinite = reflected(&[1.0, -2.0, 3.0, 4.0]);
    let error = log_determinant(&indefinite, Mat::full(4, 1, 1.0).as_ref(), 4, Par::Seq);
    assert!(
        matches!(error, Err(KrylovError::NotPositive { value }) if (value + 2.0).abs() < 1e-12)
    );
}

/// Products that are not finite are named, where their nodes could not be found.
#[test]
fn products_that_are_not_finite_are_named() {
    let mut a = reflected(&[1.0, 2.0, 3.0]);
    a[(1, 1)] = f64::NAN;
    let start = Mat::from_fn(3, 1, |_, _| 1.0);
    let error = lanczos(&a, start.as_ref(), 3, Par::Seq).unwrap_err();
    assert!(matches!(error, KrylovError::NonFinite { what: "product of the operator", .. }));
}

/// 1 for one half of the rows, 5/4 for the other.
struct Halves(usize);

impl LinOp<f32> for Halves {
    fn nrows(&self) -> usize {
        self.0
    }

    fn ncols(&self) -> usize {
        self.0
    }

    fn apply(&self, mut y: MatMut<'_, f32>, x: MatRef<'_, f32>, _: Par, _: &mut MemStack) {
        for (i, (y, x)) in y.as_mut().col_mut(0).iter_mut().zip(x.col(0).iter()).enumerate() {
            *y = if i % 2 == 0 { *x } else { 1.25 * x };
        }
    }
}

/// A million rows in `f32`, whose rounding all together is as large as the second eigenvalue's distance: two steps find both.
#[test]
fn many_rows_are_not_rounding() {
    let n = 1 << 20;
    let start = Mat::from_fn(n, 1, |_, _| 1.0f32);
    let ritz = lanczos(&Halves(n), start.as_ref(), 2, Par::Seq).unwrap().ritz();
    assert_eq!(ritz.len(), 2);
    for (ritz, value) in ritz.iter().zip([1.0, 1.25]) {
        assert!((ritz.value - value).abs() < 1e-4, "{ritz:?}");
    }
    let first = lanczos(&Halves(n), start.as_ref(), 1, Par::Seq).unwrap().ritz();
    assert!((first[0].error - 0.125).abs() < 1e-4, "{first:?}");
}

#[test]
fn no_steps_tell_nothing() {
    let a = reflected(&[1.0, 2.0, 3.0]);
    let probes = Mat::from_fn(3, 2, |i, j| if (i + j) % 2 == 0 { 1.0 } else { -1.0 });
    let error = log_determinant(&a, probes.as_ref(), 0, Par::Seq).unwrap_err();
    assert!(matches!(error, KrylovError::Setting { name: "steps", .. }), "{error}");
}
