//! What a sketch is.

use faer::{MatMut, MatRef, Par};

use crate::SketchError;

/// A random linear map `S : R^N -> R^s` that nearly keeps lengths.
///
/// Laws: `apply` is linear in `a`, gives the same bits for the same seed on any number of threads,
/// and `E |S x|^2 = |x|^2` over the seeds for every fixed `x`.
pub trait Sketch<T>: Sync {
    /// `N`, the length of the vectors that are sketched.
    fn input_dim(&self) -> usize;

    /// `s`, the embedding dimension.
    fn embedding_dim(&self) -> usize;

    /// `out <- S a`, with `a : N x k` and `out : s x k`; `out` may hold anything on entry.
    ///
    /// # Errors
    /// [`SketchError::Shape`] if an operand does not fit.
    fn apply(&self, out: MatMut<'_, T>, a: MatRef<'_, T>, par: Par) -> Result<(), SketchError>;
}

/// A sketch whose adjoint can be applied: `<S x, y> == <x, S^T y>` up to rounding.
pub trait AdjointSketch<T>: Sketch<T> {
    /// `out <- S^T y`, with `y : s x k` and `out : N x k`; `out` may hold anything on entry.
    ///
    /// # Errors
    /// [`SketchError::Shape`] if an operand does not fit.
    fn apply_adjoint(
        &self,
        out: MatMut<'_, T>,
        y: MatRef<'_, T>,
        par: Par,
    ) -> Result<(), SketchError>;
}
