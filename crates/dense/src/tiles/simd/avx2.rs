//! Vectors of AVX2.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256, __m256d, _CMP_GT_OQ, _MM_HINT_T0, _mm_prefetch, _mm256_add_pd, _mm256_add_ps,
    _mm256_and_pd, _mm256_and_ps, _mm256_and_si256, _mm256_blendv_pd, _mm256_blendv_ps,
    _mm256_castsi256_pd, _mm256_castsi256_ps, _mm256_cmp_pd, _mm256_cmp_ps, _mm256_cmpeq_epi32,
    _mm256_cmpeq_epi64, _mm256_fmadd_pd, _mm256_fmadd_ps, _mm256_loadu_pd, _mm256_loadu_ps,
    _mm256_movemask_pd, _mm256_movemask_ps, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_set1_pd,
    _mm256_set1_ps, _mm256_setr_epi32, _mm256_setr_epi64x, _mm256_setzero_pd, _mm256_setzero_ps,
    _mm256_storeu_pd, _mm256_storeu_ps, _mm256_xor_pd, _mm256_xor_ps,
};

use faer::MatMut;

use super::{Panel, Strip, Vector, Wide, kernel};

macro_rules! wide {
    ($t:ty, $register:ty, $lanes:literal, $zero:ident, $splat:ident, $fma:ident, $and:ident,
     $xor:ident, $add:ident, $cmp:ident, $blend:ident, $movemask:ident, $load:ident,
     $store:ident, $bits:ident) => {
        // SAFETY: a register of scalars.
        unsafe impl Vector<$t> for Wide<$register> {
            const LANES: usize = $lanes;

            #[inline(always)]
            fn zero() -> Self {
                // SAFETY: the type is only named where the CPU has AVX2 and FMA.
                Self(unsafe { $zero() })
            }

            #[inline(always)]
            fn splat(x: $t) -> Self {
                // SAFETY: the type is only named where the CPU has AVX2 and FMA.
                Self(unsafe { $splat(x) })
            }

            #[inline(always)]
            fn fma(self, a: Self, b: Self) -> Self {
                // SAFETY: the type is only named where the CPU has AVX2 and FMA.
                Self(unsafe { $fma(a.0, b.0, self.0) })
            }

            #[inline(always)]
            fn keep(self, bits: u64) -> Self {
                // SAFETY: the type is only named where the CPU has AVX2 and FMA.
                Self(unsafe { $and(self.0, $bits(bits)) })
            }

            #[inline(always)]
            fn positive(self) -> u64 {
                // SAFETY: the type is only named where the CPU has AVX2 and FMA.
                unsafe { $movemask($cmp::<_CMP_GT_OQ>(self.0, $zero())) as u64 }
            }

            #[inline(always)]
            fn rectify(self, delta: Self) -> (Self, u64) {
                // SAFETY: the type is only named where the CPU has AVX2 and FMA.
                unsafe {
                    let sum = $add(self.0, delta.0);
                    let before = $cmp::<_CMP_GT_OQ>(self.0, $zero());
                    let now = $cmp::<_CMP_GT_OQ>(sum, $zero());
                    let stays = $blend(sum, delta.0, before);
                    let leaves = $and($xor(self.0, $splat(-0.0)), before);
                    (Self($blend(leaves, stays, now)), $movemask(now) as u64)
                }
            }

            #[inline(always)]
            fn load(from: &[$t]) -> Panel<Self> {
                let from = &from[..2 * $lanes];
                // SAFETY: the slice has as many scalars, and the type is only named where the CPU
                // has AVX2 and FMA.
                unsafe { [Self($load(from.as_ptr())), Self($load(from[$lanes..].as_ptr()))] }
            }

            #[inline(always)]
            fn store([a, b]: Panel<Self>, to: &mut [$t]) {
                let to = &mut to[..2 * $lanes];
                // SAFETY: the slice has as many scalars, and the type is only named where the CPU
                // has AVX2 and FMA.
                unsafe {
                    $store(to.as_mut_ptr(), a.0);
                    $store(to[$lanes..].as_mut_ptr(), b.0);
                }
            }

            #[inline(always)]
            fn prefetch(near: &$t) {
                // SAFETY: any address may be asked for.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(near).cast()) }
            }

            fn substitute(lanes: &mut [Panel<Self>], solver: &[$t]) {
                #[target_feature(enable = "avx2,fma")]
                fn run(lanes: &mut [Panel<Wide<$register>>], solver: &[$t]) {
                    kernel::substitute(lanes, solver);
                }
                // SAFETY: the type is only named where the CPU has AVX2 and FMA.
                unsafe { run(lanes, solver) }
            }

            fn update(target: MatMut<'_, $t>, group: &[$t], lanes: &[Panel<Self>]) {
                #[target_feature(enable = "avx2,fma")]
                fn run(target: MatMut<'_, $t>, group: &[$t], lanes: &[Panel<Wide<$register>>]) {
                    kernel::update(target, group, lanes);
                }
                // SAFETY: the type is only named where the CPU has AVX2 and FMA.
                unsafe { run(target, group, lanes) }
            }

            fn masked(of: Strip<'_, $t, Self>, words: &[u64], shift: usize) {
                #[target_feature(enable = "avx2,fma")]
                fn run(of: Strip<'_, $t, Wide<$register>>, words: &[u64], shift: usize) {
                    kernel::masked(of, words, shift);
                }
                // SAFETY: the type is only named where the CPU has AVX2 and FMA.
                unsafe { run(of, words, shift) }
            }

            fn plain(
                strip: &mut [Panel<Self>],
                inner: &[$t],
                lanes: &[Panel<Self>],
                words: &mut [u64],
                shift: usize,
            ) {
                #[target_feature(enable = "avx2,fma")]
                fn run(
                    strip: &mut [Panel<Wide<$register>>],
                    inner: &[$t],
                    lanes: &[Panel<Wide<$register>>],
                    words: &mut [u64],
                    shift: usize,
                ) {
                    kernel::plain(strip, inner, lanes, words, shift);
                }
                // SAFETY: the type is only named where the CPU has AVX2 and FMA.
                unsafe { run(strip, inner, lanes, words, shift) }
            }

            fn rectified(
                of: Strip<'_, $t, Self>,
                before: &[Panel<Self>],
                words: &mut [u64],
                shift: usize,
            ) {
                #[target_feature(enable = "avx2,fma")]
                fn run(
                    of: Strip<'_, $t, Wide<$register>>,
                    before: &[Panel<Wide<$register>>],
                    words: &mut [u64],
                    shift: usize,
                ) {
                    kernel::rectified(of, before, words, shift);
                }
                // SAFETY: the type is only named where the CPU has AVX2 and FMA.
                unsafe { run(of, before, words, shift) }
            }
        }
    };
}

