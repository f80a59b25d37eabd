//! `cargo xtask bench step`: the time of one Gauss-Newton step against the width m and against the
//! number of examples n, solver by solver, beside what the planner predicts.
//!
//! A step is the first of a run at a fixed scale, timed from the end of the first forward pass to
//! the step's report, which is what every later step of a run consists of as well.

mod chart;
mod clock;
mod compare;
mod curve;
mod data;
mod page;
mod story;

use std::path::PathBuf;
use std::time::Instant;

use nearlin::{Equations, Options, Rates, Scale, Shape, SolverKind, plan_at, train};
use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::pace::Pace;
use super::words::figure;
use super::{Outcome, files};
use clock::Clock;
use curve::{Along, Curve, Effort, Prediction, Size, Timed};

/// The solvers that are compared; `cg` builds nothing and needs no curve.
const SOLVERS: [SolverKind; 4] =
    [SolverKind::Cholesky, SolverKind::Srht, SolverKind::TensorSrht, SolverKind::ArcCosine];

/// The scale of the initial weights.
const SCALE: f64 = 8.0;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Widths of the curve against m [default: 1024,2048,4096,8192,16384].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = width)]
    m: Option<Vec<usize>>,
    /// Examples of the curve against n [default: 256,512,1024,2048].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = count)]
    n: Option<Vec<usize>>,
    /// Width on the curve against n [default: 4096].
    #[arg(long, value_name = "M", value_parser = width)]
    at_m: Option<usize>,
    /// Examples on the curve against m [default: 1024].
    #[arg(long, value_name = "N", value_parser = count)]
    at_n: Option<usize>,
    /// Threads [default: all].
    #[arg(long, value_parser = count)]
    threads: Option<usize>,
    /// Repetitions, round robin over the solvers [default: 5, with --quick 7].
    #[arg(long, value_parser = clap::value_parser!(u16).range(3..))]
    reps: Option<u16>,
    /// A curve stops where one step takes longer than this.
    #[arg(long, value_name = "S", default_value_t = 60.0)]
    limit_seconds: f64,
    /// A size gets no further repetition past this time.
    #[arg(long, value_name = "S", default_value_t = 600.0)]
    size_seconds: f64,
    /// Small sizes: a smoke test of a few seconds.
    #[arg(long)]
    quick: bool,
    /// An earlier result: fail where a step is slower beyond the noise, or takes more iterations.
    #[arg(long, value_name = "JSON")]
    compare: Option<PathBuf>,
    /// Folder for the results [default: docs/benchmarks, with --quick target/bench].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The arguments with nothing left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Protocol {
    /// Inputs d, the bias coordinate included.
    inputs: usize,
    scale: f64,
    ridge: f64,
    precision: String,
    data_seed: u64,
    threads: usize,
    /// The most that a size gets.
    repetitions: usize,
    limit_seconds: f64,
    #[serde(default)]
    size_seconds: f64,
    /// The curve against m: its widths, and the examples that all its points share.
    widths: Vec<usize>,
    rows_of_widths: usize,
    /// The curve against n: its examples, and the width that all its points share.
    rows: Vec<usize>,
    width_of_rows: usize,
}

/// All that was measured.
#[derive(Debug, Serialize)]
struct Report {
    benchmark: &'static str,
    facts: Facts,
    protocol: Protocol,
    /// What the planner knows of the machine.
    rates: Rates,
    curves: Vec<Curve>,
}

impl Protocol {
    fn of(args: &Args, cores: usize) -> Self {
        let quick = args.quick;
        let list = |asked: &Option<Vec<usize>>, small: &[usize], full: &[usize]| {
            let mut sizes =
                asked.clone().unwrap_or_else(|| if quick { small } else { full }.to_vec());
            sizes.sort_unstable();
            sizes.dedup();
            sizes
        };
        let options = options();
        Self {
            inputs: data::INPUTS,
            scale: SCALE,
            ridge: options.ridge,
            precision: options.precision.name().to_owned(),
            data_seed: data::SEED,
            threads: args.threads.unwrap_or(cores),
            repetitions: args.reps.map_or(if quick { 7 } else { 5 }, usize::from),
            limit_seconds: args.limit_seconds,
            size_seconds: args.size_seconds,
            widths: list(&args.m, &[128, 256, 512], &[1024, 2048, 4096, 8192, 16384]),
            rows_of_widths: args.at_n.unwrap_or(if quick { 128 } else { 1024 }),
            rows: list(&args.n, &[64, 128, 256], &[256, 512, 1024, 2048]),
            width_of_rows: args.at_m.unwrap_or(if quick { 256 } else { 4096 }),
        }
    }

    /// The sizes along one axis, smallest first.
    fn sizes(&self, along: Along) -> Vec<Size> {
        match along {
            Along::M => self.widths.iter().map(|&m| Size { n: self.rows_of_widths, m }).collect(),
            Along::N => self.rows.iter().map(|&n| Size { n, m: self.width_of_rows }).collect(),
        }
    }

