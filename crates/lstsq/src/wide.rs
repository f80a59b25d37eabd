//! Systems with fewer rows than columns: a sketch of the rows, as a preconditioner from the left.
//!
//! With a ridge the solution is the first part of the shortest one of `[diag(scales) A, root I] [x; z] = diag(scales) b`.

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_krylov::{AdjointOp, LinOp, Product};
use nearlin_sketch::SparseSign;

use crate::factor::{Transposed, factor, triangle};
use crate::matrix::{Scalar, of, scale_rows};
use crate::problem::{Problem, SIGNS, Told, fit, not_finite, with_root};
use crate::report::Fit;
use crate::rows::sketch_rows;
use crate::run::multiply;
use crate::{Lstsq, LstsqError};

impl Lstsq {
    /// One fit for each of `ridges`.
    pub(crate) fn wide<T: Scalar>(
        &self,
        problem: &Problem<'_, T>,
        ridges: &[f64],
    ) -> Result<Vec<Fit<T>>, LstsqError> {
        let (m, n, k) = (problem.a.nrows(), problem.a.ncols(), problem.b.ncols());
        let rows = sketch_rows(self.oversampling, (n, m), problem.a.entries());
        let mut sketched = self.sketched_adjoint(problem, rows)?;
        if let Some(row) = not_finite(sketched.as_ref()) {
            return Err(LstsqError::NonFiniteRow { row });
        }
        if ridges.len() > 1 && sketched.nrows() > m {
            sketched = triangle(sketched);
        }
        let target = problem.target(0);
        let b = target.as_ref().map_or(problem.b, Mat::as_ref);
        let mut fits = Vec::with_capacity(ridges.len());
        let mut told = Told { passes: 1, ..Told::default() };
        for &ridge in ridges {
            let root: T = of(ridge.sqrt());
            let factored = factor(with_root(&sketched, m, root), m, self.limit::<T>(m, n))?;
            let left = Transposed(&factored.inverse as &dyn AdjointOp<T>);
            let widened = Widened { a: problem.a, scales: problem.scales, root };
            let op = Product::new(&left, &widened);
            let mut turned = Mat::zeros(left.nrows(), k);
            multiply(&left, turned.as_mut(), b, self.par);
            let mut both = Mat::zeros(widened.ncols(), k);
            // The factor stands between the two products: each reads the matrix.
            let turned = turned.as_ref();
            let report = self.iterate(&op, None, turned, &mut both, (2, 0.0), &mut told)?;

            let mut x = both.subrows(0, n).to_owned();
            let below = problem.target(if root > T::zero() { n } else { 0 });
            let below = below.as_ref().map_or(problem.b, Mat::as_ref);
            let report = self.truth(problem, root, below, &mut x, &report, &mut told)?;
            let told = core::mem::take(&mut told);
            fits.push(fit(x, report.ending, &factored, rows.unwrap_or(n), told, report.columns));
        }
        Ok(fits)
    }

    /// `S A*` with scaled columns; `A*` itself for as many rows as it has.
    fn sketched_adjoint<T: Scalar>(
        &self,
        problem: &Problem<'_, T>,
        rows: Option<usize>,
    ) -> Result<Mat<T>, LstsqError> {
        let (m, n) = (problem.a.nrows(), problem.a.ncols());
        let mut sketched = Mat::<T>::zeros(rows.unwrap_or(n), m);
        if let Some(rows) = rows {
            let sketch = SparseSign::new(n, rows, SIGNS.min(rows), self.seed)?;
            problem.a.sketch_adjoint(sketched.as_mut(), &sketch, self.par)?;
        } else {
            problem.a.write_adjoint(sketched.as_mut(), self.par);
        }
        if let Some(scales) = problem.scales {
            for (column, &scale) in sketched.as_mut().col_iter_mut().zip(scales) {
                column.iter_mut().for_each(|v| *v *= scale);
            }
        }
        Ok(sketched)
    }
}

/// `[diag(scales) A, root I] : m x (n + m)`, without the identity where there is no root.
struct Widened<'a, T> {
    a: &'a dyn AdjointOp<T>,
    scales: Option<&'a [T]>,
    root: T,
}

impl<T: Scalar> LinOp<T> for Widened<'_, T> {
    fn nrows(&self) -> usize {
        self.a.nrows()
    }

    fn ncols(&self) -> usize {
        let more = if self.root > T::zero() { self.a.nrows() } else { 0 };
        self.a.ncols() + more
    }

    fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
        self.a.apply_scratch(k, par)
    }

    fn apply(&self, mut y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        let (x, more) = x.split_at_row(self.a.ncols());
        self.a.apply(y.as_mut(), x, par, stack);
        scale_rows(y.as_mut(), self.scales);
        for (y, more) in y.col_iter_mut().zip(more.col_iter()) {
            y.iter_mut().zip(more.iter()).for_each(|(y, &more)| *y += self.root * more);
        }
    }
}

impl<T: Scalar> AdjointOp<T> for Widened<'_, T> {
    fn apply_adjoint_scratch(&self, k: usize, par: Par) -> StackReq {
        let scaled = if self.scales.is_some() { self.a.nrows() } else { 0 };
        temp_mat_scratch::<T>(scaled, k).and(self.a.apply_adjoint_scratch(k, par))
    }

    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        let (x, more) = x.split_at_row_mut(self.a.ncols());
        for (more, y) in more.col_iter_mut().zip(y.col_iter()) {
            more.iter_mut().zip(y.iter()).for_each(|(more, &y)| *more = self.root * y);
        }
        if self.scales.is_some() {
            let (mut scaled, stack) = temp_mat_zeroed::<T, _, _>(y.nrows(), y.ncols(), stack);
            let mut scaled = scaled.as_mat_mut();
            scaled.copy_from(y);
            scale_rows(scaled.as_mut(), self.scales);
            self.a.apply_adjoint(x, scaled.as_ref(), par, stack);
        } else {
            self.a.apply_adjoint(x, y, par, stack);
        }
    }
}
