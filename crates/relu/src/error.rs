//! What can be wrong with a call.

/// A network that cannot be made, or operands that do not fit it.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReluError {
    /// Operands do not fit together.
    #[error("{what} is {got_rows} x {got_cols}, expected {rows} x {cols}")]
    Shape {
        /// The operand.
        what: &'static str,
        /// Rows it should have.
        rows: usize,
        /// Columns it should have.
        cols: usize,
        /// Rows it has.
        got_rows: usize,
        /// Columns it has.
        got_cols: usize,
    },
    /// The width does not divide into what the initialisation needs.
    #[error("width {width}: expected a positive multiple of {multiple}")]
    Width {
        /// The width.
        width: usize,
        /// What it must be a multiple of: 2 for pairs, `2 h` for orthogonal signs.
        multiple: usize,
    },
    /// No inputs or no outputs.
    #[error("a network needs at least one input and one output, found {inputs} and {outputs}")]
    Empty {
        /// Inputs `d`.
        inputs: usize,
        /// Outputs `K`.
        outputs: usize,
    },
    /// The scale is not a positive finite number.
    #[error("scale {0}: expected a positive finite number")]
    Scale(f64),
    /// A weight is NaN or infinite.
    #[error("{what} holds {value} at row {row}, column {col}; every weight must be finite")]
    NonFinite {
        /// `"initial weights"` or `"change of the weights"`.
        what: &'static str,
        /// Row of the first such entry.
        row: usize,
        /// Its column.
        col: usize,
        /// The entry.
        value: f64,
    },
    /// An output sign is not +1 or -1.
    #[error("output sign of neuron {neuron}, output {output} is {value}, expected 1 or -1")]
    Sign {
        /// The neuron `r`.
        neuron: usize,
        /// The output `k`.
        output: usize,
        /// The value.
        value: f64,
    },
    /// The output signs of neurons that share a direction do not cancel.
    #[error(
        "the output signs of the neurons that start like neuron {neuron} add up to {sum}, \
         expected 0 (paired initialisation)"
    )]
    Unpaired {
        /// The first neuron with that direction.
        neuron: usize,
        /// The sum of the signs.
        sum: f64,
    },
}

/// `Ok` if `got == want`, else a [`ReluError::Shape`] that names `what`.
pub(crate) fn check_shape(
    what: &'static str,
    got: (usize, usize),
    want: (usize, usize),
) -> Result<(), ReluError> {
    if got == want {
        return Ok(());
    }
    Err(ReluError::Shape { what, rows: want.0, cols: want.1, got_rows: got.0, got_cols: got.1 })
}

impl ReluError {
    /// Operands that dense kernels refused, in this crate's words.
    pub(crate) fn from_dense(error: nearlin_dense::DenseError) -> Self {
        match error {
            nearlin_dense::DenseError::Shape { what, rows, cols, got_rows, got_cols } => {
                Self::Shape { what, rows, cols, got_rows, got_cols }
            }
            other => unreachable!("masked products only check shapes: {other}"),
        }
    }
}
