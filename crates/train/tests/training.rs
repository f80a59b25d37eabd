//! Runs of the whole optimiser: what it promises, checked from outside.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::ops::ControlFlow;

use common::{gradient, image, noise, norm, problem, residual, run};
use nearlin::{
    Ending, Equations, Event, InnerTolerance, Options, Precision, Scale, Signs, SolverKind,
    TrainError, merge, train,
};
use proptest::prelude::*;

fn options(width: usize) -> Options {
    Options::default().width(width).ridge(0.0)
}

/// Without a ridge every solver reaches 1e-8, certified: in at most 12 steps, each contracting by
/// two at least, at a scale that is 1 or at most 8 times the largest one rejected.
#[test]
fn every_solver_converges_with_certified_steps() {
    for (k, width) in [(1, 512), (3, 1024)] {
        let equations = problem(120, 5, k, 3);
        for kind in SolverKind::ALL {
            let run = run(&equations, &options(width).solver(Some(kind)));
            assert_eq!(run.ending, Ending::Converged, "{kind}: {}", run.reason);
            assert!(run.rel_residual <= 1e-8 && run.steps.len() <= 12, "{kind}: {run:?}");
            assert!(run.steps.iter().all(|s| s.contraction <= 0.5), "{kind}");
            let rejected = run
                .scale_search
                .iter()
                .filter(|t| !t.accepted)
                .map(|t| t.scale)
                .fold(0.0, f64::max);
            assert!(
                run.scale == 1.0 || run.scale <= 8.0 * rejected,
                "{kind}: {:?}",
                run.scale_search
            );
            let fresh = norm(&residual(&equations, &run.network)) / norm(equations.y());
            assert!((fresh - run.rel_residual).abs() <= 1e-14, "{kind}: reported residual");
        }
    }
}

/// The search passes over scales that cannot certify the first step, and over no other: at half the
/// scale of an accepted one, or of one that was rejected later, the first step still misses as much as it may not.
#[test]
fn no_scale_is_passed_over_whose_first_step_certifies() {
    let mut jumped = 0;
    let mut far = 0;
    for (seed, gains) in (0..8).flat_map(|seed| [(seed, false), (seed, true)]) {
        // Where gains decide jumps go farther, by the rate of many flips.
        let (rows, width, limit) = if gains { (300, 1024, 0.02) } else { (100, 256, 0.25) };
        let equations = problem(rows, 3, 1, seed);
        let options = options(width).seed(seed);
        let options = if gains { options.ridge(1e-3).automatic() } else { options };
        let run = run(&equations, &options);
        assert!(!gains || run.scale_search.is_sorted_by(|a, b| a.scale < b.scale), "{run:?}");
        for pair in run.scale_search.windows(2) {
            let (rejected, next) = (&pair[0], &pair[1]);
            if rejected.eta_lin < limit || next.scale < 4.0 * rejected.scale {
                continue;
            }
            jumped += 1;
            far += usize::from(next.scale > 8.0 * rejected.scale);
            let half = Scale::Fixed(next.scale / 2.0);
            let passed = common::run(&equations, &options.scale(half).max_steps(1));
            // A step that had to be shortened raised the objective in full.
            let whole = passed.steps.first().filter(|step| step.step_length == 1.0);
            let eta_lin = whole.map_or(1.0, |step| step.eta_lin);
            assert!(eta_lin >= limit, "seed {seed}, {half:?}: {eta_lin}, {:?}", run.scale_search);
        }
    }
    assert!(jumped > far && far > 0, "{jumped} jumps, {far} of them far");
}

/// `f(W + D) - y = (r + J D) + e` exactly, so no contraction exceeds `eta_inner + eta_lin`; the
/// residuals multiply up. Both to rounding, at every step of runs at random scales.
#[test]
fn the_certificate_bounds_the_contraction() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(24));
    let cases = (20usize..80, 2usize..6, 1usize..3, 0u32..8, any::<u64>());
    runner
        .run(&cases, |(n, d, k, log_scale, seed)| {
            let equations = problem(n, d, k, seed);
            let scale = Scale::Fixed(2f64.powf(f64::from(log_scale)));
            let run = run(&equations, &options(256).scale(scale).seed(seed).max_steps(6));
            let mut rel = 1.0;
            for step in &run.steps {
                prop_assert!(step.contraction < 1.0, "a step that raises the residual was kept");
                prop_assert!(step.contraction <= step.eta_inner + step.eta_lin + 1e-9);
                prop_assert!(step.contraction >= (step.eta_inner - step.eta_lin).abs() - 1e-9);
                prop_assert!((step.rel_residual - rel * step.contraction).abs() <= 1e-12 * rel);
                rel = step.rel_residual;
            }
            Ok(())
        })
        .unwrap();
}

