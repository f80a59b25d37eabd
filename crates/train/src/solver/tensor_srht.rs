//! The preconditioner from a `TensorSRHT`, which never touches a vector of length `m d`.

use faer::Par;
use nearlin_dense::Real;
use nearlin_relu::Jacobian;
use nearlin_sketch::TensorSrht;

use super::srht::{sketch_columns, triangular};
use super::{InnerSolver, SolverKind};
use crate::TrainError;
use crate::dual::Factor;
use crate::vector::Element;

/// `S J^T = Q R` for a `TensorSRHT` `S` of `sketch_rows` rows.
///
/// Column `i` of `J^T` is a Kronecker product `m^(-1/2) (a o M_i) kron x_i`, so its sketch takes
/// `m log m + d log d + s` operations; then `2 n^2 (s - n / 3)` flops for `R`, in `s n + n^2`
/// memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SketchedTensorSrht {
    /// Rows `s` of the sketch.
    pub sketch_rows: usize,
    /// Names the sketch.
    pub seed: u64,
}

impl<T: Element> InnerSolver<T> for SketchedTensorSrht {
    fn kind(&self) -> SolverKind {
        SolverKind::TensorSrht
    }

    fn build(
        &self,
        jacobian: &Jacobian<'_, T>,
        ridge: f64,
        par: Par,
    ) -> Result<Factor<T>, TrainError> {
        let (m, d) = (jacobian.width(), jacobian.inputs());
        let sketch = TensorSrht::new(m, d, self.sketch_rows, self.seed)?;
        let (left, right) = sketch.padded_dims();
        let columns = sketch_columns(jacobian, self.sketch_rows, par, |out, i| {
            <T as Real>::with_buffer(left + right, |buffer| {
                let (u, v) = buffer.split_at_mut(left);
                jacobian.activations(u, i, 0);
                for (v, &x) in v.iter_mut().zip(jacobian.x().row(i).iter()) {
                    *v = x;
                }
                if let Some(out) = out.try_as_col_major_mut() {
                    sketch.apply_to_pair(out.as_slice_mut(), u, v);
                }
            });
        });
        triangular(columns, ridge, par)
    }
}
