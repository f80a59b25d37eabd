//! `J v` and `J^T u` for any number of outputs.

use faer::{MatMut, MatRef, Par};

use super::kernel::{Panel, Strip};
use super::simd::{Task, Vector, on_vectors, panels, panels_mut};
use super::{BLOCK, DEPTH, HELD, PACKED, WORD, block, pack};
use crate::layer::Layer;
use crate::parallel::{TASKS, for_each_part, for_each_row_chunk};
use crate::transpose::columns;
use crate::{PackedMask, Real};

/// Examples of a task: the packed weights of a strip serve all of them.
const EXAMPLES: usize = 2 * WORD;

/// `y <- alpha J v`, with `y : n x K` and `v : m x d`.
pub(crate) fn apply<T: Real>(
    layer: Layer<'_, T>,
    mut y: MatMut<'_, T>,
    v: MatRef<'_, T>,
    par: Par,
) {
    y.fill(T::of(0.0));
    if !layer.is_empty() {
        on_vectors(Apply { layer, y, v, par });
    }
}

/// `v <- alpha J^T u`, with `u : n x K` and `v : m x d`.
pub(crate) fn adjoint<T: Real>(
    layer: Layer<'_, T>,
    mut v: MatMut<'_, T>,
    u: MatRef<'_, T>,
    par: Par,
) {
    v.fill(T::of(0.0));
    if !layer.is_empty() {
        on_vectors(Adjoint { layer, v, u, par });
    }
}

/// `y <- alpha^2 J J^T u`, with `y, u : n x K`, in one sweep over the neurons.
pub(crate) fn gram_apply<T: Real>(
    layer: Layer<'_, T>,
    mut y: MatMut<'_, T>,
    u: MatRef<'_, T>,
    par: Par,
) {
    if layer.is_empty() {
        y.fill(T::of(0.0));
    } else {
        on_vectors(Sweep { layer, y, u, par });
    }
}

/// Bytes of a strip of the adjoint, a third of a first-level cache or a bit more.
const STRIP: usize = 12 << 10;

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Packs rows of `inner : S x P` and `outer : S x C` for one strip after the other.
fn pack_strips<T: Real, V: Vector<T>>(
    out: &mut [T],
    rows: usize,
    (inner, scale): (MatRef<'_, T>, T),
    outer: MatRef<'_, T>,
    par: Par,
) {
    let each = inner.ncols() + outer.ncols();
    for_each_part(out, rows * each, par, |part, out| {
        let (first, count) = (part * rows, out.len() / each);
        let (to_inner, to_outer) = out.split_at_mut(count * inner.ncols());
        pack::inner(to_inner, V::TALL, inner.subrows(first, count), scale);
        pack::outer(to_outer, V::TALL, outer.subrows(first, count), T::of(1.0));
    });
}

/// Operands packed by [`pack_strips`]: strips of `rows`, each `S x (P + C)` numbers.
#[derive(Clone, Copy)]
struct Strips<'a, T> {
    packed: &'a [T],
    rows: usize,
    /// P.
    inner: usize,
    /// C.
    outer: usize,
}

impl<'a, T> Strips<'a, T> {
    /// The first `s` of each strip, how many there are, and their packed operands.
    fn each(self) -> impl Iterator<Item = (usize, usize, &'a [T], &'a [T])> {
        let each = self.inner + self.outer;
        self.packed.chunks(self.rows * each).enumerate().map(move |(b, packed)| {
            let count = packed.len() / each;
            let (inner, outer) = packed.split_at(count * self.inner);
            (b * self.rows, count, inner, outer)
        })
    }
}

