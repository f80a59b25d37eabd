//! From a table and a target to what a network is trained and tested on.

use super::column::{Column, Table};
use super::doubt::{doubts, mostly_numeric, other_numbers};
use super::encode::Encoder;
use super::error::TableError;
use super::means::Lesson;
use super::split::{Holdout, split};
use super::target::{Target, Task, Truth};
use super::warning::Warning;
use super::weights::weights;
use nearlin::{Contradiction, Merged, merge, merge_weighted};

/// So many different texts of a target may be classes, however few rows there are.
const FEW_CLASSES: usize = 20;

/// What is asked of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Name of the target's column.
    pub target: String,
    /// Default: [`Task::auto`].
    pub task: Option<Task>,
    /// Whether each class weighs the same in all. Default no.
    pub balanced: bool,
    /// What equations are for. Default squared errors.
    pub equations: Form,
    /// Whether numbers have normal scores beside them. Default yes.
    pub scores: bool,
    /// How many of the shuffled rows to keep. Default all.
    pub rows: Option<usize>,
    /// How the rows that are kept are divided. Default a fifth for testing.
    pub holdout: Holdout,
    /// Seed of the shuffle. Default 0.
    pub seed: u64,
}

/// What equations are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Squared errors: rows with equal inputs become one equation.
    Squared,
    /// Other losses: each row is an equation with its weight beside it.
    Apart,
    /// As [`Apart`](Self::Apart), and classes have logits in place of scores.
    Logits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: String::new(),
            task: None,
            balanced: false,
            equations: Form::Squared,
            scores: true,
            rows: None,
            holdout: Holdout::default(),
            seed: 0,
        }
    }
}

/// A table ready for training.
#[derive(Clone, Debug)]
pub struct Problem {
    /// How raw rows become inputs.
    pub encoder: Encoder,
    /// How the target becomes outputs, and back.
    pub target: Target,
    /// The training rows as equations.
    pub equations: Merged,
    /// Weights of the equations, where they are not in the equations; `None` for ones.
    pub weights: Option<Vec<f64>>,
    /// The training rows, in the order of [`Merged::equation_of`].
    pub train: Part,
    /// The test rows.
    pub test: Part,
    /// Encoded test rows, row-major, `test rows x inputs`.
    pub test_x: Vec<f64>,
    /// Encoded targets of the test rows, row-major, `test rows x outputs`.
    pub test_y: Vec<f64>,
    /// Rows kept, those of training and test together unless fewer than 5.
    pub rows: usize,
    /// Columns of the table but the target.
    pub features: usize,
    /// Rows of each class that there is in training; empty for regression.
    pub classes: Vec<ClassCount>,
    /// What a user should know.
    pub warnings: Vec<Warning>,
}

/// Some rows of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The rows' indices in the table.
    pub rows: Vec<usize>,
    /// The lines of the file that they start on.
    pub lines: Vec<u64>,
    /// Their targets as the user gave them.
    pub truth: Truth,
}

/// Refuses a target that nobody has called a class and that looks like none: numbers but for a few cells, or a text that
/// differs from row to row, which would make an output for each.
fn classes_or_numbers(table: &Table, column: &Column) -> Result<(), TableError> {
    if let Some(Warning::MostlyNumeric { column, text, line, numbers, rows }) =
        mostly_numeric(table, column)
    {
        return Err(TableError::MostlyNumericTarget { column, text, line, numbers, rows });
    }
    if let Some(Warning::OtherNumbers { column, text, line, others, rows }) =
        other_numbers(table, column)
    {
        return Err(TableError::OtherNumbersTarget { column, text, line, others, rows });
    }
    let (levels, rows) = (column.categories().levels.len(), table.rows());
    if levels > FEW_CLASSES && 2 * levels > rows {
        return Err(TableError::NoClasses { column: column.name().to_owned(), levels, rows });
    }
    Ok(())
}

/// How often a class occurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassCount {
    /// The class.
    pub label: String,
    /// Training rows that have it.
    pub train: usize,
    /// Test rows that have it.
    pub test: usize,
}

