//! Operators that are known by their products only.

use faer::dyn_stack::{MemStack, StackReq};
use faer::{MatMut, MatRef, Par};
use nearlin_krylov::{AdjointOp, LinOp};

use crate::Matrix;
use crate::matrix::Scalar;

/// An operator of any type as a [`Matrix`], by its products.
///
/// # Examples
/// ```
/// use faer::{Mat, MatMut, MatRef};
/// use nearlin_krylov::FnOp;
/// use nearlin_lstsq::{Operator, lstsq};
///
/// // Differences and, so that constants are seen, the sum; never stored.
/// let n = 30;
/// let forward = |mut y: MatMut<'_, f64>, x: MatRef<'_, f64>| {
///     for j in 0..x.ncols() {
///         (0..n - 1).for_each(|i| y[(i, j)] = x[(i + 1, j)] - x[(i, j)]);
///         y[(n - 1, j)] = (0..n).map(|i| x[(i, j)]).sum();
///     }
/// };
/// let adjoint = |mut x: MatMut<'_, f64>, y: MatRef<'_, f64>| {
///     for j in 0..y.ncols() {
///         (0..n).for_each(|i| x[(i, j)] = y[(n - 1, j)]);
///         for i in 0..n - 1 {
///             x[(i + 1, j)] += y[(i, j)];
///             x[(i, j)] -= y[(i, j)];
///         }
///     }
/// };
/// let op = FnOp::new(n, n, forward, adjoint);
/// let slopes = Mat::from_fn(n, 1, |i, _| if i + 1 < n { 2.0 } else { 0.0 });
/// let fit = lstsq(&Operator(&op), slopes.as_ref())?;
/// assert!((fit.x[(n - 1, 0)] - 29.0).abs() < 1e-11);
/// # Ok::<(), nearlin_lstsq::LstsqError>(())
/// ```
#[allow(missing_debug_implementations, reason = "an operator has none")]
#[derive(Clone, Copy)]
pub struct Operator<'a, T>(pub &'a dyn AdjointOp<T>);

impl<T: Scalar> LinOp<T> for Operator<'_, T> {
    fn nrows(&self) -> usize {
        self.0.nrows()
    }

    fn ncols(&self) -> usize {
        self.0.ncols()
    }

    fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
        self.0.apply_scratch(k, par)
    }

    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        self.0.apply(y, x, par, stack);
    }
}

impl<T: Scalar> AdjointOp<T> for Operator<'_, T> {
    fn apply_adjoint_scratch(&self, k: usize, par: Par) -> StackReq {
        self.0.apply_adjoint_scratch(k, par)
    }

    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        self.0.apply_adjoint(x, y, par, stack);
    }

    fn apply_both_scratch(&self, k: usize, par: Par) -> StackReq {
        self.0.apply_both_scratch(k, par)
    }

    fn apply_both(
        &self,
        y: MatMut<'_, T>,
        alpha: &[T],
        x: MatRef<'_, T>,
        z: MatMut<'_, T>,
        par: Par,
        stack: &mut MemStack,
    ) {
        self.0.apply_both(y, alpha, x, z, par, stack);
    }
}

impl<T: Scalar> Matrix<T> for Operator<'_, T> {}
