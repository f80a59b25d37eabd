//! What a person reads: what will be done, and what was done.

use std::fmt::Write;

use nearlin::{Contradiction, Run, Scale, StepReport};

mod choices;

use self::choices::{batches, classes, importances, metric, ridge, width};
use super::args::FitArgs;
use super::ensemble::{self, Member};
use super::evaluate::{Errors, Scores};
use super::progress::{PassTime, StepTime, why_rejected};
use super::report::Cost;
use super::setup::Setup;
use super::words;
use super::words::{counted, figure, listed, plain, seconds as time, table};
use crate::table::Task;

/// Groups of contradictory rows that are named.
const GROUPS: usize = 5;

/// Lines of a group that are named.
const LINES: usize = 8;

/// Confusions of two classes that are told.
const CONFUSIONS: usize = 4;

/// The problem and the plan, before anything is done, and what is doubtful about them.
pub(super) fn beginning(args: &FitArgs, setup: &Setup) -> String {
    let (problem, equations, options) = (&setup.problem, &setup.equations, &setup.options);
    let mut out = String::new();
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "{name:<9} {text}");
    };
    let (train, test) = (setup.train_rows(), problem.test.rows.len());
    line(
        "data",
        format!(
            "{}: {}, {train} to train on, {}",
            args.data_name(),
            counted(setup.rows(), "row"),
            if test == 0 { "none to test on".into() } else { format!("{test} to test on") },
        ),
    );
    line(
        "target",
        format!("{}, {}{}", problem.target.column, problem.target.task().name(), classes(setup)),
    );
    if let Some(batching) = setup.batching() {
        line("batches", batches(batching));
    }
    let merged = problem.equations.merged_rows();
    line(
        "problem",
        format!(
            "{}{}{}; {} from {}; {}",
            counted(equations.rows(), "equation"),
            if setup.sampled().is_some() { " of the sample" } else { "" },
            if merged == 0 { String::new() } else { format!(" ({merged} rows merged)") },
            counted(equations.inputs(), "input"),
            counted(problem.features, "column"),
            counted(equations.outputs(), "output"),
        ),
    );
    line(
        "network",
        format!(
            "width {}, {} parameters, {} for each equation{}",
            options.width,
            setup.parameters(),
            figure(setup.parameters_per_equation()),
            width(setup),
        ),
    );
    if let Some(text) = metric(setup) {
        line("metric", text);
        line("", importances(setup));
    }
    if setup.loss.is_some() {
        line("loss", args.loss.name());
    }
    line("ridge", ridge(args, setup));
    line("solver", setup.plan.reason.clone());
    for warning in &setup.warnings {
        line("warning", warning.clone());
    }
    out
}

/// The settings of a run in a line, for a picture.
pub(super) fn settings(setup: &Setup, run: &Run) -> String {
    let equations = &setup.equations;
    format!(
        "n = {}, d = {}, outputs {}, width {}, scale {}, ridge {}, {}",
        setup.trained_equations(),
        equations.inputs(),
        equations.outputs(),
        setup.options.width,
        plain(run.scale),
        plain(setup.options.ridge),
        setup.plan.chosen,
    )
}

/// A finished run.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    /// What was asked for.
    pub(super) args: &'a FitArgs,
    /// What was trained.
    pub(super) setup: &'a Setup,
    /// How it went.
    pub(super) run: &'a Run,
    /// The networks that were averaged, if there were several.
    pub(super) members: &'a [Member],
    /// How long its steps took.
    pub(super) times: &'a [StepTime],
    /// The passes over the rows, of a run on batches.
    pub(super) passes: &'a [PassTime],
    /// How well it did.
    pub(super) scores: &'a Scores,
    /// What it took.
    pub(super) cost: Cost,
}

