//! Loops on bits, compiled for several instruction sets and chosen at run time.
//!
//! Each is a plain loop over arrays of fixed length that `dispatch` compiles with wider instructions;
//! `popcount` holds the loops that the compiler does not find by itself. Every path gives the same bits.
#![allow(unsafe_code)]

mod dispatch;
mod gather;
#[cfg(target_arch = "x86_64")]
mod level;
mod popcount;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
mod upper;

use crate::{Real, gram, transpose};

pub(crate) use dispatch::dispatched;
pub(crate) use gather::{SIDE, gather_rows};
#[cfg(target_arch = "x86_64")]
pub(crate) use level::Level;
#[cfg(all(test, target_arch = "x86_64"))]
pub(crate) use level::side_by_side;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) use popcount::transposed_words;
pub(crate) use popcount::{COLS, Counts, ROWS};
pub use upper::clear_upper;

dispatched!(
    /// [`transpose::transpose`].
    pub(crate) fn transposed [] (rows: &mut [u64; 64]) = transpose::transpose
);
dispatched!(
    /// [`gram::multiply`].
    pub(crate) fn multiply [T: Real] (
        entries: &mut [T], counts: &[u32], scale: T,
    ) = gram::multiply, and avx512
);
dispatched!(
    /// [`gram::change`].
    pub(crate) fn change [T: Real] (
        entries: &mut [T], products: &[T], changes: &[u32], scale: T,
    ) = gram::change, and avx512
);
