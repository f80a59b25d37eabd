//! Sparse sign embeddings: a few signs in each column, one in each block of rows.
//!
//! The block construction of OSNAP (Nelson and Nguyen, *OSNAP: Faster numerical linear algebra algorithms via sparser
//! subspace embeddings*, FOCS 2013); with one sign a column it is the count sketch (Charikar, Chen and Farach-Colton, 2004;
//! Clarkson and Woodruff, STOC 2013). Rows of the input are read once and in order, so that a matrix may come in parts.

use std::ops::Range;

use faer::{Mat, MatMut, MatRef, Par};
use rand::RngCore;
use rayon::prelude::*;

use crate::error::{check_adjoint, check_ranges, check_shape};
use crate::random::{Purpose, stream};
use crate::simd::{Plan, Transform, WIDEST};
use crate::{AdjointSketch, Scalar, Sketch, SketchError, Streaming};

/// Input rows whose signs are drawn at a time.
pub(crate) const BLOCK: usize = 4096;

/// Places that are drawn at a time, of some rows: the sums of a few columns, which stay in the cache, are added to by all of them
/// in turn.
const PLACES: usize = 1 << 21;

/// Input rows that are brought into tiles at a time: those of eight numbers fill a quarter of a second-level cache.
const ROWS: usize = 4096;

/// Input rows that share a stream of random numbers.
const STREAM: usize = 1024;

/// `S` with `each` entries `+-1 / sqrt(each)` a column, one in each of as many blocks of rows, at random places.
///
/// A column of the input of length `N` costs `N each` additions, whatever the embedding dimension; the sketch itself takes no
/// memory, as places are drawn when needed, and a call takes some megabytes beside its output. Eight signs a column are enough for
/// subspaces in practice (Tropp et al., SIAM J. Matrix Anal. Appl. 40, 2019; Murray et al., arXiv 2302.11474, section 2.4).
///
/// # Examples
/// ```
/// use faer::{Mat, Par};
/// use nearlin_sketch::{Sketch, SparseSign};
///
/// let a = Mat::from_fn(10_000, 3, |i, j| ((i * (j + 1)) as f64).sin());
/// let sketch = SparseSign::new(10_000, 500, 8, 42)?;
/// let mut whole = Mat::zeros(500, 3);
/// sketch.apply(whole.as_mut(), a.as_ref(), Par::Seq)?;
/// // In parts as they come: the same bits.
/// let mut parts = Mat::zeros(500, 3);
/// sketch.accumulate(parts.as_mut(), a.as_ref().subrows(0, 3333), 0, Par::Seq)?;
/// sketch.accumulate(parts.as_mut(), a.as_ref().subrows(3333, 6667), 3333, Par::Seq)?;
/// assert_eq!(whole, parts);
/// # Ok::<(), nearlin_sketch::SketchError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseSign {
    input: usize,
    dim: usize,
    each: usize,
    seed: u64,
}

impl SparseSign {
    /// The sketch `R^input -> R^dim` with `each` signs a column, named by `seed`.
    ///
    /// # Errors
    /// [`SketchError::Empty`] if `input` is 0, [`SketchError::Dimension`] if `dim` is or exceeds `2^31`,
    /// [`SketchError::Sparsity`] unless `1 <= each <= dim`.
    pub fn new(input: usize, dim: usize, each: usize, seed: u64) -> Result<Self, SketchError> {
        let most = 1 << 31;
        if input == 0 {
            return Err(SketchError::Empty);
        }
        if dim == 0 || dim > most {
            return Err(SketchError::Dimension { dim, input, most });
        }
        if each == 0 || each > dim {
            return Err(SketchError::Sparsity { each, dim });
        }
        Ok(Self { input, dim, each, seed })
    }

