//! Inputs as points on the unit sphere.
//!
//! Numbers are one coordinate each, with their normal scores beside them, categories one a level or, where there are many, their mean
//! targets ([`Feature`]); dates are days, and the times of the day, the week and the year on circles.
//! A missing number or date is the mean, with one more coordinate that says where, if it is missing in
//! a training row; among categories, no value is one like others.
//!
//! Every coordinate is standardised on the training rows, and constant columns are dropped; what is
//! left is divided by the square root of its number, a bias coordinate 1 is appended, and the row is
//! normalised. So a row is `(z / sqrt(c), 1) / |..|` with `z` of mean 0 and variance 1 in each of `c`
//! coordinates: its two parts weigh about the same on average.

use std::collections::HashSet;

use nearlin::to_sphere;
use serde::{Deserialize, Serialize};

use super::cells::Cells;
use super::column::{Column, Table};
use super::doubt::{counts_rows, doubts, misread};
use super::error::TableError;
use super::feature::Feature;
use super::means::{self, Lesson};
use super::warning::Warning;

/// How raw rows become inputs of the network, fitted on training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    features: Vec<Feature>,
}

/// Encoded rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// Row-major, `n x inputs`, every row of unit length.
    pub x: Vec<f64>,
    /// `d`, the bias coordinate included; it is the last one.
    pub inputs: usize,
    /// One for each column with categories that the training rows did not have, or without values
    /// that they all had.
    pub warnings: Vec<Warning>,
}

impl Encoder {
    /// Fits an encoder to the training rows `rows`, using every column but `target`.
    ///
    /// Columns that are constant over `rows` are left out, with a warning each. If all are, only
    /// the bias remains, which is valid. Without targets to learn from, all categories have a
    /// coordinate each.
    #[must_use]
    pub fn fit(table: &Table, target: &str, rows: &[usize]) -> (Self, Vec<Warning>) {
        let (features, warnings) = fit(table, target, rows, None);
        (Self { features: features.into_iter().map(|(feature, _)| feature).collect() }, warnings)
    }

    /// As [`fit`](Self::fit), and encodes the training rows; columns of many categories are coded by
    /// the mean target of their rows.
    ///
    /// More than 20 categories are many if they are also more than one for every ten rows, or more than
    /// 100. [`encode`](Self::encode) uses the means of all training rows; for the training rows
    /// themselves they would hold their own targets, so here each gets the means of others (five folds).
    /// So rows with the same cells can differ in such columns.
    ///
    /// # Errors
    /// [`TableError::TooLarge`] if the encoded rows do not fit in memory.
    ///
    /// # Panics
    /// If `lesson` does not have the targets of `rows`.
    pub fn fit_training(
        table: &Table,
        target: &str,
        rows: &[usize],
        lesson: &Lesson<'_>,
    ) -> Result<(Self, Encoded), TableError> {
        assert_eq!(lesson.y.len(), rows.len() * lesson.outputs, "targets of all training rows");
        let (features, mut warnings) = fit(table, target, rows, Some(lesson));
        let (features, held): (Vec<Feature>, Vec<Vec<f64>>) = features.into_iter().unzip();
        let encoder = Self { features };
        let mut encoded = encoder.coordinates(table, rows)?;
        let mut start = 0;
        for (feature, held) in encoder.features.iter().zip(held) {
            let width = feature.width();
            let of_rows = encoded.x.chunks_exact_mut(encoded.inputs).zip(held.chunks_exact(width));
            for (out, told) in of_rows {
                out[start..start + width].copy_from_slice(told);
            }
            start += width;
        }
        encoded.x.chunks_exact_mut(encoded.inputs).for_each(to_sphere);
        warnings.append(&mut encoded.warnings);
        Ok((encoder, Encoded { warnings, ..encoded }))
    }

    /// The columns that are used and how.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The spread of each coordinate but the bias in the units of its column, 0 for normal scores, where all columns are
    /// numbers and every training row has them; else there are no units that they could share.
    #[must_use]
    pub fn spreads(&self) -> Option<Vec<f64>> {
        let mut spreads = Vec::new();
        for feature in &self.features {
            let Feature::Number { standard, missing: None, .. } = feature else { return None };
            spreads.push(standard.invert(1.0) - standard.invert(0.0));
            spreads.resize(spreads.len() + feature.width() - 1, 0.0);
        }
        Some(spreads)
    }

