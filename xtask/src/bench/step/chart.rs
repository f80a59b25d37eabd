//! The pictures: time against size, one line for each solver.

use nearlin_cli::plot::{Axis, Chart, Scale, Series, Style};

use super::Report;
use super::curve::Along;
use crate::bench::words::counted;

/// The chart along one axis; `None` if there is nothing to show.
pub(super) fn chart(report: &Report, along: Along) -> Option<Chart> {
    let curves = report.along(along);
    let series: Vec<Series> = curves
        .iter()
        .filter(|curve| !curve.points.is_empty())
        .map(|curve| Series::new(curve.solver, curve.xy(), Style::LineMarkers).with_slope())
        .collect();
    let protocol = &report.protocol;
    let subtitle = format!(
        "{}, d = {}, {}, {}, medians of up to {}",
        protocol.fixed(along),
        protocol.inputs,
        protocol.precision,
        counted(protocol.threads, "thread"),
        protocol.repetitions
    );
    (!series.is_empty()).then(|| Chart {
        title: format!("One Gauss-Newton step against the {}", along.meaning()),
        subtitle,
        x: Axis::new(along.meaning(), Scale::Log2),
        y: Axis::new("seconds", Scale::Log10),
        series,
    })
}
