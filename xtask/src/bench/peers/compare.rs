//! Whether training became slower since an earlier run of `bench train`.

use std::path::Path;

use serde::Deserialize;
use serde::Serialize;

use super::contest::TOLERANCE;
use crate::bench::Outcome;
use crate::bench::regress::{self, Judged, Source, Taken, compared};

/// What is needed of a result.
#[derive(Debug, Deserialize)]
pub(super) struct Old {
    benchmark: String,
    facts: Source,
    tolerance: f64,
    threads: usize,
    problems: Vec<OldProblem>,
}

#[derive(Debug, Deserialize)]
struct OldProblem {
    name: String,
    rows: usize,
    inputs: usize,
    outputs: usize,
    entries: Vec<OldEntry>,
}

#[derive(Debug, Deserialize)]
struct OldEntry {
    label: String,
    network: OldNetwork,
    runs: Vec<OldRun>,
}

#[derive(Debug, Deserialize)]
struct OldNetwork {
    width: usize,
}

#[derive(Debug, Deserialize)]
struct OldRun {
    cost: Option<OldCost>,
    inner_iterations: Option<usize>,
    fma_per_second: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct OldCost {
    wall: f64,
}

/// Reads an earlier result, before anything is measured on so many threads.
///
/// # Errors
/// If it is of another benchmark or protocol, or of before the machine's pace was measured.
pub(super) fn read(path: &Path, threads: usize) -> Outcome<Old> {
    let old: Old = regress::read(path)?;
    old.fits(threads).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(old)
}

/// Prints how training changed.
///
/// # Errors
/// If it became worse somewhere, or there is nothing to compare.
pub(super) fn judge(old: &Old, new: &impl Serialize) -> Outcome {
    let new: Old = serde_json::from_value(serde_json::to_value(new)?)?;
    old.judged(&new)?.end(&old.facts, &new.facts)
}

impl Old {
    fn fits(&self, threads: usize) -> Result<(), String> {
        let Self { benchmark, tolerance, .. } = self;
        if benchmark != "train" {
            return Err(format!("it is of `{benchmark}`, expected `train`"));
        }
        if *tolerance != TOLERANCE {
            return Err(format!("its `tolerance` is {tolerance:e}, expected {TOLERANCE:e}"));
        }
        if self.threads != threads {
            return Err(format!("its `threads` are {}, expected {threads}", self.threads));
        }
        self.taken().map(|_| ())
    }

    /// What every entry of every problem took.
    fn taken(&self) -> Result<Vec<Taken>, String> {
        let entries = self.problems.iter().flat_map(|p| p.entries.iter().map(move |e| (p, e)));
        let taken = entries.map(|(problem, entry)| {
            let Some(first) = entry.runs.first() else {
                return Err(format!("`runs` of {} are empty", entry.label));
            };
            if entry.runs.iter().any(|run| run.fma_per_second.is_none()) {
                return Err(regress::NO_PACE.to_owned());
            }
            let flops = |run: &OldRun| Some(run.cost.as_ref()?.wall * run.fma_per_second?);
            Ok(Taken {
                name: vec![problem.told(), entry.told()],
                flops: entry.runs.iter().map(flops).collect(),
                iterations: first.inner_iterations.unwrap_or(0),
            })
        });
        taken.collect()
    }

