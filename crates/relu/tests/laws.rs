//! Laws of the network, its Jacobian and its Gram matrices.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::noise;
use faer::{Mat, MatRef, Par};
use nearlin_relu::{
    Init, Jacobian, Network, ReluError, Signs, arc_cosine_entry, arc_cosine_kernel, gram,
    gram_entry,
};
use proptest::prelude::*;

fn inputs(n: usize, d: usize, seed: u64) -> Mat<f64> {
    Mat::from_fn(n, d, |i, j| noise(seed, i * d + j))
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[derive(Clone, Copy, Debug)]
struct Case {
    n: usize,
    d: usize,
    outputs: usize,
    pairs: usize,
    seed: u64,
}

fn case() -> impl Strategy<Value = Case> {
    // From 128 directions and examples on, signs are screened before they are computed.
    let pairs = prop_oneof![3 => 1usize..90, 1 => Just(128usize), 1 => Just(192)];
    (1usize..160, 1usize..6, 1usize..4, pairs, any::<u64>())
        .prop_map(|(n, d, outputs, pairs, seed)| Case { n, d, outputs, pairs, seed })
}

impl Case {
    /// A network away from its start, with `U` of unit-sized entries.
    fn network(&self, scale: f64, step: f64) -> Network {
        let init = Init {
            inputs: self.d,
            outputs: self.outputs,
            width: 2 * self.pairs,
            seed: self.seed,
            signs: Signs::Random,
        };
        let mut network = init.network(scale).unwrap();
        for (i, u) in network.change_mut().iter_mut().enumerate() {
            *u = step * noise(self.seed ^ 0xb, i);
        }
        network
    }
}

/// `f(W, x)` by its definition, one neuron after the other.
fn by_definition(network: &Network, x: MatRef<'_, f64>) -> Vec<f64> {
    let (d, k) = (network.inputs(), network.outputs());
    let w0 = network.initial_weights();
    let mut f = vec![0.0; x.nrows() * k];
    for i in 0..x.nrows() {
        for r in 0..network.width() {
            let z: f64 =
                (0..d).map(|q| (w0[r * d + q] + network.change()[r * d + q]) * x[(i, q)]).sum();
            for c in 0..k {
                f[i * k + c] += network.normalisation() * network.signs()[r * k + c] * z.max(0.0);
            }
        }
    }
    f
}

/// The forward pass is the definition, to the rounding of the definition's sums
/// (`(m + d) eps` times the sum of absolute values), and the masks are the signs of `z`
/// wherever `z` is not itself rounding.
fn defined(network: &Network, x: MatRef<'_, f64>) {
    let forward = network.forward(x, Par::Seq).unwrap();
    let want = by_definition(network, x);
    let (w0, m, d) = (network.initial_weights(), network.width(), network.inputs());
    for i in 0..x.nrows() {
        let mut size = 0.0;
        for r in 0..m {
            let terms = (0..d).map(|q| (w0[r * d + q] + network.change()[r * d + q]) * x[(i, q)]);
            let (z, abs) = terms.fold((0.0, 0.0f64), |(z, abs), t| (z + t, abs + t.abs()));
            let abs = abs + (0..d).map(|q| w0[r * d + q].abs() + 2.0).sum::<f64>();
            size += abs;
            if z.abs() > 4.0 * d as f64 * f64::EPSILON * abs {
                assert_eq!(forward.mask.get(i, r), z > 0.0, "mask {i}, {r}");
            }
        }
        let bound = 4.0 * (m + d) as f64 * f64::EPSILON * size * network.normalisation();
        for c in 0..network.outputs() {
            let at = i * network.outputs() + c;
            assert!((forward.outputs[at] - want[at]).abs() <= bound, "output {i}, {c}");
        }
    }
}

/// Also where signs are screened first, few or many of which change.
#[test]
fn screened_forward_passes_are_the_definition() {
    for (outputs, signs) in [(1, Signs::Random), (3, Signs::Orthogonal), (3, Signs::Random)] {
        let init = Init { inputs: 5, outputs, width: 1024, seed: 7, signs };
        for step in [1e-6, 0.02, 2.0] {
            let mut network = init.network(1.0).unwrap();
            for (i, u) in network.change_mut().iter_mut().enumerate() {
                *u = step * noise(0xb, i);
            }
            defined(&network, inputs(150, 5, 3).as_ref());
        }
    }
}

fn signs(network: &Network) -> MatRef<'_, f64> {
    MatRef::from_row_major_slice(network.signs(), network.width(), network.outputs())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The forward pass is the definition.
    #[test]
    fn forward_is_the_definition(case in case(), step in 0.0..2.0f64) {
        defined(&case.network(1.0, step), inputs(case.n, case.d, case.seed ^ 5).as_ref());
    }

    /// Kinks are counted one by one: each example has as many as its mask differs in from that of the
    /// initial network.
    #[test]
    fn kinks_are_counted(case in case(), copies in 1usize..4, step in 0.0..2.0f64) {
        let signs = if copies == 1 { Signs::Random } else { Signs::Orthogonal };
        let multiple = 2 * nearlin_relu::hadamard_order(case.outputs);
        let init = Init { inputs: case.d, outputs: case.outputs, width: multiple * case.pairs, seed: case.seed, signs };
        let mut network = init.network(1.0).unwrap();
        let x = inputs(case.n, case.d, case.seed ^ 5);
        let before = network.forward(x.as_ref(), Par::Seq).unwrap();
        prop_assert!(before.flips.iter().all(|&flips| flips == 0));
        for (i, u) in network.change_mut().iter_mut().enumerate() {
            *u = step * noise(case.seed ^ 0xb, i);
        }
        // The same inputs in another order of storage.
        let backwards = Mat::from_fn(case.n, case.d, |i, q| x[(case.n - 1 - i, case.d - 1 - q)]);
        let now = network.forward(backwards.as_ref().reverse_rows_and_cols(), Par::Seq).unwrap();
        prop_assert_eq!(&now, &network.forward(x.as_ref(), Par::Seq).unwrap());
        for i in 0..case.n {
            let differs = |&r: &usize| now.mask.get(i, r) != before.mask.get(i, r);
            prop_assert_eq!(now.flips[i] as usize, (0..network.width()).filter(differs).count());
        }
        prop_assert_eq!(now.flipped(), now.mask.count_differences(&before.mask));
    }

    /// Where no sign flips `f(W_0 + U) = J U` exactly, and a scale of 2^30 costs no digits: the
    /// error stays relative to `U`, not to `W_0`.
    #[test]
    fn a_large_scale_costs_no_digits(case in case()) {
        let network = case.network(2f64.powi(30), 1.0);
        let x = inputs(case.n, case.d, case.seed ^ 5);
        let forward = network.forward(x.as_ref(), Par::Seq).unwrap();
        let fresh = case.network(2f64.powi(30), 0.0).forward(x.as_ref(), Par::Seq).unwrap();
        prop_assume!(forward.mask == fresh.mask);
        let jacobian = Jacobian::new(&forward.mask, x.as_ref(), signs(&network)).unwrap();
        let u = MatRef::from_row_major_slice(network.change(), network.width(), case.d);
        let mut linear = Mat::zeros(case.n, case.outputs);
        jacobian.apply(linear.as_mut(), u, Par::Seq).unwrap();
        let size = network.normalisation() * norm(network.change()) * (network.width() as f64).sqrt();
        let bound = 4.0 * (network.width() + case.d) as f64 * f64::EPSILON * size * (case.d as f64).sqrt();
        for i in 0..case.n {
            for c in 0..case.outputs {
                prop_assert!((forward.outputs[i * case.outputs + c] - linear[(i, c)]).abs() <= bound);
            }
        }
    }

    /// The Jacobian is the derivative: for a step that flips no sign the difference quotient is
    /// exact, since `f` is linear there. Bound: rounding of `f`, divided by the step.
    #[test]
    fn jacobian_is_the_derivative(case in case()) {
        let network = case.network(1.0, 0.3);
        let x = inputs(case.n, case.d, case.seed ^ 5);
        let here = network.forward(x.as_ref(), Par::Seq).unwrap();
        let step = 1e-7;
        let v = Mat::from_fn(network.width(), case.d, |r, q| noise(case.seed ^ 0x15, r * case.d + q));
        let moved = |sign: f64| {
            let mut moved = network.clone();
            for (at, u) in moved.change_mut().iter_mut().enumerate() {
                *u += sign * step * v[(at / case.d, at % case.d)];
            }
            moved.forward(x.as_ref(), Par::Seq).unwrap()
        };
        let (ahead, behind) = (moved(1.0), moved(-1.0));
        let jacobian = Jacobian::new(&here.mask, x.as_ref(), signs(&network)).unwrap();
        let mut jv = Mat::zeros(case.n, case.outputs);
        jacobian.apply(jv.as_mut(), v.as_ref(), Par::Seq).unwrap();
        let bound = 40.0 * (network.width() + case.d) as f64 * f64::EPSILON * (network.width() as f64).sqrt() * case.d as f64 / step;
        for i in 0..case.n {
            if (0..network.width()).any(|r| ahead.mask.get(i, r) != behind.mask.get(i, r)) {
                continue; // a kink lies between
            }
            for c in 0..case.outputs {
                let at = i * case.outputs + c;
                let quotient = (ahead.outputs[at] - behind.outputs[at]) / (2.0 * step);
                prop_assert!((quotient - jv[(i, c)]).abs() <= bound, "{quotient} {}", jv[(i, c)]);
            }
        }
    }

    /// `<J v, u> = <v, J^T u>`, to the rounding of inner products of `n m d` terms.
    #[test]
    fn adjoint(case in case()) {
        let network = case.network(1.0, 0.5);
        let x = inputs(case.n, case.d, case.seed ^ 5);
        let mask = network.forward(x.as_ref(), Par::Seq).unwrap().mask;
        let jacobian = Jacobian::new(&mask, x.as_ref(), signs(&network)).unwrap();
        let v = inputs(network.width(), case.d, case.seed ^ 6);
        let u = inputs(case.n, case.outputs, case.seed ^ 7);
        let (mut jv, mut jtu) = (Mat::zeros(case.n, case.outputs), Mat::zeros(network.width(), case.d));
        jacobian.apply(jv.as_mut(), v.as_ref(), Par::Seq).unwrap();
        jacobian.apply_adjoint(jtu.as_mut(), u.as_ref(), Par::Seq).unwrap();
        let dot = |a: &Mat<f64>, b: &Mat<f64>| -> f64 {
            (0..a.ncols()).map(|c| a.col(c).transpose() * b.col(c)).sum()
        };
        let terms = (case.n * network.width() * case.d * case.outputs) as f64;
        let bound = 4.0 * terms * f64::EPSILON * network.normalisation() * 8.0;
        prop_assert!((dot(&jv, &u) - dot(&v, &jtu)).abs() <= bound);
    }

    /// The Gram matrix is `J J^T` of each output, entry by entry.
    #[test]
    fn gram_is_the_product_of_the_jacobian(case in case()) {
        let network = case.network(1.0, 0.5);
        let x = inputs(case.n, case.d, case.seed ^ 5);
        let mask = network.forward(x.as_ref(), Par::Seq).unwrap().mask;
        let g = gram(x.as_ref(), &mask, Par::Seq).unwrap();
        let jacobian = Jacobian::new(&mask, x.as_ref(), signs(&network)).unwrap();
        let j = case.seed as usize % case.n;
        let mut unit = Mat::zeros(case.n, case.outputs);
        unit[(j, case.outputs - 1)] = 1.0;
        let (mut v, mut column) = (Mat::zeros(network.width(), case.d), Mat::zeros(case.n, case.outputs));
        jacobian.apply_adjoint(v.as_mut(), unit.as_ref(), Par::Seq).unwrap();
        jacobian.apply(column.as_mut(), v.as_ref(), Par::Seq).unwrap();
        let bound = 4.0 * (network.width() + case.d) as f64 * f64::EPSILON * case.d as f64;
        for i in j..case.n {
            prop_assert!((g[(i, j)] - column[(i, case.outputs - 1)]).abs() <= bound);
            prop_assert!((g[(i, j)] - gram_entry(x.as_ref(), &mask, i, j)).abs() <= bound);
        }
    }

    /// `f` and the masks are the same on every number of threads, and a network read back from its
    /// parts computes the same bits.
    #[test]
    fn threads_and_storage_change_nothing(case in case()) {
        let network = case.network(4.0, 0.5);
        let x = inputs(case.n, case.d, case.seed ^ 5);
        let reference = network.forward(x.as_ref(), Par::Seq).unwrap();
        prop_assert_eq!(&network.forward(x.as_ref(), Par::rayon(0)).unwrap(), &reference);
        let shape = (case.d, case.outputs);
        let read = Network::from_parts(&network.initial_weights(), network.change(), network.signs(), shape).unwrap();
        prop_assert_eq!(read.copies(), network.copies());
        prop_assert_eq!(&read.forward(x.as_ref(), Par::Seq).unwrap(), &reference);
    }

    /// `f(W, c x) = c f(W, x)` for `c >= 0`; for powers of two bit for bit.
    #[test]
    fn outputs_are_homogeneous(case in case(), exponent in -40i32..40) {
        let network = case.network(1.0, 0.5);
        let x = inputs(case.n, case.d, case.seed ^ 5);
        let c = 2f64.powi(exponent);
        let scaled = Mat::from_fn(case.n, case.d, |i, j| c * x[(i, j)]);
        let one = network.forward(x.as_ref(), Par::Seq).unwrap();
        let two = network.forward(scaled.as_ref(), Par::Seq).unwrap();
        prop_assert_eq!(&one.mask, &two.mask);
        for (a, b) in one.outputs.iter().zip(&two.outputs) {
            prop_assert_eq!(a * c, *b);
        }
    }
}

