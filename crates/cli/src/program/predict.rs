//! `nearlin predict`.

use std::io::Write;

use super::args::PredictArgs;
use super::error::ProgramError;
use super::files::Files;
use super::{evaluate, say, to_stdout};
use crate::model::{Model, ModelError};
use crate::output;
use crate::table::{Sureness, Table, Task, write_predictions};

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
    let sure = sureness(args, &model)?;
    let network = model.network().map_err(|reason| ModelError::Unusable {
        path: args.model.clone(),
        reason: Box::new(reason),
    })?;

    let table = Table::read_where(&args.data, |name| name != model.target.column)?;
    let rows: Vec<usize> = (0..table.rows()).collect();
    let mut encoded = model.encoder.encode(&table, &rows)?;
    if let Some(metric) = &model.metric {
        metric.apply(&mut encoded.x);
    }
    drop(table);
    for warning in &encoded.warnings {
        say(&format_args!("nearlin: warning: {warning}"));
    }
    let outputs = evaluate::outputs(&network, &encoded.x)?;
    let fill = |out: &mut dyn Write| write_predictions(out, &model.target, &outputs, &sure);
    args.output.as_ref().map_or_else(
        || to_stdout(fill),
        |path| output::write(path, fill).map_err(ProgramError::Write),
    )
}

/// What was asked for beside predictions.
///
/// # Errors
/// [`ProgramError::Sureness`] where the model cannot say.
fn sureness(args: &PredictArgs, model: &Model) -> Result<Sureness, ProgramError> {
    let task = model.target.task();
    let fail =
        |option, expected| Err(ProgramError::Sureness { option, task: task.name(), expected });
    let calibration = model.calibration.clone();
    if let Some(level) = args.interval {
        let half_width = calibration.and_then(|by| by.half_width(level));
        return half_width.map_or_else(
            || fail("--interval", Task::Regression.name()),
            |half_width| Ok(Sureness::Interval { half_width }),
        );
    }
    if !args.probabilities {
        return Ok(Sureness::Silent);
    }
    calibration.filter(|_| task == Task::Classification).map_or_else(
        || fail("--probabilities", Task::Classification.name()),
        |calibration| Ok(Sureness::Probabilities(calibration)),
    )
}
