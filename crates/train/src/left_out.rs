//! What a network would have said of its own training rows, had each been left out.
//!
//! With masks held the network is ridge regression in the weights' change `U`, whose minimum is `U = J^T g` with
//! `(G + mu I) g = y - f + J U`. The residual of an example that was left out is `g_i / [(G + mu I)^-1]_ii` there
//! (Allen's PRESS, 1974), which is its own residual over `1 - h_i` with the leverage
//! `h_i = 1 - mu [(G + mu I)^-1]_ii`. The first form is used, as a small ridge would magnify in the second whatever
//! training has left. That judges a fit, and says how far off predictions are, without a row that training did not see.
//!
//! Several outputs share `G`, but with random signs they also have terms across outputs, which a small ridge lets
//! matter: then the diagonal is scaled to the trace of the joint inverse, which vectors of random signs `v`
//! estimate as `v^T (J J^T + mu I)^-1 v` (Hutchinson, 1990).

use faer::{ColRef, Mat, MatRef, Par};
use nearlin_dense::Cholesky;
use nearlin_krylov::{Cg, Ending, Solution};
use nearlin_relu::{Activations, Forward, Jacobian, Network, PackedMask, gram};
use nearlin_sketch::random_signs;

use crate::dual::{Dual, Factor, Preconditioner, Rounded};
use crate::solver::{InnerSolver, PivotedKernel, default_rank};
use crate::step::Features;
use crate::vector::{Element, norm, rows, rows_mut};
use crate::{Equations, TrainError};

/// Most equations whose leverages are computed: some seconds on two cores.
pub(crate) const LEVERAGES: usize = 4096;

/// Relative residual of the system for the trace.
const ROUGH: f64 = 0.1;

/// Relative residual of the system for `g` of one output, whose factor is exact.
const CLOSE: f64 = 1e-8;

/// The same of several outputs, whose diagonal is an estimate anyway: the next one where the last is not [`PART`] of what
/// rows that are left out are off by, which it is wrong by.
const CLOSER: [f64; 2] = [1e-2, 1e-3];

/// What errors may be a part of.
const PART: f64 = 0.1;

/// Signs that the trace is estimated from, in one to eight vectors: its error is the root of two over their number.
const PROBED: usize = 4096;

/// No leverage is taken for larger, as rounding may have made it.
pub(crate) const MOST: f64 = 1.0 - 1e-8;

/// Outputs for examples that were left out, one at a time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LeftOut {
    /// `f_i` without example `i`, n x K, row-major.
    pub outputs: Vec<f64>,
    /// The mean of the leverages: the part of a residual that training has hidden.
    pub leverage: f64,
    /// Whether each example has its own leverage, and not the mean.
    pub exact: bool,
    /// Whether the system for them was solved; else `outputs` are of little use.
    pub converged: bool,
}

