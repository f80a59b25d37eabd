//! The kernels compiled for several instruction sets and chosen at run time.
#![allow(unsafe_code)]

use super::index::{self, BATCH};
use super::kernel::{self, Tables, VECTOR, with_tables};
use super::{CHUNK, COLUMNS, STRIDE, Words};
use crate::Real;
use crate::simd::dispatched;

/// [`kernel::dot_rows`] for rows of `vectors` vectors, from 1 to 4.
pub(super) fn dot_rows<T: Real>(
    vectors: usize,
    sums: &mut [[T; VECTOR]],
    rows: &[T],
    indices: &[u64],
    x: &[T],
) {
    match vectors {
        1 => with_tables::<T, 1>(|tables| dot(tables, sums, rows, indices, x)),
        2 => with_tables::<T, 2>(|tables| dot(tables, sums, rows, indices, x)),
        3 => with_tables::<T, 3>(|tables| dot(tables, sums, rows, indices, x)),
        _ => with_tables::<T, 4>(|tables| dot(tables, sums, rows, indices, x)),
    }
}

/// [`kernel::add_rows`] for rows of `vectors` vectors, from 1 to 4.
pub(super) fn add_rows<T: Real>(vectors: usize, w: &mut [T], rows: &[T], indices: &[u64]) {
    match vectors {
        1 => with_tables::<T, 1>(|tables| add(tables, w, rows, indices)),
        2 => with_tables::<T, 2>(|tables| add(tables, w, rows, indices)),
        3 => with_tables::<T, 3>(|tables| add(tables, w, rows, indices)),
        _ => with_tables::<T, 4>(|tables| add(tables, w, rows, indices)),
    }
}

/// Asks for words that will be read soon, where the machine can be asked.
pub(super) fn prefetch(words: &[u64]) {
    #[cfg(target_arch = "x86_64")]
    for word in words.iter().step_by(8).chain(words.last()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: any address may be asked for.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(word).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = words;
}

dispatched!(
    fn dot [T: Real, const V: usize] (
        tables: &mut Tables<T, V>, sums: &mut [[T; VECTOR]], rows: &[T], indices: &[u64], x: &[T],
    ) = kernel::dot_rows
);
dispatched!(
    fn add [T: Real, const V: usize] (
        tables: &mut Tables<T, V>, w: &mut [T], rows: &[T], indices: &[u64],
    ) = kernel::add_rows
);
dispatched!(
    /// [`index::by_rows`].
    pub(super) fn by_rows [] (
        indices: &mut [[u64; STRIDE]], at: usize, rows: &[Words],
    ) = index::by_rows
);
dispatched!(
    /// [`index::by_columns`].
    pub(super) fn by_columns [] (
        indices: &mut [[u64; CHUNK]; COLUMNS / BATCH], rows: &[Words; COLUMNS], words: usize,
    ) = index::by_columns
);