/// Adds to the sums of lanes what packed strips give them. Where panel `p` begins a word of lanes,
/// `read(words, s, p)` reads those lanes' bits for the strip from `s` on. `products` has room for the
/// strips of [`WORD`] lanes.
///
/// One panel at a time keeps its sums and strip in a first-level cache. With too many sums for that,
/// all panels of a word go together, and `outer` is read once for them; but not where a panel is as wide as
/// those of AVX-512: it halves the reads by itself, and four strips would push one another out of the
/// cache (on a Zen 4 that took 1.13 times as long in `f64`, 1.09 in `f32`, at d = 784).
fn add_strips<T: Real, V: Vector<T>>(
    strips: Strips<'_, T>,
    lanes: &[Panel<V>],
    sums: &mut [Panel<V>],
    products: &mut [Panel<V>],
    read: impl Fn(&mut [u64], usize, usize),
) {
    let width = 2 * V::LANES;
    let together = strips.outer > DEPTH && size_of::<V>() < LINE;
    let panels = if together { WORD / width } else { 1 };
    for (s, count, inner, outer) in strips.each() {
        let sums = sums.chunks_mut(panels * strips.outer);
        let lanes = lanes.chunks(panels * strips.inner);
        let mut words = [0; BLOCK];
        for (p, (sums, lanes)) in (0..).step_by(panels).zip(sums.zip(lanes)) {
            let shift = p * width % WORD;
            if shift == 0 {
                read(&mut words[..count.next_multiple_of(WORD)], s, p);
            }
            let products = &mut products[..count * lanes.len() / strips.inner];
            V::masked(Strip { inner, outer, lanes, products, sums }, &words[..count], shift);
        }
    }
}

/// [`add_strips`] for the examples `first ..` as lanes and packed neurons `from ..`.
fn apply_strips<T: Real, V: Vector<T>>(
    mask: &PackedMask,
    strips: Strips<'_, T>,
    (from, first): (usize, usize),
    lanes: &[Panel<V>],
    sums: &mut [Panel<V>],
    strip: &mut [Panel<V>],
) {
    add_strips(strips, lanes, sums, strip, |words, s, p| {
        columns(words, mask, first + p * 2 * V::LANES, (from + s) / WORD);
    });
}

/// [`add_strips`] for the neurons `first ..` as lanes and all examples.
fn adjoint_strips<T: Real, V: Vector<T>>(
    mask: &PackedMask,
    strips: Strips<'_, T>,
    first: usize,
    lanes: &[Panel<V>],
    sums: &mut [Panel<V>],
    strip: &mut [Panel<V>],
) {
    add_strips(strips, lanes, sums, strip, |words, s, p| {
        let at = (first + p * 2 * V::LANES) / WORD;
        let rows = s..mask.nrows();
        words.iter_mut().zip(rows).for_each(|(word, i)| *word = mask.row(i)[at]);
    });
}

/// Neurons of a task of the adjoint: their sums stay in a second-level cache.
fn neurons(d: usize) -> usize {
    (HELD / d / WORD * WORD).clamp(WORD, 4 * WORD)
}

struct Apply<'a, T> {
    layer: Layer<'a, T>,
    y: MatMut<'a, T>,
    v: MatRef<'a, T>,
    par: Par,
}

impl<T: Real> Task<T> for Apply<'_, T> {
    /// Lanes are examples. Neurons are packed [`PACKED`] numbers at a time, and each task goes through
    /// them strip by strip.
    fn run<V: Vector<T>>(self) {
        let Self { layer: Layer { mask, x, signs, alpha }, mut y, v, par } = self;
        let (n, m, d, k) = (mask.nrows(), mask.width(), x.ncols(), signs.ncols());
        let width = 2 * V::LANES;
        let rows = block(d + k);
        let stretch = (PACKED / (d + k) / rows * rows).max(rows).min(m);
        let len = n.next_multiple_of(width) * d;
        T::with_buffer(len + stretch * (d + k), |buffer| {
            let (lanes, weights) = buffer.split_at_mut(len);
            pack::lanes_par(lanes, width, x, par);
            let lanes = panels::<T, V>(lanes);
            for from in (0..m).step_by(stretch) {
                let neurons = stretch.min(m - from);
                let weights = &mut weights[..neurons * (d + k)];
                let (v, signs) = (v.subrows(from, neurons), signs.subrows(from, neurons));
                pack_strips::<T, V>(weights, rows, (v, alpha), signs, par);
                for_each_row_chunk(y.as_mut(), EXAMPLES, par, |first, mut y| {
                    let count = y.nrows().div_ceil(width);
                    let lanes = &lanes[first / width * d..][..count * d];
                    T::with_buffer(width * count * k + WORD * rows, |buffer| {
                        let (sums, strip) = buffer.split_at_mut(width * count * k);
                        pack::lanes(sums, width, y.as_ref());
                        let strip = panels_mut::<T, V>(strip);
                        let strips = Strips { packed: weights, rows, inner: d, outer: k };
                        let at = (from, first);
                        apply_strips(mask, strips, at, lanes, panels_mut(sums), strip);
                        pack::unpack_lanes(y.as_mut(), width, sums);
                    });
                });
            }
        });
    }
}

