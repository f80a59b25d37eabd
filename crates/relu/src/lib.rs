//! The two-layer ReLU network in the tangent-kernel parametrisation,
//!
//! `f_k(W, x) = m^(-1/2) sum over r of a_rk relu(w_r . x)`, `a_rk = +-1` fixed,
//!
//! with everything that Gauss-Newton asks of it: forward pass and activation masks ([`Network`]),
//! the Jacobian as an operator ([`Jacobian`]), its exact Gram matrix ([`gram`], [`gram_entry`]) and
//! the Gram matrix of infinite width ([`arc_cosine_kernel`]). `relu'(0) = 0` everywhere.
//!
//! Networks start in pairs: every direction appears with output signs that cancel, so `f(W_0) = 0`,
//! and only the change `W - W_0` contributes. The forward pass uses that to keep full relative
//! accuracy however large the scale of `W_0` is.
//!
//! # Examples
//! ```
//! use faer::{Mat, Par};
//! use nearlin_relu::{Init, Signs};
//!
//! let init = Init { inputs: 3, outputs: 1, width: 8, seed: 1, signs: Signs::Random };
//! let network = init.network(1.0)?;
//! let x = Mat::from_fn(5, 3, |i, j| (i + 2 * j) as f64 - 3.0);
//! let forward = network.forward(x.as_ref(), Par::Seq)?;
//! assert!(forward.outputs.iter().all(|&f| f == 0.0)); // paired: nothing learned, nothing said
//! assert_eq!((forward.mask.nrows(), forward.mask.width()), (5, 8));
//! # Ok::<(), nearlin_relu::ReluError>(())
//! ```

mod error;
mod forward;
mod gradient;
mod gram;
mod init;
mod jacobian;
mod kernel;
mod network;
mod shared;

pub use error::ReluError;
pub use forward::Forward;
pub use gram::{gram, gram_entry};
pub use init::{Init, Signs, hadamard_order};
pub use jacobian::Jacobian;
pub use kernel::{arc_cosine_cross, arc_cosine_entry, arc_cosine_kernel};
pub use network::Network;
pub use shared::Activations;

pub use nearlin_dense::{PackedMask, Real};
