//! Sketches of sparse matrices, behind feature `sparse`: one trait for all kinds and both storage orders.
//!
//! Signs and samples go from entry to entry, dense sketches over the blocks of `S` that meet entries, and transforms over a few
//! columns at a time that are made dense.

use faer::sparse::{SparseColMatRef, SparseRowMatRef};
use faer::{Index, Mat, MatMut, MatRef, Par};

use crate::dense::{DEPTH, ROWS, Rows, row_chunks, transposed};
use crate::error::check_shape;
use crate::tensor_sketch::signed;
use crate::{
    Gaussian, Rademacher, RowSampling, Scalar, Sketch, SketchError, SparseSign, Srht, TensorSketch,
    TensorSrht,
};

/// Columns that are made dense at a time.
const COLUMNS: usize = 16;

/// A sparse matrix in either storage order. Entries that are stored twice count as their sum.
#[derive(Clone, Copy, Debug)]
pub enum Sparse<'a, I: Index, T> {
    /// Stored by columns (CSC).
    Columns(SparseColMatRef<'a, I, T>),
    /// Stored by rows (CSR).
    Rows(SparseRowMatRef<'a, I, T>),
}

impl<'a, I: Index, T> From<SparseColMatRef<'a, I, T>> for Sparse<'a, I, T> {
    fn from(a: SparseColMatRef<'a, I, T>) -> Self {
        Self::Columns(a)
    }
}

impl<'a, I: Index, T> From<SparseRowMatRef<'a, I, T>> for Sparse<'a, I, T> {
    fn from(a: SparseRowMatRef<'a, I, T>) -> Self {
        Self::Rows(a)
    }
}

impl<I: Index, T: Copy> Sparse<'_, I, T> {
    /// Rows.
    #[must_use]
    pub fn nrows(&self) -> usize {
        match self {
            Self::Columns(a) => a.symbolic().nrows(),
            Self::Rows(a) => a.symbolic().nrows(),
        }
    }

    /// Columns.
    #[must_use]
    pub fn ncols(&self) -> usize {
        match self {
            Self::Columns(a) => a.symbolic().ncols(),
            Self::Rows(a) => a.symbolic().ncols(),
        }
    }

    /// Row, column and value of each stored entry.
    fn for_each(&self, mut body: impl FnMut(usize, usize, T)) {
        match self {
            Self::Columns(a) => {
                for col in 0..a.symbolic().ncols() {
                    let rows = a.symbolic().row_idx_of_col_raw(col);
                    let entries = rows.iter().zip(a.val_of_col(col));
                    entries.for_each(|(row, &value)| body(row.zx(), col, value));
                }
            }
            Self::Rows(a) => {
                for row in 0..a.symbolic().nrows() {
                    let cols = a.symbolic().col_idx_of_row_raw(row);
                    let entries = cols.iter().zip(a.val_of_row(row));
                    entries.for_each(|(col, &value)| body(row, col.zx(), value));
                }
            }
        }
    }

    fn by_rows(&self) -> Lines<T> {
        Lines::new(self.nrows(), |body| self.for_each(body))
    }

    fn by_columns(&self) -> Lines<T> {
        Lines::new(self.ncols(), |body| self.for_each(|row, col, value| body(col, row, value)))
    }
}

/// Entries grouped by row or by column, with their index in it.
struct Lines<T> {
    starts: Vec<usize>,
    entries: Vec<(usize, T)>,
}

impl<T: Copy> Lines<T> {
    /// Of what `visit` tells: line, index and value. It does so twice, in the same order.
    fn new(count: usize, visit: impl Fn(&mut dyn FnMut(usize, usize, T))) -> Self {
        let mut starts = vec![0; count + 1];
        let mut first = None;
        visit(&mut |line, _, value| {
            starts[line + 1] += 1;
            first = first.or(Some((0, value)));
        });
        for line in 0..count {
            starts[line + 1] += starts[line];
        }
        let mut next = starts.clone();
        let mut entries = first.map_or_else(Vec::new, |first| vec![first; starts[count]]);
        visit(&mut |line, index, value| {
            entries[next[line]] = (index, value);
            next[line] += 1;
        });
        Self { starts, entries }
    }

