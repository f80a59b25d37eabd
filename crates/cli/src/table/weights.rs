//! What rows weigh.

use super::column::Table;
use super::error::{TableError, excerpt};
use super::problem::{Options, Part};
use super::target::Truth;

/// Least weight, and one over the largest: sums of so many of them as there can be rows are numbers.
const LEAST: f64 = 1e-100;

/// Weights of the training rows; `None` where all weigh 1.
///
/// # Errors
/// [`TableError`] for a weight that is no number from 1e-100 to 1e100, or for balanced classes of numbers.
pub(super) fn weights(
    table: &Table,
    options: &Options,
    train: &Part,
) -> Result<Option<Vec<f64>>, TableError> {
    let mut weights = vec![1.0; train.rows.len()];
    if let Some(column) = &table.weights {
        for (weight, &row) in weights.iter_mut().zip(&train.rows) {
            let number = column.number(row).filter(|w| (LEAST..=1.0 / LEAST).contains(w));
            *weight = number.ok_or_else(|| TableError::Weight {
                line: table.line(row),
                column: column.name().to_owned(),
                text: excerpt(&column.cell(row)),
            })?;
        }
    }
    if options.balanced {
        let Truth::Labels(labels) = &train.truth else {
            return Err(TableError::BadOption {
                option: "--class-weights",
                value: "balanced".into(),
                expected: "none for a target of numbers".into(),
            });
        };
        let mut sums = Vec::new();
        for (label, weight) in labels.iter().zip(&weights) {
            let Some(label) = label else { continue };
            let at = *label as usize;
            sums.resize(sums.len().max(at + 1), 0.0);
            sums[at] += weight;
        }
        // As much in all as without.
        let each = sums.iter().sum::<f64>() / sums.len() as f64;
        for (label, weight) in labels.iter().zip(&mut weights) {
            *weight *= label.map_or(1.0, |label| each / sums[label as usize]);
        }
    }
    let plain = weights.iter().all(|&w| w == 1.0);
    Ok((!plain).then_some(weights))
}