/// Leaves each equation out of a network that was trained on all of them at a positive ridge, in the linear
/// regime and as if masks and ridge had been the same without it.
///
/// Up to 4,096 equations in `n^2 m / 2` bit operations and some `n^3` flops, in memory for two n x n
/// matrices, and an inner solve or, with several outputs, two. Beyond, everybody has the mean leverage, which vectors of
/// random signs estimate: an inner solve with the preconditioner of [`SolverKind::RpCholesky`](crate::SolverKind::RpCholesky)
/// of rank `k = (m d)^(1/2)`, or `(m (d + K))^(1/2)` with several outputs, in memory for `n k` numbers of `f32`.
///
/// # Errors
/// [`TrainError::Option`] for a ridge that is not positive, [`TrainError::Factor`] for one that is lost in
/// rounding beside a singular `G`; [`TrainError::Shape`] for a network of other outputs, [`TrainError`] for one of other inputs.
///
/// # Examples
/// ```
/// use core::ops::ControlFlow;
/// use nearlin::{Equations, Event, Options, left_out, train};
///
/// let x: Vec<f64> = (0..60).flat_map(|i| [i as f64 / 30.0 - 1.0, 1.0]).collect();
/// let y: Vec<f64> =
///     x.chunks(2).enumerate().map(|(i, x)| x[0] + if i % 2 == 0 { 0.1 } else { -0.1 }).collect();
/// let equations = Equations::new(x, y.clone(), 2, 1)?;
/// let options = Options::default().width(512).ridge(0.1);
/// let run = train(&equations, &options, &mut |_: &Event<'_>| ControlFlow::Continue(()))?;
/// let left = left_out(&equations, &run.network, 0.1, options.par)?;
/// let size = |f: &[f64]| f.iter().zip(&y).map(|(f, y)| (f - y).powi(2)).sum::<f64>();
/// assert!(size(&left.outputs) > size(&run.network.forward(equations.x(), options.par)?.outputs));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn left_out(
    equations: &Equations,
    network: &Network,
    ridge: f64,
    par: Par,
) -> Result<LeftOut, TrainError> {
    check(equations, network, ridge)?;
    let (n, k) = (equations.rows(), equations.outputs());
    let Forward { outputs: mut f, mask, .. } = network.forward(equations.x(), par)?;
    if n <= LEVERAGES {
        let linear = Linear::new(equations, network, mask);
        let (inverse, factor, known) = linear.inverse_diagonal(ridge, par)?;
        let b = linear.right_hand_side(&f, par)?;
        let tolerances = if k > 1 { &CLOSER[..] } else { &[CLOSE] };
        let (mut off, mut solved) = (Vec::new(), false);
        for tolerance in tolerances {
            let (g, closer) = linear.multipliers(&b, &factor, *tolerance, ridge, par)?;
            // Further than passes in `f32` can go, what they found before is what there is.
            if solved && !closer {
                break;
            }
            off = g.iter().enumerate().map(|(at, g)| g / inverse[at / k]).collect();
            solved = closer;
            if tolerance * norm(&b) <= PART * norm(&off) {
                break;
            }
        }
        let converged = known && solved;
        f.iter_mut().zip(equations.y()).zip(&off).for_each(|((f, y), off)| *f = y - off);
        let leverage = 1.0 - ridge * inverse.iter().sum::<f64>() / n as f64;
        return Ok(LeftOut { outputs: f, leverage, exact: true, converged });
    }
    let (trace, converged) = Linear::new(equations, network, mask).rough_trace(ridge, par)?;
    let leverage = 1.0 - ridge * trace / (n * k) as f64;
    let h = leverage.clamp(0.0, MOST);
    f.iter_mut().zip(equations.y()).for_each(|(f, y)| *f = y + (*f - y) / (1.0 - h));
    Ok(LeftOut { outputs: f, leverage, exact: false, converged })
}

/// Bytes that the two matrices of [`left_out`] take, for so many equations; 0 where their leverages are not computed, and it
/// takes less than training does.
#[must_use]
pub fn left_out_bytes(equations: usize) -> f64 {
    let n = equations as f64;
    if equations <= LEVERAGES { 16.0 * n * n } else { 0.0 }
}

/// Whether a network of these equations has a ridge at which rows can be left out.
pub(crate) fn check(
    equations: &Equations,
    network: &Network,
    ridge: f64,
) -> Result<(), TrainError> {
    if !(ridge > 0.0 && ridge.is_finite()) {
        let (name, expected) = ("ridge", "a positive finite number");
        return Err(TrainError::Option { name, value: ridge, expected });
    }
    if network.outputs() != equations.outputs() {
        let (what, got, rows) = ("targets", equations.y().len(), equations.rows());
        return Err(TrainError::Shape { what, got, rows, cols: network.outputs() });
    }
    Ok(())
}

/// The network with its masks held.
pub(crate) struct Linear<'a> {
    equations: &'a Equations,
    network: &'a Network,
    active: Activations,
}

impl<'a> Linear<'a> {
    pub(crate) fn new(equations: &'a Equations, network: &'a Network, mask: PackedMask) -> Self {
        let active = Activations::of(mask, network);
        Self { equations, network, active }
    }

