//! The inner loops, written once for every kind of vector.
#![allow(clippy::inline_always, reason = "must be compiled with their caller's instruction set")]

use faer::MatMut;

use super::factor::SMALL;
use super::simd::Vector;
use super::{DEPTH, groups};
use crate::Real;

/// Most lanes of a vector.
const MOST_LANES: usize = 16;

/// Rows that [`eliminate`] handles together.
const TOGETHER: usize = 8;

/// Two vectors of lanes.
pub(super) type Panel<V> = [V; 2];

/// The operands of one strip and some panels, L of them.
#[derive(Debug)]
pub struct Strip<'a, T, V> {
    /// Packed as [`inner`](super::pack::inner) does, S x P.
    pub(super) inner: &'a [T],
    /// Packed as [`outer`](super::pack::outer) does, S x C.
    pub(super) outer: &'a [T],
    /// L x P.
    pub(super) lanes: &'a [Panel<V>],
    /// The strip, L x S.
    pub(super) products: &'a mut [Panel<V>],
    /// L x C.
    pub(super) sums: &'a mut [Panel<V>],
}

/// Calls `$body` with `$rows`, at most `V::TALL`, as a constant.
macro_rules! with_rows {
    ($rows:expr, $R:ident => $body:expr) => {
        with_rows!(@ $rows, $R, $body, [1 2 3 4 5 6] [7 8 9 10 11 12 13 14])
    };
    (@ $rows:expr, $R:ident, $body:expr, [$($few:literal)*] [$($many:literal)*]) => {
        match $rows {
            $($few => {
                const $R: usize = $few;
                $body
            })*
            // Compiled for the vectors that have so many registers.
            $($many if V::TALL >= $many => {
                const $R: usize = $many;
                $body
            })*
            rows => unreachable!("a group of {rows} rows"),
        }
    };
}

/// `sums <- sums +` the masked product, where bit `shift + l` of `words_s` is the mask of lane `l`.
#[inline(always)]
pub(super) fn masked<T: Real, V: Vector<T>>(of: Strip<'_, T, V>, words: &[u64], mut shift: usize) {
    let Strip { inner, outer, lanes, products, sums } = of;
    let count = words.len();
    let strips = products.chunks_exact_mut(count);
    for (strip, lanes) in strips.zip(lanes.chunks_exact(inner.len() / count)) {
        fill(
            strip,
            inner,
            lanes,
            #[inline(always)]
            |s, [a, b]: Panel<V>| {
                let bits = words[s] >> shift;
                [a.keep(bits), b.keep(bits >> V::LANES)]
            },
        );
        shift += 2 * V::LANES;
    }
    add(sums, outer, products, count);
}

/// Fills the strip with plain products, and ors `[product > 0]` to `words`, from bit `shift` on.
#[inline(always)]
pub(super) fn plain<T: Real, V: Vector<T>>(
    strip: &mut [Panel<V>],
    inner: &[T],
    lanes: &[Panel<V>],
    words: &mut [u64],
    shift: usize,
) {
    fill(
        strip,
        inner,
        lanes,
        #[inline(always)]
        |_, product| product,
    );
    for (word, [a, b]) in words.iter_mut().zip(strip) {
        *word |= (a.positive() | b.positive() << V::LANES) << shift;
    }
}

/// Fills the strip with plain products, and ors `[product > radius]` to the first words and
/// `[product > -radius]` to the second, from bit `shift` on.
#[inline(always)]
pub(super) fn screen<T: Real, V: Vector<T>>(
    strip: &mut [Panel<V>],
    (inner, radius): (&[T], &[T]),
    lanes: &[Panel<V>],
    [above, below]: [&mut [u64]; 2],
    shift: usize,
) {
    fill(
        strip,
        inner,
        lanes,
        #[inline(always)]
        |_, product| product,
    );
    let (down, up) = (V::splat(T::of(-1.0)), V::splat(T::of(1.0)));
    let words = above.iter_mut().zip(below);
    for ((words, [a, b]), &radius) in words.zip(strip).zip(radius) {
        let radius = V::splat(radius);
        let (low, high) = (a.fma(radius, down).positive(), b.fma(radius, down).positive());
        *words.0 |= (low | high << V::LANES) << shift;
        let (low, high) = (a.fma(radius, up).positive(), b.fma(radius, up).positive());
        *words.1 |= (low | high << V::LANES) << shift;
    }
}

