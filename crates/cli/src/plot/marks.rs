//! Colours and marker shapes: what tells one series from another.

use plotters::style::RGBColor;

use super::Style;

/// The colours of Okabe and Ito (2008), in an order that sets neighbours far apart. Yellow is left
/// out: on white it is too faint for a line.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(34, 34, 34),
];

/// The colours of dashed series: references stay behind what was measured.
const REFERENCES: [RGBColor; 3] =
    [RGBColor(120, 120, 120), RGBColor(136, 34, 85), RGBColor(130, 120, 30)];

/// How one series looks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Look {
    /// Colour of line and marker.
    pub(super) colour: RGBColor,
    /// Outline of the marker, of about radius 1 around the origin, `y` downwards.
    pub(super) outline: Vec<(f64, f64)>,
}

/// The looks of series of these styles. Dashed ones take their colours from a list of their own,
/// so that the others keep theirs when a reference comes or goes.
pub(super) fn looks(styles: impl IntoIterator<Item = Style>) -> Vec<Look> {
    let (mut measured, mut references) = (0, 0);
    let look = |style| {
        let (colours, next): (&[RGBColor], &mut usize) = match style {
            Style::Dashed => (&REFERENCES, &mut references),
            _ => (&COLOURS, &mut measured),
        };
        let index = *next;
        *next += 1;
        Look { colour: colours[index % colours.len()], outline: outline(index) }
    };
    styles.into_iter().map(look).collect()
}

/// The outline of a marker of about radius 1 around the origin, `y` downwards.
///
/// Shapes follow the index as colours do, shifted by one for each round of colours, so that the
/// first 49 series differ from each other in colour or shape.
fn outline(index: usize) -> Vec<(f64, f64)> {
    let rounds = index / COLOURS.len();
    match (index + rounds) % 7 {
        0 => polygon(32, 0.0, 1.0),
        1 => polygon(4, 0.125, 1.25),
        2 => polygon(3, 0.0, 1.4),
        3 => polygon(4, 0.0, 1.35),
        4 => polygon(3, 0.5, 1.4),
        5 => plus(0.0),
        _ => plus(0.125),
    }
}

/// A regular polygon with its first corner `turn` turns clockwise from the top.
fn polygon(corners: usize, turn: f64, radius: f64) -> Vec<(f64, f64)> {
    (0..corners)
        .map(|k| std::f64::consts::TAU * (k as f64 / corners as f64 + turn))
        .map(|angle| (radius * angle.sin(), -radius * angle.cos()))
        .collect()
}

/// A plus sign with thick arms, turned clockwise.
fn plus(turn: f64) -> Vec<(f64, f64)> {
    let (arm, half) = (1.3, 0.42);
    let quarter = [(-half, -arm), (half, -arm), (half, -half)];
    (0..4)
        .flat_map(|k| {
            let (sin, cos) = (std::f64::consts::TAU * (f64::from(k) / 4.0 + turn)).sin_cos();
            quarter.map(|(x, y)| (x * cos - y * sin, x * sin + y * cos))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_49_series_differ() {
        let looks = looks([Style::LineMarkers; 49]);
        for (k, look) in looks.iter().enumerate() {
            assert!(!looks[..k].contains(look), "series {k} looks like an earlier one");
        }
    }

    #[test]
    fn a_reference_leaves_the_other_colours_alone() {
        let alone = looks([Style::Line, Style::Markers]);
        let with = looks([Style::Dashed, Style::Line, Style::Dashed, Style::Markers]);
        assert_eq!([&alone[0], &alone[1]], [&with[1], &with[3]]);
        assert_ne!(with[0].colour, with[2].colour);
    }
}
