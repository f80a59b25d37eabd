//! Linear maps, seen only through their action on blocks of columns.

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::matmul::matmul;
use faer::traits::RealField;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use num_traits::Float;

/// The scalars that solvers run in: `f32` and `f64`.
pub trait Scalar: RealField + Float + Into<f64> + Send + Sync + 'static {
    /// The nearest scalar to `x`.
    fn of(x: f64) -> Self;
}

impl Scalar for f32 {
    fn of(x: f64) -> Self {
        x as f32
    }
}

impl Scalar for f64 {
    fn of(x: f64) -> Self {
        x
    }
}

/// A linear map `A : R^n -> R^m`, known only by its action.
pub trait LinOp<T>: Sync {
    /// `m`, the length of an output column.
    fn nrows(&self) -> usize;

    /// `n`, the length of an input column.
    fn ncols(&self) -> usize;

    /// Scratch that [`apply`](Self::apply) needs for `k` columns.
    fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
        let _ = (k, par);
        StackReq::EMPTY
    }

    /// `y <- A x`, with `x : n x k` and `y : m x k`; `y` may hold anything (even NaN) on entry.
    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack);
}

/// A map whose adjoint can be applied as well.
///
/// Law: `<A x, y> == <x, A* y>` up to rounding, for every `x` and `y`.
pub trait AdjointOp<T>: LinOp<T> {
    /// Scratch that [`apply_adjoint`](Self::apply_adjoint) needs for `k` columns.
    fn apply_adjoint_scratch(&self, k: usize, par: Par) -> StackReq {
        let _ = (k, par);
        StackReq::EMPTY
    }

    /// `x <- A* y`, with `y : m x k` and `x : n x k`; `x` may hold anything on entry.
    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, stack: &mut MemStack);
}

/// An approximate inverse of an operator.
///
/// Law: `P` is linear, symmetric and positive definite up to rounding: `<P r, s> == <r, P s>` and
/// `<P r, r> > 0` for `r != 0`.
pub trait Precond<T>: Sync {
    /// Length of a column.
    fn dim(&self) -> usize;

    /// Scratch that [`apply`](Self::apply) needs for `k` columns.
    fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
        let _ = (k, par);
        StackReq::EMPTY
    }

    /// `z <- P r`, with `r, z : n x k`; `z` may hold anything (even NaN) on entry.
    fn apply(&self, z: MatMut<'_, T>, r: MatRef<'_, T>, par: Par, stack: &mut MemStack);
}

/// The preconditioner that does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Length of a column.
    pub dim: usize,
}

impl<T: Scalar> Precond<T> for Identity {
    fn dim(&self) -> usize {
        self.dim
    }

    fn apply(&self, mut z: MatMut<'_, T>, r: MatRef<'_, T>, _: Par, _: &mut MemStack) {
        z.copy_from(r);
    }
}

impl<T, A: LinOp<T> + ?Sized> LinOp<T> for &A {
    fn nrows(&self) -> usize {
        (**self).nrows()
    }

    fn ncols(&self) -> usize {
        (**self).ncols()
    }

    fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
        (**self).apply_scratch(k, par)
    }

    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        (**self).apply(y, x, par, stack);
    }
}

impl<T: Scalar> LinOp<T> for Mat<T> {
    fn nrows(&self) -> usize {
        self.as_ref().nrows()
    }

    fn ncols(&self) -> usize {
        self.as_ref().ncols()
    }

    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, _: &mut MemStack) {
        matmul(y, Accum::Replace, self, x, T::of(1.0), par);
    }
}

impl<T: Scalar> AdjointOp<T> for Mat<T> {
    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, _: &mut MemStack) {
        matmul(x, Accum::Replace, self.transpose(), y, T::of(1.0), par);
    }
}
