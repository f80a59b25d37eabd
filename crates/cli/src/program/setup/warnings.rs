//! What a user should know, in sentences.

use crate::program::words;
use crate::table::Warning;

/// Constant columns that are named.
const COLUMNS: usize = 5;

/// Warnings in words, those about constant columns together if there are many: images have such
/// columns by the hundred.
pub(super) fn sentences(warnings: &[Warning]) -> Vec<String> {
    let constant: Vec<&str> = (warnings.iter())
        .filter_map(|warning| match warning {
            Warning::ConstantColumn { column, .. } => Some(&**column),
            _ => None,
        })
        .collect();
    let together = constant.len() > COLUMNS;
    let alone =
        |warning: &&Warning| !(together && matches!(warning, Warning::ConstantColumn { .. }));
    let mut sentences: Vec<String> =
        warnings.iter().filter(alone).map(ToString::to_string).collect();
    if together {
        sentences.push(format!(
            "{} columns have one value each, or none, on all training rows: dropped ({})",
            constant.len(),
            words::listed(&constant, COLUMNS)
        ));
    }
    sentences
}
