//! The inner loops, for one list of entries.
//!
//! Plain loops over arrays of fixed length, which the compiler turns into vectors of whatever
//! instruction set the dispatch finds; every set adds in the same order, so all give the same bits.

use super::Flip;
use crate::Real;
use crate::rows::add_scaled;

/// `sums_k <- sums_k + sum over flips (r, s) of s a_rk (x . v_r)`.
///
/// `x : d`; `v : m x d` and `signs = a : m x K` row-major, `sums : K`.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
pub(super) fn dots<T: Real>(sums: &mut [T], x: &[T], v: &[T], signs: &[T], flips: &[Flip]) {
    let (d, k) = (x.len(), sums.len());
    for flip in flips {
        let r = flip.at as usize;
        let term = sign::<T>(*flip) * dot(x, &v[r * d..][..d]);
        sums.iter_mut().zip(&signs[r * k..][..k]).for_each(|(sum, &a)| *sum += a * term);
    }
}

/// `sums <- sums + sum over flips (i, s) of s (sum over k of a_k u_ik) x_i`.
///
/// `signs = a : K`; `u : n x K` and `x : n x d` row-major, `sums : d`.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
pub(super) fn rows<T: Real>(sums: &mut [T], signs: &[T], u: &[T], x: &[T], flips: &[Flip]) {
    let (d, k) = (sums.len(), signs.len());
    for flip in flips {
        let i = flip.at as usize;
        let weight = sign::<T>(*flip) * dot(signs, &u[i * k..][..k]);
        add_scaled(sums, weight, &x[i * d..][..d]);
    }
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn sign<T: Real>(flip: Flip) -> T {
    // A look-up: which way an entry flipped is a coin toss to a branch predictor.
    [T::of(-1.0), T::of(1.0)][usize::from(flip.on)]
}

/// `a . b`: eight sums side by side, two for what remains.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let ((a, last_a), (b, last_b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [T::of(0.0); 8];
    for (a, b) in a.iter().zip(b) {
        for l in 0..8 {
            sums[l] += a[l] * b[l];
        }
    }
    let ((a, last_a), (b, last_b)) = (last_a.as_chunks::<2>(), last_b.as_chunks::<2>());
    let mut rest = [T::of(0.0); 2];
    for (a, b) in a.iter().zip(b) {
        for l in 0..2 {
            rest[l] += a[l] * b[l];
        }
    }
    let [s, t, u, v, w, x, y, z] = sums;
    let whole = ((s + w) + (t + x)) + ((u + y) + (v + z));
    let part = last_a.iter().zip(last_b).fold(rest[0] + rest[1], |sum, (&a, &b)| sum + a * b);
    whole + part
}
