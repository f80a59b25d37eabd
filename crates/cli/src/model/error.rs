//! What can be wrong with a model or its file.

use std::io;
use std::path::PathBuf;

use crate::output::OutputError;

/// A model that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file cannot be opened or read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] OutputError),
    /// The file was read and is not a usable model.
    #[error("`{path}` is not a usable model: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: Box<ModelError>,
    },
    /// Not a safetensors file, or a truncated or corrupt one.
    #[error("not a complete safetensors file ({reason})")]
    NotSafetensors {
        /// What the format's reader says.
        reason: String,
    },
    /// A safetensors file of some other program.
    #[error("a safetensors file without `{key}` in its metadata, so not written by nearlin")]
    Foreign {
        /// The key.
        key: &'static str,
    },
    /// A file of a version that this program does not know.
    #[error("format version {found}, expected {expected}")]
    Version {
        /// The file's.
        found: u64,
        /// This program's.
        expected: u64,
    },
    /// Metadata that do not have the fields they should have.
    #[error("its metadata cannot be understood ({reason})")]
    Metadata {
        /// What the JSON reader says.
        reason: String,
    },
    /// Tensors other than the metadata ask for.
    #[error("it holds the tensors {found:?}, expected {expected:?}")]
    Tensors {
        /// Names in the file, sorted.
        found: Vec<String>,
        /// Names that should be there.
        expected: Vec<&'static str>,
    },
    /// A tensor of another type or shape than the metadata say.
    #[error("tensor `{tensor}` is {found_type} {found:?}, expected {expected_type} {expected:?}")]
    Tensor {
        /// Its name.
        tensor: &'static str,
        /// Its type.
        found_type: String,
        /// The type that it should have.
        expected_type: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that it should have.
        expected: Vec<usize>,
    },
    /// A matrix with another number of entries than its dimensions say.
    #[error("`{tensor}` has {found} entries, expected {} x {}", expected[0], expected[1])]
    Length {
        /// Its name.
        tensor: &'static str,
        /// Entries that it has.
        found: usize,
        /// Rows and columns that it should have.
        expected: [usize; 2],
    },
    /// An entry that is not finite, or a sign that is neither 1 nor -1.
    #[error("`{tensor}` holds {value} in row {row}, column {column} (from 0)")]
    Entry {
        /// The matrix.
        tensor: &'static str,
        /// Row of the first such entry, from 0.
        row: usize,
        /// Column of it, from 0.
        column: usize,
        /// The entry.
        value: f64,
    },
    /// A number or text out of its range.
    #[error("its {what} is {found}, expected {expected}")]
    Invalid {
        /// What it is.
        what: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: String,
    },
}
