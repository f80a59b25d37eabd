//! One Gauss-Newton step: the inner system, solved and certified.

mod passes;

use core::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatMut, MatRef};
use nearlin_krylov::{Cg, Ending as InnerEnding, Precond};
use nearlin_relu::{Activations, Jacobian};

use crate::dual::{Dual, Preconditioner, unstack};
use crate::observe::{Event, Observer, Phase};
use crate::options::Options;
use crate::vector::{Element, cast, cast_beside, norm, ratio};
use crate::{Equations, TrainError};

pub(crate) use passes::Passes;

/// Rounds of iterative refinement; each gains several digits in `f32`, all of them in `f64`.
const MAX_ROUNDS: usize = 8;

/// A tolerance that passes in `f32` can tell, whose own rounding is about a thousandth of it.
pub(crate) const TOLD: f64 = 1e-3;

/// What is left of a system, relative to its right-hand side, that they still tell.
const NEAREST: f64 = 1e-4;

/// The inputs and signs in the precision of the inner solver.
#[derive(Debug)]
pub(crate) struct Features<T> {
    x: Vec<T>,
    signs: Vec<T>,
    shape: (usize, usize, usize, usize),
}

impl<T: Element> Features<T> {
    pub(crate) fn new(equations: &Equations, signs: &[f64], width: usize) -> Self {
        let (n, d, k) = (equations.rows(), equations.inputs(), equations.outputs());
        let x = equations.x();
        let x = || (0..n * d).map(|at| x[(at / d, at % d)]);
        let x = cast_beside(x().map(f64::abs).fold(0.0, f64::max), x());
        Self { x, signs: signs.iter().map(|&v| cast(v)).collect(), shape: (n, d, width, k) }
    }

    /// Signs of the outputs, m x K.
    pub(crate) fn signs(&self) -> &[T] {
        &self.signs
    }

    pub(crate) fn jacobian<'a>(&'a self, active: &'a Activations) -> Jacobian<'a, T> {
        let (n, d, m, k) = self.shape;
        let x = MatRef::from_row_major_slice(&self.x, n, d);
        let signs = MatRef::from_row_major_slice(&self.signs, m, k);
        Jacobian::at(active, x, signs).expect("equations and network have been matched")
    }
}

/// What a step is computed at.
#[derive(Clone, Copy)]
pub(crate) struct Point<'a> {
    pub(crate) active: &'a Activations,
    /// `r = f(W) - y`, n x K.
    pub(crate) residual: &'a [f64],
    /// `U = W - W_0`, m x d.
    pub(crate) change: &'a [f64],
    /// The last multipliers `g`, a start for the next where there is a ridge.
    pub(crate) multipliers: Option<&'a [f64]>,
}

/// A step, before anybody has looked at the network that it leads to.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Direction {
    /// `D`, m x d.
    pub(crate) step: Vec<f64>,
    /// `J D`, n x K; `None` in a draft, whose `eta_inner` and `reduction` are the solver's word.
    pub(crate) image: Option<Vec<f64>>,
    /// `g`, n x K.
    pub(crate) multipliers: Vec<f64>,
    pub(crate) eta_inner: f64,
    /// The part of the system's start that is left: equals `eta_inner` unless `g` had a start.
    pub(crate) reduction: f64,
    pub(crate) iterations: usize,
    /// Of the preconditioned system, as conjugate gradients met it.
    pub(crate) condition: f64,
    pub(crate) stopped: bool,
    pub(crate) broken: bool,
}

impl Direction {
    /// None, of so many weights and outputs, as the observer asked to stop.
    pub(crate) fn stopped(weights: usize, outputs: usize) -> Self {
        Self {
            step: vec![0.0; weights],
            image: None,
            multipliers: vec![0.0; outputs],
            eta_inner: 1.0,
            reduction: 1.0,
            iterations: 0,
            condition: 1.0,
            stopped: true,
            broken: false,
        }
    }
}

/// The system `(J J^T + (mu + lambda) I) g = b` of one step, the minimiser of
/// `|r + J D|^2 + mu |U + D|^2 + lambda |D|^2`.
///
/// With `kappa = mu / (mu + lambda)`, 0 where both are: `b = r - kappa J U` and `D = -J^T g - kappa U`, and what is
/// left of the system is `r + J D - (mu + lambda) g`.
pub(crate) struct System<'a, T> {
    pub(crate) point: Point<'a>,
    pub(crate) exact: &'a Features<f64>,
    pub(crate) features: &'a Features<T>,
    pub(crate) preconditioner: &'a Preconditioner<T>,
    /// `mu`.
    pub(crate) ridge: f64,
    /// `lambda`.
    pub(crate) damping: f64,
}

