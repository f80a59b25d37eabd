//! The page `rows`: time and memory against the number of rows, from a thousand to a million, at fixed ranks.

use std::path::Path;

use nearlin_cli::output;
use nearlin_cli::plot::{Axis, Chart, Scale, Series, Style, fit_loglog};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::Serialize;

use super::program::{Candidate, Program, Report, Run};
use crate::bench::facts::Facts;
use crate::bench::table::Table;
use crate::bench::words::figure;
use crate::bench::{Outcome, files};

/// Inputs of the teacher, beside its bias.
const INPUTS: usize = 16;

/// Its neurons.
const NEURONS: usize = 64;

/// How each table is fitted: at a scale where the network is near its linear model, with the same rank, and the same
/// ridge for each row.
const OPTIONS: &str = "--target x16 --task regression --test-fraction 0 --metric none --width 4096 --scale 512 \
                       --tol 0.003 --max-steps 4 --solver rp-cholesky --precision f32";

/// What tables of all sizes are fitted with.
#[derive(Clone, Copy, Debug, Serialize)]
struct Fixed {
    rank: usize,
    /// For each row.
    ridge: f64,
}

/// A ridge whose eigenvalues the rank reaches, so that iterations do not depend on the rows; and one of the size that a
/// residual of a few hundredths takes, where they do until a sample shows all that the ridge leaves free.
const SERIES: [Fixed; 2] = [Fixed { rank: 64, ridge: 1e-5 }, Fixed { rank: 128, ridge: 1e-7 }];

/// How tables with more rows than there are free parameters are fitted without a ridge, at a scale where the network is its
/// linear model.
const OPTIMAL: &str = "--target x16 --task regression --test-fraction 0 --metric none --width 4096 --scale 65536 \
                       --ridge 0 --tol 1e-4 --max-steps 6";

/// Fewest rows for that.
const MANY: usize = 100_000;

/// The excess that is asked for.
const WANTED: f64 = 0.01;

#[derive(Debug, Serialize)]
struct Measured {
    benchmark: &'static str,
    facts: Facts,
    series: Vec<Fits>,
    optima: Vec<Run>,
}

/// One fit for each table.
#[derive(Debug, Serialize)]
struct Fits {
    fixed: Fixed,
    runs: Vec<Run>,
}

pub(super) fn run(program: &Program, facts: Facts, folder: &Path, quick: bool) -> Outcome {
    let tables = files::root().join("target/bench");
    std::fs::create_dir_all(&tables)?;
    let sizes: &[usize] = if quick {
        &[1000, 3162]
    } else {
        &[1000, 3162, 10_000, 31_623, 100_000, 316_228, 1_000_000]
    };
    let program = &program.calibrated()?;
    let mut series = SERIES.map(|fixed| Fits { fixed, runs: Vec::new() });
    let mut optima = Vec::new();
    for &rows in sizes {
        let table = tables.join(format!("teacher-{rows}.npy"));
        let bytes = teacher(rows);
        output::write(&table, |out| out.write_all(&bytes))?;
        for Fits { fixed, runs } in &mut series {
            // Of three digits, as 1e-7 of a million is not 0.1 in binary.
            let ridge = format!("{:.2e}", fixed.ridge * rows as f64);
            let chosen = format!("--sketch-rows {} --ridge {ridge}", fixed.rank);
            runs.push(program.fit(&format!("target/bench/teacher-{rows}.npy {OPTIONS} {chosen}"))?);
        }
        if rows >= MANY {
            optima.push(program.fit(&format!("target/bench/teacher-{rows}.npy {OPTIMAL}"))?);
        }
        std::fs::remove_file(&table)?;
    }
    let measured = Measured { benchmark: "rows", facts, series: series.into(), optima };
    for fits in &measured.series {
        println!("\n{}", table(&fits.runs));
    }
    println!("\n{}", optimal(&measured.optima));
    if !quick {
        for ending in ["svg", "png"] {
            chart(&measured.series).write(&folder.join(format!("rows.{ending}")))?;
        }
    }
    files::write(folder, "rows", &measured, &page(&measured))
}

