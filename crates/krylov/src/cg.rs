//! Preconditioned conjugate gradients for symmetric positive definite operators.
//!
//! Hestenes and Stiefel (1952); the recurrences follow Saad, *Iterative Methods for Sparse Linear
//! Systems*, 2nd ed., Alg. 9.1. Columns are solved side by side, each with its own step lengths,
//! and leave when they are done. The recurrence's residual drifts from the true one (Greenbaum,
//! SIAM J. Matrix Anal. Appl. 18, 1997), so it is replaced now and then and not believed at the
//! end: a column has converged only when `b - A x`, recomputed, says so, unless the caller recomputes it
//! anyway and says that ([`Cg::final_check`]).

use core::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::{ColRef, Mat, MatMut, MatRef, Par};

use crate::KrylovError;
use crate::error::{check_finite, check_shape, check_tolerance};
use crate::op::{Identity, LinOp, Precond, Scalar};
use crate::report::{Column, Ending, Observer, Report, Step};
use crate::ritz::Ritz;
use crate::vector::{apply_to, dot, norm, residual, robust_norm, scaled_copy};

/// Settings of the conjugate gradient method.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Cg {
    /// Relative residual `|b - A x| / |b|` to reach, per column. Default `1e-10`.
    pub rtol: f64,
    /// Most steps. Default 1000.
    pub max_iters: usize,
    /// Steps between replacements of the recurrence's residual by the true one. Default 64.
    pub replace_every: usize,
    /// Whether the true residual is formed at the end, by one more application of the operator, and
    /// the solve goes on where it contradicts the recurrence. Default `true`; without it endings and
    /// residuals in the report are the recurrence's, for callers who form the true ones themselves.
    pub final_check: bool,
}

impl Default for Cg {
    fn default() -> Self {
        Self { rtol: 1e-10, max_iters: 1000, replace_every: 64, final_check: true }
    }
}

/// A solution with the report on it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Solution<T> {
    /// `n x k`.
    pub x: Mat<T>,
    /// How the solve ended, and how good `x` is.
    pub report: Report,
}

/// The state of one right-hand side.
#[derive(Clone, Debug)]
struct State {
    b_norm: f64,
    rho: f64,
    rel: f64,
    iters: usize,
    /// `None` while the column is worked on.
    ending: Option<Ending>,
    /// The true residual at the last claim of convergence that proved false.
    last_claim: f64,
    /// The next direction is the preconditioned residual alone.
    restart: bool,
    /// The true residual when it last halved, and the step. Exact arithmetic ends in `n` steps, so
    /// no halving in `2 n` and some means that rounding has the upper hand.
    best: f64,
    best_iter: usize,
    /// The last `beta`, and what all steps say of the operator.
    beta: f64,
    ritz: Ritz,
}

impl Cg {
    /// These settings with relative residual `rtol`.
    #[must_use]
    pub fn with_rtol(self, rtol: f64) -> Self {
        Self { rtol, ..self }
    }

    /// These settings with at most `max_iters` steps.
    #[must_use]
    pub fn with_max_iters(self, max_iters: usize) -> Self {
        Self { max_iters, ..self }
    }

    /// These settings with the true residual put in every `replace_every` steps.
    #[must_use]
    pub fn with_replace_every(self, replace_every: usize) -> Self {
        Self { replace_every, ..self }
    }

    /// These settings with or without the true residual formed at the end.
    #[must_use]
    pub fn with_final_check(self, final_check: bool) -> Self {
        Self { final_check, ..self }
    }

    /// Solves `A x = b` for `k` columns at once without a preconditioner, allocating what it needs.
    ///
    /// `A : n x n` symmetric positive definite; `b, x : n x k`.
    ///
    /// # Errors
    /// As [`solve_into`](Self::solve_into).
    pub fn solve<T: Scalar>(
        &self,
        a: &dyn LinOp<T>,
        b: MatRef<'_, T>,
    ) -> Result<Solution<T>, KrylovError> {
        self.solve_preconditioned(a, &Identity { dim: b.nrows() }, b, Par::Seq)
    }

    /// Solves `A x = b` for `k` columns at once with the preconditioner `p`, allocating what it
    /// needs.
    ///
    /// # Errors
    /// As [`solve_into`](Self::solve_into).
    pub fn solve_preconditioned<T: Scalar>(
        &self,
        a: &dyn LinOp<T>,
        p: &dyn Precond<T>,
        b: MatRef<'_, T>,
        par: Par,
    ) -> Result<Solution<T>, KrylovError> {
        let mut x = Mat::zeros(b.nrows(), b.ncols());
        let mut scratch = MemBuffer::new(Self::scratch(a, p, b.ncols(), par));
        let mut watch = |_: &Step<'_>| ControlFlow::Continue(());
        let stack = MemStack::new(&mut scratch);
        let report = self.solve_into(x.as_mut(), a, p, b, &mut watch, par, stack)?;
        Ok(Solution { x, report })
    }

