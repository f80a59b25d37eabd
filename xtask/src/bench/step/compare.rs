//! Whether a step became slower since an earlier run of this benchmark.

use std::path::Path;

use serde::Deserialize;

use super::curve::{Along, Size};
use super::{Protocol, Report};
use crate::bench::Outcome;
use crate::bench::regress::{self, Judged, Source, Taken, compared};

/// What is needed of a result.
#[derive(Debug, Deserialize)]
pub(super) struct Old {
    benchmark: String,
    facts: Source,
    protocol: Protocol,
    curves: Vec<OldCurve>,
}

#[derive(Debug, Deserialize)]
struct OldCurve {
    along: Along,
    solver: String,
    points: Vec<OldPoint>,
}

#[derive(Debug, Deserialize)]
struct OldPoint {
    n: usize,
    m: usize,
    inner_iterations: usize,
    samples: Vec<OldSample>,
}

#[derive(Debug, Deserialize)]
struct OldSample {
    seconds: f64,
    fma_per_second: Option<f64>,
}

/// Reads an earlier result, before anything is measured.
///
/// # Errors
/// If it is of another benchmark or protocol, or of before the machine's pace was measured.
pub(super) fn read(path: &Path, protocol: &Protocol) -> Outcome<Old> {
    let old: Old = regress::read(path)?;
    old.fits(protocol).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(old)
}

/// Prints how steps changed.
///
/// # Errors
/// If one became worse, or there is nothing to compare.
pub(super) fn judge(old: &Old, new: &Report) -> Outcome {
    let new: Old = serde_json::from_value(serde_json::to_value(new)?)?;
    old.judged(&new)?.end(&old.facts, &new.facts)
}

impl Old {
    fn fits(&self, now: &Protocol) -> Result<(), String> {
        if self.benchmark != "step" {
            return Err(format!("it is of `{}`, expected `step`", self.benchmark));
        }
        let then = &self.protocol;
        let same = [
            ("inputs", then.inputs == now.inputs),
            ("scale", then.scale == now.scale),
            ("ridge", then.ridge == now.ridge),
            ("precision", then.precision == now.precision),
            ("data_seed", then.data_seed == now.data_seed),
            ("threads", then.threads == now.threads),
        ];
        if let Some((field, _)) = same.iter().find(|(_, same)| !same) {
            return Err(format!("its protocol has another `{field}`, so times are not comparable"));
        }
        self.taken().map(|_| ())
    }

    /// What every point took.
    fn taken(&self) -> Result<Vec<Taken>, String> {
        let points = self.curves.iter().flat_map(|c| c.points.iter().map(move |p| (c, p)));
        let taken = points.map(|(curve, point)| {
            let flops = |sample: &OldSample| Some(sample.seconds * sample.fma_per_second?);
            let flops: Option<Vec<f64>> = point.samples.iter().map(flops).collect();
            Some(Taken {
                name: name(&curve.solver, curve.along, Size { n: point.n, m: point.m }),
                flops: Some(flops?),
                iterations: point.inner_iterations,
            })
        });
        taken.collect::<Option<_>>().ok_or_else(|| regress::NO_PACE.to_owned())
    }

    fn judged(&self, new: &Self) -> Result<Judged, String> {
        let asked: Vec<Vec<String>> = [Along::M, Along::N]
            .into_iter()
            .flat_map(|along| new.protocol.sizes(along).into_iter().map(move |s| (along, s)))
            .map(|(along, size)| name("", along, size))
            .collect();
        let header = ["solver", "curve", "size"];
        let same = self.facts.machine.cpu == new.facts.machine.cpu;
        Ok(compared(&header, &self.taken()?, &new.taken()?, same, |name| {
            asked.iter().any(|asked| asked[1..] == name[1..])
        }))
    }
}

