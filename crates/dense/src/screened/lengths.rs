//! Lengths of rows, and what they bound.

use super::Layer;
use crate::rows::dot;

/// Rows, and copies of each direction, that tell how many entries will have to be computed.
const SAMPLE: usize = 8;

/// The shortest row: in shorter ones, numbers that count lose digits.
const SHORTEST: f64 = 1e-304;

/// What rows of the change must be of those before it for products with their sums to be as accurate as with themselves, but
/// for so many times.
const LARGE: f64 = 1.0 / 64.0;

/// Lengths that decide which entries may have crossed zero.
pub(super) struct Lengths {
    /// `|x_i|`, n.
    pub(super) x: Vec<f64>,
    /// `|w_q|` before the change, p.
    pub(super) before: Vec<f64>,
    /// `|w_r|` after the change, m.
    pub(super) now: Vec<f64>,
    /// A bound on `|u_r|`, m.
    pub(super) reach: Vec<f64>,
    /// The largest of them among the copies of a direction, p.
    pub(super) radius: Vec<f64>,
}

impl Lengths {
    /// Whether rows can be divided by them.
    pub(super) fn are_plain(&self) -> bool {
        let Self { x, before, now, reach, .. } = self;
        let plain = |&length: &f64| length == 0.0 || (SHORTEST..f64::INFINITY).contains(&length);
        [x, before, now].into_iter().flatten().all(plain) && reach.iter().all(|r| r.is_finite())
    }

    /// Whether rows of the change are on average no shorter than a part of those before it.
    pub(super) fn change_is_large(&self) -> bool {
        let mean = |lengths: &[f64]| lengths.iter().sum::<f64>() / lengths.len() as f64;
        mean(&self.reach) >= LARGE * mean(&self.before)
    }
}

impl Layer<'_> {
    pub(super) fn lengths(self) -> Lengths {
        let Self { x, w, u, d, .. } = self;
        let lengths = |a: &[f64]| a.chunks_exact(d).map(length).collect::<Vec<_>>();
        // The product with it is rounded, too.
        let more = 1.0 + 4.0 * (d + 4) as f64 * f64::EPSILON;
        let reach: Vec<f64> = lengths(u).iter().map(|length| length * more).collect();
        let before = lengths(w);
        let mut radius = vec![0.0; before.len()];
        for reach in reach.chunks_exact(radius.len()) {
            // A number that is none stays.
            let wider = |a: f64, b: f64| if a >= b || a.is_nan() { a } else { b };
            radius.iter_mut().zip(reach).for_each(|(r, &reach)| *r = wider(*r, reach));
        }
        let mut row = vec![0.0; d];
        let now = (0..reach.len()).map(|r| {
            row.iter_mut().zip(self.now(r)).for_each(|(to, from)| *to = from);
            length(&row)
        });
        let now = now.collect();
        Lengths { x: lengths(x), before, now, reach, radius }
    }

    /// What to expect, from a few rows.
    pub(super) fn shares(self, lengths: &Lengths) -> Shares {
        let Self { x, w, u, d, copies } = self;
        let (n, p) = (lengths.x.len(), lengths.before.len());
        let (sample, seen) = (SAMPLE.min(n), SAMPLE.min(copies));
        let (mut near, mut crossed) = (0_u32, 0_usize);
        for i in (0..sample).map(|at| at * n / sample) {
            let x = &x[i * d..][..d];
            for (q, w) in w.chunks_exact(d).enumerate() {
                let before = dot(w, x);
                if before.abs() > lengths.radius[q] * lengths.x[i] {
                    continue;
                }
                near += 1;
                let now = |copy: usize| before + dot(&u[(copy * p + q) * d..][..d], x);
                let some = (0..seen).map(|at| at * copies / seen);
                crossed += some.filter(|&copy| (now(copy) > 0.0) != (before > 0.0)).count();
            }
        }
        let entries = (sample * p).max(1) as f64;
        Shares {
            near: f64::from(near) / entries,
            crossed: crossed as f64 / (entries * seen as f64),
        }
    }
}

/// Fractions of the entries that are within their radius, and that have crossed zero.
pub(super) struct Shares {
    pub(super) near: f64,
    pub(super) crossed: f64,
}

/// The radius of each column for rows of length 1, where the columns' own lengths are given: what the change
/// can reach, and what single precision rounds off.
pub(super) fn radii(reach: &[f64], lengths: &[f64], d: usize) -> Vec<f32> {
    let slack = rounding(d);
    let radius = |(&reach, &length): (&f64, &f64)| {
        // Without a direction every entry is near.
        if length > 0.0 { (reach / length * (1.0 + slack) + slack) as f32 } else { f32::INFINITY }
    };
    reach.iter().zip(lengths).map(radius).collect()
}

/// What a product of two vectors of length 1 and `d` numbers loses in single precision: the rounding of both
/// and of each sum, twice over.
fn rounding(d: usize) -> f64 {
    2.0 * (d + 4) as f64 * f64::from(f32::EPSILON)
}

/// `|a|`, of whatever size the numbers are.
fn length(a: &[f64]) -> f64 {
    let square = dot(a, a);
    if (1e-200..1e200).contains(&square) {
        return square.sqrt();
    }
    let largest = a.iter().fold(0.0, |largest: f64, a| largest.max(a.abs()));
    if largest == 0.0 || square.is_nan() {
        return square;
    }
    largest * a.iter().map(|a| (a / largest) * (a / largest)).sum::<f64>().sqrt()
}

/// A row divided by its length; zeros stay.
pub(super) fn unit_row(out: &mut [f32], row: impl Iterator<Item = f64>, length: f64) {
    // Of numbers whose inverse would leave the range, quotients.
    let inverse = 1.0 / length;
    if inverse.is_normal() {
        out.iter_mut().zip(row).for_each(|(out, a)| *out = (a * inverse) as f32);
    } else {
        let length = if length > 0.0 { length } else { 1.0 };
        out.iter_mut().zip(row).for_each(|(out, a)| *out = (a / length) as f32);
    }
}

/// [`unit_row`] of every row.
pub(super) fn unit_rows(a: &[f64], lengths: &[f64], d: usize) -> Vec<f32> {
    let mut unit = vec![0.0; a.len()];
    let rows = unit.chunks_exact_mut(d).zip(a.chunks_exact(d)).zip(lengths);
    rows.for_each(|((out, row), &length)| unit_row(out, row.iter().copied(), length));
    unit
}
