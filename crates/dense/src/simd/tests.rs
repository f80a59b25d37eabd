//! Every level gives what the portable kernels give: the same bits, but where one rounds a product and a sum together.
//!
//! Rust neither reorders sums nor fuses them with products, so one loop compiled for several instruction sets has
//! one result. Vectors of other lengths cut the work in other ways, none of which changes the order of a sum.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use faer::{Mat, MatMut, Par};

use super::level::Level;
use super::level::side_by_side::at_each_level;
use crate::{
    MaskFlips, PackedMask, Real, Rectified, Triangular, combine_rows, masked_adjoint, masked_apply,
    masked_gram_apply, popcount_gram, popcount_gram_update, rectified_apply, screened_signs,
};

/// A number in [-1, 1) for each place: SplitMix64 of `(seed, i, j)`.
fn noise(seed: u64, i: usize, j: usize) -> f64 {
    let mut z = seed ^ (i as u64) << 32 ^ j as u64;
    for _ in 0..2 {
        z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
    }
    (z >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn matrix<T: Real>(rows: usize, cols: usize, seed: u64) -> Mat<T> {
    Mat::from_fn(rows, cols, |i, j| T::of(noise(seed, i, j)))
}

fn mask(rows: usize, width: usize, seed: u64) -> PackedMask {
    PackedMask::from_fn(rows, width, |i, r| noise(seed, i, r) > 0.0)
}

/// Asserts that all levels give one result.
fn same_bits<R: PartialEq + Send>(what: &str, run: impl Fn() -> R + Sync) {
    let (portable, higher) = at_each_level(run);
    for (level, found) in higher {
        assert!(found == portable, "{what}: {level:?} differs from the portable kernels");
    }
}

/// One and several pieces of columns, several chunks of neurons, last batches of any length.
fn tables_have_the_same_bits<T: Real>() {
    for (n, m, d) in
        [(128, 128, 1), (131, 700, 8), (300, 1700, 37), (2100, 200, 16), (150, 450, 70)]
    {
        let (mask, x, signs) = (mask(n, m, 1), matrix::<T>(n, d, 2), matrix::<T>(m, 1, 3));
        let (u, v, alpha) = (matrix::<T>(n, 1, 4), matrix::<T>(m, d, 5), T::of(0.5));
        let (x, signs, u, v) = (x.as_ref(), signs.as_ref(), u.as_ref(), v.as_ref());
        let products = || {
            let [mut y, mut swept] = [0, 1].map(|_| Mat::<T>::zeros(n, 1));
            let mut w = Mat::<T>::zeros(m, d);
            masked_apply(y.as_mut(), &mask, x, v, signs, alpha, Par::Seq).unwrap();
            masked_adjoint(w.as_mut(), &mask, x, u, signs, alpha, Par::Seq).unwrap();
            masked_gram_apply(swept.as_mut(), &mask, x, u, signs, alpha, Par::Seq).unwrap();
            [y, w, swept]
        };
        // A matrix unit sums in an order of its own.
        let (portable, higher) = at_each_level(products);
        for (level, found) in higher.into_iter().filter(|(level, _)| *level < Level::Amx) {
            assert!(found == portable, "{n} x {m} x {d} {}: {level:?}", T::NAME);
        }
    }
}

#[test]
fn every_level_looks_up_the_same_bits() {
    tables_have_the_same_bits::<f32>();
    tables_have_the_same_bits::<f64>();
}

/// Rows shorter than a vector, of whole vectors, and with a rest; lists of every length modulo four.
fn flips_have_the_same_bits<T: Real>() {
    for (d, k) in [(1, 1), (5, 3), (8, 1), (16, 10), (23, 4), (61, 2)] {
        let (n, m) = (140, 90);
        let before = mask(n, m, 1);
        let after =
            PackedMask::from_fn(n, m, |i, r| before.get(i, r) != (noise(2, i, r).abs() < 0.15));
        let flips = MaskFlips::between(&before, &after);
        let (x, signs) = (matrix::<T>(n, d, 3), matrix::<T>(m, k, 4));
        let (u, v, alpha) = (matrix::<T>(n, k, 5), matrix::<T>(m, d, 6), T::of(0.7));
        let (x, signs, u, v) = (x.as_ref(), signs.as_ref(), u.as_ref(), v.as_ref());
        same_bits(&format!("flips, d = {d}, K = {k}, {}", T::NAME), || {
            let (mut y, mut w) = (u.to_owned(), v.to_owned());
            flips.apply(y.as_mut(), x, v, signs, alpha, Par::Seq).unwrap();
            flips.adjoint(w.as_mut(), x, u, signs, alpha, Par::Seq).unwrap();
            (y, w)
        });
    }
}

#[test]
fn every_level_corrects_for_flips_with_the_same_bits() {
    flips_have_the_same_bits::<f32>();
    flips_have_the_same_bits::<f64>();
}

fn rows_have_the_same_bits<T: Real>() {
    for (d, terms) in [(1, 1), (7, 3), (16, 33), (62, 40), (131, 70)] {
        let a = matrix::<T>(50, d, 1);
        let term = |i: usize, c: usize| (T::of(noise(2, i, c)), (i * 7 + 3 * c) % 50);
        same_bits(&format!("{terms} rows of {d} {}", T::NAME), || {
            let mut sums = Mat::<T>::zeros(70, d);
            combine_rows(sums.as_mut(), a.as_ref(), terms, term, Par::Seq).unwrap();
            sums
        });
    }
}

#[test]
fn every_level_combines_rows_with_the_same_bits() {
    rows_have_the_same_bits::<f32>();
    rows_have_the_same_bits::<f64>();
}

/// The sweep rounds as its level does, in single precision or to whole numbers, but leaves to exact products whatever rounding could
/// change; these are one loop, so masks and crossings, with their values, are the same.
#[test]
fn every_level_screens_the_same_signs() {
    let (n, d, p, copies) = (150, 20, 128, 2);
    for step in [0.0, 1e-9, 1e-3, 0.05, 3.0] {
        let x = Mat::from_fn(n, d, |i, q| noise(1, i, q) + if q == 0 { 0.5 } else { 0.0 });
        let change = Mat::from_fn(p * copies, d, |r, q| step / d as f64 * noise(2, r, q));
        let (directions, signs) = (matrix(p, d, 3), matrix(p * copies, 1, 4));
        let of = Rectified {
            x: x.as_ref(),
            directions: directions.as_ref(),
            change: change.as_ref(),
            signs: signs.as_ref(),
        };
        same_bits(&format!("a step of {step}"), || {
            let screened = screened_signs(of, Par::Seq).unwrap();
            assert!(screened.is_some(), "a step of {step}");
            screened
        });
    }
}

/// Operands are whole numbers and all sums below 2^24, so nothing rounds, fused or not.
fn whole_forward_passes_have_the_same_bits<T: Real>() {
    for (n, d, p, copies, k) in [(3, 1, 5, 1, 1), (70, 9, 64, 2, 3), (150, 20, 97, 3, 1)] {
        let whole = |rows, cols, seed| {
            Mat::<T>::from_fn(rows, cols, |i, j| T::of((3.0 * noise(seed, i, j)).round()))
        };
        let (x, directions) = (whole(n, d, 1), whole(p, d, 2));
        let (change, signs) = (whole(p * copies, d, 3), whole(p * copies, k, 4));
        let of = Rectified {
            x: x.as_ref(),
            directions: directions.as_ref(),
            change: change.as_ref(),
            signs: signs.as_ref(),
        };
        same_bits(&format!("{n} x {d} x {p} x {copies}, {k} outputs, {}", T::NAME), || {
            let mut y = Mat::<T>::zeros(n, k);
            let (mask, flips) = rectified_apply(y.as_mut(), of, T::of(0.5), Par::Seq).unwrap();
            (y, mask, flips)
        });
    }
}

#[test]
fn every_level_rectifies_whole_numbers_with_the_same_bits() {
    whole_forward_passes_have_the_same_bits::<f32>();
    whole_forward_passes_have_the_same_bits::<f64>();
}

/// Counts are whole numbers, and an entry is one product after the other. One neuron in nine flips, which updates the
/// matrix and does not rebuild it.
fn gram_matrices_have_the_same_bits<T: Real>() {
    for (n, m) in [(1, 1), (37, 200), (150, 700), (300, 4100)] {
        let before = mask(n, m, 1);
        let after =
            PackedMask::from_fn(n, m, |i, r| before.get(i, r) != (r % 9 == 0 && i % 4 == 0));
        let products = Mat::<T>::from_fn(n, n, |i, j| T::of(noise(3, i.max(j), i.min(j))));
        let scale = T::of(0.3);
        same_bits(&format!("{n} x {m} {}", T::NAME), || {
            let mut g = products.clone();
            popcount_gram(g.as_mut(), &before, scale, Par::Seq).unwrap();
            let built = g.clone();
            let x = products.as_ref();
            popcount_gram_update(g.as_mut(), x, (&before, &after), scale, Par::Seq).unwrap();
            (built, g)
        });
    }
}

#[test]
fn every_level_counts_common_ones_with_the_same_bits() {
    gram_matrices_have_the_same_bits::<f32>();
    gram_matrices_have_the_same_bits::<f64>();
}

/// Diagonally dominant, so that `|R^-1| <= 2` and `|R| <= 3 / 2` in the norms of rows and columns.
fn dominant<T: Real>(n: usize) -> Triangular<T> {
    let entry = |i: usize, j: usize| if i == j { 1.0 } else { noise(1, i, j) / (2 * n) as f64 };
    Triangular::upper(Mat::from_fn(n, n, |i, j| T::of(entry(i, j)))).unwrap()
}

/// Sizes at the edges of tiles (8 and 16 rows) and of blocks (64).
const SIZES: [usize; 10] = [1, 7, 8, 9, 16, 17, 64, 65, 130, 257];

fn single_columns_have_the_same_bits<T: Real>() {
    for n in SIZES {
        let (factor, b) = (dominant::<T>(n), matrix::<T>(n, 1, 2));
        same_bits(&format!("a column, n = {n}, {}", T::NAME), || {
            let mut x = b.clone();
            factor.solve_gram_in_place(x.as_mut(), Par::Seq);
            x
        });
    }
}

#[test]
fn every_level_solves_for_one_column_with_the_same_bits() {
    single_columns_have_the_same_bits::<f32>();
    single_columns_have_the_same_bits::<f64>();
}

/// A solve errs by at most `gamma_n |R^-1| |R| |x|` (Higham, 2nd ed., Thm 8.5), fused or not: `3 n u` for each of two
/// solves, of which the first is carried through the second, at most 3 times. So each result is `12 n u |x|` from
/// the solution and two are `24 n u` from one another; `eps = 2 u` leaves room for higher orders.
fn several_columns_agree<T: Real>() {
    for (n, k) in SIZES.into_iter().flat_map(|n| [2, 3, 5, 6, 7, 10, 67].map(|k| (n, k))) {
        let (factor, b) = (dominant::<T>(n), matrix::<T>(n, k, 2));
        let (portable, higher) = at_each_level(|| {
            let mut rows = vec![T::of(0.0); n * k];
            let mut x = MatMut::from_row_major_slice_mut(&mut rows, n, k);
            x.copy_from(&b);
            factor.solve_gram_in_place(x, Par::Seq);
            rows
        });
        for (level, found) in higher {
            for q in 0..k {
                let column = |x: &[T]| x.iter().skip(q).step_by(k).map(|x| x.as_f64()).collect();
                let (found, portable): (Vec<f64>, Vec<f64>) = (column(&found), column(&portable));
                let size = portable.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
                let bound = 24.0 * n as f64 * T::epsilon().as_f64() * size;
                let apart = |(a, b): (&f64, &f64)| (a - b).abs();
                let most = found.iter().zip(&portable).map(apart).fold(0.0, f64::max);
                assert!(
                    most <= bound,
                    "{level:?}, n = {n}, column {q} of {k}: {most:e} > {bound:e}"
                );
            }
        }
    }
}

#[test]
fn every_level_solves_for_several_columns_to_rounding() {
    several_columns_agree::<f32>();
    several_columns_agree::<f64>();
}
