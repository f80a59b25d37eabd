//! Refinement with residuals in twice the working precision, for matrices that are their own sketch.
//!
//! With a residual and a gradient that are exact to rounding, steps of the seminormal equations `R^T R d = A^T (b - A x)` shrink
//! the error by the condition number times the rounding at least, where `R` is from Householder QR (Björck, *Stability
//! analysis of the method of seminormal equations for linear least squares problems*, Linear Algebra Appl. 88/89, 1987), down
//! to the rounding of `x` itself: more digits than any solve in one precision promises.

use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Mat, MatRef, Par};

use crate::matrix::Scalar;

/// Most steps.
const STEPS: usize = 6;

/// A step must be so much shorter than the last one.
const SHRINKS: f64 = 0.5;

/// Moves `x` while steps shrink, and returns how many were taken at most for a column.
///
/// `a : m x n`, `b : m x k`, `x : n x k`, `r : n x n` upper triangular with `R^T R = A^T A`.
pub(crate) fn refine<T: Scalar>(
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    r: MatRef<'_, T>,
    x: &mut Mat<T>,
) -> usize {
    let mut most = 0;
    for k in 0..b.ncols() {
        let mut last = f64::INFINITY;
        for step in 1..=STEPS {
            let residual = residual(a, b, x.as_ref().subcols(k, 1), k);
            let mut d = gradient(a, &residual);
            solve_lower_triangular_in_place(r.transpose(), d.as_mut(), Par::Seq);
            solve_upper_triangular_in_place(r, d.as_mut(), Par::Seq);
            let length: f64 = d.norm_l2().into();
            if !(length <= SHRINKS * last) || length == 0.0 {
                break;
            }
            for (x, &d) in x.as_mut().col_mut(k).iter_mut().zip(d.col(0).iter()) {
                *x += d;
            }
            (last, most) = (length, most.max(step));
        }
    }
    most
}

/// A number of twice the precision: the sum of two.
#[derive(Clone, Copy)]
struct Double<T> {
    high: T,
    low: T,
}

impl<T: Scalar> Double<T> {
    fn new(high: T) -> Self {
        Self { high, low: T::zero() }
    }

    /// Adds `a b`, with an error of the order of the square of the rounding.
    fn add_product(&mut self, a: T, b: T) {
        let (product, error) = product(a, b);
        // Knuth's sum of two numbers and what it has lost.
        let sum = self.high + product;
        let part = sum - self.high;
        let lost = (self.high - (sum - part)) + (product - part);
        self.high = sum;
        self.low += lost + error;
    }

    fn value(self) -> T {
        self.high + self.low
    }
}

/// `a b` and what its rounding has lost (Dekker 1971, by Veltkamp's halves).
fn product<T: Scalar>(a: T, b: T) -> (T, T) {
    let halves = |x: T| {
        // 2^12 + 1 or 2^27 + 1, for 24 and 53 digits.
        let by = if size_of::<T>() == 4 { 4097.0 } else { 134_217_729.0 };
        let scaled = <T as nearlin_krylov::Scalar>::of(by) * x;
        let high = scaled - (scaled - x);
        (high, x - high)
    };
    let rounded = a * b;
    let ((a_high, a_low), (b_high, b_low)) = (halves(a), halves(b));
    let error = ((a_high * b_high - rounded) + a_high * b_low + a_low * b_high) + a_low * b_low;
    (rounded, error)
}

/// `b - A x` for column `k` of `b`.
fn residual<T: Scalar>(
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    x: MatRef<'_, T>,
    k: usize,
) -> Vec<Double<T>> {
    let mut residual: Vec<Double<T>> = b.col(k).iter().map(|&b| Double::new(b)).collect();
    for (column, &x) in a.col_iter().zip(x.col(0).iter()) {
        for (residual, &a) in residual.iter_mut().zip(column.iter()) {
            residual.add_product(a, -x);
        }
    }
    residual
}

/// `A^T r`.
fn gradient<T: Scalar>(a: MatRef<'_, T>, residual: &[Double<T>]) -> Mat<T> {
    Mat::from_fn(a.ncols(), 1, |j, _| {
        let mut sum = Double::new(T::zero());
        for (&a, residual) in a.col(j).iter().zip(residual) {
            sum.add_product(a, residual.high);
            sum.add_product(a, residual.low);
        }
        sum.value()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Products are exact: high and low parts of numbers that need all their digits.
    #[test]
    fn products_lose_nothing() {
        let (a, b) = (1.0 + 2f64.powi(-30), 1.0 - 2f64.powi(-31));
        let (high, low) = product(a, b);
        // (1 + 2^-30)(1 - 2^-31) = 1 + 2^-31 - 2^-61.
        assert_eq!((high, low), (1.0 + 2f64.powi(-31), -(2f64.powi(-61))));
        let (high, low) = product(1.0 + 2f32.powi(-12), 1.0 - 2f32.powi(-13));
        assert_eq!((high, low), (1.0 + 2f32.powi(-13), -(2f32.powi(-25))));
    }

    /// A sum that cancels to what no single number of the working precision has kept.
    #[test]
    fn sums_keep_what_cancels() {
        let mut sum = Double::new(1.0);
        sum.add_product(1e-20, 1.0);
        sum.add_product(-1.0, 1.0);
        assert_eq!(sum.value(), 1e-20);
    }
}
