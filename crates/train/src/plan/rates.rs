//! What the parts of a run cost on a machine.

use faer::{Mat, Par};
use nearlin_dense::{Cholesky, Real, qr_r, symmetric_product};
use nearlin_relu::{Activations, Init, Network, Signs, arc_cosine_cross, gram};
use nearlin_sketch::{fwht_columns, random_signs};

use crate::solver::{InnerSolver, PivotedKernel};
use crate::step::Features;
use crate::vector::{Element, cast};
use crate::{Equations, TrainError};

/// Rounds through all measurements, of each of which the quickest counts: whoever shares the machine only takes from it.
const ROUNDS: usize = 3;

/// In a round, what takes fewer seconds in all is measured again, at most so often.
const ENOUGH: f64 = 0.05;
const TIMES: usize = 5;

/// How many times the time of drawing it a parameter takes in a forward pass or a step, by comparison with whole runs.
const DRAWS: f64 = 3.0;

/// A cost that has a part for every item and one for every item's inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Line {
    /// Seconds for an item.
    pub item: f64,
    /// Seconds for each of its inputs.
    pub input: f64,
}

impl Line {
    /// Seconds for an item of so many inputs.
    #[must_use]
    pub fn at(&self, inputs: f64) -> f64 {
        self.item + self.input * inputs
    }

    /// Through two points `(inputs, seconds)`, without negative parts.
    fn through((low, first): (f64, f64), (high, second): (f64, f64)) -> Self {
        let input = ((second - first) / (high - low)).clamp(0.0, second / high);
        Self { item: (first - input * low).max(0.0), input }
    }

    fn scaled(self, by: f64) -> Self {
        Self { item: by * self.item, input: by * self.input }
    }
}

/// What depends on the precision.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Speeds {
    /// `G u` with one output, for a neuron beside an example; inputs are `d`.
    pub one_output: Line,
    /// `G u` with several whose signs are few rows ([`Signs::usual`]), for a neuron beside an example; inputs are `d + K`.
    pub outputs: Line,
    /// Cholesky factorisation of an n x n matrix, for each of its `n^2` entries; inputs are `n`.
    pub cholesky: Line,
    /// Flops a second of QR.
    pub qr: f64,
    /// Flops a second of products of matrices.
    pub product: f64,
    /// Flops a second of a factor of low rank `k` and what it takes to solve with it, as `3 n k^2`.
    pub low_rank: f64,
    /// Additions a second of Walsh-Hadamard transforms.
    pub additions: f64,
    /// Bytes a second of a triangular factor that solves for one column.
    pub read: f64,
}

/// What the parts of a run cost on a machine, with a number of threads.
///
/// `Default` is of one thread of a common machine: that ranks solvers, but promises no seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Rates {
    /// Threads that worked.
    pub threads: usize,
    /// In `f64`.
    pub double: Speeds,
    /// In `f32`.
    pub single: Speeds,
    /// The popcount Gram matrix, for each of its `n^2` entries, beside the product of the inputs; inputs are `m`.
    pub gram: Line,
    /// Entries a second of the arc-cosine kernel, beside the product of its inputs.
    pub arc_cosine: f64,
    /// Seconds of a product with the Jacobian that no neuron is the reason for: what begins it is the item, and each of the
    /// `n` examples, whose inputs are copied, an input.
    pub begin: Line,
    /// Seconds that a parameter takes in a forward pass or a step: drawing it, and passes over vectors of it.
    pub parameter: f64,
}

impl Default for Rates {
    fn default() -> Self {
        let double = Speeds {
            one_output: Line { item: 2.0e-11, input: 2.5e-11 },
            outputs: Line { item: 0.0, input: 4.5e-11 },
            cholesky: Line { item: 1.0e-9, input: 8.0e-12 },
            qr: 3.0e10,
            product: 4.0e10,
            low_rank: 3.0e10,
            additions: 2.5e9,
            read: 1.0e10,
        };
        let single = Speeds {
            one_output: double.one_output.scaled(0.5),
            outputs: double.outputs.scaled(0.5),
            cholesky: double.cholesky.scaled(0.5),
            qr: 2.0 * double.qr,
            product: 2.0 * double.product,
            low_rank: 2.0 * double.low_rank,
            additions: 2.0 * double.additions,
            ..double
        };
        Self {
            threads: 1,
            double,
            single,
            gram: Line { item: 4.0e-9, input: 1.0e-12 },
            arc_cosine: 6.0e7,
            begin: Line { item: 2.0e-5, input: 2.0e-8 },
            parameter: 2.0e-8,
        }
    }
}

