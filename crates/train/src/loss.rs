//! Convex losses of a network's outputs, and their minimisation over a linear model.
//!
//! A loss is a sum over examples of `w_i l(f_i, y_i)` with outputs `f_i` in `R^K`. Newton's method needs
//! `l`, its gradient and a root `R R^T` of its second derivative; each is a few lines here, and everything
//! else is in `newton`, the same for all.

mod blocks;
pub(crate) mod coupled;
mod curvature;
mod left_out;
mod linear;
mod network;
mod newton;
mod ridge;
mod saved;
mod step;

pub use self::left_out::left_out_loss;
pub use self::linear::{LinearFit, LinearModel, fit_linear};
pub use self::network::train_loss;
use self::newton::Problem;
pub use self::ridge::loss_ridge_path;
pub use self::saved::{LossCheckpoint, LossSnapshot, resume_loss};

use crate::TrainError;

/// A convex loss of an example's outputs `f` and targets `y`, both in `R^K`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// `|f - y|^2 / 2`.
    Squared,
    /// Cross-entropy `ln(1 + e^f) - y f` of each output by itself, for targets in `[0, 1]`.
    Logistic,
    /// Cross-entropy `ln(sum e^f_c) - sum y_c f_c` of a choice among `K` classes, for targets that are
    /// probabilities.
    Softmax,
    /// `r^2 / 2` for residuals `r = f - y` up to `delta`, `delta (|r| - delta / 2)` beyond (Huber, *Robust
    /// estimation of a location parameter*, 1964).
    Huber {
        /// Where the loss becomes linear, in the units of the targets.
        delta: f64,
    },
    /// For the quantile `level` of each target (Koenker and Bassett, *Regression quantiles*, 1978):
    /// `level (y - f)` below the target and `(1 - level) (f - y)` above, its Moreau envelope of the given
    /// width, which is within `width / 2` of it.
    Pinball {
        /// The quantile, between 0 and 1.
        level: f64,
        /// What the envelope smooths over, in the units of the targets.
        width: f64,
    },
}

