//! The forward pass: outputs, activation masks and kinks in one sweep.
//!
//! With `z0 = w0_r . x`, `delta = u_r . x` and `z = z0 + delta` a neuron contributes
//! `relu(z) - relu(z0)`: `delta` where both are active, `z` or `-z0` where the sign flipped, else
//! 0. Each is of the size of `delta`, so nothing cancels, and the terms `relu(z0)` that were
//! dropped cancel exactly between the neurons of a pair.

use faer::{MatMut, MatRef, Par};
use nearlin_dense::{PackedMask, Rectified, rectified_apply};

use crate::error::check_shape;
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
    /// buffer per thread.
    ///
    /// # Errors
    /// [`ReluError::Shape`] if `x` has not `d` columns.
    ///
    /// # Accuracy
    /// Outputs err by `O(d + m) eps m^(-1/2) sum over r of |u_r| |x|`, whatever the scale of `W_0`.
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
        let y = MatMut::from_row_major_slice_mut(&mut outputs, n, k);
        let (mask, flips) =
            rectified_apply(y, of, self.normalisation(), par).map_err(ReluError::from_dense)?;
        Ok(Forward { outputs, mask, flips })
    }
}