/// Two rows of which one is twice the other, with targets that are not: `f` is homogeneous, so nothing fits both, and no
/// larger scale helps. The run ends at the least-squares optimum that these two allow, at the scale that they would have had.
#[test]
fn hidden_contradictions_do_not_enlarge_the_scale() {
    let part = problem(60, 4, 1, 7);
    let mut x: Vec<f64> = part.x().row_iter().flat_map(|row| row.iter().copied()).collect();
    let mut y = part.y().to_vec();
    x.extend_from_within(..4);
    x[240..].iter_mut().for_each(|x| *x *= 2.0);
    y.push(2.0 * y[0] + 1.0);
    let size = y.iter().map(|y| y * y).sum::<f64>().sqrt();
    let run = run(&Equations::new(x, y, 4, 1).unwrap(), &options(256));
    // `|(r, 2 r + 1)|` is least for `r = -2/5`: the root of a fifth.
    let least = 0.2f64.sqrt() / size;
    assert!(run.rel_residual < 1.01 * least && run.rel_residual > 0.999 * least);
    assert!(run.scale <= 4096.0, "{}", run.scale);
}

/// At a fixed scale and inner tolerance 1e-12 the first step is the same for all solvers: they
/// solve one system. With a ridge as well as without.
#[test]
fn solvers_agree_on_the_first_step() {
    let equations = problem(90, 5, 2, 8);
    for ridge in [0.0, 0.05] {
        let first = |kind| {
            let options = options(512)
                .ridge(ridge)
                .solver(Some(kind))
                .scale(Scale::Fixed(64.0))
                .inner_tolerance(InnerTolerance::Fixed(1e-12))
                .max_steps(1);
            let run = run(&equations, &options);
            assert_eq!(run.ending, Ending::MaxSteps, "{kind}");
            assert!(run.steps[0].eta_inner <= 1.1e-12, "{kind}: {}", run.steps[0].eta_inner);
            run.network.change().to_vec()
        };
        let reference = first(SolverKind::Cholesky);
        for kind in SolverKind::ALL {
            let change = first(kind);
            let difference: Vec<f64> = change.iter().zip(&reference).map(|(a, b)| a - b).collect();
            let rel = norm(&difference) / norm(&reference);
            assert!(rel <= 1e-8, "{kind}, ridge {ridge}: {rel:e}");
        }
    }
}

/// With a ridge the run ends where the gradient of `|f - y|^2 + mu |W - W_0|^2` vanishes, computed
/// here from scratch; the residual does not vanish there.
#[test]
fn a_ridge_ends_at_a_stationary_point() {
    let equations = problem(80, 4, 2, 8);
    for kind in SolverKind::ALL {
        let run = run(&equations, &options(512).ridge(0.02).solver(Some(kind)));
        assert_eq!(run.ending, Ending::Converged, "{kind}: {}", run.reason);
        // Not on a kink, where no gradient need vanish: see `minima_on_kinks_are_minima`.
        assert_eq!(run.steps.last().unwrap().pinned, 0, "{kind}");
        let mut start = run.network.clone();
        start.change_mut().fill(0.0);
        let rel = gradient(&equations, &run.network, 0.02) / gradient(&equations, &start, 0.02);
        assert!(rel <= 1.01e-8, "{kind}: {rel:e}");
        let reported = run.steps.last().unwrap().rel_gradient.unwrap();
        assert!((rel - reported).abs() <= 1e-12, "{kind}: {rel:e} reported as {reported:e}");
        assert!(run.rel_residual > 1e-3, "{kind}: a ridge leaves a residual");
    }
}

