//! Laws and endings of LSQR and LSMR.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use core::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatRef, Par, mat};
use nearlin_krylov::{AdjointOp, Ending, KrylovError, LeastSquares, LinOp, Product, Step};
use proptest::prelude::*;

fn methods() -> [LeastSquares; 2] {
    [LeastSquares::lsqr(), LeastSquares::lsmr()]
}

fn norm(x: MatRef<'_, f64>) -> f64 {
    x.norm_l2()
}

/// `U diag(values) V^T` with the rotations of QR of two dense matrices; `m x n` with `values.len() <= min(m, n)`.
fn with_values(m: usize, n: usize, values: &[f64]) -> Mat<f64> {
    let r = values.len();
    let q = |rows: usize, a: f64| {
        let dense = Mat::from_fn(rows, r, |i, j| (a * (i * r + j + 1) as f64).sin());
        dense.qr().compute_thin_Q()
    };
    let (u, v) = (q(m, 1.3), q(n, 2.1));
    let scaled = Mat::from_fn(m, r, |i, j| u[(i, j)] * values[j]);
    &scaled * v.transpose()
}

/// Shapes either way round, singular values in `[1, condition]`, of which some are missing, and a right-hand side.
fn problem() -> impl Strategy<Value = (Mat<f64>, Mat<f64>, f64)> {
    (2usize..30, 2usize..30, 0.0..3.0f64, any::<bool>()).prop_flat_map(|(m, n, log, singular)| {
        let full = m.min(n);
        let rank = if singular { full.div_ceil(2) } else { full };
        let condition = 10f64.powf(log);
        let values = prop::collection::vec(0.0..1.0f64, rank);
        (values, prop::collection::vec(-1.0..1.0f64, m)).prop_map(move |(u, b)| {
            let mut values: Vec<f64> = u.iter().map(|u| condition.powf(*u)).collect();
            (values[0], values[rank - 1]) = (condition, 1.0);
            (with_values(m, n, &values), Mat::from_fn(m, 1, |i, _| b[i]), condition)
        })
    })
}

