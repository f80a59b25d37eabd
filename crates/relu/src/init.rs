//! Initialisations whose output is zero: directions in pairs with opposite signs.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::{Network, ReluError};

/// How the output signs `a_rk` of a new network are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signs {
    /// Each direction twice, with independent random signs and with their negatives.
    Random,
    /// Each direction twice, with a row of a Hadamard matrix of order `h >= K` and with its negative: a row for as many
    /// directions, side by side, as for any other. Where `h` divides the directions the sum over `r` of `a_rk a_rl` vanishes, and
    /// products with the Jacobian cost what those with one output do ([`are_few_classes`](nearlin_dense::are_few_classes)).
    Balanced,
    /// Each direction `2 h` times, with the rows of a Hadamard matrix of order `h >= K` and with
    /// their negatives. Then the sum over `r` of `a_rk a_rl` vanishes over every direction, and the
    /// joint Gram matrix of all outputs starts block diagonal, `I kron G`.
    Orthogonal,
}

impl Signs {
    /// What suits any problem: [`Signs::Balanced`], and [`Signs::Random`] with one output, which knows no difference.
    #[must_use]
    pub fn usual(outputs: usize) -> Self {
        if outputs > 1 { Self::Balanced } else { Self::Random }
    }

    /// What suits a problem of `rows` equations in `outputs` outputs that must be solved to the end: [`Signs::Orthogonal`] where
    /// the width divides into its patterns and the directions that remain still outnumber the
    /// equations of one output twice, else what is [usual](Self::usual).
    #[must_use]
    pub fn suitable(rows: usize, inputs: usize, outputs: usize, width: usize) -> Self {
        let patterns = 2 * hadamard_order(outputs);
        if width > 0 && width.is_multiple_of(patterns) && width / patterns * inputs >= 2 * rows {
            Self::Orthogonal
        } else {
            Self::usual(outputs)
        }
    }
}

/// The order of the smallest Sylvester-Hadamard matrix with at least `outputs` columns.
#[must_use]
pub fn hadamard_order(outputs: usize) -> usize {
    outputs.max(1).next_power_of_two()
}

/// What a fresh network is made from, up to the scale of its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Init {
    /// Inputs `d`.
    pub inputs: usize,
    /// Outputs `K`.
    pub outputs: usize,
    /// Neurons `m`.
    pub width: usize,
    /// Names the random directions and signs.
    pub seed: u64,
    /// How signs are chosen.
    pub signs: Signs,
}

impl Init {
    /// The network with directions `w_r ~ N(0, scale^2 I)`; another scale gives the same directions,
    /// another length.
    ///
    /// # Errors
    /// [`ReluError::Width`] unless the width is a positive multiple of 2 (random and balanced signs) or of
    /// `2 h` (orthogonal ones), [`ReluError::Empty`], [`ReluError::Scale`].
    pub fn network(&self, scale: f64) -> Result<Network, ReluError> {
        let &Self { inputs, outputs, width, .. } = self;
        if inputs == 0 || outputs == 0 {
            return Err(ReluError::Empty { inputs, outputs });
        }
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(ReluError::Scale(scale));
        }
        let copies = match self.signs {
            Signs::Random | Signs::Balanced => 2,
            Signs::Orthogonal => 2 * hadamard_order(outputs),
        };
        if width == 0 || !width.is_multiple_of(copies) {
            return Err(ReluError::Width { width, multiple: copies });
        }
        let directions = width / copies;
        let mut w0 = Vec::with_capacity(directions * inputs);
        for direction in 0..directions {
            let mut rng = self.stream(1, direction as u64);
            w0.extend((0..inputs).map(|_| {
                let normal: f64 = StandardNormal.sample(&mut rng);
                scale * normal
            }));
        }
        Ok(Network::from_directions(w0, self.signs(directions), inputs, outputs, copies))
    }

    /// Signs of all neurons, `m x K` row-major; copy `c` of direction `q` is neuron
    /// `c directions + q`.
    fn signs(&self, directions: usize) -> Vec<f64> {
        let outputs = self.outputs;
        let order = hadamard_order(outputs);
        let hadamard = |row: usize, k: usize| (row & k).count_ones() % 2 == 1;
        let mut signs = vec![1.0; self.width * outputs];
        for r in 0..self.width {
            let (copy, direction) = (r / directions, r % directions);
            for k in 0..outputs {
                let negative = match self.signs {
                    Signs::Random => {
                        let mut rng = self.stream(2, direction as u64);
                        let word = (0..=k / 64).fold(0, |_, _| rng.next_u64());
                        (word >> (k % 64) & 1 == 1) != (copy == 1)
                    }
                    Signs::Balanced => hadamard(direction * order / directions, k) != (copy == 1),
                    Signs::Orthogonal => hadamard(copy % order, k) != (copy >= order),
                };
                if negative {
                    signs[r * outputs + k] = -1.0;
                }
            }
        }
        signs
    }

    fn stream(&self, purpose: u64, counter: u64) -> ChaCha8Rng {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&purpose.to_le_bytes());
        key[16..24].copy_from_slice(b"nearlin.");
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(counter);
        rng
    }
}
