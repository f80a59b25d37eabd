//! Systems that are solved from starts near and far.

use faer::Par;
use nearlin_relu::Forward;

use super::*;
use crate::dual::Factor;
use crate::train;

/// However near a start is to the solution, what is left after a step is no more of what was left before than was asked
/// for, as passes in `f64` see it; and far from it passes in `f32` see the same but for their rounding.
#[test]
fn nearly_solved_systems_are_solved_further() {
    let x: Vec<f64> =
        (0..60).map(f64::from).flat_map(|i| [(0.37 * i).sin(), (0.73 * i).cos(), 1.0]).collect();
    let y = x.chunks(3).map(|x| x[0] * x[1]).collect();
    let equations = Equations::new(x, y, 3, 1).unwrap();
    let options = Options::default().width(64).ridge(0.1).max_steps(1);
    let mut still = |_: &Event<'_>| ControlFlow::Continue(());
    let network = train(&equations, &options, &mut still).unwrap().network;
    let Forward { outputs, mask, .. } = network.forward(equations.x(), Par::Seq).unwrap();
    let residual: Vec<f64> = outputs.iter().zip(equations.y()).map(|(f, y)| f - y).collect();
    let active = Activations::new(mask, network.copies(), 3, 1);
    let exact = Features::<f64>::new(&equations, network.signs(), 64);
    let features = Features::<f32>::new(&equations, network.signs(), 64);
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
