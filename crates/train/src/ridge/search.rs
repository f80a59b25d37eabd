//! The best ridge of one kernel, by a factorisation for each that is tried.

use faer::{Mat, MatRef, Par};
use nearlin_dense::{Cholesky, DenseError, Real};

use super::three_digits;
use crate::TrainError;

/// The first ridge to be tried, the least and the largest, relative to the mean of the kernel's diagonal, as
/// quarters of powers of ten.
const FIRST: i32 = -6;
pub(super) const LEAST: i32 = -28;
pub(super) const MOST: i32 = 12;

/// Where the search for a ridge begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// With nothing known, in steps of whole decades.
    Anywhere,
    /// Near the best ridge of a similar kernel.
    Near(f64),
    /// With a ridge that is good enough, and there the search ends, unless it is too small for a factor.
    At(f64),
}

/// Least ridge, relative to the mean of the kernel's diagonal, at which single precision tells residuals of left-out examples
/// apart: rounding changes the eigenvalues of n x n numbers by some `sqrt(n) 2^-24` of that mean, at 2,048 examples a
/// thousandth of this ridge.
const SINGLE: f64 = 3e-3;

/// Memory for a factor and its inverse, kept from one ridge to the next.
#[derive(Default)]
pub(crate) struct Room {
    double: Space<f64>,
    single: Space<f32>,
    /// Whether factors may be in single precision.
    rounded: bool,
}

#[derive(Default)]
struct Space<T> {
    factor: Option<Mat<T>>,
    inverse: Option<Mat<T>>,
}

impl Room {
    /// For factors in single precision, twice as fast, where the ridge is large enough for them.
    pub(crate) fn rounded() -> Self {
        Self { rounded: true, ..Self::default() }
    }
}

/// What a factorisation says of one ridge.
pub(crate) struct Solved {
    /// `(K + mu I)^-1 y`, n x k.
    pub(crate) multipliers: Mat<f64>,
    /// The diagonal of `(K + mu I)^-1`: multipliers over it are residuals of examples that were left out.
    pub(crate) diagonal: Vec<f64>,
}

impl Solved {
    /// Factors `K + mu I`, of which the lower triangle is read: `2 n^3 / 3` flops with the inverse of the factor. `None` where
    /// it is not positive definite.
    pub(crate) fn new(
        kernel: &Mat<f64>,
        mu: f64,
        y: MatRef<'_, f64>,
        room: &mut Room,
        par: Par,
    ) -> Result<Option<Self>, TrainError> {
        let unit = mean_diagonal(kernel);
        if !room.rounded || mu < SINGLE * unit {
            return room.double.solve(kernel, mu, y, [1.0, 1.0], par);
        }
        let largest = y.norm_max();
        let units = [unit, if largest > 0.0 { largest } else { 1.0 }];
        room.single.solve(kernel, mu, y, units.map(power_of_two), par)
    }

    /// The residuals of example `i` under a fit without it, k of them.
    pub(crate) fn left_out(&self, i: usize) -> Vec<f64> {
        let row = 0..self.multipliers.ncols();
        row.map(|c| self.multipliers[(i, c)] / self.diagonal[i]).collect()
    }
}

