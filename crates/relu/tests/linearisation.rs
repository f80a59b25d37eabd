//! What the linear model misses comes from the entries that flipped.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::noise;
use faer::{Mat, MatRef, Par};
use nearlin_relu::{Init, Jacobian, Signs};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// It is what the outputs changed by, less `J D`, for steps from anywhere, with forward passes that are
    /// screened (from 128 directions and examples on) and that are not; to the rounding of sums over the neurons.
    #[test]
    fn the_linearisation_error_comes_from_the_flips(
        n in 1usize..160, d in 1usize..6, k in 1usize..4,
        pairs in prop_oneof![3 => 1usize..90, 1 => Just(128usize), 1 => Just(192)],
        step in -3.0..0.5f64, seed: u64,
    ) {
        let init = Init { inputs: d, outputs: k, width: 2 * pairs, seed, signs: Signs::Random };
        let mut network = init.network(1.0).unwrap();
        let x = Mat::from_fn(n, d, |i, q| noise(seed ^ 5, i * d + q));
        for (i, u) in network.change_mut().iter_mut().enumerate() {
            *u = 0.3 * noise(seed ^ 0xb, i);
        }
        let before = network.forward(x.as_ref(), Par::Seq).unwrap();
        let (mut moved, m) = (network.clone(), network.width());
        let change = Mat::from_fn(m, d, |r, q| 10f64.powf(step) * noise(seed ^ 0x15, r * d + q));
        for (at, u) in moved.change_mut().iter_mut().enumerate() {
            *u += change[(at / d, at % d)];
        }
        let now = moved.forward(x.as_ref(), Par::Seq).unwrap();
        let signs = MatRef::from_row_major_slice(network.signs(), m, k);
        let jacobian = Jacobian::new(&before.mask, x.as_ref(), signs).unwrap();
        let mut linear = Mat::zeros(n, k);
        jacobian.apply(linear.as_mut(), change.as_ref(), Par::Seq).unwrap();
        let missed = moved.linearisation_error(x.as_ref(), (&before.mask, &now.mask), Par::Seq).unwrap();
        let size = network.initial_weights().iter().map(|w| w.abs() + 4.0).sum::<f64>();
        let bound = 8.0 * (m + d) as f64 * f64::EPSILON * size * network.normalisation();
        for (at, e) in missed.iter().enumerate() {
            let want = now.outputs[at] - before.outputs[at] - linear[(at / k, at % k)];
            prop_assert!((e - want).abs() <= bound, "{e} {want}");
        }
    }
}
