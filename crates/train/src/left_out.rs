//! What a network would have said of its own training rows, had each been left out.
//!
//! With masks held the network is ridge regression in the weights' change, where the residual of an example
//! that was left out is its residual over `1 - h_i`, with the leverage
//! `h_i = 1 - mu [(G + mu I)^-1]_ii` (Allen's PRESS, 1974). That judges a fit, and says how far off
//! predictions are, without a row that training did not see.
//!
//! Several outputs share `G`, but with random signs they also have terms across outputs, which a small ridge lets
//! matter: then the diagonal is scaled to the trace of the joint inverse, which vectors of random signs `v`
//! estimate as `v^T (J J^T + mu I)^-1 v` (Hutchinson, 1990).

use faer::{MatRef, Par};
use nearlin_dense::Cholesky;
use nearlin_krylov::Cg;
use nearlin_relu::{Activations, Jacobian, Network, PackedMask, gram};
use nearlin_sketch::random_signs;

use crate::dual::{Dual, Factor, Preconditioner};
use crate::{Equations, TrainError};

/// Most equations whose leverages are computed: some seconds on two cores.
const LEVERAGES: usize = 4096;

/// Relative residual of the system for the trace.
const ROUGH: f64 = 0.01;

/// Signs that the trace is estimated from, at least: its error is the root of two over their number.
const PROBED: usize = 4096;

/// No leverage is taken for larger, as rounding may have made it.
const MOST: f64 = 1.0 - 1e-8;

/// Outputs for examples that were left out, one at a time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LeftOut {
    /// `f_i` without example `i`, n x K, row-major.
    pub outputs: Vec<f64>,
    /// The mean of the leverages: the part of a residual that training has hidden.
    pub leverage: f64,
    /// Whether each example has its own leverage, and not the mean.
    pub exact: bool,
}

/// Leaves each equation out of a network that was trained on all of them at a positive ridge, in the linear
/// regime and as if masks and ridge had been the same without it.
///
/// Up to 4,096 equations in `n^2 m / 2` bit operations and some `n^3` flops, in memory for two n x n
/// matrices, and with several outputs an inner solve. Beyond, everybody has the mean leverage `effective / n`, where `effective` is the trace of
/// `G (G + mu I)^-1` as [`ridge_path`](crate::ridge_path()) gives it; without one, the mean of as many
/// equations at even distances, which is larger: residuals then look larger than they are.
///
/// # Errors
/// [`TrainError::Option`] for a ridge that is not positive, [`TrainError::Factor`] for one that is lost in
/// rounding beside a singular `G`; [`TrainError`] for a network of other inputs.
///
/// # Examples
/// ```
/// use core::ops::ControlFlow;
/// use nearlin::{Equations, Event, Options, left_out, train};
///
/// let x: Vec<f64> = (0..60).flat_map(|i| [i as f64 / 30.0 - 1.0, 1.0]).collect();
/// let y: Vec<f64> =
///     x.chunks(2).enumerate().map(|(i, x)| x[0] + if i % 2 == 0 { 0.1 } else { -0.1 }).collect();
/// let equations = Equations::new(x, y.clone(), 2, 1)?;
/// let options = Options::default().width(512).ridge(0.1);
/// let run = train(&equations, &options, &mut |_: &Event<'_>| ControlFlow::Continue(()))?;
/// let left = left_out(&equations, &run.network, 0.1, None, options.par)?;
/// let size = |f: &[f64]| f.iter().zip(&y).map(|(f, y)| (f - y).powi(2)).sum::<f64>();
/// assert!(size(&left.outputs) > size(&run.network.forward(equations.x(), options.par)?.outputs));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn left_out(
    equations: &Equations,
    network: &Network,
    ridge: f64,
    effective: Option<f64>,
    par: Par,
) -> Result<LeftOut, TrainError> {
    if !(ridge > 0.0 && ridge.is_finite()) {
        let (name, expected) = ("ridge", "a positive finite number");
        return Err(TrainError::Option { name, value: ridge, expected });
    }
    let (n, k) = (equations.rows(), equations.outputs());
    let forward = network.forward(equations.x(), par)?;
    let leverages = match effective {
        _ if n <= LEVERAGES => leverages_of(equations, network, &forward.mask, ridge, par)?,
        Some(effective) => vec![effective / n as f64; n],
        None => {
            let some = equations.spread(LEVERAGES);
            let mask = network.forward(some.x(), par)?.mask;
            let found = leverages_of(&some, network, &mask, ridge, par)?;
            vec![found.iter().sum::<f64>() / found.len() as f64; n]
        }
    };
    let mut outputs = forward.outputs;
    let rows = outputs.chunks_exact_mut(k).zip(equations.y().chunks_exact(k));
    for ((f, y), h) in rows.zip(&leverages) {
        let h = h.clamp(0.0, MOST);
        f.iter_mut().zip(y).for_each(|(f, y)| *f = y + (*f - y) / (1.0 - h));
    }
    let leverage = leverages.iter().sum::<f64>() / n as f64;
    Ok(LeftOut { outputs, leverage, exact: n <= LEVERAGES })
}

fn leverages_of(
    equations: &Equations,
    network: &Network,
    mask: &PackedMask,
    ridge: f64,
    par: Par,
) -> Result<Vec<f64>, TrainError> {
    let mut g = gram(equations.x(), mask, par)?;
    (0..g.nrows()).for_each(|i| g[(i, i)] += ridge);
    let factor = Cholesky::factor(g, par)?;
    let inverse = factor.inverse_diagonal(par);
    let (n, k) = (equations.rows(), equations.outputs());
    let joint = if k == 1 {
        1.0
    } else {
        let (d, m) = (network.inputs(), network.width());
        let signs = MatRef::from_row_major_slice(network.signs(), m, k);
        let active = Activations::new(mask.clone(), network.copies(), d, k);
        let jacobian = Jacobian::at(&active, equations.x(), signs)?;
        let factor = Factor::Cholesky(factor);
        let precond = Preconditioner { factor, examples: n, outputs: k };
        let probes = (PROBED / (n * k)).clamp(1, 8);
        let v = random_signs(n * k * probes, 0, 0);
        let v = MatRef::from_column_major_slice(&v, n * k, probes);
        let cg = Cg::default().with_rtol(ROUGH);
        let solved = cg.solve_preconditioned(&Dual { jacobian, ridge }, &precond, v, par)?.x;
        let trace: f64 = v.col_iter().zip(solved.col_iter()).map(|(v, x)| v.transpose() * x).sum();
        trace / ((probes * k) as f64 * inverse.iter().sum::<f64>())
    };
    Ok(inverse.iter().map(|inverse| 1.0 - ridge * inverse * joint).collect())
}
