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
    /// Numbers are so large, or all so small, that their squares are not numbers any more.
    #[error(
        "the largest of the {what} is {largest:e}; expected one between {least:e} and {most:e}"
    )]
    Size {
        /// Inputs or targets.
        what: &'static str,
        /// The largest absolute value.
        largest: f64,
        /// What it should be at least, unless all are 0.
        least: f64,
        /// What it should be less than.
        most: f64,
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
    /// Inputs and targets are for different numbers of rows.
    #[error("found {targets} rows of targets for {inputs} rows of inputs, expected as many")]
    Rows {
        /// Rows of inputs.
        inputs: usize,
        /// Rows of targets.
        targets: usize,
    },
    /// There are too few rows to fit to.
    #[error("found {rows} rows to fit to, expected at least two")]
    FewRows {
        /// Rows found.
        rows: usize,
    },
    /// Rows to predict are not like those of the training.
    #[error("rows to predict have {found} columns, expected {expected} as in the training")]
    Columns {
        /// Columns found.
        found: usize,
        /// Columns of the training rows.
        expected: usize,
    },
    /// There is nothing to learn, as all targets are the same.
    #[error(
        "targets hold {value} in all {rows} rows of column {col}; expected two different numbers"
    )]
    ConstantTarget {
        /// Column of the targets.
        col: usize,
        /// What it holds.
        value: f64,
        /// Rows.
        rows: usize,
    },
    /// There is nothing to tell apart.
    #[error("all {rows} rows are of one class, expected two at least")]
    OneClass {
        /// Rows.
        rows: usize,
    },
    /// More numbers than there is memory for.
    #[error("{rows} x {cols} {what} do not fit into memory")]
    TooLarge {
        /// The matrix.
        what: &'static str,
        /// Its rows.
        rows: usize,
        /// Its columns.
        cols: usize,
    },
    /// A model is asked how sure it is and cannot tell.
    #[error(
        "no training rows were left out to tell how sure predictions are; \
         expected a positive ridge and a fit that was not stopped"
    )]
    Unsure,
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
    /// Rows cannot be read from a file.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// What was found, and expected.
        reason: String,
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
    /// What linfa says of a data set.
    #[cfg(feature = "linfa")]
    #[error("data set: {0}")]
    Linfa(String),
}