impl Summary<'_> {
    /// The summary; `written` are the files.
    pub(super) fn text(&self, written: &[String]) -> String {
        let Self { args, setup, run, .. } = self;
        let mut out = format!(
            "Trained a network of width {} on {} of {} for the target {} ({}).\n\n",
            setup.options.width,
            counted(setup.train_rows(), "row"),
            args.data_name(),
            setup.problem.target.column,
            setup.problem.target.task().name(),
        );
        if !run.steps.is_empty() {
            out += &if self.passes.is_empty() { self.steps() } else { self.by_pass() };
            out.push('\n');
        }
        let mut line = |name: &str, text: &str| {
            let _ = writeln!(out, "{name:<9} {text}");
        };
        line("solver", &setup.plan.reason);
        line("scale", &self.scale());
        if let Some(text) = metric(setup) {
            line("metric", &text);
            line("", &importances(setup));
        }
        line("ridge", &ridge(args, setup));
        if let Some(text) = ensemble::words(self.members, setup.options.width) {
            line("ensemble", &text);
        }
        line("ending", &format!("{}: {}", run.ending.name(), run.reason));
        line("residual", &format!("{:.3e} relative", run.rel_residual));
        line("train", &self.errors(&self.scores.train, setup.problem.train.rows.len()));
        match &self.scores.test {
            Some(test) => line("test", &self.errors(test, setup.problem.test.rows.len())),
            None => line("test", "no rows"),
        }
        if let Some(errors) = &self.scores.left_out {
            line("left out", &self.left_out(errors));
        }
        for row in self.confusion() {
            line("", &row);
        }
        line("floor", &self.floor());
        for group in self.contradictions() {
            line("", &group);
        }
        line("cost", &self.cost());
        if !written.is_empty() {
            line("wrote", &written.join(", "));
        }
        for warning in setup.warnings.iter().cloned().chain(self.notes()) {
            line("warning", &warning);
        }
        out
    }

    /// What the run took, beside what was planned.
    fn cost(&self) -> String {
        let Cost { seconds, training, peak_bytes } = self.cost;
        let peak = peak_bytes.map_or(String::new(), |peak| {
            let planned = words::bytes(self.setup.chosen_bytes());
            format!(", {} of memory at most ({planned} planned)", words::bytes(peak as f64))
        });
        // Seconds are planned for squared errors.
        let plan = &self.setup.plan;
        let squared = self.setup.loss.is_none();
        let chosen = plan.candidates.iter().find(|candidate| candidate.solver == plan.chosen);
        let planned = chosen.filter(|_| squared).map_or(String::new(), |candidate| {
            format!(" ({} planned)", time(candidate.predicted_seconds))
        });
        format!("{}, {} of it for training{planned}{peak}", time(seconds), time(training))
    }

    fn steps(&self) -> String {
        let gradient = self.run.steps.iter().any(|step| step.rel_gradient.is_some());
        let mut header = vec!["step", "residual"];
        header.extend(gradient.then_some("gradient"));
        header.extend([
            "eta_inner",
            "eta_lin",
            "contraction",
            "flipped",
            "inner",
            "condition",
            "seconds",
        ]);
        let mut rows = vec![header.into_iter().map(String::from).collect()];
        rows.extend(self.run.steps.iter().zip(self.times).map(|(step, time)| {
            let mut row = vec![step.step.to_string(), format!("{:.3e}", step.rel_residual)];
            row.extend(step.rel_gradient.map(|gradient| format!("{gradient:.2e}")));
            row.extend([
                format!("{:.1e}", step.eta_inner),
                format!("{:.1e}", step.eta_lin),
                format!("{:.2e}", step.contraction),
                format!("{:.2}%", 100.0 * step.flipped),
                step.inner_iterations.to_string(),
                format!("{:.1e}", step.condition),
                format!("{:.3}", time.seconds),
            ]);
            row
        }));
        table(&rows)
    }

    /// The passes, each with the steps in it.
    fn by_pass(&self) -> String {
        let header = ["pass", "residual", "steps", "eta_inner", "contraction", "inner", "seconds"];
        let mut rows = vec![header.map(String::from).to_vec()];
        let mut first = 0;
        for (pass, time) in self.passes.iter().enumerate() {
            let steps = &self.run.steps[first..time.steps];
            first = time.steps;
            let worst = |of: fn(&StepReport) -> f64| steps.iter().map(of).fold(0.0, f64::max);
            rows.push(vec![
                (pass + 1).to_string(),
                format!("{:.3e}", time.rel_residual),
                steps.len().to_string(),
                format!("{:.1e}", worst(|step| step.eta_inner)),
                format!("{:.2e}", worst(|step| step.contraction)),
                steps.iter().map(|step| step.inner_iterations).sum::<usize>().to_string(),
                format!("{:.3}", time.seconds),
            ]);
        }
        table(&rows)
            + "eta_inner and contraction are the worst of a pass's steps, each on its batch.\n"
    }

    /// The scale and how it was found.
    fn scale(&self) -> String {
        let scale = plain(self.run.scale);
        if let Scale::Fixed(_) = self.setup.options.scale {
            return format!("{scale}, as asked for");
        }
        let rejected: Vec<String> = (self.run.scale_search.iter())
            .filter(|trial| !trial.accepted)
            .map(|trial| format!("{} ({})", plain(trial.scale), why_rejected(trial)))
            .collect();
        let missed = self.setup.first_eta().map_or(String::new(), |eta| {
            format!(" (the first step may miss the linear model by {}%)", figure(100.0 * eta))
        });
        if rejected.is_empty() {
            return format!("{scale}, the first that was tried{missed}");
        }
        format!("{scale}; too small were {}{missed}", rejected.join(", "))
    }

    fn errors(&self, errors: &Errors, rows: usize) -> String {
        let mut out = format!("RMSE {}", figure(errors.rmse));
        if self.setup.problem.target.task() == Task::Classification {
            let logits = self.setup.problem.target.has_logits();
            out += if logits { " of the probabilities" } else { " of the scores" };
        }
        if let Some(r2) = errors.r2 {
            let _ = write!(out, ", R2 {}", figure(r2));
        }
        if let Some(loss) = errors.loss {
            let _ = write!(out, ", mean {} loss {}", self.args.loss.name(), figure(loss));
        }
        if let Some(accuracy) = errors.accuracy {
            let _ = write!(out, ", accuracy {:.2}%", 100.0 * accuracy);
        }
        if let Some(log_loss) = errors.log_loss {
            let _ = write!(out, ", log loss {}", figure(log_loss));
        }
        out + &format!(" ({})", counted(rows, "row"))
    }

    /// What each training row would be told without it.
    fn left_out(&self, errors: &Errors) -> String {
        let rows = self.setup.problem.train.rows.len();
        let half_width = self.scores.calibration.as_ref().and_then(|by| by.half_width(0.9));
        let interval = half_width.map_or(String::new(), |half_width| {
            let about = if self.scores.is_local() { "about " } else { "" };
            format!("; nine of ten within {about}{} of the prediction", figure(half_width))
        });
        self.errors(errors, rows) + ", one at a time" + &interval
    }

    /// The confusions that are most frequent.
    fn confusion(&self) -> Vec<String> {
        let (Some(counts), Some(classes)) =
            (&self.scores.confusion, self.setup.problem.target.classes())
        else {
            return Vec::new();
        };
        let mut wrong: Vec<(usize, String)> = Vec::new();
        for (class, row) in classes.iter().zip(counts) {
            for (other, &count) in classes.iter().zip(row) {
                if count > 0 && class != other {
                    wrong.push((count, format!("{class} taken for {other}: {count}")));
                }
            }
        }
        wrong.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let named: Vec<String> = wrong.into_iter().map(|(_, words)| words).collect();
        if named.is_empty() { Vec::new() } else { vec![listed(&named, CONFUSIONS)] }
    }

    fn floor(&self) -> String {
        let contradictions = &self.setup.problem.equations.contradictions;
        if self.setup.loss.is_some() {
            return "not looked at: it is of squared errors".into();
        }
        if self.setup.sampled().is_some() {
            return "not looked at: rows were read in batches".into();
        }
        if contradictions.is_empty() {
            return "0: no rows with equal inputs have different targets".into();
        }
        let rows: usize = contradictions.iter().map(|group| group.rows.len()).sum();
        format!(
            "{:.3e} of the targets: {rows} rows in {} have equal inputs and different targets",
            self.setup.equations.floor(),
            counted(contradictions.len(), "group"),
        )
    }

    /// The groups that add most to the floor, by line.
    fn contradictions(&self) -> Vec<String> {
        if self.setup.sampled().is_some() {
            return Vec::new();
        }
        let contradictions = &self.setup.problem.equations.contradictions;
        let name = |group: &Contradiction| {
            let mut lines = self.setup.problem.lines_of(group);
            lines.sort_unstable();
            format!("lines {}", listed(&lines, LINES))
        };
        let mut named: Vec<String> = contradictions.iter().take(GROUPS).map(name).collect();
        if contradictions.len() > GROUPS {
            named.push(format!("and {} more", counted(contradictions.len() - GROUPS, "group")));
        }
        named
    }

    /// What the steps have to confess.
    fn notes(&self) -> Vec<String> {
        let steps = &self.run.steps;
        let of = |which: &dyn Fn(&StepReport) -> bool| {
            let steps: Vec<usize> =
                steps.iter().filter(|step| which(step)).map(|step| step.step).collect();
            let noun = if steps.len() == 1 { "step" } else { "steps" };
            (!steps.is_empty()).then(|| format!("{noun} {}", listed(&steps, LINES)))
        };
        let shifted = of(&|step| step.shift > 0.0).map(|which| {
            let largest = steps.iter().map(|step| step.shift).fold(0.0, f64::max);
            format!("the factorisation needed up to {largest:.1e} more on its diagonal in {which}")
        });
        let shortened = of(&|step| step.step_length < 1.0).map(|which| {
            format!("the full step raised the objective and was shortened in {which}")
        });
        // Steps on batches always are.
        let whole = self.setup.beyond.is_none();
        let damped = of(&|step| whole && step.damping > 0.0)
            .map(|which| format!("the linear model promised too much: damped in {which}"));
        let chosen = self.setup.plan.chosen;
        let other = steps.iter().rev().map(|step| step.solver).find(|&solver| solver != chosen);
        let fallen =
            other.map(|other| format!("{chosen} took longer than was planned: {other} took over"));
        shifted.into_iter().chain(shortened).chain(damped).chain(fallen).collect()
    }
}