/// The solution of least norm of `min |b - A x|^2 + damping^2 |x|^2`, by the singular value decomposition.
fn reference(a: &Mat<f64>, b: &Mat<f64>, damping: f64) -> Mat<f64> {
    let svd = a.thin_svd().unwrap();
    let (u, s, v) = (svd.U(), svd.S().column_vector(), svd.V());
    let mut x = Mat::zeros(a.ncols(), 1);
    for j in 0..s.nrows() {
        if s[j] > 1e-10 * s[0] {
            let along: f64 = (0..a.nrows()).map(|i| u[(i, j)] * b[(i, 0)]).sum();
            let by = s[j] / (s[j] * s[j] + damping * damping) * along;
            (0..a.ncols()).for_each(|i| x[(i, 0)] += by * v[(i, j)]);
        }
    }
    x
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the shape, the rank and the damping, the solution is that of the singular value decomposition. The error of a
    /// gradient of `atol |A| |r|` is at most `atol` times the condition number squared, times `|r| / |A|`.
    #[test]
    fn solutions_are_those_of_the_svd((a, b, condition) in problem(), damping in prop::option::of(0.01..1.0f64)) {
        let damping = damping.unwrap_or(0.0);
        let expected = reference(&a, &b, damping);
        for method in methods() {
            let settings = method.with_tol(1e-14).with_damping(damping).with_max_iters(5000);
            let fit = settings.solve(&a, b.as_ref()).unwrap();
            let error = norm((&fit.x - &expected).as_ref());
            let allowed = 1e-12 * condition * condition * norm(b.as_ref()).max(1.0);
            prop_assert!(error <= allowed, "{:?}: {error:e} of {allowed:e}, {:?}", method.method, fit.report);
        }
    }

    /// Units of the matrix change nothing but those of the solution: nothing is compared with a number that has none.
    #[test]
    fn units_do_not_matter((a, b, _) in problem(), power in -60i32..60) {
        let by = 2f64.powi(power);
        let scaled = Mat::from_fn(a.nrows(), a.ncols(), |i, j| by * a[(i, j)]);
        for method in methods() {
            let settings = method.with_tol(1e-8).with_max_iters(100);
            let one = settings.solve(&a, b.as_ref()).unwrap();
            let other = settings.solve(&scaled, b.as_ref()).unwrap();
            let (told, of_scaled) = (one.report.columns[0], other.report.columns[0]);
            prop_assert_eq!((told.ending, told.iters), (of_scaled.ending, of_scaled.iters));
            prop_assert!((of_scaled.condition / told.condition - 1.0).abs() < 1e-9, "{:?}, {:?}", told, of_scaled);
            let difference = Mat::from_fn(a.ncols(), 1, |i, _| by * other.x[(i, 0)] - one.x[(i, 0)]);
            prop_assert!(norm(difference.as_ref()) <= 1e-12 * norm(one.x.as_ref()));
        }
    }

    /// What the report says of the solution is what it is.
    #[test]
    fn reports_are_true((a, b, _) in problem(), damping in prop::option::of(0.01..1.0f64), steps in 1usize..20) {
        let damping = damping.unwrap_or(0.0);
        for method in methods() {
            let settings = method.with_tol(1e-6).with_damping(damping).with_max_iters(steps);
            let fit = settings.solve(&a, b.as_ref()).unwrap();
            let told = fit.report.columns[0];
            let residual = &b - &a * &fit.x;
            let shifted = a.transpose() * &residual - damping * damping * &fit.x;
            let scale = norm(b.as_ref()) + norm(a.as_ref()) * norm(fit.x.as_ref());
            prop_assert!((told.residual_norm - norm(residual.as_ref())).abs() <= 1e-13 * scale);
            prop_assert!((told.rel_residual * norm(b.as_ref()) - norm(residual.as_ref())).abs() <= 1e-13 * scale);
            let allowed = 1e-13 * norm(a.as_ref()) * scale;
            prop_assert!((told.gradient_norm - norm(shifted.as_ref())).abs() <= allowed);
            prop_assert!((told.solution_norm - norm(fit.x.as_ref())).abs() <= 1e-13 * norm(fit.x.as_ref()));
            // Vectors that rounding has made dependent count twice.
            if told.iters <= 3 {
                let damped = damping * damping * told.iters as f64;
                prop_assert!(told.operator_norm <= (1.0 + 1e-10) * (norm(a.as_ref()).powi(2) + damped).sqrt());
            }
            prop_assert!(told.iters <= steps);
        }
    }

    /// LSQR's residuals and LSMR's gradients never grow, and what the observer is shown is what iterates have: the
    /// estimates of a run that is ended after so many steps are true.
    #[test]
    fn what_should_shrink_shrinks((a, b, condition) in problem()) {
        for (method, gradient) in methods().into_iter().zip([false, true]) {
            let mut last = f64::INFINITY;
            for steps in 1..8 {
                let mut shown = (0.0, 0.0);
                let mut watch = |step: &Step<'_>| {
                    shown = (step.rel_residuals[0], step.rel_gradients[0]);
                    ControlFlow::Continue(())
                };
                let settings = method.with_tol(0.0).with_max_iters(steps);
                let mut x = Mat::zeros(a.ncols(), 1);
                let mut buffer = MemBuffer::new(LeastSquares::scratch(&a, None, 1, Par::Seq));
                let stack = MemStack::new(&mut buffer);
                let report = settings.solve_into(x.as_mut(), &a, None, b.as_ref(), &mut watch, Par::Seq, stack).unwrap();
                let told = report.columns[0];
                let now = if gradient { told.gradient_norm } else { told.residual_norm };
                let slack = 1e-11 * norm(b.as_ref()) * condition;
                prop_assert!(now <= last + slack, "{now} after {last}");
                last = now;
                prop_assert!((shown.0 - told.rel_residual).abs() <= 1e-9, "{} {}", shown.0, told.rel_residual);
                let true_gradient = told.backward_error() * told.operator_norm * told.residual_norm;
                let shown_gradient = shown.1 * told.operator_norm * shown.0 * norm(b.as_ref());
                prop_assert!((true_gradient - shown_gradient).abs() <= 1e-9 * condition * norm(b.as_ref()));
            }
        }
    }

    /// With damping what the observer is shown is the residual together with the penalty, `(|r|^2 + damping^2 |x|^2)^(1/2)`.
    #[test]
    fn estimates_count_the_damping((a, b, condition) in problem(), damping in 0.1..2.0f64, steps in 1usize..6) {
        prop_assume!(norm(b.as_ref()) > 1e-3);
        for method in methods() {
            let mut shown = 0.0;
            let mut watch = |step: &Step<'_>| {
                shown = step.rel_residuals[0];
                ControlFlow::Continue(())
            };
            let settings = method.with_tol(0.0).with_max_iters(steps).with_damping(damping);
            let mut x = Mat::zeros(a.ncols(), 1);
            let mut buffer = MemBuffer::new(LeastSquares::scratch(&a, None, 1, Par::Seq));
            let stack = MemStack::new(&mut buffer);
            let report = settings.solve_into(x.as_mut(), &a, None, b.as_ref(), &mut watch, Par::Seq, stack).unwrap();
            let told = report.columns[0];
            let both = told.residual_norm.hypot(damping * told.solution_norm) / norm(b.as_ref());
            prop_assert!((shown - both).abs() <= 1e-10 * condition, "{shown} {both}");
        }
    }

    /// Columns do not know of each other, but for the rounding of products; a scale by a power of two changes no bit of the
    /// solution but its exponent, from 2^-500 to 2^500.
    #[test]
    fn columns_are_independent((a, b, condition) in problem(), exponent in -500i32..500) {
        let by = 2f64.powi(exponent);
        let m = b.nrows();
        let several = Mat::from_fn(m, 4, |i, j| match j {
            0 => b[(i, 0)],
            1 => 0.0,
            2 => b[(m - 1 - i, 0)],
            _ => by * b[(i, 0)],
        });
        for method in methods() {
            let settings = method.with_tol(1e-9).with_max_iters(500);
            let all = settings.solve(&a, several.as_ref()).unwrap();
            for j in [0, 2, 3] {
                let alone = settings.solve(&a, several.as_ref().subcols(j, 1)).unwrap();
                let difference = norm((all.x.as_ref().subcols(j, 1) - &alone.x).as_ref());
                let allowed = 1e-7 * condition * condition * norm(alone.x.as_ref());
                prop_assert!(difference <= allowed, "column {j}: {difference:e} of {allowed:e}");
            }
            prop_assert!(all.x.as_ref().col(1).iter().all(|x| *x == 0.0));
            prop_assert_eq!(all.report.columns[1].iters, 0);
            let alone = settings.solve(&a, several.as_ref().subcols(0, 1)).unwrap();
            let scaled = settings.solve(&a, several.as_ref().subcols(3, 1)).unwrap();
            prop_assert!((0..a.ncols()).all(|i| by * alone.x[(i, 0)] == scaled.x[(i, 0)]));
        }
    }

    /// From the right preconditioned by the inverse of `R` of `A = Q R` two steps are enough, and a start at the solution
    /// leaves nothing to do.
    #[test]
    fn a_good_preconditioner_and_a_good_start_help((a, b, _) in problem()) {
        prop_assume!(a.nrows() >= a.ncols());
        let expected = reference(&a, &b, 0.0);
        let inverse = a.thin_svd().unwrap();
        let s = inverse.S().column_vector();
        let n = a.ncols();
        prop_assume!(s[n - 1] > 1e-6 * s[0]);
        let right = Mat::from_fn(n, n, |i, j| inverse.V()[(i, j)] / s[j]);
        for method in methods() {
            let fit = method.solve_preconditioned(&a, &right, b.as_ref(), Par::Seq).unwrap();
            prop_assert!(fit.report.iters <= 2, "{}", fit.report.iters);
            prop_assert!(norm((&fit.x - &expected).as_ref()) <= 1e-9 * norm(expected.as_ref()).max(1.0));
            let mut x = expected.clone();
            let mut buffer = MemBuffer::new(LeastSquares::scratch(&a, None, 1, Par::Seq));
            let mut watch = |_: &Step<'_>| ControlFlow::Continue(());
            let warm = method.with_warm_start(true).with_tol(1e-8).with_max_iters(3);
            let report = warm.solve_into(x.as_mut(), &a, None, b.as_ref(), &mut watch, Par::Seq, MemStack::new(&mut buffer)).unwrap();
            prop_assert!(norm((&x - &expected).as_ref()) <= 1e-8 * norm(expected.as_ref()).max(1.0));
            prop_assert!(report.columns[0].gradient_norm <= 1e-9 * s[0] * norm(b.as_ref()).max(1.0));
        }
    }

    /// The fused products of a matrix are the two products, for any number of threads with the same bits.
    #[test]
    fn one_pass_is_two_products(m in 1usize..5000, n in 1usize..12, k in 1usize..4) {
        let entry = |i: usize, j: usize| ((i * 7 + j * 13) as f64).sin();
        let a = Mat::from_fn(m, n, entry);
        let (x, y) = (Mat::from_fn(n, k, entry), Mat::from_fn(m, k, |i, j| entry(j, i)));
        let alpha: Vec<f64> = (0..k).map(|j| 0.5 + j as f64).collect();
        let run = |par: Par| {
            let (mut y, mut z) = (y.clone(), Mat::from_fn(n, k, |_, _| f64::NAN));
            let mut buffer = MemBuffer::new(a.apply_both_scratch(k, par));
            a.apply_both(y.as_mut(), &alpha, x.as_ref(), z.as_mut(), par, MemStack::new(&mut buffer));
            (y, z)
        };
        let (forward, back) = run(Par::Seq);
        let expected = &a * &x - Mat::from_fn(m, k, |i, j| alpha[j] * y[(i, j)]);
        let scale = (m * n) as f64;
        prop_assert!(norm((&forward - &expected).as_ref()) <= 1e-14 * scale);
        prop_assert!(norm((&back - a.transpose() * &expected).as_ref()) <= 1e-14 * scale * (m as f64).sqrt());
        prop_assert_eq!(run(Par::rayon(2)), (forward, back));
    }
}

