//! How much wider intervals are where training rows say less, if that makes them better.

use crate::sureness::{half_width, interval_score};

/// The probability of the intervals that two kinds are compared by.
const LEVEL: f64 = 0.9;

/// Standard errors that a gain must have.
const SURE: f64 = 2.0;

/// From the residuals of training rows that were left out, n x K and row-major, and the function's standard deviations
/// there: the mean of `sqrt(mu + v)`, the standard deviation of a new target with noise of variance `mu`, and each row's over
/// that mean. `None` unless intervals of 90% that are scaled so have a smaller mean [`interval_score`] on those rows than
/// intervals of equal widths, by two standard errors of the difference.
pub(crate) fn worthwhile(
    ridge: f64,
    residuals: &[f64],
    deviations: &[f64],
) -> Option<(f64, Vec<f64>)> {
    let n = deviations.len();
    let mut scales: Vec<f64> = deviations.iter().map(|v| (ridge + v * v).sqrt()).collect();
    let usual = scales.iter().sum::<f64>() / n as f64;
    for scale in &mut scales {
        *scale /= usual;
    }
    let outputs = residuals.len() / n.max(1);
    let column = |k: usize| residuals.iter().skip(k).step_by(outputs).map(|r| r.abs());
    let score = |k: usize, scale: &dyn Fn(usize) -> f64| -> Vec<f64> {
        let mut sizes: Vec<f64> = column(k).enumerate().map(|(i, e)| e / scale(i)).collect();
        sizes.sort_by(f64::total_cmp);
        let half = half_width(&sizes, LEVEL).unwrap_or(0.0);
        column(k).enumerate().map(|(i, e)| interval_score(e, half * scale(i), LEVEL)).collect()
    };
    // What each row's score gains, outputs alike whatever their units.
    let mut gains = vec![0.0; n];
    for k in 0..outputs {
        let equal = score(k, &|_| 1.0);
        let mean = equal.iter().sum::<f64>() / n as f64;
        let pairs = equal.iter().zip(score(k, &|i| scales[i]));
        gains
            .iter_mut()
            .zip(pairs)
            .for_each(|(gain, (equal, local))| *gain += (equal - local) / mean);
    }
    let sum: f64 = gains.iter().sum();
    let squares: f64 = gains.iter().map(|gain| (gain - sum / n as f64).powi(2)).sum();
    let better = sum > SURE * squares.sqrt();
    (usual.is_finite() && better).then_some((usual, scales))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Residuals that grow with the posterior's deviation ask for local widths, others do not.
    #[test]
    fn local_widths_are_for_residuals_that_follow_them() {
        let deviations: Vec<f64> = (0..200).map(|i| 0.01 + f64::from(i * i) / 4e4).collect();
        let noise = |i: usize| ((i * 7919 % 200) as f64 + 0.5) / 100.0 - 1.0;
        let of = |i: usize| (1e-4 + deviations[i].powi(2)).sqrt();
        let follow: Vec<f64> = (0..200).map(|i| of(i) * noise(i)).collect();
        let (usual, scales) = worthwhile(1e-4, &follow, &deviations).unwrap();
        assert!((scales.iter().sum::<f64>() / 200.0 - 1.0).abs() < 1e-12);
        assert!(scales.iter().enumerate().all(|(i, scale)| (scale * usual - of(i)).abs() < 1e-12));
        let against: Vec<f64> = (0..200).map(|i| noise(i) / of(i)).collect();
        assert!(worthwhile(1e-4, &against, &deviations).is_none());
        // With two outputs their mean decides, whatever their units.
        let both = |a: &[f64], b: &[f64]| -> Vec<f64> {
            a.iter().zip(b).flat_map(|(a, b)| [1e6 * a, 1e-6 * b]).collect()
        };
        let decides = |a: &[f64], b: &[f64]| worthwhile(1e-4, &both(a, b), &deviations).is_some();
        assert!(decides(&follow, &follow) && !decides(&against, &against));
        assert_eq!(decides(&follow, &against), decides(&against, &follow));
    }
}
