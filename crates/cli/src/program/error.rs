//! What ends a command early, and with which exit code.

use std::io;
use std::path::PathBuf;

use nearlin::{SolverKind, TrainError};

use super::checkpoint::CheckpointError;
use crate::model::ModelError;
use crate::onnx::OnnxError;
use crate::output::OutputError;
use crate::plot::PlotError;
use crate::table::TableError;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    /// The table, or what is asked of it.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A model that cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file that cannot be shown.
    #[error(
        "`{path}` is neither a model that fit wrote nor a table (text or arrays, gzipped or not)"
    )]
    Neither {
        /// The file.
        path: PathBuf,
    },
    /// A model that cannot be told in ONNX.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// An output's path.
    #[error("`{option}`: {reason}")]
    Path {
        /// The option.
        option: &'static str,
        /// What is wrong with its value.
        reason: PathFault,
    },
    /// A network that no machine of this kind can hold.
    #[error(
        "`--width` is {width}: with {inputs} inputs the run would need about {needed}, and {there}"
    )]
    TooLarge {
        /// Neurons.
        width: usize,
        /// Inputs after encoding.
        inputs: usize,
        /// Memory that would be needed, in words.
        needed: String,
        /// Memory that there is, in words.
        there: String,
    },
    /// A picture of what no option asks for.
    #[error(
        "`--importance-plot` shows what a metric found, and with a ridge that is given none is learned: \
         add `--metric auto`, or leave `--ridge` or `--metric none` out"
    )]
    NoMetric,
    /// Rows that choose a ridge, where one is given.
    #[error(
        "`--ridge-rows all` is for a ridge that is chosen, and one is given: leave one of both out"
    )]
    NoRidges,
    /// Rows of a sketch for a solver without one.
    #[error(
        "`--sketch-rows` is for solvers with a sketch or a rank (srht, tensor-srht, rp-cholesky, rp-gram, \
         nystrom), and `--solver` is {solver}"
    )]
    NoSketch {
        /// The solver.
        solver: SolverKind,
    },
    /// A model that cannot say how sure it is.
    #[error(
        "`{option}` is for {expected}, and the model is {}",
        if task == expected { "from a fit that tells nothing of that: without a ridge, for a quantile, or on batches without test rows".to_owned() }
        else { format!("for {task}") }
    )]
    Sureness {
        /// What asks for it.
        option: &'static str,
        /// The model's task.
        task: &'static str,
        /// The task that the option is for.
        expected: &'static str,
    },
    /// Options that do not go together.
    #[error("`{option}` is {found}, expected {expected} with `--loss {loss}`")]
    Loss {
        /// The option.
        option: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
        /// The loss.
        loss: String,
    },
    /// A checkpoint that cannot be used.
    #[error("`--checkpoint`: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// Nowhere to keep what was measured.
    #[error(
        "`--calibrate` keeps what it measures in the folder that XDG_CACHE_HOME names, or in .cache in that of HOME: neither is set"
    )]
    NoCache,
    /// Rows that could not be set down.
    #[error("cannot write the encoded rows into {}: {source}; TMPDIR names another folder", folder.display())]
    Spool {
        /// Where temporary files go.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Training failed.
    #[error("training: {0}")]
    Train(#[from] TrainError),
    /// Threads could not be started.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// Outputs could not be written at the end; each has been named already.
    #[error("{failed} of {asked} outputs could not be written")]
    Outputs {
        /// How many.
        failed: usize,
        /// Of how many.
        asked: usize,
    },
    /// The predictions could not be written.
    #[error(transparent)]
    Write(OutputError),
    /// Standard output failed, other than by a closed pipe.
    #[error("cannot write to standard output: {0}")]
    Stdout(#[source] io::Error),
}

/// What is wrong with an output's path, found before anything is done.
#[derive(Debug, thiserror::Error)]
pub(super) enum PathFault {
    /// The file could not be written there.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The ending names no picture format.
    #[error(transparent)]
    Ending(#[from] PlotError),
    /// What stands for standard input where a table is read.
    #[error(
        "`-` is not standard output here: that is `/dev/stdout`, and `./-` is a file of that name"
    )]
    Dash,
    /// It would overwrite something that this call reads or writes.
    #[error("`{path}` is also {other}")]
    Twice {
        /// The file.
        path: PathBuf,
        /// What else it is.
        other: &'static str,
    },
}

impl ProgramError {
    /// 2 if the call or its input was wrong and nothing was written, 1 for an internal failure.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Table(_)
            | Self::Model(_)
            | Self::Onnx(_)
            | Self::Neither { .. }
            | Self::Path { .. }
            | Self::TooLarge { .. }
            | Self::NoMetric
            | Self::NoRidges
            | Self::NoSketch { .. }
            | Self::NoCache
            | Self::Checkpoint(_)
            | Self::Loss { .. }
            | Self::Sureness { .. } => 2,
            Self::Train(error) => match error {
                TrainError::Option { .. }
                | TrainError::UnknownSolver { .. }
                | TrainError::Checkpoint { .. } => 2,
                _ => 1,
            },
            Self::Spool { .. }
            | Self::Threads(_)
            | Self::Outputs { .. }
            | Self::Write(_)
            | Self::Stdout(_) => 1,
        }
    }
}