/// A table of normal inputs and the outputs of a fixed network of 64 neurons, an NPY array of `f32`.
fn teacher(rows: usize) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
    let weights: Vec<f64> = (0..NEURONS * (INPUTS + 1)).map(|_| normal()).collect();
    let signs: Vec<f64> = (0..NEURONS).map(|_| normal().signum()).collect();
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {}), }}", INPUTS + 1);
    // Magic, version and length are ten bytes; with the line's end all is a multiple of 64.
    let spaces = 64 - (10 + header.len() + 1) % 64;
    header.extend(std::iter::repeat_n(' ', spaces));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).expect("a short header").to_le_bytes());
    bytes.extend(header.as_bytes());
    for _ in 0..rows {
        let x: Vec<f64> = (0..INPUTS).map(|_| normal()).collect();
        let root = (INPUTS as f64).sqrt();
        let neuron = |(w, sign): (&[f64], &f64)| {
            let z: f64 = w.iter().zip(&x).map(|(w, x)| w * x / root).sum::<f64>() + w[INPUTS];
            sign * z.max(0.0)
        };
        let y: f64 = weights.chunks_exact(INPUTS + 1).zip(&signs).map(neuron).sum();
        for value in x.iter().chain([&(y / (NEURONS as f64).sqrt())]) {
            bytes.extend((*value as f32).to_le_bytes());
        }
    }
    bytes
}

fn points(runs: &[Run], value: impl Fn(&Run) -> f64) -> Vec<(f64, f64)> {
    runs.iter().map(|run| (run.report.data.train_rows as f64, value(run))).collect()
}

fn seconds(run: &Run) -> f64 {
    run.report.result.seconds
}

fn peak_gib(run: &Run) -> f64 {
    run.report.result.peak_bytes / f64::from(1 << 30)
}

fn chart(series: &[Fits]) -> Chart {
    let line = |fits: &Fits, name: &str, value: fn(&Run) -> f64| {
        let name = format!("{name}, rank {}", fits.fixed.rank);
        Series::new(&name, points(&fits.runs, value), Style::LineMarkers).with_slope()
    };
    Chart {
        title: "Time and memory against the number of rows".into(),
        subtitle:
            "a teacher of 64 neurons, 16 inputs, width 4096, the same rank, and ridge for each row"
                .into(),
        x: Axis::new("rows", Scale::Log10),
        y: Axis::new("seconds, GiB", Scale::Log10),
        series: (series.iter())
            .flat_map(|fits| [line(fits, "seconds", seconds), line(fits, "peak GiB", peak_gib)])
            .collect(),
    }
}

fn page(measured: &Measured) -> String {
    let sections: String = measured.series.iter().map(section).collect();
    format!(
        "# Rows, from a thousand to a million\n\n\
         Written by `cargo xtask bench runs rows`: change the program, not this page.\n\n{}\n\
         Tables of {INPUTS} normal inputs and, without noise, the outputs of one fixed network of {NEURONS} neurons, \
         fitted by\n\n    nearlin fit TABLE.npy {OPTIONS} --sketch-rows RANK --ridge RIDGE\n\n\
         Seconds and peak memory are of the whole process. *Excess* is \
         what the residual may be above that of the linear model's optimum with that ridge at most, by the best step's certificate: with \
         what the inner solver left, `rho`, the objective is within `|rho|^2` of its optimum, the gap to a dual solution. \
         {WANTED} is aimed at. Plans are at the rates of this machine, which are measured first.\n\n{sections}\
         ![Time and memory against the number of rows](rows.svg)\n\n\
         ## Without a ridge, to the least-squares optimum of the linearised network\n\n\
         More rows than free parameters, so that residuals end above 0, by\n\n    nearlin fit TABLE.npy {OPTIMAL}\n\n\
         Each step is a least-squares problem in the weights, with a preconditioner from some of the rows where that is slow; \
         the gradient is lowered further with each step. *Optimum* is the last residual, and *last gain* what \
         the last step gained on the one before, relative to it. *Within 1%* is the first step whose residual is at most 1.01 \
         times the last one, and the seconds until then.\n\n{}",
        measured.facts.paragraph(),
        optimal(&measured.optima),
    )
}

