//! Laws that hold between crates: sketches of the Jacobian, preconditioners, and the optimiser's
//! step against dense linear algebra on the Jacobian written out.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use core::ops::ControlFlow;

use faer::{Mat, MatRef, Par, Side};
use nearlin::{
    Equations, Event, Factor, InnerTolerance, Network, Options, Scale, SolverKind,
    solver::InnerSolver, solver::SketchedSrht, solver::SketchedTensorSrht, train,
};
use nearlin_krylov::{Cg, Ending, LinOp, Precond};
use nearlin_relu::{Init, Jacobian, PackedMask, Signs, gram};
use nearlin_sketch::{Sketch, Srht, TensorSrht};
use proptest::prelude::*;

/// SplitMix64 of `(seed, i)` in [-1, 1).
fn noise(seed: u64, i: usize) -> f64 {
    let mut z = seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// A solver, and the sketch that it is to use.
type Sketched = (Box<dyn InnerSolver<f64>>, Box<dyn Sketch<f64>>);

/// A network at its start, with inputs on the unit sphere and the masks there.
struct Setting {
    network: Network,
    x: Mat<f64>,
    mask: PackedMask,
}

fn setting(n: usize, d: usize, outputs: usize, width: usize, seed: u64) -> Setting {
    let mut x = Mat::from_fn(n, d, |i, j| noise(seed, i * d + j));
    for i in 0..n {
        let length = x.row(i).norm_l2();
        (0..d).for_each(|j| x[(i, j)] /= length);
    }
    let init = Init { inputs: d, outputs, width, seed, signs: Signs::Random };
    let network = init.network(1.0).unwrap();
    let mask = network.forward(x.as_ref(), Par::Seq).unwrap().mask;
    Setting { network, x, mask }
}

impl Setting {
    fn signs(&self) -> MatRef<'_, f64> {
        let (m, k) = (self.network.width(), self.network.outputs());
        MatRef::from_row_major_slice(self.network.signs(), m, k)
    }

    fn jacobian(&self) -> Jacobian<'_, f64> {
        Jacobian::new(&self.mask, self.x.as_ref(), self.signs()).unwrap()
    }

    /// `J^T` of output `k` written out, `md x n`.
    fn explicit(&self, k: usize) -> Mat<f64> {
        let (m, d) = (self.network.width(), self.network.inputs());
        Mat::from_fn(m * d, self.x.nrows(), |row, i| {
            let (r, q) = (row / d, row % d);
            let bit = if self.mask.get(i, r) { 1.0 } else { 0.0 };
            bit * self.signs()[(r, k)] * self.x[(i, q)] / (m as f64).sqrt()
        })
    }
}

