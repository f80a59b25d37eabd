//! Vectors of lanes, and the kernels compiled for their instruction sets.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod wide;

use faer::MatMut;

use super::factor::SMALL;
use super::kernel::{self, Panel, Strip};
use crate::Real;
#[cfg(target_arch = "x86_64")]
use crate::simd::Level;
use crate::simd::dispatched;

/// `LANES` scalars that are computed with at once.
///
/// # Safety
/// A value is `LANES` scalars side by side and nothing else, and any scalars are one.
pub unsafe trait Vector<T>: Copy + Send + Sync + 'static {
    /// Scalars of a vector.
    const LANES: usize;

    /// Most rows of a tile: it takes two registers of each, and three more of the operands.
    const TALL: usize;

    /// Zeros.
    fn zero() -> Self;

    /// `x` in every lane.
    fn splat(x: T) -> Self;

    /// `self + a b`, rounded once or twice.
    #[must_use]
    fn fma(self, a: Self, b: Self) -> Self;

    /// The lanes whose bits are set, zeros elsewhere.
    #[must_use]
    fn keep(self, bits: u64) -> Self;

    /// A bit for each lane above zero.
    fn positive(self) -> u64;

    /// `relu(self + delta) - relu(self)` without cancellation, and a bit for each lane of
    /// `self + delta` above zero.
    fn rectify(self, delta: Self) -> (Self, u64);

    /// The first `2 LANES` of some scalars.
    fn load(from: &[T]) -> Panel<Self>;

    /// Overwrites the first `2 LANES` of some scalars.
    fn store(panel: Panel<Self>, to: &mut [T]);

    /// Asks for the line of the cache that holds a scalar.
    fn prefetch(_near: &T) {}

    /// [`kernel::substitute`].
    fn substitute(lanes: &mut [Panel<Self>], solver: &[T]);

    /// [`kernel::update`].
    fn update(target: MatMut<'_, T>, group: &[T], lanes: &[Panel<Self>]);

    /// [`kernel::masked`].
    fn masked(of: Strip<'_, T, Self>, words: &[u64], shift: usize);

    /// [`kernel::plain`].
    fn plain(
        strip: &mut [Panel<Self>],
        inner: &[T],
        lanes: &[Panel<Self>],
        words: &mut [u64],
        shift: usize,
    );

    /// [`kernel::screen`].
    fn screen(
        strip: &mut [Panel<Self>],
        weights: (&[T], &[T]),
        lanes: &[Panel<Self>],
        words: [&mut [u64]; 2],
        shift: usize,
    );

    /// [`kernel::rectified`].
    fn rectified(of: Strip<'_, T, Self>, before: &[Panel<Self>], words: &mut [u64], shift: usize);
}

/// Something to be done with vectors of any kind.
pub(super) trait Task<T: Real> {
    fn run<V: Vector<T>>(self);
}

/// Kinds of vectors.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Plain,
}

impl Kind {
    /// Those that this machine has, widest first.
    pub(super) fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let wide = {
            let avx512 = Level::Avx512.on().then_some(Self::Avx512);
            avx512.into_iter().chain(Level::Avx2.on().then_some(Self::Avx2))
        };
        #[cfg(not(target_arch = "x86_64"))]
        let wide = std::iter::empty();
        wide.chain([Self::Plain])
    }

    /// Runs a task on vectors of this kind, one of those that are available.
    pub(super) fn run<T: Real>(self, task: impl Task<T>) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => task.run::<T::Avx512>(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => task.run::<T::Avx2>(),
            Self::Plain => task.run::<T::Plain>(),
        }
    }
}

/// Runs a task on the widest vectors.
pub(super) fn on_vectors<T: Real>(task: impl Task<T>) {
    Kind::available().next().unwrap_or(Kind::Plain).run(task);
}

/// Scalars that start at a line of the cache, as panels.
pub(super) fn panels<T: Real, V: Vector<T>>(scalars: &[T]) -> &[Panel<V>] {
    // SAFETY: a panel is scalars side by side, and any scalars are one.
    let (before, panels, after) = unsafe { scalars.align_to() };
    assert!(before.is_empty() && after.is_empty(), "panels are whole and aligned");
    panels
}

/// [`panels`], to be written to.
pub(super) fn panels_mut<T: Real, V: Vector<T>>(scalars: &mut [T]) -> &mut [Panel<V>] {
    // SAFETY: a panel is scalars side by side, and any scalars are one.
    let (before, panels, after) = unsafe { scalars.align_to_mut() };
    assert!(before.is_empty() && after.is_empty(), "panels are whole and aligned");
    panels
}

dispatched!(
    /// [`kernel::eliminate`].
    pub(super) fn eliminate [T: Real] (columns: &mut [[T; SMALL]; SMALL],) = kernel::eliminate
);

/// Arrays, which compilers turn into whatever vectors the target has.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Plain<T, const N: usize>([T; N]);

