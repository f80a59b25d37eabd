//! Laws of the products with one output, at sizes where they look their sums up in tables or use a matrix unit.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{ALPHA, Case, noise};
use faer::{Mat, MatRef, Par};
use nearlin_dense::Real;
use proptest::prelude::*;

/// With one output.
fn case<T: Real>((n, m, d): (usize, usize, usize), seed: u64) -> Case<T> {
    Case::of(n, d, Mat::from_fn(m, 1, |r, _| T::of(noise(seed ^ 9, r, 0).signum())), seed)
}

fn shape<T: Real>(case: &Case<T>) -> (usize, usize, usize) {
    (case.x.nrows(), case.v.nrows(), case.x.ncols())
}

/// `J v` from its definition in `f64`, and the sum of the sizes of each entry's terms.
fn defined_apply<T: Real>(case: &Case<T>) -> Vec<(f64, f64)> {
    let (n, m, d) = shape(case);
    let term = |i: usize, r: usize, q: usize| {
        ALPHA * case.signs[(r, 0)].as_f64() * case.x[(i, q)].as_f64() * case.v[(r, q)].as_f64()
    };
    let sum = |i: usize| {
        let active = (0..m).filter(|&r| case.mask.get(i, r));
        let terms = active.flat_map(|r| (0..d).map(move |q| term(i, r, q)));
        terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()))
    };
    (0..n).map(sum).collect()
}

/// `J^T u`, in the same way.
fn defined_adjoint<T: Real>(case: &Case<T>) -> Vec<(f64, f64)> {
    let (n, m, d) = shape(case);
    let term = |i: usize, r: usize, q: usize| {
        ALPHA * case.signs[(r, 0)].as_f64() * case.x[(i, q)].as_f64() * case.u[(i, 0)].as_f64()
    };
    let sum = |r: usize, q: usize| {
        let active = (0..n).filter(|&i| case.mask.get(i, r));
        active.map(|i| term(i, r, q)).fold((0.0, 0.0), |(s, a), t| (s + t, a + t.abs()))
    };
    (0..m).flat_map(|r| (0..d).map(move |q| sum(r, q))).collect()
}

/// What a sum of so many terms errs by at most, in machine epsilons of the sizes of its terms.
fn additions<T: Real>(terms: usize) -> usize {
    if T::NAME == "f32" { 3 * terms / 2 } else { terms / 6 }
}

/// Every entry errs by at most `gamma_t` times the sum of its terms' sizes, where `t` counts the
/// additions and multiplications that a term goes through (Higham, section 4.2): at most one addition
/// for each group of six and each lane, and some ten more; in `f32` on a matrix unit one for each piece of each term.
fn entrywise<T: Real>(case: &Case<T>) -> Result<(), TestCaseError> {
    let (n, m, d) = shape(case);
    let bound = |terms: usize| (additions::<T>(terms) + d + 32) as f64 * T::epsilon().as_f64();
    let y = case.apply(case.v.as_ref(), Par::Seq);
    for (i, (want, size)) in defined_apply(case).into_iter().enumerate() {
        let error = (y[(i, 0)].as_f64() - want).abs();
        prop_assert!(error <= bound(m) * size, "J v, row {}: {} of {}", i, error, size);
    }
    let w = case.adjoint(Par::Seq);
    for (at, (want, size)) in defined_adjoint(case).into_iter().enumerate() {
        let error = (w[at].as_f64() - want).abs();
        prop_assert!(error <= bound(n) * size, "J^T u, entry {}: {} of {}", at, error, size);
    }
    Ok(())
}

/// One sweep gives what the two products give one after the other, to rounding.
fn one_sweep<T: Real>(case: &Case<T>) -> Result<(), TestCaseError> {
    let (n, m, d) = shape(case);
    let w = case.adjoint(Par::Seq);
    let apart = case.apply(MatRef::from_row_major_slice(&w, m, d), Par::Seq);
    let together = case.gram(Par::Seq);
    let unit = (additions::<T>(m) + additions::<T>(n) + d + 32) as f64 * T::epsilon().as_f64();
    for i in 0..n {
        let size: f64 = (0..m)
            .filter(|&r| case.mask.get(i, r))
            .flat_map(|r| (0..d).map(move |q| (r, q)))
            .map(|(r, q)| (ALPHA * w[r * d + q].as_f64() * case.x[(i, q)].as_f64()).abs())
            .sum();
        let error = (apart[(i, 0)] - together[(i, 0)]).as_f64().abs();
        prop_assert!(error <= unit * size, "row {}: {} of {}", i, error, size);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Shapes with several chunks of neurons, last batches of any length, and one to several pieces
    /// of columns.
    #[test]
    fn products_are_those_of_the_definition(
        n in 128usize..300, m in 128usize..1700, d in 1usize..70, seed: u64
    ) {
        entrywise(&case::<f64>((n, m, d), seed))?;
        entrywise(&case::<f32>((n, m, d), seed))?;
    }

    #[test]
    fn a_sweep_is_both_products(
        n in 128usize..300, m in 128usize..1700, d in 1usize..70, seed: u64
    ) {
        one_sweep(&case::<f64>((n, m, d), seed))?;
        one_sweep(&case::<f32>((n, m, d), seed))?;
    }
}

/// More examples than are under way at a time.
#[test]
fn many_examples() {
    entrywise(&case::<f64>((2100, 130, 5), 1)).unwrap();
}

/// Enough neurons for the largest chunks, the last of them short.
#[test]
fn many_neurons() {
    let case = case::<f64>((131, 12_400, 3), 2);
    entrywise(&case).unwrap();
    one_sweep(&case).unwrap();
}

/// The same bits sequentially and on pools of one, two and three threads.
#[test]
fn results_do_not_depend_on_threads() {
    assert_eq!(case::<f32>((1300, 1700, 37), 4).threads_that_differ(), [0; 0]);
}
