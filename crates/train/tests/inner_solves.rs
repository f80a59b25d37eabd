//! What inner solves cost and reach, counted from outside: iterations, factors, and digits in single precision.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::ops::ControlFlow;

use common::{norm, problem, residual, run};
use nearlin::{
    Ending, Event, InnerTolerance, Options, Phase, Precision, Run, Scale, SolverKind, train,
};

/// Solvers whose preconditioner is no exact factor of the system.
const ITERATIVE: [SolverKind; 3] =
    [SolverKind::ArcCosine, SolverKind::TensorSrht, SolverKind::Srht];

fn options(width: usize) -> Options {
    Options::default().width(width).ridge(0.0)
}

/// What was counted while a run went on, restarts and all.
#[derive(Debug, Default)]
struct Counts {
    inner: usize,
    builds: usize,
    solves: usize,
    restarts: usize,
}

fn counted(options: &Options) -> (Run, Counts) {
    let mut counts = Counts::default();
    let run = train(&problem(80, 5, 1, 3), options, &mut |event: &Event<'_>| {
        match event {
            Event::Inner { .. } => counts.inner += 1,
            Event::Phase(Phase::Build) => counts.builds += 1,
            Event::Phase(Phase::Solve) => counts.solves += 1,
            Event::Restart { .. } => counts.restarts += 1,
            _ => {}
        }
        ControlFlow::Continue(())
    });
    (run.unwrap(), counts)
}

/// Numbers of 24 bits, refined against residuals of 53, end where those do: at a relative residual of 1e-10, of which
/// single precision alone could not tell the sign.
#[test]
fn single_precision_is_refined_to_ten_digits() {
    let equations = problem(80, 5, 2, 3);
    for kind in SolverKind::ALL {
        let options = options(1024).tolerance(1e-10).precision(Precision::F32).solver(Some(kind));
        let run = run(&equations, &options);
        assert_eq!(run.ending, Ending::Converged, "{kind}: {}", run.reason);
        assert!(run.rel_residual <= 1e-10, "{kind}: {:e}", run.rel_residual);
        let fresh = norm(&residual(&equations, &run.network)) / norm(equations.y());
        assert!(fresh <= 1.01e-10, "{kind}: {fresh:e} of weights in f64");
    }
}

/// No step is solved further than the linear model holds. Systems solved to the tolerance of the run give the same in no
/// fewer than twice as many iterations.
#[test]
fn forcing_terms_save_iterations() {
    for kind in ITERATIVE {
        let options = options(512).solver(Some(kind)).scale(Scale::Fixed(8.0));
        let (adaptive, with) = counted(&options);
        let (fixed, without) = counted(&options.inner_tolerance(InnerTolerance::Fixed(1e-8)));
        for run in [&adaptive, &fixed] {
            assert_eq!(run.ending, Ending::Converged, "{kind}: {}", run.reason);
            assert!(run.rel_residual <= 1e-8, "{kind}: {:e}", run.rel_residual);
        }
        assert!(2 * with.inner <= without.inner, "{kind}: {with:?} and {without:?}");
        // What is told while a run goes on is what it reports.
        let reported = adaptive.steps.iter().map(|step| step.inner_iterations).sum::<usize>();
        assert_eq!(with.inner, reported, "{kind}");
    }
}

/// A preconditioner that does not follow the masks serves all steps, at all scales that are tried.
#[test]
fn a_factor_of_the_infinite_width_is_built_once() {
    let (run, counts) = counted(&options(256).solver(Some(SolverKind::ArcCosine)));
    assert_eq!(run.ending, Ending::Converged, "{}", run.reason);
    assert!(counts.restarts > 0 && run.steps.len() > 2, "{counts:?}, {} steps", run.steps.len());
    assert_eq!(counts.builds, 1, "{counts:?}");
    assert!(counts.solves >= run.steps.len(), "{counts:?}");
}

/// Nor is one that follows them built again where fewer than 0.05% of their entries flip.
#[test]
fn a_factor_is_kept_while_the_masks_are() {
    for kind in [SolverKind::Cholesky, SolverKind::Srht, SolverKind::TensorSrht] {
        let (run, counts) = counted(&options(512).solver(Some(kind)).scale(Scale::Fixed(256.0)));
        assert_eq!(run.ending, Ending::Converged, "{kind}: {}", run.reason);
        let flipped = run.steps.iter().map(|step| step.flipped).sum::<f64>();
        assert!(run.steps.len() > 1 && flipped < 5e-4, "{kind}: {flipped:e} flipped");
        assert_eq!(counts.builds, 1, "{kind}: {counts:?} in {} steps", run.steps.len());
    }
}

