//! Generalised cross-validation on all equations, where their Gram matrix would not fit.
//!
//! `y^T (G + mu I)^-2 y` and the trace of `(G + mu I)^-1` from solves with the targets and with random signs on the right, by
//! conjugate gradients without the matrix. One factor of low rank of the infinitely wide kernel preconditions them for every `mu`.

use faer::{ColRef, Mat, MatRef, Par, RowRef};
use nearlin_krylov::Cg;
use nearlin_relu::{Jacobian, PackedMask};

use super::search::{LEAST, MOST as LARGEST, Start, least_error, power_of_two, quarters};
use super::{Criterion, RidgePath, RidgePoint};
use crate::dual::{Dual, Factor, Preconditioner};
use crate::low_rank::LowRankPlus;
use crate::solver::{PivotedKernel, default_rank};
use crate::vector::{norm, ratio};
use crate::{Equations, TrainError};

/// Relative residuals of the solves with random signs, of which a trace forgets the square, and with targets.
const ROUGH: f64 = 1e-2;
const CLOSE: f64 = 1e-3;

/// What a residual may be a part of: of what is left of the targets, which it is wrong by.
const PART: f64 = 0.1;

/// How many times as large a residual may be by the rounding of passes in `f32`.
const ROUNDED: f64 = 2.0;

/// Most iterations for one ridge; where they do not do, it is too small.
const MOST: usize = 200;

/// Most numbers of a factor, 256 MiB of `f32`; there are two of them at a time.
const NUMBERS: usize = 1 << 26;

/// Judges the ridges around one that is `near` for the initial mask of the directions, n x p. `None` where the solves do not
/// converge for any, or not for one below the best.
///
/// `b : n x (q + p)` has `q` vectors of random signs, then the targets `y`, or combinations of them.
pub(super) fn judge_near(
    (equations, directions): (&Equations, &PackedMask),
    (b, probes): (MatRef<'_, f64>, usize),
    near: f64,
    (seed, par): (u64, Par),
) -> Result<Option<RidgePath>, TrainError> {
    let n = equations.rows();
    let system = Scaled::new(equations);
    let ones = vec![1.0f32; directions.width()];
    let ones = MatRef::from_column_major_slice(&ones, ones.len(), 1);
    let jacobian = Jacobian::new(directions, system.x(), ones)?;
    let unit = system.unit(directions);
    let near = near.clamp(unit * quarters(LEAST), unit * quarters(LARGEST));
    let rank = 2 * (directions.width() * jacobian.inputs()).isqrt();
    let rank = rank.clamp(1, default_rank(n).min((NUMBERS / n).max(1)));
    let low = PivotedKernel { rank, seed }.factor(jacobian.x(), 0.1 * near / system.square, par)?;

    // In units in which `f32` holds them: of norm 1.
    let sizes: Vec<f64> = b.col_iter().map(|column| column.norm_l2()).collect();
    let unit_of = |j: usize| if sizes[j] > 0.0 { sizes[j] } else { 1.0 };
    let scaled = Mat::from_fn(n, b.ncols(), |i, j| (b[(i, j)] / unit_of(j)) as f32);
    let (signs, targets) = scaled.as_ref().split_at_col(probes);
    let size = norm(&sizes[probes..]);
    let (mut points, mut failed) = (Vec::new(), false);
    let judge = |ridge: f64| -> Result<Option<(f64, ())>, TrainError> {
        let shift = ridge / system.square;
        let factor = Factor::LowRank(LowRankPlus::new(low.clone(), shift, par)?);
        let precond = Preconditioner { factor, examples: n, outputs: 1 };
        let operator = Dual { jacobian, ridge: shift as f32 };
        let solve = |b: MatRef<'_, f32>, rtol: f64| -> Result<Option<Mat<f32>>, TrainError> {
            let cg = Cg::default().with_rtol(rtol).with_max_iters(MOST);
            let solved = cg.solve_preconditioned(&operator, &precond, b, par)?;
            let near = solved.report.worst_residual() <= ROUNDED * rtol;
            Ok(near.then_some(solved.x))
        };
        let solved = (solve(signs, ROUGH)?, solve(targets, CLOSE)?);
        let (Some(of_signs), Some(of_targets)) = solved else {
            failed = true;
            return Ok(None);
        };
        let form = |j: usize| -> f64 {
            let pairs = signs.col(j).iter().zip(of_signs.col(j).iter());
            pairs.map(|(&v, &g)| f64::from(v) * f64::from(g)).sum::<f64>() * sizes[j].powi(2)
        };
        let trace = (0..probes).map(form).sum::<f64>() / probes as f64;
        let length = |(column, size): (ColRef<'_, f32>, &f64)| -> f64 {
            size * column.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt()
        };
        let lengths = of_targets.col_iter().zip(&sizes[probes..]).map(length);
        let multipliers = norm(&lengths.collect::<Vec<f64>>());
        if CLOSE * size > PART * shift * multipliers {
            failed = true;
            return Ok(None);
        }
        let error = ratio(multipliers * n as f64 / trace, size);
        points.push(RidgePoint { ridge, error, effective_parameters: n as f64 - shift * trace });
        Ok(Some((error, ())))
    };
    if least_error(unit, Start::Near(near), judge)?.is_none() {
        return Ok(None);
    }
    points.sort_by(|a, b| a.ridge.total_cmp(&b.ridge));
    let path = RidgePath::new(Criterion::GeneralisedCrossValidation, points, n);
    Ok((path.best > 0 || !failed).then_some(path))
}

