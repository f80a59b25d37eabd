//! The joint system `(J J^T + mu I) g = b` in `R^(nK)`, for Krylov solvers.
//!
//! A vector of `R^(nK)` is an n x K matrix, row-major: entry `i K + k` belongs to example `i` and
//! output `k`.

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::{MatMut, MatRef, Par, unzip, zip};
use nearlin_dense::{Cholesky, Real, Triangular};
use nearlin_krylov::{LinOp, Precond};
use nearlin_relu::Jacobian;

use crate::low_rank::LowRankPlus;

/// `u -> J J^T u + mu u`, matrix-free: `4 n m (d + K)` flops, and scratch for one `m x d` matrix where
/// neurons share directions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dual<'a, T> {
    pub(crate) jacobian: Jacobian<'a, T>,
    pub(crate) ridge: T,
}

impl<T: Real> LinOp<T> for Dual<'_, T> {
    fn nrows(&self) -> usize {
        self.jacobian.examples() * self.jacobian.outputs()
    }

    fn ncols(&self) -> usize {
        self.nrows()
    }

    fn apply_scratch(&self, _: usize, _: Par) -> StackReq {
        let (rows, cols) = self.jacobian.gram_scratch();
        temp_mat_scratch::<T>(cols, rows)
    }

    fn apply(&self, mut y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        let (n, k) = (self.jacobian.examples(), self.jacobian.outputs());
        let (rows, cols) = self.jacobian.gram_scratch();
        // Row-major, as rows of it are read one by one: the transpose of what faer lays out.
        let (mut v, _) = temp_mat_zeroed::<T, _, _>(cols, rows, stack);
        let mut v = v.as_mat_mut().transpose_mut();
        for j in 0..x.ncols() {
            let u = unstack(x.subcols(j, 1), n, k);
            let fits = "shapes of a solver's vectors are checked by the solver";
            let y = unstack_mut(y.as_mut().subcols_mut(j, 1), n, k);
            self.jacobian.apply_gram(y, u, v.as_mut(), par).expect(fits);
        }
        for j in 0..x.ncols() {
            for (y, &x) in y.as_mut().col_mut(j).iter_mut().zip(x.col(j).iter()) {
                *y += self.ridge * x;
            }
        }
    }
}

/// `u -> J J^T u + mu u` with the passes in `f32`, for tolerances well above its rounding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounded<'a> {
    pub(crate) jacobian: Jacobian<'a, f32>,
    pub(crate) ridge: f64,
}

impl Rounded<'_> {
    fn gram(&self) -> Dual<'_, f32> {
        Dual { jacobian: self.jacobian, ridge: 0.0 }
    }
}

impl LinOp<f64> for Rounded<'_> {
    fn nrows(&self) -> usize {
        self.gram().nrows()
    }

    fn ncols(&self) -> usize {
        self.nrows()
    }

    fn apply_scratch(&self, cols: usize, par: Par) -> StackReq {
        let vectors = temp_mat_scratch::<f32>(self.nrows(), cols);
        StackReq::all_of(&[vectors, vectors, self.gram().apply_scratch(cols, par)])
    }

    fn apply(&self, y: MatMut<'_, f64>, x: MatRef<'_, f64>, par: Par, stack: &mut MemStack) {
        let (mut rounded, stack) = temp_mat_zeroed::<f32, _, _>(x.nrows(), x.ncols(), stack);
        let (mut product, stack) = temp_mat_zeroed::<f32, _, _>(x.nrows(), x.ncols(), stack);
        let (mut rounded, mut product) = (rounded.as_mat_mut(), product.as_mat_mut());
        zip!(rounded.as_mut(), x).for_each(|unzip!(to, x)| *to = *x as f32);
        self.gram().apply(product.as_mut(), rounded.as_ref(), par, stack);
        zip!(y, product.as_ref(), x)
            .for_each(|unzip!(y, p, x)| *y = f64::from(*p) + self.ridge * x);
    }
}

/// An `nK x 1` column as an n x K matrix.
pub(crate) fn unstack<T: Real>(x: MatRef<'_, T>, n: usize, k: usize) -> MatRef<'_, T> {
    // Columns of faer's matrices are contiguous; row-major n x K is the transpose of K x n.
    let column = x.col(0).try_as_col_major().expect("a contiguous column").as_slice();
    MatRef::from_row_major_slice(column, n, k)
}

pub(crate) fn unstack_mut<T: Real>(x: MatMut<'_, T>, n: usize, k: usize) -> MatMut<'_, T> {
    let column = x.col_mut(0).try_as_col_major_mut().expect("a contiguous column").as_slice_mut();
    MatMut::from_row_major_slice_mut(column, n, k)
}

/// An n x n factor that approximates one diagonal block of the joint system.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Factor<T> {
    /// Nothing: plain conjugate gradients.
    Identity,
    /// `L L^T`.
    Cholesky(Cholesky<T>),
    /// `R^T R`.
    Triangular(Triangular<T>),
    /// `F F^T + delta I`.
    LowRank(LowRankPlus<T>),
}

impl<T: Real> Factor<T> {
    /// `x <- (what it approximates)^-1 x` for each column.
    pub(crate) fn solve_in_place(&self, x: MatMut<'_, T>, par: Par) {
        match self {
            Self::Identity => {}
            Self::Cholesky(factor) => factor.solve_in_place(x, par),
            Self::Triangular(factor) => factor.solve_gram_in_place(x, par),
            Self::LowRank(factor) => factor.solve_in_place(x, par),
        }
    }
}

/// `I kron factor^-1`: the factor's solve applied to every output, `2 n^2 K` flops, or `4 n k K` for one of rank `k`.
#[derive(Clone, Debug)]
pub struct Preconditioner<T> {
    /// The factor of one block.
    pub factor: Factor<T>,
    /// Examples `n`.
    pub examples: usize,
    /// Outputs `K`.
    pub outputs: usize,
}

/// What is reported of a preconditioner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Quality {
    /// What a Cholesky factorisation had to add to the diagonal.
    pub(crate) shift: f64,
    /// Of a low-rank one.
    pub(crate) rank: Option<usize>,
    /// What that has left.
    pub(crate) left: Option<f64>,
}

impl<T: Real> Preconditioner<T> {
    pub(crate) fn quality(&self) -> Quality {
        let low = match &self.factor {
            Factor::LowRank(low) => Some(low),
            Factor::Identity | Factor::Cholesky(_) | Factor::Triangular(_) => None,
        };
        let (rank, left) = (low.map(LowRankPlus::rank), low.map(LowRankPlus::left));
        Quality { shift: self.shift(), rank, left }
    }

    /// What a Cholesky factorisation had to add to the diagonal.
    #[must_use]
    pub fn shift(&self) -> f64 {
        match &self.factor {
            Factor::Cholesky(factor) => factor.shift().as_f64(),
            Factor::Identity | Factor::Triangular(_) | Factor::LowRank(_) => 0.0,
        }
    }
}

impl<T: Real> Precond<T> for Preconditioner<T> {
    fn dim(&self) -> usize {
        self.examples * self.outputs
    }

    fn apply(&self, mut z: MatMut<'_, T>, r: MatRef<'_, T>, par: Par, _: &mut MemStack) {
        z.copy_from(r);
        for j in 0..r.ncols() {
            let z = unstack_mut(z.as_mut().subcols_mut(j, 1), self.examples, self.outputs);
            self.factor.solve_in_place(z, par);
        }
    }
}
