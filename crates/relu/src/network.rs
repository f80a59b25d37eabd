//! The network: initial directions, their change, and the output signs.

use faer::MatRef;

use crate::ReluError;
use crate::error::check_shape;

/// A two-layer ReLU network with paired initialisation.
///
/// `W = W_0 + U`. Neurons `r`, `r + p`, `r + 2 p`, .. start from the same direction (row `r mod p`
/// of the `p x d` directions), with output signs that cancel, so `f(W_0) = 0`. `W_0` and `U` are
/// kept apart: at a large scale their sum would lose the digits of `U`.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    inputs: usize,
    outputs: usize,
    copies: usize,
    /// `p x d`, row-major.
    directions: Vec<f64>,
    /// `U : m x d`, row-major.
    change: Vec<f64>,
    /// `a : m x K`, row-major.
    signs: Vec<f64>,
}

impl Network {
    /// A fresh network (`U = 0`) from its parts, whose shapes the caller vouches for.
    pub(crate) fn from_directions(
        directions: Vec<f64>,
        signs: Vec<f64>,
        inputs: usize,
        outputs: usize,
        copies: usize,
    ) -> Self {
        let change = vec![0.0; directions.len() * copies];
        Self { inputs, outputs, copies, directions, change, signs }
    }

    /// A network from stored weights: `w0, change : m x d` and `signs : m x K`, all row-major.
    ///
    /// # Errors
    /// [`ReluError::Empty`], [`ReluError::Shape`], [`ReluError::NonFinite`] or [`ReluError::Sign`]
    /// for wrong parts, [`ReluError::Unpaired`] if the signs of neurons with the same initial
    /// weights do not cancel.
    pub fn from_parts(
        w0: &[f64],
        change: &[f64],
        signs: &[f64],
        (inputs, outputs): (usize, usize),
    ) -> Result<Self, ReluError> {
        if inputs == 0 || outputs == 0 {
            return Err(ReluError::Empty { inputs, outputs });
        }
        let width = w0.len() / inputs;
        if width == 0 || !width.is_multiple_of(2) {
            return Err(ReluError::Width { width, multiple: 2 });
        }
        check_shape("initial weights", (w0.len(), 1), (width * inputs, 1))?;
        check_shape("change of the weights", (change.len(), 1), (width * inputs, 1))?;
        check_shape("output signs", (signs.len(), 1), (width * outputs, 1))?;
        check_finite("initial weights", w0, inputs)?;
        check_finite("change of the weights", change, inputs)?;
        if let Some(at) = signs.iter().position(|s| s.abs() != 1.0) {
            let (neuron, output) = (at / outputs, at % outputs);
            return Err(ReluError::Sign { neuron, output, value: signs[at] });
        }
        // Halve as long as the two halves of the directions are the same.
        let mut len = w0.len();
        while (len / inputs).is_multiple_of(2) && w0[..len / 2] == w0[len / 2..len] {
            len /= 2;
        }
        let (directions, copies) = (w0[..len].to_vec(), w0.len() / len);
        let repeated = w0.chunks_exact(len).all(|chunk| chunk == directions);
        for q in 0..len / inputs {
            for k in 0..outputs {
                let step = len / inputs;
                let sum: f64 = (0..copies).map(|c| signs[(c * step + q) * outputs + k]).sum();
                if sum != 0.0 || !repeated {
                    return Err(ReluError::Unpaired { neuron: q, sum });
                }
            }
        }
        let (change, signs) = (change.to_vec(), signs.to_vec());
        Ok(Self { inputs, outputs, copies, directions, change, signs })
    }

