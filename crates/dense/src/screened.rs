//! The mask after a change of the weights, from products in single precision and few exact ones.
//!
//! By Cauchy and Schwarz `|u_r . x_i| <= |u_r| |x_i|`: where the product with the old direction is farther
//! from zero than that, the new one has its sign, whatever the change is. A sweep in single precision, with
//! its rounding added to that radius, finds those entries; the others, few where the change is small beside
//! the weights, are computed. Where they are not few, a second sweep over the new weights tells nearly all
//! signs, and only those that differ from the old ones, or are within rounding of zero, are computed.

mod simd;

use faer::{MatMut, MatRef, Par};

use crate::error::check_shape;
use crate::parallel::for_each_part;
use crate::rows::{by_row, dot};
use crate::tiles::{Rectified, screen};
use crate::{DenseError, PackedMask};

/// Rows of a task, and bytes of weights that all of them meet before the next: half of a second-level cache.
const ROWS: usize = 512;
const WEIGHTS: usize = 1 << 18;

/// Rows that tell how many entries will have to be computed.
const SAMPLE: usize = 8;

/// Largest fraction of entries within the reach of the change for which they are computed one by one.
const NEAR: f64 = 1.0 / 32.0;

/// Largest fraction of entries that cross zero for which they are computed one by one.
const CROSSED: f64 = 1.0 / 64.0;

/// Signs of products before and after a change of the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Screened {
    /// `[z0 > 0]`, n x p.
    base: PackedMask,
    /// Copies of each direction.
    copies: usize,
    /// Entries in which `[z > 0]`, n x m, differs.
    crossings: Vec<Crossing>,
}

/// An entry whose sign has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Crossing {
    row: u32,
    column: u32,
    /// `z` there.
    now: f64,
}

/// `[z0 > 0]` with `z0 = X W_0^T`, and where the signs of `z = z0 + X U^T` differ from it.
///
/// The same mask as [`rectified_apply`](crate::rectified_apply) gives, to the rounding of `z`, in a sweep of
/// `2 n p d` flops in single precision and `2 d` for each entry of small `z0`, or where those are many in one
/// of `2 n (m + p) d`. `None` where too many entries crossed zero for that to be the cheaper way, where an
/// operand is not finite, and where `p` is not a multiple of 64.
///
/// # Errors
/// [`DenseError::Shape`] if the operands do not fit together.
pub fn screened_signs(of: Rectified<'_, f64>, par: Par) -> Result<Option<Screened>, DenseError> {
    let (copies, d) = (of.check()?, of.x.ncols());
    Ok(by_row(of.x, |x| {
        by_row(of.directions, |w| by_row(of.change, |u| Layer { x, w, u, d, copies }.screened(par)))
    }))
}

impl Screened {
    /// `[z0 > 0]`, n x p.
    #[must_use]
    pub fn base(&self) -> &PackedMask {
        &self.base
    }

    /// `[z > 0]`, n x m.
    #[must_use]
    pub fn mask(&self) -> PackedMask {
        let (n, p) = (self.base.nrows(), self.base.width());
        let mut mask = PackedMask::zeros(n, p * self.copies);
        let words_per_row = mask.words_per_row().max(1);
        for (i, row) in mask.words_mut().chunks_exact_mut(words_per_row).enumerate() {
            for copy in 0..self.copies {
                for (at, &word) in self.base.row(i).iter().enumerate() {
                    PackedMask::or_bits(row, copy * p + 64 * at, word);
                }
            }
        }
        for crossing in &self.crossings {
            let column = crossing.column as usize;
            let word = crossing.row as usize * words_per_row + column / 64;
            mask.words_mut()[word] ^= 1 << (column % 64);
        }
        mask
    }

    /// Entries of each row in which the masks differ, n.
    #[must_use]
    pub fn counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.base.nrows()];
        self.crossings.iter().for_each(|crossing| counts[crossing.row as usize] += 1);
        counts
    }

    /// `y_ik <- y_ik + alpha sum over r of a_rk |z_ir|`, over the entries that crossed zero: what `relu(z) -
    /// relu(z0)` has there beyond the product of `[z0 > 0]` with the change, with `y : n x K` and
    /// `signs = a : m x K`. Takes `2 K` flops an entry.
    ///
    /// # Errors
    /// [`DenseError::Shape`] if the operands do not fit together.
    pub fn add_crossings(
        &self,
        mut y: MatMut<'_, f64>,
        signs: MatRef<'_, f64>,
        alpha: f64,
    ) -> Result<(), DenseError> {
        let (n, m, k) = (self.base.nrows(), self.base.width() * self.copies, signs.ncols());
        check_shape("output", (y.nrows(), y.ncols()), (n, k))?;
        check_shape("output weights", (signs.nrows(), k), (m, k))?;
        for &Crossing { row, column, now } in &self.crossings {
            let size = alpha * now.abs();
            let signs = signs.row(column as usize);
            y.as_mut()
                .row_mut(row as usize)
                .iter_mut()
                .zip(signs.iter())
                .for_each(|(y, a)| *y += a * size);
        }
        Ok(())
    }
}

/// The operands, row-major.
#[derive(Clone, Copy)]
struct Layer<'a> {
    /// n x d.
    x: &'a [f64],
    /// p x d.
    w: &'a [f64],
    /// m x d.
    u: &'a [f64],
    d: usize,
    copies: usize,
}

/// Lengths that decide which entries may have crossed zero.
struct Lengths {
    /// `|x_i|`, n.
    x: Vec<f64>,
    /// `|w_q|` before the change, p.
    before: Vec<f64>,
    /// `|w_r|` after the change, m.
    now: Vec<f64>,
    /// A bound on `|u_r|`, m.
    reach: Vec<f64>,
    /// The largest of them among the copies of a direction, p.
    radius: Vec<f64>,
}

