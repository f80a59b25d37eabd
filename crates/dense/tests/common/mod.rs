//! Numbers and layers that the tests share.
#![allow(dead_code, reason = "each test file uses some of these")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use faer::{Mat, MatMut, MatRef, Par};
use nearlin_dense::{PackedMask, Real, masked_adjoint, masked_apply, masked_gram_apply};

/// A counter-based source of numbers in [-1, 1): SplitMix64 of `(seed, i, j)`.
pub(crate) fn noise(seed: u64, i: usize, j: usize) -> f64 {
    let mut z = seed ^ (i as u64) << 32 ^ j as u64;
    for _ in 0..2 {
        z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
    }
    (z >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// `rows x cols` of them.
pub(crate) fn matrix<T: Real>(rows: usize, cols: usize, seed: u64) -> Mat<T> {
    Mat::from_fn(rows, cols, |i, j| T::of(noise(seed, i, j)))
}

/// What the products of a [`Case`] are scaled by.
pub(crate) const ALPHA: f64 = 0.5;

/// A masked layer, and a vector on either side of its Jacobian.
pub(crate) struct Case<T> {
    pub(crate) mask: PackedMask,
    pub(crate) x: Mat<T>,
    pub(crate) signs: Mat<T>,
    pub(crate) u: Mat<T>,
    pub(crate) v: Mat<T>,
}

impl<T: Real> Case<T> {
    /// `n` examples of `d` inputs, half of the neurons active, with these output weights `m x K`.
    pub(crate) fn of(n: usize, d: usize, signs: Mat<T>, seed: u64) -> Self {
        let (m, k) = signs.shape();
        Self {
            mask: PackedMask::from_fn(n, m, |i, r| noise(seed ^ 7, i, r) > 0.0),
            x: matrix(n, d, seed ^ 8),
            signs,
            u: matrix(n, k, seed ^ 2),
            v: matrix(m, d, seed ^ 3),
        }
    }

    pub(crate) fn apply(&self, v: MatRef<'_, T>, par: Par) -> Mat<T> {
        let (x, signs, alpha) = (self.x.as_ref(), self.signs.as_ref(), T::of(ALPHA));
        let mut y = Mat::from_fn(self.x.nrows(), self.u.ncols(), |_, _| T::nan());
        masked_apply(y.as_mut(), &self.mask, x, v, signs, alpha, par).unwrap();
        y
    }

    /// Row-major, as the optimiser holds it.
    pub(crate) fn adjoint(&self, par: Par) -> Vec<T> {
        let (m, d) = self.v.shape();
        let (x, signs, alpha) = (self.x.as_ref(), self.signs.as_ref(), T::of(ALPHA));
        let mut w = vec![T::nan(); m * d];
        let target = MatMut::from_row_major_slice_mut(&mut w, m, d);
        masked_adjoint(target, &self.mask, x, self.u.as_ref(), signs, alpha, par).unwrap();
        w
    }

    pub(crate) fn gram(&self, par: Par) -> Mat<T> {
        let (x, signs, alpha) = (self.x.as_ref(), self.signs.as_ref(), T::of(ALPHA));
        let mut y = Mat::from_fn(self.x.nrows(), self.u.ncols(), |_, _| T::nan());
        masked_gram_apply(y.as_mut(), &self.mask, x, self.u.as_ref(), signs, alpha, par).unwrap();
        y
    }

    /// Products that differ from those on one thread, on pools of one, two and three.
    pub(crate) fn threads_that_differ(&self) -> Vec<usize> {
        let run = |par: Par| (self.apply(self.v.as_ref(), par), self.adjoint(par), self.gram(par));
        let reference = run(Par::Seq);
        let differs = |threads: &usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(*threads).build().unwrap();
            pool.install(|| run(Par::rayon(0))) != reference
        };
        (1..=3).filter(differs).collect()
    }
}
