//! Paths of ridges, operators that are known by products, and how often a matrix is read.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use core::sync::atomic::{AtomicUsize, Ordering};

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::solvers::Solve;
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_krylov::{AdjointOp, LinOp};
use nearlin_lstsq::{Fit, Lstsq, LstsqError, Matrix, Operator};
use nearlin_sketch::{SketchError, SparseSign};
use proptest::prelude::*;

fn noise(seed: u64, i: usize) -> f64 {
    let mut z = seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn matrix(m: usize, n: usize, seed: u64) -> Mat<f64> {
    Mat::from_fn(m, n, |i, j| noise(seed, i * n + j) * [1.0, 0.1, 0.01, 0.001][j % 4])
}

fn distance(x: &Mat<f64>, y: &Mat<f64>) -> f64 {
    (x - y).norm_l2()
}

/// A matrix that counts how often it is read.
struct Counted {
    a: Mat<f64>,
    reads: AtomicUsize,
}

impl Counted {
    fn new(a: Mat<f64>) -> Self {
        Self { a, reads: AtomicUsize::new(0) }
    }

    fn read(&self) -> &Mat<f64> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        &self.a
    }
}

impl LinOp<f64> for Counted {
    fn nrows(&self) -> usize {
        self.a.nrows()
    }

    fn ncols(&self) -> usize {
        self.a.ncols()
    }

    fn apply(&self, y: MatMut<'_, f64>, x: MatRef<'_, f64>, par: Par, stack: &mut MemStack) {
        self.read().apply(y, x, par, stack);
    }
}

impl AdjointOp<f64> for Counted {
    fn apply_adjoint_scratch(&self, k: usize, par: Par) -> StackReq {
        self.a.apply_adjoint_scratch(k, par)
    }

    fn apply_adjoint(
        &self,
        x: MatMut<'_, f64>,
        y: MatRef<'_, f64>,
        par: Par,
        stack: &mut MemStack,
    ) {
        self.read().apply_adjoint(x, y, par, stack);
    }

    fn apply_both_scratch(&self, k: usize, par: Par) -> StackReq {
        self.a.apply_both_scratch(k, par)
    }

    fn apply_both(
        &self,
        y: MatMut<'_, f64>,
        alpha: &[f64],
        x: MatRef<'_, f64>,
        z: MatMut<'_, f64>,
        par: Par,
        stack: &mut MemStack,
    ) {
        self.read().apply_both(y, alpha, x, z, par, stack);
    }
}

impl Matrix<f64> for Counted {
    fn write(&self, out: MatMut<'_, f64>, scales: Option<&[f64]>, par: Par) {
        self.read().write(out, scales, par);
    }

    fn write_adjoint(&self, out: MatMut<'_, f64>, par: Par) {
        self.read().write_adjoint(out, par);
    }

    fn sketch(
        &self,
        out: MatMut<'_, f64>,
        sketch: &SparseSign,
        scales: Option<&[f64]>,
        par: Par,
    ) -> Result<(), SketchError> {
        self.read().sketch(out, sketch, scales, par)
    }

    fn sketch_adjoint(
        &self,
        out: MatMut<'_, f64>,
        sketch: &SparseSign,
        par: Par,
    ) -> Result<(), SketchError> {
        self.read().sketch_adjoint(out, sketch, par)
    }
}