/// `sums <- sums +` the product whose strip is `relu(before + delta) - relu(before)`; ors
/// `[before + delta > 0]` to `words`, from bit `shift` on.
#[inline(always)]
pub(super) fn rectified<T: Real, V: Vector<T>>(
    of: Strip<'_, T, V>,
    before: &[Panel<V>],
    words: &mut [u64],
    shift: usize,
) {
    let Strip { inner, outer, lanes, products: strip, sums } = of;
    let count = strip.len();
    fill(
        strip,
        inner,
        lanes,
        #[inline(always)]
        |_, product| product,
    );
    for ((word, delta), before) in words.iter_mut().zip(&mut *strip).zip(before) {
        let ((a, bits_a), (b, bits_b)) = (before[0].rectify(delta[0]), before[1].rectify(delta[1]));
        *delta = [a, b];
        *word |= (bits_a | bits_b << V::LANES) << shift;
    }
    add(sums, outer, strip, count);
}

/// `lanes <- L^-1 lanes`, with `L` packed as [`pack_solver`](super::factor) does.
#[inline(always)]
pub(super) fn substitute<T: Real, V: Vector<T>>(lanes: &mut [Panel<V>], mut solver: &[T]) {
    for group in groups(lanes.len(), V::TALL) {
        let (a, rest) = solver.split_at(group.len() * group.end);
        solver = rest;
        let (known, unknown) = lanes[..group.end].split_at_mut(group.start);
        with_rows!(group.len(), R => {
            let unknown: &mut [Panel<V>; R] = unknown.try_into().expect("R rows");
            let (products, triangle) = a.as_chunks::<R>().0.split_at(known.len());
            let mut sums = multiply(*unknown, products, known);
            for (q, column) in triangle.iter().enumerate() {
                let a = V::splat(column[q]);
                let found = [V::zero().fma(a, sums[q][0]), V::zero().fma(a, sums[q][1])];
                for r in q + 1..R {
                    let a = V::splat(column[r]);
                    for h in 0..2 {
                        sums[r][h] = sums[r][h].fma(a, found[h]);
                    }
                }
                unknown[q] = found;
            }
        });
    }
}

/// Columns of `A`, zeros above its diagonal, to columns of `L`; from a pivot on that is not positive,
/// numbers that are not.
#[inline(always)]
pub(super) fn eliminate<T: Real>(columns: &mut [[T; SMALL]; SMALL]) {
    for j in 0..SMALL {
        let (known, rest) = columns.split_at_mut(j);
        let column = rest[0].as_chunks_mut::<TOGETHER>().0.iter_mut().enumerate();
        // Whole vectors, from the one on that holds the diagonal.
        for (v, column) in column.skip(j / TOGETHER) {
            let mut sums = *column;
            for known in &*known {
                let (factor, l) = (known[j], known.as_chunks::<TOGETHER>().0[v]);
                for i in 0..TOGETHER {
                    sums[i] -= factor * l[i];
                }
            }
            *column = sums;
        }
        let root = rest[0][j].sqrt();
        for a in &mut rest[0] {
            *a /= root;
        }
        rest[0][j] = root;
    }
}

