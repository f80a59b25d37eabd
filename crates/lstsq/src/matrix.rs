//! Matrices that can be multiplied and sketched.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_krylov::{AdjointOp, RowBlocks};
use nearlin_sketch::{Scalar as SketchScalar, Sketch, SketchError, SparseSign};

/// The scalars of a solve: `f32` and `f64`.
pub trait Scalar: SketchScalar + nearlin_krylov::Scalar {}

impl<T: SketchScalar + nearlin_krylov::Scalar> Scalar for T {}

/// Rows that are scaled at a time.
const ROWS: usize = 4096;

/// Entries of a matrix that no cache holds.
const LARGE: usize = 1 << 22;

/// Bytes of a row beyond which a cache holds few rows, so that columns are read in short runs.
const LONG: usize = 1 << 12;

/// Unit vectors that are multiplied at a time.
const COLUMNS: usize = 16;

/// A scalar near `x`.
pub(crate) fn of<T: Scalar>(x: f64) -> T {
    <T as nearlin_krylov::Scalar>::of(x)
}

/// `out <- diag(scales) out`, where there are scales.
pub(crate) fn scale_rows<T: Scalar>(out: MatMut<'_, T>, scales: Option<&[T]>) {
    if let Some(scales) = scales {
        for column in out.col_iter_mut() {
            column.iter_mut().zip(scales).for_each(|(v, &scale)| *v *= scale);
        }
    }
}

/// A matrix `A : m x n` that can be multiplied and sketched.
///
/// Products are enough: what else is asked for is made of products with unit vectors, sixteen at a time, unless a type knows
/// better.
///
/// # Examples
/// ```
/// use faer::dyn_stack::{MemStack, StackReq};
/// use faer::{Mat, MatMut, MatRef, Par};
/// use nearlin_krylov::{AdjointOp, LinOp};
/// use nearlin_lstsq::{Matrix, lstsq};
///
/// /// Row `i` takes the mean of entries `i` and `i - 1`, the first and the last row half of one.
/// struct Means(usize);
///
/// impl LinOp<f64> for Means {
///     fn nrows(&self) -> usize {
///         self.0 + 1
///     }
///
///     fn ncols(&self) -> usize {
///         self.0
///     }
///
///     fn apply(&self, mut y: MatMut<'_, f64>, x: MatRef<'_, f64>, _: Par, _: &mut MemStack) {
///         y.fill(0.0);
///         for j in 0..x.ncols() {
///             for i in 0..self.0 {
///                 y[(i, j)] += 0.5 * x[(i, j)];
///                 y[(i + 1, j)] += 0.5 * x[(i, j)];
///             }
///         }
///     }
/// }
///
/// impl AdjointOp<f64> for Means {
///     fn apply_adjoint(&self, mut x: MatMut<'_, f64>, y: MatRef<'_, f64>, _: Par, _: &mut MemStack) {
///         for j in 0..y.ncols() {
///             for i in 0..self.0 {
///                 x[(i, j)] = 0.5 * (y[(i, j)] + y[(i + 1, j)]);
///             }
///         }
///     }
/// }
///
/// impl Matrix<f64> for Means {}
///
/// let b = Mat::from_fn(51, 1, |i, _| if i % 50 == 0 { 0.5 } else { 1.0 });
/// let fit = lstsq(&Means(50), b.as_ref())?;
/// assert!((fit.x[(25, 0)] - 1.0).abs() < 1e-12);
/// # Ok::<(), nearlin_lstsq::LstsqError>(())
/// ```
pub trait Matrix<T: Scalar>: AdjointOp<T> {
    /// Entries that a product reads: what a pass costs.
    fn entries(&self) -> f64 {
        self.nrows() as f64 * self.ncols() as f64
    }

    /// `out <- diag(scales) A`, with one scale a row or none.
    fn write(&self, mut out: MatMut<'_, T>, scales: Option<&[T]>, par: Par) {
        let mut buffer = MemBuffer::new(self.apply_scratch(COLUMNS, par));
        for first in (0..self.ncols()).step_by(COLUMNS) {
            let units = units(self.ncols(), first);
            let mut out = out.as_mut().subcols_mut(first, units.ncols());
            self.apply(out.as_mut(), units.as_ref(), par, MemStack::new(&mut buffer));
            scale_rows(out, scales);
        }
    }

    /// `out <- A*`.
    fn write_adjoint(&self, mut out: MatMut<'_, T>, par: Par) {
        let mut buffer = MemBuffer::new(self.apply_adjoint_scratch(COLUMNS, par));
        for first in (0..self.nrows()).step_by(COLUMNS) {
            let units = units(self.nrows(), first);
            let out = out.as_mut().subcols_mut(first, units.ncols());
            self.apply_adjoint(out, units.as_ref(), par, MemStack::new(&mut buffer));
        }
    }

    /// A copy of `diag(scales) A`, with one scale a row or none, where products with that are read faster by so much that a copy pays
    /// after some ten of them; none unless a type knows better.
    fn row_blocks(&self, scales: Option<&[T]>, par: Par) -> Option<RowBlocks<T>> {
        let _ = (scales, par);
        None
    }