    fn judged(&self, new: &Self) -> Result<Judged, String> {
        let asked: Vec<String> = new.problems.iter().map(OldProblem::told).collect();
        let same = self.facts.machine.cpu == new.facts.machine.cpu;
        let (old, new) = (self.taken()?, new.taken()?);
        Ok(compared(&["problem", "program"], &old, &new, same, |name| asked.contains(&name[0])))
    }
}

impl OldProblem {
    /// Name and size: problems of other sizes are other problems.
    fn told(&self) -> String {
        let Self { name, rows, inputs, outputs, .. } = self;
        format!("{name} ({rows} rows, {inputs} inputs, outputs: {outputs})")
    }
}

impl OldEntry {
    /// Label and width; what the planner chose is no part of it, as it may choose anew.
    fn told(&self) -> String {
        let label = match self.label.split_once("auto: ") {
            Some((before, after)) => {
                let rest = after.find(',').map_or("", |comma| &after[comma..]);
                format!("{before}auto{rest}")
            }
            None => self.label.clone(),
        };
        format!("{label}, width {}", self.network.width)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn result(wall: [f64; 3]) -> Value {
        let run = |wall: f64| json!({ "cost": { "cpu": 1.0, "wall": wall }, "inner_iterations": 9, "fma_per_second": 1e9 });
        let entry = |label: &str, runs: Vec<Value>| json!({ "label": label, "network": { "width": 64 }, "runs": runs });
        let entries = [
            entry("nearlin (auto: cholesky, f64)", wall.map(run).to_vec()),
            entry("nearlin (srht, f64)", [1.0; 3].map(run).to_vec()),
        ];
        json!({
            "benchmark": "train",
            "facts": { "commit": "abc", "machine": { "cpu": "Chip" } },
            "tolerance": TOLERANCE,
            "threads": 1,
            "problems": [
                { "name": "made", "rows": 5, "inputs": 3, "outputs": 1, "entries": entries }
            ],
        })
    }

    fn old(json: Value) -> Old {
        serde_json::from_value(json).unwrap()
    }

    fn worse(before: Value, now: Value) -> Vec<String> {
        old(before).judged(&old(now)).unwrap().worse
    }

    const AUTO: &str = "made (5 rows, 3 inputs, outputs: 1), nearlin (auto, f64), width 64";

    #[test]
    fn a_regression_is_told_from_noise() {
        let before = result([1.0, 1.1, 1.2]);
        assert!(worse(before.clone(), result([1.15, 1.4, 1.5])).is_empty());
        let told = [format!("{AUTO}: slower")];
        assert_eq!(worse(before, result([1.3, 1.4, 1.5])), told);
    }

    #[test]
    fn the_planner_may_choose_another_solver_but_not_a_worse_one() {
        let mut now = result([1.0; 3]);
        now["problems"][0]["entries"][0]["label"] = json!("nearlin (auto: arc-cosine, f64)");
        assert!(worse(result([1.0; 3]), now.clone()).is_empty());
        now["problems"][0]["entries"][0]["runs"][0]["inner_iterations"] = json!(10);
        assert_eq!(worse(result([1.0; 3]), now.clone()), [format!("{AUTO}: more iterations")]);
        now["problems"][0]["entries"][0]["runs"][2]["cost"] = Value::Null;
        assert_eq!(worse(result([1.0; 3]), now), [format!("{AUTO}: missed")]);
    }

    #[test]
    fn an_entry_of_a_problem_that_was_measured_is_missed_and_another_problem_is_not() {
        let mut now = result([1.0; 3]);
        now["problems"][0]["entries"].as_array_mut().unwrap().pop();
        let told = worse(result([1.0; 3]), now.clone());
        assert!(told[0].ends_with("nearlin (srht, f64), width 64: missing"), "{told:?}");
        now["problems"][0]["rows"] = json!(6);
        let judged = old(result([1.0; 3])).judged(&old(now)).unwrap();
        assert_eq!((judged.compared, judged.worse.len()), (0, 0));
    }

    #[test]
    fn other_protocols_and_results_without_a_pace_are_refused() {
        assert!(old(result([1.0; 3])).fits(1).is_ok());
        let mut early = result([1.0; 3]);
        let run = &mut early["problems"][0]["entries"][1]["runs"][0];
        run.as_object_mut().unwrap().remove("fma_per_second");
        let error = old(early).fits(1).unwrap_err();
        assert!(error.contains("no `fma_per_second`"), "{error}");
        assert_eq!(old(result([1.0; 3])).fits(2).unwrap_err(), "its `threads` are 1, expected 2");
        for (field, value, told) in [
            ("benchmark", json!("peers"), "it is of `peers`, expected `train`"),
            ("tolerance", json!(1e-4), "its `tolerance` is 1e-4, expected 1e-8"),
        ] {
            let mut other = result([1.0; 3]);
            other[field] = value;
            assert_eq!(old(other).fits(1).unwrap_err(), told);
        }
    }
}
