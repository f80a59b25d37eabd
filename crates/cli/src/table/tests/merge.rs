//! Laws of merging.

use proptest::prelude::*;

use super::U;
use crate::table::{Contradiction, merge};
use nearlin::merge_weighted;

#[test]
fn rows_that_differ_stay_as_they_are() {
    let (x, y) = (vec![0.1, 0.2, 0.3, 0.4], [5.0, 6.0]);
    let merged = merge(x.clone(), &y, 2, 1);
    assert_eq!((&merged.x, &merged.y[..]), (&x, &y[..]));
    assert_eq!((merged.equations(), merged.merged_rows(), merged.floor), (2, 0, 0.0));
    assert!(merged.contradictions.is_empty());
    let none = merge(vec![], &[], 2, 1);
    assert_eq!((none.equations(), none.merged_rows(), none.floor), (0, 0, 0.0));
}

#[test]
fn zero_is_zero_whatever_its_sign() {
    let merged = merge(vec![0.0, 1.0, -0.0, 1.0, 0.0, -1.0], &[1.0, 1.0, 1.0], 2, 1);
    assert_eq!(merged.equation_of, [0, 0, 1]);
    assert_eq!(merged.counts, [2, 1]);
}

/// Repeats that agree leave no floor, not even by rounding: 0.1 three times has mean 0.1.
#[test]
fn repeats_that_agree_do_not_contradict() {
    let merged = merge(vec![0.7; 3], &[0.1, 0.3, 0.1, 0.3, 0.1, 0.3], 1, 2);
    assert_eq!((merged.floor, merged.merged_rows()), (0.0, 2));
    assert!(merged.contradictions.is_empty());
    assert_eq!(merged.y, [0.1 * 3f64.sqrt(), 0.3 * 3f64.sqrt()]);
}

#[test]
fn contradictions_are_named_worst_first() {
    let x = vec![1.0, 2.0, 1.0, 3.0, 2.0, 4.0, 1.0, 4.0];
    let y = [0.0, 10.0, 0.0, 1.0, 14.0, 6.0, 3.0, 6.0];
    let merged = merge(x, &y, 1, 1);
    assert_eq!(merged.equation_of, [0, 1, 0, 2, 1, 3, 0, 3]);
    let root = |x: f64| x.sqrt();
    assert_eq!(
        merged.contradictions,
        [
            Contradiction { rows: vec![1, 4], deviation: root(8.0) },
            Contradiction { rows: vec![0, 2, 6], deviation: root(6.0) },
        ]
    );
    let squares: f64 = y.iter().map(|y| y * y).sum();
    assert_eq!(merged.floor, root(14.0) / root(squares));
}

prop_compose! {
    /// Rows out of few different ones, so that many coincide.
    fn rows()(n in 1..30usize)(
        x in prop::collection::vec(prop::collection::vec(prop_oneof![Just(-0.5), Just(0.0), Just(-0.0), Just(0.8)], 2), n),
        y in prop::collection::vec(-1.0..1.0f64, 2 * n),
    ) -> (Vec<f64>, Vec<f64>) {
        (x.concat(), y)
    }
}

