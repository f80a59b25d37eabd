//! Operators made of others, and of closures.

use core::fmt;

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::{MatMut, MatRef, Par};

use crate::op::{AdjointOp, LinOp, Scalar};

/// `A N`, of two operators.
#[derive(Clone, Copy)]
pub struct Product<'a, T> {
    left: &'a dyn AdjointOp<T>,
    right: &'a dyn AdjointOp<T>,
}

impl<'a, T> Product<'a, T> {
    /// `left right`, first the one on the right.
    ///
    /// # Panics
    /// If `left` has another number of columns than `right` has rows.
    #[must_use]
    pub fn new(left: &'a dyn AdjointOp<T>, right: &'a dyn AdjointOp<T>) -> Self {
        assert_eq!(
            left.ncols(),
            right.nrows(),
            "columns of the left factor, rows of the right one"
        );
        Self { left, right }
    }
}

impl<T> fmt::Debug for Product<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (m, l, n) = (self.left.nrows(), self.right.nrows(), self.right.ncols());
        write!(f, "Product({m} x {l}, {l} x {n})")
    }
}

impl<T: Scalar> LinOp<T> for Product<'_, T> {
    fn nrows(&self) -> usize {
        self.left.nrows()
    }

    fn ncols(&self) -> usize {
        self.right.ncols()
    }

    fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
        let inner = self.left.apply_scratch(k, par).or(self.right.apply_scratch(k, par));
        temp_mat_scratch::<T>(self.right.nrows(), k).and(inner)
    }

    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        let (mut between, stack) = temp_mat_zeroed::<T, _, _>(self.right.nrows(), x.ncols(), stack);
        let mut between = between.as_mat_mut();
        self.right.apply(between.as_mut(), x, par, stack);
        self.left.apply(y, between.as_ref(), par, stack);
    }
}

impl<T: Scalar> AdjointOp<T> for Product<'_, T> {
    fn apply_adjoint_scratch(&self, k: usize, par: Par) -> StackReq {
        let (left, right) = (self.left, self.right);
        let inner = left.apply_adjoint_scratch(k, par).or(right.apply_adjoint_scratch(k, par));
        temp_mat_scratch::<T>(right.nrows(), k).and(inner)
    }

    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        let (mut between, stack) = temp_mat_zeroed::<T, _, _>(self.right.nrows(), y.ncols(), stack);
        let mut between = between.as_mat_mut();
        self.left.apply_adjoint(between.as_mut(), y, par, stack);
        self.right.apply_adjoint(x, between.as_ref(), par, stack);
    }

    fn apply_both_scratch(&self, k: usize, par: Par) -> StackReq {
        let (left, right) = (self.left, self.right);
        let right_only = right.apply_scratch(k, par).or(right.apply_adjoint_scratch(k, par));
        let between = temp_mat_scratch::<T>(right.nrows(), k);
        StackReq::all_of(&[between, between, left.apply_both_scratch(k, par).or(right_only)])
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
        let (rows, k) = (self.right.nrows(), x.ncols());
        let (mut before, stack) = temp_mat_zeroed::<T, _, _>(rows, k, stack);
        let (mut after, stack) = temp_mat_zeroed::<T, _, _>(rows, k, stack);
        let (mut before, mut after) = (before.as_mat_mut(), after.as_mat_mut());
        self.right.apply(before.as_mut(), x, par, stack);
        self.left.apply_both(y, alpha, before.as_ref(), after.as_mut(), par, stack);
        self.right.apply_adjoint(z, after.as_ref(), par, stack);
    }
}

/// An operator of two closures: `y <- A x` and `x <- A* y`, for blocks of columns.
///
/// # Examples
/// ```
/// use faer::{MatMut, MatRef, mat};
/// use nearlin_krylov::{FnOp, LeastSquares};
///
/// // Differences of neighbours: three of four numbers.
/// let a = FnOp::new(
///     3,
///     4,
///     |mut y: MatMut<'_, f64>, x: MatRef<'_, f64>| {
///         for j in 0..x.ncols() {
///             (0..3).for_each(|i| y[(i, j)] = x[(i + 1, j)] - x[(i, j)]);
///         }
///     },
///     |mut x: MatMut<'_, f64>, y: MatRef<'_, f64>| {
///         x.fill(0.0);
///         for j in 0..y.ncols() {
///             for i in 0..3 {
///                 x[(i + 1, j)] += y[(i, j)];
///                 x[(i, j)] -= y[(i, j)];
///             }
///         }
///     },
/// );
/// let b = mat![[1.0], [1.0], [1.0]];
/// let fit = LeastSquares::lsmr().solve(&a, b.as_ref())?;
/// // The solution of least norm is centred.
/// assert!((fit.x[(0, 0)] + 1.5_f64).abs() < 1e-10);
/// # Ok::<(), nearlin_krylov::KrylovError>(())
/// ```
#[derive(Clone, Copy)]
pub struct FnOp<F, G> {
    nrows: usize,
    ncols: usize,
    forward: F,
    adjoint: G,
}

impl<F, G> FnOp<F, G> {
    /// The operator `nrows x ncols` that `forward` applies and whose adjoint `adjoint` applies.
    pub fn new(nrows: usize, ncols: usize, forward: F, adjoint: G) -> Self {
        Self { nrows, ncols, forward, adjoint }
    }
}

impl<F, G> fmt::Debug for FnOp<F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FnOp({} x {})", self.nrows, self.ncols)
    }
}

impl<T, F, G> LinOp<T> for FnOp<F, G>
where
    F: Fn(MatMut<'_, T>, MatRef<'_, T>) + Sync,
    G: Sync,
{
    fn nrows(&self) -> usize {
        self.nrows
    }

    fn ncols(&self) -> usize {
        self.ncols
    }

    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, _: Par, _: &mut MemStack) {
        (self.forward)(y, x);
    }
}

impl<T, F, G> AdjointOp<T> for FnOp<F, G>
where
    F: Fn(MatMut<'_, T>, MatRef<'_, T>) + Sync,
    G: Fn(MatMut<'_, T>, MatRef<'_, T>) + Sync,
{
    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, _: Par, _: &mut MemStack) {
        (self.adjoint)(x, y);
    }
}
