//! Operands in the order in which the tiles read them.

use faer::{MatMut, MatRef, Par};

use super::{DEPTH, groups};
use crate::Real;
use crate::parallel::for_each_part;

/// `out[p width + l] <- scale a_lp` for the rows `l` of `a`, of which there are at most `width`.
fn interleave<T: Real>(out: &mut [T], width: usize, a: MatRef<'_, T>, scale: T) {
    if a.row_stride() == 1 && a.nrows() > 1 {
        for (out, col) in out.chunks_exact_mut(width).zip(a.col_iter()) {
            if let Some(col) = col.try_as_col_major() {
                out.iter_mut().zip(col.as_slice()).for_each(|(o, &a)| *o = scale * a);
            }
        }
        return;
    }
    for (l, row) in a.row_iter().enumerate() {
        let out = out.chunks_exact_mut(width);
        if let Some(row) = row.try_as_row_major() {
            out.zip(row.as_slice()).for_each(|(out, &a)| out[l] = scale * a);
        } else {
            out.zip(row.iter()).for_each(|(out, &a)| out[l] = scale * a);
        }
    }
}

/// `scale a : L x P`, stored by columns, `W` rows after `W` rows, each one's numbers by `p`, zeros past the
/// last row; a column of `a` at a time, as each lies in other pages of the memory.
pub(super) fn stripes<T: Real, const W: usize>(out: &mut [T], a: MatRef<'_, T>, scale: T) {
    for (p, col) in a.col_iter().enumerate() {
        let col = col.try_as_col_major().expect("stored by columns").as_slice();
        for (out, rows) in out.chunks_exact_mut(W * a.ncols()).zip(col.chunks(W)) {
            let out = &mut out.as_chunks_mut::<W>().0[p];
            if let Some(rows) = rows.first_chunk::<W>() {
                out.iter_mut().zip(rows).for_each(|(o, &a)| *o = scale * a);
            } else {
                out.fill(T::of(0.0));
                out.iter_mut().zip(rows).for_each(|(o, &a)| *o = scale * a);
            }
        }
    }
}

/// `a <-` stripes, the inverse of [`stripes`].
pub(super) fn unpack_stripes<T: Real, const W: usize>(a: MatMut<'_, T>, stripes: &[T]) {
    let count = a.ncols();
    for (p, col) in a.col_iter_mut().enumerate() {
        let col = col.try_as_col_major_mut().expect("stored by columns").as_slice_mut();
        for (rows, from) in col.chunks_mut(W).zip(stripes.chunks_exact(W * count)) {
            let from = &from.as_chunks::<W>().0[p];
            if let Some(rows) = rows.first_chunk_mut::<W>() {
                *rows = *from;
            } else {
                rows.copy_from_slice(&from[..rows.len()]);
            }
        }
    }
}

/// The rows of `a : L x P` as lanes: panel after panel, P x `width` each, zeros past the last row.
pub(super) fn lanes<T: Real>(out: &mut [T], width: usize, a: MatRef<'_, T>) {
    for (panel, out) in out.chunks_exact_mut(width * a.ncols().max(1)).enumerate() {
        let first = a.nrows().min(panel * width);
        let count = width.min(a.nrows() - first);
        if count < width {
            out.fill(T::of(0.0));
        }
        interleave(out, width, a.subrows(first, count), T::of(1.0));
    }
}

/// [`lanes`], a panel to a task.
pub(super) fn lanes_par<T: Real>(out: &mut [T], width: usize, a: MatRef<'_, T>, par: Par) {
    for_each_part(out, width * a.ncols(), par, |panel, out| {
        let first = panel * width;
        lanes(out, width, a.subrows(first, width.min(a.nrows() - first)));
    });
}

/// `a <-` panels of lanes, the inverse of [`lanes`].
pub(super) fn unpack_lanes<T: Real>(mut a: MatMut<'_, T>, width: usize, panels: &[T]) {
    for (panel, from) in panels.chunks_exact(width * a.ncols().max(1)).enumerate() {
        let first = a.nrows().min(panel * width);
        let count = width.min(a.nrows() - first);
        let a = a.as_mut().subrows_mut(first, count);
        if a.row_stride() == 1 {
            for (col, from) in a.col_iter_mut().zip(from.chunks_exact(width)) {
                col.iter_mut().zip(from).for_each(|(a, &from)| *a = from);
            }
            continue;
        }
        for (l, row) in a.row_iter_mut().enumerate() {
            row.iter_mut().zip(from.chunks_exact(width)).for_each(|(a, from)| *a = from[l]);
        }
    }
}

/// `scale a : S x P` as what tiles are summed over: for each [`DEPTH`] of `p`, group after group of up to
/// `tall` `s`, each group's numbers by `p`.
pub(super) fn inner<T: Real>(out: &mut [T], tall: usize, a: MatRef<'_, T>, scale: T) {
    let mut rest = out;
    for first in (0..a.ncols()).step_by(DEPTH) {
        let a = a.subcols(first, DEPTH.min(a.ncols() - first));
        for group in groups(a.nrows(), tall) {
            let (out, tail) = rest.split_at_mut(group.len() * a.ncols());
            interleave(out, group.len(), a.subrows(group.start, group.len()), scale);
            rest = tail;
        }
    }
}

/// `scale a : S x C` as what the strip is multiplied by: group after group of up to
/// `tall` `c`, each one's numbers by `s`.
pub(super) fn outer<T: Real>(out: &mut [T], tall: usize, a: MatRef<'_, T>, scale: T) {
    let mut rest = out;
    for group in groups(a.ncols(), tall) {
        let (out, tail) = rest.split_at_mut(group.len() * a.nrows());
        let a = a.subcols(group.start, group.len());
        interleave(out, group.len(), a.transpose(), scale);
        rest = tail;
    }
}
