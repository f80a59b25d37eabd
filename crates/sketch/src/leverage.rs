//! Approximate leverage scores.
//!
//! Drineas, Magdon-Ismail, Mahoney and Woodruff, *Fast approximation of matrix coherence and statistical leverage*, J. Mach.
//! Learn. Res. 13, 2012, algorithm 1, with columns pivoted for the sake of dependent ones.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::random::{Purpose, stream};
use crate::range::{Range, lengths, scaled, sketched, tolerance};
use crate::scalar::wide;
use crate::{Scalar, Sketch, SketchError};

/// Rows of the matrix whose scores are told at a time, in each task.
const ROWS: usize = 1024;

/// The leverage scores of the rows of `a : N x d`, approximately: the squared row lengths of `U` for an orthonormal basis of its
/// range, of which the sum is the rank.
///
/// They are those of `A R^-1 G`, where `S A = Q R` and `G` has as many columns as `directions`, with independent entries
/// `N(0, 1 / directions)`; or of `A R^-1`, if there are no fewer than the rank. Costs the sketch, `O(s d^2)` and
/// `2 N d directions` flops, where a factorisation of `a` has `2 N d^2`. Of columns that depend on others, to rounding, only
/// those others count.
///
/// # Accuracy
/// If lengths in the range change by `1 +- eps` under `sketch` (see [`distortion`](crate::distortion())), squared lengths of rows
/// of `A R^-1` are between `1 / (1 + eps)^2` and `1 / (1 - eps)^2` times the scores: `e_i^T A R^-1 = e_i^T U (S U)^+ Q`. Under
/// `G` all `N` of them change by a relative `2 sqrt(t / r) + 2 t / r` at most for `r` directions, with probability
/// `1 - 2 N exp(-t)` (Laurent and Massart, *Adaptive estimation of a quadratic functional by model selection*, 2000, lemma 1). A
/// sketch that loses a direction of the range, as sampled rows may, loses its scores as well.
///
/// # Errors
/// [`SketchError::Shape`] if `sketch` does not fit, [`SketchError::Few`] if it has less than `d` rows, [`SketchError::Dimension`]
/// without directions, [`SketchError::NotFinite`] for a column that has no finite sketch.
///
/// # Examples
/// ```
/// use faer::{Mat, Par};
/// use nearlin_sketch::{RowSampling, SparseSign, leverage_scores};
///
/// // Row 77 alone has a third column.
/// let a = Mat::from_fn(5000, 3, |i, j| match j {
///     2 => f64::from(u8::from(i == 77)),
///     _ => ((i * (j + 1)) as f64).sin(),
/// });
/// let sketch = SparseSign::new(5000, 100, 8, 1)?;
/// let scores = leverage_scores(a.as_ref(), &sketch, 3, 1, Par::Seq)?;
/// assert!(scores[77] > 0.5 && scores[78] < 0.01);
/// let rows = RowSampling::by_scores(&scores, 50, 1)?;
/// assert!(rows.picks().iter().any(|&(row, _)| row == 77));
/// # Ok::<(), nearlin_sketch::SketchError>(())
/// ```
pub fn leverage_scores<T: Scalar>(
    a: MatRef<'_, T>,
    sketch: &dyn Sketch<T>,
    directions: usize,
    seed: u64,
    par: Par,
) -> Result<Vec<f64>, SketchError> {
    let (n, d) = (a.nrows(), a.ncols());
    if directions == 0 {
        return Err(SketchError::Dimension { dim: 0, input: d, most: usize::MAX });
    }
    if sketch.embedding_dim() < d {
        return Err(SketchError::Few { dim: sketch.embedding_dim(), cols: d });
    }
    let b = sketched(sketch, a, par)?;
    let lengths = lengths(b.as_ref());
    let range = Range::new(scaled(b.as_ref(), &lengths).as_ref(), tolerance::<T>(n, d));
    let rank = range.rank;
    let g = if directions < rank {
        let mut random = stream(seed, Purpose::Leverage, 0);
        let scale = 1.0 / (directions as f64).sqrt();
        let mut draw = || -> f64 { StandardNormal.sample(&mut random) };
        Mat::from_fn(rank, directions, |_, _| scale * draw())
    } else {
        Mat::identity(rank, rank)
    };
    let solved = range.solve(g);
    let mut map = Mat::<T>::zeros(d, solved.ncols());
    for (i, &column) in range.columns[..rank].iter().enumerate() {
        for j in 0..solved.ncols() {
            map[(column, j)] = T::of(solved[(i, j)] / lengths[column]);
        }
    }
    let mut scores = vec![0.0; n];
    let score = |(chunk, scores): (usize, &mut [f64])| {
        let mut rows = Mat::<T>::zeros(scores.len(), map.ncols());
        let a = a.subrows(chunk * ROWS, scores.len()).to_owned();
        matmul(rows.as_mut(), Accum::Replace, a.as_ref(), map.as_ref(), T::of(1.0), Par::Seq);
        for (i, score) in scores.iter_mut().enumerate() {
            *score = rows.row(i).iter().map(|&v| wide(v) * wide(v)).sum();
        }
    };
    match par {
        Par::Seq => scores.chunks_mut(ROWS).enumerate().for_each(score),
        Par::Rayon(_) => scores.par_chunks_mut(ROWS).enumerate().for_each(score),
    }
    Ok(scores)
}
