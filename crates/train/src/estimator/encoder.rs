//! Rows of numbers as points of the unit sphere.
//!
//! Every column is standardised on the training rows, and so are its normal scores, a second coordinate where it has
//! some; constant columns are dropped; what is left is divided by the
//! square root of its number, a bias coordinate 1 is appended, and the row is normalised. So a row is
//! `(z / sqrt(c), 1) / |..|` with `z` of mean 0 and variance 1 in each of `c` coordinates: its two parts weigh about the
//! same on average.

use crate::matrix::room;
use crate::{NormalScores, Standard, TrainError, to_sphere};

/// How rows become inputs of the network, fitted to training rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Encoder {
    columns: usize,
    /// The columns that vary.
    kept: Vec<Kept>,
}

/// A column that varies.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    col: usize,
    standard: Standard,
    scores: Option<NormalScores>,
}

impl Kept {
    fn width(&self) -> usize {
        1 + usize::from(self.scores.is_some())
    }
}

impl Encoder {
    /// An encoder for rows like `x : n x columns`, row-major.
    pub(super) fn fit(x: &[f64], columns: usize) -> Self {
        let column = |col: usize| x.iter().skip(col).step_by(columns).copied().collect::<Vec<_>>();
        let kept = |col| {
            let column = column(col);
            let standard = Standard::fit(&column)?;
            Some(Kept { col, standard, scores: NormalScores::fit(&column) })
        };
        Self { columns, kept: (0..columns).filter_map(kept).collect() }
    }

    /// Columns that rows have.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// `d`, the bias included.
    pub(super) fn inputs(&self) -> usize {
        self.kept.iter().map(Kept::width).sum::<usize>() + 1
    }

    /// The columns that are left out.
    pub(super) fn constant(&self) -> Vec<usize> {
        let kept = |col: &usize| self.kept.iter().any(|kept| kept.col == *col);
        (0..self.columns).filter(|col| !kept(col)).collect()
    }

    /// The spread of each coordinate but the bias, in the units of its column; 0 for normal scores, which have none.
    pub(super) fn spreads(&self) -> Vec<f64> {
        let spread = |kept: &Kept| {
            let spread = kept.standard.invert(1.0) - kept.standard.invert(0.0);
            let scores = core::iter::repeat_n(0.0, kept.width() - 1);
            core::iter::once(spread).chain(scores)
        };
        self.kept.iter().flat_map(spread).collect()
    }

    /// Numbers of coordinates, summed over those of each column; 0 for columns that are left out.
    pub(super) fn by_column(&self, coordinates: &[f64]) -> Vec<f64> {
        let mut columns = vec![0.0; self.columns];
        let mut coordinates = coordinates.iter();
        for kept in &self.kept {
            columns[kept.col] = coordinates.by_ref().take(kept.width()).sum();
        }
        columns
    }

    /// Encodes `x : n x columns`: `n x inputs`, row-major, each row of length 1.
    ///
    /// # Errors
    /// [`TrainError::TooLarge`].
    pub(super) fn encode(&self, x: &[f64]) -> Result<Vec<f64>, TrainError> {
        let inputs = self.inputs();
        let mut encoded = room("encoded inputs", x.len() / self.columns, inputs)?;
        for row in x.chunks_exact(self.columns) {
            for Kept { col, standard, scores } in &self.kept {
                encoded.push(standard.apply(row[*col]));
                encoded.extend(scores.as_ref().map(|scores| scores.apply(row[*col])));
            }
            encoded.push(1.0);
        }
        encoded.chunks_exact_mut(inputs).for_each(to_sphere);
        Ok(encoded)
    }
}
