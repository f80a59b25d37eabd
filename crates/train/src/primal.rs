//! The step where there are fewer parameters than equations and no ridge.
//!
//! Then `J J^T` is singular and `J J^T g = r` has no solution. The step is the minimiser of
//! `|r + J D|`, from `J^T J D = -J^T r` in the space of the weights: consistent always, and no larger
//! than the data. Preconditioners of the other system do not apply here: where conjugate gradients have not done after as
//! much work as it takes, `J^T J` is factored (`normal.rs`), or the Gram matrix of some of the examples where that is too large
//! (`sampled.rs`).

mod normal;
mod sampled;

use core::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_dense::Cholesky;
use nearlin_krylov::{Cg, Ending as InnerEnding, Identity, LinOp, Precond};
use nearlin_relu::{Activations, Jacobian};

use self::normal::normal_factor;
pub(crate) use self::normal::{normal_factor_after, normal_factor_columns};
use self::sampled::{PATIENCE, Sampled};
pub(crate) use self::sampled::{drawn, sampled_bytes};
use crate::TrainError;
use crate::dual::{unstack, unstack_mut};
use crate::observe::{Event, Observer, Phase};
use crate::options::Options;
use crate::step::{Direction, Features};
use crate::vector::{norm, ratio, rows, rows_mut};

/// Whether there are fewer free parameters than equations, of `rows` rows, a `layer : m x d` and `outputs` of a row: pairs
/// of neurons start as one.
pub(crate) fn is_overdetermined(rows: usize, layer: (usize, usize), outputs: usize) -> bool {
    layer.0 / 2 * layer.1 < rows * outputs
}

/// `v -> J^T J v` on `R^(md)`, row-major: `4 n m (d + K)` flops and scratch for `n x K` numbers.
struct Primal<'a>(Jacobian<'a, f64>);

impl LinOp<f64> for Primal<'_> {
    fn nrows(&self) -> usize {
        self.0.width() * self.0.inputs()
    }

    fn ncols(&self) -> usize {
        self.nrows()
    }

    fn apply_scratch(&self, _: usize, _: Par) -> StackReq {
        temp_mat_scratch::<f64>(self.0.examples(), self.0.outputs())
    }

    fn apply(&self, mut y: MatMut<'_, f64>, x: MatRef<'_, f64>, par: Par, stack: &mut MemStack) {
        let (m, d) = (self.0.width(), self.0.inputs());
        let (mut u, _) = temp_mat_zeroed::<f64, _, _>(self.0.examples(), self.0.outputs(), stack);
        let mut u = u.as_mat_mut();
        for j in 0..x.ncols() {
            let fits = "shapes of a solver's vectors are checked by the solver";
            let v = unstack(x.subcols(j, 1), m, d);
            self.0.apply(u.as_mut(), v, par).expect(fits);
            let y = unstack_mut(y.as_mut().subcols_mut(j, 1), m, d);
            self.0.apply_adjoint(y, u.as_ref(), par).expect(fits);
        }
    }
}

/// The factor of `J^T J` as a preconditioner.
struct Normal(Cholesky<f64>);

impl Precond<f64> for Normal {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn apply(&self, mut z: MatMut<'_, f64>, r: MatRef<'_, f64>, par: Par, _: &mut MemStack) {
        z.copy_from(r);
        self.0.solve_in_place(z, par);
    }
}

/// Iterations of plain conjugate gradients, of a network of so many parameters and outputs, after which there is a factor.
pub(crate) fn factor_after(parameters: usize, outputs: usize) -> Option<usize> {
    // Signs that several outputs have would make the Gram matrix of examples one of equations.
    normal_factor_after(parameters).or((outputs == 1).then_some(PATIENCE))
}

/// What helps conjugate gradients that have not done; `None` for nothing.
fn remedy<'a>(
    exact: &'a Features<f64>,
    active: &'a Activations,
    options: &Options,
) -> Result<Option<Box<dyn Precond<f64> + 'a>>, TrainError> {
    let jacobian = exact.jacobian(active);
    if normal_factor_after(jacobian.width() * jacobian.inputs()).is_some() {
        let factor = normal_factor(exact, active, options.seed, options.par)?;
        return Ok(Some(Box::new(Normal(factor))));
    }
    let sampled = Sampled::new(&jacobian, options.seed, options.par)?;
    Ok(sampled.map(|sampled| Box::new(sampled) as Box<dyn Precond<f64>>))
}

