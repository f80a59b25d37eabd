//! What a sketch is.

use std::ops::Range;

use faer::{ColMut, ColRef, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::error::check_shape;
use crate::{Scalar, SketchError};

/// A random linear map `S : R^N -> R^s` that nearly keeps lengths.
///
/// Laws: `apply` is linear in `a`, gives the same bits for the same seed on any number of threads,
/// and `E |S x|^2 = |x|^2` over the seeds for every fixed `x`.
pub trait Sketch<T>: Sync {
    /// `N`, the length of the vectors that are sketched.
    fn input_dim(&self) -> usize;

    /// `s`, the embedding dimension.
    fn embedding_dim(&self) -> usize;

    /// `out <- S a`, with `a : N x k` and `out : s x k`; `out` may hold anything on entry.
    ///
    /// # Errors
    /// [`SketchError::Shape`] if an operand does not fit.
    fn apply(&self, out: MatMut<'_, T>, a: MatRef<'_, T>, par: Par) -> Result<(), SketchError>;

    /// `out <- a S^T`, with `a : k x N` and `out : k x s`: [`apply`](Self::apply) to the transposed views, and its bits.
    ///
    /// # Errors
    /// [`SketchError::Shape`] if an operand does not fit.
    ///
    /// # Examples
    /// ```
    /// use faer::{Mat, Par};
    /// use nearlin_sketch::{Sketch, SparseSign};
    ///
    /// let a = Mat::from_fn(3, 500, |i, j| ((i + 2 * j) as f64).sin());
    /// let sketch = SparseSign::new(500, 40, 8, 1)?;
    /// let (mut right, mut left) = (Mat::zeros(3, 40), Mat::zeros(40, 3));
    /// sketch.apply_right(right.as_mut(), a.as_ref(), Par::Seq)?;
    /// sketch.apply(left.as_mut(), a.transpose(), Par::Seq)?;
    /// assert_eq!(right, left.transpose());
    /// # Ok::<(), nearlin_sketch::SketchError>(())
    /// ```
    fn apply_right(
        &self,
        out: MatMut<'_, T>,
        a: MatRef<'_, T>,
        par: Par,
    ) -> Result<(), SketchError> {
        let k = a.nrows();
        check_shape("matrix to sketch from the right", (k, a.ncols()), (k, self.input_dim()))?;
        let sketched = (k, self.embedding_dim());
        check_shape("matrix sketched from the right", (out.nrows(), out.ncols()), sketched)?;
        self.apply(out.transpose_mut(), a.transpose(), par)
    }

    /// The block of `S` in these rows and columns, drawn from the seed alone, in time and memory proportional to its size (and
    /// to the columns' number of signs or the rows' number of samples).
    ///
    /// Entries are those that [`apply`](Self::apply) multiplies by, to the last bit.
    ///
    /// # Errors
    /// [`SketchError::Range`] if there are no such rows or columns.
    ///
    /// # Examples
    /// ```
    /// use nearlin_sketch::{Sketch, Srht};
    ///
    /// let sketch = Srht::new(1 << 20, 64, 42)?;
    /// let block = Sketch::<f64>::entries(&sketch, 10..12, 1_000_000..1_000_003)?;
    /// assert!((0..2).all(|i| (0..3).all(|j| block[(i, j)].abs() == 0.125)));
    /// # Ok::<(), nearlin_sketch::SketchError>(())
    /// ```
    fn entries(&self, rows: Range<usize>, cols: Range<usize>) -> Result<Mat<T>, SketchError>;
}

/// A sketch whose adjoint can be applied: `<S x, y> == <x, S^T y>` up to rounding.
pub trait AdjointSketch<T>: Sketch<T> {
    /// `out <- S^T y`, with `y : s x k` and `out : N x k`; `out` may hold anything on entry.
    ///
    /// # Errors
    /// [`SketchError::Shape`] if an operand does not fit.
    fn apply_adjoint(
        &self,
        out: MatMut<'_, T>,
        y: MatRef<'_, T>,
        par: Par,
    ) -> Result<(), SketchError>;
}

/// `body` for each column of `out` and of `a`, of which there are as many.
pub(crate) fn for_each_column<T: Scalar>(
    out: MatMut<'_, T>,
    a: MatRef<'_, T>,
    par: Par,
    body: impl Fn(ColMut<'_, T>, ColRef<'_, T>) + Sync + Send,
) {
    let body = |(out, a): (ColMut<'_, T>, ColRef<'_, T>)| body(out, a);
    match par {
        Par::Seq => out.col_iter_mut().zip(a.col_iter()).for_each(body),
        Par::Rayon(_) => out.par_col_iter_mut().zip(a.par_col_iter()).for_each(body),
    }
}
