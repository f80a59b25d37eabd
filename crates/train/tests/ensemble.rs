//! Laws of networks that are averaged.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::ops::ControlFlow;

use common::noise;
use faer::Par;
use nearlin::{
    Ending, Equations, Event, Options, Phase, Precision, Rates, Scale, Shape, SolverKind,
    TrainError, plan_ensemble_at, train, train_ensemble,
};
use proptest::prelude::*;

fn equations(n: usize, d: usize, k: usize, seed: u64) -> Equations {
    let x = (0..n * d).map(|at| noise(seed, at)).collect();
    let y = (0..n * k).map(|at| noise(seed + 1, at)).collect();
    Equations::new(x, y, d, k).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Members are the runs of their seeds at the scale of the first, with one factorisation among them if it is of a solver
    /// that does not follow the masks, and the network is their average.
    #[test]
    fn an_ensemble_is_its_members(
        n in 8usize..24,
        d in 2usize..5,
        k in 1usize..3,
        seed in 0u64..1000,
        single in any::<bool>(),
        shared in any::<bool>(),
    ) {
        let equations = equations(n, d, k, seed);
        let precision = if single { Precision::F32 } else { Precision::F64 };
        let options = Options::default().width(128).ridge(0.1).seed(seed).precision(precision);
        let solver = [SolverKind::Cholesky, SolverKind::ArcCosine][usize::from(shared)];
        let options = options.solver(Some(solver));
        let (mut member, mut builds) = (0, Vec::new());
        let ensemble = train_ensemble(&equations, &options, 3, &mut |event: &Event<'_>| {
            match event {
                Event::Member { member: now, .. } => member = *now,
                Event::Phase(Phase::Build) => builds.push(member),
                _ => {}
            }
            ControlFlow::Continue(())
        });
        let ensemble = ensemble.unwrap();
        builds.dedup();
        prop_assert_eq!(builds, if shared { vec![1] } else { vec![1, 2, 3] });
        prop_assert_eq!(ensemble.members.len(), 3);

        let mut mean = vec![0.0; n * k];
        for (at, run) in ensemble.members.iter().enumerate() {
            let scale = if at == 0 { Scale::Auto } else { Scale::Fixed(ensemble.members[0].scale) };
            let options = options.seed(seed + at as u64).scale(scale);
            prop_assert!(run.steps.iter().all(|step| step.solver == solver));
            let alone =
                train(&equations, &options, &mut |_: &Event<'_>| ControlFlow::Continue(())).unwrap();
            prop_assert!(run.network == alone.network, "member {}", at);
            let outputs = run.network.forward(equations.x(), options.par).unwrap().outputs;
            mean.iter_mut().zip(outputs).for_each(|(mean, f)| *mean += f / 3.0);
        }
        let outputs = ensemble.network.forward(equations.x(), options.par).unwrap().outputs;
        let size = mean.iter().fold(1.0, |size: f64, f| size.max(f.abs()));
        for (f, mean) in outputs.iter().zip(&mean) {
            prop_assert!((f - mean).abs() <= 1e-10 * size, "{} {}", f, mean);
        }
        let missed: f64 = mean.iter().zip(equations.y()).map(|(f, y)| (f - y).powi(2)).sum();
        let all: f64 = equations.y().iter().map(|y| y * y).sum();
        prop_assert!((ensemble.rel_residual - (missed / all).sqrt()).abs() < 1e-10);
    }
}

/// The solver that is planned for all networks is the one that trains them.
#[test]
fn ensembles_are_planned_for() {
    let equations = equations(60, 3, 1, 7);
    let options = Options::default().width(256).ridge(1e-3).par(Par::Seq);
    let planned =
        plan_ensemble_at(2, &Shape::new(&equations, &options), &options, &Rates::default()).chosen;
    let watch = &mut |_: &Event<'_>| ControlFlow::Continue(());
    let ensemble = train_ensemble(&equations, &options, 2, watch).unwrap();
    for run in &ensemble.members {
        assert!(run.steps.iter().all(|step| step.solver == planned));
    }
}

#[test]
fn an_observer_may_stop_after_any_member() {
    let equations = equations(12, 3, 1, 5);
    let options = Options::default().width(64).ridge(0.1);
    let ensemble = train_ensemble(&equations, &options, 4, &mut |event: &Event<'_>| match event {
        Event::Member { member: 3, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let ensemble = ensemble.unwrap();
    assert_eq!((ensemble.members.len(), ensemble.network.width()), (2, 128));
    assert!(ensemble.members.iter().all(|run| run.ending != Ending::Stopped));
}

#[test]
fn no_members_are_refused() {
    let none = train_ensemble(
        &equations(12, 3, 1, 5),
        &Options::default().width(64),
        0,
        &mut |_: &Event<'_>| ControlFlow::Continue(()),
    );
    assert!(matches!(none, Err(TrainError::Option { name: "members", .. })));
}