    /// Scratch that [`solve_into`](Self::solve_into) needs for `k` columns: four blocks `n x k` and
    /// what the operator and the preconditioner ask for.
    #[must_use]
    pub fn scratch<T: Scalar>(
        a: &dyn LinOp<T>,
        p: &dyn Precond<T>,
        k: usize,
        par: Par,
    ) -> StackReq {
        let block = temp_mat_scratch::<T>(a.ncols(), k);
        let inner = a.apply_scratch(k, par).or(p.apply_scratch(k, par));
        StackReq::all_of(&[block, block, block, block, inner])
    }

    /// Solves `A x = b` for `k` columns at once, starting from `x = 0`.
    ///
    /// `A : n x n` symmetric positive definite, `p ~ A^-1`, `b, x : n x k`. Costs one application
    /// of `A` and of `p` to a block of the columns that are not done per step, one more of `A` every
    /// [`replace_every`](Self::replace_every) steps and at the end ([`final_check`](Self::final_check)), and allocates nothing but the report. Each
    /// right-hand side is scaled to norm 1, so its magnitude does not matter.
    ///
    /// # Errors
    /// [`KrylovError`] for operands that do not fit, entries that are not finite or settings out of
    /// range. Failing to converge is no error: read [`Report::ending`].
    #[allow(clippy::too_many_arguments, reason = "output, operands, observer, resources")]
    #[allow(clippy::too_many_lines, reason = "one recurrence, read from top to bottom")]
    pub fn solve_into<T: Scalar>(
        &self,
        mut x: MatMut<'_, T>,
        a: &dyn LinOp<T>,
        p: &dyn Precond<T>,
        b: MatRef<'_, T>,
        observer: &mut dyn Observer,
        par: Par,
        stack: &mut MemStack,
    ) -> Result<Report, KrylovError> {
        let (n, k) = (b.nrows(), b.ncols());
        self.check(a, p, x.as_ref(), b)?;
        let mut states: Vec<State> = (0..k).map(|j| start(b.col(j), self.max_iters)).collect();
        let mut rels: Vec<f64> = states.iter().map(|s| s.rel).collect();
        // Columns that work, which stand side by side at the left of `z` and `q`.
        let mut order: Vec<usize> = Vec::with_capacity(k);

        let (mut r, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (mut z, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (mut d, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (mut q, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (mut r, mut z) = (r.as_mat_mut(), z.as_mat_mut());
        let (mut d, mut q) = (d.as_mat_mut(), q.as_mat_mut());
        x.fill(T::of(0.0));
        for (j, state) in states.iter().enumerate() {
            scaled_copy(r.as_mut().col_mut(j), b.col(j), state.b_norm);
        }

        let (mut iter, mut applications) = (0, 0);
        let mut stopped = false;
        loop {
            // Columns that claim convergence are verified together, once no other is left.
            let working = |s: &State| s.ending.is_none() && s.rel > self.rtol;
            let out_of_time = stopped || iter >= self.max_iters;
            if out_of_time || !states.iter().any(working) {
                if states.iter().all(|s| s.b_norm == 0.0) {
                    break;
                }
                if !self.final_check {
                    for state in &mut states {
                        self.verify(state, state.rel, stopped, out_of_time);
                    }
                    break;
                }
                a.apply(q.as_mut(), x.as_ref(), par, stack);
                applications += 1;
                for (j, state) in states.iter_mut().enumerate() {
                    residual(r.as_mut().col_mut(j), b.col(j), state.b_norm, q.as_ref().col(j));
                    self.verify(state, norm(r.as_ref().col(j)), stopped, out_of_time);
                }
                if states.iter().all(|s| s.ending.is_some()) {
                    break;
                }
                continue;
            }
            if iter > 0 && iter % self.replace_every == 0 {
                a.apply(q.as_mut(), x.as_ref(), par, stack);
                applications += 1;
                for (j, state) in states.iter_mut().enumerate().filter(|(_, s)| working(s)) {
                    residual(r.as_mut().col_mut(j), b.col(j), state.b_norm, q.as_ref().col(j));
                    // Where the recurrence has lost the true residual it no longer measures
                    // anything: a claim that proved false.
                    let rel = norm(r.as_ref().col(j));
                    if state.rel < 0.5 * rel {
                        self.verify(state, rel, false, false);
                    }
                    if rel < 0.5 * state.best {
                        (state.best, state.best_iter) = (rel, iter);
                    } else if iter - state.best_iter > 2 * n + 8 * self.replace_every {
                        state.ending = Some(Ending::Stagnated);
                    }
                }
                if !states.iter().any(working) {
                    continue;
                }
            }

            order.extend((0..k).filter(|&j| working(&states[j])));
            let apply = |z: MatMut<'_, T>, r: MatRef<'_, T>| p.apply(z, r, par, stack);
            apply_to(apply, &order, z.as_mut(), r.as_ref(), q.as_mut());
            for (at, j) in order.drain(..).enumerate() {
                let (state, z) = (&mut states[j], z.as_ref().col(at));
                let rho = dot(r.as_ref().col(j), z);
                if !(rho > 0.0 && rho.is_finite()) {
                    let what = "r' P r";
                    state.ending = Some(Ending::Breakdown { column: j, what, value: rho });
                    continue;
                }
                let beta = if state.restart { 0.0 } else { rho / state.rho };
                (state.rho, state.beta, state.restart) = (rho, beta, false);
                let mut d = d.as_mut().col_mut(j);
                for i in 0..n {
                    d[i] = z[i] + T::of(beta) * d[i];
                }
            }
            order.extend((0..k).filter(|&j| working(&states[j])));
            let apply = |q: MatMut<'_, T>, d: MatRef<'_, T>| a.apply(q, d, par, stack);
            apply_to(apply, &order, q.as_mut(), d.as_ref(), z.as_mut());
            applications += 1;
            iter += 1;
            for (at, j) in order.drain(..).enumerate() {
                let (state, q) = (&mut states[j], q.as_ref().col(at));
                let curvature = dot(d.as_ref().col(j), q);
                if !(curvature > 0.0 && curvature.is_finite()) {
                    let what = "p' A p";
                    state.ending = Some(Ending::Breakdown { column: j, what, value: curvature });
                    continue;
                }
                state.ritz.push(state.rho / curvature, state.beta);
                let alpha = T::of(state.rho / curvature);
                let (mut x, mut r) = (x.as_mut().col_mut(j), r.as_mut().col_mut(j));
                for i in 0..n {
                    x[i] += alpha * d[(i, j)];
                    r[i] -= alpha * q[i];
                }
                state.rel = norm(r.as_ref());
                state.iters = iter;
                rels[j] = state.rel;
            }
            stopped = observer
                .on_step(&Step { iter, rel_residuals: &rels, rel_gradients: &[] })
                .is_break();
        }

        for (j, state) in states.iter().enumerate() {
            let scale = T::of(state.b_norm);
            x.as_mut().col_mut(j).iter_mut().for_each(|v| *v *= scale);
        }
        Ok(report(&states, iter, applications))
    }

    /// Judges a column by its true residual: it is done, or goes on from that residual.
    fn verify(&self, state: &mut State, rel: f64, stopped: bool, out_of_time: bool) {
        // An operator that gives NaN has broken down before; the recurrence's value stands then.
        if rel.is_finite() {
            state.rel = if state.b_norm == 0.0 { 0.0 } else { rel };
        }
        if state.ending.is_some() {
            return;
        }
        state.ending = if state.rel <= self.rtol {
            Some(Ending::Converged)
        } else if stopped {
            Some(Ending::Stopped)
        } else if out_of_time {
            Some(Ending::MaxIters)
        } else if !(state.rel < 0.5 * state.last_claim) {
            Some(Ending::Stagnated)
        } else {
            (state.last_claim, state.restart) = (state.rel, true);
            None
        };
    }

    fn check<T: Scalar>(
        &self,
        a: &dyn LinOp<T>,
        p: &dyn Precond<T>,
        x: MatRef<'_, T>,
        b: MatRef<'_, T>,
    ) -> Result<(), KrylovError> {
        let (n, k) = (b.nrows(), b.ncols());
        check_shape("operator", (a.nrows(), a.ncols()), (n, n))?;
        check_shape("preconditioner", (p.dim(), p.dim()), (n, n))?;
        check_shape("solution", (x.nrows(), x.ncols()), (n, k))?;
        check_tolerance("rtol", self.rtol)?;
        if self.replace_every == 0 {
            let expected = "at least 1";
            return Err(KrylovError::Setting { name: "replace_every", value: 0.0, expected });
        }
        check_finite("right-hand side", b)
    }
}

fn report(states: &[State], iters: usize, applications: usize) -> Report {
    let columns: Vec<Column> = states
        .iter()
        .map(|s| Column {
            ending: s.ending.unwrap_or(Ending::Converged),
            iters: s.iters,
            rel_residual: s.rel,
            condition: s.ritz.condition(),
        })
        .collect();
    let ending = columns.iter().fold(Ending::Converged, |worst, c| worst.worse(c.ending));
    Report { ending, iters, applications, columns }
}

/// A column at `x = 0`, where the residual is `b`.
fn start<T: Scalar>(b: ColRef<'_, T>, most: usize) -> State {
    let b_norm = robust_norm(b);
    let zero = b_norm == 0.0;
    State {
        b_norm,
        rho: 0.0,
        rel: if zero { 0.0 } else { 1.0 },
        iters: 0,
        ending: zero.then_some(Ending::Converged),
        last_claim: f64::INFINITY,
        restart: true,
        best: 1.0,
        best_iter: 0,
        beta: 0.0,
        ritz: Ritz::new(most),
    }
}
