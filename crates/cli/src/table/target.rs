//! The target: what is learnt, as numbers, and back.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Standard;
use super::column::{Column, Table};
use super::error::{TableError, excerpt};

/// What kind of answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A number: one output.
    Regression,
    /// A label: one output for each class.
    Classification,
}

impl Task {
    /// Regression if and only if every value of `target` is a number.
    #[must_use]
    pub fn auto(target: &Column) -> Self {
        if target.is_numeric() { Self::Regression } else { Self::Classification }
    }

    /// `regression` or `classification`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Classification => "classification",
        }
    }
}

/// A target column and its code, fitted on training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Name of the column.
    pub column: String,
    /// How its cells become numbers.
    pub code: TargetCode,
}

/// How the cells of a target become numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum TargetCode {
    /// Standardised.
    Regression(Standard),
    /// One column a class: 1 for the row's own class, 0 for others, less the column's mean.
    Classification {
        /// The classes in the training rows: in numerical order if all are numbers, else by bytes.
        classes: Vec<String>,
        /// Each class's part of the training rows, the column's mean.
        centre: Vec<f64>,
    },
    /// One column a class: 1 for the row's own class, 0 for others. Outputs are logits: a softmax makes
    /// probabilities of them.
    Logits {
        /// The classes, as above.
        classes: Vec<String>,
        /// Each class's part of the training rows.
        shares: Vec<f64>,
    },
}

/// Targets as the user gave them.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// Regression: the numbers.
    Numbers(Vec<f64>),
    /// Classification: indices of classes, `None` for one that is not in the training rows.
    Labels(Vec<Option<u32>>),
}

impl Target {
    /// Fits a code for `task` to the training rows `rows` of `table`.
    ///
    /// # Errors
    /// [`TableError`] if there is no such column, if it has to be numeric and is not (anywhere in
    /// the table), if one of `rows` has no target, or if it is constant over them.
    pub fn fit(
        table: &Table,
        column: &str,
        task: Task,
        rows: &[usize],
    ) -> Result<Self, TableError> {
        let column = table.find(column)?;
        let code = match task {
            Task::Regression => {
                Standard::fit(&numbers(table, column, rows)?).map(TargetCode::Regression)
            }
            Task::Classification => {
                require(table, column, rows)?;
                classes(column, rows)
            }
        };
        let constant = || TableError::ConstantTarget {
            column: column.name().to_owned(),
            text: rows.first().map_or_else(String::new, |&row| excerpt(&column.cell(row))),
            rows: rows.len(),
        };
        Ok(Self { column: column.name().to_owned(), code: code.ok_or_else(constant)? })
    }

    /// The task that the code is for.
    #[must_use]
    pub fn task(&self) -> Task {
        match self.code {
            TargetCode::Regression(_) => Task::Regression,
            TargetCode::Classification { .. } | TargetCode::Logits { .. } => Task::Classification,
        }
    }