impl<T: Element> System<'_, T> {
    /// Solves the system to `tolerance` relative to its start and forms the step.
    ///
    /// The system is solved in `T`; its residual is formed in `f64` from the step itself, unless passes in `T` tell the
    /// tolerance as well, and the solve repeated on what is left until the tolerance holds.
    pub(crate) fn direction(
        &self,
        tolerance: f64,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<Direction, TrainError> {
        let &Self { point, exact, preconditioner, ridge, damping, .. } = self;
        let (shift, kappa) = (ridge + damping, ratio(ridge, ridge + damping));
        let (n, d, m, k) = exact.shape;
        let mut passes = self.passes(tolerance, options);
        let mut b = point.residual.to_vec();
        if ridge > 0.0 {
            let mut ju = vec![0.0; n * k];
            passes.image(&mut ju, point.change);
            b.iter_mut().zip(&ju).for_each(|(b, v)| *b -= kappa * v);
        }
        let b_norm = norm(&b);

        let mut at = Candidate::new(m * d, n * k);
        let warm = point.multipliers.filter(|_| ridge > 0.0);
        let mut rho = b.clone();
        if let Some(g) = warm {
            at.g.iter_mut().zip(g).for_each(|(at, g)| *at = kappa * g);
            if let Some(product) = passes.gram(&at.g) {
                let products = product.iter().zip(&at.g);
                rho.iter_mut().zip(products).for_each(|(rho, (p, g))| *rho -= p + shift * g);
            }
        }
        // So near a solution that rounding hides what is left.
        if tolerance * norm(&rho) < NEAREST * b_norm {
            passes.working = None;
        }
        // D from g, J D, and what is left of the system.
        let certify = |at: &mut Candidate| -> Vec<f64> {
            passes.adjoint(&mut at.step, &at.g);
            for (s, u) in at.step.iter_mut().zip(point.change) {
                *s = if ridge > 0.0 { -*s - kappa * u } else { -*s };
            }
            passes.image(&mut at.image, &at.step);
            at.formed = true;
            (0..n * k).map(|i| point.residual[i] + at.image[i] - shift * at.g[i]).collect()
        };
        if warm.is_some() && passes.working.is_none() {
            rho = certify(&mut at);
        }
        let start = norm(&rho);

        let (mut iterations, mut stopped, mut broken) = (0, false, false);
        let mut condition = 1.0f64;
        let mut left = start;
        let _ = observer.on_event(&Event::Phase(Phase::Solve));
        for _ in 0..MAX_ROUNDS {
            if left == 0.0 {
                break;
            }
            // A little more than needed: what counts is the residual of the passes below, which differs from
            // the recurrence's by rounding.
            let rtol = (0.98 * tolerance * start / left).max(attainable::<T>());
            let round = self.round((&rho, left, start), rtol, iterations, options, observer)?;
            (iterations, stopped, broken) = (round.iterations, round.stopped, round.broken);
            condition = condition.max(round.condition);

            let mut next = Candidate::new(m * d, n * k);
            for ((g, last), delta) in next.g.iter_mut().zip(&at.g).zip(round.delta.col(0).iter()) {
                *g = last + delta.as_f64() * left;
            }
            let next_rho = certify(&mut next);
            let next_left = norm(&next_rho);
            let halved = next_left < 0.5 * left;
            if next_left < left {
                (at, rho, left) = (next, next_rho, next_left);
            }
            let spent = stopped || broken || iterations >= options.max_inner;
            if left <= tolerance * start || !halved || spent {
                break;
            }
        }
        if !at.formed {
            left = norm(&certify(&mut at));
        }
        let reduction = ratio(left, start);
        // Without a ridge the certificate is of `r + J D`, of which damping keeps a part.
        let linear = || point.residual.iter().zip(&at.image).map(|(r, v)| (r + v) * (r + v));
        let damped = ridge == 0.0 && damping > 0.0;
        let eta_inner = ratio(if damped { linear().sum::<f64>().sqrt() } else { left }, b_norm);
        debug_assert_eq!(preconditioner.dim(), n * k);
        let Candidate { g: multipliers, step, image, .. } = at;
        Ok(Direction {
            step,
            image: Some(image),
            multipliers,
            eta_inner,
            reduction,
            iterations,
            condition,
            stopped,
            broken,
        })
    }

    /// In `T` where that tells `tolerance`.
    fn passes(&self, tolerance: f64, options: &Options) -> Passes<'_, T> {
        let active = self.point.active;
        let told = T::NAME == "f32" && tolerance >= TOLD;
        let working = told.then(|| self.features.jacobian(active));
        Passes { exact: self.exact.jacobian(active), working, par: options.par }
    }

    /// A step without a certificate, solved in `T` alone: what the linear model makes of it is seen from the
    /// next forward pass, which saves two passes in `f64`.
    ///
    /// Only without a ridge and damping, and where one round can reach `tolerance`: see [`draft_suffices`].
    pub(crate) fn draft(
        &self,
        tolerance: f64,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<Direction, TrainError> {
        let (n, d, m, k) = self.exact.shape;
        let residual = self.point.residual;
        let start = norm(residual);
        let _ = observer.on_event(&Event::Phase(Phase::Solve));
        let round = self.round((residual, start, start), 0.98 * tolerance, 0, options, observer)?;
        let mut step = vec![cast::<T>(0.0); m * d];
        self.features
            .jacobian(self.point.active)
            .apply_adjoint(
                MatMut::from_row_major_slice_mut(&mut step, m, d),
                unstack(round.delta.as_ref(), n, k),
                options.par,
            )
            .expect("equations and network have been matched");
        Ok(Direction {
            step: step.iter().map(|s| -s.as_f64() * start).collect(),
            image: None,
            multipliers: round.delta.col(0).iter().map(|g| g.as_f64() * start).collect(),
            eta_inner: round.reduction,
            reduction: round.reduction,
            iterations: round.iterations,
            condition: round.condition,
            stopped: round.stopped,
            broken: round.broken,
        })
    }

    /// Conjugate gradients in `T` for what is left, `rho` of norm `left`, scaled to norm 1.
    fn round(
        &self,
        (rho, left, start): (&[f64], f64, f64),
        rtol: f64,
        before: usize,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<Round<T>, TrainError> {
        let (par, preconditioner) = (options.par, self.preconditioner);
        let jacobian = self.features.jacobian(self.point.active);
        let operator = Dual { jacobian, ridge: cast(self.ridge + self.damping) };
        let cg = Cg::default()
            .with_final_check(false)
            .with_rtol(rtol)
            .with_max_iters(options.max_inner.saturating_sub(before));
        let rhs = Mat::from_fn(rho.len(), 1, |i, _| cast(rho[i] / left));
        let mut delta = Mat::<T>::zeros(rho.len(), 1);
        let mut watch = |inner: &nearlin_krylov::Step<'_>| -> ControlFlow<()> {
            let rel_residual = inner.rel_residuals[0] * left / start;
            observer.on_event(&Event::Inner { iteration: before + inner.iter, rel_residual })
        };
        let mut scratch = MemBuffer::new(Cg::scratch(&operator, preconditioner, 1, par));
        let stack = MemStack::new(&mut scratch);
        let (delta_mut, rhs) = (delta.as_mut(), rhs.as_ref());
        let report =
            cg.solve_into(delta_mut, &operator, preconditioner, rhs, &mut watch, par, stack)?;
        Ok(Round {
            delta,
            reduction: report.worst_residual(),
            iterations: before + report.iters,
            condition: report.condition(),
            stopped: report.ending == InnerEnding::Stopped,
            broken: matches!(report.ending, InnerEnding::Breakdown { .. }),
        })
    }
}

