//! Laws and endings of the conjugate gradient method.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use core::ops::ControlFlow;
use core::sync::atomic::{AtomicUsize, Ordering};

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatMut, MatRef, Par, mat};
use nearlin_krylov::{AdjointOp, Cg, Ending, Identity, KrylovError, LinOp, Precond, Scalar, Step};
use proptest::prelude::*;

/// A diagonal operator, and as a preconditioner its own action.
struct Diagonal<T>(Vec<T>);

impl<T: Scalar> LinOp<T> for Diagonal<T> {
    fn nrows(&self) -> usize {
        self.0.len()
    }
    fn ncols(&self) -> usize {
        self.0.len()
    }
    fn apply(&self, mut y: MatMut<'_, T>, x: MatRef<'_, T>, _: Par, _: &mut MemStack) {
        for j in 0..x.ncols() {
            for (i, &a) in self.0.iter().enumerate() {
                y[(i, j)] = a * x[(i, j)];
            }
        }
    }
}

impl<T: Scalar> Precond<T> for Diagonal<T> {
    fn dim(&self) -> usize {
        self.0.len()
    }
    fn apply(&self, z: MatMut<'_, T>, r: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        LinOp::apply(self, z, r, par, stack);
    }
}

fn column(values: &[f64]) -> Mat<f64> {
    Mat::from_fn(values.len(), 1, |i, _| values[i])
}

/// Eigenvalues in `[1, condition]` and a right-hand side, both drawn at random.
fn problem() -> impl Strategy<Value = (Vec<f64>, Vec<f64>, f64)> {
    (2usize..60, 0.0..6.0f64).prop_flat_map(|(n, log_condition)| {
        let condition = 10f64.powf(log_condition);
        (
            prop::collection::vec(0.0..1.0f64, n)
                .prop_map(move |u| u.iter().map(|u| condition.powf(*u)).collect()),
            prop::collection::vec(-1.0..1.0f64, n),
            Just(condition),
        )
    })
}

