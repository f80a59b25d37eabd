//! Laws of the symmetric eigendecomposition.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::matrix;
use faer::{Mat, Par};
use nearlin_dense::{DenseError, Real, SymmetricEigen};
use proptest::prelude::*;

/// `A = V diag(values) V^T` and `V^T V = I`, each within `8 n eps` of its size (Frobenius), from the
/// lower triangle alone, values in order.
fn decomposes<T: Real>(n: usize, seed: u64) -> Result<(), TestCaseError> {
    let b: Mat<T> = matrix(n, n, seed);
    let lower = Mat::from_fn(n, n, |i, j| if i >= j { b[(i, j)] } else { T::of(f64::NAN) });
    let eigen = SymmetricEigen::decompose(lower.as_ref(), Par::Seq).unwrap();
    let values: Vec<f64> = eigen.values().iter().map(|v| v.as_f64()).collect();
    prop_assert!(values.is_sorted());
    let v = Mat::from_fn(n, n, |i, j| eigen.vectors()[(i, j)].as_f64());
    let a = Mat::from_fn(n, n, |i, j| b[(i.max(j), i.min(j))].as_f64());
    let scaled = Mat::from_fn(n, n, |i, j| v[(i, j)] * values[j]);
    let bound = 8.0 * n as f64 * T::epsilon().as_f64();
    let lost = (&scaled * v.transpose() - &a).norm_l2();
    prop_assert!(lost <= bound * a.norm_l2(), "{}: lost {:e}", T::NAME, lost);
    let skew = (v.transpose() * &v - Mat::<f64>::identity(n, n)).norm_l2();
    prop_assert!(skew <= bound * (n as f64).sqrt(), "{}: skew {:e}", T::NAME, skew);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn it_is_a_decomposition(n in 1usize..150, seed: u64) {
        decomposes::<f64>(n, seed)?;
        decomposes::<f32>(n, seed)?;
    }
}

#[test]
fn threads_change_nothing() {
    let b: Mat<f64> = matrix(300, 300, 3);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| SymmetricEigen::decompose(b.as_ref(), Par::rayon(threads)).unwrap())
    };
    let (one, three) = (run(1), run(3));
    assert!(one.values() == three.values() && one.vectors() == three.vectors());
}

#[test]
fn wrong_matrices_are_errors() {
    let error = SymmetricEigen::decompose(Mat::<f64>::zeros(2, 3).as_ref(), Par::Seq).unwrap_err();
    assert!(matches!(error, DenseError::Shape { what: "matrix", .. }));
    let mut a = Mat::<f64>::identity(4, 4);
    a[(3, 1)] = f64::INFINITY;
    let error = SymmetricEigen::decompose(a.as_ref(), Par::Seq).unwrap_err();
    assert!(matches!(error, DenseError::NonFinite { row: 3, col: 1, .. }));
    let empty = SymmetricEigen::decompose(Mat::<f64>::zeros(0, 0).as_ref(), Par::Seq).unwrap();
    assert!(empty.values().is_empty());
}
