//! The Jacobian of the outputs in the weights, as an operator.

use faer::{MatMut, MatRef, Par};
use nearlin_dense::{PackedMask, Real, masked_adjoint, masked_apply, masked_gram_apply};

use crate::shared::Shared;
use crate::{Activations, ReluError};

/// `J : nK x md`, never formed: row `(i, k)` is `m^(-1/2) (a_k o M_i) kron x_i`.
///
/// In `f32` or `f64`, independent of the network's own precision: the operator needs only the
/// masks, the inputs and the signs.
#[derive(Clone, Copy, Debug)]
pub struct Jacobian<'a, T> {
    mask: &'a PackedMask,
    shared: Option<&'a Shared>,
    x: MatRef<'a, T>,
    signs: MatRef<'a, T>,
}

impl<'a, T: Real> Jacobian<'a, T> {
    /// The Jacobian at the weights whose activation mask is `mask : n x m`, for inputs `x : n x d`
    /// and output signs `signs : m x K`.
    ///
    /// # Errors
    /// [`ReluError::Shape`] if they do not fit together.
    pub fn new(
        mask: &'a PackedMask,
        x: MatRef<'a, T>,
        signs: MatRef<'a, T>,
    ) -> Result<Self, ReluError> {
        let (n, m) = (mask.nrows(), mask.width());
        crate::error::check_shape("input matrix", (x.nrows(), x.ncols()), (n, x.ncols()))?;
        crate::error::check_shape(
            "output signs",
            (signs.nrows(), signs.ncols()),
            (m, signs.ncols()),
        )?;
        Ok(Self { mask, shared: None, x, signs })
    }

    /// As [`new`](Self::new), with passes that use what the neurons of `active` share.
    ///
    /// # Errors
    /// [`ReluError::Shape`] if the operands do not fit together.
    pub fn at(
        active: &'a Activations,
        x: MatRef<'a, T>,
        signs: MatRef<'a, T>,
    ) -> Result<Self, ReluError> {
        Ok(Self { shared: active.shared(), ..Self::new(active.mask(), x, signs)? })
    }

    /// The Jacobian of output `k` alone, `n x md`.
    ///
    /// # Panics
    /// If `k` is out of range.
    #[must_use]
    pub fn of_output(self, k: usize) -> Self {
        Self { signs: self.signs.subcols(k, 1), ..self }
    }

    /// Examples `n`.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.mask.nrows()
    }

    /// Neurons `m`.
    #[must_use]
    pub fn width(&self) -> usize {
        self.mask.width()
    }

    /// Inputs `d`.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.x.ncols()
    }

    /// Outputs `K`.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.signs.ncols()
    }

    /// The activation mask, n x m.
    #[must_use]
    pub fn mask(&self) -> &'a PackedMask {
        self.mask
    }

    /// The inputs, n x d.
    #[must_use]
    pub fn x(&self) -> MatRef<'a, T> {
        self.x
    }

    /// The output signs, m x K.
    #[must_use]
    pub fn signs(&self) -> MatRef<'a, T> {
        self.signs
    }

    /// `y <- J v`, with `v : m x d` and `y : n x K`, in `2 n m (d + K)` flops (`2 n m d` for one
    /// output).
    ///
    /// # Errors
    /// [`ReluError::Shape`] if an operand does not fit.
    pub fn apply(&self, y: MatMut<'_, T>, v: MatRef<'_, T>, par: Par) -> Result<(), ReluError> {
        if let Some(shared) = self.shared {
            fits("layer vector", v, (self.width(), self.inputs()))?;
            fits("output", y.as_ref(), (self.examples(), self.outputs()))?;
            shared.apply(y, self.x, v, self.signs, self.scale(), par);
            return Ok(());
        }
        masked_apply(y, self.mask, self.x, v, self.signs, self.scale(), par)
            .map_err(ReluError::from_dense)
    }

    /// `v <- J^T u`, with `u : n x K` and `v : m x d`, at the cost of [`apply`](Self::apply).
    ///
    /// # Errors
    /// [`ReluError::Shape`] if an operand does not fit.
    pub fn apply_adjoint(
        &self,
        v: MatMut<'_, T>,
        u: MatRef<'_, T>,
        par: Par,
    ) -> Result<(), ReluError> {
        if let Some(shared) = self.shared {
            fits("layer vector", v.as_ref(), (self.width(), self.inputs()))?;
            fits("residual", u, (self.examples(), self.outputs()))?;
            shared.adjoint(v, self.x, u, self.signs, self.scale(), par);
            return Ok(());
        }
        masked_adjoint(v, self.mask, self.x, u, self.signs, self.scale(), par)
            .map_err(ReluError::from_dense)
    }

    /// Shape of the scratch of [`apply_gram`](Self::apply_gram): m x d where neurons share directions, and
    /// nothing elsewhere.
    #[must_use]
    pub fn gram_scratch(&self) -> (usize, usize) {
        if self.shared.is_some() {
            return (self.width(), self.inputs());
        }
        (0, 0)
    }

    /// `y <- J J^T u`, with `y, u : n x K`, at the cost of both products: in one sweep over the neurons,
    /// but through `scratch` where they share directions.
    ///
    /// # Errors
    /// [`ReluError::Shape`] if an operand does not fit.
    pub fn apply_gram(
        &self,
        y: MatMut<'_, T>,
        u: MatRef<'_, T>,
        mut scratch: MatMut<'_, T>,
        par: Par,
    ) -> Result<(), ReluError> {
        if self.shared.is_some() {
            self.apply_adjoint(scratch.as_mut(), u, par)?;
            return self.apply(y, scratch.as_ref(), par);
        }
        masked_gram_apply(y, self.mask, self.x, u, self.signs, self.scale(), par)
            .map_err(ReluError::from_dense)
    }

    /// Column `i` of `J^T` for output `k` without the factor `x_i`: `m^(-1/2) (a_k o M_i)`, in the
    /// first `m` entries of `out`.
    ///
    /// # Panics
    /// If `i`, `k` or the length of `out` is out of range.
    pub fn activations(&self, out: &mut [T], i: usize, k: usize) {
        let scale = self.scale();
        let signs = self.signs.col(k);
        let (zero, row) = (T::of(0.0), self.mask.row(i));
        for (r, (value, sign)) in out[..self.width()].iter_mut().zip(signs.iter()).enumerate() {
            *value = if row[r / 64] >> (r % 64) & 1 == 1 { *sign * scale } else { zero };
        }
    }

    fn scale(&self) -> T {
        T::of(1.0 / (self.width() as f64).sqrt())
    }
}

/// Whether `a` has the shape that is expected of `what`.
fn fits<T>(
    what: &'static str,
    a: MatRef<'_, T>,
    expected: (usize, usize),
) -> Result<(), ReluError> {
    crate::error::check_shape(what, (a.nrows(), a.ncols()), expected)
}
