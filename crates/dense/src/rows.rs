//! Rows of one matrix as sums of a few rows of another.

pub(crate) mod simd;

use faer::{MatMut, MatRef, Par};

use crate::error::check_shape;
use crate::parallel::for_each_row_chunk;
use crate::{DenseError, Real};

/// Rows of a task.
const ROWS: usize = 64;

/// Rows that are added at a time.
const TERMS: usize = 32;

/// `target_i <- sum over c < terms of w_ic a_s(i,c)`, where `term(i, c)` gives the weight `w_ic` and the
/// row `s(i, c)`: `2 d terms` flops a row.
///
/// `target` and `a` have `d` columns each; `a` is copied if it is not row-major.
///
/// # Errors
/// [`DenseError::Shape`] if the columns differ in number.
///
/// # Panics
/// If `term` names a row that `a` has not.
pub fn combine_rows<T: Real>(
    target: MatMut<'_, T>,
    a: MatRef<'_, T>,
    terms: usize,
    term: impl Fn(usize, usize) -> (T, usize) + Sync + Send,
    par: Par,
) -> Result<(), DenseError> {
    let d = a.ncols();
    check_shape("sums of rows", (target.nrows(), target.ncols()), (target.nrows(), d))?;
    by_row(a, |a| {
        for_each_row_chunk(target, ROWS, par, |first, mut target| {
            T::with_buffer(d, |sum| {
                for i in 0..target.nrows() {
                    sum.fill(T::of(0.0));
                    for from in (0..terms).step_by(TERMS) {
                        let mut some = [(T::of(0.0), 0); TERMS];
                        let count = TERMS.min(terms - from);
                        for (c, some) in some[..count].iter_mut().enumerate() {
                            *some = term(first + i, from + c);
                        }
                        simd::combine(sum, &some[..count], a);
                    }
                    let row = target.as_mut().row_mut(i);
                    row.iter_mut().zip(&*sum).for_each(|(t, &s)| *t = s);
                }
            });
        });
    });
    Ok(())
}

/// `body` on a matrix row-major, as a slice; copied if it is not.
pub(crate) fn by_row<T: Real, R>(a: MatRef<'_, T>, body: impl FnOnce(&[T]) -> R) -> R {
    let (rows, cols) = (a.nrows(), a.ncols());
    if let Some(slice) = simd::contiguous(a) {
        return body(slice);
    }
    T::with_buffer(rows * cols, |buffer| {
        MatMut::from_row_major_slice_mut(&mut *buffer, rows, cols).copy_from(a);
        body(buffer)
    })
}

/// `a . b`: eight sums side by side, two for what remains.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
pub(crate) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
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

/// `target <- target + weight a`.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
pub(crate) fn add_scaled<T: Real>(target: &mut [T], weight: T, a: &[T]) {
    let (target, last_target) = target.as_chunks_mut::<8>();
    let (a, last_a) = a.as_chunks::<8>();
    for (target, a) in target.iter_mut().zip(a) {
        for l in 0..8 {
            target[l] += weight * a[l];
        }
    }
    let (target, rest) = last_target.as_chunks_mut::<2>();
    let (a, last) = last_a.as_chunks::<2>();
    for (target, a) in target.iter_mut().zip(a) {
        for l in 0..2 {
            target[l] += weight * a[l];
        }
    }
    rest.iter_mut().zip(last).for_each(|(t, &a)| *t += weight * a);
}

/// `sum <- sum + sum over (weight, i) of weight a_i`.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn combine<T: Real>(sum: &mut [T], terms: &[(T, usize)], a: &[T]) {
    let d = sum.len();
    for &(weight, i) in terms {
        add_scaled(sum, weight, &a[i * d..][..d]);
    }
}
