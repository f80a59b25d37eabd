//! Laws of fits by losses other than the squared one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::ops::ControlFlow;

use common::noise;
use faer::{Mat, Par};
use nearlin::{
    Criterion, Ending, Equations, Event, LinearFit, LinearModel, Loss, Network, Options, Scale,
    Signs, TrainError, fit_linear, left_out, loss_ridge_path, train, train_loss,
};
use proptest::prelude::*;

const LOSSES: [Loss; 5] = [
    Loss::Squared,
    Loss::Logistic,
    Loss::Softmax,
    Loss::Huber { delta: 0.3 },
    Loss::Pinball { level: 0.8, width: 1e-2 },
];

fn silent() -> impl FnMut(&Event<'_>) -> ControlFlow<()> {
    |_: &Event<'_>| ControlFlow::Continue(())
}

/// `n` rows of `p` inputs, the last of which is 1, and one-hot targets in `k` outputs (or 0 and 1 in one) that
/// no linear model separates.
fn problem(n: usize, p: usize, k: usize, seed: u64) -> (Mat<f64>, Vec<f64>) {
    let a = Mat::from_fn(n, p, |i, j| if j + 1 == p { 1.0 } else { noise(seed, i * p + j) });
    let class = |i: usize| {
        let score = a[(i, 0)] + noise(seed ^ 5, i);
        if score < -0.3 {
            0
        } else if score < 0.4 {
            1
        } else {
            2
        }
    };
    let y = (0..n * k).map(|at| f64::from(u8::from(class(at / k) % k.max(2) == at % k))).collect();
    (a, y)
}

/// `sum of w_i l(f_i, y_i) + mu |B|^2 / 2` and its gradient, from their definitions.
fn objective(
    a: &Mat<f64>,
    b: &Mat<f64>,
    y: &[f64],
    w: &[f64],
    loss: Loss,
    mu: f64,
) -> (f64, Mat<f64>) {
    let (f, k) = (a * b, b.ncols());
    let mut slopes = Mat::zeros(a.nrows(), k);
    let mut sum = 0.5 * mu * b.norm_l2() * b.norm_l2();
    for i in 0..a.nrows() {
        let row: Vec<f64> = f.row(i).iter().copied().collect();
        let mut g = vec![0.0; k];
        loss.gradient(&row, &y[i * k..][..k], &mut g);
        sum += w[i] * loss.value(&row, &y[i * k..][..k]);
        (0..k).for_each(|c| slopes[(i, c)] = w[i] * g[c]);
    }
    (sum, a.transpose() * slopes + faer::Scale(mu) * b)
}

fn fit(a: &Mat<f64>, y: &[f64], w: &[f64], loss: Loss, mu: f64, tolerance: f64) -> LinearFit {
    fit_linear(&LinearModel::new(a, y).weights(w), loss, mu, tolerance).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A fit says of itself what its definitions say of it, and its distance from the minimum is at most
    /// its gap. Sums of fewer than 200 terms of size 10 round by less than 1e-11, which is also far below a
    /// tolerance of 1e-9 where slopes rise by no more than 100 (the pinball's) times 60 over 0.1.
    #[test]
    fn a_fit_is_a_minimum(n in 8usize..60, p in 2usize..7, k in 1usize..4, mu in 0.1f64..3.0, seed: u64) {
        let (a, y) = problem(n, p, k, seed);
        let w: Vec<f64> = (0..n).map(|i| 1.0 + 0.5 * noise(seed ^ 9, i)).collect();
        for loss in LOSSES {
            if loss.check(&y, k).is_err() {
                continue;
            }
            let exact = fit(&a, &y, &w, loss, mu, 1e-9);
            prop_assert_eq!(exact.ending, Ending::Converged, "{:?}", loss);
            let (value, gradient) = objective(&a, &exact.weights, &y, &w, loss, mu);
            let start = objective(&a, &Mat::zeros(p, k), &y, &w, loss, mu).1.norm_l2();
            prop_assert!(gradient.norm_l2() <= 1.01e-9 * start + 1e-11, "{loss:?}: {}", gradient.norm_l2());
            prop_assert!((value - exact.objective).abs() <= 1e-11 * (1.0 + value), "{loss:?}");
            let rough = fit(&a, &y, &w, loss, mu, 1e-2);
            let above = rough.objective - exact.objective;
            prop_assert!(above >= -1e-11 * (1.0 + value), "{loss:?}: {above:e}");
            prop_assert!(above <= rough.gap + 1e-11 * (1.0 + value), "{loss:?}: {above:e} {}", rough.gap);
        }
    }

    /// An example that weighs two is two examples.
    #[test]
    fn weights_are_copies(n in 5usize..30, seed: u64) {
        let (a, y) = problem(n, 4, 3, seed);
        let twice = Mat::from_fn(n + n / 2, 4, |i, j| a[(i % n, j)]);
        let copied: Vec<f64> = (0..(n + n / 2) * 3).map(|at| y[at % (3 * n)]).collect();
        let w: Vec<f64> = (0..n).map(|i| if i < n / 2 { 2.0 } else { 1.0 }).collect();
        let ones = vec![1.0; n + n / 2];
        for loss in LOSSES {
            let (weighed, counted) = (
                fit(&a, &y, &w, loss, 0.5, 1e-11).weights,
                fit(&twice, &copied, &ones, loss, 0.5, 1e-11).weights,
            );
            // Both are within `gradient / mu` of the minimiser.
            prop_assert!((weighed - counted).norm_l2() <= 1e-9 * n as f64, "{loss:?}");
        }
    }
}

