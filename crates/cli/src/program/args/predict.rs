//! The command line of `nearlin predict`.

use std::path::PathBuf;

use super::values::checked;

const PREDICT_EXAMPLES: &str = "\
Examples:
  nearlin predict m.safetensors new.csv > predictions.csv
  nearlin predict m.safetensors new.csv.gz -o predictions.csv
  make-table | nearlin predict m.safetensors -";

/// Predict with a trained model, one row for each row of a table.
#[derive(Debug, clap::Args)]
#[command(after_help = PREDICT_EXAMPLES)]
pub(in crate::program) struct PredictArgs {
    /// The model that fit wrote.
    #[arg(value_name = "MODEL")]
    pub(in crate::program) model: PathBuf,

    /// The table, in any form that fit reads, with the columns that the model was trained on; a
    /// target column is ignored; - is standard input.
    #[arg(value_name = "DATA")]
    pub(in crate::program) data: PathBuf,

    /// Add columns `lower` and `upper`: an interval that holds this part of new targets, from training rows that were
    /// left out (jackknife+), or the residuals of test rows after a fit on batches; regression only. N residuals tell no
    /// larger part than N/(N+1).
    #[arg(
        long,
        value_name = "LEVEL",
        allow_hyphen_values = true,
        conflicts_with = "probabilities"
    )]
    #[arg(value_parser = |text: &str| checked(text, "a number between 0 and 1", |level: &f64| {
        *level > 0.0 && *level < 1.0
    }))]
    pub(in crate::program) interval: Option<f64>,

    /// Probabilities of the classes in place of their scores; classification only.
    #[arg(long)]
    pub(in crate::program) probabilities: bool,

    /// Write the predictions here, as CSV [default: standard output].
    #[arg(short, long, value_name = "OUT.csv")]
    pub(in crate::program) output: Option<PathBuf>,
}