impl Layer<'_> {
    fn screened(self, par: Par) -> Option<Screened> {
        let Self { x, w, d, copies, .. } = self;
        if x.is_empty() || w.is_empty() || !(w.len() / d).is_multiple_of(64) {
            return None;
        }
        let lengths = self.lengths();
        let all = [&lengths.x, &lengths.before, &lengths.now, &lengths.radius];
        if all.into_iter().flatten().any(|length| !length.is_finite()) {
            return None;
        }
        let Shares { near, crossed } = self.shares(&lengths);
        let one_sweep = near <= NEAR;
        if !one_sweep && crossed > CROSSED {
            return None;
        }

        let unit = unit_rows(x, &lengths.x, d);
        let unit = MatRef::from_row_major_slice(&unit, lengths.x.len(), d);
        let still = vec![0.0; lengths.radius.len()];
        let reach = if one_sweep { &lengths.radius } else { &still };
        let before = |q: usize, out: &mut [f32]| {
            unit_row(out, self.before(q).iter().copied(), lengths.before[q]);
        };
        let [mut base, near] = screen(unit, &radii(reach, &lengths.before, d), before, par);
        let now = (!one_sweep).then(|| {
            let still = vec![0.0; lengths.now.len()];
            let now = |r: usize, out: &mut [f32]| unit_row(out, self.now(r), lengths.now[r]);
            screen(unit, &radii(&still, &lengths.now, d), now, par)
        });

        let words_per_row = base.words_per_row();
        let rows = base.words_mut().chunks_mut(ROWS * words_per_row);
        let mut tasks: Vec<(&mut [u64], Vec<Crossing>)> =
            rows.map(|rows| (rows, Vec::new())).collect();
        // Words whose weights, before and after, all rows of a task meet before the next.
        let block = (WEIGHTS / (2 * size_of::<f64>() * d * 64)).max(1);
        for_each_part(&mut tasks, 1, par, |task, found| {
            let (rows, crossings) = &mut found[0];
            // Zeros meet every neuron at its kink.
            let rows = rows.chunks_exact_mut(words_per_row).enumerate();
            let mut rows: Vec<(usize, &mut [u64])> = rows
                .map(|(at, base)| (task * ROWS + at, base))
                .filter(|&(i, _)| lengths.x[i] > 0.0)
                .collect();
            let row = |i: usize| Row { layer: self, lengths: &lengths, i };
            for from in (0..words_per_row).step_by(block) {
                let words = from..words_per_row.min(from + block);
                for (i, base) in &mut rows {
                    let row = if one_sweep { row(*i) } else { row(*i).without_copies() };
                    simd::settle(crossings, base, near.row(*i), row, words.clone());
                }
            }
            let Some([now, unsure]) = &now else { return };
            for from in (0..now.words_per_row()).step_by(block) {
                let words = from..now.words_per_row().min(from + block);
                for (i, base) in &rows {
                    let bits = [now.row(*i), unsure.row(*i)];
                    simd::cross(crossings, base, bits, row(*i), words.clone());
                }
            }
        });
        let crossings = tasks.into_iter().flat_map(|(_, crossings)| crossings).collect();
        Some(Screened { base, copies, crossings })
    }

    /// Row `q` of the directions.
    fn before(&self, q: usize) -> &[f64] {
        &self.w[q * self.d..][..self.d]
    }

    /// Row `r` of the weights after the change.
    fn now(&self, r: usize) -> impl Iterator<Item = f64> {
        let before = self.before(r % (self.w.len() / self.d));
        before.iter().zip(&self.u[r * self.d..]).map(|(w, u)| w + u)
    }

    fn lengths(self) -> Lengths {
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
    fn shares(self, lengths: &Lengths) -> Shares {
        let Self { x, w, u, d, copies } = self;
        let (n, p) = (lengths.x.len(), lengths.before.len());
        let sample = SAMPLE.min(n);
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
                crossed += (0..copies).filter(|&copy| (now(copy) > 0.0) != (before > 0.0)).count();
            }
        }
        let entries = (sample * p).max(1) as f64;
        Shares {
            near: f64::from(near) / entries,
            crossed: crossed as f64 / (entries * copies as f64),
        }
    }
}

/// Fractions of the entries that are within their radius, and that have crossed zero.
struct Shares {
    near: f64,
    crossed: f64,
}

/// One row of entries to settle.
#[derive(Clone, Copy)]
struct Row<'a> {
    layer: Layer<'a>,
    lengths: &'a Lengths,
    i: usize,
}

impl Row<'_> {
    /// The same for the directions alone.
    fn without_copies(self) -> Self {
        Self { layer: Layer { copies: 0, ..self.layer }, ..self }
    }
}

/// The radius of each column for rows of length 1, where the columns' own lengths are given: what the change
/// can reach, and what single precision rounds off.
fn radii(reach: &[f64], lengths: &[f64], d: usize) -> Vec<f32> {
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
    let square: f64 = a.iter().map(|a| a * a).sum();
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
fn unit_row(out: &mut [f32], row: impl Iterator<Item = f64>, length: f64) {
    let length = if length > 0.0 { length } else { 1.0 };
    out.iter_mut().zip(row).for_each(|(out, a)| *out = (a / length) as f32);
}

/// [`unit_row`] of every row.
fn unit_rows(a: &[f64], lengths: &[f64], d: usize) -> Vec<f32> {
    let mut unit = vec![0.0; a.len()];
    let rows = unit.chunks_exact_mut(d).zip(a.chunks_exact(d)).zip(lengths);
    rows.for_each(|((out, row), &length)| unit_row(out, row.iter().copied(), length));
    unit
}
