//! Products with several outputs where neurons are few classes, at sizes where these are products with one output.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{ALPHA, Case, noise};
use faer::{Mat, Par};
use nearlin_dense::Real;
use proptest::prelude::*;

/// A layer whose output weights are runs of `lengths` neurons, in turn from so many classes, with either sign.
fn case<T: Real>(
    (n, d, k): (usize, usize, usize),
    classes: usize,
    lengths: &[usize],
    seed: u64,
) -> Case<T> {
    let runs = lengths.iter().enumerate();
    let class: Vec<usize> =
        runs.flat_map(|(run, &len)| std::iter::repeat_n(run % classes, len)).collect();
    // Of any size, some of them zero, and signs that vary within a run.
    let weight = |c: usize, k: usize| {
        if (c + k + seed as usize).is_multiple_of(3) { 0.0 } else { noise(seed ^ 9, c, k) }
    };
    let sign = |r: usize| noise(seed ^ 0xa, r / 5, 0).signum();
    let weights = Mat::from_fn(class.len(), k, |r, k| T::of(sign(r) * weight(class[r], k)));
    Case::of(n, d, weights, seed)
}

/// What neuron `r` adds to the outputs of example `i` for each unit that reaches it.
fn factors<T: Real>(case: &Case<T>, i: usize, r: usize) -> Vec<f64> {
    let active = if case.mask.get(i, r) { ALPHA } else { 0.0 };
    (0..case.u.ncols()).map(|k| active * case.signs[(r, k)].as_f64()).collect()
}

/// `sum of terms` of size at most `sizes` each, and what it may err by: an addition for each term, three in `f32` on a
/// matrix unit, and some that do not grow with their number.
fn holds<T: Real>(got: T, terms: impl Iterator<Item = f64>, additions: usize) -> bool {
    let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()));
    let bound = (2 * additions + 40) as f64 * T::epsilon().as_f64() * size;
    (got.as_f64() - sum).abs() <= bound
}

fn definition<T: Real>(case: &Case<T>) -> Result<(), TestCaseError> {
    let ((n, k), (m, d)) = (case.u.shape(), case.v.shape());
    let (y, w, swept) =
        (case.apply(case.v.as_ref(), Par::Seq), case.adjoint(Par::Seq), case.gram(Par::Seq));
    let (x, u) = (
        |i: usize, q: usize| case.x[(i, q)].as_f64(),
        |i: usize, k: usize| case.u[(i, k)].as_f64(),
    );
    for i in 0..n {
        let factors: Vec<Vec<f64>> = (0..m).map(|r| factors(case, i, r)).collect();
        for at in 0..k {
            let dot = |v: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
                (0..m)
                    .flat_map(|r| (0..d).map(move |q| (r, q)))
                    .map(|(r, q)| factors[r][at] * x(i, q) * v(r, q))
                    .collect()
            };
            let terms = dot(&|r, q| case.v[(r, q)].as_f64());
            prop_assert!(holds(y[(i, at)], terms.into_iter(), m + d + k), "J v, {} {}", i, at);
            let terms = dot(&|r, q| w[r * d + q].as_f64());
            // The terms of the adjoint's own sums are larger than it.
            prop_assert!(
                holds(swept[(i, at)], terms.into_iter(), 4 * (m + n + d + k)),
                "J J^T u, {} {}",
                i,
                at
            );
        }
    }
    for r in (0..m).step_by(3) {
        let factors: Vec<Vec<f64>> = (0..n).map(|i| factors(case, i, r)).collect();
        for q in 0..d {
            let pairs = (0..n).flat_map(|i| (0..k).map(move |at| (i, at)));
            let terms = pairs.map(|(i, at)| factors[i][at] * u(i, at) * x(i, q));
            prop_assert!(holds(w[r * d + q], terms, n + k), "J^T u, neuron {}, input {}", r, q);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    /// Runs that begin and end anywhere, of classes that come back and of ones that do not.
    #[test]
    fn products_are_those_of_the_definition(
        n in 128usize..200,
        d in 1usize..70,
        k in 2usize..6,
        classes in 1usize..5,
        lengths in prop::collection::vec(64usize..200, 2..9),
        seed: u64,
    ) {
        definition(&case::<f64>((n, d, k), classes, &lengths, seed))?;
        definition(&case::<f32>((n, d, k), classes, &lengths, seed))?;
    }
}

/// Chunks of several parts and parts of several chunks.
#[test]
fn classes_of_many_neurons() {
    let lengths = [3300, 130, 2000, 1700, 64, 900];
    definition(&case::<f64>((130, 3, 3), 2, &lengths, 5)).unwrap();
    definition(&case::<f32>((130, 3, 3), 2, &lengths, 5)).unwrap();
}

/// The same bits sequentially and on pools of one, two and three threads.
#[test]
fn results_do_not_depend_on_threads() {
    let case = case::<f32>((1300, 37, 5), 4, &[300, 200, 333, 71, 500, 90, 410], 4);
    assert_eq!(case.threads_that_differ(), [0; 0]);
}
