//! One run of one problem, in a process of its own.

use core::ops::ControlFlow;
use std::time::Instant;

use nearlin::{Event, Options, Phase, Rates, Shape, plan_at, train};
use serde::{Deserialize, Serialize};

use super::case::CASES;
use crate::bench::Outcome;

/// A run that takes less than this is run again, until it has taken this in all, and its median counts.
const REPEATED: f64 = 2.0;

/// Most repetitions.
const ROUNDS: usize = 5;

/// What a run told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ran {
    /// The solver that ended it.
    pub(super) solver: String,
    /// Seconds with the plan.
    pub(super) seconds: f64,
    /// Seconds of the plan, which only the planner's choice pays.
    pub(super) planning: f64,
    /// Bytes at the high-water mark, beside what the process held before.
    pub(super) bytes: f64,
    pub(super) ending: String,
    pub(super) rel_residual: f64,
    pub(super) steps: usize,
    pub(super) iterations: usize,
    /// Scales that were tried.
    pub(super) scales: usize,
    /// Iterations in all steps, those that were not kept among them.
    pub(super) all_iterations: usize,
    /// Forward passes.
    pub(super) forwards: usize,
    /// Inner solves.
    pub(super) solves: usize,
    /// Factors that were built.
    pub(super) builds: usize,
    /// Seconds in forward passes, builds, solves and updates.
    pub(super) phases: [f64; 4],
    pub(super) predicted_seconds: f64,
    pub(super) predicted_bytes: f64,
    pub(super) predicted_steps: usize,
    pub(super) predicted_iterations: f64,
    /// Predicted seconds of every solver.
    pub(super) candidates: Vec<(String, f64)>,
}

/// Trains and prints what there is to tell, as JSON.
pub(super) fn run(words: &[String]) -> Outcome {
    let [case, asked, rates] = words else { return Err("three words are expected".into()) };
    let case = CASES.get(case.parse::<usize>()?).ok_or("no such problem")?;
    let rates: Rates = serde_json::from_str(&std::fs::read_to_string(rates)?)?;
    let equations = case.equations()?;
    // As the program does: to the tolerance without a ridge, to where steps gain nothing with one.
    let options = Options::default().width(case.width).ridge(case.ridge).tolerance(1e-6);
    let mut options = if case.ridge > 0.0 { options.automatic() } else { options };
    if asked != "auto" {
        options = options.solver(Some(asked.parse()?));
    }
    let plan = || plan_at(&Shape::new(&equations, &options), &options, &rates);
    let held = status("VmRSS:")?;
    let (mut seconds, mut planning) = (Vec::new(), 0.0f64);
    let (mut told, mut peak) = (None, 0.0);
    while seconds.len() < ROUNDS && seconds.iter().sum::<f64>() < REPEATED {
        let mut counts = Counts::default();
        let start = Instant::now();
        let planned = if asked == "auto" { Some(plan()) } else { None };
        planning = start.elapsed().as_secs_f64();
        let trained = planned.as_ref().map_or(options, |plan| {
            options.solver(Some(plan.chosen)).alternatives(plan.alternatives)
        });
        let run = train(&equations, &trained, &mut |event: &Event<'_>| counts.see(event))?;
        seconds.push(start.elapsed().as_secs_f64());
        let (start, plan) = (Instant::now(), planned.unwrap_or_else(plan));
        planning = start.elapsed().as_secs_f64().max(planning);
        if told.is_none() {
            peak = status("VmHWM:")? - held;
        }
        told = Some((plan, run, counts));
    }
    let Some((plan, run, counts)) = told else { return Err("nothing was run".into()) };
    seconds.sort_by(f64::total_cmp);
    let chosen = (plan.candidates.iter().find(|candidate| candidate.solver == plan.chosen))
        .ok_or("a plan without its choice")?;
    let ran = Ran {
        solver: run.steps.last().map_or(plan.chosen, |step| step.solver).name().into(),
        seconds: seconds[seconds.len() / 2],
        planning,
        bytes: peak,
        ending: run.ending.name().into(),
        rel_residual: run.rel_residual,
        steps: run.steps.len(),
        iterations: run.steps.iter().map(|step| step.inner_iterations).sum(),
        scales: run.scale_search.len(),
        all_iterations: counts.iterations,
        forwards: counts.forwards,
        solves: counts.solves,
        builds: counts.builds,
        phases: counts.phases,
        predicted_seconds: chosen.predicted_seconds,
        predicted_bytes: chosen.predicted_bytes,
        predicted_steps: plan.steps,
        predicted_iterations: chosen.iterations,
        candidates: (plan.candidates.iter())
            .map(|candidate| (candidate.solver.name().into(), candidate.predicted_seconds))
            .collect(),
    };
    println!("{}", serde_json::to_string(&ran)?);
    Ok(())
}

/// What happened in a run, steps that were not kept included.
#[derive(Default)]
struct Counts {
    iterations: usize,
    forwards: usize,
    solves: usize,
    builds: usize,
    phases: [f64; 4],
    /// The phase that goes on, and since when.
    now: Option<(usize, Instant)>,
}

impl Counts {
    fn see(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        if let Event::Phase(phase) = event {
            if let Some((at, since)) = self.now {
                self.phases[at] += since.elapsed().as_secs_f64();
            }
            let at = match phase {
                Phase::Masks => 0,
                Phase::Build => 1,
                Phase::Solve => 2,
                _ => 3,
            };
            self.now = Some((at, Instant::now()));
        }
        match event {
            Event::Inner { .. } => self.iterations += 1,
            Event::Phase(Phase::Masks) => self.forwards += 1,
            Event::Phase(Phase::Solve) => self.solves += 1,
            Event::Phase(Phase::Build) => self.builds += 1,
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Bytes in a line of the system's account of this process.
fn status(key: &str) -> Outcome<f64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)).ok_or("no such line")?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(1024.0 * kibibytes)
}
