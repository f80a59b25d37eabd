//! An input metric learned from the data: which directions of the inputs matter, and how much.
//!
//! The fit is alternated with its average gradient outer product `A = mean of grad f(s) grad f(s)^T`, whose
//! square root maps the inputs of the next fit (Radhakrishnan, Beaglehole, Pandit and Belkin, *Mechanism for
//! feature learning in neural networks and backpropagation-free machine learning models*, Science 2024). The
//! fits are ridge regressions with the kernel of the infinitely wide network, on a part of the rows where
//! there are many, each with its own ridge where it is judged; a metric is learned from one with the ridge that other
//! rows have found for the same metric. How good a metric is the leave-one-out error of a fit says, to other
//! rows than those that the metric was learned from.
//!
//! Inputs are `x = w [s; 1] / |[s; 1]|`: standardised numbers `s` and a bias, on the unit sphere, times the
//! root of the number of rows that were merged. A metric maps `x` to `|x| M x / |M x|` with
//! `M = diag(A^(1/2), bias)`, which is the same as to map `s` and to choose the bias anew.

mod fit;
mod network;
mod score;
mod search;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

pub use network::refine_metric;
pub use search::learn_metric;

/// Rows that are mapped together: a matrix of them is read from a cache.
const BLOCK: usize = 128;

/// What `A` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum MetricForm {
    /// The identity: inputs as they are, but for the weight of the bias.
    Plain,
    /// The diagonal of the average gradient outer product: a weight for each input.
    Diagonal,
    /// Halfway between the identity and all of it: the inputs are mapped by the fourth root.
    Damped,
    /// A third each of the identity, its diagonal and all of it: few equations rather tell it from inputs as they are
    /// than either alone.
    Blended,
    /// All of it, but half of what is beside its diagonal: shrunk towards that, as averages of few gradients err most where
    /// inputs mix. [`refine_metric`] tries it from a diagonal metric on.
    Shrunk,
    /// All of it.
    Full,
}

impl MetricForm {
    /// Those that are learned from the kernel unless a form is asked for, in the order in which they are tried.
    pub const LEARNED: [Self; 4] = [Self::Diagonal, Self::Damped, Self::Full, Self::Blended];

    /// `plain`, `diagonal`, `damped`, `blended`, `shrunk` or `full`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Diagonal => "diagonal",
            Self::Damped => "damped",
            Self::Blended => "blended",
            Self::Shrunk => "shrunk",
            Self::Full => "full",
        }
    }

    /// Whether its square is more than a diagonal.
    fn is_matrix(self) -> bool {
        matches!(self, Self::Damped | Self::Blended | Self::Shrunk | Self::Full)
    }
}

/// What metrics are chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Judge {
    /// [`MetricRound::error`].
    SquaredError,
    /// [`MetricRound::wrong`], for one-hot targets, less any number for each class; the other where that does not
    /// tell two metrics apart.
    Misclassified,
}

/// A linear map of inputs that keeps their lengths: `x -> |x| M x / |M x|`.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Parts"))]
pub struct Metric {
    form: MetricForm,
    /// The diagonal of `M`, or all of it, `p x p` row-major, where `p` inputs come before the bias.
    map: Vec<f64>,
    /// What the bias is multiplied by.
    bias: f64,
}

/// A metric as it is read.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parts {
    form: MetricForm,
    map: Vec<f64>,
    bias: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parts> for Metric {
    type Error = &'static str;

    fn try_from(Parts { form, map, bias }: Parts) -> Result<Self, Self::Error> {
        let p = if form.is_matrix() { map.len().isqrt() } else { map.len() };
        Self::from_parts(form, p, map, bias).ok_or("no metric has such a map and bias")
    }
}

impl Metric {
    /// The metric that changes nothing, for `p` inputs before the bias.
    #[must_use]
    pub fn plain(p: usize) -> Self {
        Self { form: MetricForm::Plain, map: vec![1.0; p], bias: 1.0 }
    }

    /// A metric from stored numbers: `p` of them for a diagonal, `p x p` row-major for all of a matrix.
    /// `None` if they are not so many, not finite, or the bias is not positive.
    #[must_use]
    pub fn from_parts(form: MetricForm, p: usize, map: Vec<f64>, bias: f64) -> Option<Self> {
        // The map of a part of it is a matrix like any other.
        let form = if form.is_matrix() { MetricForm::Full } else { form };
        let len = if form == MetricForm::Full { p.checked_mul(p)? } else { p };
        let fits = map.len() == len && map.iter().all(|m| m.is_finite());
        (fits && bias > 0.0 && bias.is_finite()).then_some(Self { form, map, bias })
    }

    /// The metric that takes inputs in their own units, where they may share them (pixels do): each is multiplied
    /// by the spread that standardising divided it by, all together scaled so that the trace of the square stays.
    /// `None` where the spreads are none, or their ratios no numbers.
    #[must_use]
    pub fn own_units(spreads: &[f64]) -> Option<Self> {
        let largest = spreads.iter().copied().fold(0.0, f64::max);
        let squares: f64 = spreads.iter().map(|s| (s / largest).powi(2)).sum();
        let scale = (spreads.len() as f64 / squares).sqrt();
        let map = spreads.iter().map(|s| scale * s / largest).collect();
        Self::from_parts(MetricForm::Diagonal, spreads.len(), map, 1.0)
    }

