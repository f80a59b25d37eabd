//! How many steps, and how many iterations a step.

use super::Shape;
use crate::options::{InnerTolerance, Options};
use crate::solver::{SolverKind, low_rank_ends, nystrom_ends, ranks_tried, sketch_size};

/// What a step's inner solve is asked for: a certified step contracts by some twentieth.
const REDUCTION: f64 = 0.05;

/// The smallest eigenvalue that is expected of any table.
const LEAST: f64 = 1e-6;

/// The largest smallest one: tables have rows that are nearly alike, which a look at some rows does not show.
const ALIKE: f64 = 5e-5;

/// Beside the iterations that the bound allows, those that spectra without a preconditioner take: this for the square of the
/// decades by which their largest eigenvalues stand out, as rounding brings these back; and at least half as many, as many
/// eigenvalues are alike. By comparison with runs on clouds and surfaces.
const AGAIN: f64 = 0.3;
const AT_LEAST: f64 = 0.45;

/// Systems of Newton's method in a step under a loss with corners.
pub(super) const NEWTON: f64 = 20.0;

/// How many times the iterations of a step for squared errors each of them takes without an exact factor.
const FINE: f64 = 8.0;

/// Steps that are taken back and tried again, of a run without a ridge: so many for each decade by which the smallest
/// eigenvalue is below this, and at most so many. By comparison with runs on the grid.
const AGAIN_FOR_EACH: f64 = 4.0;
const EASY: f64 = 1e-2;
const MOST_AGAIN: f64 = 8.0;

/// For each of these, iterations that every step takes more: masks have moved since its factor was built.
const MOVED: f64 = 1.5;

/// The norm that a Nyström approximation leaves, as a part of what all of its eigenvalues would be if they had what a
/// pivoted factor of that rank leaves: 1.9 to 2.8 on diamonds at ranks of 64 to 2,048.
const NORM: f64 = 2.5;

/// Iterations of a step's inner solve, builds of a factor in a run, and steps of it that are tried again.
pub(super) struct Guess {
    pub(super) iterations: f64,
    pub(super) builds: usize,
    pub(super) retried: f64,
}

/// The rank of a low-rank factor or the rows of a sketch, where factors of low rank end early: with the diagonal that is
/// left, a tenth of the ridge.
pub(super) fn size(kind: SolverKind, shape: &Shape, options: &Options) -> usize {
    let parameters = options.width * shape.inputs;
    let most = match sketch_size(kind, options.sketch_rows, shape.rows, parameters) {
        // Pairs of neurons share their mask, as long as few have flipped.
        most if matches!(kind, SolverKind::RpGram | SolverKind::Nystrom) => {
            most.min(parameters.div_ceil(2))
        }
        most => most,
    };
    if kind == SolverKind::Nystrom {
        let ends = |rank: &usize| {
            let (n, k) = (shape.rows as f64, *rank as f64);
            nystrom_ends(NORM * n * left(shape, k) / k, options.ridge)
        };
        return ranks_tried(most).find(ends).unwrap_or(most);
    }
    let low = matches!(kind, SolverKind::RpCholesky | SolverKind::RpGram);
    match &shape.decay {
        Some(decay) if low => std::iter::successors(Some(1), |rank| Some(2 * rank))
            .take_while(|rank| *rank < most)
            .find(|rank| low_rank_ends(decay.left(*rank as f64), options.ridge))
            .unwrap_or(most),
        _ => most,
    }
}

/// The mean diagonal that a factor of rank `k` leaves.
fn left(shape: &Shape, k: f64) -> f64 {
    match &shape.decay {
        Some(decay) => decay.left(k),
        None => 0.25 * k.max(1.0).powf(-0.75),
    }
}

/// Steps of a run, from runs on tables: three where gains decide, else one for two digits and two more.
pub(super) fn steps(options: &Options) -> usize {
    let digits = -options.tolerance.log10();
    let guessed = match (options.ridge > 0.0, options.least_gain > 0.0) {
        (true, true) => 3.0,
        _ => 0.5 * digits + 2.0,
    };
    (guessed.round().max(1.0) as usize).min(options.max_steps)
}

