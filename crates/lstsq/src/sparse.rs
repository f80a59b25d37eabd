//! faer's sparse matrices, behind feature `sparse`.

use faer::sparse::{SparseColMat, SparseColMatRef, SparseRowMat, SparseRowMatRef};
use faer::{Index, MatMut, Par};
use nearlin_sketch::{SketchError, SparseSign};

use crate::Matrix;
use crate::matrix::Scalar;

macro_rules! matrix {
    ($kind:ident, $sketch:ident, $adjoint:ident) => {
        impl<I: Index, T: Scalar> Matrix<T> for $kind<'_, I, T> {
            fn entries(&self) -> f64 {
                self.compute_nnz() as f64
            }

            fn sketch(
                &self,
                out: MatMut<'_, T>,
                sketch: &SparseSign,
                scales: Option<&[T]>,
                par: Par,
            ) -> Result<(), SketchError> {
                sketch.$sketch(out, *self, scales, par)
            }

            fn sketch_adjoint(
                &self,
                out: MatMut<'_, T>,
                sketch: &SparseSign,
                par: Par,
            ) -> Result<(), SketchError> {
                sketch.$adjoint(out, self.transpose(), None, par)
            }
        }
    };
}

matrix!(SparseRowMatRef, apply_csr, apply_csc);
matrix!(SparseColMatRef, apply_csc, apply_csr);

macro_rules! owned {
    ($kind:ident) => {
        impl<I: Index, T: Scalar> Matrix<T> for $kind<I, T> {
            fn entries(&self) -> f64 {
                self.as_ref().entries()
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
    };
}

owned!(SparseRowMat);
owned!(SparseColMat);
