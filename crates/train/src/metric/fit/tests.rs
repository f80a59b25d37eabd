//! Laws of one fit.

use proptest::prelude::*;

use super::super::search::root;
use super::*;
use crate::MetricForm;

fn noise(seed: u64, at: usize) -> f64 {
    let bits = (seed ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9).cast_signed() as f64 / 2f64.powi(63)
}

/// `[s; 1]` on the sphere, times `weight`.
fn input(s: &[f64], weight: f64) -> Vec<f64> {
    let length = (1.0 + s.iter().map(|s| s * s).sum::<f64>()).sqrt();
    s.iter().copied().chain([1.0]).map(|s| weight * s / length).collect()
}

struct Case {
    s: Vec<Vec<f64>>,
    weights: Vec<f64>,
    sample: Sample,
    metric: Metric,
}

fn case(n: usize, p: usize, k: usize, form: MetricForm, seed: u64) -> Case {
    let s: Vec<Vec<f64>> =
        (0..n).map(|i| (0..p).map(|q| noise(seed, i * p + q)).collect()).collect();
    let weights: Vec<f64> = (0..n).map(|i| f64::from(1 + i as u32 % 3).sqrt()).collect();
    let x = s.iter().zip(&weights).flat_map(|(s, &w)| input(s, w)).collect();
    let y = (0..n * k).map(|at| weights[at / k] * (s[at / k][0] + noise(seed ^ 9, at))).collect();
    let len = if form == MetricForm::Full { p * p } else { p };
    // Far from 0, where a cosine does not tell neighbours apart.
    let mut map: Vec<f64> = (0..len).map(|at| 1.5 + noise(seed ^ 5, at)).collect();
    if form == MetricForm::Full {
        // Symmetric, as square roots are, and definite.
        for a in 0..p {
            map[a * p + a] += 2.5 * p as f64;
            for b in 0..a {
                map[a * p + b] = map[b * p + a];
            }
        }
    }
    let metric = Metric::from_parts(form, p, map, 0.7).unwrap();
    Case { s, weights, sample: Sample { x, y, inputs: p + 1, outputs: k, par: Par::Seq }, metric }
}

