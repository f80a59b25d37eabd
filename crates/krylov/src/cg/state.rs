//! One right-hand side of conjugate gradients.

use faer::ColRef;

use super::Cg;
use crate::op::Scalar;
use crate::report::{Column, Ending, Report};
use crate::ritz::Ritz;
use crate::vector::robust_norm;

/// The state of one right-hand side.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) b_norm: f64,
    pub(super) rho: f64,
    pub(super) rel: f64,
    pub(super) iters: usize,
    /// `None` while the column is worked on.
    pub(super) ending: Option<Ending>,
    /// The true residual at the last claim of convergence that proved false.
    pub(super) last_claim: f64,
    /// The next direction is the preconditioned residual alone.
    pub(super) restart: bool,
    /// The true residual when it last halved, and the step. Exact arithmetic ends in `n` steps, so
    /// no halving in `2 n` and some means that rounding has the upper hand.
    pub(super) best: f64,
    pub(super) best_iter: usize,
    /// The last `beta`, and what all steps say of the operator.
    pub(super) beta: f64,
    /// The last step length, and where `A p` of that step stands.
    pub(super) alpha: f64,
    pub(super) at: usize,
    pub(super) ritz: Ritz,
}

impl Cg {
    /// Judges a column by its true residual: it is done, or goes on from that residual.
    pub(super) fn verify(&self, state: &mut State, rel: f64, stopped: bool, out_of_time: bool) {
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
}

pub(super) fn report(states: &[State], iters: usize, applications: usize) -> Report {
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
pub(super) fn start<T: Scalar>(b: ColRef<'_, T>, most: usize) -> State {
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
        alpha: 0.0,
        at: 0,
        ritz: Ritz::new(most),
    }
}
