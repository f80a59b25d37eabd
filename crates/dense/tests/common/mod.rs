//! Numbers that the tests share.
#![allow(dead_code, reason = "each test file uses some of these")]

use faer::Mat;
use nearlin_dense::Real;

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
