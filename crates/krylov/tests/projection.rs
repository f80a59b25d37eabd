//! The stopping rule by what a matrix can still explain of the residual.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use core::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, Par};
use nearlin_krylov::{Ending, LeastSquares, LeastSquaresReport, Step};
use proptest::prelude::*;

/// A solve from `x`, preconditioned by `right`.
fn from(
    settings: LeastSquares,
    a: &Mat<f64>,
    right: &Mat<f64>,
    b: &Mat<f64>,
    x: &mut Mat<f64>,
) -> LeastSquaresReport {
    let par = Par::Seq;
    let mut buffer = MemBuffer::new(LeastSquares::scratch(a, Some(right), b.ncols(), par));
    let mut watch = |_: &Step<'_>| ControlFlow::Continue(());
    let stack = MemStack::new(&mut buffer);
    settings.solve_into(x.as_mut(), a, Some(right), b.as_ref(), &mut watch, par, stack).unwrap()
}

proptest! {
    /// With orthonormal `A N` and a start of `N d` off the solution, `|d|` is what is left to explain: a solve is done there if the
    /// tolerance allows that beside the start's norm, and goes on to the solution if it allows less.
    #[test]
    fn a_start_is_good_enough_or_not(m in 6usize..40, n in 1usize..6, off in -6.0..-2.0f64, scale in -300i32..300, lsmr: bool) {
        let by = 2f64.powi(scale);
        let a = Mat::from_fn(m, n, |i, j| ((i * (j + 2) * (j + 3)) as f64).sin() + if i == j { 3.0 } else { 0.0 });
        let svd = a.thin_svd().unwrap();
        let right = Mat::from_fn(n, n, |i, j| svd.V()[(i, j)] / svd.S().column_vector()[j]);
        let b = Mat::from_fn(m, 1, |i, _| by * (1.0 + (i as f64).cos()));
        let solution = &right * (svd.U().transpose() * &b);
        let size = 10f64.powf(off) * b.norm_l2();
        let away = Mat::from_fn(n, 1, |i, _| if i == n / 2 { size } else { 0.0 });
        let start = &solution + &right * &away;
        let method = if lsmr { LeastSquares::lsmr() } else { LeastSquares::lsqr() };
        let settings = method.with_tol(1e-14).with_warm_start(true);
        let part = size / start.norm_l2();

        let mut x = start.clone();
        let report = from(settings.with_projection_tol(1.01 * part), &a, &right, &b, &mut x);
        prop_assert_eq!((report.ending, report.iters), (Ending::LeastSquares, 0));
        prop_assert!(x == start);
        let report = from(settings.with_projection_tol(0.99 * part), &a, &right, &b, &mut x);
        prop_assert!(report.iters > 0);
        prop_assert!((&x - &solution).norm_l2() <= 1e-8 * (&start - &solution).norm_l2());
        // Nothing is known of a cold start.
        let mut x = Mat::zeros(n, 1);
        let cold = settings.with_warm_start(false).with_projection_tol(1e6);
        prop_assert!(from(cold, &a, &right, &b, &mut x).iters > 0);
    }
}

proptest! {
    /// Where steps are needed, as many as bring `|N* A* r|` below the tolerance, and no more.
    #[test]
    fn steps_end_where_nothing_is_left_to_explain(n in 4usize..8, off in -9.0..-4.0f64, noise in -6.0..0.0f64, lsmr: bool) {
        let m = 60;
        let a = Mat::from_fn(m, n, |i, j| ((i * (j + 2) * (j + 3)) as f64).sin() + if i == j { 3.0 } else { 0.0 });
        let svd = a.thin_svd().unwrap();
        // Singular values of `A N` from 0.6 to 1.4.
        let value = |j: usize| (0.6 + 0.8 * j as f64 / (n - 1) as f64) / svd.S().column_vector()[j];
        let right = Mat::from_fn(n, n, |i, j| svd.V()[(i, j)] * value(j));
        let b = Mat::from_fn(m, 1, |i, _| a[(i, 0)] + a[(i, n - 1)] + 10f64.powf(noise) * (i as f64).cos());
        let solution = svd.V() * Mat::from_fn(n, 1, |j, _| (svd.U().col(j).transpose() * b.col(0)) / svd.S().column_vector()[j]);
        let start = &solution + Mat::from_fn(n, 1, |i, _| 1e-3 * (i as f64 + 0.5).sin());
        let enough = 10f64.powf(off) * start.norm_l2();
        let method = if lsmr { LeastSquares::lsmr() } else { LeastSquares::lsqr() };
        let settings = method.with_tol(1e-15).with_warm_start(true).with_projection_tol(10f64.powf(off));
        let left = |x: &Mat<f64>| (right.transpose() * (a.transpose() * (&b - &a * x))).norm_l2();

        let mut x = start.clone();
        let report = from(settings, &a, &right, &b, &mut x);
        prop_assert!(left(&x) <= 1.01 * enough + 1e-13, "{:e} of {enough:e}", left(&x));
        prop_assert!(report.iters > 0);
        let mut x = start.clone();
        from(settings.with_max_iters(report.iters - 1), &a, &right, &b, &mut x);
        prop_assert!(left(&x) >= 0.99 * enough, "{:e} of {enough:e}", left(&x));
    }
}
