//! Planning the rest of a run anew, where inner solves take other than was guessed.
//!
//! What a solver takes is known once it runs: its iterations for each factor e by which they lower the residual. What the
//! rest of the run would take with it, and with each of the others as guessed, are compared now and then; the run goes on
//! with another one where that is clearly cheaper. All of it is counted in predicted seconds, of which no clock is asked:
//! a run does not depend on how busy the machine is.

use core::ops::ControlFlow;

use crate::observe::{Event, Observer};
use crate::solver::SolverKind;

/// How many times as dear the present solver must be as another one to be left: the other's iterations are a guess.
const CLEARLY: f64 = 1.25;

/// No solver is left before this part of what another one would take has been spent on it: what little a solve has come
/// forward by then tells more.
const SHOWN: f64 = 0.25;

/// A single solve that has taken this many times what another solver would take for the rest of the run is given up,
/// whatever it promises.
const STUCK: f64 = 2.0;

/// Seconds for the rest of a run that nobody waits for: such a run goes on as it is.
const MOMENT: f64 = 0.05;

/// A solver is looked at after this many times the iterations that were expected of it, and again whenever it has taken
/// this many times as many as at the last look.
const LATE: f64 = 2.0;
const AGAIN: f64 = 1.5;

/// What is expected of a solver in a run.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Expected {
    /// The solver.
    pub solver: SolverKind,
    /// Seconds to build its factor.
    pub build_seconds: f64,
    /// Iterations of a step's inner solve.
    pub iterations: f64,
    /// Seconds for one of them.
    pub iteration_seconds: f64,
}

/// The solvers that a run may go on with, and what is expected of each.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Alternatives {
    /// Steps of the run.
    steps: usize,
    /// By how much each solve of so many iterations lowers its residual.
    reduction: f64,
    /// In the order of [`SolverKind::ALL`].
    expected: [Option<Expected>; SolverKind::ALL.len()],
}

impl Alternatives {
    /// Of a run of so many steps, where iterations are those that lower an inner residual to `reduction` of what it was,
    /// between 0 and 1; of a solver that is named twice the last counts.
    #[must_use]
    pub fn new(steps: usize, reduction: f64, expected: impl IntoIterator<Item = Expected>) -> Self {
        let mut these = Self { steps, reduction, expected: [None; _] };
        for one in expected {
            *these.of_mut(one.solver) = Some(one);
        }
        these
    }

    /// What is expected of a solver; `None` where the run may not take it.
    #[must_use]
    pub fn of(&self, solver: SolverKind) -> Option<Expected> {
        self.iter().find(|one| one.solver == solver)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Expected> + '_ {
        self.expected.iter().flatten().copied()
    }

    /// Those of them that `kept` holds for.
    #[must_use]
    pub fn only(self, kept: impl Fn(&Expected) -> bool) -> Self {
        Self { expected: self.expected.map(|one| one.filter(&kept)), ..self }
    }

    fn of_mut(&mut self, solver: SolverKind) -> &mut Option<Expected> {
        let all = SolverKind::ALL.iter().zip(&mut self.expected);
        let found = all.into_iter().find(|(kind, _)| **kind == solver);
        found.expect("all solvers are there").1
    }
}

/// How the present solver of a run has done.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Course {
    alternatives: Alternatives,
    solver: SolverKind,
    /// Solves that have ended, their iterations, and the factors e by which they lowered residuals.
    solves: usize,
    iterations: usize,
    factors: f64,
    /// Iterations at which it is looked at again.
    look: f64,
}

/// One more solve: how far it is, how far it should come, and how many steps come after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Solve {
    pub(crate) iterations: usize,
    pub(crate) reduction: f64,
    pub(crate) tolerance: f64,
    pub(crate) ahead: usize,
}

/// A change to another solver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replanned {
    /// The solver so far.
    pub from: SolverKind,
    /// The one from now on.
    pub to: SolverKind,
    /// Iterations of inner solves since the solver that is left took over.
    pub iterations: usize,
    /// Those that were expected.
    pub expected: f64,
    /// Predicted seconds for the rest of the run: with the solver that is left, as it has shown itself, and with the other.
    pub seconds: [f64; 2],
}

impl Course {
    /// Of a run that begins with `solver`; `None` where there is no other.
    pub(crate) fn new(alternatives: &Alternatives, solver: SolverKind) -> Option<Self> {
        alternatives.of(solver)?;
        (alternatives.iter().count() > 1).then_some(Self {
            alternatives: *alternatives,
            solver,
            solves: 0,
            iterations: 0,
            factors: 0.0,
            look: 0.0,
        })
    }

