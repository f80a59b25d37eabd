//! The inner solvers: preconditioned conjugate gradients, told apart by how they build the
//! preconditioner of one n x n block.

mod arc_cosine;
mod cg;
mod cholesky;
mod nystrom;
mod rp_cholesky;
mod rp_gram;
mod srht;
mod tensor_srht;

use std::fmt;
use std::str::FromStr;

use faer::{Mat, Par};
use nearlin_relu::Jacobian;
use nearlin_sketch::LowRank;

use crate::TrainError;
use crate::dual::Factor;
use crate::vector::Element;

pub use arc_cosine::ArcCosine;
pub use cg::PlainCg;
pub use cholesky::ExactGram;
pub use nystrom::SketchedGram;
pub(crate) use nystrom::{nystrom_ends, ranks_tried};
pub(crate) use rp_cholesky::{Kernel, low_rank_ends};
pub use rp_cholesky::{PivotedKernel, default_rank};
pub use rp_gram::PivotedGram;
pub use srht::SketchedSrht;
pub use tensor_srht::SketchedTensorSrht;

/// An inner solver: how to precondition `(J J^T + mu I) g = b`.
///
/// Law: the factor that [`build`](Self::build) returns is symmetric positive definite and depends
/// on nothing but its arguments and the solver's own seed.
pub trait InnerSolver<T>: fmt::Debug + Send + Sync {
    /// The solver's name in options and reports.
    fn kind(&self) -> SolverKind;

    /// Builds the factor of one diagonal block `J_k J_k^T + mu I` (n x n; the same for every output,
    /// since `a_rk^2 = 1`).
    ///
    /// # Errors
    /// [`TrainError`] if a factorisation or a sketch cannot be made.
    fn build(
        &self,
        jacobian: &Jacobian<'_, T>,
        ridge: f64,
        par: Par,
    ) -> Result<Factor<T>, TrainError>;

    /// What [`build`](Self::build) factors, without the ridge, for those who scale its rows first; `None` where
    /// nothing of that kind is made. A low rank is enough for that ridge.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    fn block(
        &self,
        jacobian: &Jacobian<'_, T>,
        ridge: f64,
        par: Par,
    ) -> Result<Option<Block<T>>, TrainError> {
        let _ = (jacobian, ridge, par);
        Ok(None)
    }

    /// Whether the factor changes with the activation mask; one that does not is built once for the
    /// whole run.
    fn follows_masks(&self) -> bool {
        true
    }
}

/// An approximation of one diagonal block `J_k J_k^T`, n x n.
#[derive(Clone, Debug)]
pub enum Block<T> {
    /// Its lower triangle at least.
    Dense(Mat<T>),
    /// `F F^T`.
    LowRank(LowRank<T>),
}

/// The solvers by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum SolverKind {
    /// Exact popcount Gram matrix of one block and its Cholesky factor (Cai et al. 2019).
    Cholesky,
    /// No preconditioner.
    Cg,
    /// SRHT of the columns of `J^T`, QR (van den Brand, Peng, Song, Weinstein 2021).
    Srht,
    /// `TensorSRHT` of the columns of `J^T`, QR.
    TensorSrht,
    /// Cholesky factor of the infinite-width Gram matrix, once for the whole run.
    ArcCosine,
    /// Randomly pivoted Cholesky factor of the infinite-width Gram matrix, once for the whole run.
    RpCholesky,
    /// Randomly pivoted Cholesky factor of the exact Gram matrix of one block.
    RpGram,
    /// Randomised Nyström approximation of the exact Gram matrix of one block, from its products.
    Nystrom,
}

impl SolverKind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Cholesky,
        Self::Srht,
        Self::TensorSrht,
        Self::ArcCosine,
        Self::RpCholesky,
        Self::RpGram,
        Self::Nystrom,
        Self::Cg,
    ];

    /// `cholesky`, `srht`, `tensor-srht`, `arc-cosine`, `rp-cholesky`, `rp-gram`, `nystrom` or `cg`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cholesky => "cholesky",
            Self::Cg => "cg",
            Self::Srht => "srht",
            Self::TensorSrht => "tensor-srht",
            Self::ArcCosine => "arc-cosine",
            Self::RpCholesky => "rp-cholesky",
            Self::RpGram => "rp-gram",
            Self::Nystrom => "nystrom",
        }
    }

    /// Whether its factor changes with the activation mask: [`InnerSolver::follows_masks`].
    pub(crate) fn follows_masks(self) -> bool {
        self.instance::<f64>(1, 0).follows_masks()
    }

    /// Whether rows of what it factors can be scaled at each step of Newton's method: for losses with corners.
    pub(crate) fn scales_rows(self) -> bool {
        matches!(self, Self::Cholesky | Self::ArcCosine | Self::RpCholesky | Self::RpGram)
    }

    /// The solver itself, with `sketch_rows` rows in its sketch, or that rank (where it has one), and randomness
    /// named by `seed`.
    #[must_use]
    pub fn instance<T: Element>(self, sketch_rows: usize, seed: u64) -> Box<dyn InnerSolver<T>> {
        match self {
            Self::Cholesky => Box::new(ExactGram),
            Self::Cg => Box::new(PlainCg),
            Self::Srht => Box::new(SketchedSrht { sketch_rows, seed }),
            Self::TensorSrht => Box::new(SketchedTensorSrht { sketch_rows, seed }),
            Self::ArcCosine => Box::new(ArcCosine),
            Self::RpCholesky => Box::new(PivotedKernel { rank: sketch_rows, seed }),
            Self::RpGram => Box::new(PivotedGram { rank: sketch_rows, seed }),
            Self::Nystrom => Box::new(SketchedGram { rank: sketch_rows, seed }),
        }
    }
}

impl fmt::Display for SolverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SolverKind {
    type Err = TrainError;

    fn from_str(name: &str) -> Result<Self, TrainError> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            TrainError::UnknownSolver { name: name.to_owned(), known }
        })
    }
}

/// Rows of a solver's sketch, or its rank, for a Jacobian of `rows` rows and `parameters` columns: as asked for, or
/// [`default_sketch_rows`] and [`default_rank`].
pub(crate) fn sketch_size(
    kind: SolverKind,
    asked: Option<usize>,
    rows: usize,
    parameters: usize,
) -> usize {
    match kind {
        SolverKind::RpCholesky => asked.unwrap_or_else(|| default_rank(rows)).min(rows),
        // The exact matrix has no higher rank than there are parameters.
        SolverKind::RpGram | SolverKind::Nystrom => {
            asked.unwrap_or_else(|| default_rank(rows)).min(rows).min(parameters.max(1))
        }
        _ => asked.unwrap_or_else(|| default_sketch_rows(rows, parameters)).min(parameters),
    }
}

/// Rows of a sketch of `rows` columns of length `parameters`: `4 n` for a preconditioned condition
/// number near 9, `2 n` past 8,192 rows, where the QR factorisation would dominate everything, and
/// never more than there are parameters.
#[must_use]
pub fn default_sketch_rows(rows: usize, parameters: usize) -> usize {
    let factor = if rows <= 8192 { 4 } else { 2 };
    (factor * rows).min(parameters)
}
