//! Corrections for the few entries in which a mask differs from another: a sparse matrix of +1 and -1.
//!
//! A pass over such entries reads, for each, a row of inputs and a row of weights from anywhere, so what
//! counts is that rows are contiguous and that the sums of one list stay in registers.

mod kernel;
mod simd;

use faer::{MatMut, MatRef, Par};

use crate::error::check_shape;
use crate::parallel::for_each_row_chunk;
use crate::rows::by_row;
use crate::{DenseError, PackedMask, Real};

/// Lists of a task.
const LISTS: usize = 64;

/// Rows of a task in [`MaskFlips::apply`], and bytes of weights that all of them meet before the next:
/// half of a second-level cache.
const EXAMPLES: usize = 512;
const WEIGHTS: usize = 1 << 18;

/// An entry of one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flip {
    /// The column, in a list of a row; the row, in a list of a column.
    at: u32,
    /// `+1` or `-1`.
    on: bool,
}

/// Lists of flips, one after the other: list `i` is `flips[starts[i] .. starts[i + 1]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lists {
    starts: Vec<usize>,
    flips: Vec<Flip>,
}

impl Lists {
    /// The flips of `count` lists, each in the order of `flips`.
    fn new(count: usize, flips: impl Iterator<Item = (u32, Flip)> + Clone) -> Self {
        let mut starts = vec![0; count + 1];
        flips.clone().for_each(|(list, _)| starts[list as usize + 1] += 1);
        (0..count).for_each(|i| starts[i + 1] += starts[i]);
        let mut next = starts.clone();
        let mut sorted = vec![Flip { at: 0, on: false }; starts[count]];
        for (list, flip) in flips {
            sorted[next[list as usize]] = flip;
            next[list as usize] += 1;
        }
        Self { starts, flips: sorted }
    }

    fn get(&self, i: usize) -> &[Flip] {
        &self.flips[self.starts[i]..self.starts[i + 1]]
    }
}

/// A sparse `n x m` matrix `E` of `+1` and `-1`: the difference of two masks, kept by rows and by columns
/// in 16 bytes an entry.
///
/// A layer whose mask is `B + E` has the Jacobian of the mask `B` and that of `E`, which
/// [`apply`](Self::apply) and [`adjoint`](Self::adjoint) add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskFlips {
    by_row: Lists,
    by_column: Lists,
}

impl MaskFlips {
    /// The `n x m` matrix with `+1` at each `(row, column, true)` and `-1` at each `(row, column, false)`,
    /// which come row by row, each from left to right.
    ///
    /// # Panics
    /// If a row or a column is out of range.
    #[must_use]
    pub fn new(rows: usize, width: usize, entries: &[(u32, u32, bool)]) -> Self {
        debug_assert!(entries.is_sorted_by_key(|&(row, column, _)| (row, column)), "out of order");
        let by_row = entries.iter().map(|&(row, at, on)| (row, Flip { at, on }));
        let by_column = entries.iter().map(|&(at, column, on)| (column, Flip { at, on }));
        Self { by_row: Lists::new(rows, by_row), by_column: Lists::new(width, by_column) }
    }

    /// What must be added to the mask `from` to make it `to`.
    ///
    /// # Panics
    /// If the shapes differ.
    #[must_use]
    pub fn between(from: &PackedMask, to: &PackedMask) -> Self {
        let (n, m) = (from.nrows(), from.width());
        assert_eq!((n, m), (to.nrows(), to.width()), "masks of unlike shape");
        let mut entries = Vec::new();
        for i in 0..n {
            for (at, (&from, &to)) in from.row(i).iter().zip(to.row(i)).enumerate() {
                let mut changed = from ^ to;
                while changed != 0 {
                    let bit = changed.trailing_zeros();
                    entries.push((i as u32, 64 * at as u32 + bit, to >> bit & 1 == 1));
                    changed &= changed - 1;
                }
            }
        }
        Self::new(n, m, &entries)
    }

    /// Rows `n`.
    #[must_use]
    pub fn nrows(&self) -> usize {
        self.by_row.starts.len() - 1
    }

    /// Columns `m`.
    #[must_use]
    pub fn width(&self) -> usize {
        self.by_column.starts.len() - 1
    }