    /// Steps after the one that is being solved for, where so many were kept.
    pub(crate) fn ahead(&self, kept: usize) -> usize {
        self.alternatives.steps.saturating_sub(kept + 1)
    }

    /// Counts a solve that has ended, with `reduction` of its residual left.
    pub(crate) fn count(&mut self, iterations: usize, reduction: f64) {
        self.solves += 1;
        self.iterations += iterations;
        self.factors += factors(reduction);
    }

    /// Whether the rest of the run is planned with another solver, at this point of a solve.
    pub(crate) fn judge(&mut self, solve: Solve) -> Option<Replanned> {
        let own = self.alternatives.of(self.solver)?;
        let (spent, done) = ((self.iterations + solve.iterations) as f64, solve.iterations as f64);
        let now = factors(solve.tolerance);
        let all = self.factors + now;
        let expected = self.scaled(own, (self.solves + 1) as f64, all);
        if spent < (LATE * expected).max(self.look) {
            return None;
        }
        self.look = AGAIN * spent;
        // It goes on at the pace at which it has come so far, and so do the solves of the steps that follow.
        let whole = done * (now / factors(solve.reduction)).max(1.0);
        let step = (self.iterations as f64 + whole) * now / all;
        let ahead = solve.ahead as f64;
        let stay = own.iteration_seconds * (whole - done + ahead * step);
        let seconds = |iterations: f64| own.iteration_seconds * iterations;
        if stay.max(seconds(done)) < MOMENT {
            return None;
        }
        let rest = |one: Expected| {
            let step = self.scaled(one, 1.0, now);
            one.build_seconds + (1.0 + ahead) * one.iteration_seconds * step
        };
        let (other, change) = (self.alternatives.iter())
            .filter(|one| one.solver != self.solver)
            .map(|one| (one.solver, rest(one)))
            .min_by(|a, b| a.1.total_cmp(&b.1))?;
        let cheaper = CLEARLY * change < stay && SHOWN * change <= seconds(spent);
        if !cheaper && seconds(done) < STUCK * change {
            return None;
        }
        let change = Replanned {
            from: own.solver,
            to: other,
            iterations: spent as usize,
            expected,
            seconds: [stay, change],
        };
        // If it is returned to, then as it has shown itself.
        let shown = (step / now * factors(self.alternatives.reduction)).max(own.iterations);
        *self.alternatives.of_mut(own.solver) = Some(Expected { iterations: shown, ..own });
        *self = Self::new(&self.alternatives, other)?;
        Some(change)
    }

    /// Iterations that are expected of so many solves which lower residuals by so many factors e in all: one of a solve is
    /// taken however far that is to come.
    fn scaled(&self, one: Expected, solves: f64, all: f64) -> f64 {
        solves + (one.iterations - 1.0).max(0.0) * all / factors(self.alternatives.reduction)
    }
}

/// The factors e by which conjugate gradients lower a residual to this part of what it was, by their bound.
fn factors(reduction: f64) -> f64 {
    (2.0 / reduction.clamp(f64::MIN_POSITIVE, 1.0)).ln()
}

/// Watches a solve for an observer, and ends it where the rest of the run is planned with another solver.
pub(crate) struct Watch<'a> {
    observer: &'a mut dyn Observer,
    course: Option<&'a mut Course>,
    solve: Solve,
    pub(crate) change: Option<Replanned>,
}

impl<'a> Watch<'a> {
    /// Of a solve to `tolerance`, after which `ahead` steps are to follow.
    pub(crate) fn new(
        observer: &'a mut dyn Observer,
        course: Option<&'a mut Course>,
        tolerance: f64,
        ahead: usize,
    ) -> Self {
        let solve = Solve { iterations: 0, reduction: 1.0, tolerance, ahead };
        Self { observer, course, solve, change: None }
    }
}

