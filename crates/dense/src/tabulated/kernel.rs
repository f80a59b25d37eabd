//! The inner loops: tables of partial sums, and rows of them added up.
//!
//! Loops over arrays of fixed length, which the compiler turns into vectors of whatever instruction set the
//! dispatch finds; the addition of two rows, most of the work, is [`Adds`]'. Sets whose rows are as long
//! add in the same order and give the same bits.

#![allow(clippy::inline_always, reason = "must be compiled with their caller's instruction set")]

use super::index::BATCH;
use super::reader::Reader;
use crate::Real;

/// Numbers that are handled together: a vector or two.
pub(super) const VECTOR: usize = 8;

/// Rows of a table: the subsets of six.
const SUBSETS: usize = 64;

/// Tables at a time.
const TABLES: usize = 8;

/// Indices from one time that rows of the mask are read to the next.
pub(super) const RUN: usize = 64;

/// A row of `V` vectors.
pub(super) type Row<T, const V: usize> = [[T; VECTOR]; V];

/// How two rows are added.
pub(super) trait Adds {
    /// `to <- a + b`.
    fn add<T: Real, const V: usize>(to: &mut Row<T, V>, a: &Row<T, V>, b: &Row<T, V>);
}

/// By loops.
pub(super) struct Loops;

impl Adds for Loops {
    #[inline(always)]
    fn add<T: Real, const V: usize>(to: &mut Row<T, V>, a: &Row<T, V>, b: &Row<T, V>) {
        for v in 0..V {
            for l in 0..VECTOR {
                to[v][l] = a[v][l] + b[v][l];
            }
        }
    }
}

/// All partial sums of eight times six rows.
pub(super) type Tables<T, const V: usize> = [[Row<T, V>; SUBSETS]; TABLES];

/// `sums_i <- sums_i + x_i o w_i`, lane by lane.
#[inline(always)]
pub(super) fn dot_rows<T: Real, const V: usize>(
    sums: &mut [[T; VECTOR]],
    w: &[Row<T, V>],
    x: &[Row<T, V>],
) {
    for ((sum, w), x) in sums.iter_mut().zip(w).zip(x) {
        for v in 0..V {
            for l in 0..VECTOR {
                sum[l] += w[v][l] * x[v][l];
            }
        }
    }
}

/// `out_i <- u_i x_i`.
#[inline(always)]
pub(super) fn scale_rows<T: Real, const V: usize>(out: &mut [Row<T, V>], x: &[Row<T, V>], u: &[T]) {
    for ((out, x), u) in out.iter_mut().zip(x).zip(u) {
        for v in 0..V {
            for l in 0..VECTOR {
                out[v][l] = *u * x[v][l];
            }
        }
    }
}

/// `w_r <- w_r + sum over the bits b of index r of rows_b`.
///
/// `rows` holds up to 48 rows of `V` vectors, missing ones counting as zero; `w` one for each index.
#[inline(always)]
pub(super) fn add_rows<A: Adds, T: Real, const V: usize>(
    tables: &mut Tables<T, V>,
    w: &mut [T],
    rows: &[T],
    indices: &[u64],
    reader: &mut Reader<'_>,
) {
    tabulate::<A, T, V>(tables, as_rows::<T, V>(rows));
    let run = if reader.is_early() { RUN } else { indices.len().max(1) };
    for (w, indices) in as_rows_mut::<T, V>(w).chunks_mut(run).zip(indices.chunks(run)) {
        reader.go_on();
        let (w, last_w) = w.as_chunks_mut::<2>();
        let (indices, last_index) = indices.as_chunks::<2>();
        for (w, &[i, j]) in w.iter_mut().zip(indices) {
            // Two at a time: twice as many additions that do not wait for one another.
            *w = look_up::<A, T, V, _>(*w, tables, [i, j]);
        }
        look_up_each::<A, T, V>(tables, last_w, last_index);
    }
}

/// One at a time.
#[inline(always)]
pub(super) fn look_up_each<A: Adds, T: Real, const V: usize>(
    tables: &Tables<T, V>,
    w: &mut [Row<T, V>],
    indices: &[u64],
) {
    for (w, &i) in w.iter_mut().zip(indices) {
        [*w] = look_up::<A, T, V, _>([*w], tables, [i]);
    }
}

pub(super) fn with_tables<T: Real, const V: usize>(body: impl FnOnce(&mut Tables<T, V>)) {
    T::with_buffer(TABLES * SUBSETS * V * VECTOR, |buffer| {
        let rows = as_rows_mut::<T, V>(buffer);
        let tables = rows.as_chunks_mut::<SUBSETS>().0.as_chunks_mut::<TABLES>().0;
        body(&mut tables[0]);
    });
}

#[inline(always)]
pub(super) fn as_rows<T, const V: usize>(values: &[T]) -> &[Row<T, V>] {
    values.as_chunks::<VECTOR>().0.as_chunks::<V>().0
}

#[inline(always)]
pub(super) fn as_rows_mut<T, const V: usize>(values: &mut [T]) -> &mut [Row<T, V>] {
    values.as_chunks_mut::<VECTOR>().0.as_chunks_mut::<V>().0
}

#[inline(always)]
fn zero<T: Real, const V: usize>() -> Row<T, V> {
    [[T::of(0.0); VECTOR]; V]
}

/// Row `b` of a table is the sum of its six rows at the bits of `b`, one addition each.
#[inline(always)]
pub(super) fn tabulate<A: Adds, T: Real, const V: usize>(
    tables: &mut Tables<T, V>,
    rows: &[Row<T, V>],
) {
    debug_assert!(rows.len() <= BATCH, "{} rows for a table", rows.len());
    for (t, table) in tables.iter_mut().enumerate() {
        table[0] = zero();
        for bit in 0..6 {
            let row = rows.get(6 * t + bit).copied().unwrap_or_else(zero);
            let (without, with) = table.split_at_mut(1 << bit);
            for (from, to) in without.iter().zip(with) {
                A::add(to, from, &row);
            }
        }
    }
}

/// `sums[k]` plus the rows of the tables that `indices[k]` names.
#[inline(always)]
fn look_up<A: Adds, T: Real, const V: usize, const N: usize>(
    mut sums: [Row<T, V>; N],
    tables: &Tables<T, V>,
    indices: [u64; N],
) -> [Row<T, V>; N] {
    for (t, table) in tables.iter().enumerate() {
        for k in 0..N {
            let row = &table[(indices[k] >> (8 * t) & 63) as usize];
            let sum = sums[k];
            A::add(&mut sums[k], &sum, row);
        }
    }
    sums
}