proptest! {
    /// `|x_k - x|_A <= 2 ((sqrt(c) - 1) / (sqrt(c) + 1))^k |x|_A` (Saad, Thm 6.29), as long as the
    /// bound stays above what rounding allows.
    #[test]
    fn error_follows_the_chebyshev_bound((eigenvalues, b, condition) in problem(), k in 1usize..40) {
        let a = Diagonal(eigenvalues.clone());
        let cg = Cg::default().with_rtol(0.0).with_max_iters(k);
        let solution = cg.solve(&a, column(&b).as_ref()).unwrap();
        let energy = |x: &dyn Fn(usize) -> f64| {
            eigenvalues.iter().enumerate().map(|(i, l)| l * (b[i] / l - x(i)).powi(2)).sum::<f64>().sqrt()
        };
        let rate = (condition.sqrt() - 1.0) / (condition.sqrt() + 1.0);
        let start = energy(&|_| 0.0);
        let bound = (2.0 * rate.powf(k as f64)).max(1e-10) * start;
        let error = energy(&|i| solution.x[(i, 0)]);
        prop_assert!(error <= bound * (1.0 + 1e-8), "error {error:e}, bound {bound:e}");
    }

    /// The estimated condition number is never above the true one, and is that of the eigenvalues that the right-hand side
    /// sees once there are as many steps.
    #[test]
    fn condition_numbers_are_met(powers in prop::collection::vec(0.0..2.0f64, 2..12), steps in 1usize..40) {
        let eigenvalues: Vec<f64> = powers.iter().map(|p| 10f64.powf(*p)).collect();
        let largest = eigenvalues.iter().copied().fold(0.0, f64::max);
        let condition = largest / eigenvalues.iter().copied().fold(f64::INFINITY, f64::min);
        let b = Mat::from_fn(eigenvalues.len(), 1, |i, _| 1.0 + i as f64);
        // Not beyond what rounding allows, where steps say nothing of the operator.
        let few = Cg::default().with_rtol(1e-10).with_max_iters(steps);
        let found = few.solve(&Diagonal(eigenvalues.clone()), b.as_ref()).unwrap().report.condition();
        prop_assert!((1.0 - 1e-7..=condition * (1.0 + 1e-7)).contains(&found), "{found} of {condition}");
        let whole = Cg::default().with_rtol(1e-13).solve(&Diagonal(eigenvalues.clone()), b.as_ref()).unwrap();
        let found = whole.report.condition();
        prop_assert!((found / condition - 1.0).abs() < 1e-6, "{found} of {condition}");
        // Preconditioned by its inverse an operator has a condition number of 1.
        let inverse = Diagonal(eigenvalues.iter().map(|l| 1.0 / l).collect());
        let a = Diagonal(eigenvalues);
        let report = Cg::default().solve_preconditioned(&a, &inverse, b.as_ref(), Par::Seq).unwrap().report;
        prop_assert!((report.condition() - 1.0).abs() < 1e-7, "{}", report.condition());
    }

    /// What the report calls the residual is `|b - A x| / |b|`, to the rounding of forming it.
    #[test]
    fn the_reported_residual_is_the_true_one((eigenvalues, b, condition) in problem(), rtol in 1e-14..1e-2f64) {
        let a = Diagonal(eigenvalues.iter().map(|&l| l as f32).collect::<Vec<f32>>());
        let b32 = Mat::from_fn(b.len(), 1, |i, _| b[i] as f32);
        let solution = Cg::default().with_rtol(rtol).solve(&a, b32.as_ref()).unwrap();
        let column = solution.report.columns[0];
        let norm = |f: &dyn Fn(usize) -> f64| (0..b.len()).map(|i| f(i).powi(2)).sum::<f64>().sqrt();
        let b_norm = norm(&|i| f64::from(b32[(i, 0)]));
        let x_norm = norm(&|i| f64::from(solution.x[(i, 0)]));
        let true_rel = norm(&|i| f64::from(b32[(i, 0)]) - f64::from(a.0[i]) * f64::from(solution.x[(i, 0)])) / b_norm;
        // Forming b - A x in f32 errs by at most 2 eps (|b| + |A| |x|), scaling x by eps |A| |x|.
        let slack = 4.0 * f64::from(f32::EPSILON) * (1.0 + condition * x_norm / b_norm);
        prop_assert!((column.rel_residual - true_rel).abs() <= slack, "{} against {true_rel}", column.rel_residual);
        match column.ending {
            Ending::Converged => prop_assert!(column.rel_residual <= rtol),
            _ => prop_assert!(column.rel_residual > rtol),
        }
    }

    /// A right-hand side scaled by a power of two gives the same steps and the scaled solution, bit
    /// for bit, from 2^-500 to 2^500.
    #[test]
    fn scale_does_not_matter((eigenvalues, b, _) in problem(), exponent in -500i32..500) {
        let a = Diagonal(eigenvalues);
        let scale = 2f64.powi(exponent);
        let scaled: Vec<f64> = b.iter().map(|v| v * scale).collect();
        let one = Cg::default().solve(&a, column(&b).as_ref()).unwrap();
        let two = Cg::default().solve(&a, column(&scaled).as_ref()).unwrap();
        prop_assert_eq!(&one.report, &two.report);
        for i in 0..b.len() {
            prop_assert_eq!(one.x[(i, 0)] * scale, two.x[(i, 0)]);
        }
    }

    /// Columns do not see one another: solved together or alone, in any order, same bits.
    #[test]
    fn columns_are_independent((eigenvalues, b, _) in problem(), rtol in 1e-12..1e-1f64) {
        let a = Diagonal(eigenvalues);
        let n = b.len();
        let block = Mat::from_fn(n, 3, |i, j| match j { 0 => b[i], 1 => 0.0, _ => 1e-8 * b[n - 1 - i] });
        let cg = Cg::default().with_rtol(rtol).with_replace_every(usize::MAX);
        let together = cg.solve(&a, block.as_ref()).unwrap();
        for j in 0..3 {
            let alone = cg.solve(&a, block.as_ref().subcols(j, 1)).unwrap();
            for i in 0..n {
                prop_assert_eq!(alone.x[(i, 0)], together.x[(i, j)]);
            }
            prop_assert_eq!(alone.report.columns[0].rel_residual, together.report.columns[j].rel_residual);
        }
    }

    /// `<A x, y> = <x, A* y>` for matrices as operators, to the rounding of the inner products.
    #[test]
    fn matrix_adjoint(m in 1usize..20, n in 1usize..20, seed: u32) {
        let entry = |i: usize, j: usize| ((i * 31 + j * 17 + seed as usize % 1000) % 23) as f64 / 11.0 - 1.0;
        let a = Mat::from_fn(m, n, entry);
        let (x, y) = (Mat::from_fn(n, 1, |i, _| entry(i, 40)), Mat::from_fn(m, 1, |i, _| entry(i, 41)));
        let (mut ax, mut aty) = (Mat::zeros(m, 1), Mat::zeros(n, 1));
        let mut scratch = MemBuffer::new(a.apply_scratch(1, Par::Seq).or(a.apply_adjoint_scratch(1, Par::Seq)));
        a.apply(ax.as_mut(), x.as_ref(), Par::Seq, MemStack::new(&mut scratch));
        a.apply_adjoint(aty.as_mut(), y.as_ref(), Par::Seq, MemStack::new(&mut scratch));
        let left: f64 = (0..m).map(|i| ax[(i, 0)] * y[(i, 0)]).sum();
        let right: f64 = (0..n).map(|i| aty[(i, 0)] * x[(i, 0)]).sum();
        // At most m n products of numbers below 1.1, each chain of at most m + n roundings.
        prop_assert!((left - right).abs() <= 2.0 * ((m + n) * m * n) as f64 * 1.4 * f64::EPSILON);
    }
}

