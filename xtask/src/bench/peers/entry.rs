//! Entries of a contest, their runs, and what one takes beside another.

use serde::Serialize;

use crate::bench::Outcome;
use crate::bench::spread::Spread;

/// What it took to reach the tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Cost {
    /// CPU seconds.
    pub(super) cpu: f64,
    /// Seconds on the clock.
    pub(super) wall: f64,
}

/// The network that an entry trains.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Network {
    /// Neurons.
    pub(super) width: usize,
    /// Trained weights.
    pub(super) parameters: usize,
    /// The precision of the expensive part.
    pub(super) precision: &'static str,
    /// How the fixed output signs are drawn.
    pub(super) signs: &'static str,
}

/// One run of an entry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Run {
    /// What it took; null if the tolerance was not reached.
    pub(super) cost: Option<Cost>,
    /// Outer steps: for nearlin those since the last restart.
    pub(super) steps: usize,
    /// Restarts at a larger scale.
    pub(super) restarts: Option<usize>,
    /// Iterations of the inner solver, restarts included.
    pub(super) inner_iterations: Option<usize>,
    /// Standard deviation of the initial weights.
    pub(super) scale: f64,
    /// The last relative residual.
    pub(super) rel_residual: f64,
    /// How the run ended, in the program's words.
    pub(super) ending: String,
    /// Multiply-adds in `f64` that the machine could do around the run, in flops a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fma_per_second: Option<f64>,
}

/// A program on a problem, with all its runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Entry {
    /// `nearlin`, or the name of a peer.
    pub(super) program: &'static str,
    /// Program and variant.
    pub(super) label: String,
    /// The network.
    pub(super) network: Network,
    /// CPU seconds; null if any run missed the tolerance.
    pub(super) cpu: Option<Spread>,
    /// Seconds on the clock; null likewise.
    pub(super) wall: Option<Spread>,
    /// Every run.
    pub(super) runs: Vec<Run>,
}

/// A peer's time over that of an entry of nearlin: above 1 where nearlin is faster.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Ratio {
    /// The entry of nearlin.
    pub(super) nearlin: String,
    /// The peer.
    pub(super) peer: String,
    /// Of the medians of CPU seconds.
    pub(super) cpu: Option<f64>,
    /// Of the medians of seconds on the clock.
    pub(super) wall: Option<f64>,
    /// Of the CPU seconds in each round.
    pub(super) cpu_by_round: Option<Spread>,
}

impl Entry {
    /// An entry that has not run yet.
    pub(super) fn new(program: &'static str, label: String, network: Network) -> Self {
        Self { program, label, network, cpu: None, wall: None, runs: Vec::new() }
    }

    /// Takes the runs and their spread.
    pub(super) fn take(&mut self, runs: Vec<Run>) {
        let costs: Option<Vec<Cost>> = runs.iter().map(|run| run.cost).collect();
        let spread = |of: fn(&Cost) -> f64| Spread::of(costs.iter().flatten().map(of));
        self.cpu = spread(|cost| cost.cpu);
        self.wall = spread(|cost| cost.wall);
        self.runs = runs;
    }
}

impl Ratio {
    /// The last entry, the peer, over each of the others.
    pub(super) fn all(entries: &[Entry]) -> Vec<Self> {
        let Some((peer, nearlin)) = entries.split_last() else { return Vec::new() };
        nearlin.iter().map(|entry| Self::of(entry, peer)).collect()
    }

    fn of(nearlin: &Entry, peer: &Entry) -> Self {
        let over =
            |mine: Option<Spread>, theirs: Option<Spread>| Some(theirs?.median / mine?.median);
        let rounds = nearlin.runs.iter().zip(&peer.runs);
        let by_round: Option<Vec<f64>> =
            rounds.map(|(mine, theirs)| Some(theirs.cost?.cpu / mine.cost?.cpu)).collect();
        Self {
            nearlin: nearlin.label.clone(),
            peer: peer.label.clone(),
            cpu: over(nearlin.cpu, peer.cpu),
            wall: over(nearlin.wall, peer.wall),
            cpu_by_round: Spread::of(by_round.into_iter().flatten()),
        }
    }
}

/// Runs everybody once, then everybody again, and returns the runs of each.
pub(super) fn rounds(
    entries: usize,
    repetitions: u32,
    mut run: impl FnMut(usize) -> Outcome<Run>,
) -> Outcome<Vec<Vec<Run>>> {
    let mut runs = vec![Vec::new(); entries];
    for _ in 0..repetitions {
        for (index, runs) in runs.iter_mut().enumerate() {
            runs.push(run(index)?);
        }
    }
    Ok(runs)
}
