//! Laws of the products with one output, at sizes where they look their sums up in tables or use a matrix unit.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{matrix, noise};
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_dense::{PackedMask, Real, masked_adjoint, masked_apply, masked_gram_apply};
use proptest::prelude::*;

/// A masked layer with one output, and a vector on either side of its Jacobian.
struct Case<T> {
    mask: PackedMask,
    x: Mat<T>,
    signs: Mat<T>,
    u: Mat<T>,
    v: Mat<T>,
}

const ALPHA: f64 = 0.5;

impl<T: Real> Case<T> {
    fn new((n, m, d): (usize, usize, usize), seed: u64) -> Self {
        Self {
            mask: PackedMask::from_fn(n, m, |i, r| noise(seed ^ 7, i, r) > 0.0),
            x: matrix(n, d, seed ^ 8),
            signs: Mat::from_fn(m, 1, |r, _| T::of(noise(seed ^ 9, r, 0).signum())),
            u: matrix(n, 1, seed ^ 2),
            v: matrix(m, d, seed ^ 3),
        }
    }

    fn shape(&self) -> (usize, usize, usize) {
        (self.x.nrows(), self.v.nrows(), self.x.ncols())
    }

    fn apply(&self, v: MatRef<'_, T>, par: Par) -> Mat<T> {
        let (x, signs, alpha) = (self.x.as_ref(), self.signs.as_ref(), T::of(ALPHA));
        let mut y = Mat::from_fn(self.x.nrows(), 1, |_, _| T::nan());
        masked_apply(y.as_mut(), &self.mask, x, v, signs, alpha, par).unwrap();
        y
    }

    /// Row-major, as the optimiser holds it.
    fn adjoint(&self, par: Par) -> Vec<T> {
        let (_, m, d) = self.shape();
        let (x, signs, alpha) = (self.x.as_ref(), self.signs.as_ref(), T::of(ALPHA));
        let mut w = vec![T::nan(); m * d];
        let target = MatMut::from_row_major_slice_mut(&mut w, m, d);
        masked_adjoint(target, &self.mask, x, self.u.as_ref(), signs, alpha, par).unwrap();
        w
    }

    fn gram(&self, par: Par) -> Mat<T> {
        let n = self.x.nrows();
        let (x, signs, alpha) = (self.x.as_ref(), self.signs.as_ref(), T::of(ALPHA));
        let mut y = Mat::from_fn(n, 1, |_, _| T::nan());
        let (mask, u) = (&self.mask, self.u.as_ref());
        masked_gram_apply(y.as_mut(), mask, x, u, signs, alpha, par).unwrap();
        y
    }

    /// `J v` from its definition in `f64`, and the sum of the sizes of each entry's terms.
    fn defined_apply(&self) -> Vec<(f64, f64)> {
        let (n, m, d) = self.shape();
        let term = |i: usize, r: usize, q: usize| {
            ALPHA * self.signs[(r, 0)].as_f64() * self.x[(i, q)].as_f64() * self.v[(r, q)].as_f64()
        };
        let sum = |i: usize| {
            let active = (0..m).filter(|&r| self.mask.get(i, r));
            let terms = active.flat_map(|r| (0..d).map(move |q| term(i, r, q)));
            terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()))
        };
        (0..n).map(sum).collect()
    }

    /// `J^T u`, in the same way.
    fn defined_adjoint(&self) -> Vec<(f64, f64)> {
        let (n, m, d) = self.shape();
        let term = |i: usize, r: usize, q: usize| {
            ALPHA * self.signs[(r, 0)].as_f64() * self.x[(i, q)].as_f64() * self.u[(i, 0)].as_f64()
        };
        let sum = |r: usize, q: usize| {
            let active = (0..n).filter(|&i| self.mask.get(i, r));
            active.map(|i| term(i, r, q)).fold((0.0, 0.0), |(s, a), t| (s + t, a + t.abs()))
        };
        (0..m).flat_map(|r| (0..d).map(move |q| sum(r, q))).collect()
    }
}

/// What a sum of so many terms errs by at most, in machine epsilons of the sizes of its terms.
fn additions<T: Real>(terms: usize) -> usize {
    if T::NAME == "f32" { 3 * terms / 2 } else { terms / 6 }
}

/// Every entry errs by at most `gamma_t` times the sum of its terms' sizes, where `t` counts the
/// additions and multiplications that a term goes through (Higham, section 4.2): at most one addition
/// for each group of six and each lane, and some ten more; in `f32` on a matrix unit one for each piece of each term.
fn entrywise<T: Real>(case: &Case<T>) -> Result<(), TestCaseError> {
    let (n, m, d) = case.shape();
    let bound = |terms: usize| (additions::<T>(terms) + d + 32) as f64 * T::epsilon().as_f64();
    let y = case.apply(case.v.as_ref(), Par::Seq);
    for (i, (want, size)) in case.defined_apply().into_iter().enumerate() {
        let error = (y[(i, 0)].as_f64() - want).abs();
        prop_assert!(error <= bound(m) * size, "J v, row {}: {} of {}", i, error, size);
    }
    let w = case.adjoint(Par::Seq);
    for (at, (want, size)) in case.defined_adjoint().into_iter().enumerate() {
        let error = (w[at].as_f64() - want).abs();
        prop_assert!(error <= bound(n) * size, "J^T u, entry {}: {} of {}", at, error, size);
    }
    Ok(())
}

/// One sweep gives what the two products give one after the other, to rounding.
fn one_sweep<T: Real>(case: &Case<T>) -> Result<(), TestCaseError> {
    let (n, m, d) = case.shape();
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
        entrywise(&Case::<f64>::new((n, m, d), seed))?;
        entrywise(&Case::<f32>::new((n, m, d), seed))?;
    }

    #[test]
    fn a_sweep_is_both_products(
        n in 128usize..300, m in 128usize..1700, d in 1usize..70, seed: u64
    ) {
        one_sweep(&Case::<f64>::new((n, m, d), seed))?;
        one_sweep(&Case::<f32>::new((n, m, d), seed))?;
    }
}

/// More examples than are under way at a time.
#[test]
fn many_examples() {
    entrywise(&Case::<f64>::new((2100, 130, 5), 1)).unwrap();
}

/// Enough neurons for the largest chunks, the last of them short.
#[test]
fn many_neurons() {
    let case = Case::<f64>::new((131, 12_400, 3), 2);
    entrywise(&case).unwrap();
    one_sweep(&case).unwrap();
}

/// The same bits sequentially and on pools of one, two and three threads.
#[test]
fn results_do_not_depend_on_threads() {
    let case = Case::<f32>::new((1300, 1700, 37), 4);
    let run = |par: Par| (case.apply(case.v.as_ref(), par), case.adjoint(par), case.gram(par));
    let reference = run(Par::Seq);
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| run(Par::rayon(0))) == reference, "{threads} threads differ");
    }
}
