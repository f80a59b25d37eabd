//! `cargo xtask bench lstsq`: least squares by sketch and precondition beside LAPACK, faer and plain LSQR.

mod peer;
mod problem;

use core::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::solvers::SolveLstsq;
use faer::{Mat, Par};
use nearlin_krylov::{LeastSquares, LinOp, Step};
use nearlin_lstsq::{Matrix, lstsq};
use serde::Serialize;

use self::peer::Lapack;
use self::problem::Problem;
use super::facts::Facts;
use super::spread::Spread;
use super::table::Table;
use super::words::figure;
use super::{Outcome, files};

/// Rounds of each solver, in turn.
const ROUNDS: usize = 3;

/// A solver that takes this many times our time is ended.
const PATIENCE: f64 = 12.0;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Small problems: a smoke test.
    #[arg(long)]
    quick: bool,
    /// Python with `SciPy` [default: a virtual environment made in target].
    #[arg(long, value_name = "PY")]
    python: Option<PathBuf>,
    /// Folder for the results [default: docs/benchmarks, with --quick target/bench].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// One solver on one problem.
#[derive(Debug, Serialize)]
struct Line {
    problem: String,
    solver: String,
    seconds: Spread,
    /// `|A^T r| / (|A| |r|)`.
    backward_error: f64,
    /// Passes over the matrix, where it is an iteration.
    passes: Option<usize>,
    /// Whether it was ended.
    ended: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    benchmark: &'static str,
    facts: Facts,
    libraries: String,
    lines: Vec<Line>,
}

/// Runs the benchmark.
pub(super) fn run(args: &Args) -> Outcome {
    let root = files::root();
    let folder = files::folder(args.out.as_deref(), &root, args.quick)?;
    let facts = Facts::gather(&root)?;
    let python = super::fits::python(args.python.as_deref(), &root)?;
    let (mut lines, mut libraries) = (Vec::new(), String::new());
    for problem in Problem::all(args.quick) {
        eprintln!("{}", problem.name());
        match problem {
            Problem::Dense { rows, columns } => {
                let (a, b) = problem::dense(rows, columns);
                let mut peer = Lapack::start(&python, &root, &a, &b)?;
                libraries.clone_from(&peer.libraries);
                dense(&problem.name(), &a, &b, &mut peer, &mut lines)?;
            }
            Problem::Sparse { rows, columns, each } => {
                let (a, b) = problem::sparse(rows, columns, each)?;
                let norm = a.val().iter().map(|v| v * v).sum::<f64>().sqrt();
                iterated(&problem.name(), &a, norm, &b, &mut lines)?;
            }
        }
    }
    let report = Report { benchmark: "lstsq", facts, libraries, lines };
    println!("\n{}", table(&report));
    files::write(&folder, "lstsq", &report, &page(&report))
}

fn dense(
    name: &str,
    a: &Mat<f64>,
    b: &Mat<f64>,
    peer: &mut Lapack,
    lines: &mut Vec<Line>,
) -> Outcome {
    let norm = a.norm_l2();
    let mut seconds: [Vec<f64>; 3] = Default::default();
    let mut last = None;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let ours = lstsq(a, b.as_ref())?;
        seconds[0].push(start.elapsed().as_secs_f64());
        let (took, lapack) = peer.solve()?;
        seconds[1].push(took);
        let start = Instant::now();
        let qr = a.qr().solve_lstsq(b);
        seconds[2].push(start.elapsed().as_secs_f64());
        last = Some((ours, lapack, qr));
    }
    let (ours, lapack, qr) = last.ok_or("nothing was run")?;
    let passes = ours.report.passes;
    let solvers = [
        ("nearlin-lstsq", ours.x, Some(passes)),
        ("LAPACK dgels", lapack, None),
        ("faer QR", qr, None),
    ];
    for ((solver, x, passes), seconds) in solvers.into_iter().zip(seconds) {
        lines.push(Line {
            problem: name.into(),
            solver: solver.into(),
            seconds: Spread::of(seconds).ok_or("nothing was run")?,
            backward_error: backward_error(a, norm, b, &x),
            passes,
            ended: false,
        });
    }
    Ok(())
}

