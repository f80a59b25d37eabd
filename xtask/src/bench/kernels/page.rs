//! The page of a group: its limits, what the numbers say, and all cases.

use super::Report;
use super::case::{Kind, Measured};
use super::model::Unit;
use super::{inputs, roofline};
use crate::bench::table::Table;
use crate::bench::words::{counted, figure, listed};

/// What holds for every group, whatever its numbers.
const METHOD: &str = "\
The *work* of a kernel is a count from its shape alone, by the formula below; a kernel that replaces \
arithmetic by look-ups or by integer operations is credited with the arithmetic, so its rate is an \
equivalent and may pass the peak of the machine. The *limit* of a case is the larger of two times: \
its work at the peak rate of the units that do it (fused multiply-adds, additions, or AND + POPCNT + \
ADD, in loops that touch no memory), and every operand once at the rate at which as many bytes are \
read, or copied where a kernel works in place (at most 128 MiB of them: beyond any cache). Both rates \
are measured in the same rounds as the kernel, and a share is the limit's time over the kernel's in \
the same round. Times are medians; a rival's or peer's time is given as a multiple of nearlin's.\n";

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let (group, title) = (report.benchmark, report.group.map_or("", super::Group::title));
    let note = match report.group.map_or("", super::Group::note) {
        "" => String::new(),
        note => format!("{note}\n\n"),
    };
    let told: Vec<String> =
        sentences(&report.cases).iter().map(|sentence| format!("- {sentence}\n")).collect();
    let pictures: Vec<String> = roofline::charts(report)
        .iter()
        .map(|(name, chart)| format!("![{}]({name}.svg)\n\n", chart.title))
        .collect();
    let versions: Vec<String> =
        report.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let peers = match versions.as_slice() {
        [] => "Without peers.".to_owned(),
        versions => format!("Peers run on {}.", listed(versions)),
    };
    format!(
        "# {title}\n\n\
         Written by `cargo xtask bench {group}`: change the program, not this page.\n\n{}\n\
         {METHOD}\nUp to {} a case, in each of which everybody has a turn. {peers}\n\n{note}{}\n\
         ## Results\n\n{}{}\n{}{}{}\n## Limits\n\n\
         The best of a few samples before the first case.\n\n{}",
        report.facts.paragraph(),
        counted(report.effort.rounds, "round"),
        formulas(&report.cases),
        failures(&report.cases),
        told.concat(),
        pictures.concat(),
        cases(report),
        inputs::section(report),
        limits(report),
    )
}

/// What peers gave no answer to; empty where all did.
fn failures(cases: &[Measured]) -> String {
    let lines = cases.iter().flat_map(|case| {
        let (kernel, shape, precision, threads) = case.key();
        let case_name = format!("{kernel}, {shape}, {precision}, {}", counted(threads, "thread"));
        case.failed.iter().map(move |reason| format!("- {case_name}: {reason}\n"))
    });
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("Left out, as a peer failed:\n\n{lines}\n") }
}

/// The formula of each kernel's work.
fn formulas(cases: &[Measured]) -> Table {
    let mut table = Table::new(&["kernel", "counted", "work"], 3);
    for (index, case) in cases.iter().enumerate() {
        if cases[..index].iter().any(|earlier| earlier.kernel == case.kernel) {
            continue;
        }
        let unit = match case.work.unit {
            Unit::Flop => "flops",
            Unit::Add => "additions",
        };
        table.push([case.kernel.clone(), unit.to_owned(), case.formula.clone()]);
    }
    table
}

/// Every case, one line each.
pub(super) fn cases(report: &Report) -> Table {
    let header = [
        "kernel",
        "shape",
        "scalar",
        "threads",
        "time",
        "min to max",
        "G/s",
        "% of limit",
        "min to max",
        "limit",
        "rival: time / nearlin's",
        "peer: time / nearlin's",
    ];
    let mut table = Table::new(&header, 3);
    for case in &report.cases {
        let (Some(ours), Some(bound)) = (case.ours(), case.bound()) else { continue };
        let beside = |kind| {
            case.of(kind).map_or_else(
                || "-".to_owned(),
                |e| format!("{}: {}", e.name, figure(e.seconds.median / ours.seconds.median)),
            )
        };
        table.push([
            case.kernel.clone(),
            case.shape.clone(),
            case.precision.clone(),
            case.threads.to_string(),
            time(ours.seconds.median),
            format!("{} to {}", time(ours.seconds.min), time(ours.seconds.max)),
            figure(ours.per_second * 1e-9),
            percent(ours.share.median),
            format!("{} to {}", percent(ours.share.min), percent(ours.share.max)),
            bound.limit.clone(),
            beside(Kind::Other),
            beside(Kind::Peer),
        ]);
    }
    table
}

/// The limits before the first case.
pub(super) fn limits(report: &Report) -> Table {
    let mut table = Table::new(&["limit", "how", "threads", "G/s"], 2);
    for rate in &report.limits {
        table.push([
            rate.limit.clone(),
            rate.how.clone(),
            rate.threads.to_string(),
            figure(rate.per_second * 1e-9),
        ]);
    }
    table
}

/// What the numbers of each kernel say, over its shapes.
pub(super) fn sentences(cases: &[Measured]) -> Vec<String> {
    let mut told = Vec::new();
    let group = |case: &Measured| (case.kernel.clone(), case.precision.clone(), case.threads);
    for (index, first) in cases.iter().enumerate() {
        if cases[..index].iter().any(|earlier| group(earlier) == group(first)) {
            continue;
        }
        let same: Vec<&Measured> = cases.iter().filter(|c| group(c) == group(first)).collect();
        let Some((low, high)) = extremes(same.iter().filter_map(|c| Some(c.ours()?.share.median)))
        else {
            continue;
        };
        let (kernel, precision, threads) = group(first);
        let mut sentence = format!(
            "{kernel} in {precision} on {}: {} of the limit",
            counted(threads, "thread"),
            span(&percent(low), &percent(high), "%"),
        );
        for kind in [Kind::Other, Kind::Peer] {
            let ratio = |case: &&Measured| {
                Some(case.of(kind)?.seconds.median / case.ours()?.seconds.median)
            };
            let name = same.iter().find_map(|case| Some(case.of(kind)?.name.clone()));
            let (Some((low, high)), Some(name)) = (extremes(same.iter().filter_map(ratio)), name)
            else {
                continue;
            };
            let times = span(&figure(low), &figure(high), "times");
            sentence.extend(["; ", &name, " takes ", &times, " as long"]);
        }
        told.push(sentence + ".");
    }
    told
}

/// The smallest and the largest.
fn extremes(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let spread = crate::bench::spread::Spread::of(values)?;
    Some((spread.min, spread.max))
}

/// `3 to 5 %`, or `3 %` where both are the same.
fn span(low: &str, high: &str, unit: &str) -> String {
    if low == high { format!("{low} {unit}") } else { format!("{low} to {high} {unit}") }
}

/// Whole per cent, or a digit more below ten.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent < 9.95 { format!("{percent:.1}") } else { format!("{percent:.0}") }
}

/// Seconds in a unit that leaves three digits.
pub(super) fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-6 => format!("{} ns", figure(1e9 * s)),
        s if s < 1e-3 => format!("{} us", figure(1e6 * s)),
        s if s < 1.0 => format!("{} ms", figure(1e3 * s)),
        s => format!("{} s", figure(s)),
    }
}
