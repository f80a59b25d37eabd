//! Operands of any size: noise that depends on nothing but the place.

use faer::{Mat, MatRef, Par};
use nearlin::Element;
use nearlin_dense::{PackedMask, Real};

use super::model::Precision;

/// Columns of a panel in products that would not fit into memory as a whole.
pub(super) const PANEL: usize = 4096;

/// The name of a scalar type as a value.
pub(super) fn precision<T: Element>() -> Precision {
    match T::NAME {
        "f32" => Precision::F32,
        _ => Precision::F64,
    }
}

/// `SplitMix64` of a counter.
fn hash(i: usize) -> u64 {
    let mut z = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// A matrix with entries in `[-1, 1)`.
pub(crate) fn noise<T: Element>(rows: usize, cols: usize) -> Mat<T> {
    Mat::from_fn(rows, cols, |i, j| scalar(hash(1 + i + j * rows)))
}

/// A vector with entries in `[-1, 1)`.
pub(crate) fn noise_vec<T: Element>(len: usize) -> Vec<T> {
    (0..len).map(|i| scalar(hash(1 + i))).collect()
}

fn scalar<T: Element>(bits: u64) -> T {
    <T as Real>::of((bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
}

/// Signs, one or the other with equal chances.
pub(crate) fn signs<T: Element>(len: usize) -> Vec<T> {
    let sign = |i| if hash(1 + i) & 1 == 0 { 1.0 } else { -1.0 };
    (0..len).map(|i| <T as Real>::of(sign(i))).collect()
}

/// An `n x m` mask, half of it ones; `m` is a multiple of 64.
pub(crate) fn mask(n: usize, m: usize) -> PackedMask {
    assert!(m.is_multiple_of(64), "the last word of a row is filled like the others");
    let mut mask = PackedMask::zeros(n, m);
    mask.words_mut().iter_mut().enumerate().for_each(|(i, word)| *word = hash(1 + i));
    mask
}

/// The mask with signs flipped: of every neuron whose number is a multiple of `neurons` one example in
/// `signs`, by chance.
pub(super) fn flipped(mask: &PackedMask, neurons: usize, signs: usize) -> PackedMask {
    let mut flipped = mask.clone();
    let row_words = mask.words_per_row();
    for (index, word) in flipped.words_mut().iter_mut().enumerate() {
        let first = 64 * (index % row_words);
        let bits = (first.next_multiple_of(neurons)..first + 64).step_by(neurons);
        let chosen = bits.filter(|bit| hash(64 * index + bit - first).is_multiple_of(signs as u64));
        *word ^= chosen.fold(0, |word, bit| word | 1 << (bit - first));
    }
    flipped
}

/// `out <- a b`, or `out <- out + a b`.
pub(super) fn gemm<T: Element>(
    out: faer::MatMut<'_, T>,
    add: bool,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    par: Par,
) {
    let accum = if add { faer::Accum::Add } else { faer::Accum::Replace };
    faer::linalg::matmul::matmul(out, accum, a, b, <T as Real>::of(1.0), par);
}
