//! Systems with no fewer rows than columns: a sketch of the columns, as a preconditioner from the right.

use faer::Mat;
use nearlin_krylov::AdjointOp;
use nearlin_sketch::{Sketch, SparseSign};

use crate::factor::{Inverse, factor, triangle};
use crate::matrix::{Scalar, of};
use crate::problem::{Problem, SIGNS, Told, fit, not_finite, with_root};
use crate::refine::refine;
use crate::report::Fit;
use crate::ridged::Ridged;
use crate::rows::sketch_rows;
use crate::{Lstsq, LstsqError};

/// Entries of a matrix that is small enough for residuals in twice the working precision, some twenty operations each.
const SMALL: f64 = 1e6;

/// Most right-hand sides for which a copy is made: products with many are as fast without.
const COLUMNS: usize = 4;

impl Lstsq {
    /// One fit for each of `ridges`.
    pub(crate) fn tall<T: Scalar>(
        &self,
        problem: &Problem<'_, T>,
        ridges: &[f64],
    ) -> Result<Vec<Fit<T>>, LstsqError> {
        let (m, n, k) = (problem.a.nrows(), problem.a.ncols(), problem.b.ncols());
        let rows = sketch_rows(self.oversampling, (m, n), problem.a.entries());
        let mut sketched = self.sketched(problem, rows)?;
        if let Some(col) = not_finite(sketched.as_ref().subcols(0, n)) {
            return Err(LstsqError::NonFinite { col });
        }
        if ridges.len() > 1 && sketched.nrows() > n + k {
            sketched = triangle(sketched);
        }
        let mut fits = Vec::with_capacity(ridges.len());
        let copied = self.copies && rows.is_some() && k <= COLUMNS;
        let blocks = if copied { problem.a.row_blocks(problem.scales, self.par) } else { None };
        let passes = 1 + usize::from(blocks.is_some());
        let mut told = Told { passes, ..Told::default() };
        for &ridge in ridges {
            let root: T = of(ridge.sqrt());
            let (op, reads) = match &blocks {
                Some(blocks) => (Ridged { a: blocks, scales: None, root }, 1),
                None => (problem.ridged(root), problem.reads()),
            };
            let target = problem.target(if root > T::zero() { n } else { 0 });
            let b = target.as_ref().map_or(problem.b, Mat::as_ref);
            let last = fits.len() + 1 == ridges.len() && ridge == 0.0 && sketched.nrows() >= n;
            let stacked = if last {
                core::mem::replace(&mut sketched, Mat::new())
            } else {
                with_root(&sketched, n, root)
            };
            let factored = factor(stacked, n, self.limit::<T>(m, n))?;
            let mut x = factored.start.clone();
            let right = Some(&factored.inverse as &dyn AdjointOp<T>);
            let mut report =
                self.iterate(&op, right, b, &mut x, (reads, factored.norm), &mut told)?;
            let small = rows.is_none() && (m * n) as f64 <= SMALL && ridge == 0.0;
            if let (true, Inverse::Triangular(r)) = (small, &factored.inverse) {
                let mut copy = Mat::<T>::zeros(m, n);
                problem.a.write(copy.as_mut(), problem.scales, self.par);
                told.refinements = refine(copy.as_ref(), b, r.as_ref(), &mut x);
                told.passes += 1;
                report = self.truth(problem, root, b, &mut x, &report, &mut told)?;
            }
            let told = core::mem::take(&mut told);
            fits.push(fit(x, report.ending, &factored, rows.unwrap_or(m), told, report.columns));
        }
        Ok(fits)
    }

    /// `[S A, S b]` with scaled rows; `A` and `b` themselves for as many rows as they have.
    fn sketched<T: Scalar>(
        &self,
        problem: &Problem<'_, T>,
        rows: Option<usize>,
    ) -> Result<Mat<T>, LstsqError> {
        let (m, n, k) = (problem.a.nrows(), problem.a.ncols(), problem.b.ncols());
        let target = problem.target(0);
        let b = target.as_ref().map_or(problem.b, Mat::as_ref);
        let mut sketched = Mat::<T>::zeros(rows.unwrap_or(m), n + k);
        let (to_a, mut to_b) = sketched.as_mut().split_at_col_mut(n);
        if let Some(rows) = rows {
            let sketch = SparseSign::new(m, rows, SIGNS.min(rows), self.seed)?;
            problem.a.sketch(to_a, &sketch, problem.scales, self.par)?;
            sketch.apply(to_b, b, self.par)?;
        } else {
            problem.a.write(to_a, problem.scales, self.par);
            to_b.copy_from(b);
        }
        Ok(sketched)
    }
}