/// `relu'(0) = 0` in the forward pass, the masks, the Jacobian and the Gram matrix alike: an input
/// of zeros meets every neuron at its kink, and nothing answers.
#[test]
fn the_derivative_at_zero_is_zero() {
    let case = Case { n: 3, d: 2, outputs: 1, pairs: 5, seed: 1 };
    let network = case.network(1.0, 0.5);
    let mut x = inputs(3, 2, 4);
    x[(1, 0)] = 0.0;
    x[(1, 1)] = -0.0;
    let forward = network.forward(x.as_ref(), Par::Seq).unwrap();
    assert!(forward.mask.row(1).iter().all(|&w| w == 0), "mask at a kink");
    assert_eq!(forward.outputs[1], 0.0);
    let g = gram(x.as_ref(), &forward.mask, Par::Seq).unwrap();
    assert_eq!((g[(1, 0)], g[(1, 1)], g[(2, 1)]), (0.0, 0.0, 0.0));
    // Ones as inputs, but a neuron with zero weights: at the kink as well.
    let zero = [0.0, 0.0];
    let at_kink = Network::from_parts(&zero, &zero, &[1.0, -1.0], (1, 1)).unwrap();
    let forward = at_kink.forward(Mat::from_fn(2, 1, |_, _| 1.0).as_ref(), Par::Seq).unwrap();
    assert!(!forward.mask.get(0, 0) && !forward.mask.get(0, 1));
}

