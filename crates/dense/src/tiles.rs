//! Masked products through tiles in registers: `X V^T` and the like never reach memory.
//!
//! `J v` and `J^T u` are one computation, with examples and neurons exchanged. For every lane `l`
//!
//! `sums_cl <- sums_cl + sum over s of outer_sc M_sl (sum over p of inner_sp lanes_pl)`,
//!
//! where for `J v` lanes are examples, `s` neurons, `p` inputs and `c` outputs, and for `J^T u` lanes are
//! neurons, `s` examples, `p` outputs and `c` inputs. Two vectors of lanes are a *panel*. A tile of a few
//! `s` (see [`Vector::TALL`]) by a panel is summed over `p` in registers, masked there, and stored to a
//! strip of up to [`BLOCK`] `s` that a first-level cache holds; the sum over `s` then runs down the strip,
//! as many `c` at a time, in the same loop. Operands are packed in the order in which that loop reads them, after Goto and
//! van de Geijn (*Anatomy of high-performance matrix multiplication*, 2008).

mod factor;
mod kernel;
mod pack;
mod products;
mod rectified;
mod screen;
mod simd;

pub(crate) use self::factor::factor;
pub(crate) use self::products::{adjoint, apply, gram_apply};
pub use self::rectified::{Rectified, rectified_apply};
pub(crate) use self::screen::screen;
pub(crate) use self::simd::Plain;
pub(crate) use self::simd::Vector;
#[cfg(target_arch = "x86_64")]
pub(crate) use self::simd::Wide;

/// Most `s` of a strip: whole tiles and whole words of the mask.
const BLOCK: usize = 192;

/// Most `p` that a tile is summed over before the next one is begun: a panel of them stays in a
/// first-level cache.
const DEPTH: usize = 256;

/// Numbers of a packed operand that stay in a second-level cache together.
const HELD: usize = 1 << 15;

/// Numbers that are packed at a time, where there is no need to pack all.
const PACKED: usize = 1 << 19;

/// Lanes that share a word of the mask.
const WORD: usize = 64;

/// `0 .. len` in as few groups of up to `tall` as there can be, as even as they can be.
#[inline(always)]
#[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
fn groups(len: usize, tall: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let count = len.div_ceil(tall);
    (0..count).map(move |g| len * g / count..len * (g + 1) / count)
}

/// `s` of a strip, where each takes `numbers` of the packed operands.
fn block(numbers: usize) -> usize {
    (HELD / numbers.max(1) / WORD * WORD).clamp(WORD, BLOCK)
}
