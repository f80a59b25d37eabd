//! Symmetric matrices of which one triangle is read.

#![allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]

use core::array::from_fn;

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::reborrow::Reborrow;
use faer::{ContiguousFwd, MatMut, MatRef, Par};
use pulp::{Arch, NullaryFnOnce};

use crate::op::{LinOp, Scalar};
use crate::parts::{PARTS, add_up, each_of_sums, sums_scratch};

/// Columns of the matrix that are read side by side.
const SIDE: usize = 4;

/// Sums of an inner product that are kept apart.
const LANES: usize = 8;

/// A symmetric matrix, `n x n`, of which the lower triangle is read, once for all columns of a product: half the memory that a
/// product with all of it waits for, and no more for several columns than for one.
///
/// `n^2 k` multiply-adds for `k` columns, in scratch for 17 blocks of as many. Sums of a column do not depend on the other columns,
/// nor on the number of threads.
///
/// # Examples
/// ```
/// use faer::{Mat, Par};
/// use nearlin_krylov::{Symmetric, lanczos_each};
///
/// // What is above the diagonal is not read.
/// let a = Mat::from_fn(50, 50, |i, j| if i < j { f64::NAN } else { 1.0 / (1 + i + j) as f64 });
/// let starts = Mat::from_fn(50, 3, |i, j| ((i * (j + 2)) as f64).cos());
/// let found = lanczos_each(&Symmetric::new(a.as_ref()), starts.as_ref(), 8, Par::Seq)?;
/// assert!((found[0].ritz().last().unwrap().value - 2.076_296_683).abs() < 1e-6);
/// # Ok::<(), nearlin_krylov::KrylovError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Symmetric<'a, T> {
    lower: MatRef<'a, T, usize, usize, ContiguousFwd>,
}

impl<'a, T: Scalar> Symmetric<'a, T> {
    /// The matrix with this lower triangle.
    ///
    /// # Panics
    /// If `lower` is not square or its columns are not contiguous.
    #[must_use]
    pub fn new(lower: MatRef<'a, T>) -> Self {
        assert_eq!(lower.nrows(), lower.ncols(), "a symmetric matrix is square");
        Self { lower: lower.try_as_col_major().expect("contiguous columns") }
    }

    /// The first column of each part: triangles of about the same area, each a multiple of columns that are read side by side.
    fn bounds(n: usize, part: usize) -> usize {
        let left = 1.0 - part as f64 / PARTS as f64;
        ((n as f64 * (1.0 - left.sqrt())) as usize / SIDE * SIDE).min(n)
    }
}

impl<T: Scalar> LinOp<T> for Symmetric<'_, T> {
    fn nrows(&self) -> usize {
        self.lower.nrows()
    }

    fn ncols(&self) -> usize {
        self.lower.ncols()
    }

    fn apply_scratch(&self, k: usize, _: Par) -> StackReq {
        let n = self.lower.nrows();
        temp_mat_scratch::<T>(n, k).and(sums_scratch::<T>(n, k, PARTS))
    }

    fn apply(&self, y: MatMut<'_, T>, x: MatRef<'_, T>, par: Par, stack: &mut MemStack) {
        let (n, k) = (self.lower.nrows(), x.ncols());
        let (mut copy, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
        let mut copy = copy.as_mat_mut();
        copy.copy_from(x);
        let (mut sums, _) = temp_mat_zeroed::<T, _, _>(n, k * PARTS, stack);
        let mut sums = sums.as_mat_mut();
        each_of_sums(sums.as_mut(), k, par, |part, sums| {
            let first = Self::bounds(n, part);
            let last = if part + 1 == PARTS { n } else { Self::bounds(n, part + 1) };
            Arch::new().dispatch(Part { lower: self.lower, first, last, x: copy.rb(), sums });
        });
        add_up(y, sums.as_ref());
    }
}

/// The products of some columns, and of the same rows right of the diagonal, with `x`, added to `sums`.
struct Part<'a, T> {
    lower: MatRef<'a, T, usize, usize, ContiguousFwd>,
    first: usize,
    last: usize,
    x: MatRef<'a, T>,
    sums: MatMut<'a, T>,
}

impl<T: Scalar> NullaryFnOnce for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { lower, first, last, x, sums } = self;
        let x = x.try_as_col_major().expect("contiguous columns");
        let mut sums = sums.try_as_col_major_mut().expect("contiguous columns");
        let whole = first + (last - first) / SIDE * SIDE;
        // All vectors for a few columns, which a cache then holds.
        for j in (first..whole).step_by(SIDE) {
            let columns: [&[T]; SIDE] = from_fn(|at| lower.col(j + at).as_slice());
            for c in 0..x.ncols() {
                add(j, columns, x.col(c).as_slice(), sums.as_mut().col_mut(c).as_slice_mut());
            }
        }
        for j in whole..last {
            let column = [lower.col(j).as_slice()];
            for c in 0..x.ncols() {
                add(j, column, x.col(c).as_slice(), sums.as_mut().col_mut(c).as_slice_mut());
            }
        }
    }
}