/// Paige and Saunders (1982, section 8) and the tests of their LSMR: `A` is lower bidiagonal, with `1, 2, .., n` on both
/// diagonals, `b = A (n, .., 1)`.
#[test]
fn the_published_lower_bidiagonal_examples() {
    for n in [10, 20, 40] {
        let a =
            Mat::from_fn(n + 1, n, |i, j| if i == j || i == j + 1 { (j + 1) as f64 } else { 0.0 });
        let expected = Mat::from_fn(n, 1, |i, _| (n - i) as f64);
        let b = &a * &expected;
        for method in methods() {
            let fit = method.with_tol(1e-12).solve(&a, b.as_ref()).unwrap();
            assert_eq!(fit.report.ending, Ending::Converged);
            assert!(norm((&fit.x - &expected).as_ref()) < 1e-9 * norm(expected.as_ref()));
            assert!(fit.report.iters <= 3 * n, "{} of {n}", fit.report.iters);
        }
    }
}

/// Singular values from 1e8 to 1: LSMR's own stopping rule ends with a small backward error.
#[test]
fn eight_digits_of_condition() {
    let n = 60;
    let value = |i: usize| 10f64.powf(8.0 * (n - 1 - i) as f64 / (n - 1) as f64);
    let a = Mat::from_fn(n, n, |i, j| if i == j { value(i) } else { 0.0 });
    // What the large ones explain, and what each has an equal part in.
    let (seen, equal) = (Mat::from_fn(n, 1, |i, _| value(i)), Mat::from_fn(n, 1, |_, _| 1.0));
    for method in methods() {
        let settings = method.with_tol(1e-14).with_max_iters(20_000);
        let fit = settings.solve(&a, seen.as_ref()).unwrap();
        assert_eq!(fit.report.ending, Ending::Converged);
        assert!(fit.report.columns[0].rel_residual < 1e-12, "{fit:?}");
        let fit = settings.solve(&a, equal.as_ref()).unwrap();
        let told = fit.report.columns[0];
        assert!(told.condition > 1e4 && told.condition < 1e10, "{told:?}");
        // The smallest singular value has the largest entry.
        assert!((fit.x[(n - 1, 0)] - 1.0).abs() <= 8.0 * told.rel_residual, "{fit:?}");
        assert!(
            told.rel_residual < 1e-14 * (1.0 + told.operator_norm * told.solution_norm) + 1e-12
        );
    }
}

