//! Texts with their parts of the rows.

use serde::Serialize;

use crate::program::words::{figure, listed, plain};
use crate::table::excerpt;

/// A category or a class, and its part of the rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Share {
    pub(super) text: String,
    pub(super) share: f64,
}

impl Share {
    /// The largest first; those of one size stay in order.
    pub(super) fn sorted(mut shares: Vec<Self>) -> Vec<Self> {
        shares.sort_by(|a, b| b.share.total_cmp(&a.share));
        shares
    }

    /// `Ideal (40.0%), Premium (25.6%), and 3 more`.
    pub(super) fn list(shares: &[Self], shown: usize) -> String {
        let words: Vec<String> = shares
            .iter()
            .map(|Self { text, share }| format!("{} ({})", excerpt(text), percent(*share)))
            .collect();
        listed(&words, shown)
    }
}

/// `12.3%`, with more digits of a small one.
pub(super) fn percent(part: f64) -> String {
    let decimals = if part == 0.0 || part >= 0.001 { 1 } else { 3 };
    format!("{:.decimals$}%", 100.0 * part)
}

/// A number as it was given, or four digits of a long one.
pub(super) fn short(x: f64) -> String {
    let plain = plain(x);
    if plain.len() <= 10 { plain } else { figure(x) }
}