/// The certificate of a step is what `J D` and the outputs say, computed here from scratch, although the
/// optimiser forms no `J D` for it; in `f32` the solver's own word on `eta_inner` would be smaller.
#[test]
fn certificates_are_seen_not_believed() {
    for (precision, scale) in [(Precision::F64, 4.0), (Precision::F32, 4.0), (Precision::F32, 1e3)]
    {
        let equations = problem(300, 5, 2, 7);
        let options = options(512).precision(precision).scale(Scale::Fixed(scale)).max_steps(1);
        let run = run(&equations, &options);
        let mut start = run.network.clone();
        start.change_mut().fill(0.0);
        let before = residual(&equations, &start);
        let linear: Vec<f64> = image(&equations, &start, run.network.change())
            .iter()
            .zip(&before)
            .map(|(v, r)| v + r)
            .collect();
        let after = residual(&equations, &run.network);
        let missed: Vec<f64> = after.iter().zip(&linear).map(|(f, l)| f - l).collect();
        let (step, size) = (&run.steps[0], norm(&before));
        assert_eq!(step.step_length, 1.0);
        for (said, seen) in [
            (step.eta_inner, norm(&linear) / size),
            (step.eta_lin, norm(&missed) / size),
            (step.contraction, norm(&after) / size),
        ] {
            assert!((said - seen).abs() <= 1e-12, "{precision:?} {scale}: {said:e}, seen {seen:e}");
        }
    }
}

/// Inner solves in `f32`, refined against `f64` residuals, reach the same tolerances.
#[test]
fn single_precision_reaches_the_same_tolerance() {
    let equations = problem(120, 5, 2, 3);
    for kind in SolverKind::ALL {
        for ridge in [0.0, 0.01] {
            let options = options(512).ridge(ridge).solver(Some(kind)).precision(Precision::F32);
            let run = run(&equations, &options);
            assert_eq!(run.ending, Ending::Converged, "{kind}, ridge {ridge}: {}", run.reason);
        }
    }
}

/// The network is the same bit for bit on one, two and three threads.
#[test]
fn threads_change_nothing() {
    let equations = problem(300, 6, 2, 4);
    for kind in SolverKind::ALL {
        let train_on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(&equations, &options(1024).solver(Some(kind)).max_steps(3))).network
        };
        let one = train_on(1);
        assert!(train_on(2) == one && train_on(3) == one, "{kind}");
    }
}

/// Rows with equal inputs and different targets: everything else is fitted and the floor is named.
#[test]
fn contradictory_rows_end_at_the_floor() {
    let base = problem(60, 4, 1, 2);
    let mut x: Vec<f64> = (0..60 * 4).map(|at| base.x()[(at / 4, at % 4)]).collect();
    let mut y = base.y().to_vec();
    for i in 0..5 {
        x.extend_from_within(4 * i..4 * i + 4);
        y.push(y[i] + 0.5);
    }
    let merged = merge(x.clone(), &y, 4, 1);
    assert_eq!((merged.merged_rows(), merged.contradictions.len()), (5, 5));
    let equations = Equations::new(merged.x, merged.y, 4, 1).unwrap().with_floor(merged.floor);
    let run = run(&equations, &options(512));
    assert_eq!(run.ending, Ending::Floor, "{}", run.reason);
    assert!(run.rel_residual <= 1e-8);
    // On the original rows the residual is the floor: what least squares says about pairs.
    let original = Equations::new(x, y, 4, 1).unwrap();
    let rel = norm(&residual(&original, &run.network)) / norm(original.y());
    assert!((rel - merged.floor).abs() <= 1e-7, "{rel} against {}", merged.floor);
}

/// Fewer parameters than equations: the residual cannot vanish. At a scale where nothing flips the
/// best it can do is the least-squares optimum of `J`, known from the left singular vectors of the
/// Jacobian written out; the run ends there and does not call it convergence.
#[test]
fn too_few_parameters_end_at_the_least_squares_optimum() {
    let equations = problem(400, 4, 1, 9);
    for kind in SolverKind::ALL {
        let run = run(&equations, &options(16).solver(Some(kind)).scale(Scale::Fixed(1e6)));
        assert!(
            matches!(run.ending, Ending::Stagnated | Ending::MaxSteps),
            "{kind}: {}",
            run.reason
        );
        let mut fresh = run.network.clone();
        fresh.change_mut().fill(0.0);
        let mask = fresh.forward(equations.x(), faer::Par::Seq).unwrap().mask;
        let jacobian = faer::Mat::from_fn(400, 64, |i, c| {
            let (r, q) = (c / 4, c % 4);
            let bit = if mask.get(i, r) { 0.25 } else { 0.0 };
            bit * fresh.signs()[r] * equations.x()[(i, q)]
        });
        let svd = jacobian.thin_svd().unwrap();
        let mut best = norm(equations.y()).powi(2);
        for c in 0..64 {
            if svd.S()[c] > 1e-10 * svd.S()[0] {
                best -= (0..400).map(|i| svd.U()[(i, c)] * equations.y()[i]).sum::<f64>().powi(2);
            }
        }
        let best = best.sqrt() / norm(equations.y());
        let excess = run.rel_residual / best - 1.0;
        assert!((-1e-9..=1e-4).contains(&excess), "{kind}: {} against {best}", run.rel_residual);
    }
}