/// All ones in the lanes whose bits are set.
#[target_feature(enable = "avx2")]
#[inline]
fn lanes_f32(bits: u64) -> __m256 {
    let each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    let found = _mm256_and_si256(_mm256_set1_epi32(bits as i32), each);
    _mm256_castsi256_ps(_mm256_cmpeq_epi32(found, each))
}

/// All ones in the lanes whose bits are set.
#[target_feature(enable = "avx2")]
#[inline]
fn lanes_f64(bits: u64) -> __m256d {
    let each = _mm256_setr_epi64x(1, 2, 4, 8);
    let found = _mm256_and_si256(_mm256_set1_epi64x(bits.cast_signed()), each);
    _mm256_castsi256_pd(_mm256_cmpeq_epi64(found, each))
}

wide!(
    f32,
    __m256,
    8,
    _mm256_setzero_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_and_ps,
    _mm256_xor_ps,
    _mm256_add_ps,
    _mm256_cmp_ps,
    _mm256_blendv_ps,
    _mm256_movemask_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    lanes_f32
);
wide!(
    f64,
    __m256d,
    4,
    _mm256_setzero_pd,
    _mm256_set1_pd,
    _mm256_fmadd_pd,
    _mm256_and_pd,
    _mm256_xor_pd,
    _mm256_add_pd,
    _mm256_cmp_pd,
    _mm256_blendv_pd,
    _mm256_movemask_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    lanes_f64
);
