//! Lines, dashes and markers of a series.

use plotters::prelude::DrawingBackend;
use plotters::style::WHITE;

use super::marks::Look;
use super::pen::{Pen, Place};
use super::{PlotError, Style};

const LINE_WIDTH: f64 = 2.25;
const MARKER_RADIUS: f64 = 4.6;
/// Lengths of a dash and of the gap after it.
const DASH: [f64; 2] = [9.0, 6.0];

/// A line in the way of its style; nothing for markers alone.
pub(super) fn line<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    places: &[Place],
    look: &Look,
    style: Style,
) -> Result<(), PlotError> {
    match style {
        Style::Markers => Ok(()),
        Style::Line | Style::LineMarkers => pen.path(places, LINE_WIDTH, look.colour),
        Style::Dashed => {
            dashes(places).iter().try_for_each(|dash| pen.path(dash, LINE_WIDTH, look.colour))
        }
    }
}

/// Cuts a line into dashes and gaps, around corners as well.
fn dashes(places: &[Place]) -> Vec<Vec<Place>> {
    let mut dashes: Vec<Vec<Place>> = places.iter().take(1).map(|&first| vec![first]).collect();
    let (mut phase, mut left) = (0, DASH[0]);
    for pair in places.windows(2) {
        let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let cut = (x0 + (x1 - x0) * done / length, y0 + (y1 - y0) * done / length);
            if phase == 0 {
                dashes.last_mut().into_iter().for_each(|dash| dash.push(cut));
            } else {
                dashes.push(vec![cut]);
            }
            phase = 1 - phase;
            left = DASH[phase];
        }
        left -= length - done;
        if phase == 0 {
            dashes.last_mut().into_iter().for_each(|dash| dash.push((x1, y1)));
        }
    }
    dashes
}

/// A marker with a thin white edge, so that crossing series stay apart.
pub(super) fn marker<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    (x, y): Place,
    look: &Look,
) -> Result<(), PlotError> {
    let grown = |radius: f64| -> Vec<Place> {
        look.outline.iter().map(|(dx, dy)| (x + radius * dx, y + radius * dy)).collect()
    };
    pen.shape(&grown(MARKER_RADIUS + 1.4), WHITE)?;
    pen.shape(&grown(MARKER_RADIUS), look.colour)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn length(line: &[Place]) -> f64 {
        line.windows(2).map(|p| (p[1].0 - p[0].0).hypot(p[1].1 - p[0].1)).sum()
    }

    proptest! {
        /// Dashes have their length around corners too, and with the gaps make up the line.
        ///
        /// Coordinates below 1000 and a few hundred additions of lengths: rounding stays below
        /// `1000 * 300 * 2^-53 < 1e-9`, a dash that rounding alone opens included.
        #[test]
        fn dashes_and_gaps_make_up_the_line(
            line in prop::collection::vec((0.0..1000.0f64, 0.0..1000.0f64), 2..6),
        ) {
            let dashes = dashes(&line);
            let (last, full) = dashes.split_last().unwrap();
            for dash in full {
                prop_assert!((length(dash) - DASH[0]).abs() < 1e-9, "{}", length(dash));
            }
            prop_assert!(length(last) < DASH[0] + 1e-9);
            let gaps = DASH[1] * full.len() as f64;
            let rest = length(&line) - gaps - dashes.iter().map(|d| length(d)).sum::<f64>();
            prop_assert!((-1e-9..DASH[1] + 1e-9).contains(&rest), "{rest}");
        }
    }
}
