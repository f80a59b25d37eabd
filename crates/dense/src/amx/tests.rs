//! Products on the matrix unit beside those of the other levels.

use faer::Mat;

use super::*;
use crate::simd::Level;
use crate::simd::side_by_side::at_each_level;
use crate::{PackedMask, masked_adjoint, masked_apply, masked_gram_apply};

/// Few and many columns, more examples and more neurons of a chunk than a block has rows; last ones of any length.
const SHAPES: [(usize, usize, usize); 8] = [
    (128, 128, 1),
    (131, 1700, 16),
    (600, 200, 17),
    (257, 3200, 49),
    (150, 390, 100),
    (1700, 300, 40),
    (1700, 5000, 70),
    (130, 25_000, 20),
];

/// Every level's products are those of the portable ones, to rounding: an addition for each term and each of its
/// pieces, and some ten more.
#[test]
fn levels_agree() {
    for (n, m, d) in SHAPES {
        let noise = |i: usize, j: usize, salt: u64| {
            let mut z =
                (i as u64 * 0x9e37_79b9 + j as u64 + salt).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 31).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ z >> 29) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        let matrix = |rows: usize, cols: usize, salt: u64| {
            Mat::<f32>::from_fn(rows, cols, |i, j| noise(i, j, salt) as f32)
        };
        let mask = PackedMask::from_fn(n, m, |i, r| noise(i, r, 1 << 40) > 0.0);
        let (x, v, u) = (matrix(n, d, 1 << 41), matrix(m, d, 1 << 42), matrix(n, 1, 1 << 43));
        let signs = Mat::from_fn(m, 1, |r, _| if r % 3 == 0 { -1.0f32 } else { 1.0 });
        let products = || {
            let (x, v, u, a) = (x.as_ref(), v.as_ref(), u.as_ref(), signs.as_ref());
            let [mut y, mut swept] = [0, 1].map(|_| Mat::<f32>::zeros(n, 1));
            let mut w = Mat::<f32>::zeros(m, d);
            masked_apply(y.as_mut(), &mask, x, v, a, 0.5, Par::Seq).expect("fits");
            masked_adjoint(w.as_mut(), &mask, x, u, a, 0.5, Par::Seq).expect("fits");
            masked_gram_apply(swept.as_mut(), &mask, x, u, a, 0.5, Par::Seq).expect("fits");
            [y, w, swept]
        };
        let (portable, others) = at_each_level(products);
        // By the sizes of the terms, all of them active.
        let size = |terms: usize, largest: f64| terms as f64 * largest;
        let unit = |terms: usize| (3 * terms + d + 32) as f64 * f64::from(f32::EPSILON) / 2.0;
        let bounds = [
            unit(m) * size(m * d, 0.5),
            unit(n) * size(n, 0.5),
            unit(m + n) * size(m * d * n, 0.25),
        ];
        for (level, products) in others {
            for ((a, b), bound) in portable.iter().zip(&products).zip(bounds) {
                let error = f64::from((a - b).norm_max());
                // Errors of random sign are far below their bound.
                assert!(error <= bound / 16.0, "{level:?}, {n} x {m}, d = {d}: {error} of {bound}");
                assert!(level != Level::Amx || a.norm_max() > 0.1, "sums are not all zero");
            }
        }
    }
}

/// A sum of one term is that term to half a unit, which is at most a 2^22th of the largest of its column, here below 2: its digits
/// arrive, whichever byte they are in, and nothing else does.
#[test]
fn single_terms_arrive() {
    let digits = |i: usize, j: usize| {
        let bits = (i as u32 * 0x9e37 + j as u32).wrapping_mul(0x9e37_79b9) >> 9;
        let size = f32::from_bits(0x3f80_0000 | bits) / (1 << (i % 7)) as f32;
        if (i + j).is_multiple_of(3) { -size } else { size }
    };
    let near = |a: f32, b: f32| (a - b).abs() <= 0.5 * 2.0 * 1.01 / (1 << 22) as f32;
    for (n, m, d) in [(200, 330, 20), (1700, 1800, 5), (300, 400, 130), (1700, 25_001, 18)] {
        // Example i has one active neuron, and that neuron no other example.
        let active = |i: usize| (7 * i + 3) % m;
        let mask = PackedMask::from_fn(n, m, |i, r| r == active(i));
        let signs = Mat::from_fn(m, 1, |r, _| if r % 5 == 0 { -1.0f32 } else { 1.0 });
        let (v, x) = (Mat::from_fn(m, d, digits), Mat::from_fn(n, d, digits));
        let one = Mat::from_fn(n, d, |i, c| if c == i % d { 1.0f32 } else { 0.0 });
        let ones = Mat::from_fn(n, 1, |_, _| 1.0f32);
        let (mut y, mut w) = (Mat::<f32>::zeros(n, 1), Mat::<f32>::zeros(m, d));
        let (a, par) = (signs.as_ref(), Par::Seq);
        masked_apply(y.as_mut(), &mask, one.as_ref(), v.as_ref(), a, 1.0, par).expect("fits");
        masked_adjoint(w.as_mut(), &mask, x.as_ref(), ones.as_ref(), a, 1.0, par).expect("fits");
        for i in 0..n {
            let r = active(i);
            assert!(near(y[(i, 0)], a[(r, 0)] * v[(r, i % d)]), "{n} x {m} x {d}: J v, row {i}");
            let row = (0..d).all(|c| near(w[(r, c)], a[(r, 0)] * x[(i, c)]));
            assert!(row, "{n} x {m} x {d}: J^T u, row {r}");
        }
        let found: f32 =
            (0..m).filter(|r| !(0..n).any(|i| active(i) == *r)).map(|r| w.row(r).norm_l2()).sum();
        assert!(found == 0.0, "inactive neurons");
    }
}