/// Adds the products of `C` columns from `j` on, and of the same rows.
#[inline(always)]
fn add<T: Scalar, const C: usize>(j: usize, columns: [&[T]; C], x: &[T], sums: &mut [T]) {
    for at in 0..C {
        sums[j + at] += columns[at][j + at] * x[j + at];
        for below in at + 1..C {
            let entry = columns[at][j + below];
            sums[j + below] += entry * x[j + at];
            sums[j + at] += entry * x[j + below];
        }
    }
    let factors: [T; C] = from_fn(|at| x[j + at]);
    let (known, below) = sums.split_at_mut(j + C);
    let found = both(columns.map(|column| &column[j + C..]), factors, &x[j + C..], below);
    known[j..].iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
}

/// `a b + c`, lane by lane.
#[inline(always)]
fn times_plus<T: Scalar>(a: [T; LANES], b: [T; LANES], c: [T; LANES]) -> [T; LANES] {
    from_fn(|lane| a[lane] * b[lane] + c[lane])
}

/// `z <- z + ` the columns times their factors; the inner product of each with `x`.
#[inline(always)]
fn both<T: Scalar, const C: usize>(
    columns: [&[T]; C],
    factors: [T; C],
    x: &[T],
    z: &mut [T],
) -> [T; C] {
    let len = z.len();
    let chunks = columns.map(|column| column[..len].as_chunks::<LANES>().0);
    let mut sums = [[T::of(0.0); LANES]; C];
    let lines = z.as_chunks_mut::<LANES>().0.iter_mut().zip(x[..len].as_chunks::<LANES>().0);
    for (index, (line, &x)) in lines.enumerate() {
        let mut z = *line;
        for at in 0..C {
            let entries = chunks[at][index];
            z = times_plus(entries, [factors[at]; LANES], z);
            sums[at] = times_plus(entries, x, sums[at]);
        }
        *line = z;
    }
    let mut found = sums.map(|sums| sums.into_iter().fold(T::of(0.0), |total, sum| total + sum));
    for i in len / LANES * LANES..len {
        for at in 0..C {
            z[i] += columns[at][i] * factors[at];
            found[at] += columns[at][i] * x[i];
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use faer::Mat;
    use faer::dyn_stack::MemBuffer;
    use proptest::prelude::*;

    use super::*;

    fn applied<T: Scalar>(lower: &Mat<T>, x: &Mat<T>, par: Par) -> Mat<T> {
        let a = Symmetric::new(lower.as_ref());
        let mut y = Mat::full(x.nrows(), x.ncols(), T::of(f64::NAN));
        let mut buffer = MemBuffer::new(a.apply_scratch(x.ncols(), par));
        a.apply(y.as_mut(), x.as_ref(), par, MemStack::new(&mut buffer));
        y
    }

    proptest! {
        /// The product with both triangles: each sum of `n` terms errs by at most `n eps` times the sum of their sizes.
        #[test]
        fn one_triangle_is_both(n in 0usize..120, k in 0usize..5, seed in 0usize..1000) {
            let wave = |at: usize| (1.7 * (at + seed) as f64 + 0.3).sin();
            let entry = |i: usize, j: usize| wave(i.max(j) * 131 + i.min(j));
            let lower = Mat::from_fn(n, n, |i, j| if i < j { f64::NAN } else { entry(i, j) });
            let x = Mat::from_fn(n, k, |i, j| wave(17 * i + j + 5));
            let y = applied(&lower, &x, Par::Seq);
            for c in 0..k {
                for i in 0..n {
                    let want: f64 = (0..n).map(|j| entry(i, j) * x[(j, c)]).sum();
                    let size: f64 = (0..n).map(|j| (entry(i, j) * x[(j, c)]).abs()).sum();
                    let bound = 2.0 * n as f64 * f64::EPSILON * size;
                    prop_assert!((y[(i, c)] - want).abs() <= bound, "{i}, {c}");
                }
            }
        }

        /// Bit for bit on several threads, and for each column alone.
        #[test]
        fn sums_are_fixed(n in 1usize..200, k in 1usize..5) {
            let wave = |at: usize| (1.3 * at as f64 + 0.7).cos() as f32;
            let lower = Mat::from_fn(n, n, |i, j| wave(i * 200 + j));
            let x = Mat::from_fn(n, k, |i, j| wave(7 * i + 3 * j));
            let y = applied(&lower, &x, Par::Seq);
            prop_assert_eq!(&applied(&lower, &x, Par::rayon(3)), &y);
            for c in 0..k {
                let alone = applied(&lower, &x.subcols(c, 1).to_owned(), Par::Seq);
                prop_assert_eq!(&alone, &y.subcols(c, 1).to_owned());
            }
        }
    }

    #[test]
    #[should_panic(expected = "a symmetric matrix is square")]
    fn no_other_shape() {
        let _ = Symmetric::new(Mat::<f64>::zeros(3, 2).as_ref());
    }
}
