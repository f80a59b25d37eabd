//! Laws of the corrections for flipped entries: they are the difference of two masked products.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::noise;
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_dense::{
    DenseError, MaskFlips, PackedMask, Real, combine_rows, masked_adjoint, masked_apply,
};
use proptest::prelude::*;

const ALPHA: f64 = 0.5;

/// Two masks that differ in few entries, and the operands of the products with either.
struct Case<T> {
    before: PackedMask,
    after: PackedMask,
    flips: MaskFlips,
    x: Mat<T>,
    signs: Mat<T>,
    u: Mat<T>,
    v: Mat<T>,
}

impl<T: Real> Case<T> {
    fn new((n, m, d, k): (usize, usize, usize, usize), share: f64, seed: u64) -> Self {
        let bit = |i: usize, r: usize| noise(seed ^ 7, i, r) > 0.0;
        let flipped = |i: usize, r: usize| noise(seed ^ 5, i, r).abs() < share;
        let entries: Vec<(u32, u32, bool)> = (0..n * m)
            .map(|at| (at / m, at % m))
            .filter(|&(i, r)| flipped(i, r))
            .map(|(i, r)| (i as u32, r as u32, !bit(i, r)))
            .collect();
        let matrix = |rows, cols, seed| Mat::from_fn(rows, cols, |i, j| T::of(noise(seed, i, j)));
        Self {
            before: PackedMask::from_fn(n, m, bit),
            after: PackedMask::from_fn(n, m, |i, r| bit(i, r) != flipped(i, r)),
            flips: MaskFlips::new(n, m, &entries),
            x: matrix(n, d, seed ^ 8),
            signs: matrix(m, k, seed ^ 9),
            u: matrix(n, k, seed ^ 2),
            v: matrix(m, d, seed ^ 3),
        }
    }

    /// `y + J_E v` and `v + J_E^T u` from `J y` and `J^T u` at the mask before.
    fn corrected(&self, x: MatRef<'_, T>, par: Par) -> (Mat<T>, Mat<T>) {
        let (mut y, mut w) = self.products(&self.before);
        let alpha = T::of(ALPHA);
        let (signs, u, v) = (self.signs.as_ref(), self.u.as_ref(), self.v.as_ref());
        self.flips.apply(y.as_mut(), x, v, signs, alpha, par).unwrap();
        self.flips.adjoint(w.as_mut(), x, u, signs, alpha, par).unwrap();
        (y, w)
    }

    fn products(&self, mask: &PackedMask) -> (Mat<T>, Mat<T>) {
        let (x, signs, alpha) = (self.x.as_ref(), self.signs.as_ref(), T::of(ALPHA));
        let mut y = Mat::zeros(self.u.nrows(), self.u.ncols());
        let mut w = Mat::zeros(self.v.nrows(), self.v.ncols());
        masked_apply(y.as_mut(), mask, x, self.v.as_ref(), signs, alpha, Par::Seq).unwrap();
        masked_adjoint(w.as_mut(), mask, x, self.u.as_ref(), signs, alpha, Par::Seq).unwrap();
        (y, w)
    }

    /// An entry sums at most `t = m d K` (or `n d K`) products of numbers of at most 1, in two orders.
    fn bound(&self, eps: f64) -> f64 {
        let (n, m) = (self.u.nrows(), self.v.nrows());
        let terms = (n.max(m) * (self.x.ncols() + self.u.ncols())) as f64;
        2.0 * terms * eps * terms
    }
}

fn largest_difference<T: Real>(a: &Mat<T>, b: &Mat<T>) -> f64 {
    (a - b).norm_max().as_f64()
}

