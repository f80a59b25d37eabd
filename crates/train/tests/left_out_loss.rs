//! Laws of rows that are left out of fits by other losses.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::ops::ControlFlow;

use common::noise;
use faer::Par;
use nearlin::{
    Equations, Event, Loss, Network, Options, Scale, Signs, TrainError, left_out, left_out_loss,
    train_loss,
};

const RIDGE: f64 = 0.05;

/// `n` rows of two inputs and a bias; classes (or numbers, for one output) that a curve divides, with some noise.
fn equations(n: usize, k: usize) -> Equations {
    let x: Vec<f64> = (0..n).flat_map(|i| [noise(3, 2 * i), noise(3, 2 * i + 1), 0.7]).collect();
    let score = |i: usize| x[3 * i] + x[3 * i + 1].powi(2) + 0.4 * noise(7, i) - 0.3;
    let class = |i: usize| usize::from(score(i) > -0.2) + usize::from(k > 2 && score(i) > 0.4);
    let y = (0..n * k)
        .map(|at| f64::from(u8::from(class(at / k) == if k == 1 { 1 } else { at % k })))
        .collect();
    Equations::new(x, y, 3, k).unwrap()
}

fn without(equations: &Equations, i: usize) -> Equations {
    let (d, k) = (equations.inputs(), equations.outputs());
    let (mut x, mut y) = (Vec::new(), equations.y().to_vec());
    (0..equations.rows()).filter(|&j| j != i).for_each(|j| x.extend(equations.x().row(j).iter()));
    y.drain(i * k..(i + 1) * k);
    Equations::new(x, y, d, k).unwrap()
}

/// At a scale so large that no mask changes; outputs do not meet, as their signs are orthogonal.
fn fitted(equations: &Equations, loss: Loss, weights: Option<&[f64]>) -> Network {
    let options = Options::default()
        .width(512)
        .ridge(RIDGE)
        .scale(Scale::Fixed(4096.0))
        .signs(Some(Signs::Orthogonal))
        .tolerance(1e-9)
        .seed(2);
    let mut watch = |_: &Event<'_>| ControlFlow::Continue(());
    train_loss(equations, loss, weights, &options, &mut watch).unwrap().network
}

fn outputs(network: &Network, equations: &Equations) -> Vec<f64> {
    network.forward(equations.x(), Par::Seq).unwrap().outputs
}

/// What rows are told by networks that were trained without them is what is told of them to first order: within a tenth
/// of the change, whether outputs share a curvature or not.
#[test]
fn rows_are_told_what_a_refit_tells_them() {
    let huber = Loss::Huber { delta: 0.4 };
    for (loss, k) in [(Loss::Logistic, 1), (Loss::Softmax, 2), (Loss::Softmax, 3), (huber, 1)] {
        let n = 40;
        let all = equations(n, k);
        let weights: Vec<f64> = (0..n).map(|i| 1.0 + 0.5 * noise(9, i)).collect();
        let network = fitted(&all, loss, Some(&weights));
        let left = left_out_loss(&all, &network, loss, Some(&weights), RIDGE, Par::Seq).unwrap();
        assert!(left.converged && left.exact && left.leverage > 0.0 && left.leverage < 1.0);
        let seen = outputs(&network, &all);
        let (mut error, mut change) = (0.0, 0.0);
        for i in 0..n {
            let others: Vec<f64> = (0..n).filter(|&j| j != i).map(|j| weights[j]).collect();
            let refit = fitted(&without(&all, i), loss, Some(&others));
            let told = outputs(&refit, &all);
            for at in i * k..(i + 1) * k {
                error += (left.outputs[at] - told[at]).abs();
                change += (told[at] - seen[at]).abs();
            }
        }
        assert!(change > 0.1 && error < 0.1 * change, "{loss:?}, {k}: {error} of {change}");
    }
}

/// For squared errors the step is the whole way: the closed form.
#[test]
fn squared_errors_are_left_out_exactly() {
    let all = equations(60, 1);
    let network = fitted(&all, Loss::Squared, None);
    let expected = left_out(&all, &network, RIDGE, Par::Seq).unwrap();
    let found = left_out_loss(&all, &network, Loss::Squared, None, RIDGE, Par::Seq).unwrap();
    assert!((found.leverage - expected.leverage).abs() < 1e-9);
    for (found, expected) in found.outputs.iter().zip(&expected.outputs) {
        assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
    }
}

/// A row that bends nothing, as its loss is linear there, still has a place without which others would move: what it is
/// told without itself lies further from its target.
#[test]
fn outliers_without_curvature_are_left_out_too() {
    let mut y: Vec<f64> = equations(40, 1).y().to_vec();
    y[11] = 30.0;
    let all = Equations::new(
        equations(40, 1)
            .x()
            .row_iter()
            .flat_map(|row| row.iter().copied().collect::<Vec<_>>())
            .collect(),
        y,
        3,
        1,
    )
    .unwrap();
    let loss = Loss::Huber { delta: 0.2 };
    let network = fitted(&all, loss, None);
    let left = left_out_loss(&all, &network, loss, None, RIDGE, Par::Seq).unwrap();
    let told = outputs(&fitted(&without(&all, 11), loss, None), &all)[11];
    let seen = outputs(&network, &all)[11];
    assert!(left.outputs[11] < seen, "{} {seen}", left.outputs[11]);
    assert!(
        (left.outputs[11] - told).abs() < 0.2 * (seen - told).abs(),
        "{} {seen} {told}",
        left.outputs[11]
    );
}

#[test]
fn what_cannot_be_left_out_is_an_error() {
    let all = equations(20, 2);
    let network = fitted(&all, Loss::Softmax, None);
    let of = |loss, weights: Option<&[f64]>, ridge| {
        left_out_loss(&all, &network, loss, weights, ridge, Par::Seq).map(|left| left.exact)
    };
    assert!(matches!(of(Loss::Softmax, None, 0.0), Err(TrainError::Option { name: "ridge", .. })));
    let few = [1.0; 3];
    assert!(matches!(
        of(Loss::Softmax, Some(&few), 0.1),
        Err(TrainError::Shape { what: "weights", .. })
    ));
    let single = equations(20, 1);
    let found = left_out_loss(&single, &network, Loss::Logistic, None, 0.1, Par::Seq);
    assert!(matches!(found, Err(TrainError::Shape { .. })));
    assert!(matches!(of(Loss::Softmax, None, 0.1), Ok(true)));
}

/// More rows than can have a leverage each have a common one: what they lose is as little as the mean leverage is.
#[test]
fn many_rows_are_left_out_alike() {
    let all = equations(4200, 2);
    let options = Options::default().width(64).ridge(RIDGE);
    let mut watch = |_: &Event<'_>| ControlFlow::Continue(());
    let network = train_loss(&all, Loss::Softmax, None, &options, &mut watch).unwrap().network;
    let left = left_out_loss(&all, &network, Loss::Softmax, None, RIDGE, Par::Seq).unwrap();
    assert!(left.converged && !left.exact && 0.0 < left.leverage && left.leverage < 0.1);
    let value = |f: &[f64]| -> f64 {
        f.chunks(2).zip(all.y().chunks(2)).map(|(f, y)| Loss::Softmax.value(f, y)).sum()
    };
    let (seen, told) = (value(&outputs(&network, &all)), value(&left.outputs));
    assert!(seen < told && told < 1.1 * seen, "{told} {seen}");
}
