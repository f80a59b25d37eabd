//! Laws of matrices in blocks of rows.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatRef, Par};
use nearlin_krylov::{AdjointOp, LinOp, RowBlocks, Scalar};
use proptest::prelude::*;

fn entry<T: Scalar>(i: usize, j: usize) -> T {
    T::of((1.7 * i as f64 + 0.9 * j as f64 + 0.3).sin())
}

/// The largest difference of two matrices.
fn apart<T: Scalar>(a: &Mat<T>, b: &Mat<T>) -> f64 {
    let mut most = 0.0_f64;
    for j in 0..a.ncols() {
        for i in 0..a.nrows() {
            most = most.max((a[(i, j)].into() - b[(i, j)].into()).abs());
        }
    }
    most
}

fn products<T: Scalar>(
    (m, n, k): (usize, usize, usize),
    scaled: bool,
) -> Result<(), TestCaseError> {
    let whole = Mat::<T>::from_fn(m, n, entry);
    let turned = Mat::<T>::from_fn(n, m, |i, j| entry(j, i));
    let scales: Vec<T> = (0..m).map(|i| entry(2 * i, 5)).collect();
    let scales = scaled.then_some(scales.as_slice());
    let factor = |i: usize| scales.map_or(T::of(1.0), |scales| scales[i]);
    let a = Mat::from_fn(m, n, |i, j| factor(i) * whole[(i, j)]);
    let (x, y) = (Mat::<T>::from_fn(n, k, entry), Mat::<T>::from_fn(m, k, |i, j| entry(j, 3 * i)));
    let alpha: Vec<T> = (0..k).map(|j| T::of(0.5 + j as f64)).collect();
    let forward = &a * &x - Mat::from_fn(m, k, |i, j| alpha[j] * y[(i, j)]);
    let eps: f64 = T::epsilon().into();
    let allowed = 8.0 * eps * (m + n) as f64 * (1.0 + n as f64);

    let run = |a: MatRef<'_, T>, par: Par| {
        let blocks = RowBlocks::new(a, scales, par);
        assert_eq!((LinOp::nrows(&blocks), LinOp::ncols(&blocks)), (m, n));
        let scratch = blocks.apply_scratch(k, par).or(blocks.apply_adjoint_scratch(k, par));
        let mut buffer = MemBuffer::new(scratch.or(blocks.apply_both_scratch(k, par)));
        let stack = MemStack::new(&mut buffer);
        // What is there before counts for nothing but `y` of both products.
        let nan = T::of(f64::NAN);
        let (mut apply, mut adjoint) = (Mat::full(m, k, nan), Mat::full(n, k, nan));
        blocks.apply(apply.as_mut(), x.as_ref(), par, stack);
        blocks.apply_adjoint(adjoint.as_mut(), y.as_ref(), par, stack);
        let (mut both_y, mut both_z) = (y.clone(), Mat::full(n, k, nan));
        blocks.apply_both(both_y.as_mut(), &alpha, x.as_ref(), both_z.as_mut(), par, stack);
        [apply, adjoint, both_y, both_z]
    };
    let got = run(whole.as_ref(), Par::Seq);
    let want = [&a * &x, a.transpose() * &y, forward.clone(), a.transpose() * &forward];
    for (which, (got, want)) in got.iter().zip(&want).enumerate() {
        prop_assert!(apart(got, want) <= allowed, "product {}: {:e}", which, apart(got, want));
    }
    // With the same bits on several threads, and from rows that are contiguous.
    prop_assert!(run(whole.as_ref(), Par::rayon(2)) == got);
    prop_assert!(run(turned.transpose(), Par::Seq) == got);
    Ok(())
}

proptest! {
    /// Both products, alone and together, of a matrix of any shape, with scaled rows or without.
    #[test]
    fn products_are_those_of_the_matrix(m in 0usize..1200, n in 0usize..40, k in 0usize..3, scaled: bool) {
        products::<f64>((m, n, k), scaled)?;
        products::<f32>((m, n, k), scaled)?;
    }
}
