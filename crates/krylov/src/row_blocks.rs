//! Matrices in blocks of rows.

#![allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]

use core::array::from_fn;

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::{MatMut, MatRef, Par};
use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use crate::op::{AdjointOp, LinOp, Scalar};
use crate::parts::{PARTS, add_up, each_of_both, each_of_rows, each_of_sums, sums_scratch};

/// Rows of a block of `f64`, two lines of the cache; of `f32` twice as many.
const ROWS: usize = 16;

/// Blocks that are filled side by side, so that columns are read by the page.
const SIDE: usize = 32;

/// Columns whose inner products are formed side by side.
const COLUMNS: usize = 4;

/// A dense matrix, `m x n`, in blocks of a few rows that follow each other in memory, each by columns: an iteration reads it in
/// one sweep, whatever the shape, at nearly the rate of the memory.
///
/// A column-major matrix is read in runs of as many rows as a cache holds: one of two thousand columns takes twice as long, one
/// of ten thousand four times. Takes as much memory as the matrix, and the time of some eight products to make. Columns of a
/// block of vectors are multiplied one after the other.
///
/// # Examples
/// ```
/// use faer::{Mat, Par};
/// use nearlin_krylov::{LeastSquares, RowBlocks};
///
/// let a = Mat::from_fn(3000, 40, |i, j| ((i * (j + 1)) as f64).sin());
/// let b = Mat::from_fn(3000, 1, |i, _| (i as f64).cos());
/// let blocks = RowBlocks::new(a.as_ref(), None, Par::rayon(0));
/// let settings = LeastSquares::lsqr();
/// let (of_blocks, of_a) = (settings.solve(&blocks, b.as_ref())?, settings.solve(&a, b.as_ref())?);
/// assert!((of_blocks.x - of_a.x).norm_l2() < 1e-9);
/// # Ok::<(), nearlin_krylov::KrylovError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RowBlocks<T> {
    /// Blocks of `height n` entries; the last may end with rows of zeros.
    entries: Vec<T>,
    nrows: usize,
    ncols: usize,
}

impl<T: Scalar> RowBlocks<T> {
    /// `diag(scales) A`, with one scale a row or none.
    ///
    /// # Panics
    /// If there are not as many scales as rows.
    #[must_use]
    pub fn new(a: MatRef<'_, T>, scales: Option<&[T]>, par: Par) -> Self {
        let (m, n) = (a.nrows(), a.ncols());
        assert!(scales.is_none_or(|scales| scales.len() == m), "a scale for each row");
        let height = height::<T>();
        let mut entries = vec![T::of(0.0); m.div_ceil(height) * height * n];
        let fill = |(index, blocks): (usize, &mut [T])| {
            let first = index * SIDE * height;
            for (j, column) in a.col_iter().enumerate() {
                for (block, first) in
                    blocks.chunks_exact_mut(height * n).zip((first..).step_by(height))
                {
                    let rows = height.min(m - first);
                    let to = &mut block[j * height..][..rows];
                    to.iter_mut()
                        .zip(column.subrows(first, rows).iter())
                        .for_each(|(to, &v)| *to = v);
                    if let Some(scales) = scales {
                        to.iter_mut().zip(&scales[first..]).for_each(|(v, &scale)| *v *= scale);
                    }
                }
            }
        };
        let size = (SIDE * height * n).max(1);
        match par {
            Par::Seq => entries.chunks_mut(size).enumerate().for_each(fill),
            Par::Rayon(_) => entries.par_chunks_mut(size).enumerate().for_each(fill),
        }
        Self { entries, nrows: m, ncols: n }
    }

    /// Rows of each part but the last, whole blocks.
    fn rows(&self) -> usize {
        self.nrows.div_ceil(height::<T>()).div_ceil(PARTS).max(1) * height::<T>()
    }

    /// How many parts there are, each with sums of its own.
    fn count(&self) -> usize {
        self.nrows.div_ceil(self.rows())
    }

    /// The block from row `first` on.
    fn block(&self, first: usize) -> &[T] {
        &self.entries[first * self.ncols..][..height::<T>() * self.ncols]
    }

