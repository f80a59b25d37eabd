//! `cargo xtask bench fits`: test errors and times of the program with default options beside what people
//! use instead, on tables that Python packages ship.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::runs::Program;
use super::{Outcome, files};
use crate::python::environment;

mod page;

use self::page::{errors, page, seconds, sureness};

/// The network's own limit, which is nobody's choice.
const LIMIT: &str = "infinite width";

/// The program's name among the entries.
const OURS: &str = "nearlin";

/// Tables of a smoke test.
const QUICK: &str = "iris,mpg";

/// What to compare.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Python with the peers' packages [default: a virtual environment made in target].
    #[arg(long, value_name = "PY")]
    python: Option<PathBuf>,
    /// Splits of each table [default: 5, with --quick 1].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seeds: Option<u32>,
    /// Splits of tables of over 2,000 training rows [default: as many].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    large_seeds: Option<u32>,
    /// Splits of tables of fewer than 1,000 training rows [default: as many].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    small_seeds: Option<u32>,
    /// Tables, separated by commas [default: all, with --quick two small ones].
    #[arg(long, value_name = "NAMES")]
    only: Option<String>,
    /// The program without the others.
    #[arg(long)]
    alone: bool,
    /// Two small tables, one split: a smoke test of some seconds.
    #[arg(long)]
    quick: bool,
    /// Folder for the results [default: docs/benchmarks, with --quick target/bench].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A line of the script.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Versions { versions: BTreeMap<String, String> },
    Table(Data),
    Fit(Fit),
}

/// A table and its split.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Data {
    table: String,
    task: String,
    train_rows: usize,
    test_rows: usize,
    columns: usize,
    outputs: usize,
}

/// One fit: the share of wrong classes, or the root of the mean squared error relative to the targets'
/// deviation.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Fit {
    data: String,
    seed: u32,
    entry: String,
    error: f64,
    seconds: f64,
    /// The part of the test targets within 90% intervals; for nearlin's regressions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    coverage: Option<f64>,
    /// The mean of `-ln p` of the test classes; for nearlin's classifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_loss: Option<f64>,
    /// The interval score of 90% intervals, over the targets' deviation, and what it would be with equal widths that
    /// cover as many test targets; for nearlin's regressions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interval_score: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    equal_score: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Report {
    benchmark: &'static str,
    facts: Facts,
    versions: BTreeMap<String, String>,
    seeds: u32,
    large_seeds: u32,
    small_seeds: u32,
    data: Vec<Data>,
    fits: Vec<Fit>,
}

/// Runs the benchmark.
pub(super) fn run(args: &Args) -> Outcome {
    let root = files::root();
    let folder = files::folder(args.out.as_deref(), &root, args.quick)?;
    let seeds = args.seeds.unwrap_or(if args.quick { 1 } else { 5 });
    let facts = Facts::gather(&root)?;
    let python = python(args.python.as_deref(), &root)?;
    Program::build(&root)?;
    let mut report = Report {
        benchmark: "fits",
        facts,
        versions: BTreeMap::new(),
        seeds,
        large_seeds: args.large_seeds.unwrap_or(seeds),
        small_seeds: args.small_seeds.unwrap_or(seeds),
        data: Vec::new(),
        fits: Vec::new(),
    };
    script(args, &root, &python, &mut report)?;
    println!("\n{}\n{}\n{}", errors(&report), seconds(&report), sureness(&report));
    files::write(&folder, "fits", &report, &page(&report))
}

/// The Python that is given, or one with the peers' packages, made below `root/target`.
pub(super) fn python(given: Option<&Path>, root: &Path) -> Outcome<PathBuf> {
    let requirements = root.join("xtask/python/requirements-fits.txt");
    given.map_or_else(
        || environment(&root.join("target/fits-venv"), &requirements),
        |python| Ok(python.to_owned()),
    )
}

/// Runs the script and takes what it tells.
fn script(args: &Args, root: &Path, python: &Path, report: &mut Report) -> Outcome {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let mut command = Command::new(python);
    command
        .arg(root.join("xtask/python/fits.py"))
        .arg(target.join("release/nearlin"))
        .arg(target.join("fits"))
        .arg(report.seeds.to_string())
        .args(["--large", &report.large_seeds.to_string()])
        .args(["--small", &report.small_seeds.to_string()])
        .stdout(Stdio::piped());
    match (&args.only, args.quick) {
        (Some(only), _) => command.args(["--only", only]),
        (None, true) => command.args(["--only", QUICK]),
        (None, false) => &mut command,
    };
    if args.alone {
        command.arg("--alone");
    }
    let mut child = command.spawn()?;
    let told = child.stdout.take().ok_or("the script's output is not piped")?;
    for line in BufReader::new(told).lines() {
        match serde_json::from_str(&line?)? {
            Line::Versions { versions } => report.versions = versions,
            Line::Table(data) => report.data.push(data),
            Line::Fit(fit) => {
                let Fit { data, seed, entry, error, seconds, .. } = &fit;
                eprintln!("{data}, seed {seed}: {entry}: error {error:.4}, {seconds:.1} s");
                report.fits.push(fit);
            }
        }
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("the script ended with {status}").into()) }
}