impl<T: Real> Space<T> {
    /// [`Solved::new`] of a kernel and targets that are divided by these units first, so that `T` holds them.
    fn solve(
        &mut self,
        kernel: &Mat<f64>,
        mu: f64,
        y: MatRef<'_, f64>,
        [unit, size]: [f64; 2],
        par: Par,
    ) -> Result<Option<Solved>, TrainError> {
        let n = kernel.nrows();
        let mut a = self.factor.take().unwrap_or_else(|| Mat::zeros(n, n));
        for (j, (to, from)) in a.col_iter_mut().zip(kernel.col_iter()).enumerate() {
            let below = to.subrows_mut(j, n - j).iter_mut().zip(from.subrows(j, n - j).iter());
            below.for_each(|(to, &from)| *to = T::of(from / unit));
        }
        (0..n).for_each(|i| a[(i, i)] = T::of((kernel[(i, i)] + mu) / unit));
        let factor = match Cholesky::factor(a, par) {
            Err(DenseError::NotPositiveDefinite { .. }) => return Ok(None),
            factor => factor?,
        };
        let inverse = self.inverse.get_or_insert_with(|| Mat::zeros(n, n));
        let diagonal = factor.inverse_diagonal_in(inverse.as_mut(), par);
        let mut multipliers = Mat::from_fn(n, y.ncols(), |i, c| T::of(y[(i, c)] / size));
        factor.solve_in_place(multipliers.as_mut(), par);
        self.factor = Some(factor.into_matrix());
        Ok(Some(Solved {
            multipliers: Mat::from_fn(n, y.ncols(), |i, c| {
                multipliers[(i, c)].as_f64() * size / unit
            }),
            diagonal: diagonal.into_iter().map(|x| x.as_f64() / unit).collect(),
        }))
    }
}

/// The power of two below `x`, by which to divide changes no digit.
pub(super) fn power_of_two(x: f64) -> f64 {
    2f64.powi(x.log2().floor().clamp(-1022.0, 1023.0) as i32)
}

/// The mean of the diagonal, a unit for ridges; 1 where it is 0, as inputs that are all zero have no scale and any ridge is as good.
pub(crate) fn mean_diagonal(kernel: &Mat<f64>) -> f64 {
    let n = kernel.nrows();
    let mean = (0..n).map(|i| kernel[(i, i)]).sum::<f64>() / n as f64;
    if mean > 0.0 { mean } else { 1.0 }
}

/// The ridge of least error, to a quarter of a decade in units of `unit`, with what `judge` found of it beside its error; a
/// ridge of which it finds nothing, as the matrix is not positive definite, is too small. `None` if the largest is.
pub(crate) fn least_error<R>(
    unit: f64,
    start: Start,
    mut judge: impl FnMut(f64) -> Result<Option<(f64, R)>, TrainError>,
) -> Result<Option<(f64, R)>, TrainError> {
    let (mut at, mut step) = match start {
        Start::Anywhere => (FIRST, 4),
        Start::Near(ridge) => (nearest(ridge, unit), 1),
        Start::At(ridge) => (nearest(ridge, unit), 0),
    };
    let ridge = |at: i32| three_digits(unit * quarters(at));
    at = at.clamp(LEAST, MOST);
    let mut found = judge(ridge(at))?;
    while found.is_none() && at < MOST {
        at = (at + step.max(1)).min(MOST);
        found = judge(ridge(at))?;
    }
    let Some((mut error, mut best)) = found else { return Ok(None) };
    while step > 0 {
        for direction in [-step, step] {
            let mut moved = false;
            while (LEAST..=MOST).contains(&(at + direction)) {
                match judge(ridge(at + direction))? {
                    Some((next, found)) if next < error => {
                        (at, error, best, moved) = (at + direction, next, found, true);
                    }
                    _ => break,
                }
            }
            if moved {
                break;
            }
        }
        step /= 2;
    }
    Ok(Some((ridge(at), best)))
}

/// So many quarters of a power of ten.
pub(super) fn quarters(at: i32) -> f64 {
    10f64.powf(f64::from(at) / 4.0)
}

