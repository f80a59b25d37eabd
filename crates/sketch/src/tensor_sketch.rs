//! Count sketch of Kronecker products from the count sketches of the two factors.
//!
//! `TensorSketch` of Pham and Pagh, *Fast and scalable polynomial kernels via explicit feature maps*, KDD 2013, with hashes into
//! `Z_2^k` instead of the integers modulo `s`: the convolution of the two count sketches is then dyadic, and the transform that
//! makes a product of it is the one of Walsh and Hadamard.

use std::ops::Range;

use faer::{ColMut, ColRef, Mat, MatMut, MatRef, Par};
use rand::RngCore;

use crate::error::{check_adjoint, check_ranges, check_shape};
use crate::fwht::fwht;
use crate::random::{Purpose, stream};
use crate::sketch::for_each_column;
use crate::{AdjointSketch, Scalar, Sketch, SketchError, Streaming};

/// Input rows that are added at a time.
const BLOCK: usize = 1024;

/// A sketch of `R^m (x) R^d` to `s = 2^k` dimensions: `S (e_i kron e_j) = g(i) g'(j) e_{h(i) xor h'(j)}` with random signs
/// `g`, `g'` and random places `h`, `h'`.
///
/// A Kronecker product costs `m + d + 3 s log2 s` additions, any other vector, read as the row-major `m x d` matrix whose entry
/// `(i, j)` is `x[i d + j]`, costs `m d`; the sketch itself `4 (m + d)` bytes.
///
/// # Accuracy
/// The place of a pair is pairwise independent: of two different pairs say that `i != i'`; given all else `h(i)` is uniform, and
/// so is `h(i) xor h'(j)`, whatever the other pair's place is. That is all that the variance takes from the places, so
/// `E <S x, S y> = <x, y>` and `Var <S x, S y> <= (3^2 - 1) |x|^2 |y|^2 / s`: the expectation of a product of four signs is 1
/// where the indices on either side agree in pairs, in `3 x 3` ways, each of which has a sum of at most `|x|^2 |y|^2`
/// (Cauchy and Schwarz), and one of which is no collision. With sums modulo `s`, Avron, Nguyen and Woodruff, *Subspace embeddings
/// for the polynomial kernel*, NIPS 2014, have `(2 + 3^2) / s`; for many factors see Ahle et al., *Oblivious sketching of
/// high-degree polynomial kernels*, SODA 2020.
///
/// # Examples
/// ```
/// use nearlin_sketch::TensorSketch;
///
/// // The squared inner product of two vectors is the inner product of their tensor squares.
/// let (x, y) = ([0.5, 1.0, -2.0], [1.0, 0.25, -1.0]);
/// let sketch = TensorSketch::new(3, 3, 1024, 42)?;
/// let mut squares = [vec![0.0; 1024], vec![0.0; 1024]];
/// for (out, x) in squares.iter_mut().zip([x, y]) {
///     sketch.apply_to_pair(out, &x, &x);
/// }
/// let product: f64 = squares[0].iter().zip(&squares[1]).map(|(x, y)| x * y).sum();
/// assert!((product - 2.75f64.powi(2)).abs() < 1.0);
/// # Ok::<(), nearlin_sketch::SketchError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TensorSketch {
    /// Twice the place of each index, and one more for a negative sign: so is the exclusive or of two of them for their pair.
    left: Vec<u32>,
    right: Vec<u32>,
    dim: usize,
}

impl TensorSketch {
    /// The sketch `R^left (x) R^right -> R^dim` named by `seed`.
    ///
    /// # Errors
    /// [`SketchError::Empty`] if a factor has length 0, [`SketchError::Dimension`] if `dim` is 0 or exceeds `2^31`,
    /// [`SketchError::PowerOfTwo`] if it is no power of two.
    pub fn new(left: usize, right: usize, dim: usize, seed: u64) -> Result<Self, SketchError> {
        let most = 1 << 31;
        if left == 0 || right == 0 {
            return Err(SketchError::Empty);
        }
        if dim == 0 || dim > most {
            return Err(SketchError::Dimension { dim, input: left * right, most });
        }
        if !dim.is_power_of_two() {
            return Err(SketchError::PowerOfTwo { dim });
        }
        let draw = |len: usize, side: u64| {
            let mut random = stream(seed, Purpose::TensorPlaces, side);
            (0..len).map(|_| random.next_u32() & (2 * dim as u64 - 1) as u32).collect()
        };
        Ok(Self { left: draw(left, 0), right: draw(right, 1), dim })
    }

    /// Lengths of the two factors.
    #[must_use]
    pub fn factors(&self) -> (usize, usize) {
        (self.left.len(), self.right.len())
    }

