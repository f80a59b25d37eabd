//! Numbers to pieces, and sums of pieces to numbers.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512, __m512i, _mm512_add_epi32, _mm512_add_ps, _mm512_and_si512, _mm512_cvtepi32_ps,
    _mm512_cvtps_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps,
    _mm512_or_si512, _mm512_reduce_add_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_slli_epi32, _mm512_srai_epi32, _mm512_storeu_ps, _mm512_storeu_si512,
};

use super::super::{PIECES, SIDE};
use super::{Pair, Sums, Tile, Unit};

impl Unit {
    /// `out_o <- out_o + sum_c s_oc x_oc` for 32 outputs `o`, or as many as `out` has, and the numbers `s` of `pairs`, a pair
    /// for each tile of columns, in their units; rows `x_o` are `len` numbers apart.
    #[allow(clippy::unused_self, reason = "who has the unit has the instructions")]
    pub(in super::super) fn dot<'a>(
        &self,
        out: &mut [f32],
        pairs: &(impl Iterator<Item = &'a Pair> + Clone),
        units: &[f32],
        (x, len): (&[f32], usize),
    ) {
        for (t, out) in out.chunks_mut(SIDE).enumerate() {
            for (r, out) in out.iter_mut().enumerate() {
                let row = &x[(t * SIDE + r) * len..];
                let terms = pairs.clone().map(|pair| &pair[t]);
                let columns = row.as_chunks().0.iter().zip(units.as_chunks().0).zip(terms);
                // SAFETY: who has the unit has the instructions.
                *out += unsafe { dot(columns, r) };
            }
        }
    }

    /// The numbers of a tile of sums in their units, row after row of it to what `to` yields; added to what is there, unless
    /// it is `anew`.
    #[allow(clippy::unused_self, reason = "who has the unit has the instructions")]
    pub(in super::super) fn write<'a>(
        &self,
        to: impl Iterator<Item = &'a mut [f32; SIDE]>,
        sums: &[Sums; PIECES],
        units: &[f32; SIDE],
        anew: bool,
    ) {
        // SAFETY: who has the unit has the instructions.
        unsafe { write(to, sums, units, anew) }
    }
}

/// `sum_c s_rc x_c` of row `r`, over tiles of columns.
#[inline]
#[target_feature(enable = "avx512f")]
fn dot<'a>(
    columns: impl Iterator<Item = ((&'a [f32; SIDE], &'a [f32; SIDE]), &'a [Sums; PIECES])>,
    r: usize,
) -> f32 {
    let mut sum = _mm512_setzero_ps();
    for ((x, units), sums) in columns {
        // A product with a unit is exact, and of the size of a sum of terms.
        let numbers = _mm512_mul_ps(multiples(sums, r), load(units));
        sum = _mm512_fmadd_ps(numbers, load(x), sum);
    }
    _mm512_reduce_add_ps(sum)
}

#[target_feature(enable = "avx512f")]
fn write<'a>(
    to: impl Iterator<Item = &'a mut [f32; SIDE]>,
    sums: &[Sums; PIECES],
    units: &[f32; SIDE],
    anew: bool,
) {
    let units = load(units);
    for (r, to) in to.take(SIDE).enumerate() {
        let numbers = _mm512_mul_ps(multiples(sums, r), units);
        let numbers = if anew { numbers } else { _mm512_add_ps(numbers, load(to)) };
        // SAFETY: 16 numbers are written, those of the array.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), numbers) };
    }
}

/// Row `r` of sums in pieces, as multiples.
#[inline]
#[target_feature(enable = "avx512f")]
fn multiples(sums: &[Sums; PIECES], r: usize) -> __m512 {
    let piece = |at: usize| {
        let row = &sums[at].as_chunks::<SIDE>().0[r];
        // SAFETY: 16 sums are read, those of the row.
        _mm512_cvtepi32_ps(unsafe { _mm512_loadu_si512(row.as_ptr().cast()) })
    };
    let lower = _mm512_fmadd_ps(_mm512_set1_ps(256.0), piece(1), piece(2));
    _mm512_fmadd_ps(_mm512_set1_ps(65_536.0), piece(0), lower)
}

/// [`SIDE`] columns after as many of 64 rows of `len` numbers, as tiles of the bytes of their multiples, each so many tiles
/// after the one before: row `p` of a tile holds, column by column, rows `4 p .. 4 p + 4`.
///
/// # Panics
/// Where the unit is not on, and for fewer rows or shorter ones.
pub(in super::super) fn split_rows(
    out: &mut [[Tile; PIECES]],
    apart: usize,
    rows: &[f32],
    len: usize,
    reciprocals: &[f32],
) {
    assert!(crate::simd::Level::Amx.on(), "no matrix unit");
    let columns = reciprocals.as_chunks().0.iter().enumerate();
    for (tiles, (c, reciprocals)) in out.iter_mut().step_by(apart).zip(columns) {
        // SAFETY: where the unit is on there are the instructions.
        unsafe { split_tile(tiles, &rows[c * SIDE..], len, reciprocals) };
    }
}

#[target_feature(enable = "avx512f")]
fn split_tile(tiles: &mut [Tile; PIECES], rows: &[f32], len: usize, reciprocals: &[f32; SIDE]) {
    let reciprocals = load(reciprocals);
    let half = _mm512_set1_epi32(128);
    for p in 0..SIDE {
        let multiples: [__m512i; 4] = std::array::from_fn(|e| {
            let row = rows[(4 * p + e) * len..].first_chunk().expect("64 rows of whole tiles");
            _mm512_cvtps_epi32(_mm512_mul_ps(load(row), reciprocals))
        });
        // What is left above the lowest byte, which has a sign.
        let above = |q: [__m512i; 4]| q.map(|q| _mm512_srai_epi32::<8>(_mm512_add_epi32(q, half)));
        let upper = above(multiples);
        for (tile, bytes) in tiles.iter_mut().zip([above(upper), upper, multiples]) {
            let row = &mut tile.as_chunks_mut::<SIDE>().0[p];
            // SAFETY: 64 bytes are written, those of the row.
            unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), lowest(bytes)) };
        }
    }
}

/// The lowest bytes of four numbers, the first one's the lowest.
#[inline]
#[target_feature(enable = "avx512f")]
fn lowest([a, b, c, d]: [__m512i; 4]) -> __m512i {
    let byte = |x: __m512i| _mm512_and_si512(x, _mm512_set1_epi32(0xff));
    let low = _mm512_or_si512(byte(a), _mm512_slli_epi32::<8>(byte(b)));
    let high = _mm512_or_si512(_mm512_slli_epi32::<16>(byte(c)), _mm512_slli_epi32::<24>(d));
    _mm512_or_si512(low, high)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(numbers: &[f32; SIDE]) -> __m512 {
    // SAFETY: 64 bytes are read, those of the array.
    unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
}
