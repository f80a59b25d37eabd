//! The ridge for a loss that has no leave-one-out formula: by rows that are held out.

use core::ops::ControlFlow;

use super::network::check_weights;
use super::{Loss, train_loss};
use crate::observe::Event;
use crate::options::{Options, Scale};
use crate::ridge::{Criterion, RidgePath, RidgePoint, three_digits};
use crate::{Equations, TrainError};

/// Every so many equations one is held out.
const HELD: usize = 5;

/// Most rows that networks are trained on for that: leave-one-out of squared errors looks at no more either.
const ROWS: usize = 2048;

/// Widest network that ridges are judged with: they are in units that no width changes.
const WIDTH: usize = 1024;

/// Ridges for each factor of ten.
const PER_DECADE: i32 = 2;

/// From the ridge of the squared loss upwards and downwards, in factors of ten.
const DECADES: (i32, i32) = (3, 1);

/// Ridges in a row that may predict worse before smaller ones are not looked at.
const PATIENCE: usize = 2;

/// Accuracy of these fits: no difference between ridges is told more accurately.
const TOLERANCE: f64 = 1e-3;

/// Judges ridges for [`train_loss`] by the loss on every fifth equation of 2,560 at most, of networks of width 1,024 at most that
/// are trained on the others: from ten times the ridge of `options` down to a thousandth of it, or to where
/// predictions have become worse twice. Half a dozen fits, each to a relative gradient of 1e-3.
///
/// The ridge of `options` should be the one for the squared loss, from [`ridge_path`](crate::ridge_path()).
///
/// # Errors
/// As [`train_loss`], and [`TrainError::Empty`] for fewer than two equations.
pub fn loss_ridge_path(
    equations: &Equations,
    loss: Loss,
    weights: Option<&[f64]>,
    options: &Options,
) -> Result<RidgePath, TrainError> {
    let (n, outputs) = (equations.rows(), equations.outputs());
    if let Some(weights) = weights {
        check_weights(weights, n)?;
    }
    // Spread over all: every so many, as order may mean something.
    let every = (n * (HELD - 1)).div_ceil(HELD * ROWS).max(1);
    let looked_at: Vec<usize> = (0..n).step_by(every).collect();
    let (mut held, mut kept) = (Vec::new(), Vec::new());
    for (at, &i) in looked_at.iter().enumerate() {
        if at % HELD == HELD - 1 { held.push(i) } else { kept.push(i) }
    }
    if held.is_empty() {
        held.extend(kept.pop());
    }
    let weight = |i: usize| weights.map_or(1.0, |w| w[i]);
    let part = equations.subset(&kept)?;
    let others = equations.subset(&held)?;
    let part_weights: Vec<f64> = kept.iter().map(|&i| weight(i)).collect();
    let judge = |f: &[f64]| -> f64 {
        let rows = f.chunks_exact(outputs).zip(others.y().chunks_exact(outputs));
        rows.zip(&held).map(|((f, y), &i)| weight(i) * loss.value(f, y)).sum()
    };
    let nothing = judge(&vec![0.0; others.y().len()]);

    let mut options =
        options.width(options.width.min(WIDTH)).tolerance(TOLERANCE).least_gain(TOLERANCE);
    let best = options.ridge;
    let mut still = |_: &Event<'_>| ControlFlow::Continue(());
    let (mut points, mut least, mut worse) = (Vec::new(), f64::INFINITY, 0);
    for at in -DECADES.1 * PER_DECADE..=DECADES.0 * PER_DECADE {
        let ridge = three_digits(best * 10f64.powf(f64::from(-at) / f64::from(PER_DECADE)));
        options = options.ridge(ridge);
        let run =
            train_loss(&part, loss, weights.map(|_| &part_weights[..]), &options, &mut still)?;
        options = options.scale(Scale::Fixed(run.scale));
        let told = judge(&run.network.forward(others.x(), options.par)?.outputs);
        let error = if nothing > 0.0 { told / nothing } else { 0.0 };
        points.push(RidgePoint { ridge, error, effective_parameters: 0.0 });
        worse = if error < least { 0 } else { worse + 1 };
        least = least.min(error);
        if worse >= PATIENCE {
            break;
        }
    }
    points.reverse();
    Ok(RidgePath::new(Criterion::HeldOut, points, held.len()))
}
