//! From a file to equations: reading, splitting, encoding, merging, and back to CSV.
//!
//! [`Table::read`] keeps a file's cells and line numbers, [`Problem::prepare`] turns them into
//! training and test rows, and [`write_predictions`] puts a model's outputs back into the user's
//! units. The pieces stand alone as well: [`split`](split()), [`Encoder`], [`Target`], [`merge`](merge()).
//!
//! What a user should know but need not act on comes back as [`Warning`] values; a call or a
//! file that is wrong is a [`TableError`] that names line, column and text.

mod cells;
mod column;
mod date;
mod delimiter;
mod doubt;
mod encode;
mod error;
mod feature;
mod means;
mod missing;
mod npy;
mod npy_rows;
mod npz;
#[cfg(feature = "parquet")]
mod parquet;
mod predictions;
mod problem;
mod read;
mod rows;
mod source;
mod split;
mod target;
mod warning;
mod weights;

#[cfg(test)]
mod tests;

pub use column::{Categories, Column, Table, Values};
pub use date::Clock;
pub use delimiter::Delimiter;
pub use encode::{Encoded, Encoder};
pub(crate) use error::excerpt;
pub use error::{ArrayFault, TableError};
pub use feature::{DatePart, Feature, Level};
pub(crate) use means::are_many;
pub use means::{Lesson, LevelMeans};
pub use missing::MISSING;
pub use nearlin::{Contradiction, Merged, NormalScores, Standard, merge};
pub use predictions::{Predictions, Sureness, prediction_header, write_predictions};
pub use problem::{ClassCount, Form, Options, Part, Problem};
pub use rows::TableRows;
pub use source::STDIN;
pub use split::{Holdout, Split, sample, split};
pub use target::{Target, TargetCode, Task, Truth};
pub use warning::Warning;
