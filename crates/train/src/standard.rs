//! Location and spread of a column, safe for every magnitude.
//!
//! Squares of 1e150 overflow and squares of 1e-170 vanish, so everything is computed in multiples
//! of a power of two near the largest magnitude; dividing by it is exact.

/// The affine map `x -> (x / unit - mean) / std` that gives a column mean 0 and variance 1.
///
/// `std` divides by the number of values, not one less.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Standard {
    unit: f64,
    mean: f64,
    std: f64,
}

impl Standard {
    /// Standardised values are cut off here. A value this far out is the whole of its row once the
    /// row is normalised, and its square is still finite.
    pub const FARTHEST: f64 = 1e150;

    /// The map for `values`, or `None` if they are all the same (or none).
    ///
    /// # Accuracy
    /// With `n` values, `u = 2^-53` and `v = 1 + |mean| / std`, the standardised values have
    /// mean 0 up to `4 (n + v) u` and variance 1 up to `8 (n + v) u`, to first order in `u`.
    #[must_use]
    pub fn fit(values: &[f64]) -> Option<Self> {
        let least = values.iter().fold(f64::INFINITY, |min, &x| min.min(x));
        let most = values.iter().fold(f64::NEG_INFINITY, |max, &x| max.max(x));
        if least >= most {
            return None;
        }
        let unit = power_of_two_below(most.abs().max(least.abs()));
        let count = values.len() as f64;
        let mean_from =
            |centre: f64| centre + values.iter().map(|x| x / unit - centre).sum::<f64>() / count;
        let mean = mean_from(mean_from(0.0));
        let (mut sum, mut squares) = (0.0, 0.0);
        for x in values {
            let away = x / unit - mean;
            sum += away;
            squares += away * away;
        }
        let std = (squares / count - (sum / count) * (sum / count)).sqrt();
        (std > 0.0).then_some(Self { unit, mean, std })
    }

    /// `x` standardised; finite for every finite `x`.
    #[must_use]
    pub fn apply(&self, x: f64) -> f64 {
        ((x / self.unit - self.mean) / self.std).clamp(-Self::FARTHEST, Self::FARTHEST)
    }

    /// The value whose standardised form is `z`, as near as `f64` has one.
    #[must_use]
    pub fn invert(&self, z: f64) -> f64 {
        ((z * self.std + self.mean) * self.unit).clamp(f64::MIN, f64::MAX)
    }

    /// The standard deviation in the values' own units: a standardised error times this is an
    /// error in the user's units.
    #[must_use]
    pub fn spread(&self) -> f64 {
        self.std * self.unit
    }

    /// `[unit, mean, std]`, to be stored.
    #[must_use]
    pub fn parts(&self) -> [f64; 3] {
        [self.unit, self.mean, self.std]
    }

    /// The map with these [`parts`](Self::parts); `None` unless all are finite, unit and deviation positive.
    #[must_use]
    pub fn from_parts([unit, mean, std]: [f64; 3]) -> Option<Self> {
        let standard = Self { unit, mean, std };
        standard.is_valid().then_some(standard)
    }

    /// Whether the numbers can be what [`fit`](Self::fit) returns, for a map that was read.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        positive(self.unit) && self.mean.is_finite() && positive(self.std)
    }
}

/// Turns `c` standardised values and a place for the bias into a unit vector.
///
/// What stands in the last place is replaced by the bias, 1: `(z / sqrt(c), 1) / |..|`. No value is farther out than 1e150, so squares do not overflow, and the bias keeps the length from 0.
///
/// # Panics
/// If there is no place for the bias.
pub fn to_sphere(row: &mut [f64]) {
    let c = row.len() - 1;
    let scale = (c as f64).sqrt();
    for z in &mut row[..c] {
        *z /= scale;
    }
    row[c] = 1.0;
    let length = row.iter().map(|z| z * z).sum::<f64>().sqrt();
    for z in row {
        *z /= length;
    }
}

