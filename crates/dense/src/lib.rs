//! Dense kernels of nearlin: factorisations (QR and eigenvalues over faer), packed 0/1 masks, the popcount Gram matrix
//! and the masked products that apply the Jacobian of a ReLU layer without forming it.
//!
//! Matrices are faer's [`MatRef`](faer::MatRef) and [`MatMut`](faer::MatMut); outputs come first
//! and parallelism is explicit ([`faer::Par`]). Everything is generic over [`Real`], `f32` or
//! `f64`, and no result depends on the number of threads.
//!
//! # Instruction sets
//! On x86-64 the kernels use AVX2 and AVX-512 where the processor has them, and on Linux the matrix unit AMX, for which
//! the process asks once (`arch_prctl`; its signal frames are larger from then on). The environment variable
//! `NEARLIN_ISA` caps that for the whole process: `portable`, `avx2` or `avx512`. What is none of these is no cap, and so
//! is one that the processor does not reach. It is read once, when the first kernel runs; faer's kernels do not read it.
//! Results may differ between sets by rounding, of products in `f32` on the matrix unit to a 2^23th of the largest number of a
//! column, and where numbers are not finite or all numbers of a column below some 5e-32.
//!
//! # Examples
//! ```
//! use faer::{Par, mat};
//! use nearlin_dense::Cholesky;
//!
//! let a = mat![[4.0, 1.0], [1.0, 3.0]];
//! let factor = Cholesky::factor(a, Par::Seq)?;
//! let mut x = mat![[1.0], [2.0]];
//! factor.solve_in_place(x.as_mut(), Par::Seq);
//! assert!((x[(0, 0)] - 1.0 / 11.0_f64).abs() < 1e-15);
//! # Ok::<(), nearlin_dense::DenseError>(())
//! ```

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
mod cholesky;
mod classes;
mod eigen;
mod error;
mod flips;
mod gram;
mod layer;
mod mask;
mod masked;
mod pages;
mod parallel;
mod qr;
mod real;
mod rows;
mod screened;
mod simd;
mod solve;
mod tabulated;
mod tiles;
mod transpose;
mod triangular;

pub use cholesky::Cholesky;
pub use classes::are_few_classes;
pub use eigen::SymmetricEigen;
pub use error::DenseError;
pub use flips::MaskFlips;
pub use gram::{
    mirror_lower, popcount_cross, popcount_gram, popcount_gram_update, symmetric_product,
};
pub use mask::PackedMask;
pub use masked::{masked_adjoint, masked_apply, masked_gram_apply};
pub use parallel::{TASKS, fixed_par, for_each_col_chunk, for_each_index, for_each_row_chunk};
pub use qr::qr_r;
pub use real::Real;
pub use rows::combine_rows;
pub use screened::{Crossings, Screened, screened_signs};
pub use simd::clear_upper;
pub use tiles::{Rectified, rectified_apply};
pub use triangular::Triangular;