/// Sketched and not, tall and wide.
fn shapes() -> impl Strategy<Value = (usize, usize, Lstsq)> {
    (1usize..300, 1usize..15, any::<bool>(), any::<bool>()).prop_map(|(m, n, wide, sketched)| {
        let (m, n) = if wide { (n, m) } else { (m, n) };
        let settings =
            if sketched { Lstsq::default().with_oversampling(4.0) } else { Lstsq::default() };
        (m, n, settings)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The passes that a report tells are those that were made, in all the fits of a path.
    #[test]
    fn passes_are_reads((m, n, settings) in shapes(), weighted: bool, ridges in prop::collection::vec(prop_oneof![Just(0.0), 1e-3..1.0], 1..4), stages in 1usize..4, seed: u64) {
        let a = Counted::new(matrix(m, n, seed));
        let b = matrix(m, 2, seed ^ 1);
        let settings = settings.with_stages(stages);
        let fits: Vec<Fit<f64>> = if weighted {
            let weights: Vec<f64> = (0..m).map(|i| 1.0 + noise(seed ^ 2, i)).collect();
            vec![settings.with_ridge(ridges[0]).solve_weighted(&a, b.as_ref(), &weights).unwrap()]
        } else {
            settings.solve_path(&a, b.as_ref(), &ridges).unwrap()
        };
        let told: usize = fits.iter().map(|fit| fit.report.passes).sum();
        prop_assert_eq!(told, a.reads.into_inner());
        for fit in &fits {
            let steps: usize = fit.report.iterations.iter().sum();
            prop_assert_eq!(fit.report.gradients.len(), steps);
            prop_assert_eq!(fit.report.iterations.len(), stages);
        }
    }

    /// Each fit of a path is the one that its ridge alone has, with one sketch for all.
    #[test]
    fn a_path_is_its_ridges((m, n, settings) in shapes(), mut ridges in prop::collection::vec(1e-6..1.0f64, 0..4), seed: u64) {
        ridges.push(0.0);
        let (a, b) = (matrix(m, n, seed), matrix(m, 2, seed ^ 1));
        let path = settings.solve_path(&a, b.as_ref(), &ridges).unwrap();
        prop_assert_eq!(path.len(), ridges.len());
        for (fit, &ridge) in path.iter().zip(&ridges) {
            let alone = settings.with_ridge(ridge).solve(&a, b.as_ref()).unwrap();
            let allowed = 1e-9 * (alone.x.norm_l2() + 1.0) * alone.report.condition;
            prop_assert!(distance(&fit.x, &alone.x) <= allowed, "{ridge}: {:e}", distance(&fit.x, &alone.x));
            prop_assert_eq!(fit.report.rank, alone.report.rank);
        }
    }

    /// An operator that is known by its products is solved with as its matrix is.
    #[test]
    fn operators_are_their_matrices((m, n, settings) in shapes(), weighted: bool, ridge in prop_oneof![Just(0.0), 1e-3..1.0], seed: u64) {
        let (a, b) = (matrix(m, n, seed), matrix(m, 1, seed ^ 1));
        let weights: Vec<f64> = (0..m).map(|i| if weighted { 1.0 + noise(seed ^ 2, i) } else { 1.0 }).collect();
        let settings = settings.with_ridge(ridge);
        let expected = settings.solve_weighted(&a, b.as_ref(), &weights).unwrap();
        let fit = settings.solve_weighted(&Operator(&a), b.as_ref(), &weights).unwrap();
        let allowed = 1e-10 * (expected.x.norm_l2() + 1.0) * expected.report.condition;
        prop_assert!(distance(&fit.x, &expected.x) <= allowed);
        prop_assert_eq!(fit.report.sketch_rows, expected.report.sketch_rows);
    }
}

/// What an operator is sketched to and written as, with scales, is what its matrix is.
#[test]
fn operators_are_sketched_as_their_matrices() {
    let a = matrix(90, 37, 1);
    let scales: Vec<f64> = (0..90).map(|i| 1.0 + noise(2, i)).collect();
    let (sketch, other) =
        (SparseSign::new(90, 50, 4, 3).unwrap(), SparseSign::new(37, 20, 4, 3).unwrap());
    let made = |a: &dyn Matrix<f64>| {
        let nan = |rows, cols| Mat::from_fn(rows, cols, |_, _| f64::NAN);
        let (mut written, mut turned) = (nan(90, 37), nan(37, 90));
        let (mut sketched, mut from_rows) = (nan(50, 37), nan(20, 90));
        a.write(written.as_mut(), Some(&scales), Par::Seq);
        a.write_adjoint(turned.as_mut(), Par::Seq);
        a.sketch(sketched.as_mut(), &sketch, Some(&scales), Par::Seq).unwrap();
        a.sketch_adjoint(from_rows.as_mut(), &other, Par::Seq).unwrap();
        [written, turned, sketched, from_rows]
    };
    for (of_operator, of_matrix) in made(&Operator(&a)).iter().zip(&made(&a)) {
        assert!(distance(of_operator, of_matrix) <= 1e-13 * of_matrix.norm_l2());
    }
}

/// What a wide system with a ridge needs is a factor as large as its rows, not its columns.
#[test]
fn wide_ridges_are_as_cheap_as_their_rows() {
    let (m, n) = (20, 4000);
    let (a, b) = (matrix(m, n, 1), matrix(m, 1, 2));
    let fit =
        Lstsq::default().with_ridge(0.1).with_oversampling(8.0).solve(&a, b.as_ref()).unwrap();
    assert_eq!(fit.report.sketch_rows, 160);
    // The normal equations in the dual form.
    let mut gram = &a * a.transpose();
    (0..m).for_each(|i| gram[(i, i)] += 0.1);
    let expected = a.transpose() * gram.partial_piv_lu().solve(&b);
    assert!(distance(&fit.x, &expected) < 1e-11 * expected.norm_l2());
}

/// The factor of a wide system is that of its weighted rows: where nothing is sketched it leaves nothing to iterate on.
#[test]
fn a_wide_factor_is_of_the_weighted_rows() {
    let (m, n) = (6, 300);
    let (a, b) = (matrix(m, n, 1), matrix(m, 1, 2));
    let weights: Vec<f64> = (1..=m).map(|i| 10f64.powf(i as f64)).collect();
    let fit = Lstsq::default().solve_weighted(&a, b.as_ref(), &weights).unwrap();
    assert_eq!(fit.report.sketch_rows, n);
    assert!(fit.report.iterations.iter().all(|&steps| steps <= 2), "{:?}", fit.report);
    assert!(fit.report.columns[0].rel_residual < 1e-13);
}

#[test]
fn bad_ridges_are_named() {
    let (a, b) = (matrix(9, 3, 1), matrix(9, 1, 2));
    let error = Lstsq::default().solve_path(&a, b.as_ref(), &[1.0, -2.0]).unwrap_err();
    assert!(matches!(error, LstsqError::Setting { name: "ridge", value, .. } if value == -2.0));
    assert!(Lstsq::default().solve_path(&a, b.as_ref(), &[]).unwrap().is_empty());
}

/// A copy in another order has the solution of the matrix, in as many passes and one for the copy; with weights in half of them, as
/// the copy has those.
#[test]
fn copies_have_the_same_solutions() {
    for (m, n, weighted) in [(8200, 520, false), (1_050_000, 4, true)] {
        let a = Mat::from_fn(m, n, |i, j| noise(j as u64, i) + if i % n == j { 1.0 } else { 0.0 });
        let b = matrix(m, 1, 3);
        let weights: Vec<f64> = (0..m).map(|i| 1.0 + noise(2, i)).collect();
        let settings = Lstsq::default().with_oversampling(3.0);
        let solve = |settings: Lstsq| {
            if weighted {
                settings.solve_weighted(&a, b.as_ref(), &weights).unwrap()
            } else {
                settings.solve(&a, b.as_ref()).unwrap()
            }
        };
        let (copied, plain) = (solve(settings), solve(settings.with_copies(false)));
        let off = distance(&copied.x, &plain.x);
        assert!(off <= 1e-12 * plain.x.norm_l2(), "{off:e}");
        assert_eq!(copied.report.iterations, plain.report.iterations);
        let steps = copied.report.iterations.iter().sum::<usize>() + 3;
        assert_eq!(copied.report.passes, steps + 2);
        assert_eq!(plain.report.passes, steps * if weighted { 2 } else { 1 } + 1);
    }
}