/// The largest power of two that is at most `x`, kept within `2^-1000` and `2^1000`.
fn power_of_two_below(x: f64) -> f64 {
    const BIAS: u64 = 1023;
    let exponent = (x.to_bits() >> 52) & 0x7ff;
    f64::from_bits(exponent.clamp(BIAS - 1000, BIAS + 1000) << 52)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const U: f64 = f64::EPSILON / 2.0;

    fn moments(z: &[f64]) -> (f64, f64) {
        let n = z.len() as f64;
        let mean = z.iter().sum::<f64>() / n;
        (mean, z.iter().map(|z| (z - mean) * (z - mean)).sum::<f64>() / n)
    }

    #[test]
    fn powers_of_two() {
        for (x, want) in [
            (1.0, 1.0),
            (1.99, 1.0),
            (2.0, 2.0),
            (0.3, 0.25),
            (5e-324, 2f64.powi(-1000)),
            (f64::MAX, 2f64.powi(1000)),
        ] {
            assert_eq!(power_of_two_below(x).to_bits(), f64::to_bits(want), "{x}");
        }
    }

    #[test]
    fn known_column() {
        let standard = Standard::fit(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!(standard.apply(3.0).to_bits(), 0);
        assert!((standard.spread() - 2f64.sqrt()).abs() <= 4.0 * U);
        assert_eq!(Standard::fit(&[0.1; 7]), None);
        assert_eq!(Standard::fit(&[0.0, -0.0]), None);
        assert_eq!(Standard::fit(&[]), None);
    }

    #[test]
    fn parts_make_the_map_again() {
        let standard = Standard::fit(&[1.0, -2.0, 7.5]).unwrap();
        assert_eq!(Standard::from_parts(standard.parts()), Some(standard));
        for parts in [[0.0, 1.0, 1.0], [1.0, f64::NAN, 1.0], [1.0, 1.0, f64::INFINITY]] {
            assert_eq!(Standard::from_parts(parts), None, "{parts:?}");
        }
    }

    /// Neighbouring numbers differ, so their column is not constant and has unit variance.
    #[test]
    fn one_bit_apart() {
        let above = f64::from_bits(1e8f64.to_bits() + 1);
        let standard = Standard::fit(&[1e8, above, 1e8, 1e8]).unwrap();
        assert!(standard.apply(above) - standard.apply(1e8) > 2.0);
    }

    #[test]
    fn every_magnitude_stays_finite() {
        for scale in [5e-324, 1e-300, 1e-150, 1.0, 1e150, 1e300, f64::MAX] {
            let values = [0.0, scale, 0.5 * scale, -scale];
            let standard = Standard::fit(&values).unwrap();
            for x in values.into_iter().chain([f64::MAX, f64::MIN, 5e-324]) {
                assert!(standard.apply(x).is_finite(), "{x} at {scale}");
                assert!(standard.invert(standard.apply(x)).is_finite(), "{x} at {scale}");
            }
        }
    }

    /// A power of two changes nothing, down to the last bit.
    #[test]
    fn powers_of_two_drop_out() {
        let values = [0.1, -2.5, 3.0, 7.25];
        let base = Standard::fit(&values).unwrap();
        for exponent in [-900, -500, -1, 1, 500, 900] {
            let scaled = values.map(|x| x * 2f64.powi(exponent));
            let standard = Standard::fit(&scaled).unwrap();
            for (x, y) in values.iter().zip(scaled) {
                assert_eq!(base.apply(*x).to_bits(), standard.apply(y).to_bits());
            }
        }
    }

    prop_compose! {
        /// Values of one magnitude between 1e-150 and 1e150, with an offset of up to 100 spreads.
        fn column()(
            values in prop::collection::vec(-1.0..1.0f64, 2..60),
            offset in -100.0..100.0f64,
            exponent in -150..=150i32,
        ) -> Vec<f64> {
            values.iter().map(|x| (x + offset) * 10f64.powi(exponent)).collect()
        }
    }

    proptest! {
        /// The bound of [`Standard::fit`]. The measuring sums add `n u` of the mean magnitude,
        /// which is at most 1 (Cauchy-Schwarz), and the second-order terms are left to the
        /// factor between the proven `2 n + 3 v` and the stated `4 (n + v)`.
        #[test]
        fn mean_zero_variance_one(values in column()) {
            if let Some(standard) = Standard::fit(&values) {
                let z: Vec<f64> = values.iter().map(|&x| standard.apply(x)).collect();
                let (n, v) = (values.len() as f64, 1.0 + (standard.mean / standard.std).abs());
                prop_assume!(v * n * U < 1e-3);
                let (mean, variance) = moments(&z);
                prop_assert!(mean.abs() <= 4.0 * (n + v) * U, "{mean}");
                prop_assert!((variance - 1.0).abs() <= 8.0 * (n + v) * U, "{variance}");
            }
        }

        /// `invert` undoes `apply` up to the roundings of five operations, each at most `u`
        /// of the largest magnitude that appears.
        #[test]
        fn invert_undoes_apply(values in column()) {
            if let Some(standard) = Standard::fit(&values) {
                for &x in &values {
                    let largest = (x / standard.unit).abs() + 2.0 * standard.mean.abs();
                    let error = (standard.invert(standard.apply(x)) - x).abs() / standard.unit;
                    prop_assert!(error <= 5.0 * U * largest, "{x}: {error}");
                }
            }
        }
    }
}
