//! Products with the Jacobian through `nearlin_relu::Jacobian`, beside GEMMs of the same shape, and
//! the forward pass.

use std::hint::black_box;

use faer::{Mat, MatMut, MatRef};
use nearlin::{Element, Signs};
use nearlin_dense::{PackedMask, Real};
use nearlin_relu::{Init, Jacobian};

use super::Bench;
use super::case::Case;
use super::model::{Model, Precision};
use super::operands::{PANEL, gemm, mask, noise, noise_vec, precision, signs};
use crate::bench::Outcome;

/// The rival: the product that a mask is applied to, in panels of `PANEL` neurons.
const GEMM: &str = "faer GEMM";

/// A problem's size.
#[derive(Debug, Clone, Copy)]
struct Size {
    n: usize,
    m: usize,
    d: usize,
    k: usize,
}

/// The output signs of several outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drawn {
    /// As a network has them by default: few different rows.
    Usual,
    /// Each by chance: as many rows as there can be.
    Independent,
}

impl Drawn {
    /// Names of the three products.
    fn kernels(self) -> [&'static str; 3] {
        match self {
            Self::Usual => ["J v", "J^T u", "J J^T u"],
            Self::Independent => ["J v, iid signs", "J^T u, iid signs", "J J^T u, iid signs"],
        }
    }

    /// Signs of a network, m x K row-major.
    fn signs<T: Element>(self, Size { m, d, k, .. }: Size) -> Outcome<Vec<T>> {
        if self == Self::Independent {
            return Ok(signs(m * k));
        }
        let init = Init { inputs: d, outputs: k, width: m, seed: 0, signs: Signs::usual(k) };
        let network = init.network(1.0)?;
        Ok(network.signs().iter().map(|&sign| <T as Real>::of(sign)).collect())
    }
}

pub(super) fn measure(bench: &mut Bench) -> Outcome {
    let usual = vec![16, 32, 64, 100, 128, 784];
    let inputs = bench.pick(vec![16, 64], usual.clone(), usual);
    let n = bench.pick(512, 4096, 4096);
    for d in inputs {
        // Past 128 inputs a smaller width has the same work.
        let m = bench.pick(2048, if d > 128 { 8192 } else { 65_536 }, 65_536);
        let mask = mask(n, m);
        for k in [1, 10] {
            let size = Size { n, m, d, k };
            products::<f32>(bench, size, &mask, Drawn::Usual)?;
            products::<f64>(bench, size, &mask, Drawn::Usual)?;
            if k > 1 {
                products::<f32>(bench, size, &mask, Drawn::Independent)?;
                products::<f64>(bench, size, &mask, Drawn::Independent)?;
            }
            forward(bench, size)?;
        }
    }
    Ok(())
}

/// `J v`, `J^T u` and `J J^T u`. All matrices are row-major, as in training.
fn products<T: Element>(bench: &mut Bench, size: Size, mask: &PackedMask, drawn: Drawn) -> Outcome {
    let Size { n, m, d, k } = size;
    let [forth, back, both] = drawn.kernels();
    let (x, a, u) = (noise_vec::<T>(n * d), drawn.signs::<T>(size)?, noise_vec::<T>(n * k));
    let x = MatRef::from_row_major_slice(&x, n, d);
    let u = MatRef::from_row_major_slice(&u, n, k);
    let v = noise_vec::<T>(m * d);
    let v = MatRef::from_row_major_slice(&v, m, d);
    let jacobian = Jacobian::new(mask, x, MatRef::from_row_major_slice(&a, m, k))?;
    let model = |passes| Model::Jacobian { n, m, d, k, passes };
    let case = |kernel, passes| Case::new(kernel, model(passes), precision::<T>());
    let fits = "shapes fit";
    // Rivals where there is one output: more have the same product with more work after it.
    let cols = m.min(PANEL);
    let rival = k == 1;
    let panel = if rival { noise::<T>(n, cols) } else { Mat::zeros(0, 0) };
    bench.on_all_threads(None, |par| {
        let mut y = Mat::<T>::zeros(n, k);
        let case =
            case(forth, 1).ours(move || jacobian.apply(black_box(y.as_mut()), v, par).expect(fits));
        let mut out = Mat::<T>::zeros(if rival { n } else { 0 }, cols);
        let run = move || {
            for first in (0..m).step_by(cols) {
                gemm(black_box(out.as_mut()), false, x, v.subrows(first, cols).transpose(), par);
            }
        };
        if rival { case.other(GEMM, run) } else { case }
    })?;
    bench.on_all_threads(None, |par| {
        let mut out = noise_vec::<T>(m * d);
        let case = case(back, 1).ours(move || {
            let out = MatMut::from_row_major_slice_mut(black_box(&mut out), m, d);
            jacobian.apply_adjoint(out, u, par).expect(fits);
        });
        let panel = panel.as_ref();
        let mut out = Mat::<T>::zeros(m, d);
        let run = move || {
            for first in (0..m).step_by(cols) {
                let out = out.as_mut().subrows_mut(first, cols);
                gemm(black_box(out), false, panel.transpose(), x, par);
            }
        };
        if rival { case.other(GEMM, run) } else { case }
    })?;
    bench.on_all_threads(None, |par| {
        let (mut y, (rows, cols)) = (Mat::<T>::zeros(n, k), jacobian.gram_scratch());
        let mut scratch = noise_vec::<T>(rows * cols);
        case(both, 2).ours(move || {
            let scratch = MatMut::from_row_major_slice_mut(&mut scratch, rows, cols);
            jacobian.apply_gram(black_box(y.as_mut()), u, scratch, par).expect(fits);
        })
    })
}

/// Outputs and masks of a fresh network.
fn forward(bench: &mut Bench, size: Size) -> Outcome {
    let Size { n, m, d, k } = size;
    let init = Init { inputs: d, outputs: k, width: m, seed: 0, signs: Signs::Random };
    let network = init.network(1.0)?;
    let x = noise_vec::<f64>(n * d);
    let x = MatRef::from_row_major_slice(&x, n, d);
    let model = Model::Forward { n, m, d, k, copies: network.copies() };
    bench.on_all_threads(None, |par| {
        let network = &network;
        Case::new("forward", model, Precision::F64)
            .ours(move || drop(black_box(network.forward(x, par).expect("shapes fit"))))
    })
}