fn equations(n: usize, k: usize) -> Equations {
    let mut x = Vec::new();
    for i in 0..n {
        let row = [noise(3, 3 * i), noise(3, 3 * i + 1), 0.7];
        let length = common::norm(&row);
        x.extend(row.map(|x| x / length));
    }
    let class = |i: usize| {
        let (a, b) = (x[3 * i], x[3 * i + 1]);
        if a * a + b * b < 0.4 {
            0
        } else if a > 0.0 {
            1
        } else {
            2
        }
    };
    let y = (0..n * k).map(|at| f64::from(u8::from(class(at / k) % k.max(2) == at % k))).collect();
    Equations::new(x, y, 3, k).unwrap()
}

/// The objective of a network.
fn of_network(equations: &Equations, network: &Network, loss: Loss, mu: f64) -> f64 {
    let (f, k) = (network.forward(equations.x(), Par::Seq).unwrap().outputs, equations.outputs());
    let rows = f.chunks(k).zip(equations.y().chunks(k));
    let size = common::norm(network.change());
    rows.map(|(f, y)| loss.value(f, y)).sum::<f64>() + 0.5 * mu * size * size
}

/// At a trained network no direction lowers the loss: slopes by central differences are small beside those
/// at the start. With steps of 1e-4 along directions of length 1, second derivatives of a few and the mask
/// entries that flip err by some 1e-4 of them.
#[test]
fn networks_are_at_minima() {
    for (loss, k) in [
        (Loss::Logistic, 1),
        (Loss::Softmax, 3),
        (Loss::Huber { delta: 0.2 }, 1),
        (Loss::Pinball { level: 0.3, width: 0.05 }, 1),
    ] {
        let equations = equations(80, k);
        let options = Options::default().width(256).ridge(0.05).tolerance(1e-7);
        let run = train_loss(&equations, loss, None, &options, &mut silent()).unwrap();
        assert_eq!(run.ending, Ending::Converged, "{loss:?}: {}", run.reason);
        assert!(run.scale_search.last().unwrap().accepted);
        let slope = |network: &Network, salt: u64| {
            let mut moved = [network.clone(), network.clone()];
            let d: Vec<f64> = (0..network.change().len()).map(|at| noise(salt, at)).collect();
            let length = common::norm(&d);
            for (network, sign) in moved.iter_mut().zip([1e-4, -1e-4]) {
                network.change_mut().iter_mut().zip(&d).for_each(|(u, d)| *u += sign * d / length);
            }
            let [ahead, behind] = moved.map(|n| of_network(&equations, &n, loss, 0.05));
            (ahead - behind) / 2e-4
        };
        let init =
            nearlin_relu::Init { inputs: 3, outputs: k, width: 256, seed: 0, signs: Signs::Random };
        let fresh = init.network(run.scale).unwrap();
        for salt in 0..4 {
            let (at_end, at_start) = (slope(&run.network, salt), slope(&fresh, salt));
            assert!(
                at_end.abs() < 2e-3 * at_start.abs().max(0.05),
                "{loss:?}: {at_end} {at_start}"
            );
        }
        assert!(
            of_network(&equations, &run.network, loss, 0.05)
                < of_network(&equations, &fresh, loss, 0.05)
        );
    }
}

