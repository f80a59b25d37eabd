//! Laws of the transform and of the sketches, over random lengths and inputs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use faer::{Mat, MatMut, Par};
use nearlin_sketch::{
    Gaussian, Scalar, Sketch, SketchError, Srht, TensorSketch, TensorSrht, fwht, fwht_columns,
    fwht_padded, fwht_par, padded_len,
};
use proptest::prelude::*;

/// Vectors of length 1, 2, .., 2^14 (both sides of the cache split) over twelve decades.
fn signal() -> impl Strategy<Value = Vec<f64>> {
    (0u32..=14, any::<u64>()).prop_map(|(log_n, seed)| {
        (0..1usize << log_n).map(|i| noise(seed, i) * 10f64.powf((i % 13) as f64 - 6.0)).collect()
    })
}

/// SplitMix64 of `(seed, i)` in [-1, 1).
fn noise(seed: u64, i: usize) -> f64 {
    let mut z = seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn difference(x: &[f64], y: &[f64]) -> f64 {
    norm(&x.iter().zip(y).map(|(x, y)| x - y).collect::<Vec<_>>())
}

/// `(H x)_i` by definition: signs are parities of the common bits of `i` and `j`.
fn by_definition(x: &[f64]) -> Vec<f64> {
    (0..x.len())
        .map(|i| {
            let sign = |j: usize| if (i & j).count_ones() % 2 == 1 { -1.0 } else { 1.0 };
            x.iter().enumerate().map(|(j, v)| sign(j) * v).sum()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// `H H = n I`; forward error of two passes is at most `2 log2(n) eps n |x|` in norm (Higham,
    /// *Accuracy and Stability*, 2nd ed., Thm 24.2 gives the same shape for the FFT).
    #[test]
    fn fwht_is_its_own_inverse_up_to_n(x in signal()) {
        let n = x.len() as f64;
        let mut y = x.clone();
        fwht(&mut y);
        fwht(&mut y);
        let scaled: Vec<f64> = x.iter().map(|v| n * v).collect();
        let bound = 2.0 * (n.log2() + 1.0) * f64::EPSILON * n * norm(&x);
        prop_assert!(difference(&y, &scaled) <= bound);
    }

    /// The transform is the one defined by parities, in both precisions, with zeros as padding.
    #[test]
    fn fwht_is_the_hadamard_matrix(len in 1usize..300, seed: u64) {
        let x: Vec<f64> = (0..len).map(|i| noise(seed, i)).collect();
        let mut padded = x.clone();
        padded.resize(padded_len(len), 0.0);
        let want = by_definition(&padded);
        let n = padded.len() as f64;
        // Both sides err: log2(n) levels here, chains of n additions there.
        let bound = |eps: f64| 2.0 * n * eps * n.sqrt() * norm(&x);
        prop_assert!(difference(&fwht_padded(&x), &want) <= bound(f64::EPSILON));
        let single: Vec<f32> = x.iter().map(|&v| v as f32).collect();
        let got: Vec<f64> = fwht_padded(&single).iter().map(|&v| f64::from(v)).collect();
        prop_assert!(difference(&got, &want) <= bound(f64::from(f32::EPSILON)));
    }

    /// Down the columns of a matrix of any storage order: the transform of each column, same bits
    /// on any number of threads.
    #[test]
    fn columns_are_transformed(log_n in 0u32..9, k in 1usize..40, seed: u64) {
        let n = 1usize << log_n;
        let a = Mat::from_fn(n, k, |i, j| noise(seed, i * k + j));
        let mut by_columns = a.clone();
        fwht_columns(by_columns.as_mut(), Par::rayon(0));
        let mut by_rows = a.transpose().to_owned();
        fwht_columns(by_rows.transpose_mut(), Par::Seq);
        let mut backwards = a.transpose().reverse_cols().to_owned();
        fwht_columns(backwards.transpose_mut().reverse_rows_mut(), Par::Seq);
        for j in 0..k {
            let mut column: Vec<f64> = (0..n).map(|i| a[(i, j)]).collect();
            fwht(&mut column);
            for i in 0..n {
                prop_assert_eq!(column[i], by_columns[(i, j)]);
                prop_assert_eq!(column[i], by_rows[(j, i)]);
                prop_assert_eq!(column[i], backwards[(j, n - 1 - i)]);
            }
        }
    }

    /// An SRHT that leaves out blocks without samples gives the bits of the whole transform: its
    /// entries are among those of the sketch that samples every row, which has all signs, scaled.
    #[test]
    fn sampling_less_changes_no_bits(log_n in 0u32..15, part in 0u32..15, seed: u64) {
        let n = 1usize << log_n;
        let s = (n >> part).max(1);
        let x: Vec<f32> = (0..n).map(|i| noise(seed, i) as f32).collect();
        let sketched = |dim: usize| {
            let mut y = vec![0.0f32; dim];
            Srht::new(n, dim, seed).unwrap().apply_to_buffer(&mut y, &mut x.clone());
            y
        };
        // The first `s` steps of the same shuffle, so the same rows; only the scale differs.
        let all = sketched(n);
        let unscaled = |y: f32, dim: usize| f64::from(y) * (dim as f64).sqrt();
        for (few, all) in sketched(s).into_iter().zip(all) {
            let (few, all) = (unscaled(few, s), unscaled(all, n));
            prop_assert!((few - all).abs() <= 4.0 * f64::from(f32::EPSILON) * all.abs());
        }
    }

    /// With every row sampled the SRHT is an isometry, whatever the padding: wrong signs, a wrong
    /// scale or a lost entry would all show. Two roundings an entry beside the transform's.
    #[test]
    fn a_full_srht_is_an_isometry(len in 1usize..600, seed: u64) {
        let x = Mat::from_fn(len, 1, |i, _| noise(seed, i));
        let s = padded_len(len);
        let sketch = Srht::new(len, s, seed).unwrap();
        let mut y = Mat::zeros(s, 1);
        sketch.apply(y.as_mut(), x.as_ref(), Par::Seq).unwrap();
        let bound = 2.0 * ((s as f64).log2() + 3.0) * f64::EPSILON * x.norm_l2();
        prop_assert!((y.norm_l2() - x.norm_l2()).abs() <= bound);
    }

    /// Sketching is linear: `S (2 a - b) = 2 S a - S b`, to the rounding of both sides.
    #[test]
    fn sketches_are_linear(len in 2usize..80, seed: u64) {
        let a = Mat::from_fn(len, 1, |i, _| noise(seed, i));
        let b = Mat::from_fn(len, 1, |i, _| noise(seed ^ 1, i));
        let c = Mat::from_fn(len, 1, |i, _| 2.0 * a[(i, 0)] - b[(i, 0)]);
        for sketch in each(len, 5, seed) {
            let [sa, sb, sc] = [&a, &b, &c].map(|x| apply(sketch.as_ref(), x, Par::Seq));
            for i in 0..5 {
                let bound = 16.0 * len as f64 * f64::EPSILON * (len as f64).sqrt() * 4.0;
                prop_assert!((2.0 * sa[(i, 0)] - sb[(i, 0)] - sc[(i, 0)]).abs() <= bound);
            }
        }
    }

    /// The sketch of a Kronecker product from its factors is that of the product written out.
    #[test]
    fn tensor_sketch_of_a_product(m in 1usize..40, d in 1usize..12, seed: u64) {
        let u: Vec<f64> = (0..m).map(|i| noise(seed, i)).collect();
        let v: Vec<f64> = (0..d).map(|i| noise(seed ^ 1, i)).collect();
        let sketch = TensorSrht::new(m, d, 17, seed).unwrap();
        let product = Mat::from_fn(m * d, 1, |i, _| u[i / d] * v[i % d]);
        let want = apply(&sketch, &product, Par::Seq);
        let (p, q) = sketch.padded_dims();
        let (mut u, mut v) = (u, v);
        u.resize(p, f64::NAN);
        v.resize(q, f64::NAN);
        let bound = 8.0 * (p * q) as f64 * f64::EPSILON * norm(&u[..m]) * norm(&v[..d]);
        let mut got = [0.0; 17];
        sketch.apply_to_pair(&mut got, &mut u, &mut v);
        for (i, value) in got.iter().enumerate() {
            prop_assert!((value - want[(i, 0)]).abs() <= bound);
        }
    }
}

/// The count sketch of a Kronecker product by transforms is that of the product written out, and its length is kept on average:
/// with a variance of at most `8 |x|^4 / s` the mean of 400 seeds is off by more than ten standard deviations with a probability
/// below 1/100 (Chebyshev).
#[test]
fn count_sketch_of_a_product() {
    let (m, d, s, seeds) = (40, 13, 64, 400u32);
    let u: Vec<f64> = (0..m).map(|i| noise(5, i)).collect();
    let v: Vec<f64> = (0..d).map(|i| noise(6, i)).collect();
    let product = Mat::from_fn(m * d, 1, |i, _| u[i / d] * v[i % d]);
    let length = product.squared_norm_l2();
    let (mut mean, mut variance) = (0.0, 0.0);
    for seed in 0..u64::from(seeds) {
        let sketch = TensorSketch::new(m, d, s, seed).unwrap();
        let want = apply(&sketch, &product, Par::Seq);
        let mut got = vec![f64::NAN; s];
        sketch.apply_to_pair(&mut got, &u, &v);
        // Three transforms of 64 numbers, and sums of 40 and 13.
        let bound = 100.0 * f64::EPSILON * s as f64 * norm(&u) * norm(&v);
        assert!(got.iter().enumerate().all(|(i, got)| (got - want[(i, 0)]).abs() <= bound));
        let ratio = want.squared_norm_l2() / length;
        mean += ratio / f64::from(seeds);
        variance += (ratio - 1.0).powi(2) / f64::from(seeds);
    }
    let allowed = 10.0 * (8.0 / (s as f64 * f64::from(seeds))).sqrt();
    assert!((mean - 1.0).abs() <= allowed, "{mean}");
    // The variance itself, by Markov's inequality at the same probability.
    assert!(variance <= 100.0 * 8.0 / s as f64, "{variance}");
}

/// One sketch of each kind, `R^len -> R^dim`; the tensor one reads the vector as `len x 1`.
fn each(len: usize, dim: usize, seed: u64) -> Vec<Box<dyn Sketch<f64>>> {
    let dim_srht = dim.min(padded_len(len));
    let mut sketches: Vec<Box<dyn Sketch<f64>>> = vec![
        Box::new(TensorSrht::new(len, 1, dim, seed).unwrap()),
        Box::new(Gaussian::new(len, dim, seed).unwrap()),
    ];
    if dim_srht == dim {
        sketches.push(Box::new(Srht::new(len, dim, seed).unwrap()));
    }
    sketches
}

fn apply<T: Scalar>(sketch: &dyn Sketch<T>, x: &Mat<T>, par: Par) -> Mat<T> {
    let mut y = Mat::from_fn(sketch.embedding_dim(), x.ncols(), |_, _| T::of(f64::NAN));
    sketch.apply(y.as_mut(), x.as_ref(), par).unwrap();
    y
}

/// `E |S x|^2 = |x|^2` over the seeds. The variance of `|S x|^2 / |x|^2` is at most `3 / s` for the
/// SRHT and the Gaussian (fourth moments of Rademacher sums and of normals) and `9 / s` for the
/// tensor form (a product of two), so the mean over 600 seeds is off by more than
/// `10 sqrt(9 / (600 s))` with probability below 1/100 (Chebyshev); the seeds are fixed.
#[test]
fn lengths_are_kept_on_average() {
    const SEEDS: u64 = 600;
    let (m, d, s) = (24, 5, 64);
    let x = Mat::from_fn(m * d, 1, |i, _| if i % 7 == 0 { 3.0 } else { noise(3, i) });
    let length = x.squared_norm_l2();
    let mean = |make: &dyn Fn(u64) -> Box<dyn Sketch<f64>>| {
        (0..SEEDS)
            .map(|seed| apply(make(seed).as_ref(), &x, Par::Seq).squared_norm_l2() / length)
            .sum::<f64>()
            / SEEDS as f64
    };
    let tolerance = |variance: f64| 10.0 * (variance / (SEEDS as f64 * s as f64)).sqrt();
    let srht = mean(&|seed| Box::new(Srht::new(m * d, s, seed).unwrap()));
    assert!((srht - 1.0).abs() <= tolerance(3.0), "SRHT {srht}");
    let tensor = mean(&|seed| Box::new(TensorSrht::new(m, d, s, seed).unwrap()));
    assert!((tensor - 1.0).abs() <= tolerance(9.0), "TensorSRHT {tensor}");
    let gaussian = mean(&|seed| Box::new(Gaussian::new(m * d, s, seed).unwrap()));
    assert!((gaussian - 1.0).abs() <= tolerance(3.0), "Gaussian {gaussian}");
}

/// `s |S x|^2 / |x|^2` is chi-squared with `s` degrees of freedom for the Gaussian sketch, so
/// `| |S x|^2 / |x|^2 - 1 | > 2 sqrt(t / s) + 2 t / s` has probability at most `2 exp(-t)` (Laurent
/// and Massart 2000, Lemma 1): `t = 20` makes the 200 checks fail with probability below 1e-6.
#[test]
fn gaussian_distortion() {
    let (s, t) = (256.0, 20.0f64);
    let x = Mat::from_fn(100, 1, |i, _| noise(9, i));
    for seed in 0..200 {
        let y = apply(&Gaussian::new(100, 256, seed).unwrap(), &x, Par::Seq);
        let distortion: f64 = (y.squared_norm_l2() / x.squared_norm_l2() - 1.0).abs();
        assert!(distortion <= 2.0 * (t / s).sqrt() + 2.0 * t / s, "seed {seed}: {distortion}");
    }
}

/// The same seed gives the same bits, sequentially and on pools of one to three threads; another
/// seed gives another sketch.
#[test]
fn the_seed_names_the_sketch() {
    let x = Mat::from_fn(700, 5, |i, j| noise(j as u64, i));
    let run = |seed: u64, par: Par| {
        let sketches: [Box<dyn Sketch<f64>>; 3] = [
            Box::new(Srht::new(700, 130, seed).unwrap()),
            Box::new(TensorSrht::new(70, 10, 130, seed).unwrap()),
            Box::new(Gaussian::new(700, 130, seed).unwrap()),
        ];
        sketches.map(|sketch| apply(sketch.as_ref(), &x, par))
    };
    let reference = run(5, Par::Seq);
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| run(5, Par::rayon(0))) == reference, "{threads} threads");
    }
    for (one, other) in reference.iter().zip(run(6, Par::Seq)) {
        assert!(*one != other);
    }
}