/// Tables of one and two rows, and targets of zero.
#[test]
fn tiny_problems_end_honestly() {
    for n in [1, 2] {
        let run = run(&problem(n, 3, 1, 1), &options(64));
        assert_eq!(run.ending, Ending::Converged, "{n} rows: {}", run.reason);
    }
    let zero = Equations::new(vec![1.0, 0.0, 0.0, 1.0], vec![0.0, 0.0], 2, 1).unwrap();
    let run = run(&zero, &options(8));
    assert_eq!((run.ending, run.steps.len(), run.rel_residual), (Ending::Converged, 0, 0.0));
}

/// Nearly equal inputs with different targets make the Gram matrix singular to working precision;
/// the run must end with finite numbers, whatever it reaches.
#[test]
fn nearly_equal_rows_end_honestly() {
    let base = problem(30, 3, 1, 6);
    let mut x: Vec<f64> = (0..90).map(|at| base.x()[(at / 3, at % 3)]).collect();
    let mut y = base.y().to_vec();
    x.extend([x[0] * (1.0 + 1e-15), x[1], x[2]]);
    y.push(-y[0]);
    let equations = Equations::new(x, y, 3, 1).unwrap();
    for kind in SolverKind::ALL {
        for ridge in [0.0, 0.01] {
            let run = run(&equations, &options(256).ridge(ridge).solver(Some(kind)).max_steps(10));
            assert!(run.network.change().iter().all(|u| u.is_finite()), "{kind}");
            assert!(run.rel_residual.is_finite() && run.rel_residual <= 1.0, "{kind}");
            let fresh = norm(&residual(&equations, &run.network)) / norm(equations.y());
            assert!((fresh - run.rel_residual).abs() <= 1e-9, "{kind}: {fresh}");
        }
    }
}

