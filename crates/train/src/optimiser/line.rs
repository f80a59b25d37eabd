//! The best length of a step, exactly.
//!
//! Along `W + t D` each `w_r . x_i` is linear in `t`, so outputs are piecewise linear and the objective
//! `|f - y|^2 + mu |W - W_0|^2` is piecewise quadratic, with kinks where an entry of the activation mask flips. An
//! entry flips at most once on a line, so those that differ between the masks of both ends are all there are.
//! Sorted, part by part of the line where they are many, they are passed one by one; each changes the residual `p + t q` of one
//! example, and the minimum of each piece is that of a parabola.

use core::ops::Range;

use faer::MatRef;
use nearlin_relu::{Network, PackedMask};

/// Kinks that are sorted at a time, 16 MiB of them, or a part of all where that is more, as all are looked at for each part.
const SORTED: u64 = 1 << 20;
const MOST_PARTS: u64 = 16;

/// Pieces of a line whose kinks are counted, where there are more; those of one are sorted together.
const COUNTED: usize = 1024;

/// A step from a network's weights, and what is known at both its ends.
pub(super) struct Line<'a> {
    pub(super) network: &'a Network,
    /// n x d.
    pub(super) x: MatRef<'a, f64>,
    /// `f(W) - y`, n x K.
    pub(super) residual: &'a [f64],
    /// `D`, m x d.
    pub(super) step: &'a [f64],
    /// `J D`, n x K.
    pub(super) image: &'a [f64],
    /// The masks of `W` and of `W + D`.
    pub(super) ends: [&'a PackedMask; 2],
    pub(super) ridge: f64,
}

/// An entry of the mask flips.
struct Kink {
    /// Where, in `[0, 1]`.
    at: f64,
    example: u32,
    neuron: u32,
}

/// `c + 2 b t + a t^2`.
struct Parabola {
    c: f64,
    b: f64,
    a: f64,
}

impl Parabola {
    fn at(&self, t: f64) -> f64 {
        (self.a * t + 2.0 * self.b) * t + self.c
    }
}

