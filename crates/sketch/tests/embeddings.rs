//! Laws of sparse signs, of dense random signs and of sampled rows, and of adjoints.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use faer::{Mat, MatRef, Par};
use nearlin_sketch::{
    AdjointSketch, Gaussian, Rademacher, RowSampling, Scalar, Sketch, SketchError, SparseSign,
    Srht, TensorSketch,
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
    Mat::from_fn(rows, cols, |i, j| noise(seed + j as u64, i))
}

fn apply<T: Scalar>(sketch: &dyn Sketch<T>, x: MatRef<'_, T>, par: Par) -> Mat<T> {
    let mut y = Mat::from_fn(sketch.embedding_dim(), x.ncols(), |_, _| T::of(f64::NAN));
    sketch.apply(y.as_mut(), x, par).unwrap();
    y
}

/// One sketch of each kind that has an adjoint, `R^len -> R^dim`, `dim <= len`.
fn each(len: usize, dim: usize, seed: u64) -> Vec<Box<dyn AdjointSketch<f64>>> {
    vec![
        Box::new(Gaussian::new(len, dim, seed).unwrap()),
        Box::new(Rademacher::new(len, dim, seed).unwrap()),
        Box::new(SparseSign::new(len, dim, dim.min(3), seed).unwrap()),
        Box::new(SparseSign::count_sketch(len, dim, seed).unwrap()),
        Box::new(Srht::new(len, dim, seed).unwrap()),
        Box::new(RowSampling::uniform(len, dim, seed).unwrap()),
        Box::new(RowSampling::without_replacement(len, dim, seed).unwrap()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// `<S x, y> = <x, S^T y>`, and `S` is linear, to the rounding of sums of so many products.
    #[test]
    fn sketches_are_linear_and_have_adjoints(len in 5usize..200, k in 1usize..20, seed: u64) {
        let dim = 5;
        let (a, b) = (matrix(len, k, seed), matrix(len, k, seed ^ 1));
        let c = Mat::from_fn(len, k, |i, j| 2.0 * a[(i, j)] - b[(i, j)]);
        let y = matrix(dim, k, seed ^ 2);
        let bound = 64.0 * f64::EPSILON * (len * len) as f64;
        for sketch in each(len, dim, seed) {
            let of = |x: &Mat<f64>| { let mut y = Mat::zeros(dim, k); sketch.apply(y.as_mut(), x.as_ref(), Par::Seq).unwrap(); y };
            let (sa, sb, sc) = (of(&a), of(&b), of(&c));
            let mut back = Mat::from_fn(len, k, |_, _| f64::NAN);
            sketch.apply_adjoint(back.as_mut(), y.as_ref(), Par::Seq).unwrap();
            for j in 0..k {
                for i in 0..dim {
                    prop_assert!((2.0 * sa[(i, j)] - sb[(i, j)] - sc[(i, j)]).abs() <= bound);
                }
                let left: f64 = (0..dim).map(|i| sa[(i, j)] * y[(i, j)]).sum();
                let right: f64 = (0..len).map(|i| a[(i, j)] * back[(i, j)]).sum();
                prop_assert!((left - right).abs() <= bound, "{left} {right}");
            }
        }
    }

    /// Rows that come in parts of any size give the bits of the whole, in either storage order and on any number of threads.
    #[test]
    fn parts_are_the_whole(len in 1usize..9000, k in 1usize..40, each in 1usize..9, cuts in prop::collection::vec(0.0..1.0f64, 0..5), seed: u64) {
        let sketch = SparseSign::new(len, 16, each, seed).unwrap();
        let a = matrix(len, k, seed);
        let whole = apply(&sketch, a.as_ref(), Par::Seq);
        let mut cuts: Vec<usize> = cuts.iter().map(|c| (c * len as f64) as usize).chain([0, len]).collect();
        cuts.sort_unstable();
        let mut parts = Mat::zeros(16, k);
        for pair in cuts.windows(2) {
            let rows = a.as_ref().subrows(pair[0], pair[1] - pair[0]);
            sketch.accumulate(parts.as_mut(), rows, pair[0], Par::rayon(2)).unwrap();
        }
        prop_assert!(parts == whole);
        let transposed = a.transpose().to_owned();
        prop_assert!(apply(&sketch, transposed.transpose(), Par::rayon(2)) == whole);
    }

    /// Any column of `S` can be told from the seed: one sign in each block of rows, and the sketch of the unit vector.
    #[test]
    fn columns_are_told_by_the_seed(len in 1usize..5000, dim in 1usize..50, each in 1usize..9, at in 0.0..1.0f64, seed: u64) {
        prop_assume!(each <= dim);
        let sketch = SparseSign::new(len, dim, each, seed).unwrap();
        let at = (at * len as f64) as usize;
        let column = sketch.column(at);
        let unit = Mat::from_fn(len, 1, |i, _| if i == at { 1.0 } else { 0.0 });
        let image = apply(&sketch, unit.as_ref(), Par::Seq);
        prop_assert_eq!(column.len(), each);
        for (block, &(row, value)) in column.iter().enumerate() {
            prop_assert!((block * dim / each..(block + 1) * dim / each).contains(&row));
            prop_assert_eq!(image[(row, 0)], value);
            prop_assert!((value * value * each as f64 - 1.0).abs() < 1e-15);
        }
        prop_assert_eq!((0..dim).filter(|&i| image[(i, 0)] != 0.0).count(), each);
    }

    /// All rows without replacement are the matrix itself; rows sampled by their squares keep a length exactly, as each of them
    /// stands for the same part of it.
    #[test]
    fn samples_that_lose_nothing(len in 1usize..100, dim in 1usize..30, seed: u64) {
        let x = matrix(len, 2, seed);
        let all = RowSampling::without_replacement(len, len, seed).unwrap();
        prop_assert!(apply(&all, x.as_ref(), Par::Seq) == x);
        let squares: Vec<f64> = (0..len).map(|i| x[(i, 0)] * x[(i, 0)]).collect();
        let some = RowSampling::by_scores(&squares, dim, seed).unwrap();
        let length = apply(&some, x.as_ref().subcols(0, 1), Par::Seq).squared_norm_l2();
        prop_assert!((length / x.as_ref().subcols(0, 1).squared_norm_l2() - 1.0).abs() < 1e-12);
        prop_assert!(some.picks().iter().all(|&(row, _)| squares[row] > 0.0));
    }
}

/// `E |U^T S^T S U - I|_F^2 <= (d^2 + d) / s` for an orthonormal `U : N x d` and sparse signs (Nelson and Nguyen 2013, section
/// 2, for one sign a column; more signs have less variance), and for dense ones. The mean of that over any seeds exceeds 100
/// times as much with a probability of at most 1/100 (Markov); a wrong scale or a sign that is shared passes it.
#[test]
fn subspaces_are_embedded() {
    let (n, d, s, seeds) = (3000, 6, 600, 40);
    let u = matrix(n, d, 5).qr().compute_thin_Q();
    let bound = 100.0 * (d * d + d) as f64 / s as f64;
    let mean = |make: &dyn Fn(u64) -> Box<dyn Sketch<f64>>| {
        let error = |seed| {
            let su = apply(make(seed).as_ref(), u.as_ref(), Par::Seq);
            (su.transpose() * &su - Mat::<f64>::identity(d, d)).squared_norm_l2()
        };
        (0..seeds).map(error).sum::<f64>() / seeds as f64
    };
    for each in [1, 2, 8] {
        let sparse = mean(&|seed| Box::new(SparseSign::new(n, s, each, seed).unwrap()));
        assert!(sparse < bound, "{each} signs: {sparse} of {bound}");
        // And no less than a random embedding can have by a factor of 100, as one of few distinct seeds would.
        assert!(sparse > bound / 1e6, "{each} signs: {sparse}");
    }
    // 8 |x|^2 |y|^2 / s for each entry, as its documentation has it.
    let bound_of_tensor = 100.0 * 8.0 * (d * d) as f64 / 1024.0;
    let tensor = mean(&|seed| Box::new(TensorSketch::new(75, 40, 1024, seed).unwrap()));
    assert!(tensor < bound_of_tensor && tensor > bound_of_tensor / 1e6, "{tensor}");
    let dense = mean(&|seed| Box::new(Rademacher::new(n, s, seed).unwrap()));
    assert!(dense < bound, "{dense}");
}

/// `E |S x|^2 = |x|^2`: with a variance of `2 |x|^4 / s` at most for signs, and `(N sum x_i^4 - |x|^4) / s` for rows, the mean
/// of 400 seeds is off by more than ten standard deviations with a probability below 1/100 (Chebyshev).
#[test]
fn lengths_are_kept_on_average() {
    let (n, s, seeds) = (500, 40, 400);
    let x = Mat::from_fn(n, 1, |i, _| noise(3, i) * if i % 50 == 0 { 5.0 } else { 1.0 });
    let length = x.squared_norm_l2();
    let fourth: f64 = x.col(0).iter().map(|x| x.powi(4)).sum();
    let rows = (n as f64 * fourth - length * length) / (length * length);
    let within = |name: &str, variance: f64, make: &dyn Fn(u64) -> Box<dyn Sketch<f64>>| {
        let mut ratios = (0..seeds).map(|seed| {
            apply(make(seed).as_ref(), x.as_ref(), Par::Seq).squared_norm_l2() / length
        });
        let mean = ratios.by_ref().sum::<f64>() / seeds as f64;
        let allowed = 10.0 * (variance / (s as f64 * seeds as f64)).sqrt();
        assert!((mean - 1.0).abs() < allowed, "{name}: {mean}, off by {allowed} at most");
    };
    within("count sketch", 2.0, &|seed| Box::new(SparseSign::count_sketch(n, s, seed).unwrap()));
    within("sparse signs", 2.0, &|seed| Box::new(SparseSign::new(n, s, 4, seed).unwrap()));
    within("dense signs", 2.0, &|seed| Box::new(Rademacher::new(n, s, seed).unwrap()));
    // The fewer rows are covered by the variance of 8 |x|^4 / 32.
    within("tensor sketch", 8.0 * 40.0 / 32.0, &|seed| {
        Box::new(TensorSketch::new(20, 25, 32, seed).unwrap())
    });
    within("rows", rows, &|seed| Box::new(RowSampling::uniform(n, s, seed).unwrap()));
    within("other rows", rows, &|seed| {
        Box::new(RowSampling::without_replacement(n, s, seed).unwrap())
    });
    let scores: Vec<f64> = (0..n).map(|i| 1.0 + (i % 50) as f64).collect();
    let by_scores = {
        let sum: f64 = scores.iter().sum();
        let second: f64 = (0..n).map(|i| x[(i, 0)].powi(4) * sum / scores[i]).sum();
        (second - length * length) / (length * length)
    };
    within("scored rows", by_scores, &|seed| {
        Box::new(RowSampling::by_scores(&scores, s, seed).unwrap())
    });
}

/// A seed is a sketch, on any number of threads and in both precisions; another seed is another one.
#[test]
fn seeds_name_sketches() {
    let x = matrix(7000, 20, 1);
    let single = Mat::from_fn(7000, 20, |i, j| x[(i, j)] as f32);
    let (one, other) =
        (SparseSign::new(7000, 64, 8, 5).unwrap(), SparseSign::new(7000, 64, 8, 6).unwrap());
    let reference = apply(&one, x.as_ref(), Par::Seq);
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| assert!(apply(&one, x.as_ref(), Par::rayon(0)) == reference));
    }
    let in_single = apply(&one, single.as_ref(), Par::Seq);
    for (double, single) in reference.col(3).iter().zip(in_single.col(3).iter()) {
        assert!((double - f64::from(*single)).abs() < 1e-3);
    }
    assert!(apply(&other, x.as_ref(), Par::Seq) != reference);
    let dense = |seed| apply(&Rademacher::new(7000, 9, seed).unwrap(), x.as_ref(), Par::Seq);
    assert!(dense(1) == dense(1) && dense(1) != dense(2));
}

#[test]
fn wrong_calls_are_named() {
    assert_eq!(SparseSign::new(0, 1, 1, 0).unwrap_err(), SketchError::Empty);
    let error = SparseSign::new(9, 4, 5, 0).unwrap_err();
    assert_eq!(error.to_string(), "5 signs in each column of 4 rows, expected 1 to 4");
    let error = RowSampling::by_scores(&[1.0, -2.0], 3, 0).unwrap_err();
    assert!(error.to_string().starts_with("score 1 is -2"), "{error}");
    assert!(RowSampling::by_scores(&[0.0, 0.0], 3, 0).is_err());
    assert!(matches!(
        RowSampling::without_replacement(3, 4, 0),
        Err(SketchError::Dimension { most: 3, .. })
    ));
    let sketch = SparseSign::new(10, 4, 2, 0).unwrap();
    let mut out = Mat::<f64>::zeros(4, 2);
    let error =
        sketch.accumulate(out.as_mut(), Mat::zeros(6, 2).as_ref(), 5, Par::Seq).unwrap_err();
    assert_eq!(error.to_string(), "rows to sketch is 6 x 2, expected 5 x 2");
}
