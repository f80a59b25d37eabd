//! Passes with the Jacobian, in the precision that is called for.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_krylov::LinOp;
use nearlin_relu::Jacobian;

use crate::dual::Dual;
use crate::vector::{Element, cast, norm, rows, rows_mut};

const FITS: &str = "equations and network have been matched";

/// Products with the Jacobian at a point, n x K and m x d in `f64` whatever they are computed in.
pub(super) struct Passes<'a, T> {
    pub(super) exact: Jacobian<'a, f64>,
    /// What computes them instead, if anything does.
    pub(super) working: Option<Jacobian<'a, T>>,
    pub(super) par: Par,
}

impl<T: Element> Passes<'_, T> {
    /// `J v`.
    pub(super) fn image(&self, out: &mut [f64], v: &[f64]) {
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
    pub(super) fn adjoint(&self, out: &mut [f64], g: &[f64]) {
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
    pub(super) fn gram(&self, g: &[f64]) -> Option<Vec<f64>> {
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
    (v.iter().map(|v| cast(v * scale)).collect(), size)
}
