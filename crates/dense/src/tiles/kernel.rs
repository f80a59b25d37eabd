//! The inner loops, written once for every kind of vector.
#![allow(clippy::inline_always, reason = "must be compiled with their caller's instruction set")]

use super::simd::Vector;
use super::{DEPTH, TALL, groups};
use crate::Real;

/// Two vectors of lanes.
pub(super) type Panel<V> = [V; 2];

/// The operands of one strip and one panel.
#[derive(Debug)]
pub struct Strip<'a, T, V> {
    /// Packed as [`inner`](super::pack::inner) does, S x P.
    pub(super) inner: &'a [T],
    /// Packed as [`outer`](super::pack::outer) does, S x C.
    pub(super) outer: &'a [T],
    /// P.
    pub(super) lanes: &'a [Panel<V>],
    /// The strip, S.
    pub(super) products: &'a mut [Panel<V>],
    /// C.
    pub(super) sums: &'a mut [Panel<V>],
}

/// Calls `$body` with `$rows` as a constant.
macro_rules! with_rows {
    ($rows:expr, $R:ident => $body:expr) => {
        match $rows {
            1 => {
                const $R: usize = 1;
                $body
            }
            2 => {
                const $R: usize = 2;
                $body
            }
            3 => {
                const $R: usize = 3;
                $body
            }
            4 => {
                const $R: usize = 4;
                $body
            }
            5 => {
                const $R: usize = 5;
                $body
            }
            _ => {
                const $R: usize = TALL;
                $body
            }
        }
    };
}

/// `sums <- sums +` the masked product, where bit `shift + l` of `words_s` is the mask of lane `l`.
#[inline(always)]
pub(super) fn masked<T: Real, V: Vector<T>>(of: Strip<'_, T, V>, words: &[u64], shift: usize) {
    let Strip { inner, outer, lanes, products: strip, sums } = of;
    let words = &words[..strip.len()];
    fill(
        strip,
        inner,
        lanes,
        #[inline(always)]
        |s, [a, b]: Panel<V>| {
            let bits = words[s] >> shift;
            [a.keep(bits), b.keep(bits >> V::LANES)]
        },
    );
    add(sums, outer, strip);
}

/// Fills the strip with plain products, and ors `[product > 0]` to `words`, from bit `shift` on.
#[inline(always)]
pub(super) fn plain<T: Real, V: Vector<T>>(
    strip: &mut [Panel<V>],
    inner: &[T],
    lanes: &[Panel<V>],
    words: &mut [u64],
    shift: usize,
) {
    fill(
        strip,
        inner,
        lanes,
        #[inline(always)]
        |_, product| product,
    );
    for (word, [a, b]) in words.iter_mut().zip(strip) {
        *word |= (a.positive() | b.positive() << V::LANES) << shift;
    }
}

/// `sums <- sums +` the product whose strip is `relu(before + delta) - relu(before)`; ors
/// `[before + delta > 0]` to `words`, from bit `shift` on.
#[inline(always)]
pub(super) fn rectified<T: Real, V: Vector<T>>(
    of: Strip<'_, T, V>,
    before: &[Panel<V>],
    words: &mut [u64],
    shift: usize,
) {
    let Strip { inner, outer, lanes, products: strip, sums } = of;
    fill(
        strip,
        inner,
        lanes,
        #[inline(always)]
        |_, product| product,
    );
    for ((word, delta), before) in words.iter_mut().zip(&mut *strip).zip(before) {
        let ((a, bits_a), (b, bits_b)) = (before[0].rectify(delta[0]), before[1].rectify(delta[1]));
        *delta = [a, b];
        *word |= (bits_a | bits_b << V::LANES) << shift;
    }
    add(sums, outer, strip);
}

/// `strip_s <- finish(s, sum over p of inner_sp lanes_p)`.
#[inline(always)]
fn fill<T: Real, V: Vector<T>>(
    strip: &mut [Panel<V>],
    mut inner: &[T],
    lanes: &[Panel<V>],
    finish: impl Fn(usize, Panel<V>) -> Panel<V>,
) {
    let count = lanes.len().div_ceil(DEPTH);
    for (piece, lanes) in lanes.chunks(DEPTH).enumerate() {
        let (first, last) = (piece == 0, piece + 1 == count);
        for group in groups(strip.len()) {
            let from = group.start;
            let (a, rest) = inner.split_at(group.len() * lanes.len());
            inner = rest;
            let target = &mut strip[group];
            with_rows!(target.len(), R => {
                let target: &mut [Panel<V>; R] = target.try_into().expect("R rows");
                let start = if first { [[V::zero(); 2]; R] } else { *target };
                let mut sums = multiply(start, a.as_chunks::<R>().0, lanes);
                if last {
                    for (r, sum) in sums.iter_mut().enumerate() {
                        *sum = finish(from + r, *sum);
                    }
                }
                *target = sums;
            });
        }
    }
}

/// `sums_c <- sums_c + sum over s of outer_sc strip_s`.
#[inline(always)]
fn add<T: Real, V: Vector<T>>(sums: &mut [Panel<V>], mut outer: &[T], strip: &[Panel<V>]) {
    for group in groups(sums.len()) {
        let (a, rest) = outer.split_at(group.len() * strip.len());
        outer = rest;
        let target = &mut sums[group];
        with_rows!(target.len(), R => {
            let target: &mut [Panel<V>; R] = target.try_into().expect("R rows");
            *target = multiply(*target, a.as_chunks::<R>().0, strip);
        });
    }
}

/// `sums_r + sum over p of a_pr b_p`.
#[inline(always)]
fn multiply<T: Real, V: Vector<T>, const R: usize>(
    mut sums: [Panel<V>; R],
    a: &[[T; R]],
    b: &[Panel<V>],
) -> [Panel<V>; R] {
    for (a, b) in a.iter().zip(b) {
        for r in 0..R {
            let a = V::splat(a[r]);
            for h in 0..2 {
                sums[r][h] = sums[r][h].fma(a, b[h]);
            }
        }
    }
    sums
}
