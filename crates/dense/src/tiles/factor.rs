//! `A = L L^T` block by block, with the tiles that products are made of.
//!
//! A block of columns on the diagonal is factored by the same method with smaller blocks, and column by
//! column at the end. The rows below it are then packed as lanes and solved for where they lie packed,
//! which is also how the product `L_21 L_21^T` reads them: a tile of the matrix that is left is loaded,
//! has that product subtracted in registers, and is stored again.

use std::cmp::Ordering;

use faer::{MatMut, MatRef, Par};

use super::simd::{Task, Vector, eliminate, on_vectors, panels, panels_mut};
use super::{HELD, groups, pack};
use crate::Real;
use crate::parallel::{for_each_col_chunk, for_each_part, for_each_row_chunk};

/// Side of a matrix that is factored column by column.
pub(super) const SMALL: usize = 32;

/// Rows that are packed together: whole panels and whole tiles.
const TOGETHER: usize = 96;

/// Most columns that are eliminated together.
const COLUMNS: usize = 256;

/// Overwrites `a : n x n`, stored by columns, of which only the lower triangle is read, with `L` and
/// `L^T` above its diagonal.
///
/// # Errors
/// The first index at which a pivot is not a positive finite number.
pub(crate) fn factor<T: Real>(a: MatMut<'_, T>, par: Par) -> Result<(), usize> {
    let mut outcome = Ok(());
    on_vectors(Factor { a, par, outcome: &mut outcome });
    outcome
}

struct Factor<'a, T> {
    a: MatMut<'a, T>,
    par: Par,
    outcome: &'a mut Result<(), usize>,
}

impl<T: Real> Task<T> for Factor<'_, T> {
    fn run<V: Vector<T>>(self) {
        *self.outcome = blocked::<T, V>(self.a, self.par);
    }
}

fn blocked<T: Real, V: Vector<T>>(mut a: MatMut<'_, T>, par: Par) -> Result<(), usize> {
    let n = a.nrows();
    if n <= SMALL {
        return small(a);
    }
    let side = (n / 4).next_multiple_of(SMALL).clamp(SMALL, COLUMNS);
    for first in (0..n).step_by(side) {
        let (_, _, _, rest) = a.as_mut().split_at_mut(first, first);
        let side = side.min(n - first);
        let (mut diagonal, right, mut below, left) = rest.split_at_mut(side, side);
        blocked::<T, V>(diagonal.as_mut(), Par::Seq).map_err(|index| first + index)?;
        let (rows, width) = (below.nrows(), 2 * V::LANES);
        // Stripes of a whole number to [`TOGETHER`].
        let tall = if V::TALL < 12 { 6 } else { 12 };
        if rows == 0 {
            break;
        }
        // A whole number of lines of the cache, so that the lanes start at one.
        let solver = solver_len(side, V::TALL).next_multiple_of(16);
        let lanes = rows.next_multiple_of(width) * side;
        T::with_buffer(solver + lanes + rows * side, |buffer| {
            let (solver, buffer) = buffer.split_at_mut(solver);
            let (lanes, stripes) = buffer.split_at_mut(lanes);
            pack_solver(solver, V::TALL, diagonal.as_ref());
            let solver = &*solver;
            for_each_part(lanes, TOGETHER * side, par, |part, out| {
                let from = part * TOGETHER;
                let rows = below.as_ref().subrows(from, TOGETHER.min(rows - from));
                match V::LANES {
                    4 => pack::stripes::<T, 8>(out, rows, T::of(1.0)),
                    8 => pack::stripes::<T, 16>(out, rows, T::of(1.0)),
                    _ => pack::stripes::<T, 32>(out, rows, T::of(1.0)),
                }
                let panels = panels_mut::<T, V>(out).chunks_exact_mut(side);
                panels.for_each(|panel| V::substitute(panel, solver));
            });
            let lanes = &*lanes;
            for_each_row_chunk(below.as_mut(), TOGETHER, par, |from, rows| match V::LANES {
                4 => pack::unpack_stripes::<T, 8>(rows, &lanes[from * side..]),
                8 => pack::unpack_stripes::<T, 16>(rows, &lanes[from * side..]),
                _ => pack::unpack_stripes::<T, 32>(rows, &lanes[from * side..]),
            });
            for_each_col_chunk(right, width, par, |from, cols| {
                let cols = cols.transpose_mut();
                pack::unpack_lanes(cols, width, &lanes[from * side..][..width * side]);
            });
            for_each_part(stripes, TOGETHER * side, par, |part, out| {
                let (rows, first) = (out.len() / side, part * TOGETHER);
                let whole = rows / tall * tall;
                let (out, last) = out.split_at_mut(whole * side);
                let below = below.as_ref().subrows(first, rows);
                match tall {
                    6 => pack::stripes::<T, 6>(out, below.subrows(0, whole), T::of(-1.0)),
                    _ => pack::stripes::<T, 12>(out, below.subrows(0, whole), T::of(-1.0)),
                }
                pack::inner(last, tall, below.subrows(whole, rows - whole), T::of(-1.0));
            });
            let (lanes, stripes) = (panels::<T, V>(lanes), &*stripes);
            let high = (HELD / side / width).max(1) * width;
            for_each_row_chunk(left, high, par, |from, mut left| {
                let rows = left.nrows();
                let lanes = &lanes[from / width * side..][..rows.div_ceil(width) * side];
                for (stripe, group) in stripes.chunks(tall * side).enumerate() {
                    let col = stripe * tall;
                    if col >= from + rows {
                        break;
                    }
                    // Rows above the diagonal are left out by whole panels.
                    let skip = col.saturating_sub(from) / width;
                    let target =
                        left.as_mut().get_mut(skip * width.., col..col + group.len() / side);
                    V::update(target, group, &lanes[skip * side..]);
                }
            });
        });
    }
    Ok(())
}