/// The Gram matrix's mean over the directions is the arc-cosine kernel. Each entry is `x.x'` times
/// the mean of `m / 2` independent bits, so by Hoeffding it is off by more than
/// `t |x| |x'|` with probability at most `2 exp(-m t^2)`; `m t^2 = 30` and 45 entries fail with
/// probability below 1e-11.
#[test]
fn the_kernel_is_the_expected_gram() {
    let (n, d, width) = (9, 4, 1 << 15);
    let init = Init { inputs: d, outputs: 1, width, seed: 3, signs: Signs::Random };
    let network = init.network(7.0).unwrap();
    let mut x = inputs(n, d, 12);
    for q in 0..d {
        x[(1, q)] = x[(0, q)]; // the same input
        x[(2, q)] = -x[(0, q)]; // the opposite one
        x[(3, q)] = 0.0; // and none
    }
    let mask = network.forward(x.as_ref(), Par::Seq).unwrap().mask;
    let g = gram(x.as_ref(), &mask, Par::Seq).unwrap();
    let k = arc_cosine_kernel(x.as_ref(), Par::Seq);
    let tolerance = (30.0 / width as f64).sqrt();
    let row = |i: usize| (0..d).map(|q| x[(i, q)]).collect::<Vec<f64>>();
    for j in 0..n {
        for i in j..n {
            let size = norm(&row(i)) * norm(&row(j));
            assert!((g[(i, j)] - k[(i, j)]).abs() <= tolerance * size, "entry {i}, {j}");
            // acos near 1 turns one rounding of the cosine into its square root.
            let slack = 4.0 * f64::EPSILON.sqrt() * size;
            assert!((k[(i, j)] - arc_cosine_entry(&row(i), &row(j))).abs() <= slack);
        }
    }
    assert_eq!(k[(2, 0)], 0.0, "opposite inputs share no active neuron");
}

