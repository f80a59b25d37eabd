//! Settings of conjugate gradients: flexible directions and warm starts.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use core::ops::ControlFlow;
use core::sync::atomic::{AtomicUsize, Ordering};

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_krylov::{Cg, Ending, Identity, KrylovError, Precond, Step};

fn diagonal(values: &[f64]) -> Mat<f64> {
    Mat::from_fn(values.len(), values.len(), |i, j| if i == j { values[i] } else { 0.0 })
}

/// A diagonal preconditioner.
struct Root(Vec<f64>);

impl Precond<f64> for Root {
    fn dim(&self) -> usize {
        self.0.len()
    }
    fn apply(&self, mut z: MatMut<'_, f64>, r: MatRef<'_, f64>, _: Par, _: &mut MemStack) {
        for j in 0..r.ncols() {
            self.0.iter().enumerate().for_each(|(i, by)| z[(i, j)] = by * r[(i, j)]);
        }
    }
}

/// A preconditioner that is another one each time: a part of the inverse of a diagonal.
struct Fickle {
    inverse: Vec<f64>,
    calls: AtomicUsize,
}

impl Precond<f64> for Fickle {
    fn dim(&self) -> usize {
        self.inverse.len()
    }
    fn apply(&self, mut z: MatMut<'_, f64>, r: MatRef<'_, f64>, _: Par, _: &mut MemStack) {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        for j in 0..r.ncols() {
            for (i, &inverse) in self.inverse.iter().enumerate() {
                let by = if (i + call).is_multiple_of(3) { 1.5 } else { 0.8 };
                z[(i, j)] = by * inverse * r[(i, j)];
            }
        }
    }
}

/// With a preconditioner that changes, directions that are made conjugate by what they are take fewer steps; with one that does
/// not, they are the same.
#[test]
fn flexible_directions_follow_a_fickle_preconditioner() {
    let n = 300;
    let eigenvalues: Vec<f64> = (0..n).map(|i| 10f64.powf(4.0 * i as f64 / n as f64)).collect();
    let b = Mat::from_fn(n, 2, |i, j| ((i + 1) * (j + 2)) as f64 % 7.0 - 3.0);
    let a = diagonal(&eigenvalues);
    let steps = |cg: Cg| {
        let inverse = eigenvalues.iter().map(|l| 1.0 / l).collect();
        let fickle = Fickle { inverse, calls: AtomicUsize::new(0) };
        let report = cg.solve_preconditioned(&a, &fickle, b.as_ref(), Par::Seq).unwrap().report;
        assert_eq!(report.ending, Ending::Converged);
        report.iters
    };
    let cg = Cg::default().with_rtol(1e-9).with_replace_every(7);
    let (stiff, flexible) = (steps(cg), steps(cg.with_flexible(true)));
    assert!(flexible < 30 && 3 * flexible < 2 * stiff, "{flexible} and {stiff} steps");
    let few = cg.with_max_iters(20);
    let root = Root(eigenvalues.iter().map(|l| l.powf(-0.5)).collect());
    let solve = |cg: Cg| cg.solve_preconditioned(&a, &root, b.as_ref(), Par::Seq).unwrap().x;
    let (plain, flexible) = (solve(few), solve(few.with_flexible(true)));
    assert!((&plain - &flexible).norm_l2() < 1e-9 * plain.norm_l2());
}

/// A start at the solution is the end; one beside it is as good as the distance to it says.
#[test]
fn a_warm_start_goes_on() {
    let n = 50;
    let a = diagonal(&(1..=n).map(|i| i as f64).collect::<Vec<f64>>());
    let b = Mat::from_fn(n, 2, |i, j| (1.0 + i as f64) * [1.0, 1e6][j]);
    let identity = Identity { dim: n };
    let mut scratch = MemBuffer::new(Cg::scratch::<f64>(&a, &identity, 2, Par::Seq));
    let mut run = |cg: Cg, x: &mut Mat<f64>| {
        let mut watch = |_: &Step<'_>| ControlFlow::Continue(());
        let stack = MemStack::new(&mut scratch);
        cg.solve_into(x.as_mut(), &a, &identity, b.as_ref(), &mut watch, Par::Seq, stack).unwrap()
    };
    let warm = Cg::default().with_warm_start(true);
    let mut x = Mat::from_fn(n, 2, |_, j| [1.0, 1e6][j]);
    let exact = x.clone();
    assert_eq!(run(warm, &mut x).iters, 0);
    assert!((&x - &exact).norm_l2() <= 1e-15 * exact.norm_l2());
    x[(3, 0)] = 2.0;
    let report = run(warm, &mut x);
    assert_eq!((report.iters, report.ending), (1, Ending::Converged));
    assert!((&x - &exact).norm_l2() <= 1e-12 * exact.norm_l2());
    // In two parts as good as in one, though not by the same way.
    x.fill(f64::NAN);
    let few = Cg::default().with_max_iters(20);
    let first = run(few, &mut x);
    let second = run(warm, &mut x);
    assert_eq!((first.ending, second.ending), (Ending::MaxIters, Ending::Converged));
    assert!(second.columns.iter().all(|c| c.rel_residual <= 1e-10));
    let mut x = Mat::from_fn(n, 2, |_, _| f64::NAN);
    let mut watch = |_: &Step<'_>| ControlFlow::Continue(());
    let mut scratch = MemBuffer::new(Cg::scratch::<f64>(&a, &identity, 2, Par::Seq));
    let stack = MemStack::new(&mut scratch);
    let error = warm.solve_into(x.as_mut(), &a, &identity, b.as_ref(), &mut watch, Par::Seq, stack);
    assert!(matches!(error, Err(KrylovError::NonFinite { what: "start", .. })));
}
