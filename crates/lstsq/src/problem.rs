//! What is to be solved, and what is said of it.

use faer::{Mat, MatRef};
use nearlin_krylov::{Ending, LeastSquaresColumn};

use crate::Matrix;
use crate::factor::Factored;
use crate::matrix::Scalar;
use crate::report::{Fit, Report};
use crate::ridged::Ridged;

/// Signs in each column of a sketch.
pub(crate) const SIGNS: usize = 8;

/// `diag(scales) A x ~ diag(scales) b`.
pub(crate) struct Problem<'a, T> {
    pub(crate) a: &'a dyn Matrix<T>,
    pub(crate) b: MatRef<'a, T>,
    pub(crate) scales: Option<&'a [T]>,
}

impl<T: Scalar> Problem<'_, T> {
    /// The system with `root I` below it.
    pub(crate) fn ridged(&self, root: T) -> Ridged<'_, T> {
        Ridged { a: self.a, scales: self.scales, root }
    }

    /// How often both products of a step read the matrix: scales stand between the two.
    pub(crate) fn reads(&self) -> usize {
        1 + usize::from(self.scales.is_some())
    }

    /// Its right-hand side, where that is not `b` itself: scaled, with zeros below.
    pub(crate) fn target(&self, below: usize) -> Option<Mat<T>> {
        let (m, k) = (self.b.nrows(), self.b.ncols());
        (self.scales.is_some() || below > 0).then(|| {
            Mat::from_fn(m + below, k, |i, j| match self.scales {
                _ if i >= m => T::zero(),
                Some(scales) => scales[i] * self.b[(i, j)],
                None => self.b[(i, j)],
            })
        })
    }
}

/// What is counted on the way.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) passes: usize,
    pub(crate) refinements: usize,
    pub(crate) iterations: Vec<usize>,
    pub(crate) gradients: Vec<f64>,
}

/// A solution with its report; the columns speak of the matrix, whose norm the sketch tells.
pub(crate) fn fit<T: Scalar>(
    x: Mat<T>,
    ending: Ending,
    factored: &Factored<T>,
    sketch_rows: usize,
    told: Told,
    mut columns: Vec<LeastSquaresColumn>,
) -> Fit<T> {
    for column in &mut columns {
        (column.operator_norm, column.condition) = (factored.norm, factored.condition);
    }
    let Told { passes, refinements, iterations, gradients } = told;
    let report = Report {
        ending,
        rank: factored.rank,
        condition: factored.condition,
        sketch_rows,
        iterations,
        gradients,
        refinements,
        passes,
        columns,
    };
    Fit { x, report }
}

/// `sketched` with `root I` below its first `n` columns, unless that is zero, and with zeros where there are fewer than `n` rows:
/// a factor that is singular then is told so.
pub(crate) fn with_root<T: Scalar>(sketched: &Mat<T>, n: usize, root: T) -> Mat<T> {
    let rows = sketched.nrows();
    let below = if root > T::zero() { n } else { 0 };
    let mut out = Mat::zeros((rows + below).max(n), sketched.ncols());
    out.as_mut().subrows_mut(0, rows).copy_from(sketched);
    for j in 0..below {
        out[(rows + j, j)] = root;
    }
    out
}

/// The first column of a sketch with an entry that is not finite.
pub(crate) fn not_finite<T: Scalar>(sketched: MatRef<'_, T>) -> Option<usize> {
    let finite = |column: faer::ColRef<'_, T>| column.iter().all(|v| v.is_finite());
    sketched.col_iter().position(|column| !finite(column))
}
