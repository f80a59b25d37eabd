//! How sure a model is: probabilities and intervals, from training rows that were left out one at a time.

use nearlin::{JackknifePlus, sureness};
use serde::{Deserialize, Serialize};

/// What rows that were left out say of predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Calibration {
    /// Classification: probabilities are the softmax of this number times the scores, the one with the least
    /// log loss (temperature scaling: Guo, Pleiss, Sun and Weinberger, *On calibration of modern neural
    /// networks*, 2017).
    Sharpness(f64),
    /// Regression: absolute residuals in the target's units over the scale of intervals at their rows, ascending.
    Residuals(Vec<f64>),
}

impl Calibration {
    /// From scores, n x K and row-major, and classes of the rows that have one.
    #[must_use]
    pub fn of_scores(scores: &[f64], labels: &[Option<u32>]) -> Self {
        Self::Sharpness(sureness::sharpness(scores, labels))
    }

    /// From residuals over the scales of intervals at their rows, in any order.
    #[must_use]
    pub fn of_residuals(residuals: impl Iterator<Item = f64>) -> Self {
        let sizes: Vec<f64> = residuals.map(f64::abs).collect();
        let kept = sureness::ranked(&sizes, JackknifePlus::KEPT);
        Self::Residuals(kept.into_iter().map(|at| sizes[at]).collect())
    }

    /// Half the length of an interval of scale 1 that holds a new target with probability `level`; `None` for
    /// classification. No more than the largest residual is known of.
    #[must_use]
    pub fn half_width(&self, level: f64) -> Option<f64> {
        let Self::Residuals(sizes) = self else { return None };
        sureness::half_width(sizes, level)
    }

    /// How many residuals are known, where these are too few for intervals of this level; `None` where they are
    /// enough, and for classification.
    #[must_use]
    pub fn too_few(&self, level: f64) -> Option<usize> {
        let Self::Residuals(sizes) = self else { return None };
        let n = sizes.len();
        ((level * (n + 1) as f64).ceil() > n as f64).then_some(n)
    }

    /// Probabilities of the classes, from a row of scores, in place; `false` for regression.
    pub fn to_probabilities(&self, scores: &mut [f64]) -> bool {
        let Self::Sharpness(sharpness) = *self else { return false };
        let found: Vec<f64> = sureness::probabilities(scores, sharpness).collect();
        scores.copy_from_slice(&found);
        true
    }

    /// `-ln p` of the classes that have one, on average; `None` for regression or without any.
    #[must_use]
    pub fn log_loss(&self, scores: &[f64], labels: &[Option<u32>]) -> Option<f64> {
        let Self::Sharpness(sharpness) = *self else { return None };
        sureness::log_loss(scores, labels, sharpness)
    }

    /// Whether the numbers can be what rows give.
    pub(crate) fn is_valid(&self) -> bool {
        match self {
            Self::Sharpness(sharpness) => *sharpness > 0.0 && sharpness.is_finite(),
            Self::Residuals(sizes) => {
                let fine = |size: &f64| *size >= 0.0 && size.is_finite();
                !sizes.is_empty() && sizes.iter().all(fine) && sizes.is_sorted()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use nearlin::sureness::MOST_SHARP;

    use super::*;

    proptest! {
        /// Probabilities are some, and no other sharpness has less log loss where the class of each of 20 rows or fewer is
        /// another one with the probability that the rule of succession gives it.
        #[test]
        fn sharpness_is_the_best(
            scores in prop::collection::vec(-1.0f64..2.0, 3 * 20),
            labels in prop::collection::vec(prop::option::weighted(0.9, 0u32..3), 20),
        ) {
            let calibration = Calibration::of_scores(&scores, &labels);
            let Calibration::Sharpness(sharpness) = calibration else { panic!("classification") };
            prop_assert!(calibration.is_valid());
            let known = labels.iter().flatten().count();
            let doubted = |by: &Calibration| -> f64 {
                let losses = scores.chunks(3).zip(&labels).filter_map(|(scores, label)| {
                    let mut p = scores.to_vec();
                    by.to_probabilities(&mut p);
                    let doubt = 1.0 / (known + 2) as f64;
                    let part = |k| if Some(k as u32) == *label { 1.0 - doubt } else { doubt / 2.0 };
                    label.map(|_| (0..3).map(|k| -part(k) * p[k].max(1e-300).ln()).sum::<f64>())
                });
                losses.sum()
            };
            if known > 0 {
                let loss = doubted(&calibration);
                for other in [0.5 * sharpness, 0.99 * sharpness, 1.01 * sharpness, 2.0 * sharpness] {
                    // At the ends of the range the loss is flat up to rounding.
                    let other = Calibration::Sharpness(other.clamp(1.0 / MOST_SHARP, MOST_SHARP));
                    prop_assert!(loss <= doubted(&other) + 1e-9);
                }
            }
            let mut row = scores[..3].to_vec();
            prop_assert!(calibration.to_probabilities(&mut row));
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert!(row.iter().all(|p| (0.0..=1.0).contains(p)));
        }

        /// Of residuals that are kept all, the part within the interval is what was asked for, and no shorter
        /// interval has it.
        #[test]
        fn intervals_hold_their_part(
            residuals in prop::collection::vec(-5.0f64..5.0, 1..300),
            level in 0.05f64..0.95,
        ) {
            let width = Calibration::of_residuals(residuals.iter().copied()).half_width(level).unwrap();
            let n = residuals.len() as f64;
            let within = residuals.iter().filter(|r| r.abs() <= width).count() as f64;
            let below = residuals.iter().filter(|r| r.abs() < width).count() as f64;
            prop_assert!(within >= (level * (n + 1.0)).min(n));
            prop_assert!(below < level * (n + 1.0));
            let told = Calibration::of_residuals(residuals.iter().copied()).too_few(level).is_none();
            prop_assert_eq!(told, within >= level * (n + 1.0));
        }
    }

    /// Of 20 rows that are told apart the 21st may still be the first mistake.
    #[test]
    fn nothing_is_certain() {
        let labels: Vec<Option<u32>> = (0..20).map(|i| Some(i % 2)).collect();
        let scores = [1.0, 0.0, 0.0, 1.0].repeat(10);
        let mut row = [1.0, 0.0];
        assert!(Calibration::of_scores(&scores, &labels).to_probabilities(&mut row));
        assert!((row[0] - 21.0 / 22.0).abs() < 1e-9, "{row:?}");
    }

    /// A quantile of many residuals is that of those that are kept, but for a rank or two of a thousand.
    #[test]
    fn kept_residuals_stand_for_all() {
        let residuals: Vec<f64> = (0..50_000).map(|i| f64::from((i * 7919) % 50_000)).collect();
        let calibration = Calibration::of_residuals(residuals.iter().copied());
        let Calibration::Residuals(kept) = &calibration else { panic!("regression") };
        assert_eq!((kept.len(), kept[kept.len() - 1]), (JackknifePlus::KEPT, 49_999.0));
        for level in [0.1, 0.5, 0.9, 0.99] {
            let width = calibration.half_width(level).unwrap();
            assert!((width - 50_000.0 * level).abs() <= 100.0, "{level}: {width}");
        }
        assert!(calibration.is_valid() && calibration.log_loss(&[], &[]).is_none());
        assert!(!calibration.to_probabilities(&mut [1.0]));
    }
}
