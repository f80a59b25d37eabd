//! Laws of the products with several outputs, at sizes that no tile, strip or panel divides.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::noise;
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_dense::{PackedMask, Real, masked_adjoint, masked_apply};
use proptest::prelude::*;

/// A matrix by rows (0), by columns (1), or with both backwards (2): no two entries side by side in order.
struct Stored<T> {
    values: Mat<T>,
    order: usize,
}

impl<T: Real> Stored<T> {
    fn new(rows: usize, cols: usize, order: usize, entry: impl Fn(usize, usize) -> f64) -> Self {
        let shape = if order == 0 { (cols, rows) } else { (rows, cols) };
        let mut stored = Self { values: Mat::zeros(shape.0, shape.1), order };
        let mut view = stored.as_mut();
        (0..rows).for_each(|i| (0..cols).for_each(|j| view[(i, j)] = T::of(entry(i, j))));
        stored
    }

    fn as_mut(&mut self) -> MatMut<'_, T> {
        match self.order {
            0 => self.values.as_mut().transpose_mut(),
            1 => self.values.as_mut(),
            _ => self.values.as_mut().reverse_rows_and_cols_mut(),
        }
    }

    fn as_ref(&self) -> MatRef<'_, T> {
        match self.order {
            0 => self.values.transpose(),
            1 => self.values.as_ref(),
            _ => self.values.as_ref().reverse_rows_and_cols(),
        }
    }
}

/// Every entry of both products errs by at most `gamma_t` times the sum of its terms' sizes, where `t`
/// counts the roundings that a term goes through (Higham, section 3.1): one for each input, neuron
/// and output, and a few for the scale.
fn entrywise<T: Real>(
    (n, m, d, k): (usize, usize, usize, usize),
    order: usize,
    seed: u64,
) -> Result<(), TestCaseError> {
    let mask = PackedMask::from_fn(n, m, |i, r| noise(seed ^ 7, i, r) > 0.0);
    let matrix = |rows, cols, salt: u64, order| {
        Stored::<T>::new(rows, cols, order % 3, |i, j| noise(seed ^ salt, i, j))
    };
    let (x, a) = (matrix(n, d, 1, order), matrix(m, k, 2, order / 3));
    let (v, u) = (matrix(m, d, 3, order / 9), matrix(n, k, 4, order / 27));
    let (x, a, v, u) = (x.as_ref(), a.as_ref(), v.as_ref(), u.as_ref());
    let mut y = Stored::<T>::new(n, k, order % 3, |_, _| f64::NAN);
    let mut w = Stored::<T>::new(m, d, order / 3 % 3, |_, _| f64::NAN);
    let alpha = T::of(0.75);
    masked_apply(y.as_mut(), &mask, x, v, a, alpha, Par::Seq).unwrap();
    masked_adjoint(w.as_mut(), &mask, x, u, a, alpha, Par::Seq).unwrap();

    let mut want_y = Mat::from_fn(n, k, |_, _| (0.0f64, 0.0f64));
    let mut want_w = Mat::from_fn(m, d, |_, _| (0.0f64, 0.0f64));
    let add = |sum: &mut (f64, f64), term: f64, size: f64| *sum = (sum.0 + term, sum.1 + size);
    for i in 0..n {
        for r in (0..m).filter(|&r| mask.get(i, r)) {
            let terms = (0..d).map(|q| x[(i, q)].as_f64() * v[(r, q)].as_f64());
            let (dot, size) = terms.fold((0.0, 0.0), |(s, t), z| (s + z, t + z.abs()));
            let weights = (0..k).map(|c| a[(r, c)].as_f64() * u[(i, c)].as_f64());
            let (weight, weight_size) = weights.fold((0.0, 0.0), |(s, t), z| (s + z, t + z.abs()));
            for c in 0..k {
                let a = 0.75 * a[(r, c)].as_f64();
                add(&mut want_y[(i, c)], a * dot, (a * size).abs());
            }
            for q in 0..d {
                let x = 0.75 * x[(i, q)].as_f64();
                add(&mut want_w[(r, q)], x * weight, (x * weight_size).abs());
            }
        }
    }
    // `gamma_t <= 1.01 t eps / 2` for the roundings of `T`; the sum in `f64` has as many of its own.
    let unit = T::epsilon().as_f64() + f64::EPSILON;
    let close = |got: MatRef<'_, T>, want: &Mat<(f64, f64)>, roundings: usize| {
        (0..got.nrows()).all(|i| {
            (0..got.ncols()).all(|j| {
                let (sum, size) = want[(i, j)];
                (got[(i, j)].as_f64() - sum).abs() <= (roundings + 4) as f64 * unit * size
            })
        })
    };
    prop_assert!(close(y.as_ref(), &want_y, d + m), "J v");
    prop_assert!(close(w.as_ref(), &want_w, k + n), "J^T u");
    Ok(())
}