struct Adjoint<'a, T> {
    layer: Layer<'a, T>,
    v: MatMut<'a, T>,
    u: MatRef<'a, T>,
    par: Par,
}

impl<T: Real> Task<T> for Adjoint<'_, T> {
    /// Lanes are neurons. All examples are packed, and each task goes through them strip by strip.
    fn run<V: Vector<T>>(self) {
        let Self { layer: Layer { mask, x, signs, alpha }, v, u, par } = self;
        let (n, d, k) = (mask.nrows(), x.ncols(), signs.ncols());
        let (width, rows) = (2 * V::LANES, STRIP / size_of::<Panel<V>>());
        let neurons = neurons(d);
        T::with_buffer(n * (d + k), |examples| {
            pack_strips::<T, V>(examples, rows, (u, alpha), x, par);
            for_each_row_chunk(v, neurons, par, |first, mut v| {
                let count = v.nrows().div_ceil(width);
                T::with_buffer(width * count * (d + k) + WORD * rows, |buffer| {
                    let (sums, rest) = buffer.split_at_mut(width * count * d);
                    let (lanes, strip) = rest.split_at_mut(width * count * k);
                    sums.fill(T::of(0.0));
                    pack::lanes(lanes, width, signs.subrows(first, v.nrows()));
                    let (lanes, strip) = (panels::<T, V>(lanes), panels_mut::<T, V>(strip));
                    let strips = Strips { packed: examples, rows, inner: k, outer: d };
                    adjoint_strips(mask, strips, first, lanes, panels_mut(sums), strip);
                    pack::unpack_lanes(v.as_mut(), width, sums);
                });
            });
        });
    }
}

struct Sweep<'a, T> {
    layer: Layer<'a, T>,
    y: MatMut<'a, T>,
    u: MatRef<'a, T>,
    par: Par,
}

impl<T: Real> Task<T> for Sweep<'_, T> {
    /// Each task goes through its share of the neurons, a few at a time: their part of `J^T u`, packed
    /// anew as the weights of `J v`, whose sums for all examples are a vector of the task's own.
    fn run<V: Vector<T>>(self) {
        let Self { layer, y, u, par } = self;
        let Layer { mask, x, signs, alpha } = layer;
        let (n, m, d, k) = (mask.nrows(), mask.width(), x.ncols(), signs.ncols());
        let (width, rows) = (2 * V::LANES, block(d + k));
        let share = m.div_ceil(TASKS).next_multiple_of(neurons(d));
        let tasks = m.div_ceil(share);
        let (len, part) = (n.next_multiple_of(width) * d, n.next_multiple_of(width) * k);
        T::with_buffer(len + tasks * part + n * (d + k), |buffer| {
            let (lanes, buffer) = buffer.split_at_mut(len);
            let (parts, examples) = buffer.split_at_mut(tasks * part);
            pack::lanes_par(lanes, width, x, par);
            pack_strips::<T, V>(examples, rows, (u, alpha), x, par);
            let lanes = panels::<T, V>(lanes);
            let examples = Strips { packed: &*examples, rows, inner: k, outer: d };
            for_each_part(parts, part, par, |task, sums| {
                sums.fill(T::of(0.0));
                let sums = panels_mut::<T, V>(sums);
                for first in (task * share..m.min((task + 1) * share)).step_by(neurons(d)) {
                    sweep_chunk(layer, examples, first, lanes, sums);
                }
            });
            let (total, others) = parts.split_at_mut(part);
            for other in others.chunks_exact(part) {
                total.iter_mut().zip(other).for_each(|(t, &o)| *t += o);
            }
            pack::unpack_lanes(y, width, total);
        });
    }
}

