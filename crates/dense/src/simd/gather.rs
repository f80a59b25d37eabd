//! Some of the bits of a few rows, side by side.

use faer::MatMut;

use super::dispatched;

/// Rows whose bits are gathered at a time.
pub(crate) const SIDE: usize = 8;

dispatched!(
    /// Writes the bits of `rows` that are set in `columns`, `count` of them, to the rows of `to`.
    pub(crate) fn gather_rows [] (
        to: &mut MatMut<'_, u64>, rows: &[&[u64]; SIDE], columns: &[u64], count: usize,
    ) = gather
);

#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn gather(to: &mut MatMut<'_, u64>, rows: &[&[u64]; SIDE], columns: &[u64], count: usize) {
    let (mut gathered, mut at) = ([0u64; SIDE], 0);
    for (w, columns) in columns.iter().enumerate().filter(|(_, word)| **word != 0) {
        let mut words = [0; SIDE];
        words.iter_mut().zip(rows).for_each(|(word, row)| *word = row[w]);
        let mut left = *columns;
        while left != 0 {
            let (from, to_bit) = (left.trailing_zeros(), at % 64);
            for r in 0..SIDE {
                gathered[r] |= (words[r] >> from & 1) << to_bit;
            }
            at += 1;
            left &= left - 1;
            if at % 64 == 0 || at == count {
                for r in 0..to.nrows() {
                    to[(r, (at - 1) / 64)] = gathered[r];
                }
                gathered = [0; SIDE];
            }
        }
    }
}
