//! Matrices that can be multiplied and sketched.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_krylov::AdjointOp;
use nearlin_sketch::{Scalar as SketchScalar, Sketch, SketchError, SparseSign};

/// The scalars of a solve: `f32` and `f64`.
pub trait Scalar: SketchScalar + nearlin_krylov::Scalar {}

impl<T: SketchScalar + nearlin_krylov::Scalar> Scalar for T {}

/// Rows that are scaled at a time.
const ROWS: usize = 4096;

/// `out <- diag(scales) out`, where there are scales.
pub(crate) fn scale_rows<T: Scalar>(out: MatMut<'_, T>, scales: Option<&[T]>) {
    if let Some(scales) = scales {
        for column in out.col_iter_mut() {
            column.iter_mut().zip(scales).for_each(|(v, &scale)| *v *= scale);
        }
    }
}

/// A matrix `A : m x n` that can be multiplied and sketched.
pub trait Matrix<T: Scalar>: AdjointOp<T> {
    /// Entries that a product reads: what a pass costs.
    fn entries(&self) -> f64 {
        self.nrows() as f64 * self.ncols() as f64
    }

    /// `out <- diag(scales) A`, with one scale a row or none.
    ///
    /// Products with the unit vectors here, which cannot tell where an entry is that is not finite.
    fn write(&self, mut out: MatMut<'_, T>, scales: Option<&[T]>, par: Par) {
        let identity = Mat::<T>::identity(self.ncols(), self.ncols());
        let mut buffer = MemBuffer::new(self.apply_scratch(self.ncols(), par));
        self.apply(out.as_mut(), identity.as_ref(), par, MemStack::new(&mut buffer));
        scale_rows(out, scales);
    }

    /// `out <- S diag(scales) A`, with `S : s x m`, one scale a row or none, and `out : s x n`.
    ///
    /// # Errors
    /// [`SketchError`] if operands do not fit.
    fn sketch(
        &self,
        out: MatMut<'_, T>,
        sketch: &SparseSign,
        scales: Option<&[T]>,
        par: Par,
    ) -> Result<(), SketchError>;

    /// `out <- S A*`, with `S : s x n` and `out : s x m`.
    ///
    /// # Errors
    /// [`SketchError`] if operands do not fit.
    fn sketch_adjoint(
        &self,
        out: MatMut<'_, T>,
        sketch: &SparseSign,
        par: Par,
    ) -> Result<(), SketchError>;
}

impl<T: Scalar> Matrix<T> for MatRef<'_, T> {
    fn write(&self, mut out: MatMut<'_, T>, scales: Option<&[T]>, _: Par) {
        out.copy_from(*self);
        scale_rows(out, scales);
    }

    fn sketch(
        &self,
        mut out: MatMut<'_, T>,
        sketch: &SparseSign,
        scales: Option<&[T]>,
        par: Par,
    ) -> Result<(), SketchError> {
        let Some(scales) = scales else { return sketch.apply(out, *self, par) };
        let zero = <T as SketchScalar>::of(0.0);
        out.fill(zero);
        for (part, scales) in scales.chunks(ROWS).enumerate() {
            let block = self.subrows(part * ROWS, scales.len());
            let scaled =
                Mat::from_fn(block.nrows(), block.ncols(), |i, j| scales[i] * block[(i, j)]);
            sketch.accumulate(out.as_mut(), scaled.as_ref(), part * ROWS, par)?;
        }
        Ok(())
    }

    fn sketch_adjoint(
        &self,
        out: MatMut<'_, T>,
        sketch: &SparseSign,
        par: Par,
    ) -> Result<(), SketchError> {
        sketch.apply(out, self.transpose(), par)
    }
}

impl<T: Scalar> Matrix<T> for Mat<T> {
    fn write(&self, out: MatMut<'_, T>, scales: Option<&[T]>, par: Par) {
        self.as_ref().write(out, scales, par);
    }

    fn sketch(
        &self,
        out: MatMut<'_, T>,
        sketch: &SparseSign,
        scales: Option<&[T]>,
        par: Par,
    ) -> Result<(), SketchError> {
        self.as_ref().sketch(out, sketch, scales, par)
    }

    fn sketch_adjoint(
        &self,
        out: MatMut<'_, T>,
        sketch: &SparseSign,
        par: Par,
    ) -> Result<(), SketchError> {
        self.as_ref().sketch_adjoint(out, sketch, par)
    }
}
