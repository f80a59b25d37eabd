//! The report of a run: one JSON object, stable in its keys and their order.

use std::path::Path;

use nearlin::{Run, Scale};
use serde::ser::Error;
use serde::{Serialize, Serializer};

mod choices;

use self::choices::{Metric, RidgePath, Width};
use super::args::FitArgs;
use super::batches::Batching;
use super::ensemble::Member;
use super::evaluate::Scores;
use super::progress::StepTime;
use super::setup::Setup;
use crate::output::{self, OutputError};

/// A number that is written only if it is one: a NaN or an infinity is a bug, and JSON would make
/// it a null.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Finite(pub(super) f64);

impl Serialize for Finite {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            serializer.serialize_f64(self.0)
        } else {
            Err(S::Error::custom(format_args!("a figure of the report is {}", self.0)))
        }
    }
}

/// What there is to say about a run; from `plan` what there is to say before it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    data: Data,
    model: Model,
    /// Null for inputs as they are.
    metric: Option<Metric>,
    /// Null for a ridge that was given, unless `--ridge-plot` asks for it.
    ridge_path: Option<RidgePath>,
    plan: Plan,
    /// Null for one network.
    ensemble: Option<Vec<Member>>,
    /// Null from `plan`, like all that follow.
    scale_search: Option<Vec<Trial>>,
    steps: Option<Vec<Step>>,
    result: Option<Outcome>,
    sureness: Option<Sureness>,
}

#[derive(Debug, Serialize)]
struct Data {
    path: String,
    rows: usize,
    train_rows: usize,
    test_rows: usize,
    features: usize,
    inputs: usize,
    outputs: usize,
    task: &'static str,
    /// Null where more rows are trained on in batches than the sample has.
    merged_rows: Option<usize>,
    /// Null for steps on all rows.
    batches: Option<Batching>,
}

#[derive(Debug, Serialize)]
struct Model {
    width: usize,
    /// Null for a width that was given.
    width_choice: Option<Width>,
    parameters: usize,
    /// Null from `plan` for an automatic scale.
    scale: Option<Finite>,
    /// What the linear model may miss of the first step; null for a scale that was given, and on batches.
    first_eta: Option<Finite>,
    seed: u64,
    ridge: Finite,
    loss: String,
}

#[derive(Debug, Serialize)]
struct Plan {
    solver: &'static str,
    reason: String,
    candidates: Vec<Candidate>,
}

#[derive(Debug, Serialize)]
struct Candidate {
    solver: &'static str,
    predicted_seconds: Finite,
    predicted_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Trial {
    scale: Finite,
    eta_lin: Finite,
    worst_contraction: Option<Finite>,
    accepted: bool,
}

#[derive(Debug, Serialize)]
struct Step {
    #[serde(rename = "step")]
    number: usize,
    solver: &'static str,
    rel_residual: Finite,
    eta_inner: Finite,
    eta_lin: Finite,
    contraction: Finite,
    flipped: Finite,
    inner_iterations: usize,
    condition: Finite,
    /// Of a low-rank preconditioner, else null: with an estimate of what it leaves.
    rank: Option<usize>,
    left: Option<Finite>,
    #[serde(rename = "step_length")]
    length: Finite,
    damping: Finite,
    seconds: Finite,
    phases: Phases,
}

#[derive(Debug, Serialize)]
struct Phases {
    masks: Finite,
    build: Finite,
    solve: Finite,
    update: Finite,
}

#[derive(Debug, Serialize)]
struct Outcome {
    ending: &'static str,
    /// Null where more rows were trained on in batches than the sample has.
    floor: Option<Finite>,
    train_rel_residual: Finite,
    train_rmse: Finite,
    test_rmse: Option<Finite>,
    test_r2: Option<Finite>,
    test_accuracy: Option<Finite>,
    seconds: Finite,
    training_seconds: Finite,
    peak_bytes: Option<u64>,
}

/// What a command took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Seconds of all of it.
    pub(super) seconds: f64,
    /// Seconds of training, which is what plans are for.
    pub(super) training: f64,
    /// Bytes at the high-water mark.
    pub(super) peak_bytes: Option<u64>,
}

/// How sure predictions are.
#[derive(Debug, Serialize)]
struct Sureness {
    /// Null after training on batches, where probabilities were calibrated on these very rows.
    test_log_loss: Option<Finite>,
    /// Of the training rows, each left out; null without a ridge, on batches, with another loss and many rows, or where
    /// that could not be solved for.
    left_out_rmse: Option<Finite>,
    left_out_r2: Option<Finite>,
    left_out_accuracy: Option<Finite>,
    left_out_log_loss: Option<Finite>,
    /// Half the length of an interval for nine targets of ten; null for classification.
    half_width_90: Option<Finite>,
    /// `local` where intervals are wider in some places, and that is half the length of a usual one, or `equal`.
    widths: Option<&'static str>,
    confusion: Option<Confusion>,
}

/// Rows by class, and by the class that is predicted.
#[derive(Debug, Serialize)]
struct Confusion {
    /// `test`, or `left-out` where there is none.
    rows: &'static str,
    classes: Vec<String>,
    counts: Vec<Vec<usize>>,
}

