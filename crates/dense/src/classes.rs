//! Neurons by their output weights: with few different rows of them, products with several outputs are products with one.
//!
//! Neurons whose rows of output weights are the same up to their sign are a *class*. With `s_c` its row and `z_r = +-1` the
//! sign of neuron `r`,
//!
//! `(J v)_ik = sum over c of s_ck (sum over r of class c of z_r M_ir (x_i . v_r))`,
//!
//! so that each neuron takes part in one product with one output, whatever their number, and the rest is a sum over classes;
//! `J^T u` likewise, with `sum over k of s_ck u_ik` in place of `u`. Signs that are rows of a Hadamard matrix of order `h`
//! have `h` classes. A class should be few *runs* of neurons that lie side by side.

use std::ops::Range;

use faer::{MatMut, MatRef, Par};

use crate::layer::Layer;
use crate::parallel::for_each_part;
use crate::{PackedMask, Real};

/// Fewest examples and neurons, and neurons of a run on average, that one output's products pay for.
const EXAMPLES: usize = 128;
const NEURONS: usize = 128;
const RUN: usize = 64;

/// Bits of a word of the mask.
const WORD: usize = 64;

/// Neurons of a class that lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: usize,
    end: usize,
    class: usize,
}

/// Neurons of a class that are taken together: parts of its runs, each of which takes whole words of the mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) class: usize,
    parts: Vec<Part>,
}

/// Neurons side by side, `first .. end`, in a chunk whose row `at` is the first neuron of their first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    at: usize,
    first: usize,
    end: usize,
}

impl Part {
    /// Words of the mask.
    pub(crate) fn words(&self) -> Range<usize> {
        self.first / WORD..self.end.div_ceil(WORD)
    }

    /// Its neurons.
    pub(crate) fn neurons(&self) -> Range<usize> {
        self.first..self.end
    }

    /// Rows of the chunk that are its neurons.
    pub(crate) fn rows(&self) -> Range<usize> {
        let first = self.at + self.first % WORD;
        first..first + self.end - self.first
    }
}

impl Chunk {
    /// Its rows: a neuron each, or none.
    pub(crate) fn len(&self) -> usize {
        self.parts.last().map_or(0, |part| part.rows().end)
    }

    /// Of all neurons of these words.
    #[cfg(test)]
    pub(crate) fn of_words(words: &[Range<usize>]) -> Self {
        let mut at = 0;
        let part = |words: &Range<usize>| {
            let part = Part { at, first: WORD * words.start, end: WORD * words.end };
            at += WORD * words.len();
            part
        };
        Self { class: 0, parts: words.iter().map(part).collect() }
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The neuron of a row.
    pub(crate) fn neuron(&self, row: usize) -> Option<usize> {
        let part = self.parts.iter().find(|part| part.rows().contains(&row))?;
        Some(part.first + row - part.rows().start)
    }
}

/// A layer whose neurons are few classes.
#[derive(Debug)]
pub(crate) struct Classed<'a, T> {
    pub(crate) mask: &'a PackedMask,
    /// n x d.
    pub(crate) x: MatRef<'a, T>,
    /// `a`, m x K.
    signs: MatRef<'a, T>,
    alpha: T,
    runs: Vec<Run>,
    /// Of each class.
    leaders: Vec<Leader>,
}

impl<'a, T: Real> Classed<'a, T> {
    /// The classes of a layer; `None` where it is too small, or has too many.
    pub(crate) fn of(layer: Layer<'a, T>) -> Option<Self> {
        let Layer { mask, x, signs, alpha } = layer;
        let (n, m) = (mask.nrows(), mask.width());
        if n < EXAMPLES || m < NEURONS || signs.ncols() == 0 {
            return None;
        }
        let (runs, leaders) = if signs.ncols() == 1 {
            (vec![Run { first: 0, end: m, class: 0 }], vec![(0, 0)])
        } else {
            classes(signs, m / RUN)?
        };
        Some(Self { mask, x, signs, alpha, runs, leaders })
    }

    /// Classes.
    pub(crate) fn count(&self) -> usize {
        self.leaders.len()
    }

    /// Weight of class `c` in output `k`.
    pub(crate) fn of_class(&self, c: usize, k: usize) -> T {
        if self.signs.ncols() == 1 { T::of(1.0) } else { self.signs[(self.leaders[c].0, k)] }
    }

    /// Weight of neuron `r` in class `c`, which is its own, times `alpha`.
    pub(crate) fn weight(&self, c: usize, r: usize) -> T {
        let (leader, k) = self.leaders[c];
        if self.signs.ncols() == 1 {
            self.signs[(r, 0)] * self.alpha
        } else if self.signs[(r, k)] == self.signs[(leader, k)] {
            self.alpha
        } else {
            T::of(0.0) - self.alpha
        }
    }