impl Observer for Watch<'_> {
    fn on_event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.observer.on_event(event)?;
        let (Event::Inner { iteration, rel_residual }, Some(course)) = (event, &mut self.course)
        else {
            return ControlFlow::Continue(());
        };
        self.solve.iterations = *iteration;
        // Residuals of conjugate gradients rise and fall.
        self.solve.reduction = self.solve.reduction.min(*rel_residual);
        self.change = self.change.or_else(|| course.judge(self.solve));
        if self.change.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A solver whose solves end after so many iterations to 0.1, each of which lowers the residual alike.
    fn run(course: &mut Course, taken: usize, steps: usize) -> (usize, Option<Replanned>) {
        let mut spent = 0;
        for step in 0..steps {
            for iterations in 1..=taken {
                spent += 1;
                let reduction = 0.05f64.powf(iterations as f64 / taken as f64).min(0.5) * 2.0;
                let ahead = steps - step - 1;
                let solve = Solve { iterations, reduction, tolerance: 0.1, ahead };
                if let Some(change) = course.judge(solve) {
                    return (spent, Some(change));
                }
            }
            course.count(taken, 0.1);
        }
        (spent, None)
    }

    fn of(solver: SolverKind, build_seconds: f64, iterations: f64) -> Expected {
        Expected { solver, build_seconds, iterations, iteration_seconds: 1.0 }
    }

    proptest! {
        /// A solver that does as expected is kept; whatever it does, the run takes no more than three times what the
        /// better of two would have, where the other one does as expected.
        #[test]
        fn changes_are_worth_it(
            guess in 2usize..60, taken in 1usize..400, build in 1.0f64..1000.0, other in 1usize..20,
            steps in 1usize..8,
        ) {
            let (first, second) = (SolverKind::Cg, SolverKind::Cholesky);
            let table = [of(first, 0.0, guess as f64), of(second, build, other as f64)];
            let mut course = Course::new(&Alternatives::new(steps, 0.1, table), first).unwrap();
            let (spent, change) = run(&mut course, taken, steps);
            if taken <= guess {
                prop_assert_eq!(change, None);
            }
            let exact = build + (steps * other) as f64;
            let stayed = (steps * taken) as f64;
            let total = if change.is_some() { spent as f64 + exact } else { stayed };
            let foreseen = (2 * guess * steps) as f64;
            prop_assert!(
                total <= 3.0 * stayed.min(exact).max(foreseen),
                "{} in place of {} or {}", total, stayed, exact
            );
            if let Some(change) = change {
                prop_assert_eq!((change.from, change.to, change.iterations), (first, second, spent));
                prop_assert!(spent as f64 >= 2.0 * change.expected - 1.0);
            }
        }
    }

    /// Of several the cheapest by what is known: the one that was left, too, by what it has shown.
    #[test]
    fn a_solver_is_returned_to() {
        let (a, b, c) = (SolverKind::Cg, SolverKind::RpCholesky, SolverKind::Cholesky);
        let table = [of(a, 0.0, 5.0), of(b, 10.0, 8.0), of(c, 900.0, 1.0)];
        let mut course = Course::new(&Alternatives::new(3, 0.1, table), a).unwrap();
        let (_, change) = run(&mut course, 50, 3);
        assert_eq!(change.unwrap().to, b);
        // Of which each solve takes ten times as many as of the first one.
        let (_, change) = run(&mut course, 500, 3);
        assert_eq!(change.unwrap().to, a);
        assert!(course.alternatives.of(b).unwrap().iterations > 100.0);
        assert_eq!(course.solver, a);
    }

    /// A solve that comes as near as one likes, but not to its end, is given up.
    #[test]
    fn a_solve_that_is_stuck_is_given_up() {
        let table = [of(SolverKind::Cg, 0.0, 5.0), of(SolverKind::Cholesky, 40.0, 1.0)];
        let mut course = Course::new(&Alternatives::new(1, 0.1, table), SolverKind::Cg).unwrap();
        let stuck = |iterations| Solve { iterations, reduction: 0.101, tolerance: 0.1, ahead: 0 };
        let at = (1..1000).find(|&iterations| course.judge(stuck(iterations)).is_some()).unwrap();
        assert!((82..=123).contains(&at), "{at}");
    }

    /// Nothing is planned anew for milliseconds.
    #[test]
    fn moments_do_not_matter() {
        let quick =
            |one: Expected| Expected { iteration_seconds: 1e-5, build_seconds: 1e-5, ..one };
        let table = [of(SolverKind::Cg, 0.0, 2.0), of(SolverKind::Cholesky, 0.0, 1.0)];
        let all = Alternatives::new(3, 0.1, table.map(quick));
        let mut course = Course::new(&all, SolverKind::Cg).unwrap();
        assert_eq!(run(&mut course, 500, 3).1, None);
        let mut course = Course::new(&Alternatives::new(3, 0.1, table), SolverKind::Cg).unwrap();
        assert!(run(&mut course, 500, 3).1.is_some());
    }

    #[test]
    fn what_cannot_be_left_is_not_watched() {
        let one = Alternatives::new(3, 0.1, [of(SolverKind::Cg, 0.0, 5.0)]);
        assert_eq!(Course::new(&one, SolverKind::Cg), None);
        assert_eq!(Course::new(&one, SolverKind::Cholesky), None);
    }
}
