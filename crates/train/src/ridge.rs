//! The ridge that predicts best, judged by the training rows alone.
//!
//! At the initial weights the network is linear in their change, so ridge regression's formulas hold: with
//! `(G + mu I) g = y` the residual of example `i` under the model that was fitted without it is
//! `g_i / [(G + mu I)^-1]_ii` (Allen's PRESS, 1974), and one eigendecomposition of `G` gives it for every
//! `mu`. Where that would take too long, generalised cross-validation (Golub, Heath and Wahba,
//! *Generalized cross-validation as a method for choosing a good ridge parameter*, 1979) replaces each
//! diagonal entry by their mean, a trace that random signs estimate, and the Lanczos process gives all
//! quadratic forms for every `mu` from a few dozen products with `G`.
//!
//! Several outputs share `G`, the block that each of them has; what they have in common across outputs is
//! left out, as it is in the preconditioners.

mod path;
pub(crate) mod search;
mod solves;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use nearlin_dense::{SymmetricEigen, fixed_par};
use nearlin_krylov::{Symmetric, Tridiagonal, lanczos_each};
use nearlin_relu::{Init, Network, PackedMask, Signs, gram};
use nearlin_sketch::random_signs;

pub use self::path::{Criterion, RidgePath, RidgePoint};
use self::search::mean_diagonal;
use self::solves::judge_near;
use crate::options::Options;
use crate::vector::norm;
use crate::{Equations, TrainError};

/// Most equations whose Gram matrix is decomposed: a few seconds on two cores.
pub(crate) const DECOMPOSED: usize = 2048;

/// Ridges of a path for each factor of ten.
const PER_DECADE: i32 = 4;

/// Smallest and largest ridge of a path, relative to the mean of the Gram matrix's diagonal, as powers of
/// ten.
const DECADES: (i32, i32) = (-6, 2);

/// Most equations for the Lanczos process, whose Gram matrix takes half a gibibyte.
const FORMED: usize = 8192;

/// Steps of the Lanczos process.
const STEPS: usize = 64;

/// Vectors of signs for the trace.
const PROBES: usize = 4;

/// Outputs up to which each is followed; of more, as many combinations with random signs.
const OUTPUTS: usize = 2;

/// Relative change in the last quarter of the steps beyond which a ridge is left out of the path.
const SETTLED: f64 = 0.01;

/// Judges ridges for the network that `options` describe, at its initial weights.
///
/// Up to 2,048 equations: the leave-one-out residual, at `n^2 m / 2` bit operations and some `10 n^3`
/// flops, in memory for five n x n matrices. Beyond: generalised cross-validation on up to 8,192 equations at even
/// distances, at 64 products with their Gram matrix for each of up to six vectors, in half a gibibyte; ridges too small
/// for the estimate to have settled are left out. Where the best is the least that is left, leave-one-out on 2,048 equations at even
/// distances tells: a ridge stands for the noise, of which there is as much in a part. [`refine_ridge`] asks all equations.
///
/// # Errors
/// [`TrainError`] for options out of their range or a network that cannot be made.
///
/// # Examples
/// ```
/// use nearlin::{Equations, Options, ridge_path};
///
/// // A line with noise of size 0.1, alternating in sign.
/// let x: Vec<f64> = (0..60).flat_map(|i| [i as f64 / 30.0 - 1.0, 1.0]).collect();
/// let y: Vec<f64> =
///     x.chunks(2).enumerate().map(|(i, x)| x[0] + if i % 2 == 0 { 0.1 } else { -0.1 }).collect();
/// let equations = Equations::new(x, y, 2, 1)?;
/// let path = ridge_path(&equations, &Options::default().width(512))?;
/// // Neither interpolation nor a constant: the noise is told from the line.
/// assert!(0 < path.best && path.best + 1 < path.points.len());
/// assert!(path.points[path.best].error < path.points[0].error);
/// # Ok::<(), nearlin::TrainError>(())
/// ```
pub fn ridge_path(equations: &Equations, options: &Options) -> Result<RidgePath, TrainError> {
    options.check()?;
    let network = initial(equations, options)?;
    let mask = |of: &Equations| network.forward(of.x(), options.par).map(|forward| forward.mask);
    if equations.rows() > DECOMPOSED {
        let some = equations.spread(FORMED);
        let path = cross_validation(&some, &mask(&some)?, options)?;
        if path.best > 0 {
            return Ok(path);
        }
    }
    let some = equations.spread(DECOMPOSED);
    leave_one_out(&some, gram(some.x(), &mask(&some)?, options.par)?, options.par)
}

