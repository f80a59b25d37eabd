//! Sparse matrices are solved with as their dense copies are.
#![cfg(feature = "sparse")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use faer::sparse::{SparseColMat, SparseRowMat, Triplet};
use faer::{Mat, Par};
use nearlin_lstsq::{Lstsq, Matrix};
use nearlin_sketch::{Sketch, SparseSign};
use proptest::prelude::*;

fn noise(seed: u64, i: usize) -> f64 {
    let mut z = seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((z ^ z >> 31) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn problem(
    m: usize,
    n: usize,
    seed: u64,
) -> (Mat<f64>, SparseRowMat<usize, f64>, SparseColMat<usize, f64>) {
    let entry = |i: usize, e: usize| {
        let at = (noise(seed, i * 4 + e).abs() * n as f64) as usize;
        Triplet::new(
            i,
            at.min(n - 1),
            noise(seed ^ 1, i * 4 + e) * [1.0, 10.0, 100.0, 1000.0][at % 4],
        )
    };
    let entries: Vec<_> = (0..m).flat_map(|i| (0..4).map(move |e| entry(i, e))).collect();
    let mut dense = Mat::zeros(m, n);
    for t in &entries {
        dense[(t.row, t.col)] += t.val;
    }
    let by_rows = SparseRowMat::try_new_from_triplets(m, n, &entries).unwrap();
    (dense, by_rows, SparseColMat::try_new_from_triplets(m, n, &entries).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The sketch of a sparse matrix, with scales or without, from either side, is that of its dense copy.
    #[test]
    fn sketches_are_those_of_the_dense_matrix(m in 1usize..6000, n in 1usize..30, each in 1usize..9, scaled: bool, seed: u64) {
        let (dense, by_rows, by_cols) = problem(m, n, seed);
        let scales: Vec<f64> = (0..m).map(|i| 1.0 + noise(seed ^ 4, i)).collect();
        let scales = scaled.then_some(&scales[..]);
        let sketch = SparseSign::new(m, 40, each, seed).unwrap();
        let other = SparseSign::new(n, 40, each, seed).unwrap();
        let all: [&dyn Matrix<f64>; 3] = [&dense, &by_rows, &by_cols];
        let sketched = all.map(|a| {
            let mut out = Mat::from_fn(40, n, |_, _| f64::NAN);
            a.sketch(out.as_mut(), &sketch, scales, Par::rayon(2)).unwrap();
            let mut turned = Mat::from_fn(40, m, |_, _| f64::NAN);
            a.sketch_adjoint(turned.as_mut(), &other, Par::rayon(2)).unwrap();
            (out, turned)
        });
        let bound = 1e-11 * (m as f64).sqrt() * 1e3;
        for (out, turned) in &sketched[1..] {
            prop_assert!((out - &sketched[0].0).norm_l2() <= bound);
            prop_assert!((turned - &sketched[0].1).norm_l2() <= bound);
        }
        let mut plain = Mat::zeros(40, n);
        sketch.apply(plain.as_mut(), dense.as_ref(), Par::Seq).unwrap();
        if !scaled {
            prop_assert!((&plain - &sketched[1].0).norm_l2() <= bound);
        }
    }
}

#[test]
fn solutions_are_those_of_the_dense_matrix() {
    let (dense, by_rows, by_cols) = problem(3000, 25, 3);
    let b = Mat::from_fn(3000, 2, |i, j| noise(7, 2 * i + j));
    let settings = Lstsq::default().with_oversampling(6.0);
    let expected = settings.solve(&dense, b.as_ref()).unwrap();
    let weights: Vec<f64> = (0..3000).map(|i| 1.0 + noise(8, i)).collect();
    let weighted = settings.solve_weighted(&dense, b.as_ref(), &weights).unwrap();
    let all: [&dyn Matrix<f64>; 2] = [&by_rows, &by_cols];
    for a in all {
        let fit = settings.solve(a, b.as_ref()).unwrap();
        assert_eq!(fit.report.rank, 25);
        assert!((&fit.x - &expected.x).norm_l2() < 1e-11 * expected.x.norm_l2());
        let fit = settings.solve_weighted(a, b.as_ref(), &weights).unwrap();
        assert!((&fit.x - &weighted.x).norm_l2() < 1e-11 * weighted.x.norm_l2());
        // A matrix that is its own sketch is written out.
        let fit = Lstsq::default().solve(a, b.as_ref()).unwrap();
        assert!((&fit.x - &expected.x).norm_l2() < 1e-11 * expected.x.norm_l2());
    }
}
