//! MINRES for symmetric operators, definite or not, singular or not.
//!
//! Paige and Saunders, *Solution of sparse indefinite systems of linear equations*, SIAM J. Numer. Anal. 12 (1975); stops
//! and estimates as Choi, Paige and Saunders, *MINRES-QLP: a Krylov subspace method for indefinite or singular symmetric
//! systems*, SIAM J. Sci. Comput. 33 (2011), section 5. For a singular system that no `x` solves, the residual ends at the
//! least one and `x` is a least-squares solution, if not the shortest; with a tolerance below what rounding allows the end is
//! missed there, and `x` grows along the null space.

mod state;

use core::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::{Mat, MatMut, MatRef, Par};

use self::state::{Blocks, State};
use crate::KrylovError;
use crate::cg::Solution;
use crate::error::{check_finite, check_shape, check_tolerance};
use crate::op::{Identity, LinOp, Precond, Scalar};
use crate::report::{Column, Ending, Observer, Report, Step};
use crate::slots::{Slots, swap_columns};
use crate::vector::{add, dot, norm, residual, robust_norm, scale, scaled_copy};

/// Settings of the minimum residual method for `(A - shift I) x = b`.
///
/// # Examples
/// ```
/// use faer::mat;
/// use nearlin_krylov::{Ending, Minres};
///
/// // Symmetric and indefinite.
/// let a = mat![[0.0, 1.0], [1.0, 0.0]];
/// let b = mat![[1.0], [2.0]];
/// let solution = Minres::default().solve(&a, b.as_ref())?;
/// assert_eq!(solution.report.ending, Ending::Converged);
/// assert!((solution.x[(0, 0)] - 2.0_f64).abs() < 1e-12);
/// # Ok::<(), nearlin_krylov::KrylovError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Minres {
    /// Tolerance: ends a column whose residual is `|r| <= rtol (|A| |x| + |b|)`, or whose `|A r| <= rtol |A| |r|`, in the
    /// norms that a preconditioner defines, with `|x|` as if it stretched `x` like `b`. Default `1e-10`.
    pub rtol: f64,
    /// What is taken off the diagonal. Default 0.
    pub shift: f64,
    /// Most steps. Default 1000.
    pub max_iters: usize,
    /// Whether `x` on entry is where to start from. Default `false`: 0.
    pub warm_start: bool,
}

/// How many times what the tolerance allows a true residual may be that was taken to have met it.
const FALSE: f64 = 2.0;

impl Default for Minres {
    fn default() -> Self {
        Self { rtol: 1e-10, shift: 0.0, max_iters: 1000, warm_start: false }
    }
}

impl Minres {
    /// These settings with tolerance `rtol`.
    #[must_use]
    pub fn with_rtol(self, rtol: f64) -> Self {
        Self { rtol, ..self }
    }

    /// These settings with `shift`.
    #[must_use]
    pub fn with_shift(self, shift: f64) -> Self {
        Self { shift, ..self }
    }

    /// These settings with at most `max_iters` steps.
    #[must_use]
    pub fn with_max_iters(self, max_iters: usize) -> Self {
        Self { max_iters, ..self }
    }

    /// These settings, starting from `x` on entry or from 0.
    #[must_use]
    pub fn with_warm_start(self, warm_start: bool) -> Self {
        Self { warm_start, ..self }
    }

    /// Solves `(A - shift I) x = b` for `k` columns at once without a preconditioner, allocating what it needs.
    ///
    /// `A : n x n` symmetric; `b, x : n x k`.
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

    /// The same with a preconditioner, which must be positive definite although `A` need not be.
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

