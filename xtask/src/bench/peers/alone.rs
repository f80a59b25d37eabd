//! `cargo xtask bench train`: nearlin's side of the comparison with peers alone, on the shipped
//! tables, which needs no Python.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use core::ops::ControlFlow;

use nearlin::{Equations, Event, InnerTolerance, Precision, SolverKind, train};
use nearlin_cli::table::{Holdout, Options, Table};
use serde::Serialize;

use super::compare;
use super::contest::{CONTESTS, Contest, TOLERANCE, Variant};
use super::entry::{Entry, Run, rounds};
use super::{Problem, Report, page};
use crate::bench::facts::Facts;
use crate::bench::pace::{Pace, told as told_pace};
use crate::bench::table::Table as Markdown;
use crate::bench::words::{counted, figure};
use crate::bench::{Outcome, files};

/// How to measure.
#[derive(Debug, clap::Args)]
pub(in crate::bench) struct Args {
    /// Rounds, in each of which every solver runs once [default: 5, with --quick 1].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    reps: Option<u32>,
    /// The smallest problem only, in one round.
    #[arg(long)]
    quick: bool,
    /// An earlier result: fail where training is slower beyond the noise, or takes more iterations.
    #[arg(long, value_name = "JSON")]
    compare: Option<PathBuf>,
    /// Folder for the results [default: docs/benchmarks, with --quick target/bench].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Inner iterations of whole runs, those of rejected steps included.
#[derive(Debug, Serialize)]
struct Forced {
    problem: &'static str,
    solver: &'static str,
    /// With each inner solve only as accurate as the last step's linearisation error lets it show.
    adaptive: usize,
    /// With each solved to the run's tolerance.
    fixed: usize,
    /// Steps with either.
    steps: (usize, usize),
}

/// What is written: the report, and what forcing terms save.
#[derive(Debug, Serialize)]
struct Alone<'a> {
    #[serde(flatten)]
    report: &'a Report,
    forcing: &'a [Forced],
}

/// Runs the benchmark.
pub(in crate::bench) fn run(args: &Args) -> Outcome {
    let root = files::root();
    let facts = Facts::gather(&root)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let threads = pool.current_num_threads();
    // Before anything is written: it may be the file that is.
    let old = args.compare.as_deref().map(|path| compare::read(path, threads)).transpose()?;
    let folder = files::folder(args.out.as_deref(), &root, args.quick)?;
    let contests = if args.quick { &CONTESTS[..1] } else { &CONTESTS[..] };
    let repetitions = args.reps.unwrap_or(if args.quick { 1 } else { 5 });
    let problems: Vec<Problem> = contests
        .iter()
        .map(|contest| measure(contest, &root, repetitions, &pool))
        .collect::<Outcome<_>>()?;
    let (benchmark, versions) = ("train", BTreeMap::new());
    let tolerance = TOLERANCE;
    let report = Report { benchmark, facts, tolerance, threads, repetitions, versions, problems };
    let forcing: Vec<Forced> = contests
        .iter()
        .map(|contest| forced(contest, &root))
        .collect::<Outcome<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
    let page = written(&report) + &told(&forcing);
    println!("\n{page}");
    let alone = Alone { report: &report, forcing: &forcing };
    files::write(&folder, benchmark, &alone, &page)?;
    old.map_or(Ok(()), |old| compare::judge(&old, &alone))
}

/// Runs with and without forcing terms.
fn forced(contest: &Contest, root: &Path) -> Outcome<Vec<Forced>> {
    let equations = equations(contest.problem, root)?;
    let run = |solver: SolverKind, tolerance: InnerTolerance| -> Outcome<(usize, usize)> {
        let variant = Variant { solver: Some(solver), precision: Precision::F64 };
        let options = contest.options(&variant).inner_tolerance(tolerance);
        let mut iterations = 0;
        let mut count = |event: &Event<'_>| {
            iterations += usize::from(matches!(event, Event::Inner { .. }));
            ControlFlow::Continue(())
        };
        let run = train(&equations, &options, &mut count)?;
        Ok((iterations, run.steps.len()))
    };
    let solvers = [SolverKind::Cholesky, SolverKind::TensorSrht, SolverKind::ArcCosine];
    let forced = solvers.into_iter().map(|solver| {
        let (adaptive, steps) = run(solver, InnerTolerance::Adaptive)?;
        let (fixed, others) = run(solver, InnerTolerance::Fixed(TOLERANCE))?;
        let (problem, solver) = (contest.problem, solver.name());
        Ok(Forced { problem, solver, adaptive, fixed, steps: (steps, others) })
    });
    forced.collect()
}