/// faer's solver with a zero guess read an uninitialised residual here and gave NaN.
#[test]
fn diagonal_of_one_to_forty() {
    let a = Diagonal((1..=40).map(f64::from).collect());
    let solution = Cg::default().solve(&a, Mat::from_fn(40, 1, |_, _| 1.0).as_ref()).unwrap();
    assert_eq!(solution.report.ending, Ending::Converged);
    assert!(solution.report.iters <= 40);
    for i in 0..40 {
        assert!((solution.x[(i, 0)] - 1.0 / (i + 1) as f64).abs() < 1e-9);
    }
}

/// One shared Frobenius test would stop after a step with the small column unsolved.
#[test]
fn columns_of_unlike_scale_all_converge() {
    let a = Diagonal((1..=40).map(f64::from).collect());
    let b = Mat::from_fn(40, 2, |i, j| if j == 0 { 1e8 } else { 1e-8 * (1 + i % 7) as f64 });
    let report = Cg::default().solve(&a, b.as_ref()).unwrap().report;
    assert_eq!(report.ending, Ending::Converged);
    assert!(report.columns.iter().all(|c| c.rel_residual <= 1e-10), "{report:?}");
}

/// The exact inverse as preconditioner needs one step; the square of the condition is not seen.
#[test]
fn an_exact_preconditioner_needs_one_step() {
    let eigenvalues: Vec<f64> = (0..30).map(|i| 10f64.powi(i % 10)).collect();
    let inverse = Diagonal(eigenvalues.iter().map(|l| 1.0 / l).collect());
    let b = Mat::from_fn(30, 1, |i, _| 1.0 + i as f64);
    let solution =
        Cg::default().solve_preconditioned(&Diagonal(eigenvalues), &inverse, b.as_ref(), Par::Seq);
    let report = solution.unwrap().report;
    assert_eq!((report.ending, report.iters), (Ending::Converged, 1));
}

#[test]
fn operators_that_are_not_positive_definite_break_down() {
    let b = mat![[1.0, 1.0], [0.0, -1.0]];
    let report = Cg::default().solve(&mat![[1.0, 2.0], [2.0, 1.0]], b.as_ref()).unwrap().report;
    assert!(
        matches!(report.ending, Ending::Breakdown { column: 0, what: "p' A p", .. }),
        "{report:?}"
    );

    let zero = Cg::default().solve(&Mat::<f64>::zeros(2, 2), b.as_ref()).unwrap();
    assert!(matches!(zero.report.ending, Ending::Breakdown { column: 0, value: 0.0, .. }));
    assert!(zero.x == Mat::<f64>::zeros(2, 2), "a zero operator leaves x at its start");
    assert!(zero.report.columns.iter().all(|c| (c.rel_residual - 1.0).abs() < 1e-15));

    let broken = Cg::default().solve(&mat![[f64::NAN, 0.0], [0.0, 1.0]], b.as_ref()).unwrap();
    assert!(matches!(broken.report.ending, Ending::Breakdown { .. }));
    assert!(broken.report.columns.iter().all(|c| c.rel_residual.is_finite()));
    assert!(broken.x == Mat::<f64>::zeros(2, 2));

    let negative = Diagonal(vec![-1.0, 1.0]);
    let report = Cg::default()
        .solve_preconditioned(&Diagonal(vec![1.0, 1.0]), &negative, b.as_ref(), Par::Seq)
        .unwrap()
        .report;
    assert!(matches!(report.ending, Ending::Breakdown { what: "r' P r", .. }), "{report:?}");
}

