//! Numbers by their ranks: what makes skewed columns and outliers harmless.

use crate::Standard;

/// Parts of equal numbers of rows between knots.
const PARTS: usize = 16;

/// Correlation with their scores from which on values are normal, and fewest values of which that is said.
const NORMAL: f64 = 0.999;
const TELLING: usize = 1000;

/// Fewest values whose ranks tell more than the values do.
const FEWEST: usize = 20;

/// A continuous, increasing function of a column: normal scores, piecewise linear between a few quantiles of the
/// training rows and constant beyond them, standardised.
///
/// The normal score of a value is the standard normal quantile of its rank, `(below + at most) / (2 n)`.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct NormalScores {
    /// Values and their normal scores, ascending in both, at least three.
    knots: Vec<(f64, f64)>,
    /// Of the scores over the training rows.
    standard: Standard,
}

impl NormalScores {
    /// The scores of finite values; `None` for fewer than 20, where fewer than three of their quantiles differ, or where
    /// more than half of the values are the same, or they are normal already: of a thousand values or more, all of whose quantiles
    /// differ, scores whose correlation with them is over 0.999 would be one input twice.
    #[must_use]
    pub fn fit(values: &[f64]) -> Option<Self> {
        Self::fit_among(values, 0)
    }

    /// As [`fit`](Self::fit), standardised over these values and as many others that are `missing`, at their mean.
    #[must_use]
    pub fn fit_among(values: &[f64], missing: usize) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        // The least value that as many are at most: the same where each value is repeated.
        let quantile = |part: usize| sorted[(part * n).div_ceil(PARTS).max(1) - 1];
        let mut at: Vec<f64> =
            if n == 0 { Vec::new() } else { (0..=PARTS).map(quantile).collect() };
        at.dedup_by(|a, b| *a == *b);
        let same = |run: &[f64]| 2 * run.len() > n;
        if n < FEWEST || at.len() < 3 || sorted.chunk_by(|a, b| a == b).any(same) {
            return None;
        }
        let rank = |x: f64| {
            let (below, most) =
                (sorted.partition_point(|&v| v < x), sorted.partition_point(|&v| v <= x));
            (below + most) as f64 / (2 * n) as f64
        };
        let score = |x: f64| (x, normal_quantile(rank(x)));
        let knots: Vec<(f64, f64)> = at.into_iter().map(score).collect();
        let mut scores: Vec<f64> = values.iter().map(|&x| interpolate(&knots, x)).collect();
        let of_scores = Standard::fit(&scores)?;
        let of_values = Standard::fit(values)?;
        let alike = |(&x, &score): (&f64, &f64)| of_values.apply(x) * of_scores.apply(score);
        let correlation = values.iter().zip(&scores).map(alike).sum::<f64>() / n as f64;
        if n >= TELLING && knots.len() > PARTS && correlation > NORMAL {
            return None;
        }
        let mean = of_scores.invert(0.0);
        scores.resize(n + missing, mean);
        let standard = Standard::fit(&scores)?;
        let found = Self { knots, standard };
        found.is_valid().then_some(found)
    }

    /// The score of `x`, standardised; finite for every finite `x`.
    #[must_use]
    pub fn apply(&self, x: f64) -> f64 {
        self.standard.apply(interpolate(&self.knots, x))
    }

    /// Values and their scores before they are standardised, ascending in both.
    #[must_use]
    pub fn knots(&self) -> &[(f64, f64)] {
        &self.knots
    }

    /// How scores are standardised.
    #[must_use]
    pub fn standard(&self) -> &Standard {
        &self.standard
    }

    /// Whether the numbers can be what [`fit`](Self::fit) returns, for scores that were read.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.knots.len() >= 3
            && self.knots.iter().all(|(x, score)| x.is_finite() && score.is_finite())
            && self.knots.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1)
            && self.standard.is_valid()
    }
}

