//! Randomly pivoted Cholesky: a low-rank factor of a positive semidefinite matrix from few of its columns.
//!
//! Chen, Epperly, Tropp and Webber, *Randomly pivoted Cholesky: practical approximation of a kernel matrix with few
//! entry evaluations* (2023), in the form of Epperly, Tropp and Webber, *Embrace rejection: kernel matrix approximation by
//! accelerated randomly pivoted Cholesky* (2024, algorithm 2): pivots are proposed in blocks and accepted with just the
//! probability with which one at a time would have been drawn.

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rand::Rng;
use rayon::prelude::*;

use crate::random::{Purpose, stream};
use crate::scalar::wide;
use crate::{Scalar, SketchError};

/// Pivots that are proposed at a time.
const BLOCK: usize = 128;

/// Rows that a thread takes at a time; no result depends on the number of threads.
const ROWS: usize = 1024;

/// A symmetric positive semidefinite matrix `A` (n x n) whose entries are computed when they are asked for.
pub trait Psd<T>: Sync {
    /// `n`.
    fn dim(&self) -> usize;

    /// `A_ii`, n of them, none negative.
    fn diagonal(&self) -> Vec<T>;

    /// `out <- A[rows, cols]` for the rows from `first` on, as many as `out` has.
    fn entries(&self, first: usize, cols: &[usize], out: MatMut<'_, T>);

    /// `out <- A[at, at]`.
    fn block(&self, at: &[usize], mut out: MatMut<'_, T>) {
        for (i, &row) in at.iter().enumerate() {
            self.entries(row, at, out.as_mut().subrows_mut(i, 1));
        }
    }
}

impl<T: Scalar> Psd<T> for MatRef<'_, T> {
    fn dim(&self) -> usize {
        self.nrows()
    }

    fn diagonal(&self) -> Vec<T> {
        (0..self.nrows()).map(|i| self[(i, i)]).collect()
    }

    fn entries(&self, first: usize, cols: &[usize], mut out: MatMut<'_, T>) {
        for (j, &col) in cols.iter().enumerate() {
            for i in 0..out.nrows() {
                out[(i, j)] = self[(first + i, col)];
            }
        }
    }
}

/// How to factor.
///
/// # Examples
/// ```
/// use faer::{Mat, Par};
/// use nearlin_sketch::RpCholesky;
///
/// // A Gaussian kernel of 200 points on a line has hardly more than a dozen directions.
/// let a = Mat::from_fn(200, 200, |i, j| (-(i as f64 - j as f64).powi(2) / 2e4).exp());
/// let low = RpCholesky::new(40).with_tolerance(1e-6).with_seed(1).factor(&a.as_ref(), Par::Seq)?;
/// assert!(low.rank() < 20 && low.trace_left() <= 1e-6 * 200.0);
/// # Ok::<(), nearlin_sketch::SketchError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RpCholesky {
    rank: usize,
    tolerance: f64,
    seed: u64,
}

/// `A ~ F F^T`, exact in the pivots' rows and columns; what is left is positive semidefinite.
#[derive(Clone, Debug)]
pub struct LowRank<T> {
    factor: Mat<T>,
    pivots: Vec<usize>,
    trace: f64,
    trace_left: f64,
}

impl RpCholesky {
    /// Up to this rank.
    #[must_use]
    pub fn new(rank: usize) -> Self {
        Self { rank, tolerance: 0.0, seed: 0 }
    }

    /// This one, which stops where the trace of what is left is at most this part of the matrix's. Default 0.
    #[must_use]
    pub fn with_tolerance(self, tolerance: f64) -> Self {
        Self { tolerance, ..self }
    }

    /// This one with a seed, which names all random choices. Default 0.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Factors `a`: `(k + 1) n` of its entries and those of rejected pivots among one another, `n k^2` flops, in memory for
    /// `n k` numbers.
    ///
    /// The expected trace of what is left is within `1 + e` of the best approximation's of rank `r` from
    /// `k >= r / e + r ln(1 / (e h))` on, where `h` is the part of the trace that rank leaves (Chen et al., theorem 5.1).
    ///
    /// # Errors
    /// [`SketchError::Dimension`] for rank 0 or one over `n`, [`SketchError::NotPsd`] for a diagonal entry that is negative
    /// or no finite number.
    pub fn factor<T: Scalar>(&self, a: &impl Psd<T>, par: Par) -> Result<LowRank<T>, SketchError> {
        let (n, rank) = (a.dim(), self.rank);
        if n == 0 {
            return Err(SketchError::Empty);
        }
        if rank == 0 || rank > n {
            return Err(SketchError::Dimension { dim: rank, input: n, most: n });
        }
        let diagonal: Vec<f64> = a.diagonal().into_iter().map(wide).collect();
        if let Some(at) = diagonal.iter().position(|d| !(*d >= 0.0 && d.is_finite())) {
            return Err(SketchError::NotPsd { at, value: diagonal[at] });
        }
        let trace: f64 = diagonal.iter().sum();
        let (mut left, mut factor) = (diagonal.clone(), Mat::<T>::zeros(n, rank));
        let mut pivots = Vec::<usize>::with_capacity(rank);
        let mut rng = stream(self.seed, Purpose::Pivots, 0);
        loop {
            let total: f64 = left.iter().sum();
            if pivots.len() == rank || total <= self.tolerance * trace || total <= 0.0 {
                break;
            }
            let proposed = draw(&left, total, BLOCK, &mut rng);
            let room = rank - pivots.len();
            let (accepted, lower) =
                accept(a, &factor, pivots.len(), &proposed, room, &diagonal, &mut rng);
            if accepted.is_empty() {
                // What is left is rounding.
                break;
            }
            extend(a, &mut factor, pivots.len(), &accepted, lower.as_ref(), &mut left, par);
            for &pivot in &accepted {
                left[pivot] = 0.0;
            }
            pivots.extend(accepted);
        }
        factor.truncate(n, pivots.len());
        Ok(LowRank { factor, pivots, trace, trace_left: left.iter().sum() })
    }
}