impl Case {
    /// The fit at `s`, by its definition. Angles are those of chords, as an arc cosine near 1 would err by
    /// `sqrt(eps)`: enough to make the kink at an example uneven.
    fn predict(&self, mapped: &Mapped<'_>, fit: &Fit, s: &[f64], c: usize) -> f64 {
        let (mut x, d) = (input(s, 1.0), self.sample.inputs);
        self.metric.apply(&mut x);
        let length = norm(&x);
        let kernel = |j: usize| {
            let product: f64 = (0..d).map(|q| x[q] * mapped.unit[(j, q)]).sum();
            let difference: Vec<f64> =
                (0..d).map(|q| x[q] / length - mapped.unit[(j, q)]).collect();
            let angle = 2.0 * (norm(&difference) / 2.0).asin();
            self.weights[j] * product * (0.5 - angle / (2.0 * PI))
        };
        (0..self.s.len()).map(|j| fit.multipliers[(j, c)] * kernel(j)).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Gradients against central differences. The term of the example itself has a kink there: even in `h`,
    /// so that it falls out of the difference, up to `h` times a multiplier and the angle's second derivative.
    /// Beside it smooth terms err by `h^2` and rounding by `eps / h`, so `1e-4` of the largest is ample at
    /// `h = 1e-6`. Kinks of neighbours would not fall out.
    #[test]
    fn gradients_are_differences(n in 4usize..20, p in 1usize..5, k in 1usize..3, full: bool, seed: u64) {
        let form = if full { MetricForm::Full } else { MetricForm::Diagonal };
        let case = case(n, p, k, form, seed);
        let h = 1e-6;
        let near = |a: usize, b: usize| (0..p).all(|q| (case.s[a][q] - case.s[b][q]).abs() < 3.0 * h);
        prop_assume!(!(0..n).any(|a| (0..a).any(|b| near(a, b))), "a kink within the difference");
        let mapped = case.sample.mapped(case.metric.clone());
        let fit = mapped.fit(0.1, &mut Room::default()).unwrap().unwrap();
        let outer = mapped.gradients(&fit);
        let mut want = Mat::<f64>::zeros(p, p);
        let total: f64 = case.weights.iter().map(|w| w * w).sum();
        for (s, w) in case.s.iter().zip(&case.weights) {
            for c in 0..k {
                let along = |q: usize, h: f64| {
                    let mut s = s.clone();
                    s[q] += h;
                    case.predict(&mapped, &fit, &s, c)
                };
                let gradient: Vec<f64> =
                    (0..p).map(|q| (along(q, h) - along(q, -h)) / (2.0 * h)).collect();
                for a in 0..p {
                    for b in 0..p {
                        want[(a, b)] += w * w / total * gradient[a] * gradient[b];
                    }
                }
            }
        }
        let size = want.norm_max();
        for a in 0..p {
            for b in 0..p {
                let (got, want) = (outer[(a, b)], want[(a, b)]);
                prop_assert!((got - want).abs() <= 1e-4 * size, "{a}, {b}: {got}, {want}");
            }
        }
    }

    /// The error is that of fits without each example.
    #[test]
    fn leaving_out_is_leaving_out(n in 4usize..15, k in 1usize..3, seed: u64) {
        let case = case(n, 3, k, MetricForm::Diagonal, seed);
        let mapped = case.sample.mapped(case.metric.clone());
        let fit = mapped.fit(0.05, &mut Room::default()).unwrap().unwrap();
        let mut sum = 0.0;
        for out in 0..n {
            let keep = |rows: &[f64], width: usize| -> Vec<f64> {
                let rows = rows.chunks_exact(width).enumerate();
                rows.filter(|&(i, _)| i != out).flat_map(|(_, row)| row.to_vec()).collect()
            };
            let Sample { inputs, outputs, .. } = case.sample;
            let (x, y) = (keep(&case.sample.x, inputs), keep(&case.sample.y, outputs));
            let without = Sample { x, y, inputs, outputs, par: Par::Seq };
            let others = without.mapped(case.metric.clone());
            let fit = others.fit(0.05, &mut Room::default()).unwrap().unwrap();
            let kept: Vec<usize> = (0..n).filter(|&i| i != out).collect();
            for c in 0..k {
                let kernel = |j: usize| mapped.kernel[(out.max(kept[j]), out.min(kept[j]))];
                let predicted: f64 = (0..n - 1).map(|j| fit.multipliers[(j, c)] * kernel(j)).sum();
                sum += (case.sample.y[out * k + c] - predicted).powi(2);
            }
        }
        let error = sum.sqrt() / norm(&case.sample.y);
        prop_assert!((fit.score.error() - error).abs() <= 1e-9 * error, "{} {error}", fit.score.error());
    }

    /// Examples count as misclassified that a fit without them takes for another class, each by its weight: with
    /// targets `w (e_class - centre)`, by the largest of `f / w + centre`.
    #[test]
    fn misclassified_is_misclassified(n in 6usize..15, k in 2usize..4, seed: u64) {
        let mut case = case(n, 2, k, MetricForm::Diagonal, seed);
        let class = |i: usize| (i * 7 + seed as usize % 5) % k;
        let centre: Vec<f64> = (0..k).map(|c| 0.2 + 0.1 * c as f64).collect();
        let one_hot = |i: usize, c: usize| f64::from(u8::from(class(i) == c));
        case.sample.y = (0..n * k)
            .map(|at| case.weights[at / k] * (one_hot(at / k, at % k) - centre[at % k]))
            .collect();
        let mapped = case.sample.mapped(case.metric.clone());
        let fit = mapped.fit(0.05, &mut Room::default()).unwrap().unwrap();
        let mut wrong = 0.0;
        for out in 0..n {
            let kept: Vec<usize> = (0..n).filter(|&i| i != out).collect();
            let Sample { inputs, outputs, .. } = case.sample;
            let some = |all: &[f64], width: usize| -> Vec<f64> {
                kept.iter().flat_map(|&i| all[i * width..(i + 1) * width].to_vec()).collect()
            };
            let (x, y) = (some(&case.sample.x, inputs), some(&case.sample.y, outputs));
            let without = Sample { x, y, inputs, outputs, par: Par::Seq };
            let others = without.mapped(case.metric.clone());
            let fit = others.fit(0.05, &mut Room::default()).unwrap().unwrap();
            let scores: Vec<f64> = (0..k)
                .map(|c| {
                    let kernel = |j: usize| mapped.kernel[(out.max(kept[j]), out.min(kept[j]))];
                    let f: f64 = (0..n - 1).map(|j| fit.multipliers[(j, c)] * kernel(j)).sum();
                    f / case.weights[out] + centre[c]
                })
                .collect();
            if largest(&scores) != class(out) {
                wrong += case.weights[out].powi(2);
            }
        }
        let squares: f64 = case.weights.iter().map(|w| w.powi(2)).sum();
        let fourths: f64 = case.weights.iter().map(|w| w.powi(4)).sum();
        let unit = fourths / squares;
        prop_assert!((fit.score.wrong() - wrong / unit).abs() < 1e-9, "{} {wrong}", fit.score.wrong());
    }
}

/// The square of a map is what its form says of the outer product, with the trace of the plain metric.
#[test]
fn maps_are_roots() {
    let factor = Mat::from_fn(4, 4, |i, j| ((7 * i + 3 * j + i * j) % 5) as f64 - 1.5);
    let outer = &factor * factor.transpose() * 3.0;
    let full = &outer * (4.0 / (0..4).map(|q| outer[(q, q)]).sum::<f64>());
    let part =
        |diagonal: bool, a: usize, b: usize| if diagonal && a != b { 0.0 } else { full[(a, b)] };
    for form in MetricForm::LEARNED.into_iter().chain([MetricForm::Shrunk]) {
        let map = root(form, &outer, 1.0, Par::Seq).unwrap().unwrap().matrix();
        let square = &map * &map;
        let expected = match form {
            MetricForm::Diagonal => Mat::from_fn(4, 4, |a, b| part(true, a, b)),
            MetricForm::Blended => Mat::from_fn(4, 4, |a, b| {
                (f64::from(u8::from(a == b)) + part(true, a, b) + part(false, a, b)) / 3.0
            }),
            MetricForm::Shrunk => {
                Mat::from_fn(4, 4, |a, b| f64::midpoint(part(true, a, b), part(false, a, b)))
            }
            // Below.
            MetricForm::Damped => square.clone(),
            _ => full.clone(),
        };
        assert!((&square - &expected).norm_max() < 1e-12, "{form:?}");
        let trace: f64 = (0..4).map(|q| square[(q, q)]).sum();
        assert!((trace - 4.0).abs() < 1e-12, "{form:?} {trace}");
        if form == MetricForm::Damped {
            // The square's square is all of it, times a number.
            let fourth = &square * &square;
            let times = fourth[(0, 0)] / full[(0, 0)];
            assert!((&fourth - &full * times).norm_max() < 1e-12 * times.max(1.0));
        }
    }
}