/// Whether a factor helped the last of steps that took so many iterations, of a network of so many parameters and outputs.
pub(crate) fn was_helped(
    iterations: impl Iterator<Item = usize>,
    parameters: usize,
    outputs: usize,
) -> bool {
    let Some(patience) = factor_after(parameters, outputs) else { return false };
    // One that was needed is there after the first iteration of the next step.
    iterations.fold(false, |helped, count| count > if helped { 1 } else { patience })
}

/// The step `D` with `|J^T (r + J D)| <= tolerance |J^T r|`, with a factor after one iteration where one has helped before.
pub(crate) fn least_squares(
    exact: &Features<f64>,
    active: &Activations,
    residual: &[f64],
    (tolerance, helped): (f64, bool),
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Direction, TrainError> {
    let (par, operator) = (options.par, Primal(exact.jacobian(active)));
    let jacobian = operator.0;
    let (n, k) = (jacobian.examples(), jacobian.outputs());
    let (m, d) = (jacobian.width(), jacobian.inputs());
    let fits = "equations and network have been matched";
    let mut gradient = vec![0.0; m * d];
    jacobian.apply_adjoint(rows_mut(&mut gradient, m, d), rows(residual, n, k), par).expect(fits);
    let rhs = Mat::from_fn(m * d, 1, |i, _| -gradient[i]);

    let identity = Identity { dim: m * d };
    let _ = observer.on_event(&Event::Phase(Phase::Solve));
    let patience = if helped { 1 } else { factor_after(m * d, k).unwrap_or(usize::MAX) };
    let solve = |precond: &dyn Precond<f64>,
                 (b, rtol): (&Mat<f64>, f64),
                 most: usize,
                 before: usize,
                 observer: &mut dyn Observer| {
        let mut step = Mat::zeros(m * d, 1);
        let cg = Cg::default().with_rtol(rtol).with_max_iters(most.min(options.max_inner));
        let mut watch = |inner: &nearlin_krylov::Step<'_>| -> ControlFlow<()> {
            let rel_residual = inner.rel_residuals[0];
            observer.on_event(&Event::Inner { iteration: before + inner.iter, rel_residual })
        };
        let mut scratch = MemBuffer::new(Cg::scratch(&operator, precond, 1, par));
        let stack = MemStack::new(&mut scratch);
        let report =
            cg.solve_into(step.as_mut(), &operator, precond, b.as_ref(), &mut watch, par, stack)?;
        Ok::<_, TrainError>((step, report))
    };
    let (mut step, mut report) = solve(&identity, (&rhs, tolerance), patience, 0, observer)?;
    let mut reduction = report.worst_residual();
    if report.ending == InnerEnding::MaxIters && patience < options.max_inner {
        // What is left of the system, solved with a factor.
        let mut left = Mat::zeros(m * d, 1);
        let mut scratch = MemBuffer::new(operator.apply_scratch(1, par));
        operator.apply(left.as_mut(), step.as_ref(), par, MemStack::new(&mut scratch));
        let left = &rhs - left;
        let part = ratio(left.norm_l2(), rhs.norm_l2());
        if part > tolerance {
            if observer.on_event(&Event::Phase(Phase::Build)).is_break() {
                return Ok(Direction::stopped(m * d, n * k));
            }
            let remedy = remedy(exact, active, options)?;
            let precond = remedy.as_deref().unwrap_or(&identity);
            let _ = observer.on_event(&Event::Phase(Phase::Solve));
            let (before, rest) = (report.iters, (&left, tolerance / part));
            let (more, mut last) = solve(precond, rest, usize::MAX, before, observer)?;
            step += more;
            reduction = part * last.worst_residual();
            last.iters += before;
            report = last;
        }
    }

    let step: Vec<f64> = (0..m * d).map(|i| step[(i, 0)]).collect();
    let mut image = vec![0.0; n * k];
    jacobian.apply(rows_mut(&mut image, n, k), rows(&step, m, d), par).expect(fits);
    let linear: Vec<f64> = residual.iter().zip(&image).map(|(r, v)| r + v).collect();
    let r_norm = norm(residual);
    Ok(Direction {
        step,
        image: Some(image),
        multipliers: vec![0.0; n * k],
        eta_inner: if r_norm > 0.0 { norm(&linear) / r_norm } else { 0.0 },
        reduction,
        iterations: report.iters,
        condition: report.condition(),
        stopped: report.ending == InnerEnding::Stopped,
        broken: matches!(report.ending, InnerEnding::Breakdown { .. }),
    })
}