impl<T> LowRank<T> {
    /// `F`, n x k.
    #[must_use]
    pub fn factor(&self) -> MatRef<'_, T> {
        self.factor.as_ref()
    }

    /// `F`, n x k, without a copy.
    #[must_use]
    pub fn into_factor(self) -> Mat<T> {
        self.factor
    }

    /// Indices of the columns that it was made from, in the order in which they were drawn.
    #[must_use]
    pub fn pivots(&self) -> &[usize] {
        &self.pivots
    }

    /// `k`.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.pivots.len()
    }

    /// The trace of `A`.
    #[must_use]
    pub fn trace(&self) -> f64 {
        self.trace
    }

    /// The trace of `A - F F^T`, which bounds its norm.
    #[must_use]
    pub fn trace_left(&self) -> f64 {
        self.trace_left
    }
}

/// So many indices, with replacement, with probabilities in proportion to `weights`, whose sum is `total`.
fn draw(weights: &[f64], total: f64, count: usize, rng: &mut impl Rng) -> Vec<usize> {
    let sums: Vec<f64> = weights
        .iter()
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect();
    let at = |target: f64| {
        let at = sums.partition_point(|sum| *sum <= target).min(weights.len() - 1);
        // Rounding may lead past the last weight that is positive.
        (0..=at).rev().find(|&at| weights[at] > 0.0).unwrap_or(at)
    };
    (0..count).map(|_| at(rng.random::<f64>() * total)).collect()
}

/// Of proposed pivots those that rejection sampling keeps, at most `room`, with the Cholesky factor of what is left of their
/// block.
fn accept<T: Scalar>(
    a: &impl Psd<T>,
    factor: &Mat<T>,
    rank: usize,
    proposed: &[usize],
    room: usize,
    diagonal: &[f64],
    rng: &mut impl Rng,
) -> (Vec<usize>, Mat<T>) {
    let b = proposed.len();
    let mut h = Mat::<T>::zeros(b, b);
    a.block(proposed, h.as_mut());
    let rows = Mat::from_fn(b, rank, |i, j| factor[(proposed[i], j)]);
    matmul(h.as_mut(), Accum::Add, &rows, rows.transpose(), -T::one(), Par::Seq);
    let first: Vec<f64> = (0..b).map(|i| wide(h[(i, i)])).collect();
    let mut kept: Vec<usize> = Vec::new();
    for i in 0..b {
        let now = wide(h[(i, i)]);
        let least = 64.0 * wide(T::epsilon()) * diagonal[proposed[i]];
        let lucky = rng.random::<f64>() * first[i] < now;
        if kept.len() == room || !(lucky && now > least) {
            continue;
        }
        let root = h[(i, i)].sqrt();
        for row in i..b {
            h[(row, i)] /= root;
        }
        for col in i + 1..b {
            for row in col..b {
                let change = h[(row, i)] * h[(col, i)];
                h[(row, col)] -= change;
            }
        }
        kept.push(i);
    }
    let t = kept.len();
    let lower = Mat::from_fn(t, t, |i, j| if i >= j { h[(kept[i], kept[j])] } else { T::zero() });
    (kept.into_iter().map(|i| proposed[i]).collect(), lower)
}

/// Appends `(A[:, T] - F F[T, :]^T) L^-T` to the columns of `F`, and takes its squares from the diagonal that is left.
fn extend<T: Scalar>(
    a: &impl Psd<T>,
    factor: &mut Mat<T>,
    rank: usize,
    pivots: &[usize],
    lower: MatRef<'_, T>,
    left: &mut [f64],
    par: Par,
) {
    let at_pivots = Mat::from_fn(pivots.len(), rank, |i, j| factor[(pivots[i], j)]);
    let work = |first: usize, mut rows: MatMut<'_, T>, left: &mut [f64]| {
        let (known, _) = rows.as_ref().split_at_col(rank);
        let mut new = Mat::<T>::zeros(left.len(), pivots.len());
        a.entries(first, pivots, new.as_mut());
        matmul(new.as_mut(), Accum::Add, known, at_pivots.transpose(), -T::one(), Par::Seq);
        solve_lower_triangular_in_place(lower, new.as_mut().transpose_mut(), Par::Seq);
        for (i, left) in left.iter_mut().enumerate() {
            let squares: f64 = new.row(i).iter().map(|v| wide(*v).powi(2)).sum();
            *left = (*left - squares).max(0.0);
        }
        rows.as_mut().subcols_mut(rank, pivots.len()).copy_from(&new);
    };
    let columns = rank + pivots.len();
    let blocks: Vec<(usize, MatMut<'_, T>, &mut [f64])> = {
        let rows = factor.as_mut().subcols_mut(0, columns);
        let mut rest = Some(rows);
        left.chunks_mut(ROWS)
            .enumerate()
            .map(|(at, left)| {
                let (block, after) =
                    rest.take().expect("as many rows as entries").split_at_row_mut(left.len());
                rest = Some(after);
                (at * ROWS, block, left)
            })
            .collect()
    };
    match par {
        Par::Seq => blocks.into_iter().for_each(|(first, rows, left)| work(first, rows, left)),
        Par::Rayon(_) => {
            blocks.into_par_iter().for_each(|(first, rows, left)| work(first, rows, left));
        }
    }
}
