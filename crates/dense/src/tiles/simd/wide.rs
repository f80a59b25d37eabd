//! Registers as vectors: the kernels compiled with the instructions that the registers take.
#![allow(unsafe_code)]

use std::arch::x86_64::{__m256, __m256d, __m512, __m512d, _MM_HINT_T0, _mm_prefetch};

use faer::MatMut;

use super::{Panel, Strip, Vector, Wide, avx2, avx512, kernel};

/// Vectors of `$lanes` scalars in a register, by the functions of a module.
macro_rules! wide {
    ($t:ty, $register:ty, $lanes:literal, $set:ident::$ops:ident, $tall:literal, $features:literal) => {
        // SAFETY: a register of scalars.
        unsafe impl Vector<$t> for Wide<$register> {
            const LANES: usize = $lanes;
            const TALL: usize = $tall;

            #[inline(always)]
            fn zero() -> Self {
                // SAFETY: the type is only named where the CPU has the instructions.
                Self(unsafe { $set::$ops::zero() })
            }

            #[inline(always)]
            fn splat(x: $t) -> Self {
                // SAFETY: the type is only named where the CPU has the instructions.
                Self(unsafe { $set::$ops::splat(x) })
            }

            #[inline(always)]
            fn fma(self, a: Self, b: Self) -> Self {
                // SAFETY: the type is only named where the CPU has the instructions.
                Self(unsafe { $set::$ops::fma(self.0, a.0, b.0) })
            }

            #[inline(always)]
            fn keep(self, bits: u64) -> Self {
                // SAFETY: the type is only named where the CPU has the instructions.
                Self(unsafe { $set::$ops::keep(self.0, bits) })
            }

            #[inline(always)]
            fn positive(self) -> u64 {
                // SAFETY: the type is only named where the CPU has the instructions.
                unsafe { $set::$ops::positive(self.0) }
            }

            #[inline(always)]
            fn rectify(self, delta: Self) -> (Self, u64) {
                // SAFETY: the type is only named where the CPU has the instructions.
                let (change, bits) = unsafe { $set::$ops::rectify(self.0, delta.0) };
                (Self(change), bits)
            }

            #[inline(always)]
            fn load(from: &[$t]) -> Panel<Self> {
                let (first, rest) = from.split_first_chunk().expect("two vectors");
                let second = rest.first_chunk().expect("two vectors");
                // SAFETY: the type is only named where the CPU has the instructions.
                unsafe { [Self($set::$ops::load(first)), Self($set::$ops::load(second))] }
            }

            #[inline(always)]
            fn store([a, b]: Panel<Self>, to: &mut [$t]) {
                let (first, rest) = to.split_first_chunk_mut().expect("two vectors");
                let second = rest.first_chunk_mut().expect("two vectors");
                // SAFETY: the type is only named where the CPU has the instructions.
                unsafe {
                    $set::$ops::store(a.0, first);
                    $set::$ops::store(b.0, second);
                }
            }

            #[inline(always)]
            fn prefetch(near: &$t) {
                // SAFETY: any address may be asked for.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(near).cast()) }
            }

            fn substitute(lanes: &mut [Panel<Self>], solver: &[$t]) {
                #[target_feature(enable = $features)]
                fn run(lanes: &mut [Panel<Wide<$register>>], solver: &[$t]) {
                    kernel::substitute(lanes, solver);
                }
                // SAFETY: the type is only named where the CPU has the instructions.
                unsafe { run(lanes, solver) }
            }

            fn update(target: MatMut<'_, $t>, group: &[$t], lanes: &[Panel<Self>]) {
                #[target_feature(enable = $features)]
                fn run(target: MatMut<'_, $t>, group: &[$t], lanes: &[Panel<Wide<$register>>]) {
                    kernel::update(target, group, lanes);
                }
                // SAFETY: the type is only named where the CPU has the instructions.
                unsafe { run(target, group, lanes) }
            }

            fn masked(of: Strip<'_, $t, Self>, words: &[u64], shift: usize) {
                #[target_feature(enable = $features)]
                fn run(of: Strip<'_, $t, Wide<$register>>, words: &[u64], shift: usize) {
                    kernel::masked(of, words, shift);
                }
                // SAFETY: the type is only named where the CPU has the instructions.
                unsafe { run(of, words, shift) }
            }

            fn plain(
                strip: &mut [Panel<Self>],
                inner: &[$t],
                lanes: &[Panel<Self>],
                words: &mut [u64],
                shift: usize,
            ) {
                #[target_feature(enable = $features)]
                fn run(
                    strip: &mut [Panel<Wide<$register>>],
                    inner: &[$t],
                    lanes: &[Panel<Wide<$register>>],
                    words: &mut [u64],
                    shift: usize,
                ) {
                    kernel::plain(strip, inner, lanes, words, shift);
                }
                // SAFETY: the type is only named where the CPU has the instructions.
                unsafe { run(strip, inner, lanes, words, shift) }
            }

            fn screen(
                strip: &mut [Panel<Self>],
                weights: (&[$t], &[$t]),
                lanes: &[Panel<Self>],
                words: [&mut [u64]; 2],
                shift: usize,
            ) {
                #[target_feature(enable = $features)]
                fn run(
                    strip: &mut [Panel<Wide<$register>>],
                    weights: (&[$t], &[$t]),
                    lanes: &[Panel<Wide<$register>>],
                    words: [&mut [u64]; 2],
                    shift: usize,
                ) {
                    kernel::screen(strip, weights, lanes, words, shift);
                }
                // SAFETY: the type is only named where the CPU has the instructions.
                unsafe { run(strip, weights, lanes, words, shift) }
            }

            fn rectified(
                of: Strip<'_, $t, Self>,
                before: &[Panel<Self>],
                words: &mut [u64],
                shift: usize,
            ) {
                #[target_feature(enable = $features)]
                fn run(
                    of: Strip<'_, $t, Wide<$register>>,
                    before: &[Panel<Wide<$register>>],
                    words: &mut [u64],
                    shift: usize,
                ) {
                    kernel::rectified(of, before, words, shift);
                }
                // SAFETY: the type is only named where the CPU has the instructions.
                unsafe { run(of, before, words, shift) }
            }
        }
    };
}

wide!(f32, __m256, 8, avx2::single, 6, "avx2,fma");
wide!(f64, __m256d, 4, avx2::double, 6, "avx2,fma");
wide!(f32, __m512, 16, avx512::single, 14, "avx512f");
wide!(f64, __m512d, 8, avx512::double, 14, "avx512f");
