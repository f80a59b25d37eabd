//! What only instructions can do: products of tiles, and bits to tiles.
#![allow(unsafe_code)]

mod bits;

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::cell::Cell;
use std::marker::PhantomData;

use super::{Lanes, NUMBERS, PIECES, SIDE, TILES, WORDS, Words, pieces};
use crate::simd::dispatched;

pub(super) use self::bits::{Ahead, Bits, Columns, Rows};
pub(crate) use self::counts::{Buffers, counts_bytes};

/// 16 rows of 16 pairs of `bf16`, the second of a pair in the upper half.
pub(super) type Tile = [u32; NUMBERS];

/// 16 rows of 16 sums.
pub(super) type Sums = [f32; NUMBERS];

/// Blocks whose bits become tiles before they are loaded: stores that are still under way would hold up a load.
const AHEAD: usize = 2;

/// Bytes of a row of a tile.
const ROW: usize = 4 * SIDE;

/// Whether the processor has the unit, with what goes with it, and the system lets this process use it, for which it is
/// asked.
pub(crate) fn permitted() -> bool {
    let beside = std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("bmi2")
        && std::is_x86_feature_detected!("xsave");
    #[allow(unused_unsafe, reason = "the intrinsic is safe since Rust 1.94")]
    let unit = || {
        // SAFETY: a processor with AVX-512 has the instruction, and this leaf.
        let leaf = unsafe { __cpuid_count(7, 0) };
        // AMX-BF16 and AMX-TILE.
        leaf.edx >> 22 & 0b101 == 0b101
    };
    // SAFETY: the processor has xsave.
    beside && unit() && unsafe { is_kept() } && ask()
}

/// Whether the system keeps the state of tiles while other threads run.
#[target_feature(enable = "xsave")]
fn is_kept() -> bool {
    // SAFETY: whoever has xsave has the instruction.
    let kept = unsafe { _xgetbv(0) };
    kept >> 17 & 0b11 == 0b11
}

/// Asks Linux for the state of tiles, by `arch_prctl(ARCH_REQ_XCOMP_PERM, 18)`, since 5.16.
fn ask() -> bool {
    let answer: i64;
    // SAFETY: the call changes what this process may use, and nothing in its memory.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") 158_i64 => answer,
            in("rdi") 0x1023_i64,
            in("rsi") 18_i64,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

/// The shapes of the eight tiles: palette 1, each 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Shapes([u8; 64]);

const SHAPES: Shapes = {
    let mut shapes = [0; 64];
    shapes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        shapes[16 + 2 * tile] = ROW as u8;
        shapes[48 + tile] = SIDE as u8;
        tile += 1;
    }
    Shapes(shapes)
};

/// Loads a tile, stores one, and adds the product of two; rows are that many bytes apart.
macro_rules! load {
    ($tile:literal, $from:expr) => {
        load!($tile, $from, ROW)
    };
    ($tile:literal, $from:expr, $apart:expr) => {
        asm!(
            concat!("tileloadd tmm", $tile, ", [{from} + {row}*1]"),
            from = in(reg) $from,
            row = in(reg) $apart,
            options(nostack, readonly, preserves_flags),
        )
    };
}
macro_rules! store {
    ($tile:literal, $to:expr) => {
        store!($tile, $to, ROW)
    };
    ($tile:literal, $to:expr, $apart:expr) => {
        asm!(
            concat!("tilestored [{to} + {row}*1], tmm", $tile),
            to = in(reg) $to,
            row = in(reg) $apart,
            options(nostack, preserves_flags),
        )
    };
}
macro_rules! add {
    ($sums:literal, $bits:literal, $pieces:literal, $kind:ident) => {
        if $kind::LEFT {
            add!(@ $sums, $bits, $pieces)
        } else {
            add!(@ $sums, $pieces, $bits)
        }
    };
    (@ $sums:literal, $a:literal, $b:literal) => {
        asm!(
            concat!("tdpbf16ps tmm", $sums, ", tmm", $a, ", tmm", $b),
            options(nomem, nostack, preserves_flags),
        )
    };
}

