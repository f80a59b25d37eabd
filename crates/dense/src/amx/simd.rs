//! What only instructions can do: products of tiles, and bits to tiles.
#![allow(unsafe_code)]

mod bits;
mod numbers;

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::cell::Cell;
use std::marker::PhantomData;

use super::{GROUP, NUMBERS, PAIR, PIECES, SIDE, TILES, WORDS, Words, pieces};
use crate::simd::dispatched;

use self::bits::expand;
pub(super) use self::bits::{Ahead, Bits, LINE, Turned};
pub(crate) use self::counts::Buffers;
pub(super) use self::numbers::split_rows;

/// 16 rows of 16 times four bytes, the first of four the lowest.
pub(super) type Tile = [u32; NUMBERS];

/// 16 rows of 16 sums.
pub(super) type Sums = [i32; NUMBERS];

/// Sums of two tiles of outputs, each in pieces.
pub(super) type Pair = [[Sums; PIECES]; PAIR];

/// Blocks whose bits become tiles before they are loaded: stores that are still under way would hold up a load.
const AHEAD: usize = 2;

/// Bytes of a row of a tile.
const ROW: usize = 4 * SIDE;

/// Whether the processor has the unit, with what goes with it, and the system lets this process use it, for which it is
/// asked.
pub(crate) fn permitted() -> bool {
    let beside = std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512vbmi")
        && std::is_x86_feature_detected!("gfni")
        && std::is_x86_feature_detected!("xsave");
    #[allow(unused_unsafe, reason = "the intrinsic is safe since Rust 1.94")]
    let unit = || {
        // SAFETY: a processor with AVX-512 has the instruction, and this leaf.
        let leaf = unsafe { __cpuid_count(7, 0) };
        // AMX-TILE and AMX-INT8.
        leaf.edx >> 24 & 0b11 == 0b11
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
    ($sums:literal, $bits:literal, $pieces:literal) => {
        asm!(
            concat!("tdpbssd tmm", $sums, ", tmm", $bits, ", tmm", $pieces),
            options(nomem, nostack, preserves_flags),
        )
    };
}
macro_rules! clear {
    ($tile:literal) => {
        asm!(concat!("tilezero tmm", $tile), options(nomem, nostack, preserves_flags))
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

    /// `sums <- sums +` the product of bits and a factor, for [`GROUP`] outputs and blocks of [`DEEP`](super::DEEP) rows from `from` on; if
    /// `anew`, the sums are the product alone.
    ///
    /// `factors` holds a tile for each block, in pieces, for one tile of columns after the other, and `sums` two pairs of tiles
    /// of outputs for each of these. `tiles` is room for the bits of some blocks, of all if there are several tiles of columns.
    /// For each block it asks for some lines of what lies `ahead`.
    ///
    /// # Panics
    /// If the numbers of tiles do not fit together.
    #[allow(clippy::unused_self, reason = "the unit must be set up")]
    pub(super) fn multiply<B: Bits>(
        &mut self,
        (sums, anew): (&mut [[Pair; TILES / PAIR]], bool),
        tiles: &mut [[Tile; PAIR]],
        (bits, from): (B, usize),
        factors: &[[Tile; PIECES]],
        mut ahead: Option<&mut Ahead<'_>>,
    ) {
        let count = sums.len();
        let blocks = factors.len() / count;
        assert!(factors.len() == blocks * count, "blocks of a factor");
        assert!(tiles.len() > AHEAD && (count == 1 || tiles.len() >= blocks), "room for bits");
        assert!(bits.blocks() >= from + blocks, "blocks of bits");
        for pair in 0..TILES / PAIR {
            let outputs = Outputs { bits, from, first: pair * PAIR * SIDE };
            for (c, sums) in sums.iter_mut().enumerate() {
                let factors = &factors[c * blocks..][..blocks];
                let sums = (&mut sums[pair], anew);
                // SAFETY: who has the unit has the instructions, and it is set up.
                unsafe {
                    if c == 0 {
                        let ahead = ahead.as_deref_mut();
                        columns::<B, true>(sums, tiles, outputs, factors, ahead);
                    } else {
                        columns::<B, false>(sums, tiles, outputs, factors, None);
                    }
                }
            }
        }
    }
}

/// Bits of two tiles of outputs from `first` on, block by block from `from` on.
#[derive(Clone, Copy)]
struct Outputs<B> {
    bits: B,
    from: usize,
    first: usize,
}

impl Drop for Unit {
    fn drop(&mut self) {
        SET_UP.set(false);
        // SAFETY: it was set up.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) }
    }
}

/// Two tiles of outputs with one of columns, whose pieces `factors` holds block by block; `tiles` holds the bits, or if
/// `FRESH` they are written to it ahead, while the unit works.
///
/// # Safety
/// The unit must be set up.
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn columns<B: Bits, const FRESH: bool>(
    (sums, anew): (&mut Pair, bool),
    tiles: &mut [[Tile; PAIR]],
    Outputs { bits, from, first }: Outputs<B>,
    factors: &[[Tile; PIECES]],
    mut ahead: Option<&mut Ahead<'_>>,
) {
    let blocks = factors.len();
    if FRESH {
        for (b, tiles) in tiles.iter_mut().enumerate().take(blocks.min(AHEAD)) {
            for quarter in 0..4 {
                // SAFETY: the unit is set up.
                unsafe { expand(tiles, bits, from + b, first, quarter) };
            }
        }
    }
    // SAFETY: all of these are whole tiles.
    unsafe {
        if anew {
            clear!(0);
            clear!(1);
            clear!(2);
            clear!(3);
            clear!(4);
            clear!(5);
        } else {
            load!(0, sums[0][0].as_ptr());
            load!(1, sums[0][1].as_ptr());
            load!(2, sums[0][2].as_ptr());
            load!(3, sums[1][0].as_ptr());
            load!(4, sums[1][1].as_ptr());
            load!(5, sums[1][2].as_ptr());
        }
    }
    let len = tiles.len();
    let (mut now, mut next) = (0, AHEAD % len);
    for (b, pieces) in factors.iter().enumerate() {
        macro_rules! quarter {
            ($quarter:literal) => {
                if FRESH {
                    if b + AHEAD < blocks {
                        // SAFETY: the unit is set up.
                        unsafe {
                            expand(&mut tiles[next], bits, from + b + AHEAD, first, $quarter);
                        }
                    }
                    if let Some(ahead) = &mut ahead {
                        ahead.ask();
                    }
                }
            };
        }
        // SAFETY: all of these are whole tiles.
        unsafe {
            load!(6, tiles[now][0].as_ptr());
            load!(7, pieces[0].as_ptr());
            add!(0, 6, 7);
        }
        quarter!(0);
        // SAFETY: as before.
        unsafe {
            load!(7, pieces[1].as_ptr());
            add!(1, 6, 7);
        }
        quarter!(1);
        // SAFETY: as before.
        unsafe {
            load!(7, pieces[2].as_ptr());
            add!(2, 6, 7);
            load!(6, tiles[now][1].as_ptr());
            add!(5, 6, 7);
        }
        quarter!(2);
        // SAFETY: as before.
        unsafe {
            load!(7, pieces[1].as_ptr());
            add!(4, 6, 7);
        }
        quarter!(3);
        // SAFETY: as before.
        unsafe {
            load!(7, pieces[0].as_ptr());
            add!(3, 6, 7);
        }
        now = if now + 1 == len { 0 } else { now + 1 };
        next = if next + 1 == len { 0 } else { next + 1 };
    }
    // SAFETY: all of these are whole tiles.
    unsafe {
        store!(0, sums[0][0].as_mut_ptr());
        store!(1, sums[0][1].as_mut_ptr());
        store!(2, sums[0][2].as_mut_ptr());
        store!(3, sums[1][0].as_mut_ptr());
        store!(4, sums[1][1].as_mut_ptr());
        store!(5, sums[1][2].as_mut_ptr());
    }
}

/// Whole arrays of words or bytes in place of numbers.
macro_rules! in_place {
    ($name:ident: [$item:ty; $count:expr]) => {
        pub(super) fn $name(numbers: &mut [f32]) -> &mut [$item] {
            const { assert!(size_of::<$item>() == 4 * $count) };
            let aligned = numbers.as_ptr().addr().is_multiple_of(align_of::<$item>());
            assert!(aligned, "a line of the cache");
            let items = numbers.as_chunks_mut::<{ $count }>().0;
            // SAFETY: of the same size, aligned, and any bits are a number of either kind.
            unsafe { std::slice::from_raw_parts_mut(items.as_mut_ptr().cast(), items.len()) }
        }
    };
}

in_place!(as_tiles: [Tile; NUMBERS]);
in_place!(as_sums: [[Pair; TILES / PAIR]; TILES * PIECES * NUMBERS]);
in_place!(as_words: [Words; 2 * WORDS]);
in_place!(as_turned: [Turned; 2 * GROUP]);

dispatched!(
    /// [`pieces::raise`].
    pub(super) fn raise [] (largest: &mut [f32], row: &[f32]) = pieces::raise, and avx512
);
