//! Where batches come from, and how they are gone over.

use crate::{Equations, TrainError};

/// Rows that are read when they are needed.
pub trait Source {
    /// `n`.
    fn rows(&self) -> usize;

    /// Inputs `d` of a row, as the network takes them.
    fn inputs(&self) -> usize;

    /// Outputs `K`.
    fn outputs(&self) -> usize;

    /// The equations of these rows, ascending indices below `n`.
    ///
    /// # Errors
    /// [`TrainError`] if they cannot be read, or are no equations.
    fn read(&self, rows: &[usize]) -> Result<Equations, TrainError>;
}

impl Source for Equations {
    fn rows(&self) -> usize {
        self.rows()
    }

    fn inputs(&self) -> usize {
        self.inputs()
    }

    fn outputs(&self) -> usize {
        self.outputs()
    }

    fn read(&self, rows: &[usize]) -> Result<Equations, TrainError> {
        self.subset(rows)
    }
}

/// How [`train_batches`](crate::train_batches()) goes over the rows.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Batches {
    /// Rows of a batch, `b`. More are better steps, at `b^2` memory and `b^3` time for the exact solver.
    pub rows: usize,
    /// Most passes over all rows, each in an order of its own. Default 10.
    pub passes: usize,
    /// `theta`, from 0 up to but not including 1. Default 0.3: more is quicker where there is no ridge and a batch is a small
    /// part of all rows, and overshoots where it is a large one.
    pub momentum: f64,
    /// `lambda` relative to the mean diagonal of `J J^T`, positive. Default 1e-3.
    pub damping: f64,
}

impl Batches {
    /// Batches of so many rows.
    #[must_use]
    pub fn of(rows: usize) -> Self {
        Self { rows, passes: 10, momentum: 0.3, damping: 1e-3 }
    }

    /// These with at most so many passes.
    #[must_use]
    pub fn passes(self, passes: usize) -> Self {
        Self { passes, ..self }
    }

    /// These with this momentum.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// These with this damping.
    #[must_use]
    pub fn damping(self, damping: f64) -> Self {
        Self { damping, ..self }
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        let fail = |name, value, expected| Err(TrainError::Option { name, value, expected });
        match self {
            Self { rows: 0, .. } => fail("rows of a batch", 0.0, "at least 1"),
            Self { passes: 0, .. } => fail("passes", 0.0, "at least 1"),
            Self { momentum, .. } if !(0.0..1.0).contains(momentum) => {
                fail("momentum", *momentum, "at least 0 and below 1")
            }
            Self { damping, .. } if !(*damping > 0.0 && damping.is_finite()) => {
                fail("damping", *damping, "a positive finite number")
            }
            Self { .. } => Ok(()),
        }
    }
}
