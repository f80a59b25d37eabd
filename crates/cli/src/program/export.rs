//! `nearlin export`.

use super::args::ExportArgs;
use super::error::ProgramError;
use super::files::Files;
use crate::model::Model;
use crate::onnx::to_onnx;
use crate::output;

/// Writes a model as an ONNX graph.
///
/// # Errors
/// [`ProgramError`]; if its exit code is 2 nothing was written.
pub(super) fn run(args: &ExportArgs) -> Result<(), ProgramError> {
    Files::default()
        .reads(&args.model, "the model")
        .writes("--output", Some(args.output.as_path()))?;
    let bytes = to_onnx(&Model::read(&args.model)?)?;
    output::write(&args.output, |out| out.write_all(&bytes)).map_err(ProgramError::Write)
}