    /// The count sketch `R^input -> R^dim`: one sign a column.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn count_sketch(input: usize, dim: usize, seed: u64) -> Result<Self, SketchError> {
        Self::new(input, dim, 1, seed)
    }

    /// Signs in each column.
    #[must_use]
    pub fn each(&self) -> usize {
        self.each
    }

    /// Rows of `S` that hold entry `index` of the input, and with which factors.
    ///
    /// # Panics
    /// If `index` is not below the input dimension.
    #[must_use]
    pub fn column(&self, index: usize) -> Vec<(usize, f64)> {
        assert!(index < self.input, "entry {index} of a vector of length {}", self.input);
        let mut places = vec![0; self.each];
        self.places(index, &mut places);
        let scale = self.scale();
        let factor = |place: u32| if place & 1 == 1 { -scale } else { scale };
        places.iter().map(|&place| ((place >> 1) as usize, factor(place))).collect()
    }

    /// The distortion of a `d`-dimensional subspace that is not exceeded with probability `1 - failure`:
    /// `sqrt((d^2 + d) / (s failure))`, where `s` counts as many rows as are in equal blocks.
    ///
    /// Far from sharp: Markov's inequality for `E |U^T S^T S U - I|_F^2 <= (d^2 + d) / s` (Nelson and Nguyen 2013, section 2, for
    /// one sign a column; as blocks are independent, so it is for the mean of them).
    #[must_use]
    pub fn distortion_bound(&self, d: usize, failure: f64) -> f64 {
        let rows = (self.dim / self.each * self.each) as f64;
        ((d * d + d) as f64 / (rows * failure)).sqrt()
    }

    /// `N`.
    #[cfg(feature = "sparse")]
    pub(crate) fn input(&self) -> usize {
        self.input
    }

    /// `s`.
    #[cfg(feature = "sparse")]
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn scale(&self) -> f64 {
        1.0 / (self.each as f64).sqrt()
    }

    /// Twice the row of each entry of the columns from `first` on, and one more for a negative one.
    pub(crate) fn places(&self, first: usize, places: &mut [u32]) {
        // First rows of the blocks, and how many there are.
        let bound = |block: usize| block * self.dim / self.each;
        let blocks: Vec<(u32, u64)> = (0..self.each)
            .map(|block| (bound(block) as u32, (bound(block + 1) - bound(block)) as u64))
            .collect();
        let mut done = 0;
        while done < places.len() {
            let column = first + done / self.each;
            let inside = column % STREAM;
            let mut random = stream(self.seed, Purpose::SparseSigns, (column / STREAM) as u64);
            random.set_word_pos((inside * self.each) as u128);
            let count = ((STREAM - inside) * self.each).min(places.len() - done);
            for column in places[done..done + count].chunks_mut(self.each) {
                for (place, &(begin, rows)) in column.iter_mut().zip(&blocks) {
                    let word = random.next_u32();
                    let row = begin + ((u64::from(word >> 1) * rows) >> 31) as u32;
                    *place = row << 1 | word & 1;
                }
            }
            done += count;
        }
    }

    /// What to add to each sum, for [`ROWS`] of so many rows at a time from number `first` on.
    fn plans(&self, first: usize, rows: usize, par: Par) -> Vec<Plan> {
        let plan = |start: usize| {
            let mut places = vec![0; ROWS.min(rows - start) * self.each];
            self.places(first + start, &mut places);
            Plan::new(&places, self.each, self.dim)
        };
        let starts = (0..rows.div_ceil(ROWS)).map(|part| part * ROWS);
        match par {
            Par::Seq => starts.map(plan).collect(),
            Par::Rayon(_) => starts.collect::<Vec<_>>().into_par_iter().map(plan).collect(),
        }
    }

    /// `out <- out + S_p a` for the rows `a : p x k` of a taller matrix, from number `first` on, with the columns `S_p` of `S`
    /// that belong to them: rows that come in order, in parts of any size, give the bits of the whole.
    ///
    /// # Errors
    /// [`SketchError::Shape`] if `out` is not `s x k` or `first + p` exceeds the input dimension.
    pub fn accumulate<T: Scalar>(
        &self,
        mut out: MatMut<'_, T>,
        a: MatRef<'_, T>,
        first: usize,
        par: Par,
    ) -> Result<(), SketchError> {
        let (n, k) = (a.nrows(), a.ncols());
        let most = self.input.saturating_sub(first);
        check_shape("rows to sketch", (n, k), (n.min(most), k))?;
        check_shape("sketched matrix", (out.nrows(), out.ncols()), (self.dim, k))?;
        let scale = T::of(self.scale());
        let span = (PLACES / self.each).max(1).next_multiple_of(ROWS);
        for start in (0..n).step_by(span) {
            let rows = span.min(n - start);
            let plans = self.plans(first + start, rows, par);
            let a = a.subrows(start, rows);
            // Columns side by side: a row of as many as fill a cache line is added at once.
            let spread = |(sums, lines): &mut Lines<T>, tile: usize, mut out: MatMut<'_, T>| {
                let lanes = out.ncols();
                fill(sums, out.as_ref(), T::of(1.0));
                let mut rest = a.subcols(T::LINE * tile, lanes);
                for plan in &plans {
                    let (count, _) = plan.shape();
                    let (block, below) = rest.split_at_row(count);
                    fill(&mut lines[..count], block, scale);
                    lines[count] = T::ZEROS;
                    T::kernels().add(sums, lines, plan);
                    rest = below;
                }
                for (lane, column) in out.as_mut().col_iter_mut().enumerate() {
                    column.iter_mut().zip(&*sums).for_each(|(v, sum)| *v = sum.as_ref()[lane]);
                }
            };
            let lines = || (vec![T::ZEROS; self.dim], vec![T::ZEROS; ROWS.min(rows) + 1]);
            match par {
                Par::Seq => {
                    let (mut lines, mut rest, mut tile) = (lines(), out.as_mut(), 0);
                    while rest.ncols() > 0 {
                        let lanes = T::LINE.min(rest.ncols());
                        let (head, tail) = rest.split_at_col_mut(lanes);
                        spread(&mut lines, tile, head);
                        (rest, tile) = (tail, tile + 1);
                    }
                }
                Par::Rayon(_) => {
                    let tiles = out.as_mut().par_col_chunks_mut(T::LINE).enumerate();
                    tiles.for_each_init(lines, |lines, (tile, out)| spread(lines, tile, out));
                }
            }
        }
        Ok(())
    }
}

