//! Cells that say that there is no value.

/// The texts that stand for no value, beside nothing at all; capitals or not.
pub const MISSING: [&str; 6] = ["na", "n/a", "nan", "null", "none", "?"];

/// Whether a trimmed cell is empty or one of [`MISSING`].
pub(super) fn is_missing(cell: &str) -> bool {
    cell.is_empty() || MISSING.iter().any(|marker| cell.eq_ignore_ascii_case(marker))
}
