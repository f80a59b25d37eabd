//! The power law through measured points: least squares in log-log coordinates.

/// The power law `y = 10^intercept x^slope`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// The exponent.
    pub slope: f64,
    /// The decimal logarithm of the law's value at `x = 1`.
    pub intercept: f64,
}

impl Fit {
    /// The law's value at `x > 0`.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        10f64.powf(self.slope.mul_add(x.log10(), self.intercept))
    }
}

/// Fits a power law to points by least squares in `(log x, log y)`.
///
/// Points with a coordinate that is not finite and positive are left out. `None` if fewer than two
/// different `x` remain: then no slope is determined.
///
/// # Accuracy
/// The logarithms are centred before products are taken, so the slope errs by some
/// `eps max|log y| / (spread of log x)`.
///
/// # Examples
/// ```
/// use nearlin_cli::plot::fit_loglog;
///
/// let fit = fit_loglog(&[(1.0, 3.0), (10.0, 300.0), (100.0, 30000.0)]).expect("three sizes");
/// assert!((fit.slope - 2.0).abs() < 1e-14);
/// assert!((fit.at(2.0) - 12.0).abs() < 1e-13);
/// ```
#[must_use]
pub fn fit_loglog(points: &[(f64, f64)]) -> Option<Fit> {
    let usable = |v: f64| v.is_finite() && v > 0.0;
    let logs: Vec<(f64, f64)> = points
        .iter()
        .filter(|(x, y)| usable(*x) && usable(*y))
        .map(|(x, y)| (x.log10(), y.log10()))
        .collect();
    let first = logs.first()?.0;
    if logs.iter().all(|(x, _)| (x - first).abs() <= f64::EPSILON * first.abs()) {
        return None;
    }
    let count = logs.len() as f64;
    let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
    let xx: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let xy: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let slope = xy / xx;
    Some(Fit { slope, intercept: slope.mul_add(-mean_x, mean_y) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A power law gives back its exponent and its constant.
        ///
        /// Ten points over `x = 2^0 .. 2^9`. Each value is within `3u` relative (`u = 2^-53`) and
        /// its log within `2u` of it; the mean and the centring add at most `(10 + 2)u` times the
        /// largest log, so every centred log errs by at most `e = 16u L`, `L` the largest
        /// `|log|`. The slope, a weighted mean of them with weights of sum
        /// `sum|dx| / sum dx^2 <= 10 * 1.36 / 7.4 < 2`, errs by at most `2e (1 + |slope|)`, twice
        /// that with the rounding of products and sums; the intercept by that times
        /// `mean_x < 1.36` plus `e`.
        #[test]
        fn a_power_law_is_recovered(slope in -4.0..4.0f64, intercept in -9.0..9.0f64) {
            let points: Vec<(f64, f64)> = (0..10)
                .map(|k| 2f64.powi(k))
                .map(|x| (x, 10f64.powf(intercept) * x.powf(slope)))
                .collect();
            let fit = fit_loglog(&points).unwrap();
            let largest = 2.71 * slope.abs() + intercept.abs() + 2.71;
            let e = 16.0 * f64::EPSILON * largest;
            prop_assert!((fit.slope - slope).abs() <= 4.0 * e * (1.0 + slope.abs()));
            prop_assert!((fit.intercept - intercept).abs() <= 7.0 * e * (1.0 + slope.abs()));
        }
    }

    #[test]
    fn no_slope_without_two_sizes() {
        assert_eq!(fit_loglog(&[]), None);
        assert_eq!(fit_loglog(&[(2.0, 1.0)]), None);
        assert_eq!(fit_loglog(&[(2.0, 1.0), (2.0, 3.0)]), None);
        assert_eq!(fit_loglog(&[(2.0, 1.0), (4.0, 0.0), (-1.0, 1.0), (f64::NAN, 2.0)]), None);
    }

    #[test]
    fn points_off_the_axes_do_not_count() {
        let clean = [(1.0, 1.0), (2.0, 4.0), (4.0, 16.0)];
        let mut dirty = clean.to_vec();
        dirty.extend([(8.0, 0.0), (0.0, 8.0), (8.0, f64::INFINITY)]);
        assert_eq!(fit_loglog(&clean), fit_loglog(&dirty));
    }
}
