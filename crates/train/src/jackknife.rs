//! Intervals by jackknife+, wider where training rows say less.
//!
//! With row `i` left out, the function at `x` moves by what the row's error there pulled it: in the linear regime with the
//! tangent kernel `K`, equations of weights `w` and a ridge `mu`
//!
//! ```text
//! f_-i(x) = f(x) + p(x, x_i) g_i / mu,      p(x, z) = k(x, z) - k(x, X) (K + mu / w)^-1 k(X, z),
//! ```
//!
//! with the posterior covariance `p` of all rows and the slope `g_i` of the row's loss at what it would have been told
//! without itself: `f_-i(x_i) - y_i` of the squared one, as all of this is exact there. An interval of level `1 - a` reaches
//! from the `floor(a (n + 1))`-th smallest of the `f_-i(x) - r_i` to the `ceil((1 - a) (n + 1))`-th smallest of the
//! `f_-i(x) + r_i`, with absolute residuals `r_i` of left-out rows. It holds a new target with probability at least
//! `1 - 2 a` whatever the data, and about `1 - a` where fits are stable (Barber, Candes, Ramdas and Tibshirani,
//! *Predictive inference with the jackknife+*, 2021, theorem 1).
//!
//! Here the covariance is that of a [`Posterior`] from landmarks, which is exact for up to 256 rows; and `r_i` may be scaled
//! by the standard deviation of a new target at `x` over that at `x_i`.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use nearlin_dense::fixed_par;

use crate::Posterior;
use crate::local_scale::worthwhile;
use crate::sureness::ranked;

/// Rows whose moves are held at a time.
const BLOCK: usize = 2048;

/// Training rows that were left out, as they are kept for one output.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct KeptRows {
    /// Their equations' inputs, r x d, row-major.
    pub x: Vec<f64>,
    /// The slopes of their equations' loss, each without its own equation, in the units of predictions.
    pub slopes: Vec<f64>,
    /// Their absolute residuals over the scale of intervals there, ascending.
    pub sizes: Vec<f64>,
}

impl KeptRows {
    /// From inputs `x : r x d`, row-major, slopes, and sizes in ascending order.
    #[must_use]
    pub fn new(x: Vec<f64>, slopes: Vec<f64>, sizes: Vec<f64>) -> Self {
        Self { x, slopes, sizes }
    }
}

/// All training rows, each left out, for [`JackknifePlus::new`].
#[derive(Clone, Copy, Debug)]
pub struct LeftOutRows<'a> {
    /// Residuals `f - y`, n x K, row-major, in the units of predictions.
    pub residuals: &'a [f64],
    /// The standard deviation of the function at each row.
    pub deviations: &'a [f64],
    /// The equation of each row.
    pub equation_of: &'a [usize],
    /// The equations' inputs, without weights that the [`Posterior`] was given beside them.
    pub x: MatRef<'a, f64>,
    /// The slope of each equation's loss, with that weight, where it was left out: equations x K, row-major, in the units of
    /// predictions.
    pub slopes: &'a [f64],
}

/// Intervals around the predictions of a network.
#[derive(Clone, Debug)]
pub struct JackknifePlus {
    posterior: Posterior,
    usual: Option<f64>,
    outputs: Vec<KeptRows>,
    /// What each kept row moves along the posterior's coordinates once it is left out, q x r.
    moves: Vec<Mat<f64>>,
}

impl JackknifePlus {
    /// Rows that are kept of each output.
    pub const KEPT: usize = 1000;

    /// From training rows that were left out, at most 1,000 of which are kept for each output, at even ranks of their
    /// residuals.
    ///
    /// Intervals have a local scale, `sqrt(mu + v(x))` with the posterior variance `v`, where that makes those of 90% better
    /// on the rows themselves: where the mean [`interval_score`](crate::sureness::interval_score) is smaller than that of
    /// equal widths by two standard errors of the difference.
    ///
    /// # Panics
    /// If lengths are not those of n rows, or there is no such equation.
    #[must_use]
    pub fn new(posterior: Posterior, rows: &LeftOutRows<'_>, par: Par) -> Self {
        let (n, k) = (rows.equation_of.len(), rows.residuals.len() / rows.equation_of.len().max(1));
        let lengths = (rows.residuals.len(), rows.deviations.len(), rows.slopes.len());
        assert_eq!(lengths, (n * k, n, rows.x.nrows() * k), "{n} rows of {k} outputs");
        let local = worthwhile(posterior.ridge(), rows.residuals, rows.deviations);
        let scale = |i: usize| local.as_ref().map_or(1.0, |(_, scales)| scales[i]);
        let outputs = (0..k).map(|output| {
            let sizes: Vec<f64> =
                (0..n).map(|i| rows.residuals[i * k + output].abs() / scale(i)).collect();
            let kept = ranked(&sizes, Self::KEPT);
            let equations = || kept.iter().map(|&i| rows.equation_of[i]);
            KeptRows {
                x: equations().flat_map(|at| rows.x.row(at).iter().copied()).collect(),
                slopes: equations().map(|at| rows.slopes[at * k + output]).collect(),
                sizes: kept.iter().map(|&i| sizes[i]).collect(),
            }
        });
        let outputs: Vec<KeptRows> = outputs.collect();
        Self::with(posterior, local.map(|(usual, _)| usual), outputs, par)
    }

