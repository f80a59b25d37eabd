//! The command line.

mod export;
mod inspect;
mod plan;
mod predict;
#[cfg(test)]
mod tests;
mod values;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand, ValueEnum};
use nearlin::{MetricForm, Options, Precision, Scale, Signs};

pub(super) use self::values::{Choice, LossChoice};
use self::values::{
    SolverChoice, at_least_one, at_least_two, bytes, checked, loss, ridge, scale, solvers,
    tolerance, width,
};
use crate::table;

pub(super) use export::ExportArgs;
pub(super) use inspect::InspectArgs;
pub(super) use plan::PlanArgs;
pub(super) use predict::PredictArgs;

const EXAMPLES: &str = "\
Examples:
  Train on a table and keep the model:
    nearlin fit diamonds.csv --target log_price --model diamonds.safetensors
  Predict with it, for rows with or without the target:
    nearlin predict diamonds.safetensors new.csv -o predictions.csv
  See what a run would cost before starting it:
    nearlin plan diamonds.csv --target log_price --width 16384
  Look into a table or a model, and use the model elsewhere:
    nearlin inspect diamonds.safetensors
    nearlin export diamonds.safetensors -o diamonds.onnx

Exit codes: 0 done, 2 the call or its input was wrong and nothing was written, 1 internal failure.";

const FIT_EXAMPLES: &str = "\
Examples:
  nearlin fit diabetes.csv --target target --model m.safetensors --report run.json --plot run.svg
  nearlin fit digits.csv.gz --target digit --task classification --train-rows 1000
  nearlin fit diamonds.csv --target log_price --rows 5000 --loss quantile:0.9 --model upper.safetensors
  nearlin fit diamonds.csv --target log_price --rows 4000 --width 8192 --ridge 0 --tol 1e-10
  nearlin fit diamonds.csv --target log_price --rows 2000 --solver tensor-srht --precision f32
  nearlin fit rows.npy --target x16 --batch 2000 --model m.safetensors
  nearlin fit diamonds.csv --target log_price --checkpoint run.checkpoint --resume";

/// A pass over all batches that lowers the objective by less than this part of it is the last.
const LEAST_GAIN: f64 = 1e-3;

