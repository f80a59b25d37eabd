//! `cargo xtask bench grid`: is the planner's choice the best one, and does it cost what was predicted?
//!
//! Every problem of a grid of shapes is trained with the solver that the planner chooses and with each solver, a process
//! each, so that memory is its own and one that takes too long can be ended. What has been measured is kept in
//! `target/bench/grid-runs.json` until the code changes: a benchmark that was interrupted goes on where it was.

pub(super) mod case;
mod child;
mod page;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nearlin::{Rates, SolverKind};
use nearlin_cli::output;
use serde::{Deserialize, Serialize};

use self::case::{CASES, Case};
use self::child::Ran;
use super::facts::Facts;
use super::{Outcome, files};

/// Seconds that every solver gets, and how many times those of the planner's choice.
const LIMIT: (f64, f64) = (5.0, 3.0);

/// Runs of the planner's choice and of solvers that are nearly as quick as the quickest.
const ROUNDS: usize = 3;

/// How many times the quickest one's time is nearly as quick.
const NEAR: f64 = 1.5;

/// Seconds that the planner's choice gets.
const PATIENCE: f64 = 600.0;

/// Memory that a process may have.
const GIBIBYTES: u64 = 16;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The smallest problems only: a smoke test.
    #[arg(long)]
    quick: bool,
    /// Forget what an interrupted benchmark has measured.
    #[arg(long)]
    anew: bool,
    /// Folder for the results [default: docs/benchmarks, with --quick target/bench].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One run, as a process of its own: number of the problem, solver or `auto`, file of rates.
    #[arg(long, hide = true, num_args = 3)]
    run: Option<Vec<String>>,
}

/// One run of one problem.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    case: usize,
    /// `auto` or a solver.
    asked: String,
    /// Which run of it, from 0.
    round: usize,
    /// Seconds that it was given.
    limit: f64,
    /// `None` where it was ended, or needed too much memory.
    ran: Option<Ran>,
}

/// What is kept of an interrupted benchmark, and what the page is made of.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    commit: String,
    rates: Rates,
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Measured {
    benchmark: &'static str,
    facts: Facts,
    cases: Vec<&'static Case>,
    conditions: Vec<f64>,
    kept: Kept,
}

/// Runs the benchmark.
pub(super) fn run(args: &Args) -> Outcome {
    if let Some(run) = &args.run {
        return child::run(run);
    }
    let root = files::root();
    let folder = files::folder(args.out.as_deref(), &root, args.quick)?;
    let facts = Facts::gather(&root)?;
    let store = root.join("target/bench/grid-runs.json");
    std::fs::create_dir_all(root.join("target/bench"))?;
    let mut kept = if args.anew { None } else { taken_up(&store, &facts.commit) }.map_or_else(
        || -> Outcome<Kept> {
            eprintln!("measuring the machine");
            let start = Instant::now();
            let rates = Rates::measure(faer::Par::rayon(0), &mut || start.elapsed().as_secs_f64())?;
            Ok(Kept { commit: facts.commit.clone(), rates, entries: Vec::new() })
        },
        Ok,
    )?;
    let file = root.join("target/bench/grid-rates.json");
    std::fs::write(&file, serde_json::to_string(&kept.rates)?)?;
    let cases: Vec<usize> =
        (0..CASES.len()).filter(|&at| !args.quick || CASES[at].rows <= 500).collect();
    for &case in &cases {
        let mut run = |asked: &str, round: usize, limit: f64| {
            entry(&mut kept, &store, (case, asked, round), limit, &file)
        };
        let auto = run("auto", 0, PATIENCE)?;
        let limit = auto.map_or(PATIENCE, |seconds| LIMIT.0.max(LIMIT.1 * seconds));
        let mut timed = Vec::new();
        for solver in SolverKind::ALL {
            timed.extend(run(solver.name(), 0, limit)?.map(|seconds| (solver, seconds)));
        }
        // The machine is shared: the choice and those that are near the quickest run twice more, in turn.
        let quickest = timed.iter().map(|timed| timed.1).fold(f64::INFINITY, f64::min);
        for round in 1..ROUNDS {
            run("auto", round, PATIENCE)?;
            for (solver, _) in timed.iter().filter(|timed| timed.1 <= NEAR * quickest) {
                run(solver.name(), round, limit)?;
            }
        }
    }
    let measured = Measured {
        benchmark: "grid",
        facts,
        conditions: cases.iter().map(|&case| CASES[case].condition()).collect::<Result<_, _>>()?,
        cases: cases.iter().map(|&case| &CASES[case]).collect(),
        kept,
    };
    let page = page::page(&measured);
    println!("{page}");
    files::write(&folder, "grid", &measured, &page)
}

/// What an interrupted benchmark of the same code has left.
fn taken_up(store: &Path, commit: &str) -> Option<Kept> {
    let text = std::fs::read_to_string(store).ok()?;
    let kept: Kept = serde_json::from_str(&text).ok()?;
    (kept.commit == commit).then_some(kept)
}

/// Runs what has not been run, keeps it, and returns its seconds.
fn entry(
    kept: &mut Kept,
    store: &Path,
    (case, asked, round): (usize, &str, usize),
    limit: f64,
    rates: &Path,
) -> Outcome<Option<f64>> {
    let same = |entry: &&Entry| (entry.case, &*entry.asked, entry.round) == (case, asked, round);
    if let Some(entry) = kept.entries.iter().find(same) {
        return Ok(entry.ran.as_ref().map(|ran| ran.seconds));
    }
    let ran = process(case, asked, limit, rates)?;
    match &ran {
        Some(ran) => eprintln!(
            "{case} {asked}: {} in {:.2} s, {} steps, {} iterations",
            ran.ending, ran.seconds, ran.steps, ran.iterations
        ),
        None => eprintln!("{case} {asked}: not within {limit:.0} s and {GIBIBYTES} GiB"),
    }
    let seconds = ran.as_ref().map(|ran| ran.seconds);
    kept.entries.push(Entry { case, asked: asked.to_owned(), round, limit, ran });
    let text = serde_json::to_string_pretty(&kept)?;
    output::write(store, |out| out.write_all(text.as_bytes()))?;
    Ok(seconds)
}

/// One run in a process of its own; `None` where it took too long or too much memory.
fn process(case: usize, asked: &str, limit: f64, rates: &Path) -> Outcome<Option<Ran>> {
    let line = format!(
        "ulimit -v {}; exec \"$0\" bench grid --run {case} {asked} \"$1\"",
        GIBIBYTES << 20
    );
    let mut child = Command::new("sh")
        .args(["-c", &line])
        .arg(std::env::current_exe()?)
        .arg(rates)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    // Some seconds to make the data, and repetitions of what is quick.
    let until = Instant::now() + Duration::from_secs_f64(1.2 * limit + 10.0);
    while child.try_wait()?.is_none() {
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let told = child.wait_with_output()?;
    let ran = told.status.success().then(|| serde_json::from_slice::<Ran>(&told.stdout));
    Ok(ran.transpose()?.filter(|ran| ran.seconds <= limit))
}
