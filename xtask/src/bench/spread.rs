//! Repeated measurements in three numbers.

use serde::{Deserialize, Serialize};

use super::words::figure;

/// Median and extremes of a sample. With a handful of repetitions a median shrugs off the one that
/// something else disturbed; a mean would not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    /// The middle value, or the mean of the two middle ones.
    pub(super) median: f64,
    /// The smallest value.
    pub(super) min: f64,
    /// The largest value.
    pub(super) max: f64,
}

impl Spread {
    /// The spread of `sample`; `None` if it is empty.
    pub(super) fn of(sample: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = sample.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let half = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[half],
            _ => 0.5 * (sorted[half - 1] + sorted[half]),
        };
        Some(Self { median, min, max })
    }

    /// The extremes: `0.48 to 0.53`.
    pub(super) fn range(&self) -> String {
        format!("{} to {}", figure(self.min), figure(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Spread::of([]), None);
        let cases: [(&[f64], f64, f64, f64); 4] = [
            (&[3.0], 3.0, 3.0, 3.0),
            (&[4.0, 1.0], 2.5, 1.0, 4.0),
            (&[5.0, 100.0, 2.0], 5.0, 2.0, 100.0),
            (&[4.0, 8.0, 1.0, 2.0], 3.0, 1.0, 8.0),
        ];
        for (sample, median, min, max) in cases {
            let spread = Spread::of(sample.iter().copied());
            assert_eq!(spread, Some(Spread { median, min, max }));
        }
    }

    #[test]
    fn ranges_and_json_hold_the_extremes() {
        let spread = Spread { median: 0.5, min: 0.25, max: 12.0 };
        assert_eq!(spread.range(), "0.250 to 12.0");
        let json = serde_json::to_value(spread).unwrap();
        assert_eq!(json, serde_json::json!({ "median": 0.5, "min": 0.25, "max": 12.0 }));
    }
}