    /// `out <- S (u kron v)`, by `H (H C u . H C' v) / s` for the count sketches `C`, `C'` of the factors.
    ///
    /// # Panics
    /// If the lengths of `u`, `v` and `out` are not `m`, `d` and `s`.
    pub fn apply_to_pair<T: Scalar>(&self, out: &mut [T], u: &[T], v: &[T]) {
        assert_eq!((u.len(), v.len()), self.factors(), "lengths of the factors");
        assert_eq!(out.len(), self.dim, "length of the sketched column");
        count_sketch(out, u, &self.left);
        fwht(out);
        T::with_buffer(self.dim, |other| {
            count_sketch(other, v, &self.right);
            fwht(other);
            let scale = T::of(1.0 / self.dim as f64);
            out.iter_mut().zip(other.iter()).for_each(|(y, &other)| *y = *y * other * scale);
        });
        fwht(out);
    }

    /// Twice the place of entry `index` of the input, and one more for a negative sign.
    #[cfg(feature = "sparse")]
    pub(crate) fn place(&self, index: usize) -> u32 {
        self.left[index / self.right.len()] ^ self.right[index % self.right.len()]
    }

    /// The places from entry `first` of the input on.
    fn places(&self, first: usize) -> impl Iterator<Item = u32> + '_ {
        let (row, skipped) = (first / self.right.len(), first % self.right.len());
        let rows = self.left.get(row..).unwrap_or_default().iter();
        rows.flat_map(|&left| self.right.iter().map(move |&right| left ^ right)).skip(skipped)
    }
}

/// `out <- C x`, the count sketch with these places.
fn count_sketch<T: Scalar>(out: &mut [T], x: &[T], places: &[u32]) {
    out.fill(T::of(0.0));
    for (&x, &place) in x.iter().zip(places) {
        out[(place >> 1) as usize] += signed(place, x);
    }
}

/// `x` with the sign of its place.
pub(crate) fn signed<T: Scalar>(place: u32, x: T) -> T {
    if place & 1 == 1 { -x } else { x }
}

/// For any vector: as many additions as it has entries.
impl<T: Scalar> Sketch<T> for TensorSketch {
    fn input_dim(&self) -> usize {
        self.left.len() * self.right.len()
    }

    fn embedding_dim(&self) -> usize {
        self.dim
    }

    fn apply(&self, mut out: MatMut<'_, T>, a: MatRef<'_, T>, par: Par) -> Result<(), SketchError> {
        let k = a.ncols();
        check_shape("matrix to sketch", (a.nrows(), k), (Sketch::<T>::input_dim(self), k))?;
        check_shape("sketched matrix", (out.nrows(), out.ncols()), (self.dim, k))?;
        out.fill(T::of(0.0));
        self.add_block(out, a, 0, par);
        Ok(())
    }

    fn entries(&self, rows: Range<usize>, cols: Range<usize>) -> Result<Mat<T>, SketchError> {
        check_ranges(&rows, &cols, (self.dim, Sketch::<T>::input_dim(self)))?;
        let mut block = Mat::zeros(rows.len(), cols.len());
        for (mut column, place) in block.col_iter_mut().zip(self.places(cols.start)) {
            let row = (place >> 1) as usize;
            if rows.contains(&row) {
                column[row - rows.start] = signed(place, T::of(1.0));
            }
        }
        Ok(block)
    }
}

/// Rows of the input are added in order, so that blocks are for speed alone.
impl<T: Scalar> Streaming<T> for TensorSketch {
    fn block(&self) -> usize {
        BLOCK
    }

    fn add_block(&self, sums: MatMut<'_, T>, a: MatRef<'_, T>, first: usize, par: Par) {
        let column = |mut y: ColMut<'_, T>, x: ColRef<'_, T>| {
            for (&x, place) in x.iter().zip(self.places(first)) {
                y[(place >> 1) as usize] += signed(place, x);
            }
        };
        for_each_column(sums, a, par, column);
    }
}

impl<T: Scalar> AdjointSketch<T> for TensorSketch {
    fn apply_adjoint(
        &self,
        out: MatMut<'_, T>,
        y: MatRef<'_, T>,
        par: Par,
    ) -> Result<(), SketchError> {
        check_adjoint(&out, y, (self.dim, Sketch::<T>::input_dim(self)))?;
        let column = |x: ColMut<'_, T>, y: ColRef<'_, T>| {
            for (x, place) in x.iter_mut().zip(self.places(0)) {
                *x = signed(place, y[(place >> 1) as usize]);
            }
        };
        for_each_column(out, y, par, column);
        Ok(())
    }
}
