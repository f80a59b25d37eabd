//! What a vector must do, by AVX-512, whose masks are registers of their own.
#![allow(unsafe_code)]

/// The functions of a module from the names of the intrinsics.
macro_rules! functions {
    ($t:ty, $register:ident, $lanes:literal, $mask:ident, $zero:ident, $splat:ident, $fma:ident,
     $add:ident, $sub:ident, $cmp:ident, $keep:ident, $blend:ident, $load:ident, $store:ident) => {
        use std::arch::x86_64::{
            _CMP_GT_OQ, $add, $blend, $cmp, $fma, $keep, $load, $mask, $register, $splat, $store,
            $sub, $zero,
        };

        #[inline]
        #[target_feature(enable = "avx512f")]
        pub(in super::super) fn zero() -> $register {
            $zero()
        }

        #[inline]
        #[target_feature(enable = "avx512f")]
        pub(in super::super) fn splat(x: $t) -> $register {
            $splat(x)
        }

        #[inline]
        #[target_feature(enable = "avx512f")]
        pub(in super::super) fn fma(sum: $register, a: $register, b: $register) -> $register {
            $fma(a, b, sum)
        }

        #[inline]
        #[target_feature(enable = "avx512f")]
        pub(in super::super) fn keep(x: $register, bits: u64) -> $register {
            $keep(bits as $mask, x)
        }

        #[inline]
        #[target_feature(enable = "avx512f")]
        pub(in super::super) fn positive(x: $register) -> u64 {
            u64::from($cmp::<_CMP_GT_OQ>(x, $zero()))
        }

        #[inline]
        #[target_feature(enable = "avx512f")]
        pub(in super::super) fn rectify(x: $register, delta: $register) -> ($register, u64) {
            let sum = $add(x, delta);
            let (before, now) = ($cmp::<_CMP_GT_OQ>(x, $zero()), $cmp::<_CMP_GT_OQ>(sum, $zero()));
            let stays = $blend(before, sum, delta);
            let leaves = $sub(before, $zero(), x);
            ($blend(now, leaves, stays), u64::from(now))
        }

        #[inline]
        #[target_feature(enable = "avx512f")]
        pub(in super::super) fn load(from: &[$t; $lanes]) -> $register {
            // SAFETY: the array has as many scalars.
            unsafe { $load(from.as_ptr()) }
        }

        #[inline]
        #[target_feature(enable = "avx512f")]
        pub(in super::super) fn store(x: $register, to: &mut [$t; $lanes]) {
            // SAFETY: the array has as many scalars.
            unsafe { $store(to.as_mut_ptr(), x) }
        }
    };
}

pub(super) mod single {
    functions!(
        f32,
        __m512,
        16,
        __mmask16,
        _mm512_setzero_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        _mm512_maskz_sub_ps,
        _mm512_cmp_ps_mask,
        _mm512_maskz_mov_ps,
        _mm512_mask_blend_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps
    );
}

pub(super) mod double {
    functions!(
        f64,
        __m512d,
        8,
        __mmask8,
        _mm512_setzero_pd,
        _mm512_set1_pd,
        _mm512_fmadd_pd,
        _mm512_add_pd,
        _mm512_maskz_sub_pd,
        _mm512_cmp_pd_mask,
        _mm512_maskz_mov_pd,
        _mm512_mask_blend_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd
    );
}
