//! `cargo xtask bench losses`: the loss solver on plain linear models beside scikit-learn's estimators with the
//! same penalty.

use std::path::PathBuf;
use std::process::Command;

use faer::{Mat, MatRef};
use nearlin::{LinearFit, LinearModel, Loss, fit_linear};
use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::fits::python;
use super::table::Table;
use super::{Outcome, files};
use crate::tidy::output;

/// What scikit-learn's Huber regression is called with.
const EPSILON: f64 = 1.35;
const ALPHA: f64 = 1e-2;

/// The quantile, and how closely the pinball is smoothed, in the units of the targets (their deviation is 77).
const LEVEL: f64 = 0.8;
const WIDTH: f64 = 1e-4;

/// A ridge that stands for none.
const NONE: f64 = 1e-7;

/// What to compare.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Python with scikit-learn [default: a virtual environment made in target].
    #[arg(long, value_name = "PY")]
    python: Option<PathBuf>,
    /// Folder for the results [default: docs/benchmarks].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Versions {
    scikit_learn: String,
}

/// A problem and scikit-learn's answer.
#[derive(Debug, Deserialize)]
struct Problem {
    loss: String,
    data: String,
    rows: usize,
    inputs: usize,
    x: Vec<f64>,
    y: Vec<f64>,
    coefficients: Vec<f64>,
    scale: Option<f64>,
}

/// What was compared, and how far apart the two are.
#[derive(Debug, Serialize)]
struct Line {
    loss: String,
    data: String,
    rows: usize,
    inputs: usize,
    compared: &'static str,
    difference: f64,
    target: f64,
    newton_steps: usize,
    inner_iterations: usize,
}

#[derive(Debug, Serialize)]
struct Report {
    benchmark: &'static str,
    facts: Facts,
    scikit_learn: String,
    lines: Vec<Line>,
}

/// Runs the benchmark; fails where the two are too far apart.
pub(super) fn run(args: &Args) -> Outcome {
    let root = files::root();
    let folder = files::folder(args.out.as_deref(), &root, false)?;
    let facts = Facts::gather(&root)?;
    let python = python(args.python.as_deref(), &root)?;
    let told = output(Command::new(python).arg(root.join("xtask/python/losses.py")))?;
    let mut told = told.lines();
    let versions: Versions = serde_json::from_str(told.next().ok_or("the script says nothing")?)?;
    let lines =
        told.map(|line| compare(&serde_json::from_str(line)?)).collect::<Outcome<Vec<Line>>>()?;
    let scikit_learn = versions.scikit_learn;
    let report = Report { benchmark: "losses", facts, scikit_learn, lines };
    println!("\n{}", table(&report));
    files::write(&folder, "losses", &report, &page(&report))?;
    match report.lines.iter().find(|line| !(line.difference <= line.target)) {
        None => Ok(()),
        Some(line) => {
            let Line { loss, difference, target, .. } = line;
            Err(format!("{loss}: {difference:.1e} apart, more than {target:.0e}").into())
        }
    }
}

fn compare(problem: &Problem) -> Outcome<Line> {
    let Problem { loss, data, rows, inputs, y, .. } = problem;
    let x = MatRef::from_row_major_slice(&problem.x, *rows, *inputs).to_owned();
    let theirs = &problem.coefficients;
    let (compared, difference, target, fit) = match loss.as_str() {
        "logistic" | "softmax" => {
            let loss = if loss == "softmax" { Loss::Softmax } else { Loss::Logistic };
            let fit = fit_linear(&LinearModel::new(&x, y), loss, 1.0, 1e-12)?;
            ("coefficients", apart(&fit.weights, theirs), 1e-6, fit)
        }
        "huber" => {
            let (fit, scale) = huber(&x, y)?;
            let scale_off = (scale / problem.scale.ok_or("no scale")? - 1.0).abs();
            ("coefficients and scale", apart(&fit.weights, theirs).max(scale_off), 1e-5, fit)
        }
        "pinball" => {
            let loss = Loss::Pinball { level: LEVEL, width: WIDTH };
            let fit = fit_linear(&LinearModel::new(&x, y), loss, NONE, 1e-9)?;
            let theirs = Mat::from_fn(*inputs, 1, |j, _| theirs[j]);
            let [ours, best] = [&fit.weights, &theirs].map(|w| pinball(&x, w, y));
            ("objective", (ours / best - 1.0).abs(), 1e-5, fit)
        }
        other => return Err(format!("no loss `{other}`").into()),
    };
    let (newton_steps, inner_iterations) = (fit.steps, fit.inner_iterations);
    let (loss, data) = (loss.clone(), data.clone());
    let (rows, inputs) = (*rows, *inputs);
    Ok(Line {
        loss,
        data,
        rows,
        inputs,
        compared,
        difference,
        target,
        newton_steps,
        inner_iterations,
    })
}

