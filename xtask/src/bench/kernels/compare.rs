//! Whether a group became slower since an earlier run of it.
//!
//! Times of two days are not comparable, not even on one machine; shares of a limit that was
//! measured in the same rounds are. A case counts as slower if its interval of shares lies below the
//! earlier one without touching it, and its median is worse by more than a tenth.

use std::path::Path;

use serde::Deserialize;

use super::Report;
use super::case::Measured;
use crate::bench::Outcome;
use crate::bench::spread::Spread;
use crate::bench::table::Table;
use crate::bench::words::{counted, figure};

/// The smallest ratio of medians that is no regression, however small the noise.
const TOLERATED: f64 = 0.9;

/// What is needed of an earlier result.
#[derive(Debug, Deserialize)]
pub(super) struct Old {
    benchmark: String,
    facts: Facts,
    cases: Vec<Measured>,
}

#[derive(Debug, Deserialize)]
struct Facts {
    commit: String,
    machine: Machine,
}

#[derive(Debug, Deserialize)]
struct Machine {
    cpu: String,
}

/// How a share of the limit changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Slower,
    Faster,
    WithinNoise,
}

/// Reads an earlier result.
pub(super) fn read(path: &Path) -> Outcome<Old> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    Ok(serde_json::from_str(&text).map_err(|error| failed(&error))?)
}

/// Compares shares of the limit: more is better.
pub(super) fn change(old: Spread, new: Spread) -> Change {
    let ratio = new.median / old.median;
    if new.max < old.min && ratio < TOLERATED {
        Change::Slower
    } else if new.min > old.max && ratio > 1.0 / TOLERATED {
        Change::Faster
    } else {
        Change::WithinNoise
    }
}

/// Prints how nearlin's kernels changed.
///
/// # Errors
/// If one became slower, or there is nothing to compare.
pub(super) fn judge(old: &Old, new: &Report) -> Outcome {
    if old.benchmark != new.benchmark {
        let (found, expected) = (&old.benchmark, new.benchmark);
        return Err(format!("the earlier result is of `{found}`, expected `{expected}`").into());
    }
    if old.facts.machine.cpu != new.facts.machine.cpu {
        println!("The earlier result is of another processor, {}.", old.facts.machine.cpu);
    }
    let (table, compared, slower) = compared(&old.cases, &new.cases);
    println!("\nShares of the limit, commit {} before:\n\n{table}", old.facts.commit);
    match (compared, slower) {
        (0, _) => Err("no case of the earlier result was measured again".into()),
        (_, 0) => Ok(()),
        _ => Err(format!("{} of {compared} became slower", counted(slower, "case")).into()),
    }
}

/// The table of ratios, the cases that both have, and how many of them became slower.
pub(super) fn compared(old: &[Measured], new: &[Measured]) -> (Table, usize, usize) {
    let header = ["kernel", "shape", "scalar", "threads", "before", "now", "now / before", ""];
    let mut table = Table::new(&header, 3);
    let (mut compared, mut slower) = (0, 0);
    for case in new {
        let before = old.iter().find(|old| old.key() == case.key());
        let (Some(before), Some(now)) = (before.and_then(Measured::ours), case.ours()) else {
            continue;
        };
        let change = change(before.share, now.share);
        compared += 1;
        slower += usize::from(change == Change::Slower);
        table.push([
            case.kernel.clone(),
            case.shape.clone(),
            case.precision.clone(),
            case.threads.to_string(),
            before.share.range(),
            now.share.range(),
            figure(now.share.median / before.share.median),
            match change {
                Change::Slower => "slower".to_owned(),
                Change::Faster => "faster".to_owned(),
                Change::WithinNoise => String::new(),
            },
        ]);
    }
    (table, compared, slower)
}