impl Report {
    /// What is known before a run.
    pub(super) fn planned(args: &FitArgs, setup: &Setup) -> Self {
        let (problem, options) = (&setup.problem, &setup.options);
        let candidates = setup.plan.candidates.iter().zip(setup.predicted_bytes());
        Self {
            data: Data {
                path: args.data.to_string_lossy().into_owned(),
                rows: setup.rows(),
                train_rows: setup.train_rows(),
                test_rows: problem.test.rows.len(),
                features: problem.features,
                inputs: setup.equations.inputs(),
                outputs: setup.equations.outputs(),
                task: problem.target.task().name(),
                merged_rows: (setup.sampled().is_none()).then(|| problem.equations.merged_rows()),
                batches: setup.batching(),
            },
            model: Model {
                width: options.width,
                width_choice: Width::of(setup),
                parameters: setup.parameters(),
                scale: match options.scale {
                    Scale::Auto => None,
                    Scale::Fixed(scale) => Some(Finite(scale)),
                },
                first_eta: setup.first_eta().map(Finite),
                seed: options.seed,
                ridge: Finite(options.ridge),
                loss: args.loss.name(),
            },
            metric: Metric::of(setup),
            ridge_path: setup.ridge_path.as_ref().map(RidgePath::from),
            plan: Plan {
                solver: setup.plan.chosen.name(),
                reason: setup.plan.reason.clone(),
                candidates: candidates
                    .map(|(candidate, bytes)| Candidate {
                        solver: candidate.solver.name(),
                        predicted_seconds: Finite(candidate.predicted_seconds),
                        predicted_bytes: bytes.round() as u64,
                    })
                    .collect(),
            },
            ensemble: None,
            scale_search: None,
            steps: None,
            result: None,
            sureness: None,
        }
    }

    /// With what a run did and what the whole command took.
    pub(super) fn ran(
        self,
        setup: &Setup,
        run: &Run,
        times: &[StepTime],
        scores: &Scores,
        cost: Cost,
    ) -> Self {
        let trials = run.scale_search.iter().map(|trial| Trial {
            scale: Finite(trial.scale),
            eta_lin: Finite(trial.eta_lin),
            worst_contraction: trial.worst_contraction.map(Finite),
            accepted: trial.accepted,
        });
        let steps = run.steps.iter().zip(times).map(|(step, time)| Step {
            number: step.step,
            solver: step.solver.name(),
            rel_residual: Finite(step.rel_residual),
            eta_inner: Finite(step.eta_inner),
            eta_lin: Finite(step.eta_lin),
            contraction: Finite(step.contraction),
            flipped: Finite(step.flipped),
            inner_iterations: step.inner_iterations,
            condition: Finite(step.condition),
            rank: step.rank,
            left: step.left.map(Finite),
            length: Finite(step.step_length),
            damping: Finite(step.damping),
            seconds: Finite(time.seconds),
            phases: Phases {
                masks: Finite(time.phases.masks),
                build: Finite(time.phases.build),
                solve: Finite(time.phases.solve),
                update: Finite(time.phases.update),
            },
        });
        let (test, left_out) = (scores.test.as_ref(), scores.left_out.as_ref());
        let half_width = scores.calibration.as_ref().and_then(|by| by.half_width(0.9));
        Self {
            model: Model { scale: Some(Finite(run.scale)), ..self.model },
            scale_search: Some(trials.collect()),
            steps: Some(steps.collect()),
            result: Some(Outcome {
                ending: run.ending.name(),
                floor: setup.sampled().is_none().then(|| Finite(setup.equations.floor())),
                train_rel_residual: Finite(run.rel_residual),
                train_rmse: Finite(scores.train.rmse),
                test_rmse: test.map(|test| Finite(test.rmse)),
                test_r2: test.and_then(|test| test.r2).map(Finite),
                test_accuracy: test.and_then(|test| test.accuracy).map(Finite),
                seconds: Finite(cost.seconds),
                training_seconds: Finite(cost.training),
                peak_bytes: cost.peak_bytes,
            }),
            sureness: Some(Sureness {
                test_log_loss: test.and_then(|test| test.log_loss).map(Finite),
                left_out_rmse: left_out.map(|left| Finite(left.rmse)),
                left_out_r2: left_out.and_then(|left| left.r2).map(Finite),
                left_out_accuracy: left_out.and_then(|left| left.accuracy).map(Finite),
                left_out_log_loss: left_out.and_then(|left| left.log_loss).map(Finite),
                half_width_90: half_width.map(Finite),
                widths: half_width.map(|_| if scores.is_local() { "local" } else { "equal" }),
                confusion: scores.confusion.as_ref().map(|counts| Confusion {
                    rows: if test.is_some() { "test" } else { "left-out" },
                    classes: setup.problem.target.classes().unwrap_or_default().to_vec(),
                    counts: counts.clone(),
                }),
            }),
            ..self
        }
    }

    /// With the networks that were averaged, if there were several.
    pub(super) fn of_members(self, members: &[Member]) -> Self {
        Self { ensemble: (members.len() > 1).then(|| members.to_vec()), ..self }
    }

    /// Writes the report to `path`, completely or not at all.
    ///
    /// # Errors
    /// [`OutputError`], also for a figure that is not finite; an older file is then as it was.
    pub(super) fn write(&self, path: &Path) -> Result<(), OutputError> {
        output::write(path, |out| {
            serde_json::to_writer_pretty(&mut *out, self)?;
            out.write_all(b"\n")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_finite_or_an_error() {
        assert_eq!(serde_json::to_string(&[Finite(0.1), Finite(1e-300)]).unwrap(), "[0.1,1e-300]");
        assert_eq!(serde_json::to_string(&None::<Finite>).unwrap(), "null");
        for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = serde_json::to_string(&Some(Finite(x))).unwrap_err().to_string();
            assert!(error.contains("a figure of the report is"), "{error}");
        }
    }
}