/// Entries between kinks of the arithmetic: few and many neurons, inputs and outputs.
fn shape() -> impl Strategy<Value = (usize, usize, usize, usize)> {
    let some = |most: usize| prop_oneof![1usize..9, 1..most];
    (some(210), some(420), some(40), some(14))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn products_are_the_definition(shape in shape(), order in 0usize..81, seed: u64) {
        entrywise::<f64>(shape, order, seed)?;
        entrywise::<f32>(shape, order, seed)?;
    }

    /// What is not active is not read into a sum: infinities there change nothing.
    #[test]
    fn inactive_entries_do_not_count(n in 1usize..80, m in 1usize..80, seed: u64) {
        let mask = PackedMask::from_fn(n, m, |i, r| i > 0 && noise(seed, i, r) > 0.0);
        let x = Mat::from_fn(n, 3, |i, j| if i == 0 { f64::INFINITY } else { noise(seed ^ 1, i, j) });
        let (a, v) = (Mat::from_fn(m, 2, |_, _| 1.0), Mat::from_fn(m, 3, |_, _| 1.0));
        let mut y = Mat::from_fn(n, 2, |_, _| f64::NAN);
        masked_apply(y.as_mut(), &mask, x.as_ref(), v.as_ref(), a.as_ref(), 1.0, Par::Seq).unwrap();
        prop_assert_eq!((y[(0, 0)], y[(0, 1)]), (0.0, 0.0));
        prop_assert!(y.col_iter().all(|col| col.iter().all(|y| y.is_finite())));
    }
}

/// More inputs than a tile is summed over at once, more neurons than are packed at once, and sums of a
/// word of lanes over more than one strip.
#[test]
fn pieces_fit_together() {
    entrywise::<f64>((5, 1100, 600, 3), 0, 1).unwrap();
    entrywise::<f32>((70, 130, 300, 2), 3, 2).unwrap();
    entrywise::<f32>((103, 5, 2, 300), 9, 3).unwrap();
    entrywise::<f64>((210, 150, 290, 3), 1, 4).unwrap();
}

/// Empty sums are zero.
#[test]
fn nothing_gives_zeros() {
    for (n, m, d, k) in [(3, 4, 0, 2), (3, 0, 2, 2), (3, 4, 2, 0), (0, 4, 2, 2)] {
        let mask = PackedMask::from_fn(n, m, |_, _| true);
        let one = |rows, cols| Mat::from_fn(rows, cols, |_, _| 1.0);
        let (x, a, v, u) = (one(n, d), one(m, k), one(m, d), one(n, k));
        let (mut y, mut w) = (one(n, k), one(m, d));
        let par = Par::Seq;
        masked_apply(y.as_mut(), &mask, x.as_ref(), v.as_ref(), a.as_ref(), 1.0, par).unwrap();
        masked_adjoint(w.as_mut(), &mask, x.as_ref(), u.as_ref(), a.as_ref(), 1.0, par).unwrap();
        assert!(y == Mat::zeros(n, k) && w == Mat::zeros(m, d), "{n} x {m} x {d} x {k}");
    }
}