    /// The average of `K` networks of one shape as one network of `K` times the width: all their neurons, with weights
    /// over `sqrt(K)`, since `relu` takes out positive factors. Its outputs are the means of theirs but for rounding.
    ///
    /// # Errors
    /// [`ReluError::Empty`] for no networks, [`ReluError::Shape`] where one has another width, number of inputs, outputs or
    /// copies than the first.
    ///
    /// # Examples
    /// ```
    /// use faer::{Mat, Par};
    /// use nearlin_relu::{Init, Network, Signs};
    ///
    /// let init = |seed| Init { inputs: 3, outputs: 1, width: 16, seed, signs: Signs::Random };
    /// let mut networks = [init(1).network(1.0)?, init(2).network(1.0)?];
    /// networks[0].change_mut()[5] = 2.0;
    /// networks[1].change_mut()[40] = -1.0;
    /// let x = Mat::from_fn(4, 3, |i, j| (1 + 2 * i + j) as f64 / 9.0);
    /// let average = Network::average(&[&networks[0], &networks[1]])?;
    /// let outputs = |network: &Network| network.forward(x.as_ref(), Par::Seq).map(|f| f.outputs);
    /// let (a, b) = (outputs(&networks[0])?, outputs(&networks[1])?);
    /// for ((f, a), b) in outputs(&average)?.iter().zip(&a).zip(&b) {
    ///     assert!((f - (a + b) / 2.0).abs() < 1e-12);
    /// }
    /// # Ok::<(), nearlin_relu::ReluError>(())
    /// ```
    pub fn average(networks: &[&Self]) -> Result<Self, ReluError> {
        let Some(&first) = networks.first() else {
            return Err(ReluError::Empty { inputs: 0, outputs: 0 });
        };
        let shape = |of: &Self| [of.width(), of.inputs, of.outputs, of.copies];
        let names = ["width", "inputs", "outputs", "copies of a direction"];
        for network in networks {
            for ((what, got), expected) in names.into_iter().zip(shape(network)).zip(shape(first)) {
                check_shape(what, (got, 1), (expected, 1))?;
            }
        }
        let scale = 1.0 / (networks.len() as f64).sqrt();
        let scaled = |weights: &[f64]| weights.iter().map(|w| scale * w).collect::<Vec<f64>>();
        let (mut change, mut signs) = (Vec::new(), Vec::new());
        // The first copies of all of them come first, as all of them together are the directions.
        for copy in 0..first.copies {
            for network in networks {
                let part = |all: &[f64]| {
                    let len = all.len() / first.copies;
                    copy * len..(copy + 1) * len
                };
                change.extend(scaled(&network.change[part(&network.change)]));
                signs.extend_from_slice(&network.signs[part(&network.signs)]);
            }
        }
        let directions = networks.iter().flat_map(|network| scaled(&network.directions)).collect();
        Ok(Self { directions, change, signs, ..first.clone() })
    }

    /// Neurons `m`.
    #[must_use]
    pub fn width(&self) -> usize {
        self.change.len() / self.inputs
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

    /// Neurons that start from the same direction.
    #[must_use]
    pub fn copies(&self) -> usize {
        self.copies
    }

    /// The `p x d` different rows of `W_0`, `p = m / copies`.
    #[must_use]
    pub fn directions(&self) -> MatRef<'_, f64> {
        let rows = self.directions.len() / self.inputs;
        MatRef::from_row_major_slice(&self.directions, rows, self.inputs)
    }

    /// `U = W - W_0`, m x d, row-major.
    #[must_use]
    pub fn change(&self) -> &[f64] {
        &self.change
    }

    /// `U`, to be changed in place.
    #[must_use]
    pub fn change_mut(&mut self) -> &mut [f64] {
        &mut self.change
    }

    /// The output signs `a`, m x K, row-major.
    #[must_use]
    pub fn signs(&self) -> &[f64] {
        &self.signs
    }

    /// `W_0` in full, m x d, row-major.
    #[must_use]
    pub fn initial_weights(&self) -> Vec<f64> {
        self.directions.repeat(self.copies)
    }

    /// `m^(-1/2)`, the factor in front of the sum over neurons.
    #[must_use]
    pub fn normalisation(&self) -> f64 {
        1.0 / (self.width() as f64).sqrt()
    }
}

fn check_finite(what: &'static str, values: &[f64], cols: usize) -> Result<(), ReluError> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => {
            Err(ReluError::NonFinite { what, row: at / cols, col: at % cols, value: values[at] })
        }
    }
}
