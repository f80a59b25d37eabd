//! Laws of all sketches: any block of one from its seed, rows that arrive in parts, storage orders, the right side, sparse input.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use faer::{Mat, MatRef, Par};
use nearlin_sketch::{
    AdjointSketch, Gaussian, Rademacher, RowSampling, Sketch, SketchError, SparseSign, Srht,
    Stream, Streaming, TensorSketch, TensorSrht,
};
use proptest::prelude::*;

/// SplitMix64 of `(seed, i)` in [-1, 1).
fn noise(seed: u64, i: usize) -> f64 {
    let mut z = seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn matrix(rows: usize, cols: usize, seed: u64) -> Mat<f64> {
    Mat::from_fn(rows, cols, |i, j| noise(seed.wrapping_add(j as u64), i))
}

/// What every sketch can do.
trait Whole: Streaming<f64> + AdjointSketch<f64> {}

impl<S: Streaming<f64> + AdjointSketch<f64>> Whole for S {}

/// One sketch of each kind, `R^(m d) -> R^dim` for a power of two `dim <= m d`.
fn each((m, d): (usize, usize), dim: usize, seed: u64) -> Vec<(&'static str, Box<dyn Whole>)> {
    let len = m * d;
    let scores: Vec<f64> = (0..len).map(|i| 1.0 + (i % 7) as f64).collect();
    vec![
        ("Gaussian", Box::new(Gaussian::new(len, dim, seed).unwrap())),
        ("Rademacher", Box::new(Rademacher::new(len, dim, seed).unwrap())),
        ("sparse signs", Box::new(SparseSign::new(len, dim, dim.min(3), seed).unwrap())),
        ("SRHT", Box::new(Srht::new(len, dim, seed).unwrap())),
        ("TensorSRHT", Box::new(TensorSrht::new(m, d, dim, seed).unwrap())),
        ("TensorSketch", Box::new(TensorSketch::new(m, d, dim, seed).unwrap())),
        ("rows", Box::new(RowSampling::uniform(len, dim, seed).unwrap())),
        ("other rows", Box::new(RowSampling::without_replacement(len, dim, seed).unwrap())),
        ("scored rows", Box::new(RowSampling::by_scores(&scores, dim, seed).unwrap())),
    ]
}

/// Two factors of a length up to 4000, on both sides of the blocks that sketches work in, and an embedding dimension.
fn dims() -> impl Strategy<Value = ((usize, usize), usize)> {
    (1usize..80, 1usize..50, 0u32..8)
        .prop_map(|(m, d, log)| ((m, d), 1 << log.min((m * d).ilog2())))
}

fn apply(sketch: &dyn Sketch<f64>, x: MatRef<'_, f64>, par: Par) -> Mat<f64> {
    let mut y = Mat::from_fn(sketch.embedding_dim(), x.ncols(), |_, _| f64::NAN);
    sketch.apply(y.as_mut(), x, par).unwrap();
    y
}

fn streamed(sketch: &dyn Streaming<f64>, x: MatRef<'_, f64>, cuts: &[usize], par: Par) -> Mat<f64> {
    let mut stream = Stream::new(sketch, x.ncols());
    for pair in cuts.windows(2) {
        stream.push(x.subrows(pair[0], pair[1] - pair[0]), par).unwrap();
        assert_eq!(stream.rows(), pair[1]);
    }
    stream.finish(par).unwrap()
}

/// Cuts of `0..len` at these parts of it.
fn places(len: usize, cuts: &[f64]) -> Vec<usize> {
    let mut places: Vec<usize> = cuts.iter().map(|c| (c * len as f64) as usize).collect();
    places.extend([0, len]);
    places.sort_unstable();
    places
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any block is that of the sketch of the unit vectors, to the last bit: all else is multiplied by zero.
    #[test]
    fn blocks_come_from_the_seed(
        (shape, dim) in dims(), rows in (0.0..1.0f64, 0.0..1.0f64), cols in (0.0..1.0f64, 0usize..300), seed: u64,
    ) {
        let len = shape.0 * shape.1;
        let (a, b) = ((rows.0 * dim as f64) as usize, (rows.1 * dim as f64) as usize + 1);
        let rows = a.min(b)..a.max(b);
        let first = (cols.0 * len as f64) as usize;
        let cols = first..len.min(first + cols.1);
        let units = Mat::from_fn(len, cols.len(), |i, j| f64::from(u8::from(i == cols.start + j)));
        for (name, sketch) in each(shape, dim, seed) {
            let image = apply(sketch.as_ref(), units.as_ref(), Par::Seq);
            let block = sketch.entries(rows.clone(), cols.clone()).unwrap();
            prop_assert!(block == image.as_ref().subrows(rows.start, rows.len()), "{name}");
        }
    }

    /// Rows that arrive in parts of any size give the bits of one part, on any number of threads and in either storage order;
    /// and those of `apply`, which the SRHT has to rounding: each side errs by at most `(log2 P + P / B) eps |x|_1 / sqrt(s)`.
    #[test]
    fn parts_are_the_whole(
        (shape, dim) in dims(), k in 1usize..6, cuts in prop::collection::vec(0.0..1.0f64, 0..6), seed: u64,
    ) {
        let len = shape.0 * shape.1;
        let a = matrix(len, k, seed);
        let turned = a.transpose().to_owned();
        let cuts = places(len, &cuts);
        for (name, sketch) in each(shape, dim, seed) {
            let whole = streamed(sketch.as_ref(), a.as_ref(), &[0, len], Par::Seq);
            let parts = streamed(sketch.as_ref(), turned.transpose(), &cuts, Par::rayon(2));
            prop_assert!(parts == whole, "{name}");
            let applied = apply(sketch.as_ref(), a.as_ref(), Par::Seq);
            if name == "SRHT" {
                let bound = 32.0 * f64::EPSILON * len as f64;
                prop_assert!((&applied - &whole).norm_max() <= bound, "{name}");
            } else {
                prop_assert!(applied == whole, "{name}");
            }
        }
    }

    /// Storage orders change no bits: by rows, by columns, backwards, with gaps; nor does the number of threads. From the right
    /// it is the transposed sketch.
    #[test]
    fn views_and_sides((shape, dim) in dims(), k in 1usize..6, seed: u64) {
        let len = shape.0 * shape.1;
        let a = matrix(len, k, seed);
        let turned = a.transpose().to_owned();
        let backwards = Mat::from_fn(len, k, |i, j| a[(len - 1 - i, j)]);
        let wide = Mat::from_fn(k + 3, 2 * len, |i, j| if i < k { a[(j % len, i)] } else { f64::NAN });
        let gaps = wide.as_ref().submatrix(0, len, k, len).transpose();
        for (name, sketch) in each(shape, dim, seed) {
            let want = apply(sketch.as_ref(), a.as_ref(), Par::Seq);
            for view in [a.as_ref(), turned.transpose(), backwards.as_ref().reverse_rows(), gaps] {
                prop_assert!(apply(sketch.as_ref(), view, Par::rayon(2)) == want, "{name}");
                let mut by_rows = Mat::from_fn(k, dim, |_, _| f64::NAN);
                sketch.apply(by_rows.transpose_mut(), view, Par::Seq).unwrap();
                prop_assert!(by_rows.transpose() == want, "{name}");
                let mut right = Mat::from_fn(k, dim, |_, _| f64::NAN);
                sketch.apply_right(right.as_mut(), view.transpose(), Par::Seq).unwrap();
                prop_assert!(right.transpose() == want, "{name}");
            }
        }
    }

    /// `<S x, y> = <x, S^T y>` to the rounding of sums of so many products, whatever the storage order; on any number of threads
    /// the same bits.
    #[test]
    fn adjoints((shape, dim) in dims(), k in 1usize..4, seed: u64) {
        let len = shape.0 * shape.1;
        let (a, y) = (matrix(len, k, seed), matrix(dim, k, seed ^ 2));
        let turned = y.transpose().to_owned();
        for (name, sketch) in each(shape, dim, seed) {
            let image = apply(sketch.as_ref(), a.as_ref(), Par::Seq);
            let mut back = Mat::from_fn(len, k, |_, _| f64::NAN);
            sketch.apply_adjoint(back.as_mut(), y.as_ref(), Par::Seq).unwrap();
            let mut again = Mat::from_fn(k, len, |_, _| f64::NAN);
            sketch.apply_adjoint(again.transpose_mut(), turned.transpose(), Par::rayon(2)).unwrap();
            prop_assert!(again.transpose() == back, "{name}");
            for j in 0..k {
                let left: f64 = (0..dim).map(|i| image[(i, j)] * y[(i, j)]).sum();
                let right: f64 = (0..len).map(|i| a[(i, j)] * back[(i, j)]).sum();
                // No entry of `S` is larger than `8 sqrt(len)`, but for normal ones by chance.
                let bound = 64.0 * f64::EPSILON * (len * dim) as f64 * (len as f64).sqrt();
                prop_assert!((left - right).abs() <= bound, "{name}: {left} {right}");
            }
        }
    }
}

/// `E |S x|^2 = |x|^2` for a vector of ones, which adds up what columns have in common, such as a stream that two parts of a row
/// share: with a variance of at most `2 |x|^4 / s` (signs and normal numbers), 3 (SRHT), 9 and 8 (tensors) and 1 (rows: none for
/// even ones, `sum w sum (1 / w) / N^2 - 1 = 0.5` for scored ones), the mean of 300 seeds is off by more than ten standard
/// deviations with a probability below 1/100 (Chebyshev).
#[test]
fn ones_keep_their_length() {
    let (shape, s, seeds) = ((50, 40), 32, 300);
    let ones = Mat::<f64>::ones(2000, 1);
    let mut means = [0.0; 9];
    for seed in 0..seeds {
        for (mean, (_, sketch)) in means.iter_mut().zip(each(shape, s, seed)) {
            let length = apply(sketch.as_ref(), ones.as_ref(), Par::Seq).squared_norm_l2();
            *mean += length / (2000.0 * seeds as f64);
        }
    }
    let names = each(shape, s, 0).into_iter().map(|(name, _)| name);
    for ((name, mean), variance) in names.zip(means).zip([2, 2, 2, 3, 9, 8, 1, 1, 1]) {
        let allowed = 10.0 * (f64::from(variance) / (s as f64 * seeds as f64)).sqrt();
        assert!((mean - 1.0).abs() <= allowed, "{name}: {mean}, off by {allowed} at most");
    }
}

/// Rows one at a time, too many of them, too few of them.
#[test]
fn streams_count_rows() {
    for (name, sketch) in each((60, 45), 16, 3) {
        let a = matrix(2700, 2, 5);
        let ones: Vec<usize> = (0..=2700).collect();
        let whole = streamed(sketch.as_ref(), a.as_ref(), &[0, 2700], Par::Seq);
        assert!(streamed(sketch.as_ref(), a.as_ref(), &ones, Par::Seq) == whole, "{name}");
        let mut stream = Stream::new(sketch.as_ref(), 2);
        stream.push(a.as_ref().subrows(0, 2000), Par::Seq).unwrap();
        let error = stream.push(a.as_ref().subrows(0, 701), Par::Seq).unwrap_err();
        assert_eq!(error.to_string(), "rows to sketch is 701 x 2, expected 700 x 2");
        assert!(stream.push(Mat::zeros(5, 3).as_ref(), Par::Seq).is_err());
        assert_eq!(stream.rows(), 2000);
        let error = stream.finish(Par::Seq).unwrap_err();
        assert_eq!(error.to_string(), "matrix that arrived is 2000 x 2, expected 2700 x 2");
    }
}

#[test]
fn wrong_calls_are_named() {
    for (name, sketch) in each((5, 4), 8, 3) {
        let error = sketch.entries(2..9, 0..3).unwrap_err();
        assert_eq!(error.to_string(), "rows 2..9 of a sketch, expected a range within 0..8");
        let error = sketch.entries(2..8, 20..21).unwrap_err();
        assert!(matches!(error, SketchError::Range { what: "columns", len: 20, .. }), "{name}");
        let mut out = Mat::zeros(3, 8);
        let error = sketch.apply_right(out.as_mut(), Mat::zeros(3, 19).as_ref(), Par::Seq);
        let text = error.unwrap_err().to_string();
        assert_eq!(text, "matrix to sketch from the right is 3 x 19, expected 3 x 20");
        let mut back = Mat::zeros(20, 2);
        let error = sketch.apply_adjoint(back.as_mut(), Mat::zeros(7, 2).as_ref(), Par::Seq);
        let text = error.unwrap_err().to_string();
        assert_eq!(text, "sketched matrix is 7 x 2, expected 8 x 2");
    }
    assert_eq!(TensorSketch::new(0, 3, 4, 0).unwrap_err(), SketchError::Empty);
    let error = TensorSketch::new(3, 3, 12, 0).unwrap_err();
    let text = "embedding dimension 12, expected a power of two, such as 16";
    assert_eq!(error.to_string(), text);
    assert!(matches!(TensorSketch::new(3, 3, 0, 0), Err(SketchError::Dimension { dim: 0, .. })));
}