/// `sums <- sums + alpha^2 J J^T u` for the neurons from `first` on that are taken together; `lanes` and
/// `sums` are those of all examples.
fn sweep_chunk<T: Real, V: Vector<T>>(
    Layer { mask, x, signs, alpha }: Layer<'_, T>,
    examples: Strips<'_, T>,
    first: usize,
    lanes: &[Panel<V>],
    sums: &mut [Panel<V>],
) {
    let (d, k, width, rows) = (x.ncols(), signs.ncols(), 2 * V::LANES, examples.rows);
    let count = neurons(d).min(mask.width() - first);
    let signs = signs.subrows(first, count);
    let len = count.next_multiple_of(width);
    T::with_buffer(len * (d + k) + WORD * rows + count * (2 * d + k), |buffer| {
        let (v_sums, buffer) = buffer.split_at_mut(len * d);
        let (v_lanes, buffer) = buffer.split_at_mut(len * k);
        let (strip, buffer) = buffer.split_at_mut(WORD * rows);
        let (v, weights) = buffer.split_at_mut(count * d);
        let strip = panels_mut(strip);
        v_sums.fill(T::of(0.0));
        pack::lanes(v_lanes, width, signs);
        adjoint_strips::<T, V>(mask, examples, first, panels(v_lanes), panels_mut(v_sums), strip);
        pack::unpack_lanes(MatMut::from_row_major_slice_mut(v, count, d), width, v_sums);
        let v = MatRef::from_row_major_slice(v, count, d);
        pack_strips::<T, V>(weights, rows, (v, alpha), signs, Par::Seq);
        let weights = Strips { packed: &*weights, rows, inner: d, outer: k };
        apply_strips(mask, weights, (first, 0), lanes, sums, strip);
    });
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::super::simd::Kind;
    use super::*;

    /// Vectors of several kinds round differently: each within `(t + 4) eps / 2` of the sum of the
    /// terms' sizes, where `t` is the number of a term's sums (Higham, section 3.1). All terms are
    /// positive here, so that the sum of sizes is the sum.
    fn paths_agree<T: Real>() {
        let (n, m, d, k) = (150, 290, 270, 7);
        let matrix = |rows, cols, salt: usize| {
            Mat::<T>::from_fn(rows, cols, |i, j| {
                T::of(((i * 37 + j * 11 + salt) % 101) as f64 / 99.0)
            })
        };
        let mask = PackedMask::from_fn(n, m, |i, r| (i * 5 + r * 3) % 7 < 4);
        let (x, signs, v, u) = (matrix(n, d, 1), matrix(m, k, 2), matrix(m, d, 3), matrix(n, k, 4));
        let layer = Layer::new(&mask, x.as_ref(), signs.as_ref(), T::of(0.3)).expect("fits");
        let (v, u, par) = (v.as_ref(), u.as_ref(), Par::Seq);
        let products = |kind: Kind| {
            let [mut y, mut swept] = [0, 1].map(|_| Mat::zeros(n, k));
            let mut w = Mat::zeros(m, d);
            kind.run(Apply { layer, y: y.as_mut(), v, par });
            kind.run(Adjoint { layer, v: w.as_mut(), u, par });
            kind.run(Sweep { layer, y: swept.as_mut(), u, par });
            [y, w, swept]
        };
        let close = |a: &Mat<T>, b: &Mat<T>, sums: usize| {
            let bound = (sums + 4) as f64 * T::epsilon().as_f64();
            (0..a.nrows()).all(|i| {
                (0..a.ncols()).all(|j| {
                    let (a, b) = (a[(i, j)].as_f64(), b[(i, j)].as_f64());
                    (a - b).abs() <= bound * a.max(b)
                })
            })
        };
        let [y, w, swept] = products(Kind::Plain);
        // Both products in one sweep, and one after the other.
        let mut apart = Mat::zeros(n, k);
        apply(layer, apart.as_mut(), w.as_ref(), par);
        assert!(close(&swept, &apart, k + n + d + m), "{}", T::NAME);
        for kind in Kind::available() {
            let [other_y, other_w, other_swept] = products(kind);
            assert!(close(&y, &other_y, d + m), "{kind:?} {}", T::NAME);
            assert!(close(&w, &other_w, k + n), "{kind:?} {}", T::NAME);
            assert!(close(&swept, &other_swept, k + n + d + m), "{kind:?} {}", T::NAME);
        }
    }

    #[test]
    fn every_path_gives_the_products() {
        paths_agree::<f32>();
        paths_agree::<f64>();
    }
}