/// The inputs in `f32`, in a unit in which it holds their squares.
struct Scaled {
    x: Vec<f32>,
    shape: (usize, usize),
    /// The square of the unit, a power of two, by which ridges are divided.
    square: f64,
}

impl Scaled {
    fn new(equations: &Equations) -> Self {
        let (n, d, x) = (equations.rows(), equations.inputs(), equations.x());
        let largest = x.norm_max();
        let unit = power_of_two(if largest > 0.0 { largest } else { 1.0 });
        let x = (0..n * d).map(|at| (x[(at / d, at % d)] / unit) as f32).collect();
        Self { x, shape: (n, d), square: unit * unit }
    }

    fn x(&self) -> MatRef<'_, f32> {
        MatRef::from_row_major_slice(&self.x, self.shape.0, self.shape.1)
    }

    /// The mean of the diagonal of the Gram matrix, 1 where that is 0.
    fn unit(&self, mask: &PackedMask) -> f64 {
        let entry = |(i, x): (usize, RowRef<'_, f32>)| -> f64 {
            let active: u32 = mask.row(i).iter().map(|word| word.count_ones()).sum();
            f64::from(active) * x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>()
        };
        let sum: f64 = self.x().row_iter().enumerate().map(entry).sum();
        let mean = self.square * sum / (mask.nrows() * mask.width()) as f64;
        if mean > 0.0 { mean } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use faer::Par;
    use nearlin_dense::Cholesky;
    use nearlin_relu::{Init, Signs, gram};
    use proptest::prelude::*;

    use super::super::{directions, right_hand_sides};
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// The criterion of each ridge is what a factor of all neurons' Gram matrix says with the same signs, to some percent:
        /// a solve leaves a hundredth or a thousandth of each right-hand side, of which targets here keep more than a tenth. Whatever the
        /// unit of the inputs.
        #[test]
        fn solves_say_what_a_factor_says(n in 150usize..250, k in 1usize..4, power in -2i32..1, size in -30i32..30, seed: u64) {
            let noise = |at: usize| {
                let bits = (seed ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9).cast_signed() as f64 / 2f64.powi(63)
            };
            let y = (0..n * k).map(|at| noise(at / k * 3) + noise(at + 100_000)).collect();
            let x: Vec<f64> = (0..3 * n).map(|at| noise(at) * 10f64.powi(size)).collect();
            let equations = Equations::new(x, y, 3, k).unwrap();
            let init = Init { inputs: 3, outputs: k, width: 256, seed, signs: Signs::usual(k) };
            let network = init.network(1.0).unwrap();
            let mask = network.forward(equations.x(), Par::Seq).unwrap().mask;
            let lower = gram(equations.x(), &mask, Par::Seq).unwrap();
            let base = directions(mask, network.copies());
            let b = right_hand_sides(&equations, 1, seed);
            let unit = Scaled::new(&equations).unit(&base);
            prop_assert!((unit - super::super::mean_diagonal(&lower)).abs() <= 1e-6 * unit, "inputs are rounded");
            let near = unit * 10f64.powi(power);
            let path = judge_near((&equations, &base), (b.as_ref(), 1), near, (seed, Par::Seq));
            let path = path.unwrap().unwrap();
            prop_assert!(path.points.len() >= 2 && path.rows == n);
            for point in &path.points {
                let mut a = lower.clone();
                (0..n).for_each(|i| a[(i, i)] += point.ridge);
                let mut solved = b.clone();
                Cholesky::factor(a, Par::Seq).unwrap().solve_in_place(solved.as_mut(), Par::Seq);
                let trace: f64 = (0..n).map(|i| b[(i, 0)] * solved[(i, 0)]).sum();
                let of_targets = |of: &Mat<f64>| of.subcols(1, of.ncols() - 1).norm_l2();
                let error = of_targets(&solved) * n as f64 / trace / of_targets(&b);
                prop_assert!((point.error - error).abs() <= 0.03 * error, "{point:?} {error}");
                let parameters = n as f64 - point.ridge * trace;
                prop_assert!((point.effective_parameters - parameters).abs() <= 0.03 * n as f64);
            }
        }
    }

    /// Targets without noise ask for ever smaller ridges, until passes in `f32` tell too little: there is no path then, rather
    /// than one whose best is the last that could be judged.
    #[test]
    fn a_best_next_to_solves_that_fail_is_none() {
        let x: Vec<f64> = (0..300).flat_map(|i| [f64::from(i) / 150.0 - 1.0, 1.0]).collect();
        let judged = |noise: f64| {
            let target = |(i, x): (usize, &[f64])| x[0] + if i % 2 == 0 { noise } else { -noise };
            let y = x.chunks(2).enumerate().map(target).collect();
            let equations = Equations::new(x.clone(), y, 2, 1).unwrap();
            let options = crate::Options::default().width(512).ridge(1e-3);
            super::super::refine_ridge(&equations, &options).unwrap()
        };
        assert!(judged(0.1).is_some_and(|path| path.best > 0));
        assert_eq!(judged(0.0), None);
    }
}