proptest! {
    /// Least squares of any linear `W` (2 x 2) over rows is the merged least squares and the
    /// floor's share. Every squared term is at most `t = (|W_j| |x| + |y|)^2` and comes from fewer
    /// than 20 operations on either side (mean, weight and product among them, the mean being a
    /// sum of up to `n` terms); sums add `2 n`. So both sides agree up to `(3 n + 40) u` times the
    /// sum of all `t`.
    #[test]
    fn weighted_least_squares_is_the_same(
        (x, y) in rows(), w in prop::collection::vec(-2.0..2.0f64, 4),
    ) {
        let n = x.len() / 2;
        let f = |x: &[f64], k: usize| w[2 * k] * x[0] + w[2 * k + 1] * x[1];
        let squares = |x: &[f64], y: &[f64]| -> f64 {
            (x.chunks(2).zip(y.chunks(2)))
                .flat_map(|(x, y)| [f(x, 0) - y[0], f(x, 1) - y[1]])
                .map(|r| r * r)
                .sum()
        };
        let merged = merge(x.clone(), &y, 2, 2);
        let norm: f64 = y.iter().map(|y| y * y).sum();
        let left = squares(&x, &y);
        let right = squares(&merged.x, &merged.y) + merged.floor * merged.floor * norm;
        let terms = 2.0 * n as f64 * (2.0 * 2.0 * 0.8 + 1.0f64).powi(2);
        prop_assert!((left - right).abs() <= (3.0 * n as f64 + 40.0) * U * terms, "{left} {right}");
    }

    /// Every row is in the equation of its input, equations stand in order of appearance, no two
    /// have the same input, and their counts add up.
    #[test]
    fn equations_are_the_different_inputs((x, y) in rows()) {
        let merged = merge(x.clone(), &y, 2, 2);
        let n = x.len() / 2;
        prop_assert_eq!(merged.counts.iter().sum::<usize>(), n);
        prop_assert_eq!(merged.merged_rows() + merged.equations(), n);
        let mut seen = 0;
        for (i, &equation) in merged.equation_of.iter().enumerate() {
            prop_assert!(equation <= seen);
            seen = seen.max(equation + 1);
            for (j, &other) in merged.equation_of.iter().enumerate() {
                let same = x[2 * i..2 * i + 2] == x[2 * j..2 * j + 2];
                prop_assert_eq!(same, equation == other);
            }
            let weight = (merged.counts[equation] as f64).sqrt();
            prop_assert_eq!(merged.x[2 * equation], x[2 * i] * weight);
            prop_assert_eq!(merged.x[2 * equation + 1], x[2 * i + 1] * weight);
        }
        let named: usize = merged.contradictions.iter().map(|c| c.rows.len()).sum();
        let differs = |i: usize| (0..n).any(|j| {
            merged.equation_of[i] == merged.equation_of[j] && y[2 * i..][..2] != y[2 * j..][..2]
        });
        prop_assert_eq!(named, (0..n).filter(|&i| differs(i)).count());
    }
}

proptest! {
    /// Whole weights are repetitions, and weights that are all the same scale every equation alike.
    #[test]
    fn weights_are_repetitions(
        rows in prop::collection::vec((0u8..3, -2i8..3, 1usize..4), 1..30), scale in 0.1..10.0f64,
    ) {
        let x: Vec<f64> = rows.iter().map(|row| 0.5 + f64::from(row.0)).collect();
        let y: Vec<f64> = rows.iter().map(|row| f64::from(row.1)).collect();
        let weights: Vec<f64> = rows.iter().map(|row| row.2 as f64).collect();
        let repeat = |v: &[f64]| -> Vec<f64> {
            v.iter().zip(&rows).flat_map(|(&v, row)| std::iter::repeat_n(v, row.2)).collect()
        };
        let weighed = merge_weighted(x.clone(), &y, &weights, 1, 1);
        let repeated = merge(repeat(&x), &repeat(&y), 1, 1);
        // Sums of at most 90 numbers below 4: rounding is below 1e-12.
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12);
        prop_assert!(close(&weighed.x, &repeated.x) && close(&weighed.y, &repeated.y));
        prop_assert_eq!(&weighed.weights, &repeated.weights);
        prop_assert!((weighed.floor - repeated.floor).abs() <= 1e-12);

        let same = vec![scale; rows.len()];
        let (plain, scaled) = (merge(x.clone(), &y, 1, 1), merge_weighted(x, &y, &same, 1, 1));
        let times: Vec<f64> = plain.x.iter().map(|x| scale.sqrt() * x).collect();
        prop_assert!(close(&scaled.x, &times));
        prop_assert!((plain.floor - scaled.floor).abs() <= 1e-12);
    }
}