/// `R^T R` of a factor.
fn gram_of(factor: Factor<f64>) -> Mat<f64> {
    match factor {
        Factor::Triangular(r) => {
            // Below the diagonal anything may lie.
            let r = Mat::from_fn(
                r.dim(),
                r.dim(),
                |i, j| if i <= j { r.matrix()[(i, j)] } else { 0.0 },
            );
            r.transpose() * &r
        }
        other => panic!("a sketching solver gives a triangular factor, not {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// What the sketching solvers factor is the sketch of the Jacobian written out, plus the ridge:
    /// columns made in place, the padding, the scale and the ridge's place are all in it. QR errs
    /// by `O(s n eps)` of the norm, as do the two ways to sketch.
    #[test]
    fn sketched_factors_are_sketches_of_the_jacobian(
        n in 3usize..20, d in 1usize..5, pairs in 20usize..60, ridge in 0.0..0.5f64, seed: u64,
    ) {
        let at = setting(n, d, 1, 2 * pairs, seed);
        let (rows, parameters) = (4 * n, 2 * pairs * d);
        prop_assume!(rows < parameters);
        let solvers: [Sketched; 2] = [
            (
                Box::new(SketchedSrht { sketch_rows: rows, seed }),
                Box::new(Srht::new(parameters, rows, seed).unwrap()),
            ),
            (
                Box::new(SketchedTensorSrht { sketch_rows: rows, seed }),
                Box::new(TensorSrht::new(2 * pairs, d, rows, seed).unwrap()),
            ),
        ];
        for (solver, sketch) in solvers {
            let mut sketched = Mat::zeros(rows, n);
            sketch.apply(sketched.as_mut(), at.explicit(0).as_ref(), Par::Seq).unwrap();
            let mut want = sketched.transpose() * &sketched;
            (0..n).for_each(|i| want[(i, i)] += ridge);
            let got = gram_of(solver.build(&at.jacobian(), ridge, Par::Seq).unwrap());
            let bound = 8.0 * (rows * n) as f64 * f64::EPSILON * want.norm_l2() + 2e-12;
            prop_assert!((&want - &got).norm_l2() <= bound, "{:?}", solver.kind());
        }
    }

    /// Popcounts, the packed Gram matrix and the matrix-free operator are `J J^T`.
    #[test]
    fn gram_of_the_explicit_jacobian(n in 1usize..30, d in 1usize..5, pairs in 1usize..50, seed: u64) {
        let at = setting(n, d, 1, 2 * pairs, seed);
        let explicit = at.explicit(0);
        let want = explicit.transpose() * &explicit;
        let got = gram(at.x.as_ref(), &at.mask, Par::Seq).unwrap();
        let bound = 4.0 * (2 * pairs * d) as f64 * f64::EPSILON;
        for j in 0..n {
            for i in j..n {
                prop_assert!((want[(i, j)] - got[(i, j)]).abs() <= bound);
            }
        }
    }
}

/// Condition number of `R^-T G R^-1`, from a dense eigendecomposition.
fn preconditioned_condition(g: &Mat<f64>, factor: &Factor<f64>) -> f64 {
    let n = g.nrows();
    let mut half = g.clone();
    let Factor::Triangular(r) = factor else { panic!("triangular") };
    r.solve_transpose_in_place(half.as_mut(), Par::Seq);
    let mut both = half.transpose().to_owned();
    r.solve_transpose_in_place(both.as_mut(), Par::Seq);
    let both = Mat::from_fn(n, n, |i, j| 0.5 * (both[(i, j)] + both[(j, i)]));
    let values = both.self_adjoint_eigenvalues(Side::Lower).unwrap();
    values[n - 1] / values[0]
}

/// A sketch to `s = 4 n` rows leaves a condition number that does not depend on that of `G`. For a
/// Gaussian sketch `((1 + sqrt(n/s) + t) / (1 - sqrt(n/s) - t))^2` holds except with probability
/// `2 exp(-s t^2 / 2)` (Davidson and Szarek); `n = 100`, `t = 0.2` give 32 and 7e-4. The SRHT and
/// the TensorSRHT are held to the same bound; their seeds are fixed.
#[test]
fn sketching_preconditions_whatever_the_condition() {
    let (n, d, width) = (100, 6, 600);
    let mut at = setting(n, d, 1, width, 5);
    for i in 0..n {
        // Rows from length 1 to 1e-4: a condition number of 1e8 on top of what G has.
        let length = 10f64.powf(-4.0 * i as f64 / n as f64);
        (0..d).for_each(|j| at.x[(i, j)] *= length);
    }
    let explicit = at.explicit(0);
    let g = explicit.transpose() * &explicit;
    for seed in 0..5 {
        let srht = SketchedSrht { sketch_rows: 4 * n, seed };
        let tensor = SketchedTensorSrht { sketch_rows: 4 * n, seed };
        for solver in [&srht as &dyn InnerSolver<f64>, &tensor] {
            let factor = solver.build(&at.jacobian(), 0.0, Par::Seq).unwrap();
            let condition = preconditioned_condition(&g, &factor);
            assert!(condition <= 32.0, "{:?}, seed {seed}: {condition}", solver.kind());
        }
    }
}

/// The first step of every solver is the one that dense algebra gives: `D = -J^T (J J^T + mu I)^-1 r`
/// with the `nK x nK` matrix written out.
#[test]
fn the_step_is_the_dense_solution() {
    let (n, d, k, width) = (25, 4, 3, 200);
    let at = setting(n, d, k, width, 9);
    let y: Vec<f64> = (0..n * k).map(|i| noise(4, i)).collect();
    // Rows i K + k, as the optimiser orders them.
    let blocks: Vec<Mat<f64>> = (0..k).map(|c| at.explicit(c)).collect();
    let jt = Mat::from_fn(width * d, n * k, |row, col| blocks[col % k][(row, col / k)]);
    let flat: Vec<f64> = (0..n * d).map(|at_| at.x[(at_ / d, at_ % d)]).collect();
    let equations = Equations::new(flat, y.clone(), d, k).unwrap();
    for ridge in [0.0, 0.1] {
        let mut g = jt.transpose() * &jt;
        (0..n * k).for_each(|i| g[(i, i)] += ridge);
        let rhs = Mat::from_fn(n * k, 1, |i, _| y[i]);
        let multipliers = faer::linalg::solvers::Solve::solve(&g.llt(Side::Lower).unwrap(), &rhs);
        let want = &jt * &multipliers;
        for kind in SolverKind::ALL {
            let options = Options::default()
                .width(width)
                .ridge(ridge)
                .seed(9)
                .signs(Some(Signs::Random))
                .solver(Some(kind))
                .scale(Scale::Fixed(1024.0))
                .inner_tolerance(InnerTolerance::Fixed(1e-12))
                .max_steps(1);
            let mut watch = |_: &Event<'_>| ControlFlow::Continue(());
            let run = train(&equations, &options, &mut watch).unwrap();
            let change = run.network.change();
            let difference: f64 =
                (0..width * d).map(|i| (change[i] - want[(i, 0)]).powi(2)).sum::<f64>().sqrt();
            assert!(difference <= 1e-8 * want.norm_l2(), "{kind}, ridge {ridge}: {difference:e}");
        }
    }
}

/// The matrix-free operator and the packed Gram matrix are interchangeable for the solver: the same
/// system, the same solution.
#[test]
fn one_system_two_operators() {
    struct MatrixFree<'a>(Jacobian<'a, f64>);
    impl LinOp<f64> for MatrixFree<'_> {
        fn nrows(&self) -> usize {
            self.0.examples()
        }
        fn ncols(&self) -> usize {
            self.0.examples()
        }
        fn apply(
            &self,
            y: faer::MatMut<'_, f64>,
            x: MatRef<'_, f64>,
            par: Par,
            _: &mut faer::dyn_stack::MemStack,
        ) {
            let mut v = Mat::zeros(self.0.width(), self.0.inputs());
            self.0.apply_adjoint(v.as_mut(), x, par).unwrap();
            self.0.apply(y, v.as_ref(), par).unwrap();
        }
    }
    let at = setting(60, 5, 1, 400, 2);
    let lower = gram(at.x.as_ref(), &at.mask, Par::Seq).unwrap();
    let full = Mat::from_fn(60, 60, |i, j| if i >= j { lower[(i, j)] } else { lower[(j, i)] });
    let b = Mat::from_fn(60, 1, |i, _| noise(6, i));
    let cg = Cg::default().with_rtol(1e-11);
    let dense = cg.solve(&full, b.as_ref()).unwrap();
    let free = cg.solve(&MatrixFree(at.jacobian()), b.as_ref()).unwrap();
    assert_eq!((dense.report.ending, free.report.ending), (Ending::Converged, Ending::Converged));
    let values = full.self_adjoint_eigenvalues(Side::Lower).unwrap();
    let condition = values[59] / values[0];
    let error = (&dense.x - &free.x).norm_l2() / dense.x.norm_l2();
    assert!(error <= 4e-11 * condition, "{error:e} at condition {condition:e}");
}