impl Report {
    /// Everybody, in the order in which they first fitted.
    fn entries(&self) -> Vec<&str> {
        let mut entries: Vec<&str> = Vec::new();
        for fit in &self.fits {
            if !entries.contains(&fit.entry.as_str()) {
                entries.push(&fit.entry);
            }
        }
        entries
    }

    /// The mean over the splits; `None` without a fit.
    fn mean(&self, data: &Data, entry: &str, value: impl Fn(&Fit) -> f64) -> Option<f64> {
        let of = |fit: &&Fit| fit.data == data.table && fit.entry == entry;
        let values: Vec<f64> = self.fits.iter().filter(of).map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// The mean over the splits of what one entry's error is less than another's, in its standard errors; `None` for
    /// fewer than two splits and where all differences are the same.
    fn sureness_of_gain(&self, data: &Data, entry: &str, other: &str) -> Option<f64> {
        let error = |entry: &str, seed: u32| {
            let of = |f: &&Fit| f.data == data.table && f.entry == entry && f.seed == seed;
            self.fits.iter().find(of).map(|fit| fit.error)
        };
        let seeds = self.fits.iter().filter(|f| f.data == data.table && f.entry == entry);
        let gains: Vec<f64> = seeds.filter_map(|f| Some(error(other, f.seed)? - f.error)).collect();
        let count = gains.len() as f64;
        let mean = gains.iter().sum::<f64>() / count;
        let squares: f64 = gains.iter().map(|gain| (gain - mean).powi(2)).sum();
        let deviation = (squares / (count * (count - 1.0))).sqrt();
        (deviation > 0.0).then(|| mean / deviation)
    }

    /// The best of the others: who, and the mean error.
    fn best(&self, data: &Data) -> Option<(&str, f64)> {
        let others = self.entries().into_iter().filter(|entry| ![OURS, LIMIT].contains(entry));
        let errors = others.filter_map(|entry| {
            self.mean(data, entry, |fit| fit.error).map(|error| (entry, error))
        });
        errors.min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(data: &str, seed: u32, entry: &str, error: f64) -> Fit {
        Fit {
            data: data.into(),
            seed,
            entry: entry.into(),
            error,
            seconds: 2.0 * error,
            coverage: Some(0.9),
            log_loss: None,
            interval_score: None,
            equal_score: None,
        }
    }

    #[test]
    fn lines_are_told_apart() {
        let line = |text: &str| serde_json::from_str::<Line>(text).unwrap();
        assert!(matches!(line(r#"{"versions": {"numpy": "2"}}"#), Line::Versions { .. }));
        let text = r#"{"data": "iris", "seed": 1, "entry": "nearlin", "error": 0.1, "seconds": 2}"#;
        assert!(matches!(line(text), Line::Fit(Fit { seed: 1, .. })));
        let text = r#"{"table": "iris", "task": "classification", "train_rows": 120, "test_rows": 30, "columns": 4, "outputs": 3}"#;
        assert!(matches!(line(text), Line::Table(Data { train_rows: 120, .. })));
    }

    #[test]
    fn errors_are_means_beside_the_best_other() {
        let data = Data {
            table: "iris".into(),
            task: "classification".into(),
            train_rows: 120,
            test_rows: 30,
            columns: 4,
            outputs: 3,
        };
        let report = Report {
            benchmark: "fits",
            facts: Facts::gather(&files::root()).unwrap(),
            versions: BTreeMap::new(),
            seeds: 2,
            large_seeds: 2,
            small_seeds: 2,
            data: vec![data],
            fits: vec![
                fit("iris", 0, OURS, 0.1),
                fit("iris", 0, "forest", 0.3),
                fit("iris", 0, "boosting", 0.2),
                fit("iris", 1, OURS, 0.2),
                fit("iris", 1, "forest", 0.3),
                fit("iris", 1, "boosting", 0.3),
            ],
        };
        assert_eq!(report.best(&report.data[0]), Some(("boosting", 0.25)));
        let text = errors(&report).to_string();
        let row: Vec<&str> = text.lines().last().unwrap().split('|').map(str::trim).collect();
        assert_eq!(row[5..9], ["0.1500", "0.3000", "0.2500", "0.600"], "{text}");
        // Gains of 0.2 and 0.1 on the forest: 0.15 +- 0.05; of 0.1 twice on boosting.
        let gain = |other| report.sureness_of_gain(&report.data[0], OURS, other);
        assert!((gain("forest").unwrap() - 3.0).abs() < 1e-9);
        assert!(gain("boosting").is_none_or(|gain| gain > 1e9));
    }
}