/// `target_lr <- target_lr + sum over p of group_pr lanes_pl`, panel after panel of the rows `l` of
/// `target`, which is stored by columns.
#[inline(always)]
pub(super) fn update<T: Real, V: Vector<T>>(
    target: MatMut<'_, T>,
    group: &[T],
    lanes: &[Panel<V>],
) {
    with_rows!(target.ncols(), R => {
        let mut columns = target.col_iter_mut();
        let columns: [&mut [T]; R] = std::array::from_fn(|_| {
            let column = columns.next().expect("R columns");
            column.try_as_col_major_mut().expect("stored by columns").as_slice_mut()
        });
        let (width, group) = (2 * V::LANES, group.as_chunks::<R>().0);
        for (panel, lanes) in lanes.chunks_exact(group.len()).enumerate() {
            let from = panel * width;
            let count = width.min(columns[0].len() - from);
            // Loops, as closures are not compiled with the instruction set.
            let mut sums = [[V::zero(); 2]; R];
            if count == width {
                for r in 0..R {
                    sums[r] = V::load(&columns[r][from..]);
                    if let Some(next) = columns[r].get(from + width) { V::prefetch(next); }
                }
                let sums = multiply(sums, group, lanes);
                for r in 0..R {
                    V::store(sums[r], &mut columns[r][from..]);
                }
            } else {
                let sums = multiply(sums, group, lanes);
                for r in 0..R {
                    let mut spare = [T::of(0.0); 2 * MOST_LANES];
                    V::store(sums[r], &mut spare);
                    for (c, s) in columns[r][from..].iter_mut().zip(spare) {
                        *c += s;
                    }
                }
            }
        }
    });
}

/// `strip_s <- finish(s, sum over p of inner_sp lanes_p)`.
#[inline(always)]
fn fill<T: Real, V: Vector<T>>(
    strip: &mut [Panel<V>],
    mut inner: &[T],
    lanes: &[Panel<V>],
    finish: impl Fn(usize, Panel<V>) -> Panel<V>,
) {
    let count = lanes.len().div_ceil(DEPTH);
    for (piece, lanes) in lanes.chunks(DEPTH).enumerate() {
        let (first, last) = (piece == 0, piece + 1 == count);
        for group in groups(strip.len(), V::TALL) {
            let from = group.start;
            let (a, rest) = inner.split_at(group.len() * lanes.len());
            inner = rest;
            let target = &mut strip[group];
            with_rows!(target.len(), R => {
                let target: &mut [Panel<V>; R] = target.try_into().expect("R rows");
                let start = if first { [[V::zero(); 2]; R] } else { *target };
                let mut sums = multiply(start, a.as_chunks::<R>().0, lanes);
                if last {
                    for (r, sum) in sums.iter_mut().enumerate() {
                        *sum = finish(from + r, *sum);
                    }
                }
                *target = sums;
            });
        }
    }
}

/// `sums_c <- sums_c + sum over s of outer_sc strip_s` for every panel, whose strips are `count` long: the
/// operand is read once for all of them.
#[inline(always)]
fn add<T: Real, V: Vector<T>>(
    sums: &mut [Panel<V>],
    mut outer: &[T],
    strips: &[Panel<V>],
    count: usize,
) {
    let outputs = outer.len() / count;
    for group in groups(outputs, V::TALL) {
        let (a, rest) = outer.split_at(group.len() * count);
        outer = rest;
        with_rows!(group.len(), R => {
            let a = a.as_chunks::<R>().0;
            for (sums, strip) in sums.chunks_exact_mut(outputs).zip(strips.chunks_exact(count)) {
                let target: &mut [Panel<V>; R] =
                    (&mut sums[group.clone()]).try_into().expect("R rows");
                *target = multiply(*target, a, strip);
            }
        });
    }
}

/// `sums_r + sum over p of a_pr b_p`.
#[inline(always)]
fn multiply<T: Real, V: Vector<T>, const R: usize>(
    mut sums: [Panel<V>; R],
    a: &[[T; R]],
    b: &[Panel<V>],
) -> [Panel<V>; R] {
    for (a, b) in a.iter().zip(b) {
        for r in 0..R {
            let a = V::splat(a[r]);
            for h in 0..2 {
                sums[r][h] = sums[r][h].fma(a, b[h]);
            }
        }
    }
    sums
}
