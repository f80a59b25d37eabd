//! Tiles of `M M^T` for a packed mask `M`: ones that two rows have in common, counted in integers.
//!
//! Four ways, chosen at run time: products of bytes on a matrix unit, see `amx`; AVX-512's `vpopcntq`, see `vectors`; table
//! look-ups on AVX2, see `lookup`; and a plain loop, in which compilers find NEON's `cnt`. All give the same integers.

#[cfg(target_arch = "x86_64")]
mod lookup;
#[cfg(target_arch = "x86_64")]
mod vectors;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) use self::vectors::transposed as transposed_words;

use std::cell::Cell;
use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use super::Level;
use crate::PackedMask;

/// Most rows of a tile.
pub(crate) const ROWS: usize = 128;

/// Most columns of a tile.
pub(crate) const COLS: usize = 256;

/// Rows and columns of the register tile of the loops over words.
const REG: usize = 4;

/// Words of a mask row that a loop over words reads at a time: 128 rows are 128 KiB,
/// which a second-level cache holds while the columns pass by.
const WORDS: usize = 128;

/// How common ones are counted.
#[derive(Clone, Copy, Debug)]
enum Path {
    /// A loop over register tiles of words.
    Words,
    /// Look-ups of four neurons at a time.
    #[cfg(target_arch = "x86_64")]
    Lookup,
    /// Vectors of words of eight rows.
    #[cfg(target_arch = "x86_64")]
    Vectors,
    /// Products of bytes on a matrix unit.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Unit,
}

impl Path {
    /// The paths that this machine can take, fastest first.
    fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let fast = {
            let avx512 = Level::Avx512.on() && std::is_x86_feature_detected!("avx512vpopcntdq");
            #[cfg(target_os = "linux")]
            let unit = crate::simd::Level::Amx.on().then_some(Self::Unit);
            #[cfg(not(target_os = "linux"))]
            let unit = None;
            let vectors = avx512.then_some(Self::Vectors);
            unit.into_iter().chain(vectors).chain(Level::Avx2.on().then_some(Self::Lookup))
        };
        #[cfg(not(target_arch = "x86_64"))]
        let fast = std::iter::empty();
        fast.chain([Self::Words])
    }
}

/// Counts of one tile, with the buffers that it takes to make them: a fixed size, whatever the
/// mask.
#[derive(Debug)]
pub(crate) struct Counts {
    path: Path,
    of_cols: Vec<u32>,
    #[cfg(target_arch = "x86_64")]
    packed: lookup::Buffers,
    #[cfg(target_arch = "x86_64")]
    transposed: vectors::Buffers,
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    bytes: crate::amx::Buffers,
}

impl Counts {
    fn on(path: Path) -> Self {
        Self {
            path,
            of_cols: vec![0; COLS * ROWS],
            #[cfg(target_arch = "x86_64")]
            packed: lookup::Buffers::default(),
            #[cfg(target_arch = "x86_64")]
            transposed: vectors::Buffers::default(),
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            bytes: crate::amx::Buffers::default(),
        }
    }

    /// Runs `body` on counts of zero, which this thread keeps between calls.
    pub(crate) fn with<R>(body: impl FnOnce(&mut Self) -> R) -> R {
        thread_local! {
            static COUNTS: Cell<Option<Box<Counts>>> = const { Cell::new(None) };
        }
        // Taken out while in use: a nested call finds none and makes its own.
        let mut counts = COUNTS.take().unwrap_or_else(|| {
            let path = Path::available().next().unwrap_or(Path::Words);
            Box::new(Self::on(path))
        });
        counts.of_cols.fill(0);
        let result = body(&mut counts);
        COUNTS.set(Some(counts));
        result
    }

    /// Adds the ones that rows `rows` and rows `cols` of `mask` have in common, at most [`ROWS`]
    /// and [`COLS`]. Pairs `i < j` of a row `i` and a column `j` may be left out.
    pub(crate) fn add(&mut self, mask: &PackedMask, rows: &Range<usize>, cols: &Range<usize>) {
        assert!(rows.len() <= ROWS && cols.len() <= COLS, "a tile is at most {ROWS} x {COLS}");
        match self.path {
            Path::Words => add_words(&mut self.of_cols, mask, rows, cols),
            #[cfg(target_arch = "x86_64")]
            Path::Lookup => {
                // SAFETY: this path is only available where the CPU has AVX2.
                unsafe { lookup::add(&mut self.of_cols, &mut self.packed, mask, rows, cols) }
            }
            #[cfg(target_arch = "x86_64")]
            Path::Vectors => {
                // SAFETY: this path is only available where the CPU has AVX-512 and its counts.
                unsafe { vectors::add(&mut self.of_cols, &mut self.transposed, mask, rows, cols) }
            }
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Path::Unit => {
                crate::amx::Unit::new().count(&mut self.of_cols, &mut self.bytes, mask, rows, cols);
            }
        }
    }

