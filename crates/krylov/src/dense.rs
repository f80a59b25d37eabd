//! Matrices as operators.

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::matmul::matmul;
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::op::{AdjointOp, LinOp, Scalar};

/// Bytes of the rows that are multiplied by both factors before the next: a part of a second-level cache.
const BLOCK: usize = 256 << 10;

/// Parts of the rows with a sum of their own, so that sums do not depend on the number of threads.
const PARTS: usize = 16;

/// Fewest rows of a part.
const ROWS: usize = 2048;

/// How many parts the rows are cut into, and the rows of each but the last.
fn parts(nrows: usize) -> (usize, usize) {
    let rows = nrows.div_ceil(PARTS).max(ROWS);
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
        matmul(y, Accum::Replace, self, x, T::of(1.0), par);
    }
}

impl<T: Scalar> AdjointOp<T> for MatRef<'_, T> {
    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, _: &mut MemStack) {
        matmul(x, Accum::Replace, self.transpose(), y, T::of(1.0), par);
    }

    fn apply_both_scratch(&self, k: usize, _: Par) -> StackReq {
        let (count, _) = parts(MatRef::nrows(self));
        temp_mat_scratch::<T>(MatRef::ncols(self), k * count)
    }

    /// One pass: a block of rows stays in the cache for the second product.
    fn apply_both(
        &self,
        y: MatMut<'_, T>,
        alpha: &[T],
        x: MatRef<'_, T>,
        mut z: MatMut<'_, T>,
        par: Par,
        stack: &mut MemStack,
    ) {
        let (n, k) = (MatRef::ncols(self), x.ncols());
        let (count, rows) = parts(MatRef::nrows(self));
        let (mut sums, _) = temp_mat_zeroed::<T, _, _>(n, k * count, stack);
        let mut sums = sums.as_mat_mut();
        let part = |a: MatRef<'_, T>, y: MatMut<'_, T>, z: MatMut<'_, T>| both(a, y, alpha, x, z);
        match par {
            Par::Seq => {
                let (mut a, mut y, mut z) = (*self, y, sums.as_mut());
                while a.nrows() > 0 {
                    let rows = rows.min(a.nrows());
                    let (a_head, a_tail) = a.split_at_row(rows);
                    let (y_head, y_tail) = y.split_at_row_mut(rows);
                    let (z_head, z_tail) = z.split_at_col_mut(k);
                    part(a_head, y_head, z_head);
                    (a, y, z) = (a_tail, y_tail, z_tail);
                }
            }
            Par::Rayon(_) => {
                let outputs = y.par_row_chunks_mut(rows).zip(sums.as_mut().par_col_chunks_mut(k));
                (self.par_row_chunks(rows).zip(outputs)).for_each(|(a, (y, z))| part(a, y, z));
            }
        }
        let sums = sums.as_ref();
        z.copy_from(sums.subcols(0, k));
        for part in 1..count {
            z += sums.subcols(part * k, k);
        }
    }
}

/// Both products of some rows: `y <- A x - y diag(alpha)`, `z <- z + A* y`.
fn both<T: Scalar>(
    a: MatRef<'_, T>,
    y: MatMut<'_, T>,
    alpha: &[T],
    x: MatRef<'_, T>,
    mut z: MatMut<'_, T>,
) {
    let (mut a, mut y) = (a, y);
    let rows = (BLOCK / (a.ncols().max(1) * size_of::<T>())).max(16);
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
