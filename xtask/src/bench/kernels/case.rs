//! Cases: a kernel at a shape, everybody who computes it, and how they are timed.

use serde::{Deserialize, Serialize};

use super::model::{Model, Precision, Unit, Work};
use super::peak::{Limit, Meter, Peak, Peaks, seconds};
use crate::bench::spread::Spread;

/// The name under which nearlin's kernels enter.
pub(super) const OURS: &str = "nearlin";

/// Runs a kernel a number of times and tells the seconds of all of them.
type Timed<'a> = Box<dyn FnMut(u64) -> Result<f64, String> + Send + 'a>;

/// A kernel at a shape, with everybody who computes it.
pub(super) struct Case<'a> {
    kernel: &'static str,
    model: Model,
    precision: Precision,
    limits: [Limit; 2],
    contestants: Vec<(Kind, String, Timed<'a>)>,
}

/// Who computes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// nearlin.
    Ours,
    /// Something else in this process.
    Other,
    /// Another program.
    Peer,
}

/// How long to measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Effort {
    /// Rounds, in each of which everybody and every limit has a turn.
    pub(super) rounds: usize,
    /// Seconds after which no round past [`FEWEST`] starts.
    pub(super) seconds: f64,
    /// Seconds that a sample takes at least: quick kernels run several times.
    pub(super) sample: f64,
}

/// The rounds that every case gets.
pub(super) const FEWEST: usize = 3;

/// A case with its times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) kernel: String,
    pub(super) shape: String,
    pub(super) precision: String,
    pub(super) threads: usize,
    /// What the kernel must do, and the formula of the amount.
    pub(super) work: Work,
    pub(super) formula: String,
    /// The limits: arithmetic, then memory.
    pub(super) limits: Vec<Bound>,
    /// Everybody's times, nearlin's first.
    pub(super) entries: Vec<Entry>,
    /// Peers that gave no answer, and what became of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) failed: Vec<String>,
}

/// A limit, and what it lets the kernel do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Bound {
    /// Its name.
    pub(super) limit: String,
    /// Units a second.
    pub(super) per_second: Spread,
    /// The seconds that the kernel's work takes at the median rate.
    pub(super) seconds: f64,
    /// Units a second in each round.
    pub(super) samples: Vec<f64>,
}

/// One contestant's times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Seconds of one run.
    pub(super) seconds: Spread,
    /// Work a second, from the median.
    pub(super) per_second: f64,
    /// The limit's seconds over the contestant's, round by round: 1 at the limit.
    pub(super) share: Spread,
    /// Seconds in each round.
    pub(super) samples: Vec<f64>,
}

impl<'a> Case<'a> {
    /// A case without contestants, limited by the peak of its unit and by reading its operands.
    pub(super) fn new(kernel: &'static str, model: Model, precision: Precision) -> Self {
        let work = model.work(precision);
        let peak = match (work.unit, precision) {
            (Unit::Flop, Precision::F32) => Peak::FmaF32,
            (Unit::Flop, Precision::F64) => Peak::FmaF64,
            (Unit::Add, Precision::F32) => Peak::AddF32,
            (Unit::Add, Precision::F64) => Peak::AddF64,
        };
        let limits = [Limit::Peak(peak), Limit::Read(work.bytes as usize)];
        Self { kernel, model, precision, limits, contestants: Vec::new() }
    }