impl Rates {
    /// Whether all of these can be: rates above 0, costs of at least 0 of which none is nothing at all.
    ///
    /// What was read from a file may be anything.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let positive = |rate: f64| rate.is_finite() && rate > 0.0;
        let line = |line: Line| {
            line.item.is_finite() && line.item >= 0.0 && line.input >= 0.0 && positive(line.at(1.0))
        };
        let speeds = |speeds: &Speeds| {
            let Speeds { one_output, outputs, cholesky, .. } = *speeds;
            let Speeds { qr, product, low_rank, additions, read, .. } = *speeds;
            [one_output, outputs, cholesky].into_iter().all(line)
                && [qr, product, low_rank, additions, read].into_iter().all(positive)
        };
        self.threads > 0
            && speeds(&self.double)
            && speeds(&self.single)
            && [self.gram, self.begin].into_iter().all(line)
            && positive(self.arc_cosine)
            && positive(self.parameter)
    }

    /// The same machine with other threads, as if they shared nothing but memory.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        let more = threads.max(1) as f64 / self.threads.max(1) as f64;
        let of = |speeds: Speeds| Speeds {
            one_output: speeds.one_output.scaled(1.0 / more),
            outputs: speeds.outputs.scaled(1.0 / more),
            cholesky: speeds.cholesky.scaled(1.0 / more),
            // Householder QR gains less.
            qr: more.sqrt() * speeds.qr,
            product: more * speeds.product,
            low_rank: more * speeds.low_rank,
            additions: more * speeds.additions,
            read: speeds.read,
        };
        Self {
            threads,
            double: of(self.double),
            single: of(self.single),
            gram: self.gram.scaled(1.0 / more),
            arc_cosine: more * self.arc_cosine,
            begin: self.begin,
            parameter: self.parameter,
        }
    }

    /// Measures this machine with the threads of `par`: a quarter of a minute. `clock` tells seconds since whenever.
    ///
    /// # Errors
    /// [`TrainError`] if one of the small problems cannot be solved, which no machine should show.
    pub fn measure(par: Par, clock: &mut dyn FnMut() -> f64) -> Result<Self, TrainError> {
        let mut time = Stopwatch { clock, quickest: Vec::new(), at: 0 };
        for _ in 1..ROUNDS {
            Self::round(par, &mut time)?;
        }
        Self::round(par, &mut time)
    }

    /// From the quickest so far of every measurement, each of which is made once more.
    fn round(par: Par, time: &mut Stopwatch<'_>) -> Result<Self, TrainError> {
        time.at = 0;
        let few = problem(1024, 8, 1, 64, par)?.0;
        let few = few.x();
        let seconds = time.quickest(|| Ok(arc_cosine_cross(few, few, par)))?;
        let arc_cosine = (few.nrows() * few.nrows()) as f64 / seconds;
        let double = time.speeds::<f64>(arc_cosine, par)?;
        let single = time.speeds::<f32>(arc_cosine, par)?;
        // Factors that matter are larger than the caches, which the smaller one may fit into: memory counts bytes.
        let single = Speeds { read: single.read.min(double.read), ..single };
        let n = 2048;
        let mut entries = |m: usize| -> Result<f64, TrainError> {
            let (equations, _, active) = problem(n, 8, 1, m, par)?;
            let seconds = time.quickest(|| Ok(gram(equations.x(), active.mask(), par)?))?;
            Ok(seconds / (n * n) as f64)
        };
        let gram = Line::through((1024.0, entries(1024)?), (16_384.0, entries(16_384)?));
        // Few enough neurons that little else is to be done.
        let mut beginning = |n: usize| -> Result<f64, TrainError> {
            let (m, d) = (128, 8);
            let done = (n * m) as f64 * double.one_output.at(d as f64);
            Ok((time.products::<f64>((n, m), d, 1, par)? - done).max(1e-6))
        };
        let begin = Line::through((128.0, beginning(128)?), (65_536.0, beginning(65_536)?));
        let init = Init { inputs: 64, outputs: 1, width: 2048, seed: 0, signs: Signs::Random };
        let drawn = time.quickest(|| Ok(init.network(1.0)?))? / f64::from(64 * 2048);
        let parameter = DRAWS * drawn;
        Ok(Self { threads: par.degree(), double, single, gram, arc_cosine, begin, parameter })
    }
}

