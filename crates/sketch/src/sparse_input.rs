//! Sparse signs of sparse matrices, behind feature `sparse`.
//!
//! By rows, each block of the signs has rows of the output of its own, so that blocks go to different threads and the part of
//! the output that one of them writes to is small; by columns, each has a column of the output.

use faer::sparse::{SparseColMatRef, SparseRowMatRef};
use faer::{Index, MatMut, Par};
use rayon::prelude::*;

use crate::error::check_shape;
use crate::sparse_sign::BLOCK;
use crate::{Scalar, SketchError, SparseSign};

impl SparseSign {
    /// `out <- S diag(scales) A` for `A : N x k` stored by rows, one scale a row or none; `out : s x k` may hold anything.
    ///
    /// Costs as many additions as there are signs in a column for each entry of `A`.
    ///
    /// # Errors
    /// [`SketchError::Shape`] if an operand does not fit.
    pub fn apply_csr<I: Index, T: Scalar>(
        &self,
        mut out: MatMut<'_, T>,
        a: SparseRowMatRef<'_, I, T>,
        scales: Option<&[T]>,
        par: Par,
    ) -> Result<(), SketchError> {
        let (symbolic, each) = (a.symbolic(), self.each());
        let n = symbolic.nrows();
        self.check((n, symbolic.ncols()), (out.nrows(), out.ncols()), scales)?;
        out.fill(T::of(0.0));
        let mut blocks = Vec::with_capacity(each);
        let (mut rest, mut begin) = (out, 0);
        for block in 0..each {
            let end = (block + 1) * self.dim() / each;
            let (head, tail) = rest.split_at_row_mut(end - begin);
            blocks.push((begin, head));
            (rest, begin) = (tail, end);
        }
        let factors = [T::of(self.scale()), T::of(-self.scale())];
        let mut places = vec![0; BLOCK.min(n) * each];
        for start in (0..n).step_by(BLOCK) {
            let rows = BLOCK.min(n - start);
            let places = &mut places[..rows * each];
            self.places(start, places);
            let task = |(block, (begin, out)): (usize, &mut (usize, MatMut<'_, T>))| {
                for (row, places) in (start..).zip(places.chunks(each)) {
                    let place = places[block];
                    let to = (place >> 1) as usize - *begin;
                    let factor = factors[(place & 1) as usize];
                    let factor = scales.map_or(factor, |scales| factor * scales[row]);
                    let entries = symbolic.col_idx_of_row_raw(row).iter().zip(a.val_of_row(row));
                    for (at, &value) in entries {
                        out[(to, at.zx())] += factor * value;
                    }
                }
            };
            match par {
                Par::Seq => blocks.iter_mut().enumerate().for_each(task),
                Par::Rayon(_) => blocks.par_iter_mut().enumerate().for_each(task),
            }
        }
        Ok(())
    }

    /// The same for `A` stored by columns; places of all signs are held at once, `4 N each` bytes.
    ///
    /// # Errors
    /// [`SketchError::Shape`] if an operand does not fit.
    pub fn apply_csc<I: Index, T: Scalar>(
        &self,
        mut out: MatMut<'_, T>,
        a: SparseColMatRef<'_, I, T>,
        scales: Option<&[T]>,
        par: Par,
    ) -> Result<(), SketchError> {
        let (symbolic, each) = (a.symbolic(), self.each());
        let n = symbolic.nrows();
        self.check((n, symbolic.ncols()), (out.nrows(), out.ncols()), scales)?;
        out.fill(T::of(0.0));
        let factors = [T::of(self.scale()), T::of(-self.scale())];
        let mut places = vec![0; n * each];
        self.places(0, &mut places);
        let task = |(col, mut out): (usize, faer::ColMut<'_, T>)| {
            let entries = symbolic.row_idx_of_col_raw(col).iter().zip(a.val_of_col(col));
            for (at, &value) in entries {
                let row = at.zx();
                let value = scales.map_or(value, |scales| scales[row] * value);
                for &place in &places[row * each..(row + 1) * each] {
                    out[(place >> 1) as usize] += factors[(place & 1) as usize] * value;
                }
            }
        };
        match par {
            Par::Seq => out.col_iter_mut().enumerate().for_each(task),
            Par::Rayon(_) => out.par_col_iter_mut().enumerate().for_each(task),
        }
        Ok(())
    }

    fn check<T>(
        &self,
        (n, k): (usize, usize),
        out: (usize, usize),
        scales: Option<&[T]>,
    ) -> Result<(), SketchError> {
        check_shape("matrix to sketch", (n, k), (self.input(), k))?;
        check_shape("sketched matrix", out, (self.dim(), k))?;
        let scaled = scales.map_or(n, <[T]>::len);
        check_shape("scales", (scaled, 1), (n, 1))
    }
}
