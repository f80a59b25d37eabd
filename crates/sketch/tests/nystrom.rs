//! Laws of the Nyström approximation.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use faer::{Mat, MatMut, MatRef, Par, Side};
use nearlin_sketch::{Eigenpairs, Nystrom, Scalar, SketchError, random_signs};
use proptest::prelude::*;

/// Symmetric with these eigenvalues.
fn with_eigenvalues<T: Scalar>(values: &[f64], seed: u64) -> Mat<T> {
    let n = values.len();
    let noise: Vec<f64> = random_signs(n * n, seed, 0);
    let mixed = Mat::from_fn(n, n, |i, j| noise[i * n + j] + if i == j { 2.0 } else { 0.0 });
    let q = mixed.qr().compute_thin_Q();
    Mat::from_fn(n, n, |i, j| T::of((0..n).map(|c| q[(i, c)] * values[c] * q[(j, c)]).sum::<f64>()))
}

fn products<T: Scalar>(a: &Mat<T>) -> impl FnMut(MatMut<'_, T>, MatRef<'_, T>) + '_ {
    move |mut y, x| y.copy_from(a * x)
}

fn left<T: Scalar>(a: &Mat<T>, found: &Eigenpairs<T>) -> Mat<T> {
    let scaled =
        Mat::from_fn(a.nrows(), found.rank(), |i, j| found.vectors()[(i, j)] * found.values()[j]);
    a - scaled * found.vectors().transpose()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Vectors are orthonormal, values fall and are no larger than the matrix's, what is left is positive semidefinite
    /// and at least as large as is told; at full rank nothing is left.
    #[test]
    fn approximations_are_from_below(n in 1usize..40, part in 0.0f64..1.0, decay in 0.0f64..1.0, seed: u64) {
        let values: Vec<f64> = (0..n).map(|i| (-decay * i as f64).exp()).collect();
        let a = with_eigenvalues::<f64>(&values, seed);
        let rank = 1 + (part * (n - 1) as f64) as usize;
        let found = Nystrom::new(rank).with_seed(seed).approximate(n, products(&a), Par::rayon(2)).unwrap();
        prop_assert_eq!(found.rank(), rank);
        let square = found.vectors().transpose() * found.vectors();
        let off = Mat::from_fn(rank, rank, |i, j| square[(i, j)] - f64::from(u8::from(i == j)));
        prop_assert!(off.norm_l2() <= 1e-12 * n as f64);
        for (i, (found, true_one)) in found.values().iter().zip(&values).enumerate() {
            prop_assert!(*found >= 0.0 && *found <= true_one + 1e-11, "{i}: {found} {true_one}");
        }
        prop_assert!(found.values().windows(2).all(|pair| pair[0] >= pair[1]));
        let left = left(&a, &found);
        let spectrum = left.self_adjoint_eigenvalues(Side::Lower).unwrap();
        prop_assert!(spectrum[0] >= -1e-11, "{}", spectrum[0]);
        let norm = spectrum[n - 1].max(-spectrum[0]);
        prop_assert!(found.norm_left() <= norm + 1e-11);
        if rank == n {
            prop_assert!(norm <= 1e-10, "{norm}");
        }
    }

    /// A tolerance is met where the rank allows it, and seeds name approximations.
    #[test]
    fn ranks_double_until_little_is_left(seed: u64, power in 1i32..6) {
        let values: Vec<f64> = (0..60).map(|i| 0.5f64.powi(i)).collect();
        let a = with_eigenvalues::<f64>(&values, seed);
        let tolerance = 10f64.powi(-power);
        let how = Nystrom::new(2).with_tolerance(tolerance, 60).with_seed(seed);
        let found = how.approximate(60, products(&a), Par::Seq).unwrap();
        prop_assert!(found.norm_left() <= tolerance && found.rank() < 60);
        // Half the rank would not have done: what it leaves is seen by the same ten products.
        if found.rank() > 2 {
            let half = Nystrom::new(2).with_tolerance(0.0, found.rank() / 2).with_seed(seed);
            let half = half.approximate(60, products(&a), Par::Seq).unwrap();
            prop_assert!(half.norm_left() > tolerance, "{} {tolerance}", half.rank());
        }
        let again = how.approximate(60, products(&a), Par::Seq).unwrap();
        prop_assert_eq!(again.values(), found.values());
        // The same test vectors in single precision, with a shift of its rounding.
        let double = Nystrom::new(8).approximate(60, products(&a), Par::Seq).unwrap();
        let rounded = with_eigenvalues::<f32>(&values, seed);
        let single = Nystrom::new(8).approximate(60, products(&rounded), Par::Seq).unwrap();
        for (single, double) in single.values().iter().zip(double.values()) {
            prop_assert!((f64::from(*single) - double).abs() < 1e-3, "{single} {double}");
        }
    }
}

