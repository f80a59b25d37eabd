//! One fit: ridge regression with the arc-cosine kernel, its leave-one-out error and its gradients.

#[cfg(test)]
mod tests;

use core::f64::consts::PI;

use faer::{Mat, MatRef, Par};
use nearlin_dense::{clear_upper, mirror_lower, symmetric_product};

use super::Metric;
use super::score::Score;
use crate::ridge::product;
use crate::ridge::search::{Room, Solved, mean_diagonal};
use crate::vector::norm;
use crate::{Equations, TrainError};

/// Examples to judge metrics by.
#[derive(Debug)]
pub(super) struct Sample {
    /// n x (p + 1).
    pub(super) x: Vec<f64>,
    /// n x K, row-major.
    pub(super) y: Vec<f64>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) par: Par,
}

/// The examples in some metric.
pub(super) struct Mapped<'a> {
    of: &'a Sample,
    metric: Metric,
    /// Rows of length 1, n x (p + 1).
    unit: Mat<f64>,
    /// `|x_i|`, n.
    lengths: Vec<f64>,
    /// `unit unit^T`, lower triangle.
    cosines: Mat<f64>,
    /// The kernel, lower triangle.
    kernel: Mat<f64>,
    par: Par,
}

/// A fit with one ridge.
pub(super) struct Fit {
    /// By leave-one-out.
    pub(super) score: Score,
    /// `(K + mu I)^-1 y`, n x K.
    multipliers: Mat<f64>,
}

/// `(pi - acos t) / 2 pi`, the probability that a neuron is active for both of two inputs.
fn common(t: f64) -> f64 {
    0.5 - t.clamp(-1.0, 1.0).acos() / (2.0 * PI)
}

impl Sample {
    pub(super) fn new(equations: &Equations, par: Par) -> Self {
        let (n, d) = (equations.rows(), equations.inputs());
        Self {
            x: (0..n * d).map(|at| equations.x()[(at / d, at % d)]).collect(),
            y: equations.y().to_vec(),
            inputs: d,
            outputs: equations.outputs(),
            par,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.x.len() / self.inputs
    }

    /// `(sum w_i^2) / (sum w_i)` for the weights `w_i`, the squared lengths: what a weight is divided by to count
    /// examples (Kish, *Survey sampling*, 1965).
    pub(super) fn unit_weight(&self) -> f64 {
        let squares = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
        let weights = || self.x.chunks_exact(self.inputs).map(squares);
        let (sum, squared) = (weights().sum::<f64>(), weights().map(|w| w * w).sum::<f64>());
        if sum > 0.0 { squared / sum } else { 1.0 }
    }

    /// The kernel of the examples in a metric: `n^2 d` flops and as many arc cosines as pairs.
    pub(super) fn mapped(&self, metric: Metric) -> Mapped<'_> {
        let (n, d, par) = (self.rows(), self.inputs, self.par);
        let mut x = self.x.clone();
        metric.apply(&mut x);
        let lengths: Vec<f64> = x.chunks_exact(d).map(norm).collect();
        let unit =
            Mat::from_fn(
                n,
                d,
                |i, q| if lengths[i] > 0.0 { x[i * d + q] / lengths[i] } else { 0.0 },
            );
        let cosines = symmetric_product(unit.as_ref(), par);
        let mut kernel = Mat::zeros(n, n);
        nearlin_dense::for_each_col_chunk(kernel.as_mut(), 16, par, |first, mut columns| {
            for c in 0..columns.ncols() {
                let j = first + c;
                for i in j..n {
                    let t: f64 = if i == j { 1.0 } else { cosines[(i, j)] };
                    columns[(i, c)] = lengths[i] * lengths[j] * t * common(t);
                }
            }
        });
        Mapped { of: self, metric, unit, lengths, cosines, kernel, par }
    }
}

