//! What dense sketches share: products with blocks of `S` that are drawn when needed.
//!
//! Rows of the input are summed over in blocks that start at multiples of [`DEPTH`], one after another and each from a copy by
//! columns, so that neither storage order nor the way in which a matrix arrives changes bits.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::error::check_adjoint;
use crate::{Scalar, SketchError};

/// Input rows that are summed over at a time.
pub(crate) const DEPTH: usize = 1024;

/// Rows of `S` that exist at a time, in each task.
pub(crate) const ROWS: usize = 64;

/// A sketch whose rows can be entered at any column.
pub(crate) trait Rows: Sync {
    /// `N` and `s`.
    fn dims(&self) -> (usize, usize);

    /// Writes the entries of row `i` of `S` from column `first` on.
    fn part<T: Scalar>(&self, i: usize, first: usize, part: &mut [T]);
}

/// The block of `S` in these rows and columns, transposed, as rows are drawn into contiguous columns.
pub(crate) fn transposed<T: Scalar>(
    sketch: &impl Rows,
    rows: Range<usize>,
    cols: Range<usize>,
) -> Mat<T> {
    let mut block = Mat::<T>::zeros(cols.len(), rows.len());
    for (i, column) in rows.zip(block.col_iter_mut()) {
        let column = column.try_as_col_major_mut();
        let part = column.expect("columns of a matrix are contiguous").as_slice_mut();
        sketch.part(i, cols.start, part);
    }
    block
}

/// `sums <- sums + S_b a` for the block `a` of input rows from `first` on.
pub(crate) fn add_block<T: Scalar>(
    sketch: &impl Rows,
    sums: MatMut<'_, T>,
    a: MatRef<'_, T>,
    first: usize,
    par: Par,
) {
    row_chunks(sums, ROWS, par, |i, sums| {
        let rows = transposed::<T>(sketch, i..i + sums.nrows(), first..first + a.nrows());
        matmul(sums, Accum::Add, rows.transpose(), a, T::of(1.0), Par::Seq);
    });
}

/// `out <- S^T y`.
pub(crate) fn apply_adjoint<T: Scalar>(
    sketch: &impl Rows,
    out: MatMut<'_, T>,
    y: MatRef<'_, T>,
    par: Par,
) -> Result<(), SketchError> {
    let ((input, dim), k) = (sketch.dims(), y.ncols());
    check_adjoint(&out, y, (dim, input))?;
    let y = y.to_owned();
    row_chunks(out, DEPTH, par, |first, mut out| {
        let mut sums = Mat::<T>::zeros(out.nrows(), k);
        for i in (0..dim).step_by(ROWS) {
            let count = ROWS.min(dim - i);
            let rows = transposed::<T>(sketch, i..i + count, first..first + out.nrows());
            let y = y.as_ref().subrows(i, count);
            matmul(sums.as_mut(), Accum::Add, rows.as_ref(), y, T::of(1.0), Par::Seq);
        }
        out.copy_from(&sums);
    });
    Ok(())
}

/// `body` for each chunk of `size` rows and the number of its first row.
pub(crate) fn row_chunks<T: Scalar>(
    out: MatMut<'_, T>,
    size: usize,
    par: Par,
    body: impl Fn(usize, MatMut<'_, T>) + Sync + Send,
) {
    match par {
        Par::Seq => {
            let (mut rest, mut first) = (out, 0);
            while rest.nrows() > 0 {
                let rows = size.min(rest.nrows());
                let (head, tail) = rest.split_at_row_mut(rows);
                body(first, head);
                (rest, first) = (tail, first + rows);
            }
        }
        Par::Rayon(_) => {
            out.par_row_chunks_mut(size).enumerate().for_each(|(c, rows)| body(c * size, rows));
        }
    }
}
