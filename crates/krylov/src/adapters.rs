//! Operators and preconditioners of faer as those of this crate, and the other way round.

use core::fmt;

use faer::dyn_stack::{MemStack, StackReq};
use faer::matrix_free;
use faer::{MatMut, MatRef, Par};

use crate::op::{AdjointOp, LinOp, Precond, Scalar};

/// An operator or a preconditioner of `faer::matrix_free` as one of this crate.
///
/// # Examples
/// ```
/// use faer::matrix_free::IdentityPrecond;
/// use faer::{Par, mat};
/// use nearlin_krylov::{Cg, FromFaer};
///
/// let a = mat![[4.0, 1.0], [1.0, 3.0]];
/// let b = mat![[1.0], [2.0]];
/// let p = FromFaer(IdentityPrecond { dim: 2 });
/// let solution = Cg::default().solve_preconditioned(&a, &p, b.as_ref(), Par::Seq)?;
/// assert!((solution.x[(0, 0)] - 1.0 / 11.0_f64).abs() < 1e-10);
/// # Ok::<(), nearlin_krylov::KrylovError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FromFaer<A>(pub A);

/// An operator of this crate as one of `faer::matrix_free`, for its solvers.
#[derive(Clone, Copy)]
pub struct ToFaer<A>(pub A);

/// A preconditioner of this crate as one of `faer::matrix_free`.
#[derive(Clone, Copy)]
pub struct PrecondToFaer<P>(pub P);

impl<T: Scalar, A: matrix_free::LinOp<T>> LinOp<T> for FromFaer<A> {
    fn nrows(&self) -> usize {
        self.0.nrows()
    }

    fn ncols(&self) -> usize {
        self.0.ncols()
    }

    fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
        self.0.apply_scratch(k, par)
    }

    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        self.0.apply(y, x, par, stack);
    }
}

impl<T: Scalar, A: matrix_free::BiLinOp<T>> AdjointOp<T> for FromFaer<A> {
    fn apply_adjoint_scratch(&self, k: usize, par: Par) -> StackReq {
        self.0.transpose_apply_scratch(k, par)
    }

    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        self.0.adjoint_apply(x, y, par, stack);
    }
}

impl<T: Scalar, P: matrix_free::Precond<T>> Precond<T> for FromFaer<P> {
    fn dim(&self) -> usize {
        self.0.nrows()
    }

    fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
        matrix_free::LinOp::apply_scratch(&self.0, k, par)
    }

    fn apply(&self, z: MatMut<'_, T>, r: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        matrix_free::LinOp::apply(&self.0, z, r, par, stack);
    }
}

impl<A> fmt::Debug for ToFaer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToFaer")
    }
}

impl<P> fmt::Debug for PrecondToFaer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrecondToFaer")
    }
}

impl<T: Scalar, A: LinOp<T>> matrix_free::LinOp<T> for ToFaer<A> {
    fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
        self.0.apply_scratch(k, par)
    }

    fn nrows(&self) -> usize {
        self.0.nrows()
    }

    fn ncols(&self) -> usize {
        self.0.ncols()
    }

    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        self.0.apply(y, x, par, stack);
    }

    fn conj_apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        self.0.apply(y, x, par, stack);
    }
}

impl<T: Scalar, A: AdjointOp<T>> matrix_free::BiLinOp<T> for ToFaer<A> {
    fn transpose_apply_scratch(&self, k: usize, par: Par) -> StackReq {
        self.0.apply_adjoint_scratch(k, par)
    }

    fn transpose_apply(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        self.0.apply_adjoint(x, y, par, stack);
    }

    fn adjoint_apply(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        self.0.apply_adjoint(x, y, par, stack);
    }
}

impl<T: Scalar, P: Precond<T>> matrix_free::LinOp<T> for PrecondToFaer<P> {
    fn apply_scratch(&self, k: usize, par: Par) -> StackReq {
        self.0.apply_scratch(k, par)
    }

    fn nrows(&self) -> usize {
        self.0.dim()
    }

    fn ncols(&self) -> usize {
        self.0.dim()
    }

    fn apply(&self, z: MatMut<'_, T>, r: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        self.0.apply(z, r, par, stack);
    }

    fn conj_apply(&self, z: MatMut<'_, T>, r: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        self.0.apply(z, r, par, stack);
    }
}

impl<T: Scalar, P: Precond<T>> matrix_free::Precond<T> for PrecondToFaer<P> {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use faer::dyn_stack::MemBuffer;
    use faer::matrix_free::{BiLinOp as _, LinOp as _, Precond as _};
    use faer::{Mat, mat};

    use super::*;

    struct Halves(usize);

    impl Precond<f64> for Halves {
        fn dim(&self) -> usize {
            self.0
        }

        fn apply(&self, mut z: MatMut<'_, f64>, r: MatRef<'_, f64>, _: Par, _: &mut MemStack) {
            z.copy_from(0.5 * r);
        }
    }

    /// There and back again: products and adjoints of an operator are those of its adapters.
    #[test]
    fn there_and_back() {
        let a: Mat<f64> = mat![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
        let (x, y) = (mat![[1.0], [-1.0]], mat![[1.0], [0.0], [2.0]]);
        let back = FromFaer(ToFaer(&a));
        assert_eq!((LinOp::nrows(&back), LinOp::ncols(&back)), (3, 2));
        let scratch = LinOp::apply_scratch(&back, 1, Par::Seq);
        let mut buffer = MemBuffer::new(scratch.or(back.apply_adjoint_scratch(1, Par::Seq)));
        let stack = MemStack::new(&mut buffer);
        let (mut ax, mut ay) = (Mat::zeros(3, 1), Mat::zeros(2, 1));
        LinOp::apply(&back, ax.as_mut(), x.as_ref(), Par::Seq, stack);
        back.apply_adjoint(ay.as_mut(), y.as_ref(), Par::Seq, stack);
        assert_eq!((&ax, &ay), (&(&a * &x), &(a.transpose() * &y)));
        ToFaer(&a).transpose_apply(ay.as_mut(), y.as_ref(), Par::Seq, stack);
        ToFaer(&a).conj_apply(ax.as_mut(), x.as_ref(), Par::Seq, stack);
        assert_eq!((&ax, &ay), (&(&a * &x), &(a.transpose() * &y)));
    }

    #[test]
    fn preconditioners_there_and_back() {
        let there = PrecondToFaer(Halves(2));
        let mut r: Mat<f64> = mat![[2.0], [4.0]];
        let mut buffer = MemBuffer::new(there.apply_in_place_scratch(1, Par::Seq));
        there.apply_in_place(r.as_mut(), Par::Seq, MemStack::new(&mut buffer));
        assert_eq!(r, mat![[1.0], [2.0]]);
        let back = FromFaer(there);
        let mut z = Mat::zeros(2, 1);
        Precond::apply(&back, z.as_mut(), r.as_ref(), Par::Seq, MemStack::new(&mut buffer));
        assert_eq!((Precond::<f64>::dim(&back), z), (2, mat![[0.5], [1.0]]));
    }
}
