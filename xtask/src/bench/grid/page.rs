//! The page of the grid.

use nearlin::SolverKind;

use super::child::Ran;
use super::{Entry, LIMIT, Measured, ROUNDS};
use crate::bench::table::Table;
use crate::bench::words::figure;

/// What the planner's choice took beside the best.
struct Judged<'a> {
    auto: Option<&'a Ran>,
    /// The median of its runs.
    seconds: f64,
    best: Option<(SolverKind, f64)>,
}

impl Judged<'_> {
    /// Seconds of the choice over those of the best solver.
    fn ratio(&self) -> f64 {
        match (self.auto, self.best) {
            (Some(_), Some((_, best))) => self.seconds / best,
            (Some(_), None) => 1.0,
            _ => f64::INFINITY,
        }
    }
}

/// The median of the runs that were not ended.
fn median(measured: &Measured, case: usize, asked: &str) -> Option<f64> {
    let entries = measured.kept.entries.iter();
    let of = entries.filter(|entry| entry.case == case && entry.asked == asked);
    let mut seconds: Vec<f64> = of.filter_map(|entry| Some(entry.ran.as_ref()?.seconds)).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied()
}

fn of<'a>(measured: &'a Measured, case: usize, asked: &str) -> Option<&'a Entry> {
    let mut entries = measured.kept.entries.iter();
    entries.find(|entry| (entry.case, &*entry.asked, entry.round) == (case, asked, 0))
}

fn judged(measured: &Measured, case: usize) -> Judged<'_> {
    let ran = |asked: &str| of(measured, case, asked).and_then(|entry| entry.ran.as_ref());
    let auto = ran("auto");
    // A run that ends elsewhere is no better for being quicker.
    let as_good =
        |ran: &&Ran| auto.is_none_or(|auto| ran.rel_residual <= auto.rel_residual.max(1e-6) * 1.01);
    let best = (SolverKind::ALL.into_iter())
        .filter_map(|kind| {
            ran(kind.name()).filter(as_good)?;
            Some((kind, median(measured, case, kind.name())?))
        })
        .min_by(|a, b| a.1.total_cmp(&b.1));
    Judged { auto, seconds: median(measured, case, "auto").unwrap_or(f64::INFINITY), best }
}

pub(super) fn page(measured: &Measured) -> String {
    let cases = measured.cases.len();
    let all: Vec<Judged<'_>> = (0..cases).map(|case| judged(measured, case)).collect();
    let within = |limit: f64| all.iter().filter(|judged| judged.ratio() <= limit).count();
    let ran = || all.iter().filter_map(|judged| Some((judged.auto?, judged.seconds)));
    let factor = |a: f64, b: f64| (a / b).max(b / a);
    let timed =
        ran().filter(|(ran, seconds)| factor(ran.predicted_seconds, *seconds) <= 2.0).count();
    let sized = ran().filter(|(ran, _)| factor(ran.predicted_bytes, ran.bytes) <= 1.3).count();
    format!(
        "# The planner on a grid of shapes\n\n\
         Written by `cargo xtask bench grid`: change the program, not this page.\n\n{}\n\
         Every problem is trained with the planner's choice (`auto`) and with each solver, as the program trains: without a ridge in `f64` to the relative \
         residual 1e-6, or where there are fewer parameters than equations to that part of the gradient; with one in `f32` until a step lowers the objective by less than 1e-3 of it. \
         Each run is in a process of its own with at most 16 GiB; the planner knows the rates of this machine, which are measured \
         first. A solver gets {:.0} seconds or {:.0} times those of the choice, whichever is more; one that was ended then \
         counts as slower, and one whose residual is over 1% larger than the choice's does not count. The choice and those within half again of the quickest run {ROUNDS} times in turn, and medians count; a \
         run of less than two seconds is repeated within its process. Condition numbers are those of `J J^T + mu I` at the initial weights, from the first 1,024 rows.\n\n\
         ## Results\n\n\
         - The choice takes at most 1.3 times the best solver's time on {} of {cases} problems, at most twice on {}.\n\
         - Predicted seconds are within a factor of 2 of those measured on {timed}, predicted bytes within 1.3 on {sized} \
         of {} runs.\n{}\n{}\n## Every solver, seconds\n\n{}\n## Iterations\n\nInner iterations in all kept steps, measured, \
         and in brackets as guessed.\n\n{}",
        measured.facts.paragraph(),
        LIMIT.0,
        LIMIT.1,
        within(1.3),
        within(2.0),
        ran().count(),
        asked_for(measured),
        choices(measured, &all),
        solvers(measured, |case, kind, _| {
            median(measured, case, kind.name()).map_or_else(|| "-".into(), figure)
        }),
        solvers(measured, |_, _, ran| {
            let guessed = ran.predicted_iterations * ran.predicted_steps as f64;
            format!("{} ({guessed:.0})", ran.iterations)
        })
    )
}

