//! Laws of the dense kernels, over random shapes and both scalar types.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{matrix, noise};
use faer::{Mat, MatRef, Par};
use nearlin_dense::{
    Cholesky, DenseError, PackedMask, Real, Triangular, masked_adjoint, masked_apply,
    masked_gram_apply, mirror_lower, popcount_gram, popcount_gram_update, qr_r, symmetric_product,
};
use proptest::prelude::*;

fn eps<T: Real>() -> f64 {
    T::epsilon().as_f64()
}

fn frobenius<T: Real>(a: MatRef<'_, T>) -> f64 {
    let mut sum = 0.0;
    for j in 0..a.ncols() {
        for i in 0..a.nrows() {
            sum += a[(i, j)].as_f64().powi(2);
        }
    }
    sum.sqrt()
}

/// `|a - b|_F` in `f64`.
fn distance<T: Real>(a: MatRef<'_, T>, b: MatRef<'_, T>) -> f64 {
    frobenius(
        Mat::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)].as_f64() - b[(i, j)].as_f64()).as_ref(),
    )
}

/// `c = a b` in `f64`.
fn product<T: Real>(a: MatRef<'_, T>, b: MatRef<'_, T>) -> Mat<f64> {
    Mat::from_fn(a.nrows(), b.ncols(), |i, j| {
        (0..a.ncols()).map(|k| a[(i, k)].as_f64() * b[(k, j)].as_f64()).sum()
    })
}

/// Higham Thm 10.4: the computed solution has `(A + E) x = b` with
/// `|E|_F <= 3 gamma_{n+1} n |A|`-like; we ask for `|A x - b| <= 8 n^2 eps (|A| |x|)`.
fn cholesky_backward_error<T: Real>(n: usize, k: usize, seed: u64) -> Result<(), TestCaseError> {
    let b: Mat<T> = matrix(n, n, seed);
    let mut a = symmetric_product(b.as_ref(), Par::Seq);
    for i in 0..n {
        a[(i, i)] += T::of(1.0);
    }
    mirror_lower(a.as_mut());
    let rhs: Mat<T> = matrix(n, k, seed ^ 1);
    let factor = Cholesky::factor(a.clone(), Par::Seq).unwrap();
    let mut x = rhs.clone();
    factor.solve_in_place(x.as_mut(), Par::Seq);
    let ax = product(a.as_ref(), x.as_ref());
    let rhs64 = Mat::from_fn(n, k, |i, j| rhs[(i, j)].as_f64());
    let bound = 8.0 * (n * n) as f64 * eps::<T>() * frobenius(a.as_ref()) * frobenius(x.as_ref());
    prop_assert!(distance(ax.as_ref(), rhs64.as_ref()) <= bound);
    Ok(())
}

/// `R^T R = A^T A` to `4 r s eps |A|_F^2` (twice the bound on `E`, to first order).
fn qr_keeps_the_gram<T: Real>(rows: usize, cols: usize, seed: u64) -> Result<(), TestCaseError> {
    let a: Mat<T> = matrix(rows, cols, seed);
    let r = qr_r(&mut a.clone(), Par::Seq).unwrap();
    let want = product(a.transpose(), a.as_ref());
    let got = product(r.transpose(), r.as_ref());
    let bound = 4.0 * (rows * cols) as f64 * eps::<T>() * frobenius(a.as_ref()).powi(2);
    prop_assert!(distance(want.as_ref(), got.as_ref()) <= bound);
    for j in 0..cols {
        for i in j + 1..cols {
            prop_assert!(r[(i, j)] == T::of(0.0));
        }
    }
    Ok(())
}

struct Layer<T> {
    mask: PackedMask,
    x: Mat<T>,
    signs: Mat<T>,
}

fn layer<T: Real>(n: usize, m: usize, d: usize, k: usize, seed: u64) -> Layer<T> {
    Layer {
        mask: PackedMask::from_fn(n, m, |i, r| noise(seed ^ 7, i, r) > 0.0),
        x: matrix(n, d, seed ^ 8),
        signs: Mat::from_fn(m, k, |r, j| T::of(noise(seed ^ 9, r, j).signum())),
    }
}

/// The Jacobian written out: row `i K + k`, column `r d + q`.
fn explicit<T: Real>(layer: &Layer<T>) -> Mat<f64> {
    let (d, k) = (layer.x.ncols(), layer.signs.ncols());
    Mat::from_fn(layer.x.nrows() * k, layer.signs.nrows() * d, |row, col| {
        let (i, r) = (row / k, col / d);
        let bit = if layer.mask.get(i, r) { 1.0 } else { 0.0 };
        bit * layer.signs[(r, row % k)].as_f64() * layer.x[(i, col % d)].as_f64()
    })
}

