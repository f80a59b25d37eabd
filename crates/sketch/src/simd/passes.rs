//! The passes over memory that a transform is made of.
//!
//! A pass does up to three levels on `R` rows (of a matrix, or of a vector cut into pieces) while
//! they are in registers, one column of vectors after the other. Levels always run from the
//! farthest to the nearest, so the bits don't depend on how they are gathered into passes.

use std::array::from_fn;
use std::ops::Range;

use num_traits::{Float, Zero};

use super::lanes::{Array, Lanes};

/// Longest vector done pass by pass, in bytes: half a first-level cache. Eight pieces of a longer
/// one are one pass from the next level, whatever the sizes of the caches are.
const NEAR: usize = 1 << 14;

/// Columns of a matrix in blocks of more bytes do six levels at once: an eighth of such a block would
/// have to come from memory again.
const FAR: usize = 1 << 24;

/// Bytes of each of 64 rows that six levels are done on at a time: a page, and together half a
/// second-level cache. On Zen 3 4 KiB take 0.8 to 0.9 of the time of 1 KiB, 8 KiB about the same.
const PAGE: usize = 1 << 12;

/// Vectors of a row from which on it is long: its first and last one may take longer.
const LONG: usize = 16;

/// `log2 R` levels on `v`; with `ones`, a third of the subtractions on the multipliers.
///
/// On Zen 3 a pass of eight rows takes 1.5 cycles a vector with additions alone (two a cycle), 1.3
/// so, and 1.8 with every subtraction on the multipliers: loads and stores want their share too.
///
/// # Safety
/// The CPU must have the instructions of `V`.
#[inline(always)]
unsafe fn butterflies<V: Lanes, const R: usize>(v: &mut [V; R], ones: Option<V>) {
    let mut half = R / 2;
    while half > 0 {
        for i in 0..R {
            if i & half == 0 {
                let (a, b) = (v[i], v[i | half]);
                // SAFETY: the caller has the instructions.
                unsafe {
                    let difference = match ones {
                        Some(ones) if half == 4 => a.minus_on_multipliers(b, ones),
                        _ => a.minus(b),
                    };
                    (v[i], v[i | half]) = (a.plus(b), difference);
                }
            }
        }
        half /= 2;
    }
}

/// `log2 R` levels on `R` rows of `width` scalars, `pitch` apart.
///
/// # Safety
/// The rows must be writable, `width` a multiple of `V::N`, and the CPU must have the
/// instructions of `V`.
#[inline(always)]
unsafe fn pass<V: Lanes, const R: usize>(x: *mut V::Elem, pitch: usize, width: usize, ones: V) {
    // SAFETY: passed on.
    unsafe { carry::<V, R>((x, pitch), (x, pitch), width, ones) }
}

/// [`pass`] from some rows to others, each given by the first one and the distance to the next.
///
/// Long rows are read in aligned vectors, and in narrow ones before and after: memory for large
/// slices begins 16 bytes after a line of the cache as a rule, and a vector that lies in two lines
/// is two loads. On a Zen 4 that is a fifth of a transform's time with AVX-512.
///
/// # Safety
/// As there, for both; they must be the same rows or apart.
#[inline(always)]
unsafe fn carry<V: Lanes, const R: usize>(
    from: (*mut V::Elem, usize),
    to: (*mut V::Elem, usize),
    width: usize,
    ones: V,
) {
    let ahead = unaligned::<V>(from, to, width);
    let last = if ahead == 0 { width } else { width - (V::N - ahead) };
    // SAFETY: three strips of the same rows, the first and the last of whole narrow vectors.
    unsafe {
        if ahead > 0 {
            along::<V::Narrow, R>(from, to, 0..ahead, V::Narrow::ones());
        }
        along::<V, R>(from, to, ahead..last, ones);
        if ahead > 0 {
            along::<V::Narrow, R>(from, to, last..width, V::Narrow::ones());
        }
    }
}

/// How many scalars lie before the first aligned vector of each row; zero if narrow vectors don't end
/// there, if rows differ in this, or if they are short.
#[inline(always)]
fn unaligned<V: Lanes>(
    (from, from_pitch): (*mut V::Elem, usize),
    (to, to_pitch): (*mut V::Elem, usize),
    width: usize,
) -> usize {
    let (scalar, line) = (size_of::<V::Elem>(), V::N * size_of::<V::Elem>());
    if width < LONG * V::N || (from_pitch | to_pitch) % V::N != 0 {
        return 0;
    }
    let ahead = from.addr().wrapping_neg() % line;
    let alike = from.addr() % line == to.addr() % line;
    if alike && ahead % (V::Narrow::N * scalar) == 0 { ahead / scalar } else { 0 }
}

