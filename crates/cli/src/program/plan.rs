//! `nearlin plan`.

use super::args::FitArgs;
use super::error::ProgramError;
use super::report::Report;
use super::setup::{Setup, within};
use super::{show, summary, words};

/// Shows what each solver would cost and which one is taken.
///
/// # Errors
/// [`ProgramError`]; if its exit code is 2 nothing was written.
pub(super) fn run(args: &FitArgs) -> Result<(), ProgramError> {
    within(args, || {
        let setup = Setup::new(args, None)?;
        if let Some(path) = &args.report {
            Report::planned(args, &setup).write(path).map_err(ProgramError::Write)?;
        }
        if args.quiet { Ok(()) } else { show(&text(args, &setup)) }
    })
}

fn text(args: &FitArgs, setup: &Setup) -> String {
    let plan = &setup.plan;
    let mut rows = vec![
        ["solver", "run", "one build", "builds", "iterations a step", "one iteration", "memory"]
            .map(String::from)
            .to_vec(),
    ];
    for (candidate, bytes) in plan.candidates.iter().zip(setup.predicted_bytes()) {
        let chosen = candidate.solver == plan.chosen;
        rows.push(vec![
            format!("{}{}", candidate.solver, if chosen { " *" } else { "" }),
            words::seconds(candidate.predicted_seconds),
            words::seconds(candidate.build_seconds),
            candidate.builds.to_string(),
            format!("{:.0}", candidate.iterations),
            words::seconds(candidate.iteration_seconds),
            words::bytes(bytes),
        ]);
    }
    format!(
        "{}\nPredicted for {} with {}, cheapest first:\n\n{}\n* {}\n\n\
         Rates are those of common machines: they rank solvers, they do not promise seconds. Memory \
         is that of the whole process.\n",
        summary::beginning(args, setup),
        words::counted(plan.steps, "step"),
        words::counted(rayon::current_num_threads(), "thread"),
        words::table(&rows),
        plan.reason,
    )
}