/// Judges ridges around that of `options`, such as the best of a [`ridge_path`], by all equations, however many: generalised
/// cross-validation, a quarter of a decade at a time for as long as the error falls, from 1e-7 to 1e3 times the mean of the
/// Gram matrix's diagonal.
///
/// `None` where the solves for a ridge below the best do not converge, or leave too much beside the best's own residual: with so
/// small a ridge, passes in `f32` tell too little. For each ridge, three as a rule, conjugate gradients solve with `G + mu I` for
/// one vector of random signs and up to two targets, with passes over the directions of the neurons and a factor of rank `k`, twice
/// `(p d)^(1/2)` for `p` directions and at most 2,048: in memory for `2 n k` numbers of `f32`, at most half a gibibyte, and the mask.
///
/// # Errors
/// [`TrainError::Option`] for a ridge that is not positive; otherwise as [`ridge_path`].
///
/// # Examples
/// ```
/// use nearlin::{Equations, Options, refine_ridge, ridge_path};
///
/// let x: Vec<f64> = (0..400).flat_map(|i| [i as f64 / 200.0 - 1.0, 1.0]).collect();
/// let y: Vec<f64> =
///     x.chunks(2).enumerate().map(|(i, x)| x[0] + if i % 2 == 0 { 0.1 } else { -0.1 }).collect();
/// let equations = Equations::new(x, y, 2, 1)?;
/// let options = Options::default().width(512);
/// let path = ridge_path(&equations, &options)?;
/// let all = refine_ridge(&equations, &options.ridge(path.ridge()))?.expect("no tiny ridge");
/// assert_eq!(all.rows, 400);
/// // The noise is the same for both.
/// assert!((all.points[all.best].error / path.points[path.best].error - 1.0).abs() < 0.1);
/// # Ok::<(), nearlin::TrainError>(())
/// ```
pub fn refine_ridge(
    equations: &Equations,
    options: &Options,
) -> Result<Option<RidgePath>, TrainError> {
    options.check()?;
    if options.ridge <= 0.0 {
        let (name, expected) = ("ridge", "a positive finite number");
        return Err(TrainError::Option { name, value: options.ridge, expected });
    }
    let network = initial(equations, options)?;
    let mask = network.forward(equations.x(), options.par)?.mask;
    let directions = directions(mask, network.copies());
    let b = right_hand_sides(equations, 1, options.seed);
    let ways = (options.seed, options.par);
    judge_near((equations, &directions), (b.as_ref(), 1), options.ridge, ways)
}

/// The network of scale 1 that `options` describe, at its initial weights.
fn initial(equations: &Equations, options: &Options) -> Result<Network, TrainError> {
    let init = Init {
        inputs: equations.inputs(),
        outputs: equations.outputs(),
        width: options.width,
        seed: options.seed,
        signs: options.signs.unwrap_or_else(|| Signs::usual(equations.outputs())),
    };
    Ok(init.network(1.0)?)
}

/// The mask of the directions of neurons, whose own is that of each of its copies at the initial weights; the mask itself
/// where there are no whole words of it.
fn directions(mask: PackedMask, copies: usize) -> PackedMask {
    let width = mask.width() / copies;
    if copies == 1 || !width.is_multiple_of(64) {
        return mask;
    }
    let mut base = PackedMask::zeros(mask.nrows(), width);
    for (i, row) in base.words_mut().chunks_exact_mut(width / 64).enumerate() {
        row.copy_from_slice(&mask.row(i)[..width / 64]);
    }
    base
}

