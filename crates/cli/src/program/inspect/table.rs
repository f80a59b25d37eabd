//! What is in a table.

use serde::Serialize;

use super::share::{Share, short};
use super::{headed, kinds, more};
use crate::program::words::{aligned, bytes as size, counted, figure, listed};
use crate::table::{self, Encoder, Feature, Standard, Table, Task, Warning, are_many, excerpt};

/// A table, as it is shown.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename = "table")]
pub(super) struct About {
    file: String,
    /// Null for standard input.
    bytes: Option<u64>,
    rows: usize,
    /// What a fit to all rows would have of all columns, the bias included.
    inputs: usize,
    columns: Vec<Column>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    /// `number` or `category`.
    values: &'static str,
    /// Different values.
    distinct: usize,
    /// Cells without a value.
    missing: usize,
    /// Inputs that a fit would make of it; 0 where the column tells nothing.
    inputs: usize,
    /// What a fit with it as its target would be for.
    task: &'static str,
    #[serde(flatten)]
    summary: Summary,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Summary {
    Numbers {
        least: f64,
        most: f64,
        mean: f64,
        spread: f64,
    },
    Levels {
        /// The most frequent ones, largest first.
        levels: Vec<Share>,
    },
}

impl About {
    /// With at most so many categories of a column.
    pub(super) fn new(file: String, bytes: Option<u64>, table: &Table, levels: usize) -> Self {
        let rows: Vec<usize> = (0..table.rows()).collect();
        // No column has an empty name, so this is what a fit would make of each.
        let (encoder, warnings) = Encoder::fit(table, "", &rows);
        let doubts = warnings.iter().filter(|w| !matches!(w, Warning::ConstantColumn { .. }));
        let inputs = |name: &str| {
            let feature = encoder.features().iter().find(|feature| feature.column() == name);
            feature.map_or(0, |feature| match feature {
                // Coded by the mean target, of each output.
                Feature::Category { levels, .. } if are_many(levels.len(), table.rows()) => 1,
                feature => feature.width(),
            })
        };
        let all = table.columns().iter().map(|column| inputs(column.name())).sum::<usize>() + 1;
        let columns = table.columns().iter();
        Self {
            file,
            bytes,
            rows: table.rows(),
            inputs: all,
            columns: columns
                .map(|column| Column::new(column, table.rows(), inputs(column.name()), levels))
                .collect(),
            warnings: doubts.map(ToString::to_string).collect(),
        }
    }

    /// Lines for people, with at most so many columns and texts of each.
    pub(super) fn text(&self, columns: usize, levels: usize) -> String {
        let dropped: Vec<String> =
            self.columns.iter().filter(|c| c.inputs == 0).map(|c| excerpt(&c.name)).collect();
        let dropped = match dropped.len() {
            0 => String::new(),
            _ => format!("; constant, so dropped: {}", listed(&dropped, 8)),
        };
        let mut out = headed(&[
            (
                "table",
                format!(
                    "{}: {}{}",
                    self.file,
                    counted(self.rows, "row"),
                    self.bytes.map_or(String::new(), |bytes| format!(", {}", size(bytes as f64)))
                ),
            ),
            ("columns", kinds(self.columns.iter().map(|column| column.values))),
            (
                "fit",
                format!(
                    "{} of these columns, less those of the target{dropped}",
                    counted(self.inputs - 1, "input"),
                ),
            ),
            (
                "target",
                "a number is for regression, a category for classification; --task says otherwise"
                    .to_owned(),
            ),
        ]);
        out += &self.list(columns, levels);
        let warnings = self.warnings.iter().map(|warning| format!("warning: {warning}\n"));
        let warnings: Vec<String> = warnings.collect();
        if !warnings.is_empty() {
            out.push('\n');
            out += &warnings.concat();
        }
        out
    }

    fn list(&self, columns: usize, levels: usize) -> String {
        let missing = self.columns.iter().any(|column| column.missing > 0);
        let mut head = vec!["column", "values", "distinct", "inputs", ""];
        if missing {
            head.insert(3, "missing");
        }
        let mut rows: Vec<Vec<String>> = vec![head.into_iter().map(String::from).collect()];
        for column in self.columns.iter().take(columns) {
            let mut row = vec![
                excerpt(&column.name),
                column.values.to_owned(),
                column.distinct.to_string(),
                column.inputs.to_string(),
                column.summary.text(levels, column.distinct),
            ];
            if missing {
                row.insert(3, column.missing.to_string());
            }
            rows.push(row);
        }
        let last = rows[0].len() - 1;
        aligned(&rows, &[0, 1, last]) + &more(self.columns.len().saturating_sub(columns))
    }
}

impl Column {
    fn new(column: &table::Column, rows: usize, inputs: usize, most: usize) -> Self {
        let missing = (0..rows).filter(|&row| column.is_missing(row)).count();
        let (values, distinct, summary) = if column.is_numeric() {
            let mut numbers: Vec<f64> = (0..rows).filter_map(|row| column.number(row)).collect();
            let standard = Standard::fit(&numbers);
            numbers.sort_by(f64::total_cmp);
            let [least, last] = [numbers.first(), numbers.last()].map(|x| x.map_or(0.0, |&x| x));
            numbers.dedup_by(|a, b| a == b);
            let summary = Summary::Numbers {
                least,
                most: last,
                mean: standard.map_or(least, |standard| standard.invert(0.0)),
                spread: standard.map_or(0.0, |standard| standard.spread()),
            };
            ("number", numbers.len(), summary)
        } else {
            let shares = shares(column, rows - missing);
            let distinct = shares.len();
            let levels = shares.into_iter().take(most).collect();
            let values = if column.is_date() { "date" } else { "category" };
            (values, distinct, Summary::Levels { levels })
        };
        let (name, task) = (column.name().to_owned(), Task::auto(column).name());
        Self { name, values, distinct, missing, inputs, task, summary }
    }
}

/// The texts of a column and their parts of the `known` cells, largest first.
fn shares(column: &table::Column, known: usize) -> Vec<Share> {
    let categories = column.categories();
    let mut counts = vec![0_usize; categories.levels.len()];
    categories.codes.iter().for_each(|&code| counts[code as usize] += 1);
    let shares = categories.levels.into_iter().zip(counts);
    let shares = shares.filter(|(text, _)| !text.is_empty());
    Share::sorted(
        shares.map(|(text, count)| Share { text, share: count as f64 / known as f64 }).collect(),
    )
}

impl Summary {
    fn text(&self, shown: usize, distinct: usize) -> String {
        match self {
            Self::Numbers { least, .. } if distinct <= 1 => format!("{} alone", short(*least)),
            Self::Numbers { least, most, mean, spread } => format!(
                "{} to {}, mean {}, spread {}",
                short(*least),
                short(*most),
                figure(*mean),
                figure(*spread)
            ),
            Self::Levels { levels } if distinct <= 1 => levels
                .first()
                .map_or_else(String::new, |only| format!("{} alone", excerpt(&only.text))),
            // JSON may have fewer than there are.
            Self::Levels { levels } => {
                let shown = shown.min(levels.len());
                let listed = Share::list(&levels[..shown], shown);
                match distinct - shown {
                    0 => listed,
                    more => format!("{listed}, and {more} more"),
                }
            }
        }
    }
}
