//! Systems that are solved from starts near and far, and gradients near a minimum.

use faer::Par;
use nearlin_relu::{Forward, Network};

use super::*;
use crate::dual::Factor;
use crate::train;
use crate::vector::{rows, rows_mut};

/// Sixty rows of one output, and a network of width 64 after a step at ridge 0.1.
fn trained() -> (Equations, Network) {
    let x: Vec<f64> =
        (0..60).map(f64::from).flat_map(|i| [(0.37 * i).sin(), (0.73 * i).cos(), 1.0]).collect();
    let y = x.chunks(3).map(|x| x[0] * x[1]).collect();
    let equations = Equations::new(x, y, 3, 1).unwrap();
    let options = Options::default().width(64).ridge(0.1).max_steps(1);
    let mut still = |_: &Event<'_>| ControlFlow::Continue(());
    let network = train(&equations, &options, &mut still).unwrap().network;
    (equations, network)
}

/// The masks of the network and what it leaves of the targets.
fn seen(equations: &Equations, network: &Network) -> (Activations, Vec<f64>) {
    let Forward { outputs, mask, .. } = network.forward(equations.x(), Par::Seq).unwrap();
    let residual = outputs.iter().zip(equations.y()).map(|(f, y)| f - y).collect();
    (Activations::of(mask, network), residual)
}

/// However near a start is to the solution, what is left after a step is no more of what was left before than was asked
/// for, as passes in `f64` see it; and far from it passes in `f32` see the same but for their rounding.
#[test]
fn nearly_solved_systems_are_solved_further() {
    let (equations, network) = trained();
    let (active, residual) = seen(&equations, &network);
    let exact = Features::<f64>::new(&equations, network.signs(), 64);
    let features = Features::<f32>::new(&equations, network.signs(), 64);
    let options = Options::default();
    let none = Preconditioner { factor: Factor::Identity, examples: 60, outputs: 1 };
    let from = |multipliers: Option<&[f64]>, tolerance: f64| {
        let change = network.change();
        let point = Point { active: &active, residual: &residual, change, multipliers };
        let (exact, features) = (&exact, &features);
        let system =
            System { point, exact, features, preconditioner: &none, ridge: 0.1, damping: 0.0 };
        let mut still = |_: &Event<'_>| ControlFlow::Continue(());
        system.direction(tolerance, &options, &mut still).unwrap()
    };
    // What is left of the system relative to its right-hand side, by passes in `f64`.
    let left = |of: &Direction| {
        let jacobian = exact.jacobian(&active);
        let (mut image, mut ju) = ([0.0; 60], [0.0; 60]);
        jacobian.apply(rows_mut(&mut image, 60, 1), rows(&of.step, 64, 3), Par::Seq).unwrap();
        jacobian.apply(rows_mut(&mut ju, 60, 1), rows(network.change(), 64, 3), Par::Seq).unwrap();
        let left: Vec<f64> =
            (0..60).map(|i| residual[i] + image[i] - 0.1 * of.multipliers[i]).collect();
        let b: Vec<f64> = (0..60).map(|i| residual[i] - ju[i]).collect();
        norm(&left) / norm(&b)
    };
    let rough = from(None, 0.05);
    assert!(rough.eta_inner <= 0.05 && (left(&rough) - rough.eta_inner).abs() < 1e-5);
    let mut last = rough;
    for _ in 0..8 {
        let next = from(Some(&last.multipliers), 0.05);
        assert!(next.reduction <= 0.05, "{} of {}", next.reduction, last.eta_inner);
        assert!(left(&next) <= 0.06 * left(&last), "{} {}", left(&next), left(&last));
        last = next;
    }
    assert!(last.eta_inner < 1e-10, "{}", last.eta_inner);
}

/// In `f32` it is that of passes in `f64` but for rounding, and where `J^T r` and `mu U` cancel it is that of `f64`.
#[test]
fn gradients_near_a_minimum_are_told() {
    let (equations, network) = trained();
    let (active, residual) = seen(&equations, &network);
    let exact = Features::<f64>::new(&equations, network.signs(), 64);
    let features = Features::<f32>::new(&equations, network.signs(), 64);
    let passes = |rounded: bool| Passes::<f32> {
        exact: exact.jacobian(&active),
        working: rounded.then(|| features.jacobian(&active)),
        par: Par::Seq,
    };
    // `J^T r`, written out.
    let initial = network.initial_weights();
    let w: Vec<f64> = initial.iter().zip(network.change()).map(|(w, u)| w + u).collect();
    let mut slope = vec![0.0; 64 * 3];
    for (i, r) in residual.iter().enumerate() {
        for neuron in 0..64 {
            let x = equations.x().row(i);
            let sign = network.normalisation() * network.signs()[neuron];
            if (0..3).map(|c| w[3 * neuron + c] * x[c]).sum::<f64>() > 0.0 {
                (0..3).for_each(|c| slope[3 * neuron + c] += r * sign * x[c]);
            }
        }
    }
    for (near, accuracy) in [(0.0, 1e-6), (0.999, 1e-3), (1.0 - 1e-6, 1e-9)] {
        let change: Vec<f64> = slope.iter().map(|s| -near * s / 0.1).collect();
        let expected: Vec<f64> = slope.iter().map(|s| (1.0 - near) * s).collect();
        let off = |rounded: bool| {
            let gradient = gradient(&mut passes(rounded), &residual, &change, 0.1);
            let off: Vec<f64> = gradient.iter().zip(&expected).map(|(a, b)| a - b).collect();
            norm(&off) / norm(&expected)
        };
        assert!(off(false) < 1e-9 && off(true) < accuracy, "{near}: {} {}", off(false), off(true));
    }
}
