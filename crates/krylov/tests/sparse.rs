//! Sparse matrices are the operators that their dense copies are.
#![cfg(feature = "sparse")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::sparse::{SparseColMat, SparseRowMat, Triplet};
use faer::{Mat, Par};
use nearlin_krylov::{AdjointOp, LeastSquares};
use proptest::prelude::*;

fn noise(seed: u64, i: usize) -> f64 {
    let mut z = seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((z ^ z >> 31) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// Some entries a row, in places that repeat or are missing.
fn triplets(m: usize, n: usize, each: usize, seed: u64) -> Vec<Triplet<usize, usize, f64>> {
    let entry = |i: usize, e: usize| {
        let at = (noise(seed, i * each + e).abs() * n as f64) as usize;
        Triplet::new(i, at.min(n - 1), noise(seed ^ 1, i * each + e))
    };
    (0..m).filter(|i| i % 7 != 3).flat_map(|i| (0..each).map(move |e| entry(i, e))).collect()
}

fn dense(m: usize, n: usize, triplets: &[Triplet<usize, usize, f64>]) -> Mat<f64> {
    let mut a = Mat::zeros(m, n);
    for t in triplets {
        a[(t.row, t.col)] += t.val;
    }
    a
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every product, in either storage order, sequential or not, with the same bits on any number of threads.
    #[test]
    fn products_are_those_of_the_dense_matrix(m in 1usize..9000, n in 1usize..40, each in 1usize..6, k in 1usize..4, seed: u64) {
        let entries = triplets(m, n, each, seed);
        let full = dense(m, n, &entries);
        let by_rows = SparseRowMat::<usize, f64>::try_new_from_triplets(m, n, &entries).unwrap();
        let by_cols = SparseColMat::<usize, f64>::try_new_from_triplets(m, n, &entries).unwrap();
        let operators: [&dyn AdjointOp<f64>; 2] = [&by_rows, &by_cols];
        let x = Mat::from_fn(n, k, |i, j| noise(seed ^ 2, i * k + j));
        let y = Mat::from_fn(m, k, |i, j| noise(seed ^ 3, i * k + j));
        let alpha: Vec<f64> = (0..k).map(|j| 0.5 + j as f64).collect();
        let expected = &full * &x;
        let fused = &expected - Mat::from_fn(m, k, |i, j| alpha[j] * y[(i, j)]);
        let bound = 1e-13 * (m * each) as f64;
        for a in operators {
            let mut first: Option<[Mat<f64>; 4]> = None;
            for par in [Par::Seq, Par::rayon(1), Par::rayon(2)] {
                let (mut ax, mut ay) = (Mat::from_fn(m, k, |_, _| f64::NAN), Mat::from_fn(n, k, |_, _| f64::NAN));
                let (mut both, mut z) = (y.clone(), Mat::from_fn(n, k, |_, _| f64::NAN));
                let scratch = a.apply_scratch(k, par).or(a.apply_adjoint_scratch(k, par)).or(a.apply_both_scratch(k, par));
                let mut buffer = MemBuffer::new(scratch);
                a.apply(ax.as_mut(), x.as_ref(), par, MemStack::new(&mut buffer));
                a.apply_adjoint(ay.as_mut(), y.as_ref(), par, MemStack::new(&mut buffer));
                a.apply_both(both.as_mut(), &alpha, x.as_ref(), z.as_mut(), par, MemStack::new(&mut buffer));
                prop_assert!((&ax - &expected).norm_l2() <= bound);
                prop_assert!((&ay - full.transpose() * &y).norm_l2() <= bound);
                prop_assert!((&both - &fused).norm_l2() <= bound);
                prop_assert!((&z - full.transpose() * &fused).norm_l2() <= bound * (m as f64).sqrt());
                let all = [ax, ay, both, z];
                prop_assert!(first.get_or_insert_with(|| all.clone()) == &all);
            }
        }
    }
}

/// A fit with a sparse matrix is that with its dense copy.
#[test]
fn fits_are_those_of_the_dense_matrix() {
    let entries = triplets(400, 12, 4, 5);
    let (full, sparse) =
        (dense(400, 12, &entries), SparseRowMat::try_new_from_triplets(400, 12, &entries).unwrap());
    let sparse: SparseRowMat<usize, f64> = sparse;
    let b = Mat::from_fn(400, 1, |i, _| noise(9, i));
    let one = LeastSquares::lsqr().solve(&sparse, b.as_ref()).unwrap();
    let other = LeastSquares::lsqr().solve(&full, b.as_ref()).unwrap();
    assert_eq!(one.report.iters, other.report.iters);
    assert!((&one.x - &other.x).norm_l2() < 1e-9 * other.x.norm_l2());
}
