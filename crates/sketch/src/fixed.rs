//! faer's factorisations and products, with one division of their work: the same bits on any number of threads.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_scratch,
    apply_block_householder_sequence_on_the_left_in_place_with_conj,
};
use faer::linalg::matmul::matmul;
use faer::linalg::qr::no_pivoting::factor::{
    qr_in_place, qr_in_place_scratch, recommended_block_size,
};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Accum, Conj, Mat, MatRef, Par};

use crate::Scalar;

/// Parts of a product or a factorisation, on any number of threads.
const TASKS: usize = 8;

/// What to hand to faer in place of the caller's parallelism, which would decide how sums are divided.
pub(crate) fn fixed(_par: Par) -> Par {
    Par::rayon(TASKS)
}

/// `a b`.
pub(crate) fn multiply<T: Scalar>(a: MatRef<'_, T>, b: MatRef<'_, T>, par: Par) -> Mat<T> {
    let mut out = Mat::zeros(a.nrows(), b.ncols());
    matmul(out.as_mut(), Accum::Replace, a, b, T::one(), fixed(par));
    out
}

/// As many orthonormal columns as `y` has rows or columns, whose span holds that of `y`.
pub(crate) fn orthonormal<T: Scalar>(y: Mat<T>, par: Par) -> Mat<T> {
    thin_qr(y, par).0
}

/// `(Q, R)` with as many columns, and rows, as `y` has rows or columns.
pub(crate) fn thin_qr<T: Scalar>(mut y: Mat<T>, par: Par) -> (Mat<T>, Mat<T>) {
    let par = fixed(par);
    let (rows, cols) = (y.nrows(), y.ncols());
    let size = rows.min(cols);
    let block = recommended_block_size::<T>(rows, cols);
    let mut coefficients = Mat::<T>::zeros(block, size);
    let params = faer::prelude::default();
    let factoring = qr_in_place_scratch::<T>(rows, cols, block, par, params);
    let applying =
        apply_block_householder_sequence_on_the_left_in_place_scratch::<T>(rows, block, size);
    let mut scratch = MemBuffer::new(factoring.or(applying));
    let stack = MemStack::new(&mut scratch);
    qr_in_place(y.as_mut(), coefficients.as_mut(), par, stack, params);
    let mut columns = Mat::identity(rows, size);
    apply_block_householder_sequence_on_the_left_in_place_with_conj(
        y.as_ref().subcols(0, size),
        coefficients.as_ref(),
        Conj::No,
        columns.as_mut(),
        par,
        stack,
    );
    let triangle = Mat::from_fn(size, cols, |i, j| if i <= j { y[(i, j)] } else { T::zero() });
    (columns, triangle)
}

/// `(U, sigma, V)` with as many columns as `a : m x n` has rows or columns, largest values first; `None` where they are not found.
pub(crate) fn thin_svd<T: Scalar>(a: MatRef<'_, T>, par: Par) -> Option<(Mat<T>, Vec<T>, Mat<T>)> {
    let par = fixed(par);
    let (rows, cols) = (a.nrows(), a.ncols());
    let size = rows.min(cols);
    let (mut u, mut v) = (Mat::zeros(rows, size), Mat::zeros(cols, size));
    let mut s = Diag::<T>::zeros(size);
    let (params, thin) = (faer::prelude::default(), ComputeSvdVectors::Thin);
    let mut scratch = MemBuffer::new(svd_scratch::<T>(rows, cols, thin, thin, par, params));
    let stack = MemStack::new(&mut scratch);
    svd(a, s.as_mut(), Some(u.as_mut()), Some(v.as_mut()), par, stack, params).ok()?;
    Some((u, s.column_vector().iter().copied().collect(), v))
}
