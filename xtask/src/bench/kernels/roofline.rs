//! The roofline picture of the Jacobian's products: rate against arithmetic intensity, under the
//! measured peak and bandwidth (Williams, Waterman and Patterson, *Roofline*, CACM 52 (2009)).

use nearlin_cli::plot::{Axis, Chart, Scale, Series, Style};

use super::case::Measured;
use super::model::Unit;
use super::{Group, Report};
use crate::bench::words::counted;

/// The charts of a report with the names of their files: one for each number of threads.
pub(super) fn charts(report: &Report) -> Vec<(String, Chart)> {
    if report.group != Some(Group::Jacobian) {
        return Vec::new();
    }
    let mut threads: Vec<usize> = report.cases.iter().map(|case| case.threads).collect();
    threads.sort_unstable();
    threads.dedup();
    let chart = |&threads| Some((format!("jacobian-{threads}"), chart(&report.cases, threads)?));
    threads.iter().filter_map(chart).collect()
}

/// The chart of one number of threads; `None` if there is nothing to show.
fn chart(cases: &[Measured], threads: usize) -> Option<Chart> {
    let cases: Vec<&Measured> = cases
        .iter()
        .filter(|case| case.threads == threads && case.work.unit == Unit::Flop)
        .collect();
    let mut series = Vec::new();
    for (precision, style) in [("f32", Style::Line), ("f64", Style::Dashed)] {
        let same: Vec<&&Measured> = cases.iter().filter(|c| c.precision == precision).collect();
        let limit = |which: usize| {
            let rates = same.iter().map(|case| case.limits[which].per_second.median);
            rates.fold(None, |most: Option<f64>, rate| Some(most.map_or(rate, |m| m.max(rate))))
        };
        if let (Some(peak), Some(bandwidth)) = (limit(0), limit(1)) {
            let right = same.iter().map(|case| intensity(case)).fold(peak / bandwidth, f64::max);
            let ridge = peak / bandwidth;
            let roof = [0.25 * ridge, ridge, 2.0 * right].map(|flops_per_byte| {
                (flops_per_byte, peak.min(flops_per_byte * bandwidth) * 1e-9)
            });
            series.push(Series::new(format!("limit, {precision}"), roof.to_vec(), style));
        }
        let mut kernels: Vec<&str> = same.iter().map(|case| case.kernel.as_str()).collect();
        kernels.sort_unstable();
        kernels.dedup();
        for kernel in kernels {
            let points = same
                .iter()
                .filter(|case| case.kernel == kernel)
                .filter_map(|case| Some((intensity(case), case.ours()?.per_second * 1e-9)))
                .collect();
            series.push(Series::new(format!("{kernel}, {precision}"), points, Style::Markers));
        }
    }
    (!series.is_empty()).then(|| Chart {
        title: "Products with the Jacobian under the roofline".into(),
        subtitle: format!("{}, every operand read or written once", counted(threads, "thread")),
        x: Axis::new("flops per byte", Scale::Log10),
        y: Axis::new("GFLOP/s or their equivalent", Scale::Log10),
        series,
    })
}

/// Flops per byte.
fn intensity(case: &Measured) -> f64 {
    case.work.amount / case.work.bytes
}