/// The quarter of a power of ten that is nearest to a ridge.
fn nearest(ridge: f64, unit: f64) -> i32 {
    (4.0 * (ridge / unit).log10()).round() as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::DECOMPOSED;
    use super::*;

    proptest! {
        /// The least of any valley, from anywhere and from near it, and from near it in few steps.
        #[test]
        fn valleys_have_floors(floor in -27i32..12, unit in 1e-3..1e3f64, start in -28i32..13) {
            let error = |ridge: f64| (4.0 * (ridge / unit).log10() - f64::from(floor)).abs();
            let ridge = three_digits(unit * 10f64.powf(f64::from(floor) / 4.0));
            for start in [Start::Anywhere, Start::Near(unit * 10f64.powf(f64::from(start) / 4.0))] {
                let found = least_error(unit, start, |mu| Ok(Some((error(mu), mu)))).unwrap();
                prop_assert_eq!(found, Some((ridge, ridge)));
            }
            let tried = |start: Start| {
                let mut tried = 0;
                let count = |mu| {
                    tried += 1;
                    Ok(Some((error(mu), ())))
                };
                least_error(unit, start, count).unwrap();
                tried
            };
            prop_assert!(tried(Start::Near(ridge)) <= 3);
            prop_assert_eq!(tried(Start::At(2.0 * ridge)), 1);
        }

        /// Factors in single precision tell the errors of left-out examples to a thousandth, and those that would not are in
        /// double precision.
        #[test]
        fn rounded_factors_tell_errors(
            n in 2usize..300, quarters in -14i32..8, seed in 0usize..1000,
            unit in prop::sample::select(vec![1e-60, 1.0, 1e60]), size in prop::sample::select(vec![1e-60, 1.0, 1e60]),
        ) {
            // Alike rows, so that the largest eigenvalue is n times the mean.
            let noise = |at: usize| (((seed + at) as f64 * 12.9898).sin() * 43_758.545_3).rem_euclid(1.0);
            let row = |i: usize, q: usize| if q == 0 { 1.0 } else { 0.3 * (noise(4 * i + q) - 0.5) };
            let kernel = Mat::from_fn(n, n, |i, j| {
                let dot = |i: usize, j: usize| (0..4).map(|q| row(i, q) * row(j, q)).sum::<f64>();
                let t = dot(i, j) / (dot(i, i) * dot(j, j)).sqrt();
                unit * t * (0.5 - t.clamp(-1.0, 1.0).acos() / core::f64::consts::TAU)
            });
            let y = Mat::from_fn(n, 1, |i, _| size * (noise(7 * n + i) - 0.5 + row(i, 1)));
            let mu = unit * 0.5 * 10f64.powf(f64::from(quarters) / 4.0);
            let errors = |mut room: Room| {
                let solved = Solved::new(&kernel, mu, y.as_ref(), &mut room, Par::Seq).unwrap().unwrap();
                let left_out: Vec<f64> = (0..n).flat_map(|i| solved.left_out(i)).collect();
                (left_out, room.single.factor.is_some())
            };
            let (exact, (found, single)) = (errors(Room::default()).0, errors(Room::rounded()));
            prop_assert_eq!(single, mu >= unit * 0.5 * SINGLE);
            let off: f64 = exact.iter().zip(&found).map(|(a, b)| (a - b).powi(2)).sum();
            let size: f64 = exact.iter().map(|a| a * a).sum();
            prop_assert!(off.sqrt() <= 1e-3 * size.sqrt(), "{} of {}", off.sqrt(), size.sqrt());
            prop_assert!(single || off == 0.0);
            // Of as many examples as any caller has, too: what eigenvalues move by is that part of the least ridge.
            prop_assert!((DECOMPOSED as f64).sqrt() * 2f64.powi(-24) <= 1e-3 * SINGLE);
        }

        /// Ridges that are too small are passed over; where all are, nothing is found.
        #[test]
        fn factors_may_fail(floor in -28i32..13, least in -28i32..13) {
            let quarters = |mu: f64| (4.0 * mu.log10()).round() as i32;
            let judge = |mu: f64| {
                let at = quarters(mu);
                Ok((at >= least).then(|| (f64::from((at - floor).abs()), at)))
            };
            for start in [Start::Anywhere, Start::Near(1e-7), Start::Near(1e3)] {
                let found = least_error(1.0, start, judge).unwrap().map(|(_, at)| at);
                prop_assert_eq!(found, Some(floor.max(least)));
            }
            let found = least_error(1.0, Start::At(1e-7), judge).unwrap().map(|(_, at)| at);
            prop_assert_eq!(found, Some(least));
            let none = least_error(1.0, Start::Anywhere, |_| Ok(None::<(f64, ())>)).unwrap();
            prop_assert_eq!(none, None);
        }
    }
}
