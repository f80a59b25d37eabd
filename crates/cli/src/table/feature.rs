//! How one column of a table becomes coordinates, fitted on training rows.

use serde::{Deserialize, Serialize};

use super::cells::one_hot;
use super::column::{Categories, Column, Values};
use super::date::Clock;
use super::means::LevelMeans;
use super::{NormalScores, Standard};

/// No table has so many rows that a level in it could have a smaller share.
const SMALLEST_SHARE: f64 = 1e-20;

/// Sines and cosines of dates that vary less than this, a seventieth of what a second of a day makes,
/// vary by rounding.
const SMALLEST_SPREAD: f64 = 1e-6;

/// How one column of the table becomes coordinates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Feature {
    /// One coordinate, one with normal scores, if values tell ranks, and one that says where there is no value, if
    /// training rows lack it.
    Number {
        /// Name of the column.
        column: String,
        /// Its mean and spread on the training rows, those without a value at the mean.
        standard: Standard,
        /// Normal scores of the values.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scores: Option<NormalScores>,
        /// The part of the training rows without a value, in (0, 1): the mean of the last
        /// coordinate before it is standardised.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        missing: Option<f64>,
    },
    /// A coordinate for each part, and one that says where there is no value, if training rows lack it.
    Date {
        /// Name of the column.
        column: String,
        /// What is taken from the dates, at least one thing, each once.
        parts: Vec<DatePart>,
        /// As for a number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        missing: Option<f64>,
    },
    /// One coordinate for each level.
    Category {
        /// Name of the column.
        column: String,
        /// The texts in the training rows, at least two, in order of their bytes.
        levels: Vec<Level>,
    },
    /// The mean target of a category's rows, one coordinate for each output in which it varies.
    Means {
        /// Name of the column.
        column: String,
        /// The texts in the training rows, at least two, in order of their bytes.
        levels: Vec<LevelMeans>,
        /// For each coordinate mean and spread of what the training rows were coded as.
        parts: Vec<Standard>,
    },
}

/// One coordinate of a date.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatePart {
    /// What it says of the date.
    pub clock: Clock,
    /// Its mean and spread on the training rows, those without a value at the mean.
    pub standard: Standard,
}

/// One text of a categorical column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// The text; empty for cells without a value.
    pub text: String,
    /// Its part of the training rows, in (0, 1): the mean of its one-hot column.
    pub share: f64,
}

impl Level {
    /// The standardised one-hot column for other levels, and for this one.
    pub(crate) fn codes(&self) -> (f64, f64) {
        one_hot(self.share)
    }
}

impl Feature {
    /// The feature of `column` over the training rows `rows`, or `None` if it is constant; numbers `with_scores`
    /// beside them, or without.
    pub(super) fn fit(column: &Column, rows: &[usize], with_scores: bool) -> Option<Self> {
        let of_rows = |all: &[f64]| rows.iter().map(|&row| all[row]).collect::<Vec<f64>>();
        let name = || column.name().to_owned();
        let categories = match column.values() {
            Values::Numeric(all) => {
                let values = of_rows(&all);
                if let Some((standard, missing)) = number(&values) {
                    let rows = values.len();
                    let present: Vec<f64> =
                        values.into_iter().filter(|value| !value.is_nan()).collect();
                    let missing_rows = rows - present.len();
                    let scores =
                        NormalScores::fit_among(&present, missing_rows).filter(|_| with_scores);
                    return Some(Self::Number { column: name(), standard, scores, missing });
                }
                // One number, but not in each row: that is a category with two levels.
                column.categories()
            }
            Values::Dates(all) => {
                if let Some((parts, missing)) = dates(&of_rows(&all)) {
                    return Some(Self::Date { column: name(), parts, missing });
                }
                column.categories()
            }
            Values::Categorical(categories) => categories,
        };
        let levels = shares(categories, rows);
        (levels.len() >= 2).then(|| Self::Category { column: name(), levels })
    }

