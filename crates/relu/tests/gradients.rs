//! Gradients of the outputs in the inputs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::noise;
use faer::{Mat, Par};
use nearlin_relu::{Init, ReluError, Signs};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Where no mask changes the outputs are linear in the inputs, so that their differences are the gradients times
    /// the difference of the inputs: `m (d + 2)` roundings of terms of the size of the weights, each way.
    #[test]
    fn outputs_are_linear_between_kinks(
        n in 1usize..12,
        d in 1usize..6,
        outputs in 1usize..4,
        pairs in 1usize..400,
        seed: u64,
    ) {
        let init = Init { inputs: d, outputs, width: 2 * pairs, seed, signs: Signs::Random };
        let mut network = init.network(1.0).unwrap();
        for (i, u) in network.change_mut().iter_mut().enumerate() {
            *u = noise(seed ^ 0xb, i);
        }
        let x = Mat::from_fn(n, d, |i, j| noise(seed, i * d + j));
        let step = Mat::from_fn(n, d, |i, j| 1e-3 * noise(seed ^ 0x5, i * d + j));
        let moved = &x + &step;
        let before = network.forward(x.as_ref(), Par::Seq).unwrap();
        let after = network.forward(moved.as_ref(), Par::rayon(2)).unwrap();
        let gradients = network.input_gradients(x.as_ref(), 0.0, Par::rayon(2)).unwrap();
        prop_assert_eq!((gradients.nrows(), gradients.ncols()), (n, d * outputs));
        let largest: f64 = network.directions().norm_max() + 1.0;
        let bound = 4.0 * f64::EPSILON * ((2 * pairs).pow(2) * (d + 2) * d) as f64 * largest;
        for i in (0..n).filter(|&i| before.mask.row(i) == after.mask.row(i)) {
            for c in 0..outputs {
                let slope: f64 = (0..d).map(|q| gradients[(i, c * d + q)] * step[(i, q)]).sum();
                let rise = after.outputs[i * outputs + c] - before.outputs[i * outputs + c];
                prop_assert!((rise - slope).abs() <= bound, "{} against {}", rise, slope);
            }
        }
    }
}

/// Smoothed gradients are means over normal noise: of 40,000 pairs of opposite points, whose mean errs by 1/200 of a
/// standard deviation, and more than six such errors are out of the question.
#[test]
fn smoothing_is_a_mean() {
    let (n, d, outputs, sigma) = (2, 3, 2, 0.4);
    let init = Init { inputs: d, outputs, width: 40, seed: 5, signs: Signs::Random };
    let mut network = init.network(1.0).unwrap();
    for (i, u) in network.change_mut().iter_mut().enumerate() {
        *u = noise(3, i);
    }
    let x = Mat::from_fn(n, d, |i, j| noise(4, i * d + j));
    let smoothed = network.input_gradients(x.as_ref(), sigma, Par::rayon(2)).unwrap();
    let count = 40_000;
    let mut random = ChaCha8Rng::seed_from_u64(6);
    for i in 0..n {
        let e = Mat::from_fn(count, d, |_, _| sigma * random.sample::<f64, _>(StandardNormal));
        let near = Mat::from_fn(2 * count, d, |at, j| {
            x[(i, j)] + if at < count { e[(at, j)] } else { -e[(at - count, j)] }
        });
        let gradients = network.input_gradients(near.as_ref(), 0.0, Par::rayon(2)).unwrap();
        for at in 0..d * outputs {
            let pairs: Vec<f64> = (0..count)
                .map(|p| f64::midpoint(gradients[(p, at)], gradients[(count + p, at)]))
                .collect();
            let mean = pairs.iter().sum::<f64>() / count as f64;
            let spread = pairs.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / count as f64;
            let error = (mean - smoothed[(i, at)]).abs();
            assert!(
                error < 6.0 * (spread / count as f64).sqrt(),
                "{mean} for {}",
                smoothed[(i, at)]
            );
        }
    }
}

#[test]
fn other_inputs_have_no_gradients() {
    let init = Init { inputs: 3, outputs: 1, width: 8, seed: 0, signs: Signs::Random };
    let found =
        init.network(1.0).unwrap().input_gradients(Mat::zeros(2, 4).as_ref(), 0.1, Par::Seq);
    assert!(matches!(found, Err(ReluError::Shape { cols: 3, got_cols: 4, .. })), "{found:?}");
}

/// One input and one output, products with vectors: the same bits on any number of threads.
#[test]
fn threads_change_no_bits() {
    let init = Init { inputs: 1, outputs: 1, width: 1024, seed: 5, signs: Signs::Random };
    let network = init.network(1.0).unwrap();
    let x = Mat::from_fn(300, 1, |i, _| noise(3, i));
    let of = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let par = if threads == 1 { Par::Seq } else { Par::rayon(0) };
        pool.install(|| network.input_gradients(x.as_ref(), 0.3, par)).unwrap()
    };
    assert_eq!(of(1), of(2));
    assert_eq!(of(1), of(3));
}