/// Preconditioners are symmetric and positive definite, as `Precond` asks.
#[test]
fn preconditioners_are_symmetric_and_positive() {
    let at = setting(40, 4, 3, 300, 3);
    for kind in SolverKind::ALL {
        let factor = kind.instance::<f64>(160, 1).build(&at.jacobian(), 0.01, Par::Seq).unwrap();
        let p = nearlin::Preconditioner { factor, examples: 40, outputs: 3 };
        let apply = |v: &Mat<f64>| {
            let mut z = Mat::from_fn(120, 1, |_, _| f64::NAN);
            let mut none = faer::dyn_stack::MemBuffer::new(faer::dyn_stack::StackReq::EMPTY);
            let stack = faer::dyn_stack::MemStack::new(&mut none);
            p.apply(z.as_mut(), v.as_ref(), Par::Seq, stack);
            z
        };
        let u = Mat::from_fn(120, 1, |i, _| noise(1, i));
        let v = Mat::from_fn(120, 1, |i, _| noise(2, i));
        let dot = |a: &Mat<f64>, b: &Mat<f64>| (a.transpose() * b)[(0, 0)];
        let (pu, pv) = (apply(&u), apply(&v));
        // With a ridge of 0.01 the factor's condition is at most 40 / 0.01.
        let bound = 120.0 * 4e3 * f64::EPSILON * pu.norm_l2() * v.norm_l2();
        assert!((dot(&pu, &v) - dot(&u, &pv)).abs() <= bound, "{kind}");
        assert!(dot(&pu, &u) > 0.0, "{kind}");
    }
}
