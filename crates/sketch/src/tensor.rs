//! SRHT of Kronecker products from the transforms of the two factors.
//!
//! `TensorSRHT` of Ahle, Kapralov, Knudsen, Pagh, Velingker, Woodruff and Zandieh, *Oblivious
//! sketching of high-degree polynomial kernels*, SODA 2020, Definition 15.

use faer::{Mat, MatMut, MatRef, Par};
use rand::Rng;

use crate::error::check_shape;
use crate::fwht::{fwht, fwht_columns, padded_len};
use crate::random::{Purpose, Signs, stream};
use crate::{Scalar, Sketch, SketchError};

/// A sketch of `R^m (x) R^d`: entry `j` of `S (u kron v)` is
/// `(H D_1 u)_{p_j} (H D_2 v)_{q_j} / sqrt(s)`, with `H` unnormalised, each factor padded with
/// zeros to a power of two, and the pairs `(p_j, q_j)` uniform with replacement.
///
/// A Kronecker product costs `m log m + d log d + s` (padded lengths) where an SRHT of the long
/// vector costs `m d log(m d)`.
#[derive(Clone, Debug)]
pub struct TensorSrht {
    left: usize,
    right: usize,
    left_signs: Signs,
    right_signs: Signs,
    pairs: Vec<(u32, u32)>,
}

impl TensorSrht {
    /// The sketch `R^left (x) R^right -> R^dim` named by `seed`.
    ///
    /// # Errors
    /// [`SketchError::Empty`] if a factor has length 0, [`SketchError::Dimension`] if `dim` is 0 or
    /// a factor is longer than `2^32`.
    pub fn new(left: usize, right: usize, dim: usize, seed: u64) -> Result<Self, SketchError> {
        if left == 0 || right == 0 {
            return Err(SketchError::Empty);
        }
        let most = padded_len(left).max(padded_len(right));
        if dim == 0 || u32::try_from(most - 1).is_err() {
            return Err(SketchError::Dimension { dim, input: left * right, most: usize::MAX });
        }
        let mut left_rng = stream(seed, Purpose::Samples, 0);
        let mut right_rng = stream(seed, Purpose::RightSamples, 0);
        let mut draw = || {
            let p = left_rng.random_range(0..padded_len(left));
            let q = right_rng.random_range(0..padded_len(right));
            (p as u32, q as u32)
        };
        let pairs = (0..dim).map(|_| draw()).collect();
        Ok(Self {
            left,
            right,
            left_signs: Signs::new(left, seed, Purpose::Signs),
            right_signs: Signs::new(right, seed, Purpose::RightSigns),
            pairs,
        })
    }

    /// Lengths of the buffers that [`apply_to_pair`](Self::apply_to_pair) works on.
    #[must_use]
    pub fn padded_dims(&self) -> (usize, usize) {
        (padded_len(self.left), padded_len(self.right))
    }

    /// `out <- S (u kron v)` for factors made in place: `u` and `v` (lengths
    /// [`padded_dims`](Self::padded_dims)) hold the factors in their first entries and are
    /// destroyed.
    ///
    /// # Panics
    /// If the lengths are not those, or `out` has not length `s`.
    pub fn apply_to_pair<T: Scalar>(&self, out: &mut [T], u: &mut [T], v: &mut [T]) {
        assert_eq!((u.len(), v.len()), self.padded_dims(), "lengths of the factors");
        assert_eq!(out.len(), self.pairs.len(), "length of the sketched column");
        self.left_signs.apply(&mut u[..self.left]);
        u[self.left..].fill(T::of(0.0));
        fwht(u);
        self.right_signs.apply(&mut v[..self.right]);
        v[self.right..].fill(T::of(0.0));
        fwht(v);
        let scale = T::of(1.0 / (self.pairs.len() as f64).sqrt());
        for (y, &(p, q)) in out.iter_mut().zip(&self.pairs) {
            *y = u[p as usize] * v[q as usize] * scale;
        }
    }
}

/// For any vector `x`, read as the row-major `m x d` matrix whose entry `(r, q)` is `x[r d + q]`:
/// both directions are transformed, at `m d log(m d)` additions and a padded copy a column.
impl<T: Scalar> Sketch<T> for TensorSrht {
    fn input_dim(&self) -> usize {
        self.left * self.right
    }

    fn embedding_dim(&self) -> usize {
        self.pairs.len()
    }

    fn apply(&self, mut out: MatMut<'_, T>, a: MatRef<'_, T>, par: Par) -> Result<(), SketchError> {
        let (s, k) = (self.pairs.len(), a.ncols());
        check_shape("matrix to sketch", (a.nrows(), k), (self.left * self.right, k))?;
        check_shape("sketched matrix", (out.nrows(), out.ncols()), (s, k))?;
        let (p, q) = self.padded_dims();
        let scale = T::of(1.0 / (s as f64).sqrt());
        for j in 0..k {
            // Transposed once between the two directions, so that both run down columns.
            let mut rows = Mat::<T>::zeros(q, p);
            for r in 0..self.left {
                let row = rows
                    .col_mut(r)
                    .try_as_col_major_mut()
                    .map(faer::col::generic::Col::as_slice_mut);
                if let Some(row) = row {
                    for (c, value) in row[..self.right].iter_mut().enumerate() {
                        *value = a[(r * self.right + c, j)];
                    }
                    self.right_signs.apply(&mut row[..self.right]);
                }
            }
            fwht_columns(rows.as_mut(), par);
            let mut columns = rows.transpose().to_owned();
            for c in 0..q {
                if let Some(column) = columns.col_mut(c).try_as_col_major_mut() {
                    self.left_signs.apply(&mut column.as_slice_mut()[..self.left]);
                }
            }
            fwht_columns(columns.as_mut(), par);
            for (i, &(p, q)) in self.pairs.iter().enumerate() {
                out[(i, j)] = columns[(p as usize, q as usize)] * scale;
            }
        }
        Ok(())
    }
}