/// Sums and rows of some columns.
type Lines<T> = (Vec<<T as Transform>::Line>, Vec<<T as Transform>::Line>);

/// `lines_i <- scale (a_i1, a_i2, ..)`, with zeros for columns that there are not.
fn fill<T: Scalar>(lines: &mut [T::Line], a: MatRef<'_, T>, scale: T) {
    let lanes = a.ncols();
    if let (true, Some(a)) = (lanes == T::LINE, a.try_as_col_major()) {
        let mut columns: [&[T]; WIDEST] = [&[]; WIDEST];
        columns.iter_mut().zip(a.col_iter()).for_each(|(to, column)| *to = column.as_slice());
        T::kernels().transpose(&columns[..lanes], lines, scale);
        return;
    }
    for (line, row) in lines.iter_mut().zip(a.row_iter()) {
        *line = T::ZEROS;
        line.as_mut().iter_mut().zip(row.iter()).for_each(|(to, &v)| *to = scale * v);
    }
}

impl<T: Scalar> Sketch<T> for SparseSign {
    fn input_dim(&self) -> usize {
        self.input
    }

    fn embedding_dim(&self) -> usize {
        self.dim
    }

    fn apply(&self, mut out: MatMut<'_, T>, a: MatRef<'_, T>, par: Par) -> Result<(), SketchError> {
        let k = a.ncols();
        check_shape("matrix to sketch", (a.nrows(), k), (self.input, k))?;
        out.fill(T::of(0.0));
        self.accumulate(out, a, 0, par)
    }

    fn entries(&self, rows: Range<usize>, cols: Range<usize>) -> Result<Mat<T>, SketchError> {
        check_ranges(&rows, &cols, (self.dim, self.input))?;
        let factors = [T::of(self.scale()), T::of(-self.scale())];
        let mut block = Mat::zeros(rows.len(), cols.len());
        let mut places = vec![0; self.each * cols.len()];
        self.places(cols.start, &mut places);
        for (mut column, places) in block.col_iter_mut().zip(places.chunks(self.each)) {
            for place in places {
                let row = (place >> 1) as usize;
                if rows.contains(&row) {
                    column[row - rows.start] = factors[(place & 1) as usize];
                }
            }
        }
        Ok(block)
    }
}

impl<T: Scalar> Streaming<T> for SparseSign {
    fn block(&self) -> usize {
        STREAM
    }

    fn add_block(&self, sums: MatMut<'_, T>, a: MatRef<'_, T>, first: usize, par: Par) {
        self.accumulate(sums, a, first, par).expect("a block of the input");
    }
}

impl<T: Scalar> AdjointSketch<T> for SparseSign {
    fn apply_adjoint(
        &self,
        mut out: MatMut<'_, T>,
        y: MatRef<'_, T>,
        _: Par,
    ) -> Result<(), SketchError> {
        let k = y.ncols();
        check_adjoint(&out, y, (self.dim, self.input))?;
        let factors = [T::of(self.scale()), T::of(-self.scale())];
        let mut places = vec![0; BLOCK.min(self.input) * self.each];
        for start in (0..self.input).step_by(BLOCK) {
            let rows = BLOCK.min(self.input - start);
            let places = &mut places[..rows * self.each];
            self.places(start, places);
            for j in 0..k {
                let y = y.col(j);
                let out = out.as_mut().col_mut(j).subrows_mut(start, rows);
                for (out, places) in out.iter_mut().zip(places.chunks(self.each)) {
                    *out = places.iter().fold(T::of(0.0), |sum, &place| {
                        sum + factors[(place & 1) as usize] * y[(place >> 1) as usize]
                    });
                }
            }
        }
        Ok(())
    }
}
