//! Rows that are left out of a softmax of several classes, whose curvatures are matrices.
//!
//! With `M = (G / mu + H^-1)^-1`, on what a softmax sees of its outputs, a step without row `i` is
//!
//! ```text
//! f_i without i = f_i + M_ii^+ g_i - H_i^+ g_i,
//! ```
//!
//! as of one output, where `m = h - h^2 c` and `1 / m - 1 / h = c / (1 - h c)`. With `G = I kron B`, a block for each class, and
//! `E_c = S_c (I + S_c B S_c / mu)^-1 S_c`, `S_c^2 = w p_c` (Rasmussen and Williams, *Gaussian processes for machine
//! learning*, 2006, section 3.5),
//!
//! ```text
//! M_cc' = E_c [c = c'] - E_c (sum of all E)^-1 E_c'.
//! ```

use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Mat, Par};
use nearlin_dense::{Cholesky, fixed_par, mirror_lower, symmetric_product};

use super::FLOOR;
use crate::TrainError;

/// Most numbers of all classes' `E`, n x n each: 256 MiB.
const NUMBERS: usize = 1 << 25;

/// Whether there is room for it.
pub(super) fn has_room(rows: usize, classes: usize) -> bool {
    classes <= rows && rows * rows * classes <= NUMBERS
}

/// What leaving each row out adds to its outputs, n x K, and the mean leverage, for probabilities `p`, weighted slopes
/// `g`, both n x K, and the lower triangle of `B`.
///
/// Takes some `3 K n^3` flops and `K + 4` matrices of n x n.
pub(super) fn steps(
    block: &Mat<f64>,
    p: &[f64],
    g: &[f64],
    weight: impl Fn(usize) -> f64,
    ridge: f64,
    par: Par,
) -> Result<(Vec<f64>, f64), TrainError> {
    let n = block.nrows();
    let k = g.len() / n;
    // What a class without any probability would be told follows from the least that it is given.
    let p: Vec<f64> = p.iter().map(|p| (p + FLOOR) / (1.0 + k as f64 * FLOOR)).collect();
    let s: Vec<f64> = (0..n * k).map(|at| (weight(at / k) * p[at]).sqrt()).collect();

    // `E / mu` of each class, and their sum.
    let mut sum = Mat::<f64>::zeros(n, n);
    let mut classes = Vec::with_capacity(k);
    for class in 0..k {
        let s = |i: usize| s[i * k + class];
        let system = Mat::from_fn(n, n, |i, j| {
            s(i) * s(j) * block[(i, j)] + if i == j { ridge } else { 0.0 }
        });
        let factor = Cholesky::factor(system, par)?;
        let mut inverse = Mat::zeros(n, n);
        let _ = factor.inverse_diagonal_in(inverse.as_mut(), par);
        for (j, column) in inverse.col_iter_mut().enumerate() {
            column.iter_mut().for_each(|v| *v *= s(j));
        }
        let mut part = symmetric_product(inverse.transpose(), par);
        sum += &part;
        mirror_lower(part.as_mut());
        classes.push(part);
    }
    let factor = Cholesky::factor(sum, par)?;
    // Diagonals of `E / mu`, and `L^-1 E / mu` of each class.
    let mut diagonals = vec![0.0; n * k];
    for (class, part) in classes.iter_mut().enumerate() {
        (0..n).for_each(|i| diagonals[i * k + class] = part[(i, i)]);
        solve_lower_triangular_in_place(factor.lower(), part.as_mut(), fixed_par(par));
    }

    let (mut steps, mut kept) = (vec![0.0; n * k], 0.0);
    for i in 0..n {
        let (s, p) = (&s[i * k..(i + 1) * k], &p[i * k..(i + 1) * k]);
        // `S_i^-1 M_ii S_i^-1`, whose kernel are the roots of probabilities.
        let scaled = Mat::from_fn(k, k, |a, b| {
            let common = classes[a].col(i).transpose() * classes[b].col(i);
            let own = if a == b { diagonals[i * k + a] } else { 0.0 };
            ridge * (own - common) / (s[a] * s[b])
        });
        let mean = (0..k).map(|a| scaled[(a, a)]).sum::<f64>() / (k - 1) as f64;
        kept += mean.clamp(f64::EPSILON, 1.0);
        let system = || Mat::from_fn(k, k, |a, b| scaled[(a, b)] + (p[a] * p[b]).sqrt());
        let factor = Cholesky::factor_shifted(system, Par::Seq)?;
        let g = &g[i * k..(i + 1) * k];
        let mut step = Mat::from_fn(k, 1, |a, _| g[a] / s[a]);
        factor.solve_in_place(step.as_mut(), Par::Seq);
        let to = &mut steps[i * k..(i + 1) * k];
        for (a, to) in to.iter_mut().enumerate() {
            *to = step[(a, 0)] / s[a] - g[a] / (s[a] * s[a]);
        }
        // Slopes of a row sum to zero, so outputs of all classes keep their sum.
        let mean = to.iter().sum::<f64>() / k as f64;
        for to in to {
            *to -= mean;
        }
    }
    Ok((steps, 1.0 - kept / n as f64))
}

