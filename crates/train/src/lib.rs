//! Certified Gauss-Newton training of wide two-layer ReLU networks.
//!
//! [`train`] fits `f(W, x_i) = y_i` ([`Equations`]) by Gauss-Newton steps, each an l2 regression
//! solved by preconditioned conjugate gradients on the matrix-free Jacobian, and certifies every
//! step: what the inner solver left (`eta_inner`) and what the linear model missed (`eta_lin`). The
//! preconditioner is a matter of choice ([`SolverKind`]), the planner's by default ([`plan`]).
//!
//! [`Regressor`] and [`Classifier`] go all the way from a [`Matrix`] of inputs to a model that predicts, as the program
//! `nearlin` does; their parts are there one by one.
//!
//! Features, none by default: `ndarray` for its arrays as matrices, `linfa` for its traits `Fit` and `Predict`, `serde`
//! for checkpoints, metrics and ridges that can be written and read.
//!
//! Source: van den Brand, Peng, Song and Weinstein, *Training (Overparametrized) Neural Networks in
//! Near-Linear Time*, ITCS 2021.
//!
//! The library neither prints nor reads a clock: an [`Observer`] sees every [`Event`].

mod batches;
mod checkpoint;
mod dual;
mod ensemble;
mod equations;
mod error;
mod estimator;
mod jackknife;
mod left_out;
mod local_scale;
mod loss;
mod low_rank;
mod matrix;
mod merge;
mod metric;
mod observe;
mod optimiser;
mod options;
mod plan;
mod posterior;
mod primal;
mod replan;
mod report;
mod ridge;
mod scores;
pub mod solver;
mod standard;
mod step;
pub mod sureness;
mod vector;
mod width;

pub use batches::{Batches, NpyRows, Source, train_batches};
pub use checkpoint::{Checkpoint, Snapshot};
pub use dual::{Factor, Preconditioner};
pub use ensemble::{Ensemble, train_ensemble};
pub use equations::Equations;
pub use error::TrainError;
pub use estimator::{
    Classification, ClassificationLeftOut, ClassificationModel, Classifier, Estimator, FitReport,
    MetricRule, Regression, RegressionLeftOut, RegressionModel, Regressor, Ridge,
};
pub use jackknife::{JackknifePlus, KeptRows, LeftOutRows};
pub use left_out::{LeftOut, left_out, left_out_bytes};
pub use loss::{
    LinearFit, LinearModel, Loss, LossCheckpoint, LossSnapshot, fit_linear, left_out_loss,
    loss_ridge_path, resume_loss, train_loss,
};
pub use low_rank::LowRankPlus;
pub use matrix::{Matrix, Rows};
pub use merge::{Contradiction, Merged, merge, merge_weighted};
pub use metric::{
    Judge, Metric, MetricChoice, MetricForm, MetricRound, NetworkRounds, learn_metric,
    refine_metric,
};
pub use observe::{Event, Observer, Phase};
pub use optimiser::{chosen_solver, resume, train};
pub use options::{InnerTolerance, MAX_SCALE, Options, Precision, Scale};
pub use plan::{
    Candidate, Decay, Line, Plan, Rates, Shape, Speeds, plan, plan_at, plan_batches_at,
    plan_ensemble_at,
};
pub use posterior::Posterior;
pub use replan::{Alternatives, Expected, Replanned};
pub use report::{Ending, Run, ScaleTrial, StepReport};
pub use ridge::{Criterion, RidgePath, RidgePoint, refine_ridge, ridge_path};
pub use scores::NormalScores;
pub use solver::SolverKind;
pub use standard::{Standard, to_sphere};
pub use vector::Element;
pub use width::{WidthChoice, choose_width};

pub use nearlin_relu::{Network, Signs, hadamard_order};