/// Examples on the unit sphere, a fresh network, and its activations on them.
fn problem(
    n: usize,
    d: usize,
    outputs: usize,
    width: usize,
    par: Par,
) -> Result<(Equations, Network, Activations), TrainError> {
    let noise = |at: usize| {
        let bits = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (bits ^ bits >> 32).cast_signed() as f64 / 2f64.powi(63)
    };
    let x = (0..n * d).map(noise).collect();
    let equations = Equations::new(x, vec![0.0; n * outputs], d, outputs)?;
    let init = Init { inputs: d, outputs, width, seed: 0, signs: Signs::usual(outputs) };
    let network = init.network(1.0)?;
    let mask = network.forward(equations.x(), par)?.mask;
    let active = Activations::of(mask, &network);
    Ok((equations, network, active))
}

struct Stopwatch<'a> {
    clock: &'a mut dyn FnMut() -> f64,
    /// Seconds of every measurement, in the order of a round.
    quickest: Vec<f64>,
    /// The measurement that comes next.
    at: usize,
}

impl Stopwatch<'_> {
    /// The fewest seconds that this measurement took, in this round or one before.
    fn quickest<R>(
        &mut self,
        mut work: impl FnMut() -> Result<R, TrainError>,
    ) -> Result<f64, TrainError> {
        let mut quickest = self.quickest.get(self.at).copied().unwrap_or(f64::INFINITY);
        let mut spent = 0.0;
        for _ in 0..TIMES {
            let start = (self.clock)();
            let done = work()?;
            let seconds = (self.clock)() - start;
            drop(done);
            quickest = quickest.min(seconds.max(1e-9));
            spent += seconds;
            if spent > ENOUGH {
                break;
            }
        }
        match self.quickest.get_mut(self.at) {
            Some(seconds) => *seconds = quickest,
            None => self.quickest.push(quickest),
        }
        self.at += 1;
        Ok(quickest)
    }

    fn speeds<T: Element>(&mut self, arc_cosine: f64, par: Par) -> Result<Speeds, TrainError> {
        let (n, m) = (2048, 2048);
        let mut pairs = |d: usize, outputs: usize| -> Result<f64, TrainError> {
            Ok(self.products::<T>((n, m), d, outputs, par)? / (n * m) as f64)
        };
        let one_output = Line::through((16.0, pairs(16, 1)?), (128.0, pairs(128, 1)?));
        let outputs = Line::through((24.0, pairs(16, 8)?), (136.0, pairs(128, 8)?));
        let mut entries = |n: usize| -> Result<f64, TrainError> {
            let a = definite::<T>(n);
            Ok(self.quickest(|| Ok(Cholesky::factor(a.clone(), par)?))? / (n * n) as f64)
        };
        let cholesky = Line::through((1024.0, entries(1024)?), (4096.0, entries(4096)?));

        let signs = random_signs::<T>(3 << 20, 0, 0);
        let (tall, wide) = ((3072, 1024), (512, 2048));
        let matrix = |(rows, cols): (usize, usize)| {
            Mat::from_fn(rows, cols, |i, j| signs[j * rows + i] + cast::<T>((i == j).into()))
        };
        let a = matrix(tall);
        let seconds = self.quickest(|| Ok(qr_r(&mut a.clone(), par)?))?;
        let (rows, cols) = (tall.0 as f64, tall.1 as f64);
        let qr = 2.0 * cols * cols * (rows - cols / 3.0) / seconds;
        let a = matrix(wide);
        let seconds = self.quickest(|| Ok(symmetric_product(a.transpose(), par)))?;
        let product = (wide.1 * wide.1 * wide.0) as f64 / seconds;
        let (n, rank) = (4096, 1024);
        let (equations, _, active) = problem(n, 16, 1, 64, par)?;
        let features = Features::<T>::new(&equations, &[1.0; 64], 64);
        let solver = PivotedKernel { rank, seed: 0 };
        let seconds = self.quickest(|| solver.build(&features.jacobian(&active), 0.0, par))?;
        // Arc cosines are counted by themselves.
        let rest = (seconds - (n * rank) as f64 / arc_cosine).max(0.25 * seconds);
        let low_rank = 3.0 * (n * rank * rank) as f64 / rest;
        let mut a = Mat::from_fn(1 << 16, 16, |i, j| signs[j << 16 | i]);
        let seconds = self.quickest(|| {
            fwht_columns(a.as_mut(), par);
            // Back to the size that it had.
            a.col_iter_mut().for_each(|a| a.iter_mut().for_each(|a| *a *= cast::<T>(1.0 / 256.0)));
            Ok(())
        })?;
        let additions = f64::from(16u32 << 16) * 16.0 / seconds;
        let size = 4096;
        let factor = Cholesky::factor(definite::<T>(size), par)?;
        let mut column = Mat::from_fn(size, 1, |i, _| signs[i]);
        let seconds = self.quickest(|| {
            factor.solve_in_place(column.as_mut(), par);
            Ok(())
        })?;
        let read = (size * size * size_of::<T>()) as f64 / seconds;
        Ok(Speeds { one_output, outputs, cholesky, qr, product, low_rank, additions, read })
    }

    /// Seconds of `G u`.
    fn products<T: Element>(
        &mut self,
        (n, m): (usize, usize),
        d: usize,
        outputs: usize,
        par: Par,
    ) -> Result<f64, TrainError> {
        let (equations, network, active) = problem(n, d, outputs, m, par)?;
        let features = Features::<T>::new(&equations, network.signs(), m);
        let jacobian = features.jacobian(&active);
        let (rows, cols) = jacobian.gram_scratch();
        let u = Mat::<T>::from_fn(outputs, n, |k, i| cast(((i + k) % 3) as f64 - 1.0));
        let (mut y, mut v) = (Mat::<T>::zeros(outputs, n), Mat::<T>::zeros(cols, rows));
        self.quickest(|| {
            let (y, v) = (y.as_mut().transpose_mut(), v.as_mut().transpose_mut());
            Ok(jacobian.apply_gram(y, u.transpose(), v, par)?)
        })
    }
}

