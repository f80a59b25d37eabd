//! Matrices as callers have them: slices, arrays, faer, ndarray.
//!
//! A fit copies its rows once, into the encoded inputs, so entries are asked for one at a time and any memory layout
//! will do.

use faer::{Col, ColRef, Mat, MatRef};

use crate::TrainError;

/// A matrix of numbers, n x d, wherever its entries lie.
///
/// For [`Rows`] (a row-major slice), slices and vectors of rows `[f64; d]`, faer's `Mat` and `MatRef`, and with feature
/// `ndarray` two-dimensional arrays and views. One-dimensional things (`[f64]`, `Vec<f64>`, `Col`, `ColRef`, arrays and
/// views) are matrices of one column. References to all of these, too.
///
/// # Examples
/// ```
/// use faer::mat;
/// use nearlin::{Matrix, Rows};
///
/// let numbers = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let rows = Rows::new(&numbers, 2)?;
/// let matrix = mat![[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]];
/// assert_eq!((rows.nrows(), rows.at(2, 0)), (3, 5.0));
/// assert_eq!((matrix.transpose().nrows(), Matrix::at(&matrix.transpose(), 2, 0)), (3, 5.0));
/// # Ok::<(), nearlin::TrainError>(())
/// ```
///
/// A fit of matrices of faer:
#[doc = concat!("```\n", include_str!("../examples/faer.rs"), "```")]
#[cfg_attr(feature = "ndarray", doc = "\nAnd of arrays of ndarray:")]
#[cfg_attr(feature = "ndarray", doc = concat!("```\n", include_str!("../examples/ndarray.rs"), "```"))]
pub trait Matrix {
    /// `n`.
    fn nrows(&self) -> usize;
    /// `d`.
    fn ncols(&self) -> usize;
    /// The entry in row `row` and column `col`; may panic where there is none.
    fn at(&self, row: usize, col: usize) -> f64;
}

/// Rows one after the other in a slice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rows<'a> {
    entries: &'a [f64],
    cols: usize,
}

impl<'a> Rows<'a> {
    /// The n x `cols` matrix whose rows stand in `entries`, where `n` follows from the length.
    ///
    /// # Errors
    /// [`TrainError::Shape`] for a length that is not whole rows.
    pub fn new(entries: &'a [f64], cols: usize) -> Result<Self, TrainError> {
        let rows = entries.len().checked_div(cols).unwrap_or(0);
        if rows * cols != entries.len() {
            let (what, got) = ("slice of rows", entries.len());
            return Err(TrainError::Shape { what, got, rows, cols });
        }
        Ok(Self { entries, cols })
    }
}

impl Matrix for Rows<'_> {
    fn nrows(&self) -> usize {
        self.entries.len().checked_div(self.cols).unwrap_or(0)
    }

    fn ncols(&self) -> usize {
        self.cols
    }

    fn at(&self, row: usize, col: usize) -> f64 {
        self.entries[row * self.cols + col]
    }
}

impl<M: Matrix + ?Sized> Matrix for &M {
    fn nrows(&self) -> usize {
        (**self).nrows()
    }

    fn ncols(&self) -> usize {
        (**self).ncols()
    }

    fn at(&self, row: usize, col: usize) -> f64 {
        (**self).at(row, col)
    }
}

impl Matrix for [f64] {
    fn nrows(&self) -> usize {
        self.len()
    }

    fn ncols(&self) -> usize {
        1
    }

    fn at(&self, row: usize, _col: usize) -> f64 {
        self[row]
    }
}

impl<const D: usize> Matrix for [[f64; D]] {
    fn nrows(&self) -> usize {
        self.len()
    }

    fn ncols(&self) -> usize {
        D
    }

    fn at(&self, row: usize, col: usize) -> f64 {
        self[row][col]
    }
}

impl<T> Matrix for Vec<T>
where
    [T]: Matrix,
{
    fn nrows(&self) -> usize {
        self.len()
    }

    fn ncols(&self) -> usize {
        self.as_slice().ncols()
    }

    fn at(&self, row: usize, col: usize) -> f64 {
        self.as_slice().at(row, col)
    }
}

impl Matrix for MatRef<'_, f64> {
    fn nrows(&self) -> usize {
        MatRef::nrows(self)
    }

    fn ncols(&self) -> usize {
        MatRef::ncols(self)
    }

    fn at(&self, row: usize, col: usize) -> f64 {
        self[(row, col)]
    }
}

impl Matrix for Mat<f64> {
    fn nrows(&self) -> usize {
        Mat::nrows(self)
    }

    fn ncols(&self) -> usize {
        Mat::ncols(self)
    }

    fn at(&self, row: usize, col: usize) -> f64 {
        self[(row, col)]
    }
}

impl Matrix for ColRef<'_, f64> {
    fn nrows(&self) -> usize {
        ColRef::nrows(self)
    }

    fn ncols(&self) -> usize {
        1
    }

    fn at(&self, row: usize, _col: usize) -> f64 {
        self[row]
    }
}

impl Matrix for Col<f64> {
    fn nrows(&self) -> usize {
        Col::nrows(self)
    }

    fn ncols(&self) -> usize {
        1
    }

    fn at(&self, row: usize, _col: usize) -> f64 {
        self[row]
    }
}

#[cfg(feature = "ndarray")]
mod arrays {
    use ndarray::{ArrayBase, Data, Ix1, Ix2};

    use super::Matrix;

    impl<S: Data<Elem = f64>> Matrix for ArrayBase<S, Ix2> {
        fn nrows(&self) -> usize {
            self.dim().0
        }

        fn ncols(&self) -> usize {
            self.dim().1
        }

        fn at(&self, row: usize, col: usize) -> f64 {
            self[(row, col)]
        }
    }

    impl<S: Data<Elem = f64>> Matrix for ArrayBase<S, Ix1> {
        fn nrows(&self) -> usize {
            self.len()
        }

        fn ncols(&self) -> usize {
            1
        }

        fn at(&self, row: usize, _col: usize) -> f64 {
            self[row]
        }
    }
}

/// The entries of a matrix, row-major.
///
/// # Errors
/// [`TrainError::TooLarge`], or [`TrainError::NonFinite`] for the first entry that is no number.
pub(crate) fn entries(what: &'static str, x: &impl Matrix) -> Result<Vec<f64>, TrainError> {
    let (rows, cols) = (x.nrows(), x.ncols());
    let mut entries = room(what, rows, cols)?;
    for row in 0..rows {
        for col in 0..cols {
            let value = x.at(row, col);
            if !value.is_finite() {
                return Err(TrainError::NonFinite { what, row, col, value });
            }
            entries.push(value);
        }
    }
    Ok(entries)
}

/// A vector with room for a matrix.
///
/// # Errors
/// [`TrainError::TooLarge`].
pub(crate) fn room(what: &'static str, rows: usize, cols: usize) -> Result<Vec<f64>, TrainError> {
    let too_large = || TrainError::TooLarge { what, rows, cols };
    let mut entries = Vec::new();
    let count = rows.checked_mul(cols).ok_or_else(too_large)?;
    entries.try_reserve_exact(count).map_err(|_| too_large())?;
    Ok(entries)
}
