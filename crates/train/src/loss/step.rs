//! One step of a network under a loss: a convex problem, and what the network makes of its solution.

use nearlin_krylov::{LinOp, Precond};

use super::Problem;
use super::blocks::Blocks;
use super::network::{Attempt, LOOSE, MAX_HALVINGS, State, Trainer};
use crate::TrainError;
use crate::dual::{Dual, Factor, Preconditioner};
use crate::observe::{Event, Observer, Phase};
use crate::report::{Ending, StepReport};
use crate::solver::{Block, SolverKind};
use crate::vector::{distance, rows, rows_mut};

impl Trainer<'_> {
    fn problem<'a>(
        &'a self,
        gram: &'a dyn LinOp<f64>,
        precond: &'a dyn Precond<f64>,
        blocks: &'a Blocks<'a>,
        base: &'a [f64],
    ) -> Problem<'a> {
        Problem {
            gram,
            precond,
            blocks: Some(blocks),
            base,
            targets: self.equations.y(),
            weights: self.weights,
            outputs: self.equations.outputs(),
            loss: self.loss,
            ridge: self.options.ridge,
            max_inner: self.options.max_inner,
            par: self.options.par,
        }
    }

    /// One step: the state that it leads to, if any part of it lowers the objective, and what to report of
    /// it; `None` if the observer stops.
    pub(super) fn step(
        &self,
        attempt: &Attempt,
        observer: &mut dyn Observer,
    ) -> Result<Option<(Option<State>, StepReport)>, TrainError> {
        let (state, options) = (&attempt.state, self.options);
        let (n, d, k) = (self.equations.rows(), self.equations.inputs(), self.equations.outputs());
        let m = options.width;
        let fits = "equations and network have been matched";
        let _ = observer.on_event(&Event::Phase(Phase::Build));
        let jacobian = self.features.jacobian(&state.active);
        // With a curvature of `h` for all the system is `h (G + mu / h I)`.
        let ridge = options.ridge / self.curvature(&state.outputs);
        let known = self.coupled.as_ref().unwrap_or(&self.solver);
        let blocks = Blocks::new(&**known, jacobian, options.ridge, options.par);
        // Corners make many systems of one `G`, which the exact block is where there is one output.
        let exact = self.loss.has_corners() && k == 1 && self.solver.kind() == SolverKind::Cholesky;
        let dense = match exact.then(|| blocks.make()).transpose()?.flatten() {
            Some(Block::Dense(block)) => Some(block),
            _ => None,
        };
        let factor = match dense {
            Some(_) => Factor::Identity,
            None => self.solver.build(&jacobian, ridge, options.par)?,
        };
        let precond = Preconditioner { factor, examples: n, outputs: k };
        let mut base = vec![0.0; n * k];
        jacobian
            .apply(rows_mut(&mut base, n, k), rows(state.network.change(), m, d), options.par)
            .expect(fits);
        base.iter_mut().zip(&state.outputs).for_each(|(base, f)| *base = f - *base);

        let _ = observer.on_event(&Event::Phase(Phase::Solve));
        let passes = Dual { jacobian, ridge: 0.0 };
        let gram = dense.map_or(&passes as &dyn LinOp<f64>, |block| block);
        let problem = self.problem(gram, &precond, &blocks, &base);
        let last = attempt.steps.last().map_or(LOOSE, |step| step.eta_lin.min(LOOSE));
        let needed = 0.3 * options.tolerance * attempt.start;
        let found =
            problem.minimise(&state.multipliers, needed.max(last * state.gradient), observer)?;
        if found.ending == Ending::Stopped {
            return Ok(None);
        }

        let _ = observer.on_event(&Event::Phase(Phase::Update));
        let mut target = vec![0.0; m * d];
        jacobian
            .apply_adjoint(rows_mut(&mut target, m, d), rows(&found.multipliers, n, k), options.par)
            .expect(fits);
        let quality = precond.quality();
        let mut report = StepReport {
            step: attempt.steps.len() + 1,
            solver: self.solver.kind(),
            rel_residual: 0.0,
            eta_inner: found.gradient / state.gradient,
            eta_lin: 0.0,
            contraction: 1.0,
            gain: 0.0,
            flipped: 0.0,
            inner_iterations: found.inner_iterations,
            condition: found.condition,
            rel_gradient: Some(state.gradient / attempt.start),
            shift: quality.shift,
            rank: quality.rank,
            left: quality.left,
            step_length: 1.0,
            damping: 0.0,
            pinned: 0,
        };
        // Sums of nK terms, each of a sum over m neurons, with errors of random sign.
        let rounding = 4.0 * f64::EPSILON * (((n * k) as f64).sqrt() + (m as f64).sqrt());
        for _ in 0..=MAX_HALVINGS {
            let length = report.step_length;
            if observer.on_event(&Event::Phase(Phase::Masks)).is_break() {
                return Ok(None);
            }
            let mut network = state.network.clone();
            network
                .change_mut()
                .iter_mut()
                .zip(&target)
                .for_each(|(u, to)| *u += length * (to - *u));
            let forward = network.forward(self.equations.x(), options.par)?;
            let next = self.state(network, forward, found.multipliers.clone());
            let linear: Vec<f64> = state
                .outputs
                .iter()
                .zip(&found.outputs)
                .map(|(f, to)| f + length * (to - f))
                .collect();
            let moved = distance(&linear, &state.outputs);
            let missed = distance(&next.outputs, &linear);
            report.eta_lin = if moved > 0.0 { missed / moved } else { 0.0 };
            report.contraction = next.gradient / state.gradient;
            if next.objective <= state.objective + rounding * state.objective.abs() {
                let flips = next.active.mask().count_differences(state.active.mask());
                report.flipped = flips as f64 / (n * m) as f64;
                report.rel_gradient = Some(next.gradient / attempt.start);
                report.gain = (state.objective - next.objective)
                    / next.objective.abs().max(f64::MIN_POSITIVE);
                report.rel_residual = self.rel_residual(&next.outputs);
                return Ok(Some((Some(next), report)));
            }
            report.step_length *= 0.5;
        }
        Ok(Some((None, report)))
    }

    /// The mean weighted curvature of the loss at some outputs, or what keeps its reciprocal in bounds.
    fn curvature(&self, outputs: &[f64]) -> f64 {
        let couples = f64::from(u8::from(self.loss.couples()));
        let sum = self.sum(outputs, |f, y| {
            let mut roots = vec![0.0; f.len()];
            self.loss.root(f, y, &mut roots);
            roots.iter().map(|s| s * s * (1.0 - couples * s * s)).sum()
        });
        (sum / outputs.len() as f64).max(1e-3)
    }
}