/// So many vectors of random signs, and the targets, or of many outputs some combinations of them with random signs.
fn right_hand_sides(equations: &Equations, probes: usize, seed: u64) -> Mat<f64> {
    let (n, k) = (equations.rows(), equations.outputs());
    let targets = (0..k.min(OUTPUTS)).map(|c| -> Vec<f64> {
        let weights: Vec<f64> = if k <= OUTPUTS {
            (0..k).map(|other| f64::from(u8::from(other == c))).collect()
        } else {
            random_signs(k, seed, (PROBES + c) as u64)
        };
        let combine = |y: &[f64]| y.iter().zip(&weights).map(|(y, w)| y * w).sum();
        equations.y().chunks_exact(k).map(combine).collect()
    });
    let probes = (0..probes).map(|p| random_signs(n, seed, p as u64));
    let columns: Vec<Vec<f64>> = probes.chain(targets).collect();
    Mat::from_fn(n, columns.len(), |i, j| columns[j][i])
}

/// Ridges around a kernel's own unit.
fn grid(unit: f64) -> Vec<f64> {
    (DECADES.0 * PER_DECADE..=DECADES.1 * PER_DECADE)
        .map(|step| unit * 10f64.powf(f64::from(step) / f64::from(PER_DECADE)))
        .map(three_digits)
        .collect()
}

/// The nearest number of three significant digits: what a person would write.
pub(crate) fn three_digits(x: f64) -> f64 {
    format!("{x:.2e}").parse().unwrap_or(x)
}

/// The path of these equations, whose kernel has this lower triangle.
pub(crate) fn leave_one_out(
    equations: &Equations,
    gram: Mat<f64>,
    par: Par,
) -> Result<RidgePath, TrainError> {
    let (n, k) = (equations.rows(), equations.outputs());
    let ridges = grid(mean_diagonal(&gram));
    let eigen = SymmetricEigen::decompose(gram.as_ref(), par)?;
    drop(gram);
    let vectors = eigen.vectors();
    // Rounding may leave values of either sign where there are zeros.
    let values: Vec<f64> = eigen.values().iter().map(|s| s.max(0.0)).collect();

    // diagonal[(i, t)] = [(G + mu_t I)^-1]_ii.
    let inverses = Mat::from_fn(n, ridges.len(), |j, t| 1.0 / (values[j] + ridges[t]));
    let squares = Mat::from_fn(n, n, |i, j| vectors[(i, j)] * vectors[(i, j)]);
    let diagonal = product(squares.as_ref(), inverses.as_ref(), par);
    drop(squares);
    let y = MatRef::from_row_major_slice(equations.y(), n, k);
    let seen = product(vectors.transpose(), y, par);
    let mut sums = vec![0.0; ridges.len()];
    for c in 0..k {
        let scaled = Mat::from_fn(n, ridges.len(), |j, t| seen[(j, c)] * inverses[(j, t)]);
        let multipliers = product(vectors, scaled.as_ref(), par);
        for (t, sum) in sums.iter_mut().enumerate() {
            *sum += (0..n).map(|i| (multipliers[(i, t)] / diagonal[(i, t)]).powi(2)).sum::<f64>();
        }
    }
    let size = norm(equations.y());
    let points = ridges.iter().zip(sums).map(|(&ridge, sum)| RidgePoint {
        ridge,
        error: if size > 0.0 { sum.sqrt() / size } else { 0.0 },
        effective_parameters: values.iter().map(|s| s / (s + ridge)).sum(),
    });
    Ok(RidgePath::new(Criterion::LeaveOneOut, points.collect(), n))
}

pub(crate) fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>, par: Par) -> Mat<f64> {
    let mut c = Mat::zeros(a.nrows(), b.ncols());
    matmul(c.as_mut(), Accum::Replace, a, b, 1.0, fixed_par(par));
    c
}