/// How well solvers were predicted that were asked for, where they differ.
fn asked_for(measured: &Measured) -> String {
    let differ =
        |entry: &&Entry| measured.cases.get(entry.case).is_some_and(|case| !case.in_weights());
    let first = measured.kept.entries.iter().filter(|entry| entry.round == 0).filter(differ);
    let ran: Vec<&Ran> = first
        .filter(|entry| entry.asked != "auto")
        .filter_map(|entry| entry.ran.as_ref())
        .collect();
    let within = |limit: f64, ratio: &dyn Fn(&Ran) -> f64| {
        ran.iter().map(|ran| ratio(ran)).filter(|ratio| ratio.max(1.0 / ratio) <= limit).count()
    };
    format!(
        "- Of {} first runs with a solver that was asked for, on problems with a choice, that ended in time, predicted seconds are within a factor of 2 on {}, predicted \
         bytes within 1.3 on {}.\n",
        ran.len(),
        within(2.0, &|ran| ran.predicted_seconds / ran.seconds),
        within(1.3, &|ran| ran.predicted_bytes / ran.bytes),
    )
}

fn choices(measured: &Measured, all: &[Judged<'_>]) -> Table {
    let header = [
        "points",
        "choice",
        "best",
        "n",
        "m",
        "d",
        "K",
        "ridge",
        "condition",
        "seconds",
        "ratio",
        "predicted s",
        "GiB",
        "predicted GiB",
        "steps",
        "predicted steps",
    ];
    let mut table = Table::new(&header, 3);
    for ((case, judged), condition) in measured.cases.iter().zip(all).zip(&measured.conditions) {
        let gib = |bytes: f64| figure(bytes / f64::from(1 << 30));
        let tell = |of: &dyn Fn(&Ran) -> String| judged.auto.map_or_else(|| "-".into(), of);
        table.push([
            case.points(),
            tell(&|ran| ran.solver.clone()),
            judged.best.map_or_else(|| "-".into(), |(kind, _)| kind.to_string()),
            case.rows.to_string(),
            case.width.to_string(),
            case.inputs.to_string(),
            case.outputs.to_string(),
            case.ridge.to_string(),
            format!("{condition:.0e}"),
            figure(judged.seconds),
            format!("{:.2}", judged.ratio()),
            tell(&|ran| figure(ran.predicted_seconds)),
            tell(&|ran| gib(ran.bytes)),
            tell(&|ran| gib(ran.predicted_bytes)),
            tell(&|ran| ran.steps.to_string()),
            tell(&|ran| ran.predicted_steps.to_string()),
        ]);
    }
    table
}

/// A table of what each solver took, problem by problem.
fn solvers(measured: &Measured, tell: impl Fn(usize, SolverKind, &Ran) -> String) -> Table {
    let mut header = vec!["problem"];
    header.extend(SolverKind::ALL.map(SolverKind::name));
    let mut table = Table::new(&header, 1);
    for (at, case) in measured.cases.iter().enumerate() {
        let name = format!(
            "{}, n = {}, m = {}, ridge {}",
            case.points(),
            case.rows,
            case.width,
            case.ridge
        );
        let cells = SolverKind::ALL.into_iter().map(|kind| match of(measured, at, kind.name()) {
            Some(Entry { ran: Some(ran), .. }) => tell(at, kind, ran),
            Some(Entry { limit, .. }) => format!("> {limit:.0} s"),
            None => "-".into(),
        });
        table.push(std::iter::once(name).chain(cells));
    }
    table
}
