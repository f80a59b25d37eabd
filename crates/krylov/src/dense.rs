//! Matrices as operators.

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::matmul::matmul;
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::column;
use crate::op::{AdjointOp, LinOp, Scalar};

/// Bytes of the rows that are multiplied by both factors before the next: a part of a second-level cache.
const BLOCK: usize = 1 << 20;

/// Fewest rows of these: the memory is read in runs of as many entries, and shorter ones cost more than a miss in that cache.
const RUN: usize = 256;

/// Most parts of the rows, each with a sum of its own: sums do not depend on the number of threads.
const PARTS: usize = 16;

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
        let part = |a: MatRef<'_, T>, y: MatMut<'_, T>| {
            matmul(y, Accum::Replace, a, x, T::of(1.0), Par::Seq);
        };
        match par {
            Par::Seq => {
                let (mut a, mut y) = (*self, y);
                while a.nrows() > 0 {
                    let rows = rows.min(a.nrows());
                    let (a_head, a_tail) = a.split_at_row(rows);
                    let (y_head, y_tail) = y.split_at_row_mut(rows);
                    part(a_head, y_head);
                    (a, y) = (a_tail, y_tail);
                }
            }
            Par::Rayon(_) => {
                let outputs = y.par_row_chunks_mut(rows);
                self.par_row_chunks(rows).zip(outputs).for_each(|(a, y)| part(a, y));
            }
        }
    }
}

impl<T: Scalar> AdjointOp<T> for MatRef<'_, T> {
    fn apply_adjoint_scratch(&self, k: usize, _: Par) -> StackReq {
        sums_scratch(*self, k)
    }

    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        let k = y.ncols();
        let (count, rows) = parts(MatRef::nrows(self), MatRef::ncols(self));
        let (mut sums, _) = temp_mat_zeroed::<T, _, _>(MatRef::ncols(self), k * count, stack);
        let mut sums = sums.as_mat_mut();
        let part = |a: MatRef<'_, T>, y: MatRef<'_, T>, x: MatMut<'_, T>| {
            matmul(x, Accum::Replace, a.transpose(), y, T::of(1.0), Par::Seq);
        };
        let inputs = (0..MatRef::nrows(self)).step_by(rows);
        let pieces = |start: usize| {
            let rows = rows.min(MatRef::nrows(self) - start);
            (self.subrows(start, rows), y.subrows(start, rows))
        };
        match par {
            Par::Seq => {
                for (index, start) in inputs.enumerate() {
                    let (a, y) = pieces(start);
                    part(a, y, sums.as_mut().subcols_mut(index * k, k));
                }
            }
            Par::Rayon(_) => {
                sums.as_mut().par_col_chunks_mut(k.max(1)).enumerate().for_each(|(index, sums)| {
                    let (a, y) = pieces(index * rows);
                    part(a, y, sums);
                });
            }
        }
        add_up(x, sums.as_ref());
    }

    fn apply_both_scratch(&self, k: usize, _: Par) -> StackReq {
        sums_scratch(*self, k)
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
        let part = |a: MatRef<'_, T>, y: MatMut<'_, T>, z: MatMut<'_, T>| both(a, y, alpha, x, z);
        match par {
            Par::Seq => {
                let (mut a, mut y, mut sums) = (*self, y, sums.as_mut());
                while a.nrows() > 0 {
                    let rows = rows.min(a.nrows());
                    let (a_head, a_tail) = a.split_at_row(rows);
                    let (y_head, y_tail) = y.split_at_row_mut(rows);
                    let (head, tail) = sums.split_at_col_mut(k);
                    part(a_head, y_head, head);
                    (a, y, sums) = (a_tail, y_tail, tail);
                }
            }
            Par::Rayon(_) => {
                let sums = sums.as_mut().par_col_chunks_mut(k.max(1));
                let outputs = y.par_row_chunks_mut(rows).zip(sums);
                (self.par_row_chunks(rows).zip(outputs)).for_each(|(a, (y, z))| part(a, y, z));
            }
        }
        add_up(z, sums.as_ref());
    }
}

/// Scratch for a sum of each part, for `k` columns.
fn sums_scratch<T: Scalar>(a: MatRef<'_, T>, k: usize) -> StackReq {
    let (count, _) = parts(a.nrows(), a.ncols());
    temp_mat_scratch::<T>(a.ncols(), k * count)
}

/// `z <- ` the sum of blocks of as many columns, in order.
fn add_up<T: Scalar>(mut z: MatMut<'_, T>, sums: MatRef<'_, T>) {
    let k = z.ncols();
    if k == 0 {
        return;
    }
    z.copy_from(sums.subcols(0, k));
    for part in 1..sums.ncols() / k {
        z += sums.subcols(part * k, k);
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
