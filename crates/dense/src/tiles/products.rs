//! `J v` and `J^T u` for any number of outputs.

use faer::{MatMut, MatRef, Par};

use super::kernel::Strip;
use super::simd::{Task, Vector, on_vectors, panels, panels_mut};
use super::{BLOCK, HELD, PACKED, WORD, block, pack};
use crate::Real;
use crate::layer::Layer;
use crate::parallel::{for_each_part, for_each_row_chunk};
use crate::transpose::columns;

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

/// Packs rows of `inner : S x P` and `outer : S x C` for one strip after the other.
fn pack_strips<T: Real>(
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
        pack::inner(to_inner, inner.subrows(first, count), scale);
        pack::outer(to_outer, outer.subrows(first, count), T::of(1.0));
    });
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
            for_each_part(lanes, width * d, par, |panel, out| {
                let first = panel * width;
                pack::lanes(out, width, x.subrows(first, width.min(n - first)));
            });
            let lanes = panels::<T, V>(lanes);
            for from in (0..m).step_by(stretch) {
                let neurons = stretch.min(m - from);
                let weights = &mut weights[..neurons * (d + k)];
                let (v, signs) = (v.subrows(from, neurons), signs.subrows(from, neurons));
                pack_strips(weights, rows, (v, alpha), signs, par);
                for_each_row_chunk(y.as_mut(), EXAMPLES, par, |first, mut y| {
                    let count = y.nrows().div_ceil(width);
                    let lanes = &lanes[first / width * d..][..count * d];
                    T::with_buffer(width * (count * k + rows), |buffer| {
                        let (sums, strip) = buffer.split_at_mut(width * count * k);
                        pack::lanes(sums, width, y.as_ref());
                        let strip = panels_mut::<T, V>(strip);
                        for (b, weights) in weights.chunks(rows * (d + k)).enumerate() {
                            let strip = &mut strip[..weights.len() / (d + k)];
                            let (inner, outer) = weights.split_at(strip.len() * d);
                            let at = (from + b * rows) / WORD;
                            let sums = panels_mut::<T, V>(sums).chunks_exact_mut(k);
                            let mut words = [0; BLOCK];
                            for (p, (sums, lanes)) in sums.zip(lanes.chunks_exact(d)).enumerate() {
                                let shift = p * width % WORD;
                                if shift == 0 {
                                    let words = &mut words[..strip.len().next_multiple_of(WORD)];
                                    columns(words, mask, first + p * width, at);
                                }
                                let products = &mut *strip;
                                V::masked(
                                    Strip { inner, outer, lanes, products, sums },
                                    &words,
                                    shift,
                                );
                            }
                        }
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
        let width = 2 * V::LANES;
        let rows = block(d + k);
        let neurons = (HELD / d / WORD * WORD).clamp(WORD, 4 * WORD);
        T::with_buffer(n * (d + k), |examples| {
            pack_strips(examples, rows, (u, alpha), x, par);
            for_each_row_chunk(v, neurons, par, |first, mut v| {
                let count = v.nrows().div_ceil(width);
                T::with_buffer(width * (count * (d + k) + rows), |buffer| {
                    let (sums, rest) = buffer.split_at_mut(width * count * d);
                    let (lanes, strip) = rest.split_at_mut(width * count * k);
                    sums.fill(T::of(0.0));
                    pack::lanes(lanes, width, signs.subrows(first, v.nrows()));
                    let (lanes, strip) = (panels::<T, V>(lanes), panels_mut::<T, V>(strip));
                    for (b, examples) in examples.chunks(rows * (d + k)).enumerate() {
                        let strip = &mut strip[..examples.len() / (d + k)];
                        let (inner, outer) = examples.split_at(strip.len() * k);
                        let sums = panels_mut::<T, V>(sums).chunks_exact_mut(d);
                        let mut words = [0; BLOCK];
                        for (p, (sums, lanes)) in sums.zip(lanes.chunks_exact(k)).enumerate() {
                            let (at, shift) = ((first + p * width) / WORD, p * width % WORD);
                            if shift == 0 {
                                let words = words[..strip.len()].iter_mut().enumerate();
                                words.for_each(|(s, word)| *word = mask.row(b * rows + s)[at]);
                            }
                            let products = &mut *strip;
                            V::masked(Strip { inner, outer, lanes, products, sums }, &words, shift);
                        }
                    }
                    pack::unpack_lanes(v.as_mut(), width, sums);
                });
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::*;
    use crate::PackedMask;

    /// The vectors of this machine and plain arrays round differently: each within
    /// `(t + 4) eps / 2` of the sum of the terms' sizes, where `t` is the number of a term's sums
    /// (Higham, section 3.1). All terms are positive here, so that the sum of sizes is the sum.
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
        let (mut y, mut w) = ([0, 1].map(|_| Mat::zeros(n, k)), [0, 1].map(|_| Mat::zeros(m, d)));
        let (v, u, par) = (v.as_ref(), u.as_ref(), Par::Seq);
        on_vectors(Apply { layer, y: y[0].as_mut(), v, par });
        Apply { layer, y: y[1].as_mut(), v, par }.run::<T::Plain>();
        on_vectors(Adjoint { layer, v: w[0].as_mut(), u, par });
        Adjoint { layer, v: w[1].as_mut(), u, par }.run::<T::Plain>();
        let close = |[a, b]: &[Mat<T>; 2], sums: usize| {
            let bound = (sums + 4) as f64 * T::epsilon().as_f64();
            (0..a.nrows()).all(|i| {
                (0..a.ncols()).all(|j| {
                    let (a, b) = (a[(i, j)].as_f64(), b[(i, j)].as_f64());
                    (a - b).abs() <= bound * a.max(b)
                })
            })
        };
        assert!(close(&y, d + m) && close(&w, k + n), "{}", T::NAME);
    }

    #[test]
    fn every_path_gives_the_products() {
        paths_agree::<f32>();
        paths_agree::<f64>();
    }
}