/// A right-hand side that the columns do not reach: `x = 0` solves the least-squares problem.
#[test]
fn right_hand_sides_that_are_not_reached() {
    let a: Mat<f64> = mat![[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]];
    let b: Mat<f64> = mat![[1.0, 0.0, 2.0], [-1.0, 0.0, 2.0], [3.0, 0.0, 1.0]];
    for method in methods() {
        let fit = method.solve(&a, b.as_ref()).unwrap();
        let endings: Vec<Ending> = fit.report.columns.iter().map(|c| c.ending).collect();
        assert_eq!(endings, [Ending::LeastSquares, Ending::Converged, Ending::LeastSquares]);
        assert!(fit.x.as_ref().col(0).iter().all(|x| x.abs() < 1e-15));
        // Singular and inconsistent: the shortest solution.
        assert!((fit.x[(0, 2)] - 1.0).abs() < 1e-12 && (fit.x[(1, 2)] - 1.0).abs() < 1e-12);
        assert_eq!(fit.report.ending, Ending::LeastSquares);
    }
}

#[test]
fn endings_say_what_happened() {
    let n = 50;
    let a = Mat::from_fn(n, n, |i, j| if i == j { 10f64.powf(-(i as f64) / 7.0) } else { 0.0 });
    let b = Mat::from_fn(n, 1, |_, _| 1.0);
    for method in methods() {
        let ending = |settings: LeastSquares| settings.solve(&a, b.as_ref()).unwrap().report.ending;
        assert_eq!(ending(method.with_max_iters(3)), Ending::MaxIters);
        assert_eq!(ending(method.with_condition_limit(5.0)), Ending::ConditionLimit);
        assert_eq!(ending(method.with_btol(0.5)), Ending::Converged);
        assert_eq!(ending(method.with_tol(0.0).with_max_iters(100_000)), Ending::Stagnated);
        let mut seen = 0;
        let mut watch = |step: &Step<'_>| {
            seen = step.iter;
            if step.iter == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let mut x = Mat::zeros(n, 1);
        let mut buffer = MemBuffer::new(LeastSquares::scratch(&a, None, 1, Par::Seq));
        let stack = MemStack::new(&mut buffer);
        let report =
            method.solve_into(x.as_mut(), &a, None, b.as_ref(), &mut watch, Par::Seq, stack);
        assert_eq!((report.unwrap().ending, seen), (Ending::Stopped, 4));
    }
}