impl Problem {
    /// Divides, encodes and merges the rows of `table`.
    ///
    /// Rows without a target are left out. Encoders are fitted on the training rows only; whether a
    /// column is numeric is decided on the whole table.
    ///
    /// # Errors
    /// [`TableError`] for a target that is absent, not numeric though regression is asked for, or
    /// constant over the training rows; for options that do not fit the table; for fewer than two
    /// rows with a target; or if the encoded rows do not fit in memory.
    pub fn prepare(table: &Table, options: &Options) -> Result<Self, TableError> {
        let column = table.find(&options.target)?;
        let task = options.task.unwrap_or_else(|| Task::auto(column));
        if options.task.is_none() && task == Task::Classification {
            classes_or_numbers(table, column)?;
        }
        let (present, without) = present(table, column)?;
        let codes = match task {
            Task::Regression => None,
            Task::Classification => {
                let codes = column.categories().codes;
                Some(present.iter().map(|&row| codes[row]).collect::<Vec<u32>>())
            }
        };
        let (rows, keep) = (present.len(), options.rows);
        let mut parts = split(rows, codes.as_deref(), keep, options.holdout, options.seed)?;
        for row in parts.train.iter_mut().chain(&mut parts.test) {
            *row = present[*row];
        }

        let centred = Target::fit(table, &options.target, task, &parts.train)?;
        let target = if options.equations == Form::Logits {
            centred.clone().with_logits()?
        } else {
            centred.clone()
        };
        let train = Part::new(table, &target, parts.train)?;
        let test = Part::new(table, &target, parts.test)?;
        let y = target.encode(&train.truth);
        let centred = centred.encode(&train.truth);
        let (outputs, seed, scores) = (target.outputs(), options.seed, options.scores);
        let lesson = Lesson { y: &centred, outputs, seed, scores };
        let (encoder, encoded) =
            Encoder::fit_training(table, &options.target, &train.rows, &lesson)?;
        let mut warnings: Vec<Warning> = without.into_iter().chain(encoded.warnings).collect();
        if task == Task::Classification {
            warnings.extend(doubts(table, column, target.outputs(), train.rows.len()));
            warnings.extend(test.unseen_class(table, &target));
        }

        let weights = weights(table, options, &train)?;
        let (inputs, outputs) = (encoded.inputs, target.outputs());
        let equations = match &weights {
            _ if options.equations != Form::Squared => Merged::apart(encoded.x, y, inputs, outputs),
            None => merge(encoded.x, &y, inputs, outputs),
            Some(weights) => merge_weighted(encoded.x, &y, weights, inputs, outputs),
        };
        let encoded = encoder.encode(table, &test.rows)?;
        warnings.extend(encoded.warnings);
        Ok(Self {
            test_x: encoded.x,
            test_y: target.encode(&test.truth),
            rows: keep.map_or(rows, |keep| keep.min(rows)),
            features: table.columns().len() - 1,
            classes: class_counts(&target, &train, &test),
            encoder,
            target,
            equations,
            weights: weights.filter(|_| options.equations != Form::Squared),
            train,
            test,
            warnings,
        })
    }

    /// The file's lines of training rows that contradict each other.
    #[must_use]
    pub fn lines_of(&self, contradiction: &Contradiction) -> Vec<u64> {
        contradiction.rows.iter().map(|&row| self.train.lines[row]).collect()
    }
}

impl Part {
    fn new(table: &Table, target: &Target, rows: Vec<usize>) -> Result<Self, TableError> {
        let lines = rows.iter().map(|&row| table.line(row)).collect();
        let truth = target.truth(table, &rows)?;
        Ok(Self { rows, lines, truth })
    }

    fn unseen_class(&self, table: &Table, target: &Target) -> Option<Warning> {
        let Truth::Labels(labels) = &self.truth else { return None };
        let first = labels.iter().position(Option::is_none)?;
        Some(Warning::UnseenClass {
            column: target.column.clone(),
            text: table.column(&target.column)?.cell(self.rows[first]).into_owned(),
            line: self.lines[first],
            rows: labels.iter().filter(|label| label.is_none()).count(),
        })
    }

    fn class_sizes(&self, classes: usize) -> Vec<usize> {
        let mut sizes = vec![0; classes];
        if let Truth::Labels(labels) = &self.truth {
            labels.iter().flatten().for_each(|&label| sizes[label as usize] += 1);
        }
        sizes
    }
}

/// The rows that have a target, and what to say of the others.
fn present(table: &Table, target: &Column) -> Result<(Vec<usize>, Option<Warning>), TableError> {
    let (missing, present): (Vec<usize>, Vec<usize>) =
        (0..table.rows()).partition(|&row| target.is_missing(row));
    let column = || target.name().to_owned();
    if present.is_empty() {
        return Err(TableError::NoTarget { column: column() });
    }
    let warning = missing.first().map(|&first| Warning::MissingTarget {
        column: column(),
        line: table.line(first),
        rows: missing.len(),
    });
    Ok((present, warning))
}

fn class_counts(target: &Target, train: &Part, test: &Part) -> Vec<ClassCount> {
    let labels = target.classes().unwrap_or_default();
    let sizes = train.class_sizes(labels.len()).into_iter().zip(test.class_sizes(labels.len()));
    (labels.iter().zip(sizes))
        .map(|(label, (train, test))| ClassCount { label: label.clone(), train, test })
        .collect()
}
