//! The equations to satisfy: `f(W, x_i) = y_i`.

use faer::MatRef;

use crate::{Metric, TrainError};

/// Sizes of the largest number whose square, and a sum of a hundred million of these, is a number like others.
const SMALLEST: f64 = 1e-150;
const LARGEST: f64 = 1e150;

/// `n` equations in `K` outputs: inputs `x : n x d` and targets `y : n x K`, row-major.
///
/// A row may stand for several: the network is positively homogeneous in its input, so an equation
/// of weight `w` is one whose input and target are multiplied by `sqrt(w)`; see
/// [`merge`](crate::merge()).
#[derive(Clone, Debug, PartialEq)]
pub struct Equations {
    rows: usize,
    inputs: usize,
    outputs: usize,
    x: Vec<f64>,
    y: Vec<f64>,
    floor: f64,
}

impl Equations {
    /// Takes `x : n x d` and `y : n x K`, row-major, where `n` follows from `inputs = d`.
    ///
    /// # Errors
    /// [`TrainError::Empty`], [`TrainError::Shape`], [`TrainError::NonFinite`] or [`TrainError::Size`].
    pub fn new(
        x: Vec<f64>,
        y: Vec<f64>,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, TrainError> {
        let rows = x.len().checked_div(inputs).unwrap_or(0);
        if rows == 0 || outputs == 0 {
            return Err(TrainError::Empty { rows, inputs, outputs });
        }
        check("inputs", &x, rows, inputs)?;
        check("targets", &y, rows, outputs)?;
        check_size("inputs", &x)?;
        check_size("targets", &y)?;
        Ok(Self { rows, inputs, outputs, x, y, floor: 0.0 })
    }

    /// These equations with a floor: the part of the original targets, relative to their norm, that
    /// no model can fit because equal inputs ask for different outputs.
    #[must_use]
    pub fn with_floor(self, floor: f64) -> Self {
        Self { floor, ..self }
    }

    /// A number that differs for other equations, but for accidents; the same on every machine.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let lengths = [self.rows, self.inputs, self.outputs].map(|len| len as u64);
        let values = self.x.iter().chain(&self.y).chain([&self.floor]).map(|value| value.to_bits());
        lengths.into_iter().chain(values).fold(0xcbf2_9ce4_8422_2325, mixed)
    }

    /// These equations with their inputs in a metric, whose bias is their last input.
    ///
    /// # Panics
    /// If it is for another number of inputs.
    #[must_use]
    pub fn in_metric(mut self, metric: &Metric) -> Self {
        assert_eq!(metric.inputs() + 1, self.inputs, "a metric for other inputs");
        metric.apply(&mut self.x);
        self
    }

    /// At most `count` of these equations, at even distances.
    #[must_use]
    pub fn spread(&self, count: usize) -> Self {
        let (n, count) = (self.rows, self.rows.min(count));
        let some = |all: &[f64], width: usize| -> Vec<f64> {
            (0..count)
                .flat_map(|at| all[at * n / count * width..][..width].iter().copied())
                .collect()
        };
        let (x, y) = (some(&self.x, self.inputs), some(&self.y, self.outputs));
        Self { rows: count, x, y, ..*self }
    }

    /// The equations with these indices.
    ///
    /// # Errors
    /// [`TrainError::Empty`] for none.
    ///
    /// # Panics
    /// If there is no such equation.
    pub fn subset(&self, rows: &[usize]) -> Result<Self, TrainError> {
        let some = |all: &[f64], width: usize| -> Vec<f64> {
            rows.iter().flat_map(|&i| &all[i * width..(i + 1) * width]).copied().collect()
        };
        let (x, y) = (some(&self.x, self.inputs), some(&self.y, self.outputs));
        Self::new(x, y, self.inputs, self.outputs)
    }

    /// Equations `n`.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs `d`.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Outputs `K`.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The inputs, n x d.
    #[must_use]
    pub fn x(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.x, self.rows, self.inputs)
    }

    /// The targets, n x K row-major.
    #[must_use]
    pub fn y(&self) -> &[f64] {
        &self.y
    }

    /// The floor, relative to the norm of the original targets; 0 if rows do not contradict.
    #[must_use]
    pub fn floor(&self) -> f64 {
        self.floor
    }
}

/// A digest with one more word.
pub(crate) fn mixed(digest: u64, word: u64) -> u64 {
    let digest = (digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    digest ^ digest >> 29
}

/// Numbers whose squares are neither infinite nor nothing, nor sums of them.
fn check_size(what: &'static str, values: &[f64]) -> Result<(), TrainError> {
    let largest = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    if largest == 0.0 || (SMALLEST..LARGEST).contains(&largest) {
        return Ok(());
    }
    Err(TrainError::Size { what, largest, least: SMALLEST, most: LARGEST })
}

fn check(what: &'static str, values: &[f64], rows: usize, cols: usize) -> Result<(), TrainError> {
    if values.len() != rows * cols {
        return Err(TrainError::Shape { what, got: values.len(), rows, cols });
    }
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => {
            Err(TrainError::NonFinite { what, row: at / cols, col: at % cols, value: values[at] })
        }
    }
}