macro_rules! add_bytes {
    ($sums:literal, $a:literal, $b:literal) => {
        asm!(
            concat!("tdpbuud tmm", $sums, ", tmm", $a, ", tmm", $b),
            options(nomem, nostack, preserves_flags),
        )
    };
}

mod counts;

/// The matrix unit, set up for this thread until this is dropped.
#[derive(Debug)]
pub(crate) struct Unit(PhantomData<*const ()>);

thread_local! {
    /// Whether this thread has the unit set up.
    static SET_UP: Cell<bool> = const { Cell::new(false) };
}

impl Unit {
    /// # Panics
    /// Where the unit is not on, or this thread has set it up already.
    pub(crate) fn new() -> Self {
        assert!(crate::simd::Level::Amx.on(), "no matrix unit");
        assert!(!SET_UP.replace(true), "the unit is set up");
        // SAFETY: the process may use it; no compiled code holds anything in its registers.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &SHAPES, options(nostack, readonly, preserves_flags));
        }
        Self(PhantomData)
    }

    /// `sums <- sums +` the product of bits and a factor, for [`GROUP`](super::GROUP) outputs and blocks of
    /// [`DEEP`](super::DEEP) rows.
    ///
    /// `factors` holds a tile for each block, in pieces, for one tile of columns after the other. Tile `4 c + o` of the
    /// sums has outputs `o` as its rows, and columns `c` as its own, if the bits are the left factor; else it is the
    /// transpose of that. `tiles` is room for the bits of some blocks, of all if there are several tiles of columns. For
    /// each block it asks for four lines of what lies `ahead`.
    ///
    /// # Panics
    /// If the numbers of tiles do not fit together.
    #[allow(clippy::unused_self, reason = "the unit must be set up")]
    pub(super) fn multiply<B: Bits>(
        &mut self,
        sums: &mut [Sums],
        tiles: &mut [[Tile; TILES]],
        bits: B,
        factors: &[Tile],
        mut ahead: Option<&mut Ahead<'_>>,
    ) {
        let (sums, rest) = sums.as_chunks_mut::<TILES>();
        let (count, factors) = (sums.len(), factors.as_chunks::<PIECES>().0);
        let blocks = factors.len() / count;
        assert!(rest.is_empty() && factors.len() == blocks * count, "blocks of a factor");
        assert!(tiles.len() > AHEAD && (count == 1 || tiles.len() >= blocks), "room for bits");
        assert!(bits.blocks() >= blocks, "blocks of bits");
        for (c, sums) in sums.iter_mut().enumerate() {
            let factors = &factors[c * blocks..][..blocks];
            // SAFETY: who has the unit has the instructions, and it is set up.
            unsafe {
                if c == 0 {
                    columns::<B, true>(sums, tiles, bits, factors, ahead.take());
                } else {
                    columns::<B, false>(sums, tiles, bits, factors, None);
                }
            }
        }
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        SET_UP.set(false);
        // SAFETY: it was set up.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) }
    }
}

