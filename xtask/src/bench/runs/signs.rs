//! The page `signs`: orthogonal and balanced output signs beside random ones, on a table with ten outputs.

use std::path::Path;

use serde::Serialize;

use super::program::{Program, Run};
use crate::bench::facts::Facts;
use crate::bench::table::Table;
use crate::bench::words::figure;
use crate::bench::{Outcome, files};

const DIGITS: &str =
    "data/digits.csv.gz --target digit --task classification --train-rows 1500 --solver cholesky";

const SIGNS: [&str; 3] = ["random", "balanced", "orthogonal"];

/// Ridges; at the last one the optimum is the default options' model.
const RIDGES: [&str; 2] = ["0", "0.01"];

#[derive(Debug, Serialize)]
struct Measured {
    benchmark: &'static str,
    facts: Facts,
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    ridge: &'static str,
    signs: &'static str,
    runs: Vec<Run>,
}

impl Entry {
    /// Mean over the runs.
    fn mean(&self, value: impl Fn(&Run) -> f64) -> f64 {
        self.runs.iter().map(value).sum::<f64>() / self.runs.len() as f64
    }

    fn accuracy(&self) -> f64 {
        self.mean(|run| run.report.result.test_accuracy.unwrap_or(0.0))
    }

    fn inner_iterations(&self) -> f64 {
        self.mean(|run| run.report.steps.iter().map(|s| s.inner_iterations as f64).sum())
    }
}

pub(super) fn run(program: &Program, facts: Facts, folder: &Path, quick: bool) -> Outcome {
    let mut entries = Vec::new();
    for ridge in RIDGES {
        for signs in SIGNS {
            let runs = (0..if quick { 1 } else { 5 })
                .map(|seed| {
                    let options = format!("{DIGITS} --ridge {ridge} --signs {signs} --seed {seed}");
                    program.fit(&options)
                })
                .collect::<Outcome<_>>()?;
            entries.push(Entry { ridge, signs, runs });
        }
    }
    let measured = Measured { benchmark: "signs", facts, entries };
    println!("\n{}", table(&measured.entries));
    files::write(folder, "signs", &measured, &page(&measured))
}

fn page(measured: &Measured) -> String {
    format!(
        "# Signs of the outputs\n\n\
         Written by `cargo xtask bench runs signs`: change the program, not this page.\n\n{}\n\
         Digits, ten outputs: `nearlin fit {DIGITS} --ridge .. --signs .. --seed ..`, means over the \
         seeds. Orthogonal signs use each direction 32 times with signs whose cross terms cancel, so \
         the joint Gram matrix starts block diagonal; random ones use it twice, and so do balanced ones, \
         which are the same 16 rows for as many directions each, so that passes cost about what they do \
         with one output. `auto` takes the orthogonal ones at ridge 0, where an interpolating step must be \
         solved accurately, and the balanced ones with a ridge, which conditions the system by itself and \
         where more directions predict better.\n\n{}",
        measured.facts.paragraph(),
        table(&measured.entries)
    )
}

fn table(entries: &[Entry]) -> Table {
    let header =
        ["ridge", "signs", "runs", "scale", "steps", "inner iterations", "accuracy", "seconds"];
    let mut table = Table::new(&header, 2);
    for entry in entries {
        table.push([
            entry.ridge.to_owned(),
            entry.signs.to_owned(),
            entry.runs.len().to_string(),
            figure(entry.mean(|run| run.report.model.scale)),
            figure(entry.mean(|run| run.report.steps.len() as f64)),
            figure(entry.inner_iterations()),
            format!("{:.4}", entry.accuracy()),
            figure(entry.mean(|run| run.report.result.seconds)),
        ]);
    }
    table
}
