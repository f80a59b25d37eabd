//! Intervals beside the definition, by refits.

use nearlin_dense::Cholesky;
use nearlin_relu::arc_cosine_entry;
use proptest::prelude::*;

use super::*;
use crate::Equations;

const D: usize = 3;
const KEPT: usize = JackknifePlus::KEPT;

fn noise(len: usize, seed: u64) -> Vec<f64> {
    let noise = |at: usize| {
        let bits = (seed ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (bits ^ bits >> 32).cast_signed() as f64 / 2f64.powi(63)
    };
    (0..len).map(noise).collect()
}

/// Rows with weights, and what Gaussian processes of the infinitely wide network say of them.
struct Rows {
    x: Vec<f64>,
    y: Vec<f64>,
    weights: Vec<f64>,
    ridge: f64,
}

impl Rows {
    fn new(n: usize, ridge: f64, seed: u64) -> Self {
        let weights = noise(n, seed ^ 3).iter().map(|w| 1.2 + w).collect();
        Self { x: noise(n * D, seed), y: noise(n, !seed), weights, ridge }
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.x[i * D..][..D]
    }

    /// The minimiser of the weighted squares without one of the rows, at `z`.
    fn without(&self, left: Option<usize>, z: &[f64]) -> f64 {
        let rows: Vec<usize> = (0..self.y.len()).filter(|i| Some(*i) != left).collect();
        let entry = |a: usize, b: usize| {
            let noise = if a == b { self.ridge / self.weights[rows[a]] } else { 0.0 };
            arc_cosine_entry(self.row(rows[a]), self.row(rows[b])) + noise
        };
        let mut alpha = Mat::from_fn(rows.len(), 1, |a, _| self.y[rows[a]]);
        let system = Mat::from_fn(rows.len(), rows.len(), entry);
        Cholesky::factor(system, Par::Seq).unwrap().solve_in_place(alpha.as_mut(), Par::Seq);
        (0..rows.len()).map(|a| alpha[(a, 0)] * arc_cosine_entry(self.row(rows[a]), z)).sum()
    }

    /// What each row is told without itself.
    fn told(&self) -> Vec<f64> {
        (0..self.y.len()).map(|i| self.without(Some(i), self.row(i))).collect()
    }

    fn fitted(&self) -> (JackknifePlus, Vec<f64>) {
        let n = self.y.len();
        let equations = Equations::new(self.x.clone(), self.y.clone(), D, 1).unwrap();
        let (posterior, deviations) =
            Posterior::new(&equations, Some(&self.weights), self.ridge, Par::Seq).unwrap();
        let residuals: Vec<f64> = self.told().iter().zip(&self.y).map(|(f, y)| f - y).collect();
        let slopes: Vec<f64> = residuals.iter().zip(&self.weights).map(|(r, w)| r * w).collect();
        let rows = LeftOutRows {
            residuals: &residuals,
            deviations: &deviations,
            equation_of: &(0..n).collect::<Vec<_>>(),
            x: equations.x(),
            slopes: &slopes,
        };
        let jackknife = JackknifePlus::new(posterior, &rows, Par::Seq);
        let scales = deviations.iter().map(|v| (self.ridge + v * v).sqrt());
        (jackknife, scales.collect())
    }
}

proptest! {
    /// Ends are those of the definition, by as many refits as there are rows.
    #[test]
    fn ends_are_those_of_refits(
        n in 2usize..24, ridge in 1e-2..10.0f64, level in 0.5..0.99f64, seed: u64,
    ) {
        let rows = Rows::new(n, ridge, seed);
        let (jackknife, scales) = rows.fitted();
        let z = noise(D * 3, seed ^ 9);
        let predictions: Vec<f64> = z.chunks(D).map(|z| rows.without(None, z)).collect();
        let at = MatRef::from_row_major_slice(&z, 3, D);
        let found = jackknife.intervals(at, &predictions, level, Par::Seq);
        let told = rows.told();
        let rank = ((level * (n + 1) as f64).ceil() as usize).min(n);
        let deviations = jackknife.posterior().deviations(at, Par::Seq);
        for ((z, [lower, upper]), deviation) in z.chunks(D).zip(found).zip(deviations) {
            let mut ends: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
            for i in 0..n {
                let without = rows.without(Some(i), z);
                // Where widths are local, those of the standard deviation of a new target.
                let scale = jackknife.usual().map_or(1.0, |_| {
                    (ridge + deviation * deviation).sqrt() / scales[i]
                });
                let reach = scale * (told[i] - rows.y[i]).abs();
                ends[0].push(without - reach);
                ends[1].push(without + reach);
            }
            for ends in &mut ends {
                ends.sort_by(f64::total_cmp);
            }
            let (want_lower, want_upper) = (ends[0][n - rank], ends[1][rank - 1]);
            prop_assert!((lower - want_lower).abs() < 1e-6, "{lower} {want_lower}");
            prop_assert!((upper - want_upper).abs() < 1e-6, "{upper} {want_upper}");
        }
    }

    /// The parts make the same intervals, to the last bit.
    #[test]
    fn parts_make_it_whole(n in 2usize..24, ridge in 1e-2..10.0f64, seed: u64) {
        let (jackknife, _) = Rows::new(n, ridge, seed).fitted();
        let parts = (jackknife.posterior().clone(), jackknife.usual(), jackknife.kept().to_vec());
        let again = JackknifePlus::from_parts(parts.0, parts.1, parts.2, Par::Seq).unwrap();
        prop_assert_eq!(&again, &jackknife);
        let z = noise(D, seed);
        let ends = |of: &JackknifePlus| of.intervals(MatRef::from_row_major_slice(&z, 1, D), &[0.5], 0.8, Par::Seq);
        prop_assert_eq!(ends(&again), ends(&jackknife));
    }
}

/// Of many rows a thousand are kept, whose intervals are those of all but for a rank or two of a thousand; each output has
/// its own; and rows of one equation are left out together.
#[test]
fn kept_rows_stand_for_all() {
    let n = 6000;
    // Two rows of each equation.
    let equation_of: Vec<usize> = (0..n).map(|i| i / 2).collect();
    let x = noise(n / 2 * D, 5);
    let equations = Equations::new(x.clone(), vec![0.0; n / 2], D, 1).unwrap();
    let (posterior, _) = Posterior::new(&equations, None, 1.0, Par::Seq).unwrap();
    let residuals: Vec<f64> = (0..n).flat_map(|i| [(i * 7919 % n) as f64 - 3000.0, 1e-3]).collect();
    let slopes: Vec<f64> = noise(n, 8);
    let rows = LeftOutRows {
        residuals: &residuals,
        deviations: &vec![1.0; n],
        equation_of: &equation_of,
        x: equations.x(),
        slopes: &slopes,
    };
    let jackknife = JackknifePlus::new(posterior, &rows, Par::Seq);
    assert_eq!(jackknife.usual(), None);
    let [first, second] = jackknife.kept() else { panic!("two outputs") };
    assert_eq!((first.sizes.len(), second.sizes.len()), (KEPT, KEPT));
    assert_eq!(first.sizes[KEPT - 1], 3000.0);
    // Each kept row has its own equation's inputs and slope.
    for ((size, slope), x_kept) in first.sizes.iter().zip(&first.slopes).zip(first.x.chunks(D)) {
        let fits = |i: &usize| {
            let at = equation_of[*i];
            residuals[2 * i].abs() == *size
                && slopes[2 * at] == *slope
                && &x[at * D..][..D] == x_kept
        };
        assert!((0..n).any(|i| fits(&i)), "{size}");
    }
    let at = [0.1, 0.2, 0.3];
    let ends =
        jackknife.intervals(MatRef::from_row_major_slice(&at, 1, D), &[7.0, -7.0], 0.9, Par::Seq);
    assert!((ends[0][0] - 7.0 + 2700.0).abs() < 10.0 && (ends[0][1] - 7.0 - 2700.0).abs() < 10.0);
    assert!((ends[1][0] + 7.0).abs() < 0.1 && (ends[1][1] + 7.0).abs() < 0.1, "{:?}", ends[1]);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let posterior = || Posterior::from_parts(vec![1.0, 2.0], 0.1, &[1.0], Par::Seq).unwrap();
    let made = |x: &[f64], slopes: &[f64], sizes: &[f64], usual: Option<f64>| {
        let kept = KeptRows::new(x.to_vec(), slopes.to_vec(), sizes.to_vec());
        JackknifePlus::from_parts(posterior(), usual, vec![kept], Par::Seq).is_some()
    };
    let x = [1.0, 2.0, 3.0, 4.0];
    assert!(made(&x, &[0.1, 0.2], &[1.0, 2.0], Some(1.0)));
    assert!(made(&x, &[0.1, 0.2], &[1.0, 2.0], None));
    assert!(!made(&x[..3], &[0.1, 0.2], &[1.0, 2.0], None));
    assert!(!made(&x, &[0.1], &[1.0, 2.0], None));
    assert!(!made(&x, &[0.1, f64::NAN], &[1.0, 2.0], None));
    assert!(!made(&x, &[0.1, 0.2], &[2.0, 1.0], None));
    assert!(!made(&x, &[0.1, 0.2], &[-1.0, 1.0], None));
    assert!(!made(&[], &[], &[], None));
    assert!(!made(&x, &[0.1, 0.2], &[1.0, 2.0], Some(0.0)));
    assert!(JackknifePlus::from_parts(posterior(), None, Vec::new(), Par::Seq).is_none());
}
