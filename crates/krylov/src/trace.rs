//! Traces of functions of an operator, from random probes and the Lanczos process.

use core::cell::Cell;

use faer::{MatRef, Par};

use crate::error::check_shape;
use crate::lanczos::lanczos_each;
use crate::{KrylovError, LinOp, Scalar};

/// Most probes that are followed at a time.
const TOGETHER: usize = 8;

/// An estimate of a trace from random probes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceEstimate {
    /// The mean of the probes.
    pub value: f64,
    /// Its standard error, from their spread; infinite for one.
    pub standard_error: f64,
}

/// Estimates the trace of `f(A)` for a symmetric `A : n x n` from `probes : n x p`, whose columns have independent entries of mean
/// 0 and variance 1, signs for the least variance: `steps` products with `A` for each (Hutchinson 1989; Ubaru, Chen and Saad,
/// *Fast estimation of tr(f(A)) via stochastic Lanczos quadrature*, SIAM J. Matrix Anal. Appl. 38, 2017). With `f = ln` it is
/// [`log_determinant`]. Eight probes are followed at a time, in memory for `8 n (steps + 3)` scalars.
///
/// # Errors
/// [`KrylovError`] as [`lanczos`](crate::lanczos()), [`KrylovError::Shape`] without probes and [`KrylovError::Setting`] without steps.
///
/// # Examples
/// ```
/// use faer::{Mat, Par};
/// use nearlin_krylov::trace_of;
///
/// // ln det of a diagonal matrix, which signs tell without an error.
/// let a = Mat::from_fn(50, 50, |i, j| if i == j { 1.0 + i as f64 } else { 0.0 });
/// let probes = Mat::from_fn(50, 4, |i, j| if (i * (j + 3)) % 5 < 2 { -1.0 } else { 1.0 });
/// let estimate = trace_of(&a, f64::ln, probes.as_ref(), 50, Par::Seq)?;
/// let exact: f64 = (1..=50).map(|i| f64::from(i).ln()).sum();
/// assert!((estimate.value - exact).abs() < 1e-9 * exact);
/// # Ok::<(), nearlin_krylov::KrylovError>(())
/// ```
pub fn trace_of<T: Scalar>(
    a: &impl LinOp<T>,
    f: impl Fn(f64) -> f64,
    probes: MatRef<'_, T>,
    steps: usize,
    par: Par,
) -> Result<TraceEstimate, KrylovError> {
    let (n, p) = (probes.nrows(), probes.ncols());
    check_shape("probes", (n, p), (n, p.max(1)))?;
    if steps == 0 {
        return Err(KrylovError::Setting { name: "steps", value: 0.0, expected: "at least 1" });
    }
    let mut forms = Vec::with_capacity(p);
    for first in (0..p).step_by(TOGETHER) {
        let some = probes.subcols(first, TOGETHER.min(p - first));
        let found = lanczos_each(a, some, steps, par)?;
        forms.extend(found.iter().map(|of| of.quadratic_form(&f)));
    }
    let value = forms.iter().sum::<f64>() / p as f64;
    let spread: f64 = forms.iter().map(|form| (form - value).powi(2)).sum();
    let standard_error = if p > 1 { (spread / (p * (p - 1)) as f64).sqrt() } else { f64::INFINITY };
    Ok(TraceEstimate { value, standard_error })
}

/// Estimates the logarithm of the determinant of a symmetric positive definite `A : n x n`, as [`trace_of`] does with `f = ln`.
///
/// # Accuracy
/// Two errors meet. That of the probes is the standard error, about `(2 / p)^(1/2)` times the Frobenius norm of what `ln A` has
/// off its diagonal. That of the quadrature is beside it: each form is from above and falls with the steps, as even derivatives of `ln`
/// are negative (Golub and Meurant, chapter 6), by `exp(-4 steps / condition^(1/2))` or so (Ubaru et al., section 4).
///
/// # Errors
/// [`KrylovError`] as [`trace_of`], and [`KrylovError::NotPositive`] for a Ritz value that is not positive.
///
/// # Examples
/// ```
/// use faer::{Mat, Par};
/// use nearlin_krylov::log_determinant;
///
/// // A second difference and 2: eigenvalues 4 - 2 cos(pi j / (n + 1)), condition number 3.
/// let n = 60;
/// let a = Mat::from_fn(n, n, |i, j| match i.abs_diff(j) {
///     0 => 4.0,
///     1 => -1.0,
///     _ => 0.0,
/// });
/// // Any random signs will do.
/// let probes = Mat::from_fn(n, 20, |i, j| {
///     let word = ((i * 20 + j + 1) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
///     if (word ^ word >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 63 == 1 { -1.0 } else { 1.0 }
/// });
/// let told = log_determinant(&a, probes.as_ref(), 20, Par::Seq)?;
/// let angle = |j: usize| std::f64::consts::PI * j as f64 / (n + 1) as f64;
/// let exact: f64 = (1..=n).map(|j| (4.0 - 2.0 * angle(j).cos()).ln()).sum();
/// assert!((told.value - exact).abs() < 4.0 * told.standard_error);
/// assert!(told.standard_error < 0.02 * exact);
/// # Ok::<(), nearlin_krylov::KrylovError>(())
/// ```
pub fn log_determinant<T: Scalar>(
    a: &impl LinOp<T>,
    probes: MatRef<'_, T>,
    steps: usize,
    par: Par,
) -> Result<TraceEstimate, KrylovError> {
    let least = Cell::new(f64::INFINITY);
    let ln = |value: f64| {
        least.set(least.get().min(value));
        value.ln()
    };
    let estimate = trace_of(a, ln, probes, steps, par)?;
    if least.get() > 0.0 {
        return Ok(estimate);
    }
    Err(KrylovError::NotPositive { value: least.get() })
}