fn check<T: Real>(case: &Case<T>, eps: f64) -> Result<(), TestCaseError> {
    let (y, w) = case.products(&case.after);
    let (got_y, got_w) = case.corrected(case.x.as_ref(), Par::Seq);
    prop_assert!(largest_difference(&y, &got_y) <= case.bound(eps));
    prop_assert!(largest_difference(&w, &got_w) <= case.bound(eps));
    // The same bits from rows that are contiguous, and on any number of threads.
    let (n, d) = (case.x.nrows(), case.x.ncols());
    let mut rows = vec![T::of(0.0); n * d];
    MatMut::from_row_major_slice_mut(&mut rows, n, d).copy_from(&case.x);
    let rows = MatRef::from_row_major_slice(&rows, n, d);
    prop_assert_eq!(&(got_y, got_w), &case.corrected(rows, Par::rayon(0)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The products at a mask, corrected for the entries that flip, are the products at the mask after.
    #[test]
    fn corrections_lead_from_mask_to_mask(
        n in 1usize..150, m in 1usize..80, d in 1usize..21, k in 1usize..12, share in 0.0..0.3f64, seed: u64
    ) {
        check(&Case::<f64>::new((n, m, d, k), share, seed), f64::EPSILON)?;
        check(&Case::<f32>::new((n, m, d, k), share, seed), f32::EPSILON.into())?;
    }

    /// `<J_E v, u> = <v, J_E^T u>`.
    #[test]
    fn adjoint_of_the_corrections(n in 1usize..90, m in 1usize..90, d in 1usize..19, k in 1usize..5, seed: u64) {
        let case = Case::<f64>::new((n, m, d, k), 0.2, seed);
        let (mut y, mut w) = (Mat::zeros(n, k), Mat::zeros(m, d));
        let (x, signs) = (case.x.as_ref(), case.signs.as_ref());
        case.flips.apply(y.as_mut(), x, case.v.as_ref(), signs, ALPHA, Par::Seq).unwrap();
        case.flips.adjoint(w.as_mut(), x, case.u.as_ref(), signs, ALPHA, Par::Seq).unwrap();
        let dot = |a: &Mat<f64>, b: &Mat<f64>| (0..a.ncols()).map(|j| a.col(j).transpose() * b.col(j)).sum::<f64>();
        let terms = (case.flips.count() * (d + k) + 1) as f64;
        prop_assert!((dot(&y, &case.u) - dot(&w, &case.v)).abs() <= 2.0 * terms * terms * f64::EPSILON);
    }
}

/// Operands that do not fit are told apart.
#[test]
fn wrong_shapes_are_errors() {
    let case = Case::<f64>::new((4, 5, 3, 2), 0.5, 1);
    let (x, signs, v) = (case.x.as_ref(), case.signs.as_ref(), case.v.as_ref());
    let mut short = Mat::zeros(3, 2);
    let error = case.flips.apply(short.as_mut(), x, v, signs, ALPHA, Par::Seq).unwrap_err();
    let expected = DenseError::Shape { what: "output", rows: 4, cols: 2, got_rows: 3, got_cols: 2 };
    assert_eq!(error, expected);
    let error = case.flips.apply(short.as_mut(), x, signs, signs, ALPHA, Par::Seq).unwrap_err();
    assert!(matches!(error, DenseError::Shape { what: "layer vector", .. }), "{error}");
}

/// Sums of rows are what they are called, for row- and column-major operands.
#[test]
fn rows_are_combined() {
    for (d, terms) in [(1, 1), (7, 3), (62, 40), (16, 33)] {
        let a = Mat::from_fn(50, d, |i, j| (i * 7 + j * 3) as f64);
        let weight = |i: usize, c: usize| (i as f64 - c as f64, (i + 3 * c) % 50);
        let want = Mat::from_fn(70, d, |i, j| {
            (0..terms).map(|c| weight(i, c).0 * a[(weight(i, c).1, j)]).sum::<f64>()
        });
        let mut got = Mat::zeros(70, d);
        combine_rows(got.as_mut(), a.as_ref(), terms, weight, Par::rayon(0)).unwrap();
        // Whole numbers below 2^53: no rounding.
        assert_eq!(got, want, "d = {d}, {terms} terms");
    }
    let mut narrow = Mat::zeros(3, 2);
    let a = Mat::<f64>::zeros(4, 3);
    let error = combine_rows(narrow.as_mut(), a.as_ref(), 1, |_, _| (1.0, 0), Par::Seq);
    assert!(matches!(error, Err(DenseError::Shape { what: "sums of rows", .. })));
}
