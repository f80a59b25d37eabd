//! Rows that are nearly alike, which decide the smallest eigenvalue of the infinite-width Gram matrix.

use faer::MatRef;

/// Neighbours along the line that each row is held beside.
const NEIGHBOURS: usize = 4;

/// An upper bound of the smallest eigenvalue of the arc-cosine kernel of the rows `x : n x d`: the least that two rows
/// have by themselves, as eigenvalues of a principal submatrix interlace those of the whole (Cauchy).
///
/// Rows are put on a line, and each is held beside the four after it there: rows that are nearly alike are near on every
/// line. `n (d + log n)` operations. Infinite where there are no two rows.
pub(super) fn least_eigenvalue(x: MatRef<'_, f64>) -> f64 {
    // Any direction that no table is made for.
    let direction = |q: usize| (1.7 * (q + 1) as f64 + 0.3 * ((q * q) as f64)).sin();
    let mut placed: Vec<(f64, usize)> = (x.row_iter().enumerate())
        .map(|(i, row)| (row.iter().enumerate().map(|(q, x)| x * direction(q)).sum(), i))
        .collect();
    placed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut least = f64::INFINITY;
    for (at, &(_, i)) in placed.iter().enumerate() {
        for &(_, j) in placed.iter().skip(at + 1).take(NEIGHBOURS) {
            least = least.min(of_pair(x, i, j));
        }
    }
    least
}

/// The smaller eigenvalue of the kernel of rows `i` and `j`.
fn of_pair(x: MatRef<'_, f64>, i: usize, j: usize) -> f64 {
    let (mut a, mut b) = (0.0, 0.0);
    for (x, y) in x.row(i).iter().zip(x.row(j).iter()) {
        a += x * x;
        b += y * y;
    }
    let (length, other) = (a.sqrt(), b.sqrt());
    if length == 0.0 || other == 0.0 {
        return 0.0;
    }
    // Of unit vectors: half their angle by their chord and the mean's length, exact for the smallest.
    let (mut chord, mut mean) = (0.0, 0.0);
    for (x, y) in x.row(i).iter().zip(x.row(j).iter()) {
        let (x, y) = (x / length, y / other);
        chord += (x - y) * (x - y);
        mean += (x + y) * (x + y);
    }
    let angle = 2.0 * chord.sqrt().atan2(mean.sqrt());
    let entry = length * other * angle.cos() * (0.5 - angle / std::f64::consts::TAU);
    ((a + b) / 4.0 - f64::hypot((a - b) / 4.0, entry)).max(0.0)
}

#[cfg(test)]
mod tests {
    use faer::{Mat, Par};
    use nearlin_dense::SymmetricEigen;
    use nearlin_relu::arc_cosine_kernel;

    use super::*;

    fn points(n: usize, d: usize) -> Mat<f64> {
        Mat::from_fn(n, d, |i, q| {
            if q + 1 < d { (((i * d + q) as f64 + 1.0) * 12.9898).sin() } else { 1.0 }
        })
    }

    fn smallest(x: MatRef<'_, f64>) -> f64 {
        let kernel = arc_cosine_kernel(x, Par::Seq);
        let eigen = SymmetricEigen::decompose(kernel.as_ref(), Par::Seq).unwrap();
        eigen.values().iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// A bound from above, and where two rows are nearly alike within a half of the eigenvalue.
    #[test]
    fn near_rows_decide() {
        let mut x = points(60, 5);
        let (least, true_one) = (least_eigenvalue(x.as_ref()), smallest(x.as_ref()));
        assert!(true_one <= least, "{true_one} above {least}");
        for distance in [1e-3, 1e-5] {
            let copied = x.row(17).to_owned();
            x.row_mut(43).copy_from(&copied);
            x[(43, 2)] += distance;
            let (least, true_one) = (least_eigenvalue(x.as_ref()), smallest(x.as_ref()));
            let ratio = least / true_one;
            assert!((1.0 - 1e-6..1.5).contains(&ratio), "{least} for {true_one}");
        }
    }

    #[test]
    fn two_rows_are_their_own_kernel() {
        let x = Mat::from_fn(2, 3, |i, q| 1.0 + (2 * i + q * q) as f64 * 0.3 - i as f64);
        let (least, true_one) = (least_eigenvalue(x.as_ref()), smallest(x.as_ref()));
        assert!((least - true_one).abs() < 1e-12, "{least} for {true_one}");
    }

    #[test]
    fn one_row_has_no_neighbour() {
        assert!(least_eigenvalue(points(1, 3).as_ref()).is_infinite());
        assert!(least_eigenvalue(points(0, 3).as_ref()).is_infinite());
    }
}
