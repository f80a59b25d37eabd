//! Laws of the triangular solves, over sizes around every block, and both scalar types.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{matrix, noise};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_dense::{Cholesky, Real, Triangular};
use proptest::prelude::*;

/// Sizes at the edges of tiles (8 and 16 rows), of blocks (64) and of tasks.
const SIZES: [usize; 18] =
    [1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 130, 191, 257, 400, 777];

/// Numbers of columns at the edges of the groups that share a look at the factor.
const COLUMNS: [usize; 13] = [1, 2, 3, 4, 5, 6, 7, 10, 13, 16, 64, 67, 256];

/// An upper triangle, below which lie numbers that nobody may use. Rows are scaled by powers of
/// `spread`, which makes the factor ill-conditioned, as factors of Gram matrices are.
fn upper<T: Real>(n: usize, spread: f64, seed: u64) -> Mat<T> {
    Mat::from_fn(n, n, |i, j| {
        let scale = spread.powf(noise(seed ^ 1, i, 0));
        T::of(match i.cmp(&j) {
            std::cmp::Ordering::Equal => scale * (1.0 + 0.5 * noise(seed, i, j)),
            std::cmp::Ordering::Less => scale * noise(seed, i, j) / (n as f64).sqrt(),
            std::cmp::Ordering::Greater => 1e9,
        })
    })
}

/// `|A x - b| <= (n + 2) eps |A| |x|` entry by entry for a triangle `A` given by its entries: any
/// order of substitution has `gamma_n` (Higham, 2nd ed., Thm 8.5 and Lemma 8.2), multiplying by a
/// rounded reciprocal of the diagonal instead of dividing adds one rounding, and higher orders are
/// less than another.
fn solves<T: Real>(a: impl Fn(usize, usize) -> T, x: MatRef<'_, T>, b: MatRef<'_, T>) {
    let n = x.nrows();
    let unit = (n + 2) as f64 * T::epsilon().as_f64();
    for q in 0..x.ncols() {
        for i in 0..n {
            let (mut residual, mut size) = (-b[(i, q)].as_f64(), 0.0);
            for j in 0..n {
                let term = a(i, j).as_f64() * x[(j, q)].as_f64();
                residual += term;
                size += term.abs();
            }
            // The residual's own rounding in f64, which matters for f64 only.
            let bound = (unit + (n + 2) as f64 * f64::EPSILON) * size;
            assert!(residual.abs() <= bound, "n = {n}, ({i}, {q}): {residual:e} > {bound:e}");
        }
    }
}

fn both_triangles<T: Real>(n: usize, k: usize, spread: f64, seed: u64) {
    let r = upper::<T>(n, spread, seed);
    let factor = Triangular::upper(r.clone()).unwrap();
    let b = matrix::<T>(n, k, seed ^ 2);
    let zero = T::of(0.0);
    let mut x = b.clone();
    factor.solve_in_place(x.as_mut(), Par::Seq);
    solves(|i, j| if i <= j { r[(i, j)] } else { zero }, x.as_ref(), b.as_ref());
    let mut x = b.clone();
    factor.solve_transpose_in_place(x.as_mut(), Par::Seq);
    solves(|i, j| if j <= i { r[(j, i)] } else { zero }, x.as_ref(), b.as_ref());
}

#[test]
fn backward_error_of_every_size_and_number_of_columns() {
    for n in SIZES {
        for k in [1, 3, 10] {
            both_triangles::<f64>(n, k, 1.0, n as u64);
            both_triangles::<f32>(n, k, 1.0, n as u64);
        }
    }
    for k in COLUMNS {
        both_triangles::<f64>(130, k, 1.0, k as u64);
        both_triangles::<f32>(130, k, 1.0, k as u64);
    }
}

proptest! {
    /// Substitution does not care for the condition of the factor: rows of sizes from `1e-6` to
    /// `1e6`. A method that multiplies by inverses of blocks would.
    #[test]
    fn backward_error_of_ill_conditioned_factors(n in 1usize..200, k in 1usize..12, seed: u64) {
        both_triangles::<f64>(n, k, 1e6, seed);
        both_triangles::<f32>(n, k, 1e6, seed);
    }
}

