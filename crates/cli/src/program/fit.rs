//! `nearlin fit`.

use std::fmt::Display;
use std::path::Path;
use std::time::Instant;

use nearlin::{RidgePath, Run, train};

use super::args::FitArgs;
use super::checkpoint::Store;
use super::error::ProgramError;
use super::evaluate::{Scores, scores};
use super::progress::Watch;
use super::report::{Cost, Report};
use super::setup::{Setup, goes_on, within};
use super::summary::{self, Summary};
use super::{batches, ensemble, loss, memory, say, show};
use crate::model::Model;
use crate::plot::{Chart, LossPoint, importance_chart, loss_curve, ridge_curve};

/// Trains, evaluates, writes what was asked for and says how it went.
///
/// # Errors
/// [`ProgramError`]; if its exit code is 2 nothing was written.
pub(super) fn run(args: &FitArgs, start: Instant) -> Result<(), ProgramError> {
    within(args, || fit(args, start))
}

fn fit(args: &FitArgs, start: Instant) -> Result<(), ProgramError> {
    let store = Store::open(args)?;
    let mut setup = Setup::new(args, store.as_ref())?;
    if let Some(solver) = store.as_ref().and_then(Store::planned) {
        goes_on(&mut setup.plan, &setup.options, solver);
    }
    setup.fits_in_memory()?;
    if !args.quiet {
        say(&summary::beginning(args, &setup).trim_end());
    }
    let rows = batches::rows(args, &mut setup)?;
    let options = setup.training();
    let watch = Watch::new(args.quiet, options.tolerance);
    let mut watch = if setup.beyond.is_some() { watch.by_passes() } else { watch };
    let alone = |run: Run| (run, Vec::new());
    let began = Instant::now();
    let run = match (setup.loss, store, &setup.beyond) {
        (_, _, Some(beyond)) => {
            batches::train(&setup, beyond, rows.as_ref(), &mut watch).map(alone)
        }
        (Some(loss), None, _) => loss::train(&setup, loss, &mut watch).map(alone),
        (_, Some(store), _) => store.train(args, &setup, &mut watch).map(alone),
        (None, None, _) if args.ensemble > 1 => ensemble::train(args, &setup, &mut watch),
        (None, None, _) => {
            train(&setup.equations, &options, &mut watch).map(alone).map_err(Into::into)
        }
    };
    let passes = watch.passes().to_vec();
    let times = watch.finish();
    let (run, members) = run?;
    let training = began.elapsed().as_secs_f64();
    let scores = scores(&setup, &run.network)?;
    let cost =
        Cost { seconds: start.elapsed().as_secs_f64(), training, peak_bytes: memory::peak_bytes() };
    let report = Report::planned(args, &setup).ran(&setup, &run, &times, &scores, cost);
    let report = report.of_members(&members);

    let mut written = Written::default();
    // The model first: it is what cannot be had again without training.
    written.add(args.model.as_deref(), |path| model(&setup, &run, &scores).write(path));
    written.add(args.report.as_deref(), |path| report.write(path));
    written.add(args.plot.as_deref(), |path| chart(args, &setup, &run).write(path));
    written.add(args.ridge_plot.as_deref(), |path| ridge_chart(args, &setup).write(path));
    written.add(args.importance_plot.as_deref(), |path| {
        importance_chart(&setup.importances(), &title(args, &setup)).write(path)
    });
    if !args.quiet {
        let summary = Summary {
            args,
            setup: &setup,
            run: &run,
            members: &members,
            times: &times,
            passes: &passes,
            scores: &scores,
            cost,
        };
        show(&summary.text(&written.paths))?;
    }
    written.result()
}

/// What became of the outputs.
#[derive(Debug, Default)]
struct Written {
    paths: Vec<String>,
    failed: usize,
}

impl Written {
    /// Writes one output, if it was asked for; a failure is said at once and stops nothing.
    fn add<E: Display>(&mut self, path: Option<&Path>, write: impl FnOnce(&Path) -> Result<(), E>) {
        let Some(path) = path else { return };
        match write(path) {
            Ok(()) => self.paths.push(path.display().to_string()),
            Err(error) => {
                say(&format_args!("nearlin: error: {error}"));
                self.failed += 1;
            }
        }
    }

    fn result(self) -> Result<(), ProgramError> {
        match self.failed {
            0 => Ok(()),
            failed => Err(ProgramError::Outputs { failed, asked: failed + self.paths.len() }),
        }
    }
}

fn model(setup: &Setup, run: &Run, scores: &Scores) -> Model {
    let network = &run.network;
    Model {
        width: network.width(),
        inputs: network.inputs(),
        outputs: network.outputs(),
        scale: run.scale,
        seed: setup.options.seed,
        ridge: setup.options.ridge,
        precision: setup.options.precision.name().into(),
        encoder: setup.problem.encoder.clone(),
        target: setup.problem.target.clone(),
        metric: setup.metric.as_ref().map(|choice| choice.metric.clone()),
        calibration: scores.calibration.clone(),
        jackknife: scores.jackknife.clone(),
        w0: network.initial_weights(),
        u: network.change().to_vec(),
        signs: network.signs().to_vec(),
    }
}

fn title(args: &FitArgs, setup: &Setup) -> String {
    let name = args.data.file_name().unwrap_or(args.data.as_os_str()).to_string_lossy();
    format!("{name}: {}", setup.problem.target.column)
}

fn ridge_chart(args: &FitArgs, setup: &Setup) -> Chart {
    let path = setup.ridge_path.as_ref();
    let chosen = path.filter(|_| args.ridge.0.is_none()).map(RidgePath::ridge);
    // The path may be of a sample.
    let ridge = chosen.unwrap_or_else(|| setup.options.ridge / setup.growth());
    let points: Vec<(f64, f64)> = path.map_or(Vec::new(), |path| {
        path.points.iter().map(|point| (point.ridge, point.error)).collect()
    });
    let (equations, options) = (&setup.equations, &setup.options);
    Chart {
        subtitle: format!(
            "n = {}, d = {}, outputs {}, width {}",
            equations.rows(),
            equations.inputs(),
            equations.outputs(),
            options.width
        ),
        ..ridge_curve(
            &points,
            ridge,
            path.map_or("", |path| path.criterion.name()),
            &title(args, setup),
        )
    }
}

fn chart(args: &FitArgs, setup: &Setup, run: &Run) -> Chart {
    let points: Vec<LossPoint> = run
        .steps
        .iter()
        .map(|step| LossPoint {
            step: step.step,
            rel_residual: step.rel_residual,
            eta_inner: Some(step.eta_inner),
            eta_lin: Some(step.eta_lin),
        })
        .collect();
    let floor = setup.sampled().is_none().then(|| setup.equations.floor());
    Chart {
        subtitle: summary::settings(setup, run),
        ..loss_curve(&points, &title(args, setup), floor)
    }
}