impl Line<'_> {
    /// The `t` of `[0, 1]` with the least objective: `O(F (d + K + log F))` operations for `F` flips, after one look
    /// at both masks; of more than 2^20 flips up to some 17 times `O(F d)` more, in memory for a sixteenth of them.
    pub(super) fn best(&self) -> f64 {
        let all = self.ends[0].count_differences(self.ends[1]);
        self.best_by(SORTED.max(all / MOST_PARTS))
    }

    fn best_by(&self, sorted: u64) -> f64 {
        let (m, k) = (self.network.width(), self.network.outputs());
        let (signs, unit) = (self.network.signs(), 1.0 / (m as f64).sqrt());
        let (mut p, mut q) = (self.residual.to_vec(), self.image.to_vec());
        let change = self.network.change();
        let mut value = Parabola {
            c: dot(&p, &p) + self.ridge * dot(change, change),
            b: dot(&p, &q) + self.ridge * dot(change, self.step),
            a: dot(&q, &q) + self.ridge * dot(self.step, self.step),
        };
        let (mut best, mut least) = (0.0, value.at(0.0));
        let mut look = |value: &Parabola, from: f64, to: f64| {
            let bottom = if value.a > 0.0 { -value.b / value.a } else { to };
            for t in [bottom.clamp(from, to), to] {
                if value.at(t) < least {
                    (best, least) = (t, value.at(t));
                }
            }
        };
        let mut weights = self.network.initial_weights();
        weights.iter_mut().zip(change).for_each(|(w, u)| *w += u);
        let mut from = 0.0;
        let mut begin = f64::NEG_INFINITY;
        for end in self.parts(&weights, sorted) {
            for Kink { at, example, neuron } in self.kinks(&weights, begin..end) {
                look(&value, from, at);
                from = at;
                let (example, neuron) = (example as usize, neuron as usize);
                let on = self.ends[1].get(example, neuron);
                let [a, b] = self.products(&weights, example, neuron);
                for c in 0..k {
                    let entry = example * k + c;
                    let weight = if on { unit } else { -unit } * signs[neuron * k + c];
                    let (p, q) = (&mut p[entry], &mut q[entry]);
                    let (dp, dq) = (weight * a, weight * b);
                    value.c += dp * (2.0 * *p + dp);
                    value.b += dp * (*q + dq) + *p * dq;
                    value.a += dq * (2.0 * *q + dq);
                    (*p, *q) = (*p + dp, *q + dq);
                }
            }
            begin = end;
        }
        look(&value, from, 1.0);
        best
    }

    /// Where parts of the line end that have so many kinks at most, if no 1/1024 of it has more.
    fn parts(&self, weights: &[f64], most: u64) -> Vec<f64> {
        let mut ends = Vec::new();
        if self.ends[0].count_differences(self.ends[1]) > most {
            let mut counts = [0; COUNTED];
            self.each_kink(weights, |at, _, _| {
                counts[((at * COUNTED as f64) as usize).min(COUNTED - 1)] += 1;
            });
            let mut sum = 0;
            for (part, count) in counts.into_iter().enumerate() {
                if sum > 0 && sum + count > most {
                    ends.push(part as f64 / COUNTED as f64);
                    sum = 0;
                }
                sum += count;
            }
        }
        ends.push(f64::INFINITY);
        ends
    }

    /// The kinks of a part of the line, in their order.
    fn kinks(&self, weights: &[f64], part: Range<f64>) -> Vec<Kink> {
        let mut kinks = Vec::new();
        self.each_kink(weights, |at, example, neuron| {
            if part.contains(&at) {
                kinks.push(Kink { at, example: example as u32, neuron: neuron as u32 });
            }
        });
        kinks.sort_unstable_by(|one, other| {
            let place = |kink: &Kink| (kink.example, kink.neuron);
            one.at.total_cmp(&other.at).then(place(one).cmp(&place(other)))
        });
        kinks
    }

    /// Tells `see` each kink: where it is, and its example and neuron.
    fn each_kink(&self, weights: &[f64], mut see: impl FnMut(f64, usize, usize)) {
        let [start, end] = self.ends;
        for example in 0..start.nrows() {
            for (word, (before, after)) in
                start.row(example).iter().zip(end.row(example)).enumerate()
            {
                let mut flipped = before ^ after;
                while flipped != 0 {
                    let neuron = 64 * word + flipped.trailing_zeros() as usize;
                    flipped &= flipped - 1;
                    let [a, b] = self.products(weights, example, neuron);
                    // Rounding can put a kink outside, or leave no slope.
                    let at = if b == 0.0 { 1.0 } else { (-a / b).clamp(0.0, 1.0) };
                    see(at, example, neuron);
                }
            }
        }
    }

    /// `w_r . x_i` and `d_r . x_i`.
    fn products(&self, weights: &[f64], example: usize, neuron: usize) -> [f64; 2] {
        let d = self.network.inputs();
        [weights, self.step]
            .map(|rows| (0..d).map(|c| rows[neuron * d + c] * self.x[(example, c)]).sum())
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use faer::{MatMut, Par};
    use nearlin_relu::{Init, Jacobian, Signs};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// No length on a grid has a lower objective than the best one, by forward passes alone, and the best one
        /// is no worse than standing still.
        #[test]
        fn no_length_is_better(
            n in 1usize..20, d in 1usize..4, k in 1usize..3, ridge in 0.0..1.0f64,
            scale in 0.1..10.0f64, long in 0.1..30.0f64, seed: u64,
        ) {
            let noise = |at: usize| {
                let bits = (seed ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let bits = (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                (bits ^ bits >> 32).cast_signed() as f64 / 2f64.powi(63)
            };
            let m = 32;
            let init = Init { inputs: d, outputs: k, width: m, seed, signs: Signs::Random };
            let mut network = init.network(scale).unwrap();
            network.change_mut().iter_mut().enumerate().for_each(|(at, u)| *u = 0.3 * noise(at));
            let x: Vec<f64> = (0..n * d).map(|at| noise(at ^ 1 << 20)).collect();
            let y: Vec<f64> = (0..n * k).map(|at| 3.0 * noise(at ^ 1 << 21)).collect();
            let step: Vec<f64> = (0..m * d).map(|at| long * noise(at ^ 1 << 22)).collect();
            let x = MatRef::from_row_major_slice(&x, n, d);
            let at = |t: f64| {
                let mut there = network.clone();
                there.change_mut().iter_mut().zip(&step).for_each(|(u, s)| *u += t * s);
                let forward = there.forward(x, Par::Seq).unwrap();
                let residual: Vec<f64> =
                    forward.outputs.iter().zip(&y).map(|(f, y)| f - y).collect();
                let size = dot(there.change(), there.change());
                (dot(&residual, &residual) + ridge * size, residual, forward.mask)
            };
            let (here, residual, start) = at(0.0);
            let (_, _, end) = at(1.0);
            let mut image = vec![0.0; n * k];
            let signs = MatRef::from_row_major_slice(network.signs(), m, k);
            Jacobian::new(&start, x, signs).unwrap().apply(
                MatMut::from_row_major_slice_mut(&mut image, n, k),
                MatRef::from_row_major_slice(&step, m, d),
                Par::Seq,
            ).unwrap();
            let ends = [&start, &end];
            let line = Line { network: &network, x, residual: &residual, step: &step, image: &image, ends, ridge };
            let best = line.best();
            // Sorted in parts, they are the same kinks.
            prop_assert_eq!(line.best_by(3).to_bits(), best.to_bits());
            let (least, ..) = at(best);
            prop_assert!(least <= here * (1.0 + 1e-9), "{least} {here}");
            for i in 0..=200 {
                let (other, ..) = at(f64::from(i) / 200.0);
                prop_assert!(least <= other * (1.0 + 1e-9), "{best}: {least}, {i}/200: {other}");
            }
        }
    }
}