macro_rules! plain {
    ($t:ty, $n:literal) => {
        // SAFETY: an array of scalars.
        unsafe impl Vector<$t> for Plain<$t, $n> {
            const LANES: usize = $n;
            const TALL: usize = 6;

            #[inline(always)]
            fn zero() -> Self {
                Self([0.0; $n])
            }

            #[inline(always)]
            fn splat(x: $t) -> Self {
                Self([x; $n])
            }

            #[inline(always)]
            fn fma(self, a: Self, b: Self) -> Self {
                // Without the instruction, a call for each.
                let fma = cfg!(any(target_feature = "fma", target_arch = "aarch64"));
                Self(std::array::from_fn(|l| {
                    if fma {
                        a.0[l].mul_add(b.0[l], self.0[l])
                    } else {
                        self.0[l] + a.0[l] * b.0[l]
                    }
                }))
            }

            #[inline(always)]
            fn keep(self, bits: u64) -> Self {
                Self(std::array::from_fn(|l| if bits >> l & 1 == 1 { self.0[l] } else { 0.0 }))
            }

            #[inline(always)]
            fn positive(self) -> u64 {
                (0..$n).fold(0, |bits, l| bits | u64::from(self.0[l] > 0.0) << l)
            }

            #[inline(always)]
            fn rectify(self, delta: Self) -> (Self, u64) {
                let sums = Self(std::array::from_fn(|l| self.0[l] + delta.0[l]));
                let change = |l: usize| match (sums.0[l] > 0.0, self.0[l] > 0.0) {
                    (true, true) => delta.0[l],
                    (true, false) => sums.0[l],
                    (false, true) => -self.0[l],
                    (false, false) => 0.0,
                };
                (Self(std::array::from_fn(change)), sums.positive())
            }

            #[inline(always)]
            fn load(from: &[$t]) -> Panel<Self> {
                let (first, rest) = from.split_first_chunk().expect("two vectors");
                [Self(*first), Self(*rest.first_chunk().expect("two vectors"))]
            }

            #[inline(always)]
            fn store(panel: Panel<Self>, to: &mut [$t]) {
                to[..$n].copy_from_slice(&panel[0].0);
                to[$n..2 * $n].copy_from_slice(&panel[1].0);
            }

            fn substitute(lanes: &mut [Panel<Self>], solver: &[$t]) {
                kernel::substitute(lanes, solver);
            }

            fn update(target: MatMut<'_, $t>, group: &[$t], lanes: &[Panel<Self>]) {
                kernel::update(target, group, lanes);
            }

            fn masked(of: Strip<'_, $t, Self>, words: &[u64], shift: usize) {
                kernel::masked(of, words, shift);
            }

            fn plain(
                strip: &mut [Panel<Self>],
                inner: &[$t],
                lanes: &[Panel<Self>],
                words: &mut [u64],
                shift: usize,
            ) {
                kernel::plain(strip, inner, lanes, words, shift);
            }

            fn screen(
                strip: &mut [Panel<Self>],
                weights: (&[$t], &[$t]),
                lanes: &[Panel<Self>],
                words: [&mut [u64]; 2],
                shift: usize,
            ) {
                kernel::screen(strip, weights, lanes, words, shift);
            }

            fn rectified(
                of: Strip<'_, $t, Self>,
                before: &[Panel<Self>],
                words: &mut [u64],
                shift: usize,
            ) {
                kernel::rectified(of, before, words, shift);
            }
        }
    };
}

plain!(f32, 8);
plain!(f64, 4);

/// A register of AVX2 or AVX-512; [`Kind`] is what names it, where the CPU has the instructions.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Wide<R>(R);

#[cfg(test)]
mod tests {
    use super::*;

    /// Masks and rectified changes by their definitions; all numbers are sums of few powers of two, so
    /// nothing rounds.
    struct LaneByLane(usize);

    impl<T: Real> Task<T> for LaneByLane {
        fn run<V: Vector<T>>(self) {
            let some = |numbers: &[f64]| -> Vec<T> {
                let cycle = numbers.iter().cycle().skip(self.0 % numbers.len());
                cycle.take(2 * V::LANES).map(|&x| T::of(x)).collect()
            };
            let zero = T::of(0.0);
            let (x, delta) = (some(&[1.5, -1.5, 0.0, 0.25]), some(&[-2.0, 0.5, 3.0, -0.125, 2.0]));
            let kept = 0x9a35_71c6_d20f_e84b_u64.rotate_left(self.0 as u32);
            let ([a, b], [c, d]) = (V::load(&x), V::load(&delta));
            let ((first, low), (second, high)) = (a.rectify(c), b.rectify(d));
            let mut found = [(); 2].map(|()| vec![zero; 2 * V::LANES]);
            V::store([first, second], &mut found[0]);
            V::store([a.keep(kept), b.keep(kept >> V::LANES)], &mut found[1]);
            let positive = a.positive() | b.positive() << V::LANES;
            for l in 0..2 * V::LANES {
                let (sum, bit) = (x[l] + delta[l], |bits: u64| bits >> l & 1 == 1);
                let change = sum.max(zero) - x[l].max(zero);
                assert!(found[0][l] == change, "{} {}: lane {l}", T::NAME, V::LANES);
                assert_eq!(bit(low | high << V::LANES), sum > zero, "{} {}", T::NAME, V::LANES);
                let masked = if bit(kept) { x[l] } else { zero };
                assert!(found[1][l] == masked, "{} {}: lane {l}", T::NAME, V::LANES);
                assert_eq!(bit(positive), x[l] > zero, "{} {}", T::NAME, V::LANES);
            }
        }
    }

    #[test]
    fn every_kind_does_what_it_says() {
        for (kind, shift) in Kind::available().flat_map(|kind| (0..20).map(move |s| (kind, s))) {
            kind.run::<f32>(LaneByLane(shift));
            kind.run::<f64>(LaneByLane(shift));
        }
    }
}