/// A solve errs by at most `gamma_n |A^-1| |A| |x|` (Higham, Thm 8.5), and for the diagonally
/// dominant triangles here `|A^-1| <= 2` and `|A| <= 3 / 2` in the norms of rows and columns: `3 n u`
/// for each of two solves, of which the first is carried through the second, at most 3 times. So
/// each result is `12 n u |x|` from the solution, and they are `24 n u` from one another.
fn agrees_with_faer<T: Real>(n: usize, k: usize) {
    let dominant = |i: usize, j: usize| if i == j { 1.0 } else { noise(5, i, j) / (2 * n) as f64 };
    let r = Mat::from_fn(n, n, |i, j| T::of(dominant(i, j)));
    let factor = Triangular::upper(r.clone()).unwrap();
    let b = matrix::<T>(n, k, 6);
    let (mut ours, mut theirs) = (b.clone(), b.clone());
    factor.solve_gram_in_place(ours.as_mut(), Par::Seq);
    solve_lower_triangular_in_place(r.transpose(), theirs.as_mut(), Par::Seq);
    solve_upper_triangular_in_place(r.as_ref(), theirs.as_mut(), Par::Seq);
    for q in 0..k {
        let column = |x: &Mat<T>| (0..n).map(|i| x[(i, q)].as_f64().abs()).fold(0.0, f64::max);
        // `eps = 2 u` leaves room for higher orders.
        let bound = 24.0 * n as f64 * T::epsilon().as_f64() * column(&theirs);
        for i in 0..n {
            let difference = (ours[(i, q)].as_f64() - theirs[(i, q)].as_f64()).abs();
            assert!(difference <= bound, "n = {n}, ({i}, {q}): {difference:e} > {bound:e}");
        }
    }
}

#[test]
fn the_solution_is_faers() {
    for n in SIZES {
        agrees_with_faer::<f64>(n, 5);
        agrees_with_faer::<f32>(n, 5);
    }
}

/// Each column has the same bits wherever it lies in memory, in every number of columns from 2 to 255:
/// entries are computed in one order. A column that is alone has an order of its own.
fn columns_are_alone<T: Real>(n: usize) {
    let factor = Triangular::upper(upper::<T>(n, 1.0, 7)).unwrap();
    let most = 67;
    let b = matrix::<T>(n, most, 8);
    let (mut alone, mut twice) = (b.clone(), b.clone());
    for q in 0..most {
        factor.solve_gram_in_place(alone.as_mut().subcols_mut(q, 1), Par::Seq);
        let mut pair = Mat::from_fn(n, 2, |i, _| b[(i, q)]);
        factor.solve_gram_in_place(pair.as_mut(), Par::Seq);
        twice.col_mut(q).copy_from(pair.col(1));
    }
    for k in COLUMNS.into_iter().filter(|&k| k <= most) {
        let alone = if k == 1 { &alone } else { &twice };
        let mut together = b.subcols(0, k).to_owned();
        factor.solve_gram_in_place(together.as_mut(), Par::Seq);
        assert!(together.as_ref() == alone.subcols(0, k), "n = {n}, {k} columns");

        let mut rows: Vec<T> = (0..n * k).map(|c| b[(c / k, c % k)]).collect();
        let strided = MatMut::from_row_major_slice_mut(&mut rows, n, k);
        factor.solve_gram_in_place(strided, Par::Seq);
        let strided = MatRef::from_row_major_slice(&rows, n, k);
        assert!(strided == alone.subcols(0, k), "n = {n}, {k} columns side by side");

        let mut backwards = Mat::from_fn(n, k, |i, q| b[(n - 1 - i, q)]);
        factor.solve_gram_in_place(backwards.as_mut().reverse_rows_mut(), Par::Seq);
        assert!(
            backwards.reverse_rows() == alone.subcols(0, k),
            "n = {n}, {k} columns upside down"
        );
    }
}

#[test]
fn a_column_does_not_feel_its_neighbours() {
    for n in SIZES {
        columns_are_alone::<f64>(n);
        columns_are_alone::<f32>(n);
    }
}

/// The same bits sequentially and on pools of one to four threads, where there is enough to do for
/// several of them.
fn threads_change_nothing<T: Real>(n: usize) {
    let gram = Mat::from_fn(n, n, |i, j| {
        T::of(if i == j { n as f64 } else { noise(9, i.max(j), i.min(j)) })
    });
    let cholesky = Cholesky::factor(gram, Par::Seq).unwrap();
    for k in [1, 10, 70, 256] {
        let b = matrix::<T>(n, k, 10);
        let solve = |par| {
            let mut x = b.clone();
            cholesky.solve_in_place(x.as_mut(), par);
            x
        };
        let reference = solve(Par::Seq);
        for threads in 1..=4 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let parallel = pool.install(|| solve(Par::rayon(threads)));
            assert!(parallel == reference, "n = {n}, {k} columns, {threads} threads");
        }
    }
}

#[test]
fn threads_do_not_change_a_solve() {
    threads_change_nothing::<f64>(1100);
    threads_change_nothing::<f32>(1100);
}

/// No unknowns, or no right-hand sides: nothing happens.
#[test]
fn nothing_is_solved_for_nothing() {
    let factor = Triangular::upper(upper::<f64>(70, 1.0, 11)).unwrap();
    factor.solve_gram_in_place(Mat::zeros(70, 0).as_mut(), Par::Seq);
    let empty = Triangular::upper(Mat::<f64>::zeros(0, 0)).unwrap();
    empty.solve_gram_in_place(Mat::zeros(0, 3).as_mut(), Par::rayon(2));
}
