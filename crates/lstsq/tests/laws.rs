//! Laws of least squares by sketches.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use faer::linalg::solvers::SolveLstsq;
use faer::{Mat, MatRef, Par, mat};
use nearlin_krylov::Ending;
use nearlin_lstsq::{Lstsq, LstsqError, lstsq};
use proptest::prelude::*;

fn norm(x: MatRef<'_, f64>) -> f64 {
    x.norm_l2()
}

fn noise(seed: u64, i: usize) -> f64 {
    let mut z = seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// `U diag(values) V^T` with orthonormal `U : m x r` and `V : n x r`.
fn with_values(m: usize, n: usize, values: &[f64], seed: u64) -> Mat<f64> {
    let q = |rows: usize, seed: u64| {
        Mat::from_fn(rows, values.len(), |i, j| noise(seed, i * values.len() + j))
            .qr()
            .compute_thin_Q()
    };
    let (u, v) = (q(m, seed), q(n, seed ^ 1));
    let scaled = Mat::from_fn(m, values.len(), |i, j| u[(i, j)] * values[j]);
    scaled * v.transpose()
}

/// Values from 1 down to the inverse of a condition number.
fn falling(rank: usize, log_condition: f64) -> Vec<f64> {
    (0..rank).map(|j| 10f64.powf(-log_condition * j as f64 / (rank.max(2) - 1) as f64)).collect()
}

/// The solution of least norm, by the singular value decomposition.
fn reference(a: &Mat<f64>, b: &Mat<f64>, ridge: f64) -> Mat<f64> {
    let svd = a.thin_svd().unwrap();
    let (u, s, v) = (svd.U(), svd.S().column_vector(), svd.V());
    let along = u.transpose() * b;
    let kept = |j: usize| s[j] > 1e-12 * s[0];
    let by = Mat::from_fn(s.nrows(), b.ncols(), |j, k| {
        if kept(j) { s[j] / (s[j] * s[j] + ridge) * along[(j, k)] } else { 0.0 }
    });
    v * by
}

/// Settings that sketch, and those that find a factor of the matrix itself cheaper on small ones.
fn settings() -> [Lstsq; 3] {
    [
        Lstsq::default(),
        Lstsq::default().with_oversampling(4.0),
        Lstsq::default().with_oversampling(12.0),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Tall, wide and singular: the solution of least norm, to the condition number times rounding, and with a residual times
    /// its square (Higham, *Accuracy and Stability*, 2nd ed., Thm 20.1).
    #[test]
    fn solutions_are_those_of_the_svd(m in 1usize..300, n in 1usize..20, missing in 0usize..3, log in 0.0..6.0f64, wide: bool, seed: u64) {
        let (m, n) = if wide { (n, m) } else { (m, n) };
        let rank = m.min(n).saturating_sub(missing).max(1);
        let condition = if rank == 1 { 1.0 } else { 10f64.powf(log) };
        let a = with_values(m, n, &falling(rank, log), seed);
        let b = Mat::from_fn(m, 2, |i, j| noise(seed ^ 2, 2 * i + j));
        let expected = reference(&a, &b, 0.0);
        let residual = norm((&b - &a * &expected).as_ref());
        for settings in settings() {
            let fit = settings.solve(&a, b.as_ref()).unwrap();
            prop_assert_eq!(fit.report.rank, rank, "{:?}", fit.report);
            let error = norm((&fit.x - &expected).as_ref());
            let allowed = 1e-13 * condition * (norm(expected.as_ref()) + condition * residual);
            prop_assert!(error <= allowed, "{error:e} of {allowed:e}, {:?}", fit.report);
            prop_assert!(fit.report.condition < 4.0 * condition && fit.report.condition > 0.2 * condition);
        }
    }

    /// A ridge is a multiple of the identity below the matrix, weights are scaled rows.
    #[test]
    fn ridges_and_weights(m in 20usize..300, n in 1usize..20, ridge in prop::option::of(1e-6..1.0f64), weighted: bool, wide: bool, seed: u64) {
        let (m, n) = if wide { (n, m) } else { (m, n) };
        let a = with_values(m, n, &falling(m.min(n), 3.0), seed);
        let b = Mat::from_fn(m, 2, |i, j| noise(seed ^ 2, 2 * i + j));
        let weights: Vec<f64> = (0..m).map(|i| if weighted { noise(seed ^ 3, i).abs() * 4.0 } else { 1.0 }).collect();
        let scaled = |x: &Mat<f64>| Mat::from_fn(m, x.ncols(), |i, j| weights[i].sqrt() * x[(i, j)]);
        let expected = reference(&scaled(&a), &scaled(&b), ridge.unwrap_or(0.0));
        for settings in settings() {
            let settings = settings.with_ridge(ridge.unwrap_or(0.0));
            let fit = if weighted { settings.solve_weighted(&a, b.as_ref(), &weights) } else { settings.solve(&a, b.as_ref()) };
            let fit = fit.unwrap();
            let error = norm((&fit.x - &expected).as_ref());
            prop_assert!(error <= 1e-7 * (norm(expected.as_ref()) + norm(b.as_ref())), "{error:e}");
        }
    }

    /// Powers of two for the right-hand side change exponents only; columns are solved as alone, to rounding.
    #[test]
    fn scales_do_not_matter(m in 30usize..200, n in 1usize..10, exponent in -480i32..480, seed: u64) {
        let a = with_values(m, n, &falling(n, 2.0), seed);
        let b = Mat::from_fn(m, 1, |i, _| noise(seed ^ 2, i));
        let by = 2f64.powi(exponent);
        let scaled = Mat::from_fn(m, 1, |i, _| by * b[(i, 0)]);
        let settings = Lstsq::default().with_oversampling(4.0);
        let (one, other) = (settings.solve(&a, b.as_ref()).unwrap(), settings.solve(&a, scaled.as_ref()).unwrap());
        for i in 0..n {
            prop_assert!((by * one.x[(i, 0)] - other.x[(i, 0)]).abs() <= 1e-12 * by * norm(one.x.as_ref()));
        }
    }
}

/// At a condition number of 1e10 the backward error is within a factor of 10 of Householder QR's, where the iteration that is
/// begun but once is not promised to be; passes are counted.
#[test]
fn as_stable_as_householder_qr() {
    let (m, n) = (4000, 50);
    let a = with_values(m, n, &falling(n, 10.0), 7);
    for consistent in [1.0, 1e-6, 1e-12] {
        let x = Mat::from_fn(n, 1, |i, _| noise(3, i));
        let b = &a * &x + Mat::from_fn(m, 1, |i, _| consistent * noise(4, i));
        // Of Karlson and Walden's estimate, which Higham (20.23) says is within a factor of 2 of the least one.
        let svd = a.thin_svd().unwrap();
        let backward = |x: &Mat<f64>| {
            let r = &b - &a * x;
            let by = norm(r.as_ref()) / norm(x.as_ref());
            let turned = svd.V().transpose() * (a.transpose() * &r);
            let s = svd.S().column_vector();
            let inside: f64 =
                (0..n).map(|j| turned[(j, 0)].powi(2) / (s[j] * s[j] + by * by)).sum();
            inside.sqrt() / norm(x.as_ref())
        };
        let qr = backward(&a.qr().solve_lstsq(&b));
        for settings in settings() {
            let fit = settings.solve(&a, b.as_ref()).unwrap();
            let own = backward(&fit.x);
            assert!(own <= 10.0 * qr.max(f64::EPSILON), "{own:e}, QR {qr:e}, {:?}", fit.report);
            let iterations: usize = fit.report.iterations.iter().sum();
            assert_eq!(fit.report.iterations.len(), 2);
            // A copy for the residuals in twice the precision, and one for the report on them.
            let own = fit.report.sketch_rows == m;
            let more = if own { 2 } else { 0 };
            // One for the sketch, one for each stage to begin with, and one for the report.
            assert_eq!(fit.report.passes, 1 + iterations + 2 + 1 + more);
        }
    }
}

/// A matrix that is its own sketch starts at the solution, singular or not, with a ridge or without: without an iteration there is
/// nothing to mend.
#[test]
fn an_own_sketch_starts_at_the_solution() {
    let b = Mat::from_fn(40, 1, |i, _| noise(2, i));
    for (rank, ridge) in [(6, 0.0), (4, 0.0), (6, 0.3), (4, 0.3)] {
        let a = with_values(40, 6, &falling(rank, 2.0), 1);
        let expected = reference(&a, &b, ridge);
        let settings = Lstsq::default().with_max_iters(0).with_stages(1).with_ridge(ridge);
        let fit = settings.solve(&a, b.as_ref()).unwrap();
        let rank = if ridge > 0.0 { 6 } else { rank };
        assert_eq!((fit.report.rank, fit.report.sketch_rows), (rank, 40));
        assert!((&fit.x - &expected).norm_l2() < 1e-10 * expected.norm_l2());
    }
}

/// The seed is all that the answer depends on, not the number of threads.
#[test]
fn threads_change_no_bits() {
    let a = with_values(6000, 20, &falling(20, 4.0), 1);
    let b = Mat::from_fn(6000, 1, |i, _| noise(2, i));
    let run = |par: Par| {
        Lstsq::default().with_oversampling(4.0).with_par(par).solve(&a, b.as_ref()).unwrap().x
    };
    let reference = run(Par::rayon(1));
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| run(Par::rayon(0))) == reference, "{threads} threads");
    }
}

