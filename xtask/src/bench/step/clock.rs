//! The clock of a step: an observer, as the library reads no clock itself.

use core::ops::ControlFlow;
use std::time::Instant;

use nearlin::{Event, Observer, Phase};
use serde::Serialize;

/// Seconds of each kind of work in a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Phases {
    /// The forward pass at the new weights.
    pub(super) masks: f64,
    /// The preconditioner.
    pub(super) build: f64,
    /// The inner solver.
    pub(super) solve: f64,
    /// The certificate and the update.
    pub(super) update: f64,
}

impl Phases {
    /// The phases by name.
    pub(super) fn named(&self) -> [(&'static str, f64); 4] {
        let Self { masks, build, solve, update } = *self;
        [("masks", masks), ("build", build), ("solve", solve), ("update", update)]
    }
}

/// The times of one run of one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Sample {
    /// The step: from the first preconditioner to the report.
    pub(super) seconds: f64,
    /// What a run does once, before its first step: initial weights and first forward pass.
    pub(super) start_seconds: f64,
    /// Multiply-adds in `f64` that the machine could do around the step, in flops a second.
    pub(super) fma_per_second: f64,
    /// The parts of `seconds`.
    pub(super) phases: Phases,
}

/// Watches a run up to its first kept step.
#[derive(Debug)]
pub(super) struct Clock {
    began: Instant,
    step_began: Option<Instant>,
    phase: Option<(Phase, Instant)>,
    phases: Phases,
    sample: Option<Sample>,
}

impl Clock {
    /// Starts now.
    pub(super) fn start() -> Self {
        Self::at(Instant::now())
    }

    fn at(began: Instant) -> Self {
        Self { began, step_began: None, phase: None, phases: Phases::default(), sample: None }
    }

    /// The times of the first step, if one was kept, with the pace around it.
    pub(super) fn finish(self, fma_per_second: f64) -> Option<Sample> {
        self.sample.map(|sample| Sample { fma_per_second, ..sample })
    }

    /// Takes note of `event`, which happened `now`.
    fn note(&mut self, event: &Event<'_>, now: Instant) {
        match event {
            Event::Phase(phase) => {
                if *phase == Phase::Build && self.step_began.is_none() {
                    self.step_began = Some(now);
                    self.phase = None;
                }
                self.end_phase(now);
                self.phase = Some((*phase, now));
            }
            Event::Step(_) if self.sample.is_none() => {
                self.end_phase(now);
                let step_began = self.step_began.unwrap_or(self.began);
                self.sample = Some(Sample {
                    seconds: (now - step_began).as_secs_f64(),
                    start_seconds: (step_began - self.began).as_secs_f64(),
                    fma_per_second: 0.0,
                    phases: self.phases,
                });
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
                _ => &mut self.phases.update,
            };
            *total += (now - began).as_secs_f64();
        }
    }
}

impl Observer for Clock {
    fn on_event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.note(event, Instant::now());
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_forward_pass_is_no_part_of_the_step() {
        let began = Instant::now();
        let at = |milliseconds: u64| began + Duration::from_millis(milliseconds);
        let mut clock = Clock::at(began);
        for (phase, time) in [
            (Phase::Masks, 10),
            (Phase::Build, 100),
            (Phase::Solve, 130),
            (Phase::Masks, 170),
            (Phase::Update, 250),
            (Phase::Masks, 260),
            (Phase::Update, 300),
        ] {
            clock.note(&Event::Phase(phase), at(time));
        }
        clock.note(&Event::Inner { iteration: 1, rel_residual: 0.5 }, at(400));
        clock.end_phase(at(500));
        let milliseconds = clock.phases.named().map(|(_, seconds)| (seconds * 1e3).round() as u64);
        assert_eq!(milliseconds, [120, 30, 40, 210]);
        assert_eq!(clock.step_began, Some(at(100)));
        assert_eq!(clock.finish(1.0), None, "no step was kept");
    }
}
