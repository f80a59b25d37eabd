//! Sketches of matrices whose rows arrive in parts.
//!
//! A sketch is a sum over input rows, and floating-point sums depend on their order: rows are therefore added in blocks that
//! start at fixed places, whatever the parts they come in, and wait until their block is complete.

use faer::{Mat, MatMut, MatRef, Par};

use crate::error::check_shape;
use crate::{Scalar, Sketch, SketchError};

/// A sketch that is a sum over blocks of input rows; [`Stream`] is how to call it.
pub trait Streaming<T: Scalar>: Sketch<T> {
    /// How many input rows are added at a time. Blocks start at its multiples; only the last may be shorter.
    fn block(&self) -> usize;

    /// `sums <- sums + S_b a` for one block `a : b x k` of input rows from number `first` on, and the columns `S_b` of `S` that
    /// belong to them; `sums : s x k` are zero before the first block, and blocks come in order.
    ///
    /// # Panics
    /// May panic unless `first` is a multiple of [`block`](Self::block) and `a` a whole block, or what is left for the last one.
    fn add_block(&self, sums: MatMut<'_, T>, a: MatRef<'_, T>, first: usize, par: Par);
}

/// `S A` for a matrix `A : N x k` that arrives in row blocks of any sizes.
///
/// The bits are the same for every partition of the rows, on any number of threads and in either storage order. But for the
/// SRHT, whose transform at once runs in another order, they are those of [`Sketch::apply`] to the whole.
///
/// Takes `s + b` rows of memory, `b` being [`Streaming::block`].
///
/// # Examples
/// ```
/// use faer::{Mat, Par};
/// use nearlin_sketch::{Gaussian, Sketch, Stream};
///
/// let a = Mat::from_fn(3000, 4, |i, j| ((i * (j + 1)) as f64).sin());
/// let sketch = Gaussian::new(3000, 50, 42)?;
/// let mut stream = Stream::new(&sketch, 4);
/// for (first, rows) in [(0, 1), (1, 1999), (2000, 1000)] {
///     stream.push(a.as_ref().subrows(first, rows), Par::Seq)?;
/// }
/// let mut whole = Mat::zeros(50, 4);
/// sketch.apply(whole.as_mut(), a.as_ref(), Par::Seq)?;
/// assert_eq!(stream.finish(Par::Seq)?, whole);
/// # Ok::<(), nearlin_sketch::SketchError>(())
/// ```
pub struct Stream<'s, T> {
    sketch: &'s dyn Streaming<T>,
    sums: Mat<T>,
    /// The rows of an incomplete block, of which there are `waiting`.
    block: Mat<T>,
    waiting: usize,
    /// Rows that have been added.
    added: usize,
}

impl<T> std::fmt::Debug for Stream<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("added", &self.added)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

impl<'s, T: Scalar> Stream<'s, T> {
    /// The sketch of a matrix of `k` columns, before its first row.
    #[must_use]
    pub fn new(sketch: &'s dyn Streaming<T>, k: usize) -> Self {
        let rows = sketch.block().min(sketch.input_dim());
        let (sums, block) = (Mat::zeros(sketch.embedding_dim(), k), Mat::zeros(rows, k));
        Self { sketch, sums, block, waiting: 0, added: 0 }
    }

    /// How many rows have arrived.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.added + self.waiting
    }

    /// Takes the next rows, as many as there are.
    ///
    /// # Errors
    /// [`SketchError::Shape`] if they have not `k` columns, or exceed the `N` that there are; nothing is taken then.
    pub fn push(&mut self, rows: MatRef<'_, T>, par: Par) -> Result<(), SketchError> {
        let most = self.sketch.input_dim() - self.rows();
        let fit = (rows.nrows().min(most), self.sums.ncols());
        check_shape("rows to sketch", (rows.nrows(), rows.ncols()), fit)?;
        let mut rest = rows;
        while rest.nrows() > 0 {
            let here = rest.nrows().min(self.block.nrows() - self.waiting);
            let (rows, after) = rest.split_at_row(here);
            self.block.as_mut().subrows_mut(self.waiting, here).copy_from(rows);
            self.waiting += here;
            if self.waiting == self.block.nrows() {
                self.add(par);
            }
            rest = after;
        }
        Ok(())
    }

    /// `S A`, after the last row.
    ///
    /// # Errors
    /// [`SketchError::Shape`] if rows are missing.
    pub fn finish(mut self, par: Par) -> Result<Mat<T>, SketchError> {
        let k = self.sums.ncols();
        check_shape("matrix that arrived", (self.rows(), k), (self.sketch.input_dim(), k))?;
        if self.waiting > 0 {
            self.add(par);
        }
        Ok(self.sums)
    }

    fn add(&mut self, par: Par) {
        let rows = self.block.as_ref().subrows(0, self.waiting);
        self.sketch.add_block(self.sums.as_mut(), rows, self.added, par);
        self.added += self.waiting;
        self.waiting = 0;
    }
}

/// `out <- S a` as if the rows of `a` arrived.
pub(crate) fn apply_by_blocks<T: Scalar>(
    sketch: &dyn Streaming<T>,
    mut out: MatMut<'_, T>,
    a: MatRef<'_, T>,
    par: Par,
) -> Result<(), SketchError> {
    let k = a.ncols();
    check_shape("matrix to sketch", (a.nrows(), k), (sketch.input_dim(), k))?;
    let sketched = (sketch.embedding_dim(), k);
    check_shape("sketched matrix", (out.nrows(), out.ncols()), sketched)?;
    let mut stream = Stream::new(sketch, k);
    stream.push(a, par)?;
    out.copy_from(stream.finish(par)?);
    Ok(())
}
