//! The program `nearlin`, run as a user runs it, and the report that it writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::bench::Outcome;
use crate::ci::cargo;
use crate::tidy::output;

/// The built program and where it is run.
#[derive(Debug)]
pub(in crate::bench) struct Program {
    root: PathBuf,
    report: PathBuf,
    /// Where rates are kept; `None` for the user's place.
    cache: Option<PathBuf>,
}

/// A run: how it was called and what it reported.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Run {
    /// The command.
    pub(super) command: String,
    /// The report, as far as the pages need it.
    pub(super) report: Report,
}

/// The parts of the program's report that the pages need.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) data: Data,
    pub(super) model: Model,
    pub(super) plan: Plan,
    pub(super) scale_search: Vec<Trial>,
    pub(super) steps: Vec<Step>,
    pub(super) result: Ended,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Data {
    pub(super) train_rows: usize,
    pub(super) test_rows: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Model {
    pub(super) width: usize,
    pub(super) scale: f64,
    pub(super) seed: u64,
    pub(super) ridge: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) solver: String,
    pub(super) candidates: Vec<Candidate>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Candidate {
    pub(super) solver: String,
    pub(super) predicted_seconds: f64,
    pub(super) predicted_bytes: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Trial {
    pub(super) scale: f64,
    pub(super) accepted: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) rel_residual: f64,
    pub(super) seconds: f64,
    pub(super) eta_inner: f64,
    pub(super) contraction: f64,
    pub(super) flipped: f64,
    pub(super) inner_iterations: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) ending: String,
    pub(super) floor: f64,
    pub(super) train_rel_residual: f64,
    pub(super) test_rmse: Option<f64>,
    pub(super) test_r2: Option<f64>,
    pub(super) test_accuracy: Option<f64>,
    pub(super) seconds: f64,
    pub(super) peak_bytes: f64,
}

impl Program {
    /// Builds the program in the release profile.
    pub(in crate::bench) fn build(root: &Path) -> Outcome<Self> {
        let mut build = Command::new(cargo());
        build.current_dir(root).args(["build", "--release", "-p", "nearlin-cli"]);
        if !build.status()?.success() {
            return Err("the program could not be built".into());
        }
        let report =
            std::env::temp_dir().join(format!("nearlin-report-{}.json", std::process::id()));
        Ok(Self { root: root.to_owned(), report, cache: None })
    }

    /// The same with plans at the rates of the machine, which are measured, and kept in `target` and not for its user.
    pub(super) fn calibrated(&self) -> Outcome<Self> {
        eprintln!("nearlin plan --calibrate");
        let cache = Some(self.root.join("target/bench/cache"));
        let program = Self { root: self.root.clone(), report: self.report.clone(), cache };
        output(program.command().args(["plan", "--calibrate"]))?;
        Ok(program)
    }

    fn command(&self) -> Command {
        let mut run = Command::new(cargo());
        run.current_dir(&self.root)
            .args(["run", "--release", "--quiet", "-p", "nearlin-cli", "--"])
            .envs(self.cache.iter().map(|cache| ("XDG_CACHE_HOME", cache)));
        run
    }

    /// `nearlin fit OPTIONS`, from the repository's root.
    pub(super) fn fit(&self, options: &str) -> Outcome<Run> {
        let command = format!("nearlin fit {options}");
        eprintln!("{command}");
        let mut run = self.command();
        run.arg("fit").args(options.split(' ')).args(["--quiet", "--report"]).arg(&self.report);
        output(&mut run)?;
        let text = std::fs::read_to_string(&self.report)?;
        std::fs::remove_file(&self.report)?;
        let report: Report = serde_json::from_str(&text)?;
        eprintln!("    {} in {:.1} s", report.result.ending, report.result.seconds);
        Ok(Run { command, report })
    }
}

impl Report {
    /// The largest contraction of a kept step.
    pub(super) fn worst_contraction(&self) -> f64 {
        self.steps.iter().map(|step| step.contraction).fold(0.0, f64::max)
    }

    /// Iterations of the inner solver in all kept steps.
    pub(super) fn inner_iterations(&self) -> usize {
        self.steps.iter().map(|step| step.inner_iterations).sum()
    }

    /// The scales that were rejected, as a list; `-` if there are none.
    pub(super) fn rejected(&self) -> String {
        let rejected = self.scale_search.iter().filter(|trial| !trial.accepted);
        let scales: Vec<String> = rejected.map(|trial| trial.scale.to_string()).collect();
        if scales.is_empty() { "-".into() } else { scales.join(", ") }
    }

    /// What the plan says of the solver that was used.
    pub(super) fn predicted(&self) -> Option<&Candidate> {
        self.plan.candidates.iter().find(|candidate| candidate.solver == self.plan.solver)
    }
}
