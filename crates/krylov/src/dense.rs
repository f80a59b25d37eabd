//! Matrices as operators.

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::matmul::matmul;
use faer::linalg::temp_mat_zeroed;
use faer::mat::AsMatMut;
use faer::{Accum, Mat, MatMut, MatRef, Par};

use crate::column;
use crate::op::{AdjointOp, LinOp, Scalar};
use crate::parts::{PARTS, add_up, each_of_both, each_of_rows, each_of_sums, sums_scratch};

/// Bytes of the rows that are multiplied by both factors before the next: a part of a second-level cache.
const BLOCK: usize = 1 << 20;

/// Fewest rows of these: the memory is read in runs of as many entries, and shorter ones cost more than a miss in that cache.
const RUN: usize = 256;

/// Fewest entries of a part.
const ENTRIES: usize = 1 << 16;

/// How many parts the rows are cut into, and the rows of each but the last.
fn parts(nrows: usize, ncols: usize) -> (usize, usize) {
    let rows = nrows.div_ceil(PARTS).max(ENTRIES / ncols.max(1)).max(16);
    (nrows.div_ceil(rows).max(1), rows)
}

impl<T: Scalar> LinOp<T> for MatRef<'_, T> {
    fn nrows(&self) -> usize {
        MatRef::nrows(self)
    }

    fn ncols(&self) -> usize {
        MatRef::ncols(self)
    }

    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, _: &mut MemStack) {
        let (_, rows) = parts(MatRef::nrows(self), MatRef::ncols(self));
        each_of_rows(y, rows, par, |index, y| {
            let a = self.subrows(index * rows, y.nrows());
            matmul(y, Accum::Replace, a, x, T::of(1.0), Par::Seq);
        });
    }
}

impl<T: Scalar> AdjointOp<T> for MatRef<'_, T> {
    fn apply_adjoint_scratch(&self, k: usize, _: Par) -> StackReq {
        let (count, _) = parts(MatRef::nrows(self), MatRef::ncols(self));
        sums_scratch::<T>(MatRef::ncols(self), k, count)
    }

    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        let k = y.ncols();
        let (count, rows) = parts(MatRef::nrows(self), MatRef::ncols(self));
        let (mut sums, _) = temp_mat_zeroed::<T, _, _>(MatRef::ncols(self), k * count, stack);
        let mut sums = sums.as_mat_mut();
        each_of_sums(sums.as_mut(), k, par, |index, sum| {
            let start = index * rows;
            let rows = rows.min(MatRef::nrows(self) - start);
            let (a, y) = (self.subrows(start, rows), y.subrows(start, rows));
            matmul(sum, Accum::Replace, a.transpose(), y, T::of(1.0), Par::Seq);
        });
        add_up(x, sums.as_ref());
    }

    fn apply_both_scratch(&self, k: usize, _: Par) -> StackReq {
        let (count, _) = parts(MatRef::nrows(self), MatRef::ncols(self));
        sums_scratch::<T>(MatRef::ncols(self), k, count)
    }

    /// One pass: a block of rows stays in the cache for the second product.
    fn apply_both(
        &self,
        y: MatMut<'_, T>,
        alpha: &[T],
        x: MatRef<'_, T>,
        z: MatMut<'_, T>,
        par: Par,
        stack: &mut MemStack,
    ) {
        let (n, k) = (MatRef::ncols(self), x.ncols());
        let (count, rows) = parts(MatRef::nrows(self), n);
        let (mut sums, _) = temp_mat_zeroed::<T, _, _>(n, k * count, stack);
        let mut sums = sums.as_mat_mut();
        each_of_both(y, rows, sums.as_mut(), par, |index, y, sum| {
            both(self.subrows(index * rows, y.nrows()), y, alpha, x, sum);
        });
        add_up(z, sums.as_ref());
    }
}

/// Both products of some rows: `y <- A x - y diag(alpha)`, `z <- z + A* y`.
pub(crate) fn both<T: Scalar>(
    a: MatRef<'_, T>,
    y: MatMut<'_, T>,
    alpha: &[T],
    x: MatRef<'_, T>,
    mut z: MatMut<'_, T>,
) {
    let rows = (BLOCK / (a.ncols().max(1) * size_of::<T>())).max(RUN);
    let (mut a, mut y) = (a, y);
    if let &[alpha] = alpha
        && column::both(a, y.as_mut(), alpha, x, z.as_mut(), rows)
    {
        return;
    }
    while a.nrows() > 0 {
        let rows = rows.min(a.nrows());
        let (block, below) = a.split_at_row(rows);
        let (mut head, tail) = y.split_at_row_mut(rows);
        for (j, &alpha) in alpha.iter().enumerate() {
            head.as_mut().col_mut(j).iter_mut().for_each(|y| *y *= -alpha);
        }
        matmul(head.as_mut(), Accum::Add, block, x, T::of(1.0), Par::Seq);
        matmul(z.as_mut(), Accum::Add, block.transpose(), head.as_ref(), T::of(1.0), Par::Seq);
        (a, y) = (below, tail);
    }
}

impl<T: Scalar> LinOp<T> for Mat<T> {
    fn nrows(&self) -> usize {
        self.as_ref().nrows()
    }

    fn ncols(&self) -> usize {
        self.as_ref().ncols()
    }

    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        self.as_ref().apply(y, x, par, stack);
    }
}

impl<T: Scalar> AdjointOp<T> for Mat<T> {
    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        self.as_ref().apply_adjoint(x, y, par, stack);
    }

    fn apply_adjoint_scratch(&self, k: usize, par: Par) -> StackReq {
        self.as_ref().apply_adjoint_scratch(k, par)
    }

    fn apply_both_scratch(&self, k: usize, par: Par) -> StackReq {
        self.as_ref().apply_both_scratch(k, par)
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
        self.as_ref().apply_both(y, alpha, x, z, par, stack);
    }
}
