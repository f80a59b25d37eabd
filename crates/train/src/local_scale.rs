//! Intervals that are wider where training rows say less.

use faer::{MatRef, Par};

use crate::Posterior;
use crate::sureness::{half_width, interval_score};

/// The probability of the intervals that two kinds are compared by.
const LEVEL: f64 = 0.9;

/// Standard errors that a gain must have.
const SURE: f64 = 2.0;

/// How far off predictions are at some inputs, relative to what is usual: `sqrt(mu + v(x))`, the standard deviation of a
/// new target with noise of variance `mu` and the [`Posterior`] variance `v`, over its mean for training rows that
/// were left out.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalScale {
    posterior: Posterior,
    usual: f64,
}

impl LocalScale {
    /// From the residuals of training rows that were left out, n x K and row-major, and their standard deviations; also
    /// gives the rows' own scales. `None` unless intervals of 90% that are scaled so have a smaller mean
    /// [`interval_score`] on those rows than intervals of equal widths, by two standard errors of the difference.
    #[must_use]
    pub fn worthwhile(
        posterior: Posterior,
        residuals: &[f64],
        deviations: &[f64],
    ) -> Option<(Self, Vec<f64>)> {
        let (n, ridge) = (deviations.len(), posterior.ridge());
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
        (usual.is_finite() && better).then(|| (Self { posterior, usual }, scales))
    }

    /// From what [`posterior`](Self::posterior) and [`usual`](Self::usual) gave; `None` if that cannot be.
    #[must_use]
    pub fn from_parts(posterior: Posterior, usual: f64) -> Option<Self> {
        (usual > 0.0 && usual.is_finite()).then_some(Self { posterior, usual })
    }

    /// What intervals at the rows of `x : n x d`, as the network takes them, are to be multiplied by.
    ///
    /// # Panics
    /// If `x` has not `d` columns.
    #[must_use]
    pub fn scales(&self, x: MatRef<'_, f64>, par: Par) -> Vec<f64> {
        let ridge = self.posterior.ridge();
        let deviations = self.posterior.deviations(x, par);
        deviations.into_iter().map(|v| (ridge + v * v).sqrt() / self.usual).collect()
    }

    /// What tells the scales.
    #[must_use]
    pub fn posterior(&self) -> &Posterior {
        &self.posterior
    }

    /// The standard deviation that counts as 1.
    #[must_use]
    pub fn usual(&self) -> f64 {
        self.usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Equations;

    /// Residuals that grow with the posterior's deviation ask for local widths, others do not.
    #[test]
    fn local_widths_are_for_residuals_that_follow_them() {
        let x: Vec<f64> = (0..200).flat_map(|i| [f64::from(i * i) / 4e4 - 0.3, 0.3]).collect();
        let equations = Equations::new(x, vec![0.0; 200], 2, 1).unwrap();
        let (posterior, left_out) = Posterior::new(&equations, 1e-4, Par::Seq).unwrap();
        let noise = |i: usize| ((i * 7919 % 200) as f64 + 0.5) / 100.0 - 1.0;
        let of = |i: usize| (1e-4 + left_out[i].powi(2)).sqrt();
        let follow: Vec<f64> = (0..200).map(|i| of(i) * noise(i)).collect();
        let (scale, scales) =
            LocalScale::worthwhile(posterior.clone(), &follow, &left_out).unwrap();
        assert!((scales.iter().sum::<f64>() / 200.0 - 1.0).abs() < 1e-12);
        let found = scale.scales(equations.x(), Par::Seq);
        // A row that is left out is less sure of itself.
        assert!(found.iter().zip(&scales).all(|(inside, left_out)| inside <= left_out));
        let against: Vec<f64> = (0..200).map(|i| noise(i) / of(i)).collect();
        assert!(LocalScale::worthwhile(posterior.clone(), &against, &left_out).is_none());
        // With two outputs their mean decides, whatever their units.
        let both = |a: &[f64], b: &[f64]| -> Vec<f64> {
            a.iter().zip(b).flat_map(|(a, b)| [1e6 * a, 1e-6 * b]).collect()
        };
        let decides = |a: &[f64], b: &[f64]| {
            LocalScale::worthwhile(posterior.clone(), &both(a, b), &left_out).is_some()
        };
        assert!(decides(&follow, &follow) && !decides(&against, &against));
        assert_eq!(decides(&follow, &against), decides(&against, &follow));
    }
}
