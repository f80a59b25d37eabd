//! The inner loops, for one list of entries.
//!
//! Plain loops over arrays of fixed length, which the compiler turns into vectors of whatever
//! instruction set the dispatch finds; every set adds in the same order, so all give the same bits.
//! Four entries go together: their sums do not wait for one another.

use super::Flip;
use crate::Real;
use crate::rows::{add_scaled, dot};

/// Entries that go together.
const FOUR: usize = 4;

/// Numbers of a chunk.
const LANES: usize = 8;

/// `sums_k <- sums_k + sum over flips (r, s) of s a_rk (x . v_r)`.
///
/// `x : d`; `v : m x d` and `signs = a : m x K` row-major, `sums : K`.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
pub(super) fn dots<T: Real>(sums: &mut [T], x: &[T], v: &[T], signs: &[T], flips: &[Flip]) {
    let (d, k) = (x.len(), sums.len());
    if d < LANES {
        for flip in flips {
            let r = flip.at as usize;
            let term = sign::<T>(*flip) * dot(x, &v[r * d..][..d]);
            sums.iter_mut().zip(&signs[r * k..][..k]).for_each(|(sum, &a)| *sum += a * term);
        }
        return;
    }
    let (whole, rest) = x.as_chunks::<LANES>();
    // What is left of x, as the end of a chunk that overlaps the last whole one.
    let mut tail = [T::of(0.0); LANES];
    tail[LANES - rest.len()..].copy_from_slice(rest);
    for four in flips.chunks(FOUR) {
        let (at, mut terms) = entries::<T>(four);
        let [a, b, c, e] = at.map(|r| &v[r * d..][..d]);
        let mut found = [[T::of(0.0); LANES]; FOUR];
        let rows = a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0);
        let rows = rows.zip(c.as_chunks::<LANES>().0).zip(e.as_chunks::<LANES>().0);
        for (x, (((a, b), c), e)) in whole.iter().zip(rows) {
            for l in 0..LANES {
                found[0][l] += x[l] * a[l];
                found[1][l] += x[l] * b[l];
                found[2][l] += x[l] * c[l];
                found[3][l] += x[l] * e[l];
            }
        }
        for (found, row) in found.iter_mut().zip([a, b, c, e]) {
            let row = row.last_chunk::<LANES>().expect("a chunk or more");
            for l in 0..LANES {
                found[l] += tail[l] * row[l];
            }
        }
        // Through memory: compilers else sum in an order that suits what follows, not the loop above.
        for (term, [s, t, u, v, w, x, y, z]) in terms.iter_mut().zip(std::hint::black_box(found)) {
            *term *= ((s + w) + (t + x)) + ((u + y) + (v + z));
        }
        let [a, b, c, e] = at.map(|r| &signs[r * k..][..k]);
        for ((((sum, &a), &b), &c), &e) in sums.iter_mut().zip(a).zip(b).zip(c).zip(e) {
            *sum += (a * terms[0] + b * terms[1]) + (c * terms[2] + e * terms[3]);
        }
    }
}

/// `sums <- sums + sum over flips (i, s) of s (sum over k of a_k u_ik) x_i`.
///
/// `signs = a : K`; `u : n x K` and `x : n x d` row-major, `sums : d`.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
pub(super) fn rows<T: Real>(sums: &mut [T], signs: &[T], u: &[T], x: &[T], flips: &[Flip]) {
    let (d, k) = (sums.len(), signs.len());
    if d < LANES {
        for flip in flips {
            let i = flip.at as usize;
            let weight = sign::<T>(*flip) * dot(signs, &u[i * k..][..k]);
            add_scaled(sums, weight, &x[i * d..][..d]);
        }
        return;
    }
    let rest = d % LANES;
    for four in flips.chunks(FOUR) {
        let (at, mut weights) = entries::<T>(four);
        for (weight, i) in weights.iter_mut().zip(at) {
            *weight *= dot(signs, &u[i * k..][..k]);
        }
        let [a, b, c, e] = at.map(|i| &x[i * d..][..d]);
        let rows = a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0);
        let rows = rows.zip(c.as_chunks::<LANES>().0).zip(e.as_chunks::<LANES>().0);
        for (sum, (((a, b), c), e)) in sums.as_chunks_mut::<LANES>().0.iter_mut().zip(rows) {
            for l in 0..LANES {
                sum[l] += (weights[0] * a[l] + weights[1] * b[l])
                    + (weights[2] * c[l] + weights[3] * e[l]);
            }
        }
        let rows = a[d - rest..].iter().zip(&b[d - rest..]);
        let rows = rows.zip(&c[d - rest..]).zip(&e[d - rest..]);
        for (sum, (((a, b), c), e)) in sums[d - rest..].iter_mut().zip(rows) {
            *sum += (weights[0] * *a + weights[1] * *b) + (weights[2] * *c + weights[3] * *e);
        }
    }
}

/// Where up to four entries are, and their signs; those that are missing are the first with 0 for a sign.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn entries<T: Real>(four: &[Flip]) -> ([usize; FOUR], [T; FOUR]) {
    let (mut at, mut signs) = ([four[0].at as usize; FOUR], [T::of(0.0); FOUR]);
    for (j, flip) in four.iter().enumerate() {
        (at[j], signs[j]) = (flip.at as usize, sign::<T>(*flip));
    }
    (at, signs)
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn sign<T: Real>(flip: Flip) -> T {
    // A look-up: which way an entry flipped is a coin toss to a branch predictor.
    [T::of(-1.0), T::of(1.0)][usize::from(flip.on)]
}
