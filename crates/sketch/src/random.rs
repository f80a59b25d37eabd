//! Counter-based randomness: a seed, a purpose and a counter name a stream.

use faer::Mat;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::Scalar;

/// What a stream of random numbers is for; two purposes never share numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Signs = 1,
    Samples = 2,
    RightSigns = 3,
    RightSamples = 4,
    Gaussian = 5,
    Probe = 6,
    Pivots = 7,
    Range = 8,
    Norm = 9,
    SparseSigns = 10,
    Rademacher = 11,
    Rows = 12,
    TensorPlaces = 13,
    Judge = 14,
    Leverage = 15,
    Singular = 16,
}

/// Stream `counter` of `purpose` for `seed`.
pub(crate) fn stream(seed: u64, purpose: Purpose, counter: u64) -> ChaCha8Rng {
    stream_part(seed, purpose, counter, 0)
}

/// Part `part` of a stream: numbers of their own, for streams that are to be entered in the middle though what they are for takes
/// a varying count of numbers.
pub(crate) fn stream_part(seed: u64, purpose: Purpose, counter: u64, part: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&part.to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(counter);
    rng
}

/// Columns of independent normal numbers, column `j` from the stream `first + j`.
pub(crate) fn normal_columns<T: Scalar>(
    (rows, columns): (usize, usize),
    seed: u64,
    purpose: Purpose,
    first: u64,
) -> Mat<T> {
    let mut normal = Mat::zeros(rows, columns);
    for (j, column) in normal.col_iter_mut().enumerate() {
        let mut rng = stream(seed, purpose, first + j as u64);
        for entry in column.iter_mut() {
            let drawn: f64 = StandardNormal.sample(&mut rng);
            *entry = T::of(drawn);
        }
    }
    normal
}

/// `len` independent random signs, `+1` or `-1`: the `index`-th of as many vectors as are asked for, each
/// named by `seed` and its index.
///
/// `z^T A z` of such a vector has the trace of `A` as its mean (Hutchinson, *A stochastic estimator of the
/// trace of the influence matrix for Laplacian smoothing splines*, 1989).
///
/// # Examples
/// ```
/// let z: Vec<f64> = nearlin_sketch::random_signs(5, 1, 0);
/// assert!(z.iter().all(|z| z.abs() == 1.0));
/// assert_eq!(z, nearlin_sketch::random_signs::<f64>(5, 1, 0));
/// ```
#[must_use]
pub fn random_signs<T: Scalar>(len: usize, seed: u64, index: u64) -> Vec<T> {
    let mut rng = stream(seed, Purpose::Probe, index);
    let mut word = 0;
    (0..len)
        .map(|i| {
            word = if i % 64 == 0 { rng.next_u64() } else { word >> 1 };
            if word & 1 == 1 { -T::one() } else { T::one() }
        })
        .collect()
}

/// `len` random signs, one bit each: bit `i % 64` of word `i / 64` set means -1.
#[derive(Clone, Debug)]
pub(crate) struct Signs(Vec<u64>);

impl Signs {
    pub(crate) fn new(len: usize, seed: u64, purpose: Purpose) -> Self {
        let mut rng = stream(seed, purpose, 0);
        Self((0..len.div_ceil(64)).map(|_| rng.next_u64()).collect())
    }

    /// `x_i <- +-x_i` by the signs from number `first` on, which is a multiple of 64.
    pub(crate) fn apply_from<T: Scalar>(&self, first: usize, x: &mut [T]) {
        debug_assert_eq!(first % 64, 0);
        T::kernels().flip(x, &self.0[first / 64..]);
    }

    /// Whether sign `i` is -1.
    pub(crate) fn negative(&self, i: usize) -> bool {
        self.0[i / 64] >> (i % 64) & 1 == 1
    }

    /// `x_i <- +-x_i`.
    pub(crate) fn apply<T: Scalar>(&self, x: &mut [T]) {
        T::kernels().flip(x, &self.0);
    }
}
