//! Watching a run: the clock that the library does not read, and a line or a bar on stderr.

use core::ops::ControlFlow;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use nearlin::{Event, Observer, Phase, Replanned, ScaleTrial, StepReport};
use serde::{Deserialize, Serialize};

use super::{say, words};

/// The bar is drawn this often at most.
const REFRESH: Duration = Duration::from_millis(60);

/// Units of the bar.
const BAR: f64 = 1000.0;

/// Seconds that went into each kind of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Phases {
    /// Forward passes.
    pub(super) masks: f64,
    /// Building the preconditioner.
    pub(super) build: f64,
    /// Inner iterations.
    pub(super) solve: f64,
    /// Certificate and update.
    pub(super) update: f64,
}

/// The time of a kept step, from the end of the one before or the last restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct StepTime {
    /// In all.
    pub(super) seconds: f64,
    /// By kind of work, at most `seconds` together.
    pub(super) phases: Phases,
}

/// A pass over all rows, of a run on batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct PassTime {
    /// Steps until its end, from the beginning of the run.
    pub(super) steps: usize,
    /// Relative residual of all rows.
    pub(super) rel_residual: f64,
    /// From the end of the pass before, or the beginning.
    pub(super) seconds: f64,
}

/// The clock of a run.
#[derive(Debug)]
struct Clock {
    step_began: Instant,
    phase: Option<(Phase, Instant)>,
    phases: Phases,
    steps: Vec<StepTime>,
    /// The steps at the last scale that certified: a search may still look at smaller ones.
    certified: Option<Vec<StepTime>>,
    passes: Vec<PassTime>,
    pass_began: Instant,
}

impl Clock {
    fn new(now: Instant) -> Self {
        let (phases, steps) = (Phases::default(), Vec::new());
        let (step_began, pass_began) = (now, now);
        let (phase, certified, passes) = (None, None, Vec::new());
        Self { step_began, phase, phases, steps, certified, passes, pass_began }
    }

    /// Takes note of `event`, which happened `now`.
    fn note(&mut self, event: &Event<'_>, now: Instant) {
        match event {
            // The steps that are kept are those of the first network; the others have its scale.
            Event::Member { member, .. } if *member > 1 => {
                let first = self.certified.take().unwrap_or(std::mem::take(&mut self.steps));
                *self = Self { certified: Some(first), ..Self::new(now) };
            }
            Event::Phase(phase) => {
                self.end_phase(now);
                self.phase = Some((*phase, now));
            }
            Event::Step(_) => {
                self.end_phase(now);
                let seconds = (now - self.step_began).as_secs_f64();
                let phases = std::mem::take(&mut self.phases);
                self.steps.push(StepTime { seconds, phases });
                self.step_began = now;
            }
            Event::Pass { steps, rel_residual, .. } => {
                let (steps, rel_residual) = (*steps, *rel_residual);
                let seconds = (now - self.pass_began).as_secs_f64();
                self.passes.push(PassTime { steps, rel_residual, seconds });
                (self.pass_began, self.step_began) = (now, now);
            }
            Event::Scale(trial) if trial.accepted => {
                self.certified = Some(std::mem::take(&mut self.steps));
            }
            Event::Restart { .. } => {
                *self = Self { certified: self.certified.take(), ..Self::new(now) };
            }
            _ => {}
        }
    }

    fn end_phase(&mut self, now: Instant) {
        if let Some((phase, began)) = self.phase.take() {
            let total = match phase {
                Phase::Masks => &mut self.phases.masks,
                Phase::Build => &mut self.phases.build,
                Phase::Solve => &mut self.phases.solve,
                // Whatever phases there may come to be, they belong to some step.
                _ => &mut self.phases.update,
            };
            *total += (now - began).as_secs_f64();
        }
    }
}

/// An observer that times a run and shows how far it is.
#[derive(Debug)]
pub(super) struct Watch {
    clock: Clock,
    view: View,
    /// Whether lines are for passes over the rows in place of steps.
    by_passes: bool,
}

#[derive(Debug)]
enum View {
    Nothing,
    Lines,
    Bar(Bar),
}

impl Watch {
    /// Starts the clock. Shows nothing if `quiet`, a bar if stderr is a terminal, else a line for
    /// each step. `tolerance` is where the run is to end.
    pub(super) fn new(quiet: bool, tolerance: f64) -> Self {
        let view = match (quiet, io::stderr().is_terminal()) {
            (true, _) => View::Nothing,
            (false, true) => View::Bar(Bar::new(tolerance)),
            (false, false) => View::Lines,
        };
        Self { clock: Clock::new(Instant::now()), view, by_passes: false }
    }

