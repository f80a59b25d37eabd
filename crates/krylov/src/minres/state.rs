//! One right-hand side of MINRES: its scalars, its columns, and a step.

use faer::MatMut;

use super::Minres;
use crate::op::Scalar;
use crate::report::Ending;
use crate::slots::swap_columns;
use crate::vector::{add, dot, norm};

/// One right-hand side, in the letters of Paige and Saunders.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) b_norm: f64,
    pub(super) beta_1: f64,
    pub(super) beta_old: f64,
    pub(super) beta: f64,
    pub(super) alpha: f64,
    pub(super) d_bar: f64,
    pub(super) epsilon: f64,
    pub(super) phi_bar: f64,
    pub(super) c: f64,
    pub(super) s: f64,
    pub(super) norm_2: f64,
    pub(super) largest: f64,
    pub(super) smallest: f64,
    pub(super) rel: f64,
    /// `1 + |A| |x| / |b|`.
    pub(super) size: f64,
    pub(super) iters: usize,
    pub(super) ending: Option<Ending>,
}

/// The blocks that a step works on; columns that are not done stand at the left.
pub(super) struct Blocks<'a, T> {
    pub(super) x: MatMut<'a, T>,
    pub(super) r1: MatMut<'a, T>,
    pub(super) r2: MatMut<'a, T>,
    pub(super) v: MatMut<'a, T>,
    pub(super) y: MatMut<'a, T>,
    pub(super) w: MatMut<'a, T>,
    pub(super) w_old: MatMut<'a, T>,
}

impl Minres {
    /// One step of a column after its products: rotates, judges, and moves `x`.
    pub(super) fn advance<T: Scalar>(
        &self,
        blocks: &mut Blocks<'_, T>,
        at: usize,
        state: &mut State,
    ) -> Option<Ending> {
        let eps: f64 = T::epsilon().into();
        let product = dot(blocks.r2.as_ref().col(at), blocks.y.as_ref().col(at));
        // Rounding may leave a little less than nothing.
        if !(product >= -eps * state.beta * state.beta && product.is_finite()) {
            return Some(Ending::Breakdown { column: 0, what: "r' P r", value: product });
        }
        let (alpha, beta_old) = (state.alpha, state.beta);
        let beta = product.max(0.0).sqrt();
        if !alpha.is_finite() {
            return Some(Ending::Breakdown { column: 0, what: "v' A v", value: alpha });
        }
        (state.beta_old, state.beta) = (beta_old, beta);
        let first = state.norm_2 == 0.0;
        state.norm_2 += alpha * alpha + beta_old * beta_old + beta * beta;
        if first {
            // What it began with is no part of the operator.
            state.norm_2 -= beta_old * beta_old;
        }
        let operator = state.norm_2.sqrt();

        let epsilon_old = state.epsilon;
        let delta = state.c * state.d_bar + state.s * alpha;
        let gamma_bar = state.s * state.d_bar - state.c * alpha;
        state.epsilon = state.s * beta;
        state.d_bar = -state.c * beta;
        // `|A r|` of the residual before this step, as a part of `|r|`: where it is nothing, `x` is as good as it gets, and
        // the step would divide by what rounding has left.
        let root = gamma_bar.hypot(state.d_bar);
        if root <= self.rtol.max(eps) * operator {
            return Some(Ending::LeastSquares);
        }
        let gamma = gamma_bar.hypot(beta).max(eps * operator);
        (state.c, state.s) = (gamma_bar / gamma, beta / gamma);
        let phi = state.c * state.phi_bar;
        state.phi_bar *= state.s;
        (state.largest, state.smallest) = (state.largest.max(gamma), state.smallest.min(gamma));
        blocks.follow(at, (epsilon_old, delta, gamma), phi);
        state.rel = state.phi_bar / state.beta_1;
        // Where the preconditioner is a number, `|x|` in the norm of its inverse is over the root of that, as `|b|` is times it.
        let solution = norm(blocks.x.as_ref().col(at)) / state.beta_1;
        state.size = 1.0 + operator * solution / state.beta_1;
        if state.rel <= self.rtol * state.size {
            Some(Ending::Converged)
        } else if state.rel <= eps * state.size
            || eps * state.size >= 1.0
            || state.largest / state.smallest >= 0.1 / eps
            || beta == 0.0
        {
            Some(Ending::Stagnated)
        } else {
            None
        }
    }
}

