//! Limits of the machine, measured in the same minutes as the kernels that they bound.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::peak_simd;

/// Seconds of one sample of a limit.
const SAMPLE: f64 = 2e-3;

/// Samples of a limit in a round, of which the best counts.
const SAMPLES: usize = 3;

/// Most bytes that a stream walks over before it starts again.
const LONGEST: usize = 128 << 20;

/// What the arithmetic units do at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peak {
    FmaF32,
    FmaF64,
    AddF32,
    AddF64,
    /// AND, POPCNT and ADD; one bit counts as the two flops that it replaces.
    Popcount,
}

/// A loop that tries to reach a peak.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variant {
    /// Its instruction set.
    pub(super) name: &'static str,
    /// What one step of it does, in flops or additions.
    pub(super) per_step: f64,
    /// Runs steps.
    pub(super) run: fn(u64),
}

/// A limit of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// Arithmetic.
    Peak(Peak),
    /// Copying this many bytes, read and written together.
    Copy(usize),
    /// Reading this many bytes.
    Read(usize),
}

/// One line of the table of limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Rate {
    /// The limit.
    pub(super) limit: String,
    /// The instruction set, or the size of the stream.
    pub(super) how: String,
    /// Threads.
    pub(super) threads: usize,
    /// Units per second.
    pub(super) per_second: f64,
}

/// The best variant of each peak.
#[derive(Debug)]
pub(super) struct Peaks(BTreeMap<Peak, Variant>);

/// A limit ready to be sampled in the current pool.
#[derive(Debug)]
pub(in crate::bench) struct Meter {
    threads: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Peak { variant: Variant, steps: u64 },
    Copy { from: Words, to: Words, repeats: usize, plain: bool },
    Read { from: Words, repeats: usize },
}

/// Words that start at a line of the caches.
#[derive(Debug)]
struct Words {
    all: Vec<u64>,
    first: usize,
}

impl Peak {
    const ALL: [Self; 5] = [Self::FmaF32, Self::FmaF64, Self::AddF32, Self::AddF64, Self::Popcount];

    /// What a page calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::FmaF32 => "FMA f32",
            Self::FmaF64 => "FMA f64",
            Self::AddF32 => "add f32",
            Self::AddF64 => "add f64",
            Self::Popcount => "AND + POPCNT + ADD",
        }
    }
}

impl Limit {
    /// What a page calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Peak(peak) => peak.name(),
            Self::Copy(_) => "copy",
            Self::Read(_) => "read",
        }
    }
}

impl Variant {
    pub(super) fn new(name: &'static str, per_step: f64, run: fn(u64)) -> Self {
        Self { name, per_step, run }
    }

    /// The steps that take as long as a sample.
    fn steps(&self) -> u64 {
        let mut steps = 1 << 10;
        loop {
            let seconds = seconds(|| (self.run)(steps));
            if seconds >= 0.5 * SAMPLE {
                return (steps as f64 * SAMPLE / seconds).ceil() as u64;
            }
            steps *= 2;
        }
    }
}

impl Peaks {
    /// Tries all variants of all peaks in the current pool, and both streams.
    pub(super) fn measure() -> (Self, Vec<Rate>) {
        let threads = rayon::current_num_threads();
        let (mut best, mut rates) = (BTreeMap::new(), Vec::new());
        let mut rate = |limit: Limit, how: String, meter: &mut Meter| {
            let per_second = (0..2).map(|_| meter.sample()).fold(0.0, f64::max);
            rates.push(Rate { limit: limit.name().to_owned(), how, threads, per_second });
            per_second
        };
        for peak in Peak::ALL {
            let mut fastest = 0.0;
            for variant in peak_simd::variants(peak) {
                let kind = Kind::Peak { variant, steps: variant.steps() };
                let mut meter = Meter { threads, kind };
                let reached = rate(Limit::Peak(peak), variant.name.to_owned(), &mut meter);
                if reached > fastest {
                    fastest = reached;
                    best.insert(peak, variant);
                }
            }
        }
        let peaks = Self(best);
        for bytes in [16 << 10, 256 << 10, 4 << 20, LONGEST] {
            for limit in [Limit::Copy(bytes), Limit::Read(bytes)] {
                rate(limit, format!("{} KiB", bytes >> 10), &mut peaks.meter(limit));
            }
        }
        (peaks, rates)
    }

    /// Makes a limit ready in the current pool.
    pub(super) fn meter(&self, limit: Limit) -> Meter {
        let threads = rayon::current_num_threads();
        let words = |bytes: usize| Words::new((bytes.min(LONGEST) / 8).max(1));
        let mut meter = match limit {
            Limit::Peak(peak) => {
                let variant = self.0[&peak];
                Meter { threads, kind: Kind::Peak { variant, steps: variant.steps() } }
            }
            Limit::Copy(bytes) => {
                let (from, to) = (words(bytes / 2), words(bytes / 2));
                Meter { threads, kind: Kind::Copy { from, to, repeats: 1, plain: false } }
            }
            Limit::Read(bytes) => {
                Meter { threads, kind: Kind::Read { from: words(bytes), repeats: 1 } }
            }
        };
        meter.repeat();
        meter.choose_copy();
        meter
    }
}

