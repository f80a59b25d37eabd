//! Golub-Kahan bidiagonalisation of several right-hand sides at once.
//!
//! Golub and Kahan, *Calculating the singular values and pseudo-inverse of a matrix* (1965); in the form that begins with
//! `beta_1 u_1 = b`, which Paige and Saunders call `Bidiag 1` (ACM Trans. Math. Softw. 8, 1982). A step needs `A v` and
//! then `A* u`; both are asked for in one call ([`AdjointOp::apply_both`]), as an operator that is read from memory can
//! make them in one pass: `A* u` of a vector that is not normalised yet is as good as that of one that is.

use faer::dyn_stack::MemStack;
use faer::{MatMut, MatRef, Par};

use crate::op::{AdjointOp, Scalar};
use crate::slots::swap_columns;
use crate::vector::{norm, scale};

/// The vectors of the process; the columns at the left are worked on.
pub(crate) struct GolubKahan<'a, T> {
    /// `m x k`: left vectors.
    pub(crate) u: MatMut<'a, T>,
    /// `n x k`: right vectors.
    pub(crate) v: MatMut<'a, T>,
    /// `n x k`: products with the adjoint.
    pub(crate) z: MatMut<'a, T>,
    /// `alpha` of each column, for the operator.
    pub(crate) alphas: Vec<T>,
}

impl<T: Scalar> GolubKahan<'_, T> {
    /// `alpha v = A* u` for `u` of length 1 and that product; `alphas` get the lengths.
    pub(crate) fn begin(&mut self, product: MatRef<'_, T>) {
        self.v.copy_from(product);
        for j in 0..self.v.ncols() {
            let alpha = norm(self.v.as_ref().col(j));
            scale(self.v.as_mut().col_mut(j), inverse(alpha));
            self.alphas.push(T::of(alpha));
        }
    }

    /// The two products of a step for the first `active` columns, before anything is normalised.
    pub(crate) fn multiply(
        &mut self,
        a: &dyn AdjointOp<T>,
        active: usize,
        par: Par,
        stack: &mut MemStack,
    ) {
        let u = self.u.as_mut().subcols_mut(0, active);
        let z = self.z.as_mut().subcols_mut(0, active);
        let v = self.v.as_ref().subcols(0, active);
        a.apply_both(u, &self.alphas[..active], v, z, par, stack);
    }

    /// Normalises column `at` after [`multiply`](Self::multiply): `(beta, alpha)` of the step.
    pub(crate) fn normalise(&mut self, at: usize) -> (f64, f64) {
        let beta = norm(self.u.as_ref().col(at));
        let (mut v, z) = (self.v.as_mut().col_mut(at), self.z.as_ref().col(at));
        let (by, beta_t) = (T::of(inverse(beta)), T::of(beta));
        scale(self.u.as_mut().col_mut(at), inverse(beta));
        for (v, &z) in v.as_mut().iter_mut().zip(z.iter()) {
            *v = z * by - beta_t * *v;
        }
        let alpha = if beta > 0.0 { norm(v.as_ref()) } else { 0.0 };
        scale(v, inverse(alpha));
        self.alphas[at] = T::of(alpha);
        (beta, alpha)
    }

    /// Exchanges two columns.
    pub(crate) fn swap(&mut self, a: usize, b: usize) {
        swap_columns(&mut self.u, a, b);
        swap_columns(&mut self.v, a, b);
        self.alphas.swap(a, b);
    }
}

/// `1 / x`, or 0 for 0: a vector that vanished stays zero.
fn inverse(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { 1.0 / x }
}