    /// Scratch that [`solve_into`](Self::solve_into) needs for `k` columns: six blocks `n x k` and what the operator and the
    /// preconditioner ask for.
    #[must_use]
    pub fn scratch<T: Scalar>(
        a: &dyn LinOp<T>,
        p: &dyn Precond<T>,
        k: usize,
        par: Par,
    ) -> StackReq {
        let block = temp_mat_scratch::<T>(a.ncols(), k);
        let inner = a.apply_scratch(k, par).or(p.apply_scratch(k, par));
        StackReq::all_of(&[block, block, block, block, block, block, inner])
    }

    /// Solves `(A - shift I) x = b` for `k` columns at once, starting from `x = 0` or, with [`warm_start`](Self::warm_start),
    /// from `x`; tolerances are relative to `b` either way.
    ///
    /// A step costs one application of `A` and of `p` to a block of the columns that are not done; one more of `A` at the
    /// end tells the true residuals, and a warm start takes one more of each. Nothing is allocated within the loop. Each
    /// right-hand side is scaled to norm 1.
    ///
    /// # Errors
    /// [`KrylovError`] for operands that do not fit, entries that are not finite or settings out of range. Failing to
    /// converge is no error: read [`Report::ending`].
    #[allow(clippy::too_many_arguments, reason = "output, operands, observer, resources")]
    pub fn solve_into<T: Scalar>(
        &self,
        x: MatMut<'_, T>,
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
        let (mut r1, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (mut r2, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (mut v, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (mut y, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (mut w, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let (mut w_old, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let mut blocks = Blocks {
            x,
            r1: r1.as_mat_mut(),
            r2: r2.as_mat_mut(),
            v: v.as_mat_mut(),
            y: y.as_mat_mut(),
            w: w.as_mat_mut(),
            w_old: w_old.as_mat_mut(),
        };
        let mut states = self.start(&mut blocks, a, p, b, par, stack);
        let mut rels: Vec<f64> = states.iter().map(|state| state.rel).collect();
        let mut slots = Slots::new(k);
        let (mut iter, mut stopped) = (0, false);
        loop {
            let spent = Ending::spent(stopped, iter >= self.max_iters);
            let done = |j: usize| {
                states[j].ending = states[j].ending.or(spent);
                states[j].ending.is_some()
            };
            slots.retire(done, |at, last| blocks.swap(at, last));
            let active = slots.working().len();
            if active == 0 {
                break;
            }
            for (at, &j) in slots.working().iter().enumerate() {
                scaled_copy(
                    blocks.v.as_mut().col_mut(at),
                    blocks.y.as_ref().col(at),
                    states[j].beta,
                );
            }
            let v = blocks.v.as_ref().subcols(0, active);
            a.apply(blocks.y.as_mut().subcols_mut(0, active), v, par, stack);
            iter += 1;
            for (at, &j) in slots.working().iter().enumerate() {
                blocks.orthogonalise(at, &mut states[j], self.shift);
            }
            let r2 = blocks.r2.as_ref().subcols(0, active);
            p.apply(blocks.y.as_mut().subcols_mut(0, active), r2, par, stack);
            for (at, &j) in slots.working().iter().enumerate() {
                let state = &mut states[j];
                state.iters = iter;
                state.ending = self.advance(&mut blocks, at, state);
                if let Some(Ending::Breakdown { column, .. }) = &mut state.ending {
                    *column = j;
                }
                rels[j] = state.rel;
            }
            let step = Step { iter, rel_residuals: &rels, rel_gradients: &[] };
            stopped = observer.on_step(&step).is_break();
        }
        slots.restore(|at, other| swap_columns(&mut blocks.x, at, other));

        let columns = self.columns(a, p, b, blocks, &states, par, stack);
        let ending = columns.iter().fold(Ending::Converged, |worst, c| worst.worse(c.ending));
        Ok(Report {
            ending,
            iters: iter,
            applications: iter + 1 + usize::from(self.warm_start),
            columns,
        })
    }

    /// Leaves the first residuals in `r2` and, preconditioned, in `y`.
    fn start<T: Scalar>(
        &self,
        blocks: &mut Blocks<'_, T>,
        a: &dyn LinOp<T>,
        p: &dyn Precond<T>,
        b: MatRef<'_, T>,
        par: Par,
        stack: &mut MemStack,
    ) -> Vec<State> {
        let b_norms: Vec<f64> = b.col_iter().map(robust_norm).collect();
        for (j, &b_norm) in b_norms.iter().enumerate() {
            scaled_copy(blocks.r2.as_mut().col_mut(j), b.col(j), b_norm);
        }
        p.apply(blocks.y.as_mut(), blocks.r2.as_ref(), par, stack);
        let product = |blocks: &Blocks<'_, T>, j: usize| {
            dot(blocks.r2.as_ref().col(j), blocks.y.as_ref().col(j))
        };
        let of_b: Vec<f64> = (0..b.ncols()).map(|j| product(blocks, j)).collect();
        if self.warm_start {
            for (j, &b_norm) in b_norms.iter().enumerate() {
                let by = if b_norm == 0.0 { 0.0 } else { 1.0 / b_norm };
                scale(blocks.x.as_mut().col_mut(j), by);
            }
            a.apply(blocks.y.as_mut(), blocks.x.as_ref(), par, stack);
            for (j, &b_norm) in b_norms.iter().enumerate() {
                add(blocks.y.as_mut().col_mut(j), -self.shift, blocks.x.as_ref().col(j));
                residual(blocks.r2.as_mut().col_mut(j), b.col(j), b_norm, blocks.y.as_ref().col(j));
            }
            p.apply(blocks.y.as_mut(), blocks.r2.as_ref(), par, stack);
        } else {
            blocks.x.fill(T::of(0.0));
        }
        let products = of_b.into_iter().enumerate();
        products
            .map(|(j, of_b)| State::new(j, b_norms[j], of_b, product(blocks, j), self.rtol))
            .collect()
    }

    /// What is true of `x`, in place of what the recurrence says: in the norm of the preconditioner for the rules, in Euclid's
    /// for the report. Scales `x` back.
    #[allow(clippy::too_many_arguments, reason = "operands, blocks, states, resources")]
    fn columns<T: Scalar>(
        &self,
        a: &dyn LinOp<T>,
        p: &dyn Precond<T>,
        b: MatRef<'_, T>,
        blocks: Blocks<'_, T>,
        states: &[State],
        par: Par,
        stack: &mut MemStack,
    ) -> Vec<Column> {
        let Blocks { mut x, mut r1, mut y, .. } = blocks;
        a.apply(y.as_mut(), x.as_ref(), par, stack);
        for (j, state) in states.iter().enumerate() {
            add(y.as_mut().col_mut(j), -self.shift, x.as_ref().col(j));
            residual(r1.as_mut().col_mut(j), b.col(j), state.b_norm, y.as_ref().col(j));
        }
        p.apply(y.as_mut(), r1.as_ref(), par, stack);
        let mut columns = Vec::with_capacity(states.len());
        for (j, state) in states.iter().enumerate() {
            let r = r1.as_ref().col(j);
            let claimed = state.ending.unwrap_or(Ending::Converged);
            let in_norm = dot(r, y.as_ref().col(j)).max(0.0).sqrt() / state.beta_1;
            let ending = match claimed {
                Ending::Converged if in_norm > FALSE * self.rtol * state.size => Ending::Stagnated,
                other => other,
            };
            let rel_residual = if state.b_norm == 0.0 { 0.0 } else { norm(r) };
            scale(x.as_mut().col_mut(j), state.b_norm);
            let condition = if state.largest > 0.0 { state.largest / state.smallest } else { 1.0 };
            columns.push(Column { ending, iters: state.iters, rel_residual, condition });
        }
        columns
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
        if !self.shift.is_finite() {
            let expected = "a finite number";
            return Err(KrylovError::Setting { name: "shift", value: self.shift, expected });
        }
        check_finite("right-hand side", b)
    }
}