    /// What its square is.
    #[must_use]
    pub fn form(&self) -> MetricForm {
        self.form
    }

    /// Inputs before the bias.
    #[must_use]
    pub fn inputs(&self) -> usize {
        if self.form.is_matrix() { self.map.len().isqrt() } else { self.map.len() }
    }

    /// `A^(1/2)`: its diagonal, or all of it, row-major.
    #[must_use]
    pub fn map(&self) -> &[f64] {
        &self.map
    }

    /// What the bias is multiplied by.
    #[must_use]
    pub fn bias(&self) -> f64 {
        self.bias
    }

    /// Maps rows `x : n x (p + 1)`, row-major, in place: `2 p^2` flops a row for a full metric, `p` else.
    ///
    /// # Panics
    /// If `x` is not whole rows.
    pub fn apply(&self, x: &mut [f64]) {
        let p = self.inputs();
        assert!(x.len().is_multiple_of(p + 1), "rows of {} numbers", p + 1);
        if self.form.is_matrix() {
            let map = self.matrix();
            let mut mapped = Mat::zeros(p, BLOCK);
            for rows in x.chunks_mut(BLOCK * (p + 1)) {
                let count = rows.len() / (p + 1);
                let inputs = MatRef::from_row_major_slice(rows, count, p + 1).subcols(0, p);
                let mut mapped = mapped.as_mut().subcols_mut(0, count);
                // A column for each row, contiguous.
                let to = mapped.as_mut();
                matmul(to, Accum::Replace, &map, inputs.transpose(), 1.0, Par::Seq);
                for (row, mapped) in rows.chunks_exact_mut(p + 1).zip(mapped.col_iter()) {
                    let before = length(row);
                    row.iter_mut().zip(mapped.iter()).for_each(|(x, mapped)| *x = *mapped);
                    self.finish(row, before);
                }
            }
        } else {
            for row in x.chunks_exact_mut(p + 1) {
                let before = length(row);
                row.iter_mut().zip(&self.map).for_each(|(x, m)| *x *= m);
                self.finish(row, before);
            }
        }
    }

    /// Weighs the bias of a row whose other inputs are mapped, and gives it the length that it had `before`.
    fn finish(&self, row: &mut [f64], before: f64) {
        row[self.inputs()] *= self.bias;
        let after = length(row);
        // Only where the bias is 0 and the rest lies in the null space is there nothing left.
        let scale = if after > 0.0 { before / after } else { 0.0 };
        for x in row {
            *x *= scale;
        }
    }

    /// The map as a matrix, p x p.
    fn matrix(&self) -> Mat<f64> {
        let p = self.inputs();
        if self.form.is_matrix() {
            MatRef::from_row_major_slice(&self.map, p, p).to_owned()
        } else {
            Mat::from_fn(p, p, |a, b| if a == b { self.map[a] } else { 0.0 })
        }
    }
}

fn length(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// A metric that was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct MetricRound {
    /// Its form.
    pub form: MetricForm,
    /// Gradient outer products that led to it.
    pub round: usize,
    /// The ridge that was best for it, the geometric mean of those of both halves.
    pub ridge: f64,
    /// The root of the sum of squared residuals of examples that were left out, relative to `|y|`: on either
    /// half of the equations, with the metric learned from the other.
    pub error: f64,
    /// The part of those examples whose largest output is not that of their class, if targets are one-hot; else
    /// of no meaning.
    pub wrong: f64,
}

/// A metric, and those that it was chosen from.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct MetricChoice {
    /// The best.
    pub metric: Metric,
    /// The part of the squared gradient of the last fit along each input, p: the diagonal of its average gradient
    /// outer product, scaled to a sum of 1; zeros where the fit is constant.
    pub importances: Vec<f64>,
    /// The ridge whose leave-one-out error is least for it and the kernel of infinite width.
    pub ridge: f64,
    /// All that were tried, in order, inputs as they are first; the weight of the bias is chosen afterwards.
    pub rounds: Vec<MetricRound>,
    /// The index of the best.
    pub best: usize,
    /// Equations that they were learned from.
    pub rows: usize,
    /// Rounds on the network, if there were any: `metric`, `importances` and `ridge` are then of the last that gained.
    pub network: Option<NetworkRounds>,
}

/// Rounds of [`refine_metric`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct NetworkRounds {
    /// What the metric is after those that were kept.
    pub form: MetricForm,
    /// Equations that networks were trained on.
    pub rows: usize,
    /// Equations that they did not see, by whose leave-one-out errors metrics were judged.
    pub judged: usize,
    /// Those errors, relative: of the metric before, and after each round. The last round did not gain, unless there
    /// are four numbers.
    pub errors: Vec<f64>,
    /// Rounds that were kept.
    pub kept: usize,
}
