//! Bits of a chunk of neurons, read while something else is computed.

use std::cell::RefCell;

use super::index::BATCH;
use super::simd::prefetch;
use super::{CHUNK, COLUMNS, STRIDE, Words};
use crate::PackedMask;
use crate::classes::{Chunk, Part};

/// How many rows of the mask ahead of the one that is read are asked for.
const AHEAD: usize = 16;

/// What a chunk needs beside sums; a thread keeps it.
pub(super) struct Scratch {
    /// Indices of `J v`, rows of [`STRIDE`].
    pub(super) across: Vec<u64>,
    /// Indices of `J^T u`, for [`COLUMNS`] examples.
    pub(super) down: Vec<[u64; CHUNK]>,
    /// Bits of as many, or of fewer.
    pub(super) words: Vec<Words>,
}

/// Calls `body` with the thread's scratch, whatever it holds.
pub(super) fn with_scratch<R>(body: impl FnOnce(&mut Scratch) -> R) -> R {
    thread_local! {
        static IDLE: RefCell<Vec<Scratch>> = const { RefCell::new(Vec::new()) };
    }
    // Taken out while in use: a nested call takes the next one, or makes it.
    let mut scratch = IDLE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Scratch {
        across: vec![0; STRIDE * CHUNK / BATCH],
        down: vec![[0; CHUNK]; COLUMNS / BATCH],
        words: vec![[0; CHUNK / 64]; COLUMNS],
    });
    let result = body(&mut scratch);
    IDLE.with_borrow_mut(|idle| idle.push(scratch));
    result
}

/// Reads the bits of a chunk, rows in order, zeros where there are none.
///
/// Rows of a mask lie a power of two apart as a rule, where a cache holds few of them: each is read once, and rows
/// after it are asked for. Waiting for them is what reading takes; so where there is room for all the rows that will be
/// asked for next, they are read while others are computed with, two at a time.
pub(super) struct Reader<'a> {
    /// The rows that were not read, whole.
    rows: &'a [u64],
    words_per_row: usize,
    /// The words of a row that are read.
    parts: &'a [Part],
    len: usize,
    /// Where they go, and how many are there.
    words: &'a mut [Words],
    read: usize,
    /// How many are read before anybody asks.
    early: usize,
}

impl<'a> Reader<'a> {
    /// A chunk's words of each row, up to `words.len()` rows at a time; as many before they are asked for, if `early`.
    pub(super) fn new(
        mask: &'a PackedMask,
        chunk: &'a Chunk,
        words: &'a mut [Words],
        early: bool,
    ) -> Self {
        let (words_per_row, parts) = (mask.words_per_row(), chunk.parts());
        let len = parts.iter().map(|part| part.words().len()).sum();
        let early = if early { words.len() } else { 0 };
        Self { rows: mask.words(), words_per_row, parts, len, words, read: 0, early }
    }

    /// The next `count` rows.
    pub(super) fn next(&mut self, count: usize) -> &[Words] {
        while self.read < count {
            self.read();
        }
        self.read = 0;
        &self.words[..count]
    }

    /// Whether [`Self::go_on`] does anything.
    pub(super) fn is_early(&self) -> bool {
        self.early > 0
    }

    /// Reads two rows more, where they may be read early and there is room.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
    pub(super) fn go_on(&mut self) {
        if self.read + 2 <= self.early {
            self.read();
            self.read();
        }
    }

    /// Reads a row.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
    fn read(&mut self) {
        let words = &mut self.words[self.read];
        self.read += 1;
        let next = self.rows.get(AHEAD * self.words_per_row..).unwrap_or_default();
        for part in self.parts {
            prefetch(next.get(part.words()).unwrap_or_default());
        }
        match (self.rows, self.parts) {
            ([], _) => words.fill(0),
            // Of a known length: no call.
            (rows, [part]) if self.len == words.len() => {
                *words = *rows[part.words()].first_chunk().expect("of that length");
            }
            (rows, parts) => {
                let mut rest = &mut words[..];
                for part in parts {
                    let from = &rows[part.words()];
                    let (to, others) = rest.split_at_mut(from.len());
                    to.copy_from_slice(from);
                    rest = others;
                }
                rest.fill(0);
            }
        }
        self.rows = self.rows.get(self.words_per_row..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every row once and in order, whenever it is read; zeros past the last row and the last word.
        #[test]
        fn rows_come_in_order_whenever_they_are_read(
            rows in 0..100usize,
            cuts in prop::collection::vec(0..60usize, 4),
            asks in prop::collection::vec((0..40usize, 1..=24usize), 1..12),
            early: bool,
        ) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mask = {
                let mut mask = PackedMask::zeros(rows, 64 * 60);
                mask.words_mut().iter_mut().zip(1..).for_each(|(word, i)| *word = i);
                mask
            };
            let parts = [cuts[0]..cuts[1].min(cuts[0] + 12), cuts[2]..cuts[3].min(cuts[2] + 12)];
            let chunk = Chunk::of_words(&parts);
            let of_row: Vec<usize> = parts.into_iter().flatten().collect();
            let mut words = vec![[7; CHUNK / 64]; 24];
            let mut reader = Reader::new(&mask, &chunk, &mut words, early);
            let mut from = 0;
            for (times, count) in asks {
                // Reading early past what is asked for next would skip it: as many as there is room for are asked for.
                let count = if early { 24 } else { count };
                for _ in 0..times {
                    reader.go_on();
                }
                for (row, found) in (from..).zip(reader.next(count)) {
                    for (w, &found) in found.iter().enumerate() {
                        let there = of_row.get(w).filter(|_| row < rows);
                        let expected = there.map_or(0, |at| 1 + (row * 60 + at) as u64);
                        prop_assert_eq!(found, expected, "row {}, word {}", row, w);
                    }
                }
                from += count;
            }
        }
    }
}
