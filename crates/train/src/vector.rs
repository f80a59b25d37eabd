//! Small helpers on flat, row-major vectors.

use faer::{MatMut, MatRef};
use nearlin_dense::Real;

/// A scalar that all parts can work in: `f32` or `f64`.
pub trait Element: Real + nearlin_krylov::Scalar + nearlin_sketch::Scalar {}

impl<T: Real + nearlin_krylov::Scalar + nearlin_sketch::Scalar> Element for T {}

/// The nearest scalar to `x`.
pub(crate) fn cast<T: Real>(x: f64) -> T {
    T::of(x)
}

/// Euclidean norm.
pub(crate) fn norm(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// `|x - y|`.
pub(crate) fn distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
}

/// `a / b`, 0 where `b` is not positive.
pub(crate) fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

/// A row-major `rows x cols` matrix on `x`.
pub(crate) fn rows(x: &[f64], rows: usize, cols: usize) -> MatRef<'_, f64> {
    MatRef::from_row_major_slice(x, rows, cols)
}

/// A row-major `rows x cols` matrix on `x`, to be written.
pub(crate) fn rows_mut(x: &mut [f64], rows: usize, cols: usize) -> MatMut<'_, f64> {
    MatMut::from_row_major_slice_mut(x, rows, cols)
}
