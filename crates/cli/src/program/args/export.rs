//! The options of `nearlin export`.

use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  nearlin export m.safetensors -o m.onnx
  In Python, with onnxruntime and numpy, for a model of numbers alone:
    session = onnxruntime.InferenceSession('m.onnx')
    session.run(['prediction'], {'numbers': numpy.array([[0.3, 61.5], [0.7, 60.2]])})";

/// Write a trained model as an ONNX graph, from columns as they are to predictions.
///
/// The graph takes `numbers` (double, a column for each numeric one) and `categories` (text), the columns
/// in the order that its metadata name, and gives `prediction`, or `scores`, `probabilities` (where
/// `predict --probabilities` has them) and `label`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::program) struct ExportArgs {
    /// The model that fit wrote.
    #[arg(value_name = "MODEL")]
    pub(in crate::program) model: PathBuf,

    /// Write the graph here.
    #[arg(short, long, value_name = "OUT.onnx")]
    pub(in crate::program) output: PathBuf,
}
