//! What neurons that start from one direction share: all of the mask but the entries that flipped.
//!
//! Neurons `q, q + p, q + 2 p, ..` start from the same direction and are active for the same examples,
//! until training flips the signs of a few entries. With `B` the mask of the `p` directions and `E` the
//! flips, `M = B + E` and
//!
//! `(J v)_ik = sum over q of B_iq x_i . (sum over copies r of a_rk v_r) + sum over r of E_ir a_rk x_i . v_r`,
//!
//! so a pass takes `K` passes of one output over `p` neurons, by table look-up, and a term for each flip.
//! With orthogonal signs of order `h`, `p = m / 2h`: for ten outputs `K p` is less than a third of `m`. (Passes over all
//! neurons take one of one output over `m` of them then, as their signs are few rows; with signs that are many, more.)

use faer::{MatMut, MatRef, Par};
use nearlin_dense::{
    MaskFlips, PackedMask, Real, are_few_classes, combine_rows, for_each_col_chunk,
    for_each_row_chunk, masked_adjoint, masked_apply,
};

use crate::Network;

/// Cost of a flip, in multiply-adds of a pass through tables, for each input and output: it reads a row of
/// weights and one of inputs from anywhere.
const FLIP: f64 = 16.0;

const FITS: &str = "the Jacobian checks its operands";

/// Least number of directions for which tables pay.
pub(crate) const DIRECTIONS: usize = 128;

/// The mask `B` of the directions, and the flips against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shared {
    /// n x p.
    base: PackedMask,
    copies: usize,
    flips: MaskFlips,
}

impl Shared {
    /// What the neurons of `mask : n x m` share, `copies` to a direction; `None` where it saves nothing
    /// for `d` inputs and output signs `m x K`.
    fn of(mask: &PackedMask, copies: usize, inputs: usize, signs: MatRef<'_, f64>) -> Option<Self> {
        let (n, m) = (mask.nrows(), mask.width());
        if copies < 2 || !m.is_multiple_of(copies) {
            return None;
        }
        let p = m / copies;
        if p < DIRECTIONS || !p.is_multiple_of(64) || n < DIRECTIONS {
            return None;
        }
        // In multiply-adds of a pass through tables, some six to one of a pass through tiles.
        let (n_f, m_f) = (n as f64, m as f64);
        let (d, k) = (inputs as f64, signs.ncols() as f64);
        let tables = are_few_classes(signs);
        let plain = if tables { n_f * m_f * d } else { 6.0 * n_f * m_f * (d + k) };
        let most = (plain - n_f * p as f64 * d * k) / (FLIP * (d + k));
        // A third less, or it is not worth the lists.
        let most = (most - plain / 3.0 / (FLIP * (d + k))).max(0.0);

        let words = p / 64;
        let mut base = PackedMask::zeros(n, p);
        let mut flips: Vec<(u32, u32, bool)> = Vec::new();
        for (i, target) in base.words_mut().chunks_exact_mut(words).enumerate() {
            let row = mask.row(i);
            for (w, word) in target.iter_mut().enumerate() {
                *word = majority(&(0..copies).map(|c| row[c * words + w]), copies);
            }
            for (at, &word) in row.iter().enumerate() {
                let mut changed = word ^ target[at % words];
                while changed != 0 {
                    let bit = changed.trailing_zeros();
                    let on = word >> bit & 1 == 1;
                    flips.push((i as u32, 64 * at as u32 + bit, on));
                    changed &= changed - 1;
                }
            }
            if flips.len() as f64 > most {
                return None;
            }
        }
        Some(Self { base, copies, flips: MaskFlips::new(n, m, &flips) })
    }

    /// `y <- alpha J v`, as [`masked_apply`] has it for the whole mask.
    pub(crate) fn apply<T: Real>(
        &self,
        mut y: MatMut<'_, T>,
        x: MatRef<'_, T>,
        v: MatRef<'_, T>,
        signs: MatRef<'_, T>,
        alpha: T,
        par: Par,
    ) {
        apply_base(y.as_mut(), (&self.base, self.copies), x, v, signs, alpha, par);
        self.flips.apply(y, x, v, signs, alpha, par).expect(FITS);
    }