/// The mean norm of what is left, as proposition 2.2 of Frangella et al. has it for rank 20 and `p = 10`: ten eigenvalues of
/// 1 and ninety of 1e-4 leave at most `(1 + 20 / 9) 1e-4 + 2 e^2 20 / 99 90 1e-4 = 0.0272`. The mean of 32 is of numbers
/// below 1, and the bound is far from tight.
#[test]
fn few_products_suffice() {
    let values: Vec<f64> = (0..100).map(|i| if i < 10 { 1.0 } else { 1e-4 }).collect();
    let a = with_eigenvalues::<f64>(&values, 3);
    let of = |seed| {
        let found = Nystrom::new(20).with_seed(seed).approximate(100, products(&a), Par::Seq);
        let spectrum = left(&a, &found.unwrap()).self_adjoint_eigenvalues(Side::Lower).unwrap();
        spectrum[99]
    };
    let mean = (0..32).map(of).sum::<f64>() / 32.0;
    assert!(mean < 0.0272, "{mean}");
}

#[test]
fn what_cannot_be_approximated_is_said() {
    let a = with_eigenvalues::<f64>(&[1.0, 0.5, 0.25], 1);
    let of = |rank, n| Nystrom::new(rank).approximate(n, products(&a), Par::Seq).map(|_| ());
    assert_eq!(of(1, 0), Err(SketchError::Empty));
    assert_eq!(of(0, 3), Err(SketchError::Dimension { dim: 0, input: 3, most: 3 }));
    assert_eq!(of(4, 3), Err(SketchError::Dimension { dim: 4, input: 3, most: 3 }));
    for wrong in [-1.0, f64::NAN, f64::INFINITY] {
        let product = |mut y: MatMut<'_, f64>, x: MatRef<'_, f64>| {
            y.copy_from(x * faer::Scale(wrong));
        };
        let found = Nystrom::new(2).approximate(3, product, Par::Seq).map(|_| ());
        assert_eq!(found, Err(SketchError::Indefinite), "{wrong}");
    }
    // Nothing at all is positive semidefinite.
    let zero = |mut y: MatMut<'_, f64>, _: MatRef<'_, f64>| y.fill(0.0);
    let found = Nystrom::new(2).approximate(3, zero, Par::Seq).unwrap();
    assert!(found.values().iter().all(|value| *value == 0.0) && found.norm_left() == 0.0);
}

/// Operands of more numbers than faer multiplies by a vector on one thread: the same bits on any number of threads.
#[test]
fn threads_change_no_bits() {
    let n = 2000;
    let of = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let product = |mut y: MatMut<'_, f64>, x: MatRef<'_, f64>| {
            y.copy_from(Mat::from_fn(n, x.ncols(), |i, j| x[(i, j)] / (1.0 + i as f64)));
        };
        let par = if threads == 1 { Par::Seq } else { Par::rayon(0) };
        let found = pool.install(|| Nystrom::new(40).approximate(n, product, par)).unwrap();
        (found.norm_left().to_bits(), found.values().to_vec(), found.vectors().to_owned())
    };
    assert_eq!(of(1), of(2));
    assert_eq!(of(1), of(3));
}
