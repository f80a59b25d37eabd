//! `cargo xtask bench map`: which solver makes one certified step the quickest, for examples n against neurons m up to n^2.
//!
//! The published preconditioner is near-linear in the Jacobian's size n m d for m of order n^2 or more, where its QR of
//! order n^3 is small beside reading the Jacobian. This measures where that is the cheapest thing to do.

use core::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use nearlin::{
    Equations, Event, InnerTolerance, Options, Rates, Scale, Shape, SolverKind, plan_at, train,
};
use nearlin_cli::plot::{Axis, Chart, Scale as AxisScale, Series, Style};
use serde::Serialize;

use super::facts::Facts;
use super::grid::case::{Case, Inputs};
use super::table::Table;
use super::words::figure;
use super::{Outcome, files};

/// Inputs, a bias among them.
const INPUTS: usize = 16;

/// Scale of the initial weights.
const SCALE: f64 = 8.0;

/// What the inner solver may leave of a step.
const TOLERANCE: f64 = 1e-6;

/// Repetitions of what takes less than a second; what takes longer is run once.
const ROUNDS: usize = 3;

/// Predicted seconds beyond which a solver is not tried.
const LIMIT: f64 = 60.0;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Few and small shapes: a smoke test.
    #[arg(long)]
    quick: bool,
    /// Folder for the results [default: docs/benchmarks, with --quick target/bench].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A step with one solver.
#[derive(Debug, Serialize)]
struct Step {
    solver: &'static str,
    /// `None` where it was not tried.
    seconds: Option<f64>,
    iterations: usize,
}

/// One shape.
#[derive(Debug, Serialize)]
struct Cell {
    rows: usize,
    width: usize,
    steps: Vec<Step>,
}

/// A shape for which the cost model says who is the cheapest.
#[derive(Debug, Serialize)]
struct Guess {
    rows: usize,
    width: usize,
    solver: &'static str,
    /// Predicted seconds with `srht` over those of the cheapest.
    srht: f64,
}

#[derive(Debug, Serialize)]
struct Measured {
    benchmark: &'static str,
    facts: Facts,
    rates: Rates,
    cells: Vec<Cell>,
    guesses: Vec<Guess>,
}

impl Cell {
    /// The quickest.
    fn best(&self) -> Option<(&'static str, f64)> {
        let timed = self.steps.iter().filter_map(|step| Some((step.solver, step.seconds?)));
        timed.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn seconds(&self, solver: SolverKind) -> Option<f64> {
        self.steps.iter().find(|step| step.solver == solver.name()).and_then(|step| step.seconds)
    }
}

/// Runs the benchmark.
pub(super) fn run(args: &Args) -> Outcome {
    let root = files::root();
    let folder = files::folder(args.out.as_deref(), &root, args.quick)?;
    let facts = Facts::gather(&root)?;
    let start = Instant::now();
    let rates = Rates::measure(faer::Par::rayon(0), &mut || start.elapsed().as_secs_f64())?;
    let rows: &[usize] = if args.quick { &[64] } else { &[64, 128, 256, 512, 1024] };
    let mut cells = Vec::new();
    for &n in rows {
        let case = Case {
            rows: n,
            width: 0,
            inputs: INPUTS,
            outputs: 1,
            ridge: 0.0,
            points: Inputs::Cloud,
        };
        let equations = case.equations()?;
        for m in widths(n) {
            cells.push(cell(&equations, m, &rates)?);
        }
    }
    let guesses = [1024, 2048, 4096, 8192, 16_384, 65_536]
        .into_iter()
        .flat_map(|n| widths(n).map(move |m| (n, m)))
        .map(|(n, m)| guess(n, m, &rates))
        .collect();
    let measured = Measured { benchmark: "map", facts, rates, cells, guesses };
    let page = page(&measured);
    println!("{page}");
    if !args.quick {
        for ending in ["svg", "png"] {
            chart(&measured).write(&folder.join(format!("map.{ending}")))?;
        }
    }
    files::write(&folder, "map", &measured, &page)
}

/// Four times as many each, from twice as many neurons as examples to at most their square.
fn widths(n: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(2 * n), |m| Some(4 * m)).take_while(move |&m| m <= n * n)
}