/// More inputs than a tile is summed over at once, and more neurons than are packed at once: the pass
/// is the definition, to the bound of `forward_is_the_definition`.
#[test]
fn wide_networks_are_passed_in_pieces() {
    let case = Case { n: 70, d: 600, outputs: 2, pairs: 500, seed: 3 };
    let network = case.network(1.0, 0.5);
    let x = inputs(case.n, case.d, 7);
    let forward = network.forward(x.as_ref(), Par::Seq).unwrap();
    let (m, d) = (network.width(), case.d);
    let size: f64 = network.initial_weights().iter().map(|w| w.abs() + 1.0).sum();
    let bound = 4.0 * (m + d) as f64 * f64::EPSILON * size * network.normalisation();
    for (got, want) in forward.outputs.iter().zip(by_definition(&network, x.as_ref())) {
        assert!((got - want).abs() <= bound, "{got} {want}");
    }
    let fresh = case.network(1.0, 0.0).forward(x.as_ref(), Par::Seq).unwrap();
    assert!(forward.flipped() > 0);
    assert_eq!(forward.flipped(), forward.mask.count_differences(&fresh.mask));
    assert_eq!(network.forward(x.as_ref(), Par::rayon(0)).unwrap(), forward);
}

/// Scales give the same directions, so the same masks, and a seed names a network.
#[test]
fn the_seed_names_the_network() {
    let init = |seed| Init { inputs: 4, outputs: 2, width: 64, seed, signs: Signs::Random };
    let (one, eight) = (init(1).network(1.0).unwrap(), init(1).network(8.0).unwrap());
    let scaled: Vec<f64> = one.initial_weights().iter().map(|w| 8.0 * w).collect();
    assert_eq!(scaled, eight.initial_weights());
    assert_eq!(one.signs(), eight.signs());
    assert_ne!(one, init(2).network(1.0).unwrap());
}

