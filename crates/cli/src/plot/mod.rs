//! Charts as SVG or PNG files: the loss curve of a run and the scaling figures of the benchmarks.
//!
//! A [`Chart`] is data: titles, two axes and a list of series. [`Chart::write`] lays it out and
//! draws it with `plotters`, which serves here as a drawing backend alone: ticks, legend and
//! margins are our own, because residuals over twenty decades and sizes in powers of two need
//! other ticks than a general library places. The same drawing goes to both formats, the font of
//! the PNG is compiled in, and the same chart always gives the same bytes.

mod axis;
mod draw;
mod error;
mod fit;
mod glyphs;
mod importance;
mod legend;
mod loss;
mod marks;
mod pen;
mod ridge;
mod strokes;
#[cfg(test)]
mod tests;
mod write;

pub use error::PlotError;
pub use fit::{Fit, fit_loglog};
pub use importance::importance_chart;
pub use loss::{LossPoint, loss_curve};
pub use ridge::ridge_curve;
pub use write::{Format, format_of};

/// How an axis maps values to positions, and which values get a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scale {
    /// Proportional, labels at round numbers.
    Linear,
    /// Proportional, labels at whole numbers only: steps, counts.
    Integer,
    /// Logarithmic, labels at powers of ten. Values that are not positive are left out.
    Log10,
    /// Logarithmic, labels at powers of two, written out: sizes such as 1024 and 4096. Values
    /// that are not positive are left out.
    Log2,
}

/// One axis: what it shows and on which scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// What the axis shows, with its unit; empty for none.
    pub label: String,
    /// How values become positions.
    pub scale: Scale,
    /// Names of the places 0, 1, .., first at the top of a vertical axis; empty for an axis of numbers.
    pub names: Vec<String>,
}

impl Axis {
    /// An axis from its label and its scale.
    pub fn new(label: impl Into<String>, scale: Scale) -> Self {
        Self { label: label.into(), scale, names: Vec::new() }
    }

    /// An axis of names, at the places 0, 1, .. from the top down: for a vertical axis.
    pub fn named(label: impl Into<String>, names: Vec<String>) -> Self {
        Self { label: label.into(), scale: Scale::Linear, names }
    }
}

/// How the points of a series are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Style {
    /// A line through the points with a marker at each; past 40 points only some get a marker.
    LineMarkers,
    /// A line alone.
    Line,
    /// A dashed line alone: references and bounds.
    Dashed,
    /// A marker at each point and no line.
    Markers,
}

/// A named list of points.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The name in the legend; an empty one keeps the series out of the legend.
    pub name: String,
    /// The points `(x, y)` in drawing order. A point that an axis cannot show (not finite, past
    /// `1e300` in magnitude, or not positive on a logarithmic axis) breaks the line and is left
    /// out.
    pub points: Vec<(f64, f64)>,
    /// How the points are drawn.
    pub style: Style,
}

impl Series {
    /// A series from its name, points and style.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>, style: Style) -> Self {
        Self { name: name.into(), points, style }
    }

    /// Adds the slope of the power law through the points to the name, as in `srht (slope 1.03)`.
    ///
    /// The name stays as it is where [`fit_loglog`] finds no slope.
    #[must_use]
    pub fn with_slope(mut self) -> Self {
        if let Some(fit) = fit_loglog(&self.points) {
            self.name = format!("{} (slope {:.2})", self.name, fit.slope);
        }
        self
    }
}

/// A chart: one frame, two axes, any number of series.
///
/// Series get colours that colour-blind readers tell apart, and marker shapes that differ as well,
/// in the order of the list. The legend stands above the frame, so it never covers data.
///
/// # Examples
/// ```
/// use nearlin_cli::plot::{Axis, Chart, Scale, Series, Style};
///
/// let points = vec![(1024.0, 0.5), (2048.0, 1.0), (4096.0, 2.0)];
/// let chart = Chart {
///     title: "time for a step".into(),
///     subtitle: String::new(),
///     x: Axis::new("examples n", Scale::Log2),
///     y: Axis::new("seconds", Scale::Log10),
///     series: vec![Series::new("srht", points, Style::LineMarkers).with_slope()],
/// };
/// assert_eq!(chart.series[0].name, "srht (slope 1.00)");
/// let folder = tempfile::tempdir()?;
/// chart.write(&folder.path().join("steps.svg"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// The headline; empty for none.
    pub title: String,
    /// A line under the headline: data set, sizes, settings; empty for none.
    pub subtitle: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is shown, first to last; later series are drawn over earlier ones.
    pub series: Vec<Series>,
}