/// A long vector on pools of one to three threads, and as a matrix of either storage order, has the
/// bits of the sequential transform.
#[test]
fn threads_change_no_bits() {
    let x: Vec<f32> = (0..1 << 18).map(|i| noise(11, i) as f32).collect();
    let mut want = x.clone();
    fwht(&mut want);
    let matrix = Mat::from_fn(64, 257, |i, j| noise(j as u64, i));
    let mut columns = matrix.clone();
    fwht_columns(columns.as_mut(), Par::Seq);
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut got = x.clone();
            fwht_par(&mut got, Par::rayon(0));
            assert!(got == want, "{threads} threads");
            let mut rows = matrix.transpose().to_owned();
            fwht_columns(rows.transpose_mut(), Par::rayon(0));
            assert!(rows.transpose() == columns, "{threads} threads");
            let mut got = x.clone();
            fwht_columns(MatMut::from_row_major_slice_mut(&mut got, 1 << 12, 64), Par::rayon(0));
            let mut want = x.clone();
            fwht_columns(MatMut::from_row_major_slice_mut(&mut want, 1 << 12, 64), Par::Seq);
            assert!(got == want, "{threads} threads");
        });
    }
}

/// Rows are sampled without replacement: a full sample of the unit vectors' images is complete.
#[test]
fn samples_do_not_repeat() {
    let sketch = Srht::new(8, 8, 1).unwrap();
    let identity: Mat<f64> = Mat::identity(8, 8);
    let s = apply(&sketch, &identity, Par::Seq);
    let gram = s.transpose() * &s;
    for i in 0..8 {
        for j in 0..8 {
            let want = if i == j { 1.0 } else { 0.0 };
            assert!((gram[(i, j)] - want).abs() < 1e-15);
        }
    }
}