/// [`carry`] of the columns `columns`, whole vectors of them.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn along<V: Lanes, const R: usize>(
    (from, from_pitch): (*mut V::Elem, usize),
    (to, to_pitch): (*mut V::Elem, usize),
    columns: Range<usize>,
    ones: V,
) {
    for c in columns.step_by(V::N) {
        // SAFETY: all columns are below `width`, all rows below `R`.
        unsafe {
            let mut v: [V; R] = from_fn(|i| V::load(from.add(c + i * from_pitch)));
            butterflies(&mut v, Some(ones));
            for (i, v) in v.into_iter().enumerate() {
                v.store(to.add(c + i * to_pitch));
            }
        }
    }
}

/// Six levels on 64 rows, a page of each at a time: every entry is read and written once in memory,
/// and the three levels in between are done on a copy that stays in the second-level cache.
///
/// # Safety
/// As [`pass`], and `copy` must hold 64 rows of [`PAGE`] bytes and a vector each, and a vector.
#[inline(always)]
unsafe fn far<V: Lanes>(
    x: *mut V::Elem,
    pitch: usize,
    width: usize,
    copy: &mut [V::Elem],
    ones: V,
) {
    let page = PAGE / size_of::<V::Elem>();
    // Not a power of two, so that rows of the copy don't meet in a few sets of the caches.
    let apart = page + V::N;
    assert!(copy.len() >= 64 * apart + V::N);
    let copy = copy.as_mut_ptr();
    // Where a line of the cache begins, as in the rows.
    let shift = x.addr().wrapping_sub(copy.addr()) / size_of::<V::Elem>() % V::N;
    let copy = copy.wrapping_add(shift);
    for c in (0..width).step_by(page) {
        let here = page.min(width - c);
        for row in 0..8 {
            // SAFETY: rows `row`, `row + 8`, .. of 64, and columns from `c` to below `width`.
            unsafe {
                let from = x.add(row * pitch + c);
                carry::<V, 8>((from, 8 * pitch), (copy.add(row * apart), 8 * apart), here, ones);
            }
        }
        for row in (0..64).step_by(8) {
            // SAFETY: eight rows from `row` on, and the same columns.
            unsafe {
                let to = x.add(row * pitch + c);
                carry::<V, 8>((copy.add(row * apart), apart), (to, pitch), here, ones);
            }
        }
    }
}

/// All levels of the pieces of `R` vectors that `x` consists of.
///
/// # Safety
/// `len` scalars must be writable, a multiple of `R V::N`, and the CPU must have the instructions
/// of `V`.
#[inline(always)]
unsafe fn base<V: Lanes, const R: usize>(x: *mut V::Elem, len: usize) {
    for at in (0..len).step_by(R * V::N) {
        // SAFETY: the piece lies within `len`.
        unsafe {
            let p = x.add(at);
            let mut v: [V; R] = from_fn(|i| V::load(p.add(i * V::N)));
            butterflies(&mut v, None);
            for (i, v) in v.into_iter().enumerate() {
                v.inner().store(p.add(i * V::N));
            }
        }
    }
}

/// How many of `left` levels the next pass does: three, or two or one at first so that the rest is
/// even. (Sixteen rows don't fit the registers.)
#[inline(always)]
fn next(left: u32) -> u32 {
    match left % 3 {
        0 => 3,
        1 if left > 1 => 2,
        rest => rest,
    }
}

/// All levels of a vector that is near.
///
/// # Safety
/// `len` scalars, a power of two, must be writable, and the CPU must have the instructions of `V`.
#[inline(always)]
unsafe fn near<V: Lanes>(x: *mut V::Elem, len: usize) {
    // SAFETY: every piece lies within `len`.
    unsafe {
        match len / V::N {
            0 => return tiny(std::slice::from_raw_parts_mut(x, len)),
            1 => return base::<V, 1>(x, len),
            2 => return base::<V, 2>(x, len),
            4 => return base::<V, 4>(x, len),
            8 => return base::<V, 8>(x, len),
            _ => {}
        }
        let ones = V::ones();
        let mut piece = len;
        while piece > 8 * V::N {
            let log = next((piece / (8 * V::N)).trailing_zeros());
            let stride = piece >> log;
            for at in (0..len).step_by(piece) {
                let p = x.add(at);
                match log {
                    1 => pass::<V, 2>(p, stride, stride, ones),
                    2 => pass::<V, 4>(p, stride, stride, ones),
                    _ => pass::<V, 8>(p, stride, stride, ones),
                }
            }
            piece = stride;
        }
        base::<V, 8>(x, len);
    }
}

