//! Runs that are set down and taken up again.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::ops::ControlFlow;

use common::problem;
use nearlin::{
    Checkpoint, Ending, Equations, Event, Options, Precision, Run, Scale, SolverKind, TrainError,
    resume, train,
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
        n in 20usize..70, d in 2usize..6, k in 1usize..3, seed: u64, which in 0usize..5,
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
