//! Rows that are left out of a fit on a loss of its own.
//!
//! With masks held, the outputs of one column are `f_0 + G a`, and the minimum of the loss and `mu a^T G a / 2` has the
//! curvature `H + mu G^-1` in `f`, with `H` the loss's own. One Newton step from there takes row `i` out (Beirami,
//! Razaviyayn, Shahrampour and Tarokh, *On optimal generalization in parametric learning*, 2017; Rad and Maleki, *A
//! scalable estimate of the out-of-sample prediction error via approximate leave-one-out cross-validation*, 2020):
//!
//! ```text
//! f_i without i = f_i + v_i g_i,     v_i = c_i / (1 - h_i c_i),     c = diag (H + mu G^-1)^-1,
//! ```
//!
//! with the slope `g_i` of its loss. For squared errors that is what [`left_out`](crate::left_out()) computes. Of
//! `h_i c_i`, the leverage, all is known from one diagonal: it is `1 - mu [(mu I + S G S)^-1]_ii` with `S^2 = H`.
//!
//! Where there are too many rows for that, they are taken to leave the function at each other equally open, with one `v`:
//! leverages are `h_i v / (1 + h_i v)` then, and `v` is that of which their mean is the one that the trace of
//! `(mu I + S G S)^-1` says. As the network is positively homogeneous, `S G S` is the Gram matrix of inputs `s_i x_i`, so
//! that trace is estimated as that of squared errors is.

mod softmax;

use faer::{Mat, Par};
use nearlin_dense::Cholesky;
use nearlin_relu::{Activations, Forward, Network, PackedMask, gram};

use super::Loss;
use super::network::check_weights;
use crate::left_out::{LEVERAGES, LeftOut, Linear, MOST, check};
use crate::{Equations, TrainError};

/// The least curvature of a row, relative to the largest: what a row without any would be told follows from it to as
/// many digits.
const FLOOR: f64 = 1e-6;