/// The observer can stop at every kind of event, and what was kept stays usable.
#[test]
fn the_observer_stops_the_run() {
    let equations = problem(60, 4, 1, 7);
    let options = options(256).solver(Some(SolverKind::Cg));
    let stop_at = |wanted: fn(&Event<'_>) -> bool| {
        train(&equations, &options, &mut |event: &Event<'_>| {
            if wanted(event) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap()
    };
    let run = stop_at(|event| matches!(event, Event::Step(step) if step.step == 2));
    assert_eq!((run.ending, run.steps.len()), (Ending::Stopped, 2));
    let run = stop_at(|event| matches!(event, Event::Inner { iteration: 3, .. }));
    assert_eq!((run.ending, run.steps.len()), (Ending::Stopped, 0));
    assert_eq!(run.rel_residual, 1.0);
}

/// Orthogonal signs decouple the outputs: with the exact block the first step is one iteration.
#[test]
fn orthogonal_signs_need_one_iteration() {
    let equations = problem(60, 5, 3, 1);
    let first = |signs| {
        let options =
            options(1024).solver(Some(SolverKind::Cholesky)).signs(Some(signs)).max_steps(1);
        run(&equations, &options.scale(Scale::Fixed(16.0))).steps[0].inner_iterations
    };
    assert_eq!(first(Signs::Orthogonal), 1);
    assert!(first(Signs::Random) > 1);
}

/// Squares of these are no numbers: they are refused before a norm is taken for nothing.
#[test]
fn sizes_beyond_squares_are_named() {
    let of = |x: f64, y: f64| Equations::new(vec![x, 0.0, 0.5 * x, x], vec![y, -y], 2, 1);
    let error = of(1.0, 1e200).unwrap_err();
    let words = "the largest of the targets is 1e200; expected one between 1e-150 and 1e150";
    assert_eq!(error.to_string(), words);
    assert!(matches!(of(1.0, 1e-200), Err(TrainError::Size { what: "targets", .. })));
    assert!(matches!(of(1e160, 1.0), Err(TrainError::Size { what: "inputs", .. })));
    assert!(of(1.0, 0.0).is_ok() && of(1e100, 1e-100).is_ok());
}

#[test]
fn wrong_options_are_named() {
    let equations = problem(10, 3, 1, 1);
    let error = |options: Options| {
        train(&equations, &options, &mut |_: &Event<'_>| ControlFlow::Continue(())).unwrap_err()
    };
    assert_eq!(error(options(7)).to_string(), "width is 7, expected a positive even number");
    assert!(matches!(error(options(8).ridge(-1.0)), TrainError::Option { name: "ridge", .. }));
    let scale = Scale::Fixed(f64::NAN);
    assert!(matches!(error(options(8).scale(scale)), TrainError::Option { name: "scale", .. }));
    assert!(matches!(
        error(options(8).tolerance(0.0)),
        TrainError::Option { name: "tolerance", .. }
    ));
    let unknown = "magic".parse::<SolverKind>().unwrap_err().to_string();
    assert!(unknown.contains("magic") && unknown.contains("tensor-srht"), "{unknown}");
    let ragged = Equations::new(vec![1.0; 6], vec![1.0; 2], 2, 1).unwrap_err();
    assert_eq!(ragged.to_string(), "targets has 2 entries, expected 3 x 1");
    let broken = Equations::new(vec![1.0, f64::NAN], vec![1.0], 2, 1).unwrap_err();
    assert!(matches!(broken, TrainError::NonFinite { what: "inputs", row: 0, col: 1, .. }));
}

/// Weights are homogeneous: an equation repeated `c` times, merged, gives the same run as the
/// problem with its rows multiplied out by hand.
#[test]
fn merging_keeps_the_least_squares_problem() {
    let base = problem(30, 3, 1, 12);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for i in 0..30 {
        for copy in 0..=(i % 3) {
            x.extend((0..3).map(|q| base.x()[(i, q)]));
            y.push(base.y()[i] + 0.01 * noise(5, 3 * i + copy));
        }
    }
    let merged = merge(x.clone(), &y, 3, 1);
    let options = options(256).ridge(0.01).scale(Scale::Fixed(1e5));
    let small = Equations::new(merged.x, merged.y, 3, 1).unwrap();
    let full = Equations::new(x, y, 3, 1).unwrap();
    let (a, b) = (run(&small, &options), run(&full, &options));
    let difference: Vec<f64> =
        a.network.change().iter().zip(b.network.change()).map(|(a, b)| a - b).collect();
    assert!(norm(&difference) <= 1e-6 * norm(a.network.change()), "{}", norm(&difference));
}

/// Minima of the ridge objective can lie on kinks, where `relu'` may be any number of `[0, 1]`. What
/// must hold there, and is checked by forward passes alone: no direction descends. The steepest
/// suspects are the rows of the gradient with `relu'(0) = 0` and moves of one neuron along one input,
/// which is what crosses a kink.
#[test]
fn minima_on_kinks_are_minima() {
    let mut pinned = 0;
    for seed in 0..12 {
        let equations = problem(60, 4, 1, seed);
        let ridge = 1e-3;
        let options = options(256).ridge(ridge).seed(seed).solver(Some(SolverKind::Cholesky));
        let run = run(&equations, &options);
        assert_eq!(run.ending, Ending::Converged, "seed {seed}: {}", run.reason);
        pinned += run.steps.last().unwrap().pinned;
        let objective = |network: &nearlin::Network| {
            norm(&residual(&equations, network)).powi(2) + ridge * norm(network.change()).powi(2)
        };
        let here = objective(&run.network);
        let size = norm(run.network.change());
        let step = 1e-5 * size;
        for trial in 0..400 {
            let mut moved = run.network.clone();
            let (r, i) = (trial % 256, (trial * 7) % 60);
            let sign = if trial % 2 == 0 { step } else { -step };
            (0..4).for_each(|q| moved.change_mut()[r * 4 + q] += sign * equations.x()[(i, q)]);
            // At a stationary point the objective falls by no more than the gradient's 1e-8 allows.
            let bound = 1e-8 * 2.0 * norm(equations.y()) * step + 1e-13 * here;
            assert!(objective(&moved) >= here - bound, "seed {seed}: neuron {r} along input {i}");
        }
    }
    assert!(pinned > 0, "no run ended on a kink: the test has lost its subject");
}
