//! What can be wrong with a call.

use nearlin_dense::DenseError;
use nearlin_krylov::KrylovError;
use nearlin_relu::ReluError;
use nearlin_sketch::SketchError;

/// A problem or an option that cannot be trained with.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Operands do not fit together.
    #[error("{what} has {got} entries, expected {rows} x {cols}")]
    Shape {
        /// The operand.
        what: &'static str,
        /// Entries it has.
        got: usize,
        /// Rows it should have.
        rows: usize,
        /// Columns it should have.
        cols: usize,
    },
    /// There is nothing to train on.
    #[error(
        "training needs at least one row, one input and one output; found {rows} x {inputs} inputs and {outputs} outputs"
    )]
    Empty {
        /// Rows `n`.
        rows: usize,
        /// Inputs `d`.
        inputs: usize,
        /// Outputs `K`.
        outputs: usize,
    },
    /// An input or a target is NaN or infinite.
    #[error("{what} holds {value} at row {row}, column {col}; expected finite numbers")]
    NonFinite {
        /// `"inputs"` or `"targets"`.
        what: &'static str,
        /// Row of the first such entry.
        row: usize,
        /// Its column.
        col: usize,
        /// The entry.
        value: f64,
    },
    /// A target is not what the loss is for.
    #[error(
        "the {loss} loss found the target {value} at row {row}, output {output}; expected {expected}"
    )]
    Target {
        /// The loss.
        loss: &'static str,
        /// Row of the first such target.
        row: usize,
        /// Its output.
        output: usize,
        /// The target.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// An option is out of its range.
    #[error("{name} is {value}, expected {expected}")]
    Option {
        /// The option.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// A checkpoint of another run.
    #[error("the checkpoint is {found}, expected {expected}")]
    Checkpoint {
        /// What it is of.
        found: String,
        /// What it should be of.
        expected: String,
    },
    /// A solver's name is not known.
    #[error("unknown solver `{name}`, expected one of auto, {known}")]
    UnknownSolver {
        /// The name.
        name: String,
        /// The known names.
        known: String,
    },
    /// The network cannot be made.
    #[error(transparent)]
    Network(#[from] ReluError),
    /// A factorisation failed.
    #[error("cannot build the preconditioner: {0}")]
    Factor(#[from] DenseError),
    /// A sketch could not be made.
    #[error("cannot sketch the Jacobian: {0}")]
    Sketch(#[from] SketchError),
    /// The inner solver was called wrongly: an internal fault.
    #[error("inner solver: {0}")]
    Krylov(#[from] KrylovError),
}
