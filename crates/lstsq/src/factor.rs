//! What makes a matrix well conditioned: the inverse of a factor of its sketch.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::matmul::matmul;
use faer::linalg::qr::no_pivoting::factor::{
    qr_in_place, qr_in_place_scratch, recommended_block_size,
};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use nearlin_krylov::{AdjointOp, LinOp};

use crate::LstsqError;
use crate::matrix::Scalar;

/// Steps of the power method for the largest and the smallest singular value of a triangular factor.
const STEPS: usize = 6;

/// How near the limit of the rank an estimate may be before singular values are computed.
const NEAR: f64 = 0.05;

/// Parts of the work of a factorisation or a solve, on any number of threads: for the same bits on all of them.
const TASKS: usize = 8;

/// `N : n x r`, from the right of `A`.
pub(crate) enum Inverse<T> {
    /// `R^-1` for an upper triangular `R`.
    Triangular(Mat<T>),
    /// Written out.
    Dense(Mat<T>),
}

/// A factored sketch of `[A b]`.
pub(crate) struct Factored<T> {
    pub(crate) inverse: Inverse<T>,
    /// The sketch's own solution, `n x k`.
    pub(crate) start: Mat<T>,
    pub(crate) rank: usize,
    pub(crate) condition: f64,
    /// Frobenius norm of the sketch of `A`.
    pub(crate) norm: f64,
}

/// The upper triangle of `sketched`, in no more rows than it has columns.
pub(crate) fn triangle<T: Scalar>(mut sketched: Mat<T>) -> Mat<T> {
    let par = Par::rayon(TASKS);
    let (rows, cols) = (sketched.nrows(), sketched.ncols());
    let size = rows.min(cols);
    let block = recommended_block_size::<T>(rows, cols);
    let mut coefficients = Mat::<T>::zeros(block, size);
    let params = faer::prelude::default();
    let mut scratch = MemBuffer::new(qr_in_place_scratch::<T>(rows, cols, block, par, params));
    let stack = MemStack::new(&mut scratch);
    qr_in_place(sketched.as_mut(), coefficients.as_mut(), par, stack, params);
    let zero = T::zero();
    Mat::from_fn(size, cols, |i, j| if i <= j { sketched[(i, j)] } else { zero })
}

/// Factors a sketch `[S A, S b]` of `n + k` columns and at least `n` rows: of full rank where its columns are independent once
/// they have one length, else without the singular values of at most `rcond` times the largest one.
pub(crate) fn factor<T: Scalar>(
    sketched: Mat<T>,
    n: usize,
    rcond: f64,
) -> Result<Factored<T>, LstsqError> {
    let par = Par::rayon(TASKS);
    let reduced = triangle(sketched);
    let r = reduced.submatrix(0, 0, n, n).to_owned();
    let right = reduced.submatrix(0, n, n, reduced.ncols() - n);
    let norm: f64 = r.norm_l2().into();
    // Columns of one length: independent ones are independent in any units.
    let scaled = {
        let lengths: Vec<T> = r.col_iter().map(|column| column.norm_l2()).collect();
        Mat::from_fn(n, n, |i, j| if i <= j { r[(i, j)] / lengths[j] } else { T::zero() })
    };
    if condition(&scaled, par) * rcond < NEAR {
        let estimate = condition(&r, par);
        let mut start = right.to_owned();
        solve_upper_triangular_in_place(r.as_ref(), start.as_mut(), par);
        let inverse = Inverse::Triangular(r);
        return Ok(Factored { inverse, start, rank: n, condition: estimate, norm });
    }
    let values = Values::of(&r, par)?;
    let rank = values.above(rcond);
    let condition = if rank == 0 { 1.0 } else { values.sigma[0] / values.sigma[rank - 1] };
    let (inverse, start) = values.inverse(rank, right);
    Ok(Factored { inverse: Inverse::Dense(inverse), start, rank, condition, norm })
}

/// The singular value decomposition of a triangular factor.
struct Values<T> {
    u: Mat<T>,
    v: Mat<T>,
    /// Largest first.
    sigma: Vec<f64>,
}

impl<T: Scalar> Values<T> {
    fn of(r: &Mat<T>, par: Par) -> Result<Self, LstsqError> {
        let n = r.nrows();
        let (mut u, mut v, mut s) = (Mat::zeros(n, n), Mat::zeros(n, n), Diag::<T>::zeros(n));
        let (params, thin) = (faer::prelude::default(), ComputeSvdVectors::Thin);
        let mut scratch = MemBuffer::new(svd_scratch::<T>(n, n, thin, thin, par, params));
        let stack = MemStack::new(&mut scratch);
        let (to_u, to_v) = (Some(u.as_mut()), Some(v.as_mut()));
        svd(r.as_ref(), s.as_mut(), to_u, to_v, par, stack, params)
            .map_err(|_| LstsqError::NoConvergence { dim: n })?;
        let sigma = s.column_vector().iter().map(|&s| s.into()).collect();
        Ok(Self { u, v, sigma })
    }

    /// How many are above a part of the largest.
    fn above(&self, rcond: f64) -> usize {
        let largest = self.sigma.first().copied().unwrap_or(0.0);
        self.sigma.iter().take_while(|&&s| s > rcond * largest && s > 0.0).count()
    }

