//! Sampled rows, weighted so that squared lengths are right on average.
//!
//! Drineas, Mahoney and Muthukrishnan, *Sampling algorithms for l2 regression and applications*, SODA 2006. A sampled row is
//! cheap and keeps what a row is: sparse, or an example that can be looked at. How well it embeds depends on the matrix:
//! uniform sampling misses a row that stands alone, sampling by leverage scores does not.

use std::ops::Range;

use faer::{Mat, MatMut, MatRef, Par};
use rand::Rng;

use crate::error::{check_adjoint, check_ranges, check_shape};
use crate::random::{Purpose, stream};
use crate::{AdjointSketch, Scalar, Sketch, SketchError, Streaming};

/// Input rows that arrive before samples are looked up among them.
const BLOCK: usize = 1024;

/// `S` with one entry a row: row `i` of `S a` is row `picks[i]` of `a`, scaled.
///
/// A column costs as many multiplications as there are samples; the sketch itself 16 bytes a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct RowSampling {
    input: usize,
    picks: Vec<(usize, f64)>,
}

impl RowSampling {
    /// `dim` of `input` rows, each as likely as another, drawn again and again.
    ///
    /// # Errors
    /// [`SketchError::Empty`] if `input` is 0, [`SketchError::Dimension`] if `dim` is.
    pub fn uniform(input: usize, dim: usize, seed: u64) -> Result<Self, SketchError> {
        check(input, dim, usize::MAX)?;
        let mut random = stream(seed, Purpose::Rows, 0);
        let factor = (input as f64 / dim as f64).sqrt();
        Ok(Self {
            input,
            picks: (0..dim).map(|_| (random.random_range(0..input), factor)).collect(),
        })
    }

    /// `dim` different rows of `input`, each as likely as another, in ascending order.
    ///
    /// # Errors
    /// [`SketchError::Empty`] if `input` is 0, [`SketchError::Dimension`] unless `1 <= dim <= input`.
    pub fn without_replacement(input: usize, dim: usize, seed: u64) -> Result<Self, SketchError> {
        check(input, dim, input)?;
        let mut random = stream(seed, Purpose::Rows, 1);
        // The first steps of a Fisher-Yates shuffle.
        let mut rows: Vec<usize> = (0..input).collect();
        for j in 0..dim {
            rows.swap(j, random.random_range(j..input));
        }
        rows.truncate(dim);
        rows.sort_unstable();
        let factor = (input as f64 / dim as f64).sqrt();
        Ok(Self { input, picks: rows.into_iter().map(|row| (row, factor)).collect() })
    }

    /// `dim` rows drawn again and again, row `i` with a probability like `scores[i]`: its leverage score, say, or its squared
    /// length.
    ///
    /// # Errors
    /// [`SketchError::Empty`] without scores, [`SketchError::Dimension`] if `dim` is 0, [`SketchError::Score`] for a score that
    /// is negative or not finite, or if all are 0.
    pub fn by_scores(scores: &[f64], dim: usize, seed: u64) -> Result<Self, SketchError> {
        check(scores.len(), dim, usize::MAX)?;
        let sum = check_scores(scores)?;
        let mut until = 0.0;
        let add = |&score: &f64| {
            until += score;
            until
        };
        let sums: Vec<f64> = scores.iter().map(add).collect();
        let mut random = stream(seed, Purpose::Rows, 2);
        let picks = (0..dim).map(|_| {
            let until = sum * random.random::<f64>();
            // The first whose sum passes it has a score.
            let row = sums.partition_point(|&sum| sum <= until).min(scores.len() - 1);
            (row, (sum / (dim as f64 * scores[row])).sqrt())
        });
        Ok(Self { input: scores.len(), picks: picks.collect() })
    }