    /// Changes the sign of all counts, in two's complement.
    pub(crate) fn negate(&mut self) {
        self.of_cols.iter_mut().for_each(|count| *count = count.wrapping_neg());
    }

    /// Counts of column `j` of the tile with its rows `0 .. ROWS`.
    pub(crate) fn col(&self, j: usize) -> &[u32] {
        &self.of_cols[j * ROWS..(j + 1) * ROWS]
    }
}

/// `counts[j ROWS + i] += common ones of rows i and j`, [`REG`] rows and columns at a time.
fn add_words(counts: &mut [u32], mask: &PackedMask, rows: &Range<usize>, cols: &Range<usize>) {
    for first in (0..mask.words_per_row()).step_by(WORDS) {
        let last = mask.words_per_row().min(first + WORDS);
        for j0 in (0..cols.len()).step_by(REG) {
            // Rows past the edge repeat the last one; their counts are dropped.
            let words = |all: &Range<usize>, i: usize| {
                &mask.row(all.start + i.min(all.len() - 1))[first..last]
            };
            let b: [&[u64]; REG] = std::array::from_fn(|j| words(cols, j0 + j));
            let above = (cols.start + j0).saturating_sub(rows.start) / REG * REG;
            for i0 in (above..rows.len()).step_by(REG) {
                let a: [&[u64]; REG] = std::array::from_fn(|i| words(rows, i0 + i));
                let common = common_ones(&a, &b);
                for j in 0..REG.min(cols.len() - j0) {
                    for i in 0..REG.min(rows.len() - i0) {
                        let count = &mut counts[(j0 + j) * ROWS + i0 + i];
                        *count = count.wrapping_add(common[i][j] as u32);
                    }
                }
            }
        }
    }
}

fn common_ones(a: &[&[u64]; REG], b: &[&[u64]; REG]) -> [[u64; REG]; REG] {
    const LANES: usize = 8;
    let len = a[0].len();
    let whole = len / LANES * LANES;
    let mut lanes = [[[0u64; LANES]; REG]; REG];
    let (mut x, mut y) = ([[0u64; LANES]; REG], [[0u64; LANES]; REG]);
    for w in (0..len).step_by(LANES) {
        for i in 0..REG {
            if w < whole {
                x[i].copy_from_slice(&a[i][w..w + LANES]);
                y[i].copy_from_slice(&b[i][w..w + LANES]);
            } else {
                x[i] = [0; LANES];
                x[i][..len - w].copy_from_slice(&a[i][w..len]);
                y[i] = [0; LANES];
                y[i][..len - w].copy_from_slice(&b[i][w..len]);
            }
        }
        for i in 0..REG {
            for j in 0..REG {
                for l in 0..LANES {
                    lanes[i][j][l] += u64::from((x[i][l] & y[j][l]).count_ones());
                }
            }
        }
    }
    lanes.map(|row| row.map(|lane| lane.iter().sum()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A mask with ones in about `density` of 8 entries, from SplitMix64.
    fn random_mask(rows: usize, width: usize, density: u64, seed: u64) -> PackedMask {
        PackedMask::from_fn(rows, width, |i, r| {
            let mut z = seed ^ (i as u64) << 32 ^ r as u64;
            for _ in 0..2 {
                z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
                z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^= z >> 31;
            }
            z % 8 < density
        })
    }

    /// Every path gives `before + common ones` for each pair on or below the diagonal.
    fn counts_are_naive(mask: &PackedMask, rows: Range<usize>, cols: Range<usize>) {
        for path in Path::available() {
            let mut counts = Counts::on(path);
            counts.of_cols.fill(7);
            counts.add(mask, &rows, &cols);
            counts.add(mask, &rows, &cols);
            counts.negate();
            for (j, col) in cols.clone().enumerate() {
                for (i, row) in rows.clone().enumerate().filter(|(_, row)| *row >= col) {
                    let want = 7 + 2 * mask.common(row, col);
                    assert_eq!(counts.col(j)[i], want.wrapping_neg(), "{path:?} ({row}, {col})");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Tiles of any shape, on the diagonal and off it, whatever the width.
        #[test]
        fn every_path_counts_common_ones(
            (first_row, rows) in (0usize..300, 1..=ROWS),
            (first_col, cols) in (0usize..200, 1..=COLS),
            width in prop_oneof![0usize..700, 3900usize..4400, 8000usize..8200],
            density in 1u64..=8,
            seed: u64,
        ) {
            let (last_row, last_col) = (first_row + rows, first_col + cols);
            let mask = random_mask(last_row.max(last_col), width, density, seed);
            counts_are_naive(&mask, first_row..last_row, first_col..last_col);
        }
    }

    /// No sum overflows where all entries are one: not in bytes, not in 16 bits.
    #[test]
    fn full_rows_are_counted_whole() {
        for width in [252, 256, 4032, 4096, 64 * 1024, 70_001, 140_000] {
            let mask = PackedMask::from_fn(5, width, |_, _| true);
            counts_are_naive(&mask, 0..5, 0..5);
        }
    }
}
