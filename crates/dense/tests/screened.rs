//! Laws of the screened signs: they are those of the whole product.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{matrix, noise};
use faer::{Mat, MatRef, Par};
use nearlin_dense::{PackedMask, Rectified, masked_apply, rectified_apply, screened_signs};
use proptest::prelude::*;

const ALPHA: f64 = 0.5;

struct Case {
    x: Mat<f64>,
    directions: Mat<f64>,
    change: Mat<f64>,
    signs: Mat<f64>,
}

impl Case {
    /// Inputs near one another, as tables have them, with a change that moves `z` by up to `step`.
    fn new(
        (n, d, k): (usize, usize, usize),
        (p, copies): (usize, usize),
        step: f64,
        seed: u64,
    ) -> Self {
        let x = Mat::from_fn(n, d, |i, q| noise(seed, i, q) + if q == 0 { 0.5 } else { 0.0 });
        let change = Mat::from_fn(p * copies, d, |r, q| step / d as f64 * noise(seed ^ 2, r, q));
        Self {
            x,
            directions: matrix(p, d, seed ^ 1),
            change,
            signs: matrix(p * copies, k, seed ^ 3),
        }
    }

    fn of(&self) -> Rectified<'_, f64> {
        let Self { x, directions, change, signs } = self;
        Rectified {
            x: x.as_ref(),
            directions: directions.as_ref(),
            change: change.as_ref(),
            signs: signs.as_ref(),
        }
    }

    fn z(&self, i: usize, r: usize) -> [f64; 2] {
        let (d, p) = (self.x.ncols(), self.directions.nrows());
        let dot = |a: &Mat<f64>, r: usize| (0..d).map(|q| a[(r, q)] * self.x[(i, q)]).sum::<f64>();
        let before = dot(&self.directions, r % p);
        [before, before + dot(&self.change, r)]
    }

    /// Whether the screened signs agree with the whole product: masks and counts where no `z` is rounding,
    /// outputs to rounding. `false` where there are no screened signs.
    fn agrees(&self, par: Par) -> bool {
        let of = self.of();
        let Some(screened) = screened_signs(of, par).unwrap() else { return false };
        let (n, m, k) = (self.x.nrows(), self.change.nrows(), self.signs.ncols());
        let (d, p) = (self.x.ncols(), self.directions.nrows());
        let mut want = Mat::zeros(n, k);
        let (mask, counts) = rectified_apply(want.as_mut(), of, ALPHA, Par::Seq).unwrap();
        let found = screened.mask();
        let rounding = |i: usize| {
            let size = |a: MatRef<'_, f64>| a.norm_max();
            let row = self.x.as_ref().row(i);
            8.0 * (d * d) as f64
                * f64::EPSILON
                * size(row.as_mat())
                * (size(of.directions) + size(of.change))
        };
        for (i, count) in counts.iter().enumerate() {
            let mut exact = true;
            for r in 0..m {
                let [before, now] = self.z(i, r);
                if before.abs().min(now.abs()) <= rounding(i) && before != 0.0 {
                    exact = false;
                    continue;
                }
                assert_eq!(screened.base().get(i, r % p), before > 0.0, "base {i}, {r}: {before}");
                assert_eq!(found.get(i, r), mask.get(i, r), "mask {i}, {r}: {now}");
            }
            assert!(!exact || screened.counts()[i] == *count, "crossings of row {i}");
        }
        let repeated = PackedMask::from_fn(n, m, |i, r| screened.base().get(i, r % p));
        let mut y = Mat::zeros(n, k);
        masked_apply(y.as_mut(), &repeated, of.x, of.change, of.signs, ALPHA, par).unwrap();
        screened.add_crossings(y.as_mut(), of.signs, ALPHA).unwrap();
        for i in 0..n {
            let bound = m as f64 * rounding(i);
            (0..k).for_each(|c| {
                assert!((y[(i, c)] - want[(i, c)]).abs() <= bound, "output {i}, {c}");
            });
        }
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the size of the change, and whether it is the reach of the change or a second sweep that
    /// tells the signs.
    #[test]
    fn screened_signs_are_those_of_the_product(
        n in 1usize..200, d in 1usize..40, k in 1usize..4, words in 1usize..4, copies in 1usize..5,
        exponent in -12.0..1.0f64, seed: u64,
    ) {
        Case::new((n, d, k), (64 * words, copies), 10f64.powf(exponent), seed).agrees(Par::rayon(0));
    }
}

/// Both ways are taken, each in its place, and none where too much has crossed.
#[test]
fn each_way_has_its_place() {
    let agrees = |step: f64| Case::new((150, 20, 2), (128, 2), step, 4).agrees(Par::Seq);
    assert!(agrees(0.0) && agrees(1e-9) && agrees(1e-3), "within reach");
    assert!(agrees(0.05), "a second sweep");
    assert!(!agrees(3.0), "too many crossings");
}

/// Rows and directions of zeros meet at their kinks; lengths that over- and underflow when squared do not
/// matter.
#[test]
fn lengths_of_any_size() {
    for step in [1e-6, 0.05] {
        let mut case = Case::new((150, 20, 2), (128, 2), step, 5);
        for q in 0..20 {
            case.x[(3, q)] = 0.0;
            case.directions[(7, q)] = 0.0;
            case.x[(4, q)] *= 1e-170;
            case.x[(5, q)] *= 1e170;
            case.x[(6, q)] *= 1e-300;
            case.x[(149, q)] = case.x[(148, q)] * 2.0;
        }
        assert!(case.agrees(Par::Seq), "step {step}");
        let screened = screened_signs(case.of(), Par::Seq).unwrap().unwrap();
        assert!(screened.mask().row(3).iter().all(|&word| word == 0));
        assert_eq!(screened.mask().row(149), screened.mask().row(148));
    }
}

/// Nothing to screen with: what is not finite, and directions that do not fill words.
#[test]
fn what_cannot_be_screened_is_left_alone() {
    let none = |case: &Case| screened_signs(case.of(), Par::Seq).unwrap().is_none();
    let mut case = Case::new((150, 20, 2), (128, 2), 1e-6, 5);
    assert!(!none(&case));
    case.change[(9, 3)] = f64::NAN;
    assert!(none(&case));
    case.change[(9, 3)] = f64::INFINITY;
    assert!(none(&case));
    assert!(none(&Case::new((150, 20, 2), (100, 2), 1e-6, 5)));
    assert!(none(&Case::new((0, 20, 2), (64, 2), 1e-6, 5)));
    let case = Case::new((150, 20, 2), (128, 2), 1e-6, 5);
    let error = screened_signs(Rectified { x: Mat::zeros(3, 19).as_ref(), ..case.of() }, Par::Seq);
    assert!(error.unwrap_err().to_string().contains("directions"));
}
