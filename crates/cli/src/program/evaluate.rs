//! Errors of a trained network in the user's units.

use faer::{MatRef, Par};
use nearlin::sureness::best;
use nearlin::{
    Equations, JackknifePlus, LeftOut, Loss, Network, TrainError, left_out, left_out_loss,
};

use super::setup::Setup;
use super::sureness::{of_left_out, of_test};
use crate::calibration::Calibration;
use crate::table::{Part, Truth};

/// Rows of a forward pass at a time, so that masks take little memory; a multiple of the rows that
/// the pass takes at a time, so that it changes no bit.
const BLOCK: usize = 8192;

/// Errors over some rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Errors {
    /// Root mean square error: for regression in the target's units; for classification of the
    /// scores, `sqrt(sum over rows and classes of (score - [is the class])^2 / (n K))`.
    pub(super) rmse: f64,
    /// `1 - (sum of squared errors) / (sum of squares about these rows' mean)`; `None` for
    /// classification or if all targets are the same.
    pub(super) r2: Option<f64>,
    /// Part of the rows whose highest score is their class's; `None` for regression.
    pub(super) accuracy: Option<f64>,
    /// Mean Huber or quantile loss, the former in the target's units squared; `None` for other losses.
    pub(super) loss: Option<f64>,
    /// Mean of `-ln p` over rows whose class was trained on; `None` for regression, or where no
    /// probabilities were calibrated, or on these rows.
    pub(super) log_loss: Option<f64>,
}

/// How well a network does.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scores {
    /// Over the training rows as they are in the file, merged or not.
    pub(super) train: Errors,
    /// Over the test rows; `None` if there are none.
    pub(super) test: Option<Errors>,
    /// Over the training rows, each left out; `None` without a ridge, on batches, or where that could not be solved for.
    pub(super) left_out: Option<Errors>,
    /// What those say of predictions, or test rows where training was on batches.
    pub(super) calibration: Option<Calibration>,
    /// Where intervals are; `None` for classification, or as far around every prediction.
    pub(super) jackknife: Option<JackknifePlus>,
    /// Rows of the test, or else of the training, left out: by class, and by the class that is predicted;
    /// `None` for regression, or without such rows.
    pub(super) confusion: Option<Vec<Vec<usize>>>,
}

impl Scores {
    /// Whether intervals are wider in some places.
    pub(super) fn is_local(&self) -> bool {
        self.jackknife.as_ref().is_some_and(|jackknife| jackknife.usual().is_some())
    }
}

/// `f(W, x_i)` for `x : n x d`, row-major: `n x K`, row-major, the same bits on any number of
/// threads.
///
/// # Errors
/// [`TrainError`] if the network has not `d` inputs.
pub(super) fn outputs(network: &Network, x: &[f64]) -> Result<Vec<f64>, TrainError> {
    let d = network.inputs();
    let mut outputs = Vec::with_capacity(x.len() / d * network.outputs());
    for x in x.chunks(BLOCK * d) {
        let x = MatRef::from_row_major_slice(x, x.len() / d, d);
        outputs.extend(network.forward(x, Par::rayon(0))?.outputs);
    }
    Ok(outputs)
}

/// Evaluates `network` on all rows of its problem.
///
/// # Errors
/// [`TrainError`] if the network is not of this problem.
pub(super) fn scores(setup: &Setup, network: &Network) -> Result<Scores, TrainError> {
    let (problem, target) = (&setup.problem, &setup.problem.target);
    let decoded = |mut outputs: Vec<f64>| {
        outputs.chunks_exact_mut(target.outputs()).for_each(|row| target.decode(row));
        outputs
    };
    let fitted = by_equation(&setup.equations, network)?;
    let train = decoded(setup.problem.equations.by_row(&fitted));
    let test = decoded(outputs(network, &problem.test_x)?);
    let told = held(setup, network)?;
    let held = told.as_ref().map(|outputs| decoded(setup.problem.equations.by_row(outputs)));
    let (calibration, jackknife) = match (&told, &held) {
        (Some(told), Some(held)) => of_left_out(setup, &fitted, told, held),
        // Nothing was left out: what the fit itself takes for probabilities.
        _ if target.has_logits() => (Some(Calibration::Sharpness(1.0)), None),
        _ if setup.beyond.is_some() => (of_test(&problem.test, &test), None),
        _ => (None, None),
    };
    let errors = |part: &Part, outputs: &[f64], calibration: Option<&Calibration>| {
        let found = errors(part, outputs, calibration, target.has_logits());
        Errors { loss: setup.mean_loss(part, outputs), ..found }
    };
    let calibrated = calibration.as_ref();
    // Rows that probabilities were calibrated on would flatter them.
    let by_others = calibrated.filter(|_| setup.beyond.is_none());
    let tested = !problem.test.rows.is_empty();
    let judged = match &held {
        _ if tested => Some((&problem.test, &test)),
        held => held.as_ref().map(|held| (&problem.train, held)),
    };
    Ok(Scores {
        train: errors(&problem.train, &train, calibrated),
        test: tested.then(|| errors(&problem.test, &test, by_others)),
        left_out: held.as_ref().map(|held| errors(&problem.train, held, calibrated)),
        confusion: judged.and_then(|(part, outputs)| confusion(&part.truth, outputs)),
        calibration,
        jackknife,
    })
}

