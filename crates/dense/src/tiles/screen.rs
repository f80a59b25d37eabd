//! Signs of a product in single precision, where they are certain.

use faer::{MatRef, Par};

use super::kernel::Panel;
use super::rectified::transpose_all;
use super::simd::{Task, Vector, on_vectors, panels, panels_mut};
use super::{BLOCK, PACKED, WORD, block, pack};
use crate::parallel::for_each_part;
use crate::{PackedMask, Real};

/// Entries of `X W^T` above the radius of their column, and those within it on either side of zero: both
/// n x p, for `x : n x d` and `p` radii. `row(q, out)` gives row `q` of `W`.
///
/// One sweep of `2 n p d` flops that stores no product, in a fixed buffer.
pub(crate) fn screen(
    x: MatRef<'_, f32>,
    radius: &[f32],
    row: impl Fn(usize, &mut [f32]) + Sync + Send,
    par: Par,
) -> [PackedMask; 2] {
    let (n, p) = (x.nrows(), radius.len());
    let mut found = [PackedMask::zeros(n, p), PackedMask::zeros(n, p)];
    if n * p * x.ncols() > 0 {
        on_vectors(Screen { x, radius, row, found: &mut found, par });
    }
    found
}

struct Screen<'a, F> {
    x: MatRef<'a, f32>,
    radius: &'a [f32],
    row: F,
    found: &'a mut [PackedMask; 2],
    par: Par,
}

/// Words of a task's [`WORD`] examples in both masks.
type Targets<'a> = (&'a mut [u64], &'a mut [u64]);

impl<F: Fn(usize, &mut [f32]) + Sync + Send> Task<f32> for Screen<'_, F> {
    /// Lanes are examples, a word of them to a task. Weights are packed [`PACKED`] numbers at a time, and each
    /// task goes through them strip by strip.
    fn run<V: Vector<f32>>(self) {
        let Self { x, radius, row, found, par } = self;
        let (n, d) = (x.nrows(), x.ncols());
        let rows = block(d + WORD);
        let words_per_row = found[0].words_per_row();
        let [above, near] = found.each_mut().map(PackedMask::words_mut);
        let above = above.chunks_mut(WORD * words_per_row);
        let mut tasks: Vec<Targets<'_>> =
            above.zip(near.chunks_mut(WORD * words_per_row)).collect();
        let stretch = (PACKED / d / rows * rows).max(rows);
        let mut packed = vec![0.0; stretch.min(radius.len()) * d];
        for (part, radius) in radius.chunks(stretch).enumerate() {
            let (from, packed) = (part * stretch, &mut packed[..radius.len() * d]);
            for_each_part(packed, rows * d, par, |part, out| {
                f32::with_buffer(out.len(), |plain| {
                    let first = from + part * rows;
                    plain.chunks_exact_mut(d).enumerate().for_each(|(q, out)| row(first + q, out));
                    let plain = MatRef::from_row_major_slice(plain, out.len() / d, d);
                    pack::inner(out, V::TALL, plain, 1.0);
                });
            });
            let strips = Strips { packed, radius, rows, word: from / WORD, words_per_row };
            for_each_part(&mut tasks, 1, par, |task, targets| {
                let x = x.subrows(task * WORD, WORD.min(n - task * WORD));
                strips.screen::<V>(x, &mut targets[0]);
            });
        }
    }
}

/// Packed weights, and where their bits belong.
#[derive(Clone, Copy)]
struct Strips<'a> {
    packed: &'a [f32],
    radius: &'a [f32],
    /// Weights of a strip.
    rows: usize,
    /// The word of the first weight's bit.
    word: usize,
    words_per_row: usize,
}

impl Strips<'_> {
    /// The bits of a task's examples.
    fn screen<V: Vector<f32>>(self, x: MatRef<'_, f32>, (above, near): &mut Targets<'_>) {
        let (d, width, rows) = (x.ncols(), 2 * V::LANES, self.rows);
        let len = x.nrows().next_multiple_of(width) * d;
        f32::with_buffer(len + width * rows, |buffer| {
            let (lanes, strip) = buffer.split_at_mut(len);
            pack::lanes(lanes, width, x);
            let (lanes, strip) = (panels::<f32, V>(lanes), panels_mut::<f32, V>(strip));
            let strips = self.packed.chunks(rows * d).zip(self.radius.chunks(rows));
            for (b, (weights, radius)) in strips.enumerate() {
                let [mut certain, mut possible] = [[0; BLOCK]; 2];
                for (at, lanes) in lanes.chunks_exact(d).enumerate() {
                    let strip: &mut [Panel<V>] = &mut strip[..radius.len()];
                    let words = [&mut certain[..], &mut possible[..]];
                    V::screen(strip, (weights, radius), lanes, words, at * width);
                }
                possible.iter_mut().zip(&certain).for_each(|(possible, on)| *possible ^= on);
                let first = self.word + b * rows / WORD;
                for (columns, target) in
                    [(&mut certain, &mut **above), (&mut possible, &mut **near)]
                {
                    transpose_all(columns);
                    let blocks = columns.as_chunks::<WORD>().0.iter().enumerate();
                    for (at, block) in blocks.take(radius.len().div_ceil(WORD)) {
                        let target = target.chunks_exact_mut(self.words_per_row).zip(block);
                        target.for_each(|(row, &bits)| row[first + at] = bits);
                    }
                }
            }
        });
    }
}
