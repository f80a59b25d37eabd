//! The Lanczos process and what it says of functions of an operator.
//!
//! `steps` products with a symmetric `A` turn a vector `v` into a tridiagonal `T`, whose eigenvalues
//! `theta_j` and first components of eigenvectors `s_j` are nodes and weights of Gauss quadrature for
//! `v^T f(A) v` (Golub and Meurant, *Matrices, Moments and Quadrature with Applications*, 2010): exact for
//! polynomials of degree `2 steps - 1`, and so for every `f` once `steps` reaches the number of
//! eigenvalues that `v` sees. With random signs for `v` the mean of such values estimates a trace
//! (Hutchinson, 1989).

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{ColMut, ColRef, Mat, MatMut, MatRef, Par, Side};
use rayon::prelude::*;

use crate::error::{check_finite, check_shape};
use crate::vector::dot;
use crate::{KrylovError, LinOp, Scalar};

/// What rounding leaves of a vector that is nothing, in roundings of the largest coefficients.
const ROUNDING: f64 = 10.0;

/// The result of some steps: `T`, and the length of the vector that it began with.
#[derive(Clone, Debug, PartialEq)]
pub struct Tridiagonal {
    diagonal: Vec<f64>,
    off_diagonal: Vec<f64>,
    start_norm: f64,
    /// Length of what the steps leave: of `A V - V T`.
    left: f64,
}

/// A Ritz value and what is known of the eigenvalues about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RitzValue {
    /// The Ritz value.
    pub value: f64,
    /// There is an eigenvalue of the operator within this of it (Parlett, *The Symmetric Eigenvalue Problem*, section 13.2).
    pub error: f64,
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
/// `4 n steps^2` flops, in memory for `n (steps + 3)` scalars.
///
/// Fewer steps are taken where the vectors span an invariant subspace: then quadrature is exact.
///
/// # Errors
/// [`KrylovError::Shape`] if `a` is not square or `start` is not one column of its length,
/// [`KrylovError::NonFinite`] if `start`, or a product with `a`, holds no finite numbers.
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
    check_shape("operator", (a.nrows(), a.ncols()), (a.nrows(), a.nrows()))?;
    check_shape("start", (start.nrows(), start.ncols()), (a.nrows(), 1))?;
    let mut found = lanczos_each(a, start, steps, par)?;
    Ok(found.swap_remove(0))
}

/// Runs [`lanczos`] from each column of `starts : n x p`, whose products with `a` are taken together: where an operator is
/// limited by the memory that it reads, all of them take little longer than one. Nothing else do the processes share, and each is
/// what it would be alone, but for the rounding of products with several columns.
///
/// In memory for `n p (steps + 3)` scalars.
///
/// # Errors
/// As [`lanczos`].
///
/// # Examples
/// ```
/// use faer::{Mat, Par};
/// use nearlin_krylov::lanczos_each;
///
/// let a = Mat::from_fn(50, 50, |i, j| if i == j { 1.0 + i as f64 } else { 0.0 });
/// // Two vectors of unlike sizes: v^T A v for each.
/// let starts = Mat::from_fn(50, 2, |i, j| if i == j { 2.0 } else { 1.0 });
/// let found = lanczos_each(&a, starts.as_ref(), 10, Par::Seq)?;
/// let forms: Vec<f64> = found.iter().map(|of| of.quadratic_form(|t| t)).collect();
/// assert!((forms[0] - 1278.0).abs() < 1e-9 && (forms[1] - 1281.0).abs() < 1e-9);
/// # Ok::<(), nearlin_krylov::KrylovError>(())
/// ```
pub fn lanczos_each<T: Scalar>(
    a: &impl LinOp<T>,
    starts: MatRef<'_, T>,
    steps: usize,
    par: Par,
) -> Result<Vec<Tridiagonal>, KrylovError> {
    let (n, p) = (a.nrows(), starts.ncols());
    check_shape("operator", (n, a.ncols()), (n, n))?;
    check_shape("starts", (starts.nrows(), p), (n, p))?;
    check_finite("start", starts)?;
    let steps = steps.min(n);
    let mut processes: Vec<Process<T>> =
        starts.col_iter().map(|start| Process::new(start, steps)).collect();
    let mut buffer = MemBuffer::new(a.apply_scratch(p, par));
    let stack = MemStack::new(&mut buffer);
    let (mut vectors, mut products) = (Mat::<T>::zeros(n, p), Mat::<T>::zeros(n, p));
    for _ in 0..steps {
        let mut going: Vec<&mut Process<T>> =
            processes.iter_mut().filter(|process| !process.ended).collect();
        let active = going.len();
        if active == 0 {
            break;
        }
        let mut vectors = vectors.as_mut().subcols_mut(0, active);
        let mut products = products.as_mut().subcols_mut(0, active);
        for (into, process) in vectors.rb_mut().col_iter_mut().zip(&going) {
            copy(into, process.basis.col(process.of.steps()));
        }
        a.apply(products.rb_mut(), vectors.rb(), par, stack);
        let pairs = going.iter_mut().zip(products.rb().col_iter());
        let done: Vec<Result<(), KrylovError>> = match par {
            Par::Seq => pairs.map(|(process, product)| process.step(product)).collect(),
            Par::Rayon(_) => (pairs.collect::<Vec<_>>().into_par_iter())
                .map(|(process, product)| process.step(product))
                .collect(),
        };
        // The first error, not the earliest.
        done.into_iter().collect::<Result<(), _>>()?;
    }
    Ok(processes.into_iter().map(|process| process.of).collect())
}

