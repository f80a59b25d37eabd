//! The page of the comparison with peers.

use super::entry::{Entry, Ratio};
use super::{Problem, Report};
use crate::bench::table::Table;
use crate::bench::words::{counted, figure, listed};

/// What holds for every comparison here, whatever its numbers.
const NETWORKS: &str = "\
All of them train the hidden weights W of the network `f(x) = m^(-1/2) sum_r a_r relu(w_r . x)` with \
fixed `a_r = +-1`, on the same numbers in the same order, without a ridge. But **the networks are not \
the same**. The peers draw W with standard deviation 1 (the scale) and every sign independently. \
nearlin takes the smallest scale at which its certificate holds for every step, and uses each random \
direction several times with signs that cancel, so that f = 0 at the start; that at least halves the \
number of independent directions in a given width, and is why it may be given a larger one. A larger \
scale and a larger width both bring the network closer to its linearisation, which makes few steps \
enough; a larger width makes each of them cost more.\n\
\n\
nearlin's clock runs from the equations in memory to the trained network, with the drawing of the \
weights and the search for the scale. The peers' clock is their script's own: it leaves out the \
start of Python, loading, and the drawing of the weights, and is read at the first iteration with a \
residual that small. Steps are outer steps: for nearlin those since its last restart at a larger \
scale, while inner iterations and times are those of all attempts.\n";

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let versions: Vec<String> =
        report.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let told: Vec<String> = report
        .problems
        .iter()
        .flat_map(sentences)
        .map(|sentence| format!("- {sentence}\n"))
        .collect();
    format!(
        "# nearlin beside other programs\n\n\
         Written by `cargo xtask bench peers`: change the program, not this page.\n\n{}\n\
         The peers run on {}. Time to a relative training residual of {:e} in one run on {}; \
         medians of {}, in each of which everybody runs once.\n\n{NETWORKS}\n## Results\n\n\
         {}\n{}\n\
         A ratio is the peer's time over nearlin's: above 1 nearlin is faster.\n\n{}",
        report.facts.paragraph(),
        listed(&versions),
        report.tolerance,
        counted(report.threads, "thread"),
        counted(report.repetitions as usize, "round"),
        told.concat(),
        ratios(report),
        entries(report)
    )
}

/// What the numbers of a problem say, one sentence for each entry of nearlin.
fn sentences(problem: &Problem) -> Vec<String> {
    let Some(peer) = problem.entries.last() else { return Vec::new() };
    let Problem { name, rows, inputs, outputs, .. } = problem;
    let size = format!("{rows} rows, {inputs} inputs, {}", counted(*outputs, "output"));
    let told = |(entry, ratio): (&Entry, &Ratio)| {
        let verdict = match (ratio.cpu, entry.cpu, peer.cpu) {
            (Some(times), ..) if times >= 1.0 => {
                format!("{} times faster in CPU time", figure(times))
            }
            (Some(times), ..) => format!("{} times slower in CPU time", figure(1.0 / times)),
            (None, Some(_), _) => "alone in reaching the tolerance".to_owned(),
            (None, None, Some(_)) => "the one that misses the tolerance".to_owned(),
            (None, None, None) => "no better: both miss the tolerance".to_owned(),
        };
        let (mine, theirs) = (cpu(entry), cpu(peer));
        format!(
            "{name} ({size}): {} at width {} {mine}, {} at width {} {theirs}: nearlin is {verdict}.",
            entry.label, entry.network.width, peer.label, peer.network.width
        )
    };
    problem.entries.iter().zip(&problem.ratios).map(told).collect()
}

/// `takes 0.5 CPU s in 8 steps`, or that it does not get there.
fn cpu(entry: &Entry) -> String {
    let steps = entry.runs.first().map_or(0, |run| run.steps);
    match entry.cpu {
        Some(spread) => format!("takes {} CPU s in {steps} steps", figure(spread.median)),
        None => format!("does not reach it in {steps} steps"),
    }
}

/// The peers' times over nearlin's.
pub(super) fn ratios(report: &Report) -> Table {
    let header = ["problem", "nearlin", "peer", "CPU ratio", "in the rounds", "clock ratio"];
    let mut table = Table::new(&header, 3);
    let told = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), figure);
    for problem in &report.problems {
        for ratio in &problem.ratios {
            table.push([
                problem.name.to_owned(),
                ratio.nearlin.clone(),
                ratio.peer.clone(),
                told(ratio.cpu),
                ratio.cpu_by_round.map_or_else(|| "-".to_owned(), |spread| spread.range()),
                told(ratio.wall),
            ]);
        }
    }
    table
}

/// Every entry with its network, its work and its times.
pub(super) fn entries(report: &Report) -> Table {
    let header = [
        "problem",
        "program",
        "signs",
        "m",
        "weights",
        "scale",
        "steps",
        "restarts",
        "inner iterations",
        "residual",
        "CPU s",
        "min to max",
        "clock s",
        "min to max",
    ];
    let mut table = Table::new(&header, 3);
    let count = |count: Option<usize>| count.map_or_else(|| "-".to_owned(), |c| c.to_string());
    for problem in &report.problems {
        for entry in &problem.entries {
            let Some(run) = entry.runs.first() else { continue };
            let mut row = vec![
                problem.name.to_owned(),
                entry.label.clone(),
                entry.network.signs.to_owned(),
                entry.network.width.to_string(),
                entry.network.parameters.to_string(),
                run.scale.to_string(),
                run.steps.to_string(),
                count(run.restarts),
                count(run.inner_iterations),
                format!("{:.1e}", run.rel_residual),
            ];
            for spread in [entry.cpu, entry.wall] {
                row.push(spread.map_or_else(|| "not reached".to_owned(), |s| figure(s.median)));
                row.push(spread.map_or_else(|| "-".to_owned(), |s| s.range()));
            }
            table.push(row);
        }
    }
    table
}
