//! The legend: rows of samples and names above the frame.

use super::pen::{self, Type};
use super::{Chart, PlotError};

/// Width of the sample of line and marker in front of a name.
pub(super) const SAMPLE: f64 = 40.0;
/// Space between sample and name.
pub(super) const GAP: f64 = 9.0;
/// Space between entries.
const BETWEEN: f64 = 28.0;

/// One entry: which series, its name as it fits, and where.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// Index of the series.
    pub(super) series: usize,
    /// The name, shortened if it is wider than the legend.
    pub(super) name: String,
    /// Start of the sample, from the legend's left edge.
    pub(super) left: f64,
    /// Row, from 0.
    pub(super) row: usize,
}

/// Lays out the named series in rows of at most `room` layout units.
pub(super) fn entries(chart: &Chart, font: Type, room: f64) -> Result<Vec<Entry>, PlotError> {
    let mut entries: Vec<Entry> = Vec::new();
    let (mut left, mut row) = (0.0, 0);
    for (series, Named { name, wide }) in named(chart, font, room - SAMPLE - GAP)? {
        if left > 0.0 && left + SAMPLE + GAP + wide > room {
            (left, row) = (0.0, row + 1);
        }
        entries.push(Entry { series, name, left, row });
        left += SAMPLE + GAP + wide + BETWEEN;
    }
    Ok(entries)
}

struct Named {
    name: String,
    wide: f64,
}

fn named(chart: &Chart, font: Type, room: f64) -> Result<Vec<(usize, Named)>, PlotError> {
    let with_name = chart.series.iter().enumerate().filter(|(_, s)| !s.name.is_empty());
    with_name
        .map(|(index, series)| {
            let name = shortened(&series.name, font, room)?;
            let wide = pen::width(&name, font)?;
            Ok((index, Named { name, wide }))
        })
        .collect()
}

/// The text on one line, with an ellipsis in place of what does not fit into `room`.
pub(super) fn shortened(text: &str, font: Type, room: f64) -> Result<String, PlotError> {
    let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if pen::width(&text, font)? <= room {
        return Ok(text);
    }
    while !text.is_empty() && pen::width(&format!("{text}…"), font)? > room {
        text.pop();
    }
    Ok(format!("{}…", text.trim_end()))
}
