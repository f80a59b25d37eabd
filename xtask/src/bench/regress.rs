//! Whether something became worse since an earlier result.
//!
//! Times of two days are not comparable, not even on one machine; what the machine could have done
//! in the same time is. Something counts as slower if its interval lies beyond the earlier one
//! without touching it, and its median is worse by more than a tenth. Of two samples of the same
//! noise the one lies beyond the other so once in 20 with three runs each, in 252 with five and in
//! 3,432 with seven.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Outcome;
use super::spread::Spread;
use super::table::Table;
use super::words::figure;

/// The smallest ratio of medians that is no regression, however small the noise.
const TOLERATED: f64 = 0.9;

/// The runs that tell noise from a change.
const FEWEST: usize = 3;

/// What is wrong with a result that was written before the pace was measured.
pub(super) const NO_PACE: &str = "it has no `fma_per_second` for every run, the machine's pace while \
                                  it was timed: measure its commit again with this program";

/// Where an earlier result is from.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Source {
    /// Its commit.
    pub(super) commit: String,
    /// Its machine.
    pub(super) machine: Machine,
}

/// A machine, as far as results of two can be told apart.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Machine {
    /// The processor's name for itself.
    pub(super) cpu: String,
}

/// How something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Slower,
    Faster,
    WithinNoise,
}

/// What something took, as far as another run of it can be compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Taken {
    /// What it is: the first cells of its line.
    pub(super) name: Vec<String>,
    /// Flops that the machine could have done meanwhile, run by run; none where a run missed its goal.
    pub(super) flops: Option<Vec<f64>>,
    /// Iterations, which need no clock.
    pub(super) iterations: usize,
}

/// What became of everything that both results have.
#[derive(Debug)]
pub(super) struct Judged {
    /// A line for each.
    pub(super) table: Table,
    /// How many there are.
    pub(super) compared: usize,
    /// What became worse, and how.
    pub(super) worse: Vec<String>,
}

/// Reads an earlier result.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Outcome<T> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    Ok(serde_json::from_str(&text).map_err(|error| failed(&error))?)
}

/// Compares rates: more is better.
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

/// Compares what both results have, and tells what the earlier one alone has of what was `asked`
/// for. On another processor iterations are told and not judged, as it may round otherwise.
pub(super) fn compared(
    header: &[&str],
    old: &[Taken],
    new: &[Taken],
    same_processor: bool,
    asked: impl Fn(&[String]) -> bool,
) -> Judged {
    let columns = ["Gflop before", "now", "now / before", "iterations before", "now", ""];
    let table = Table::new(&[header, &columns[..]].concat(), header.len());
    let mut judged = Judged { table, compared: 0, worse: Vec::new() };
    for before in old {
        let name = before.name.join(", ");
        let Some(now) = new.iter().find(|now| now.name == before.name) else {
            if asked(&before.name) {
                judged.worse.push(format!("{name}: missing"));
            }
            continue;
        };
        let more = before.flops.is_some() && now.flops.is_some();
        let more = more && now.iterations > before.iterations;
        let (mut told, mut worse) = time_change(before, now);
        if more {
            told.push("more iterations");
            worse |= same_processor;
        }
        judged.compared += 1;
        if worse {
            judged.worse.push(format!("{name}: {}", told.join(", ")));
        }
        let spread = |taken: &Taken| Spread::of(taken.flops.iter().flatten().copied());
        let (old, new) = (spread(before), spread(now));
        let range = |spread: Option<Spread>| {
            let scaled = |s: Spread| Spread::of([s.min, s.max].map(|flops| 1e-9 * flops));
            spread.and_then(scaled).map_or_else(|| "-".to_owned(), |spread| spread.range())
        };
        let ratio =
            old.zip(new).map_or_else(|| "-".to_owned(), |(o, n)| figure(n.median / o.median));
        let counts = [before.iterations, now.iterations].map(|count| count.to_string());
        let cells = [range(old), range(new), ratio].into_iter().chain(counts);
        judged.table.push(now.name.iter().cloned().chain(cells).chain([told.join(", ")]));
    }
    judged
}

/// What to say of the times, and whether they became worse.
fn time_change(before: &Taken, now: &Taken) -> (Vec<&'static str>, bool) {
    let (before, now) = match (&before.flops, &now.flops) {
        (Some(before), Some(now)) => (before, now),
        (Some(_), None) => return (vec!["missed"], true),
        (None, Some(_)) => return (vec!["reached now"], false),
        (None, None) => return (vec!["missed as before"], false),
    };
    if before.len().min(now.len()) < FEWEST {
        return (vec!["fewer than three runs"], false);
    }
    let rates = |flops: &[f64]| Spread::of(flops.iter().map(|flops| 1.0 / flops));
    match rates(before).zip(rates(now)).map(|(before, now)| change(before, now)) {
        Some(Change::Slower) => (vec!["slower"], true),
        Some(Change::Faster) => (vec!["faster"], false),
        _ => (Vec::new(), false),
    }
}

