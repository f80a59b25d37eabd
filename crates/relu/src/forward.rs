//! The forward pass: outputs, activation masks and kinks in one sweep.
//!
//! With `z0 = w0_r . x`, `delta = u_r . x` and `z = z0 + delta` a neuron contributes
//! `relu(z) - relu(z0)`: `delta` where both are active, `z` or `-z0` where the sign flipped, else
//! 0. Each is of the size of `delta`, so nothing cancels, and the terms `relu(z0)` that were
//! dropped cancel exactly between the neurons of a pair.
//!
//! Where few signs can have flipped, the sum is that of `delta` over the mask of the directions, a product
//! with the Jacobian, and one term for each entry that did flip; see [`screened_signs`]. Where more have, so that the
//! change is no longer small beside the directions, it is the product of the Jacobian with the weights themselves, as
//! `relu` is homogeneous: `f(W) = J(W) W`.

use faer::{MatMut, MatRef, Par};
use nearlin_dense::{
    MaskFlips, PackedMask, Rectified, Screened, masked_apply, rectified_apply, screened_signs,
};

use crate::error::check_shape;
use crate::shared::{DIRECTIONS, apply_base};
use crate::{Network, ReluError};

/// What a forward pass gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// `f(W, x_i)`, n x K, row-major.
    pub outputs: Vec<f64>,
    /// `[w_r . x_i > 0]`, n x m.
    pub mask: PackedMask,
    /// Kinks that each example has crossed, n: entries in which the mask differs from that of the
    /// initial directions, `[w0_r . x_i > 0]`.
    pub flips: Vec<u32>,
}

impl Forward {
    /// Kinks that all examples have crossed.
    #[must_use]
    pub fn flipped(&self) -> u64 {
        self.flips.iter().map(|&flips| u64::from(flips)).sum()
    }
}

impl Network {
    /// Outputs, masks and kinks at `x : n x d`, in `2 n m d (1 + 1 / copies) + 2 n m K` flops and a fixed
    /// buffer per thread; where few kinks can have been crossed, in `2 n m d / copies` flops in single
    /// precision and one product with a Jacobian; with one output or few rows of signs, where many have, in
    /// `2 n m d (1 + 1 / copies)` in single precision or in 16 bits, one product with a Jacobian and a copy of the weights.
    ///
    /// # Errors
    /// [`ReluError::Shape`] if `x` has not `d` columns.
    ///
    /// # Accuracy
    /// Outputs err by `O(d + m) eps m^(-1/2) sum over r of |u_r| |x|`, whatever the scale of `W_0`; with `|w_r|` in
    /// place of `|u_r|` in the last of these ways, which is taken where the `|u_r|` are a 64th of the `|w_0r|` or more on average.
    pub fn forward(&self, x: MatRef<'_, f64>, par: Par) -> Result<Forward, ReluError> {
        let (n, k) = (x.nrows(), self.outputs());
        check_shape("input matrix", (n, x.ncols()), (n, self.inputs()))?;
        let mut outputs = vec![0.0; n * k];
        let (m, d) = (self.width(), self.inputs());
        let of = Rectified {
            x,
            directions: self.directions(),
            change: MatRef::from_row_major_slice(self.change(), m, d),
            signs: MatRef::from_row_major_slice(self.signs(), m, k),
        };
        let mut y = MatMut::from_row_major_slice_mut(&mut outputs, n, k);
        let alpha = self.normalisation();
        if self.may_be_screened(n)
            && let Some(screened) = screened_signs(of, par).map_err(ReluError::from_dense)?
        {
            let (mask, flips) = match screened {
                Screened::Few(few) => {
                    let base = (few.base(), self.copies());
                    apply_base(y.as_mut(), base, x, of.change, of.signs, alpha, par);
                    few.add_crossings(y, of.signs, alpha).map_err(ReluError::from_dense)?;
                    (few.mask(), few.counts())
                }
                Screened::Many(mask, flips) => {
                    let weights = self.weights();
                    let weights = MatRef::from_row_major_slice(&weights, m, d);
                    masked_apply(y, &mask, x, weights, of.signs, alpha, par)
                        .map_err(ReluError::from_dense)?;
                    (mask, flips)
                }
            };
            return Ok(Forward { outputs, mask, flips });
        }
        let (mask, flips) = rectified_apply(y, of, alpha, par).map_err(ReluError::from_dense)?;
        Ok(Forward { outputs, mask, flips })
    }

    /// `W`, m x d.
    fn weights(&self) -> Vec<f64> {
        let mut weights = self.initial_weights();
        weights.iter_mut().zip(self.change()).for_each(|(w, u)| *w += u);
        weights
    }

    /// Whether directions and crossings may be cheaper than a sweep over the neurons of `n` examples.
    fn may_be_screened(&self, n: usize) -> bool {
        let (d, k, m) = (self.inputs(), self.outputs(), self.width());
        let p = self.directions().nrows();
        // Passes through tables, some six of which cost as much as one through tiles; half of that is
        // spent on signs.
        n.min(p) >= DIRECTIONS && p.is_multiple_of(64) && p * d * k <= 3 * m * (d + k)
    }

    /// What the linear model at weights of mask `before` misses at this network, whose mask is `now`:
    /// `f(W) - f(W_b) - J(W_b) (W - W_b)`, n x K, from the entries `E` that flipped alone, whatever the
    /// other weights were:
    ///
    /// `e_ik = m^(-1/2) sum over r of E_ir a_rk w_r . x_i`,
    ///
    /// where each term is `a_rk |w_r . x_i|`. Takes `2 (d + K)` flops a flip and a copy of the weights.
    ///
    /// # Errors
    /// [`ReluError::Shape`] if an operand does not fit.
    pub fn linearisation_error(
        &self,
        x: MatRef<'_, f64>,
        (before, now): (&PackedMask, &PackedMask),
        par: Par,
    ) -> Result<Vec<f64>, ReluError> {
        let (n, d, m, k) = (x.nrows(), self.inputs(), self.width(), self.outputs());
        check_shape("input matrix", (n, x.ncols()), (n, d))?;
        for mask in [before, now] {
            check_shape("activation mask", (mask.nrows(), mask.width()), (n, m))?;
        }
        let weights = self.weights();
        let weights = MatRef::from_row_major_slice(&weights, m, d);
        let signs = MatRef::from_row_major_slice(self.signs(), m, k);
        let mut missed = vec![0.0; n * k];
        let target = MatMut::from_row_major_slice_mut(&mut missed, n, k);
        MaskFlips::between(before, now)
            .apply(target, x, weights, signs, self.normalisation(), par)
            .map_err(ReluError::from_dense)?;
        Ok(missed)
    }
}
