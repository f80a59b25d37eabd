//! A solver that takes longer than was planned hands over to another one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::ops::ControlFlow;

use common::problem;
use nearlin::{
    Checkpoint, Ending, Event, Fallback, Options, Run, Scale, Shape, SolverKind, plan, resume,
    train,
};
use proptest::prelude::*;

/// A run, who took over after how many iterations, and its checkpoints. Every step is reported with the solver of its time.
fn watched(
    options: &Options,
    seed: u64,
) -> (Run, Vec<(SolverKind, SolverKind, usize)>, Vec<Checkpoint>) {
    let equations = problem(60, 4, 1, seed);
    let (mut fallen, mut taken) = (Vec::new(), Vec::new());
    let run = train(&equations, options, &mut |event: &Event<'_>| {
        match event {
            Event::Fallback { from, to, iterations } => fallen.push((*from, *to, *iterations)),
            Event::Step(step) => {
                let solver = fallen.last().map_or(options.solver.unwrap(), |fallen| fallen.1);
                assert_eq!(step.solver, solver);
            }
            Event::Kept(snapshot) => taken.push(snapshot.take()),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    (run.unwrap(), fallen, taken)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The other solver takes over once, after no more iterations than it was given, and finishes the run; a resumed run
    /// does the same at the same place.
    #[test]
    fn another_solver_takes_over(
        seed: u64, after in 1usize..80, small: bool, which in 0usize..6,
        scale in prop::sample::select(vec![Scale::Auto, Scale::Fixed(64.0)]),
    ) {
        let from = [SolverKind::Cg, SolverKind::RpCholesky, SolverKind::ArcCosine, SolverKind::Srht, SolverKind::RpGram, SolverKind::Nystrom][which];
        let fallback = Fallback { solver: SolverKind::Cholesky, after };
        let options = Options::default()
            .width(512)
            .ridge(if small { 0.0 } else { 1e-3 })
            .scale(scale)
            .solver(Some(from))
            .sketch_rows(Some(70))
            .fallback(Some(fallback))
            .max_steps(12);
        let (run, fallen, taken) = watched(&options, seed);
        prop_assert!(fallen.len() <= 1);
        if let Some(&(of, to, iterations)) = fallen.first() {
                prop_assert_eq!((of, to), (from, SolverKind::Cholesky));
            prop_assert!(iterations >= after, "{} of {}", iterations, after);
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

/// Plain conjugate gradients on an ill-conditioned system would need hundreds of iterations.
#[test]
fn a_wrong_guess_costs_little() {
    let options = Options::default().width(1024).ridge(0.0).solver(Some(SolverKind::Cg));
    let (plain, ..) = watched(&options, 1);
    let fallback = Some(Fallback { solver: SolverKind::Cholesky, after: 20 });
    let (run, fallen, _) = watched(&options.fallback(fallback), 1);
    let iterations = |run: &Run| run.steps.iter().map(|step| step.inner_iterations).sum::<usize>();
    assert_eq!(run.ending, Ending::Converged);
    assert_eq!(fallen.len(), 1);
    assert!(iterations(&plain) > 4 * iterations(&run), "{}", iterations(&plain));
}

/// What the planner takes has something to fall back to, but for the exact factor itself and a solver that was asked for.
#[test]
fn plans_have_a_fallback() {
    let options = Options::default().ridge(0.1);
    let shape = Shape::of(20_000, 30, 1, 2);
    let free = plan(&shape, &options);
    assert_ne!(free.chosen, SolverKind::Cholesky);
    let fallback = free.fallback.unwrap();
    assert_eq!(fallback.solver, SolverKind::Cholesky);
    let chosen = free.candidates.iter().find(|c| c.solver == free.chosen).unwrap();
    assert!(fallback.after as f64 >= 1.5 * chosen.iterations * free.steps as f64);
    assert_eq!(plan(&shape, &options.solver(Some(SolverKind::Cg))).fallback, None);
    // Where the exact factor does not fit, there is nothing surer.
    let exact = free.candidates.iter().find(|c| c.solver == SolverKind::Cholesky).unwrap();
    assert_eq!(free.clone().within(exact.predicted_bytes * 0.99).fallback, None);
    assert_eq!(plan(&Shape::of(100, 5, 1, 2), &options).fallback, None);
}

/// Where there are fewer parameters than equations, steps are solved for in the space of the weights: no fallback ends
/// these early.
#[test]
fn least_squares_steps_have_no_fallback() {
    let options = Options::default().width(12).ridge(0.0).solver(Some(SolverKind::Cg)).max_steps(3);
    let (plain, ..) = watched(&options, 2);
    let fallback = Some(Fallback { solver: SolverKind::Cholesky, after: 1 });
    let (run, ..) = watched(&options.fallback(fallback), 2);
    let iterations = |run: &Run| run.steps.iter().map(|step| step.inner_iterations).sum::<usize>();
    assert!(iterations(&plain) > 3 * plain.steps.len(), "{}", iterations(&plain));
    assert_eq!(iterations(&run), iterations(&plain));
    assert_eq!(run.network.change(), plain.network.change());
}
