//! Gradients of the outputs in the inputs.

use core::f64::consts::FRAC_1_SQRT_2;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use nearlin_dense::{fixed_par, for_each_col_chunk};

use crate::error::check_shape;
use crate::{Network, ReluError};

/// Neurons at a time: few columns of activations stay in a cache, and products are long enough for the multiplication
/// to be fast.
const NEURONS: usize = 512;

impl Network {
    /// The gradients of the outputs in the inputs, n x (d K), their mean over inputs `x + e` with `e ~ N(0, sigma^2 I)`:
    /// output `c` of example `i` has `m^(-1/2) sum over r of a_rc P(w_r . (x_i + e) > 0) w_r` in row `i`, columns
    /// `c d` to `(c + 1) d`. A `sigma` of 0 gives the gradients at `x`, with those of the inactive side at a kink.
    ///
    /// In a network near its start only few kinks make a gradient what it is, those that one neuron of a pair has
    /// crossed and the other has not: without smoothing, gradients of networks of finite width are noise, of relative
    /// size `(s^2 / m)^(1/4)` at a scale `s` of `W_0`. With it all `sigma d^(1/2) m` neurons whose kinks are near take
    /// part.
    ///
    /// Takes `2 n m d (K + 1)` flops, as many normal probabilities as there are masks, and `512 (n + d K)` numbers
    /// beside the result.
    ///
    /// # Errors
    /// [`ReluError::Shape`] if `x : n x d` has not `d` columns.
    ///
    /// # Accuracy
    /// Unlike outputs these do not keep initial weights and their change apart: they err by some `m^(1/2) eps |w_r|`.
    ///
    /// # Examples
    /// ```
    /// use faer::{Mat, Par};
    /// use nearlin_relu::{Init, Signs};
    ///
    /// let mut network =
    ///     Init { inputs: 2, outputs: 1, width: 8, seed: 1, signs: Signs::Random }.network(1.0)?;
    /// network.change_mut().iter_mut().zip(1..).for_each(|(w, at)| *w = 0.01 * f64::from(at));
    /// let x = Mat::from_fn(1, 2, |_, q| 1.0 + q as f64);
    /// let g = network.input_gradients(x.as_ref(), 0.0, Par::Seq)?;
    /// // Outputs are homogeneous: f(x) = grad f(x) . x.
    /// let f = network.forward(x.as_ref(), Par::Seq)?.outputs[0];
    /// assert!((g[(0, 0)] + 2.0 * g[(0, 1)] - f).abs() < 1e-12);
    /// # Ok::<(), nearlin_relu::ReluError>(())
    /// ```
    pub fn input_gradients(
        &self,
        x: MatRef<'_, f64>,
        sigma: f64,
        par: Par,
    ) -> Result<Mat<f64>, ReluError> {
        let (n, m, d, k) = (x.nrows(), self.width(), self.inputs(), self.outputs());
        check_shape("input matrix", (n, x.ncols()), (n, d))?;
        let (directions, alpha) = (self.directions(), self.normalisation());
        let change = MatRef::from_row_major_slice(self.change(), m, d);
        let mut gradients = Mat::zeros(n, d * k);
        for first in (0..m).step_by(NEURONS) {
            let count = NEURONS.min(m - first);
            let weights = Mat::from_fn(d, count, |q, c| {
                let r = first + c;
                directions[(r % directions.nrows(), q)] + change[(r, q)]
            });
            let mut active = Mat::zeros(n, count);
            matmul(active.as_mut(), Accum::Replace, x, &weights, 1.0, fixed_par(par));
            for_each_col_chunk(active.as_mut(), 16, par, |from, mut columns| {
                for c in 0..columns.ncols() {
                    let spread = sigma * weights.col(from + c).norm_l2();
                    columns
                        .as_mut()
                        .col_mut(c)
                        .iter_mut()
                        .for_each(|z| *z = probability(*z, spread));
                }
            });
            let signed = Mat::from_fn(count, d * k, |c, at| {
                alpha * self.signs()[(first + c) * k + at / d] * weights[(at % d, c)]
            });
            matmul(gradients.as_mut(), Accum::Add, &active, &signed, 1.0, fixed_par(par));
        }
        Ok(gradients)
    }
}

/// The probability that `z` and normal noise of that standard deviation are above 0.
fn probability(z: f64, spread: f64) -> f64 {
    if spread > 0.0 {
        0.5 * libm::erfc(-FRAC_1_SQRT_2 * z / spread)
    } else {
        f64::from(u8::from(z > 0.0))
    }
}