fn iterated<A: Matrix<f64>>(
    name: &str,
    a: &A,
    norm: f64,
    b: &Mat<f64>,
    lines: &mut Vec<Line>,
) -> Outcome {
    let mut seconds = Vec::new();
    let mut fit = None;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        fit = Some(lstsq(a, b.as_ref())?);
        seconds.push(start.elapsed().as_secs_f64());
    }
    let fit = fit.ok_or("nothing was run")?;
    let ours = Spread::of(seconds).ok_or("nothing was run")?;
    let error = backward_error(a, norm, b, &fit.x);
    let (problem, solver) = (name.to_owned(), "nearlin-lstsq".to_owned());
    let passes = Some(fit.report.passes);
    lines.push(Line {
        problem,
        solver,
        seconds: ours,
        backward_error: error,
        passes,
        ended: false,
    });

    // Plain LSQR to the same gradient, or until it has taken many times as long.
    let par = Par::rayon(0);
    let mut x = Mat::zeros(a.ncols(), 1);
    let mut buffer = MemBuffer::new(LeastSquares::scratch(a, None, 1, par));
    let start = Instant::now();
    let mut watch = |_: &Step<'_>| {
        let late = start.elapsed().as_secs_f64() > PATIENCE * ours.median;
        if late { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let settings = LeastSquares::lsqr().with_tol(error).with_max_iters(usize::MAX);
    let stack = MemStack::new(&mut buffer);
    let told = settings.solve_into(x.as_mut(), a, None, b.as_ref(), &mut watch, par, stack)?;
    let took = start.elapsed().as_secs_f64();
    lines.push(Line {
        problem: name.into(),
        solver: "plain LSQR".into(),
        seconds: Spread { median: took, min: took, max: took },
        backward_error: backward_error(a, norm, b, &x),
        passes: Some(told.applications),
        ended: told.ending == nearlin_krylov::Ending::Stopped,
    });
    Ok(())
}

/// `|A^T r| / (norm |r|)`.
fn backward_error<A: Matrix<f64>>(a: &A, norm: f64, b: &Mat<f64>, x: &Mat<f64>) -> f64 {
    let par = Par::rayon(0);
    let mut residual = Mat::zeros(LinOp::nrows(a), 1);
    let mut gradient = Mat::zeros(LinOp::ncols(a), 1);
    let scratch = a.apply_scratch(1, par).or(a.apply_adjoint_scratch(1, par));
    let mut buffer = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut buffer);
    a.apply(residual.as_mut(), x.as_ref(), par, stack);
    let residual = b - &residual;
    a.apply_adjoint(gradient.as_mut(), residual.as_ref(), par, stack);
    gradient.norm_l2() / (norm * residual.norm_l2())
}

fn table(report: &Report) -> Table {
    let header =
        ["problem", "solver", "seconds", "range", "times ours", "backward error", "passes"];
    let mut table = Table::new(&header, 2);
    for line in &report.lines {
        let ours = report.lines.iter().find(|other| other.problem == line.problem);
        let ratio = ours.map_or(1.0, |ours| line.seconds.median / ours.seconds.median);
        table.push([
            line.problem.clone(),
            line.solver.clone(),
            figure(line.seconds.median) + if line.ended { ", ended" } else { "" },
            line.seconds.range(),
            figure(ratio),
            format!("{:.1e}", line.backward_error),
            line.passes.map_or_else(|| "-".into(), |passes| passes.to_string()),
        ]);
    }
    table
}

fn page(report: &Report) -> String {
    format!(
        "# Least squares beside LAPACK, faer and LSQR\n\n\
         Written by `cargo xtask bench lstsq`: change the program, not this page.\n\n{}\n\
         Default settings, all threads; LAPACK by {}. Dense matrices are normal ones times singular values from 1 to 1e-10 and a \
         random rotation, sparse ones have columns whose lengths fall from 1 to 1e-6; right-hand sides are a product with a \
         random vector and noise of a thousandth. Seconds are medians of {ROUNDS} rounds in turn. The backward error is \
         `|A^T r| / (|A| |r|)`, recomputed by the same code for all. A pass reads the matrix once; an iteration, both of its \
         products, is one. Plain LSQR runs to the same gradient, or is ended after {PATIENCE:.0} times our time.\n\n{}",
        report.facts.paragraph(),
        report.libraries,
        table(report)
    )
}
