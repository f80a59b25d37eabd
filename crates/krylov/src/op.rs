//! Linear maps, seen only through their action on blocks of columns.

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::traits::RealField;
use faer::{MatMut, MatRef, Par};
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

    /// Scratch that [`apply_both`](Self::apply_both) needs for `k` columns.
    fn apply_both_scratch(&self, k: usize, par: Par) -> StackReq
    where
        T: Scalar,
    {
        let inner = self.apply_scratch(k, par).or(self.apply_adjoint_scratch(k, par));
        temp_mat_scratch::<T>(self.nrows(), k).and(inner)
    }

    /// `y <- A x - y diag(alpha)` and then `z <- A* y`, with `x, z : n x k`, `y : m x k` and `k` numbers `alpha`: what a
    /// step of a least-squares solver needs. `z` may hold anything on entry.
    ///
    /// Two products here; an operator that is read from memory does both in one pass over it.
    #[allow(clippy::too_many_arguments, reason = "two outputs, two operands, resources")]
    fn apply_both(
        &self,
        mut y: MatMut<'_, T>,
        alpha: &[T],
        x: MatRef<'_, T>,
        z: MatMut<'_, T>,
        par: Par,
        stack: &mut MemStack,
    ) where
        T: Scalar,
    {
        let (mut product, stack) = temp_mat_zeroed::<T, _, _>(self.nrows(), x.ncols(), stack);
        let mut product = product.as_mat_mut();
        self.apply(product.as_mut(), x, par, stack);
        for (j, &alpha) in alpha.iter().enumerate() {
            let product = product.as_ref().col(j);
            let y = y.as_mut().col_mut(j);
            y.iter_mut().zip(product.iter()).for_each(|(y, &p)| *y = p - alpha * *y);
        }
        self.apply_adjoint(z, y.as_ref(), par, stack);
    }
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

impl<T, A: AdjointOp<T> + ?Sized> AdjointOp<T> for &A {
    fn apply_adjoint_scratch(&self, k: usize, par: Par) -> StackReq {
        (**self).apply_adjoint_scratch(k, par)
    }

    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        (**self).apply_adjoint(x, y, par, stack);
    }

    fn apply_both_scratch(&self, k: usize, par: Par) -> StackReq
    where
        T: Scalar,
    {
        (**self).apply_both_scratch(k, par)
    }

    fn apply_both(
        &self,
        y: MatMut<'_, T>,
        alpha: &[T],
        x: MatRef<'_, T>,
        z: MatMut<'_, T>,
        par: Par,
        stack: &mut MemStack,
    ) where
        T: Scalar,
    {
        (**self).apply_both(y, alpha, x, z, par, stack);
    }
}