/// Numbers that [`pack_solver`] writes.
fn solver_len(side: usize, tall: usize) -> usize {
    groups(side, tall).map(|group| group.len() * group.end).sum()
}

/// What [`substitute`](super::kernel::substitute) reads of `l`: group after group of up to `tall` rows,
/// each one's numbers by column up to the diagonal, negated, and the reciprocals of those on it.
fn pack_solver<T: Real>(out: &mut [T], tall: usize, l: MatRef<'_, T>) {
    let mut rest = out.iter_mut();
    for group in groups(l.nrows(), tall) {
        for p in 0..group.start {
            let rows = l.col(p).subrows(group.start, group.len());
            rows.iter().zip(&mut rest).for_each(|(&l, out)| *out = -l);
        }
        for p in group.clone() {
            for (r, out) in group.clone().zip(&mut rest) {
                *out = match p.cmp(&r) {
                    Ordering::Less => -l[(r, p)],
                    Ordering::Equal => T::of(1.0) / l[(p, p)],
                    Ordering::Greater => T::of(0.0),
                };
            }
        }
    }
}

/// Column by column, of a copy.
fn small<T: Real>(mut a: MatMut<'_, T>) -> Result<(), usize> {
    let n = a.nrows();
    let mut columns = [[T::of(0.0); SMALL]; SMALL];
    for (j, column) in columns.iter_mut().enumerate() {
        (j..n).for_each(|i| column[i] = a[(i, j)]);
        // Beyond the last row, what a factor of one has.
        (j >= n).then(|| column[j] = T::of(1.0));
    }
    eliminate(&mut columns);
    for (j, column) in columns[..n].iter().enumerate() {
        if !(column[j] > T::of(0.0) && column[j].is_finite()) {
            return Err(j);
        }
        for i in j..n {
            a[(i, j)] = column[i];
            a[(j, i)] = column[i];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::*;
    use crate::tiles::simd::Kind;

    /// What a number that only stands in for what must not be read would leave.
    const UNREAD: f64 = f64::NAN;

    /// `|A - L L^T| <= gamma_{n+2} |L| |L^T|` (see [`Cholesky`](crate::Cholesky)) entry by entry, from the lower triangle
    /// alone, with `L^T` above the diagonal; blocks, panels and tiles end at all kinds of places.
    fn reconstructs<T: Real, V: Vector<T>>(n: usize) {
        let noise = |i: usize, j: usize| ((i * 37 + j * 11) % 101) as f64 / 101.0 - 0.4;
        let a = Mat::<T>::from_fn(n, n, |i, j| match i.cmp(&j) {
            Ordering::Less => T::of(UNREAD),
            Ordering::Equal => T::of(0.5 * n as f64 + 1.0 + noise(i, i)),
            Ordering::Greater => T::of(noise(i, j)),
        });
        let mut l = a.clone();
        blocked::<T, V>(l.as_mut(), Par::Seq).expect("diagonally dominant");
        let entry = |i: usize, j: usize| l[(i, j)].as_f64();
        let unit = T::epsilon().as_f64() / 2.0;
        let gamma = (n + 2) as f64 * unit / (1.0 - (n + 2) as f64 * unit);
        for j in 0..n {
            for i in j..n {
                let terms = |p: usize| entry(i, p) * entry(j, p);
                let product: f64 = (0..=j).map(terms).sum();
                let sizes: f64 = (0..=j).map(|p| terms(p).abs()).sum();
                let error = (product - a[(i, j)].as_f64()).abs();
                assert!(error <= gamma * sizes, "{} {n}: {error:e} at ({i}, {j})", T::NAME);
                assert_eq!(entry(i, j).to_bits(), entry(j, i).to_bits());
            }
        }
    }

    struct Reconstructs(usize);

    impl<T: Real> Task<T> for Reconstructs {
        fn run<V: Vector<T>>(self) {
            reconstructs::<T, V>(self.0);
        }
    }

    #[test]
    fn every_path_factors() {
        for n in [0, 1, 7, 32, 33, 95, 130, 257, 419] {
            for kind in Kind::available() {
                kind.run::<f32>(Reconstructs(n));
                kind.run::<f64>(Reconstructs(n));
            }
        }
    }

    /// The first pivot that is not positive is named, whichever block it lies in.
    #[test]
    fn a_bad_pivot_is_named() {
        for (n, bad) in [(20, 19), (90, 0), (300, 70), (300, 299), (600, 257)] {
            for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
                let mut a = Mat::<f64>::identity(n, n);
                a[(bad, bad)] = value;
                assert_eq!(factor(a.as_mut(), Par::Seq), Err(bad), "{value} of {n}");
            }
        }
    }
}