#[test]
fn bad_calls_are_named() {
    let a = mat![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]];
    let solve = |b: &Mat<f64>| LeastSquares::lsqr().solve(&a, b.as_ref()).unwrap_err();
    assert_eq!(solve(&Mat::zeros(2, 1)).to_string(), "right-hand side is 2 x 1, expected 3 x 1");
    let error = solve(&mat![[1.0], [2.0], [f64::NAN]]);
    assert_eq!(
        error.to_string(),
        "right-hand side holds NaN at row 2, column 0; expected finite numbers"
    );
    let b = Mat::zeros(3, 1);
    let error = LeastSquares::lsmr().with_damping(-1.0).solve(&a, b.as_ref()).unwrap_err();
    assert!(matches!(error, KrylovError::Setting { name: "damping", value: -1.0, .. }));
}

/// An operator that answers NaN ends the solve at once.
#[test]
fn operators_that_are_not_finite_end_it() {
    let a = mat![[1.0, f64::NAN], [0.0, 1.0]];
    for method in methods() {
        let report = method.solve(&a, mat![[1.0], [1.0]].as_ref()).unwrap().report;
        assert!(matches!(report.ending, Ending::Breakdown { column: 0, .. }), "{report:?}");
        assert!(report.iters <= 1);
    }
}

