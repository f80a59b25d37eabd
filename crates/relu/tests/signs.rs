//! Laws of the output signs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::noise;
use faer::{Mat, MatRef, Par};
use nearlin_dense::are_few_classes;
use nearlin_relu::{Init, Jacobian, Network, Signs, hadamard_order};

fn signs(network: &Network) -> MatRef<'_, f64> {
    MatRef::from_row_major_slice(network.signs(), network.width(), network.outputs())
}

/// With orthogonal signs the joint Gram matrix of all outputs starts block diagonal, exactly.
#[test]
fn orthogonal_signs_decouple_the_outputs() {
    let (n, d, outputs) = (20, 3, 3);
    let init = Init { inputs: d, outputs, width: 8 * 16, seed: 5, signs: Signs::Orthogonal };
    let network = init.network(1.0).unwrap();
    assert_eq!(network.copies(), 8);
    let x = Mat::from_fn(n, d, |i, q| noise(2, i * d + q));
    let forward = network.forward(x.as_ref(), Par::Seq).unwrap();
    assert!(forward.outputs.iter().all(|&f| f == 0.0));
    let jacobian = Jacobian::new(&forward.mask, x.as_ref(), signs(&network)).unwrap();
    let u = Mat::from_fn(n, outputs, |i, k| if k == 1 { noise(8, i) } else { 0.0 });
    let (mut v, mut gu) = (Mat::zeros(network.width(), d), Mat::zeros(n, outputs));
    jacobian.apply_adjoint(v.as_mut(), u.as_ref(), Par::Seq).unwrap();
    jacobian.apply(gu.as_mut(), v.as_ref(), Par::Seq).unwrap();
    for i in 0..n {
        assert!(gu[(i, 0)].abs() < 1e-14 && gu[(i, 2)].abs() < 1e-14, "cross terms in row {i}");
        assert!(gu[(i, 1)].abs() > 0.0);
    }
    assert_eq!(Signs::suitable(20, 3, 3, 128), Signs::Orthogonal);
    assert_eq!(Signs::suitable(30, 3, 3, 128), Signs::Balanced);
    assert_eq!(Signs::suitable(20, 3, 3, 100), Signs::Balanced);
    assert_eq!(Signs::suitable(60, 3, 1, 64), Signs::Random);
}

/// Balanced signs have each row of a Hadamard matrix as often, side by side, with its negative for the other copy; outputs are
/// orthogonal over the neurons.
#[test]
fn balanced_signs_are_few_runs_and_orthogonal() {
    for (outputs, width) in [(2, 64), (3, 128), (5, 320), (10, 96), (3, 100)] {
        let init = Init { inputs: 2, outputs, width, seed: 1, signs: Signs::Balanced };
        let network = init.network(1.0).unwrap();
        assert_eq!(network.copies(), 2);
        let row = |r: usize| &network.signs()[r * outputs..][..outputs];
        for r in 0..width / 2 {
            let negative: Vec<f64> = row(r + width / 2).iter().map(|s| -s).collect();
            assert_eq!(row(r), negative, "{outputs} outputs, neuron {r}");
        }
        let order = hadamard_order(outputs);
        let runs = 1 + (1..width / 2).filter(|&r| row(r) != row(r - 1)).count();
        assert_eq!(runs, order, "{outputs} outputs");
        for k in 0..outputs {
            for l in 0..k {
                let sum: f64 = (0..width).map(|r| row(r)[k] * row(r)[l]).sum();
                let left = if (width / 2).is_multiple_of(order) { 0.0 } else { 2.0 * order as f64 };
                assert!(sum.abs() <= left, "{outputs} outputs, {k} and {l}: {sum}");
            }
        }
    }
}

/// What makes products with several outputs as cheap as with one: signs by chance are too many rows for that.
#[test]
fn balanced_and_orthogonal_signs_are_few_classes() {
    let few = |signs_of: Signs, width| {
        let init = Init { inputs: 2, outputs: 10, width, seed: 1, signs: signs_of };
        are_few_classes(signs(&init.network(1.0).unwrap()))
    };
    assert!(few(Signs::Balanced, 2048) && few(Signs::Orthogonal, 2048));
    assert!(!few(Signs::Random, 2048) && !few(Signs::Balanced, 1024));
}
