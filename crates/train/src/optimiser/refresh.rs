//! When a preconditioner that follows the mask is built anew.
//!
//! A kept factor costs iterations, a new one costs a build. The iterations that kept factors have taken beyond those of
//! a new one are counted until they would exceed what a build costs: then it has been paid for either way, and no run
//! takes more than twice what the better of the two ways would have (the rule of the rented skis: Karlin, Manasse,
//! Rudolph and Sleator, *Competitive snoopy caching*, 1988). Costs are operation counts at the rates of a common machine,
//! not times, so that a run does not depend on how busy the machine is.

/// Largest part of the activation mask that may have flipped for a factor to count as new.
///
/// Measured on digits and diamonds: below it the iterations hardly grow.
pub(super) const NEW: f64 = 5e-4;

/// Iterations beyond a new factor's, for all of the mask flipped, where none have been seen: they grow like the root of
/// that part, and not beyond those with the kernel of infinite width, to which an old mask is as near as a new one.
const GUESS: f64 = 300.0;

/// What a factor costs and saves, in iterations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Worth {
    /// That a build takes as long as.
    pub(crate) build: f64,
    /// That a solve takes with the kernel of infinite width, as guessed.
    pub(crate) apart: f64,
}

/// How a preconditioner has served since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Wear {
    /// Iterations of the first solve with it.
    fresh: Option<usize>,
    /// Iterations of the solves after much had flipped, beyond those.
    beyond: usize,
    /// Of the last of them: the part of the mask that had flipped, and the iterations beyond.
    last: Option<(f64, usize)>,
}

impl Wear {
    /// Whether one more solve is cheaper than a build, where `flipped` of the mask has changed since it was built.
    pub(super) fn serves(&self, flipped: f64, worth: Worth) -> bool {
        let expected = match self.last {
            Some((then, beyond)) => beyond as f64 * (flipped / then).sqrt(),
            None => (GUESS * flipped.sqrt()).min(worth.apart),
        };
        flipped <= NEW || self.beyond as f64 + expected <= worth.build
    }

    /// Most iterations of a solve after which the build is paid for.
    pub(super) fn most(&self, flipped: f64, build: f64) -> usize {
        if flipped <= NEW {
            return usize::MAX;
        }
        self.fresh.unwrap_or(1) + (build.ceil() as usize).saturating_sub(self.beyond).max(1)
    }

    /// Counts a solve.
    pub(super) fn count(&mut self, flipped: f64, iterations: usize) {
        let fresh = *self.fresh.get_or_insert(iterations);
        if flipped > NEW {
            let beyond = iterations.saturating_sub(fresh);
            self.beyond += beyond;
            self.last = Some((flipped, beyond.max(1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Solves that go on until none serves have taken no more than twice a build beyond what new factors take, and
        /// not much less than one where each takes some: the last one is bounded, all others were expected to fit.
        #[test]
        fn keeping_costs_no_more_than_two_builds(
            build in 2.0f64..200.0,
            solves in prop::collection::vec((1e-3f64..0.5, 0usize..100), 1..60),
            fresh in 1usize..10,
            apart in 1.0f64..300.0,
        ) {
            let mut wear = Wear::default();
            wear.count(0.0, fresh);
            let mut beyond = 0;
            for (flipped, more) in solves {
                if !wear.serves(flipped, Worth { build, apart }) {
                    break;
                }
                let taken = (fresh + more).min(wear.most(flipped, build));
                prop_assert!(taken <= fresh + build.ceil() as usize);
                wear.count(flipped, taken);
                beyond += taken - fresh;
                prop_assert!(beyond as f64 <= 2.0 * build + 2.0, "{beyond} {build}");
            }
        }

        /// Many flips cost no more than an infinite width would: a factor of an old mask serves where that is cheap.
        #[test]
        fn an_old_mask_is_as_near_as_infinite_width(flipped in 0.02f64..0.5, apart in 1.0f64..10.0) {
            let wear = Wear::default();
            let (near, far) = (Worth { build: 10.0, apart }, Worth { build: 10.0, apart: 11.0 });
            prop_assert!(wear.serves(flipped, near) && !wear.serves(flipped, far));
        }

        /// More flips never make a factor serve that fewer did not.
        #[test]
        fn flips_only_wear(few in 0.0f64..1.0, more in 0.0f64..1.0, build in 0.0f64..100.0, taken in 1usize..50) {
            let (few, more) = (few.min(more), few.max(more));
            let mut wear = Wear::default();
            for _ in 0..3 {
                let worth = Worth { build, apart: 40.0 };
                prop_assert!(!wear.serves(more, worth) || wear.serves(few, worth));
                prop_assert!(wear.serves(NEW, worth) && wear.most(NEW, build) == usize::MAX);
                wear.count(few, taken);
            }
        }
    }
}