    /// `out <- S diag(scales) A`, with `S : s x m`, one scale a row or none, and `out : s x n`.
    ///
    /// # Errors
    /// [`SketchError`] if operands do not fit.
    fn sketch(
        &self,
        mut out: MatMut<'_, T>,
        sketch: &SparseSign,
        scales: Option<&[T]>,
        par: Par,
    ) -> Result<(), SketchError> {
        let mut buffer = MemBuffer::new(self.apply_scratch(COLUMNS, par));
        let mut columns = Mat::zeros(self.nrows(), COLUMNS.min(self.ncols()));
        for first in (0..self.ncols()).step_by(COLUMNS) {
            let units = units(self.ncols(), first);
            let mut columns = columns.as_mut().subcols_mut(0, units.ncols());
            self.apply(columns.as_mut(), units.as_ref(), par, MemStack::new(&mut buffer));
            scale_rows(columns.as_mut(), scales);
            let out = out.as_mut().subcols_mut(first, units.ncols());
            sketch.apply(out, columns.as_ref(), par)?;
        }
        Ok(())
    }

    /// `out <- S A*`, with `S : s x n` and `out : s x m`.
    ///
    /// # Errors
    /// [`SketchError`] if operands do not fit.
    fn sketch_adjoint(
        &self,
        mut out: MatMut<'_, T>,
        sketch: &SparseSign,
        par: Par,
    ) -> Result<(), SketchError> {
        let mut buffer = MemBuffer::new(self.apply_adjoint_scratch(COLUMNS, par));
        let mut columns = Mat::zeros(self.ncols(), COLUMNS.min(self.nrows()));
        for first in (0..self.nrows()).step_by(COLUMNS) {
            let units = units(self.nrows(), first);
            let mut columns = columns.as_mut().subcols_mut(0, units.ncols());
            self.apply_adjoint(columns.as_mut(), units.as_ref(), par, MemStack::new(&mut buffer));
            let out = out.as_mut().subcols_mut(first, units.ncols());
            sketch.apply(out, columns.as_ref(), par)?;
        }
        Ok(())
    }
}

/// Unit vectors from number `first` on.
fn units<T: Scalar>(dim: usize, first: usize) -> Mat<T> {
    Mat::from_fn(
        dim,
        COLUMNS.min(dim - first),
        |i, j| {
            if i == first + j { T::one() } else { T::zero() }
        },
    )
}

impl<T: Scalar> Matrix<T> for MatRef<'_, T> {
    fn write(&self, mut out: MatMut<'_, T>, scales: Option<&[T]>, _: Par) {
        out.copy_from(*self);
        scale_rows(out, scales);
    }

    fn write_adjoint(&self, mut out: MatMut<'_, T>, _: Par) {
        out.copy_from(self.transpose());
    }

    /// Where rows are long or scaled, or columns not contiguous.
    fn row_blocks(&self, scales: Option<&[T]>, par: Par) -> Option<RowBlocks<T>> {
        let (m, n) = (MatRef::nrows(self), MatRef::ncols(self));
        let slow = scales.is_some() || n * size_of::<T>() > LONG || self.row_stride() != 1;
        (m * n > LARGE && slow).then(|| RowBlocks::new(*self, scales, par))
    }

    fn sketch(
        &self,
        mut out: MatMut<'_, T>,
        sketch: &SparseSign,
        scales: Option<&[T]>,
        par: Par,
    ) -> Result<(), SketchError> {
        let Some(scales) = scales else { return sketch.apply(out, *self, par) };
        let zero = <T as SketchScalar>::of(0.0);
        out.fill(zero);
        for (part, scales) in scales.chunks(ROWS).enumerate() {
            let block = self.subrows(part * ROWS, scales.len());
            let scaled =
                Mat::from_fn(block.nrows(), block.ncols(), |i, j| scales[i] * block[(i, j)]);
            sketch.accumulate(out.as_mut(), scaled.as_ref(), part * ROWS, par)?;
        }
        Ok(())
    }

    fn sketch_adjoint(
        &self,
        out: MatMut<'_, T>,
        sketch: &SparseSign,
        par: Par,
    ) -> Result<(), SketchError> {
        sketch.apply(out, self.transpose(), par)
    }
}

impl<T: Scalar> Matrix<T> for Mat<T> {
    fn write(&self, out: MatMut<'_, T>, scales: Option<&[T]>, par: Par) {
        self.as_ref().write(out, scales, par);
    }

    fn write_adjoint(&self, out: MatMut<'_, T>, par: Par) {
        self.as_ref().write_adjoint(out, par);
    }

    fn row_blocks(&self, scales: Option<&[T]>, par: Par) -> Option<RowBlocks<T>> {
        self.as_ref().row_blocks(scales, par)
    }

    fn sketch(
        &self,
        out: MatMut<'_, T>,
        sketch: &SparseSign,
        scales: Option<&[T]>,
        par: Par,
    ) -> Result<(), SketchError> {
        self.as_ref().sketch(out, sketch, scales, par)
    }

    fn sketch_adjoint(
        &self,
        out: MatMut<'_, T>,
        sketch: &SparseSign,
        par: Par,
    ) -> Result<(), SketchError> {
        self.as_ref().sketch_adjoint(out, sketch, par)
    }
}
