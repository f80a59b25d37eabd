//! Laws of the screened signs: they are those of the whole product.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{matrix, noise};
use faer::{Mat, MatRef, Par};
use nearlin_dense::{
    PackedMask, Rectified, Screened, masked_apply, rectified_apply, screened_signs,
};
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

    /// Which way the signs were screened, `None` where they were not. They must agree with the whole product: masks
    /// and counts where no `z` is rounding, and outputs to rounding.
    fn agrees(&self, par: Par) -> Option<Way> {
        let of = self.of();
        let screened = screened_signs(of, par).unwrap()?;
        let (n, m, k) = (self.x.nrows(), self.change.nrows(), self.signs.ncols());
        let (d, p) = (self.x.ncols(), self.directions.nrows());
        let mut want = Mat::zeros(n, k);
        let (mask, counts) = rectified_apply(want.as_mut(), of, ALPHA, Par::Seq).unwrap();
        let (found, crossed) = match &screened {
            Screened::Few(few) => (few.mask(), few.counts()),
            Screened::Many(mask, counts) => (mask.clone(), counts.clone()),
        };
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
                if let Screened::Few(few) = &screened {
                    assert_eq!(few.base().get(i, r % p), before > 0.0, "base {i}, {r}: {before}");
                }
                assert_eq!(found.get(i, r), mask.get(i, r), "mask {i}, {r}: {now}");
            }
            assert!(!exact || crossed[i] == *count, "crossings of row {i}");
        }
        let mut y = Mat::zeros(n, k);
        let mut pass = |mask: &PackedMask, v: MatRef<'_, f64>| {
            masked_apply(y.as_mut(), mask, of.x, v, of.signs, ALPHA, par).unwrap();
        };
        let way = if let Screened::Few(few) = &screened {
            pass(&PackedMask::from_fn(n, m, |i, r| few.base().get(i, r % p)), of.change);
            few.add_crossings(y.as_mut(), of.signs, ALPHA).unwrap();
            Way::Few
        } else {
            // `relu` is homogeneous; what it was before is subtracted.
            let base = Mat::from_fn(m, d, |r, q| self.directions[(r % p, q)]);
            let weights = &base + &self.change;
            pass(&PackedMask::from_fn(n, m, |i, r| self.z(i, r)[0] > 0.0), base.as_ref());
            let before = y.clone();
            masked_apply(y.as_mut(), &found, of.x, weights.as_ref(), of.signs, ALPHA, par).unwrap();
            y -= before;
            Way::Many
        };
        for i in 0..n {
            let bound = m as f64 * rounding(i);
            (0..k).for_each(|c| {
                assert!((y[(i, c)] - want[(i, c)]).abs() <= bound, "output {i}, {c}");
            });
        }
        Some(way)
    }
}

/// How signs were screened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Few,
    Many,
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
        let case = Case::new((n, d, k), (64 * words, copies), 10f64.powf(exponent), seed);
        let way = case.agrees(Par::rayon(0));
        prop_assert!(k > 1 || way.is_some(), "with one output there is always a way");
    }
}

/// Every way is taken, each in its place, and none where too much has crossed.
#[test]
fn each_way_has_its_place() {
    let way = |step: f64, k: usize| Case::new((150, 20, k), (128, 2), step, 4).agrees(Par::Seq);
    for step in [0.0, 1e-9, 1e-3] {
        assert_eq!(way(step, 2), Some(Way::Few), "within reach");
    }
    assert_eq!(way(0.05, 2), Some(Way::Few), "a second sweep");
    assert_eq!(way(3.0, 2), None, "too many crossings for sums of several outputs");
    assert_eq!(way(3.0, 1), Some(Way::Many), "signs alone, for one output");
    // All inputs are one, and nearly orthogonal to the directions: a small change turns many signs.
    let mut case = Case::new((150, 20, 1), (128, 2), 5e-5, 4);
    case.x = Mat::from_fn(150, 20, |_, q| if q == 0 { 1.0 } else { 0.0 });
    (0..128).for_each(|r| case.directions[(r, 0)] *= 1e-6);
    assert_eq!(case.agrees(Par::Seq), None, "products with the weights would lose digits");
}

/// With more rows than a task has, and more weights than it takes at a time.
#[test]
fn tasks_and_blocks_fit_together() {
    for (step, way) in [(1e-3, Way::Few), (0.5, Way::Few), (20.0, Way::Many)] {
        let case = Case::new((600, 200, 1), (192, 2), step, 6);
        assert_eq!(case.agrees(Par::rayon(0)), Some(way), "step {step}");
    }
}

/// Rows and directions of zeros meet at their kinks; lengths that over- and underflow when squared do not
/// matter.
#[test]
fn lengths_of_any_size() {
    for (step, way) in [(1e-6, Way::Few), (0.05, Way::Few), (3.0, Way::Many)] {
        let mut case = Case::new((150, 20, 1), (128, 2), step, 5);
        for q in 0..20 {
            case.x[(3, q)] = 0.0;
            case.directions[(7, q)] = 0.0;
            case.x[(4, q)] *= 1e-170;
            case.x[(5, q)] *= 1e170;
            case.x[(6, q)] *= 1e-300;
            case.x[(149, q)] = case.x[(148, q)] * 2.0;
        }
        assert_eq!(case.agrees(Par::Seq), Some(way), "step {step}");
        let mask = match screened_signs(case.of(), Par::Seq).unwrap().unwrap() {
            Screened::Few(few) => few.mask(),
            Screened::Many(mask, _) => mask,
        };
        assert!(mask.row(3).iter().all(|&word| word == 0));
        assert_eq!(mask.row(149), mask.row(148));
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
    assert!(none(&Case::new((150, 20, 2), (64, 0), 1e-6, 5)));
    let case = Case::new((150, 20, 2), (128, 2), 1e-6, 5);
    let error = screened_signs(Rectified { x: Mat::zeros(3, 19).as_ref(), ..case.of() }, Par::Seq);
    assert!(error.unwrap_err().to_string().contains("directions"));
}
