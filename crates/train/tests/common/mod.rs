//! Problems that the tests share.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses some of these")]

use core::ops::ControlFlow;

use nearlin::{Equations, Event, Network, Options, Run, train};
use nearlin_relu::{Jacobian, Real};

/// SplitMix64 of `(seed, i)` in [-1, 1).
pub(crate) fn noise(seed: u64, i: usize) -> f64 {
    let mut z = seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// `n` points of the unit sphere in `d` dimensions (the last one a bias), targets a smooth function
/// of them with some noise, different for each of `k` outputs.
pub(crate) fn problem(n: usize, d: usize, k: usize, seed: u64) -> Equations {
    let mut x = Vec::with_capacity(n * d);
    let mut y = Vec::with_capacity(n * k);
    for i in 0..n {
        let mut row: Vec<f64> = (0..d - 1).map(|q| noise(seed, i * d + q)).collect();
        row.push(1.0);
        let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        for c in 0..k {
            let wave = (2.0 * row[0] + c as f64).sin() + row[(c + 1) % d] * row[0];
            y.push(wave + 0.1 * noise(seed ^ 0x4d, i * k + c));
        }
        x.extend(row.iter().map(|v| v / length));
    }
    Equations::new(x, y, d, k).unwrap()
}

/// Trains without watching.
pub(crate) fn run(equations: &Equations, options: &Options) -> Run {
    train(equations, options, &mut |_: &Event<'_>| ControlFlow::Continue(())).unwrap()
}

pub(crate) fn norm(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// `f(W) - y`, computed anew.
pub(crate) fn residual(equations: &Equations, network: &Network) -> Vec<f64> {
    let forward = network.forward(equations.x(), faer::Par::Seq).unwrap();
    forward.outputs.iter().zip(equations.y()).map(|(f, y)| f - y).collect()
}

/// `J D` at the weights of `network`, computed anew.
pub(crate) fn image(equations: &Equations, network: &Network, step: &[f64]) -> Vec<f64> {
    let (n, m, d, k) = (equations.rows(), network.width(), network.inputs(), network.outputs());
    let mask = network.forward(equations.x(), faer::Par::Seq).unwrap().mask;
    let signs = faer::MatRef::from_row_major_slice(network.signs(), m, k);
    let jacobian = Jacobian::new(&mask, equations.x(), signs).unwrap();
    let mut image = vec![0.0; n * k];
    let target = faer::MatMut::from_row_major_slice_mut(&mut image, n, k);
    jacobian.apply(target, faer::MatRef::from_row_major_slice(step, m, d), faer::Par::Seq).unwrap();
    image
}

/// `|J^T r + mu U|`, computed anew.
pub(crate) fn gradient(equations: &Equations, network: &Network, ridge: f64) -> f64 {
    let forward = network.forward(equations.x(), faer::Par::Seq).unwrap();
    let r: Vec<f64> = forward.outputs.iter().zip(equations.y()).map(|(f, y)| f - y).collect();
    let (m, d, k) = (network.width(), network.inputs(), network.outputs());
    let signs = faer::MatRef::from_row_major_slice(network.signs(), m, k);
    let jacobian = Jacobian::new(&forward.mask, equations.x(), signs).unwrap();
    let mut g = vec![f64::of(0.0); m * d];
    let target = faer::MatMut::from_row_major_slice_mut(&mut g, m, d);
    let r = faer::MatRef::from_row_major_slice(&r, equations.rows(), k);
    jacobian.apply_adjoint(target, r, faer::Par::Seq).unwrap();
    norm(&g.iter().zip(network.change()).map(|(g, u)| g + ridge * u).collect::<Vec<_>>())
}