/// A thousandth of the rows' spread has all the curvature of a sharp pinball: with the exact block of one output that
/// costs Newton's systems nothing, so that all of a step's take no more iterations than a few each.
#[test]
fn corners_cost_few_iterations() {
    let (few, equations) = (equations(60, 1), equations(150, 1));
    for loss in [Loss::Pinball { level: 0.9, width: 1e-4 }, Loss::Huber { delta: 1e-3 }] {
        let options = Options::default().width(256).ridge(1e-3).tolerance(1e-6).max_steps(3);
        let solver = Some(nearlin::SolverKind::Cholesky);
        let options = options.solver(solver).scale(Scale::Fixed(65_536.0));
        let run = train_loss(&equations, loss, None, &options, &mut silent()).unwrap();
        for step in &run.steps {
            assert!(step.inner_iterations <= 300, "{loss:?}: {} iterations", step.inner_iterations);
            assert!(step.condition < 1.01, "{loss:?}: condition {}", step.condition);
        }
        assert!(run.ending != Ending::Stopped && !run.steps.is_empty());

        // An approximation knows the rows as well: without that, the first step takes more than three times as many.
        let taken = |solver| {
            let options = options.solver(Some(solver)).max_steps(1);
            let run = train_loss(&few, loss, None, &options, &mut silent()).unwrap();
            run.steps[0].inner_iterations
        };
        let (known, unknown) =
            (taken(nearlin::SolverKind::ArcCosine), taken(nearlin::SolverKind::Srht));
        assert!(3 * known < unknown, "{loss:?}: {known} {unknown}");
    }
}

/// The squared loss is what the other optimiser minimises.
#[test]
fn the_squared_loss_is_least_squares() {
    let equations = equations(120, 3);
    let options = Options::default()
        .width(256)
        .ridge(0.03)
        .scale(Scale::Fixed(65_536.0))
        .signs(Some(Signs::Random));
    let one = train(&equations, &options, &mut silent()).unwrap();
    let other = train_loss(&equations, Loss::Squared, None, &options, &mut silent()).unwrap();
    assert_eq!((one.ending, other.ending), (Ending::Converged, Ending::Converged));
    let [one, other] =
        [one, other].map(|run| run.network.forward(equations.x(), Par::Seq).unwrap().outputs);
    let off: Vec<f64> = one.iter().zip(&other).map(|(a, b)| a - b).collect();
    assert!(common::norm(&off) <= 1e-6 * common::norm(&one), "{:e}", common::norm(&off));
}

/// Without a least gain a run ends by its gradient, or says that it does not: not by what a step gained in rounding.
#[test]
fn no_gain_is_asked_for() {
    let equations = equations(60, 1);
    for loss in [Loss::Logistic, Loss::Huber { delta: 0.1 }] {
        let options = Options::default().width(128).ridge(1e-3).tolerance(1e-15).max_steps(60);
        let run = train_loss(&equations, loss, None, &options, &mut silent()).unwrap();
        assert!(!run.reason.contains("lowered the objective by"), "{}", run.reason);
        assert!(
            run.ending != Ending::Converged || run.reason.contains("gradient"),
            "{}",
            run.reason
        );
    }
}

#[test]
fn what_cannot_be_fitted_is_said() {
    let of = |loss, weights: Option<&[f64]>, ridge| -> TrainError {
        let options = Options::default().width(64).ridge(ridge);
        train_loss(&equations(4, 1), loss, weights, &options, &mut silent()).unwrap_err()
    };
    assert_eq!(
        of(Loss::Logistic, None, 0.0).to_string(),
        "ridge is 0, expected a positive number with a loss of its own"
    );
    assert_eq!(
        of(Loss::Logistic, Some(&[1.0, 2.0]), 0.1).to_string(),
        "weights has 2 entries, expected 4 x 1"
    );
    assert_eq!(
        of(Loss::Logistic, Some(&[1.0, 2.0, -1.0, 1.0]), 0.1).to_string(),
        "weight is -1, expected a positive finite number"
    );
    assert!(matches!(of(Loss::Softmax, None, 0.1), TrainError::Target { .. }));
    let ones = Mat::<f64>::from_fn(3, 1, |_, _| 1.0);
    let fit =
        |y: &[f64], ridge| fit_linear(&LinearModel::new(&ones, y), Loss::Squared, ridge, 1e-9);
    assert!(matches!(fit(&[1.0, 2.0, 3.0, 4.0], 1.0), Err(TrainError::Shape { .. })));
    assert!(matches!(fit(&[1.0, f64::NAN, 3.0], 1.0), Err(TrainError::NonFinite { row: 1, .. })));
    assert!(matches!(fit(&[1.0, 2.0, 3.0], 0.0), Err(TrainError::Option { name: "ridge", .. })));
    assert!(matches!(fit(&[], 1.0), Err(TrainError::Empty { .. })));
}