/// `n s + sum of s H(r_i / s) + alpha |w|^2` over `w` and the scale `s`, as scikit-learn has it: for a given `s`
/// Huber's loss with `delta = epsilon s` and the ridge `alpha s`, and `s^2` is the sum of squared small residuals
/// over `n` less `epsilon^2` for each large one.
fn huber(x: &Mat<f64>, y: &[f64]) -> Outcome<(LinearFit, f64)> {
    let mean = y.iter().sum::<f64>() / y.len() as f64;
    let mut scale = (y.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / y.len() as f64).sqrt();
    for _ in 0..1000 {
        let loss = Loss::Huber { delta: EPSILON * scale };
        let fit = fit_linear(&LinearModel::new(x, y), loss, ALPHA * scale, 1e-10)?;
        let residuals = fit.outputs.iter().zip(y).map(|(f, y)| f - y);
        let (mut squares, mut weight) = (0.0, 0.0);
        for r in residuals {
            let large = r.abs() > EPSILON * scale;
            squares += if large { 0.0 } else { r * r };
            weight += if large { 1.0 - EPSILON * EPSILON } else { 1.0 };
        }
        let next = (squares / weight).sqrt();
        let settled = (next / scale - 1.0).abs() < 1e-11;
        scale = next;
        if settled {
            return Ok((fit, scale));
        }
    }
    Err("the scale of Huber's loss does not settle".into())
}

/// The mean pinball.
fn pinball(x: &Mat<f64>, w: &Mat<f64>, y: &[f64]) -> f64 {
    let f = x * w;
    let each = y.iter().enumerate().map(|(i, y)| {
        let r = y - f[(i, 0)];
        if r > 0.0 { LEVEL * r } else { (LEVEL - 1.0) * r }
    });
    each.sum::<f64>() / y.len() as f64
}

/// `|ours - theirs| / |theirs|`, theirs by rows.
fn apart(ours: &Mat<f64>, theirs: &[f64]) -> f64 {
    let theirs = MatRef::from_row_major_slice(theirs, ours.nrows(), ours.ncols());
    (ours - theirs).norm_l2() / theirs.norm_l2()
}

fn table(report: &Report) -> Table {
    let header = [
        "loss",
        "data",
        "compared",
        "rows",
        "inputs",
        "relative difference",
        "at most",
        "Newton steps",
        "inner iterations",
    ];
    let mut table = Table::new(&header, 3);
    for line in &report.lines {
        table.push([
            line.loss.clone(),
            line.data.clone(),
            line.compared.to_owned(),
            line.rows.to_string(),
            line.inputs.to_string(),
            format!("{:.1e}", line.difference),
            format!("{:.0e}", line.target),
            line.newton_steps.to_string(),
            line.inner_iterations.to_string(),
        ]);
    }
    table
}

fn page(report: &Report) -> String {
    format!(
        "# Losses beside scikit-learn\n\n\
         Written by `cargo xtask bench losses`: change the program, not this page.\n\n{}\n\
         `fit_linear` on standardised inputs and a column of ones, with the penalty of scikit-learn {}'s \
         `LogisticRegression` (`C = 1`), `HuberRegressor` (`epsilon = {EPSILON}`, `alpha = {ALPHA}`, the scale \
         by a fixed point outside) and `QuantileRegressor` (quantile {LEVEL}, no penalty, against an envelope of \
         width {WIDTH} and the ridge {NONE:e}). For Huber's loss steps and iterations are those of the last \
         scale.\n\n{}",
        report.facts.paragraph(),
        report.scikit_learn,
        table(report)
    )
}
