//! A solver that takes other than was planned hands over to another one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::ops::ControlFlow;

use common::problem;
use nearlin::{
    Alternatives, Checkpoint, Ending, Event, Expected, Options, Run, Scale, Shape, SolverKind,
    plan, resume, train,
};
use proptest::prelude::*;

/// Who took over from whom, after how many iterations.
type Changes = Vec<(SolverKind, SolverKind, usize)>;

/// A run, and its checkpoints. Every step is reported with the solver of its time.
fn watched(options: &Options, seed: u64) -> (Run, Changes, Vec<Checkpoint>) {
    let equations = problem(60, 4, 1, seed);
    let (mut changes, mut taken) = (Changes::new(), Vec::new());
    let run = train(&equations, options, &mut |event: &Event<'_>| {
        match event {
            Event::Replanned(change) => {
                assert!(change.iterations as f64 >= 1.9 * change.expected, "{change:?}");
                assert!(change.seconds.iter().all(|seconds| seconds.is_finite()), "{change:?}");
                changes.push((change.from, change.to, change.iterations));
            }
            Event::Step(step) => {
                let solver = changes.last().map_or(options.solver.unwrap(), |change| change.1);
                assert_eq!(step.solver, solver);
            }
            Event::Kept(snapshot) => taken.push(snapshot.take()),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    (run.unwrap(), changes, taken)
}

fn expected(solver: SolverKind, build_seconds: f64, iterations: f64) -> Expected {
    Expected { solver, build_seconds, iterations, iteration_seconds: 1.0 }
}

/// As many iterations as are expected of `from`; of the exact factor one, after a build that takes as long as so many.
fn beside_exact(from: SolverKind, iterations: f64, build: f64) -> Alternatives {
    let exact = expected(SolverKind::Cholesky, build, 1.0);
    Alternatives::new(5, 0.05, [expected(from, 0.0, iterations), exact])
}

const OTHERS: [SolverKind; 6] = [
    SolverKind::Cg,
    SolverKind::RpCholesky,
    SolverKind::ArcCosine,
    SolverKind::Srht,
    SolverKind::RpGram,
    SolverKind::Nystrom,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever takes over finishes the run as well; a resumed run does the same at the same places.
    #[test]
    fn another_solver_takes_over(
        seed: u64, iterations in 1.0f64..10.0, build in 1.0f64..60.0, small: bool,
        from in prop::sample::select(&OTHERS[..]),
        scale in prop::sample::select(vec![Scale::Auto, Scale::Fixed(64.0)]),
    ) {
        let options = Options::default()
            .width(512)
            .ridge(if small { 0.0 } else { 1e-3 })
            .scale(scale)
            .solver(Some(from))
            .sketch_rows(Some(70))
            .alternatives(Some(beside_exact(from, iterations, build)))
            .max_steps(12);
        let (run, changes, taken) = watched(&options, seed);
        if let Some(&(of, to, _)) = changes.first() {
            prop_assert_eq!((of, to), (from, SolverKind::Cholesky));
        }
        let equations = problem(60, 4, 1, seed);
        for checkpoint in &taken {
            let mut still = |_: &Event<'_>| ControlFlow::Continue(());
            let again = resume(&equations, &options, checkpoint, &mut still).unwrap();
            prop_assert_eq!(&again.steps, &run.steps);
            prop_assert_eq!(again.network.change(), run.network.change());
        }
    }
}

/// Plain conjugate gradients on an ill-conditioned system need hundreds of iterations: few of them are taken where an exact
/// factor is worth twenty, all where it is worth more than the run.
#[test]
fn a_wrong_guess_costs_little() {
    let options = Options::default().width(1024).ridge(0.0).solver(Some(SolverKind::Cg));
    let (plain, ..) = watched(&options, 1);
    let with = |build: f64| {
        let alternatives = beside_exact(SolverKind::Cg, 5.0, build);
        watched(&options.alternatives(Some(alternatives)), 1)
    };
    let iterations = |run: &Run| run.steps.iter().map(|step| step.inner_iterations).sum::<usize>();
    let (run, changes, _) = with(20.0);
    assert_eq!(run.ending, Ending::Converged);
    assert_eq!(changes.len(), 1);
    assert!(iterations(&plain) > 4 * iterations(&run), "{}", iterations(&plain));
    let (run, changes, _) = with(1e6);
    assert_eq!((changes.len(), run.network.change()), (0, plain.network.change()));
}

/// Where the exact factor does not fit, a run goes on with the best of what does; a second wrong guess is left as well.
#[test]
fn the_best_that_fits_takes_over() {
    let table = [
        expected(SolverKind::Cg, 0.0, 2.0),
        expected(SolverKind::RpCholesky, 5.0, 1.0),
        expected(SolverKind::ArcCosine, 30.0, 3.0),
    ];
    let options = Options::default()
        .width(1024)
        .ridge(0.0)
        .sketch_rows(Some(2))
        .solver(Some(SolverKind::Cg))
        .alternatives(Some(Alternatives::new(5, 0.05, table)));
    let (run, changes, _) = watched(&options, 1);
    assert_eq!(run.ending, Ending::Converged);
    // The one that was left may be tried once more, by what it has shown.
    let (first, last) = (changes[0], changes[changes.len() - 1]);
    assert_eq!((first.0, first.1), (SolverKind::Cg, SolverKind::RpCholesky));
    assert_eq!(last.1, SolverKind::ArcCosine);
    assert!((2..=3).contains(&changes.len()), "{changes:?}");
}

/// Plans say what else there is, unless a solver was asked for: as much as fits.
#[test]
fn plans_have_alternatives() {
    let options = Options::default().ridge(0.1);
    let shape = Shape::of(20_000, 30, 1, 2);
    let free = plan(&shape, &options);
    let alternatives = free.alternatives.unwrap();
    assert_eq!(alternatives.iter().count(), SolverKind::ALL.len());
    let exact = free.candidates.iter().find(|c| c.solver == SolverKind::Cholesky).unwrap();
    let expected = alternatives.of(SolverKind::Cholesky).unwrap();
    assert_eq!(
        (expected.build_seconds, expected.iterations, expected.iteration_seconds),
        (exact.build_seconds, exact.iterations, exact.iteration_seconds)
    );
    assert_eq!(plan(&shape, &options.solver(Some(SolverKind::Cg))).alternatives, None);
    let within = free.clone().within(exact.predicted_bytes * 0.99).alternatives.unwrap();
    assert_eq!(within.of(SolverKind::Cholesky), None);
    assert!(within.of(SolverKind::RpCholesky).is_some());
}

/// Where there are fewer parameters than equations, steps are solved for in the space of the weights, which no solver's
/// factor has anything to do with.
#[test]
fn least_squares_steps_have_no_alternatives() {
    let options = Options::default().width(12).ridge(0.0).solver(Some(SolverKind::Cg)).max_steps(3);
    let (plain, ..) = watched(&options, 2);
    let (run, ..) = watched(&options.alternatives(Some(beside_exact(SolverKind::Cg, 1.0, 1.0))), 2);
    let iterations = |run: &Run| run.steps.iter().map(|step| step.inner_iterations).sum::<usize>();
    assert!(iterations(&plain) > 3 * plain.steps.len(), "{}", iterations(&plain));
    assert_eq!(iterations(&run), iterations(&plain));
    assert_eq!(run.network.change(), plain.network.change());
}