/// A matrix that is its diagonal for the most part.
fn definite<T: Real>(n: usize) -> Mat<T> {
    Mat::from_fn(n, n, |i, j| if i == j { T::of(2.0) } else { T::of(1.0 / n as f64) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_is_valid() {
        let common = Rates::default();
        assert!(common.is_valid());
        let read = |read| Rates { double: Speeds { read, ..common.double }, ..common };
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(!read(rate).is_valid(), "{rate}");
            assert!(!Rates { arc_cosine: rate, ..common }.is_valid(), "{rate}");
        }
        for item in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(!Rates { gram: Line { item, input: 1.0 }, ..common }.is_valid(), "{item}");
        }
        assert!(!Rates { gram: Line { item: 0.0, input: 0.0 }, ..common }.is_valid());
        assert!(!Rates { threads: 0, ..common }.is_valid());
    }

    /// What disturbs a measurement is not seen where it was quicker in another round.
    #[test]
    fn the_quickest_counts() {
        let now = core::cell::Cell::new(0.0);
        let mut clock = || now.get();
        let mut time = Stopwatch { clock: &mut clock, quickest: Vec::new(), at: 0 };
        let mut round = |seconds: [f64; 2]| {
            time.at = 0;
            seconds.map(|taken| {
                time.quickest(|| {
                    now.set(now.get() + taken);
                    Ok(())
                })
                .unwrap()
            })
        };
        assert_eq!(round([1.0, 20.0]), [1.0, 20.0]);
        assert_eq!(round([10.0, 2.0]), [1.0, 2.0]);
        assert_eq!(round([3.0, 3.0]), [1.0, 2.0]);
    }
}
