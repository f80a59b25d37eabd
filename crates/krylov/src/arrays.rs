//! Arrays of other libraries as operators and as blocks of columns: ndarray's behind feature `ndarray`, nalgebra's behind
//! `nalgebra`.
//!
//! Where entries lie one after the other, by rows or by columns, safe code can see them as a matrix of faer in place, and
//! products are that matrix's. Of any other array (gaps between its rows, negative strides) a product copies some rows at a time
//! into a cache, so that no strides are wrong and none need `unsafe`.

#[cfg(feature = "nalgebra")]
mod of_nalgebra;
#[cfg(feature = "ndarray")]
mod of_ndarray;

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::matmul::matmul;
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::{Accum, Mat, MatMut, MatRef, Par};

#[cfg(feature = "nalgebra")]
pub use self::of_nalgebra::{nalgebra_column, to_nalgebra};
#[cfg(feature = "ndarray")]
pub use self::of_ndarray::{ndarray_column, to_ndarray};
use crate::dense::both;
use crate::op::{AdjointOp, LinOp, Scalar};

/// Bytes of the rows that are copied at a time: a part of a second-level cache.
const PANEL: usize = 128 << 10;

/// An array of another library as a matrix of faer, a vector as one column.
///
/// For arrays and views of ndarray with one or two dimensions (feature `ndarray`), for `DMatrix`, `DVector` and views of
/// nalgebra (feature `nalgebra`). The ways back are `to_ndarray` and `to_nalgebra`.
pub trait AsFaer<T> {
    /// The array in place. None unless its entries lie one after the other, by rows or by columns, and for nalgebra's views,
    /// which never tell safe code that they do.
    fn as_faer(&self) -> Option<MatRef<'_, T>>;

    /// A copy, whatever the strides.
    fn to_faer(&self) -> Mat<T>;
}

/// An array of another library as a matrix of faer that is written to, such as the `x` of a solve.
pub trait AsFaerMut<T>: AsFaer<T> {
    /// The array in place; none where [`as_faer`](AsFaer::as_faer) has none.
    fn as_faer_mut(&mut self) -> Option<MatMut<'_, T>>;
}

/// A matrix (m x n) that is seen in place or copied by rows.
trait Source<T>: AsFaer<T> + Sync {
    /// `(m, n)`.
    fn dims(&self) -> (usize, usize);

    /// `panel <- A[first.., :]`, as many rows as `panel` has.
    fn copy_rows(&self, first: usize, panel: MatMut<'_, T>);
}

/// Rows of a panel.
fn panel_rows<T>((m, n): (usize, usize)) -> usize {
    (PANEL / (n.max(1) * size_of::<T>())).max(16).min(m.max(1))
}

fn panel_scratch<T: Scalar>(dims: (usize, usize)) -> StackReq {
    temp_mat_scratch::<T>(panel_rows::<T>(dims), dims.1)
}

/// Calls `work` for some rows after the other, with the index of the first of them.
fn by_panels<T: Scalar>(
    a: &impl Source<T>,
    stack: &mut MemStack,
    mut work: impl FnMut(usize, MatRef<'_, T>),
) {
    let (m, n) = a.dims();
    let rows = panel_rows::<T>((m, n));
    let (mut panel, _) = temp_mat_zeroed::<T, _, _>(rows, n, stack);
    let mut panel = panel.as_mat_mut();
    for first in (0..m).step_by(rows) {
        let mut panel = panel.as_mut().subrows_mut(0, rows.min(m - first));
        a.copy_rows(first, panel.as_mut());
        work(first, panel.as_ref());
    }
}

fn apply_scratch<T: Scalar>(a: &impl Source<T>, k: usize, par: Par) -> StackReq {
    a.as_faer().map_or_else(|| panel_scratch::<T>(a.dims()), |a| a.apply_scratch(k, par))
}

fn apply<T: Scalar>(
    a: &impl Source<T>,
    mut y: MatMut<'_, T>,
    x: MatRef<'_, T>,
    par: Par,
    stack: &mut MemStack,
) {
    if let Some(a) = a.as_faer() {
        return a.apply(y, x, par, stack);
    }
    by_panels(a, stack, |first, rows| {
        let y = y.as_mut().subrows_mut(first, rows.nrows());
        matmul(y, Accum::Replace, rows, x, T::of(1.0), Par::Seq);
    });
}

fn apply_adjoint_scratch<T: Scalar>(a: &impl Source<T>, k: usize, par: Par) -> StackReq {
    a.as_faer().map_or_else(|| panel_scratch::<T>(a.dims()), |a| a.apply_adjoint_scratch(k, par))
}

fn apply_adjoint<T: Scalar>(
    a: &impl Source<T>,
    mut x: MatMut<'_, T>,
    y: MatRef<'_, T>,
    par: Par,
    stack: &mut MemStack,
) {
    if let Some(a) = a.as_faer() {
        return a.apply_adjoint(x, y, par, stack);
    }
    x.fill(T::of(0.0));
    by_panels(a, stack, |first, rows| {
        let y = y.subrows(first, rows.nrows());
        matmul(x.as_mut(), Accum::Add, rows.transpose(), y, T::of(1.0), Par::Seq);
    });
}

fn apply_both_scratch<T: Scalar>(a: &impl Source<T>, k: usize, par: Par) -> StackReq {
    a.as_faer().map_or_else(|| panel_scratch::<T>(a.dims()), |a| a.apply_both_scratch(k, par))
}

/// One pass over the rows, copied or not.
fn apply_both<T: Scalar>(
    a: &impl Source<T>,
    (mut y, alpha): (MatMut<'_, T>, &[T]),
    x: MatRef<'_, T>,
    mut z: MatMut<'_, T>,
    par: Par,
    stack: &mut MemStack,
) {
    if let Some(a) = a.as_faer() {
        return a.apply_both(y, alpha, x, z, par, stack);
    }
    z.fill(T::of(0.0));
    by_panels(a, stack, |first, rows| {
        let y = y.as_mut().subrows_mut(first, rows.nrows());
        both(rows, y, alpha, x, z.as_mut());
    });
}

/// The traits of operators for a [`Source`].
macro_rules! operator {
    ([$($generics:tt)*] $kind:ty) => {
        impl<T: Scalar, $($generics)*> LinOp<T> for $kind {
            fn nrows(&self) -> usize {
                self.dims().0
            }

            fn ncols(&self) -> usize {
                self.dims().1
            }

            fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
                super::apply_scratch(self, k, par)
            }

            fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
                super::apply(self, y, x, par, stack);
            }
        }

        impl<T: Scalar, $($generics)*> AdjointOp<T> for $kind {
            fn apply_adjoint_scratch(&self, k: usize, par: Par) -> StackReq {
                super::apply_adjoint_scratch(self, k, par)
            }

            fn apply_adjoint(
                &self,
                x: MatMut<'_, T>,
                y: MatRef<'_, T>,
                par: Par,
                stack: &mut MemStack,
            ) {
                super::apply_adjoint(self, x, y, par, stack);
            }

            fn apply_both_scratch(&self, k: usize, par: Par) -> StackReq {
                super::apply_both_scratch(self, k, par)
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
                super::apply_both(self, (y, alpha), x, z, par, stack);
            }
        }
    };
}

use operator;
