//! Runs on the shipped tables, from the file to the certified network.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use core::ops::ControlFlow;
use std::path::Path;

use nearlin::{Ending, Equations, Event, Options, Run, SolverKind, train};
use nearlin_cli::table::{self, Holdout, Problem, Table, Task};

fn problem(
    file: &str,
    target: &str,
    task: Option<Task>,
    rows: Option<usize>,
    hold: Holdout,
) -> Problem {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data").join(file);
    let table = Table::read(&path).unwrap();
    let mut options = table::Options::default();
    (options.target, options.task, options.rows, options.holdout) =
        (target.to_owned(), task, rows, hold);
    Problem::prepare(&table, &options).unwrap()
}

fn run(problem: &Problem, options: &Options) -> Run {
    let merged = &problem.equations;
    let (inputs, outputs) = (merged.inputs, merged.outputs);
    let equations = Equations::new(merged.x.clone(), merged.y.clone(), inputs, outputs)
        .unwrap()
        .with_floor(merged.floor);
    train(&equations, options, &mut |_: &Event<'_>| ControlFlow::Continue(())).unwrap()
}

/// 1e-8 in at most 12 kept steps, each with a contraction of at most 1/2, at a scale that is 1 or at
/// most 8 times the largest one rejected.
fn assert_certified(run: &Run, what: &str) {
    assert!(matches!(run.ending, Ending::Converged | Ending::Floor), "{what}: {}", run.reason);
    assert!(run.rel_residual <= 1e-8, "{what}: {}", run.rel_residual);
    assert!(run.steps.len() <= 12, "{what}: {} steps", run.steps.len());
    for step in &run.steps {
        assert!(step.contraction <= 0.5, "{what}: {step:?}");
        assert!(step.contraction <= step.eta_inner + step.eta_lin + 1e-6, "{what}: {step:?}");
    }
    let rejected = run.scale_search.iter().filter(|t| !t.accepted);
    let largest = rejected.map(|t| t.scale).fold(0.0, f64::max);
    assert!(run.scale == 1.0 || run.scale <= 8.0 * largest, "{what}: {:?}", run.scale_search);
}

#[test]
fn diabetes_with_every_solver() {
    let problem = problem("diabetes.csv.gz", "target", None, None, Holdout::Fraction(0.0));
    assert_eq!((problem.equations.equations(), problem.equations.inputs), (442, 20));
    for kind in SolverKind::ALL {
        let options = Options::default().width(1024).ridge(0.0).solver(Some(kind));
        let run = run(&problem, &options);
        assert_certified(&run, kind.name());
        assert!(run.steps[0].flipped > 0.0, "{kind}: nothing flipped, so nothing was learned");
    }
}

#[test]
fn diamonds_with_exact_and_kernel_factors() {
    let problem = problem("diamonds.csv.gz", "log_price", None, Some(2000), Holdout::Fraction(0.0));
    for kind in [SolverKind::Cholesky, SolverKind::ArcCosine] {
        let run = run(&problem, &Options::default().ridge(0.0).solver(Some(kind)));
        assert_certified(&run, kind.name());
        assert!(run.steps[0].flipped > 0.0, "{kind}: nothing flipped, so nothing was learned");
    }
}

#[test]
fn digits_with_ten_outputs() {
    let hold = Holdout::TrainRows(1500);
    let problem = problem("digits.csv.gz", "digit", Some(Task::Classification), None, hold);
    assert_eq!(problem.equations.outputs, 10);
    let run = run(&problem, &Options::default().ridge(0.0).solver(Some(SolverKind::Cholesky)));
    assert_certified(&run, "cholesky");
    let forward = run
        .network
        .forward(
            faer::MatRef::from_row_major_slice(&problem.test_x, 297, problem.equations.inputs),
            faer::Par::rayon(0),
        )
        .unwrap();
    let best = |row: &[f64]| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let hits = (forward.outputs.chunks(10).zip(problem.test_y.chunks(10)))
        .filter(|(f, y)| best(f) == best(y))
        .count();
    assert!(hits as f64 / 297.0 >= 0.97, "{hits} of 297 test digits");
}