impl Loss {
    /// The name in options and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Squared => "squared",
            Self::Logistic => "logistic",
            Self::Softmax => "softmax",
            Self::Huber { .. } => "huber",
            Self::Pinball { .. } => "pinball",
        }
    }

    /// `l(f, y)`.
    #[must_use]
    pub fn value(self, f: &[f64], y: &[f64]) -> f64 {
        let each = |l: fn(f64, f64) -> f64| f.iter().zip(y).map(|(&f, &y)| l(f, y)).sum();
        match self {
            Self::Squared => each(|f, y| 0.5 * (f - y) * (f - y)),
            Self::Logistic => each(|f, y| f.max(0.0) + (-f.abs()).exp().ln_1p() - y * f),
            Self::Softmax => {
                let (most, sum) = exponentials(f);
                most + sum.ln() - f.iter().zip(y).map(|(f, y)| y * f).sum::<f64>()
            }
            Self::Huber { delta } => residuals(f, y)
                .map(|r| match r.abs() {
                    size if size <= delta => 0.5 * r * r,
                    size => delta * (size - 0.5 * delta),
                })
                .sum(),
            Self::Pinball { level, width } => residuals(f, y)
                .map(|r| {
                    let slope = clamped(r, level, width);
                    slope * r - 0.5 * width * slope * slope
                })
                .sum(),
        }
    }

    /// `gradient <- dl/df`.
    pub fn gradient(self, f: &[f64], y: &[f64], gradient: &mut [f64]) {
        let slopes = gradient.iter_mut().zip(f.iter().zip(y));
        match self {
            Self::Squared => slopes.for_each(|(g, (f, y))| *g = f - y),
            Self::Logistic => slopes.for_each(|(g, (&f, y))| *g = sigmoid(f) - y),
            Self::Softmax => {
                let (most, sum) = exponentials(f);
                slopes.for_each(|(g, (f, y))| *g = (f - most).exp() / sum - y);
            }
            Self::Huber { delta } => {
                slopes.for_each(|(g, (f, y))| *g = (f - y).clamp(-delta, delta));
            }
            Self::Pinball { level, width } => {
                slopes.for_each(|(g, (f, y))| *g = clamped(f - y, level, width));
            }
        }
    }

    /// What outputs predict: `f <-` the probabilities of a cross-entropy, `f` itself of the others.
    pub fn mean(self, f: &mut [f64]) {
        match self {
            Self::Logistic => f.iter_mut().for_each(|f| *f = sigmoid(*f)),
            Self::Softmax => {
                let (most, sum) = exponentials(f);
                for f in f {
                    *f = (*f - most).exp() / sum;
                }
            }
            Self::Squared | Self::Huber { .. } | Self::Pinball { .. } => {}
        }
    }

    /// Where the second derivative is `R R^T` with `R = diag(s)`, or `R = diag(s) (I - s s^T)` for
    /// [`Softmax`](Self::Softmax): `root <- s`. Of the two derivatives at a corner of the first one, the
    /// larger.
    pub(crate) fn root(self, f: &[f64], y: &[f64], root: &mut [f64]) {
        let roots = root.iter_mut().zip(f.iter().zip(y));
        match self {
            Self::Squared => roots.for_each(|(s, _)| *s = 1.0),
            Self::Logistic => roots.for_each(|(s, (&f, _))| *s = (sigmoid(f) * sigmoid(-f)).sqrt()),
            Self::Softmax => {
                let (most, sum) = exponentials(f);
                roots.for_each(|(s, (f, _))| *s = ((f - most).exp() / sum).sqrt());
            }
            Self::Huber { delta } => {
                roots.for_each(|(s, (f, y))| *s = f64::from(u8::from((f - y).abs() <= delta)));
            }
            Self::Pinball { level, width } => roots.for_each(|(s, (f, y))| {
                let r = (f - y) / width;
                let inside = -level <= r && r <= 1.0 - level;
                *s = if inside { 1.0 / width.sqrt() } else { 0.0 };
            }),
        }
    }

    /// The second derivative of each output by itself; where outputs share one, that along the gradient.
    pub fn curvature(self, f: &[f64], y: &[f64], curvature: &mut [f64]) {
        if !self.couples() {
            self.root(f, y, curvature);
            return curvature.iter_mut().for_each(|s| *s *= *s);
        }
        let mut p = f.to_vec();
        self.mean(&mut p);
        // `g^T (diag(p) - p p^T) g / g^T g` for `g = p - y`.
        let (mut square, mut first, mut second) = (f64::MIN_POSITIVE, 0.0, 0.0);
        for (p, y) in p.iter().zip(y) {
            let g = p - y;
            square += g * g;
            first += p * g;
            second += p * g * g;
        }
        curvature.fill(((second - first * first) / square).max(0.0));
    }

    /// Whether its slope has corners, beyond which there is no curvature.
    #[must_use]
    pub fn has_corners(self) -> bool {
        matches!(self, Self::Huber { .. } | Self::Pinball { .. })
    }

    /// Whether the outputs of an example share a curvature.
    pub(crate) fn couples(self) -> bool {
        self == Self::Softmax
    }

    /// Whether parameters and targets `y : n x K` are what the loss is for.
    ///
    /// # Errors
    /// [`TrainError::Option`] for a parameter, [`TrainError::Target`] for the first target that is not.
    pub fn check(self, y: &[f64], outputs: usize) -> Result<(), TrainError> {
        let fail = |name, value, expected| Err(TrainError::Option { name, value, expected });
        let positive = |value: f64| value > 0.0 && value.is_finite();
        match self {
            Self::Huber { delta } if !positive(delta) => {
                return fail("delta", delta, "a positive finite number");
            }
            Self::Pinball { level, .. } if !(level > 0.0 && level < 1.0) => {
                return fail("level", level, "a number between 0 and 1");
            }
            Self::Pinball { width, .. } if !positive(width) => {
                return fail("width", width, "a positive finite number");
            }
            _ => {}
        }
        let wrong = |at: usize, expected| {
            let (row, output) = (at / outputs, at % outputs);
            let (value, loss) = (y[at], self.name());
            Err(TrainError::Target { loss, row, output, value, expected })
        };
        if matches!(self, Self::Logistic | Self::Softmax)
            && let Some(at) = y.iter().position(|y| !(0.0..=1.0).contains(y))
        {
            return wrong(at, "a number from 0 to 1");
        }
        if self == Self::Softmax {
            let far = |row: &[f64]| (row.iter().sum::<f64>() - 1.0).abs() > 1e-9;
            if let Some(row) = y.chunks_exact(outputs).position(far) {
                return wrong(row * outputs, "part of a row whose sum is 1");
            }
        }
        Ok(())
    }
}

fn residuals(f: &[f64], y: &[f64]) -> impl Iterator<Item = f64> {
    f.iter().zip(y).map(|(f, y)| f - y)
}

/// The slope of the pinball's envelope at `r = f - y`.
fn clamped(r: f64, level: f64, width: f64) -> f64 {
    (r / width).clamp(-level, 1.0 - level)
}

/// `1 / (1 + e^-x)`.
pub(crate) fn sigmoid(x: f64) -> f64 {
    // The exponential of a number above zero may overflow, to the right result.
    1.0 / (1.0 + (-x).exp())
}

/// The largest of some numbers, and the sum of `e^(f - largest)`.
fn exponentials(f: &[f64]) -> (f64, f64) {
    let most = f.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (most, f.iter().map(|f| (f - most).exp()).sum())
}

#[cfg(test)]
mod tests;