/// What one call of conjugate gradients in the working precision gave.
struct Round<T> {
    /// The solution, nK x 1, for a right-hand side of norm 1.
    delta: Mat<T>,
    /// The recurrence's relative residual.
    reduction: f64,
    /// Of all rounds so far.
    iterations: usize,
    condition: f64,
    stopped: bool,
    broken: bool,
}

/// What the working precision can gain in one round.
fn attainable<T: Element>() -> f64 {
    if T::NAME == "f32" { 1e-4 } else { 1e-14 }
}

/// Whether one round in `T` can reach `tolerance`.
pub(crate) fn draft_suffices<T: Element>(tolerance: f64) -> bool {
    tolerance >= attainable::<T>()
}

/// Multipliers `g`, the step `D` that they give, and `J D`.
struct Candidate {
    g: Vec<f64>,
    step: Vec<f64>,
    image: Vec<f64>,
    /// Whether the last two are.
    formed: bool,
}

impl Candidate {
    fn new(parameters: usize, equations: usize) -> Self {
        let (g, image) = (vec![0.0; equations], vec![0.0; equations]);
        Self { g, step: vec![0.0; parameters], image, formed: false }
    }
}

/// `J^T r + mu U`, m x d, by passes in `f64` where those in `T` would not tell it.
pub(crate) fn gradient<T: Element>(
    passes: &mut Passes<'_, T>,
    residual: &[f64],
    change: &[f64],
    ridge: f64,
) -> Vec<f64> {
    let mut gradient = vec![0.0; change.len()];
    passes.adjoint(&mut gradient, residual);
    gradient.iter_mut().zip(change).for_each(|(g, u)| *g += ridge * u);
    // At a minimum the two cancel.
    if passes.working.is_some() && norm(&gradient) < NEAREST * ridge * norm(change) {
        passes.working = None;
        return self::gradient(passes, residual, change, ridge);
    }
    gradient
}

#[cfg(test)]
mod tests;
