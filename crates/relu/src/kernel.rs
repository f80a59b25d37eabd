//! The Gram matrix of infinite width: the arc-cosine kernel of order 0 times the inner product.
//!
//! Cho and Saul, *Kernel methods for deep learning*, NIPS 2009, eq. 6: two inputs at the angle
//! `theta` activate a random neuron together with probability `(pi - theta) / 2 pi`.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use nearlin_dense::{Real, fixed_par, for_each_col_chunk, symmetric_product};

/// The lower triangle of `K_ij = x_i . x_j (pi - angle(x_i, x_j)) / 2 pi` (n x n), the expectation
/// of the Gram matrix over the initial weights. It does not depend on the width, the scale or the
/// step.
///
/// Takes `n^2 d` flops and `n^2 / 2` arc cosines; the strict upper triangle is zero.
#[must_use]
pub fn arc_cosine_kernel<T: Real>(x: MatRef<'_, T>, par: Par) -> Mat<T> {
    let n = x.nrows();
    let mut k = symmetric_product(x, par);
    let lengths: Vec<T> = (0..n).map(|i| k[(i, i)].sqrt()).collect();
    for_each_col_chunk(k.as_mut(), 16, par, |first, mut cols| {
        for c in 0..cols.ncols() {
            let j = first + c;
            for i in j..n {
                let product = cols[(i, c)];
                cols[(i, c)] = if i == j {
                    product * T::of(0.5)
                } else {
                    weigh(product, lengths[i] * lengths[j])
                };
            }
        }
    });
    k
}

/// The kernel of [`arc_cosine_kernel`] between the rows of `x : n x d` and of `z : q x d`: n x q, `2 n q d` flops and `n q`
/// arc cosines.
///
/// # Panics
/// If the rows differ in length.
#[must_use]
pub fn arc_cosine_cross<T: Real>(x: MatRef<'_, T>, z: MatRef<'_, T>, par: Par) -> Mat<T> {
    assert_eq!(x.ncols(), z.ncols(), "inputs of unlike length");
    let lengths =
        |x: MatRef<'_, T>| -> Vec<T> { x.row_iter().map(|x| (x * x.transpose()).sqrt()).collect() };
    let (of_x, of_z) = (lengths(x), lengths(z));
    let mut k = Mat::zeros(x.nrows(), z.nrows());
    matmul(k.as_mut(), Accum::Replace, x, z.transpose(), T::of(1.0), fixed_par(par));
    for_each_col_chunk(k.as_mut(), 16, par, |first, mut cols| {
        for c in 0..cols.ncols() {
            for (i, entry) in cols.as_mut().col_mut(c).iter_mut().enumerate() {
                *entry = weigh(*entry, of_x[i] * of_z[first + c]);
            }
        }
    });
    k
}

/// One entry of [`arc_cosine_kernel`] for two inputs of length `d`, in `O(d)`.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn arc_cosine_entry<T: Real>(x: &[T], y: &[T]) -> T {
    assert_eq!(x.len(), y.len(), "inputs of unlike length");
    let dot = |a: &[T], b: &[T]| a.iter().zip(b).fold(T::of(0.0), |sum, (&a, &b)| sum + a * b);
    let (of_x, of_y) = (dot(x, x), dot(y, y));
    // Equal inputs have cosine 1; the product of squares may be out of range where that of lengths is not.
    weigh(dot(x, y), if of_x == of_y { of_x } else { of_x.sqrt() * of_y.sqrt() })
}

/// `p (pi - acos(p / lengths)) / 2 pi`, 0 where a length is.
fn weigh<T: Real>(product: T, lengths: T) -> T {
    if lengths == T::of(0.0) {
        return T::of(0.0);
    }
    let cosine = (product / lengths).min(T::of(1.0)).max(T::of(-1.0));
    product * (T::of(0.5) - cosine.acos() * T::of(0.5 / core::f64::consts::PI))
}
