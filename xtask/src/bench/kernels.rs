//! `cargo xtask bench fwht|gram|jacobian|dense|sketch`: the kernels against what the machine allows.
//!
//! A group is a list of cases. In each round of a case nearlin, its rivals and the limits that bound
//! the case take turns, and every figure comes with the share of the limit in the same rounds, which
//! is what another run on another day can be compared with.

mod case;
mod compare;
mod dense;
mod fwht;
mod gram;
mod inputs;
mod jacobian;
mod model;
pub(crate) mod operands;
mod page;
pub(super) mod peak;
mod peak_simd;
mod peer;
mod roofline;
mod sketch;
pub(super) mod summary;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::facts::Facts;
use super::words::{counted, figure};
use super::{Outcome, files, regress};
use case::{Case, Effort, Measured};
use peak::{Peaks, Rate};
use peer::Peers;

/// How to measure.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Other programs too, through Python.
    #[arg(long)]
    peers: bool,
    /// Python with the peers' packages [default: a virtual environment made in target].
    #[arg(long, value_name = "PY")]
    python: Option<PathBuf>,
    /// Threads [default: 1 and all].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<Vec<u16>>,
    /// Rounds of a case, in each of which everybody has a turn [default: 7, with --quick 3].
    #[arg(long, value_parser = clap::value_parser!(u16).range(3..))]
    reps: Option<u16>,
    /// A case gets no more than three rounds past this time.
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    limit_seconds: f64,
    /// Small sizes: a smoke test of some seconds.
    #[arg(long)]
    quick: bool,
    /// The largest sizes too.
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// Only kernels whose names have this in them, in any case.
    #[arg(long, value_name = "KERNEL")]
    only: Option<String>,
    /// An earlier result of the same group: fail where a kernel is slower beyond the noise.
    #[arg(long, value_name = "JSON")]
    compare: Option<PathBuf>,
    /// Folder for the results [default: docs/benchmarks, with --quick or --only target/bench].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A list of cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Fwht,
    Gram,
    Jacobian,
    Dense,
    Sketch,
}

impl Group {
    const ALL: [Self; 5] = [Self::Fwht, Self::Gram, Self::Jacobian, Self::Dense, Self::Sketch];

    fn name(self) -> &'static str {
        match self {
            Self::Fwht => "fwht",
            Self::Gram => "gram",
            Self::Jacobian => "jacobian",
            Self::Dense => "dense",
            Self::Sketch => "sketch",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Fwht => "Walsh-Hadamard transforms",
            Self::Gram => "The popcount Gram matrix",
            Self::Jacobian => "Products with the Jacobian, and the forward pass",
            Self::Dense => "Factorisations and triangular solves",
            Self::Sketch => "Sketches",
        }
    }

    /// What a reader of its page must know beside the method.
    fn note(self) -> &'static str {
        match self {
            Self::Fwht => {
                "FFHT is timed through the package fht-cpu, which holds FFHT's kernels in hand-written \
                 AVX with minor changes, as its documentation says; so FFHT's own build is no second \
                 peer."
            }
            Self::Gram => {
                "Rivals and peer multiply the mask as numbers, 0 or 1, which are made off the clock. \
                 The update is that after a step: of one neuron in a hundred or in ten half of the \
                 signs flipped, or one sign in a hundred wherever it is, which leaves hardly a neuron \
                 as it was. It searches two masks for flips, copies the flipped neurons' columns and \
                 counts these, old and new; where more than a quarter of the neurons flipped it makes \
                 the matrix anew, as its rival does from the new mask in every case. The formula \
                 counts the columns alone."
            }
            _ => "",
        }
    }

    fn measure(self, bench: &mut Bench) -> Outcome {
        match self {
            Self::Fwht => fwht::measure(bench),
            Self::Gram => gram::measure(bench),
            Self::Jacobian => jacobian::measure(bench),
            Self::Dense => dense::measure(bench),
            Self::Sketch => sketch::measure(bench),
        }
    }
}

/// All that was measured.
#[derive(Debug, Serialize)]
struct Report {
    benchmark: &'static str,
    #[serde(skip)]
    group: Option<Group>,
    facts: Facts,
    effort: Effort,
    /// Versions of what the peers run on; empty without peers.
    versions: BTreeMap<String, String>,
    /// The limits as they were before the first case.
    limits: Vec<Rate>,
    cases: Vec<Measured>,
}

/// Which sizes to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sizes {
    Quick,
    Usual,
    Full,
}

/// Pools, limits and peers, and what has been measured with them.
struct Bench {
    sizes: Sizes,
    effort: Effort,
    pools: Vec<(rayon::ThreadPool, Peaks)>,
    peers: Option<Peers>,
    /// Part of the names of kernels, in small letters.
    only: String,
    cases: Vec<Measured>,
}