/// In single precision, to its rounding.
#[test]
fn single_precision() {
    let a = with_values(2000, 10, &falling(10, 2.0), 1);
    let b = Mat::from_fn(2000, 1, |i, _| noise(2, i));
    let expected = reference(&a, &b, 0.0);
    let single = |x: &Mat<f64>| Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] as f32);
    let fit =
        Lstsq::default().with_oversampling(4.0).solve(&single(&a), single(&b).as_ref()).unwrap();
    let error = Mat::from_fn(10, 1, |i, _| f64::from(fit.x[(i, 0)]) - expected[(i, 0)]);
    assert!(
        norm(error.as_ref()) < 1e-4 * 100.0 * norm(expected.as_ref()),
        "{:e}",
        norm(error.as_ref())
    );
}

#[test]
fn nothing_and_zero() {
    let a = Mat::<f64>::zeros(30, 3);
    let b = Mat::from_fn(30, 1, |_, _| 1.0);
    let fit = lstsq(&a, b.as_ref()).unwrap();
    assert_eq!((fit.report.rank, fit.report.ending), (0, Ending::LeastSquares));
    assert_eq!(fit.x, Mat::zeros(3, 1));
    let a = with_values(30, 3, &[1.0, 0.5, 0.2], 0);
    let fit = lstsq(&a, Mat::zeros(30, 2).as_ref()).unwrap();
    assert_eq!(fit.x, Mat::zeros(3, 2));
    assert_eq!(fit.report.ending, Ending::Converged);
}

