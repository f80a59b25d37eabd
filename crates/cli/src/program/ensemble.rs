//! `nearlin fit --ensemble`.

use nearlin::{Ending, Run, train_ensemble};
use serde::Serialize;

use super::args::FitArgs;
use super::error::ProgramError;
use super::progress::Watch;
use super::report::Finite;
use super::setup::Setup;

/// A network of several.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Member {
    seed: u64,
    ending: &'static str,
    rel_residual: Finite,
    steps: usize,
}

/// Trains as many networks as are asked for. The run is that of the first, with the network and the residual of their
/// average, and the ending of the first that did not converge.
///
/// # Errors
/// [`ProgramError`] as of training.
pub(super) fn train(
    args: &FitArgs,
    setup: &Setup,
    watch: &mut Watch,
) -> Result<(Run, Vec<Member>), ProgramError> {
    let found = train_ensemble(&setup.equations, &setup.training(), args.ensemble, watch)?;
    let seeds = (0..).map(|member| setup.options.seed.wrapping_add(member));
    let members = seeds.zip(&found.members).map(|(seed, run)| Member {
        seed,
        ending: run.ending.name(),
        rel_residual: Finite(run.rel_residual),
        steps: run.steps.len(),
    });
    let members = members.collect();
    let mut runs = found.members.into_iter();
    let mut run = runs.next().expect("an ensemble has a first network");
    if run.ending == Ending::Converged
        && let Some((at, other)) =
            runs.enumerate().find(|(_, other)| other.ending != Ending::Converged)
    {
        run.ending = other.ending;
        run.reason = format!("network {} of the ensemble: {}", at + 2, other.reason);
    }
    (run.network, run.rel_residual) = (found.network, found.rel_residual);
    Ok((run, members))
}

/// The networks in words; `None` for one.
pub(super) fn words(members: &[Member], width: usize) -> Option<String> {
    let count = members.len();
    let residuals = || members.iter().map(|member| member.rel_residual.0);
    let (least, most) =
        (residuals().fold(f64::INFINITY, f64::min), residuals().fold(0.0, f64::max));
    (count > 1).then(|| {
        format!(
            "the average of {count} networks, one of width {}; relative residuals of each {least:.3e} to \
             {most:.3e}, steps of the first above",
            count * width
        )
    })
}