    fn jacobian(&self) -> Result<Jacobian<'_, f64>, TrainError> {
        let (m, k) = (self.network.width(), self.equations.outputs());
        let signs = MatRef::from_row_major_slice(self.network.signs(), m, k);
        Ok(Jacobian::at(&self.active, self.equations.x(), signs)?)
    }

    /// The diagonal of `(J J^T + mu I)^-1`, the mean over the outputs for each example, the factor of one output's block, and
    /// whether the systems of several were solved.
    fn inverse_diagonal(
        &self,
        ridge: f64,
        par: Par,
    ) -> Result<(Vec<f64>, Preconditioner<f64>, bool), TrainError> {
        let (examples, outputs) = (self.equations.rows(), self.equations.outputs());
        let mut g = gram(self.equations.x(), self.active.mask(), par)?;
        (0..examples).for_each(|i| g[(i, i)] += ridge);
        let factor = Cholesky::factor(g, par)?;
        let mut inverse = factor.inverse_diagonal(par);
        let precond = Preconditioner { factor: Factor::Cholesky(factor), examples, outputs };
        let mut known = true;
        if outputs > 1 {
            let (trace, solved) = self.inverse_trace(&precond, ridge, par)?;
            known = solved;
            let scale = trace / (outputs as f64 * inverse.iter().sum::<f64>());
            for inverse in &mut inverse {
                *inverse *= scale;
            }
        }
        Ok((inverse, precond, known))
    }

    /// The trace of `(J J^T + mu I)^-1` with a preconditioner of low rank, all in `f32`, and whether its systems were
    /// solved.
    pub(crate) fn rough_trace(&self, ridge: f64, par: Par) -> Result<(f64, bool), TrainError> {
        let (examples, outputs) = (self.equations.rows(), self.equations.outputs());
        let features = self.features();
        let jacobian = features.jacobian(&self.active);
        let factor = PivotedKernel { rank: self.rough_rank(), seed: 0 };
        let factor = factor.build(&jacobian, ridge, par)?;
        let precond = Preconditioner { factor, examples, outputs };
        let system = Dual { jacobian, ridge: ridge as f32 };
        let v = self.probes::<f32>();
        let solved = cg_to(ROUGH).solve_preconditioned(&system, &precond, v.as_ref(), par)?;
        Ok(mean_product(v.as_ref(), &solved))
    }

    /// The rank `k` of that preconditioner: `k^2` are the multiply-adds of a product for an example, so that the `3 n k^2`
    /// flops of the factor are about those of an iteration. Twice the rank saved a tenth to a third of 20 to 110 iterations,
    /// half of it cost as many again at worst.
    fn rough_rank(&self) -> usize {
        let (n, d, k) = (self.equations.rows(), self.equations.inputs(), self.equations.outputs());
        let product = self.network.width() * if k > 1 { d + k } else { d };
        product.isqrt().clamp(1, default_rank(n))
    }

    /// The trace of `(J J^T + mu I)^-1`, and whether its systems were solved.
    fn inverse_trace(
        &self,
        precond: &Preconditioner<f64>,
        ridge: f64,
        par: Par,
    ) -> Result<(f64, bool), TrainError> {
        let v = self.probes::<f64>();
        let solved = self.solve(&cg_to(ROUGH), v.as_ref(), precond, ridge, par)?;
        Ok(mean_product(v.as_ref(), &solved))
    }

    /// Random signs, nK x q.
    fn probes<T: Element>(&self) -> Mat<T> {
        let joint = self.equations.rows() * self.equations.outputs();
        let probes = (PROBED / joint).clamp(1, 8);
        let signs = random_signs(joint * probes, 0, 0);
        Mat::from_fn(joint, probes, |i, j| signs[j * joint + i])
    }

    fn features(&self) -> Features<f32> {
        Features::new(self.equations, self.network.signs(), self.network.width())
    }

    /// `y - f + J U`, n x K.
    fn right_hand_side(&self, f: &[f64], par: Par) -> Result<Vec<f64>, TrainError> {
        let (n, k) = (self.equations.rows(), self.equations.outputs());
        let (m, d) = (self.network.width(), self.network.inputs());
        let mut b = vec![0.0; n * k];
        self.jacobian()?.apply(rows_mut(&mut b, n, k), rows(self.network.change(), m, d), par)?;
        b.iter_mut().zip(self.equations.y()).zip(f).for_each(|((b, y), f)| *b += y - f);
        Ok(b)
    }

    /// `g` with `(J J^T + mu I) g = b`, n x K, and whether it could be found.
    fn multipliers(
        &self,
        b: &[f64],
        precond: &Preconditioner<f64>,
        tolerance: f64,
        ridge: f64,
        par: Par,
    ) -> Result<(Vec<f64>, bool), TrainError> {
        let b = MatRef::from_column_major_slice(b, b.len(), 1);
        let solved = self.solve(&cg_to(tolerance), b, precond, ridge, par)?;
        let converged = solved.report.ending == Ending::Converged;
        Ok((solved.x.col(0).iter().copied().collect(), converged))
    }

    /// Solves `(J J^T + mu I) X = B`, with passes in `f32` where the tolerance allows them: not that of one output's `g`.
    fn solve(
        &self,
        cg: &Cg,
        b: MatRef<'_, f64>,
        precond: &Preconditioner<f64>,
        ridge: f64,
        par: Par,
    ) -> Result<Solution<f64>, TrainError> {
        if self.equations.outputs() == 1 && self.equations.rows() <= LEVERAGES {
            let system = Dual { jacobian: self.jacobian()?, ridge };
            return Ok(cg.solve_preconditioned(&system, precond, b, par)?);
        }
        let features = self.features();
        let system = Rounded { jacobian: features.jacobian(&self.active), ridge };
        Ok(cg.solve_preconditioned(&system, precond, b, par)?)
    }
}

