//! Preconditioned conjugate gradients for symmetric positive definite operators.
//!
//! Hestenes and Stiefel (1952); the recurrences follow Saad, *Iterative Methods for Sparse Linear
//! Systems*, 2nd ed., Alg. 9.1. Columns are solved side by side, each with its own step lengths,
//! and leave when they are done. The recurrence's residual drifts from the true one (Greenbaum,
//! SIAM J. Matrix Anal. Appl. 18, 1997), so it is replaced now and then and not believed at the
//! end: a column has converged only when `b - A x`, recomputed, says so, unless the caller recomputes it
//! anyway and says that ([`Cg::final_check`]).

mod state;

use core::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::{Mat, MatMut, MatRef, Par};

use self::state::{State, report, start};
use crate::KrylovError;
use crate::error::{check_finite, check_shape, check_tolerance};
use crate::op::{Identity, LinOp, Precond, Scalar};
use crate::report::{Ending, Observer, Report, Step};
use crate::vector::{apply_to, distance, dot, norm, residual, scale, scaled_copy, subtract_from};

/// Settings of the conjugate gradient method.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Cg {
    /// Relative residual `|b - A x| / |b|` to reach, per column. Default `1e-10`.
    pub rtol: f64,
    /// Most steps. Default 1000.
    pub max_iters: usize,
    /// Steps between looks at the true residual, which takes the place of the recurrence's where they are apart by the root of
    /// the rounding. Default 64.
    pub replace_every: usize,
    /// Whether the true residual is formed at the end, by one more application of the operator, and
    /// the solve goes on where it contradicts the recurrence. Default `true`; without it endings and
    /// residuals in the report are the recurrence's, for callers who form the true ones themselves.
    pub final_check: bool,
    /// Whether the preconditioner may differ from step to step, such as an iteration of its own: then the next direction is
    /// made conjugate to the last one by what it is, not by what theory says of it (Notay, SIAM J. Sci. Comput. 22, 2000), for
    /// one more inner product a step; columns are preconditioned one by one. Default `false`.
    pub flexible: bool,
    /// Whether `x` on entry is where to start from. Default `false`: 0.
    pub warm_start: bool,
}

impl Default for Cg {
    fn default() -> Self {
        Self {
            rtol: 1e-10,
            max_iters: 1000,
            replace_every: 64,
            final_check: true,
            flexible: false,
            warm_start: false,
        }
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

    /// These settings with the true residual looked at every `replace_every` steps.
    #[must_use]
    pub fn with_replace_every(self, replace_every: usize) -> Self {
        Self { replace_every, ..self }
    }

    /// These settings with or without the true residual formed at the end.
    #[must_use]
    pub fn with_final_check(self, final_check: bool) -> Self {
        Self { final_check, ..self }
    }

    /// These settings for a preconditioner that differs from step to step, or for one that does not.
    #[must_use]
    pub fn with_flexible(self, flexible: bool) -> Self {
        Self { flexible, ..self }
    }

    /// These settings, starting from `x` on entry or from 0.
    #[must_use]
    pub fn with_warm_start(self, warm_start: bool) -> Self {
        Self { warm_start, ..self }
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
        let cold = self.with_warm_start(false);
        let report = cold.solve_into(x.as_mut(), a, p, b, &mut watch, par, stack)?;
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

    /// Solves `A x = b` for `k` columns at once, starting from `x = 0` or, with [`warm_start`](Self::warm_start), from `x`.
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
        if self.warm_start {
            check_finite("start", x.as_ref())?;
        }
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
        let (mut iter, mut applications) = (0, 0);
        if self.warm_start {
            applications += 1;
            for (j, state) in states.iter_mut().enumerate() {
                let by = if state.b_norm == 0.0 { 0.0 } else { 1.0 / state.b_norm };
                scale(x.as_mut().col_mut(j), by);
            }
            a.apply(q.as_mut(), x.as_ref(), par, stack);
            for (j, state) in states.iter_mut().enumerate() {
                residual(r.as_mut().col_mut(j), b.col(j), state.b_norm, q.as_ref().col(j));
                state.rel = norm(r.as_ref().col(j));
                (state.best, rels[j]) = (state.rel, state.rel);
            }
        } else {
            x.fill(T::of(0.0));
            for (j, state) in states.iter().enumerate() {
                scaled_copy(r.as_mut().col_mut(j), b.col(j), state.b_norm);
            }
        }

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
                // Not in place of the last `A p`, which may still be needed.
                a.apply(z.as_mut(), x.as_ref(), par, stack);
                applications += 1;
                for (j, state) in states.iter_mut().enumerate().filter(|(_, s)| working(s)) {
                    subtract_from(z.as_mut().col_mut(j), b.col(j), state.b_norm);
                    let rel = norm(z.as_ref().col(j));
                    // One that is as good as it was loses the directions' conjugacy for nothing (van der Vorst and Ye, SIAM J.
                    // Sci. Comput. 22, 2000, section 3).
                    let eps: f64 = T::epsilon().into();
                    if !(distance(r.as_ref().col(j), z.as_ref().col(j)) <= eps.sqrt() * rel) {
                        r.as_mut().col_mut(j).copy_from(z.as_ref().col(j));
                    }
                    // Where the recurrence has lost the true residual it no longer measures
                    // anything: a claim that proved false.
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
            let mut apply = |z: MatMut<'_, T>, r: MatRef<'_, T>| p.apply(z, r, par, stack);
            if self.flexible {
                // Without a copy, which would take the place of what is still needed.
                for (at, &j) in order.iter().enumerate() {
                    apply(z.as_mut().subcols_mut(at, 1), r.as_ref().subcols(j, 1));
                }
            } else {
                apply_to(apply, &order, z.as_mut(), r.as_ref(), q.as_mut());
            }
            for (at, j) in order.drain(..).enumerate() {
                let (state, z) = (&mut states[j], z.as_ref().col(at));
                let rho = dot(r.as_ref().col(j), z);
                if !(rho > 0.0 && rho.is_finite()) {
                    let what = "r' P r";
                    state.ending = Some(Ending::Breakdown { column: j, what, value: rho });
                    continue;
                }
                let beta = if state.restart {
                    0.0
                } else if self.flexible {
                    -state.alpha * dot(q.as_ref().col(state.at), z) / state.rho
                } else {
                    rho / state.rho
                };
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
                (state.alpha, state.at) = (state.rho / curvature, at);
                let alpha = T::of(state.alpha);
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