    /// All neurons in chunks of up to `most` rows, and of multiples of `grain` where that can be: class by class.
    pub(crate) fn chunks(&self, most: usize, grain: usize) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        for class in 0..self.count() {
            let runs = self.runs.iter().filter(|run| run.class == class);
            let words = |run: &Run| run.end.div_ceil(WORD) - run.first / WORD;
            let all = WORD * runs.clone().map(words).sum::<usize>();
            let even = all.div_ceil(all.div_ceil(most));
            let grain = if even.next_multiple_of(grain) <= most { grain } else { WORD };
            let each = even.next_multiple_of(grain);
            let mut chunk = Chunk { class, parts: Vec::new() };
            let mut at = 0;
            for &Run { mut first, end, .. } in runs {
                while first < end {
                    let start = first / WORD * WORD;
                    let last = end.min(start + each - at);
                    chunk.parts.push(Part { at, first, end: last });
                    at += (last - start).next_multiple_of(WORD);
                    if at == each {
                        chunks.push(std::mem::replace(
                            &mut chunk,
                            Chunk { class, parts: Vec::new() },
                        ));
                        at = 0;
                    }
                    first = last;
                }
            }
            if at > 0 {
                chunks.push(chunk);
            }
        }
        chunks
    }

    /// `sum over k of s_ck u_ik`, what class `c` has in place of the residual of one output: n numbers for each class.
    pub(crate) fn residuals(&self, out: &mut [T], u: MatRef<'_, T>, par: Par) {
        for_each_part(out, u.nrows(), par, |c, out| {
            out.fill(T::of(0.0));
            for k in 0..u.ncols() {
                let weight = self.of_class(c, k);
                out.iter_mut().zip(u.col(k).iter()).for_each(|(o, &u)| *o += weight * u);
            }
        });
    }

    /// The rows of `v : m x d` that are each chunk's own, part by part.
    pub(crate) fn split_rows<'v>(v: MatMut<'v, T>, chunks: &[Chunk]) -> Vec<Vec<MatMut<'v, T>>> {
        let parts = chunks.iter().enumerate().flat_map(|(c, chunk)| {
            chunk.parts.iter().map(move |part| (part.first, part.end - part.first, c))
        });
        let mut parts: Vec<_> = parts.collect();
        parts.sort_unstable();
        let mut rows: Vec<_> = chunks.iter().map(|_| Vec::new()).collect();
        let mut rest = v;
        // The parts of a chunk are in the order of their neurons.
        for (_, count, c) in parts {
            let (own, tail) = rest.split_at_row_mut(count);
            rows[c].push(own);
            rest = tail;
        }
        rows
    }

    /// `y <- sum over chunks of s_c part`, for the `parts` of `chunks`, each of n numbers.
    pub(crate) fn combine<P: Real>(&self, mut y: MatMut<'_, T>, chunks: &[Chunk], parts: &mut [P]) {
        let n = y.nrows();
        y.fill(T::of(0.0));
        let mut parts = parts.chunks_exact_mut(n);
        for of_class in chunks.chunk_by(|a, b| a.class == b.class) {
            let Some(total) = parts.next() else { return };
            for _ in 1..of_class.len() {
                let part = parts.next().into_iter().flatten();
                total.iter_mut().zip(part).for_each(|(t, p)| *t += *p);
            }
            for k in 0..y.ncols() {
                let weight = self.of_class(of_class[0].class, k);
                for (y, total) in y.as_mut().col_mut(k).iter_mut().zip(&*total) {
                    *y += weight * T::of(total.as_f64());
                }
            }
        }
    }
}

/// Whether the rows of `signs : m x K` are few enough, up to their sign, and side by side, that the products of a layer with
/// these output weights (see [`masked_apply`](crate::masked_apply)) cost about what those with one output do: `m / 64` runs of
/// them at most. `m K` comparisons.
#[must_use]
pub fn are_few_classes<T: Real>(signs: MatRef<'_, T>) -> bool {
    signs.ncols() == 1 || classes(signs, signs.nrows() / RUN).is_some()
}

/// A neuron of a class, and the first output to which it has a weight.
type Leader = (usize, usize);

/// Runs and leaders of the rows of `signs`; `None` for more than so many runs.
fn classes<T: Real>(signs: MatRef<'_, T>, most: usize) -> Option<(Vec<Run>, Vec<Leader>)> {
    let (mut runs, mut leaders) = (Vec::<Run>::new(), Vec::<Leader>::new());
    let negative = |x: T| T::of(0.0) - x;
    let alike = |r: usize, q: usize| {
        let pairs = || signs.row(r).iter().zip(signs.row(q).iter());
        pairs().all(|(a, b)| a == b) || pairs().all(|(a, b)| *a == negative(*b))
    };
    for r in 0..signs.nrows() {
        if let Some(run) = runs.last_mut()
            && alike(r, leaders[run.class].0)
        {
            run.end = r + 1;
            continue;
        }
        if runs.len() == most {
            return None;
        }
        let known = leaders.iter().position(|&(leader, _)| alike(r, leader));
        let class = known.unwrap_or_else(|| {
            let first = signs.row(r).iter().position(|&a| a != T::of(0.0));
            leaders.push((r, first.unwrap_or(0)));
            leaders.len() - 1
        });
        runs.push(Run { first: r, end: r + 1, class });
    }
    Some((runs, leaders))
}
