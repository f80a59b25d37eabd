//! The peers' side: a Python with their packages, their data, and one run of their script.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use nearlin::Equations;
use serde::Deserialize;

use super::contest::{Contest, Peer};
use super::entry::{Cost, Run};
use crate::bench::Outcome;
use crate::python::environment;
use crate::tidy::output;

/// The key of the tolerance among a peer's milestones.
const MILESTONE: &str = "1e-08";

/// An interpreter and the folder with scripts and data.
#[derive(Debug)]
pub(super) struct Python {
    program: PathBuf,
    folder: PathBuf,
    export: PathBuf,
}

/// What the export script tells.
#[derive(Debug, Deserialize)]
struct Exported {
    rows: usize,
    inputs: usize,
    outputs: usize,
    versions: BTreeMap<String, String>,
}

/// What the peers' script tells in its last line, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Told {
    /// Relative residual to (iteration, seconds on the clock, CPU seconds).
    miles: BTreeMap<String, (usize, f64, f64)>,
    iters: usize,
    #[serde(rename = "final")]
    last: f64,
    stop: String,
    err: Option<String>,
}

impl Python {
    /// Makes everything ready below `root/target`: interpreter, scripts and the data of `problems`.
    pub(super) fn prepare(
        scripts: &Path,
        program: Option<&Path>,
        root: &Path,
        problems: &[&str],
    ) -> Outcome<Self> {
        let target = root.join("target");
        let folder = target.join("peers");
        let data = folder.join("data");
        std::fs::create_dir_all(&data)?;
        for name in ["peers.py", "data.py"] {
            let text = read(&scripts.join(name))?;
            std::fs::write(folder.join(name), text)?;
        }
        let program = match program {
            // A name alone is looked up on the path, by whoever starts it.
            Some(name) if name.components().count() == 1 => name.to_owned(),
            Some(path) => std::path::absolute(path)?,
            None => {
                environment(&target.join("peers-venv"), &scripts.join("requirements-light.txt"))?
            }
        };
        let export = root.join("xtask/python/export.py");
        let python = Self { program, folder, export };
        if problems.iter().any(|name| !data.join(format!("{name}.npz")).is_file()) {
            eprintln!("building the peers' problems, once");
            output(&mut python.script("data.py"))?;
        }
        Ok(python)
    }

    /// The training rows of a problem, bit by bit as the peers have them, and versions.
    pub(super) fn equations(
        &self,
        problem: &str,
    ) -> Outcome<(Equations, BTreeMap<String, String>)> {
        let told = output(self.script(&self.export).arg(problem))?;
        let Exported { rows, inputs, outputs, versions } = serde_json::from_str(&told)?;
        let values = |letter: &str, columns: usize| -> Outcome<Vec<f64>> {
            let path = self.folder.join(format!("data/{problem}.{letter}.f64"));
            let values = floats(&read(&path)?);
            if values.len() != rows * columns {
                let (found, path) = (values.len(), path.display());
                return Err(format!("{path}: {found} numbers, expected {rows} x {columns}").into());
            }
            Ok(values)
        };
        let equations =
            Equations::new(values("x", inputs)?, values("y", outputs)?, inputs, outputs)?;
        Ok((equations, versions))
    }

    /// Runs the peer of a contest once, on one thread.
    pub(super) fn peer(&self, contest: &Contest) -> Outcome<Run> {
        let mut command = self.script("peers.py");
        let told = output(command.args(arguments(contest.problem, &contest.peer)))?;
        parse(&told).map_err(|error| format!("{}: {error}", contest.peer.optimiser).into())
    }

    fn script(&self, script: impl Into<OsString>) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).arg(script.into());
        command
    }
}

/// The arguments of a run of the peers' script.
fn arguments(problem: &str, peer: &Peer) -> Vec<String> {
    let (width, cap) = (peer.width, peer.cap);
    let optimiser = peer.optimiser;
    format!("--problem {problem} --m {width} --opt {optimiser} --cap {cap} --threads 1")
        .split(' ')
        .map(str::to_owned)
        .collect()
}

/// The run that the script tells of.
fn parse(told: &str) -> Outcome<Run> {
    let line = told.lines().last().ok_or("the script printed nothing")?;
    let Told { miles, iters, last, stop, err } = serde_json::from_str(line)
        .map_err(|error| format!("the last line is not as expected ({error}): {line}"))?;
    if let Some(error) = err {
        return Err(error.into());
    }
    let reached = miles.get(MILESTONE);
    Ok(Run {
        cost: reached.map(|&(_, wall, cpu)| Cost { cpu, wall }),
        steps: reached.map_or(iters, |&(iteration, ..)| iteration),
        restarts: None,
        inner_iterations: None,
        // The script draws standard Gaussian weights.
        scale: 1.0,
        rel_residual: last,
        ending: stop,
        fma_per_second: None,
    })
}

/// Little-endian numbers; what does not fill a number is left out.
fn floats(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|&eight| f64::from_le_bytes(eight)).collect()
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    let failed = |error| -> Box<dyn Error> { format!("{}: {error}", path.display()).into() };
    std::fs::read(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::super::contest::CONTESTS;
    use super::*;

    #[test]
    fn the_script_is_called_as_documented() {
        let lines = CONTESTS.map(|c| arguments(c.problem, &c.peer).join(" "));
        assert_eq!(
            lines,
            [
                "--problem diabetes --m 1024 --opt scipy-lbfgs --cap 60 --threads 1",
                "--problem digits --m 1024 --opt ggn --cap 120 --threads 1",
            ]
        );
    }

    #[test]
    fn the_last_line_tells_of_the_run() {
        let line = r#"{"iters": 99, "final": 9e-9, "stop": "target", "err": null, "more": [1],
            "miles": {"0.1": [3, 0.1, 0.2], "1e-08": [98, 1.5, 1.25]}}"#
            .replace('\n', " ");
        let run = parse(&format!("noise\n{line}\n")).unwrap();
        assert_eq!(run.cost, Some(Cost { cpu: 1.25, wall: 1.5 }));
        assert_eq!((run.steps, run.rel_residual, run.ending.as_str()), (98, 9e-9, "target"));

        let missed = parse(&line.replace("1e-08", "1e-06")).unwrap();
        assert_eq!((missed.cost, missed.steps), (None, 99));
        let failed = parse(&line.replace("\"err\": null", "\"err\": \"MemoryError\""));
        assert_eq!(failed.unwrap_err().to_string(), "MemoryError");
        assert!(parse("").unwrap_err().to_string().contains("printed nothing"));
        assert!(parse("{}").unwrap_err().to_string().contains("not as expected"));
    }

    #[test]
    fn numbers_keep_their_bits() {
        let numbers = [0.1, -0.0, f64::MIN_POSITIVE, 1e300];
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        let back = floats(&bytes);
        assert!(back.iter().zip(&numbers).all(|(a, b)| a.to_bits() == b.to_bits()));
        assert_eq!(back.len(), 4);
        assert_eq!(floats(&bytes[..31]).len(), 3);
    }
}