/// Certified Gauss-Newton training of wide two-layer ReLU networks on tables of data.
#[derive(Debug, Parser)]
#[command(name = "nearlin", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Train a network on the rows of a table.
    #[command(after_help = FIT_EXAMPLES)]
    Fit(FitArgs),
    Predict(PredictArgs),
    Plan(PlanArgs),
    Export(ExportArgs),
    Inspect(InspectArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct FitArgs {
    /// The table: a text file with a header, its fields divided by commas, tabs or semicolons, or arrays
    /// (NPY with columns x0, x1, ..; NPZ with columns A0, A1, .. of an array A, or A of one dimension), or
    /// a Parquet file; gzipped or not; - is standard input.
    #[arg(value_name = "DATA")]
    pub(super) data: PathBuf,

    /// Column to predict; all others are inputs.
    #[arg(long, value_name = "COLUMN")]
    pub(super) target: String,

    /// What kind of answer is wanted; auto is regression if and only if every target is a number.
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) task: TaskChoice,

    /// What is minimised: squared errors (of one-hot targets for classes); cross-entropy for
    /// probabilities of classes; huber:DELTA, which is linear for residuals beyond DELTA, in the target's
    /// units; quantile:LEVEL for that quantile of the target.
    #[arg(long, value_name = "LOSS", default_value = "squared", value_parser = loss)]
    pub(super) loss: LossChoice,

    /// Column with a positive weight for each row; it is no input. Errors in the report count rows once
    /// [default: each row weighs the same].
    #[arg(long, value_name = "COLUMN")]
    pub(super) weights: Option<String>,

    /// Weights of the classes: balanced gives each class the same weight in all.
    #[arg(long, value_enum, default_value = "none")]
    pub(super) class_weights: ClassWeights,

    /// Neurons: auto or a positive even number. auto takes 4096, or with --ridge auto and squared errors as many more as
    /// bring the error of left-out rows near that of infinite width, or as take next to no time.
    #[arg(long, value_name = "auto|M", default_value = "auto", allow_hyphen_values = true)]
    #[arg(value_parser = width)]
    pub(super) width: Choice<usize>,

    /// Networks to train, with seeds from S on and one factorisation among them, and to average into one of so many
    /// times the width.
    #[arg(long, value_name = "K", default_value = "1", allow_hyphen_values = true)]
    #[arg(value_parser = at_least_one)]
    pub(super) ensemble: usize,

    /// Standard deviation of the initial weights, a positive number; auto finds a power of two with
    /// which every step certifies (with --batch the first): 1, or at most eight times one that is too small.
    #[arg(long, value_name = "auto|SIGMA", default_value = "auto", allow_hyphen_values = true)]
    #[arg(value_parser = scale)]
    pub(super) scale: Scale,

    /// How each step is solved; auto takes what the planner finds quickest, or a surer one that
    /// takes at most a quarter longer.
    #[arg(long, value_name = "SOLVER", default_value = "auto", allow_hyphen_values = true)]
    #[arg(value_parser = solvers())]
    pub(super) solver: SolverChoice,

    /// Penalty mu on the change of the weights, at least 0; 0 interpolates the training rows, auto
    /// takes what predicts training rows best that were left out.
    #[arg(long, value_name = "auto|MU", default_value = "auto", allow_hyphen_values = true)]
    #[arg(value_parser = ridge)]
    pub(super) ridge: Choice<f64>,

    /// Equations that ridges are judged by, for squared errors: some, 8,192 or 2,048 at even distances where there are more; or
    /// all, which takes some solves with all of them for each ridge near the best of those.
    #[arg(long, value_enum, default_value = "some")]
    pub(super) ridge_rows: RidgeRows,

    /// How inputs are weighted before they reach the network: auto learns from the training rows whether
    /// weights for each input or for all their combinations help; none takes inputs as they are [default:
    /// auto with --ridge auto, none with a ridge that is given].
    #[arg(long, value_enum)]
    pub(super) metric: Option<MetricChoice>,

    /// Tolerance to reach, a positive number: of the relative residual at ridge 0, else of the
    /// relative gradient; auto is 1e-8 with a ridge that is given, and with --ridge auto the fit
    /// ends where a step lowers the objective by less than 1e-3 of it, which no prediction tells.
    #[arg(long, value_name = "auto|T", default_value = "auto", allow_hyphen_values = true)]
    #[arg(value_parser = tolerance)]
    pub(super) tol: Choice<f64>,

    /// Most steps to take, at least 1.
    #[arg(long, value_name = "N", default_value = "50", allow_hyphen_values = true)]
    #[arg(value_parser = at_least_one)]
    pub(super) max_steps: usize,

    /// Train on batches of B rows of the table, for tables that do not fit in memory or where a step on all rows takes
    /// too long. What is chosen is chosen by a sample of 10,000 rows. Rows of NPY (two dimensions, in row order) and Parquet files
    /// are read as they are needed, others are kept in memory; of more than 10,000 rows encoded ones go to a temporary file. Steps are in f64; --tol
    /// is looked at with --ridge 0 only [default: steps are on all rows].
    #[arg(long, value_name = "B", allow_hyphen_values = true, value_parser = at_least_one)]
    #[arg(conflicts_with_all = [
        "loss", "weights", "class_weights", "ensemble", "precision", "rows", "train_rows", "max_steps", "checkpoint",
        "ridge_rows"
    ])]
    pub(super) batch: Option<usize>,

    /// Most passes over all rows, at least 1; a pass that lowers the objective by less than 1e-3 of it is the last.
    #[arg(long, value_name = "P", default_value = "10", allow_hyphen_values = true)]
    #[arg(requires = "batch", value_parser = at_least_one)]
    pub(super) passes: usize,

    /// Keep only the first N of the shuffled rows, at least 2 [default: all].
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    #[arg(value_parser = at_least_two)]
    pub(super) rows: Option<usize>,

    /// Train on N rows, at least 2, and test on the others [default: by --test-fraction].
    #[arg(long, value_name = "N", allow_hyphen_values = true, conflicts_with = "test_fraction")]
    #[arg(value_parser = at_least_two)]
    pub(super) train_rows: Option<usize>,

    /// Part of the rows to test on, in [0, 1).
    #[arg(long, value_name = "F", default_value = "0.2", allow_hyphen_values = true)]
    #[arg(value_parser = |text: &str| checked(text, "a number in [0, 1)", |part: &f64| {
        (0.0..1.0).contains(part)
    }))]
    pub(super) test_fraction: f64,

    /// Seed of the split, the initial weights and the sketches.
    #[arg(long, value_name = "S", default_value = "0", allow_hyphen_values = true)]
    #[arg(value_parser = |text: &str| checked(text, "a whole number from 0 to 2^64 - 1", |_: &u64| true))]
    pub(super) seed: u64,

    /// Numbers that the inner solver works with; residuals and weights are f64 always. auto is f32 where ridge and
    /// tolerance are chosen for squared errors, else f64.
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) precision: PrecisionChoice,

    /// Signs of the neurons in the outputs; auto takes orthogonal ones at ridge 0 where the width allows
    /// them, and balanced ones otherwise.
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) signs: SignsChoice,

    /// Rows of the sketch, at least 1, or the highest rank of rp-cholesky, rp-gram and nystrom; not for a --solver without
    /// either [default: 4 for each equation, 2 past 8192 equations; rank 2048, less where that exceeds 1 GiB].
    #[arg(long, value_name = "S", allow_hyphen_values = true, value_parser = at_least_one)]
    pub(super) sketch_rows: Option<usize>,

    /// Memory to plan for, as 4G or 512M: solvers that need more are not taken [default: the machine's].
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, value_parser = bytes)]
    pub(super) memory: Option<u64>,

    /// Threads to use, at least 1; no result of a solver depends on them, but the automatic choice of one may [default: all
    /// cores].
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = at_least_one)]
    pub(super) threads: Option<usize>,

    /// Set the run down here after each step, so that it can go on if its process ends [default: not
    /// written].
    #[arg(long, value_name = "OUT.checkpoint", conflicts_with = "ensemble")]
    pub(super) checkpoint: Option<PathBuf>,

    /// Go on from the checkpoint, with the options that the run began with, and end with the same bits;
    /// begin anew if there is none.
    #[arg(long, requires = "checkpoint")]
    pub(super) resume: bool,

    /// Write the trained model here, for predict [default: not written].
    #[arg(long, value_name = "OUT.safetensors")]
    pub(super) model: Option<PathBuf>,

    /// Write a report of the run here, as JSON [default: not written].
    #[arg(long, value_name = "OUT.json")]
    pub(super) report: Option<PathBuf>,

    /// Draw the loss curve here; the ending .svg or .png says how [default: not drawn].
    #[arg(long, value_name = "OUT.svg|OUT.png")]
    pub(super) plot: Option<PathBuf>,

    /// Draw the error on rows that were left out against the ridge; the ending .svg or .png says how
    /// [default: not drawn].
    #[arg(long, value_name = "OUT.svg|OUT.png")]
    pub(super) ridge_plot: Option<PathBuf>,

    /// Draw which columns matter here, by what the metric found; the ending .svg or .png says how
    /// [default: not drawn].
    #[arg(long, value_name = "OUT.svg|OUT.png")]
    pub(super) importance_plot: Option<PathBuf>,

    /// Print nothing but errors.
    #[arg(long)]
    pub(super) quiet: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum TaskChoice {
    Auto,
    Regression,
    Classification,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ClassWeights {
    None,
    Balanced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PrecisionChoice {
    Auto,
    F64,
    F32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RidgeRows {
    Some,
    All,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum SignsChoice {
    Auto,
    /// Each direction twice, independently
    Random,
    /// Each direction twice, with the rows of a Hadamard matrix in equal numbers: quicker passes
    Balanced,
    /// Each direction with all rows of a Hadamard matrix
    Orthogonal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum MetricChoice {
    Auto,
    None,
    Diagonal,
    Damped,
    Blended,
    Shrunk,
    Full,
}

impl MetricChoice {
    fn forms(self) -> Option<&'static [MetricForm]> {
        match self {
            Self::Auto => Some(&MetricForm::LEARNED),
            Self::None => None,
            Self::Diagonal => Some(&[MetricForm::Diagonal]),
            Self::Damped => Some(&[MetricForm::Damped]),
            Self::Blended => Some(&[MetricForm::Blended]),
            Self::Shrunk => Some(&[MetricForm::Shrunk]),
            Self::Full => Some(&[MetricForm::Full]),
        }
    }
}

impl FitArgs {
    /// The library's options, with the library's default for a ridge that is still to be chosen. Call
    /// this in the thread pool of the run.
    pub(super) fn options(&self) -> Options {
        let options = self.whole_options();
        // Steps on batches are in f64, and end where passes gain little.
        let batches = || options.precision(Precision::F64).least_gain(LEAST_GAIN);
        if self.batch.is_some() { batches() } else { options }
    }

    fn whole_options(&self) -> Options {
        let options = Options::default();
        // Where ridge and tolerance are chosen, the fit ends where no prediction tells another step.
        let options = match self.tol.0.or(self.ridge.0) {
            None => options.automatic(),
            Some(_) => options,
        };
        let precision = match (self.precision, self.loss) {
            (PrecisionChoice::Auto, LossChoice::Squared) => options.precision,
            (PrecisionChoice::Auto | PrecisionChoice::F64, _) => Precision::F64,
            (PrecisionChoice::F32, _) => Precision::F32,
        };
        options
            .width(self.width.0.unwrap_or(Options::default().width))
            .scale(self.scale)
            .solver(self.solver.0)
            .ridge(self.ridge.0.unwrap_or(Options::default().ridge))
            .tolerance(self.tol.0.unwrap_or(Options::default().tolerance))
            .max_steps(self.max_steps)
            .seed(self.seed)
            .sketch_rows(self.sketch_rows)
            .precision(precision)
            .signs(match self.signs {
                SignsChoice::Auto => None,
                SignsChoice::Random => Some(Signs::Random),
                SignsChoice::Balanced => Some(Signs::Balanced),
                SignsChoice::Orthogonal => Some(Signs::Orthogonal),
            })
    }

    /// The forms of a metric that may be tried; `None` for inputs as they are.
    pub(super) fn metric_forms(&self) -> Option<&'static [MetricForm]> {
        match (self.metric, self.ridge.0) {
            (Some(choice), _) => choice.forms(),
            (None, None) => MetricChoice::Auto.forms(),
            (None, Some(_)) => None,
        }
    }

    /// The table's name in sentences.
    pub(super) fn data_name(&self) -> impl Display {
        let stdin = self.data == Path::new(table::STDIN);
        if stdin { "standard input".into() } else { self.data.display().to_string() }
    }

    /// What is asked of the table.
    pub(super) fn table_options(&self) -> table::Options {
        table::Options {
            target: self.target.clone(),
            task: match self.task {
                TaskChoice::Auto => None,
                TaskChoice::Regression => Some(table::Task::Regression),
                TaskChoice::Classification => Some(table::Task::Classification),
            },
            balanced: self.class_weights == ClassWeights::Balanced,
            equations: match self.loss {
                LossChoice::Squared => table::Form::Squared,
                LossChoice::CrossEntropy => table::Form::Logits,
                LossChoice::Huber(_) | LossChoice::Quantile(_) => table::Form::Apart,
            },
            scores: true,
            rows: self.rows,
            holdout: self
                .train_rows
                .map_or(table::Holdout::Fraction(self.test_fraction), table::Holdout::TrainRows),
            seed: self.seed,
        }
    }
}