/// Rows that are left out are told what a network that was trained without them would tell them: the same
/// directions, so the same linear model, at a scale where no mask changes. Several outputs have cross terms, which
/// the formula takes on average.
#[test]
fn leaving_out_is_leaving_out() {
    for (k, slack) in [(1, 1e-5), (3, 0.2)] {
        let all = equations(24, k);
        let options = Options::default()
            .width(512)
            .ridge(0.02)
            .scale(Scale::Fixed(1e6))
            .signs(Some(Signs::Random))
            .tolerance(1e-10);
        let run = train(&all, &options, &mut silent()).unwrap();
        let left = left_out(&all, &run.network, 0.02, Par::Seq).unwrap();
        assert!(left.exact && 0.0 < left.leverage && left.leverage < 1.0);
        let (mut off, mut size) = (0.0, 0.0);
        for out in 0..all.rows() {
            let kept = (0..all.rows()).filter(|&i| i != out);
            let x = kept.clone().flat_map(|i| all.x().row(i).iter().copied().collect::<Vec<_>>());
            let y = kept.flat_map(|i| all.y()[i * k..][..k].to_vec());
            let some = Equations::new(x.collect(), y.collect(), 3, k).unwrap();
            let network = train(&some, &options, &mut silent()).unwrap().network;
            let told = network.forward(all.x().subrows(out, 1), Par::Seq).unwrap().outputs;
            let (guessed, true_y) = (&left.outputs[out * k..][..k], &all.y()[out * k..][..k]);
            for (told, (guessed, y)) in told.iter().zip(guessed.iter().zip(true_y)) {
                off += (told - guessed).powi(2);
                size += (told - y).powi(2);
            }
        }
        assert!(off.sqrt() <= slack * size.sqrt(), "{k} outputs: {:e}", (off / size).sqrt());
    }
}

/// Every fifth equation is held out, each ridge is judged by its loss there, and the best is the least of them.
#[test]
fn held_out_loss_is_the_loss_held_out() {
    let (loss, weights) = (Loss::Huber { delta: 0.5 }, vec![2.0; 60]);
    let all = equations(60, 1);
    let options = Options::default().width(256).ridge(0.1).scale(Scale::Fixed(1e5));
    let path = loss_ridge_path(&all, loss, Some(&weights), &options).unwrap();
    assert_eq!((path.criterion, path.rows), (Criterion::HeldOut, 12));
    assert!(path.points.windows(2).all(|pair| pair[0].ridge < pair[1].ridge));
    let least = path.points.iter().map(|point| point.error).fold(f64::INFINITY, f64::min);
    assert!(path.points[path.best].error <= 1.001 * least);
    let (held, kept): (Vec<usize>, Vec<usize>) = (0..60).partition(|i| i % 5 == 4);
    let (held, kept) = (all.subset(&held).unwrap(), all.subset(&kept).unwrap());
    for point in [&path.points[0], &path.points[path.points.len() - 1]] {
        let options = options.ridge(point.ridge).tolerance(1e-6);
        let run = train_loss(&kept, loss, Some(&weights[..48]), &options, &mut silent()).unwrap();
        let told = run.network.forward(held.x(), Par::Seq).unwrap().outputs;
        let sum = |f: &dyn Fn(usize) -> f64| -> f64 {
            (0..12).map(|i| loss.value(&[f(i)], &[held.y()[i]])).sum()
        };
        let error = sum(&|i| told[i]) / sum(&|_| 0.0);
        // The path's fits end at a relative gradient of 1e-3.
        assert!((point.error - error).abs() <= 0.01 * error, "{point:?} {error}");
    }
}

/// The last of few equations is held out, and not trained on; there is no ridge for one, and weights are checked.
#[test]
fn few_equations_are_held_out_too() {
    let options = Options::default().width(64).scale(Scale::Fixed(1e4));
    let path = |n: usize, weights: Option<&[f64]>| {
        loss_ridge_path(&equations(n, 1), Loss::Huber { delta: 0.5 }, weights, &options)
    };
    let found = path(3, None).unwrap();
    assert_eq!(found.rows, 1);
    // What is not trained on is not fitted, however small the ridge.
    assert!(found.points.iter().all(|point| point.error > 1e-6), "{:?}", found.points);
    assert!(matches!(path(1, None), Err(TrainError::Empty { .. })));
    assert!(matches!(path(3, Some(&[1.0; 2])), Err(TrainError::Shape { .. })));
    assert!(matches!(path(3, Some(&[1.0, f64::NAN, 1.0])), Err(TrainError::Option { .. })));
}