    /// The kernel's name.
    pub(super) fn kernel(&self) -> &'static str {
        self.kernel
    }

    /// Limited by this peak instead.
    pub(super) fn peak(mut self, peak: Peak) -> Self {
        self.limits[0] = Limit::Peak(peak);
        self
    }

    /// Limited by copying its data instead of reading it.
    pub(super) fn in_place(mut self) -> Self {
        self.limits[1] = Limit::Copy(self.model.work(self.precision).bytes as usize);
        self
    }

    /// nearlin: `run` may be repeated as it is.
    pub(super) fn ours(self, mut run: impl FnMut() + Send + 'a) -> Self {
        self.enter(Kind::Ours, OURS, move |repeats| {
            Ok(seconds(|| (0..repeats).for_each(|_| run())))
        })
    }

    /// nearlin: `run` uses up what `prepare` makes, off the clock.
    pub(super) fn ours_on<S>(
        self,
        prepare: impl FnMut() -> S + Send + 'a,
        run: impl FnMut(S) + Send + 'a,
    ) -> Self {
        self.enter_on(Kind::Ours, OURS, prepare, run)
    }

    /// Another way in this process.
    pub(super) fn other(self, name: &str, mut run: impl FnMut() + Send + 'a) -> Self {
        self.enter(Kind::Other, name, move |repeats| {
            Ok(seconds(|| (0..repeats).for_each(|_| run())))
        })
    }

    /// Another way in this process, which uses up what `prepare` makes.
    pub(super) fn other_on<S>(
        self,
        name: &str,
        prepare: impl FnMut() -> S + Send + 'a,
        run: impl FnMut(S) + Send + 'a,
    ) -> Self {
        self.enter_on(Kind::Other, name, prepare, run)
    }

    /// Another program, which keeps its own time.
    pub(super) fn peer(
        self,
        name: &str,
        run: impl FnMut(u64) -> Result<f64, String> + Send + 'a,
    ) -> Self {
        self.enter(Kind::Peer, name, run)
    }

    fn enter_on<S>(
        self,
        kind: Kind,
        name: &str,
        mut prepare: impl FnMut() -> S + Send + 'a,
        mut run: impl FnMut(S) + Send + 'a,
    ) -> Self {
        self.enter(kind, name, move |repeats| {
            let mut one = |_| {
                let made = prepare();
                seconds(|| run(made))
            };
            Ok((0..repeats).map(&mut one).sum())
        })
    }

    fn enter(
        mut self,
        kind: Kind,
        name: &str,
        run: impl FnMut(u64) -> Result<f64, String> + Send + 'a,
    ) -> Self {
        self.contestants.push((kind, name.to_owned(), Box::new(run)));
        self
    }

    /// Times everybody in the current pool: after a warm-up, round by round, and in each round the
    /// limits too, so that what slows the machine down for a while slows all of them. A peer that fails at the warm-up is
    /// left out.
    pub(super) fn measure(mut self, peaks: &Peaks, effort: Effort) -> Result<Measured, String> {
        let (mut repeats, mut failed) = (Vec::new(), Vec::new());
        for (kind, name, mut run) in std::mem::take(&mut self.contestants) {
            match warm_up(&mut run, effort.sample) {
                Ok(times) => {
                    repeats.push(times);
                    self.contestants.push((kind, name, run));
                }
                Err(reason) => failed.push(format!("{name}: {reason}")),
            }
        }
        let mut meters = self.limits.map(|limit| peaks.meter(limit));
        let mut samples = vec![Vec::new(); self.contestants.len()];
        let mut rates = [Vec::new(), Vec::new()];
        let start = std::time::Instant::now();
        for round in 0..effort.rounds.max(FEWEST) {
            if round >= FEWEST && start.elapsed().as_secs_f64() > effort.seconds {
                break;
            }
            for (((_, _, run), samples), &repeats) in
                self.contestants.iter_mut().zip(&mut samples).zip(&repeats)
            {
                samples.push(run(repeats)? / repeats as f64);
            }
            for (meter, rates) in meters.iter_mut().zip(&mut rates) {
                rates.push(Meter::sample(meter));
            }
        }
        let names = self.contestants.into_iter().map(|(kind, name, _)| (kind, name));
        let (kernel, shape) = (self.kernel.to_owned(), self.model.shape());
        let formula = self.model.formula().to_owned();
        Measured {
            kernel,
            shape,
            precision: self.precision.name().to_owned(),
            threads: rayon::current_num_threads(),
            work: self.model.work(self.precision),
            formula,
            limits: Vec::new(),
            entries: Vec::new(),
            failed,
        }
        .with(self.limits.map(Limit::name), &rates, names.zip(samples))
        .ok_or_else(|| "nothing was measured".to_owned())
    }
}

/// Runs until a sample takes `least` seconds; how often that is.
fn warm_up(run: &mut Timed<'_>, least: f64) -> Result<u64, String> {
    let mut repeats = 1;
    loop {
        let seconds = run(repeats)?;
        if seconds >= least || repeats >= 1 << 24 {
            return Ok(repeats);
        }
        // The first run is a slow one: approach carefully.
        let factor = (1.2 * least / seconds.max(1e-9)).clamp(2.0, 16.0);
        repeats = (repeats as f64 * factor) as u64;
    }
}

impl Measured {
    /// The case with samples: rates of both limits and everybody's seconds, round by round. None
    /// if there are none.
    pub(super) fn with(
        mut self,
        limits: [&str; 2],
        rates: &[Vec<f64>; 2],
        samples: impl IntoIterator<Item = ((Kind, String), Vec<f64>)>,
    ) -> Option<Self> {
        let Work { amount, bytes, .. } = self.work;
        for ((limit, rates), amount) in limits.into_iter().zip(rates).zip([amount, bytes]) {
            let per_second = Spread::of(rates.iter().copied())?;
            let seconds = amount / per_second.median;
            let (limit, samples) = (limit.to_owned(), rates.clone());
            self.limits.push(Bound { limit, per_second, seconds, samples });
        }
        // Seconds that the slower of the limits takes, round by round.
        let least = rates[0].iter().zip(&rates[1]).map(|(a, b)| (amount / a).max(bytes / b));
        let least: Vec<f64> = least.collect();
        for ((kind, name), samples) in samples {
            let seconds = Spread::of(samples.iter().copied())?;
            let share = Spread::of(least.iter().zip(&samples).map(|(least, s)| least / s))?;
            let per_second = amount / seconds.median;
            self.entries.push(Entry { name, kind, seconds, per_second, share, samples });
        }
        Some(self)
    }

    /// nearlin's times.
    pub(super) fn ours(&self) -> Option<&Entry> {
        self.of(Kind::Ours)
    }

    /// The first entry of a kind.
    pub(super) fn of(&self, kind: Kind) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.kind == kind)
    }

    /// The limit that takes longest.
    pub(super) fn bound(&self) -> Option<&Bound> {
        self.limits.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds))
    }

    /// What is the same in another run of the same case.
    pub(super) fn key(&self) -> (&str, &str, &str, usize) {
        (&self.kernel, &self.shape, &self.precision, self.threads)
    }
}