/// What forcing terms save, as a section.
fn told(forcing: &[Forced]) -> String {
    let header =
        ["problem", "solver", "iterations", "with every solve to the end", "steps", "steps then"];
    let mut table = Markdown::new(&header, 2);
    for Forced { problem, solver, adaptive, fixed, steps } in forcing {
        let numbers = [adaptive, fixed, &steps.0, &steps.1].map(ToString::to_string);
        table.push([String::from(*problem), (*solver).into()].into_iter().chain(numbers));
    }
    format!(
        "\n## Forcing terms\n\nEach inner solve stops where the last step's linearisation error would hide what it gains; \
         inner iterations of whole runs, rejected steps included, beside those of runs that solve every system to {TOLERANCE:e}.\n\n{table}"
    )
}

fn measure(
    contest: &Contest,
    root: &Path,
    repetitions: u32,
    pool: &rayon::ThreadPool,
) -> Outcome<Problem> {
    let equations = equations(contest.problem, root)?;
    let mut entries: Vec<Entry> = contest
        .nearlin
        .iter()
        .map(|variant| pool.install(|| contest.entry(variant, &equations)))
        .collect();
    let mut pace = pool.install(Pace::of_pool);
    let runs = rounds(entries.len(), repetitions, |index| {
        let train = || contest.train(&contest.nearlin[index], &equations, pool);
        let (run, rate) = pace.around(train);
        let run = Run { fma_per_second: Some(rate), ..run? };
        let cpu = run.cost.map_or("not reached".into(), |cost| figure(cost.cpu) + " CPU s");
        eprintln!("{}: {}: {cpu}", contest.problem, entries[index].label);
        Ok(run)
    })?;
    entries.iter_mut().zip(runs).for_each(|(entry, runs)| entry.take(runs));
    let (rows, inputs, outputs) = (equations.rows(), equations.inputs(), equations.outputs());
    Ok(Problem { name: contest.problem, rows, inputs, outputs, entries, ratios: Vec::new() })
}

/// The training rows of a shipped table, as the program makes them but for normal scores.
fn equations(problem: &str, root: &Path) -> Outcome<Equations> {
    let (target, holdout) = match problem {
        "diabetes" => ("target", Holdout::Fraction(0.0)),
        "digits" => ("digit", Holdout::TrainRows(1500)),
        other => return Err(format!("there is no table for {other}").into()),
    };
    let task = (problem == "digits").then_some(nearlin_cli::table::Task::Classification);
    let table = Table::read(&root.join(format!("data/{problem}.csv.gz")))?;
    // The peers are given standardised numbers and nothing beside them.
    let scores = false;
    let options =
        Options { target: target.to_owned(), task, holdout, scores, ..Options::default() };
    let merged = nearlin_cli::table::Problem::prepare(&table, &options)?.equations;
    let equations = Equations::new(merged.x, merged.y, merged.inputs, merged.outputs)?;
    Ok(equations.with_floor(merged.floor))
}

/// The machine's pace around every run.
fn paces(report: &Report) -> impl Iterator<Item = f64> {
    let entries = report.problems.iter().flat_map(|problem| &problem.entries);
    entries.flat_map(|entry| &entry.runs).filter_map(|run| run.fma_per_second)
}

/// The page.
fn written(report: &Report) -> String {
    format!(
        "# Time to a tolerance\n\n\
         Written by `cargo xtask bench train`: change the program, not this page.\n\n{}\n\
         Time to a relative training residual of {:e} without a ridge, from the equations in memory \
         to the trained network, the search for the scale included, in one run on {}; medians of \
         {}, in each of which every solver runs once. The equations are all rows of the diabetes \
         table and 1500 rows of the digits table, as the program encodes them but for normal scores. \
         {}\n\n{}",
        report.facts.paragraph(),
        report.tolerance,
        counted(report.threads, "thread"),
        counted(report.repetitions as usize, "round"),
        told_pace(paces(report)),
        page::entries(report)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contest_has_its_table() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let shapes: Vec<_> = CONTESTS
            .iter()
            .map(|contest| equations(contest.problem, root).unwrap())
            .map(|e| (e.rows(), e.inputs(), e.outputs()))
            .collect();
        assert_eq!(shapes[0], (442, 11, 1));
        assert_eq!((shapes[1].0, shapes[1].2), (1500, 10));
        assert!(equations("diamonds", root).is_err());
    }

    #[test]
    fn the_page_names_the_protocol() {
        let machine =
            crate::bench::facts::Machine { cpu: "Chip".into(), cores: 2, memory_bytes: 1 };
        let (command, date, commit) = ("c".into(), "2001-02-03".into(), "abc".into());
        let page = written(&Report {
            benchmark: "train",
            facts: Facts { command, date, commit, machine },
            tolerance: TOLERANCE,
            threads: 1,
            repetitions: 5,
            versions: BTreeMap::new(),
            problems: Vec::new(),
        });
        for part in ["residual of 1e-8", "on 1 thread", "medians of 5 rounds", "2001-02-03"] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
    }
}