    fn line(&self, line: usize) -> &[(usize, T)] {
        &self.entries[self.starts[line]..self.starts[line + 1]]
    }
}

/// A sketch of sparse matrices, with indices of type `I`.
///
/// Law: the result is that of [`Sketch::apply`] to the same matrix written out, to the rounding of sums in another order.
pub trait SparseSketch<I: Index, T: Scalar>: Sketch<T> {
    /// `out <- S a`, with `a : N x k` and `out : s x k`; `out` may hold anything on entry.
    ///
    /// With `nnz` entries: [`RowSampling`] costs those of its samples (`nnz` by columns), [`TensorSketch`] `nnz`, [`SparseSign`]
    /// as many times `nnz` as it has signs a column, dense sketches `2 s nnz` flops and what drawing the blocks of 1024 input
    /// rows that have entries takes, [`Srht`] and [`TensorSrht`] what they cost for dense columns, 16 of which exist at a time.
    ///
    /// # Errors
    /// [`SketchError::Shape`] if an operand does not fit.
    ///
    /// # Examples
    /// ```
    /// use faer::sparse::{SparseColMat, Triplet};
    /// use faer::{Mat, Par};
    /// use nearlin_sketch::{Sketch, SparseSketch, Srht};
    ///
    /// let entries: Vec<_> = (0..900).map(|i| Triplet::new(i, i % 3, 1.0)).collect();
    /// let a = SparseColMat::<usize, f64>::try_new_from_triplets(900, 3, &entries)?;
    /// let sketch = Srht::new(900, 64, 42)?;
    /// let mut out = Mat::zeros(64, 3);
    /// sketch.apply_sparse(out.as_mut(), a.as_ref().into(), Par::Seq)?;
    /// let ratio = out.as_ref().col(0).squared_norm_l2() / 300.0;
    /// assert!((ratio - 1.0).abs() < 0.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn apply_sparse(
        &self,
        out: MatMut<'_, T>,
        a: Sparse<'_, I, T>,
        par: Par,
    ) -> Result<(), SketchError>;
}

fn check<I: Index, T: Copy>(
    (s, n): (usize, usize),
    out: MatRef<'_, T>,
    a: Sparse<'_, I, T>,
) -> Result<(), SketchError> {
    let k = a.ncols();
    check_shape("matrix to sketch", (a.nrows(), k), (n, k))?;
    check_shape("sketched matrix", (out.nrows(), out.ncols()), (s, k))
}

/// By the blocks of `S` that meet entries.
fn by_blocks<I: Index, T: Scalar>(
    sketch: &impl Rows,
    mut out: MatMut<'_, T>,
    a: Sparse<'_, I, T>,
    par: Par,
) -> Result<(), SketchError> {
    let (n, s) = sketch.dims();
    check((s, n), out.as_ref(), a)?;
    let lines = a.by_rows();
    let mut sums = Mat::<T>::zeros(s, a.ncols());
    for first in (0..n).step_by(DEPTH) {
        let end = n.min(first + DEPTH);
        if lines.starts[first] == lines.starts[end] {
            continue;
        }
        row_chunks(sums.as_mut(), ROWS, par, |i, mut sums| {
            let block = transposed::<T>(sketch, i..i + sums.nrows(), first..end);
            let block = block.transpose().to_owned();
            for row in first..end {
                for &(col, value) in lines.line(row) {
                    let sums = sums.as_mut().col_mut(col);
                    let column = block.col(row - first);
                    sums.iter_mut().zip(column.iter()).for_each(|(sum, &v)| *sum += v * value);
                }
            }
        });
    }
    out.copy_from(&sums);
    Ok(())
}

