//! faer's sparse matrices as operators, behind feature `sparse`.
//!
//! Stored by rows, a product gathers and the adjoint scatters, and both fit into one pass; stored by columns it is the other
//! way round. Gathering is shared among threads; scattering into few numbers goes by parts with sums of their own, whose
//! number follows the matrix and not the threads.

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::sparse::{SparseColMat, SparseColMatRef, SparseRowMat, SparseRowMatRef};
use faer::{Index, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::op::{AdjointOp, LinOp, Scalar};

/// Rows or columns that a task gathers.
const LINES: usize = 4096;

/// Most parts of a scattering product.
const PARTS: usize = 16;

/// Entries of a line: where, and what.
type Line<'a, I, T> = (&'a [I], &'a [T]);

/// Parts of the lines for a product that scatters `entries` of `lines` into `outputs` numbers, and the lines of each.
fn parts(lines: usize, entries: usize, outputs: usize) -> (usize, usize) {
    let count = (entries / (4 * outputs.max(1))).clamp(1, PARTS);
    let each = lines.div_ceil(count).max(1);
    (lines.div_ceil(each).max(1), each)
}

/// `y_l <- sum of the entries of line l times x`.
fn gather<'a, I: Index, T: Scalar>(
    line: impl Fn(usize) -> Line<'a, I, T> + Sync,
    y: MatMut<'_, T>,
    x: MatRef<'_, T>,
    par: Par,
) {
    let task = |first: usize, mut y: MatMut<'_, T>| {
        for l in 0..y.nrows() {
            let (at, values) = line(first + l);
            for k in 0..x.ncols() {
                let terms = at.iter().zip(values);
                y[(l, k)] = terms.fold(T::of(0.0), |sum, (at, &v)| sum + v * x[(at.zx(), k)]);
            }
        }
    };
    match par {
        Par::Seq => task(0, y),
        Par::Rayon(_) => {
            let chunks = y.par_row_chunks_mut(LINES).enumerate();
            chunks.for_each(|(chunk, y)| task(chunk * LINES, y));
        }
    }
}

/// `y <- sum over lines l of x_l times its entries`, in parts.
fn scatter<'a, I: Index, T: Scalar>(
    line: impl Fn(usize) -> Line<'a, I, T> + Sync,
    (lines, entries): (usize, usize),
    mut y: MatMut<'_, T>,
    x: MatRef<'_, T>,
    par: Par,
    stack: &mut MemStack,
) {
    let k = x.ncols();
    let (count, each) = parts(lines, entries, y.nrows());
    let task = |part: usize, mut y: MatMut<'_, T>| {
        y.fill(T::of(0.0));
        for l in part * each..lines.min((part + 1) * each) {
            let (at, values) = line(l);
            for j in 0..k {
                let x = x[(l, j)];
                for (at, &v) in at.iter().zip(values) {
                    y[(at.zx(), j)] += v * x;
                }
            }
        }
    };
    if count == 1 || k == 0 {
        return task(0, y);
    }
    let (mut sums, _) = temp_mat_zeroed::<T, _, _>(y.nrows(), k * count, stack);
    let mut sums = sums.as_mat_mut();
    match par {
        Par::Seq => {
            for part in 0..count {
                task(part, sums.as_mut().subcols_mut(part * k, k));
            }
        }
        Par::Rayon(_) => {
            let chunks = sums.as_mut().par_col_chunks_mut(k).enumerate();
            chunks.for_each(|(part, sums)| task(part, sums));
        }
    }
    y.copy_from(sums.as_ref().subcols(0, k));
    for part in 1..count {
        y += sums.as_ref().subcols(part * k, k);
    }
}

fn scatter_scratch<T: Scalar>(
    (lines, entries): (usize, usize),
    outputs: usize,
    k: usize,
) -> StackReq {
    let (count, _) = parts(lines, entries, outputs);
    temp_mat_scratch::<T>(outputs, if count == 1 { 0 } else { k * count })
}

impl<I: Index, T: Scalar> LinOp<T> for SparseRowMatRef<'_, I, T> {
    fn nrows(&self) -> usize {
        self.symbolic().nrows()
    }

    fn ncols(&self) -> usize {
        self.symbolic().ncols()
    }

    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, _: &mut MemStack) {
        gather(|i| (self.symbolic().col_idx_of_row_raw(i), self.val_of_row(i)), y, x, par);
    }
}