    fn scratch(&self, k: usize) -> StackReq {
        temp_mat_scratch::<T>(self.ncols, k).and(sums_scratch::<T>(self.ncols, k, self.count()))
    }
}

/// Rows of a block.
fn height<T>() -> usize {
    ROWS * size_of::<f64>() / size_of::<T>()
}

/// `y <- A x - diag(alpha) y` of one block, or `A x` without `alpha`.
fn add<T: Scalar>(block: &[T], mut y: MatMut<'_, T>, alpha: Option<&[T]>, x: MatRef<'_, T>) {
    fn run<T: Scalar, const H: usize>(block: &[T], y: MatMut<'_, T>, alpha: T, x: &[T]) {
        let sums = from_fn(|i| if i < y.nrows() { -(alpha * y[(i, 0)]) } else { T::of(0.0) });
        let sums = Arch::new().dispatch(Add::<T, H> { block, x, sums });
        y.col_mut(0).iter_mut().zip(sums).for_each(|(y, sum)| *y = sum);
    }
    for j in 0..x.ncols() {
        let alpha = alpha.map_or(T::of(0.0), |alpha| alpha[j]);
        let (y, x) = (y.as_mut().subcols_mut(j, 1), column(x, j));
        if height::<T>() == ROWS {
            run::<T, ROWS>(block, y, alpha, x);
        } else {
            run::<T, { 2 * ROWS }>(block, y, alpha, x);
        }
    }
}

/// `z <- z + A* y` of one block.
fn add_adjoint<T: Scalar>(block: &[T], y: MatRef<'_, T>, z: MatMut<'_, T>) {
    fn values<T: Scalar, const H: usize>(y: MatRef<'_, T>) -> [T; H] {
        from_fn(|i| if i < y.nrows() { y[(i, 0)] } else { T::of(0.0) })
    }
    let mut z = z.try_as_col_major_mut().expect("contiguous columns");
    for j in 0..y.ncols() {
        let (y, z) = (y.subcols(j, 1), z.as_mut().col_mut(j).as_slice_mut());
        if height::<T>() == ROWS {
            Arch::new().dispatch(Inner::<T, ROWS, { ROWS / 4 }> { block, y: values(y), z });
        } else {
            Arch::new().dispatch(Inner::<T, { 2 * ROWS }, { ROWS / 2 }> { block, y: values(y), z });
        }
    }
}

/// A column of a matrix whose columns are contiguous.
fn column<T>(x: MatRef<'_, T>, j: usize) -> &[T] {
    x.try_as_col_major().expect("contiguous columns").col(j).as_slice()
}

/// Sums of the columns of a block of `H` rows times their factors.
struct Add<'a, T, const H: usize> {
    block: &'a [T],
    x: &'a [T],
    sums: [T; H],
}

impl<T: Scalar, const H: usize> NullaryFnOnce for Add<'_, T, H> {
    type Output = [T; H];

    #[inline(always)]
    fn call(self) -> [T; H] {
        let Self { block, x, mut sums } = self;
        for (column, &x) in block.chunks_exact(H).zip(x) {
            for i in 0..H {
                sums[i] += column[i] * x;
            }
        }
        sums
    }
}

/// Inner products of the columns of a block of `H` rows, four vectors of `L`, with `y`.
struct Inner<'a, T, const H: usize, const L: usize> {
    block: &'a [T],
    y: [T; H],
    z: &'a mut [T],
}

impl<T: Scalar, const H: usize, const L: usize> NullaryFnOnce for Inner<'_, T, H, L> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { block, y, z } = self;
        let whole = z.len() / COLUMNS * COLUMNS;
        let (z, rest) = z.split_at_mut(whole);
        let (block, last) = block.split_at(whole * H);
        for (z, columns) in z.chunks_exact_mut(COLUMNS).zip(block.chunks_exact(COLUMNS * H)) {
            inner_products::<T, H, L>(columns, &y, z);
        }
        inner_products::<T, H, L>(last, &y, rest);
    }
}

