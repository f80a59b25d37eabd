//! What rows that were left out say of predictions.

use faer::Par;
use nearlin::{JackknifePlus, LeftOutRows, Loss, Posterior};

use super::setup::Setup;
use crate::calibration::Calibration;
use crate::table::{Part, Truth};

/// How sure predictions are, and where their intervals are.
pub(super) type Sureness = (Option<Calibration>, Option<JackknifePlus>);

/// From test rows and their outputs, if there are any.
pub(super) fn of_test(test: &Part, outputs: &[f64]) -> Option<Calibration> {
    if test.rows.is_empty() {
        return None;
    }
    Some(match &test.truth {
        Truth::Labels(labels) => Calibration::of_scores(outputs, labels),
        Truth::Numbers(numbers) => {
            Calibration::of_residuals(outputs.iter().zip(numbers).map(|(f, y)| f - y))
        }
    })
}

/// From training rows that were left out, by the outputs of their equations, before (`fitted`) and without each (`told`),
/// and by the latter of the rows in the target's units.
pub(super) fn of_left_out(
    setup: &Setup,
    fitted: &[f64],
    told: &[f64],
    outputs: &[f64],
) -> Sureness {
    let numbers = match &setup.problem.train.truth {
        Truth::Labels(labels) => return (Some(Calibration::of_scores(outputs, labels)), None),
        // What is told is no middle of what will be.
        Truth::Numbers(_) if matches!(setup.loss, Some(Loss::Pinball { .. })) => {
            return (None, None);
        }
        Truth::Numbers(numbers) => numbers,
    };
    let residuals: Vec<f64> = outputs.iter().zip(numbers).map(|(f, y)| f - y).collect();
    let curvatures = curvatures(setup, fitted);
    let (equations, par) = (&setup.equations, Par::rayon(0));
    let posterior = Posterior::new(equations, curvatures.as_deref(), setup.options.ridge, par);
    // Where rounding leaves no posterior, intervals are as wide everywhere.
    let Ok((posterior, deviations)) = posterior else {
        return (Some(Calibration::of_residuals(residuals.into_iter())), None);
    };
    let spread = setup.problem.target.spread().unwrap_or(1.0);
    let slopes = slopes(setup, told).map(|slope| spread * slope).collect::<Vec<_>>();
    let rows = LeftOutRows {
        residuals: &residuals,
        deviations: &setup.problem.equations.by_row(&deviations),
        equation_of: &setup.problem.equations.equation_of,
        x: equations.x(),
        slopes: &slopes,
    };
    let jackknife = JackknifePlus::new(posterior, &rows, par);
    let sizes = jackknife.kept().first().map_or(Vec::new(), |kept| kept.sizes.clone());
    (Some(Calibration::Residuals(sizes)), Some(jackknife))
}

/// The weight of each equation at the minimum of its loss; `None` for squared errors.
fn curvatures(setup: &Setup, outputs: &[f64]) -> Option<Vec<f64>> {
    let loss = setup.loss?;
    let rows = outputs.iter().zip(setup.equations.y()).enumerate();
    let curvatures = rows.map(|(i, (f, y))| {
        let mut curvature = [0.0];
        loss.curvature(&[*f], &[*y], &mut curvature);
        weight(setup, i) * curvature[0]
    });
    Some(curvatures.collect())
}

/// The slope of the loss of each equation at what it would have been told.
fn slopes(setup: &Setup, outputs: &[f64]) -> impl Iterator<Item = f64> {
    let rows = outputs.iter().zip(setup.equations.y()).enumerate();
    rows.map(|(i, (f, y))| {
        let Some(loss) = setup.loss else { return f - y };
        let mut slope = [0.0];
        loss.gradient(&[*f], &[*y], &mut slope);
        weight(setup, i) * slope[0]
    })
}

fn weight(setup: &Setup, equation: usize) -> f64 {
    setup.problem.weights.as_ref().map_or(1.0, |weights| weights[equation])
}