impl Judged {
    /// Prints the table.
    ///
    /// # Errors
    /// If something became worse, or there is nothing to compare.
    pub(super) fn end(self, old: &Source, new: &Source) -> Outcome {
        if old.machine.cpu != new.machine.cpu {
            println!(
                "\nThe earlier result is of another processor, {}: iterations are not judged.",
                old.machine.cpu
            );
        }
        let Self { table, compared, worse } = self;
        println!("\nFlops at the peak in the same time, commit {} before:\n\n{table}", old.commit);
        match (compared, worse.as_slice()) {
            (0, []) => Err("nothing of the earlier result was measured again".into()),
            (_, []) => Ok(()),
            (_, worse) => {
                let (count, told) = (worse.len(), worse.join("; "));
                Err(format!("worse than before in {count} of {compared}: {told}").into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(name: &str, gigaflops: &[f64], iterations: usize) -> Taken {
        let flops = gigaflops.iter().map(|g| 1e9 * g).collect();
        Taken { name: vec![name.to_owned()], flops: Some(flops), iterations }
    }

    fn judged(old: &[Taken], new: &[Taken]) -> Judged {
        compared(&["solver"], old, new, true, |_| true)
    }

    #[test]
    fn a_regression_is_worse_by_a_tenth_and_does_not_touch_the_old_interval() {
        let spread = |min, median, max| Spread { median, min, max };
        let old = spread(0.48, 0.50, 0.52);
        let cases = [
            (spread(0.48, 0.50, 0.52), Change::WithinNoise),
            // Apart from the old interval, but not by a tenth.
            (spread(0.45, 0.46, 0.47), Change::WithinNoise),
            // Worse by more than a tenth, but within a wide interval of its own.
            (spread(0.30, 0.40, 0.48), Change::WithinNoise),
            (spread(0.30, 0.40, 0.47), Change::Slower),
            (spread(0.53, 0.60, 0.70), Change::Faster),
            (spread(0.53, 0.54, 0.56), Change::WithinNoise),
        ];
        for (new, expected) in cases {
            assert_eq!(change(old, new), expected, "{new:?}");
        }
    }

    #[test]
    fn slower_is_beyond_the_earlier_interval_and_by_more_than_a_tenth() {
        let old = taken("a", &[10.0, 9.0, 11.0], 5);
        let cases: [(&[f64], &str, bool); 7] = [
            (&[10.0, 9.0, 11.0], "", false),
            // Apart from the old interval, but not by a tenth.
            (&[11.05, 11.1, 11.05], "", false),
            // Worse by a fifth, but within a wide interval of its own.
            (&[10.5, 12.0, 13.0], "", false),
            (&[11.1, 12.0, 13.0], "slower", true),
            (&[8.9, 8.0, 7.0], "faster", false),
            // Slower by any measure, but two runs tell nothing of the noise.
            (&[30.0, 30.0], "fewer than three runs", false),
            (&[8.95, 8.97, 8.99], "faster", false),
        ];
        for (new, told, worse) in cases {
            let judged = judged(std::slice::from_ref(&old), &[taken("a", new, 5)]);
            assert_eq!((judged.compared, !judged.worse.is_empty()), (1, worse), "{new:?}");
            let line = judged.table.to_string();
            assert!(line.contains(told), "{new:?}: {line}");
            assert_eq!(line.contains("faster"), told == "faster", "{new:?}: {line}");
        }
    }

    #[test]
    fn more_iterations_are_worse_on_the_same_processor() {
        let [old, new] = [5, 6].map(|iterations| [taken("a", &[1.0; 3], iterations)]);
        assert_eq!(judged(&old, &new).worse, ["a: more iterations"]);
        assert!(judged(&new, &old).worse.is_empty());
        let other = compared(&["solver"], &old, &new, false, |_| true);
        assert!(other.worse.is_empty() && other.table.to_string().contains("more iterations"));
    }

    #[test]
    fn what_was_asked_for_and_is_missing_is_worse() {
        let old = [taken("a", &[1.0; 3], 5), taken("b", &[1.0; 3], 5)];
        let new = [taken("a", &[1.0; 3], 5), taken("c", &[1.0; 3], 5)];
        assert_eq!(judged(&old, &new).worse, ["b: missing"]);
        let smaller = compared(&["solver"], &old, &new, true, |name| name[0] == "a");
        assert!(smaller.worse.is_empty() && smaller.compared == 1);
    }

    #[test]
    fn a_missed_goal_is_worse_than_none() {
        let (reached, missed) =
            ([taken("a", &[1.0; 3], 5)], [Taken { flops: None, ..taken("a", &[], 9) }]);
        assert_eq!(judged(&reached, &missed).worse, ["a: missed"]);
        assert!(judged(&missed, &reached).worse.is_empty());
        assert!(judged(&missed, &missed).worse.is_empty());
    }

    #[test]
    fn the_end_names_what_became_worse() {
        let source = |cpu: &str| Source {
            commit: "abc".to_owned(),
            machine: Machine { cpu: cpu.to_owned() },
        };
        let old = [taken("a", &[1.0; 3], 5)];
        assert!(judged(&old, &old).end(&source("Chip"), &source("Other")).is_ok());
        let worse = judged(&old, &[taken("a", &[2.0; 3], 6)]);
        let error = worse.end(&source("Chip"), &source("Chip")).unwrap_err();
        assert_eq!(error.to_string(), "worse than before in 1 of 1: a: slower, more iterations");
        let nothing = compared(&["solver"], &[], &old, true, |_| true);
        let error = nothing.end(&source("Chip"), &source("Chip")).unwrap_err();
        assert!(error.to_string().starts_with("nothing of the earlier result"), "{error}");
    }
}
