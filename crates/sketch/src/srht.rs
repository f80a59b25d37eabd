//! Subsampled randomised Hadamard transform.
//!
//! Ailon and Chazelle, *The fast Johnson-Lindenstrauss transform and approximate nearest
//! neighbors*, SIAM J. Comput. 39 (2009); in this form Tropp, *Improved analysis of the subsampled
//! randomized Hadamard transform*, Adv. Adapt. Data Anal. 3 (2011).

use std::ops::Range;

use faer::{ColMut, ColRef, Mat, MatMut, MatRef, Par};
use rand::Rng;

use crate::error::{check_adjoint, check_ranges, check_shape};
use crate::fwht::{fwht, fwht_at, padded_len};
use crate::random::{Purpose, Signs, stream};
use crate::sketch::for_each_column;
use crate::{AdjointSketch, Scalar, Sketch, SketchError, Streaming};

/// Fewest rows of the input that are transformed when they arrive.
pub(crate) const BLOCK: usize = 1024;

/// Whether `bits` has an odd number of ones: the sign of entry `(i, j)` of the Hadamard matrix for `bits = i & j`.
pub(crate) fn odd(bits: usize) -> bool {
    bits.count_ones() % 2 == 1
}

/// `S = sqrt(P / s) R H D`: random signs `D`, the orthonormal Hadamard matrix `H` of order `P` (the
/// input padded with zeros to a power of two) and `s` rows `R` sampled without replacement.
///
/// A column costs `P log2 s + O(P)` additions, as blocks of the transform without samples are left
/// out; the sketch itself `P / 8 + 16 s` bytes.
#[derive(Clone, Debug)]
pub struct Srht {
    input: usize,
    signs: Signs,
    samples: Vec<usize>,
    ascending: Vec<usize>,
}

impl Srht {
    /// The sketch `R^input -> R^dim` named by `seed`.
    ///
    /// # Errors
    /// [`SketchError::Empty`] if `input` is 0, [`SketchError::Dimension`] unless
    /// `1 <= dim <= padded_len(input)`.
    pub fn new(input: usize, dim: usize, seed: u64) -> Result<Self, SketchError> {
        if input == 0 {
            return Err(SketchError::Empty);
        }
        let padded = padded_len(input);
        if dim == 0 || dim > padded {
            return Err(SketchError::Dimension { dim, input, most: padded });
        }
        // The first `dim` steps of a Fisher-Yates shuffle.
        let mut rng = stream(seed, Purpose::Samples, 0);
        let mut rows: Vec<usize> = (0..padded).collect();
        for j in 0..dim {
            rows.swap(j, rng.random_range(j..padded));
        }
        rows.truncate(dim);
        let mut ascending = rows.clone();
        ascending.sort_unstable();
        let signs = Signs::new(input, seed, Purpose::Signs);
        Ok(Self { input, signs, samples: rows, ascending })
    }

    /// Length of the buffer that [`apply_to_buffer`](Self::apply_to_buffer) works on.
    #[must_use]
    pub fn padded_dim(&self) -> usize {
        padded_len(self.input)
    }

    /// `out <- S x` for a column made in place: `buffer` (length
    /// [`padded_dim`](Self::padded_dim)) holds `x` in its first `N` entries and is destroyed.
    ///
    /// For columns that exist nowhere else, such as those of a Jacobian.
    ///
    /// # Panics
    /// If the lengths of `buffer` or `out` are not `padded_dim()` and `s`.
    pub fn apply_to_buffer<T: Scalar>(&self, out: &mut [T], buffer: &mut [T]) {
        assert_eq!(out.len(), self.samples.len(), "length of the sketched column");
        assert_eq!(buffer.len(), self.padded_dim(), "length of the buffer");
        self.signs.apply(&mut buffer[..self.input]);
        buffer[self.input..].fill(T::of(0.0));
        fwht_at(buffer, &self.ascending);
        // sqrt(P / s) times the orthonormal transform is 1 / sqrt(s) times the plain one.
        let scale = T::of(1.0 / (self.samples.len() as f64).sqrt());
        for (y, &row) in out.iter_mut().zip(&self.samples) {
            *y = buffer[row] * scale;
        }
    }
}

