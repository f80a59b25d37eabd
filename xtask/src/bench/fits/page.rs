//! The benchmark's page.

use super::super::table::Table;
use super::super::words::figure;
use super::{Data, Fit, OURS, Report};

/// One row for each table, one column for everybody.
fn table(
    report: &Report,
    last: &[&str],
    cell: impl Fn(&Data, &str) -> String,
    end: impl Fn(&Data) -> Vec<String>,
) -> Table {
    let entries = report.entries();
    let header = ["table", "task", "rows", "columns"];
    let header: Vec<&str> =
        header.into_iter().chain(entries.iter().copied()).chain(last.iter().copied()).collect();
    let mut table = Table::new(&header, 2);
    for data in &report.data {
        let facts = [
            data.table.clone(),
            data.task.clone(),
            data.train_rows.to_string(),
            data.columns.to_string(),
        ];
        let cells = entries.iter().map(|entry| cell(data, entry));
        table.push(facts.into_iter().chain(cells).chain(end(data)));
    }
    table
}

pub(super) fn errors(report: &Report) -> Table {
    let cell = |data: &Data, entry: &str| {
        report.mean(data, entry, |fit| fit.error).map_or("-".into(), |error| format!("{error:.4}"))
    };
    let end = |data: &Data| {
        let ours = report.mean(data, OURS, |fit| fit.error);
        match (ours, report.best(data)) {
            (Some(ours), Some((other, best))) => vec![
                if best > 0.0 { figure(ours / best) } else { "-".into() },
                report
                    .sureness_of_gain(data, OURS, other)
                    .map_or("-".into(), |t| format!("{t:+.1}")),
            ],
            _ => vec!["-".into(), "-".into()],
        }
    };
    table(report, &["nearlin / best other", "gain, standard errors"], cell, end)
}

pub(super) fn seconds(report: &Report) -> Table {
    let cell = |data: &Data, entry: &str| {
        report.mean(data, entry, |fit| fit.seconds).map_or("-".into(), figure)
    };
    let end = |data: &Data| {
        let others =
            report.best(data).and_then(|(entry, _)| report.mean(data, entry, |fit| fit.seconds));
        match (report.mean(data, OURS, |fit| fit.seconds), others) {
            (Some(ours), Some(best)) if best > 0.0 => vec![figure(ours / best)],
            _ => vec!["-".into()],
        }
    };
    table(report, &["nearlin / most accurate other"], cell, end)
}

/// How sure nearlin was, and how often it was right to be.
pub(super) fn sureness(report: &Report) -> Table {
    let mut table = Table::new(
        &[
            "table",
            "task",
            "within 90% intervals",
            "interval score",
            "with equal widths",
            "log loss",
        ],
        2,
    );
    let shown = |value: Option<f64>| value.map_or("-".into(), figure);
    let (mut covered, mut count) = (0.0, 0.0);
    for data in &report.data {
        let mean = |value: fn(&Fit) -> Option<f64>| {
            report.mean(data, OURS, |fit| value(fit).unwrap_or(f64::NAN)).filter(|m| m.is_finite())
        };
        let coverage = mean(|fit| fit.coverage);
        if let Some(coverage) = coverage {
            (covered, count) = (covered + coverage, count + 1.0);
        }
        let others =
            [mean(|fit| fit.interval_score), mean(|fit| fit.equal_score), mean(|fit| fit.log_loss)];
        let names = [data.table.clone(), data.task.clone(), shown(coverage)];
        table.push(names.into_iter().chain(others.map(shown)));
    }
    if count > 0.0 {
        table.push([
            "all".into(),
            "regression".into(),
            figure(covered / count),
            "-".into(),
            "-".into(),
            "-".into(),
        ]);
    }
    table
}

pub(super) fn page(report: &Report) -> String {
    let versions: Vec<String> =
        report.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    format!(
        "# Fits of whole tables\n\n\
         Written by `cargo xtask bench fits`: change the program, not this page.\n\n{}\n\
         Versions: {}. Means over {} splits ({} of tables of over 2,000 training rows, {} of fewer than \
         1,000) that everybody shares; two threads for everybody who takes them. nearlin is `nearlin fit TRAIN --target COLUMN` with no option that says how to fit, and \
         `nearlin predict`, both with reading and writing files; the others are given numbers: one-hot \
         categories, standardised columns. `xtask/python/fits.py` has every call.\n\n\
         ## Test error\n\n\
         The share of wrong classes, or the root of the mean squared error over the deviation of the test \
         targets; last what it is less than the best other's, in standard errors of that mean over the splits. The \
         network's own limit, ridge regression with the kernel of infinite width, is not among the others, and only of \
         up to 2,000 rows.\n\n{}\n\
         ## Seconds\n\n\
         To fit and to predict.\n\n{}\n\
         ## How sure\n\n\
         The part of the test targets within `predict --interval 0.9`; the score of these intervals, their length \
         and 20 times what they miss, over the deviation of the test targets, and the score of equal widths that \
         cover as many; and the log loss of `predict --probabilities`.\n\n{}",
        report.facts.paragraph(),
        versions.join(", "),
        report.seeds,
        report.large_seeds,
        report.small_seeds,
        errors(report),
        seconds(report),
        sureness(report)
    )
}
