//! Losses over any linear model: the solver that networks are trained with, on an operator of the caller's.

use core::fmt;
use core::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_krylov::{AdjointOp, Identity, LinOp};

use super::network::check_weights;
use super::{Loss, Problem};
use crate::TrainError;
use crate::observe::Event;
use crate::report::Ending;

/// What [`fit_linear`] fits: outputs `F = A B` with weights `B : p x K`.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct LinearModel<'a> {
    /// `A`, n x p.
    pub operator: &'a dyn AdjointOp<f64>,
    /// Targets, n x K, row-major.
    pub targets: &'a [f64],
    /// Weights of the examples, n; `None` for ones.
    pub weights: Option<&'a [f64]>,
}

impl<'a> LinearModel<'a> {
    /// Of an operator `A : n x p` and targets `n x K`, row-major, all examples alike.
    #[must_use]
    pub fn new(operator: &'a dyn AdjointOp<f64>, targets: &'a [f64]) -> Self {
        Self { operator, targets, weights: None }
    }

    /// This model with weights of the examples, n positive numbers.
    #[must_use]
    pub fn weights(self, weights: &'a [f64]) -> Self {
        Self { weights: Some(weights), ..self }
    }
}

impl fmt::Debug for LinearModel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = (self.operator.nrows(), self.operator.ncols());
        f.debug_struct("LinearModel").field("operator", &shape).finish_non_exhaustive()
    }
}

/// A fit of a linear model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LinearFit {
    /// `B`, p x K.
    pub weights: Mat<f64>,
    /// `A B`, n x K, row-major.
    pub outputs: Vec<f64>,
    /// `sum over i of w_i l(f_i, y_i) + mu |B|^2 / 2`.
    pub objective: f64,
    /// The norm of its gradient with respect to `B`.
    pub gradient: f64,
    /// What the objective exceeds its minimum by, at most: `gradient^2 / (2 mu)`.
    pub gap: f64,
    /// Newton steps.
    pub steps: usize,
    /// Iterations of conjugate gradients in all steps.
    pub inner_iterations: usize,
    /// How the fit ended: [`Ending::Converged`], or [`Ending::Stagnated`] where rounding allows no more.
    pub ending: Ending,
}

/// Minimises `sum over i of w_i l(f_i, y_i) + mu |B|^2 / 2` with `F = A B` by Newton's method, each step by
/// conjugate gradients, until the gradient is at most `tolerance` times that at `B = 0`.
///
/// Takes two applications of `A` and its adjoint for each inner iteration, and some vectors of length nK;
/// nothing of size p x p or n x n.
///
/// # Errors
/// [`TrainError::Shape`] for operands that do not fit together, [`TrainError::NonFinite`],
/// [`TrainError::Target`] and [`TrainError::Option`] for targets, weights and parameters out of range.
///
/// # Examples
/// ```
/// use faer::mat;
/// use nearlin::{LinearModel, Loss, fit_linear};
///
/// // The median of five numbers, whatever the outlier.
/// let ones = mat![[1.0], [1.0], [1.0], [1.0], [1.0]];
/// let targets = [1.0, 2.0, 3.0, 4.0, 1000.0];
/// let loss = Loss::Pinball { level: 0.5, width: 1e-4 };
/// let fit = fit_linear(&LinearModel::new(&ones, &targets), loss, 1e-9, 1e-9)?;
/// assert!((fit.weights[(0, 0)] - 3.0).abs() < 1e-3);
/// # Ok::<(), nearlin::TrainError>(())
/// ```
pub fn fit_linear(
    model: &LinearModel<'_>,
    loss: Loss,
    ridge: f64,
    tolerance: f64,
) -> Result<LinearFit, TrainError> {
    let (n, p) = (model.operator.nrows(), model.operator.ncols());
    let k = model.targets.len() / n.max(1);
    if n * p * k == 0 {
        return Err(TrainError::Empty { rows: n, inputs: p, outputs: k });
    }
    if model.targets.len() != n * k {
        let got = model.targets.len();
        return Err(TrainError::Shape { what: "targets", got, rows: n, cols: k });
    }
    if let Some(at) = model.targets.iter().position(|y| !y.is_finite()) {
        let value = model.targets[at];
        return Err(TrainError::NonFinite { what: "targets", row: at / k, col: at % k, value });
    }
    let fail = |name, value, expected| Err(TrainError::Option { name, value, expected });
    if !(ridge > 0.0 && ridge.is_finite()) {
        return fail("ridge", ridge, "a positive finite number");
    }
    if !(tolerance > 0.0 && tolerance.is_finite()) {
        return fail("tolerance", tolerance, "a positive finite number");
    }
    if let Some(weights) = model.weights {
        check_weights(weights, n)?;
    }
    loss.check(model.targets, k)?;

    let gram = Normal { operator: model.operator, outputs: k };
    let zero = vec![0.0; n * k];
    let problem = Problem {
        gram: &gram,
        precond: &Identity { dim: n * k },
        blocks: None,
        base: &zero,
        targets: model.targets,
        weights: model.weights,
        outputs: k,
        loss,
        ridge,
        max_inner: 20 * (n * k).min(p * k) + 100,
        par: Par::Seq,
    };
    let first = gram.adjoint(&problem.slopes(&zero)).norm_l2();
    let mut watch = |_: &Event<'_>| ControlFlow::Continue(());
    let found = problem.minimise(&zero, tolerance * first, &mut watch)?;
    Ok(LinearFit {
        weights: gram.adjoint(&found.multipliers),
        outputs: found.outputs,
        objective: found.objective,
        gradient: found.gradient,
        gap: 0.5 * found.gradient * found.gradient / ridge,
        steps: found.steps,
        inner_iterations: found.inner_iterations,
        ending: found.ending,
    })
}

/// `A A^T` on each of `K` outputs, as a map of `R^(nK)`.
struct Normal<'a> {
    operator: &'a dyn AdjointOp<f64>,
    outputs: usize,
}

impl Normal<'_> {
    /// `A^T U` for `u : nK`, row-major.
    fn adjoint(&self, u: &[f64]) -> Mat<f64> {
        let (n, p, k) = (self.operator.nrows(), self.operator.ncols(), self.outputs);
        let mut b = Mat::zeros(p, k);
        let u = MatRef::from_row_major_slice(u, n, k).to_owned();
        let mut scratch = MemBuffer::new(self.operator.apply_adjoint_scratch(k, Par::Seq));
        let stack = MemStack::new(&mut scratch);
        self.operator.apply_adjoint(b.as_mut(), u.as_ref(), Par::Seq, stack);
        b
    }
}

impl LinOp<f64> for Normal<'_> {
    fn nrows(&self) -> usize {
        self.operator.nrows() * self.outputs
    }

    fn ncols(&self) -> usize {
        self.nrows()
    }

    fn apply_scratch(&self, _: usize, par: Par) -> StackReq {
        self.operator.apply_scratch(self.outputs, par)
    }

    fn apply(&self, mut y: MatMut<'_, f64>, x: MatRef<'_, f64>, par: Par, stack: &mut MemStack) {
        let (n, k) = (self.operator.nrows(), self.outputs);
        for j in 0..x.ncols() {
            let x: Vec<f64> = x.col(j).iter().copied().collect();
            let mut f = Mat::zeros(n, k);
            self.operator.apply(f.as_mut(), self.adjoint(&x).as_ref(), par, stack);
            let y = y.as_mut().col_mut(j).iter_mut();
            y.enumerate().for_each(|(at, y)| *y = f[(at / k, at % k)]);
        }
    }
}
