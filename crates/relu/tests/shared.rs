//! Laws of the passes that go over directions and flips: they are those of the whole mask.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::noise;
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_relu::{Activations, Init, Jacobian, PackedMask, Signs};
use proptest::prelude::*;

/// A network some of whose neurons have flipped, on random inputs.
struct Case {
    x: Mat<f64>,
    signs: Vec<f64>,
    mask: PackedMask,
    active: Activations,
    outputs: usize,
}

impl Case {
    fn new(n: usize, d: usize, outputs: usize, signs: Signs, step: f64, seed: u64) -> Self {
        let copies = if signs == Signs::Random { 2 } else { 2 * 4 };
        let init = Init { inputs: d, outputs, width: 128 * copies, seed, signs };
        let mut network = init.network(1.0).unwrap();
        assert_eq!(network.copies(), copies);
        for (i, u) in network.change_mut().iter_mut().enumerate() {
            *u = step * noise(seed, i);
        }
        let x = Mat::from_fn(n, d, |i, q| noise(seed ^ 1, i * d + q));
        let mask = network.forward(x.as_ref(), Par::Seq).unwrap().mask;
        let active = Activations::of(mask.clone(), &network);
        Self { x, signs: network.signs().to_vec(), mask, active, outputs }
    }

    fn signs(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.signs, self.mask.width(), self.outputs)
    }

    /// `J v`, `J^T u` and `J J^T u`.
    fn products(&self, jacobian: &Jacobian<'_, f64>, par: Par) -> [Vec<f64>; 3] {
        let (n, m, d, k) = (self.x.nrows(), self.mask.width(), self.x.ncols(), self.outputs);
        let v: Vec<f64> = (0..m * d).map(|i| noise(3, i)).collect();
        let u: Vec<f64> = (0..n * k).map(|i| noise(4, i)).collect();
        let (v, u) =
            (MatRef::from_row_major_slice(&v, m, d), MatRef::from_row_major_slice(&u, n, k));
        let (mut y, mut w) = (vec![f64::NAN; n * k], vec![f64::NAN; m * d]);
        let mut g = y.clone();
        jacobian.apply(MatMut::from_row_major_slice_mut(&mut y, n, k), v, par).unwrap();
        jacobian.apply_adjoint(MatMut::from_row_major_slice_mut(&mut w, m, d), u, par).unwrap();
        let (rows, cols) = jacobian.gram_scratch();
        let mut scratch = Mat::zeros(rows, cols);
        let target = MatMut::from_row_major_slice_mut(&mut g, n, k);
        jacobian.apply_gram(target, u, scratch.as_mut(), par).unwrap();
        [y, w, g]
    }
}

fn norm(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|x| x * x).sum::<f64>().sqrt()
}

/// Signs with the number of outputs that they are for.
fn kinds() -> impl Strategy<Value = (Signs, usize)> {
    prop_oneof![
        Just((Signs::Random, 1)),
        Just((Signs::Orthogonal, 3)),
        Just((Signs::Orthogonal, 4)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Both ways sum the same terms in another order: they differ by at most `t eps` times the norms of
    /// what is summed, with `t = n + m + d` additions; `|J| <= |X| sqrt(K)`.
    #[test]
    fn shared_passes_are_plain_passes(
        n in 128usize..200, d in 1usize..12, (signs, k) in kinds(), step in 0.0..0.002f64, seed: u64
    ) {
        let case = Case::new(n, d, k, signs, step, seed);
        // A neuron of one input flips for all examples at once, and a few such are too many to share.
        prop_assert!(case.active.is_shared() || d == 1);
        let plain = Jacobian::new(&case.mask, case.x.as_ref(), case.signs()).unwrap();
        let shared = Jacobian::at(&case.active, case.x.as_ref(), case.signs()).unwrap();
        let (want, got) = (case.products(&plain, Par::Seq), case.products(&shared, Par::Seq));
        let m = case.mask.width();
        let unit = (n + m + d) as f64 * f64::EPSILON;
        let size = case.x.norm_l2() * (k as f64).sqrt();
        let (v, u) = (norm((0..m * d).map(|i| noise(3, i))), norm((0..n * k).map(|i| noise(4, i))));
        for (which, bound) in [size * v, size * u, size * size * u].into_iter().enumerate() {
            let error = norm(want[which].iter().zip(&got[which]).map(|(a, b)| a - b));
            prop_assert!(error <= unit * bound, "product {}: {} of {}", which, error, bound);
        }
        // The same bits on any number of threads.
        prop_assert_eq!(&got, &case.products(&shared, Par::rayon(0)));
    }
}

/// Where more than a few neurons have flipped there is little to share, and the plain passes are taken.
#[test]
fn many_flips_share_nothing() {
    let case = Case::new(150, 3, 1, Signs::Random, 10.0, 1);
    assert!(!case.active.is_shared());
    let jacobian = Jacobian::at(&case.active, case.x.as_ref(), case.signs()).unwrap();
    assert_eq!(jacobian.gram_scratch(), (0, 0));
}

/// Copies that are none of the mask's: as if no neurons shared a direction.
#[test]
fn copies_that_do_not_fit_share_nothing() {
    let (n, d) = (128, 3);
    let x = Mat::from_fn(n, d, |i, q| noise(1, i * d + q));
    for (m, copies) in [(256, 0), (257, 2), (65 * 128 + 64, 65)] {
        let mask =
            PackedMask::from_fn(n, m, |i, r| r == 5 || r == 133 || noise(2, i * m + r) > 0.9);
        let signs: Vec<f64> = (0..m).map(|r| if r % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let of = |copies| {
            let column = MatRef::from_column_major_slice(&signs, m, 1);
            let active = Activations::new(mask.clone(), copies, d, column);
            assert!(!active.is_shared());
            Case { x: x.clone(), signs: signs.clone(), mask: mask.clone(), active, outputs: 1 }
        };
        let products = |case: &Case| {
            let jacobian = Jacobian::at(&case.active, case.x.as_ref(), case.signs()).unwrap();
            case.products(&jacobian, Par::Seq)
        };
        assert_eq!(products(&of(copies)), products(&of(1)), "{m} neurons, {copies} copies");
    }
}
