//! The page `certified`: a relative residual of 1e-8 with every solver, every step certified.

use std::path::Path;

use serde::Serialize;

use super::SOLVERS;
use super::program::{Program, Run};
use crate::bench::facts::Facts;
use crate::bench::table::Table;
use crate::bench::words::figure;
use crate::bench::{Outcome, files};

/// Tables and options of the runs, less the solver.
const PROBLEMS: [(&str, &str); 3] = [
    ("diabetes", "data/diabetes.csv.gz --target target --width 1024 --test-fraction 0"),
    ("digits", "data/digits.csv.gz --target digit --task classification --train-rows 1500"),
    ("diamonds", "data/diamonds.csv.gz --target log_price --rows 2000 --test-fraction 0"),
];

/// Most steps, and the largest contraction, of a run that counts as certified.
const STEPS: usize = 12;
const CONTRACTION: f64 = 0.5;
const TOLERANCE: f64 = 1e-8;

#[derive(Debug, Serialize)]
struct Measured {
    benchmark: &'static str,
    facts: Facts,
    runs: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    problem: &'static str,
    solver: &'static str,
    run: Run,
}

impl Entry {
    /// Whether all that is asked of the run holds.
    fn holds(&self) -> bool {
        let report = &self.run.report;
        matches!(report.result.ending.as_str(), "converged" | "floor")
            && report.result.train_rel_residual <= TOLERANCE
            && report.steps.len() <= STEPS
            && report.worst_contraction() <= CONTRACTION
    }
}

pub(super) fn run(program: &Program, facts: Facts, folder: &Path, quick: bool) -> Outcome {
    let mut runs = Vec::new();
    for (problem, options) in &PROBLEMS[..if quick { 1 } else { PROBLEMS.len() }] {
        for solver in SOLVERS {
            let run = program.fit(&format!("{options} --ridge 0 --tol 1e-8 --solver {solver}"))?;
            runs.push(Entry { problem, solver, run });
        }
    }
    let measured = Measured { benchmark: "certified", facts, runs };
    println!("\n{}", table(&measured.runs));
    files::write(folder, "certified", &measured, &page(&measured))
}

fn page(measured: &Measured) -> String {
    let held = measured.runs.iter().filter(|entry| entry.holds()).count();
    let commands: Vec<String> = PROBLEMS
        .iter()
        .map(|(_, options)| format!("    nearlin fit {options} --ridge 0 --tol 1e-8 --solver ..\n"))
        .collect();
    let commands = commands.concat();
    format!(
        "# 1e-8 with every solver\n\n\
         Written by `cargo xtask bench runs certified`: change the program, not this page.\n\n{}\n\
         Each line is one run of\n\n{commands}\n\
         on all cores, without a ridge and with the scale chosen by the certificate. Asked for are a \
         relative residual of {TOLERANCE:e}, at most {STEPS} kept steps and a contraction of at most \
         {CONTRACTION} in each: {held} of {} runs hold all three. *Flipped* is the share of the \
         mask that changed in the first step; inner iterations are those of the kept steps; seconds \
         include loading and the search for the scale.\n\n{}",
        measured.facts.paragraph(),
        measured.runs.len(),
        table(&measured.runs)
    )
}

fn table(runs: &[Entry]) -> Table {
    let header = [
        "problem",
        "solver",
        "ending",
        "rejected scales",
        "scale",
        "steps",
        "worst contraction",
        "inner iterations",
        "flipped in step 1",
        "residual",
        "seconds",
        "MiB",
    ];
    let mut table = Table::new(&header, 4);
    for Entry { problem, solver, run } in runs {
        let report = &run.report;
        let flipped = report.steps.first().map_or(0.0, |step| step.flipped);
        table.push([
            (*problem).to_owned(),
            (*solver).to_owned(),
            report.result.ending.clone(),
            report.rejected(),
            report.model.scale.to_string(),
            report.steps.len().to_string(),
            figure(report.worst_contraction()),
            report.inner_iterations().to_string(),
            format!("{:.4}%", 100.0 * flipped),
            format!("{:.1e}", report.result.train_rel_residual),
            figure(report.result.seconds),
            figure(report.result.peak_bytes / f64::from(1 << 20)),
        ]);
    }
    table
}