/// Leaves each equation out of a network that [`train_loss`](crate::train_loss()) trained on all of them, one at a time and to first order:
/// by one Newton step from the minimum, as if masks and ridge had been the same without it.
///
/// Outputs of a softmax share a curvature, `H_i = w_i (diag(p) - p p^T)`. Where that would take more than 2^25 numbers, `K n^2`,
/// that along a row's gradient `g_i` stands for it, as with two classes, where there is no more of it. Terms of `J J^T`
/// across outputs are left out.
///
/// Up to 4,096 equations: `G` in `n^2 m / 2` bit operations, and `2 n^3 / 3` flops for each output, in memory for three n x n
/// matrices; with three classes and more `3 K n^3` flops and `K + 4` such matrices. Beyond, every row leaves as much open as
/// others do, which vectors of random signs estimate as in [`left_out`](crate::left_out()), at its cost.
///
/// # Errors
/// [`TrainError::Option`] for a ridge that is not positive or a weight, [`TrainError::Target`] for targets that are not
/// the loss's, [`TrainError::Shape`] for a network of other outputs or other weights, [`TrainError::Factor`] where a
/// ridge is lost in rounding.
///
/// # Examples
/// ```
/// use core::ops::ControlFlow;
/// use nearlin::{Equations, Event, Loss, Options, left_out_loss, train_loss};
///
/// let x: Vec<f64> = (0..60).flat_map(|i| [i as f64 / 30.0 - 1.0, 1.0]).collect();
/// // The second half is of the other class, but for every seventh row.
/// let y: Vec<f64> = (0..60).map(|i| f64::from(u8::from((i < 30) ^ (i % 7 == 0)))).collect();
/// let equations = Equations::new(x, y.clone(), 2, 1)?;
/// let options = Options::default().width(512).ridge(0.1);
/// let mut watch = |_: &Event<'_>| ControlFlow::Continue(());
/// let network = train_loss(&equations, Loss::Logistic, None, &options, &mut watch)?.network;
/// let left = left_out_loss(&equations, &network, Loss::Logistic, None, 0.1, options.par)?;
/// let seen = network.forward(equations.x(), options.par)?.outputs;
/// assert!(Loss::Logistic.value(&left.outputs, &y) > Loss::Logistic.value(&seen, &y));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn left_out_loss(
    equations: &Equations,
    network: &Network,
    loss: Loss,
    weights: Option<&[f64]>,
    ridge: f64,
    par: Par,
) -> Result<LeftOut, TrainError> {
    check(equations, network, ridge)?;
    let (n, k) = (equations.rows(), equations.outputs());
    loss.check(equations.y(), k)?;
    if let Some(weights) = weights {
        check_weights(weights, n)?;
    }
    let Forward { outputs: mut f, mask, .. } = network.forward(equations.x(), par)?;
    let weight = |i: usize| weights.map_or(1.0, |weights| weights[i]);
    let (mut slopes, mut curvatures) = (vec![0.0; n * k], vec![0.0; n * k]);
    let rows = slopes.chunks_exact_mut(k).zip(curvatures.chunks_exact_mut(k));
    let points = f.chunks_exact(k).zip(equations.y().chunks_exact(k));
    for (i, ((g, h), (f, y))) in rows.zip(points).enumerate() {
        loss.gradient(f, y, g);
        loss.curvature(f, y, h);
        g.iter_mut().chain(h).for_each(|number| *number *= weight(i));
    }
    if n > LEVERAGES {
        let (v, leverage) = common_influence(equations, network, mask, &curvatures, ridge, par)?;
        f.iter_mut().zip(&slopes).for_each(|(f, slope)| *f += v * slope);
        let converged = f.iter().all(|f| f.is_finite());
        return Ok(LeftOut { outputs: f, leverage, exact: false, converged });
    }
    let active = Activations::of(mask, network);
    let gram = gram(equations.x(), active.mask(), par)?;
    if loss.couples() && k > 2 && softmax::has_room(n, k) {
        let mut p = f.clone();
        p.chunks_exact_mut(k).for_each(|p| loss.mean(p));
        let (steps, leverage) = softmax::steps(&gram, &p, &slopes, weight, ridge, par)?;
        f.iter_mut().zip(&steps).for_each(|(f, step)| *f += step);
        let converged = f.iter().all(|f| f.is_finite());
        return Ok(LeftOut { outputs: f, leverage, exact: true, converged });
    }
    let mut leverage = 0.0;
    let columns = if loss.couples() { 1 } else { k };
    for column in 0..columns {
        let h: Vec<f64> = curvatures.iter().skip(column).step_by(k).copied().collect();
        let (influence, mean) = influence(&gram, &h, ridge, par)?;
        leverage += mean / columns as f64;
        for (i, v) in influence.iter().enumerate() {
            let of = if loss.couples() { 0..k } else { column..column + 1 };
            of.for_each(|c| f[i * k + c] += v * slopes[i * k + c]);
        }
    }
    let converged = f.iter().all(|f| f.is_finite());
    Ok(LeftOut { outputs: f, leverage, exact: true, converged })
}

/// `v_i`, and the mean leverage, for curvatures `h`.
fn influence(
    gram: &Mat<f64>,
    h: &[f64],
    ridge: f64,
    par: Par,
) -> Result<(Vec<f64>, f64), TrainError> {
    let least = FLOOR * h.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let s: Vec<f64> = h.iter().map(|h| h.max(least).sqrt()).collect();
    let n = s.len();
    // The lower triangle, as of `gram`.
    let system =
        Mat::from_fn(n, n, |i, j| s[i] * s[j] * gram[(i, j)] + if i == j { ridge } else { 0.0 });
    let inverse = Cholesky::factor(system, par)?.inverse_diagonal(par);
    let kept = inverse.iter().map(|inverse| (ridge * inverse).clamp(f64::EPSILON, 1.0));
    let influence = kept.clone().zip(&s).map(|(kept, s)| (1.0 - kept) / (s * s * kept)).collect();
    Ok((influence, 1.0 - kept.sum::<f64>() / n as f64))
}