#[test]
fn bad_calls_are_named() {
    let mut a = with_values(30, 3, &[1.0, 0.5, 0.2], 0);
    let b = Mat::from_fn(30, 1, |_, _| 1.0);
    let error = lstsq(&a, Mat::zeros(29, 1).as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "right-hand side is 29 x 1, expected 30 x 1");
    let error = Lstsq::default().with_ridge(-1.0).solve(&a, b.as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "ridge is -1, expected a finite number that is not negative");
    let error = Lstsq::default().solve_weighted(&a, b.as_ref(), &[-1.0; 30]).unwrap_err();
    assert!(matches!(error, LstsqError::Weight { row: 0, .. }));
    a[(7, 1)] = f64::NAN;
    assert_eq!(lstsq(&a, b.as_ref()).unwrap_err(), LstsqError::NonFinite { col: 1 });
    let error = lstsq(&Mat::<f64>::zeros(0, 3), Mat::zeros(0, 1).as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "the matrix is 0 x 3; there is nothing to fit");
    let b = mat![[1.0], [f64::INFINITY], [0.0]];
    let a = with_values(3, 2, &[1.0, 0.5], 0);
    assert!(matches!(
        lstsq(&a, b.as_ref()),
        Err(LstsqError::Krylov(_) | LstsqError::NonFinite { .. })
    ));
}

/// Orthonormal columns in any units: condition 1.
#[test]
fn conditions_have_no_units() {
    for scale in [1e-8, 1.0, 1e8] {
        let a = with_values(1000, 16, &[scale; 16], 3);
        let b = Mat::from_fn(1000, 1, |i, _| noise(2, i));
        let report = Lstsq::default().with_oversampling(8.0).solve(&a, b.as_ref()).unwrap().report;
        assert!((1.0..4.0).contains(&report.condition), "{scale}: {report:?}");
        assert!((report.columns[0].condition - report.condition).abs() < 1e-12, "{report:?}");
    }
    // Entries whose squares `f32` cannot hold.
    let a = with_values(500, 8, &[1.0; 8], 3);
    let large = Mat::from_fn(500, 8, |i, j| 1e24 * a[(i, j)] as f32);
    let b = Mat::from_fn(500, 1, |i, _| noise(2, i) as f32);
    let report = Lstsq::default().with_oversampling(8.0).solve(&large, b.as_ref()).unwrap().report;
    assert!((1.0..4.0).contains(&report.condition), "{report:?}");
}

#[test]
fn what_the_scalars_cannot_hold_is_named() {
    let a = Mat::from_fn(30, 3, |i, j| noise(1, 3 * i + j) as f32);
    let b = Mat::from_fn(30, 1, |i, _| noise(2, i) as f32);
    let mut weights = [1.0; 30];
    weights[4] = 1e80;
    let error = Lstsq::default().solve_weighted(&a, b.as_ref(), &weights).unwrap_err();
    assert!(matches!(error, LstsqError::Weight { row: 4, .. }), "{error}");
    let error = Lstsq::default().with_ridge(1e80).solve(&a, b.as_ref()).unwrap_err();
    assert!(matches!(error, LstsqError::Setting { name: "ridge", .. }), "{error}");
    // Nothing beside the matrix: as no ridge.
    let least = Lstsq::default().with_ridge(1e-92).solve(&a, b.as_ref()).unwrap();
    assert!((&least.x - &Lstsq::default().solve(&a, b.as_ref()).unwrap().x).norm_l2() < 1e-5);
    let mut wide = Mat::from_fn(3, 30, |i, j| noise(1, 30 * i + j));
    wide[(2, 17)] = f64::NAN;
    let b = Mat::from_fn(3, 1, |i, _| noise(2, i));
    assert_eq!(lstsq(&wide, b.as_ref()).unwrap_err(), LstsqError::NonFiniteRow { row: 2 });
}
