//! Matrices of nalgebra.

use faer::dyn_stack::{MemStack, StackReq};
use faer::{ColRef, Mat, MatMut, MatRef, Par};
use nalgebra::{DMatrix, DVectorView, Dim, Dyn, Matrix, VecStorage, ViewStorage};

use super::{AsFaer, AsFaerMut, Source, operator};
use crate::op::{AdjointOp, LinOp, Scalar};

/// `DMatrix`, and `DVector` with its one column.
type Owned<T, C> = Matrix<T, Dyn, C, VecStorage<T, Dyn, C>>;

type View<'a, T, R, C, RS, CS> = Matrix<T, R, C, ViewStorage<'a, T, R, C, RS, CS>>;

impl<T: Scalar, C: Dim> AsFaer<T> for Owned<T, C> {
    fn as_faer(&self) -> Option<MatRef<'_, T>> {
        Some(MatRef::from_column_major_slice(self.as_slice(), self.nrows(), self.ncols()))
    }

    fn to_faer(&self) -> Mat<T> {
        Mat::from_fn(self.nrows(), self.ncols(), |i, j| self[(i, j)])
    }
}

impl<T: Scalar, C: Dim> AsFaerMut<T> for Owned<T, C> {
    fn as_faer_mut(&mut self) -> Option<MatMut<'_, T>> {
        let (m, n) = self.shape();
        Some(MatMut::from_column_major_slice_mut(self.as_mut_slice(), m, n))
    }
}

impl<T: Scalar, R: Dim, C: Dim, RS: Dim, CS: Dim> AsFaer<T> for View<'_, T, R, C, RS, CS> {
    fn as_faer(&self) -> Option<MatRef<'_, T>> {
        None
    }

    fn to_faer(&self) -> Mat<T> {
        Mat::from_fn(self.nrows(), self.ncols(), |i, j| self[(i, j)])
    }
}

impl<T: Scalar, C: Dim> Source<T> for Owned<T, C> {
    fn dims(&self) -> (usize, usize) {
        self.shape()
    }

    fn copy_rows(&self, first: usize, panel: MatMut<'_, T>) {
        copy_rows(|at| self[at], first, panel);
    }
}

impl<T: Scalar, R: Dim, C: Dim, RS: Dim, CS: Dim> Source<T> for View<'_, T, R, C, RS, CS> {
    fn dims(&self) -> (usize, usize) {
        self.shape()
    }

    fn copy_rows(&self, first: usize, panel: MatMut<'_, T>) {
        copy_rows(|at| self[at], first, panel);
    }
}

fn copy_rows<T: Scalar>(
    entry: impl Fn((usize, usize)) -> T,
    first: usize,
    mut panel: MatMut<'_, T>,
) {
    for j in 0..panel.ncols() {
        let column = panel.as_mut().col_mut(j);
        column.iter_mut().enumerate().for_each(|(i, to)| *to = entry((first + i, j)));
    }
}

operator!([C: Dim] Owned<T, C>);
operator!([R: Dim, C: Dim, RS: Dim, CS: Dim] View<'_, T, R, C, RS, CS>);

/// A copy of `x : m x n`.
///
/// # Examples
/// ```
/// use nalgebra::{DMatrix, DVector};
/// use nearlin_krylov::{AsFaer, Cg, to_nalgebra};
///
/// let a = DMatrix::from_row_slice(2, 2, &[4.0, 1.0, 1.0, 3.0]);
/// let b = DVector::from_vec(vec![1.0, 2.0]);
/// let solution = Cg::default().solve(&a, b.to_faer().as_ref())?;
/// let x = to_nalgebra(solution.x.as_ref());
/// assert!((x[(0, 0)] - 1.0 / 11.0_f64).abs() < 1e-10);
/// # Ok::<(), nearlin_krylov::KrylovError>(())
/// ```
#[must_use]
pub fn to_nalgebra<T: Scalar>(x: MatRef<'_, T>) -> DMatrix<T> {
    DMatrix::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)])
}

/// A column in place. None if there are gaps between its entries, which those of a `Mat` never have.
#[must_use]
pub fn nalgebra_column<T: Scalar>(x: ColRef<'_, T>) -> Option<DVectorView<'_, T>> {
    x.try_as_col_major().map(|x| DVectorView::from_slice(x.as_slice(), x.nrows()))
}