    /// Entries that are not zero.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_row.flips.len()
    }

    /// `y <- y + alpha J_E v`: `y_ik += alpha sum over r of E_ir a_rk (x_i . v_r)`.
    ///
    /// `y : n x K`, `x : n x d`, `v : m x d`, `signs = a : m x K`; `2 (d + K)` flops an entry. Operands that
    /// are not row-major are copied.
    ///
    /// # Errors
    /// [`DenseError::Shape`] if the operands do not fit together.
    pub fn apply<T: Real>(
        &self,
        y: MatMut<'_, T>,
        x: MatRef<'_, T>,
        v: MatRef<'_, T>,
        signs: MatRef<'_, T>,
        alpha: T,
        par: Par,
    ) -> Result<(), DenseError> {
        let (d, k) = self.check(x, v, signs)?;
        check_shape("output", (y.nrows(), y.ncols()), (self.nrows(), k))?;
        by_rows([x, v, signs], |[x, v, signs]| {
            let block = (WEIGHTS / size_of::<T>() / d.max(1)).max(1);
            for_each_row_chunk(y, EXAMPLES, par, |first, mut y| {
                T::with_buffer(y.nrows() * k, |sums| {
                    sums.fill(T::of(0.0));
                    let mut met = [0; EXAMPLES];
                    // Lists are in the order of their columns: what is left of each begins where the
                    // block before ended.
                    for end in (block..).step_by(block) {
                        for (i, met) in met[..y.nrows()].iter_mut().enumerate() {
                            let left = &self.by_row.get(first + i)[*met..];
                            let some = left.partition_point(|flip| (flip.at as usize) < end);
                            let x = &x[(first + i) * d..][..d];
                            simd::dots(&mut sums[i * k..][..k], x, v, signs, &left[..some]);
                            *met += some;
                        }
                        if end >= self.width() {
                            break;
                        }
                    }
                    for i in 0..y.nrows() {
                        let y = y.as_mut().row_mut(i);
                        y.iter_mut().zip(&sums[i * k..]).for_each(|(y, &s)| *y += alpha * s);
                    }
                });
            });
        });
        Ok(())
    }

    /// `v <- v + alpha J_E^T u`: `v_r += alpha sum over i of E_ir (sum over k of a_rk u_ik) x_i`.
    ///
    /// The adjoint of [`apply`](Self::apply): `u : n x K`, `v : m x d`, the other operands and the cost as
    /// there.
    ///
    /// # Errors
    /// [`DenseError::Shape`] if the operands do not fit together.
    pub fn adjoint<T: Real>(
        &self,
        v: MatMut<'_, T>,
        x: MatRef<'_, T>,
        u: MatRef<'_, T>,
        signs: MatRef<'_, T>,
        alpha: T,
        par: Par,
    ) -> Result<(), DenseError> {
        let (d, k) = self.check(x, v.as_ref(), signs)?;
        check_shape("residual", (u.nrows(), u.ncols()), (self.nrows(), k))?;
        by_rows([x, u, signs], |[x, u, signs]| {
            for_each_row_chunk(v, LISTS, par, |first, mut v| {
                T::with_buffer(d, |sums| {
                    for i in 0..v.nrows() {
                        sums.fill(T::of(0.0));
                        let signs = &signs[(first + i) * k..][..k];
                        simd::rows(sums, signs, u, x, self.by_column.get(first + i));
                        let v = v.as_mut().row_mut(i);
                        v.iter_mut().zip(&*sums).for_each(|(v, &s)| *v += alpha * s);
                    }
                });
            });
        });
        Ok(())
    }

    fn check<T>(
        &self,
        x: MatRef<'_, T>,
        v: MatRef<'_, T>,
        signs: MatRef<'_, T>,
    ) -> Result<(usize, usize), DenseError> {
        let (n, m, d, k) = (self.nrows(), self.width(), x.ncols(), signs.ncols());
        check_shape("input matrix", (x.nrows(), d), (n, d))?;
        check_shape("layer vector", (v.nrows(), v.ncols()), (m, d))?;
        check_shape("output weights", (signs.nrows(), k), (m, k))?;
        Ok((d, k))
    }
}

/// `body` on the matrices row-major, as slices; those that are not are copied.
fn by_rows<T: Real, R>(matrices: [MatRef<'_, T>; 3], body: impl FnOnce([&[T]; 3]) -> R) -> R {
    let [a, b, c] = matrices;
    by_row(a, |a| by_row(b, |b| by_row(c, |c| body([a, b, c]))))
}
