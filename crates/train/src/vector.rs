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

/// What counts beside numbers of size 1 in `f32`: products of subnormal numbers take processors a hundred times as long.
const LEAST: f64 = 1e-20;

/// The nearest scalars, with zeros in `f32` for what does not count beside numbers of that size.
pub(crate) fn cast_beside<T: Real>(size: f64, x: impl Iterator<Item = f64>) -> Vec<T> {
    let least = if T::NAME == "f32" { LEAST * size } else { 0.0 };
    x.map(|x| cast(if x.abs() < least { 0.0 } else { x })).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Beside numbers of size 1 none is subnormal, and nothing else is lost; `f64` keeps all.
    #[test]
    fn what_counts_is_kept() {
        let falling = || (0..60).map(|power| -10f64.powi(-power));
        let short: Vec<f32> = cast_beside(1.0, falling());
        assert!(short.iter().all(|&v| v == 0.0 || v.is_normal()));
        assert!(
            short
                .iter()
                .zip(falling())
                .all(|(&v, x)| v == if x < -0.5e-20 { x as f32 } else { 0.0 })
        );
        assert!(cast_beside::<f64>(1.0, falling()).into_iter().eq(falling()));
        // In other units likewise.
        let long: Vec<f32> = cast_beside(1e30, falling().map(|x| 1e30 * x));
        assert_eq!(
            long.iter().filter(|v| **v != 0.0).count(),
            short.iter().filter(|v| **v != 0.0).count()
        );
    }
}
