//! What can be wrong with an array.

use super::counted;

/// Why an array cannot be read as columns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayFault {
    /// The header is no header of an NPY file.
    #[error(
        "has the header `{found}`, expected versions 1 to 3 of NPY with descr, fortran_order and shape"
    )]
    Header {
        /// Its beginning.
        found: String,
    },
    /// The elements are no numbers, or of a type that is not read.
    #[error("has elements `{found}`, expected floats (f4, f8), integers (i1 to u8) or bool (b1)")]
    Type {
        /// Their type as the header has it.
        found: String,
    },
    /// Neither a column nor a table.
    #[error("has {found} dimensions, expected 1 or 2")]
    Dimensions {
        /// Dimensions it has.
        found: usize,
    },
    /// No elements.
    #[error("is empty: its shape is {rows} x {columns}")]
    Empty {
        /// Rows it has.
        rows: usize,
        /// Columns it has.
        columns: usize,
    },
    /// Fewer elements than the header says.
    #[error("ends too early: its header says {rows} x {columns} elements of {size} bytes")]
    Truncated {
        /// Rows that the header says.
        rows: usize,
        /// Columns that the header says.
        columns: usize,
        /// Bytes of an element.
        size: usize,
    },
    /// Bytes after the last element.
    #[error("goes on after the {rows} x {columns} elements that its header says")]
    Longer {
        /// Rows that the header says.
        rows: usize,
        /// Columns that the header says.
        columns: usize,
    },
    /// Another number of rows than the arrays before.
    #[error("has {}, and `{first}` has {expected}", counted(*found, "row"))]
    Rows {
        /// Rows it has.
        found: usize,
        /// Rows of the first array.
        expected: usize,
        /// Name of the first array.
        first: String,
    },
}