#[test]
fn wrong_calls_are_named() {
    assert_eq!(Srht::new(0, 1, 0).unwrap_err(), SketchError::Empty);
    let error = Srht::new(5, 9, 0).unwrap_err();
    assert_eq!(error.to_string(), "embedding dimension 9 for vectors of length 5, expected 1 to 8");
    assert!(matches!(TensorSrht::new(3, 0, 1, 0), Err(SketchError::Empty)));
    assert!(matches!(TensorSrht::new(3, 2, 0, 0), Err(SketchError::Dimension { dim: 0, .. })));
    assert!(matches!(Gaussian::new(3, 0, 0), Err(SketchError::Dimension { dim: 0, .. })));
    let sketch = Srht::new(5, 4, 0).unwrap();
    let mut y = Mat::<f64>::zeros(4, 2);
    let error = sketch.apply(y.as_mut(), Mat::zeros(6, 2).as_ref(), Par::Seq).unwrap_err();
    assert_eq!(error.to_string(), "matrix to sketch is 6 x 2, expected 5 x 2");
    let error = sketch.apply(y.as_mut(), Mat::zeros(5, 3).as_ref(), Par::Seq).unwrap_err();
    assert_eq!(error.to_string(), "sketched matrix is 4 x 2, expected 4 x 3");
}

#[test]
#[should_panic(expected = "length 6 is not a power of two")]
fn other_lengths_panic() {
    fwht(&mut [0.0f64; 6]);
}
