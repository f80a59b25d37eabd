//! `--loss`: what is minimised, in the units of the encoded targets.

use nearlin::{Loss, Observer, Run, train_loss};

use super::args::{FitArgs, LossChoice, PrecisionChoice, RidgeRows};
use super::error::ProgramError;
use super::setup::Setup;
use crate::table::{Target, Task};

/// What the envelope of a quantile's loss smooths over, in standard deviations of the target.
const ENVELOPE: f64 = 0.01;

/// The loss for a target, `None` for squared errors.
///
/// # Errors
/// [`ProgramError::Loss`] for options that the loss does not go with.
pub(super) fn loss(args: &FitArgs, target: &Target) -> Result<Option<Loss>, ProgramError> {
    let fail = |option, found: String, expected| {
        Err(ProgramError::Loss { option, found, expected, loss: args.loss.name() })
    };
    let spread = target.spread();
    let loss = match (args.loss, spread) {
        (LossChoice::Squared, _) => return Ok(None),
        (LossChoice::CrossEntropy, _) => Loss::Softmax,
        (LossChoice::Huber(delta), Some(spread)) => Loss::Huber { delta: delta / spread },
        (LossChoice::Quantile(level), Some(_)) => Loss::Pinball { level, width: ENVELOPE },
        (_, None) => {
            let found = Task::Classification.name().to_owned();
            return fail("--task", found, Task::Regression.name());
        }
    };
    if args.ridge.0 == Some(0.0) {
        return fail("--ridge", "0".into(), "auto or a positive number");
    }
    if args.precision == PrecisionChoice::F32 {
        return fail("--precision", "f32".into(), "f64");
    }
    if args.ridge_rows == RidgeRows::All {
        return fail("--ridge-rows", "all".into(), "some");
    }
    if args.ensemble > 1 {
        return fail("--ensemble", args.ensemble.to_string(), "1");
    }
    Ok(Some(loss))
}

/// Trains on a loss of its own.
///
/// # Errors
/// [`ProgramError`] as of training.
pub(super) fn train(
    setup: &Setup,
    loss: Loss,
    observer: &mut dyn Observer,
) -> Result<Run, ProgramError> {
    let weights = setup.problem.weights.as_deref();
    Ok(train_loss(&setup.equations, loss, weights, &setup.training(), observer)?)
}
