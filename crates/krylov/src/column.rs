//! Products of a matrix stored by columns with one vector, several columns at a time.
//!
//! Such products wait for memory, as long as every column is read in long runs, sums are touched once for several columns, and
//! the compiler may use the vectors that the machine has.

#![allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]

use faer::{ContiguousFwd, MatMut, MatRef};
use pulp::{Arch, NullaryFnOnce};

use crate::op::Scalar;

/// Columns that are read side by side.
const SIDE: usize = 4;

/// Sums of an inner product that are kept apart.
const LANES: usize = 8;

/// `y <- A x - alpha y` and then `z <- z + A* y` for single vectors, all with contiguous columns, in blocks of `rows` rows;
/// false, and nothing done, otherwise. The cache still holds a block when it is multiplied the second time.
pub(crate) fn both<T: Scalar>(
    a: MatRef<'_, T>,
    y: MatMut<'_, T>,
    alpha: T,
    x: MatRef<'_, T>,
    z: MatMut<'_, T>,
    rows: usize,
) -> bool {
    if x.ncols() != 1 {
        return false;
    }
    let (Some(a), Some(x)) = (a.try_as_col_major(), x.try_as_col_major()) else { return false };
    let (Some(y), Some(z)) = (y.try_as_col_major_mut(), z.try_as_col_major_mut()) else {
        return false;
    };
    let (x, y, z) = (x.col(0).as_slice(), y.col_mut(0).as_slice_mut(), z.col_mut(0).as_slice_mut());
    Arch::new().dispatch(Both { a, x, y, alpha, z, rows });
    true
}

/// The two products.
struct Both<'a, T> {
    a: MatRef<'a, T, usize, usize, ContiguousFwd>,
    x: &'a [T],
    y: &'a mut [T],
    alpha: T,
    z: &'a mut [T],
    rows: usize,
}

impl<T: Scalar> NullaryFnOnce for Both<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { a, x, y, alpha, z, rows } = self;
        let whole = a.ncols() / SIDE * SIDE;
        let sides: [usize; SIDE] = core::array::from_fn(|at| at);
        for (index, y) in y.chunks_mut(rows).enumerate() {
            let height = y.len();
            let column = |j: usize| &a.col(j).as_slice()[index * rows..][..height];
            for y in &mut *y {
                *y *= -alpha;
            }
            for j in (0..whole).step_by(SIDE) {
                add_columns(y, sides.map(|at| column(j + at)), sides.map(|at| x[j + at]));
            }
            for (j, &x) in x.iter().enumerate().skip(whole) {
                add_columns(y, [column(j)], [x]);
            }
            for j in (0..whole).step_by(SIDE) {
                let sums = inner_products(sides.map(|at| column(j + at)), y);
                z[j..j + SIDE].iter_mut().zip(sums).for_each(|(z, sum)| *z += sum);
            }
            for (j, z) in z.iter_mut().enumerate().skip(whole) {
                let [sum] = inner_products([column(j)], y);
                *z += sum;
            }
        }
    }
}

/// `y <- y + ` the columns times their factors.
#[inline(always)]
fn add_columns<T: Scalar, const C: usize>(y: &mut [T], columns: [&[T]; C], factors: [T; C]) {
    let columns = columns.map(|column| &column[..y.len()]);
    for (i, y) in y.iter_mut().enumerate() {
        let mut sum = columns[0][i] * factors[0];
        for at in 1..C {
            sum += columns[at][i] * factors[at];
        }
        *y += sum;
    }
}

/// The inner product of each column with `y`.
#[inline(always)]
fn inner_products<T: Scalar, const C: usize>(columns: [&[T]; C], y: &[T]) -> [T; C] {
    let columns = columns.map(|column| &column[..y.len()]);
    let mut sums = [[T::of(0.0); LANES]; C];
    let whole = y.len() / LANES * LANES;
    for i in (0..whole).step_by(LANES) {
        let y: &[T] = &y[i..i + LANES];
        for (sums, column) in sums.iter_mut().zip(&columns) {
            let column = &column[i..i + LANES];
            for lane in 0..LANES {
                sums[lane] += column[lane] * y[lane];
            }
        }
    }
    for (sums, column) in sums.iter_mut().zip(&columns) {
        for (sum, (&v, &y)) in sums.iter_mut().zip(column[whole..].iter().zip(&y[whole..])) {
            *sum += v * y;
        }
    }
    sums.map(|sums| sums.into_iter().fold(T::of(0.0), |total, sum| total + sum))
}

#[cfg(test)]
mod tests {
    use faer::Mat;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// In blocks of any height: `A x - alpha y`, and the adjoint of that added to what was there, to the rounding of their sums.
        #[test]
        fn blocks_are_the_whole(m in 0usize..70, n in 0usize..14, rows in 1usize..40, alpha in -2.0..2.0f64) {
            let wave = |at: usize| (1.7 * at as f64 + 0.3).sin();
            let a = Mat::from_fn(m, n, |i, j| wave(i * 14 + j));
            let (x, y) = (Mat::from_fn(n, 1, |i, _| wave(3 * i)), Mat::from_fn(m, 1, |i, _| wave(5 * i)));
            let z = Mat::from_fn(n, 1, |i, _| wave(7 * i));
            let (mut new_y, mut new_z) = (y.clone(), z.clone());
            prop_assert!(both(a.as_ref(), new_y.as_mut(), alpha, x.as_ref(), new_z.as_mut(), rows));
            let want_y = Mat::from_fn(m, 1, |i, _| (a.row(i) * x.col(0)) - alpha * y[(i, 0)]);
            let want_z = &z + a.transpose() * &want_y;
            prop_assert!((&new_y - &want_y).norm_l2() <= 1e-13);
            prop_assert!((&new_z - &want_z).norm_l2() <= 1e-12);
            // Rows of a matrix are no columns.
            if m > 1 && n > 1 {
                let turned = a.transpose();
                let (mut u, v) = (Mat::zeros(n, 1), Mat::zeros(m, 1));
                let mut w = v.clone();
                prop_assert!(!both(turned, u.as_mut(), alpha, v.as_ref(), w.as_mut(), rows));
            }
        }
    }
}
