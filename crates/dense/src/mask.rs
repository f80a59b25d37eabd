//! 0/1 masks, one bit an entry.

use crate::pages::enlarge;

/// An `n x m` matrix of bits, rows packed into 64-bit words.
///
/// Bit `r` of row `i` is bit `r % 64` of word `r / 64`. Bits past the width are always zero, so
/// that words can be counted and compared without looking at the width. Takes `n ceil(m / 64) 8`
/// bytes, and 56 more, for the first row to begin a line of the cache.
#[derive(Debug)]
pub struct PackedMask {
    rows: usize,
    width: usize,
    words_per_row: usize,
    words: Vec<u64>,
    /// Words before the first row.
    skipped: usize,
}

impl Clone for PackedMask {
    fn clone(&self) -> Self {
        let mut other = Self::zeros(self.rows, self.width);
        other.words_mut().copy_from_slice(self.words());
        other
    }
}

impl PartialEq for PackedMask {
    fn eq(&self, other: &Self) -> bool {
        let shape = |mask: &Self| (mask.rows, mask.width);
        shape(self) == shape(other) && self.words() == other.words()
    }
}

impl Eq for PackedMask {}

/// Words of a line of the cache.
const LINE: usize = 8;

impl PackedMask {
    /// An `n x m` mask of zeros.
    #[must_use]
    pub fn zeros(rows: usize, width: usize) -> Self {
        let words_per_row = width.div_ceil(64);
        let mut words = vec![0; rows * words_per_row + LINE - 1];
        enlarge(&mut words);
        let skipped = words.as_ptr().align_offset(size_of::<u64>() * LINE).min(LINE - 1);
        Self { rows, width, words_per_row, words, skipped }
    }

    /// The `n x m` mask whose entry `(i, r)` is `bit(i, r)`.
    #[must_use]
    pub fn from_fn(rows: usize, width: usize, bit: impl Fn(usize, usize) -> bool) -> Self {
        let mut mask = Self::zeros(rows, width);
        for i in 0..rows {
            for r in 0..width {
                if bit(i, r) {
                    let at = i * mask.words_per_row + r / 64;
                    mask.words_mut()[at] |= 1 << (r % 64);
                }
            }
        }
        mask
    }

    /// Rows `n`.
    #[must_use]
    pub fn nrows(&self) -> usize {
        self.rows
    }

    /// Bits in a row, `m`.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Words in a row, `ceil(m / 64)`.
    #[must_use]
    pub fn words_per_row(&self) -> usize {
        self.words_per_row
    }

    /// Entry `(i, r)`.
    ///
    /// # Panics
    /// If `i` or `r` is out of range.
    #[must_use]
    pub fn get(&self, i: usize, r: usize) -> bool {
        assert!(r < self.width, "bit {r} of a mask that is {} wide", self.width);
        self.row(i)[r / 64] >> (r % 64) & 1 == 1
    }

    /// The words of row `i`.
    ///
    /// # Panics
    /// If `i` is out of range.
    #[must_use]
    pub fn row(&self, i: usize) -> &[u64] {
        &self.words()[i * self.words_per_row..(i + 1) * self.words_per_row]
    }

    /// All words, row after row.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words[self.skipped..][..self.rows * self.words_per_row]
    }

    /// All words, row after row, for a writer that keeps the bits past the width zero.
    #[must_use]
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words[self.skipped..][..self.rows * self.words_per_row]
    }

    /// Row `to` becomes row `from` of a mask of the same width.
    pub(crate) fn copy_row(&mut self, to: usize, other: &Self, from: usize) {
        let words = self.words_per_row;
        self.words_mut()[to * words..(to + 1) * words].copy_from_slice(other.row(from));
    }

    /// Ones in rows `i` and `j` both.
    ///
    /// # Panics
    /// If `i` or `j` is out of range.
    #[must_use]
    pub fn common(&self, i: usize, j: usize) -> u32 {
        self.row(i).iter().zip(self.row(j)).map(|(a, b)| (a & b).count_ones()).sum()
    }

    /// Entries in which two masks differ.
    ///
    /// # Panics
    /// If the shapes differ.
    #[must_use]
    pub fn count_differences(&self, other: &Self) -> u64 {
        assert_eq!((self.rows, self.width), (other.rows, other.width), "masks of unlike shape");
        self.words().iter().zip(other.words()).map(|(a, b)| u64::from((a ^ b).count_ones())).sum()
    }
}

/// Sets bits `at .. at + 64` of a packed row to `word`, whose bits past the row's end must be
/// zero; the target bits must be zero before.
///
/// # Panics
/// If a set bit falls past the end of `row`.
pub(crate) fn or_word(row: &mut [u64], at: usize, word: u64) {
    let (index, shift) = (at / 64, at % 64);
    row[index] |= word << shift;
    if shift > 0 && word >> (64 - shift) != 0 {
        row[index + 1] |= word >> (64 - shift);
    }
}

impl PackedMask {
    /// Ors the 64 bits of `word` into row words starting at bit `at`; see the crate's forward
    /// passes, which build masks tile by tile.
    ///
    /// # Panics
    /// If a set bit falls past the end of `row`.
    pub fn or_bits(row: &mut [u64], at: usize, word: u64) {
        or_word(row, at, word);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A mask gives back the bits that it was made from, whatever its width.
        #[test]
        fn bits_round_trip(rows in 1usize..5, width in 1usize..200, seed: u64) {
            let bit = |i: usize, r: usize| (seed ^ (i as u64 * 0x9e37 + r as u64)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1;
            let mask = PackedMask::from_fn(rows, width, bit);
            for i in 0..rows {
                for r in 0..width {
                    prop_assert_eq!(mask.get(i, r), bit(i, r));
                }
            }
            let ones: u32 = mask.row(0).iter().map(|w| w.count_ones()).sum();
            prop_assert_eq!(ones as usize, (0..width).filter(|&r| bit(0, r)).count());
            prop_assert_eq!(mask.common(0, 0), ones);
        }

        /// Words written at any bit offset read back as the same bits.
        #[test]
        fn unaligned_words(at in 0usize..130, word: u64) {
            let mut row = [0u64; 4];
            PackedMask::or_bits(&mut row, at, word);
            for b in 0..64 {
                prop_assert_eq!(row[(at + b) / 64] >> ((at + b) % 64) & 1, word >> b & 1);
            }
        }
    }
}