    /// This one, with a line for each pass over the rows in place of each step.
    pub(super) fn by_passes(self) -> Self {
        Self { by_passes: true, ..self }
    }

    /// The passes so far.
    pub(super) fn passes(&self) -> &[PassTime] {
        &self.clock.passes
    }

    /// The times so far: of the steps at the present scale, and of those at the last that certified.
    pub(super) fn times(&self) -> (Vec<StepTime>, Option<Vec<StepTime>>) {
        (self.clock.steps.clone(), self.clock.certified.clone())
    }

    /// Goes on from the times of a run that was set down.
    pub(super) fn take_up(&mut self, steps: Vec<StepTime>, certified: Option<Vec<StepTime>>) {
        self.clock = Clock { steps, certified, ..Clock::new(Instant::now()) };
    }

    /// The times of the kept steps at the accepted scale; the bar is gone after it.
    pub(super) fn finish(self) -> Vec<StepTime> {
        if let View::Bar(bar) = self.view {
            bar.shown.finish_and_clear();
        }
        self.clock.certified.unwrap_or(self.clock.steps)
    }
}

impl Observer for Watch {
    fn on_event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        let now = Instant::now();
        self.clock.note(event, now);
        if let Event::Scale(trial) = event
            && trial.accepted
            && self.by_passes
        {
            // Steps that try scales are no part of the first pass.
            self.clock = Clock::new(now);
        }
        match (&mut self.view, event) {
            (View::Lines, Event::Step(_)) if self.by_passes => {}
            (View::Lines, Event::Pass { pass, of, .. }) => {
                say(&pass_line(*pass, *of, &self.clock.passes));
            }
            (View::Lines, Event::Step(report)) => {
                let time = self.clock.steps.last().map_or(0.0, |step| step.seconds);
                say(&step_line(report, time));
            }
            (View::Lines, Event::Scale(trial)) if !trial.accepted => say(&rejected(trial)),
            (View::Lines, Event::Member { member, of }) => {
                say(&format_args!("network {member} of {of}"));
            }
            (View::Lines, Event::Restart { scale }) => {
                say(&format_args!("starting again at scale {}", words::plain(*scale)));
            }
            (View::Lines, Event::Replanned(change)) => say(&replanned(change)),
            (View::Bar(bar), Event::Pass { pass, of, .. }) => {
                bar.shown.println(pass_line(*pass, *of, &self.clock.passes));
            }
            (View::Nothing | View::Lines, _) => {}
            (View::Bar(bar), event) => bar.note(event),
        }
        ControlFlow::Continue(())
    }
}

fn step_line(report: &StepReport, seconds: f64) -> String {
    let gradient = report.rel_gradient.map_or(String::new(), |g| format!(", gradient {g:.2e}"));
    format!(
        "step {}: residual {:.3e}{gradient}, contraction {:.2e} (eta_inner {:.1e}, eta_lin {:.1e}), \
         {}, {}",
        report.step,
        report.rel_residual,
        report.contraction,
        report.eta_inner,
        report.eta_lin,
        words::counted(report.inner_iterations, "inner iteration"),
        words::seconds(seconds),
    )
}

fn pass_line(pass: usize, of: usize, passes: &[PassTime]) -> String {
    let time = passes.last().copied().unwrap_or_default();
    format!(
        "pass {pass} of at most {of}: residual {:.3e} of all rows after {}, {}",
        time.rel_residual,
        words::counted(time.steps, "step"),
        words::seconds(time.seconds),
    )
}

/// Why a scale was given up.
pub(super) fn why_rejected(trial: &ScaleTrial) -> String {
    match trial.worst_contraction {
        Some(worst) => format!("contraction {worst:.2}"),
        None => format!("eta_lin {:.2}", trial.eta_lin),
    }
}

fn rejected(trial: &ScaleTrial) -> String {
    format!("scale {} is too small: {}", words::plain(trial.scale), why_rejected(trial))
}

/// The bar: digits gained, of those that the tolerance asks for.
#[derive(Debug)]
struct Bar {
    shown: ProgressBar,
    tolerance: f64,
    step: usize,
    residual: f64,
    drawn: Instant,
}