/// One `v` for all rows, infinite where it is not found, and the mean leverage, for curvatures `h`, n x K.
fn common_influence(
    equations: &Equations,
    network: &Network,
    mask: PackedMask,
    h: &[f64],
    ridge: f64,
    par: Par,
) -> Result<(f64, f64), TrainError> {
    let (n, d, k) = (equations.rows(), equations.inputs(), equations.outputs());
    // Outputs of a row as one, relative to the largest of all rows.
    let mut h: Vec<f64> = h.chunks_exact(k).map(|h| h.iter().sum::<f64>() / k as f64).collect();
    let largest = h.iter().copied().fold(0.0, f64::max);
    if largest < f64::MIN_POSITIVE {
        return Ok((f64::INFINITY, 0.0));
    }
    for h in &mut h {
        *h = (*h / largest).max(FLOOR);
    }
    let x = equations.x();
    let scaled = (0..n * d).map(|at| h[at / d].sqrt() * x[(at / d, at % d)]).collect();
    let scaled = Equations::new(scaled, vec![0.0; n * k], d, k)?;
    let ridge = ridge / largest;
    let (trace, solved) = Linear::new(&scaled, network, mask).rough_trace(ridge, par)?;
    let leverage = (1.0 - ridge * trace / (n * k) as f64).clamp(0.0, MOST);
    let mean = |v: f64| h.iter().map(|h| h * v / (1.0 + h * v)).sum::<f64>() / n as f64;
    // All between the least curvature and the largest were alone.
    let (mut low, mut high) = (0.0, leverage / (1.0 - leverage) / FLOOR);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if mean(middle) < leverage { low = middle } else { high = middle }
    }
    Ok((if solved { high / largest } else { f64::INFINITY }, leverage))
}

#[cfg(test)]
mod tests {
    use core::ops::ControlFlow;

    use super::*;
    use crate::{Event, Options, train_loss};

    /// One number for all rows stands for their own: rows that are left out lose as much on average, whatever the loss and
    /// the weights.
    #[test]
    fn common_influences_stand_for_each() {
        let n = 400;
        let wave = |i: usize, w: f64| (w * i as f64).sin();
        let x = (0..n).flat_map(|i| [wave(i, 0.37), wave(i, 0.73), wave(i, 1.13), 1.0]).collect();
        let class = |i: usize| wave(i, 0.37) + wave(i, 0.73) + 0.7 * wave(i, 2.9) > 0.2;
        let weights: Vec<f64> = (0..n).map(|i| 1.0 + 0.5 * wave(i, 1.7)).collect();
        let y: Vec<f64> = (0..n).map(|i| f64::from(u8::from(class(i)))).collect();
        let both: Vec<f64> = y.iter().flat_map(|y| [*y, 1.0 - y]).collect();
        let losses =
            [(Loss::Logistic, &y), (Loss::Softmax, &both), (Loss::Huber { delta: 0.3 }, &y)];
        let x: Vec<f64> = x;
        for (loss, y) in losses {
            let k = y.len() / n;
            let equations = Equations::new(x.clone(), y.clone(), 4, k).unwrap();
            for ridge in [0.02, 0.2] {
                let options = Options::default().width(512).ridge(ridge);
                let mut watch = |_: &Event<'_>| ControlFlow::Continue(());
                let network = train_loss(&equations, loss, Some(&weights), &options, &mut watch)
                    .unwrap()
                    .network;
                let exact =
                    left_out_loss(&equations, &network, loss, Some(&weights), ridge, Par::Seq)
                        .unwrap();
                let Forward { outputs: seen, mask, .. } =
                    network.forward(equations.x(), Par::Seq).unwrap();
                let (mut slopes, mut h) = (vec![0.0; n * k], vec![0.0; n * k]);
                for (i, weight) in weights.iter().enumerate() {
                    let of = i * k..(i + 1) * k;
                    let (slopes, h) = (&mut slopes[of.clone()], &mut h[of.clone()]);
                    loss.gradient(&seen[of.clone()], &y[of.clone()], slopes);
                    loss.curvature(&seen[of.clone()], &y[of], h);
                    slopes.iter_mut().chain(h).for_each(|number| *number *= weight);
                }
                let (v, leverage) =
                    common_influence(&equations, &network, mask, &h, ridge, Par::Seq).unwrap();
                let left: Vec<f64> = seen.iter().zip(&slopes).map(|(f, g)| f + v * g).collect();
                let value = |f: &[f64]| -> f64 {
                    f.chunks(k).zip(y.chunks(k)).map(|(f, y)| loss.value(f, y)).sum()
                };
                let lost = |left: &[f64]| value(left) - value(&seen);
                let (found, expected) = (lost(&left), lost(&exact.outputs));
                assert!(
                    (leverage / exact.leverage - 1.0).abs() < 0.1,
                    "{loss:?} {ridge}: {leverage} {}",
                    exact.leverage
                );
                assert!(
                    (found / expected - 1.0).abs() < 0.3,
                    "{loss:?} {ridge}: {found} {expected}"
                );
            }
        }
    }
}