/// What an inner solve leaves of its residual.
pub(super) fn reduction(options: &Options) -> f64 {
    match options.inner_tolerance {
        InnerTolerance::Adaptive => REDUCTION,
        InnerTolerance::Fixed(tolerance) => tolerance,
    }
}

/// Conjugate gradients take half the root of the condition number for each factor e, or one iteration for an eigenvalue
/// that stands alone.
///
/// A finite network's Gram matrix is a mean over its `m d / 2` free parameters: beside the infinite one's it varies by
/// `r = (2 D / m d)^(1/2)` for the `D` dimensions that the ridge leaves free in all outputs. In the direction of an
/// eigenvalue `lambda` only some `2 m lambda` neurons have a say, so there by `(2 m lambda)^(-1/2)` of `lambda`. The root
/// of the condition number is then `(1 + r) / (1 - r)`, or `1 + 2 r + 2 r^2` to second order, which is finite for all.
pub(super) fn guess(kind: SolverKind, shape: &Shape, options: &Options, steps: usize) -> Guess {
    let (rows, ridge) = (shape.rows, options.ridge);
    let (n, m) = (rows as f64, options.width as f64);
    let parameters = options.width * shape.inputs;
    let rank = size(kind, shape, options);
    let eigenvalue = |k: f64| match &shape.decay {
        Some(decay) => decay.eigenvalue(k, rows),
        // Like a power, as on diamonds.
        None => n / 4.0 * k.max(1.0).powf(-1.75),
    };
    let dimension = match &shape.decay {
        Some(decay) => decay.dimension(ridge, rows),
        None => (n / 4.0 / ridge.max(LEAST)).powf(1.0 / 1.75).min(n),
    };
    let smallest = eigenvalue(n).min(shape.least_eigenvalue).max(LEAST);
    let factors = (2.0 / reduction(options)).ln();
    let taken = |root: f64| (0.5 * root * factors).max(1.0);
    // Eigenvalues after the first ones, beside a shift, one by one while that is quicker; and the largest of these beside
    // those that are left.
    let falling = |first: f64, shift: f64| {
        let ranks = std::iter::successors(Some(1.0f64), |k| Some(2.0 * k));
        let shifted = |k: f64| eigenvalue(first + k) + shift;
        (ranks.take_while(|k| *k <= n))
            .map(|k| {
                let iterations = k - 1.0 + taken((shifted(k) / (smallest + ridge)).sqrt());
                (iterations, shifted(1.0) / shifted(k))
            })
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .unwrap_or((f64::INFINITY, 1.0))
    };
    // More than rank-many eigenvalues beside the ridge there are not.
    let at_most = |iterations: f64| iterations.min(0.5 * parameters as f64 + 2.0);
    let finite = |outputs: f64| {
        let whole = (2.0 * outputs * dimension / parameters as f64).sqrt();
        let weakest = smallest.min(ALIKE).max(ridge);
        let single = weakest / (weakest + ridge) / (2.0 * m * weakest).sqrt();
        let r = whole.max(single);
        1.0 + 2.0 * r + 2.0 * r * r
    };
    let outputs = shape.outputs as f64;
    // An exact factor of one output's block knows nothing of what outputs share.
    let crossed = if shape.outputs > 1 {
        1.0 + 2.0 * (2.0 * outputs * dimension / parameters as f64).sqrt()
    } else {
        1.0
    };
    let exact = if shape.outputs > 1 { taken(crossed) } else { 1.0 };
    let (iterations, builds) = match kind {
        SolverKind::Cg => {
            let (bound, outliers) = falling(0.0, ridge);
            let taken = bound * (AGAIN * outliers.log10().powi(2)).max(AT_LEAST);
            (at_most(taken * crossed), 0)
        }
        SolverKind::Cholesky => (exact, steps),
        // Of as many rows as parameters the one takes them all, the other with replacement.
        SolverKind::Srht if rank >= parameters => (exact, steps),
        SolverKind::Srht | SolverKind::TensorSrht => {
            let root = (n / rank as f64).sqrt().min(0.99);
            (taken((1.0 + root) / (1.0 - root)) + exact - 1.0, steps)
        }
        SolverKind::ArcCosine => (taken(finite(outputs)), 1),
        SolverKind::RpCholesky if rank >= rows => (taken(finite(outputs)), 1),
        SolverKind::RpGram | SolverKind::Nystrom if rank >= rows => (exact, steps),
        SolverKind::RpGram | SolverKind::Nystrom => {
            let (own, _) = falling(rank as f64, ridge + left(shape, rank as f64));
            (own.hypot(exact), steps)
        }
        SolverKind::RpCholesky => {
            // Two reasons that hardly meet: what the rank has left, and what the width has not evened out.
            let (own, _) = falling(rank as f64, ridge + left(shape, rank as f64));
            (own.hypot(taken(finite(outputs))), 1)
        }
    };
    let iterations = match kind {
        // One for each of Newton's systems: an approximation that solves one of squared errors in a few is far from one
        // whose ridge is that of a thousandth of the rows.
        _ if !shape.corners => iterations,
        SolverKind::Cholesky => NEWTON * iterations,
        _ => NEWTON * FINE * iterations,
    };
    // Without a ridge the Gauss-Newton step moves far along the weakest directions, and masks with it.
    let retried = if ridge > 0.0 {
        0.0
    } else {
        let weakest = shape.least_eigenvalue.max(f64::MIN_POSITIVE);
        (AGAIN_FOR_EACH * (EASY / weakest).log10()).clamp(0.0, MOST_AGAIN)
    };
    let iterations = iterations + MOVED * retried;
    Guess { iterations, builds, retried }
}