    /// Each row on its own, or not: row `i` with probability `p_i = min(1, c scores[i])`, in ascending order and by a factor of
    /// `1 / sqrt(p_i)`. No row is drawn twice, and rows of large scores are kept for certain, unscaled.
    ///
    /// The embedding dimension is random, with mean `expected` (which decides `c`) and a variance of at most as much; it can be
    /// 0. Known as Poisson sampling (Hajek, *Asymptotic theory of rejective sampling*, Ann. Math. Stat. 35, 1964).
    ///
    /// # Errors
    /// [`SketchError::Empty`] without scores, [`SketchError::Score`] as for [`by_scores`](Self::by_scores),
    /// [`SketchError::Dimension`] unless `1 <= expected <= p` for `p` positive scores.
    pub fn independent(scores: &[f64], expected: usize, seed: u64) -> Result<Self, SketchError> {
        check(scores.len(), expected, usize::MAX)?;
        check_scores(scores)?;
        let mut falling: Vec<f64> = scores.iter().copied().filter(|&score| score > 0.0).collect();
        check(scores.len(), expected, falling.len())?;
        falling.sort_unstable_by(|a, b| b.total_cmp(a));
        // With the largest scores kept for certain, `c` spreads the rest of the rows over the rest of the scores.
        let mut tails: Vec<f64> = vec![0.0; falling.len() + 1];
        for (at, score) in falling.iter().enumerate().rev() {
            tails[at] = tails[at + 1] + score;
        }
        let factor = |certain: usize| (expected - certain) as f64 / tails[certain];
        let certain = (0..expected).find(|&at| factor(at) * falling[at] <= 1.0);
        let factor = certain.map_or(f64::INFINITY, factor);
        let mut random = stream(seed, Purpose::Rows, 3);
        let picks = scores.iter().enumerate().filter_map(|(row, &score)| {
            let probability = if score > 0.0 { (factor * score).min(1.0) } else { 0.0 };
            (random.random::<f64>() < probability).then(|| (row, 1.0 / probability.sqrt()))
        });
        Ok(Self { input: scores.len(), picks: picks.collect() })
    }

    /// The rows that were drawn and their factors.
    #[must_use]
    pub fn picks(&self) -> &[(usize, f64)] {
        &self.picks
    }
}

/// The sum of scores that can be sampled by.
fn check_scores(scores: &[f64]) -> Result<f64, SketchError> {
    let wrong = |value: &f64| !(*value >= 0.0 && value.is_finite());
    if let Some(at) = scores.iter().position(wrong) {
        return Err(SketchError::Score { at, value: scores[at] });
    }
    let sum = scores.iter().sum();
    if !(sum > 0.0 && sum < f64::INFINITY) {
        return Err(SketchError::Score { at: 0, value: scores[0] });
    }
    Ok(sum)
}

fn check(input: usize, dim: usize, most: usize) -> Result<(), SketchError> {
    if input == 0 {
        return Err(SketchError::Empty);
    }
    if dim == 0 || dim > most {
        return Err(SketchError::Dimension { dim, input, most });
    }
    Ok(())
}

impl<T: Scalar> Sketch<T> for RowSampling {
    fn input_dim(&self) -> usize {
        self.input
    }

    fn embedding_dim(&self) -> usize {
        self.picks.len()
    }

    fn apply(&self, mut out: MatMut<'_, T>, a: MatRef<'_, T>, _: Par) -> Result<(), SketchError> {
        let k = a.ncols();
        check_shape("matrix to sketch", (a.nrows(), k), (self.input, k))?;
        check_shape("sketched matrix", (out.nrows(), out.ncols()), (self.picks.len(), k))?;
        for j in 0..k {
            let column = a.col(j);
            for (out, &(row, factor)) in out.as_mut().col_mut(j).iter_mut().zip(&self.picks) {
                *out = T::of(factor) * column[row];
            }
        }
        Ok(())
    }

    fn entries(&self, rows: Range<usize>, cols: Range<usize>) -> Result<Mat<T>, SketchError> {
        check_ranges(&rows, &cols, (self.picks.len(), self.input))?;
        let mut block = Mat::zeros(rows.len(), cols.len());
        for (i, &(row, factor)) in self.picks[rows].iter().enumerate() {
            if cols.contains(&row) {
                block[(i, row - cols.start)] = T::of(factor);
            }
        }
        Ok(block)
    }
}

impl<T: Scalar> Streaming<T> for RowSampling {
    fn block(&self) -> usize {
        BLOCK
    }

    fn add_block(&self, mut sums: MatMut<'_, T>, a: MatRef<'_, T>, first: usize, _: Par) {
        let rows = first..first + a.nrows();
        for (i, &(row, factor)) in self.picks.iter().enumerate() {
            if rows.contains(&row) {
                for (out, &value) in
                    sums.as_mut().row_mut(i).iter_mut().zip(a.row(row - first).iter())
                {
                    *out = T::of(factor) * value;
                }
            }
        }
    }
}

impl<T: Scalar> AdjointSketch<T> for RowSampling {
    fn apply_adjoint(
        &self,
        mut out: MatMut<'_, T>,
        y: MatRef<'_, T>,
        _: Par,
    ) -> Result<(), SketchError> {
        let k = y.ncols();
        check_adjoint(&out, y, (self.picks.len(), self.input))?;
        out.fill(T::of(0.0));
        for j in 0..k {
            for (&y, &(row, factor)) in y.col(j).iter().zip(&self.picks) {
                out[(row, j)] += T::of(factor) * y;
            }
        }
        Ok(())
    }
}