fn cross_validation(
    equations: &Equations,
    mask: &PackedMask,
    options: &Options,
) -> Result<RidgePath, TrainError> {
    let (n, par) = (equations.rows(), options.par);
    // The block of one output, whatever the signs.
    let formed = gram(equations.x(), mask, par)?;
    let starts = right_hand_sides(equations, PROBES, options.seed);
    let mut probes = lanczos_each(&Symmetric::new(formed.as_ref()), starts.as_ref(), STEPS, par)?;
    let targets = probes.split_off(PROBES);

    let size: f64 = targets.iter().map(|t| t.start_norm().powi(2)).sum::<f64>().sqrt();
    let judge = |ridge: f64, steps: usize| {
        let inverse = |theta: f64| 1.0 / (theta.max(0.0) + ridge);
        let total = |of: &[Tridiagonal], f: &dyn Fn(f64) -> f64| -> f64 {
            of.iter().map(|t| t.truncated(steps).quadratic_form(f)).sum()
        };
        let trace = total(&probes, &inverse) / PROBES as f64;
        let squares = total(&targets, &|theta| inverse(theta).powi(2));
        let residual = squares.sqrt() * n as f64 / trace;
        let error = if size > 0.0 { residual / size } else { 0.0 };
        RidgePoint { ridge, error, effective_parameters: n as f64 - ridge * trace }
    };
    let points: Vec<RidgePoint> = (grid(mean_diagonal(&formed)).into_iter().rev())
        .map(|ridge| (judge(ridge, STEPS), judge(ridge, STEPS * 3 / 4)))
        .enumerate()
        // From the largest ridge down, where fewer steps do; the largest needs hardly any.
        .take_while(|(at, (all, most))| {
            *at == 0 || (all.error - most.error).abs() <= SETTLED * all.error
        })
        .map(|(_, (all, _))| all)
        .collect();
    let points = points.into_iter().rev().collect();
    Ok(RidgePath::new(Criterion::GeneralisedCrossValidation, points, n))
}

#[cfg(test)]
mod tests {
    use nearlin_dense::Cholesky;
    use proptest::prelude::*;

    use super::*;

    /// A problem of any shape with its initial mask, and `G` in full.
    fn problem(n: usize, k: usize, seed: u64) -> (Equations, Options, PackedMask, Mat<f64>) {
        let noise = |at: usize| {
            let bits = (seed ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9).cast_signed() as f64
                / 2f64.powi(63)
        };
        let x: Vec<f64> = (0..3 * n).map(noise).collect();
        let y = (0..n * k).map(|at| x[at / k * 3] + 0.3 * noise(at + 100_000)).collect();
        let equations = Equations::new(x, y, 3, k).unwrap();
        let options = Options::default().width(128).seed(seed).par(Par::Seq);
        let init = Init { inputs: 3, outputs: k, width: 128, seed, signs: Signs::Random };
        let mask = init.network(1.0).unwrap().forward(equations.x(), Par::Seq).unwrap().mask;
        let lower = gram(equations.x(), &mask, Par::Seq).unwrap();
        let g = Mat::from_fn(n, n, |i, j| lower[(i.max(j), i.min(j))]);
        (equations, options, mask, g)
    }

