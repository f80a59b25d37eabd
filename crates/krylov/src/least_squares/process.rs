//! The iteration: one bidiagonalisation, and the recurrence of each right-hand side.

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::temp_mat_zeroed;
use faer::mat::AsMatMut;
use faer::{MatMut, MatRef, Par};

use super::{LeastSquares, Method};
use crate::golub_kahan::GolubKahan;
use crate::lsmr::Lsmr;
use crate::lsqr::Lsqr;
use crate::op::{AdjointOp, Scalar};
use crate::report::{Ending, Observer, Step};
use crate::slots::{Slots, swap_columns};
use crate::vector::{scale, scaled_copy};

/// What a recurrence knows of its iterate, beside a right-hand side of norm 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimates {
    /// `(|r|^2 + damping^2 |x|^2)^(1/2)`.
    pub(crate) residual: f64,
    /// `|A* r - damping^2 x|`.
    pub(crate) gradient: f64,
    /// `|A|` in the Frobenius norm, as far as the process went.
    pub(crate) operator: f64,
    pub(crate) condition: f64,
    /// `|x|`.
    pub(crate) solution: f64,
}

#[derive(Clone, Copy, Debug)]
enum Recurrence {
    Lsqr(Lsqr),
    Lsmr(Lsmr),
}

/// One right-hand side.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) b_norm: f64,
    /// Norm of what the process began with: the residual of the start.
    pub(super) start_norm: f64,
    /// Gradient at which it is done.
    enough: f64,
    recurrence: Recurrence,
    pub(super) estimates: Estimates,
    pub(super) iters: usize,
    pub(super) ending: Option<Ending>,
}

