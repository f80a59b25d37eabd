//! The page `memory`: peak memory of one outer step at 16,000 equations, beside the plan.

use std::path::Path;

use serde::Serialize;

use super::SOLVERS;
use super::program::{Program, Run};
use crate::bench::facts::Facts;
use crate::bench::table::Table;
use crate::bench::words::figure;
use crate::bench::{Outcome, files};

#[derive(Debug, Serialize)]
struct Measured {
    benchmark: &'static str,
    facts: Facts,
    runs: Vec<Run>,
}

pub(super) fn run(program: &Program, facts: Facts, folder: &Path, quick: bool) -> Outcome {
    let rows = if quick { 1500 } else { 16_000 };
    let mut runs = Vec::new();
    for solver in SOLVERS {
        let problem = "data/diamonds.csv.gz --target log_price --test-fraction 0";
        let step = "--width 4096 --scale 8 --ridge 0.01 --max-steps 1";
        runs.push(program.fit(&format!("{problem} --rows {rows} {step} --solver {solver}"))?);
    }
    let measured = Measured { benchmark: "memory", facts, runs };
    println!("\n{}", table(&measured.runs));
    files::write(folder, "memory", &measured, &page(&measured))
}

fn page(measured: &Measured) -> String {
    format!(
        "# Memory of an outer step\n\n\
         Written by `cargo xtask bench runs memory`: change the program, not this page.\n\n{}\n\
         One outer step (`--max-steps 1 --scale 8 --ridge 0.01`, width 4096) of the program on rows \
         of the diamonds table, solver by solver. *Peak* is the high-water mark of the whole process, \
         with the loading of the table; *planned* is what `nearlin plan` predicts of it. A sketch has \
         4 n rows, 2 n past 8,192 equations.\n\n{}",
        measured.facts.paragraph(),
        table(&measured.runs)
    )
}

fn table(runs: &[Run]) -> Table {
    let header = ["solver", "n", "peak MiB", "planned MiB", "peak / planned", "seconds"];
    let mut table = Table::new(&header, 1);
    for Run { report, .. } in runs {
        let planned = report.predicted().map_or(f64::NAN, |candidate| candidate.predicted_bytes);
        let peak = report.result.peak_bytes;
        let mib = |bytes: f64| figure(bytes / f64::from(1 << 20));
        table.push([
            report.plan.solver.clone(),
            report.data.train_rows.to_string(),
            mib(peak),
            mib(planned),
            format!("{:.3}", peak / planned),
            figure(report.result.seconds),
        ]);
    }
    table
}
