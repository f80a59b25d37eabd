//! Levenberg-Marquardt's damping `lambda` of a step, by the gain ratio.
//!
//! Where a Gauss-Newton step lowers the objective by much less than the linear model promised, the next ones
//! minimise that model with `lambda |D|^2` added. How `lambda` follows the ratio of the two is Nielsen's rule: K.
//! Madsen, H. B. Nielsen and O. Tingleff, *Methods for non-linear least squares problems* (2004), algorithm 3.16.

/// The damping of the next step.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Damping {
    lambda: f64,
    /// What the next failure multiplies it by.
    growth: f64,
}

/// Gauss-Newton steps whose gain is less than this part of what the model promised call for damping.
const POOR: f64 = 0.25;

/// A damping that has fallen to this part of the first one is none.
const NEGLIGIBLE: f64 = 1e-6;

impl Damping {
    pub(crate) const NONE: Self = Self { lambda: 0.0, growth: 2.0 };

    /// `lambda`, in the units of the ridge.
    pub(crate) fn strength(self) -> f64 {
        self.lambda
    }

    /// The damping after a full step of this gain ratio; `weak` is the first one.
    pub(crate) fn after(self, gain_ratio: f64, weak: f64) -> Self {
        if self.lambda == 0.0 {
            return if gain_ratio < POOR { Self { lambda: weak, ..Self::NONE } } else { self };
        }
        if gain_ratio > 0.0 {
            let fall = (1.0 - (2.0 * gain_ratio - 1.0).powi(3)).max(1.0 / 3.0);
            let lambda = self.lambda * fall;
            return if lambda < NEGLIGIBLE * weak {
                Self::NONE
            } else {
                Self { lambda, ..Self::NONE }
            };
        }
        Self { lambda: self.lambda * self.growth, growth: 2.0 * self.growth }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The better the model was, the less damping; what gained nothing gets more and more.
        #[test]
        fn damping_follows_the_ratio(weak in 1e-6..1e3f64, poor in -9.0..POOR, up in 0.0..2.0f64) {
            prop_assert_eq!(Damping::NONE.after(POOR + up, weak), Damping::NONE);
            let first = Damping::NONE.after(poor, weak);
            prop_assert_eq!(first.strength(), weak);
            let good = first.after(0.9, weak).strength();
            let fair = first.after(0.5, weak).strength();
            let bad = first.after(0.1, weak).strength();
            prop_assert!(good < fair && fair < bad && bad < 2.0 * weak, "{good} {fair} {bad}");
            let failed = first.after(-up, weak);
            prop_assert_eq!(failed.strength(), 2.0 * weak);
            prop_assert_eq!(failed.after(-up, weak).strength(), 8.0 * weak);
            prop_assert_eq!(failed.after(0.5, weak).after(-up, weak).strength(), 4.0 * weak);
        }

        /// Good steps end it.
        #[test]
        fn damping_ends(weak in 1e-6..1e3f64) {
            let mut damping = Damping::NONE.after(0.0, weak);
            for _ in 0..20 {
                damping = damping.after(1.0, weak);
            }
            prop_assert_eq!(damping, Damping::NONE);
        }
    }
}
