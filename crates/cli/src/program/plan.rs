//! `nearlin plan`.

use super::args::{FitArgs, PlanArgs};
use super::error::ProgramError;
use super::report::Report;
use super::setup::{Setup, within};
use super::{rates, show, summary, words};

/// Shows what each solver would cost and which one is taken.
///
/// # Errors
/// [`ProgramError`]; if its exit code is 2 nothing was written.
pub(super) fn run(args: &PlanArgs) -> Result<(), ProgramError> {
    if args.calibrate {
        let path = rates::calibrate()?;
        return show(&format!("Measured this machine; its rates are kept in {path}.\n"));
    }
    let Some(args) = &args.fit else { return Ok(()) };
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
    let rates = if setup.calibrated {
        "Rates are those that `--calibrate` measured on this machine."
    } else {
        "Rates are those of common machines: they rank solvers, they do not promise seconds; `--calibrate` measures \
         this one."
    };
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
        "{}\nPredicted for {}{} with {}, cheapest first:\n\n{}\n* {}\n\n\
         {rates} Memory is that of the whole process.\n",
        summary::beginning(args, setup),
        words::counted(plan.steps, "step"),
        if args.ensemble > 1 {
            format!(" of each of {} networks", args.ensemble)
        } else {
            String::new()
        },
        words::counted(rayon::current_num_threads(), "thread"),
        words::table(&rows),
        plan.reason,
    )
}
