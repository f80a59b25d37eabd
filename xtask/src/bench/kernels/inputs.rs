//! The time of products with the Jacobian against the inputs d: a picture, and the exponents of the
//! power laws through the same cases that the roofline shows.

use nearlin_cli::plot::{Axis, Chart, Scale, Series, Style};

use super::case::Measured;
use super::{Group, Report};
use crate::bench::slopes::Slopes;
use crate::bench::spread::Spread;
use crate::bench::table::Table;
use crate::bench::words::counted;

/// The name of the picture's file.
pub(super) const NAME: &str = "jacobian-d";

/// The products that are shown.
const KERNELS: [&str; 2] = ["J v", "J^T u"];

/// What is the same in all cases of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fixed {
    n: usize,
    m: usize,
    threads: usize,
}

/// Times of one product in one precision, smallest d first.
#[derive(Debug)]
struct Curve<'a> {
    kernel: &'a str,
    outputs: usize,
    precision: &'a str,
    points: Vec<(f64, f64)>,
}

/// The picture on the fewest threads; `None` if there is nothing to show.
pub(super) fn chart(report: &Report) -> Option<Chart> {
    let (fixed, curves) = curves(report)?;
    let series = curves
        .into_iter()
        .map(|curve| {
            let Curve { kernel, outputs, precision, points } = curve;
            let name = format!("{kernel}, K = {outputs}, {precision}");
            Series::new(name, points, Style::LineMarkers).with_slope()
        })
        .collect();
    Some(Chart {
        title: "Products with the Jacobian against the inputs d".into(),
        subtitle: format!("{}, medians", fixed.told()),
        x: Axis::new("inputs d", Scale::Log2),
        y: Axis::new("seconds", Scale::Log10),
        series,
    })
}

/// The section of the page; empty if there is nothing to show.
pub(super) fn section(report: &Report) -> String {
    let (Some((fixed, curves)), Some(chart)) = (curves(report), chart(report)) else {
        return String::new();
    };
    let mut table = Table::new(
        &["kernel", "K", "scalar", "exponent of d", "over the last three", "d from", "to"],
        3,
    );
    let mut exponents = Vec::new();
    for Curve { kernel, outputs, precision, points } in &curves {
        let slopes = Slopes::of(points);
        exponents.extend(slopes.all);
        let ends = [points.first(), points.last()]
            .map(|point| point.map_or_else(String::new, |(d, _)| d.to_string()));
        let names = [(*kernel).to_owned(), outputs.to_string(), (*precision).to_owned()];
        table.push(names.into_iter().chain(slopes.cells()).chain(ends));
    }
    let told = |slope: f64| format!("d^{slope:.2}");
    let growth = Spread::of(exponents).map_or_else(String::new, |slopes| {
        match (told(slopes.min), told(slopes.max)) {
            (least, most) if least == most => least,
            (least, most) => format!("{least} to {most}"),
        }
    });
    format!(
        "\n## Against the inputs d\n\n![{}]({NAME}.svg)\n\n\
         With {} the times grow like {growth}; the work with one output like d, \
         with K outputs like d + K.\n\n{table}",
        chart.title,
        fixed.told(),
    )
}

/// The curves of at least two points at the size and number of threads that have the most inputs.
fn curves(report: &Report) -> Option<(Fixed, Vec<Curve<'_>>)> {
    if report.group != Some(Group::Jacobian) {
        return None;
    }
    let shown = |case: &&Measured| KERNELS.contains(&case.kernel.as_str());
    let cases: Vec<&Measured> = report.cases.iter().filter(shown).collect();
    let threads = cases.iter().map(|case| case.threads).min()?;
    let of = |case: &Measured| Some((number(case, "n")?, number(case, "m")?));
    // The sizes with their number of cases.
    let mut sizes: Vec<((usize, usize), usize)> = Vec::new();
    for size in cases.iter().filter_map(|case| of(case)) {
        match sizes.iter_mut().find(|(known, _)| *known == size) {
            Some((_, count)) => *count += 1,
            None => sizes.push((size, 1)),
        }
    }
    let ((n, m), _) = sizes.into_iter().max_by_key(|(_, count)| *count)?;
    let fixed = Fixed { n, m, threads };
    let mut curves: Vec<Curve<'_>> = Vec::new();
    for case in cases.into_iter().filter(|c| c.threads == threads && of(c) == Some((n, m))) {
        let (Some(inputs), Some(outputs), Some(ours)) =
            (number(case, "d"), number(case, "K"), case.ours())
        else {
            continue;
        };
        let (kernel, precision) = (case.kernel.as_str(), case.precision.as_str());
        let point = (inputs as f64, ours.seconds.median);
        let same = |curve: &&mut Curve<'_>| {
            (curve.kernel, curve.outputs, curve.precision) == (kernel, outputs, precision)
        };
        match curves.iter_mut().find(same) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve { kernel, outputs, precision, points: vec![point] }),
        }
    }
    curves.retain_mut(|curve| {
        curve.points.sort_by(|a, b| a.0.total_cmp(&b.0));
        curve.points.len() > 1
    });
    curves.sort_by_key(|curve| (curve.precision, curve.kernel, curve.outputs));
    (!curves.is_empty()).then_some((fixed, curves))
}

/// A number of a shape: 16 for d in `n = 8, d = 16`.
fn number(case: &Measured, letter: &str) -> Option<usize> {
    let mut parts = case.shape.split(", ").filter_map(|part| part.split_once(" = "));
    parts.find(|(name, _)| *name == letter)?.1.parse().ok()
}

impl Fixed {
    fn told(self) -> String {
        let Self { n, m, threads } = self;
        format!("n = {n}, m = {m} on {}", counted(threads, "thread"))
    }
}