/// Condition 1e10 in `f32` cannot reach 1e-12; the solver must say so, with the true residual.
#[test]
fn an_impossible_tolerance_stagnates() {
    let a = Diagonal((0..50).map(|i| 10f32.powf(i as f32 / 5.0)).collect());
    let b = Mat::from_fn(50, 1, |i, _| 1.0f32 + (i % 3) as f32);
    let cg = Cg::default().with_rtol(1e-12).with_max_iters(20_000);
    let report = cg.solve(&a, b.as_ref()).unwrap().report;
    assert_eq!(report.ending, Ending::Stagnated, "{report:?}");
    assert!(report.columns[0].rel_residual > 1e-12);
}

/// In `f32` the recurrence runs on to 1e-10 where the true residual stays near the unit roundoff. What is
/// reported is the latter, formed here in `f64`: forming it in `f32` errs by `2 eps` of `|b|`.
#[test]
fn the_recurrence_is_not_believed() {
    let n = 60;
    let a = Diagonal((0..n).map(|i| 10f32.powf(i as f32 / 15.0)).collect());
    let b = Mat::from_fn(n, 1, |i, _| 1.0f32 + (i % 7) as f32 / 3.0);
    let cg = Cg::default().with_rtol(1e-10).with_max_iters(20_000).with_replace_every(20_000);
    let claimed = cg.with_final_check(false).solve(&a, b.as_ref()).unwrap().report;
    assert_eq!(claimed.ending, Ending::Converged, "{claimed:?}");
    let solution = cg.solve(&a, b.as_ref()).unwrap();
    let square = |f: &dyn Fn(usize) -> f64| (0..n).map(|i| f(i).powi(2)).sum::<f64>();
    let (x, a) = (&solution.x, &a.0);
    let left = square(&|i| f64::from(b[(i, 0)]) - f64::from(a[i]) * f64::from(x[(i, 0)]));
    let rel = (left / square(&|i| f64::from(b[(i, 0)]))).sqrt();
    let reported = solution.report.columns[0].rel_residual;
    assert_eq!(solution.report.ending, Ending::Stagnated, "{:?}", solution.report);
    assert!((reported - rel).abs() <= 2.0 * f64::from(f32::EPSILON), "{reported:e}, {rel:e}");
    assert!(rel > 1e-9, "{rel:e}");
}

/// Looks at the true residual leave the directions alone while the recurrence's is as good: they cost no iterations.
#[test]
fn looks_at_the_residual_cost_no_iterations() {
    let n = 150;
    let a = Diagonal((0..n).map(|i| 10f64.powf(4.0 * i as f64 / 149.0)).collect());
    let b = Mat::from_fn(n, 1, |i, _| 1.0 + (i % 7) as f64 / 3.0);
    let iterations = |every: usize| {
        let cg = Cg::default().with_rtol(1e-8).with_replace_every(every);
        let report = cg.solve(&a, b.as_ref()).unwrap().report;
        assert_eq!(report.ending, Ending::Converged);
        report.iters
    };
    let (often, never) = (iterations(8), iterations(20_000));
    assert!(often <= never + never / 50, "{often} iterations, {never} without a look");
}

#[test]
fn the_observer_stops_and_the_budget_ends() {
    let a = Diagonal((1..=40).map(f64::from).collect());
    let b = Mat::from_fn(40, 1, |_, _| 1.0);
    let mut x = Mat::zeros(40, 1);
    let identity = Identity { dim: 40 };
    let mut seen = Vec::new();
    let mut scratch = MemBuffer::new(Cg::scratch::<f64>(&a, &identity, 1, Par::Seq));
    let report = Cg::default()
        .solve_into(
            x.as_mut(),
            &a,
            &identity,
            b.as_ref(),
            &mut |step: &Step<'_>| {
                seen.push(step.rel_residuals[0]);
                if step.iter == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
            Par::Seq,
            MemStack::new(&mut scratch),
        )
        .unwrap();
    assert_eq!((report.ending, report.iters, seen.len()), (Ending::Stopped, 3, 3));
    assert!((report.columns[0].rel_residual - seen[2]).abs() < 1e-14);
    let report = Cg::default().with_max_iters(2).solve(&a, b.as_ref()).unwrap().report;
    assert_eq!((report.ending, report.iters), (Ending::MaxIters, 2));
}