    /// `d`, the number of coordinates, the bias included.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.features.iter().map(Feature::width).sum::<usize>() + 1
    }

    /// Encodes `rows` of `table`, whose columns are found by name.
    ///
    /// Columns that are not needed are ignored, the target among them. A category that the
    /// training rows did not have is all zeros before standardising, or the mean of all rows where the
    /// column is coded by mean targets; a missing number is the mean.
    ///
    /// # Errors
    /// [`TableError`] for missing columns (all are named), a text where a number or a date is due, or
    /// more rows than fit in memory.
    pub fn encode(&self, table: &Table, rows: &[usize]) -> Result<Encoded, TableError> {
        let mut encoded = self.coordinates(table, rows)?;
        encoded.x.chunks_exact_mut(encoded.inputs).for_each(to_sphere);
        Ok(encoded)
    }

    /// The rows before they are normalised, the place of the bias still 0.
    fn coordinates(&self, table: &Table, rows: &[usize]) -> Result<Encoded, TableError> {
        let columns: Vec<Option<&Column>> =
            self.features.iter().map(|feature| table.column(feature.column())).collect();
        let missing: Vec<String> = (self.features.iter().zip(&columns))
            .filter(|(_, column)| column.is_none())
            .map(|(feature, _)| feature.column().to_owned())
            .collect();
        if !missing.is_empty() {
            return Err(TableError::MissingColumns { missing });
        }

        let inputs = self.inputs();
        let too_large = || TableError::TooLarge { rows: rows.len(), inputs };
        let size = rows.len().checked_mul(inputs).ok_or_else(too_large)?;
        let mut x = Vec::new();
        x.try_reserve_exact(size).map_err(|_| too_large())?;
        x.resize(size, 0.0);

        let mut warnings = Vec::new();
        let mut start = 0;
        for (feature, column) in self.features.iter().zip(columns.into_iter().flatten()) {
            let cells = Cells { table, column, rows, start, inputs };
            warnings.extend(cells.encode(feature, &mut x)?);
            start += feature.width();
        }
        Ok(Encoded { x, inputs, warnings })
    }

    /// Whether the numbers can be what [`fit`](Self::fit) returns.
    pub(crate) fn is_valid(&self) -> bool {
        let mut names = HashSet::new();
        self.features.iter().all(|feature| {
            let column = feature.column();
            feature.is_valid() && !column.is_empty() && names.insert(column)
        })
    }
}

/// The features of all columns but `target`, and for those that are coded by means what the training
/// rows are; what is doubtful about them.
fn fit(
    table: &Table,
    target: &str,
    rows: &[usize],
    lesson: Option<&Lesson<'_>>,
) -> (Vec<(Feature, Vec<f64>)>, Vec<Warning>) {
    let mut features = Vec::new();
    let mut warnings = Vec::new();
    for column in table.columns().iter().filter(|column| column.name() != target) {
        let (name, training) = (|| column.name().to_owned(), rows.len());
        match (Feature::fit(column, rows, lesson.is_none_or(|lesson| lesson.scores)), lesson) {
            (Some(Feature::Category { levels, .. }), Some(lesson))
                if means::are_many(levels.len(), training) =>
            {
                warnings.extend(misread(table, column));
                let (fitted, levels) = (means::fit(column, &levels, rows, lesson), levels.len());
                warnings.push(match fitted {
                    Some(_) => Warning::CodedByMeans { column: name(), levels, rows: training },
                    None => Warning::Identifier { column: name(), levels, rows: training },
                });
                features.extend(fitted);
            }
            (Some(feature), _) => {
                match &feature {
                    Feature::Category { levels, .. } => {
                        warnings.extend(doubts(table, column, levels.len(), training));
                    }
                    Feature::Number { .. } => warnings.extend(counts_rows(column)),
                    _ => {}
                }
                features.push((feature, Vec::new()));
            }
            (None, _) => warnings.extend(rows.first().map(|&row| {
                let text = column.cell(row).into_owned();
                Warning::ConstantColumn { column: name(), text }
            })),
        }
    }
    (features, warnings)
}
