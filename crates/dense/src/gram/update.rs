//! The popcount Gram matrix after a step: only the neurons whose mask changed are counted again.
//!
//! `M M^T` is a sum over neurons of `c c^T` for their bit columns `c`, so a step changes it by the
//! new columns of the flipped neurons less their old ones. Counts are integers and come back from a
//! Gram matrix without error, so the result is that of a rebuild, to the bit.

use faer::reborrow::ReborrowMut;
use faer::{MatMut, MatRef, Par};

use super::{for_each_tile, popcount_gram};
use crate::error::check_shape;
use crate::parallel::for_each_row_chunk;
use crate::simd::{self, Counts, SIDE, gather_rows};
use crate::{DenseError, PackedMask, Real};

/// Words of a mask that a task searches for flips.
const SEARCHED: usize = 256;

/// One flipped neuron in so many, or more, and the matrix is rebuilt: the two take as long where
/// 18% (n = 512) to 36% (n = 4096) of the neurons flipped.
const REBUILD: usize = 4;

/// Takes `g`, what [`popcount_gram`] makes of `products` and the mask `old`, to what it makes of
/// `products` and `new`, bit for bit; returns how many neurons flipped, in whatever row.
///
/// `g, products : n x n`, lower triangles; `old, new : n x m`; `scale` as it was. For `f` flipped
/// neurons it takes `n^2 f` bit operations instead of `n^2 m / 2`, one pass over the masks and one
/// over the matrices, and `n f / 4` bytes for the flipped columns, old and new. The matrix is rebuilt
/// where more than one neuron in four flipped, or where `T` does not hold counts up to `m` with bits
/// to spare (`f32` above `m = 2^21`).
///
/// # Errors
/// [`DenseError::Shape`] if the operands do not fit together.
pub fn popcount_gram_update<T: Real>(
    mut g: MatMut<'_, T>,
    products: MatRef<'_, T>,
    (old, new): (&PackedMask, &PackedMask),
    scale: T,
    par: Par,
) -> Result<usize, DenseError> {
    let (n, m) = (new.nrows(), new.width());
    check_shape("old mask", (old.nrows(), old.width()), (n, m))?;
    check_shape("Gram matrix", (g.nrows(), g.ncols()), (n, n))?;
    check_shape("matrix of products", (products.nrows(), products.ncols()), (n, n))?;
    let flips = flipped_columns(old, new, par);
    let count = flips.iter().map(|word| word.count_ones() as usize).sum();
    if count == 0 {
        return Ok(0);
    }
    if REBUILD * count > m || m as f64 * T::epsilon().as_f64() > 0.25 {
        g.copy_from_triangular_lower(products);
        popcount_gram(g, new, scale, par)?;
        return Ok(count);
    }
    let (old, new) = (gather(old, &flips, count, par), gather(new, &flips, count, par));
    for_each_tile(g, par, |first_row, first_col, mut g| {
        let (rows, cols) = (first_row..first_row + g.nrows(), first_col..first_col + g.ncols());
        Counts::with(|counts| {
            counts.add(&old, &rows, &cols);
            counts.negate();
            counts.add(&new, &rows, &cols);
            for j in 0..cols.len() {
                let above = (first_col + j).saturating_sub(first_row).min(rows.len());
                let changes = &counts.col(j)[above..rows.len()];
                let products =
                    products.col(first_col + j).subrows(first_row + above, changes.len());
                let mut col = g.rb_mut().col_mut(j).subrows_mut(above, changes.len());
                if let (Some(entries), Some(products)) =
                    (col.rb_mut().try_as_col_major_mut(), products.try_as_col_major())
                {
                    simd::change(entries.as_slice_mut(), products.as_slice(), changes, scale);
                } else {
                    for ((entry, product), by) in col.iter_mut().zip(products.iter()).zip(changes) {
                        *entry = changed(*entry, *product * scale, by.cast_signed());
                    }
                }
            }
        });
    });
    Ok(count)
}

/// [`changed`] for each entry and its product and change.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
pub(crate) fn change<T: Real>(entries: &mut [T], products: &[T], changes: &[u32], scale: T) {
    for ((entry, product), by) in entries.iter_mut().zip(products).zip(changes) {
        *entry = changed(*entry, *product * scale, by.cast_signed());
    }
}

/// `unit (c + change)` for `entry = unit c`, rounded, and a count `c`.
///
/// The quotient errs by less than `c eps`, a quarter at most, so `c` is the nearest integer. A unit
/// of zero stays zero, whatever the counts.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn changed<T: Real>(entry: T, unit: T, change: i32) -> T {
    /// Adding it leaves no bits below one.
    const INTEGERS: f64 = 1.5 * (1u64 << 52) as f64;
    let count = entry.as_f64() / unit.as_f64() + INTEGERS - INTEGERS;
    let updated = unit * T::of(count + f64::from(change));
    if change == 0 || unit == T::of(0.0) { entry } else { updated }
}

/// Bit `r` of the words says whether column `r` of two masks differs in any row.
fn flipped_columns(old: &PackedMask, new: &PackedMask, par: Par) -> Vec<u64> {
    let mut flips = vec![0; new.words_per_row()];
    let all = MatMut::from_column_major_slice_mut(&mut flips, new.words_per_row(), 1);
    for_each_row_chunk(all, SEARCHED, par, |first, flips| {
        let last = first + flips.nrows();
        let mut found = [0; SEARCHED];
        for i in 0..new.nrows() {
            let words = old.row(i)[first..last].iter().zip(&new.row(i)[first..last]);
            for (found, (old, new)) in found.iter_mut().zip(words) {
                *found |= old ^ new;
            }
        }
        flips.col_mut(0).iter_mut().zip(found).for_each(|(flips, found)| *flips = found);
    });
    flips
}

/// The `count` columns of a mask whose bits are set in `columns`, side by side.
fn gather(mask: &PackedMask, columns: &[u64], count: usize, par: Par) -> PackedMask {
    let mut compact = PackedMask::zeros(mask.nrows(), count);
    let words = compact.words_per_row();
    let all = MatMut::from_row_major_slice_mut(compact.words_mut(), mask.nrows(), words);
    for_each_row_chunk(all, SIDE, par, |first, mut to| {
        let rows: [&[u64]; SIDE] =
            std::array::from_fn(|r| mask.row((first + r).min(mask.nrows() - 1)));
        gather_rows(&mut to, &rows, columns, count);
    });
    compact
}
