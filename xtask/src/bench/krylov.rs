//! `cargo xtask bench krylov`: the Krylov solvers beside `SciPy`'s, on generated problems: same answers in as many iterations.

use std::path::PathBuf;
use std::process::Command;

use faer::{Mat, MatRef};
use nearlin_krylov::{Cg, LeastSquares, Minres};
use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::table::Table;
use super::{Outcome, files};
use crate::tidy::output;

/// By how much iterations may differ.
const ITERATIONS: f64 = 0.1;

/// Iterations that say nothing.
const FEW: usize = 2;

/// How many times the tolerance, beside the condition number, solutions may be apart.
const APART: f64 = 10.0;

/// What to compare.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Python with `SciPy` [default: a virtual environment made in target].
    #[arg(long, value_name = "PY")]
    python: Option<PathBuf>,
    /// Folder for the results [default: docs/benchmarks].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Head {
    scipy: String,
    tolerance: f64,
}

/// A problem and `SciPy`'s answer.
#[derive(Debug, Deserialize)]
struct Problem {
    solver: String,
    rows: usize,
    columns: usize,
    a: Vec<f64>,
    b: Vec<f64>,
    x: Vec<f64>,
    iterations: usize,
    condition: f64,
    damping: f64,
}

/// How the two compare on one problem.
#[derive(Debug, Serialize)]
struct Line {
    solver: String,
    rows: usize,
    columns: usize,
    condition: f64,
    damping: f64,
    /// `|x - x'| / |x'|`.
    apart: f64,
    iterations: usize,
    theirs: usize,
}

#[derive(Debug, Serialize)]
struct Report {
    benchmark: &'static str,
    facts: Facts,
    scipy: String,
    tolerance: f64,
    lines: Vec<Line>,
}

/// Runs the comparison; fails where a solver is too far from `SciPy`'s.
pub(super) fn run(args: &Args) -> Outcome {
    let root = files::root();
    let folder = files::folder(args.out.as_deref(), &root, false)?;
    let facts = Facts::gather(&root)?;
    let python = super::fits::python(args.python.as_deref(), &root)?;
    let told = output(Command::new(python).arg(root.join("xtask/python/krylov.py")))?;
    let mut told = told.lines();
    let Head { scipy, tolerance } =
        serde_json::from_str(told.next().ok_or("the script says nothing")?)?;
    let lines = told
        .map(|line| compare(&serde_json::from_str(line)?, tolerance))
        .collect::<Outcome<Vec<Line>>>()?;
    let report = Report { benchmark: "krylov", facts, scipy, tolerance, lines };
    println!("\n{}", table(&report));
    files::write(&folder, "krylov", &report, &page(&report))?;
    match report.lines.iter().find(|line| !line.agrees(tolerance)) {
        None => Ok(()),
        Some(line) => Err(format!("too far apart: {line:?}").into()),
    }
}

fn compare(problem: &Problem, tolerance: f64) -> Outcome<Line> {
    let Problem { solver, rows, columns, condition, damping, .. } = problem;
    let a = MatRef::from_row_major_slice(&problem.a, *rows, *columns).to_owned();
    let b = Mat::from_fn(*rows, 1, |i, _| problem.b[i]);
    let fit = |method: LeastSquares| {
        let settings = method.with_tol(tolerance).with_damping(*damping).with_max_iters(20_000);
        settings.solve(&a, b.as_ref()).map(|fit| (fit.x, fit.report.iters))
    };
    let (x, iterations) = match solver.as_str() {
        "lsqr" => fit(LeastSquares::lsqr())?,
        "lsmr" => fit(LeastSquares::lsmr())?,
        "minres" => {
            let minres = Minres::default().with_rtol(tolerance).with_max_iters(20_000);
            let solution = minres.solve(&a, b.as_ref())?;
            (solution.x, solution.report.iters)
        }
        "cg" => {
            let cg = Cg::default().with_rtol(tolerance).with_max_iters(20_000);
            let solution = cg.solve(&a, b.as_ref())?;
            (solution.x, solution.report.iters)
        }
        other => return Err(format!("no solver `{other}`").into()),
    };
    let theirs = Mat::from_fn(*columns, 1, |j, _| problem.x[j]);
    Ok(Line {
        solver: solver.clone(),
        rows: *rows,
        columns: *columns,
        condition: *condition,
        damping: *damping,
        apart: (&x - &theirs).norm_l2() / theirs.norm_l2(),
        iterations,
        theirs: problem.iterations,
    })
}

impl Line {
    /// Whether solutions are as near as the tolerance says, and iterations as many.
    fn agrees(&self, tolerance: f64) -> bool {
        // A gradient of the tolerance leaves an error of the condition number's square times it.
        let square = matches!(&*self.solver, "lsqr" | "lsmr");
        let power = if square { 2 } else { 1 };
        let near = self.apart <= APART * tolerance * self.condition.powi(power);
        let more = self.iterations.abs_diff(self.theirs);
        near && (more <= FEW || more as f64 <= ITERATIONS * self.theirs as f64)
    }
}

fn table(report: &Report) -> Table {
    let header =
        ["solver", "problems", "iterations", "SciPy's", "largest difference", "solutions apart"];
    let mut table = Table::new(&header, 1);
    for solver in ["lsqr", "lsmr", "minres", "cg"] {
        let of = || report.lines.iter().filter(|line| line.solver == solver);
        let (ours, theirs): (usize, usize) =
            of().fold((0, 0), |sum, line| (sum.0 + line.iterations, sum.1 + line.theirs));
        let most = of().map(|line| line.iterations.abs_diff(line.theirs)).max().unwrap_or(0);
        let apart = of().map(|line| line.apart).fold(0.0, f64::max);
        table.push([
            solver.to_owned(),
            of().count().to_string(),
            ours.to_string(),
            theirs.to_string(),
            most.to_string(),
            format!("{apart:.1e}"),
        ]);
    }
    table
}

fn page(report: &Report) -> String {
    let within = report.lines.iter().filter(|line| line.agrees(report.tolerance)).count();
    format!(
        "# Krylov solvers beside SciPy\n\n\
         Written by `cargo xtask bench krylov`: change the program, not this page.\n\n{}\n\
         Generated problems (tall, wide and square, consistent or not, damped or not; symmetric, definite or not; condition numbers \
         from 10 to 10,000), solved with SciPy {} and with nearlin-krylov to the tolerance {:.0e}. On {within} of {} the iterations are \
         within a tenth of SciPy's, or two, and the solutions as near as the tolerance and the condition number say.\n\n{}",
        report.facts.paragraph(),
        report.scipy,
        report.tolerance,
        report.lines.len(),
        table(report)
    )
}