    /// `K`, the number of outputs.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.classes().map_or(1, <[String]>::len)
    }

    /// The classes, in the order of the outputs; `None` for regression.
    #[must_use]
    pub fn classes(&self) -> Option<&[String]> {
        match &self.code {
            TargetCode::Regression(_) => None,
            TargetCode::Classification { classes, .. } | TargetCode::Logits { classes, .. } => {
                Some(classes)
            }
        }
    }

    /// This target of classes with logits for outputs.
    ///
    /// # Errors
    /// [`TableError::BadOption`] for a target of numbers.
    pub fn with_logits(self) -> Result<Self, TableError> {
        match self.code {
            TargetCode::Classification { classes, centre: shares }
            | TargetCode::Logits { classes, shares } => {
                Ok(Self { code: TargetCode::Logits { classes, shares }, ..self })
            }
            TargetCode::Regression(_) => Err(TableError::BadOption {
                option: "--loss",
                value: "cross-entropy".into(),
                expected: "squared, huber:DELTA or quantile:LEVEL for a target of numbers".into(),
            }),
        }
    }

    /// The standard deviation of the numbers that were fitted; `None` for classes.
    #[must_use]
    pub fn spread(&self) -> Option<f64> {
        match &self.code {
            TargetCode::Regression(standard) => Some(standard.spread()),
            _ => None,
        }
    }

    /// Each class's part of the training rows, the mean of its column before it is centred, where outputs are logits.
    #[must_use]
    pub fn shares(&self) -> Option<&[f64]> {
        match &self.code {
            TargetCode::Logits { shares, .. } => Some(shares),
            _ => None,
        }
    }

    /// Whether outputs are logits.
    #[must_use]
    pub fn has_logits(&self) -> bool {
        matches!(self.code, TargetCode::Logits { .. })
    }

    /// The targets of `rows` as the user gave them.
    ///
    /// # Errors
    /// [`TableError`] if there is no such column, for a text where a number is due, or for a row
    /// without a target.
    pub fn truth(&self, table: &Table, rows: &[usize]) -> Result<Truth, TableError> {
        let column = table.find(&self.column)?;
        let Some(classes) = self.classes() else {
            return numbers(table, column, rows).map(Truth::Numbers);
        };
        require(table, column, rows)?;
        let index: HashMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
        Ok(Truth::Labels(rows.iter().map(|&row| index.get(&*column.cell(row)).copied()).collect()))
    }

    /// `truth` as the network's targets: row-major, `n x K`.
    ///
    /// A class that is not among the training rows is all zeros before centring.
    ///
    /// # Panics
    /// If `truth` is not of this target's task.
    #[must_use]
    pub fn encode(&self, truth: &Truth) -> Vec<f64> {
        match (&self.code, truth) {
            (TargetCode::Regression(standard), Truth::Numbers(numbers)) => {
                numbers.iter().map(|&x| standard.apply(x)).collect()
            }
            (TargetCode::Classification { centre, .. }, Truth::Labels(labels)) => {
                let mut y = Vec::with_capacity(labels.len() * centre.len());
                for label in labels {
                    let start = y.len();
                    y.extend(centre.iter().map(|mean| -mean));
                    if let Some(label) = label {
                        y[start + *label as usize] = 1.0 - centre[*label as usize];
                    }
                }
                y
            }
            (TargetCode::Logits { classes, .. }, Truth::Labels(labels)) => {
                let mut y = vec![0.0; labels.len() * classes.len()];
                for (y, label) in y.chunks_exact_mut(classes.len()).zip(labels) {
                    if let Some(label) = label {
                        y[*label as usize] = 1.0;
                    }
                }
                y
            }
            _ => panic!("{} targets expected", self.task().name()),
        }
    }

    /// One row of outputs in the user's terms, in place: the number itself, or for each class
    /// its score, which is near 1 for a class that fits and near 0 for one that does not, or its logit.
    ///
    /// # Panics
    /// If `outputs` does not have `K` entries.
    pub fn decode(&self, outputs: &mut [f64]) {
        assert_eq!(outputs.len(), self.outputs(), "one row of outputs");
        match &self.code {
            TargetCode::Regression(standard) => outputs[0] = standard.invert(outputs[0]),
            TargetCode::Classification { centre, .. } => {
                outputs.iter_mut().zip(centre).for_each(|(f, mean)| *f += mean);
            }
            TargetCode::Logits { .. } => {}
        }
    }

    /// Whether the numbers can be what [`fit`](Self::fit) returns.
    pub(crate) fn is_valid(&self) -> bool {
        let code = match &self.code {
            TargetCode::Regression(standard) => standard.is_valid(),
            TargetCode::Classification { classes, centre: shares }
            | TargetCode::Logits { classes, shares } => {
                are_classes(classes)
                    && shares.len() == classes.len()
                    && shares.iter().all(|&part| part > 0.0 && part < 1.0)
            }
        };
        code && !self.column.is_empty()
    }
}

/// Whether these are names of two classes at least, each of them once.
fn are_classes(classes: &[String]) -> bool {
    let mut names: Vec<&String> = classes.iter().collect();
    names.sort_unstable();
    names.len() >= 2 && names.windows(2).all(|pair| pair[0] < pair[1]) && !names[0].is_empty()
}

fn numbers(table: &Table, column: &Column, rows: &[usize]) -> Result<Vec<f64>, TableError> {
    if let Some(row) = column.first_text() {
        return Err(TableError::TargetNotNumeric {
            line: table.line(row),
            column: column.name().to_owned(),
            text: excerpt(&column.cell(row)),
        });
    }
    require(table, column, rows)?;
    Ok(rows.iter().filter_map(|&row| column.number(row)).collect())
}

/// Refuses rows without a target.
fn require(table: &Table, column: &Column, rows: &[usize]) -> Result<(), TableError> {
    rows.iter().find(|&&row| column.is_missing(row)).map_or(Ok(()), |&row| {
        let column = column.name().to_owned();
        Err(TableError::TargetMissing { line: table.line(row), column })
    })
}

/// The classes in `rows`, or `None` if there are fewer than two.
fn classes(column: &Column, rows: &[usize]) -> Option<TargetCode> {
    let mut counts: HashMap<Cow<'_, str>, usize> = HashMap::new();
    for &row in rows {
        *counts.entry(column.cell(row)).or_default() += 1;
    }
    let mut counts: Vec<(Cow<'_, str>, usize)> = counts.into_iter().collect();
    counts.sort_unstable();
    let value = |label: &str| label.parse::<f64>().ok();
    if counts.iter().all(|(label, _)| value(label).is_some()) {
        counts.sort_by(|(a, _), (b, _)| {
            value(a).partial_cmp(&value(b)).unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    let part = |&(_, count): &(Cow<'_, str>, usize)| count as f64 / rows.len() as f64;
    (counts.len() >= 2).then(|| TargetCode::Classification {
        centre: counts.iter().map(part).collect(),
        classes: counts.iter().map(|(label, _)| label.to_string()).collect(),
    })
}
