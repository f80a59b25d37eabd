//! The page `errors`: test errors with the ridge 0.01 over five seeds, and how far the solvers
//! agree.

use std::path::Path;

use serde::Serialize;

use super::SOLVERS;
use super::program::{Program, Run};
use crate::bench::facts::Facts;
use crate::bench::table::Table;
use crate::bench::words::figure;
use crate::bench::{Outcome, files};

/// Tables and options of the runs over seeds.
const PROBLEMS: [(&str, &str); 2] = [
    ("digits", "data/digits.csv.gz --target digit --task classification --train-rows 1500"),
    ("diamonds", "data/diamonds.csv.gz --target log_price --train-rows 16000"),
];

/// Tables and options of the runs over solvers.
const AGREEMENT: [(&str, &str); 2] = [
    ("diabetes", "data/diabetes.csv.gz --target target --width 1024"),
    ("diamonds", "data/diamonds.csv.gz --target log_price --rows 2500 --width 2048"),
];

#[derive(Debug, Serialize)]
struct Measured {
    benchmark: &'static str,
    facts: Facts,
    seeds: Vec<Entry>,
    solvers: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    problem: &'static str,
    /// The seed or the solver.
    variant: String,
    run: Run,
}

pub(super) fn run(program: &Program, facts: Facts, folder: &Path, quick: bool) -> Outcome {
    let (mut seeds, mut solvers) = (Vec::new(), Vec::new());
    let few = if quick { 1 } else { 2 };
    for (problem, options) in &PROBLEMS[..few] {
        for seed in 0..if quick { 1 } else { 5 } {
            let run = program.fit(&format!("{options} --ridge 0.01 --seed {seed}"))?;
            seeds.push(Entry { problem, variant: seed.to_string(), run });
        }
    }
    for (problem, options) in &AGREEMENT[..few] {
        for solver in SOLVERS {
            let run = program.fit(&format!("{options} --ridge 0.01 --solver {solver}"))?;
            solvers.push(Entry { problem, variant: solver.to_owned(), run });
        }
    }
    let measured = Measured { benchmark: "errors", facts, seeds, solvers };
    println!("\n{}\n{}", table("seed", &measured.seeds), table("solver", &measured.solvers));
    files::write(folder, "errors", &measured, &page(&measured))
}

/// Accuracy or R2 of a test set.
fn score(run: &Run) -> f64 {
    run.report.result.test_accuracy.or(run.report.result.test_r2).unwrap_or(0.0)
}

/// The entries of one problem.
fn of<'a>(entries: &'a [Entry], problem: &str) -> Vec<&'a Run> {
    entries.iter().filter(|entry| entry.problem == problem).map(|entry| &entry.run).collect()
}

/// Mean and standard deviation.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (square / (n - 1.0).max(1.0)).sqrt())
}

fn page(measured: &Measured) -> String {
    let mut told = Vec::new();
    for (problem, options) in PROBLEMS {
        let runs = of(&measured.seeds, problem);
        let Some(first) = runs.first() else { continue };
        let what = if first.report.result.test_accuracy.is_some() { "accuracy" } else { "R2" };
        let (mean, deviation) = mean(&runs.iter().map(|run| score(run)).collect::<Vec<_>>());
        told.push(format!(
            "- {problem}: mean test {what} {mean:.4}, standard deviation {deviation:.4} over {} \
             seeds, {} rows to train on and {} to test on (`nearlin fit {options} --ridge 0.01 --seed ..`).\n",
            runs.len(),
            first.report.data.train_rows,
            first.report.data.test_rows
        ));
    }
    for (problem, options) in AGREEMENT {
        let errors: Vec<f64> = of(&measured.solvers, problem)
            .iter()
            .filter_map(|run| run.report.result.test_rmse)
            .collect();
        let smallest = errors.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = errors.iter().copied().fold(0.0, f64::max);
        if largest > 0.0 {
            told.push(format!(
                "- {problem}: test RMSE of the {} solvers within {:.2}% of one another (`nearlin fit \
                 {options} --ridge 0.01 --solver ..`).\n",
                errors.len(),
                100.0 * (largest / smallest - 1.0)
            ));
        }
    }
    let told = told.concat();
    format!(
        "# Test errors\n\n\
         Written by `cargo xtask bench runs errors`: change the program, not this page.\n\n{}\n\
         Default options but for what is named: ridge 0.01, scale by the certificate, relative \
         gradient 1e-8.\n\n{told}\n## Seeds\n\n{}\n## Solvers\n\n{}",
        measured.facts.paragraph(),
        table("seed", &measured.seeds),
        table("solver", &measured.solvers)
    )
}

fn table(variant: &str, entries: &[Entry]) -> Table {
    let header = [
        "problem",
        variant,
        "ran with",
        "ending",
        "scale",
        "steps",
        "accuracy or R2",
        "test RMSE",
        "seconds",
    ];
    let mut table = Table::new(&header, 4);
    for Entry { problem, variant, run } in entries {
        let report = &run.report;
        table.push([
            (*problem).to_owned(),
            variant.clone(),
            report.plan.solver.clone(),
            report.result.ending.clone(),
            report.model.scale.to_string(),
            report.steps.len().to_string(),
            format!("{:.4}", score(run)),
            report.result.test_rmse.map_or_else(|| "-".to_owned(), |rmse| format!("{rmse:.5}")),
            figure(report.result.seconds),
        ]);
    }
    table
}
