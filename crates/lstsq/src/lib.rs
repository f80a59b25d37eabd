//! Least squares by sketch and precondition.
//!
//! A sketch of a tall matrix, a few times as many rows as there are columns, has nearly its singular values; the inverse of the
//! sketch's triangular factor from the right makes the matrix well conditioned, whatever it was before, so that LSQR ends in
//! some twenty passes over it (Rokhlin and Tygert, PNAS 105, 2008; Avron, Maymounkov and Toledo, *Blendenpik*, SIAM J. Sci.
//! Comput. 32, 2010; Meng, Saunders and Mahoney, *LSRN*, SIAM J. Sci. Comput. 36, 2014). Started at the sketch's own solution
//! and begun again once, it is as stable as Householder QR (Epperly, Meier and Nakatsukasa, *Fast randomized least-squares
//! solvers can be just as accurate and stable as classical direct solvers*, arXiv 2406.03468).
//!
//! # Examples
//! ```
//! use faer::Mat;
//! use nearlin_lstsq::lstsq;
//!
//! // A parabola through 1,000 points.
//! let t = |i: usize| i as f64 / 1000.0;
//! let a = Mat::from_fn(1000, 3, |i, j| [1.0, t(i), t(i) * t(i)][j]);
//! let b = Mat::from_fn(1000, 1, |i, _| 2.0 - t(i) + 3.0 * t(i) * t(i));
//! let fit = lstsq(&a, b.as_ref())?;
//! assert!((fit.x[(2, 0)] - 3.0).abs() < 1e-11);
//! assert_eq!(fit.report.rank, 3);
//! # Ok::<(), nearlin_lstsq::LstsqError>(())
//! ```

mod error;
mod factor;
mod matrix;
mod operator;
mod problem;
mod refine;
mod report;
mod ridged;
mod rows;
mod run;
mod solve;
#[cfg(feature = "sparse")]
mod sparse;
mod tall;
mod wide;

pub use error::LstsqError;
pub use matrix::{Matrix, Scalar};
pub use operator::Operator;
pub use report::{Fit, Report};
pub use solve::{Lstsq, lstsq};
