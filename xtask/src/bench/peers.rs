//! `cargo xtask bench peers`: the time to a relative training residual of 1e-8 on one thread,
//! nearlin beside the programs that people would use instead, on the same numbers.

pub(super) mod alone;
mod compare;
mod contest;
mod cpu;
mod entry;
mod page;
mod python;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::facts::Facts;
use super::words::figure;
use super::{Outcome, files};
use contest::{CONTESTS, Contest, TOLERANCE};
use entry::{Entry, Ratio, Run, rounds};
use python::Python;

/// What to compare, and with what.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder with the peers' scripts: peers.py, data.py and, without --python,
    /// requirements-light.txt.
    #[arg(long, value_name = "DIR")]
    peers: PathBuf,
    /// Python with the peers' packages [default: a virtual environment made in target].
    #[arg(long, value_name = "PY")]
    python: Option<PathBuf>,
    /// Rounds, in each of which everybody runs once [default: 3, with --quick 1].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    reps: Option<u32>,
    /// The smallest problem only, in one round.
    #[arg(long)]
    quick: bool,
    /// Folder for the results [default: docs/benchmarks, with --quick target/bench].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// All that was measured.
#[derive(Debug, Serialize)]
struct Report {
    benchmark: &'static str,
    facts: Facts,
    tolerance: f64,
    threads: usize,
    repetitions: u32,
    /// Versions of what the peers run on.
    versions: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

/// One problem with everybody's results.
#[derive(Debug, Serialize)]
struct Problem {
    name: &'static str,
    rows: usize,
    inputs: usize,
    outputs: usize,
    /// The entries of nearlin, then the peer.
    entries: Vec<Entry>,
    /// The peer's time over that of each entry of nearlin.
    ratios: Vec<Ratio>,
}

/// Runs the benchmark.
pub(super) fn run(args: &Args) -> Outcome {
    let root = files::root();
    let facts = Facts::gather(&root)?;
    let folder = files::folder(args.out.as_deref(), &root, args.quick)?;
    let contests = if args.quick { &CONTESTS[..1] } else { &CONTESTS[..] };
    let repetitions = args.reps.unwrap_or(if args.quick { 1 } else { 3 });
    let names: Vec<&str> = contests.iter().map(|contest| contest.problem).collect();
    let python = Python::prepare(&args.peers, args.python.as_deref(), &root, &names)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let (mut versions, mut problems) = (BTreeMap::new(), Vec::new());
    for contest in contests {
        let (problem, found) = measure(contest, repetitions, &python, &pool)?;
        versions = found;
        problems.push(problem);
    }
    let benchmark = "peers";
    let (tolerance, threads) = (TOLERANCE, pool.current_num_threads());
    let report = Report { benchmark, facts, tolerance, threads, repetitions, versions, problems };
    println!("\n{}\n{}", page::entries(&report), page::ratios(&report));
    files::write(&folder, benchmark, &report, &page::page(&report))
}

/// One contest, round by round: every entry of nearlin, then the peer.
fn measure(
    contest: &Contest,
    repetitions: u32,
    python: &Python,
    pool: &rayon::ThreadPool,
) -> Outcome<(Problem, BTreeMap<String, String>)> {
    let (equations, versions) = python.equations(contest.problem)?;
    let (rows, inputs) = (equations.rows(), equations.inputs());
    let outputs = equations.outputs();
    let mut entries: Vec<Entry> = contest
        .nearlin
        .iter()
        .map(|variant| pool.install(|| contest.entry(variant, &equations)))
        .collect();
    entries.push(contest.peer_entry(inputs));
    let labels: Vec<String> = entries.iter().map(|entry| entry.label.clone()).collect();
    let one = |index: usize| -> Outcome<Run> {
        let run = match contest.nearlin.get(index) {
            Some(variant) => contest.train(variant, &equations, pool)?,
            None => python.peer(contest)?,
        };
        let cpu = run.cost.map_or("not reached".into(), |cost| figure(cost.cpu) + " CPU s");
        eprintln!("{}: {}: {cpu}", contest.problem, labels[index]);
        Ok(run)
    };
    for (entry, runs) in entries.iter_mut().zip(rounds(labels.len(), repetitions, one)?) {
        entry.take(runs);
    }
    let ratios = Ratio::all(&entries);
    let name = contest.problem;
    Ok((Problem { name, rows, inputs, outputs, entries, ratios }, versions))
}

#[cfg(test)]
mod tests;
