//! Arrays of ndarray.

use faer::dyn_stack::{MemStack, StackReq};
use faer::{ColRef, Mat, MatMut, MatRef, Par};
use ndarray_any::{Array2, ArrayBase, ArrayView1, Data, DataMut, Ix1, Ix2, s};

use super::{AsFaer, AsFaerMut, Source, operator};
use crate::op::{AdjointOp, LinOp, Scalar};

impl<T: Scalar, S: Data<Elem = T>> AsFaer<T> for ArrayBase<S, Ix2> {
    fn as_faer(&self) -> Option<MatRef<'_, T>> {
        let (m, n) = self.dim();
        let by_rows = self.as_slice().map(|rows| MatRef::from_row_major_slice(rows, m, n));
        by_rows.or_else(|| {
            self.t().to_slice().map(|columns| MatRef::from_column_major_slice(columns, m, n))
        })
    }

    fn to_faer(&self) -> Mat<T> {
        let (m, n) = self.dim();
        Mat::from_fn(m, n, |i, j| self[(i, j)])
    }
}

impl<T: Scalar, S: DataMut<Elem = T>> AsFaerMut<T> for ArrayBase<S, Ix2> {
    fn as_faer_mut(&mut self) -> Option<MatMut<'_, T>> {
        let (m, n) = self.dim();
        if self.is_standard_layout() {
            return self.as_slice_mut().map(|rows| MatMut::from_row_major_slice_mut(rows, m, n));
        }
        let columns = self.view_mut().reversed_axes().into_slice();
        columns.map(|columns| MatMut::from_column_major_slice_mut(columns, m, n))
    }
}

impl<T: Scalar, S: Data<Elem = T>> AsFaer<T> for ArrayBase<S, Ix1> {
    fn as_faer(&self) -> Option<MatRef<'_, T>> {
        self.as_slice().map(|entries| ColRef::from_slice(entries).as_mat())
    }

    fn to_faer(&self) -> Mat<T> {
        Mat::from_fn(self.len(), 1, |i, _| self[i])
    }
}

impl<T: Scalar, S: DataMut<Elem = T>> AsFaerMut<T> for ArrayBase<S, Ix1> {
    fn as_faer_mut(&mut self) -> Option<MatMut<'_, T>> {
        let n = self.len();
        self.as_slice_mut().map(|entries| MatMut::from_column_major_slice_mut(entries, n, 1))
    }
}

impl<T: Scalar, S: Data<Elem = T> + Sync> Source<T> for ArrayBase<S, Ix2> {
    fn dims(&self) -> (usize, usize) {
        self.dim()
    }

    fn copy_rows(&self, first: usize, mut panel: MatMut<'_, T>) {
        let rows = self.slice(s![first..first + panel.nrows(), ..]);
        for (i, row) in rows.rows().into_iter().enumerate() {
            panel.as_mut().row_mut(i).iter_mut().zip(row).for_each(|(to, &entry)| *to = entry);
        }
    }
}

operator!([S: Data<Elem = T> + Sync] ArrayBase<S, Ix2>);

/// A copy of `x : m x n` in ndarray's standard layout.
///
/// # Examples
/// ```
/// # use ndarray_any as ndarray;
/// use nearlin_krylov::{AsFaer, Cg, to_ndarray};
/// use ndarray::array;
///
/// let a = array![[4.0, 1.0], [1.0, 3.0]];
/// let b = array![1.0, 2.0];
/// let solution = Cg::default().solve(&a, b.to_faer().as_ref())?;
/// let x = to_ndarray(solution.x.as_ref());
/// assert!((x[(0, 0)] - 1.0 / 11.0_f64).abs() < 1e-10);
/// # Ok::<(), nearlin_krylov::KrylovError>(())
/// ```
#[must_use]
pub fn to_ndarray<T: Scalar>(x: MatRef<'_, T>) -> Array2<T> {
    Array2::from_shape_fn((x.nrows(), x.ncols()), |at| x[at])
}

/// A column in place. None if there are gaps between its entries, which those of a `Mat` never have.
#[must_use]
pub fn ndarray_column<T: Scalar>(x: ColRef<'_, T>) -> Option<ArrayView1<'_, T>> {
    x.try_as_col_major().map(|x| ArrayView1::from(x.as_slice()))
}