impl Mapped<'_> {
    /// The metric.
    pub(super) fn metric(&self) -> &Metric {
        &self.metric
    }

    /// Threads.
    pub(super) fn par(&self) -> Par {
        self.par
    }

    /// Examples.
    pub(super) fn rows(&self) -> usize {
        self.lengths.len()
    }

    /// A unit for ridges.
    pub(super) fn unit(&self) -> f64 {
        mean_diagonal(&self.kernel)
    }

    /// Fits with the ridge `mu`: a factorisation and the inverse of its factor, `2 n^3 / 3` flops; `None` where
    /// the matrix is not positive definite.
    pub(super) fn fit(&self, mu: f64, room: &mut Room) -> Result<Option<Fit>, TrainError> {
        let (n, k) = (self.lengths.len(), self.of.outputs);
        let y = MatRef::from_row_major_slice(&self.of.y, n, k);
        let Some(solved) = Solved::new(&self.kernel, mu, y, room, self.par)? else {
            return Ok(None);
        };
        let unit = self.of.unit_weight();
        let size = self.of.y.iter().map(|y| y * y).sum();
        let mut score = Score { size, ..Score::default() };
        for i in 0..n {
            let left_out = solved.left_out(i);
            score.squares.push(left_out.iter().map(|r| r * r).sum());
            let wrong = self.misclassified(i, &left_out);
            score.wrong.push(if wrong { self.lengths[i].powi(2) / unit } else { 0.0 });
        }
        Ok(Some(Fit { score, multipliers: solved.multipliers }))
    }

    /// Whether example `i` with the residuals `y - f` is taken for another class than its own. With targets
    /// `w (e_class - centre)` for the length `w` of the input, `f / w + centre = e_class - residual / w`.
    fn misclassified(&self, i: usize, residuals: &[f64]) -> bool {
        let k = residuals.len();
        let class = largest(&self.of.y[i * k..(i + 1) * k]);
        let (own, others) = (self.lengths[i] - residuals[class], residuals.iter().enumerate());
        others.filter(|&(c, _)| c != class).any(|(_, residual)| -residual >= own)
    }

    /// The mean over the examples and the sum over the outputs of `grad f(s) grad f(s)^T`, p x p, where `s` are
    /// the inputs before the metric.
    ///
    /// With `x = M [s; 1]` and `u = x / |x|` the fit is `f(s) = sum over j of c_j t_j common(t_j)`, `t_j = u . u_j`,
    /// whose gradient in `x` is `sum over j of c_j k'(t_j) (u_j - t_j u) / |x|`. Takes `2 n^2 p K` flops.
    pub(super) fn gradients(&self, fit: &Fit) -> Mat<f64> {
        let (n, d, k) = (self.lengths.len(), self.of.inputs, self.of.outputs);
        clear_upper();
        let mut slopes =
            Mat::from_fn(n, n, |i, j| if i > j { slope(self.cosines[(i, j)]) } else { 0.0 });
        let mut along =
            Mat::from_fn(
                n,
                n,
                |i, j| if i > j { slopes[(i, j)] * self.cosines[(i, j)] } else { 0.0 },
            );
        mirror_lower(slopes.as_mut());
        mirror_lower(along.as_mut());
        let weights = Mat::from_fn(n, k, |j, c| fit.multipliers[(j, c)] * self.lengths[j]);
        let terms = Mat::from_fn(n, d * k, |j, at| weights[(j, at / d)] * self.unit[(j, at % d)]);
        let mut sums = product(slopes.as_ref(), terms.as_ref(), self.par);
        let along = product(along.as_ref(), weights.as_ref(), self.par);

        for c in 0..k {
            for q in 0..d {
                for i in 0..n {
                    sums[(i, c * d + q)] -= along[(i, c)] * self.unit[(i, q)];
                }
            }
        }
        outer_product(sums, self.unit.as_ref(), &self.lengths, &self.metric, self.par)
    }
}

/// The mean over examples, weighted by their squared `lengths`, and the sum over outputs of `grad f(s) grad f(s)^T`,
/// p x p: from `gradients : n x (d K)` at the rows `unit : n x d` of length 1 that a metric mapped inputs to, each
/// orthogonal to its row, as `f` does not depend on a length. Takes `2 n p^2 K` flops.
pub(super) fn outer_product(
    mut gradients: Mat<f64>,
    unit: MatRef<'_, f64>,
    lengths: &[f64],
    metric: &Metric,
    par: Par,
) -> Mat<f64> {
    let (n, d) = (unit.nrows(), unit.ncols());
    // 1 / |x| for s: the bias of a row of length 1 is 1 / |[s; 1]|, in the metric bias / |M [s; 1]|.
    let weight: f64 = lengths.iter().map(|w| w * w).sum();
    let scales: Vec<f64> =
        (0..n).map(|i| unit[(i, d - 1)] / metric.bias() * lengths[i] / weight.sqrt()).collect();
    for column in gradients.col_iter_mut() {
        column.iter_mut().zip(&scales).for_each(|(gradient, scale)| *gradient *= scale);
    }
    let p = d - 1;
    let mut outer = Mat::zeros(p, p);
    for first in (0..gradients.ncols()).step_by(d) {
        let gradients = gradients.as_ref().subcols(first, p);
        outer += product(gradients.transpose(), gradients, par);
    }
    let map = metric.matrix();
    let half = product(map.as_ref().transpose(), outer.as_ref(), par);
    product(half.as_ref(), map.as_ref(), par)
}

/// The index of the largest, 0 of none.
fn largest(x: &[f64]) -> usize {
    (0..x.len()).fold(0, |best, at| if x[at] > x[best] { at } else { best })
}

/// The derivative of `t common(t)`, without its pole at 1, where it meets a vector of length 0.
fn slope(t: f64) -> f64 {
    let sine = (1.0 - t * t).max(0.0).sqrt();
    common(t) + if sine > 1e-7 { t / (2.0 * PI * sine) } else { 0.0 }
}