/// With a ridge the multipliers of a step begin the next one's solve: to what the second step leaves of its system,
/// a solve from zero, which the first step's is, takes more iterations. At this scale hardly a mask flips, so both
/// systems are one but for their right-hand sides.
#[test]
fn a_warm_start_saves_iterations() {
    for kind in [SolverKind::ArcCosine, SolverKind::Cg] {
        let steps = |tolerance: f64, steps: usize| {
            let options = options(512).ridge(0.01).solver(Some(kind)).scale(Scale::Fixed(1e4));
            let tolerance = InnerTolerance::Fixed(tolerance);
            counted(&options.inner_tolerance(tolerance).max_steps(steps)).0.steps
        };
        let warm = steps(1e-2, 2);
        let (first, second) = (&warm[0], &warm[1]);
        assert!(second.eta_inner < 0.1 * first.eta_inner, "{kind}: {:e}", second.eta_inner);
        let cold = &steps(second.eta_inner, 1)[0];
        assert!(
            second.inner_iterations < cold.inner_iterations,
            "{kind}: {} and {} to {:e}",
            second.inner_iterations,
            cold.inner_iterations,
            second.eta_inner
        );
    }
}

/// A Nyström approximation of a low rank leads to the step of the exact factor, in either precision: systems that are solved
/// to 1e-10 differ by that times their condition number, which is below 1e4 here. What it is and leaves is reported.
#[test]
fn products_lead_where_the_exact_factor_does() {
    let equations = problem(90, 5, 2, 8);
    for precision in [Precision::F64, Precision::F32] {
        for ridge in [0.0, 0.05] {
            let first = |kind| {
                let options = options(512).ridge(ridge).precision(precision).solver(Some(kind));
                let tolerance = InnerTolerance::Fixed(1e-10);
                let options = options.scale(Scale::Fixed(64.0)).inner_tolerance(tolerance);
                let run = run(&equations, &options.sketch_rows(Some(30)).max_steps(1));
                let step = run.steps[0].clone();
                assert!(step.eta_inner <= 1.1e-10, "{kind}, {precision:?}: {}", step.eta_inner);
                (run.network.change().to_vec(), step)
            };
            let (reference, exact) = first(SolverKind::Cholesky);
            let (change, step) = first(SolverKind::Nystrom);
            let apart: Vec<f64> = change.iter().zip(&reference).map(|(a, b)| a - b).collect();
            let apart = norm(&apart) / norm(&reference);
            assert!(apart <= 1e-6, "{precision:?}, ridge {ridge}: {apart:e}");
            assert_eq!((exact.rank, exact.left), (None, None));
            assert_eq!(step.rank, Some(30));
            assert!(step.left.is_some_and(|left| left > 0.0 && left < 10.0), "{:?}", step.left);
        }
    }
}

/// More equations than free parameters, and more parameters than a factor of `J^T J` is made of: once plain iterations have not
/// done, each step has a factor of some examples, and the first is the least-squares one, after which nothing is left to gain.
#[test]
fn examples_precondition_least_squares() {
    let equations = problem(3000, 8, 1, 3);
    let options = options(400)
        .scale(Scale::Fixed(65536.0))
        .inner_tolerance(InnerTolerance::Fixed(1e-9))
        .tolerance(1e-13)
        .max_steps(3);
    let mut builds = 0;
    let run = train(&equations, &options, &mut |event: &Event<'_>| {
        builds += usize::from(matches!(event, Event::Phase(Phase::Build)));
        ControlFlow::Continue(())
    });
    let run = run.unwrap();
    let (first, last) = (&run.steps[0], run.steps.last().unwrap());
    assert!(builds >= run.steps.len() && run.steps.len() >= 2, "{builds} {:?}", run.steps);
    assert!(first.inner_iterations > 32 && first.condition < 1e5, "{first:?}");
    assert!((last.rel_residual / first.rel_residual - 1.0).abs() < 1e-3, "{:?}", run.steps);
}