fn section(fits: &Fits) -> String {
    let Fixed { rank, ridge } = fits.fixed;
    let slope = |value: fn(&Run) -> f64, from: f64| {
        let mut points = points(&fits.runs, value);
        points.retain(|(rows, _)| *rows >= from);
        fit_loglog(&points).map_or_else(|| "-".into(), |fit| format!("{:.2}", fit.slope))
    };
    format!(
        "## Rank {rank}, a ridge of {ridge:e} for each row\n\n\
         Time grows like the rows to the power of {}, from 31,623 rows on {}; memory like that of {}, {}.\n\n{}\n",
        slope(seconds, 0.0),
        slope(seconds, 3e4),
        slope(peak_gib, 0.0),
        slope(peak_gib, 3e4),
        table(&fits.runs)
    )
}

/// How far the residual is above the optimum's, at most, relative to it.
fn excess(run: &Run) -> f64 {
    let left = run.report.steps.iter().map(|step| step.eta_inner).fold(f64::INFINITY, f64::min);
    (1.0 + (left / run.report.result.train_rel_residual).powi(2)).sqrt() - 1.0
}

fn table(runs: &[Run]) -> Table {
    let header = [
        "rows",
        "steps",
        "iterations",
        "residual",
        "excess",
        "seconds",
        "peak GiB",
        "planned s",
        "planned GiB",
    ];
    let mut table = Table::new(&header, 0);
    for run in runs {
        let report = &run.report;
        let planned = |value: &dyn Fn(&super::program::Candidate) -> f64| {
            report.predicted().map_or(f64::NAN, value)
        };
        let gib = |bytes: f64| figure(bytes / f64::from(1 << 30));
        table.push([
            report.data.train_rows.to_string(),
            report.steps.len().to_string(),
            report.inner_iterations().to_string(),
            format!("{:.2e}", report.result.train_rel_residual),
            format!("{:.4}", excess(run)),
            figure(seconds(run)),
            figure(peak_gib(run)),
            figure(planned(&|candidate| candidate.predicted_seconds)),
            gib(planned(&|candidate| candidate.predicted_bytes)),
        ]);
    }
    table
}

/// What runs without a ridge came to.
fn optimal(runs: &[Run]) -> Table {
    let header = [
        "rows",
        "steps",
        "iterations",
        "optimum",
        "last gain",
        "within 1%",
        "after s",
        "seconds",
        "peak GiB",
        "planned s",
        "planned GiB",
    ];
    let mut table = Table::new(&header, 0);
    for run in runs {
        let Report { data, steps, .. } = &run.report;
        let residuals: Vec<f64> = steps.iter().map(|step| step.rel_residual).collect();
        let last = residuals.last().copied().unwrap_or(f64::NAN);
        let before = residuals.iter().rev().nth(1).copied().unwrap_or(f64::NAN);
        let near = near(&residuals);
        let after: f64 = steps.iter().take(near).map(|step| step.seconds).sum();
        let planned = |value: &dyn Fn(&Candidate) -> f64| {
            figure(run.report.predicted().map_or(f64::NAN, value))
        };
        table.push([
            data.train_rows.to_string(),
            steps.len().to_string(),
            run.report.inner_iterations().to_string(),
            format!("{last:.4e}"),
            format!("{:.2}%", 100.0 * (before / last - 1.0)),
            format!("step {near}"),
            figure(after),
            figure(seconds(run)),
            figure(peak_gib(run)),
            planned(&|candidate| candidate.predicted_seconds),
            planned(&|candidate| candidate.predicted_bytes / f64::from(1 << 30)),
        ]);
    }
    table
}

/// The first step, from 1, whose residual is within the wanted part of the last one's.
fn near(residuals: &[f64]) -> usize {
    let last = residuals.last().copied().unwrap_or(f64::NAN);
    residuals.iter().take_while(|residual| **residual > (1.0 + WANTED) * last).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_that_is_near_counts() {
        assert_eq!([near(&[0.3, 0.1, 0.0794, 0.079]), near(&[0.3, 0.1, 0.0799, 0.079])], [3, 4]);
        assert_eq!(near(&[0.1]), 1);
    }

    #[test]
    fn tables_are_arrays() {
        let bytes = teacher(3);
        assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
        let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert!(header.is_multiple_of(64) && bytes[header - 1] == b'\n');
        assert_eq!(bytes.len(), header + 3 * 4 * (INPUTS + 1));
        // More rows begin with the same.
        assert_eq!(teacher(5)[header..header + 12 * (INPUTS + 1)], bytes[header..]);
    }
}
