//! Laws of randomly pivoted Cholesky.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use faer::{Mat, MatMut, Par};
use nearlin_sketch::{LowRank, Psd, RpCholesky, Scalar, SketchError};
use proptest::prelude::*;

fn noise(seed: u64, at: usize) -> f64 {
    let bits = (seed ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (bits ^ bits >> 32).cast_signed() as f64 / 2f64.powi(63)
}

/// `B B^T` for a noisy `B` (n x r).
fn psd<T: Scalar>(n: usize, r: usize, seed: u64) -> Mat<T> {
    let b = Mat::from_fn(n, r, |i, j| T::of(noise(seed, i * r + j) / (1.0 + j as f64)));
    &b * b.transpose()
}

fn left<T: Scalar>(a: &Mat<T>, low: &LowRank<T>) -> Mat<T> {
    a - low.factor() * low.factor().transpose()
}

fn bits(low: &LowRank<f64>) -> Vec<u64> {
    low.factor()
        .col_iter()
        .flat_map(|f| f.iter().map(|f| f.to_bits()).collect::<Vec<_>>())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What is left vanishes in the pivots' columns, is positive semidefinite and has the trace that is told.
    #[test]
    fn what_is_left_is_what_is_told(n in 1usize..60, r in 1usize..60, part in 0.0..1.0f64, seed: u64) {
        let a = psd::<f64>(n, r, seed);
        let rank = 1 + (part * (n - 1) as f64) as usize;
        let low = RpCholesky::new(rank).with_seed(seed).factor(&a.as_ref(), Par::Seq).unwrap();
        prop_assert!(low.rank() <= rank && low.rank() == low.factor().ncols());
        // Columns beyond the rank of the matrix are made of rounding.
        let beyond: f64 = low.factor().col_iter().skip(r).map(|f| f.squared_norm_l2()).sum();
        prop_assert!(beyond <= 1e-9 * low.trace(), "{beyond}");
        let mut pivots = low.pivots().to_vec();
        pivots.sort_unstable();
        pivots.dedup();
        prop_assert_eq!(pivots.len(), low.rank());
        let left = left(&a, &low);
        let size = low.trace().max(f64::MIN_POSITIVE);
        for &pivot in low.pivots() {
            prop_assert!(left.col(pivot).norm_l2() <= 1e-9 * size);
        }
        let trace: f64 = (0..n).map(|i| left[(i, i)]).sum();
        prop_assert!((trace - low.trace_left()).abs() <= 1e-9 * size, "{trace} {}", low.trace_left());
        let least = left.self_adjoint_eigenvalues(faer::Side::Lower).unwrap()[0];
        prop_assert!(least >= -1e-9 * size, "{least}");
        if rank >= r.min(n) {
            prop_assert!(low.trace_left() <= 1e-9 * size);
        }
    }

    /// A tolerance ends it, and no later than it must.
    #[test]
    fn tolerances_are_kept(n in 10usize..80, seed: u64, tolerance in 0.01..0.5f64) {
        let a = psd::<f64>(n, n, seed);
        let how = RpCholesky::new(n).with_seed(seed);
        let low = how.with_tolerance(tolerance).factor(&a.as_ref(), Par::Seq).unwrap();
        prop_assert!(low.trace_left() <= tolerance * low.trace());
    }

    /// Seeds name factors, on any number of threads; single precision is near.
    #[test]
    fn seeds_name_factors(n in 2usize..60, seed: u64) {
        let a = psd::<f64>(n, n, seed);
        let how = RpCholesky::new(n.div_ceil(2)).with_seed(seed);
        let one = how.factor(&a.as_ref(), Par::Seq).unwrap();
        prop_assert_eq!(bits(&how.factor(&a.as_ref(), Par::rayon(2)).unwrap()), bits(&one));
        let single = psd::<f32>(n, n, seed);
        let low = how.factor(&single.as_ref(), Par::Seq).unwrap();
        prop_assert!(left(&single, &low).norm_l2() <= (low.trace_left() + 1e-3 * low.trace()) as f32);
    }
}

/// More rows than one thread takes at a time: the same bits still, and the same columns.
#[test]
fn many_rows() {
    let a = psd::<f64>(2100, 30, 5);
    let how = RpCholesky::new(30).with_seed(9);
    let [one, two] = [Par::Seq, Par::rayon(2)].map(|par| how.factor(&a.as_ref(), par).unwrap());
    assert_eq!(bits(&one), bits(&two));
    assert!(one.trace_left() <= 1e-9 * one.trace());
}

/// The first two pivots have the joint distribution of drawing one at a time: frequencies over 2,000 seeds are off by less
/// than `sqrt(ln(2 / 1e-9) / 4000) = 0.074` for each of nine pairs with probability 1 - 9e-9 (Hoeffding).
#[test]
fn pivots_are_drawn_by_what_is_left() {
    let a = Mat::from_fn(3, 3, |i, j| [[4.0, 1.8, 0.1], [1.8, 1.0, 0.2], [0.1, 0.2, 0.5]][i][j]);
    let mut counts = [[0.0; 3]; 3];
    for seed in 0..2000 {
        let low = RpCholesky::new(2).with_seed(seed).factor(&a.as_ref(), Par::Seq).unwrap();
        counts[low.pivots()[0]][low.pivots()[1]] += 1.0 / 2000.0;
    }
    for (i, counts) in counts.iter().enumerate() {
        let after: Vec<f64> =
            (0..3).map(|j| a[(j, j)] - a[(i, j)] * a[(i, j)] / a[(i, i)]).collect();
        for (j, count) in counts.iter().enumerate() {
            let after = if i == j { 0.0 } else { after[j] / after.iter().sum::<f64>() };
            let expected = a[(i, i)] / 5.5 * after;
            assert!((count - expected).abs() < 0.074, "{i} {j}: {count}, expected {expected}");
        }
    }
}

/// The expected trace of what is left, as theorem 5.1 has it: five large eigenvalues and 95 small ones, where rank 5 leaves 0.16
/// of the trace; `k = 15` is enough for `e = 1`. The mean over 64 seeds is of numbers below the trace of 5.95, and the bound is
/// far from tight.
#[test]
fn few_pivots_suffice() {
    let (n, q) = (100, Mat::from_fn(100, 100, |i, j| noise(7, 100 * i + j)));
    let q = q.qr().compute_thin_Q();
    let a = Mat::from_fn(n, n, |i, j| {
        (0..n).map(|c| q[(i, c)] * q[(j, c)] * if c < 5 { 1.0 } else { 0.01 }).sum::<f64>()
    });
    let of = |seed| RpCholesky::new(15).with_seed(seed).factor(&a.as_ref(), Par::Seq).unwrap();
    let mean = (0..64).map(|seed| of(seed).trace_left()).sum::<f64>() / 64.0;
    assert!(mean <= 2.0 * 0.95, "{mean}");
}

/// Copies of one row are drawn once: rank 11 takes all of 190 copies and ten large rows of their own.
#[test]
fn copies_are_drawn_once() {
    let a = Mat::from_fn(200, 200, |i, j| match (i < 10, j < 10) {
        (true, true) if i == j => 100.0,
        (false, false) => 1.0,
        _ => 0.0,
    });
    for seed in 0..20 {
        let low = RpCholesky::new(50).with_seed(seed).factor(&a.as_ref(), Par::Seq).unwrap();
        assert_eq!(low.rank(), 11);
        assert!(low.trace_left() <= 1e-12 * low.trace());
    }
}

/// A diagonal, as one that computes its entries has it.
struct Diagonal(Vec<f64>);

impl Psd<f64> for Diagonal {
    fn dim(&self) -> usize {
        self.0.len()
    }

    fn diagonal(&self) -> Vec<f64> {
        self.0.clone()
    }

    fn entries(&self, first: usize, cols: &[usize], mut out: MatMut<'_, f64>) {
        for (j, &col) in cols.iter().enumerate() {
            for i in 0..out.nrows() {
                out[(i, j)] = if first + i == col { self.0[col] } else { 0.0 };
            }
        }
    }
}

#[test]
fn calls_that_cannot_be_served() {
    let factor =
        |entries: &[f64], rank| RpCholesky::new(rank).factor(&Diagonal(entries.to_vec()), Par::Seq);
    assert_eq!(factor(&[0.0, 0.0], 2).unwrap().rank(), 0);
    assert_eq!(factor(&[3.0, 0.0, 2.0], 3).unwrap().rank(), 2);
    assert_eq!(factor(&[], 1).unwrap_err(), SketchError::Empty);
    for rank in [0, 3] {
        let error = factor(&[1.0, 1.0], rank).unwrap_err();
        assert_eq!(error, SketchError::Dimension { dim: rank, input: 2, most: 2 });
    }
    let error = factor(&[1.0, -2.0], 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "diagonal entry 1 is -2, expected a finite number that is not negative"
    );
    assert!(matches!(factor(&[f64::NAN], 1), Err(SketchError::NotPsd { at: 0, .. })));
}