/// Runs a group.
pub(super) fn run(group: Group, args: &Args) -> Outcome {
    let root = files::root();
    let facts = Facts::gather(&root)?;
    // Before anything is written: it may be the file that is.
    let old = args.compare.as_deref().map(regress::read::<compare::Old>).transpose()?;
    let folder = files::folder(args.out.as_deref(), &root, args.quick || args.only.is_some())?;
    let (mut bench, limits) = Bench::new(args, facts.machine.cores, &root)?;
    group.measure(&mut bench)?;
    if bench.cases.is_empty() {
        return Err(format!("{}: no kernel has `{}` in its name", group.name(), bench.only).into());
    }
    let versions = bench.peers.map(|peers| peers.versions).unwrap_or_default();
    let (benchmark, effort, cases) = (group.name(), bench.effort, bench.cases);
    let report = Report { benchmark, group: Some(group), facts, effort, versions, limits, cases };
    println!("\n{}\n{}", page::limits(&report), page::cases(&report));
    let against_inputs = inputs::chart(&report).map(|chart| (inputs::NAME.to_owned(), chart));
    for (name, chart) in roofline::charts(&report).into_iter().chain(against_inputs) {
        for ending in ["svg", "png"] {
            chart.write(&folder.join(format!("{name}.{ending}")))?;
        }
    }
    files::write(&folder, benchmark, &report, &page::page(&report))?;
    match old {
        Some(old) => compare::judge(&old, &report),
        None => Ok(()),
    }
}

impl Bench {
    fn new(args: &Args, cores: usize, root: &std::path::Path) -> Outcome<(Self, Vec<Rate>)> {
        let peers = args.peers.then(|| Peers::prepare(args.python.as_deref(), root)).transpose()?;
        let mut threads = match &args.threads {
            Some(threads) => threads.iter().map(|&threads| usize::from(threads)).collect(),
            None => vec![1, cores],
        };
        threads.sort_unstable();
        threads.dedup();
        let (mut pools, mut limits) = (Vec::new(), Vec::new());
        for threads in threads {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            let (peaks, rates) = pool.install(Peaks::measure);
            pools.push((pool, peaks));
            limits.extend(rates);
        }
        let sizes = match (args.quick, args.full) {
            (true, _) => Sizes::Quick,
            (_, true) => Sizes::Full,
            _ => Sizes::Usual,
        };
        let rounds = args.reps.map_or(if args.quick { 3 } else { 7 }, usize::from);
        let sample = if args.quick { 5e-4 } else { 5e-3 };
        let effort = Effort { rounds, seconds: args.limit_seconds, sample };
        let only = args.only.as_deref().unwrap_or_default().to_lowercase();
        Ok((Self { sizes, effort, pools, peers, only, cases: Vec::new() }, limits))
    }

    /// One of three, by the sizes that are asked for.
    fn pick<T>(&self, quick: T, usual: T, full: T) -> T {
        match self.sizes {
            Sizes::Quick => quick,
            Sizes::Usual => usual,
            Sizes::Full => full,
        }
    }

    /// Measures a case on every number of threads; `case` makes it for one of them, with the peer
    /// that answers `request`, if peers are wanted.
    fn on_all_threads<'a>(
        &mut self,
        request: Option<(&str, &Value)>,
        mut case: impl FnMut(faer::Par) -> Case<'a>,
    ) -> Outcome {
        for which in 0..self.pools.len() {
            self.on_pool(which, request, case(self.par(which)))?;
        }
        Ok(())
    }

    /// Measures a case on one thread.
    fn on_one_thread(
        &mut self,
        request: Option<(&str, &Value)>,
        case: impl FnOnce() -> Case<'static>,
    ) -> Outcome {
        match self.pools.iter().position(|(pool, _)| pool.current_num_threads() == 1) {
            Some(which) => self.on_pool(which, request, case()),
            None => Ok(()),
        }
    }

    fn par(&self, which: usize) -> faer::Par {
        match self.pools[which].0.current_num_threads() {
            1 => faer::Par::Seq,
            threads => faer::Par::rayon(threads),
        }
    }

    fn on_pool(
        &mut self,
        which: usize,
        request: Option<(&str, &Value)>,
        mut case: Case<'_>,
    ) -> Outcome {
        if !case.kernel().to_lowercase().contains(&self.only) {
            return Ok(());
        }
        let (pool, peaks) = &self.pools[which];
        if let (Some(peers), Some((name, request))) = (&mut self.peers, request) {
            case = case.peer(name, peers.timed(pool.current_num_threads(), request.clone())?);
        }
        let measured = pool.install(|| case.measure(peaks, self.effort))?;
        if let Some(ours) = measured.ours() {
            let (kernel, shape, precision, threads) = measured.key();
            let (seconds, percent) = (page::time(ours.seconds.median), 100.0 * ours.share.median);
            eprintln!(
                "{kernel}, {shape}, {precision}, {}: {seconds}, {} %",
                counted(threads, "thread"),
                figure(percent)
            );
        }
        self.cases.push(measured);
        Ok(())
    }
}