impl<T: Scalar> Sketch<T> for Srht {
    fn input_dim(&self) -> usize {
        self.input
    }

    fn embedding_dim(&self) -> usize {
        self.samples.len()
    }

    fn apply(&self, out: MatMut<'_, T>, a: MatRef<'_, T>, par: Par) -> Result<(), SketchError> {
        let (s, k) = (self.samples.len(), a.ncols());
        check_shape("matrix to sketch", (a.nrows(), k), (self.input, k))?;
        check_shape("sketched matrix", (out.nrows(), out.ncols()), (s, k))?;
        let column = |y: faer::ColMut<'_, T>, x: faer::ColRef<'_, T>| {
            T::with_buffer(self.padded_dim() + s, |buffer| {
                let (buffer, sketched) = buffer.split_at_mut(self.padded_dim());
                buffer.iter_mut().zip(x.iter()).for_each(|(b, v)| *b = *v);
                self.apply_to_buffer(sketched, buffer);
                y.iter_mut().zip(sketched.iter()).for_each(|(y, v)| *y = *v);
            });
        };
        for_each_column(out, a, par, column);
        Ok(())
    }

    fn entries(&self, rows: Range<usize>, cols: Range<usize>) -> Result<Mat<T>, SketchError> {
        check_ranges(&rows, &cols, (self.samples.len(), self.input))?;
        let scale = T::of(1.0 / (self.samples.len() as f64).sqrt());
        Ok(Mat::from_fn(rows.len(), cols.len(), |i, j| {
            let (i, j) = (self.samples[rows.start + i], cols.start + j);
            if odd(i & j) ^ self.signs.negative(j) { -scale } else { scale }
        }))
    }
}

/// With `c` the number of a block of `B` rows, entry `p` of `H x` is the sum over blocks of
/// `(-1)^|hi(p) & c| (H_B x_c)[lo(p)]`, where `p = hi(p) B + lo(p)` and `|.|` counts bits: `N log2 B + s N / B` additions a
/// column, and `B >= s` here.
impl<T: Scalar> Streaming<T> for Srht {
    fn block(&self) -> usize {
        padded_len(self.samples.len().max(BLOCK)).min(self.padded_dim())
    }

    fn add_block(&self, sums: MatMut<'_, T>, a: MatRef<'_, T>, first: usize, par: Par) {
        let size = Streaming::<T>::block(self);
        let block = first / size;
        let scale = T::of(1.0 / (self.samples.len() as f64).sqrt());
        let column = |sums: ColMut<'_, T>, x: ColRef<'_, T>| {
            T::with_buffer(size, |buffer| {
                buffer.fill(T::of(0.0));
                buffer.iter_mut().zip(x.iter()).for_each(|(b, v)| *b = *v);
                self.signs.apply_from(first, &mut buffer[..x.nrows()]);
                fwht(buffer);
                for (sum, &p) in sums.iter_mut().zip(&self.samples) {
                    let value = scale * buffer[p % size];
                    *sum += if odd((p / size) & block) { -value } else { value };
                }
            });
        };
        for_each_column(sums, a, par, column);
    }
}

impl<T: Scalar> AdjointSketch<T> for Srht {
    fn apply_adjoint(
        &self,
        out: MatMut<'_, T>,
        y: MatRef<'_, T>,
        par: Par,
    ) -> Result<(), SketchError> {
        let s = self.samples.len();
        check_adjoint(&out, y, (s, self.input))?;
        let scale = T::of(1.0 / (s as f64).sqrt());
        let column = |x: faer::ColMut<'_, T>, y: faer::ColRef<'_, T>| {
            T::with_buffer(self.padded_dim(), |buffer| {
                buffer.fill(T::of(0.0));
                for (&row, &y) in self.samples.iter().zip(y.iter()) {
                    buffer[row] = scale * y;
                }
                fwht(buffer);
                self.signs.apply(&mut buffer[..self.input]);
                x.iter_mut().zip(buffer.iter()).for_each(|(x, v)| *x = *v);
            });
        };
        for_each_column(out, y, par, column);
        Ok(())
    }
}