impl State {
    /// Before the first step, where `of_b` is `b' P b` and `product` is `r' P r`: the same when starting from 0.
    pub(super) fn new(column: usize, b_norm: f64, of_b: f64, product: f64, rtol: f64) -> Self {
        let (beta_1, beta) = (of_b.max(0.0).sqrt(), product.max(0.0).sqrt());
        let ending = if b_norm == 0.0 {
            Some(Ending::Converged)
        } else if !(of_b > 0.0 && of_b.is_finite()) {
            Some(Ending::Breakdown { column, what: "r' P r", value: of_b })
        } else if !(product >= 0.0 && product.is_finite()) {
            Some(Ending::Breakdown { column, what: "r' P r", value: product })
        } else {
            // What `|A| |x|` would add to the right is not known yet.
            (beta <= rtol * beta_1).then_some(Ending::Converged)
        };
        Self {
            b_norm,
            beta_1,
            beta_old: 0.0,
            beta,
            alpha: 0.0,
            d_bar: 0.0,
            epsilon: 0.0,
            phi_bar: beta,
            c: -1.0,
            s: 0.0,
            norm_2: 0.0,
            largest: 0.0,
            smallest: f64::INFINITY,
            rel: if beta_1 > 0.0 { beta / beta_1 } else { 0.0 },
            size: 1.0,
            iters: 0,
            ending,
        }
    }
}

impl<T: Scalar> Blocks<'_, T> {
    /// Takes the two last vectors out of column `at` of `y`, which holds `A v`, and makes it the next residual vector.
    pub(super) fn orthogonalise(&mut self, at: usize, state: &mut State, shift: f64) {
        let v = self.v.as_ref().col(at);
        add(self.y.as_mut().col_mut(at), -shift, v);
        if state.beta_old > 0.0 {
            let by = -state.beta / state.beta_old;
            add(self.y.as_mut().col_mut(at), by, self.r1.as_ref().col(at));
        }
        state.alpha = dot(v, self.y.as_ref().col(at));
        let by = -state.alpha / state.beta;
        add(self.y.as_mut().col_mut(at), by, self.r2.as_ref().col(at));
        self.r1.as_mut().col_mut(at).copy_from(self.r2.as_ref().col(at));
        self.r2.as_mut().col_mut(at).copy_from(self.y.as_ref().col(at));
    }

    /// Makes the next direction and moves `x` along it by `phi`.
    fn follow(&mut self, at: usize, (epsilon, delta, gamma): (f64, f64, f64), phi: f64) {
        let v = self.v.as_ref().col(at);
        let (epsilon, delta) = (T::of(epsilon), T::of(delta));
        let (by, phi) = (T::of(1.0 / gamma), T::of(phi));
        let (w, w_old) = (self.w.as_mut().col_mut(at), self.w_old.as_mut().col_mut(at));
        let directions = w.iter_mut().zip(w_old.iter_mut());
        let x = self.x.as_mut().col_mut(at);
        for ((x, (w, w_old)), &v) in x.iter_mut().zip(directions).zip(v.iter()) {
            let next = (v - epsilon * *w_old - delta * *w) * by;
            (*w_old, *w) = (*w, next);
            *x += phi * next;
        }
    }

    pub(super) fn swap(&mut self, a: usize, b: usize) {
        let Self { x, r1, r2, v, y, w, w_old } = self;
        for block in [x, r1, r2, v, y, w, w_old] {
            swap_columns(block, a, b);
        }
    }
}