    /// From what [`posterior`](Self::posterior), [`usual`](Self::usual) and [`kept`](Self::kept) gave; `None` if that
    /// cannot be.
    #[must_use]
    pub fn from_parts(
        posterior: Posterior,
        usual: Option<f64>,
        outputs: Vec<KeptRows>,
        par: Par,
    ) -> Option<Self> {
        let fine = |KeptRows { x, slopes, sizes }: &KeptRows| {
            let r = sizes.len();
            let whole = r > 0 && (x.len(), slopes.len()) == (r * posterior.inputs(), r);
            let finite = x.iter().chain(slopes).chain(sizes).all(|v| v.is_finite());
            whole && finite && sizes[0] >= 0.0 && sizes.is_sorted()
        };
        let scaled = usual.is_none_or(|usual| usual > 0.0 && usual.is_finite());
        (scaled && !outputs.is_empty() && outputs.iter().all(fine))
            .then(|| Self::with(posterior, usual, outputs, par))
    }

    fn with(posterior: Posterior, usual: Option<f64>, outputs: Vec<KeptRows>, par: Par) -> Self {
        let moves = outputs.iter().map(|KeptRows { x, slopes, .. }| {
            let x = MatRef::from_row_major_slice(x, slopes.len(), posterior.inputs());
            let (mut moves, _) = posterior.coordinates(x, par);
            for (column, slope) in moves.col_iter_mut().zip(slopes) {
                let scale = slope / posterior.ridge();
                column.iter_mut().for_each(|entry| *entry *= scale);
            }
            moves
        });
        let moves = moves.collect();
        Self { posterior, usual, outputs, moves }
    }

    /// For rows `x : n x d`, as the network takes them, with `predictions`, n x K and row-major, the ends of intervals that
    /// hold new targets with probability `level`. No more than the largest residual is known of.
    ///
    /// `n q (d + 2 q + 2 r K)` flops for `q` landmarks and `r` kept rows.
    ///
    /// # Panics
    /// If `x` has not `d` columns, or there are not n x K predictions.
    #[must_use]
    pub fn intervals(
        &self,
        x: MatRef<'_, f64>,
        predictions: &[f64],
        level: f64,
        par: Par,
    ) -> Vec<[f64; 2]> {
        let (n, k) = (x.nrows(), self.outputs.len());
        assert_eq!(predictions.len(), n * k, "predictions for {n} rows of {k} outputs");
        let mut ends = vec![[0.0; 2]; n * k];
        for first in (0..n).step_by(BLOCK) {
            let rows = x.subrows(first, BLOCK.min(n - first));
            let (coordinates, variances) = self.posterior.coordinates(rows, par);
            let scales = variances.iter().map(|(open, known)| self.scale(open + known));
            let scales: Vec<f64> = scales.collect();
            for (output, kept) in self.outputs.iter().enumerate() {
                let moved = self.moved(output, coordinates.as_ref(), par);
                for ((at, moved), scale) in moved.col_iter().enumerate().zip(&scales) {
                    let at = (first + at) * k + output;
                    let without = moved.iter().map(|moved| predictions[at] + moved);
                    let reach = kept.sizes.iter().map(|size| scale * size);
                    ends[at] = interval(without.zip(reach), level);
                }
            }
        }
        ends
    }

    /// What one output at rows `x : n x d` moves by once each of the kept rows is left out, r x n, in the units of
    /// predictions: `n q (d + 2 q + 2 r)` flops.
    ///
    /// # Panics
    /// If `x` has not `d` columns, or there is no such output.
    #[must_use]
    pub fn moves(&self, output: usize, x: MatRef<'_, f64>, par: Par) -> Mat<f64> {
        let (coordinates, _) = self.posterior.coordinates(x, par);
        self.moved(output, coordinates.as_ref(), par)
    }

    fn moved(&self, output: usize, coordinates: MatRef<'_, f64>, par: Par) -> Mat<f64> {
        let along = self.moves[output].transpose();
        let mut moved = Mat::<f64>::zeros(along.nrows(), coordinates.ncols());
        matmul(moved.as_mut(), Accum::Replace, along, coordinates, 1.0, fixed_par(par));
        moved
    }

    /// What intervals are multiplied by at a row of this posterior variance.
    fn scale(&self, variance: f64) -> f64 {
        let ridge = self.posterior.ridge();
        self.usual.map_or(1.0, |usual| (ridge + variance).sqrt() / usual)
    }

    /// What tells how far rows move the function, and the scales.
    #[must_use]
    pub fn posterior(&self) -> &Posterior {
        &self.posterior
    }

    /// The standard deviation that counts as 1; `None` for residuals that are not scaled.
    #[must_use]
    pub fn usual(&self) -> Option<f64> {
        self.usual
    }

    /// The rows that are kept, for each output.
    #[must_use]
    pub fn kept(&self) -> &[KeptRows] {
        &self.outputs
    }
}

/// What it was made from tells all.
impl PartialEq for JackknifePlus {
    fn eq(&self, other: &Self) -> bool {
        (&self.posterior, self.usual, &self.outputs)
            == (&other.posterior, other.usual, &other.outputs)
    }
}

/// The ends, from what the function is without each row and how far that one was off.
fn interval(rows: impl Iterator<Item = (f64, f64)>, level: f64) -> [f64; 2] {
    let (mut lower, mut upper): (Vec<f64>, Vec<f64>) =
        rows.map(|(without, reach)| (without - reach, without + reach)).unzip();
    let n = upper.len();
    let rank = ((level * (n + 1) as f64).ceil() as usize).clamp(1, n);
    let lower = *lower.select_nth_unstable_by(n - rank, f64::total_cmp).1;
    let upper = *upper.select_nth_unstable_by(rank - 1, f64::total_cmp).1;
    // Below a half they can pass each other.
    if lower <= upper { [lower, upper] } else { [lower.midpoint(upper); 2] }
}

#[cfg(test)]
mod tests;