/// Outputs for equations that were left out, where the ridge lets them be told.
fn held(setup: &Setup, network: &Network) -> Result<Option<Vec<f64>>, TrainError> {
    let ridge = setup.options.ridge;
    // Of a sample alone nothing can be left out that all rows were trained on.
    if ridge == 0.0 || setup.beyond.is_some() {
        return Ok(None);
    }
    let (equations, par) = (&setup.equations, Par::rayon(0));
    let left = match setup.loss {
        Some(loss) => {
            let weights = setup.problem.weights.as_deref();
            left_out_loss(equations, network, loss, weights, ridge, par)
        }
        None => left_out(equations, network, ridge, par),
    };
    match left {
        Ok(LeftOut { outputs, converged, .. }) => Ok(Some(outputs).filter(|_| converged)),
        // The ridge is lost in rounding: as good as none.
        Err(TrainError::Factor(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Rows by class and predicted class.
fn confusion(truth: &Truth, scores: &[f64]) -> Option<Vec<Vec<usize>>> {
    let Truth::Labels(labels) = truth else { return None };
    let k = scores.len() / labels.len().max(1);
    let mut counts = vec![vec![0; k]; k];
    for (scores, label) in scores.chunks_exact(k.max(1)).zip(labels) {
        if let Some(label) = label {
            counts[*label as usize][best(scores)] += 1;
        }
    }
    Some(counts)
}

/// Outputs for every equation: those of its rows times the square root of their count.
fn by_equation(equations: &Equations, network: &Network) -> Result<Vec<f64>, TrainError> {
    let mut outputs = Vec::with_capacity(equations.rows() * network.outputs());
    for first in (0..equations.rows()).step_by(BLOCK) {
        let x = equations.x().subrows(first, BLOCK.min(equations.rows() - first));
        outputs.extend(network.forward(x, Par::rayon(0))?.outputs);
    }
    Ok(outputs)
}

fn errors(part: &Part, outputs: &[f64], calibration: Option<&Calibration>, logits: bool) -> Errors {
    match &part.truth {
        Truth::Numbers(numbers) => {
            let errors: Vec<f64> = outputs.iter().zip(numbers).map(|(f, y)| f - y).collect();
            let rmse = root_mean_square(&errors);
            Errors { rmse, r2: r2(rmse, numbers), accuracy: None, loss: None, log_loss: None }
        }
        Truth::Labels(labels) => {
            let k = outputs.len() / labels.len();
            let log_loss = calibration.and_then(|by| by.log_loss(outputs, labels));
            let right = outputs
                .chunks_exact(k)
                .zip(labels)
                .filter(|(scores, label)| **label == Some(best(scores) as u32));
            let accuracy = Some(right.count() as f64 / labels.len() as f64);
            let mut off = outputs.to_vec();
            for (scores, label) in off.chunks_exact_mut(k).zip(labels) {
                if logits {
                    Loss::Softmax.mean(scores);
                }
                if let Some(label) = label {
                    scores[*label as usize] -= 1.0;
                }
            }
            Errors { rmse: root_mean_square(&off), r2: None, accuracy, loss: None, log_loss }
        }
    }
}

/// `sqrt(mean of squares)` without overflow or underflow on the way; finite always.
fn root_mean_square(values: &[f64]) -> f64 {
    let largest = values.iter().fold(0.0_f64, |largest, x| largest.max(x.abs())).min(f64::MAX);
    if largest == 0.0 {
        return 0.0;
    }
    let square = |x: &f64| (x.clamp(f64::MIN, f64::MAX) / largest).powi(2);
    let mean = values.iter().map(square).sum::<f64>() / values.len() as f64;
    largest * mean.sqrt()
}

/// `1 - (rmse / spread of the numbers)^2`, cut off at the least number there is.
fn r2(rmse: f64, numbers: &[f64]) -> Option<f64> {
    let count = numbers.len() as f64;
    let mean: f64 = numbers.iter().map(|y| y / count).sum();
    let constant = numbers.iter().all(|y| *y == numbers[0]);
    let about: Vec<f64> = numbers.iter().map(|y| y - mean).collect();
    let spread = root_mean_square(&about);
    (!constant && spread > 0.0).then(|| (1.0 - (rmse / spread).powi(2)).max(f64::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_mean_squares_of_any_size() {
        for size in [1e-300, 1.0, 1e300] {
            let got = root_mean_square(&[3.0 * size, -4.0 * size]) / size;
            assert!((got - 12.5_f64.sqrt()).abs() <= 4.0 * f64::EPSILON * got, "{size}: {got}");
        }
        assert_eq!(root_mean_square(&[]).to_bits(), 0);
        assert_eq!(root_mean_square(&[0.0, 0.0]).to_bits(), 0);
        assert!(root_mean_square(&[f64::INFINITY, 1.0]).is_finite());
    }

    #[test]
    fn determination() {
        let numbers = [1.0, 2.0, 3.0, 6.0]; // mean 3, squares about it 14
        let close = |a: Option<f64>, b: f64| (a.unwrap() - b).abs() <= 8.0 * f64::EPSILON;
        assert!(close(r2(0.0, &numbers), 1.0));
        assert!(close(r2((14.0_f64 / 4.0).sqrt(), &numbers), 0.0));
        assert!(close(r2((7.0_f64 / 4.0).sqrt(), &numbers), 0.5));
        assert_eq!(r2(0.1, &[2.5]), None);
        assert_eq!(r2(0.1, &[0.1, 0.1, 0.1]), None);
        assert_eq!(r2(1e200, &[1e-150, 2e-150]), Some(f64::MIN));
    }
}
