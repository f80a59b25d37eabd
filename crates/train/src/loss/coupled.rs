//! Outputs that share a curvature, as those of a softmax do, in the preconditioner of a Newton step.
//!
//! Its system is `mu I + R^T (I kron B) R` with `R = S P`, where `S` is diagonal and `P` takes from each example what lies
//! along its roots of probabilities. Right-hand sides and solutions have nothing there: `sum over c of S_c q_c = 0` for the
//! parts `q_c` of the outputs. So with a multiplier for each example, `t`,
//!
//! ```text
//! A_c q_c = b_c - S_c t,   A_c = mu I + S_c B S_c,   C t = sum over c of S_c A_c^-1 b_c,   C = sum over c of S_c A_c^-1 S_c,
//! ```
//!
//! a factor for each output and one more, where all outputs at once would be a system of nK (Rasmussen and Williams,
//! *Gaussian processes for machine learning*, 2006, algorithm 3.3, which finds modes of a softmax likewise).

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Mat, MatMut, Par};
use nearlin_dense::{Cholesky, fixed_par, symmetric_product};

use super::blocks::Part;
use crate::TrainError;
use crate::dual::Factor;
use crate::solver::{InnerSolver, SolverKind};

/// Rows up to which factors are of full rank.
const FEW: usize = 1024;

/// Beyond, most ranks of all outputs in all, and most numbers of a matrix of so many columns: 256 MiB.
const MOST_RANKS: usize = 2048;
const MOST_NUMBERS: usize = 1 << 25;

/// The rank of each output where factors are not of full rank.
fn rank((rows, outputs): (usize, usize)) -> Option<usize> {
    let few = rows <= FEW && rows * rows * outputs <= MOST_NUMBERS;
    let most = MOST_RANKS.min(MOST_NUMBERS / rows).min((rows - 1) / 2);
    (!few).then_some((most / outputs).max(1))
}

/// What makes the block of these factors where the solver's own would be too large.
pub(super) fn solver(
    kind: SolverKind,
    shape: (usize, usize),
    seed: u64,
) -> Option<Box<dyn InnerSolver<f64>>> {
    let rank = rank(shape).filter(|_| kind.scales_rows())?;
    Some(SolverKind::RpGram.instance(rank, seed))
}

/// Numbers that they hold, beside the solver's own factor.
pub(crate) fn numbers(kind: SolverKind, (rows, outputs): (usize, usize)) -> f64 {
    let (n, k) = (rows as f64, outputs as f64);
    match rank((rows, outputs)) {
        _ if !kind.scales_rows() => 0.0,
        // A block, a factor for each output, and their sum with its copy and its factor.
        None => (k + 4.0) * n * n,
        // The block's columns, those of its outputs, and of all of them with their square.
        Some(rank) => (2.0 * k + 1.0) * n * rank as f64 + 2.0 * (k * rank as f64).powi(2),
    }
}

/// A factor of `C`, n x n.
#[derive(Debug)]
pub(super) enum Shared {
    /// `L L^T`: `n^3` flops and more for each output.
    Dense(Cholesky<f64>),
    /// Of outputs with low ranks, `R` in all: with `D` the diagonal of `C` without them, `C^-1 = D^(-1/2) (I + W W^T) D^(-1/2)`.
    /// `2 n R^2` flops.
    LowRank {
        /// `D^(-1/2)`, n.
        scale: Vec<f64>,
        /// n x R.
        w: Mat<f64>,
    },
}

impl Shared {
    /// For the parts of all outputs, of `examples` rows.
    ///
    /// # Errors
    /// [`TrainError::Factor`] if a factor cannot be made.
    pub(super) fn new(parts: &[Part], examples: usize, par: Par) -> Result<Self, TrainError> {
        let low = |part: &Part| match &part.factor {
            Factor::LowRank(low) => Some(low.rank()),
            _ => part.active.is_empty().then_some(0),
        };
        let ranks: Option<Vec<usize>> = parts.iter().map(low).collect();
        match ranks.map(|ranks| ranks.iter().sum()) {
            Some(rank) if 2 * rank < examples => Self::low_rank(parts, examples, rank, par),
            _ => {
                let mut sum = Mat::zeros(examples, examples);
                for part in parts {
                    add_block(sum.as_mut(), part, par);
                }
                Ok(Self::Dense(Cholesky::factor_shifted(|| sum.clone(), par)?))
            }
        }
    }