    /// Name of the column.
    #[must_use]
    pub fn column(&self) -> &str {
        match self {
            Self::Number { column, .. }
            | Self::Date { column, .. }
            | Self::Category { column, .. }
            | Self::Means { column, .. } => column,
        }
    }

    /// Coordinates that the column becomes.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Number { scores, missing, .. } => {
                1 + usize::from(scores.is_some()) + usize::from(missing.is_some())
            }
            Self::Date { parts, missing, .. } => parts.len() + usize::from(missing.is_some()),
            Self::Category { levels, .. } => levels.len(),
            Self::Means { parts, .. } => parts.len(),
        }
    }

    /// Whether the numbers can be what [`fit`](Self::fit) returns.
    pub(super) fn is_valid(&self) -> bool {
        let part = |share: f64| share > SMALLEST_SHARE && share < 1.0;
        match self {
            Self::Number { standard, scores, missing, .. } => {
                standard.is_valid()
                    && scores.as_ref().is_none_or(NormalScores::is_valid)
                    && missing.is_none_or(part)
            }
            Self::Date { parts, missing, .. } => {
                !parts.is_empty()
                    && parts.iter().all(|part| part.standard.is_valid())
                    && parts.windows(2).all(|pair| pair[0].clock < pair[1].clock)
                    && missing.is_none_or(part)
            }
            Self::Category { levels, .. } => {
                levels.len() >= 2
                    && levels.iter().all(|level| part(level.share))
                    && levels.windows(2).all(|pair| pair[0].text < pair[1].text)
            }
            Self::Means { levels, parts, .. } => {
                let sound = |level: &LevelMeans| {
                    level.means.len() == parts.len() && level.means.iter().all(|x| x.is_finite())
                };
                levels.len() >= 2
                    && !parts.is_empty()
                    && parts.iter().all(Standard::is_valid)
                    && levels.iter().all(sound)
                    && levels.windows(2).all(|pair| pair[0].text < pair[1].text)
            }
        }
    }
}

/// Standardises numbers of which those that are missing (NaN) are taken as the mean of the others;
/// also the part that is missing, if any is. `None` if they are constant.
fn number(values: &[f64]) -> Option<(Standard, Option<f64>)> {
    let present: Vec<f64> = values.iter().copied().filter(|x| !x.is_nan()).collect();
    let standard = Standard::fit(&present)?;
    let missing = values.len() - present.len();
    if missing == 0 {
        return Some((standard, None));
    }
    let mean = standard.invert(0.0);
    let filled: Vec<f64> = values.iter().map(|&x| if x.is_nan() { mean } else { x }).collect();
    Some((Standard::fit(&filled)?, Some(missing as f64 / values.len() as f64)))
}

/// What days say, those that are missing (NaN) being taken as the mean of each part; also the part that
/// is missing, if any is. `None` if nothing varies.
///
/// Something that comes round is used where the days span more than one round of it.
fn dates(days: &[f64]) -> Option<(Vec<DatePart>, Option<f64>)> {
    let least = days.iter().copied().fold(f64::INFINITY, f64::min);
    let most = days.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut share = None;
    let mut parts = Vec::new();
    for clock in Clock::ALL {
        if clock.period().is_some_and(|period| most - least <= period) {
            continue;
        }
        let values: Vec<f64> = days.iter().map(|&days| clock.read(days)).collect();
        let Some((standard, missing)) = number(&values) else { continue };
        if clock.period().is_none() || standard.spread() > SMALLEST_SPREAD {
            share = missing;
            parts.push(DatePart { clock, standard });
        }
    }
    (!parts.is_empty()).then_some((parts, share))
}

/// The levels among `rows` and the part of the rows that each has.
fn shares(categories: Categories, rows: &[usize]) -> Vec<Level> {
    let mut counts = vec![0_usize; categories.levels.len()];
    for &row in rows {
        counts[categories.codes[row] as usize] += 1;
    }
    (categories.levels.into_iter().zip(counts))
        .filter(|&(_, count)| count > 0)
        .map(|(text, count)| Level { text, share: count as f64 / rows.len() as f64 })
        .collect()
}
