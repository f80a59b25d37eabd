//! The published preconditioner: an SRHT of `J^T`, and the QR factor of what it leaves.
//!
//! van den Brand, Peng, Song and Weinstein, *Training (Overparametrized) Neural Networks in
//! Near-Linear Time*, ITCS 2021, Algorithm 1: `R` from `S J^T = Q R` preconditions `J J^T`.

use faer::{ColMut, Mat, Par};
use nearlin_dense::{Real, Triangular, fixed_par, for_each_col_chunk, qr_r};
use nearlin_relu::Jacobian;
use nearlin_sketch::{Sketch, Srht};

use super::{InnerSolver, SolverKind};
use crate::TrainError;
use crate::dual::Factor;
use crate::vector::Element;

/// `S J^T = Q R` for an SRHT `S` of `sketch_rows` rows; `J^T` itself if that is not fewer than it
/// has.
///
/// The columns of `J^T` are made one at a time in a buffer of the padded length `N`, never all of
/// them: `n N log2 N` additions, then `2 n^2 (s - n / 3)` flops for `R`, in `s n + n^2` memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SketchedSrht {
    /// Rows `s` of the sketch.
    pub sketch_rows: usize,
    /// Names the sketch.
    pub seed: u64,
}

impl<T: Element> InnerSolver<T> for SketchedSrht {
    fn kind(&self) -> SolverKind {
        SolverKind::Srht
    }

    fn build(
        &self,
        jacobian: &Jacobian<'_, T>,
        ridge: f64,
        par: Par,
    ) -> Result<Factor<T>, TrainError> {
        let parameters = jacobian.width() * jacobian.inputs();
        if self.sketch_rows >= parameters {
            let columns = sketch_columns(jacobian, parameters, par, |out, i| {
                let mut out = out;
                write_column(
                    jacobian,
                    i,
                    out.as_mut().try_as_col_major_mut().map(faer::col::generic::Col::as_slice_mut),
                );
            });
            return triangular(columns, ridge, par);
        }
        let sketch = Srht::new(parameters, self.sketch_rows, self.seed)?;
        let padded = sketch.padded_dim();
        debug_assert_eq!(Sketch::<T>::embedding_dim(&sketch), self.sketch_rows);
        let columns = sketch_columns(jacobian, self.sketch_rows, par, |out, i| {
            <T as Real>::with_buffer(padded, |buffer| {
                write_column(jacobian, i, Some(&mut buffer[..parameters]));
                if let Some(out) = out.try_as_col_major_mut() {
                    sketch.apply_to_buffer(out.as_slice_mut(), buffer);
                }
            });
        });
        triangular(columns, ridge, par)
    }
}

/// Column `i` of `J_0^T`, entry `r d + q`: `m^(-1/2) a_r0 M_ir x_iq`.
fn write_column<T: Real>(jacobian: &Jacobian<'_, T>, i: usize, out: Option<&mut [T]>) {
    let Some(out) = out else { return };
    let (m, d) = (jacobian.width(), jacobian.inputs());
    let x = jacobian.x().row(i);
    // The activations go to the end of the column, where they are read before they are overwritten:
    // entry r is needed last for the entries r d .. (r + 1) d, all of them at or before it.
    jacobian.activations(&mut out[m * d - m..], i, 0);
    for r in 0..m {
        let activation = out[m * d - m + r];
        for q in 0..d {
            out[r * d + q] = activation * x[q];
        }
    }
}

/// An `s x n` matrix whose column `i` is written by `column(out, i)`, in parallel.
pub(super) fn sketch_columns<T: Real>(
    jacobian: &Jacobian<'_, T>,
    rows: usize,
    par: Par,
    column: impl Fn(ColMut<'_, T>, usize) + Sync + Send,
) -> Mat<T> {
    let mut columns = Mat::zeros(rows, jacobian.examples());
    for_each_col_chunk(columns.as_mut(), 1, par, |i, out| column(out.col_mut(0), i));
    columns
}

/// `R` of `[S J^T; sqrt(mu) I] = Q R`.
///
/// A factor whose diagonal spans more than the working precision is repaired as a Cholesky factor
/// is: by a ridge of `1e-12` times the mean squared column norm, then ten times more.
pub(super) fn triangular<T: Real>(
    mut columns: Mat<T>,
    ridge: f64,
    par: Par,
) -> Result<Factor<T>, TrainError> {
    let n = columns.ncols();
    let par = fixed_par(par);
    let mut r = if columns.nrows() >= n {
        qr_r(&mut columns, par)?
    } else {
        // Fewer rows than columns: R^T R = columns^T columns + ridge, from the stack below.
        let rows = columns.nrows();
        Mat::from_fn(n, n, |i, j| if i < rows { columns[(i, j)] } else { T::of(0.0) })
    };
    drop(columns);
    let mean_square = r.squared_norm_l2().as_f64() / n as f64;
    let unit = if T::NAME == "f32" { 1e-7 } else { 1e-12 } * mean_square;
    let mut ridge = ridge;
    if ridge > 0.0 {
        r = with_ridge(r, ridge, par)?;
    }
    for _ in 0..14 {
        let smallest = (0..n).map(|i| r[(i, i)].abs().as_f64()).fold(f64::INFINITY, f64::min);
        if smallest * smallest > 1e-3 * unit {
            break;
        }
        ridge = (10.0 * ridge).max(unit);
        r = with_ridge(r, ridge, par)?;
    }
    Ok(Factor::Triangular(Triangular::upper(r)?))
}

/// The factor of `r^T r + ridge I`. Takes `r` to free it before the new factor is made: the two and
/// their stack would be the largest things in memory.
fn with_ridge<T: Real>(r: Mat<T>, ridge: f64, par: Par) -> Result<Mat<T>, TrainError> {
    let n = r.ncols();
    let root = T::of(ridge.sqrt());
    let mut stacked = Mat::from_fn(2 * n, n, |i, j| match i {
        _ if i < n => r[(i, j)],
        _ if i == n + j => root,
        _ => T::of(0.0),
    });
    drop(r);
    Ok(qr_r(&mut stacked, par)?)
}
