//! Why a model is not exported.

/// A model that cannot be told in ONNX.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// A column whose encoding no operators were written for.
    #[error("column `{column}` cannot be exported: {reason}")]
    Column {
        /// Name of the column.
        column: String,
        /// What is in the way.
        reason: &'static str,
    },
    /// A graph that no file can hold.
    #[error(
        "the graph takes {bytes} bytes, and an ONNX file holds at most {most}: fit with a smaller width"
    )]
    TooLarge {
        /// Bytes of the graph.
        bytes: usize,
        /// Bytes that protocol buffers may have.
        most: usize,
    },
}
