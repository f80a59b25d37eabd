//! Krylov solvers over narrow operator traits.
//!
//! | problem | solver |
//! | --- | --- |
//! | `A x = b`, `A` symmetric positive definite | [`Cg`] |
//! | `A x = b`, `A` symmetric, indefinite or singular | [`Minres`] |
//! | `min \|b - A x\|`, `A` of any shape, damped or not | [`LeastSquares::lsqr`], [`LeastSquares::lsmr`] |
//! | `v^T f(A) v`, extreme eigenvalues, `tr f(A)`, `ln det A` | [`lanczos`], [`Tridiagonal::ritz`], [`trace_of`], [`log_determinant`] |
//!
//! An operator is anything that can be applied to a block of columns ([`LinOp`]); a preconditioner
//! ([`Precond`]) likewise. How a solve ended is data ([`Ending`]), every reported residual is
//! recomputed from `b - A x`, and an [`Observer`] sees each step and may stop it. Features `sparse`, `ndarray` and
//! `nalgebra` make operators of faer's sparse matrices and of those libraries' dense ones.
//!
//! # Examples
//! ```
//! use faer::mat;
//! use nearlin_krylov::{Cg, Ending};
//!
//! let a = mat![[4.0, 1.0], [1.0, 3.0]];
//! let b = mat![[1.0], [2.0]];
//! let solution = Cg::default().solve(&a, b.as_ref())?;
//! assert_eq!(solution.report.ending, Ending::Converged);
//! assert!((solution.x[(0, 0)] - 1.0 / 11.0_f64).abs() < 1e-10);
//! # Ok::<(), nearlin_krylov::KrylovError>(())
//! ```

mod adapters;
#[cfg(any(feature = "nalgebra", feature = "ndarray"))]
mod arrays;
mod cg;
mod column;
mod compose;
mod dense;
mod error;
mod golub_kahan;
mod lanczos;
mod least_squares;
mod lsmr;
mod lsqr;
mod minres;
mod op;
mod parts;
mod report;
mod ritz;
mod row_blocks;
mod slots;
#[cfg(feature = "sparse")]
mod sparse;
mod symmetric;
mod trace;
mod vector;

pub use adapters::{FromFaer, PrecondToFaer, ToFaer};
#[cfg(any(feature = "nalgebra", feature = "ndarray"))]
pub use arrays::{AsFaer, AsFaerMut};
#[cfg(feature = "nalgebra")]
pub use arrays::{nalgebra_column, to_nalgebra};
#[cfg(feature = "ndarray")]
pub use arrays::{ndarray_column, to_ndarray};
pub use cg::{Cg, Solution};
pub use compose::{FnOp, Product};
pub use error::KrylovError;
pub use lanczos::{Node, RitzValue, Tridiagonal, lanczos, lanczos_each};
pub use least_squares::{LeastSquares, LeastSquaresSolution, Method};
pub use minres::Minres;
pub use op::{AdjointOp, Identity, LinOp, Precond, Scalar};
pub use report::{Column, Ending, LeastSquaresColumn, LeastSquaresReport, Observer, Report, Step};
pub use row_blocks::RowBlocks;
pub use symmetric::Symmetric;
pub use trace::{TraceEstimate, log_determinant, trace_of};