/// Adds to `z` the inner products of as many columns, at most four, with `y`.
#[inline(always)]
fn inner_products<T: Scalar, const H: usize, const L: usize>(
    columns: &[T],
    y: &[T; H],
    z: &mut [T],
) {
    let mut sums = [[T::of(0.0); L]; COLUMNS];
    for (sums, column) in sums.iter_mut().zip(columns.chunks_exact(H)) {
        for part in 0..H / L {
            for lane in 0..L {
                sums[lane] += column[part * L + lane] * y[part * L + lane];
            }
        }
    }
    for (z, sums) in z.iter_mut().zip(sums) {
        *z += sums.into_iter().fold(T::of(0.0), |total, sum| total + sum);
    }
}

impl<T: Scalar> LinOp<T> for RowBlocks<T> {
    fn nrows(&self) -> usize {
        self.nrows
    }

    fn ncols(&self) -> usize {
        self.ncols
    }

    fn apply_scratch(&self, k: usize, _: Par) -> StackReq {
        temp_mat_scratch::<T>(self.ncols, k)
    }

    fn apply(&self, mut y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        let (rows, height) = (self.rows(), height::<T>());
        let (mut copy, _) = temp_mat_zeroed::<T, _, _>(self.ncols, x.ncols(), stack);
        let mut copy = copy.as_mat_mut();
        copy.copy_from(x);
        let x = copy.as_ref();
        y.fill(T::of(0.0));
        each_of_rows(y, rows, par, |index, mut y| {
            for start in (0..y.nrows()).step_by(height) {
                let block = self.block(index * rows + start);
                let here = height.min(y.nrows() - start);
                add(block, y.as_mut().subrows_mut(start, here), None, x);
            }
        });
    }
}

impl<T: Scalar> AdjointOp<T> for RowBlocks<T> {
    fn apply_adjoint_scratch(&self, k: usize, _: Par) -> StackReq {
        sums_scratch::<T>(self.ncols, k, self.count())
    }

    fn apply_adjoint(&self, x: MatMut<'_, T>, y: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        let (rows, height, k) = (self.rows(), height::<T>(), y.ncols());
        let (mut sums, _) = temp_mat_zeroed::<T, _, _>(self.ncols, k * self.count(), stack);
        let mut sums = sums.as_mat_mut();
        each_of_sums(sums.as_mut(), k, par, |index, mut sum| {
            let here = rows.min(self.nrows - index * rows);
            let y = y.subrows(index * rows, here);
            for start in (0..here).step_by(height) {
                let block = self.block(index * rows + start);
                let y = y.subrows(start, height.min(here - start));
                add_adjoint(block, y, sum.as_mut());
            }
        });
        add_up(x, sums.as_ref());
    }

    fn apply_both_scratch(&self, k: usize, _: Par) -> StackReq {
        self.scratch(k)
    }

    /// One sweep: a block is in the cache when it is multiplied the second time.
    fn apply_both(
        &self,
        y: MatMut<'_, T>,
        alpha: &[T],
        x: MatRef<'_, T>,
        z: MatMut<'_, T>,
        par: Par,
        stack: &mut MemStack,
    ) {
        let (rows, height, k) = (self.rows(), height::<T>(), x.ncols());
        let (mut copy, stack) = temp_mat_zeroed::<T, _, _>(self.ncols, k, stack);
        let mut copy = copy.as_mat_mut();
        copy.copy_from(x);
        let x = copy.as_ref();
        let (mut sums, _) = temp_mat_zeroed::<T, _, _>(self.ncols, k * self.count(), stack);
        let mut sums = sums.as_mat_mut();
        each_of_both(y, rows, sums.as_mut(), par, |index, mut y, mut sum| {
            for start in (0..y.nrows()).step_by(height) {
                let block = self.block(index * rows + start);
                let here = height.min(y.nrows() - start);
                let mut y = y.as_mut().subrows_mut(start, here);
                add(block, y.as_mut(), Some(alpha), x);
                add_adjoint(block, y.as_ref(), sum.as_mut());
            }
        });
        add_up(z, sums.as_ref());
    }
}