/// Four tiles of outputs with one of columns, whose pieces `factors` holds block by block; `tiles` holds the bits, or if
/// `FRESH` they are written to it ahead, while the unit works.
///
/// # Safety
/// The unit must be set up.
#[target_feature(enable = "avx512f,avx512bw,bmi2")]
unsafe fn columns<B: Bits, const FRESH: bool>(
    sums: &mut [Sums; TILES],
    tiles: &mut [[Tile; TILES]],
    bits: B,
    factors: &[[Tile; PIECES]],
    mut ahead: Option<&mut Ahead<'_>>,
) {
    let blocks = factors.len();
    if FRESH {
        for (b, tiles) in tiles.iter_mut().enumerate().take(blocks.min(AHEAD)) {
            for quarter in 0..4 {
                // SAFETY: the unit is set up.
                unsafe { bits.expand(tiles, b, quarter) };
            }
        }
    }
    // SAFETY: all of these are whole tiles.
    unsafe {
        load!(0, sums[0].as_ptr());
        load!(1, sums[1].as_ptr());
        load!(2, sums[2].as_ptr());
        load!(3, sums[3].as_ptr());
    }
    let len = tiles.len();
    let (mut now, mut next) = (0, AHEAD % len);
    for (b, pieces) in factors.iter().enumerate() {
        // SAFETY: all of these are whole tiles.
        unsafe {
            load!(5, pieces[0].as_ptr());
            load!(6, pieces[1].as_ptr());
            load!(7, pieces[2].as_ptr());
        }
        macro_rules! quarter {
            ($quarter:literal) => {
                if FRESH {
                    if b + AHEAD < blocks {
                        // SAFETY: the unit is set up.
                        unsafe { bits.expand(&mut tiles[next], b + AHEAD, $quarter) };
                    }
                    if let Some(ahead) = &mut ahead {
                        ahead.ask();
                    }
                }
                // SAFETY: all of these are whole tiles.
                unsafe {
                    load!(4, tiles[now][$quarter].as_ptr());
                    add!($quarter, 4, 5, B);
                    add!($quarter, 4, 6, B);
                    add!($quarter, 4, 7, B);
                }
            };
        }
        quarter!(0);
        quarter!(1);
        quarter!(2);
        quarter!(3);
        now = if now + 1 == len { 0 } else { now + 1 };
        next = if next + 1 == len { 0 } else { next + 1 };
    }
    // SAFETY: all of these are whole tiles.
    unsafe {
        store!(0, sums[0].as_mut_ptr());
        store!(1, sums[1].as_mut_ptr());
        store!(2, sums[2].as_mut_ptr());
        store!(3, sums[3].as_mut_ptr());
    }
}

/// Whole tiles of factors in place of numbers.
pub(super) fn as_tiles(numbers: &mut [f32]) -> &mut [Tile] {
    let tiles = numbers.as_chunks_mut::<NUMBERS>().0;
    // SAFETY: of the same size and alignment, and any bits are a number of either kind.
    unsafe { std::slice::from_raw_parts_mut(tiles.as_mut_ptr().cast(), tiles.len()) }
}

/// Whole rows of words in place of numbers that begin at a line of the cache.
pub(super) fn as_words(numbers: &mut [f32]) -> &mut [Words] {
    assert!(numbers.as_ptr().addr().is_multiple_of(align_of::<Words>()), "a line of the cache");
    let words = numbers.as_chunks_mut::<{ 2 * WORDS }>().0;
    // SAFETY: of the same size, aligned, and any bits are a number of either kind.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len()) }
}

dispatched!(
    /// [`pieces::split_rows`].
    pub(super) fn split_rows [] (
        out: &mut [[Tile; PIECES]], apart: usize, rows: &[f32], len: usize,
    ) = pieces::split_rows, and avx512
);
dispatched!(
    /// [`pieces::turn`] of a factor.
    pub(super) fn turn [] (tile: &mut Tile) = pieces::turn::<u32>, and avx512
);
dispatched!(
    /// [`pieces::turn`] of sums.
    pub(super) fn turn_sums [] (tile: &mut Sums) = pieces::turn::<f32>, and avx512
);
dispatched!(
    /// [`pieces::dot`].
    pub(super) fn dot [] (
        part: &mut [Lanes], sums: &[Sums], x: &[f32], len: usize,
    ) = pieces::dot, and avx512
);
dispatched!(
    /// [`pieces::sum_lanes`].
    pub(super) fn sum_lanes [] (part: &mut [f32], lanes: &[Lanes]) = pieces::sum_lanes, and avx512
);
