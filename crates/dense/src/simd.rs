//! Inner loops on packed masks, compiled for several instruction sets and chosen at run time.
//!
//! Each body here is a plain loop over fixed-width lanes that the wrappers compile with wider
//! instructions; `popcount` holds the loops that the compiler does not find by itself. Counts are
//! integers and Rust does not contract `a * b + c`, so every path gives the same bits.
#![allow(unsafe_code)]

mod dispatch;
mod popcount;

use crate::Real;

pub(crate) use dispatch::dispatched;
pub(crate) use popcount::{COLS, Counts, ROWS};

/// A row-major tile: `cols` entries of each of `rows` rows, `stride` apart.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) stride: usize,
}

/// `tile[i][r] *= bit r of words(i)`.
pub(crate) fn apply_mask<'a, T: Real>(
    tile: &mut [T],
    shape: Tile,
    words: impl Fn(usize) -> &'a [u64],
) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for i in 0..shape.rows {
                let row = &mut tile[i * shape.stride..i * shape.stride + shape.cols];
                let (whole, rest) = row.as_chunks_mut::<8>();
                let mut bytes = words(i).iter().flat_map(|w| w.to_le_bytes());
                for (chunk, byte) in whole.iter_mut().zip(bytes.by_ref()) {
                    let bits = &T::BYTE_MASKS[byte as usize];
                    for l in 0..8 {
                        chunk[l] *= bits[l];
                    }
                }
                if let Some(byte) = bytes.next() {
                    for (t, bit) in rest.iter_mut().zip(&T::BYTE_MASKS[byte as usize]) {
                        *t *= *bit;
                    }
                }
            }
        },
    );
}

/// `sink(i, sum over r of bit r of words(i) times tile[i][r] weights[r])` for every row `i`.
pub(crate) fn masked_row_sums<'a, T: Real>(
    tile: &[T],
    shape: Tile,
    weights: &[T],
    words: impl Fn(usize) -> &'a [u64],
    mut sink: impl FnMut(usize, T),
) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let (whole_weights, rest_weights) = weights[..shape.cols].as_chunks::<8>();
            for i in 0..shape.rows {
                let row = &tile[i * shape.stride..i * shape.stride + shape.cols];
                let (whole, rest) = row.as_chunks::<8>();
                let mut lanes = [T::of(0.0); 8];
                let mut bytes = words(i).iter().flat_map(|w| w.to_le_bytes());
                for ((chunk, weight), byte) in whole.iter().zip(whole_weights).zip(bytes.by_ref()) {
                    let bits = &T::BYTE_MASKS[byte as usize];
                    for l in 0..8 {
                        lanes[l] += bits[l] * (chunk[l] * weight[l]);
                    }
                }
                if let Some(byte) = bytes.next() {
                    let bits = &T::BYTE_MASKS[byte as usize];
                    for (l, (t, weight)) in rest.iter().zip(rest_weights).enumerate() {
                        lanes[l] += bits[l] * (*t * *weight);
                    }
                }
                let [a, b, c, d, e, f, g, h] = lanes;
                sink(i, ((a + e) + (b + f)) + ((c + g) + (d + h)));
            }
        },
    );
}

/// `tile[i][r] <- bit r of words(i) times value(i)`.
pub(crate) fn fill_masked<'a, T: Real>(
    tile: &mut [T],
    shape: Tile,
    value: impl Fn(usize) -> T,
    words: impl Fn(usize) -> &'a [u64],
) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for i in 0..shape.rows {
                let u = value(i);
                let row = &mut tile[i * shape.stride..i * shape.stride + shape.cols];
                let (whole, rest) = row.as_chunks_mut::<8>();
                let mut bytes = words(i).iter().flat_map(|w| w.to_le_bytes());
                for (chunk, byte) in whole.iter_mut().zip(bytes.by_ref()) {
                    let bits = &T::BYTE_MASKS[byte as usize];
                    for l in 0..8 {
                        chunk[l] = u * bits[l];
                    }
                }
                if let Some(byte) = bytes.next() {
                    for (t, bit) in rest.iter_mut().zip(&T::BYTE_MASKS[byte as usize]) {
                        *t = u * *bit;
                    }
                }
            }
        },
    );
}
