//! The curvature of a loss, and the system of a Newton step.

use faer::dyn_stack::{MemStack, StackReq};
use faer::{MatMut, MatRef, Par};
use nearlin_krylov::LinOp;

/// The root `R` of the weighted curvature at a point.
pub(super) struct Curvature {
    /// `s`, nK.
    pub(super) root: Vec<f64>,
    /// Square roots of the weights, n.
    pub(super) scale: Vec<f64>,
    pub(super) outputs: usize,
    pub(super) couples: bool,
}

impl Curvature {
    /// A bound of its eigenvalues.
    pub(super) fn largest(&self) -> f64 {
        let rows = self.root.chunks_exact(self.outputs).zip(&self.scale);
        let sizes = rows.flat_map(|(root, scale)| root.iter().map(move |s| (scale * s).powi(2)));
        sizes.fold(0.0, f64::max)
    }

    /// `x <- R x`.
    pub(super) fn apply(&self, x: &mut [f64]) {
        self.each(x, |scale, root, x| {
            self.project(root, x);
            x.iter_mut().zip(root).for_each(|(x, s)| *x *= scale * s);
        });
    }

    /// `x <- R^T x`.
    pub(super) fn adjoint(&self, x: &mut [f64]) {
        self.each(x, |scale, root, x| {
            x.iter_mut().zip(root).for_each(|(x, s)| *x *= scale * s);
            self.project(root, x);
        });
    }

    fn each(&self, x: &mut [f64], visit: impl Fn(f64, &[f64], &mut [f64])) {
        let rows = self.root.chunks_exact(self.outputs).zip(x.chunks_exact_mut(self.outputs));
        rows.zip(&self.scale).for_each(|((root, x), &scale)| visit(scale, root, x));
    }

    /// `x <- (I - s s^T) x` where outputs share a curvature.
    fn project(&self, root: &[f64], x: &mut [f64]) {
        if self.couples {
            let along = dot(root, x);
            x.iter_mut().zip(root).for_each(|(x, s)| *x -= along * s);
        }
    }
}

/// `x -> (mu I + R^T G R) x`.
pub(super) struct System<'a> {
    pub(super) gram: &'a dyn LinOp<f64>,
    pub(super) curvature: &'a Curvature,
    pub(super) ridge: f64,
}

impl LinOp<f64> for System<'_> {
    fn nrows(&self) -> usize {
        self.gram.nrows()
    }

    fn ncols(&self) -> usize {
        self.gram.ncols()
    }

    fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
        self.gram.apply_scratch(k, par)
    }

    fn apply(&self, mut y: MatMut<'_, f64>, x: MatRef<'_, f64>, par: Par, stack: &mut MemStack) {
        let mut inner = x.to_owned();
        for j in 0..x.ncols() {
            self.curvature.apply(column(inner.as_mut().subcols_mut(j, 1)));
        }
        self.gram.apply(y.as_mut(), inner.as_ref(), par, stack);
        for j in 0..x.ncols() {
            let y = column(y.as_mut().subcols_mut(j, 1));
            self.curvature.adjoint(y);
            y.iter_mut().zip(x.col(j).iter()).for_each(|(y, x)| *y += self.ridge * x);
        }
    }
}

/// The only column of a matrix that is stored by columns.
pub(super) fn column(x: MatMut<'_, f64>) -> &mut [f64] {
    x.col_mut(0).try_as_col_major_mut().expect("a contiguous column").as_slice_mut()
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