impl Bar {
    fn new(tolerance: f64) -> Self {
        let bar = ProgressBar::new(BAR as u64);
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:20}] {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { shown: bar, tolerance, step: 1, residual: 1.0, drawn: Instant::now() }
    }

    fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Phase(Phase::Masks) => self.show("forward pass"),
            Event::Phase(Phase::Build) => self.show("building the preconditioner"),
            Event::Phase(Phase::Solve) => self.show("solving"),
            Event::Phase(_) => self.show("updating"),
            Event::Inner { iteration, rel_residual } if self.drawn.elapsed() >= REFRESH => {
                self.show(&format!("solving: iteration {iteration}, {rel_residual:.1e}"));
            }
            Event::Step(report) => {
                let measure = report.rel_gradient.unwrap_or(report.rel_residual);
                self.shown.set_position((BAR * gained(measure, self.tolerance)) as u64);
                (self.step, self.residual) = (report.step + 1, report.rel_residual);
            }
            Event::Restart { .. } => {
                self.shown.set_position(0);
                (self.step, self.residual) = (1, 1.0);
            }
            Event::Scale(trial) if !trial.accepted => self.shown.println(rejected(trial)),
            Event::Replanned(change) => self.shown.println(replanned(change)),
            _ => {}
        }
    }

    fn show(&mut self, what: &str) {
        let (step, residual) = (self.step, self.residual);
        self.shown.set_message(format!("step {step}  residual {residual:.2e}  {what}"));
        self.shown.tick();
        self.drawn = Instant::now();
    }
}

fn replanned(change: &Replanned) -> String {
    let Replanned { from, to, iterations, expected, seconds: [stay, other] } = *change;
    let (stay, other) = (words::seconds(stay), words::seconds(other));
    format!(
        "{from} took {iterations} iterations where {expected:.0} were expected, and would take {stay} more at this pace: \
         {to} takes over, {other} expected"
    )
}

/// The part of the way from 1 to `tolerance` that `measure` has gone, in digits.
fn gained(measure: f64, tolerance: f64) -> f64 {
    if tolerance >= 1.0 || measure <= tolerance {
        return 1.0;
    }
    (measure.ln() / tolerance.ln()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Phases end where the next begins or the step ends; a restart forgets everything.
    #[test]
    fn phases_add_up() {
        let start = Instant::now();
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        let mut clock = Clock::new(start);
        clock.note(&Event::Phase(Phase::Build), at(5));
        clock.note(&Event::Restart { scale: 2.0 }, at(1000));
        for (phase, time) in [
            (Phase::Masks, 1000),
            (Phase::Build, 1010),
            (Phase::Solve, 1030),
            (Phase::Masks, 1070),
            (Phase::Update, 1150),
        ] {
            clock.note(&Event::Phase(phase), at(time));
        }
        clock.note(&Event::Inner { iteration: 1, rel_residual: 0.5 }, at(1200));
        clock.end_phase(at(1310));
        let milliseconds = |seconds: f64| (seconds * 1e3).round() as u64;
        let Phases { masks, build, solve, update } = clock.phases;
        assert_eq!([masks, build, solve, update].map(milliseconds), [90, 20, 40, 160]);
        assert_eq!(milliseconds((at(1310) - clock.step_began).as_secs_f64()), 310);
        assert!(clock.steps.is_empty());
    }

    /// The times that are kept are those of the first network, and the clock runs for the others.
    #[test]
    fn networks_after_the_first_have_their_own_times() {
        let start = Instant::now();
        let time = |milliseconds: u64| StepTime {
            seconds: milliseconds as f64 / 1e3,
            ..StepTime::default()
        };
        let mut watch = Watch::new(true, 1e-8);
        watch.clock = Clock::new(start);
        watch.clock.steps = vec![time(7), time(8)];
        for member in 1..=3 {
            let now = start + Duration::from_millis(100 * member as u64);
            watch.clock.note(&Event::Member { member, of: 3 }, now);
            watch.clock.steps.extend((member > 1).then(|| time(member as u64)));
            assert_eq!(watch.times().0.len(), if member == 1 { 2 } else { 1 });
            assert!(member == 1 || watch.clock.step_began == now);
        }
        assert_eq!(watch.finish(), [time(7), time(8)]);
    }

    #[test]
    fn digits_gained() {
        let cases = [(1.0, 0.0), (10.0, 0.0), (1e-4, 0.5), (1e-8, 1.0), (0.0, 1.0)];
        for (measure, part) in cases {
            assert!((gained(measure, 1e-8) - part).abs() < 1e-12, "{measure}");
        }
        assert!((gained(0.5, 2.0) - 1.0).abs() < 1e-12);
    }
}
