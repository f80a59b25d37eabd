//! Calls of the operators and of the iteration, with scratch of their own.

use core::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_krylov::{AdjointOp, LeastSquares, LeastSquaresReport, LinOp, Step};

use crate::LstsqError;
use crate::matrix::Scalar;

/// `y <- A x` with scratch of its own.
pub(crate) fn multiply<T: Scalar>(a: &dyn LinOp<T>, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par) {
    let mut buffer = MemBuffer::new(a.apply_scratch(x.ncols(), par));
    a.apply(y, x, par, MemStack::new(&mut buffer));
}

/// One stage: iterates from `x` on entry, with a gradient for each iteration.
pub(crate) fn run<T: Scalar>(
    settings: &LeastSquares,
    op: &dyn AdjointOp<T>,
    right: Option<&dyn AdjointOp<T>>,
    b: MatRef<'_, T>,
    x: &mut Mat<T>,
    gradients: &mut Vec<f64>,
    par: Par,
) -> Result<LeastSquaresReport, LstsqError> {
    let mut watch = |step: &Step<'_>| {
        gradients.push(step.rel_gradients.iter().copied().fold(0.0, f64::max));
        ControlFlow::Continue(())
    };
    let mut buffer = MemBuffer::new(LeastSquares::scratch(op, right, b.ncols(), par));
    let stack = MemStack::new(&mut buffer);
    Ok(settings.solve_into(x.as_mut(), op, right, b, &mut watch, par, stack)?)
}
