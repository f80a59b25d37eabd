//! Products in parts of the rows, each with a sum of its own: sums do not depend on the number of threads.

use faer::dyn_stack::StackReq;
use faer::linalg::temp_mat_scratch;
use faer::{MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::op::Scalar;

/// Most parts of the rows.
pub(crate) const PARTS: usize = 16;

/// Calls `part` with its number for each `rows` rows of `y`.
pub(crate) fn each_of_rows<T: Scalar>(
    y: MatMut<'_, T>,
    rows: usize,
    par: Par,
    part: impl Fn(usize, MatMut<'_, T>) + Sync,
) {
    match par {
        Par::Seq => {
            let (mut rest, mut index) = (y, 0);
            while rest.nrows() > 0 {
                let rows = rows.min(rest.nrows());
                let (head, tail) = rest.split_at_row_mut(rows);
                part(index, head);
                (rest, index) = (tail, index + 1);
            }
        }
        Par::Rayon(_) => {
            y.par_row_chunks_mut(rows).enumerate().for_each(|(index, y)| part(index, y));
        }
    }
}

/// Calls `part` with its number for each `k` columns of `sums`.
pub(crate) fn each_of_sums<T: Scalar>(
    sums: MatMut<'_, T>,
    k: usize,
    par: Par,
    part: impl Fn(usize, MatMut<'_, T>) + Sync,
) {
    if k == 0 {
        return;
    }
    match par {
        Par::Seq => {
            let (mut rest, mut index) = (sums, 0);
            while rest.ncols() > 0 {
                let (head, tail) = rest.split_at_col_mut(k);
                part(index, head);
                (rest, index) = (tail, index + 1);
            }
        }
        Par::Rayon(_) => {
            sums.par_col_chunks_mut(k).enumerate().for_each(|(index, sum)| part(index, sum));
        }
    }
}

/// Calls `part` with its number for each `rows` rows of `y` and as many columns of `sums` as `y` has.
pub(crate) fn each_of_both<T: Scalar>(
    y: MatMut<'_, T>,
    rows: usize,
    sums: MatMut<'_, T>,
    par: Par,
    part: impl Fn(usize, MatMut<'_, T>, MatMut<'_, T>) + Sync,
) {
    let k = y.ncols();
    if k == 0 {
        return;
    }
    match par {
        Par::Seq => {
            let (mut rest, mut sums, mut index) = (y, sums, 0);
            while rest.nrows() > 0 {
                let rows = rows.min(rest.nrows());
                let (head, tail) = rest.split_at_row_mut(rows);
                let (sum, others) = sums.split_at_col_mut(k);
                part(index, head, sum);
                (rest, sums, index) = (tail, others, index + 1);
            }
        }
        Par::Rayon(_) => {
            let pairs = y.par_row_chunks_mut(rows).zip(sums.par_col_chunks_mut(k));
            pairs.enumerate().for_each(|(index, (y, sum))| part(index, y, sum));
        }
    }
}

/// Scratch for `count` sums of `n x k`.
pub(crate) fn sums_scratch<T: Scalar>(n: usize, k: usize, count: usize) -> StackReq {
    temp_mat_scratch::<T>(n, k * count)
}

/// `z <- ` the sum of blocks of as many columns, in order; 0 of none.
pub(crate) fn add_up<T: Scalar>(mut z: MatMut<'_, T>, sums: MatRef<'_, T>) {
    let k = z.ncols();
    if k == 0 || sums.ncols() == 0 {
        return z.fill(T::of(0.0));
    }
    z.copy_from(sums.subcols(0, k));
    for part in 1..sums.ncols() / k {
        z += sums.subcols(part * k, k);
    }
}
