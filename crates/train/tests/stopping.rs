//! An observer may stop a run at any event.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::ops::ControlFlow;

use common::problem;
use nearlin::{
    Alternatives, Batches, Ending, Event, Expected, Loss, Options, Run, Scale, SolverKind, train,
    train_batches, train_ensemble, train_loss,
};

/// Stops at that event, and counts them.
struct Counter {
    at: usize,
    told: usize,
    /// At the last scale.
    steps: usize,
    fell: bool,
    /// A scale was accepted.
    accepted: bool,
}

impl Counter {
    fn new(at: usize) -> Self {
        Self { at, told: 0, steps: 0, fell: false, accepted: false }
    }

    fn see(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.told += 1;
        match event {
            Event::Step(_) => self.steps += 1,
            Event::Replanned(_) => self.fell = true,
            Event::Scale(trial) => self.accepted |= trial.accepted,
            Event::Restart { .. } if self.told < self.at => self.steps = 0,
            _ => {}
        }
        if self.told == self.at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Whatever the event at which the observer asks to stop, it is asked nothing more, and gets the steps that it has seen: at most
/// one more, which was being judged.
#[test]
fn any_event_stops_the_run() {
    let equations = problem(60, 4, 1, 7);
    let expected = |solver, iterations| Expected {
        solver,
        build_seconds: 1.0,
        iterations,
        iteration_seconds: 1.0,
    };
    let few = [expected(SolverKind::Cg, 2.0), expected(SolverKind::Cholesky, 1.0)];
    let alternatives = Some(Alternatives::new(6, 0.05, few));
    let base =
        Options::default().width(256).solver(Some(SolverKind::Cg)).alternatives(alternatives);
    for (scale, ridge) in [(Scale::Fixed(16.0), 0.0), (Scale::Auto, 0.0), (Scale::Auto, 1e-4)] {
        let options = base.scale(scale).ridge(ridge).max_steps(6);
        let stopped_at = |at: usize| {
            let mut counter = Counter::new(at);
            let run = train(&equations, &options, &mut |event: &Event<'_>| counter.see(event));
            (run.unwrap(), counter)
        };
        let (_, all) = stopped_at(usize::MAX);
        assert!(all.fell && all.told > 40, "{} events", all.told);
        for at in 1..=all.told {
            let (run, Counter { told, steps, accepted, .. }) = stopped_at(at);
            assert_eq!(told, at, "asked after it had stopped");
            assert!(run.rel_residual.is_finite() && run.rel_residual <= 1.0 + 1e-12);
            // A scale that was not judged is none that was accepted.
            assert!(run.scale_search.iter().all(|trial| !trial.accepted || trial.eta_lin > 0.0));
            // The run at an accepted scale stands.
            if !accepted {
                assert_eq!(run.ending, Ending::Stopped, "event {at}");
                assert!((steps..=steps + 1).contains(&run.steps.len()), "{steps} steps seen");
            }
        }
    }
}

/// The same of batches, losses and ensembles.
#[test]
fn any_event_stops_other_runs() {
    let equations = problem(60, 4, 1, 7);
    let options = Options::default().width(128).ridge(1e-2).max_steps(3);
    let batches = Batches::of(20).passes(2);
    let run = |kind: usize, at: usize| -> (Vec<Run>, usize) {
        let mut counter = Counter::new(at);
        let watch = &mut |event: &Event<'_>| counter.see(event);
        let runs = match kind {
            0 => vec![train_batches(&equations, &options, &batches, watch).unwrap()],
            1 => {
                let huber = Loss::Huber { delta: 0.1 };
                vec![train_loss(&equations, huber, None, &options, watch).unwrap()]
            }
            _ => train_ensemble(&equations, &options, 2, watch).unwrap().members,
        };
        (runs, counter.told)
    };
    for kind in 0..3 {
        let all = run(kind, usize::MAX).1;
        assert!(all > 10, "{all} events");
        for at in 1..=all {
            let (runs, told) = run(kind, at);
            assert_eq!(told, at, "kind {kind}: asked after it had stopped");
            assert!(runs.iter().all(|run| run.rel_residual.is_finite()));
            // A scale that was not judged is none that was accepted.
            let trials = runs.iter().flat_map(|run| &run.scale_search);
            assert!(trials.filter(|trial| trial.accepted).all(|trial| trial.eta_lin > 0.0));
        }
    }
}