/// Both products agree with the explicit Jacobian to `2 m d eps |J| |v|`, the bound of an inner
/// product of `m d` terms (Higham, eq. 3.5), and so are adjoint to one another.
fn masked_products<T: Real>(
    (n, m, d, k): (usize, usize, usize, usize),
    seed: u64,
) -> Result<(), TestCaseError> {
    let layer = layer::<T>(n, m, d, k, seed);
    let jacobian = explicit(&layer);
    let (v, u): (Mat<T>, Mat<T>) = (matrix(m, d, seed ^ 2), matrix(n, k, seed ^ 3));
    let alpha = 0.75;
    let mut y = Mat::from_fn(n, k, |_, _| T::nan());
    let mut w = Mat::from_fn(m, d, |_, _| T::nan());
    let Layer { mask, x, signs } = &layer;
    let par = Par::Seq;
    let a = T::of(alpha);
    masked_apply(y.as_mut(), mask, x.as_ref(), v.as_ref(), signs.as_ref(), a, par).unwrap();
    masked_adjoint(w.as_mut(), mask, x.as_ref(), u.as_ref(), signs.as_ref(), a, par).unwrap();

    let flat_v = Mat::from_fn(m * d, 1, |c, _| v[(c / d, c % d)].as_f64());
    let flat_u = Mat::from_fn(n * k, 1, |c, _| u[(c / k, c % k)].as_f64());
    let want_y = product(jacobian.as_ref(), flat_v.as_ref());
    let want_w = product(jacobian.transpose(), flat_u.as_ref());
    let got_y = Mat::from_fn(n * k, 1, |c, _| y[(c / k, c % k)].as_f64() / alpha);
    let got_w = Mat::from_fn(m * d, 1, |c, _| w[(c / d, c % d)].as_f64() / alpha);
    let norm = frobenius(jacobian.as_ref());
    let unit = 2.0 * (m * d + n * k) as f64 * eps::<T>() * norm;
    prop_assert!(distance(want_y.as_ref(), got_y.as_ref()) <= unit * frobenius(flat_v.as_ref()));
    prop_assert!(distance(want_w.as_ref(), got_w.as_ref()) <= unit * frobenius(flat_u.as_ref()));
    Ok(())
}

/// The popcount Gram matrix is that of the explicit Jacobian, for one output.
fn gram_law<T: Real>(n: usize, m: usize, d: usize, seed: u64) -> Result<(), TestCaseError> {
    let layer = layer::<T>(n, m, d, 1, seed);
    let jacobian = explicit(&layer);
    let want = product(jacobian.as_ref(), jacobian.transpose());
    let mut g = symmetric_product(layer.x.as_ref(), Par::Seq);
    popcount_gram(g.as_mut(), &layer.mask, T::of(1.0), Par::Seq).unwrap();
    mirror_lower(g.as_mut());
    let got = Mat::from_fn(n, n, |i, j| g[(i, j)].as_f64());
    let bound = 2.0 * (m * d + 2) as f64 * eps::<T>() * frobenius(jacobian.as_ref()).powi(2);
    prop_assert!(distance(want.as_ref(), got.as_ref()) <= bound);
    Ok(())
}

