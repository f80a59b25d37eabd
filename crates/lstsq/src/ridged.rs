//! A matrix with scaled rows, and with a multiple of the identity below it.

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::{MatMut, MatRef, Par};
use nearlin_krylov::{AdjointOp, LinOp};

use crate::matrix::{Scalar, scale_rows};

/// `[diag(scales) A; root I]`, either part left out where there is none.
pub(crate) struct Ridged<'a, T> {
    pub(crate) a: &'a dyn AdjointOp<T>,
    pub(crate) scales: Option<&'a [T]>,
    pub(crate) root: T,
}

impl<T: Scalar> Ridged<'_, T> {
    fn has_ridge(&self) -> bool {
        self.root != T::zero()
    }
}

impl<T: Scalar> LinOp<T> for Ridged<'_, T> {
    fn nrows(&self) -> usize {
        self.a.nrows() + if self.has_ridge() { self.a.ncols() } else { 0 }
    }

    fn ncols(&self) -> usize {
        self.a.ncols()
    }

    fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
        self.a.apply_scratch(k, par)
    }

    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        let (mut above, below) = y.split_at_row_mut(self.a.nrows());
        self.a.apply(above.as_mut(), x, par, stack);
        scale_rows(above, self.scales);
        for (below, x) in below.col_iter_mut().zip(x.col_iter()) {
            below.iter_mut().zip(x.iter()).for_each(|(y, &x)| *y = self.root * x);
        }
    }
}

impl<T: Scalar> AdjointOp<T> for Ridged<'_, T> {
    fn apply_adjoint_scratch(&self, k: usize, par: Par) -> StackReq {
        let scaled = if self.scales.is_some() { self.a.nrows() } else { 0 };
        temp_mat_scratch::<T>(scaled, k).and(self.a.apply_adjoint_scratch(k, par))
    }

    fn apply_adjoint(
        &self,
        mut x: MatMut<'_, T>,
        y: MatRef<'_, T>,
        par: Par,
        stack: &mut MemStack,
    ) {
        let (above, below) = y.split_at_row(self.a.nrows());
        if self.scales.is_some() {
            let (mut scaled, stack) =
                temp_mat_zeroed::<T, _, _>(above.nrows(), above.ncols(), stack);
            let mut scaled = scaled.as_mat_mut();
            scaled.copy_from(above);
            scale_rows(scaled.as_mut(), self.scales);
            self.a.apply_adjoint(x.as_mut(), scaled.as_ref(), par, stack);
        } else {
            self.a.apply_adjoint(x.as_mut(), above, par, stack);
        }
        for (x, below) in x.col_iter_mut().zip(below.col_iter()) {
            x.iter_mut().zip(below.iter()).for_each(|(x, &y)| *x += self.root * y);
        }
    }

    fn apply_both_scratch(&self, k: usize, par: Par) -> StackReq {
        if self.scales.is_some() {
            let inner = self.apply_scratch(k, par).or(self.apply_adjoint_scratch(k, par));
            return temp_mat_scratch::<T>(self.nrows(), k).and(inner);
        }
        self.a.apply_both_scratch(k, par)
    }

    fn apply_both(
        &self,
        mut y: MatMut<'_, T>,
        alpha: &[T],
        x: MatRef<'_, T>,
        mut z: MatMut<'_, T>,
        par: Par,
        stack: &mut MemStack,
    ) {
        if self.scales.is_some() {
            let (mut product, stack) = temp_mat_zeroed::<T, _, _>(self.nrows(), x.ncols(), stack);
            let mut product = product.as_mat_mut();
            self.apply(product.as_mut(), x, par, stack);
            for ((y, product), &alpha) in
                y.as_mut().col_iter_mut().zip(product.as_ref().col_iter()).zip(alpha)
            {
                y.iter_mut().zip(product.iter()).for_each(|(y, &p)| *y = p - alpha * *y);
            }
            return self.apply_adjoint(z, y.as_ref(), par, stack);
        }
        let (above, below) = y.split_at_row_mut(self.a.nrows());
        self.a.apply_both(above, alpha, x, z.as_mut(), par, stack);
        let columns = below.col_iter_mut().zip(z.col_iter_mut()).zip(x.col_iter().zip(alpha));
        for ((below, z), (x, &alpha)) in columns {
            for ((y, z), &x) in below.iter_mut().zip(z.iter_mut()).zip(x.iter()) {
                *y = self.root * x - alpha * *y;
                *z += self.root * *y;
            }
        }
    }
}