    /// `(G + mu I)^-1 b` for the rows and columns in `kept`.
    fn solve(g: &Mat<f64>, kept: &[usize], mu: f64, b: &Mat<f64>) -> Mat<f64> {
        let a = Mat::from_fn(kept.len(), kept.len(), |i, j| {
            g[(kept[i], kept[j])] + if i == j { mu } else { 0.0 }
        });
        let mut x = Mat::from_fn(kept.len(), b.ncols(), |i, c| b[(kept[i], c)]);
        Cholesky::factor(a, Par::Seq).unwrap().solve_in_place(x.as_mut(), Par::Seq);
        x
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// The closed form is what fits without each example say of it.
        ///
        /// Ridges down to 1e-3 of the mean of the diagonal, where the systems' condition is below
        /// `n 1e3`: each way then errs by some `n 1e3 eps`, so 1e-8 is ample, and a wrong formula is off
        /// by a factor.
        #[test]
        fn leaving_out_is_leaving_out(n in 5usize..25, k in 1usize..4, seed: u64) {
            let (equations, _, _, g) = problem(n, k, seed);
            let path = leave_one_out(&equations, g.clone(), Par::Seq).unwrap();
            let y = Mat::from_fn(n, k, |i, c| equations.y()[i * k + c]);
            for point in path.points.iter().skip(3 * PER_DECADE as usize).step_by(5) {
                let mut sum = 0.0;
                for out in 0..n {
                    let kept: Vec<usize> = (0..n).filter(|&i| i != out).collect();
                    let multipliers = solve(&g, &kept, point.ridge, &y);
                    for c in 0..k {
                        let predicted: f64 =
                            kept.iter().zip(0..).map(|(&i, at)| g[(out, i)] * multipliers[(at, c)]).sum();
                        sum += (y[(out, c)] - predicted).powi(2);
                    }
                }
                let error = sum.sqrt() / norm(equations.y());
                prop_assert!((point.error - error).abs() <= 1e-8 * error, "{point:?}, {error}");
            }
        }

        /// Lanczos as long as the matrix gives the forms themselves: the same criterion from a factor,
        /// with the same probes.
        #[test]
        fn cross_validation_is_its_formula(n in 5usize..40, k in 1usize..5, seed: u64) {
            let (equations, options, mask, g) = problem(n, k, seed);
            let path = cross_validation(&equations, &mask, &options).unwrap();
            let all: Vec<usize> = (0..n).collect();
            let probes: Vec<Vec<f64>> =
                (0..PROBES).map(|p| random_signs(n, options.seed, p as u64)).collect();
            let probes = Mat::from_fn(n, PROBES, |i, p| probes[p][i]);
            let weights = |c: usize| -> Vec<f64> {
                if k <= OUTPUTS {
                    (0..k).map(|other| f64::from(u8::from(other == c))).collect()
                } else {
                    random_signs(k, options.seed, (PROBES + c) as u64)
                }
            };
            let y = Mat::from_fn(n, k.min(OUTPUTS), |i, c| {
                let weights = weights(c);
                (0..k).map(|o| weights[o] * equations.y()[i * k + o]).sum::<f64>()
            });
            prop_assert_eq!(path.points.len(), grid(mean_diagonal(&g)).len());
            for point in path.points.iter().skip(3 * PER_DECADE as usize).step_by(5) {
                let solved = solve(&g, &all, point.ridge, &probes);
                let trace = (0..PROBES)
                    .flat_map(|p| (0..n).map(move |i| (i, p)))
                    .map(|at| solved[at] * probes[at])
                    .sum::<f64>() / PROBES as f64;
                let residual = solve(&g, &all, point.ridge, &y);
                let error = residual.norm_l2() * n as f64 / trace / y.norm_l2();
                prop_assert!((point.error - error).abs() <= 1e-8 * error, "{point:?}, {error}");
                let parameters = n as f64 - point.ridge * trace;
                prop_assert!((point.effective_parameters - parameters).abs() <= 1e-7 * n as f64);
            }
        }
    }

    /// Of ridges that are equally good the largest; nothing to fit is no error.
    #[test]
    fn ties_and_nothing() {
        let (_, options, mask, g) = problem(9, 1, 1);
        let (x, zero) = (problem(9, 1, 1).0, vec![0.0; 9]);
        let x = (0..27).map(|at| x.x()[(at / 3, at % 3)]).collect();
        let equations = Equations::new(x, zero, 3, 1).unwrap();
        for path in [
            leave_one_out(&equations, g, Par::Seq).unwrap(),
            cross_validation(&equations, &mask, &options).unwrap(),
        ] {
            assert!(path.points.iter().all(|point| point.error == 0.0));
            assert_eq!(path.best + 1, path.points.len());
        }
    }
}