    /// `v <- alpha J^T u`, as [`masked_adjoint`] has it for the whole mask.
    pub(crate) fn adjoint<T: Real>(
        &self,
        mut v: MatMut<'_, T>,
        x: MatRef<'_, T>,
        u: MatRef<'_, T>,
        signs: MatRef<'_, T>,
        alpha: T,
        par: Par,
    ) {
        let (p, d, k) = (self.base.width(), x.ncols(), signs.ncols());
        T::with_buffer(p * (k * d + 1), |buffer| {
            let (sums, ones) = buffer.split_at_mut(p * k * d);
            ones.fill(T::of(1.0));
            let ones = MatRef::from_column_major_slice(ones, p, 1);
            // Row q of block k is the sum over examples i of B_iq u_ik x_i.
            let blocks = MatMut::from_row_major_slice_mut(sums, k * p, d);
            for_each_row_chunk(blocks, p, par, |first, sums| {
                let u = u.subcols(first / p, 1);
                masked_adjoint(sums, &self.base, x, u, ones, alpha, par).expect(FITS);
            });
            let sums = MatRef::from_row_major_slice(sums, k * p, d);
            let output = |r: usize, output: usize| (signs[(r, output)], output * p + r % p);
            combine_rows(v.as_mut(), sums, k, output, par).expect(FITS);
        });
        self.flips.adjoint(v, x, u, signs, alpha, par).expect(FITS);
    }
}

/// `y <- alpha J_B v` of the mask `base : n x p`, repeated for every copy.
pub(crate) fn apply_base<T: Real>(
    mut y: MatMut<'_, T>,
    (base, copies): (&PackedMask, usize),
    x: MatRef<'_, T>,
    v: MatRef<'_, T>,
    signs: MatRef<'_, T>,
    alpha: T,
    par: Par,
) {
    let (p, d, k) = (base.width(), x.ncols(), signs.ncols());
    T::with_buffer(p * (k * d + 1), |buffer| {
        let (sums, ones) = buffer.split_at_mut(p * k * d);
        ones.fill(T::of(1.0));
        // Row q of block k is the sum over copies r of a_rk v_r.
        let copy = |at: usize, c: usize| {
            let r = c * p + at % p;
            (signs[(r, at / p)], r)
        };
        let blocks = MatMut::from_row_major_slice_mut(sums, k * p, d);
        combine_rows(blocks, v, copies, copy, par).expect(FITS);
        let ones = MatRef::from_column_major_slice(ones, p, 1);
        let sums = MatRef::from_row_major_slice(sums, k * p, d);
        for_each_col_chunk(y.as_mut(), 1, par, |output, y| {
            let sums = sums.subrows(output * p, p);
            masked_apply(y, base, x, sums, ones, alpha, par).expect(FITS);
        });
    });
}

/// Bit by bit, the value that more than half of the `count` words have; 1 where it is half.
fn majority(words: &(impl Iterator<Item = u64> + Clone), count: usize) -> u64 {
    let (all, any) = words.clone().fold((u64::MAX, 0), |(all, any), w| (all & w, any | w));
    let (mut found, mut mixed) = (all, all ^ any);
    while mixed != 0 {
        let bit = mixed.trailing_zeros();
        let ones = words.clone().filter(|w| w >> bit & 1 == 1).count();
        found |= u64::from(2 * ones >= count) << bit;
        mixed &= mixed - 1;
    }
    found
}

/// An activation mask, with what its neurons share where that makes the Jacobian's passes cheaper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activations {
    mask: PackedMask,
    shared: Option<Shared>,
}

impl Activations {
    /// Of neurons with so many inputs that start from `m / copies` directions, and have the rows of `signs : m x K` in the
    /// outputs.
    #[must_use]
    pub fn new(mask: PackedMask, copies: usize, inputs: usize, signs: MatRef<'_, f64>) -> Self {
        let shared = Shared::of(&mask, copies, inputs, signs);
        Self { mask, shared }
    }

    /// Of a network, whose mask it is.
    #[must_use]
    pub fn of(mask: PackedMask, network: &Network) -> Self {
        let shape = (network.width(), network.outputs());
        let signs = MatRef::from_row_major_slice(network.signs(), shape.0, shape.1);
        Self::new(mask, network.copies(), network.inputs(), signs)
    }

    /// The mask, n x m.
    #[must_use]
    pub fn mask(&self) -> &PackedMask {
        &self.mask
    }

    /// Whether the Jacobian's passes go over directions and flips instead of neurons.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    pub(crate) fn shared(&self) -> Option<&Shared> {
        self.shared.as_ref()
    }
}

/// A mask whose neurons share nothing.
impl From<PackedMask> for Activations {
    fn from(mask: PackedMask) -> Self {
        Self { mask, shared: None }
    }
}