/// All levels of fewer scalars than a vector has.
#[inline(always)]
fn tiny<T: Float>(x: &mut [T]) {
    let mut half = x.len() / 2;
    while half > 0 {
        for i in 0..x.len() {
            if i & half == 0 {
                (x[i], x[i | half]) = (x[i] + x[i | half], x[i] - x[i | half]);
            }
        }
        half /= 2;
    }
}

/// All levels of a vector.
///
/// # Safety
/// `len` scalars, a power of two, must be writable, and the CPU must have the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn vector<V: Lanes>(x: *mut V::Elem, len: usize) {
    if len * size_of::<V::Elem>() <= NEAR {
        // SAFETY: passed on.
        return unsafe { near::<V>(x, len) };
    }
    let mut leaf = len;
    while leaf * size_of::<V::Elem>() > NEAR {
        leaf /= 8;
    }
    // SAFETY: every piece lies within `len`.
    unsafe {
        for at in (0..len).step_by(leaf) {
            // The pieces that begin here, the longest first.
            let mut piece = len;
            while piece > leaf {
                let stride = piece / 8;
                if at % piece == 0 {
                    pass::<V, 8>(x.add(at), stride, stride, V::ones());
                }
                piece = stride;
            }
            near::<V>(x.add(at), leaf);
        }
    }
}

/// All levels down `width` columns of `rows` rows, `pitch` apart.
///
/// # Safety
/// `rows` must be a power of two, the rows writable, and the CPU must have the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn columns<V: Lanes>(x: *mut V::Elem, rows: usize, pitch: usize, width: usize) {
    let whole = width / V::N * V::N;
    let most = whole.max(width / 4 * 4);
    // SAFETY: the three strips lie within the rows.
    unsafe {
        if whole > 0 {
            strip::<V>(x, rows, pitch, whole);
        }
        if most > whole {
            strip::<Array<V::Elem, 4>>(x.add(whole), rows, pitch, most - whole);
        }
        if width > most {
            strip::<Array<V::Elem, 1>>(x.add(most), rows, pitch, width - most);
        }
    }
}

/// [`columns`] for a width that is a multiple of `V::N`.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn strip<V: Lanes>(x: *mut V::Elem, rows: usize, pitch: usize, width: usize) {
    let mut piece = rows;
    let mut copy = Vec::new();
    while piece >= 128 && piece * width * size_of::<V::Elem>() > FAR {
        copy.resize(64 * (PAGE / size_of::<V::Elem>() + V::N) + V::N, V::Elem::zero());
        let apart = piece / 64;
        // Rows without gaps are one long row.
        let (lines, wide) = if pitch == width { (1, apart * width) } else { (apart, width) };
        for row in (0..rows).step_by(piece).flat_map(|at| at..at + lines) {
            // SAFETY: the 64 rows lie within the piece.
            unsafe { far(x.add(row * pitch), apart * pitch, wide, &mut copy, V::ones()) };
        }
        piece = apart;
    }
    for at in (0..rows).step_by(piece) {
        // SAFETY: the pieces lie within the rows.
        unsafe { short::<V>(x.add(at * pitch), piece, pitch, width) };
    }
}

/// [`strip`] of a matrix that is no larger than [`FAR`], or of few rows.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn short<V: Lanes>(x: *mut V::Elem, rows: usize, pitch: usize, width: usize) {
    // SAFETY: every piece lies within the rows.
    unsafe {
        let ones = V::ones();
        // Two, four or eight rows, so that above them all passes do three levels.
        let log = rows.trailing_zeros();
        let leaf = if log == 0 { return } else { 1 << (log - (log - 1) / 3 * 3) };
        for at in (0..rows).step_by(leaf) {
            let mut piece = rows;
            while piece > leaf {
                let apart = piece / 8;
                if at % piece == 0 {
                    for row in at..at + apart {
                        pass::<V, 8>(x.add(row * pitch), apart * pitch, width, ones);
                    }
                }
                piece = apart;
            }
            let p = x.add(at * pitch);
            match leaf {
                2 => pass::<V, 2>(p, pitch, width, ones),
                4 => pass::<V, 4>(p, pitch, width, ones),
                _ => pass::<V, 8>(p, pitch, width, ones),
            }
        }
    }
}
