//! The mask after a change of the weights, from products in single precision, or 16 bits, and few exact ones.
//!
//! By Cauchy and Schwarz `|u_r . x_i| <= |u_r| |x_i|`: where the product with the old direction is farther
//! from zero than that, the new one has its sign, whatever the change is. A sweep in single precision or 16 bits, with
//! its rounding added to that radius, finds those entries; the others, few where the change is small beside
//! the weights, are computed. Where they are not few, a second sweep over the new weights tells nearly all
//! signs, and only those that differ from the old ones, or are within rounding of zero, are computed. Where even
//! those that differ are many, the signs alone are what is told.

mod lengths;
mod simd;
mod whole;

use core::ops::Range;

use faer::{MatMut, MatRef, Par};

use self::lengths::{Lengths, Shares, radii, unit_row, unit_rows};
use crate::classes::are_few_classes;
use crate::error::check_shape;
use crate::parallel::for_each_part;
use crate::rows::by_row;
use crate::tiles::{self, Rectified};
use crate::{DenseError, PackedMask};

/// Rows of a task, and bytes of weights that all of them meet before the next: half of a second-level cache.
const ROWS: usize = 512;
const WEIGHTS: usize = 1 << 18;

/// Largest fraction of entries within the reach of the change for which they are computed one by one.
const NEAR: f64 = 1.0 / 32.0;

/// Largest fraction of entries that cross zero for which they are computed one by one.
const CROSSED: f64 = 1.0 / 64.0;

/// Signs of products before and after a change of the weights: `[z0 > 0]` of `z0 = X W_0^T`, n x p, and `[z > 0]` of
/// `z = z0 + X U^T`, n x m.
#[derive(Clone, Debug, PartialEq)]
pub enum Screened {
    /// Few entries crossed zero.
    Few(Crossings),
    /// More did: what the signs are now, and in how many entries of each row they differ, n.
    Many(PackedMask, Vec<u32>),
}

/// Signs before a change of the weights, and the entries in which they differ after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossings {
    /// `[z0 > 0]`, n x p.
    base: PackedMask,
    /// Copies of each direction.
    copies: usize,
    /// Entries in which `[z > 0]`, n x m, differs.
    found: Vec<Crossing>,
}

/// An entry whose sign has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Crossing {
    row: u32,
    column: u32,
    /// `z` there.
    now: f64,
}

/// The signs of `z0 = X W_0^T` and of `z = z0 + X U^T`.
///
/// The same mask as [`rectified_apply`](crate::rectified_apply) gives, to the rounding of `z`, in a sweep of
/// `2 n p d` flops in single precision (or, with AVX-512 VNNI, in 16 bits) and `2 d` for each entry of small `z0`, or where
/// those are many in one of `2 n (m + p) d`. `None` where that would not be the cheaper way to its sums, or not as accurate: where
/// many entries crossed zero and there are several outputs without few rows of output weights (see [`are_few_classes`]), or rows
/// of `U` are shorter than a 64th of those of `W_0` on average. `None`, too, where an operand is not finite or has rows
/// shorter than 1e-304 that are not zero, and where `p` is not a multiple of 64.
///
/// # Errors
/// [`DenseError::Shape`] if the operands do not fit together.
pub fn screened_signs(of: Rectified<'_, f64>, par: Par) -> Result<Option<Screened>, DenseError> {
    let (copies, d) = (of.check()?, of.x.ncols());
    let tables = || are_few_classes(of.signs);
    Ok(by_row(of.x, |x| {
        by_row(of.directions, |w| {
            by_row(of.change, |u| Layer { x, w, u, d, copies }.screened(tables, par))
        })
    }))
}

