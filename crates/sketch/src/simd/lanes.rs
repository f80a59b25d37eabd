//! Vectors of a few scalars: what the kernels ask of them, and the portable kind.
//!
//! The kinds made of vector instructions are in `x86.rs`.

use std::array::from_fn;

use num_traits::Float;

/// `N` scalars that are added and subtracted together.
///
/// Every kind gives the same bits: each operation rounds once, and none is reassociated.
pub(crate) trait Lanes: Copy {
    /// The scalar.
    type Elem: Float;

    /// Number of lanes, a power of two.
    const N: usize;

    /// Vectors of 16 bytes, which end where vectors of this kind are aligned; or this kind.
    type Narrow: Lanes<Elem = Self::Elem>;

    /// `N` scalars from `p` on.
    ///
    /// # Safety
    /// They must be readable, and the CPU must have the instructions of this kind.
    unsafe fn load(p: *const Self::Elem) -> Self;

    /// Writes `N` scalars from `p` on.
    ///
    /// # Safety
    /// They must be writable, and the CPU must have the instructions of this kind.
    unsafe fn store(self, p: *mut Self::Elem);

    /// All lanes 1, in a way that the compiler doesn't see through; see
    /// [`minus_on_multipliers`](Self::minus_on_multipliers).
    ///
    /// # Safety
    /// The CPU must have the instructions of this kind.
    unsafe fn ones() -> Self;

    /// `self + other`.
    ///
    /// # Safety
    /// The CPU must have the instructions of this kind.
    unsafe fn plus(self, other: Self) -> Self;

    /// `self - other`.
    ///
    /// # Safety
    /// The CPU must have the instructions of this kind.
    unsafe fn minus(self, other: Self) -> Self;

    /// `self - ones other`, which has the same bits as [`minus`](Self::minus), but can run on the
    /// multipliers beside the additions.
    ///
    /// # Safety
    /// The CPU must have the instructions of this kind.
    unsafe fn minus_on_multipliers(self, other: Self, ones: Self) -> Self;

    /// All lanes `x`.
    ///
    /// # Safety
    /// The CPU must have the instructions of this kind.
    unsafe fn splat(x: Self::Elem) -> Self;

    /// The products of the lanes.
    ///
    /// # Safety
    /// The CPU must have the instructions of this kind.
    unsafe fn times(self, other: Self) -> Self;

    /// `self + signs other`, the signs 1 or -1: rounded once, whether or not in one instruction.
    ///
    /// # Safety
    /// The CPU must have the instructions of this kind.
    unsafe fn plus_signed(self, other: Self, signs: Self) -> Self;

    /// Lanes whose number has the bit `half` in `self` exchanged with those that have it not in `other`: one level of the
    /// transposition of `N` vectors.
    ///
    /// # Safety
    /// The CPU must have the instructions of this kind.
    unsafe fn exchange(self, other: Self, half: usize) -> (Self, Self);

    /// The transform of the `N` lanes, farthest level first.
    ///
    /// # Safety
    /// The CPU must have the instructions of this kind.
    unsafe fn inner(self) -> Self;
}

/// The portable kind: an array, for the compiler to make vectors of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Array<T, const N: usize>([T; N]);

impl<T: Float, const N: usize> Lanes for Array<T, N> {
    type Elem = T;

    const N: usize = N;

    type Narrow = Self;

    // SAFETY: as the trait asks.
    #[inline(always)]
    unsafe fn load(p: *const T) -> Self {
        // SAFETY: `N` scalars are readable, and an array of them is aligned like one.
        Self(unsafe { p.cast::<[T; N]>().read() })
    }

    // SAFETY: as the trait asks.
    #[inline(always)]
    unsafe fn store(self, p: *mut T) {
        // SAFETY: `N` scalars are writable, and an array of them is aligned like one.
        unsafe { p.cast::<[T; N]>().write(self.0) }
    }

    // SAFETY: as the trait asks.
    #[inline(always)]
    unsafe fn ones() -> Self {
        Self([T::one(); N])
    }

    // SAFETY: as the trait asks.
    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        Self(from_fn(|i| self.0[i] + other.0[i]))
    }

    // SAFETY: as the trait asks.
    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        Self(from_fn(|i| self.0[i] - other.0[i]))
    }

    // SAFETY: as the trait asks.
    #[inline(always)]
    unsafe fn minus_on_multipliers(self, other: Self, _: Self) -> Self {
        Self(from_fn(|i| self.0[i] - other.0[i]))
    }

    // SAFETY: as the trait asks.
    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        Self([x; N])
    }

    // SAFETY: as the trait asks.
    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        Self(from_fn(|i| self.0[i] * other.0[i]))
    }

    // SAFETY: as the trait asks.
    #[inline(always)]
    unsafe fn plus_signed(self, other: Self, signs: Self) -> Self {
        Self(from_fn(|i| self.0[i] + signs.0[i] * other.0[i]))
    }

    // SAFETY: as the trait asks.
    #[inline(always)]
    unsafe fn exchange(self, other: Self, half: usize) -> (Self, Self) {
        let (a, b) = (self.0, other.0);
        let low = from_fn(|i| if i & half == 0 { a[i] } else { b[i ^ half] });
        let high = from_fn(|i| if i & half == 0 { a[i | half] } else { b[i] });
        (Self(low), Self(high))
    }

    // SAFETY: as the trait asks.
    #[inline(always)]
    unsafe fn inner(self) -> Self {
        let mut x = self.0;
        let mut half = N / 2;
        while half > 0 {
            x = from_fn(|i| if i & half == 0 { x[i] + x[i | half] } else { x[i ^ half] - x[i] });
            half /= 2;
        }
        Self(x)
    }
}
