//! SRHT of Kronecker products from the transforms of the two factors.
//!
//! `TensorSRHT` of Ahle, Kapralov, Knudsen, Pagh, Velingker, Woodruff and Zandieh, *Oblivious
//! sketching of high-degree polynomial kernels*, SODA 2020, Definition 15.

use std::ops::Range;

use faer::{ColMut, ColRef, Mat, MatMut, MatRef, Par};
use rand::Rng;

use crate::error::{check_adjoint, check_ranges};
use crate::fwht::{fwht, padded_len};
use crate::random::{Purpose, Signs, stream};
use crate::sketch::for_each_column;
use crate::srht::{BLOCK, odd};
use crate::stream::apply_by_blocks;
use crate::{AdjointSketch, Scalar, Sketch, SketchError, Streaming};

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
    /// [`SketchError::Empty`] if a factor has length 0, [`SketchError::Dimension`] if `dim` is 0,
    /// [`SketchError::Long`] if a factor is longer than `2^32` or their product than memory.
    pub fn new(left: usize, right: usize, dim: usize, seed: u64) -> Result<Self, SketchError> {
        if left == 0 || right == 0 {
            return Err(SketchError::Empty);
        }
        let short = |factor: usize| u32::try_from(factor - 1).is_ok();
        let input = left.checked_mul(right).filter(|_| short(left) && short(right));
        let Some(input) = input else { return Err(SketchError::Long { left, right }) };
        if dim == 0 {
            return Err(SketchError::Dimension { dim, input, most: usize::MAX });
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

    /// `R`, the rows of `X` that are transformed together.
    fn height(&self) -> usize {
        let (p, q) = self.padded_dims();
        (padded_len(self.pairs.len().max(BLOCK)) / q).clamp(1, p)
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

/// For any vector `x`, read as the row-major `m x d` matrix `X` whose entry `(r, q)` is `x[r d + q]`.
///
/// Blocks of `R` rows of `X` are transformed in both directions at once, as `H X H` is `H` of the rows of `X` one after another (both
/// numbers of rows and columns are powers of two), and entry `(p, q)` of `H X H` is summed up from them as those of
/// an [`Srht`](crate::Srht) that arrives: `m d log2(R d) + s m / R` additions a column (padded lengths), and `R d >= s`.
impl<T: Scalar> Sketch<T> for TensorSrht {
    fn input_dim(&self) -> usize {
        self.left * self.right
    }

    fn embedding_dim(&self) -> usize {
        self.pairs.len()
    }

    fn apply(&self, out: MatMut<'_, T>, a: MatRef<'_, T>, par: Par) -> Result<(), SketchError> {
        apply_by_blocks(self, out, a, par)
    }

    fn entries(&self, rows: Range<usize>, cols: Range<usize>) -> Result<Mat<T>, SketchError> {
        check_ranges(&rows, &cols, (self.pairs.len(), self.left * self.right))?;
        let scale = T::of(1.0 / (self.pairs.len() as f64).sqrt());
        Ok(Mat::from_fn(rows.len(), cols.len(), |i, j| {
            let (p, q) = self.pairs[rows.start + i];
            let (r, c) = ((cols.start + j) / self.right, (cols.start + j) % self.right);
            let left = odd(p as usize & r) ^ self.left_signs.negative(r);
            let right = odd(q as usize & c) ^ self.right_signs.negative(c);
            if left ^ right { -scale } else { scale }
        }))
    }
}

impl<T: Scalar> Streaming<T> for TensorSrht {
    fn block(&self) -> usize {
        self.height() * self.right
    }

    fn add_block(&self, sums: MatMut<'_, T>, a: MatRef<'_, T>, first: usize, par: Par) {
        let (height, width) = (self.height(), padded_len(self.right));
        let (top, block) = (first / self.right, first / self.right / height);
        let scale = T::of(1.0 / (self.pairs.len() as f64).sqrt());
        let column = |sums: ColMut<'_, T>, x: ColRef<'_, T>| {
            T::with_buffer(height * width, |buffer| {
                buffer.fill(T::of(0.0));
                let mut x = x.iter();
                for (r, row) in (top..self.left).zip(buffer.chunks_mut(width)) {
                    let row = &mut row[..self.right];
                    row.iter_mut().zip(x.by_ref()).for_each(|(b, v)| *b = *v);
                    self.right_signs.apply(row);
                    if self.left_signs.negative(r) {
                        for v in row {
                            *v = -*v;
                        }
                    }
                }
                fwht(buffer);
                for (sum, &(p, q)) in sums.iter_mut().zip(&self.pairs) {
                    let (p, q) = (p as usize, q as usize);
                    let value = scale * buffer[p % height * width + q];
                    *sum += if odd((p / height) & block) { -value } else { value };
                }
            });
        };
        for_each_column(sums, a, par, column);
    }
}

/// Each entry goes to its place, and both directions are transformed: `m d log(m d)` additions and a padded copy a column.
impl<T: Scalar> AdjointSketch<T> for TensorSrht {
    fn apply_adjoint(
        &self,
        out: MatMut<'_, T>,
        y: MatRef<'_, T>,
        par: Par,
    ) -> Result<(), SketchError> {
        let s = self.pairs.len();
        check_adjoint(&out, y, (s, self.left * self.right))?;
        let (p, q) = self.padded_dims();
        let scale = T::of(1.0 / (s as f64).sqrt());
        let column = |x: ColMut<'_, T>, y: ColRef<'_, T>| {
            T::with_buffer(p * q, |buffer| {
                buffer.fill(T::of(0.0));
                // A pair that was drawn again gets the sum.
                for (&(i, j), &y) in self.pairs.iter().zip(y.iter()) {
                    buffer[i as usize * q + j as usize] += scale * y;
                }
                fwht(buffer);
                for (r, row) in buffer.chunks_mut(q).take(self.left).enumerate() {
                    self.right_signs.apply(&mut row[..self.right]);
                    if self.left_signs.negative(r) {
                        for v in row {
                            *v = -*v;
                        }
                    }
                }
                let rows = buffer.chunks(q).flat_map(|row| &row[..self.right]);
                x.iter_mut().zip(rows).for_each(|(x, &v)| *x = v);
            });
        };
        for_each_column(out, y, par, column);
        Ok(())
    }
}
