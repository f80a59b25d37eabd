//! The range of a matrix, from its sketch: columns that are independent and the triangular factor that whitens them.
//!
//! Rokhlin and Tygert, *A fast randomized algorithm for overdetermined linear least-squares regression*, PNAS 105, 2008: if
//! `S A = Q R`, then `A R^-1` has the singular values of the pseudo-inverse of `S U`, for an orthonormal `U` with the range
//! of `A`.

use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Mat, MatRef, Par};

use crate::scalar::wide;
use crate::{Scalar, Sketch, SketchError};

/// `S A[:, columns] = Q R` with `R : rank x d` upper trapezoidal, columns of `S A` being scaled and permuted.
pub(crate) struct Range {
    /// All columns, the independent ones first.
    pub(crate) columns: Vec<usize>,
    pub(crate) rank: usize,
    r: Mat<f64>,
}

impl Range {
    /// Of the columns of `b`, which are of about unit length or 0, those that are independent to a relative `tolerance`.
    pub(crate) fn new(b: MatRef<'_, f64>, tolerance: f64) -> Self {
        if b.ncols() == 0 {
            return Self { columns: Vec::new(), rank: 0, r: Mat::zeros(0, 0) };
        }
        let qr = b.col_piv_qr();
        let r = qr.thin_R().to_owned();
        let most = r.nrows().min(r.ncols());
        // A sketch of no rows has no range.
        let least = if most == 0 { 0.0 } else { tolerance * r[(0, 0)].abs() };
        let rank = (0..most).take_while(|&i| r[(i, i)].abs() > least).count();
        Self { columns: qr.P().arrays().0.to_vec(), rank, r }
    }

    /// `b[:, columns] R_11^-1`, and how much of the largest of the other columns of `b` is no combination of these.
    pub(crate) fn whiten(&self, b: MatRef<'_, f64>) -> (Mat<f64>, f64) {
        let (rank, d) = (self.rank, b.ncols());
        let column = |i: usize, j: usize| b[(i, self.columns[j])];
        let mut white = Mat::from_fn(rank, b.nrows(), |j, i| column(i, j));
        let r = self.r.as_ref().submatrix(0, 0, rank, rank);
        solve_lower_triangular_in_place(r.transpose(), white.as_mut(), Par::Seq);
        let white = white.transpose().to_owned();
        let others = Mat::from_fn(b.nrows(), d - rank, |i, j| column(i, rank + j));
        let rest = self.r.as_ref().submatrix(0, rank, rank, d - rank);
        let left = others - &white * rest;
        let most = left.col_iter().map(|column| column.norm_l2()).fold(0.0, f64::max);
        (white, most)
    }

    /// `R_11^-1 g`.
    pub(crate) fn solve(&self, mut g: Mat<f64>) -> Mat<f64> {
        let r = self.r.as_ref().submatrix(0, 0, self.rank, self.rank);
        solve_upper_triangular_in_place(r, g.as_mut(), Par::Seq);
        g
    }
}

/// `S A` in double precision.
pub(crate) fn sketched<T: Scalar>(
    sketch: &dyn Sketch<T>,
    a: MatRef<'_, T>,
    par: Par,
) -> Result<Mat<f64>, SketchError> {
    let mut out = Mat::zeros(sketch.embedding_dim(), a.ncols());
    sketch.apply(out.as_mut(), a, par)?;
    let out = Mat::from_fn(out.nrows(), out.ncols(), |i, j| wide(out[(i, j)]));
    for (at, column) in out.col_iter().enumerate() {
        if !column.iter().all(|v| v.is_finite()) {
            return Err(SketchError::NotFinite { at });
        }
    }
    Ok(out)
}

/// The lengths of the columns of `b`, with 1 for 0.
pub(crate) fn lengths(b: MatRef<'_, f64>) -> Vec<f64> {
    let length = |length: f64| if length > 0.0 { length } else { 1.0 };
    b.col_iter().map(|column| length(column.norm_l2())).collect()
}

/// `b` with columns divided by these lengths.
pub(crate) fn scaled(b: MatRef<'_, f64>, lengths: &[f64]) -> Mat<f64> {
    Mat::from_fn(b.nrows(), b.ncols(), |i, j| b[(i, j)] / lengths[j])
}

/// How much of a column of unit length is rounding, in a sketch of `n` rows and `d` columns: errors of sums grow like the square
/// root of the number of terms.
pub(crate) fn tolerance<T: Scalar>(n: usize, d: usize) -> f64 {
    8.0 * ((n as f64).sqrt() + d as f64) * wide(<T as num_traits::Float>::epsilon())
}