impl<I: Index, T: Scalar> AdjointOp<T> for SparseRowMatRef<'_, I, T> {
    fn apply_adjoint_scratch(&self, k: usize, _: Par) -> StackReq {
        let (rows, cols) = (self.symbolic().nrows(), self.symbolic().ncols());
        scatter_scratch::<T>((rows, self.compute_nnz()), cols, k)
    }

    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        let line = |i| (self.symbolic().col_idx_of_row_raw(i), self.val_of_row(i));
        scatter(line, (self.symbolic().nrows(), self.compute_nnz()), x, y, par, stack);
    }

    fn apply_both_scratch(&self, k: usize, par: Par) -> StackReq {
        let (rows, cols) = (self.symbolic().nrows(), self.symbolic().ncols());
        let (count, _) = parts(rows, self.compute_nnz(), cols);
        temp_mat_scratch::<T>(cols, k * count).or(self.apply_adjoint_scratch(k, par))
    }

    /// One pass: a row is gathered and scattered while it is there.
    fn apply_both(
        &self,
        y: MatMut<'_, T>,
        alpha: &[T],
        x: MatRef<'_, T>,
        mut z: MatMut<'_, T>,
        par: Par,
        stack: &mut MemStack,
    ) {
        let k = x.ncols();
        if k == 0 {
            return;
        }
        let symbolic = self.symbolic();
        let (count, each) = parts(symbolic.nrows(), self.compute_nnz(), symbolic.ncols());
        let (mut sums, _) = temp_mat_zeroed::<T, _, _>(symbolic.ncols(), k * count, stack);
        let mut sums = sums.as_mat_mut();
        let task = |part: usize, mut y: MatMut<'_, T>, mut z: MatMut<'_, T>| {
            for l in 0..y.nrows() {
                let row = part * each + l;
                let (at, values) = (symbolic.col_idx_of_row_raw(row), self.val_of_row(row));
                for j in 0..k {
                    let terms = at.iter().zip(values);
                    let product = terms.fold(T::of(0.0), |sum, (at, &v)| sum + v * x[(at.zx(), j)]);
                    let value = product - alpha[j] * y[(l, j)];
                    y[(l, j)] = value;
                    for (at, &v) in at.iter().zip(values) {
                        z[(at.zx(), j)] += v * value;
                    }
                }
            }
        };
        match par {
            Par::Seq => {
                let mut rest = y;
                for part in 0..count {
                    let rows = each.min(rest.nrows());
                    let (head, tail) = rest.split_at_row_mut(rows);
                    task(part, head, sums.as_mut().subcols_mut(part * k, k));
                    rest = tail;
                }
            }
            Par::Rayon(_) => {
                let sums = sums.as_mut().par_col_chunks_mut(k);
                let chunks = y.par_row_chunks_mut(each).zip(sums).enumerate();
                chunks.for_each(|(part, (y, z))| task(part, y, z));
            }
        }
        z.copy_from(sums.as_ref().subcols(0, k));
        for part in 1..count {
            z += sums.as_ref().subcols(part * k, k);
        }
    }
}

impl<I: Index, T: Scalar> LinOp<T> for SparseColMatRef<'_, I, T> {
    fn nrows(&self) -> usize {
        self.symbolic().nrows()
    }

    fn ncols(&self) -> usize {
        self.symbolic().ncols()
    }

    fn apply_scratch(&self, k: usize, _: Par) -> StackReq {
        let (rows, cols) = (self.symbolic().nrows(), self.symbolic().ncols());
        scatter_scratch::<T>((cols, self.compute_nnz()), rows, k)
    }

    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        let line = |j| (self.symbolic().row_idx_of_col_raw(j), self.val_of_col(j));
        scatter(line, (self.symbolic().ncols(), self.compute_nnz()), y, x, par, stack);
    }
}

impl<I: Index, T: Scalar> AdjointOp<T> for SparseColMatRef<'_, I, T> {
    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, _: &mut MemStack) {
        gather(|j| (self.symbolic().row_idx_of_col_raw(j), self.val_of_col(j)), x, y, par);
    }
}

macro_rules! owned {
    ($kind:ident) => {
        impl<I: Index, T: Scalar> LinOp<T> for $kind<I, T> {
            fn nrows(&self) -> usize {
                LinOp::nrows(&self.as_ref())
            }

            fn ncols(&self) -> usize {
                LinOp::ncols(&self.as_ref())
            }

            fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
                LinOp::apply_scratch(&self.as_ref(), k, par)
            }

            fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
                LinOp::apply(&self.as_ref(), y, x, par, stack);
            }
        }

        impl<I: Index, T: Scalar> AdjointOp<T> for $kind<I, T> {
            fn apply_adjoint_scratch(&self, k: usize, par: Par) -> StackReq {
                self.as_ref().apply_adjoint_scratch(k, par)
            }

            fn apply_adjoint(
                &self,
                x: MatMut<'_, T>,
                y: MatRef<'_, T>,
                par: Par,
                stack: &mut MemStack,
            ) {
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
    };
}

owned!(SparseRowMat);
owned!(SparseColMat);