    /// What the points along one axis share: `n = 1024`.
    fn fixed(&self, along: Along) -> String {
        match along {
            Along::M => format!("n = {}", self.rows_of_widths),
            Along::N => format!("m = {}", self.width_of_rows),
        }
    }
}

/// Runs the benchmark.
pub(super) fn run(args: &Args) -> Outcome {
    let root = files::root();
    let facts = Facts::gather(&root)?;
    let protocol = Protocol::of(args, facts.machine.cores);
    // Before anything is written: it may be the file that is.
    let old = args.compare.as_deref().map(|path| compare::read(path, &protocol)).transpose()?;
    let folder = files::folder(args.out.as_deref(), &root, args.quick)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(protocol.threads).build()?;
    let start = Instant::now();
    let rates = pool
        .install(|| Rates::measure(faer::Par::rayon(0), &mut || start.elapsed().as_secs_f64()))?;
    let curves = pool.install(|| measure(&protocol, &rates));
    let report = Report { benchmark: "step", facts, protocol, rates, curves };
    for along in [Along::M, Along::N] {
        let curves = report.along(along);
        println!("\n{}\n{}", page::times(&curves), page::slopes(&curves));
        if let Some(chart) = chart::chart(&report, along) {
            for ending in ["svg", "png"] {
                chart.write(&folder.join(format!("step-{}.{ending}", along.name())))?;
            }
        }
    }
    files::write(&folder, "step", &report, &page::page(&report))?;
    old.map_or(Ok(()), |old| compare::judge(&old, &report))
}

impl Report {
    /// The curves along one axis.
    fn along(&self, along: Along) -> Vec<&Curve> {
        self.curves.iter().filter(|curve| curve.along == along).collect()
    }

    /// The machine's pace around every step.
    fn paces(&self) -> impl Iterator<Item = f64> {
        let points = self.curves.iter().flat_map(|curve| &curve.points);
        points.flat_map(|point| &point.samples).map(|sample| sample.fma_per_second)
    }
}

/// Measures both families of curves in the current pool.
fn measure(protocol: &Protocol, rates: &Rates) -> Vec<Curve> {
    let (mut curves, mut pace) = (Vec::new(), Pace::of_pool());
    for along in [Along::M, Along::N] {
        let mut equations: Option<Equations> = None;
        let step = |solver, size: Size| {
            if equations.as_ref().is_none_or(|made| made.rows() != size.n) {
                equations = Some(data::equations(size.n)?);
            }
            let made = equations.as_ref().ok_or("there are no equations")?;
            let timed = one_step(made, &options().width(size.m).solver(Some(solver)), &mut pace)?;
            let seconds = figure(timed.sample.seconds);
            eprintln!("n = {}, m = {}: {seconds} s with {solver}", size.n, size.m);
            Ok(timed)
        };
        let sizes = protocol.sizes(along);
        let runs = curve::round_robin(&SOLVERS, &sizes, Effort::of(protocol), step);
        let predicted = |solver, size| predicted(solver, size, rates);
        let made = runs.into_iter().map(|run| Curve::new(along, run, predicted));
        curves.extend(made);
    }
    curves
}

/// The options of every step; made anew each time, as they take the threads of the current pool.
fn options() -> Options {
    Options::default().scale(Scale::Fixed(SCALE)).ridge(0.0).max_steps(1)
}

/// One step from the initial weights, with its times and the machine's pace around them.
fn one_step(equations: &Equations, options: &Options, pace: &mut Pace) -> Outcome<Timed> {
    let (stepped, fma_per_second) = pace.around(|| {
        let mut clock = Clock::start();
        train(equations, options, &mut clock).map(|run| (run, clock))
    });
    let (run, clock) = stepped?;
    match (clock.finish(fma_per_second), run.steps.into_iter().next()) {
        (Some(sample), Some(report)) => Ok(Timed { sample, report }),
        _ => Err(format!("no step was kept: {} ({})", run.ending.name(), run.reason).into()),
    }
}

/// What the planner says of a step on a machine of these rates.
fn predicted(solver: SolverKind, size: Size, rates: &Rates) -> Option<Prediction> {
    let options = options().width(size.m);
    let shape = Shape::of(size.n, data::INPUTS, 1, options.par.degree());
    let plan = plan_at(&shape, &options, rates);
    let candidate = plan.candidates.iter().find(|candidate| candidate.solver == solver)?;
    let (build, each) = (candidate.build_seconds, candidate.iteration_seconds);
    Some(Prediction {
        seconds: build + candidate.iterations * each,
        build_seconds: build,
        iterations: candidate.iterations,
        iteration_seconds: each,
    })
}

/// A positive number.
fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("`{text}` is no positive whole number")),
        Ok(count) => Ok(count),
    }
}

/// A width: neurons come in pairs.
fn width(text: &str) -> Result<usize, String> {
    count(text).and_then(|m| match m % 2 {
        0 => Ok(m),
        _ => Err(format!("{m} is odd, expected an even width")),
    })
}

#[cfg(test)]
mod tests;