/// `<A N x, y> = <x, N* A* y>`, and its fused products are its products.
#[test]
fn products_of_operators_have_adjoints() {
    let (a, n) = (with_values(9, 5, &[3.0, 2.0, 1.0]), with_values(5, 4, &[2.0, 1.0, 0.5]));
    let product = Product::new(&a, &n);
    assert_eq!((LinOp::<f64>::nrows(&product), LinOp::<f64>::ncols(&product)), (9, 4));
    let (x, y) = (
        Mat::from_fn(4, 2, |i, j| (i + 2 * j) as f64),
        Mat::from_fn(9, 2, |i, j| (i * j) as f64 + 1.0),
    );
    let mut buffer = MemBuffer::new(
        product
            .apply_both_scratch(2, Par::Seq)
            .or(product.apply_scratch(2, Par::Seq))
            .or(product.apply_adjoint_scratch(2, Par::Seq)),
    );
    let stack = MemStack::new(&mut buffer);
    let (mut ax, mut ay) = (Mat::zeros(9, 2), Mat::zeros(4, 2));
    product.apply(ax.as_mut(), x.as_ref(), Par::Seq, stack);
    product.apply_adjoint(ay.as_mut(), y.as_ref(), Par::Seq, stack);
    assert!(norm((&ax - &a * &n * &x).as_ref()) < 1e-13);
    assert!(norm((x.transpose() * &ay - ax.transpose() * &y).as_ref()) < 1e-11);
    let (mut both, mut z) = (y.clone(), Mat::zeros(4, 2));
    product.apply_both(both.as_mut(), &[2.0, 0.5], x.as_ref(), z.as_mut(), Par::Seq, stack);
    let expected = &ax - Mat::from_fn(9, 2, |i, j| [2.0, 0.5][j] * y[(i, j)]);
    assert!(norm((&both - &expected).as_ref()) < 1e-13);
    assert!(norm((&z - (&a * &n).transpose() * &expected).as_ref()) < 1e-11);
}

/// Without the final check there is one application fewer, and the recurrence tells nearly the same norms, from a start as well.
#[test]
fn what_is_not_checked_is_estimated() {
    let a = with_values(30, 8, &[4.0, 3.0, 2.5, 2.0, 1.6, 1.3, 1.1, 1.0]);
    let b = Mat::from_fn(30, 1, |i, _| 50.0 * (0.7 * i as f64).cos());
    for method in methods() {
        let run = |check: bool, iters: usize| {
            let settings = method.with_warm_start(true).with_final_check(check);
            let mut x = Mat::from_fn(8, 1, |i, _| i as f64);
            let mut buffer = MemBuffer::new(LeastSquares::scratch(&a, None, 1, Par::Seq));
            let (stack, mut watch) =
                (MemStack::new(&mut buffer), |_: &Step<'_>| ControlFlow::Continue(()));
            let settings = settings.with_tol(0.0).with_max_iters(iters);
            let report = settings
                .solve_into(x.as_mut(), &a, None, b.as_ref(), &mut watch, Par::Seq, stack)
                .unwrap();
            (x, report.applications, report.columns[0])
        };
        for iters in 1..6 {
            let ((x, more, truth), (same, fewer, told)) = (run(true, iters), run(false, iters));
            assert_eq!((more, x), (fewer + 1, same));
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-10 * b;
            assert!(near(told.residual_norm, truth.residual_norm), "{told:?} {truth:?}");
            assert!(near(told.gradient_norm, truth.gradient_norm), "{told:?} {truth:?}");
            assert!(near(told.solution_norm, truth.solution_norm), "{told:?} {truth:?}");
        }
    }
}

/// Nothing was done, so nothing is known to be good.
#[test]
fn no_steps_claim_nothing() {
    let (a, b) = (mat![[2.0, 1.0], [1.0, 3.0], [0.0, 1.0]], mat![[1.0], [2.0], [3.0]]);
    for method in methods() {
        let column = method.with_max_iters(0).solve(&a, b.as_ref()).unwrap().report.columns[0];
        assert_eq!(column.ending, Ending::MaxIters);
        assert!(column.backward_error() > 0.1, "{column:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (a, b) = (mat![[2.0, 1.0], [1.0, 3.0], [0.0, 1.0]], mat![[1.0], [2.0], [3.0]]);
    let right = Mat::<f64>::identity(3, 3);
    let settings = LeastSquares::lsqr();
    let error = settings.solve_preconditioned(&a, &right, b.as_ref(), Par::Seq).unwrap_err();
    assert_eq!(error.to_string(), "preconditioner is 3 x 3, expected 2 x 3");
    let error = settings.with_damping(f64::INFINITY).solve(&a, b.as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "damping is inf, expected a finite number that is not negative");
}
