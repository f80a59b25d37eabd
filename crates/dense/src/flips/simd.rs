//! The kernels compiled for several instruction sets and chosen at run time.
#![allow(unsafe_code)]

use super::{Flip, kernel};
use crate::Real;
use crate::simd::dispatched;

dispatched!(
    /// [`kernel::dots`].
    pub(super) fn dots [T: Real] (
        sums: &mut [T], x: &[T], v: &[T], signs: &[T], flips: &[Flip],
    ) = kernel::dots
);
dispatched!(
    /// [`kernel::rows`].
    pub(super) fn rows [T: Real] (
        sums: &mut [T], signs: &[T], u: &[T], x: &[T], flips: &[Flip],
    ) = kernel::rows
);
