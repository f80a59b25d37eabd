//! Inner loops on packed masks, compiled for several instruction sets and chosen at run time.
//!
//! Each body is a plain loop over fixed-width lanes that the wrappers compile with wider
//! instructions; only the AVX-512 popcount, which the compiler does not find by itself, is written
//! in intrinsics. Counts are integers and Rust does not contract `a * b + c`, so every path gives
//! the same bits.
#![allow(unsafe_code)]

use crate::Real;

/// Rows and columns of the register tile of [`count_common`].
const REG: usize = 4;

/// `counts[j stride + i] += popcount(left(i) & right(j))` for `i < left.0`, `j < right.0`.
///
/// All rows of words must have one length.
pub(crate) fn count_common<'a>(
    counts: &mut [u32],
    stride: usize,
    left: &(usize, impl Fn(usize) -> &'a [u64]),
    right: &(usize, impl Fn(usize) -> &'a [u64]),
) {
    let kernel = popcount_kernel();
    for j0 in (0..right.0).step_by(REG) {
        // Rows past the edge repeat the last one; their counts are dropped.
        let b: [&[u64]; REG] = std::array::from_fn(|j| (right.1)((j0 + j).min(right.0 - 1)));
        for i0 in (0..left.0).step_by(REG) {
            let a: [&[u64]; REG] = std::array::from_fn(|i| (left.1)((i0 + i).min(left.0 - 1)));
            let common = kernel(&a, &b);
            for j in 0..REG.min(right.0 - j0) {
                for i in 0..REG.min(left.0 - i0) {
                    counts[(j0 + j) * stride + i0 + i] += common[i][j] as u32;
                }
            }
        }
    }
}

type Popcount = fn(&[&[u64]; REG], &[&[u64]; REG]) -> [[u64; REG]; REG];

fn popcount_kernel() -> Popcount {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512vpopcntdq")
        {
            // SAFETY: the CPU has the features that the function is compiled for.
            return |a, b| unsafe { popcount_avx512(a, b) };
        }
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("popcnt") {
            // SAFETY: the CPU has the features that the function is compiled for.
            return |a, b| unsafe { popcount_avx2(a, b) };
        }
    }
    popcount_body
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn popcount_avx512(a: &[&[u64]; REG], b: &[&[u64]; REG]) -> [[u64; REG]; REG] {
    use std::arch::x86_64::{
        __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_maskz_loadu_epi64, _mm512_popcnt_epi64,
        _mm512_reduce_add_epi64, _mm512_setzero_si512,
    };
    let len = a.iter().chain(b).map(|row| row.len()).min().unwrap_or(0);
    let mut sums = [[_mm512_setzero_si512(); REG]; REG];
    for w in (0..len).step_by(8) {
        let lanes = if len - w >= 8 { 0xff } else { (1u8 << (len - w)) - 1 };
        let load = |row: &[u64]| -> __m512i {
            // SAFETY: only the lanes below `row.len() - w` are read, and `len <= row.len()`.
            unsafe { _mm512_maskz_loadu_epi64(lanes, row.as_ptr().add(w).cast()) }
        };
        let x = [load(a[0]), load(a[1]), load(a[2]), load(a[3])];
        for j in 0..REG {
            let y = load(b[j]);
            for i in 0..REG {
                let common = _mm512_popcnt_epi64(_mm512_and_si512(x[i], y));
                sums[i][j] = _mm512_add_epi64(sums[i][j], common);
            }
        }
    }
    sums.map(|row| row.map(|sum| _mm512_reduce_add_epi64(sum) as u64))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn popcount_avx2(a: &[&[u64]; REG], b: &[&[u64]; REG]) -> [[u64; REG]; REG] {
    popcount_body(a, b)
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn popcount_body(a: &[&[u64]; REG], b: &[&[u64]; REG]) -> [[u64; REG]; REG] {
    const LANES: usize = 8;
    let len = a[0].len();
    let whole = len / LANES * LANES;
    let mut lanes = [[[0u64; LANES]; REG]; REG];
    let (mut x, mut y) = ([[0u64; LANES]; REG], [[0u64; LANES]; REG]);
    for w in (0..len).step_by(LANES) {
        for i in 0..REG {
            if w < whole {
                x[i].copy_from_slice(&a[i][w..w + LANES]);
                y[i].copy_from_slice(&b[i][w..w + LANES]);
            } else {
                x[i] = [0; LANES];
                x[i][..len - w].copy_from_slice(&a[i][w..len]);
                y[i] = [0; LANES];
                y[i][..len - w].copy_from_slice(&b[i][w..len]);
            }
        }
        for i in 0..REG {
            for j in 0..REG {
                for l in 0..LANES {
                    lanes[i][j][l] += u64::from((x[i][l] & y[j][l]).count_ones());
                }
            }
        }
    }
    lanes.map(|row| row.map(|lane| lane.iter().sum()))
}

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
