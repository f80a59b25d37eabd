//! Randomised sketches: linear maps to few dimensions that keep lengths and inner products.
//!
//! The fast Walsh-Hadamard transform ([`fwht`]), the subsampled randomised Hadamard transform
//! ([`Srht`]), two sketches of Kronecker products ([`TensorSrht`], [`TensorSketch`]), sparse signs with the
//! count sketch among them ([`SparseSign`]), sampled rows ([`RowSampling`]) and dense embeddings
//! ([`Gaussian`], [`Rademacher`]) as the references, behind one trait ([`Sketch`]): from the left and from the
//! right, views of any storage order, any block of the map from its seed. All have their adjoint
//! ([`AdjointSketch`]), take rows that arrive in parts ([`Streaming`], [`Stream`]) and, with the feature
//! `sparse`, sparse matrices (`SparseSketch`). Randomness is
//! counter-based (`ChaCha8` streams numbered by what they are for), so a seed names a sketch, on any
//! number of threads and in any order of work.
//!
//! How well a sketch embeds the range of a matrix is told at run time ([`distortion`](distortion())), and dimensions
//! double until it is well enough ([`Doubling`]); [`leverage_scores`] say which rows matter.
//!
//! # Instruction sets
//! On x86-64 the kernels use AVX2 and AVX-512 where the processor has them. The environment variable `NEARLIN_ISA`
//! caps that for the whole process: `portable`, `avx2` or `avx512`. What is none of these is no cap, and so is one
//! that the processor does not reach. It is read once, when the first kernel runs; faer's kernels do not read it.
//! The transforms have the same bits on all sets.
//!
//! # Examples
//! ```
//! use faer::{Mat, Par};
//! use nearlin_sketch::{Sketch, Srht};
//!
//! // 1000 numbers embedded in 256 dimensions keep their length, roughly.
//! let x = Mat::from_fn(1000, 1, |i, _| (i as f64).sin());
//! let sketch = Srht::new(1000, 256, 42)?;
//! let mut y = Mat::zeros(256, 1);
//! sketch.apply(y.as_mut(), x.as_ref(), Par::Seq)?;
//! let ratio: f64 = y.norm_l2() / x.norm_l2();
//! assert!((ratio - 1.0).abs() < 0.2);
//! # Ok::<(), nearlin_sketch::SketchError>(())
//! ```

mod dense;
mod distortion;
mod error;
mod fixed;
mod fwht;
mod gaussian;
mod leverage;
mod nystrom;
mod random;
mod randomized_svd;
mod range;
mod row_sampling;
mod rp_cholesky;
mod scalar;
mod simd;
mod sketch;
#[cfg(feature = "sparse")]
mod sparse_input;
mod sparse_sign;
#[cfg(feature = "sparse")]
mod sparse_sketch;
mod srht;
mod stream;
mod tensor;
mod tensor_sketch;

pub use distortion::{Distortion, Doubled, Doubling, distortion};
pub use error::SketchError;
pub use fwht::{fwht, fwht_columns, fwht_padded, fwht_par, padded_len};
pub use gaussian::{Gaussian, Rademacher};
pub use leverage::leverage_scores;
pub use nystrom::{Eigenpairs, Nystrom};
pub use random::random_signs;
pub use randomized_svd::{RandomizedSvd, SingularTriplets};
pub use row_sampling::RowSampling;
pub use rp_cholesky::{LowRank, Psd, RpCholesky};
pub use scalar::Scalar;
pub use sketch::{AdjointSketch, Sketch};
pub use sparse_sign::SparseSign;
#[cfg(feature = "sparse")]
pub use sparse_sketch::{Sparse, SparseSketch};
pub use srht::Srht;
pub use stream::{Stream, Streaming};
pub use tensor::TensorSrht;
pub use tensor_sketch::TensorSketch;