fn options(width: usize) -> Options {
    Options::default()
        .width(width)
        .ridge(0.0)
        .scale(Scale::Fixed(SCALE))
        .inner_tolerance(InnerTolerance::Fixed(TOLERANCE))
        .max_steps(1)
}

fn cell(equations: &Equations, width: usize, rates: &Rates) -> Outcome<Cell> {
    let options = options(width);
    let plan = plan_at(&Shape::new(equations, &options), &options, rates);
    let mut steps = Vec::new();
    for kind in SolverKind::ALL {
        let predicted = plan.candidates.iter().find(|candidate| candidate.solver == kind);
        let mut step = Step { solver: kind.name(), seconds: None, iterations: 0 };
        if predicted.is_some_and(|candidate| candidate.predicted_seconds <= LIMIT) {
            let mut seconds = Vec::new();
            while seconds.len() < ROUNDS && seconds.iter().sum::<f64>() < 1.0 {
                let start = Instant::now();
                let mut still = |_: &Event<'_>| ControlFlow::Continue(());
                let run = train(equations, &options.solver(Some(kind)), &mut still)?;
                seconds.push(start.elapsed().as_secs_f64());
                step.iterations = run.steps.iter().map(|step| step.inner_iterations).sum();
            }
            seconds.sort_by(f64::total_cmp);
            step.seconds = Some(seconds[seconds.len() / 2]);
        }
        steps.push(step);
    }
    let cell = Cell { rows: equations.rows(), width, steps };
    if let Some((solver, seconds)) = cell.best() {
        eprintln!("n = {}, m = {width}: {solver}, {}", cell.rows, figure(seconds));
    }
    Ok(cell)
}

fn guess(rows: usize, width: usize, rates: &Rates) -> Guess {
    let plan = plan_at(&Shape::of(rows, INPUTS, 1, rates.threads), &options(width), rates);
    let seconds = |solver| {
        let found = plan.candidates.iter().find(|candidate| candidate.solver == solver);
        found.map_or(f64::NAN, |candidate| candidate.predicted_seconds)
    };
    let srht = seconds(SolverKind::Srht) / seconds(plan.chosen);
    Guess { rows, width, solver: plan.chosen.name(), srht }
}

/// A marker for every shape, by its winner: measured, or else by the cost model.
fn chart(Measured { cells, guesses, .. }: &Measured) -> Chart {
    let won = |solver: SolverKind| -> Vec<(f64, f64)> {
        let won =
            cells.iter().filter(|cell| cell.best().is_some_and(|best| best.0 == solver.name()));
        won.map(|cell| (cell.width as f64, cell.rows as f64)).collect()
    };
    let is_measured = |guess: &Guess| {
        cells.iter().any(|cell| (cell.rows, cell.width) == (guess.rows, guess.width))
    };
    let would_win = |solver: SolverKind| -> Vec<(f64, f64)> {
        let of = guesses.iter().filter(|guess| guess.solver == solver.name());
        let of = of.filter(|guess| !is_measured(guess));
        of.map(|guess| (guess.width as f64, guess.rows as f64)).collect()
    };
    let measured = SolverKind::ALL.map(|solver| (solver.name().to_owned(), won(solver)));
    let modelled =
        SolverKind::ALL.map(|solver| (format!("{solver}, by the cost model"), would_win(solver)));
    Chart {
        title: "The quickest solver for one certified step".into(),
        subtitle: format!("{INPUTS} inputs, one output, no ridge, inner tolerance {TOLERANCE:e}"),
        x: Axis::new("neurons m", AxisScale::Log10),
        y: Axis::new("examples n", AxisScale::Log10),
        series: (measured.into_iter().chain(modelled))
            .map(|(name, points)| Series::new(&name, points, Style::Markers))
            .filter(|series| !series.points.is_empty())
            .collect(),
    }
}