/// The process from one vector.
struct Process<T> {
    /// n x (steps + 1).
    basis: Mat<T>,
    of: Tridiagonal,
    /// The largest coefficients so far.
    scale: f64,
    ended: bool,
}

impl<T: Scalar> Process<T> {
    fn new(start: ColRef<'_, T>, steps: usize) -> Self {
        let mut basis = Mat::<T>::zeros(start.nrows(), steps + 1);
        let start_norm: T = start.norm_l2();
        let of = Tridiagonal {
            diagonal: Vec::with_capacity(steps),
            off_diagonal: Vec::with_capacity(steps),
            start_norm: start_norm.into(),
            left: 0.0,
        };
        let ended = !(of.start_norm > 0.0);
        if !ended {
            let first = basis.col_mut(0).iter_mut().zip(start.iter());
            first.for_each(|(b, &s)| *b = s / start_norm);
        }
        Self { basis, of, scale: 0.0, ended }
    }

    /// Takes the product of the operator with the last vector.
    fn step(&mut self, product: ColRef<'_, T>) -> Result<(), KrylovError> {
        let (j, steps) = (self.of.steps(), self.basis.ncols() - 1);
        let (known, mut next) = self.basis.as_mut().split_at_col_mut(j + 1);
        let known = known.as_ref();
        let mut w = next.as_mut().subcols_mut(0, 1);
        copy(w.as_mut().col_mut(0), product);
        // Twice is enough (Parlett, The Symmetric Eigenvalue Problem, section 6.9).
        let first = project(w.as_mut(), known);
        let second = project(w.as_mut(), known);
        let alpha: f64 = (first[j] + second[j]).into();
        let beta: T = w.norm_l2();
        if let Some(value) = [alpha, beta.into()].into_iter().find(|value| !value.is_finite()) {
            let what = "product of the operator";
            return Err(KrylovError::NonFinite { what, row: j, column: j, value });
        }
        self.of.diagonal.push(alpha);
        self.scale = self.scale.max(alpha.abs() + beta.into());
        // What rounding leaves of nothing: the subspace is as good as invariant.
        let tiny = ROUNDING * T::epsilon().into() * self.scale;
        if beta.into() <= tiny || j + 1 == steps {
            self.of.left = beta.into();
            self.ended = true;
        } else {
            self.of.off_diagonal.push(beta.into());
            w.col_mut(0).iter_mut().for_each(|w| *w /= beta);
        }
        Ok(())
    }
}

fn copy<T: Scalar>(into: ColMut<'_, T>, from: ColRef<'_, T>) {
    into.iter_mut().zip(from.iter()).for_each(|(into, &from)| *into = from);
}

/// `w <- w - V V^T w`; returns `V^T w`.
fn project<T: Scalar>(mut w: MatMut<'_, T>, known: MatRef<'_, T>) -> Vec<T> {
    let mut products = Vec::with_capacity(known.ncols());
    for v in known.col_iter() {
        let product = T::of(dot(v, w.as_ref().col(0)));
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
        let left = match steps {
            0 => 0.0,
            steps => self.off_diagonal.get(steps - 1).copied().unwrap_or(self.left),
        };
        Self {
            left,
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
        self.eigenvectors(|value, first, _| Node { value, weight: first * first })
    }

    /// Ritz values with bounds on their errors, smallest value first; those at either end converge first, to the extreme
    /// eigenvalues that the start sees.
    ///
    /// # Panics
    /// Never, as [`nodes`](Self::nodes).
    ///
    /// # Examples
    /// ```
    /// use faer::{Mat, Par};
    /// use nearlin_krylov::lanczos;
    ///
    /// let a = Mat::from_fn(100, 100, |i, j| if i == j { (i as f64 / 50.0).powi(2) } else { 0.0 });
    /// let v = Mat::from_fn(100, 1, |_, _| 1.0);
    /// let ritz = lanczos(&a, v.as_ref(), 60, Par::Seq)?.ritz();
    /// let largest = ritz.last().unwrap();
    /// assert!((largest.value - 1.98_f64.powi(2)).abs() <= largest.error + 1e-12);
    /// assert!(largest.error < 1e-6);
    /// # Ok::<(), nearlin_krylov::KrylovError>(())
    /// ```
    #[must_use]
    pub fn ritz(&self) -> Vec<RitzValue> {
        self.eigenvectors(|value, _, last| RitzValue { value, error: self.left * last.abs() })
    }

    /// Something of each eigenvalue of `T`, smallest first, and of the first and the last component of its eigenvector.
    fn eigenvectors<R>(&self, tell: impl Fn(f64, f64, f64) -> R) -> Vec<R> {
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
        (0..k).map(|j| tell(values[j], vectors[(0, j)], vectors[(k - 1, j)])).collect()
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