fn name(solver: &str, along: Along, Size { n, m }: Size) -> Vec<String> {
    let curve = format!("against {}", along.name());
    vec![solver.to_owned(), curve, format!("n = {n}, m = {m}")]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A result with one curve of two points; the first takes `seconds` at a pace of 1e9.
    fn result(seconds: [f64; 3]) -> Value {
        let samples = |seconds: [f64; 3]| {
            seconds.map(|s| json!({ "seconds": s, "fma_per_second": 1e9 })).to_vec()
        };
        let point = |m: usize, seconds| json!({ "n": 16, "m": m, "inner_iterations": 4, "samples": samples(seconds) });
        let points = [point(64, seconds), point(128, [4.0; 3])];
        json!({
            "benchmark": "step",
            "facts": { "commit": "abc", "machine": { "cpu": "Chip" } },
            "protocol": {
                "inputs": 64, "scale": 8.0, "ridge": 0.0, "precision": "f64", "data_seed": 1,
                "threads": 2, "repetitions": 3, "limit_seconds": 60.0, "widths": [64, 128],
                "rows_of_widths": 16, "rows": [16], "width_of_rows": 64,
            },
            "curves": [{ "along": "m", "solver": "cholesky", "points": points }],
        })
    }

    fn old(json: Value) -> Old {
        serde_json::from_value(json).unwrap()
    }

    fn worse(before: Value, now: Value) -> Vec<String> {
        old(before).judged(&old(now)).unwrap().worse
    }

    #[test]
    fn a_regression_is_told_from_noise() {
        let before = result([1.0, 1.1, 1.2]);
        assert!(worse(before.clone(), result([1.15, 1.4, 1.5])).is_empty());
        let told = ["cholesky, against m, n = 16, m = 64: slower"];
        assert_eq!(worse(before.clone(), result([1.3, 1.4, 1.5])), told);
        // The machine was half as fast meanwhile: the same work.
        let mut slow = result([2.0, 2.2, 2.4]);
        for sample in slow["curves"][0]["points"][0]["samples"].as_array_mut().unwrap() {
            sample["fma_per_second"] = json!(5e8);
        }
        assert!(worse(before, slow).is_empty());
    }

    #[test]
    fn a_point_that_was_asked_for_and_is_gone_is_worse() {
        let (before, mut now) = (result([1.0; 3]), result([1.0; 3]));
        now["curves"][0]["points"].as_array_mut().unwrap().pop();
        let told = ["cholesky, against m, n = 16, m = 128: missing"];
        assert_eq!(worse(before.clone(), now.clone()), told);
        now["protocol"]["widths"] = json!([64]);
        assert!(worse(before.clone(), now.clone()).is_empty(), "it was not asked for");
        now["curves"][0]["points"][0]["inner_iterations"] = json!(5);
        assert!(worse(before, now)[0].ends_with("m = 64: more iterations"));
    }

    #[test]
    fn other_protocols_and_results_without_a_pace_are_refused() {
        let now = old(result([1.0; 3])).protocol;
        assert!(old(result([2.0; 3])).fits(&now).is_ok(), "a file without size_seconds is read");
        for (field, value) in [("threads", json!(1)), ("precision", json!("f32"))] {
            let mut other = result([1.0; 3]);
            other["protocol"][field] = value;
            let error = old(other).fits(&now).unwrap_err();
            assert!(error.contains(&format!("another `{field}`")), "{error}");
        }
        let mut train = result([1.0; 3]);
        train["benchmark"] = json!("train");
        assert_eq!(old(train).fits(&now).unwrap_err(), "it is of `train`, expected `step`");
        let mut early = result([1.0; 3]);
        let samples = &mut early["curves"][0]["points"][0]["samples"];
        samples[1].as_object_mut().unwrap().remove("fma_per_second");
        let error = old(early).fits(&now).unwrap_err();
        assert!(error.contains("no `fma_per_second`"), "{error}");
    }

    /// A result as it is written can be read and judged again.
    #[test]
    fn reports_are_compared_through_their_json() {
        let report = super::super::tests::report();
        let path = std::env::temp_dir().join(format!("nearlin-step-{}.json", std::process::id()));
        std::fs::write(&path, serde_json::to_string(&report).unwrap()).unwrap();
        let old = read(&path, &report.protocol);
        std::fs::remove_file(&path).unwrap();
        assert!(judge(&old.unwrap(), &report).is_ok());
    }
}
