//! Laws of sketches of sparse matrices.
#![cfg(feature = "sparse")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use faer::sparse::{SparseColMat, SparseRowMat, Triplet};
use faer::{Mat, Par};
use nearlin_sketch::{
    Gaussian, Rademacher, RowSampling, SparseSign, SparseSketch, Srht, TensorSketch, TensorSrht,
};
use proptest::prelude::*;

/// SplitMix64 of `(seed, i)`.
fn bits(seed: u64, i: usize) -> u64 {
    let mut z = seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

type Sketches<I> = Vec<(&'static str, Box<dyn SparseSketch<I, f64>>)>;

fn each<I: faer::Index>((m, d): (usize, usize), dim: usize, seed: u64) -> Sketches<I> {
    let len = m * d;
    vec![
        ("Gaussian", Box::new(Gaussian::new(len, dim, seed).unwrap())),
        ("Rademacher", Box::new(Rademacher::new(len, dim, seed).unwrap())),
        ("sparse signs", Box::new(SparseSign::new(len, dim, dim.min(3), seed).unwrap())),
        ("SRHT", Box::new(Srht::new(len, dim, seed).unwrap())),
        ("TensorSRHT", Box::new(TensorSrht::new(m, d, dim, seed).unwrap())),
        ("TensorSketch", Box::new(TensorSketch::new(m, d, dim, seed).unwrap())),
        ("rows", Box::new(RowSampling::uniform(len, dim, seed).unwrap())),
        ("other rows", Box::new(RowSampling::without_replacement(len, dim, seed).unwrap())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Both storage orders give the sketch of the matrix written out, to the rounding of sums of so many products of numbers below
    /// 1 with entries below `8 sqrt(len)`; on any number of threads the same bits.
    #[test]
    fn sparse_input_is_dense_input(
        shape in (1usize..80, 1usize..50), log in 0u32..8, k in 0usize..40, count in 0usize..400, seed: u64,
    ) {
        let len = shape.0 * shape.1;
        let dim = 1 << log.min(len.ilog2());
        let mut dense = Mat::<f64>::zeros(len, k);
        let entry = |at: usize| {
            let at = bits(seed, at);
            Triplet::new(at as usize % len, (at >> 32) as usize % k, (at % 1013) as f64 / 1013.0 - 0.5)
        };
        let entries: Vec<_> = (0..if k == 0 { 0 } else { count }).map(entry).collect();
        for entry in &entries {
 dense[(entry.row, entry.col)] += entry.val;
}
        let by_columns = SparseColMat::<usize, f64>::try_new_from_triplets(len, k, &entries).unwrap();
        let by_rows = SparseRowMat::<usize, f64>::try_new_from_triplets(len, k, &entries).unwrap();
        let bound = 64.0 * f64::EPSILON * (count + len) as f64 * (len as f64).sqrt();
        for (name, sketch) in each(shape, dim, seed) {
            let mut want = Mat::from_fn(dim, k, |_, _| f64::NAN);
            sketch.apply(want.as_mut(), dense.as_ref(), Par::Seq).unwrap();
            for a in [by_columns.as_ref().into(), by_rows.as_ref().into()] {
                let [one, two] = [Par::Seq, Par::rayon(2)].map(|par| {
                    let mut got = Mat::from_fn(dim, k, |_, _| f64::NAN);
                    sketch.apply_sparse(got.as_mut(), a, par).unwrap();
                    got
                });
                prop_assert!(k == 0 || (&one - &want).norm_max() <= bound, "{name}");
                prop_assert!(one == two, "{name}");
            }
        }
    }
}

#[test]
fn wrong_calls_are_named() {
    let entries = [Triplet::new(3u32, 1, 1.0)];
    let a = SparseColMat::<u32, f64>::try_new_from_triplets(21, 2, &entries).unwrap();
    let turned = a.as_ref().transpose();
    for (name, sketch) in each::<u32>((5, 4), 8, 3) {
        let error = sketch.apply_sparse(Mat::zeros(8, 2).as_mut(), a.as_ref().into(), Par::Seq);
        let text = error.unwrap_err().to_string();
        assert_eq!(text, "matrix to sketch is 21 x 2, expected 20 x 2", "{name}");
        let error = sketch.apply_sparse(Mat::zeros(8, 2).as_mut(), turned.into(), Par::Seq);
        assert!(error.is_err(), "{name}");
    }
}
