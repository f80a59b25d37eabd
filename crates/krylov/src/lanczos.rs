//! The Lanczos process and what it says of functions of an operator.
//!
//! `steps` products with a symmetric `A` turn a vector `v` into a tridiagonal `T`, whose eigenvalues
//! `theta_j` and first components of eigenvectors `s_j` are nodes and weights of Gauss quadrature for
//! `v^T f(A) v` (Golub and Meurant, *Matrices, Moments and Quadrature with Applications*, 2010): exact for
//! polynomials of degree `2 steps - 1`, and so for every `f` once `steps` reaches the number of
//! eigenvalues that `v` sees. With random signs for `v` the mean of such values estimates a trace
//! (Hutchinson, 1989).

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatMut, MatRef, Par, Side};

use crate::error::{check_finite, check_shape};
use crate::{KrylovError, LinOp, Scalar};

/// The result of some steps: `T`, and the length of the vector that it began with.
#[derive(Clone, Debug, PartialEq)]
pub struct Tridiagonal {
    diagonal: Vec<f64>,
    off_diagonal: Vec<f64>,
    start_norm: f64,
}

/// A node of a quadrature with its weight; weights sum to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Node {
    /// An eigenvalue of `T`, a Ritz value of the operator.
    pub value: f64,
    /// The square of its eigenvector's first component.
    pub weight: f64,
}

/// Runs at most `steps` steps from `start` (n x 1), with full reorthogonalisation: `steps` products and
/// `4 n steps^2` flops, in memory for `n (steps + 1)` scalars.
///
/// Fewer steps are taken where the vectors span an invariant subspace: then quadrature is exact.
///
/// # Errors
/// [`KrylovError::Shape`] if `a` is not square or `start` is not one column of its length,
/// [`KrylovError::NonFinite`] if `start` holds no finite numbers.
///
/// # Examples
/// ```
/// use faer::{Mat, Par, mat};
/// use nearlin_krylov::lanczos;
///
/// let a = mat![[2.0, 1.0], [1.0, 3.0]];
/// let v = mat![[1.0], [1.0]];
/// let tridiagonal = lanczos(&a, v.as_ref(), 2, Par::Seq)?;
/// // v^T A^-1 v = 3 / 5.
/// assert!((tridiagonal.quadratic_form(|t| 1.0 / t) - 0.6_f64).abs() < 1e-14);
/// # Ok::<(), nearlin_krylov::KrylovError>(())
/// ```
pub fn lanczos<T: Scalar>(
    a: &impl LinOp<T>,
    start: MatRef<'_, T>,
    steps: usize,
    par: Par,
) -> Result<Tridiagonal, KrylovError> {
    let n = a.nrows();
    check_shape("operator", (n, a.ncols()), (n, n))?;
    check_shape("start", (start.nrows(), start.ncols()), (n, 1))?;
    check_finite("start", start)?;
    let steps = steps.min(n);
    let mut buffer = MemBuffer::new(a.apply_scratch(1, par));
    let stack = MemStack::new(&mut buffer);
    let mut basis = Mat::<T>::zeros(n, steps + 1);
    let start_norm: T = start.norm_l2();
    let mut of = Tridiagonal {
        diagonal: Vec::with_capacity(steps),
        off_diagonal: Vec::with_capacity(steps),
        start_norm: start_norm.into(),
    };
    if !(of.start_norm > 0.0) {
        return Ok(of);
    }
    basis.col_mut(0).iter_mut().zip(start.col(0).iter()).for_each(|(b, &s)| *b = s / start_norm);
    let mut scale = 0.0_f64;
    for j in 0..steps {
        let (known, mut next) = basis.as_mut().split_at_col_mut(j + 1);
        let known = known.as_ref();
        let mut w = next.as_mut().subcols_mut(0, 1);
        a.apply(w.as_mut(), known.subcols(j, 1), par, stack);
        // Twice is enough (Parlett, The Symmetric Eigenvalue Problem, section 6.9).
        let first = project(w.as_mut(), known);
        let second = project(w.as_mut(), known);
        let alpha: f64 = (first[j] + second[j]).into();
        let beta: T = w.norm_l2();
        of.diagonal.push(alpha);
        scale = scale.max(alpha.abs() + beta.into());
        let tiny = T::epsilon().into() * n as f64 * scale;
        if j + 1 == steps || beta.into() <= tiny {
            break;
        }
        of.off_diagonal.push(beta.into());
        w.col_mut(0).iter_mut().for_each(|w| *w /= beta);
    }
    Ok(of)
}

/// `w <- w - V V^T w`; returns `V^T w`.
fn project<T: Scalar>(mut w: MatMut<'_, T>, known: MatRef<'_, T>) -> Vec<T> {
    let mut products = Vec::with_capacity(known.ncols());
    for v in known.col_iter() {
        let pairs = v.iter().zip(w.as_ref().col(0).iter());
        let product = pairs.fold(T::of(0.0), |sum, (&v, &w)| sum + v * w);
        let column = w.as_mut().col_mut(0);
        column.iter_mut().zip(v.iter()).for_each(|(w, &v)| *w -= product * v);
        products.push(product);
    }
    products
}

impl Tridiagonal {
    /// Steps that were taken.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.diagonal.len()
    }

    /// What the first `steps` steps gave: to see how much the later ones changed.
    #[must_use]
    pub fn truncated(&self, steps: usize) -> Self {
        let steps = steps.min(self.steps());
        Self {
            diagonal: self.diagonal[..steps].to_vec(),
            off_diagonal: self.off_diagonal[..steps.saturating_sub(1)].to_vec(),
            start_norm: self.start_norm,
        }
    }

    /// Nodes and weights, smallest value first; none if the start was zero.
    ///
    /// # Panics
    /// Never: the eigenvalues of a finite tridiagonal matrix are always found.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        let k = self.steps();
        let dense = Mat::from_fn(k, k, |i, j| match i.abs_diff(j) {
            0 => self.diagonal[i],
            1 => self.off_diagonal[i.min(j)],
            _ => 0.0,
        });
        if k == 0 {
            return Vec::new();
        }
        let eigen = dense.self_adjoint_eigen(Side::Lower).expect("finite entries");
        let (values, vectors) = (eigen.S().column_vector(), eigen.U());
        (0..k)
            .map(|j| Node { value: values[j], weight: vectors[(0, j)] * vectors[(0, j)] })
            .collect()
    }

    /// `v^T f(A) v` by quadrature, where `v` is the start.
    pub fn quadratic_form(&self, f: impl Fn(f64) -> f64) -> f64 {
        let mean: f64 = self.nodes().iter().map(|node| node.weight * f(node.value)).sum();
        self.start_norm * self.start_norm * mean
    }

    /// `|v|`.
    #[must_use]
    pub fn start_norm(&self) -> f64 {
        self.start_norm
    }
}