    fn low_rank(
        parts: &[Part],
        examples: usize,
        rank: usize,
        par: Par,
    ) -> Result<Self, TrainError> {
        let mut diagonal = vec![0.0; examples];
        let mut w = Mat::zeros(examples, rank);
        let mut first = 0;
        for part in parts {
            let Factor::LowRank(low) = &part.factor else { continue };
            for (s, &i) in part.s.iter().zip(&part.active) {
                diagonal[i] += s * s / low.delta();
            }
            for (j, column) in low.directions().col_iter().enumerate() {
                let mut to = w.col_mut(first + j);
                for ((v, s), &i) in column.iter().zip(&part.s).zip(&part.active) {
                    to[i] = v * s / low.delta().sqrt();
                }
            }
            first += low.rank();
        }
        let scale: Vec<f64> = diagonal.iter().map(|d| 1.0 / d.sqrt()).collect();
        for column in w.col_iter_mut() {
            column.iter_mut().zip(&scale).for_each(|(w, s)| *w *= s);
        }
        // `C` is `D^(1/2) (I - W W^T) D^(1/2)` now.
        let small = || {
            let mut small = symmetric_product(w.transpose(), par);
            for j in 0..rank {
                small.col_mut(j).iter_mut().for_each(|v| *v = -*v);
                small[(j, j)] += 1.0;
            }
            small
        };
        let factor = Cholesky::factor_shifted(small, par)?;
        solve_lower_triangular_in_place(factor.lower(), w.as_mut().transpose_mut(), fixed_par(par));
        Ok(Self::LowRank { scale, w })
    }

    /// `t <- C^-1 t`, n x 1.
    pub(super) fn solve_in_place(&self, mut t: MatMut<'_, f64>, par: Par) {
        match self {
            Self::Dense(factor) => factor.solve_in_place(t, par),
            Self::LowRank { scale, w } => {
                let par = fixed_par(par);
                let scaled = |mut t: MatMut<'_, f64>| {
                    t.as_mut().col_mut(0).iter_mut().zip(scale).for_each(|(t, s)| *t *= s);
                };
                scaled(t.as_mut());
                let mut seen = Mat::zeros(w.ncols(), 1);
                matmul(seen.as_mut(), Accum::Replace, w.transpose(), t.as_ref(), 1.0, par);
                matmul(t.as_mut(), Accum::Add, w.as_ref(), seen.as_ref(), 1.0, par);
                scaled(t);
            }
        }
    }
}

/// Adds `S_c A_c^-1 S_c` to the lower triangle.
fn add_block(mut sum: MatMut<'_, f64>, part: &Part, par: Par) {
    let (active, s) = (&part.active, &part.s);
    let size = active.len();
    let block = match &part.factor {
        Factor::Cholesky(factor) => {
            let mut inverse = Mat::zeros(size, size);
            let _ = factor.inverse_diagonal_in(inverse.as_mut(), par);
            for (column, s) in inverse.col_iter_mut().zip(s) {
                column.iter_mut().for_each(|v| *v *= s);
            }
            symmetric_product(inverse.transpose(), par)
        }
        Factor::LowRank(low) => {
            let rows = Mat::from_fn(size, low.rank(), |a, j| s[a] * low.directions()[(a, j)]);
            let mut block = symmetric_product(rows.as_ref(), par);
            for j in 0..size {
                block.col_mut(j).iter_mut().for_each(|v| *v = -*v / low.delta());
                block[(j, j)] += s[j] * s[j] / low.delta();
            }
            block
        }
        Factor::Identity | Factor::Triangular(_) => return,
    };
    for (b, &j) in active.iter().enumerate() {
        for a in b..size {
            sum[(active[a], j)] += block[(a, b)];
        }
    }
}

#[cfg(test)]
mod tests {
    use faer::MatRef;
    use nearlin_sketch::random_signs;

    use super::*;
    use crate::low_rank::LowRankPlus;

    /// By ranks and as a dense matrix `C` is the same, and solving undoes multiplying by it; outputs that no row has a
    /// curvature in take no part.
    #[test]
    fn ranks_and_matrices_agree() {
        let n = 40;
        let noise = |len: usize, stream: u64| -> Vec<f64> {
            let signs: Vec<f64> = random_signs(4 * len, 5, stream);
            signs.chunks(4).map(|c| c[0] + 0.5 * c[1] + 0.25 * c[2]).collect()
        };
        let part = |output: usize, delta: f64| {
            let active: Vec<usize> = (0..n).filter(|i| i % 3 != output).collect();
            let s: Vec<f64> = noise(active.len(), 7).iter().map(|v| 0.1 + v.abs()).collect();
            let f = noise(active.len() * 4, output as u64);
            let f = Mat::from_fn(active.len(), 4, |a, j| s[a] * f[4 * a + j]);
            let low = LowRankPlus::from_factor(f, delta, Par::Seq).unwrap();
            Part { active, s, factor: Factor::LowRank(low) }
        };
        let none = Part { active: vec![], s: vec![], factor: Factor::Identity };
        let parts = [part(0, 0.1), part(1, 0.3), none, part(2, 2.0)];
        let mut sum = Mat::zeros(n, n);
        for part in &parts {
            add_block(sum.as_mut(), part, Par::Seq);
        }
        let dense = Shared::Dense(Cholesky::factor(sum.clone(), Par::Seq).unwrap());
        let low = Shared::new(&parts, n, Par::Seq).unwrap();
        assert!(matches!(low, Shared::LowRank { .. }));
        nearlin_dense::mirror_lower(sum.as_mut());
        let x = noise(n, 9);
        let x = MatRef::from_column_major_slice(&x, n, 1);
        for shared in [dense, low] {
            let mut y = &sum * x;
            shared.solve_in_place(y.as_mut(), Par::Seq);
            let off = (&y - x).norm_l2();
            assert!(off < 1e-11, "{off}");
        }
    }
}
