//! `nearlin predict`.

use std::collections::HashSet;
use std::io::Write;

use faer::{MatRef, Par};

use super::args::PredictArgs;
use super::error::ProgramError;
use super::files::Files;
use super::{evaluate, say, to_stdout, words};
use crate::calibration::Calibration;
use crate::model::{Model, ModelError};
use crate::output;
use crate::table::{Feature, Sureness, Table, Task, write_predictions};

/// Writes one prediction for each row of a table.
///
/// # Errors
/// [`ProgramError`]; if its exit code is 2 nothing was written.
pub(super) fn run(args: &PredictArgs) -> Result<(), ProgramError> {
    Files::default()
        .reads(&args.model, "the model")
        .reads(&args.data, "the table")
        .writes("--output", args.output.as_deref())?;
    let model = Model::read(&args.model)?;
    let calibration = calibration(args, &model)?;
    let network = model.network().map_err(|reason| ModelError::Unusable {
        path: args.model.clone(),
        reason: Box::new(reason),
    })?;

    let needed: HashSet<&str> = model.encoder.features().iter().map(Feature::column).collect();
    let table = Table::read_where(&args.data, |name| needed.contains(name))?;
    let rows: Vec<usize> = (0..table.rows()).collect();
    let mut encoded = model.encoder.encode(&table, &rows)?;
    if let Some(metric) = &model.metric {
        metric.apply(&mut encoded.x);
    }
    drop(table);
    let few = args.interval.and_then(|level| Some((level, calibration.as_ref()?.too_few(level)?)));
    if let Some((level, n)) = few {
        say(&format_args!(
            "nearlin: warning: `--interval` is {level}: of {} at most the part {n}/{} can be told, and intervals \
             are as wide as the largest says",
            words::counted(n, "residual"),
            n + 1
        ));
    }
    for warning in &encoded.warnings {
        say(&format_args!("nearlin: warning: {warning}"));
    }
    let outputs = evaluate::outputs(&network, &encoded.x)?;
    let sure = sureness(args, &model, calibration, &encoded.x, &outputs);
    let fill = |out: &mut dyn Write| write_predictions(out, &model.target, &outputs, &sure);
    args.output.as_ref().map_or_else(
        || to_stdout(fill),
        |path| output::write(path, fill).map_err(ProgramError::Write),
    )
}

/// What tells what was asked for beside predictions; `None` for nothing.
///
/// # Errors
/// [`ProgramError::Sureness`] where the model cannot say.
fn calibration(args: &PredictArgs, model: &Model) -> Result<Option<Calibration>, ProgramError> {
    let task = model.target.task();
    let (option, of) = match (args.interval, args.probabilities) {
        (Some(_), _) => ("--interval", Task::Regression),
        (None, true) => ("--probabilities", Task::Classification),
        (None, false) => return Ok(None),
    };
    let found = model.calibration.clone().filter(|_| task == of);
    let (task, expected) = (task.name(), of.name());
    found.map(Some).ok_or(ProgramError::Sureness { option, task, expected })
}

/// What is written beside predictions for rows `x`, as the network takes them.
fn sureness(
    args: &PredictArgs,
    model: &Model,
    calibration: Option<Calibration>,
    x: &[f64],
    outputs: &[f64],
) -> Sureness {
    let Some(calibration) = calibration else { return Sureness::Silent };
    let half = args.interval.and_then(|level| Some((level, calibration.half_width(level)?)));
    let Some((level, half)) = half else { return Sureness::Probabilities(calibration) };
    let mut predictions = outputs.to_vec();
    predictions.chunks_exact_mut(1).for_each(|row| model.target.decode(row));
    let ends = match &model.jackknife {
        Some(jackknife) => {
            let x = MatRef::from_row_major_slice(x, predictions.len(), model.inputs);
            jackknife.intervals(x, &predictions, level, Par::rayon(0))
        }
        None => predictions.iter().map(|f| [f - half, f + half]).collect(),
    };
    Sureness::Interval { ends }
}