/// The piecewise linear function through `knots`, constant beyond them.
fn interpolate(knots: &[(f64, f64)], x: f64) -> f64 {
    let after = knots.partition_point(|&(knot, _)| knot <= x);
    let (Some(&(right, high)), Some(&(left, low))) =
        (knots.get(after), after.checked_sub(1).and_then(|at| knots.get(at)))
    else {
        return knots[after.min(knots.len() - 1)].1;
    };
    // Halves, as the distance of two numbers may be none.
    let part = (0.5 * x - 0.5 * left) / (0.5 * right - 0.5 * left);
    low + part.clamp(0.0, 1.0) * (high - low)
}

/// The quantile of the standard normal distribution, to 4.5e-4, far better than ranks are known (Abramowitz and
/// Stegun, *Handbook of mathematical functions*, 26.2.23).
fn normal_quantile(p: f64) -> f64 {
    let t = (-2.0 * p.min(1.0 - p).ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    (p - 0.5).signum() * (t - above / below)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_of_the_normal_distribution() {
        for (p, want) in [(0.5, 0.0), (0.841_345, 1.0), (0.977_25, 2.0), (0.001_35, -3.0)] {
            assert!((normal_quantile(p) - want).abs() < 5e-4, "{p}");
        }
        assert!((normal_quantile(0.2) + normal_quantile(0.8)).abs() < 1e-12);
    }

    #[test]
    fn few_values_have_no_scores() {
        let repeated = |values: &[f64], times: usize| NormalScores::fit(&values.repeat(times));
        assert_eq!(NormalScores::fit(&[]), None);
        assert_eq!(repeated(&[1.0], 30), None);
        assert_eq!(repeated(&[1.0, 2.0], 30), None);
        assert_eq!(repeated(&[0.0, 0.0, 0.0, 1.0, 2.0], 30), None);
        assert_eq!(repeated(&[1.0, 2.0, 3.0], 6), None);
        assert!(repeated(&[1.0, 2.0, 3.0], 7).is_some());
        assert!(repeated(&[f64::MIN, 0.0, f64::MAX], 7).is_some());
    }

    /// What is normal already has none: its scores would be itself. A tail that is twice as long tells.
    #[test]
    fn normal_values_have_no_scores() {
        let quantiles = |stretch: f64, n: usize| -> Vec<f64> {
            let of = |i: usize| normal_quantile((i as f64 + 0.5) / n as f64);
            (0..n).map(of).map(|x| if x > 1.0 { 1.0 + stretch * (x - 1.0) } else { x }).collect()
        };
        assert_eq!(NormalScores::fit(&quantiles(1.0, 1000)), None);
        assert!(NormalScores::fit(&quantiles(2.0, 1000)).is_some());
        assert!(NormalScores::fit(&quantiles(1.0, 999)).is_some(), "too few to tell");
        assert!(NormalScores::fit(&[1.0, 2.0, 3.0].repeat(700)).is_some(), "three values");
    }

    proptest! {
        /// Scores rise with values, are bounded, have mean 0 and variance 1 on the training rows, and are those
        /// of ranks: an increasing map that keeps the knots at knots changes none there.
        #[test]
        fn scores_are_of_ranks(values in prop::collection::vec(-100.0..100.0f64, 20..200)) {
            let Some(scores) = NormalScores::fit(&values) else { return Ok(()) };
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let told: Vec<f64> = sorted.iter().map(|&x| scores.apply(x)).collect();
            prop_assert!(told.windows(2).all(|pair| pair[0] <= pair[1]));
            let n = told.len() as f64;
            let mean = told.iter().sum::<f64>() / n;
            let variance = told.iter().map(|s| (s - mean) * (s - mean)).sum::<f64>() / n;
            prop_assert!(mean.abs() < 1e-9 && (variance - 1.0).abs() < 1e-9, "{mean} {variance}");
            prop_assert_eq!(scores.apply(1e300), told[told.len() - 1]);
            prop_assert_eq!(scores.apply(-1e300), told[0]);

            let cubes: Vec<f64> = values.iter().map(|x| x * x * x).collect();
            let other = NormalScores::fit(&cubes).unwrap();
            for ((x, score), (cube, same)) in scores.knots().iter().zip(other.knots()) {
                prop_assert_eq!((x * x * x, score), (*cube, same));
            }
        }
    }
}