fn cg_to(tolerance: f64) -> Cg {
    Cg::default().with_rtol(tolerance)
}

/// The mean of `v^T x` over the columns of `v` and of a solution, and whether that was found.
fn mean_product<T: Element>(v: MatRef<'_, T>, solved: &Solution<T>) -> (f64, bool) {
    let product = |(v, x): (ColRef<'_, T>, ColRef<'_, T>)| -> f64 {
        v.iter().zip(x.iter()).map(|(v, x)| v.as_f64() * x.as_f64()).sum()
    };
    let sum: f64 = v.col_iter().zip(solved.x.col_iter()).map(product).sum();
    (sum / v.ncols() as f64, solved.report.ending == Ending::Converged)
}

#[cfg(test)]
mod tests {
    use core::ops::ControlFlow;

    use super::*;
    use crate::{Event, Options, train};

    /// Rows of three inputs.
    fn waves(n: u32) -> Vec<f64> {
        (0..n).map(f64::from).flat_map(|i| [(0.37 * i).sin(), (0.73 * i).cos(), 1.0]).collect()
    }

    /// The trace from random signs and the preconditioner of low rank is that of the inverse: Hutchinson's estimate errs
    /// by at most `(2 / (n q))^(1/2)` of it for `q` vectors where entries off the diagonal are no more than those on it,
    /// and the solves by a tenth of what they change.
    #[test]
    fn traces_are_estimated() {
        let n = 300;
        let x = waves(n);
        let y = x.chunks(3).map(|x| x[0] * x[1]).collect();
        let equations = Equations::new(x, y, 3, 1).unwrap();
        for ridge in [1e-3, 0.1, 10.0] {
            let options = Options::default().width(512).ridge(ridge);
            let mut still = |_: &Event<'_>| ControlFlow::Continue(());
            let network = train(&equations, &options, &mut still).unwrap().network;
            let mask = network.forward(equations.x(), Par::Seq).unwrap().mask;
            let linear = Linear::new(&equations, &network, mask);
            let exact: f64 = linear.inverse_diagonal(ridge, Par::Seq).unwrap().0.iter().sum();
            let (trace, converged) = linear.rough_trace(ridge, Par::Seq).unwrap();
            assert!(converged && (trace / exact - 1.0).abs() < 0.1, "{trace} for {exact}");
        }
    }

    /// However small the errors of rows that are left out, those of several outputs are known to a fraction of them.
    #[test]
    fn small_errors_are_solved_for() {
        let n = 120;
        let x = waves(n);
        // Targets that a network has, and others.
        let smooth = |x: &[f64]| [x[0] + 2.0 * x[1], x[0] - x[1], x[1]];
        let rough = |x: &[f64]| [(9.0 * x[0]).sin(), x[0] * x[1], (40.0 * x[1]).cos()];
        for of in [smooth as fn(&[f64]) -> [f64; 3], rough] {
            let y = x.chunks(3).flat_map(of).collect();
            let equations = Equations::new(x.clone(), y, 3, 3).unwrap();
            let ridge = 3e-3;
            let options = Options::default().width(512).ridge(ridge);
            let mut still = |_: &Event<'_>| ControlFlow::Continue(());
            let network = train(&equations, &options, &mut still).unwrap().network;
            let found = left_out(&equations, &network, ridge, Par::Seq).unwrap();
            let Forward { outputs, mask, .. } = network.forward(equations.x(), Par::Seq).unwrap();
            let linear = Linear::new(&equations, &network, mask);
            let (inverse, factor, _) = linear.inverse_diagonal(ridge, Par::Seq).unwrap();
            let b = linear.right_hand_side(&outputs, Par::Seq).unwrap();
            let (g, solved) = linear.multipliers(&b, &factor, 1e-4, ridge, Par::Seq).unwrap();
            assert!(found.converged && solved, "{} {solved}", found.converged);
            let off: Vec<f64> = g.iter().enumerate().map(|(at, g)| g / inverse[at / 3]).collect();
            let pairs = found.outputs.iter().zip(equations.y()).zip(&off);
            let wrong: Vec<f64> = pairs.map(|((f, y), off)| y - f - off).collect();
            assert!(norm(&wrong) < 2.0 * PART * norm(&off), "{} {}", norm(&wrong), norm(&off));
        }
    }
}