#[test]
fn without_inputs_products_are_zero() {
    let mask = PackedMask::from_fn(128, 192, |i, r| (i + r) % 2 == 0);
    let (x, v, signs) =
        (Mat::<f32>::zeros(128, 0), Mat::<f32>::zeros(192, 0), Mat::full(192, 1, 1.0f32));
    let (mut y, u) = (Mat::full(128, 1, 7.0f32), Mat::full(128, 1, 1.0f32));
    let mut w = Mat::<f32>::zeros(192, 0);
    let (x, a, par) = (x.as_ref(), signs.as_ref(), Par::Seq);
    masked_apply(y.as_mut(), &mask, x, v.as_ref(), a, 1.0, par).expect("fits");
    masked_adjoint(w.as_mut(), &mask, x, u.as_ref(), a, 1.0, par).expect("fits");
    assert!(y.norm_max() == 0.0);
    y.fill(7.0);
    masked_gram_apply(y.as_mut(), &mask, x, u.as_ref(), a, 1.0, par).expect("fits");
    assert!(y.norm_max() == 0.0);
}

/// A number that is not finite spoils the sums of its column, and no others of `J^T u`.
#[test]
fn what_is_not_finite_stays_so() {
    let (n, m, d) = (200, 330, 20);
    let mask = PackedMask::from_fn(n, m, |i, r| (i + r) % 2 == 0);
    let x = Mat::from_fn(n, d, |i, c| if (i, c) == (17, 3) { f32::NAN } else { 1.0 });
    let (signs, u) = (Mat::full(m, 1, 1.0f32), Mat::full(n, 1, 1.0f32));
    let mut w = Mat::<f32>::zeros(m, d);
    let (a, par) = (signs.as_ref(), Par::Seq);
    masked_adjoint(w.as_mut(), &mask, x.as_ref(), u.as_ref(), a, 1.0, par).expect("fits");
    for (r, c) in (0..m).flat_map(|r| (0..d).map(move |c| (r, c))) {
        // The unit spoils a column, other levels what has the number among its terms.
        let among = r % 2 == 1;
        assert!(w[(r, c)].is_nan() || c != 3 || !among, "row {r}, column {c}");
        assert!(w[(r, c)] == 100.0 || c == 3, "row {r}, column {c}");
    }
}

/// Numbers of any size, as long as the sums are in range: products of a unit and an input need not be.
#[test]
fn sizes_may_differ() {
    let (n, m, d) = (130, 1000, 3);
    let mask = PackedMask::from_fn(n, m, |_, r| r > 0);
    let signs = Mat::full(m, 1, 1.0f32);
    // Of the first neuron, which is active nowhere, and of all others.
    for (first, others, input) in [(1e-20f32, 1e-20f32, 1e-20f32), (1e38, 0.0, 1e10)] {
        let v = Mat::from_fn(m, d, |r, _| if r == 0 { first } else { others });
        let (x, mut y) = (Mat::full(n, d, input), Mat::<f32>::zeros(n, 1));
        let a = signs.as_ref();
        masked_apply(y.as_mut(), &mask, x.as_ref(), v.as_ref(), a, 1.0, Par::Seq).expect("fits");
        let expected = 999.0 * 3.0 * f64::from(others) * f64::from(input);
        for i in 0..n {
            let error = (f64::from(y[(i, 0)]) - expected).abs();
            assert!(error <= 1e-6 * expected, "{} in place of {expected}", y[(i, 0)]);
        }
    }
}
