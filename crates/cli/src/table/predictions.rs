//! Predictions as CSV, in the user's units.

use std::collections::HashSet;
use std::io::{self, Write};

use nearlin::sureness::best;

use super::target::Target;
use crate::calibration::Calibration;

const PREDICTION: &str = "prediction";

/// What is written beside predictions.
#[derive(Clone, Debug, PartialEq)]
pub enum Sureness {
    /// Nothing.
    Silent,
    /// Regression: columns `lower` and `upper`.
    Interval {
        /// Of each row.
        ends: Vec<[f64; 2]>,
    },
    /// Classification: probabilities in place of scores.
    Probabilities(Calibration),
}

/// Writes predictions row by row, header first.
///
/// Numbers have 17 significant digits, so reading them gives the same `f64`. To a file, write
/// through [`output::write`](crate::output::write), which leaves no half-written one behind.
#[derive(Debug)]
pub struct Predictions<'a, W: Write> {
    out: csv::Writer<W>,
    target: &'a Target,
    sure: &'a Sureness,
    rows: usize,
}

impl<'a, W: Write> Predictions<'a, W> {
    /// Writes the header.
    ///
    /// # Errors
    /// What the writer says.
    pub fn new(out: W, target: &'a Target, sure: &'a Sureness) -> io::Result<Self> {
        let mut out = csv::Writer::from_writer(out);
        let mut header = prediction_header(target);
        if let Sureness::Interval { .. } = sure {
            header.extend(["lower", "upper"].map(String::from));
        }
        out.write_record(header)?;
        Ok(Self { out, target, sure, rows: 0 })
    }

    /// Writes the rows of `outputs`, the network's outputs, row-major with `K` columns.
    ///
    /// # Errors
    /// What the writer says.
    ///
    /// # Panics
    /// If `outputs` is not a whole number of rows, or there are more of them than intervals.
    pub fn push(&mut self, outputs: &[f64]) -> io::Result<()> {
        let k = self.target.outputs();
        assert_eq!(outputs.len() % k, 0, "rows of {k} outputs");
        let mut row = vec![0.0; k];
        for outputs in outputs.chunks_exact(k) {
            row.copy_from_slice(outputs);
            self.target.decode(&mut row);
            let class = best(&row);
            match self.sure {
                Sureness::Probabilities(calibration) => {
                    calibration.to_probabilities(&mut row);
                }
                Sureness::Interval { ends } => row.extend(ends[self.rows]),
                Sureness::Silent => {}
            }
            for value in &row {
                self.out.write_field(format!("{value:.16e}"))?;
            }
            if let Some(classes) = self.target.classes() {
                self.out.write_field(&classes[class])?;
            }
            self.out.write_record(None::<&[u8]>)?;
            row.truncate(k);
            self.rows += 1;
        }
        Ok(())
    }

    /// Hands everything to the writer.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes a header and all rows of `outputs` (row-major, `n x K`) to `out`.
///
/// # Errors
/// What the writer says.
///
/// # Panics
/// If `outputs` is not a whole number of rows.
pub fn write_predictions(
    out: impl Write,
    target: &Target,
    outputs: &[f64],
    sure: &Sureness,
) -> io::Result<()> {
    let mut predictions = Predictions::new(out, target, sure)?;
    predictions.push(outputs)?;
    predictions.finish()
}

/// The columns: `prediction` alone for regression; for classification each class's score under
/// the class's label, then `prediction`.
///
/// The score of a class that is itself called `prediction` is called `score:prediction`, with
/// `score:` repeated for as long as some other class has that name.
#[must_use]
pub fn prediction_header(target: &Target) -> Vec<String> {
    let classes = target.classes().unwrap_or_default();
    let taken: HashSet<&str> = classes.iter().map(String::as_str).collect();
    let mut header: Vec<String> = classes.to_vec();
    for name in header.iter_mut().filter(|name| *name == PREDICTION) {
        while name == PREDICTION || taken.contains(name.as_str()) {
            name.insert_str(0, "score:");
        }
    }
    header.push(PREDICTION.to_owned());
    header
}
