//! The kernels compiled for several instruction sets and chosen at run time.
#![allow(unsafe_code)]

use super::index::{self, BATCH};
use super::kernel::{self, Loops, Row, Tables, VECTOR, as_rows, as_rows_mut, with_tables};
use super::reader::Reader;
use super::{CHUNK, COLUMNS, STRIDE, Words};
#[cfg(target_arch = "x86_64")]
use super::{simd_columns as columns, simd_wide as wide};
use crate::Real;
use crate::simd::dispatched;

/// [`kernel::dot_rows`] for rows of `vectors` vectors, from 1 to 4.
pub(super) fn dot_rows<T: Real>(vectors: usize, sums: &mut [[T; VECTOR]], w: &[T], x: &[T]) {
    match vectors {
        1 => dot::<T, 1>(sums, as_rows(w), as_rows(x)),
        2 => dot::<T, 2>(sums, as_rows(w), as_rows(x)),
        3 => dot::<T, 3>(sums, as_rows(w), as_rows(x)),
        _ => dot::<T, 4>(sums, as_rows(w), as_rows(x)),
    }
}

/// [`kernel::scale_rows`] for rows of `vectors` vectors, from 1 to 4.
pub(super) fn scale_rows<T: Real>(vectors: usize, out: &mut [T], x: &[T], u: &[T]) {
    match vectors {
        1 => scale::<T, 1>(as_rows_mut(out), as_rows(x), u),
        2 => scale::<T, 2>(as_rows_mut(out), as_rows(x), u),
        3 => scale::<T, 3>(as_rows_mut(out), as_rows(x), u),
        _ => scale::<T, 4>(as_rows_mut(out), as_rows(x), u),
    }
}

/// [`kernel::add_rows`] for rows of `vectors` vectors, from 1 to 4.
pub(super) fn add_rows<T: Real>(
    vectors: usize,
    w: &mut [T],
    rows: &[T],
    indices: &[u64],
    reader: &mut Reader<'_>,
) {
    match vectors {
        1 => with_tables::<T, 1>(|tables| add(tables, w, rows, indices, reader)),
        2 => with_tables::<T, 2>(|tables| add(tables, w, rows, indices, reader)),
        3 => with_tables::<T, 3>(|tables| add(tables, w, rows, indices, reader)),
        _ => with_tables::<T, 4>(|tables| add(tables, w, rows, indices, reader)),
    }
}

/// Bytes of the longest row: a register of AVX-512, whose eight tables fill two thirds of a first-level
/// cache (on a Sapphire Rapids, rows of twice the length took 1.02 to 1.3 times as long); elsewhere four
/// registers of AVX2, which share the work on an index.
pub(super) fn row_bytes() -> usize {
    #[cfg(target_arch = "x86_64")]
    if wide::available() {
        return 64;
    }
    128
}

/// Asks for words that will be read soon, where the machine can be asked.
#[inline]
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

/// [`kernel::add_rows`].
fn add<T: Real, const V: usize>(
    tables: &mut Tables<T, V>,
    w: &mut [T],
    rows: &[T],
    indices: &[u64],
    reader: &mut Reader<'_>,
) {
    #[cfg(target_arch = "x86_64")]
    if wide::available() {
        // SAFETY: the CPU has the instructions.
        return unsafe { wide::add(tables, w, rows, indices, reader) };
    }
    add_by_loops(tables, w, rows, indices, reader);
}

dispatched!(
    /// [`kernel::dot_rows`].
    fn dot [T: Real, const V: usize] (
        sums: &mut [[T; VECTOR]], w: &[Row<T, V>], x: &[Row<T, V>],
    ) = kernel::dot_rows::<T, V>
);
dispatched!(
    /// [`kernel::scale_rows`].
    fn scale [T: Real, const V: usize] (
        out: &mut [Row<T, V>], x: &[Row<T, V>], u: &[T],
    ) = kernel::scale_rows::<T, V>
);
dispatched!(
    fn add_by_loops [T: Real, const V: usize] (
        tables: &mut Tables<T, V>, w: &mut [T], rows: &[T], indices: &[u64], reader: &mut Reader<'_>,
    ) = kernel::add_rows::<Loops, T, V>
);
dispatched!(
    /// [`index::by_rows`].
    pub(super) fn by_rows [] (
        indices: &mut [[u64; STRIDE]], at: usize, rows: &[Words],
    ) = index::by_rows
);
/// [`index::by_columns`].
pub(super) fn by_columns(
    indices: &mut [[u64; CHUNK]; COLUMNS / BATCH],
    rows: &[Words; COLUMNS],
    words: usize,
) {
    #[cfg(target_arch = "x86_64")]
    if columns::available() {
        // SAFETY: the CPU has the instructions.
        return unsafe { columns::by_columns(indices, rows, words) };
    }
    by_columns_shifted(indices, rows, words);
}

dispatched!(
    fn by_columns_shifted [] (
        indices: &mut [[u64; CHUNK]; COLUMNS / BATCH], rows: &[Words; COLUMNS], words: usize,
    ) = index::by_columns
);