fn page(measured: &Measured) -> String {
    let won = |solver: SolverKind| {
        let cells = measured.cells.iter();
        cells.filter(|cell| cell.best().is_some_and(|best| best.0 == solver.name())).count()
    };
    let winners: Vec<String> = (SolverKind::ALL.into_iter())
        .map(|solver| (solver, won(solver)))
        .filter(|(_, count)| *count > 0)
        .map(|(solver, count)| format!("`{solver}` {count}"))
        .collect();
    let behind = |solver: SolverKind| {
        let ratios: Vec<f64> = (measured.cells.iter())
            .filter_map(|cell| Some(cell.seconds(solver)? / cell.best()?.1))
            .collect();
        let low = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let high = ratios.iter().copied().fold(0.0, f64::max);
        format!(
            "`{solver}` takes {} to {} times as long as the quickest",
            figure(low),
            figure(high)
        )
    };
    let mut guessed = Table::new(&["n", "m", "cheapest", "srht beside it"], 0);
    for guess in &measured.guesses {
        guessed.push([
            guess.rows.to_string(),
            guess.width.to_string(),
            guess.solver.into(),
            figure(guess.srht),
        ]);
    }
    format!(
        "# Where the published preconditioner wins\n\n\
         Written by `cargo xtask bench map`: change the program, not this page.\n\n{}\n\
         One Gauss-Newton step at the scale {SCALE}, without a ridge, solved to {TOLERANCE:e}, from equations in memory to \
         a certified step, in `f64` on normal inputs ({INPUTS} with a bias). Medians of {ROUNDS} where a step takes less \
         than a second. `-` is predicted to take over {LIMIT:.0} seconds.\n\n\
         Quickest, by shapes: {}. {}; {}.\n\n\
         ![The quickest solver for every shape](map.svg)\n\n## Measured, seconds (iterations)\n\n{}\n\
         ## By the cost model\n\nAt the rates of this machine, beyond what fits or is worth waiting for.\n\n{guessed}",
        measured.facts.paragraph(),
        winners.join(", "),
        behind(SolverKind::Srht),
        behind(SolverKind::TensorSrht),
        seconds(&measured.cells),
    )
}

fn seconds(cells: &[Cell]) -> Table {
    let mut header = vec!["n", "m"];
    header.extend(SolverKind::ALL.map(SolverKind::name));
    header.push("quickest");
    let mut table = Table::new(&header, 0);
    for cell in cells {
        let shape = [cell.rows.to_string(), cell.width.to_string()];
        let steps = cell.steps.iter().map(|step| {
            step.seconds.map_or("-".into(), |s| format!("{} ({})", figure(s), step.iterations))
        });
        let best = cell.best().map_or("-", |best| best.0).to_owned();
        table.push(shape.into_iter().chain(steps).chain([best]));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_go_to_the_square() {
        assert_eq!(widths(64).collect::<Vec<_>>(), [128, 512, 2048]);
        assert!(widths(1024).all(|m| m <= 1024 * 1024) && widths(1024).count() == 5);
    }

    #[test]
    fn the_quickest_has_been_timed() {
        let step = |solver, seconds| Step { solver, seconds, iterations: 1 };
        let steps = vec![step("srht", None), step("cg", Some(2.0)), step("cholesky", Some(1.0))];
        let cell = Cell { rows: 1, width: 2, steps };
        assert_eq!(cell.best(), Some(("cholesky", 1.0)));
        assert_eq!(
            (cell.seconds(SolverKind::Srht), cell.seconds(SolverKind::Cg)),
            (None, Some(2.0))
        );
    }
}