/// By a few columns at a time that are written out.
fn by_columns<I: Index, T: Scalar>(
    sketch: &dyn Sketch<T>,
    mut out: MatMut<'_, T>,
    a: Sparse<'_, I, T>,
    par: Par,
) -> Result<(), SketchError> {
    check((sketch.embedding_dim(), sketch.input_dim()), out.as_ref(), a)?;
    let (lines, k) = (a.by_columns(), a.ncols());
    let mut dense = Mat::<T>::zeros(a.nrows(), COLUMNS.min(k));
    for first in (0..k).step_by(COLUMNS) {
        let count = COLUMNS.min(k - first);
        for (col, mut column) in dense.col_iter_mut().take(count).enumerate() {
            column.fill(T::of(0.0));
            lines.line(first + col).iter().for_each(|&(row, value)| column[row] += value);
        }
        let out = out.as_mut().subcols_mut(first, count);
        sketch.apply(out, dense.as_ref().subcols(0, count), par)?;
    }
    Ok(())
}

macro_rules! sparse {
    ($kind:ty, $how:ident) => {
        impl<I: Index, T: Scalar> SparseSketch<I, T> for $kind {
            fn apply_sparse(
                &self,
                out: MatMut<'_, T>,
                a: Sparse<'_, I, T>,
                par: Par,
            ) -> Result<(), SketchError> {
                $how(self, out, a, par)
            }
        }
    };
}

sparse!(Gaussian, by_blocks);
sparse!(Rademacher, by_blocks);
sparse!(Srht, by_columns);
sparse!(TensorSrht, by_columns);

impl<I: Index, T: Scalar> SparseSketch<I, T> for SparseSign {
    fn apply_sparse(
        &self,
        out: MatMut<'_, T>,
        a: Sparse<'_, I, T>,
        par: Par,
    ) -> Result<(), SketchError> {
        match a {
            Sparse::Columns(a) => self.apply_csc(out, a, None, par),
            Sparse::Rows(a) => self.apply_csr(out, a, None, par),
        }
    }
}

impl<I: Index, T: Scalar> SparseSketch<I, T> for TensorSketch {
    fn apply_sparse(
        &self,
        mut out: MatMut<'_, T>,
        a: Sparse<'_, I, T>,
        _: Par,
    ) -> Result<(), SketchError> {
        let sketch: &dyn Sketch<T> = self;
        check((sketch.embedding_dim(), sketch.input_dim()), out.as_ref(), a)?;
        out.fill(T::of(0.0));
        a.for_each(|row, col, value| {
            let place = self.place(row);
            out[((place >> 1) as usize, col)] += signed(place, value);
        });
        Ok(())
    }
}

impl<I: Index, T: Scalar> SparseSketch<I, T> for RowSampling {
    fn apply_sparse(
        &self,
        mut out: MatMut<'_, T>,
        a: Sparse<'_, I, T>,
        _: Par,
    ) -> Result<(), SketchError> {
        let sketch: &dyn Sketch<T> = self;
        check((sketch.embedding_dim(), sketch.input_dim()), out.as_ref(), a)?;
        out.fill(T::of(0.0));
        let by_rows = match a {
            Sparse::Columns(_) => Some(a.by_rows()),
            Sparse::Rows(_) => None,
        };
        for (i, &(row, factor)) in self.picks().iter().enumerate() {
            let mut add = |col: usize, value: T| out[(i, col)] += T::of(factor) * value;
            match (&by_rows, a) {
                (None, Sparse::Rows(a)) => {
                    let cols = a.symbolic().col_idx_of_row_raw(row).iter();
                    cols.zip(a.val_of_row(row)).for_each(|(col, &value)| add(col.zx(), value));
                }
                (lines, _) => {
                    let entries = lines.iter().flat_map(|lines| lines.line(row));
                    entries.for_each(|&(col, value)| add(col, value));
                }
            }
        }
        Ok(())
    }
}
