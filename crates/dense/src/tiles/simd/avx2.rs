//! What a vector must do, by AVX2 and FMA.
#![allow(unsafe_code)]

/// The functions of a module from the names of the intrinsics.
macro_rules! functions {
    ($t:ty, $register:ident, $lanes:literal, $zero:ident, $splat:ident, $fma:ident, $and:ident,
     $xor:ident, $add:ident, $cmp:ident, $blend:ident, $movemask:ident, $load:ident, $store:ident) => {
        use std::arch::x86_64::{
            _CMP_GT_OQ, $add, $and, $blend, $cmp, $fma, $load, $movemask, $register, $splat,
            $store, $xor, $zero,
        };

        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(in super::super) fn zero() -> $register {
            $zero()
        }

        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(in super::super) fn splat(x: $t) -> $register {
            $splat(x)
        }

        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(in super::super) fn fma(sum: $register, a: $register, b: $register) -> $register {
            $fma(a, b, sum)
        }

        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(in super::super) fn keep(x: $register, bits: u64) -> $register {
            $and(x, lanes(bits))
        }

        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(in super::super) fn positive(x: $register) -> u64 {
            $movemask($cmp::<_CMP_GT_OQ>(x, $zero())) as u64
        }

        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(in super::super) fn rectify(x: $register, delta: $register) -> ($register, u64) {
            let sum = $add(x, delta);
            let (before, now) = ($cmp::<_CMP_GT_OQ>(x, $zero()), $cmp::<_CMP_GT_OQ>(sum, $zero()));
            let stays = $blend(sum, delta, before);
            let leaves = $and($xor(x, $splat(-0.0)), before);
            ($blend(leaves, stays, now), $movemask(now) as u64)
        }

        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(in super::super) fn load(from: &[$t; $lanes]) -> $register {
            // SAFETY: the array has as many scalars.
            unsafe { $load(from.as_ptr()) }
        }

        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(in super::super) fn store(x: $register, to: &mut [$t; $lanes]) {
            // SAFETY: the array has as many scalars.
            unsafe { $store(to.as_mut_ptr(), x) }
        }
    };
}

pub(super) mod single {
    use std::arch::x86_64::{
        _mm256_and_si256, _mm256_castsi256_ps, _mm256_cmpeq_epi32, _mm256_set1_epi32,
        _mm256_setr_epi32,
    };

    functions!(
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
        _mm256_storeu_ps
    );

    /// All ones in the lanes whose bits are set.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn lanes(bits: u64) -> __m256 {
        let each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        let found = _mm256_and_si256(_mm256_set1_epi32(bits as i32), each);
        _mm256_castsi256_ps(_mm256_cmpeq_epi32(found, each))
    }
}

pub(super) mod double {
    use std::arch::x86_64::{
        _mm256_and_si256, _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_set1_epi64x,
        _mm256_setr_epi64x,
    };

    functions!(
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
        _mm256_storeu_pd
    );

    /// All ones in the lanes whose bits are set.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn lanes(bits: u64) -> __m256d {
        let each = _mm256_setr_epi64x(1, 2, 4, 8);
        let found = _mm256_and_si256(_mm256_set1_epi64x(bits.cast_signed()), each);
        _mm256_castsi256_pd(_mm256_cmpeq_epi64(found, each))
    }
}