#[test]
fn wrong_parts_are_named() {
    let init = |width, signs| Init { inputs: 2, outputs: 3, width, seed: 0, signs };
    let error = init(7, Signs::Random).network(1.0).unwrap_err();
    assert_eq!(error.to_string(), "width 7: expected a positive multiple of 2");
    let error = init(12, Signs::Orthogonal).network(1.0).unwrap_err();
    assert_eq!(error, ReluError::Width { width: 12, multiple: 8 });
    assert_eq!(
        init(0, Signs::Random).network(1.0).unwrap_err(),
        ReluError::Width { width: 0, multiple: 2 }
    );
    assert_eq!(
        init(2, Signs::Random).network(f64::INFINITY).unwrap_err(),
        ReluError::Scale(f64::INFINITY)
    );
    let error = Network::from_parts(&[1.0, 2.0], &[0.0; 2], &[1.0, -1.0], (1, 1)).unwrap_err();
    assert!(matches!(error, ReluError::Unpaired { neuron: 0, sum: 1.0 }), "{error}");
    let error =
        Network::from_parts(&[1.0, 1.0], &[0.0, f64::NAN], &[1.0, -1.0], (1, 1)).unwrap_err();
    assert!(matches!(error, ReluError::NonFinite { row: 1, col: 0, .. }), "{error}");
    let error = Network::from_parts(&[1.0, 1.0], &[0.0; 2], &[1.0, 0.5], (1, 1)).unwrap_err();
    assert_eq!(error, ReluError::Sign { neuron: 1, output: 0, value: 0.5 });
    let network = init(4, Signs::Random).network(1.0).unwrap();
    let error = network.forward(Mat::zeros(3, 5).as_ref(), Par::Seq).unwrap_err();
    assert_eq!(error.to_string(), "input matrix is 3 x 5, expected 3 x 2");
}
