//! Curves of time against size, and the order in which their points are measured.

use nearlin::{SolverKind, StepReport};
use serde::{Deserialize, Serialize};

use super::Protocol;
use super::clock::{Phases, Sample};
use crate::bench::Outcome;
use crate::bench::slopes::Slopes;
use crate::bench::spread::Spread;
use crate::bench::words::figure;

/// The size of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Examples.
    pub(super) n: usize,
    /// Neurons.
    pub(super) m: usize,
}

/// The size that a curve varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Along {
    /// The width.
    M,
    /// The examples.
    N,
}

impl Along {
    /// `m` or `n`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::M => "m",
            Self::N => "n",
        }
    }

    /// What the letter stands for.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::M => "width m",
            Self::N => "number of examples n",
        }
    }

    /// The varied one of the two sizes.
    pub(super) fn of(self, n: usize, m: usize) -> usize {
        match self {
            Self::M => m,
            Self::N => n,
        }
    }
}

/// How often to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Effort {
    /// The most repetitions of a size.
    pub(super) repetitions: usize,
    /// Seconds of a step past which its solver drops out.
    pub(super) step: f64,
    /// Seconds past which a size gets no further repetition.
    pub(super) size: f64,
}

impl Effort {
    pub(super) fn of(protocol: &Protocol) -> Self {
        let &Protocol { repetitions, limit_seconds: step, size_seconds: size, .. } = protocol;
        Self { repetitions, step, size }
    }
}

/// One step with its times.
#[derive(Debug, Clone)]
pub(super) struct Timed {
    /// The times.
    pub(super) sample: Sample,
    /// What the step did.
    pub(super) report: StepReport,
}

/// What the planner says of a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Prediction {
    /// The preconditioner and the guessed iterations.
    pub(super) seconds: f64,
    /// The preconditioner alone.
    pub(super) build_seconds: f64,
    /// Guessed iterations of the inner solver.
    pub(super) iterations: f64,
    /// Each of them.
    pub(super) iteration_seconds: f64,
}

/// All repetitions of one solver at one size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Point {
    /// Examples.
    pub(super) n: usize,
    /// Neurons.
    pub(super) m: usize,
    /// Seconds of a step.
    pub(super) seconds: Spread,
    /// Medians of its parts.
    pub(super) phases: Phases,
    /// Iterations of the inner solver.
    pub(super) inner_iterations: usize,
    /// What the inner solver left.
    pub(super) eta_inner: f64,
    /// What the linear model missed.
    pub(super) eta_lin: f64,
    /// 1 unless the full step raised the objective.
    pub(super) step_length: f64,
    /// What the planner says.
    pub(super) predicted: Option<Prediction>,
    /// Every repetition.
    pub(super) samples: Vec<Sample>,
}

/// The times of one solver along one axis.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Curve {
    /// What varies.
    pub(super) along: Along,
    /// The solver.
    pub(super) solver: &'static str,
    /// The points, smallest first.
    pub(super) points: Vec<Point>,
    /// How the times grow.
    pub(super) slopes: Slopes,
    /// Why the curve stops before the last size, if it does.
    pub(super) ended: Option<String>,
}

/// What one solver did at each size.
#[derive(Debug)]
pub(super) struct Runs {
    solver: SolverKind,
    sizes: Vec<(Size, Vec<Timed>)>,
    ended: Option<String>,
}

/// Runs `step` for all solvers at all sizes, as often as `effort` says.
///
/// At each size the solvers take turns, so that whatever slows the machine down for a while slows
/// all of them. A solver drops out where one of its steps takes too long or fails; a size whose
/// repetitions took too long gets no further one.
pub(super) fn round_robin(
    solvers: &[SolverKind],
    sizes: &[Size],
    effort: Effort,
    mut step: impl FnMut(SolverKind, Size) -> Outcome<Timed>,
) -> Vec<Runs> {
    let start = |&solver| Runs { solver, sizes: Vec::new(), ended: None };
    let mut runs: Vec<Runs> = solvers.iter().map(start).collect();
    for &size in sizes {
        let Size { n, m } = size;
        let mut spent = 0.0;
        for _ in 0..effort.repetitions {
            if spent > effort.size {
                break;
            }
            for run in runs.iter_mut().filter(|run| run.ended.is_none()) {
                match step(run.solver, size) {
                    Err(error) => run.ended = Some(format!("failed at n = {n}, m = {m}: {error}")),
                    Ok(timed) => {
                        let seconds = timed.sample.seconds;
                        spent += timed.sample.start_seconds + seconds;
                        if seconds > effort.step {
                            let (took, limit) = (figure(seconds), figure(effort.step));
                            run.ended = Some(format!(
                                "stopped at n = {n}, m = {m}: a step took {took} s, more than the \
                                 limit of {limit} s"
                            ));
                        }
                        match run.sizes.last_mut() {
                            Some((last, timed_steps)) if *last == size => timed_steps.push(timed),
                            _ => run.sizes.push((size, vec![timed])),
                        }
                    }
                }
            }
        }
    }
    runs
}

impl Curve {
    /// The curve of one solver, with the predictions of `predicted`.
    pub(super) fn new(
        along: Along,
        runs: Runs,
        predicted: impl Fn(SolverKind, Size) -> Option<Prediction>,
    ) -> Self {
        let Runs { solver, sizes, ended } = runs;
        let points: Vec<Point> = sizes
            .iter()
            .filter_map(|(size, steps)| Point::new(*size, steps, predicted(solver, *size)))
            .collect();
        let slopes = Slopes::of(&xy(along, &points));
        Self { along, solver: solver.name(), points, slopes, ended }
    }

    /// Sizes and medians.
    pub(super) fn xy(&self) -> Vec<(f64, f64)> {
        xy(self.along, &self.points)
    }

    /// The point at a size, if the curve has one.
    pub(super) fn at(&self, size: usize) -> Option<&Point> {
        self.points.iter().find(|point| self.along.of(point.n, point.m) == size)
    }
}

fn xy(along: Along, points: &[Point]) -> Vec<(f64, f64)> {
    points.iter().map(|p| (along.of(p.n, p.m) as f64, p.seconds.median)).collect()
}

impl Point {
    fn new(size: Size, steps: &[Timed], predicted: Option<Prediction>) -> Option<Self> {
        let report = &steps.first()?.report;
        let median = |of: fn(&Sample) -> f64| Spread::of(steps.iter().map(|s| of(&s.sample)));
        let phase = |of: fn(&Sample) -> f64| median(of).map(|spread| spread.median);
        Some(Self {
            n: size.n,
            m: size.m,
            seconds: median(|sample| sample.seconds)?,
            phases: Phases {
                masks: phase(|sample| sample.phases.masks)?,
                build: phase(|sample| sample.phases.build)?,
                solve: phase(|sample| sample.phases.solve)?,
                update: phase(|sample| sample.phases.update)?,
            },
            inner_iterations: report.inner_iterations,
            eta_inner: report.eta_inner,
            eta_lin: report.eta_lin,
            step_length: report.step_length,
            predicted,
            samples: steps.iter().map(|step| step.sample).collect(),
        })
    }
}