#[cfg(test)]
mod tests {
    use nearlin_sketch::random_signs;
    use proptest::prelude::*;

    use super::*;

    proptest! {
           #![proptest_config(ProptestConfig::with_cases(32))]

           /// What the definition says, written out: `V_i g_i` with `V_i = Q_ii (I - H_i Q_ii)^-1` and
           /// `Q = (H + mu G^-1)^-1 = (I + G H / mu)^-1 G / mu`.
           #[test]
           fn steps_are_as_defined(n in 1usize..12, k in 2usize..5, power in -2i32..2, seed: u64) {
               let noise = |stream: u64, len: usize| -> Vec<f64> {
                   let signs: Vec<f64> = random_signs(4 * len, seed, stream);
                   signs.chunks(4).enumerate().map(|(i, c)| {
                       c.iter().sum::<f64>() / 4.0 + 0.2 * (i as f64).sin()
                   }).collect()
               };
               let half = noise(0, n * n);
               let half = Mat::from_fn(n, n, |i, j| half[i * n + j]);
               let block = &half * half.transpose();
               let mu = 10f64.powi(power);
               let mut p: Vec<f64> = noise(1, n * k).iter().map(|v| (3.0 * v).exp()).collect();
               for p in p.chunks_mut(k) {
                   let sum: f64 = p.iter().sum();
                   for p in p {
    *p /= sum;
    }
               }
               let weights: Vec<f64> = noise(2, n).iter().map(|v| 1.5 + v).collect();
               let g: Vec<f64> = (0..n * k).map(|at| {
                   weights[at / k] * (p[at] - f64::from(u8::from(at % k == at / k % k)))
               }).collect();
               let (found, leverage) = steps(&block, &p, &g, |i| weights[i], mu, Par::Seq).unwrap();

               let (full, h) = (
                   Mat::from_fn(n * k, n * k, |a, b| if a % k == b % k { block[(a / k, b / k)] / mu } else { 0.0 }),
                   Mat::from_fn(n * k, n * k, |a, b| {
                       let p = |at: usize| (p[at] + FLOOR) / (1.0 + k as f64 * FLOOR);
                       let own = if a == b { p(a) } else { 0.0 };
                       if a / k == b / k { weights[a / k] * (own - p(a) * p(b)) } else { 0.0 }
                   }),
               );
               let solve = |a: Mat<f64>, b: Mat<f64>| faer::linalg::solvers::Solve::solve(&a.partial_piv_lu(), b);
               let q = solve(Mat::<f64>::identity(n * k, n * k) + &full * &h, full);
               let mut trace = 0.0;
               for i in 0..n {
                   let part = |of: &Mat<f64>| of.submatrix(i * k, i * k, k, k).to_owned();
                   let (q, h) = (part(&q), part(&h));
                   trace += (0..k).map(|a| (&h * &q)[(a, a)]).sum::<f64>() / (k - 1) as f64;
                   let slopes = Mat::from_fn(k, 1, |a, _| g[i * k + a]);
                   let step = &q * solve(Mat::<f64>::identity(k, k) - &h * &q, slopes);
                   for a in 0..k {
                       let (found, expected) = (found[i * k + a], step[(a, 0)]);
                       prop_assert!((found - expected).abs() <= 1e-7 * (1.0 + step.norm_l2()), "{found} {expected}");
                   }
               }
               prop_assert!((leverage - trace / n as f64).abs() < 1e-9, "{leverage} {}", trace / n as f64);
           }
       }
}
