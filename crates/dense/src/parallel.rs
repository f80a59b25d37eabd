//! How work is divided: always into the same tasks, whatever the number of threads.
//!
//! A floating-point sum depends on its order, so tasks are cut by the problem's shape alone and
//! every task sums in one fixed order. rayon only decides who runs a task, and when.

use faer::{MatMut, Par};
use rayon::prelude::*;

use crate::clear_upper;

/// Tasks that [`fixed_par`] asks faer for.
///
/// A few more than one per thread on common machines; faer cuts its loops by this number, so it
/// must not follow the machine.
pub const TASKS: usize = 8;

/// The parallelism to hand to faer: [`Par::Seq`] and any rayon both become the same division of
/// work, so that a factorisation has the same bits on one thread and on many.
///
/// Run inside `ThreadPool::install` to bound the threads.
#[must_use]
pub fn fixed_par(_par: Par) -> Par {
    Par::rayon(TASKS)
}

/// Calls `task(0), .., task(count - 1)`, in order for [`Par::Seq`] and on rayon's current pool
/// otherwise.
pub fn for_each_index(count: usize, par: Par, task: impl Fn(usize) + Sync + Send) {
    let task = |index| {
        clear_upper();
        task(index);
    };
    match par {
        Par::Seq => (0..count).for_each(task),
        Par::Rayon(_) => (0..count).into_par_iter().for_each(task),
    }
}

/// Calls `task` with each of some pieces of work.
pub(crate) fn for_each_task<A: Send>(all: Vec<A>, par: Par, task: impl Fn(A) + Sync + Send) {
    let task = |piece| {
        clear_upper();
        task(piece);
    };
    match par {
        Par::Seq => all.into_iter().for_each(task),
        Par::Rayon(_) => all.into_par_iter().with_max_len(1).for_each(task),
    }
}

/// Calls `task(c, part)` for each part of `len` numbers of `all` (the last may be shorter).
///
/// # Panics
/// If `len == 0`.
pub(crate) fn for_each_part<T: Send>(
    all: &mut [T],
    len: usize,
    par: Par,
    task: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    let task = |c, part: &mut [T]| {
        clear_upper();
        task(c, part);
    };
    match par {
        Par::Seq => all.chunks_mut(len).enumerate().for_each(|(c, part)| task(c, part)),
        Par::Rayon(_) => all.par_chunks_mut(len).enumerate().for_each(|(c, part)| task(c, part)),
    }
}

/// Calls `task(first_row, rows)` for each chunk of `chunk` rows of `y` (the last may be shorter).
///
/// # Panics
/// If `chunk == 0`.
pub fn for_each_row_chunk<T: Send + Sync>(
    y: MatMut<'_, T>,
    chunk: usize,
    par: Par,
    task: impl Fn(usize, MatMut<'_, T>) + Sync + Send,
) {
    let task = |first, part: MatMut<'_, T>| {
        clear_upper();
        task(first, part);
    };
    match par {
        Par::Seq => {
            let (mut rest, mut first) = (y, 0);
            while rest.nrows() > 0 {
                let count = chunk.min(rest.nrows());
                let (rows, tail) = rest.split_at_row_mut(count);
                task(first, rows);
                (rest, first) = (tail, first + count);
            }
        }
        Par::Rayon(_) => {
            y.par_row_chunks_mut(chunk).enumerate().for_each(|(c, rows)| task(c * chunk, rows));
        }
    }
}

/// Calls `task(first_col, cols)` for each chunk of `chunk` columns of `y` (the last may be
/// narrower).
///
/// # Panics
/// If `chunk == 0`.
pub fn for_each_col_chunk<T: Send + Sync>(
    y: MatMut<'_, T>,
    chunk: usize,
    par: Par,
    task: impl Fn(usize, MatMut<'_, T>) + Sync + Send,
) {
    let task = |first, part: MatMut<'_, T>| {
        clear_upper();
        task(first, part);
    };
    match par {
        Par::Seq => {
            let (mut rest, mut first) = (y, 0);
            while rest.ncols() > 0 {
                let count = chunk.min(rest.ncols());
                let (cols, tail) = rest.split_at_col_mut(count);
                task(first, cols);
                (rest, first) = (tail, first + count);
            }
        }
        Par::Rayon(_) => {
            y.par_col_chunks_mut(chunk).enumerate().for_each(|(c, cols)| task(c * chunk, cols));
        }
    }
}
