//! The cells of one column, written into the coordinates of encoded rows.

use super::column::{Column, Table};
use super::error::{TableError, excerpt};
use super::feature::{DatePart, Feature, Level};
use super::means::LevelMeans;
use super::warning::Warning;
use super::{NormalScores, Standard};

/// The cells of `column` in `rows`, which become coordinates `start..` of rows of `inputs`.
pub(super) struct Cells<'a> {
    pub(super) table: &'a Table,
    pub(super) column: &'a Column,
    pub(super) rows: &'a [usize],
    pub(super) start: usize,
    pub(super) inputs: usize,
}

/// Cells that the training rows did not prepare for: the first one's row, and how many.
type Unprepared = Option<(usize, usize)>;

impl Cells<'_> {
    /// Writes the coordinates of `feature` into `x`, before rows are normalised.
    ///
    /// # Errors
    /// [`TableError`] for a text where a number is due.
    pub(super) fn encode(
        &self,
        feature: &Feature,
        x: &mut [f64],
    ) -> Result<Option<Warning>, TableError> {
        match feature {
            Feature::Number { standard, scores, missing, .. } => {
                self.numbers(standard, scores.as_ref(), *missing, x)
            }
            Feature::Date { parts, missing, .. } => self.dates(parts, *missing, x),
            Feature::Category { levels, .. } => Ok(self.one_hot(levels, x)),
            Feature::Means { levels, parts, .. } => Ok(self.means(levels, parts, x)),
        }
    }

    fn numbers(
        &self,
        standard: &Standard,
        scores: Option<&NormalScores>,
        missing: Option<f64>,
        x: &mut [f64],
    ) -> Result<Option<Warning>, TableError> {
        let fill = |row, out: &mut [f64]| {
            let number = self.column.number(row)?;
            out[0] = standard.apply(number);
            if let Some(scores) = scores {
                out[1] = scores.apply(number);
            }
            Some(())
        };
        let width = 1 + usize::from(scores.is_some());
        let not = |line, column, text| TableError::NotNumeric { line, column, text };
        self.values(width, &fill, &not, missing, x)
    }

    fn dates(
        &self,
        parts: &[DatePart],
        missing: Option<f64>,
        x: &mut [f64],
    ) -> Result<Option<Warning>, TableError> {
        let fill = |row, out: &mut [f64]| {
            let days = self.column.date(row)?;
            for (out, part) in out.iter_mut().zip(parts) {
                *out = part.standard.apply(part.clock.read(days));
            }
            Some(())
        };
        let not = |line, column, text| TableError::NotDate { line, column, text };
        self.values(parts.len(), &fill, &not, missing, x)
    }

    /// `width` coordinates by `fill`, 0 where there is no value, and one that says so if training rows
    /// lacked it; `not` is the error for a cell that `fill` does not take.
    fn values(
        &self,
        width: usize,
        fill: &dyn Fn(usize, &mut [f64]) -> Option<()>,
        not: &dyn Fn(u64, String, String) -> TableError,
        missing: Option<f64>,
        x: &mut [f64],
    ) -> Result<Option<Warning>, TableError> {
        let code = missing.map(one_hot);
        let mut new = None;
        for (out, &row) in x.chunks_exact_mut(self.inputs).zip(self.rows) {
            let out = &mut out[self.start..];
            let lacks = self.column.is_missing(row);
            if !lacks {
                fill(row, &mut out[..width]).ok_or_else(|| {
                    let column = self.column.name().to_owned();
                    not(self.table.line(row), column, excerpt(&self.column.cell(row)))
                })?;
            }
            match code {
                Some((off, on)) => out[width] = if lacks { on } else { off },
                None if lacks => count(&mut new, row),
                None => {}
            }
        }
        Ok(new.map(|(row, rows)| Warning::NewlyMissing {
            column: self.column.name().to_owned(),
            line: self.table.line(row),
            rows,
        }))
    }

    fn one_hot(&self, levels: &[Level], x: &mut [f64]) -> Option<Warning> {
        let (off, on): (Vec<f64>, Vec<f64>) = levels.iter().map(Level::codes).unzip();
        let mut unseen = None;
        for (out, &row) in x.chunks_exact_mut(self.inputs).zip(self.rows) {
            let out = &mut out[self.start..self.start + levels.len()];
            out.copy_from_slice(&off);
            let cell = self.column.cell(row);
            match levels.binary_search_by(|level| level.text.as_str().cmp(&cell)) {
                Ok(level) => out[level] = on[level],
                Err(_) => count(&mut unseen, row),
            }
        }
        unseen.map(|(row, rows)| Warning::UnseenCategory {
            column: self.column.name().to_owned(),
            text: self.column.cell(row).into_owned(),
            line: self.table.line(row),
            rows,
        })
    }

    fn means(&self, levels: &[LevelMeans], parts: &[Standard], x: &mut [f64]) -> Option<Warning> {
        let mut unseen = None;
        for (out, &row) in x.chunks_exact_mut(self.inputs).zip(self.rows) {
            let out = &mut out[self.start..self.start + parts.len()];
            let cell = self.column.cell(row);
            let level = levels.binary_search_by(|level| level.text.as_str().cmp(&cell)).ok();
            let means = level.map(|level| &levels[level].means);
            for (i, (out, part)) in out.iter_mut().zip(parts).enumerate() {
                // Targets have mean 0.
                *out = part.apply(means.map_or(0.0, |means| means[i]));
            }
            if level.is_none() {
                count(&mut unseen, row);
            }
        }
        unseen.map(|(row, rows)| Warning::UnseenLevel {
            column: self.column.name().to_owned(),
            text: self.column.cell(row).into_owned(),
            line: self.table.line(row),
            rows,
        })
    }
}

/// 0 and 1, standardised where a part `share` of the training rows has the 1.
pub(super) fn one_hot(share: f64) -> (f64, f64) {
    let spread = (share * (1.0 - share)).sqrt();
    (-share / spread, (1.0 - share) / spread)
}

fn count(cells: &mut Unprepared, row: usize) {
    cells.get_or_insert((row, 0)).1 += 1;
}
