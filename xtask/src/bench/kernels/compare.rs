//! Whether a group became slower since an earlier run of it.
//!
//! Times of two days are not comparable, not even on one machine; shares of a limit that was
//! measured in the same rounds are.

use serde::Deserialize;

use super::Report;
use super::case::Measured;
use crate::bench::Outcome;
use crate::bench::regress::{Change, Source, change};
use crate::bench::table::Table;
use crate::bench::words::{counted, figure};

/// What is needed of an earlier result.
#[derive(Debug, Deserialize)]
pub(super) struct Old {
    benchmark: String,
    facts: Source,
    cases: Vec<Measured>,
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