impl Meter {
    /// The peak of multiply-adds in `f64`, by the quickest loop in the current pool.
    pub(in crate::bench) fn fma_f64() -> Self {
        let threads = rayon::current_num_threads();
        let meters = peak_simd::variants(Peak::FmaF64)
            .into_iter()
            .map(|variant| Self { threads, kind: Kind::Peak { variant, steps: variant.steps() } });
        let sampled = meters.map(|mut meter| (meter.sample(), meter));
        let best = sampled.max_by(|a, b| a.0.total_cmp(&b.0));
        best.expect("a portable loop is always there").1
    }

    /// Raises the repetitions of a stream until they take as long as a sample.
    fn repeat(&mut self) {
        while seconds(|| self.run()) < SAMPLE {
            match &mut self.kind {
                Kind::Peak { .. } => return,
                Kind::Copy { repeats, .. } | Kind::Read { repeats, .. } => *repeats *= 2,
            }
        }
    }

    /// Takes the faster one of two ways to copy: `memcpy`, which is the faster one past the caches
    /// and on some processors a slow one within, or a loop.
    fn choose_copy(&mut self) {
        let mut rate = |way: bool| {
            if let Kind::Copy { plain, .. } = &mut self.kind {
                *plain = way;
            }
            self.sample()
        };
        let (memcpy, looped) = (rate(false), rate(true));
        if let Kind::Copy { plain, .. } = &mut self.kind {
            *plain = looped > memcpy;
        }
    }

    /// Units a second: the best of a few samples, as a limit is the most that can be had.
    pub(in crate::bench) fn sample(&mut self) -> f64 {
        let fastest = (0..SAMPLES).map(|_| seconds(|| self.run())).fold(f64::INFINITY, f64::min);
        let units = match &self.kind {
            Kind::Peak { variant, steps } => variant.per_step * *steps as f64 * self.threads as f64,
            Kind::Copy { from, repeats, .. } => (16 * from.get().len() * repeats) as f64,
            Kind::Read { from, repeats } => (8 * from.get().len() * repeats) as f64,
        };
        units / fastest
    }

    fn run(&mut self) {
        let threads = self.threads;
        match &mut self.kind {
            Kind::Peak { variant, steps } if threads == 1 => (variant.run)(*steps),
            Kind::Peak { variant, steps } => {
                rayon::broadcast(|_| (variant.run)(*steps));
            }
            Kind::Copy { from, to, repeats, plain } => {
                let (from, to) = (from.get(), to.get_mut());
                let part = from.len().div_ceil(threads);
                let parts = from.par_chunks(part).zip(to.par_chunks_mut(part));
                parts.for_each(|(from, to)| {
                    for _ in 0..*repeats {
                        let (from, to) = (black_box(from), black_box(&mut *to));
                        if *plain {
                            copy(from, to);
                        } else {
                            to.copy_from_slice(from);
                        }
                    }
                });
            }
            Kind::Read { from, repeats } => {
                let from = from.get();
                let part = from.len().div_ceil(threads);
                from.par_chunks(part).for_each(|from| {
                    for _ in 0..*repeats {
                        black_box(sum(black_box(from)));
                    }
                });
            }
        }
    }
}

impl Words {
    fn new(len: usize) -> Self {
        // Not zeros, which a system may map to one page.
        let all = vec![1; len + 7];
        let first = all.as_ptr().align_offset(64).min(7);
        Self { all, first }
    }

    fn get(&self) -> &[u64] {
        &self.all[self.first..self.first + self.all.len() - 7]
    }

    fn get_mut(&mut self) -> &mut [u64] {
        let len = self.all.len() - 7;
        &mut self.all[self.first..self.first + len]
    }
}

/// A copy that the compiler does not take for `memcpy`.
fn copy(from: &[u64], to: &mut [u64]) {
    let zero = black_box(0);
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || from.iter().zip(to).for_each(|(from, to)| *to = from | zero),
    );
}

/// The sum of words, as a reason to read them.
fn sum(words: &[u64]) -> u64 {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let (chunks, rest) = words.as_chunks::<32>();
            let mut lanes = [0u64; 32];
            for chunk in chunks {
                for (lane, word) in lanes.iter_mut().zip(chunk) {
                    *lane = lane.wrapping_add(*word);
                }
            }
            lanes.iter().chain(rest).fold(0u64, |sum, word| sum.wrapping_add(*word))
        },
    )
}

/// Seconds that `work` takes.
pub(super) fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}
