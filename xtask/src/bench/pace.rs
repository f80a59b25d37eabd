//! How fast the machine is while something is timed.
//!
//! A time times the peak of multiply-adds just before and after it is what the machine could have
//! done meanwhile, in flops: where a neighbour slows the machine down for a while, or another day
//! finds it at another frequency, both factors change and the product hardly does.

use super::kernels::peak::Meter;
use super::spread::Spread;
use super::words::figure;

/// The peak of fused multiply-adds in `f64`, sampled around whatever is timed.
#[derive(Debug)]
pub(super) struct Pace(Meter);

impl Pace {
    /// The pace of the current pool.
    pub(super) fn of_pool() -> Self {
        Self(Meter::fma_f64())
    }

    /// Does the work; what it made, with the mean of the flops a second before and after it.
    pub(super) fn around<T>(&mut self, work: impl FnOnce() -> T) -> (T, f64) {
        let before = self.0.sample();
        let made = work();
        (made, 0.5 * (before + self.0.sample()))
    }
}

/// The flops a second around all runs, in a sentence; empty where there are none.
pub(super) fn told(rates: impl IntoIterator<Item = f64>) -> String {
    let spread = Spread::of(rates.into_iter().map(|rate| 1e-9 * rate));
    spread.map_or_else(String::new, |spread| {
        format!(
            "Around the runs the peak of multiply-adds in f64 was {} Gflop/s ({}), by which \
             `--compare` makes times of two days comparable.",
            figure(spread.median),
            spread.range()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_once_and_the_pace_is_a_rate() {
        let mut done = 0;
        let (made, rate) = Pace::of_pool().around(|| {
            done += 1;
            "made"
        });
        assert_eq!((made, done), ("made", 1));
        assert!(rate.is_finite() && rate > 1e6, "{rate}");
    }

    #[test]
    fn the_pace_is_told_with_its_extremes() {
        let text = told([2e9, 1.5e9, 4e9]);
        assert!(text.contains("was 2.00 Gflop/s (1.50 to 4.00), by which"), "{text}");
        assert_eq!(told([]), "");
    }
}
