//! Predictions as CSV, in the user's units.

use std::collections::HashSet;
use std::io::{self, Write};

use super::target::{Target, best};

const PREDICTION: &str = "prediction";

/// Writes predictions row by row, header first.
///
/// Numbers have 17 significant digits, so reading them gives the same `f64`. To a file, write
/// through [`output::write`](crate::output::write), which leaves no half-written one behind.
#[derive(Debug)]
pub struct Predictions<'a, W: Write> {
    out: csv::Writer<W>,
    target: &'a Target,
}

impl<'a, W: Write> Predictions<'a, W> {
    /// Writes the header.
    ///
    /// # Errors
    /// What the writer says.
    pub fn new(out: W, target: &'a Target) -> io::Result<Self> {
        let mut out = csv::Writer::from_writer(out);
        out.write_record(prediction_header(target))?;
        Ok(Self { out, target })
    }

    /// Writes the rows of `outputs`, the network's outputs, row-major with `K` columns.
    ///
    /// # Errors
    /// What the writer says.
    ///
    /// # Panics
    /// If `outputs` is not a whole number of rows.
    pub fn push(&mut self, outputs: &[f64]) -> io::Result<()> {
        let k = self.target.outputs();
        assert_eq!(outputs.len() % k, 0, "rows of {k} outputs");
        let mut row = vec![0.0; k];
        for outputs in outputs.chunks_exact(k) {
            row.copy_from_slice(outputs);
            self.target.decode(&mut row);
            for value in &row {
                self.out.write_field(format!("{value:.16e}"))?;
            }
            if let Some(classes) = self.target.classes() {
                self.out.write_field(&classes[best(&row)])?;
            }
            self.out.write_record(None::<&[u8]>)?;
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
pub fn write_predictions(out: impl Write, target: &Target, outputs: &[f64]) -> io::Result<()> {
    let mut predictions = Predictions::new(out, target)?;
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
