//! Levenberg-Marquardt steps at scales that are too small for Gauss-Newton steps.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{image, norm, problem, residual, run};
use faer::{MatMut, MatRef, Par};
use nearlin::{Equations, InnerTolerance, Network, Options, Run, Scale, SolverKind};
use nearlin_relu::Jacobian;
use proptest::prelude::*;

/// `J^T u` at the weights of `network`.
fn adjoint(equations: &Equations, network: &Network, u: &[f64]) -> Vec<f64> {
    let (n, m, d, k) = (equations.rows(), network.width(), network.inputs(), network.outputs());
    let mask = network.forward(equations.x(), Par::Seq).unwrap().mask;
    let signs = MatRef::from_row_major_slice(network.signs(), m, k);
    let mut v = vec![0.0; m * d];
    let target = MatMut::from_row_major_slice_mut(&mut v, m, d);
    let u = MatRef::from_row_major_slice(u, n, k);
    Jacobian::new(&mask, equations.x(), signs).unwrap().apply_adjoint(target, u, Par::Seq).unwrap();
    v
}

/// `|f - y|^2 + mu |W - W_0|^2`.
fn objective(equations: &Equations, run: &Run, ridge: f64) -> f64 {
    norm(&residual(equations, &run.network)).powi(2) + ridge * norm(run.network.change()).powi(2)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// A damped step of length 1 is where `J^T (r + J D) + mu (U + D) + lambda D` vanishes, whatever solves it.
    #[test]
    fn a_damped_step_minimises_the_damped_model(
        n in 40usize..70, d in 3usize..6, k in 1usize..3, seed: u64, which in 0..SolverKind::ALL.len(),
        ridge in prop::sample::select(vec![0.0, 1e-3]),
    ) {
        let equations = problem(n, d, k, seed);
        let options = Options::default()
            .width(64)
            .seed(seed)
            .ridge(ridge)
            .solver(Some(SolverKind::ALL[which]))
            .scale(Scale::Fixed(0.25))
            .inner_tolerance(InnerTolerance::Fixed(1e-11))
            .max_inner(2000)
            .max_steps(4);
        let whole = run(&equations, &options);
        for (at, step) in whole.steps.iter().enumerate() {
            if step.damping == 0.0 || step.step_length < 1.0 {
                continue;
            }
            let [before, after] = [at, at + 1].map(|steps| run(&equations, &options.max_steps(steps)));
            let r = residual(&equations, &before.network);
            let (u, to) = (before.network.change(), after.network.change());
            let change: Vec<f64> = to.iter().zip(u).map(|(to, u)| to - u).collect();
            let linear: Vec<f64> =
                image(&equations, &before.network, &change).iter().zip(&r).map(|(v, r)| v + r).collect();
            let mut left = adjoint(&equations, &before.network, &linear);
            let mut gradient = adjoint(&equations, &before.network, &r);
            for i in 0..left.len() {
                left[i] += ridge * to[i] + step.damping * change[i];
                gradient[i] += ridge * u[i];
            }
            prop_assert!(norm(&left) <= 1e-6 * norm(&gradient), "{} {}", norm(&left), norm(&gradient));
        }
    }

    /// Every step lowers the objective by what it says.
    #[test]
    fn gains_are_what_the_objective_falls_by(
        n in 20usize..50, d in 2usize..5, seed: u64, ridge in prop::sample::select(vec![0.0, 1e-3]),
    ) {
        let equations = problem(n, d, 1, seed);
        let options =
            Options::default().width(64).seed(seed).ridge(ridge).scale(Scale::Fixed(0.25)).max_steps(5);
        let whole = run(&equations, &options);
        let mut last = objective(&equations, &run(&equations, &options.max_steps(0)), ridge);
        for (at, step) in whole.steps.iter().enumerate() {
            let next = objective(&equations, &run(&equations, &options.max_steps(at + 1)), ridge);
            let gain = (last - next) / next;
            prop_assert!((step.gain - gain).abs() <= 1e-7 * (1.0 + gain.abs()), "{} {gain}", step.gain);
            last = next;
        }
    }
}

/// Where the linear model fails, damped steps get far below what the first, shortened ones reach.
#[test]
fn damping_goes_on_where_the_linear_model_fails() {
    let equations = problem(200, 8, 1, 3);
    let options = Options::default().width(256).ridge(1e-3).scale(Scale::Fixed(1.0)).max_steps(60);
    let whole = run(&equations, &options);
    assert!(whole.steps.iter().any(|step| step.damping > 0.0));
    let first = whole.steps[0].rel_gradient.unwrap();
    let last = whole.steps[whole.steps.len() - 1].rel_gradient.unwrap();
    assert!(last < 0.2 * first, "{first} {last}");
}
