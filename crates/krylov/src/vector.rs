//! Columns of matrices.

use faer::{ColMut, ColRef, MatMut, MatRef};

use crate::op::Scalar;

/// `y <- b / scale`, or 0 where `scale` is.
pub(crate) fn scaled_copy<T: Scalar>(y: ColMut<'_, T>, b: ColRef<'_, T>, scale: f64) {
    let divisor = if scale == 0.0 { 1.0 } else { scale };
    for (y, &b) in y.iter_mut().zip(b.iter()) {
        *y = T::of(b.into() / divisor);
    }
}

/// `r <- b / scale - q`.
pub(crate) fn residual<T: Scalar>(
    mut r: ColMut<'_, T>,
    b: ColRef<'_, T>,
    scale: f64,
    q: ColRef<'_, T>,
) {
    scaled_copy(r.as_mut(), b, scale);
    for (r, &q) in r.iter_mut().zip(q.iter()) {
        *r -= q;
    }
}

/// `q <- b / scale - q`.
pub(crate) fn subtract_from<T: Scalar>(q: ColMut<'_, T>, b: ColRef<'_, T>, scale: f64) {
    let divisor = if scale == 0.0 { 1.0 } else { scale };
    for (q, &b) in q.iter_mut().zip(b.iter()) {
        *q = T::of(b.into() / divisor) - *q;
    }
}

/// `|x - y|`, summed in `f64`.
pub(crate) fn distance<T: Scalar>(x: ColRef<'_, T>, y: ColRef<'_, T>) -> f64 {
    let squares = x.iter().zip(y.iter()).map(|(&x, &y)| (x.into() - y.into()).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Inner product, summed in `f64`.
pub(crate) fn dot<T: Scalar>(x: ColRef<'_, T>, y: ColRef<'_, T>) -> f64 {
    x.iter().zip(y.iter()).map(|(&x, &y)| x.into() * y.into()).sum()
}

pub(crate) fn norm<T: Scalar>(x: ColRef<'_, T>) -> f64 {
    dot(x, x).sqrt()
}

/// Applies an operator to the columns `order` of `x`, and leaves the results side by side at the left of `y`; `spare` holds
/// a copy of them where they are not all.
pub(crate) fn apply_to<T: Scalar>(
    apply: impl FnOnce(MatMut<'_, T>, MatRef<'_, T>),
    order: &[usize],
    y: MatMut<'_, T>,
    x: MatRef<'_, T>,
    mut spare: MatMut<'_, T>,
) {
    if order.len() == x.ncols() {
        return apply(y, x);
    }
    for (at, &j) in order.iter().enumerate() {
        spare.as_mut().col_mut(at).copy_from(x.col(j));
    }
    apply(y.subcols_mut(0, order.len()), spare.as_ref().subcols(0, order.len()));
}

/// `y <- by y`.
pub(crate) fn scale<T: Scalar>(y: ColMut<'_, T>, by: f64) {
    let by = T::of(by);
    y.iter_mut().for_each(|y| *y *= by);
}

/// `y <- y + by x`.
pub(crate) fn add<T: Scalar>(y: ColMut<'_, T>, by: f64, x: ColRef<'_, T>) {
    let by = T::of(by);
    y.iter_mut().zip(x.iter()).for_each(|(y, &x)| *y += by * x);
}

/// Euclidean norm by way of the largest entry: squares of 1e-200 or 1e200 would leave the range.
pub(crate) fn robust_norm<T: Scalar>(x: ColRef<'_, T>) -> f64 {
    let largest = x.iter().fold(0.0, |max: f64, &v| max.max(v.abs().into()));
    let sum: f64 = x.iter().map(|&v| (v.into() / largest.max(f64::MIN_POSITIVE)).powi(2)).sum();
    largest * sum.sqrt()
}
