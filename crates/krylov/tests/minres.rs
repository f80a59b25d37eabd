//! Laws and endings of MINRES.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use core::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatRef, Par, mat};
use nearlin_krylov::{Ending, Identity, KrylovError, Minres, Precond, Step};
use proptest::prelude::*;

fn norm(x: MatRef<'_, f64>) -> f64 {
    x.norm_l2()
}

/// `Q diag(values) Q^T` for an orthogonal `Q`.
fn with_eigenvalues(values: &[f64]) -> (Mat<f64>, Mat<f64>) {
    let n = values.len();
    let q = Mat::from_fn(n, n, |i, j| (1.3 * (i * n + j + 1) as f64).sin()).qr().compute_thin_Q();
    let scaled = Mat::from_fn(n, n, |i, j| q[(i, j)] * values[j]);
    let a = &scaled * q.transpose();
    (Mat::from_fn(n, n, |i, j| 0.5 * (a[(i, j)] + a[(j, i)])), q)
}

/// Eigenvalues of both signs with sizes in `[1, condition]`, some of them zero if `singular`, and a right-hand side.
fn problem() -> impl Strategy<Value = (Vec<f64>, Mat<f64>, f64)> {
    (2usize..30, 0.0..3.0f64, any::<bool>()).prop_flat_map(|(n, log, singular)| {
        let condition = 10f64.powf(log);
        let values = prop::collection::vec((0.0..1.0f64, any::<bool>()), n);
        (values, prop::collection::vec(-1.0..1.0f64, n)).prop_map(move |(u, b)| {
            let signed = |(u, sign): &(f64, bool)| {
                if *sign { condition.powf(*u) } else { -condition.powf(*u) }
            };
            let mut values: Vec<f64> = u.iter().map(signed).collect();
            if singular {
                values[0] = 0.0;
            }
            (values, Mat::from_fn(n, 1, |i, _| b[i]), condition)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A number as a preconditioner changes nothing: neither the solution, nor when it is good enough.
    #[test]
    fn a_number_does_not_precondition((values, b, _) in problem(), power in -20i32..20) {
        let (a, _) = with_eigenvalues(&values);
        let by = 4f64.powi(power);
        let number = Dense(Mat::from_fn(values.len(), values.len(), |i, j| if i == j { by } else { 0.0 }));
        let settings = Minres::default().with_rtol(1e-8);
        let plain = settings.solve(&a, b.as_ref()).unwrap();
        let other = settings.solve_preconditioned(&a, &number, b.as_ref(), Par::Seq).unwrap();
        prop_assert_eq!(
            (plain.report.ending, plain.report.iters),
            (other.report.ending, other.report.iters)
        );
        prop_assert!(norm((&plain.x - &other.x).as_ref()) <= 1e-9 * norm(plain.x.as_ref()));
    }

    /// Definite or not, singular or not: the residual is the least that there is, in the reported norm and in truth.
    #[test]
    fn residuals_are_the_least((values, b, condition) in problem()) {
        let (a, q) = with_eigenvalues(&values);
        let solution = Minres::default().with_rtol(1e-10).solve(&a, b.as_ref()).unwrap();
        let told = solution.report.columns[0];
        let residual = &b - &a * &solution.x;
        let b_norm = norm(b.as_ref());
        prop_assume!(b_norm > 0.0);
        // To the rounding of forming `b - A x`.
        let allowed = 1e-13 * (1.0 + condition * norm(solution.x.as_ref()) / b_norm);
        let true_one = norm(residual.as_ref()) / b_norm;
        prop_assert!((told.rel_residual - true_one).abs() < allowed, "{told:?}, {true_one}");
        // Nothing is smaller than what the operator does not reach; either the residual is small beside `|A| |x|`, as after a
        // way along the null space, or its gradient is.
        let coefficients = q.transpose() * &b;
        let null = (0..values.len()).filter(|&j| values[j] == 0.0);
        let least = null.map(|j| coefficients[(j, 0)]).fold(0.0, f64::hypot) / b_norm;
        prop_assert!(told.rel_residual >= least - allowed);
        let frobenius = values.iter().map(|v| v * v).sum::<f64>().sqrt();
        let size = 1.0 + frobenius * norm(solution.x.as_ref()) / b_norm;
        let gradient = norm((&a * &residual).as_ref()) / (frobenius * norm(residual.as_ref()));
        match told.ending {
            Ending::Converged => prop_assert!(told.rel_residual <= 2.01e-10 * size),
            Ending::LeastSquares => {
                prop_assert!(gradient <= 1e-9 + allowed / told.rel_residual, "{gradient:e}");
                prop_assert!(told.rel_residual <= least + 1e-7, "{told:?}, least {least}");
            }
            Ending::Stagnated => prop_assert!(least > 0.0 || size > 1e10, "{told:?}"),
            other => prop_assert!(false, "{other:?}"),
        }
        if values.iter().all(|v| *v != 0.0) {
            prop_assert_eq!(told.ending, Ending::Converged);
        }
    }

    /// Residuals never grow, and what the observer sees is true.
    #[test]
    fn residuals_shrink((values, b, condition) in problem()) {
        prop_assume!(values.iter().all(|v| *v != 0.0));
        let (a, _) = with_eigenvalues(&values);
        let mut last = 1.0;
        for steps in 1..8 {
            let mut shown = 0.0;
            let mut watch = |step: &Step<'_>| {
                shown = step.rel_residuals[0];
                ControlFlow::Continue(())
            };
            let identity = Identity { dim: values.len() };
            let mut x = Mat::zeros(values.len(), 1);
            let mut buffer = MemBuffer::new(Minres::scratch::<f64>(&a, &identity, 1, Par::Seq));
            let minres = Minres::default().with_max_iters(steps);
            let report = minres.solve_into(x.as_mut(), &a, &identity, b.as_ref(), &mut watch, Par::Seq, MemStack::new(&mut buffer)).unwrap();
            let now = report.columns[0].rel_residual;
            prop_assert!(now <= last + 1e-11 * condition);
            prop_assert!((now - shown).abs() < 1e-10 * condition);
            last = now;
        }
    }

    /// `(A - shift I) x = b` is what it says, and a positive definite preconditioner changes the way, not the end.
    #[test]
    fn shifts_and_preconditioners((values, b, condition) in problem(), shift in -2.0..2.0f64) {
        let (a, q) = with_eigenvalues(&values);
        let n = values.len();
        prop_assume!(values.iter().all(|v| (v - shift).abs() > 0.05));
        let expected = {
            let c = q.transpose() * &b;
            &q * Mat::from_fn(n, 1, |j, _| c[(j, 0)] / (values[j] - shift))
        };
        let minres = Minres::default().with_rtol(1e-13).with_shift(shift);
        let allowed = 1e-9 * condition * norm(expected.as_ref());
        let plain = minres.solve(&a, b.as_ref()).unwrap();
        prop_assert!(norm((&plain.x - &expected).as_ref()) <= allowed);
        // The inverse of the absolute value: two eigenvalues, two steps.
        let inverse = &q * Mat::from_fn(n, n, |i, j| q[(j, i)] / (values[i] - shift).abs());
        let p = Dense(inverse);
        let preconditioned = minres.solve_preconditioned(&a, &p, b.as_ref(), Par::Seq).unwrap();
        prop_assert!(preconditioned.report.iters <= 3, "{}", preconditioned.report.iters);
        prop_assert!(norm((&preconditioned.x - &expected).as_ref()) <= allowed);
    }

    /// Columns do not know of each other, and a power of two only changes exponents.
    #[test]
    fn columns_are_independent((values, b, condition) in problem(), exponent in -500i32..500) {
        prop_assume!(values.iter().all(|v| *v != 0.0));
        let (a, _) = with_eigenvalues(&values);
        let (n, by) = (values.len(), 2f64.powi(exponent));
        let several = Mat::from_fn(n, 4, |i, j| match j {
            0 => b[(i, 0)],
            1 => 0.0,
            2 => b[(n - 1 - i, 0)],
            _ => by * b[(i, 0)],
        });
        let minres = Minres::default().with_rtol(1e-11);
        let all = minres.solve(&a, several.as_ref()).unwrap();
        for j in [0, 2, 3] {
            let alone = minres.solve(&a, several.as_ref().subcols(j, 1)).unwrap();
            let difference = norm((all.x.as_ref().subcols(j, 1) - &alone.x).as_ref());
            prop_assert!(difference <= 1e-8 * condition * norm(alone.x.as_ref()));
        }
        prop_assert!(all.x.as_ref().col(1).iter().all(|x| *x == 0.0));
        let (alone, scaled) = (minres.solve(&a, several.as_ref().subcols(0, 1)).unwrap(), minres.solve(&a, several.as_ref().subcols(3, 1)).unwrap());
        prop_assert!((0..n).all(|i| by * alone.x[(i, 0)] == scaled.x[(i, 0)]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// From the solution there is no step, from an eigenvector away of it there is one, and from anywhere the solution is the
    /// same; with a shift, a preconditioner and columns that are done before others.
    #[test]
    fn warm_starts((values, b, condition) in problem(), shift in -2.0..2.0f64, scale in -30i32..30) {
        let (a, q) = with_eigenvalues(&values);
        let n = values.len();
        let b = b * 2f64.powi(scale);
        prop_assume!(norm(b.as_ref()) > 0.0 && values.iter().all(|v| (v - shift).abs() > 0.05));
        let coefficients = q.transpose() * &b;
        let solution = &q * Mat::from_fn(n, 1, |j, _| coefficients[(j, 0)] / (values[j] - shift));
        let size = norm(solution.as_ref());
        let start = Mat::from_fn(n, 4, |i, j| match j {
            0 => 0.0,
            1 => solution[(i, 0)],
            2 => solution[(i, 0)] + size * q[(i, 0)],
            _ => size * (i as f64).cos(),
        });
        let right = Mat::from_fn(n, 4, |i, _| b[(i, 0)]);
        // Distances to the solution are residuals over 0.05 at most, and they twice `rtol (|A| |x| + |b|)`.
        let minres = Minres::default().with_rtol(1e-9).with_shift(shift).with_warm_start(true);
        let frobenius = values.iter().map(|v| (v - shift).powi(2)).sum::<f64>().sqrt();
        let allowed = 2e-9 * (2.0 * frobenius * size + norm(b.as_ref())) / 0.05;
        // Forming the residual at an eigenvector rounds by `n eps |A| |x|` along others, relative to itself by that of the
        // condition number, and the one step for its own eigenvalue magnifies it by that once more.
        let distances = || values.iter().map(|v| (v - shift).abs());
        let spread = distances().fold(0.0, f64::max) / distances().fold(f64::INFINITY, f64::min);
        let noise = n as f64 * f64::EPSILON * spread * spread;
        let halves = Dense(Mat::from_fn(n, n, |i, j| if i == j { 0.5 } else { 0.0 }));
        let identity = Dense(Mat::identity(n, n));
        for p in [&identity, &halves] {
            let mut x = start.clone();
            let mut buffer = MemBuffer::new(Minres::scratch::<f64>(&a, p, 4, Par::Seq));
            let mut watch = |_: &Step<'_>| ControlFlow::Continue(());
            let stack = MemStack::new(&mut buffer);
            let report = minres.solve_into(x.as_mut(), &a, p, right.as_ref(), &mut watch, Par::Seq, stack).unwrap();
            let steps: Vec<usize> = report.columns.iter().map(|c| c.iters).collect();
            prop_assert_eq!(steps[1], 0, "{:?}", report);
            prop_assert!(steps[2] <= 1 || noise > 1e-9, "{noise:e} {report:?}");
            prop_assert_eq!(report.applications, report.iters + 2);
            for j in 0..4 {
                let difference = norm((x.as_ref().subcols(j, 1) - &solution).as_ref());
                prop_assert!(difference <= allowed, "column {j}: {difference:e}, {allowed:e}");
                let residual = &b - &a * x.as_ref().subcols(j, 1) + shift * x.as_ref().subcols(j, 1);
                let told = report.columns[j].rel_residual;
                let error = (told - norm(residual.as_ref()) / norm(b.as_ref())).abs();
                prop_assert!(error <= 1e-13 * (1.0 + condition * size / norm(b.as_ref())), "{error:e}");
            }
        }
        // What allocates `x` has nothing to start from.
        prop_assert_eq!(minres.solve(&a, b.as_ref()).unwrap().x, minres.with_warm_start(false).solve(&a, b.as_ref()).unwrap().x);
    }
}

/// A matrix as a preconditioner.
struct Dense(Mat<f64>);

impl Precond<f64> for Dense {
    fn dim(&self) -> usize {
        self.0.nrows()
    }
    fn apply(&self, mut z: faer::MatMut<'_, f64>, r: MatRef<'_, f64>, _: Par, _: &mut MemStack) {
        z.copy_from(&self.0 * r);
    }
}

/// An eigenvector is solved for in one step; the zero operator in none.
#[test]
fn short_ways_out() {
    let (a, q) = with_eigenvalues(&[3.0, -1.0, 2.0, 5.0]);
    let solution = Minres::default().solve(&a, q.as_ref().subcols(1, 1)).unwrap();
    assert_eq!((solution.report.ending, solution.report.iters), (Ending::Converged, 1));
    assert!(norm((&solution.x + q.as_ref().subcols(1, 1)).as_ref()) < 1e-13);
    let nothing =
        Minres::default().solve(&Mat::<f64>::zeros(4, 4), q.as_ref().subcols(0, 2)).unwrap();
    assert_eq!(nothing.report.ending, Ending::LeastSquares);
    assert!(
        nothing.report.columns.iter().all(|c| (c.rel_residual - 1.0).abs() < 1e-15 && c.iters == 1)
    );
    assert_eq!(nothing.x, Mat::zeros(4, 2));
}

#[test]
fn endings_say_what_happened() {
    let values: Vec<f64> =
        (0..40).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 } * 1.4f64.powi(i)).collect();
    let (a, _) = with_eigenvalues(&values);
    let b = Mat::from_fn(40, 1, |_, _| 1.0);
    let ending = |minres: Minres| minres.solve(&a, b.as_ref()).unwrap().report.ending;
    assert_eq!(ending(Minres::default().with_max_iters(3)), Ending::MaxIters);
    assert_eq!(ending(Minres::default().with_rtol(0.0).with_max_iters(10_000)), Ending::Stagnated);
    let negative = Dense(Mat::from_fn(40, 40, |i, j| if i == j { -1.0 } else { 0.0 }));
    let report =
        Minres::default().solve_preconditioned(&a, &negative, b.as_ref(), Par::Seq).unwrap().report;
    assert!(matches!(report.ending, Ending::Breakdown { what: "r' P r", .. }));
    let nan = mat![[1.0, f64::NAN], [f64::NAN, 1.0]];
    let report = Minres::default().solve(&nan, mat![[1.0], [1.0]].as_ref()).unwrap().report;
    assert!(matches!(report.ending, Ending::Breakdown { .. }), "{report:?}");
    let mut start = Mat::full(40, 1, f64::NAN);
    let identity = Identity { dim: 40 };
    let mut watch = |_: &Step<'_>| ControlFlow::Continue(());
    let warm = Minres::default().with_warm_start(true);
    let mut buffer = MemBuffer::new(Minres::scratch::<f64>(&a, &identity, 1, Par::Seq));
    let stack = MemStack::new(&mut buffer);
    let (into, b_ref) = (start.as_mut(), b.as_ref());
    let error =
        warm.solve_into(into, &a, &identity, b_ref, &mut watch, Par::Seq, stack).unwrap_err();
    assert!(matches!(error, KrylovError::NonFinite { what: "start", .. }));
    let error = Minres::default().with_shift(f64::NAN).solve(&a, b.as_ref()).unwrap_err();
    assert!(matches!(error, KrylovError::Setting { name: "shift", .. }));
    let error = Minres::default().solve(&mat![[1.0, 2.0]], mat![[1.0]].as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "operator is 1 x 2, expected 1 x 1");
}

/// What is not a number is not small.
#[test]
fn unknown_residuals_are_not_zero() {
    let a = mat![[1.0, f64::NAN], [f64::NAN, 1.0]];
    let report = Minres::default().solve(&a, mat![[1.0], [1.0]].as_ref()).unwrap().report;
    assert!(matches!(report.ending, Ending::Breakdown { .. }), "{report:?}");
    assert!(report.worst_residual().is_nan(), "{report:?}");
}
