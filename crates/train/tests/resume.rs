//! Runs that are set down and taken up again.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::ops::ControlFlow;

use common::problem;
use nearlin::{
    Checkpoint, Ending, Equations, Event, Loss, LossCheckpoint, Options, Precision, Run, Scale,
    SolverKind, TrainError, resume, resume_loss, train, train_loss,
};
use proptest::prelude::*;

/// A run and its checkpoints, one for each kept step at each scale.
fn watched(equations: &Equations, options: &Options) -> (Run, Vec<Checkpoint>) {
    let mut taken = Vec::new();
    let mut watch = |event: &Event<'_>| {
        if let Event::Kept(snapshot) = event {
            taken.push(snapshot.take());
        }
        ControlFlow::Continue(())
    };
    (train(equations, options, &mut watch).unwrap(), taken)
}

fn resumed(equations: &Equations, options: &Options, from: &Checkpoint) -> Result<Run, TrainError> {
    resume(equations, options, from, &mut |_: &Event<'_>| ControlFlow::Continue(()))
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn assert_same(run: &Run, whole: &Run) {
    assert_eq!(bits(run.network.change()), bits(whole.network.change()));
    assert_eq!(bits(&run.network.initial_weights()), bits(&whole.network.initial_weights()));
    assert_eq!((&run.steps, &run.scale_search), (&whole.steps, &whole.scale_search));
    assert_eq!((run.ending, &run.reason), (whole.ending, &whole.reason));
    assert_eq!(run.rel_residual.to_bits(), whole.rel_residual.to_bits());
    assert_eq!(run.scale.to_bits(), whole.scale.to_bits());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// From each of its checkpoints a run ends with the same bits, whatever solves it: preconditioners
    /// that serve several masks, damped steps, kinks that hold an iterate and scales that are still looked for included.
    #[test]
    fn a_resumed_run_is_the_run(
        n in 20usize..70, d in 2usize..6, k in 1usize..3, seed: u64, which in 0..SolverKind::ALL.len(),
        ridge in prop::sample::select(vec![0.0, 1e-3, 0.1]), half: bool, by_gain: bool,
        scale in prop::sample::select(vec![Scale::Auto, Scale::Fixed(0.5), Scale::Fixed(8.0)]),
    ) {
        let equations = problem(n, d, k, seed);
        let options = Options::default()
            .width(256)
            .seed(seed)
            .ridge(ridge)
            .solver(Some(SolverKind::ALL[which]))
            .scale(scale)
            .precision(if half { Precision::F32 } else { Precision::F64 })
            .least_gain(if by_gain { 1e-3 } else { 0.0 })
            .max_steps(8);
        let (whole, taken) = watched(&equations, &options);
        prop_assert!(taken.len() >= whole.steps.len());
        for from in &taken {
            assert_same(&resumed(&equations, &options, from).unwrap(), &whole);
        }
    }
}

/// A run on a loss and its checkpoints.
fn watched_on_loss(
    (equations, loss, weights): (&Equations, Loss, Option<&[f64]>),
    options: &Options,
) -> (Run, Vec<LossCheckpoint>) {
    let mut taken = Vec::new();
    let mut watch = |event: &Event<'_>| {
        if let Event::KeptOnLoss(snapshot) = event {
            taken.push(snapshot.take());
        }
        ControlFlow::Continue(())
    };
    (train_loss(equations, loss, weights, options, &mut watch).unwrap(), taken)
}

fn resumed_on_loss(
    (equations, loss, weights): (&Equations, Loss, Option<&[f64]>),
    options: &Options,
    from: &LossCheckpoint,
) -> Result<Run, TrainError> {
    let mut still = |_: &Event<'_>| ControlFlow::Continue(());
    resume_loss(equations, loss, weights, options, from, &mut still)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The same of other losses, with weights and while a scale is still looked for.
    #[test]
    fn a_resumed_run_on_a_loss_is_the_run(
        n in 20usize..50, d in 2usize..5, seed: u64, huber: bool, weighted: bool, fixed: bool,
    ) {
        let squares = problem(n, d, 1, seed);
        let rows: Vec<f64> = (0..n * d).map(|at| squares.x()[(at / d, at % d)]).collect();
        let y = squares.y().iter().map(|&y| if huber { y } else { f64::from(u8::from(y > 0.0)) });
        let equations = Equations::new(rows, y.collect(), d, 1).unwrap();
        let loss = if huber { Loss::Huber { delta: 0.1 } } else { Loss::Logistic };
        let weights: Vec<f64> = (0..n).map(|i| 1.0 + (i % 3) as f64).collect();
        let of = (&equations, loss, weighted.then_some(&weights[..]));
        let scale = if fixed { Scale::Fixed(8.0) } else { Scale::Auto };
        let options = Options::default().width(128).seed(seed).ridge(0.01).scale(scale).max_steps(6);
        let (whole, taken) = watched_on_loss(of, &options);
        prop_assert!(taken.len() >= whole.steps.len());
        for from in &taken {
            assert_same(&resumed_on_loss(of, &options, from).unwrap(), &whole);
        }
    }
}

/// Checkpoints of another loss, other weights or options.
#[test]
fn other_runs_on_a_loss_are_refused() {
    let equations = problem(40, 3, 1, 1);
    let (loss, weights) = (Loss::Huber { delta: 0.5 }, vec![2.0; 40]);
    let options = Options::default().width(128).max_steps(2);
    let (_, taken) = watched_on_loss((&equations, loss, None), &options);
    let refused = |of: (&Equations, Loss, Option<&[f64]>), options: &Options| {
        let error = resumed_on_loss(of, options, &taken[0]).unwrap_err();
        assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
        error.to_string()
    };
    let words = refused((&equations, Loss::Huber { delta: 0.25 }, None), &options);
    assert!(words.contains("0.5") && words.contains("0.25"), "{words}");
    let words = refused((&equations, loss, None), &options.ridge(0.5));
    assert!(words.contains("ridge: 0.01") && words.contains("ridge: 0.5"), "{words}");
    let words = refused((&equations, loss, Some(&weights)), &options);
    assert!(words.contains("other data"), "{words}");
}

/// A run that spent its budget goes on with a larger one as if it had had that from the start.
#[test]
fn a_budget_may_grow() {
    let equations = problem(60, 4, 1, 5);
    let options = Options::default().width(256).ridge(0.0);
    let (whole, _) = watched(&equations, &options);
    let (short, taken) = watched(&equations, &options.max_steps(2));
    assert_eq!(short.ending, Ending::MaxSteps);
    assert_same(&resumed(&equations, &options, taken.last().unwrap()).unwrap(), &whole);
}

/// With a ridge, where a smaller scale is looked at after a larger one has ended: the larger budget is used.
#[test]
fn a_larger_budget_is_used_at_any_scale() {
    for seed in 0..12 {
        let equations = problem(60, 4, 1, seed);
        let options = Options::default().width(256).ridge(1e-5).solver(Some(SolverKind::Cholesky));
        let (_, taken) = watched(&equations, &options.max_steps(2));
        for from in &taken {
            let run = resumed(&equations, &options.max_steps(50), from).unwrap();
            assert!(run.ending != Ending::MaxSteps || run.steps.len() == 50, "{}", run.reason);
        }
    }
}

#[test]
fn other_runs_are_refused() {
    let equations = problem(40, 3, 1, 1);
    let options = Options::default().width(128).max_steps(2);
    let (_, taken) = watched(&equations, &options);
    let refused = |equations: &Equations, options: &Options| {
        let error = resumed(equations, options, &taken[0]).unwrap_err();
        assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
        error.to_string()
    };
    let words = refused(&equations, &options.ridge(0.5));
    assert!(words.contains("ridge: 0.01") && words.contains("ridge: 0.5"), "{words}");
    let words = refused(&equations, &options.solver(Some(SolverKind::Cg)));
    assert!(words.contains("solver: cg"), "{words}");
    let words = refused(&problem(40, 3, 1, 2), &options);
    assert!(words.contains("other data"), "{words}");
}