/// A step flips entries of about `flipped` percent of the neurons, each in a third of the rows. The
/// updated Gram matrix has the bits of a rebuilt one, whatever the products: inputs are parallel,
/// orthogonal, opposite and zero too.
fn update_law<T: Real>(
    (n, m, d): (usize, usize, usize),
    flipped: f64,
    seed: u64,
) -> Result<(), TestCaseError> {
    let old = PackedMask::from_fn(n, m, |i, r| noise(seed ^ 7, i, r) > 0.3);
    let flips =
        |i, r| noise(seed ^ 5, 0, r) < flipped / 50.0 - 1.0 && noise(seed ^ 6, i, r) < -1.0 / 3.0;
    let new = PackedMask::from_fn(n, m, |i, r| old.get(i, r) != flips(i, r));
    let mut x: Mat<T> = matrix(n, d, seed ^ 8);
    x.row_mut(n / 2).fill(T::of(0.0));
    x.row_mut(0).fill(T::of(0.0));
    x[(0, 0)] = T::of(-1.0);
    let products = symmetric_product(x.as_ref(), Par::Seq);
    let scale = T::of(1.0 / m as f64);
    let rebuilt = |mask| {
        let mut g = products.clone();
        popcount_gram(g.as_mut(), mask, scale, Par::Seq).unwrap();
        g
    };
    let mut g = rebuilt(&old);
    let (p, masks) = (products.as_ref(), (&old, &new));
    let count = popcount_gram_update(g.as_mut(), p, masks, scale, Par::Seq).unwrap();
    let differs = |r: &usize| (0..n).any(|i| old.get(i, *r) != new.get(i, *r));
    prop_assert_eq!(count, (0..m).filter(differs).count());
    prop_assert!(g == rebuilt(&new));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn cholesky_solves(n in 1usize..90, k in 1usize..4, seed: u64) {
        cholesky_backward_error::<f64>(n, k, seed)?;
        cholesky_backward_error::<f32>(n, k, seed)?;
    }

    #[test]
    fn qr_factor(cols in 1usize..60, extra in 0usize..80, seed: u64) {
        qr_keeps_the_gram::<f64>(cols + extra, cols, seed)?;
        qr_keeps_the_gram::<f32>(cols + extra, cols, seed)?;
    }

    /// `R (R^-1 x) = x` and `R^T (R^-T x) = x`: backward stable substitution (Higham, Thm 8.5).
    #[test]
    fn triangular_solves(n in 1usize..80, k in 1usize..4, seed: u64) {
        let r = Mat::from_fn(n, n, |i, j| if i == j { 2.0 + noise(seed, i, j) } else { noise(seed, i, j) / n as f64 });
        let x: Mat<f64> = matrix(n, k, seed ^ 5);
        let factor = Triangular::upper(r.clone()).unwrap();
        let upper = Mat::from_fn(n, n, |i, j| if i <= j { r[(i, j)] } else { 0.0 });
        let bound = |y: &Mat<f64>| 4.0 * n as f64 * f64::EPSILON * frobenius(upper.as_ref()) * frobenius(y.as_ref());
        let mut y = x.clone();
        factor.solve_in_place(y.as_mut(), Par::Seq);
        prop_assert!(distance(product(upper.as_ref(), y.as_ref()).as_ref(), x.as_ref()) <= bound(&y));
        let mut y = x.clone();
        factor.solve_transpose_in_place(y.as_mut(), Par::Seq);
        prop_assert!(distance(product(upper.transpose(), y.as_ref()).as_ref(), x.as_ref()) <= bound(&y));
    }

    #[test]
    fn jacobian_products(n in 1usize..140, m in 1usize..300, d in 1usize..6, k in 1usize..4, seed: u64) {
        masked_products::<f64>((n, m, d, k), seed)?;
        masked_products::<f32>((n, m, d, k), seed)?;
    }

    #[test]
    fn popcount_gram_is_the_gram(n in 1usize..80, m in 1usize..300, d in 1usize..4, seed: u64) {
        gram_law::<f64>(n, m, d, seed)?;
        gram_law::<f32>(n, m, d, seed)?;
    }

    #[test]
    fn an_updated_gram_is_a_rebuilt_one(n in 1usize..300, m in 1usize..500, d in 1usize..4, flipped in 0f64..60.0, seed: u64) {
        update_law::<f64>((n, m, d), flipped, seed)?;
        update_law::<f32>((n, m, d), flipped, seed)?;
    }
}

/// Everything has the same bits sequentially and on pools of one, two and three threads.
#[test]
fn results_do_not_depend_on_threads() {
    let run = |par: Par| {
        let Layer { mask, x, signs } = layer::<f64>(301, 577, 9, 2, 3);
        let (v, u): (Mat<f64>, Mat<f64>) = (matrix(577, 9, 4), matrix(301, 2, 5));
        let (mut y, mut w) = (Mat::zeros(301, 2), Mat::zeros(577, 9));
        masked_apply(y.as_mut(), &mask, x.as_ref(), v.as_ref(), signs.as_ref(), 1.0, par).unwrap();
        masked_adjoint(w.as_mut(), &mask, x.as_ref(), u.as_ref(), signs.as_ref(), 1.0, par)
            .unwrap();
        let mut s = Mat::zeros(301, 2);
        let signs = signs.as_ref();
        masked_gram_apply(s.as_mut(), &mask, x.as_ref(), u.as_ref(), signs, 1.0, par).unwrap();
        let mut g = symmetric_product(x.as_ref(), par);
        popcount_gram(g.as_mut(), &mask, 1.0, par).unwrap();
        let mut updated = g.clone();
        let flipped = |i, r| mask.get(i, r) != (r % 5 == 0 && (i + r) % 3 == 0);
        let (next, products) =
            (PackedMask::from_fn(301, 577, flipped), symmetric_product(x.as_ref(), par));
        popcount_gram_update(updated.as_mut(), products.as_ref(), (&mask, &next), 1.0, par)
            .unwrap();
        mirror_lower(g.as_mut());
        let mut solution = u.clone();
        let mut shifted = g.clone();
        (0..301).for_each(|i| shifted[(i, i)] += 1.0);
        Cholesky::factor(shifted, par).unwrap().solve_in_place(solution.as_mut(), par);
        let big: Mat<f64> = matrix(700, 301, 6);
        let r = qr_r(&mut big.clone(), par).unwrap();
        let mut solved = u.clone();
        Triangular::upper(r.clone()).unwrap().solve_gram_in_place(solved.as_mut(), par);
        [y, w, s, g, updated, solution, r, solved]
    };
    let reference = run(Par::Seq);
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| run(Par::rayon(0))) == reference, "{threads} threads differ");
    }
}

