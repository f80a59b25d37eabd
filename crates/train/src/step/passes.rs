//! Passes with the Jacobian, in the precision that is called for.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_krylov::LinOp;
use nearlin_relu::Jacobian;

use crate::dual::Dual;
use crate::vector::{Element, cast, cast_beside, norm, rows, rows_mut};

const FITS: &str = "equations and network have been matched";

/// Products with the Jacobian at a point, n x K and m x d in `f64` whatever they are computed in.
pub(crate) struct Passes<'a, T> {
    pub(crate) exact: Jacobian<'a, f64>,
    /// What computes them instead, if anything does.
    pub(crate) working: Option<Jacobian<'a, T>>,
    pub(crate) par: Par,
}

impl<T: Element> Passes<'_, T> {
    /// `J v`.
    pub(crate) fn image(&self, out: &mut [f64], v: &[f64]) {
        let ((n, k), (m, d)) = self.shapes();
        let Some(jacobian) = &self.working else {
            let (out, v) = (rows_mut(out, n, k), rows(v, m, d));
            return self.exact.apply(out, v, self.par).expect(FITS);
        };
        let ((v, size), mut image) = (rounded::<T>(v), vec![cast::<T>(0.0); n * k]);
        let to = MatMut::from_row_major_slice_mut(&mut image, n, k);
        jacobian.apply(to, MatRef::from_row_major_slice(&v, m, d), self.par).expect(FITS);
        out.iter_mut().zip(&image).for_each(|(out, v)| *out = size * v.as_f64());
    }

    /// `J^T g`.
    pub(crate) fn adjoint(&self, out: &mut [f64], g: &[f64]) {
        let ((n, k), (m, d)) = self.shapes();
        let Some(jacobian) = &self.working else {
            let (out, g) = (rows_mut(out, m, d), rows(g, n, k));
            return self.exact.apply_adjoint(out, g, self.par).expect(FITS);
        };
        let ((g, size), mut step) = (rounded::<T>(g), vec![cast::<T>(0.0); m * d]);
        let to = MatMut::from_row_major_slice_mut(&mut step, m, d);
        jacobian.apply_adjoint(to, MatRef::from_row_major_slice(&g, n, k), self.par).expect(FITS);
        out.iter_mut().zip(&step).for_each(|(out, s)| *out = size * s.as_f64());
    }

    /// `J J^T g` in one sweep; `None` in `f64`.
    pub(crate) fn gram(&self, g: &[f64]) -> Option<Vec<f64>> {
        let operator = Dual { jacobian: self.working?, ridge: cast(0.0) };
        let (g, size) = rounded::<T>(g);
        let mut product = Mat::<T>::zeros(g.len(), 1);
        let g = MatRef::from_column_major_slice(&g, g.len(), 1);
        let mut scratch = MemBuffer::new(operator.apply_scratch(1, self.par));
        operator.apply(product.as_mut(), g, self.par, MemStack::new(&mut scratch));
        Some(product.col(0).iter().map(|v| size * v.as_f64()).collect())
    }

    /// Of outputs and of weights.
    fn shapes(&self) -> ((usize, usize), (usize, usize)) {
        let of = &self.exact;
        ((of.examples(), of.outputs()), (of.width(), of.inputs()))
    }
}

/// A vector of length 1, in range whatever the units are, and what it was of.
fn rounded<T: Element>(v: &[f64]) -> (Vec<T>, f64) {
    let size = norm(v);
    let scale = if size > 0.0 { 1.0 / size } else { 0.0 };
    (cast_beside(1.0, v.iter().map(|v| v * scale)), size)
}

#[cfg(test)]
mod tests {
    use core::ops::ControlFlow;

    use nearlin_relu::{Activations, Forward};

    use super::*;
    use crate::step::Features;
    use crate::{Equations, Event, Options, train};

    /// Passes in `f32` differ from those in `f64` by its rounding, whatever the units of what they are given.
    #[test]
    fn passes_agree() {
        let n = 50;
        let x: Vec<f64> =
            (0..n).map(f64::from).flat_map(|i| [(0.37 * i).sin(), (0.73 * i).cos(), 1.0]).collect();
        let y = x.chunks(3).flat_map(|x| [x[0] * x[1], x[1] - x[0]]).collect();
        let equations = Equations::new(x, y, 3, 2).unwrap();
        let options = Options::default().width(64).ridge(0.1).max_steps(1);
        let mut still = |_: &Event<'_>| ControlFlow::Continue(());
        let network = train(&equations, &options, &mut still).unwrap().network;
        let Forward { mask, .. } = network.forward(equations.x(), Par::Seq).unwrap();
        let active = Activations::of(mask, &network);
        let exact = Features::<f64>::new(&equations, network.signs(), 64);
        let working = Features::<f32>::new(&equations, network.signs(), 64);
        let passes = |rounded: bool| Passes::<f32> {
            exact: exact.jacobian(&active),
            working: rounded.then(|| working.jacobian(&active)),
            par: Par::Seq,
        };
        for unit in [1e-60, 1.0, 1e60] {
            let wave = |len: usize| (0..len).map(|i| unit * (0.7 * i as f64).sin()).collect();
            let (v, g): (Vec<f64>, Vec<f64>) = (wave(64 * 3), wave(50 * 2));
            let all = |rounded: bool| {
                let passes = passes(rounded);
                let (mut image, mut adjoint) = (vec![0.0; 50 * 2], vec![0.0; 64 * 3]);
                passes.image(&mut image, &v);
                passes.adjoint(&mut adjoint, &g);
                let gram = passes.gram(&g).unwrap_or_else(|| {
                    let mut gram = vec![0.0; 50 * 2];
                    passes.image(&mut gram, &adjoint);
                    gram
                });
                [image, adjoint, gram]
            };
            for (rounded, exact) in all(true).iter().zip(&all(false)) {
                let off: Vec<f64> = rounded.iter().zip(exact).map(|(a, b)| a - b).collect();
                assert!(norm(exact) > 0.0 && norm(&off) < 1e-5 * norm(exact), "{unit}");
                assert!(rounded != exact);
            }
        }
        let zero = vec![0.0; 64 * 3];
        let mut image = vec![1.0; 50 * 2];
        passes(true).image(&mut image, &zero);
        assert!(image.iter().all(|v| *v == 0.0));
    }
}