impl Crossings {
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
        for crossing in &self.found {
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
        self.found.iter().for_each(|crossing| counts[crossing.row as usize] += 1);
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
        for &Crossing { row, column, now } in &self.found {
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

impl Layer<'_> {
    /// The signs, whichever way is the cheapest; `tables` tells whether sums over many crossings are cheap with no other help.
    fn screened(self, tables: impl FnOnce() -> bool, par: Par) -> Option<Screened> {
        let Self { x, w, u, d, .. } = self;
        if x.is_empty() || w.is_empty() || u.is_empty() || !(w.len() / d).is_multiple_of(64) {
            return None;
        }
        let lengths = self.lengths();
        if !lengths.are_plain() {
            return None;
        }
        let Shares { near, crossed } = self.shares(&lengths);
        let many = near > NEAR && crossed > CROSSED;
        if many && !(lengths.change_is_large() && tables()) {
            return None;
        }
        let unit = &unit_rows(x, &lengths.x, d);
        if near <= NEAR {
            return Some(Screened::Few(self.within_reach(unit, &lengths, par)));
        }
        let base = self.signs(Time::Before, unit, &lengths, par);
        if !many {
            return Some(Screened::Few(self.crossings(base, unit, &lengths, par)));
        }
        let now = self.signs(Time::Now, unit, &lengths, par);
        let differ = |i: usize| -> u32 {
            let base = base.row(i).iter().cycle();
            now.row(i).iter().zip(base).map(|(now, base)| (now ^ base).count_ones()).sum()
        };
        let counts = (0..now.nrows()).map(differ).collect();
        Some(Screened::Many(now, counts))
    }

    /// One sweep over the directions, and products with those that the change may have turned.
    fn within_reach(self, unit: &[f32], lengths: &Lengths, par: Par) -> Crossings {
        let radius = radii(&lengths.radius, &lengths.before, self.d);
        let [mut base, near] = self.screen(unit, &radius, self.units(Time::Before, lengths), par);
        let found = self.by_row(&mut base, lengths, par, |crossings, base, row, words| {
            simd::settle(crossings, base, near.row(row.i), row, words);
        });
        Crossings { base, copies: self.copies, found }
    }

    /// A sweep over the weights after the change, and products with those whose signs differ.
    fn crossings(
        self,
        mut base: PackedMask,
        unit: &[f32],
        lengths: &Lengths,
        par: Par,
    ) -> Crossings {
        let [now, unsure] = self.sweep(Time::Now, unit, lengths, par);
        let per_row = base.words_per_row();
        let found = self.by_row(&mut base, lengths, par, |crossings, base, row, words| {
            for from in (0..now.words_per_row()).step_by(per_row) {
                let words = from + words.start..from + words.end;
                simd::cross(crossings, base, [now.row(row.i), unsure.row(row.i)], row, words);
            }
        });
        Crossings { base, copies: self.copies, found }
    }

    /// Signs before or after the change: by a sweep, and one by one where that cannot tell.
    fn signs(self, at: Time, unit: &[f32], lengths: &Lengths, par: Par) -> PackedMask {
        let [mut signs, unsure] = self.sweep(at, unit, lengths, par);
        self.by_row(&mut signs, lengths, par, |_, signs, row, words| {
            simd::decide(signs, unsure.row(row.i), row, at, words);
        });
        signs
    }

    /// Signs that a sweep tells, and those that it does not.
    fn sweep(self, at: Time, unit: &[f32], lengths: &Lengths, par: Par) -> [PackedMask; 2] {
        let (of, p) = (at.of(lengths), lengths.before.len());
        // What the two products with a weight after the change round off, should they cancel.
        let rounding = 4.0 * (self.d + 4) as f64 * f64::EPSILON;
        let reach = |r: usize| match at {
            Time::Before => 0.0,
            Time::Now => rounding * (lengths.before[r % p] + lengths.reach[r]),
        };
        let reach: Vec<f64> = (0..of.len()).map(reach).collect();
        self.screen(unit, &radii(&reach, of, self.d), self.units(at, lengths), par)
    }

    /// Entries above the radius of their column, and those within it.
    fn screen(
        self,
        unit: &[f32],
        radius: &[f32],
        row: impl Fn(usize, &mut [f32]) + Send + Sync,
        par: Par,
    ) -> [PackedMask; 2] {
        if whole::suits(self.d) {
            return whole::screen((unit, self.d), radius, row, par);
        }
        let unit = MatRef::from_row_major_slice(unit, unit.len() / self.d, self.d);
        tiles::screen(unit, radius, row, par)
    }

    /// Rows of weights, of length 1.
    fn units(self, at: Time, lengths: &Lengths) -> impl Fn(usize, &mut [f32]) + Send + Sync {
        move |r, out| match at {
            Time::Before => unit_row(out, self.before(r).iter().copied(), lengths.before[r]),
            Time::Now => unit_row(out, self.now(r), lengths.now[r]),
        }
    }

    /// `body` on the bits of every row, some words at a time: all rows of a task meet the weights of these before the next.
    /// Returns what was found.
    fn by_row(
        self,
        mask: &mut PackedMask,
        lengths: &Lengths,
        par: Par,
        body: impl Fn(&mut Vec<Crossing>, &mut [u64], Row<'_>, Range<usize>) + Sync + Send,
    ) -> Vec<Crossing> {
        let words_per_row = mask.words_per_row();
        let rows = mask.words_mut().chunks_mut(ROWS * words_per_row);
        let mut tasks: Vec<(&mut [u64], Vec<Crossing>)> =
            rows.map(|rows| (rows, Vec::new())).collect();
        // Weights before and after.
        let block = (WEIGHTS / (2 * size_of::<f64>() * self.d * 64)).max(1);
        for_each_part(&mut tasks, 1, par, |task, found| {
            let (rows, found) = &mut found[0];
            for from in (0..words_per_row).step_by(block) {
                let words = from..words_per_row.min(from + block);
                for (at, bits) in rows.chunks_exact_mut(words_per_row).enumerate() {
                    let row = Row { layer: self, lengths, i: task * ROWS + at };
                    // Zeros meet every neuron at its kink.
                    if lengths.x[row.i] > 0.0 {
                        body(found, bits, row, words.clone());
                    }
                }
            }
        });
        tasks.into_iter().flat_map(|(_, found)| found).collect()
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
}

/// One row of entries to settle.
#[derive(Clone, Copy)]
struct Row<'a> {
    layer: Layer<'a>,
    lengths: &'a Lengths,
    i: usize,
}

/// Before the change of the weights, or after it.
#[derive(Clone, Copy, Debug)]
enum Time {
    Before,
    Now,
}

impl Time {
    /// Lengths of the weights.
    fn of(self, lengths: &Lengths) -> &[f64] {
        match self {
            Self::Before => &lengths.before,
            Self::Now => &lengths.now,
        }
    }
}