impl LeastSquares {
    /// Runs the process from `u` of norm 1, with `A* u` in `y`, which gets the solutions for that; returns the steps.
    #[allow(clippy::too_many_arguments, reason = "operand, blocks, observer, resources")]
    pub(super) fn iterate<T: Scalar>(
        &self,
        a: &dyn AdjointOp<T>,
        u: MatMut<'_, T>,
        mut y: MatMut<'_, T>,
        states: &mut [State],
        observer: &mut dyn Observer,
        par: Par,
        stack: &mut MemStack,
    ) -> usize {
        let (n, k) = (y.nrows(), y.ncols());
        let (mut v, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (mut z, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (mut w, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (mut w_bar, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (v, z) = (v.as_mat_mut(), z.as_mat_mut());
        let (mut w, mut w_bar) = (w.as_mat_mut(), w_bar.as_mat_mut());
        let mut process = GolubKahan { u, v, z, alphas: Vec::with_capacity(k) };
        process.begin(y.as_ref());
        y.fill(T::of(0.0));
        w.copy_from(process.v.as_ref());

        let mut slots = Slots::new(k);
        let mut residuals: Vec<f64> = states.iter().map(|s| s.start_norm).collect();
        let mut gradients = vec![1.0; k];
        let least = a.nrows().min(a.ncols());
        for (j, state) in states.iter_mut().enumerate() {
            let alpha: f64 = process.alphas[j].into();
            // What is known before the first step: of the norm of `A` that it is no less.
            (state.estimates.operator, state.estimates.gradient) = (alpha, alpha);
            state.recurrence = match self.method {
                Method::Lsqr => Recurrence::Lsqr(Lsqr::new(alpha, 1.0, least)),
                Method::Lsmr => Recurrence::Lsmr(Lsmr::new(alpha, 1.0, least)),
            };
            state.ending =
                if state.start_norm <= self.btol * f64::from(u8::from(state.b_norm > 0.0)) {
                    Some(Ending::Converged)
                } else if alpha * state.start_norm <= state.enough {
                    Some(Ending::LeastSquares)
                } else if !alpha.is_finite() {
                    Some(Ending::Breakdown { column: j, what: "|A* r|", value: alpha })
                } else {
                    None
                };
        }
        let mut iter = 0;
        let mut stopped = false;
        loop {
            let spent = Ending::spent(stopped, iter >= self.max_iters);
            let done = |j: usize| {
                states[j].ending = states[j].ending.or(spent);
                states[j].ending.is_some()
            };
            slots.retire(done, |at, last| {
                process.swap(at, last);
                swap_columns(&mut y, at, last);
                swap_columns(&mut w, at, last);
                swap_columns(&mut w_bar, at, last);
            });
            if slots.working().is_empty() {
                break;
            }
            process.multiply(a, slots.working().len(), par, stack);
            iter += 1;
            for (at, &j) in slots.working().iter().enumerate() {
                let state = &mut states[j];
                let (beta, alpha) = process.normalise(at);
                if !(beta.is_finite() && alpha.is_finite()) {
                    let value = if beta.is_finite() { alpha } else { beta };
                    state.ending = Some(Ending::Breakdown { column: j, what: "|A v|", value });
                    continue;
                }
                let (y, w) = (y.as_mut().col_mut(at), w.as_mut().col_mut(at));
                let v = process.v.as_ref().col(at);
                state.estimates = match &mut state.recurrence {
                    Recurrence::Lsqr(lsqr) => lsqr.step((beta, alpha), self.damping, y, w, v),
                    Recurrence::Lsmr(lsmr) => {
                        let w_bar = w_bar.as_mut().col_mut(at);
                        lsmr.step((beta, alpha), self.damping, y, (w, w_bar), v)
                    }
                };
                state.iters = iter;
                residuals[j] = state.estimates.residual * state.start_norm;
                gradients[j] = state.estimates.relative_gradient();
                state.ending = self.judge(state, T::epsilon().into());
            }
            let step = Step { iter, rel_residuals: &residuals, rel_gradients: &gradients };
            stopped = observer.on_step(&step).is_break();
        }
        slots.restore(|at, other| swap_columns(&mut y, at, other));
        iter
    }

    /// Whether a column is done, by the rules of Paige and Saunders; `eps` is that of its scalars.
    fn judge(&self, state: &State, eps: f64) -> Option<Ending> {
        let is = &state.estimates;
        let residual = is.residual * state.start_norm;
        let size = is.operator * is.solution * state.start_norm;
        let gradient = is.relative_gradient();
        let inverse = 1.0 / is.condition;
        if residual <= self.btol + self.atol * size {
            Some(Ending::Converged)
        } else if gradient <= self.atol || is.gradient * state.start_norm <= state.enough {
            Some(Ending::LeastSquares)
        } else if is.condition >= self.condition_limit {
            Some(Ending::ConditionLimit)
        } else if residual <= eps * (1.0 + size) || gradient <= eps || inverse <= eps {
            Some(Ending::Stagnated)
        } else {
            None
        }
    }
}

impl Estimates {
    /// `|A* r| / (|A| |r|)`, 0 where there is no residual.
    fn relative_gradient(&self) -> f64 {
        let scale = self.operator * self.residual;
        if scale > 0.0 { self.gradient / scale } else { 0.0 }
    }
}

impl State {
    pub(super) fn new(b_norm: f64, start_norm: f64, enough: f64) -> Self {
        let estimates = Estimates {
            residual: 1.0,
            gradient: 0.0,
            operator: 0.0,
            condition: 1.0,
            solution: 0.0,
        };
        let recurrence = Recurrence::Lsqr(Lsqr::new(0.0, 0.0, 0));
        Self { b_norm, start_norm, enough, recurrence, estimates, iters: 0, ending: None }
    }
}

/// `u <- b - A x` and `z <- A* u` in one pass, for right-hand sides of norm 1, and `q <- x` likewise.
pub(super) fn residuals<T: Scalar>(
    a: &dyn AdjointOp<T>,
    x: MatRef<'_, T>,
    b: MatRef<'_, T>,
    b_norms: &[f64],
    (mut u, mut q, mut z): (MatMut<'_, T>, MatMut<'_, T>, MatMut<'_, T>),
    par: Par,
    stack: &mut MemStack,
) {
    for (j, &b_norm) in b_norms.iter().enumerate() {
        scaled_copy(q.as_mut().col_mut(j), x.col(j), b_norm);
        scaled_copy(u.as_mut().col_mut(j), b.col(j), b_norm);
    }
    let ones = vec![T::of(1.0); b_norms.len()];
    a.apply_both(u.as_mut(), &ones, q.as_ref(), z.as_mut(), par, stack);
    // That was `A x - b`.
    for j in 0..b_norms.len() {
        scale(u.as_mut().col_mut(j), -1.0);
        scale(z.as_mut().col_mut(j), -1.0);
    }
}

/// Scratch for any product with an operator.
pub(super) fn products_scratch<T: Scalar>(a: &dyn AdjointOp<T>, k: usize, par: Par) -> StackReq {
    let one = a.apply_scratch(k, par).or(a.apply_adjoint_scratch(k, par));
    one.or(a.apply_both_scratch(k, par))
}