#[test]
fn wrong_calls_are_named() {
    let a: Mat<f64> = Mat::identity(2, 2);
    let error = Cg::default().solve(&a, mat![[1.0], [f64::INFINITY]].as_ref()).unwrap_err();
    assert_eq!(
        error,
        KrylovError::NonFinite { what: "right-hand side", row: 1, column: 0, value: f64::INFINITY }
    );
    let error = Cg::default().solve(&a, Mat::zeros(3, 1).as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "operator is 2 x 2, expected 3 x 3");
    let error = Cg::default().with_rtol(f64::NAN).solve(&a, Mat::zeros(2, 1).as_ref()).unwrap_err();
    assert!(matches!(error, KrylovError::Setting { name: "rtol", .. }));
}

#[test]
fn a_zero_right_hand_side_is_solved_by_zero() {
    let a: Mat<f64> = Mat::identity(2, 2);
    let solution = Cg::default().solve(&a, Mat::zeros(2, 2).as_ref()).unwrap();
    assert_eq!((solution.report.ending, solution.report.iters), (Ending::Converged, 0));
    assert_eq!(solution.report.worst_residual(), 0.0);
}

proptest! {
    /// Without the final check a solve takes the same steps and one application less, and its report
    /// tells the recurrence's residual, which in few steps is the true one to rounding.
    #[test]
    fn the_final_check_costs_one_application((eigenvalues, b, _) in problem()) {
        let (a, b) = (Diagonal(eigenvalues), column(&b));
        prop_assume!(b.norm_max() > 0.0);
        let cg = Cg::default().with_rtol(1e-3).with_max_iters(8);
        let checked = cg.solve(&a, b.as_ref()).unwrap();
        let free = cg.with_final_check(false).solve(&a, b.as_ref()).unwrap();
        prop_assert_eq!(&free.x, &checked.x);
        prop_assert_eq!(free.report.iters, checked.report.iters);
        prop_assert_eq!(free.report.applications + 1, checked.report.applications);
        prop_assert_eq!(free.report.ending, checked.report.ending);
        let (told, truly) = (free.report.columns[0].rel_residual, checked.report.columns[0].rel_residual);
        prop_assert!((told - truly).abs() <= 1e-9, "{} and {}", told, truly);
    }
}

/// Counts the columns that it is applied to.
struct Counting(Diagonal<f64>, AtomicUsize);

impl LinOp<f64> for Counting {
    fn nrows(&self) -> usize {
        self.0.nrows()
    }

    fn ncols(&self) -> usize {
        self.0.ncols()
    }

    fn apply(&self, y: MatMut<'_, f64>, x: MatRef<'_, f64>, par: Par, stack: &mut MemStack) {
        self.1.fetch_add(x.ncols(), Ordering::Relaxed);
        LinOp::apply(&self.0, y, x, par, stack);
    }
}

/// A column that is done costs nothing more, and the others are solved as if it had never been there.
#[test]
fn columns_that_are_done_leave() {
    let n = 40;
    // An eigenvector takes one step, the sum of all of them many.
    let b = Mat::from_fn(n, 3, |i, j| if j == 1 { 1.0 } else { f64::from(u8::from(i == 7 * j)) });
    let counting = Counting(Diagonal((1..=n).map(|i| i as f64).collect()), AtomicUsize::new(0));
    let cg = Cg::default().with_rtol(1e-8);
    let together = cg.solve(&counting, b.as_ref()).unwrap();
    let iters: Vec<usize> = together.report.columns.iter().map(|column| column.iters).collect();
    assert_eq!((iters[0], iters[2]), (1, 1));
    assert!(iters[1] > 15, "{iters:?}");
    // Three columns at the first step and at the check, one in between, but for the residual that is replaced.
    let applied = counting.1.load(Ordering::Relaxed);
    assert!(applied <= 3 + (iters[1] - 1) + 3 * (iters[1] / cg.replace_every + 1), "{applied}");
    let alone = cg.solve(&counting.0, b.as_ref().subcols(1, 1)).unwrap();
    assert_eq!(alone.x.col(0), together.x.col(1));
}