    /// `V Sigma^-1` of the first `rank` values, and the shortest solution of the triangular system for `right`.
    fn inverse(&self, rank: usize, right: MatRef<'_, T>) -> (Mat<T>, Mat<T>) {
        let inverse = Mat::from_fn(self.v.nrows(), rank, |i, j| {
            self.v[(i, j)] * <T as nearlin_krylov::Scalar>::of(1.0 / self.sigma[j])
        });
        // Whatever faer makes of the threads around it: sums in one order.
        let par = Par::rayon(TASKS);
        let mut turned = Mat::zeros(rank, right.ncols());
        let left = self.u.as_ref().subcols(0, rank).transpose();
        matmul(turned.as_mut(), Accum::Replace, left, right, T::one(), par);
        let mut start = Mat::zeros(inverse.nrows(), right.ncols());
        matmul(start.as_mut(), Accum::Replace, inverse.as_ref(), turned.as_ref(), T::one(), par);
        (inverse, start)
    }
}

/// Estimates the condition number of a triangular `R` from below by the power method, within a small factor.
fn condition<T: Scalar>(r: &Mat<T>, par: Par) -> f64 {
    let n = r.nrows();
    if (0..n).any(|i| !(r[(i, i)].abs() > T::zero())) {
        return f64::INFINITY;
    }
    // In units of its largest entry, whose square is neither infinite nor nothing.
    let unit = (r.col_iter().map(|column| column.norm_max()))
        .fold(T::zero(), |most: T, next: T| if next > most { next } else { most });
    let r = Mat::from_fn(n, n, |i, j| r[(i, j)] / unit);
    let largest = largest_singular_value(n, |v| {
        let mut product = Mat::zeros(n, 1);
        matmul(product.as_mut(), Accum::Replace, r.as_ref(), v.as_ref(), T::one(), Par::Seq);
        matmul(v.as_mut(), Accum::Replace, r.transpose(), product.as_ref(), T::one(), Par::Seq);
    });
    let inverse = largest_singular_value(n, |v| {
        solve_lower_triangular_in_place(r.transpose(), v.as_mut(), par);
        solve_upper_triangular_in_place(r.as_ref(), v.as_mut(), par);
    });
    (largest * inverse).max(1.0)
}

/// The largest singular value of what `square` multiplies by its transpose, from below by the power method.
fn largest_singular_value<T: Scalar>(n: usize, mut square: impl FnMut(&mut Mat<T>)) -> f64 {
    // Signs that no structure is likely to be orthogonal to.
    let signs = nearlin_sketch::random_signs::<T>(n, 0, 0);
    let mut v = Mat::from_fn(n, 1, |i, _| signs[i]);
    normalise(&mut v);
    (0..STEPS).fold(0.0, |largest, _| {
        square(&mut v);
        let length = normalise(&mut v);
        if length.is_finite() { f64::max(largest, length.sqrt()) } else { f64::INFINITY }
    })
}

/// `v <- v / |v|`; returns `|v|`.
fn normalise<T: Scalar>(v: &mut Mat<T>) -> f64 {
    let length: T = v.norm_l2();
    if length > T::zero() {
        v.col_mut(0).iter_mut().for_each(|v| *v /= length);
    }
    length.into()
}

impl<T: Scalar> LinOp<T> for Inverse<T> {
    fn nrows(&self) -> usize {
        match self {
            Self::Triangular(r) => r.nrows(),
            Self::Dense(n) => n.nrows(),
        }
    }

    fn ncols(&self) -> usize {
        match self {
            Self::Triangular(r) => r.ncols(),
            Self::Dense(n) => n.ncols(),
        }
    }

    fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
        match self {
            Self::Triangular(_) => StackReq::EMPTY,
            Self::Dense(n) => n.apply_scratch(k, par),
        }
    }

    fn apply(&self, mut y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        match self {
            Self::Triangular(r) => {
                y.copy_from(x);
                solve_upper_triangular_in_place(r.as_ref(), y, Par::rayon(TASKS));
            }
            Self::Dense(n) => n.apply(y, x, par, stack),
        }
    }
}

impl<T: Scalar> AdjointOp<T> for Inverse<T> {
    fn apply_adjoint_scratch(&self, k: usize, par: Par) -> StackReq {
        match self {
            Self::Triangular(_) => StackReq::EMPTY,
            Self::Dense(n) => n.apply_adjoint_scratch(k, par),
        }
    }

    fn apply_adjoint(
        &self,
        mut x: MatMut<'_, T>,
        y: MatRef<'_, T>,
        par: Par,
        stack: &mut MemStack,
    ) {
        match self {
            Self::Triangular(r) => {
                x.copy_from(y);
                solve_lower_triangular_in_place(r.transpose(), x, Par::rayon(TASKS));
            }
            Self::Dense(n) => n.apply_adjoint(x, y, par, stack),
        }
    }
}

/// An operator the other way round.
pub(crate) struct Transposed<'a, T>(pub(crate) &'a dyn AdjointOp<T>);

impl<T: Scalar> LinOp<T> for Transposed<'_, T> {
    fn nrows(&self) -> usize {
        self.0.ncols()
    }

    fn ncols(&self) -> usize {
        self.0.nrows()
    }

    fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
        self.0.apply_adjoint_scratch(k, par)
    }

    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        self.0.apply_adjoint(y, x, par, stack);
    }
}

impl<T: Scalar> AdjointOp<T> for Transposed<'_, T> {
    fn apply_adjoint_scratch(&self, k: usize, par: Par) -> StackReq {
        self.0.apply_scratch(k, par)
    }

    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        self.0.apply(x, y, par, stack);
    }
}
