//! The operands that the products of a masked layer share.

use faer::MatRef;

use crate::error::check_shape;
use crate::{DenseError, PackedMask, Real};

/// What the products of one layer share.
#[derive(Clone, Copy)]
pub(crate) struct Layer<'a, T> {
    pub(crate) mask: &'a PackedMask,
    /// n x d.
    pub(crate) x: MatRef<'a, T>,
    /// `a`, m x K.
    pub(crate) signs: MatRef<'a, T>,
    pub(crate) alpha: T,
}

impl<'a, T: Real> Layer<'a, T> {
    /// Of `mask : n x m`, `x : n x d` and `signs : m x K`.
    pub(crate) fn new(
        mask: &'a PackedMask,
        x: MatRef<'a, T>,
        signs: MatRef<'a, T>,
        alpha: T,
    ) -> Result<Self, DenseError> {
        let (n, m) = (mask.nrows(), mask.width());
        check_shape("input matrix", (x.nrows(), x.ncols()), (n, x.ncols()))?;
        check_shape("output weights", (signs.nrows(), signs.ncols()), (m, signs.ncols()))?;
        Ok(Self { mask, x, signs, alpha })
    }

    /// Whether `a` is m x d, as the vector of the layer.
    pub(crate) fn check_vector(&self, a: MatRef<'_, T>) -> Result<(), DenseError> {
        let expected = (self.mask.width(), self.x.ncols());
        check_shape("layer vector", (a.nrows(), a.ncols()), expected)
    }

    /// Whether `a` is n x K, as what is named.
    pub(crate) fn check_outputs(
        &self,
        what: &'static str,
        a: MatRef<'_, T>,
    ) -> Result<(), DenseError> {
        let expected = (self.mask.nrows(), self.signs.ncols());
        check_shape(what, (a.nrows(), a.ncols()), expected)
    }

    /// Whether its products are empty sums, or there is nothing to sum them to.
    pub(crate) fn is_empty(&self) -> bool {
        let shape = [self.mask.nrows(), self.mask.width(), self.x.ncols(), self.signs.ncols()];
        shape.contains(&0)
    }
}