#[cfg(test)]
mod tests {
    use faer::{Mat, Par};

    use super::*;
    use crate::plan::Decay;

    /// SplitMix64 in [-1, 1).
    fn noise(i: usize) -> f64 {
        let mut z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Rows on the unit sphere, with a bias.
    fn look(point: impl Fn(usize, usize) -> f64, d: usize) -> Decay {
        let mut x = Mat::from_fn(512, d, |i, q| if q + 1 < d { point(i, q) } else { 1.0 });
        for row in x.row_iter_mut() {
            let length = row.norm_l2();
            row.iter_mut().for_each(|x| *x /= length);
        }
        Decay::of(x.as_ref(), Par::Seq).unwrap()
    }

    /// Iterations of `cg` are told within a factor of 2 of those measured on 10,000 rows of the grid's kinds at width 4,096: 27
    /// in a cloud at the ridge 0.1, 430 on a surface at 0.001, whose largest eigenvalues stand out by decades.
    #[test]
    fn outliers_come_again() {
        let guessed = |decay: Decay, ridge: f64| {
            let shape = Shape { decay: Some(decay), ..Shape::of(10_000, 20, 1, 1) };
            let options = Options::default().width(4096).ridge(ridge);
            guess(SolverKind::Cg, &shape, &options, 3).iterations
        };
        let cloud = look(|i, q| noise(20 * i + q) + noise(20 * i + q + 100_000), 20);
        let in_cloud = guessed(cloud, 0.1);
        assert!((13.0..54.0).contains(&in_cloud), "{in_cloud}");
        let surface = look(
            |i, q| {
                let z = |axis: usize| 1.5 * noise(2 * i + axis);
                let f = |at: usize| 1.5 * noise(1_000_000 + 3 * q + at);
                (f(0) * z(0) + f(1) * z(1) + 3.0 * f(2)).sin()
            },
            20,
        );
        let on_surface = guessed(surface, 1e-3);
        assert!((215.0..860.0).contains(&on_surface), "{on_surface}");
    }
}
