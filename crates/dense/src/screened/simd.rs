//! The exact products, compiled for several instruction sets and chosen at run time.
#![allow(unsafe_code)]
#![allow(clippy::inline_always, reason = "must be compiled with their caller's instruction set")]

use core::ops::Range;

use super::{Crossing, Row, Time};
use crate::rows::dot;
use crate::simd::dispatched;

dispatched!(
    /// Computes the entries in some words of a row that are near zero: their bits of `base`, and which copies' signs
    /// differ.
    pub(super) fn settle [] (
        crossings: &mut Vec<Crossing>, base: &mut [u64], near: &[u64], row: Row<'_>,
        words: Range<usize>,
    ) = settle_kernel
);
dispatched!(
    /// Computes the entries in some words of a row that are unsure, before the change or after it.
    pub(super) fn decide [] (
        signs: &mut [u64], unsure: &[u64], row: Row<'_>, at: Time, words: Range<usize>,
    ) = decide_kernel
);
dispatched!(
    /// Computes the entries in some words of a row whose bits in `now` differ from `base` or are not sure, and keeps
    /// those that crossed.
    pub(super) fn cross [] (
        crossings: &mut Vec<Crossing>, base: &[u64], now: [&[u64]; 2], row: Row<'_>,
        words: Range<usize>,
    ) = cross_kernel
);

#[inline(always)]
fn settle_kernel(
    crossings: &mut Vec<Crossing>,
    base: &mut [u64],
    near: &[u64],
    Row { layer, lengths, i }: Row<'_>,
    words: Range<usize>,
) {
    let (d, p) = (layer.d, lengths.before.len());
    let (x, length) = (&layer.x[i * d..][..d], lengths.x[i]);
    for at in words {
        let (base, near) = (&mut base[at], near[at]);
        let mut left = near;
        while left != 0 {
            let bit = left.trailing_zeros();
            left &= left - 1;
            let q = 64 * at + bit as usize;
            let before = dot(&layer.w[q * d..][..d], x);
            let on = before > 0.0;
            *base = *base & !(1 << bit) | u64::from(on) << bit;
            for r in (0..layer.copies).map(|copy| copy * p + q) {
                if before.abs() > lengths.reach[r] * length {
                    continue;
                }
                let now = before + dot(&layer.u[r * d..][..d], x);
                if (now > 0.0) != on {
                    crossings.push(Crossing { row: i as u32, column: r as u32, now });
                }
            }
        }
    }
}

#[inline(always)]
fn decide_kernel(
    signs: &mut [u64],
    unsure: &[u64],
    Row { layer, lengths, i }: Row<'_>,
    at: Time,
    words: Range<usize>,
) {
    let (d, p) = (layer.d, lengths.before.len());
    let x = &layer.x[i * d..][..d];
    for word in words {
        let mut left = unsure[word];
        while left != 0 {
            let bit = left.trailing_zeros();
            left &= left - 1;
            let r = 64 * word + bit as usize;
            let mut z = dot(&layer.w[r % p * d..][..d], x);
            if let Time::Now = at {
                z += dot(&layer.u[r * d..][..d], x);
            }
            signs[word] = signs[word] & !(1 << bit) | u64::from(z > 0.0) << bit;
        }
    }
}

#[inline(always)]
fn cross_kernel(
    crossings: &mut Vec<Crossing>,
    base: &[u64],
    [now, unsure]: [&[u64]; 2],
    Row { layer, lengths, i }: Row<'_>,
    words: Range<usize>,
) {
    let (d, p) = (layer.d, lengths.before.len());
    let x = &layer.x[i * d..][..d];
    for at in words {
        let base = base[at % base.len()];
        let mut left = unsure[at] | (now[at] ^ base);
        while left != 0 {
            let bit = left.trailing_zeros();
            left &= left - 1;
            let r = 64 * at + bit as usize;
            let before = dot(&layer.w[r % p * d..][..d], x);
            let now = before + dot(&layer.u[r * d..][..d], x);
            if (now > 0.0) != (base >> bit & 1 == 1) {
                crossings.push(Crossing { row: i as u32, column: r as u32, now });
            }
        }
    }
}