#[test]
fn a_singular_matrix_is_shifted_and_says_so() {
    let ones: Mat<f64> = Mat::from_fn(5, 5, |_, _| 1.0);
    let error = Cholesky::factor(ones.clone(), Par::Seq).unwrap_err();
    assert!(matches!(error, DenseError::NotPositiveDefinite { dim: 5, .. }), "{error}");
    let factor = Cholesky::factor_shifted(|| ones.clone(), Par::Seq).unwrap();
    assert!(factor.shift() >= 1e-12 && factor.shift() <= 1e-10, "{}", factor.shift());
    let zero = Cholesky::factor_shifted(|| Mat::<f64>::zeros(3, 3), Par::Seq).unwrap_err();
    assert_eq!(zero, DenseError::NotPositiveDefinite { index: 0, dim: 3 });
}

#[test]
fn wrong_operands_are_named() {
    let error = Cholesky::factor(Mat::<f64>::zeros(2, 3), Par::Seq).unwrap_err();
    assert_eq!(error.to_string(), "matrix is 2 x 3, expected 2 x 2");
    let error = qr_r(&mut Mat::<f64>::zeros(2, 3), Par::Seq).unwrap_err();
    assert_eq!(error, DenseError::Wide { rows: 2, cols: 3 });
    let error = Triangular::upper(Mat::<f32>::zeros(3, 3)).unwrap_err();
    assert_eq!(error, DenseError::Singular { index: 0, dim: 3 });
    let mask = PackedMask::zeros(3, 4);
    let error = popcount_gram(Mat::<f64>::zeros(2, 2).as_mut(), &mask, 1.0, Par::Seq).unwrap_err();
    assert_eq!(error.to_string(), "Gram matrix is 2 x 2, expected 3 x 3");
    let (mut g, wide) = (Mat::<f64>::zeros(3, 3), PackedMask::zeros(3, 5));
    let p = Mat::zeros(3, 3);
    let error = popcount_gram_update(g.as_mut(), p.as_ref(), (&wide, &mask), 1.0, Par::Seq);
    assert_eq!(error.unwrap_err().to_string(), "old mask is 3 x 5, expected 3 x 4");
    let (x, v, a) = (Mat::<f64>::zeros(3, 2), Mat::zeros(4, 9), Mat::zeros(4, 1));
    let mut y = Mat::zeros(3, 1);
    let error = masked_apply(y.as_mut(), &mask, x.as_ref(), v.as_ref(), a.as_ref(), 1.0, Par::Seq)
        .unwrap_err();
    assert_eq!(error.to_string(), "layer vector is 4 x 9, expected 4 x 2");
}

/// No shift of the size of the diagonal makes these definite, in either precision.
#[test]
fn what_is_indefinite_is_not_shifted() {
    let a = Mat::from_fn(2, 2, |i, j| if i == j { 1.0 } else { 1000.0 });
    let single = Mat::from_fn(2, 2, |i, j| a[(i, j)] as f32);
    let mut attempts = 0;
    let build = || {
        attempts += 1;
        single.clone()
    };
    let error = Cholesky::factor_shifted(build, Par::Seq).unwrap_err();
    assert!(matches!(error, DenseError::NotPositiveDefinite { .. }), "{error}");
    // 0, 1e-7, .., 10.
    assert_eq!(attempts, 10);
    let error = Cholesky::factor_shifted(|| a.clone(), Par::Seq).unwrap_err();
    assert!(matches!(error, DenseError::NotPositiveDefinite { .. }), "{error}");
    let seven = Mat::from_fn(2, 2, |i, j| if i == j { 1.0 } else { 8.0 });
    let shift: f64 = Cholesky::factor_shifted(|| seven.clone(), Par::Seq).unwrap().shift();
    assert!((shift - 10.0).abs() < 1e-9, "{shift}");
}
