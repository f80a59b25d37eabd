//! `cargo xtask bench summary`: what the kernel groups measured, on one page.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Group;
use super::case::{Kind, Measured};
use super::page::{percent, time};
use crate::bench::table::Table;
use crate::bench::words::figure;
use crate::bench::{Outcome, files};

/// Where to read and write.
#[derive(Debug, clap::Args)]
pub(in crate::bench) struct Args {
    /// Folder with the results of the groups, where the page goes too [default: docs/benchmarks].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The result of a group, as far as the page needs it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Measurement {
    benchmark: String,
    facts: Facts,
    cases: Vec<Measured>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    command: String,
    date: String,
    commit: String,
    machine: Machine,
}

#[derive(Debug, Serialize, Deserialize)]
struct Machine {
    cpu: String,
}

/// Reads the results and writes the page.
pub(in crate::bench) fn run(args: &Args) -> Outcome {
    let folder = files::folder(args.out.as_deref(), &files::root(), false)?;
    let groups: Vec<Measurement> =
        Group::ALL.iter().map(|group| read(&folder, *group)).collect::<Outcome<_>>()?;
    files::write_page(&folder, "kernels", &page(&groups))
}

fn read(folder: &Path, group: Group) -> Outcome<Measurement> {
    let path = folder.join(format!("{}.json", group.name()));
    let failed = |error: &dyn std::fmt::Display| {
        format!("{}: {error}; run `cargo xtask bench {}` first", path.display(), group.name())
    };
    let text = std::fs::read_to_string(&path).map_err(|error| failed(&error))?;
    Ok(serde_json::from_str(&text).map_err(|error| failed(&error))?)
}

/// The page: where the results are from, and a line for each kernel, shape and precision.
pub(super) fn page(groups: &[Measurement]) -> String {
    let mut sources = Table::new(&["group", "command", "date", "commit", "processor"], 5);
    for Measurement { benchmark, facts, .. } in groups {
        sources.push([
            format!("[{benchmark}]({benchmark}.md)"),
            format!("`{}`", facts.command),
            facts.date.clone(),
            facts.commit.clone(),
            facts.machine.cpu.clone(),
        ]);
    }
    let cases: Vec<&Measured> = groups.iter().flat_map(|group| &group.cases).collect();
    let fastest = cases.iter().map(|case| case.threads).min().unwrap_or(1);
    format!(
        "# Kernels\n\n\
         Written by `cargo xtask bench summary` from the results of the groups: change the program, \
         not this page. What is counted as work, what the limits are, spreads and several threads are \
         on the pages of the groups.\n\n{sources}\n\
         Medians on one thread. The limit is the time that the machine needs for the same work or for \
         touching the same memory, in the same rounds; a kernel that replaces arithmetic by look-ups \
         may pass it. The best other is the quickest of the rivals and peers that ran in the same \
         rounds; above 1 nearlin is faster.\n\n{}",
        table(cases.into_iter().filter(|case| case.threads == fastest))
    )
}

fn table<'a>(cases: impl Iterator<Item = &'a Measured>) -> Table {
    let header = [
        "kernel",
        "shape",
        "scalar",
        "time",
        "limit",
        "time at the limit",
        "% of limit",
        "best other",
        "its time / nearlin\'s",
    ];
    let mut table = Table::new(&header, 3);
    for case in cases {
        let (Some(ours), Some(bound)) = (case.ours(), case.bound()) else { continue };
        let best = [Kind::Other, Kind::Peer]
            .into_iter()
            .filter_map(|kind| case.of(kind))
            .min_by(|a, b| a.seconds.median.total_cmp(&b.seconds.median));
        table.push([
            case.kernel.clone(),
            case.shape.clone(),
            case.precision.clone(),
            time(ours.seconds.median),
            bound.limit.clone(),
            time(bound.seconds),
            percent(ours.share.median),
            best.map_or_else(|| "-".to_owned(), |other| other.name.clone()),
            best.map_or_else(
                || "-".to_owned(),
                |other| figure(other.seconds.median / ours.seconds.median),
            ),
        ]);
    }
    table
}
