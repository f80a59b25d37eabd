//! The options of `nearlin inspect`.

use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  nearlin inspect diamonds.csv
  nearlin inspect m.safetensors --all
  nearlin inspect m.safetensors --json > m.json";

/// Show what is in a model or a table.
///
/// Of a model: what it predicts and how sure it is, its network, and how each column is encoded. Of a table:
/// what is in each column, and what fit would make of it. The file's content tells which of the two it is.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::program) struct InspectArgs {
    /// A model that fit wrote, or a table as fit takes it: - is a table on standard input.
    #[arg(value_name = "FILE")]
    pub(in crate::program) file: PathBuf,

    /// Print JSON, with all columns.
    #[arg(long)]
    pub(in crate::program) json: bool,

    /// List all columns, categories and classes, however many there are.
    #[arg(long)]
    pub(in crate::program) all: bool,
}
