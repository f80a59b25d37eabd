//! Arrays of ndarray and nalgebra are the operators that their copies in faer are.
#![cfg(all(feature = "ndarray", feature = "nalgebra"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use core::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatRef, Par};
use nalgebra::{DMatrix, DVector};
use ndarray_any::{Array1, Array2, ArrayView2, ShapeBuilder, s};
use nearlin_krylov::{
    AdjointOp, AsFaer, AsFaerMut, Cg, Ending, Identity, LeastSquares, Step, nalgebra_column,
    ndarray_column, to_nalgebra, to_ndarray,
};
use proptest::prelude::*;

fn noise(seed: u64, i: usize) -> f64 {
    let mut z = seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((z ^ z >> 31) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// `A x`, `A* y` and both at once with `alpha = (0.5, 1, ..)`, from products that are left with NaN before.
fn products(a: &impl AdjointOp<f64>, k: usize, par: Par) -> [Mat<f64>; 4] {
    let (m, n) = (a.nrows(), a.ncols());
    let x = Mat::from_fn(n, k, |i, j| noise(1, i * k + j));
    let y = Mat::from_fn(m, k, |i, j| noise(2, i * k + j));
    let alpha: Vec<f64> = (1..=k).map(|j| 0.5 * j as f64).collect();
    let (mut ax, mut ay) = (Mat::full(m, k, f64::NAN), Mat::full(n, k, f64::NAN));
    let (mut both, mut z) = (y.clone(), Mat::full(n, k, f64::NAN));
    let mut buffer = MemBuffer::new(a.apply_scratch(k, par));
    a.apply(ax.as_mut(), x.as_ref(), par, MemStack::new(&mut buffer));
    let mut buffer = MemBuffer::new(a.apply_adjoint_scratch(k, par));
    a.apply_adjoint(ay.as_mut(), y.as_ref(), par, MemStack::new(&mut buffer));
    let mut buffer = MemBuffer::new(a.apply_both_scratch(k, par));
    let stack = MemStack::new(&mut buffer);
    a.apply_both(both.as_mut(), &alpha, x.as_ref(), z.as_mut(), par, stack);
    [ax, ay, both, z]
}

/// Products within rounding of sums of `m + n` terms below 1, the last with a factor `m` of another product.
fn same(a: &impl AdjointOp<f64>, dense: &Mat<f64>, k: usize) -> Result<(), TestCaseError> {
    let (m, n) = (dense.nrows(), dense.ncols());
    prop_assert_eq!((a.nrows(), a.ncols()), (m, n));
    let want = products(dense, k, Par::Seq);
    for par in [Par::Seq, Par::rayon(3)] {
        for (which, (got, want)) in products(a, k, par).iter().zip(&want).enumerate() {
            let allowed = f64::EPSILON * ((m + n) * (m + n)) as f64;
            let difference = (got - want).norm_max();
            prop_assert!(difference <= allowed, "product {which}: {difference:e}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// By rows, by columns, with gaps, backwards, transposed: with the products of the copy.
    #[test]
    fn products_of_ndarray(m in 0usize..700, n in 0usize..60, k in 0usize..4, seed: u64) {
        let entry = |(i, j): (usize, usize)| noise(seed, i * 61 + j);
        let by_rows = Array2::from_shape_fn((m, n), entry);
        let by_columns = Array2::from_shape_fn((m, n).f(), entry);
        let dense = Mat::from_fn(m, n, |i, j| entry((i, j)));
        prop_assert!(by_rows.as_faer().unwrap() == dense && by_columns.as_faer().unwrap() == dense);
        same(&by_rows, &dense, k)?;
        same(&by_columns.view(), &dense, k)?;
        same(&by_rows.t(), &dense.transpose().to_owned(), k)?;
        let wide = Array2::from_shape_fn((2 * m, n + 3), |(i, j)| if i % 2 == 0 { entry((i / 2, j)) } else { f64::NAN });
        let gaps: ArrayView2<'_, f64> = wide.slice(s![..;2, ..n]);
        prop_assert!(gaps.as_faer().is_none() || m < 2 || n == 0, "{m} x {n}");
        prop_assert_eq!(gaps.to_faer(), dense.clone());
        same(&gaps, &dense, k)?;
        same(&gaps.t(), &dense.transpose().to_owned(), k)?;
        let backwards = by_rows.slice(s![..;-1, ..;-1]);
        same(&backwards, &Mat::from_fn(m, n, |i, j| entry((m - 1 - i, n - 1 - j))), k)?;
        let mut copy = by_columns.clone();
        copy.as_faer_mut().unwrap().copy_from(2.0 * &dense);
        prop_assert_eq!(&to_ndarray((2.0 * &dense).as_ref()), &copy);
        let mut copy = by_rows.clone();
        copy.as_faer_mut().unwrap().copy_from(2.0 * &dense);
        prop_assert_eq!(to_ndarray((2.0 * &dense).as_ref()), copy);
    }

    /// Whole, transposed and with gaps: with the products of the copy.
    #[test]
    fn products_of_nalgebra(m in 1usize..700, n in 1usize..60, k in 0usize..4, seed: u64) {
        let entry = |i: usize, j: usize| noise(seed, i * 61 + j);
        let dense = Mat::from_fn(m, n, entry);
        let whole = DMatrix::from_fn(m, n, entry);
        prop_assert!(whole.as_faer().unwrap() == dense);
        same(&whole, &dense, k)?;
        let larger = DMatrix::from_fn(2 * m, n + 2, |i, j| {
            if i % 2 == 0 && j > 0 && j <= n { entry(i / 2, j - 1) } else { f64::NAN }
        });
        let gaps = larger.view_with_steps((0, 1), (m, n), (1, 0));
        prop_assert_eq!(gaps.to_faer(), dense.clone());
        same(&gaps, &dense, k)?;
        same(&whole.rows(0, m), &dense, k)?;
        let mut copy = whole.clone();
        copy.as_faer_mut().unwrap().copy_from(2.0 * &dense);
        prop_assert_eq!(to_nalgebra((2.0 * &dense).as_ref()), copy);
    }
}

/// A solve with each, into an array in place: as with faer's matrix, to the bits.
#[test]
fn solves() {
    let (m, n) = (60, 12);
    let entry = |i: usize, j: usize| noise(3, i * n + j);
    let b = Array1::from_shape_fn(m, |i| noise(4, i));
    let dense = Mat::from_fn(m, n, entry);
    let by_columns = Array2::from_shape_fn((m, n).f(), |(i, j)| entry(i, j));
    let of_nalgebra = DMatrix::from_fn(m, n, entry);
    let of_vector = DVector::from_fn(m, |i, _| b[i]);
    let fit =
        |a: &dyn AdjointOp<f64>, b: MatRef<'_, f64>| LeastSquares::lsqr().solve(a, b).unwrap();
    let want = fit(&dense, b.as_faer().unwrap());
    assert_eq!(want.report.ending, Ending::LeastSquares);
    assert_eq!(fit(&by_columns, b.as_faer().unwrap()).x, want.x);
    assert_eq!(fit(&of_nalgebra, of_vector.as_faer().unwrap()).x, want.x);
    let seen = ndarray_column(want.x.col(0)).unwrap();
    let also = nalgebra_column(want.x.col(0)).unwrap();
    assert!((0..n).all(|i| seen[i] == want.x[(i, 0)] && also[i] == want.x[(i, 0)]));
    assert!(ndarray_column(dense.transpose().col(0)).is_none());
    assert!(nalgebra_column(dense.transpose().col(0)).is_none());

    let gram = by_columns.t().dot(&by_columns);
    let right = by_columns.t().dot(&b);
    let mut x = Array1::zeros(n);
    let identity = Identity { dim: n };
    let mut buffer = MemBuffer::new(Cg::scratch::<f64>(&gram, &identity, 1, Par::Seq));
    let mut watch = |_: &Step<'_>| ControlFlow::Continue(());
    let (stack, into) = (MemStack::new(&mut buffer), x.as_faer_mut().unwrap());
    let right = right.as_faer().unwrap();
    let report = Cg::default()
        .solve_into(into, &gram, &identity, right, &mut watch, Par::Seq, stack)
        .unwrap();
    assert_eq!(report.ending, Ending::Converged);
    // The normal equations square a condition number of some 3; residuals are 1e-10 of the right-hand side.
    assert!((0..n).all(|i| (x[i] - want.x[(i, 0)]).abs() < 1e-8));
}
