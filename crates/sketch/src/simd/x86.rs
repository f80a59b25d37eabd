//! Vectors of AVX2 with FMA, and of AVX-512.
//!
//! Within a vector a level is one exchange of lanes and one `s x + exchanged x` with `s` the signs
//! of the level, which rounds once, as an addition does.

use std::arch::asm;
use std::arch::x86_64::{
    __m256, __m256d, __m512, __m512d, _mm256_add_pd, _mm256_add_ps, _mm256_castpd_ps,
    _mm256_castps_pd, _mm256_fmadd_pd, _mm256_fmadd_ps, _mm256_fnmadd_pd, _mm256_fnmadd_ps,
    _mm256_loadu_pd, _mm256_loadu_ps, _mm256_permute_pd, _mm256_permute_ps, _mm256_set1_pd,
    _mm256_set1_ps, _mm256_setr_pd, _mm256_setr_ps, _mm256_storeu_pd, _mm256_storeu_ps,
    _mm256_sub_pd, _mm256_sub_ps, _mm512_add_pd, _mm512_add_ps, _mm512_fmadd_pd, _mm512_fmadd_ps,
    _mm512_fnmadd_pd, _mm512_fnmadd_ps, _mm512_loadu_pd, _mm512_loadu_ps, _mm512_permute_pd,
    _mm512_permute_ps, _mm512_set1_pd, _mm512_set1_ps, _mm512_setr_pd, _mm512_setr_ps,
    _mm512_shuffle_f32x4, _mm512_shuffle_f64x2, _mm512_storeu_pd, _mm512_storeu_ps, _mm512_sub_pd,
    _mm512_sub_ps,
};
use std::hint::black_box;

use super::lanes::{Array, Lanes};

/// The halves of `x` exchanged.
///
/// Written out because the compiler turns the intrinsic into `vpermpd`, two operations on Zen.
#[inline]
#[target_feature(enable = "avx")]
fn swap_halves(x: __m256) -> __m256 {
    let y: __m256;
    // SAFETY: one instruction on registers.
    unsafe {
        asm!("vperm2f128 {y}, {x}, {x}, 1", x = in(ymm_reg) x, y = lateout(ymm_reg) y,
             options(pure, nomem, nostack, preserves_flags));
    }
    y
}

macro_rules! lanes {
    ($kind:ty, $elem:ty, $n:literal, $load:ident, $store:ident, $set1:ident, $add:ident,
     $sub:ident, $fnmadd:ident, |$x:ident| $inner:block) => {
        impl Lanes for $kind {
            type Elem = $elem;

            const N: usize = $n;

            type Narrow = Array<$elem, { 16 / size_of::<$elem>() }>;

            // SAFETY: as the trait asks.
            #[inline(always)]
            unsafe fn load(p: *const $elem) -> Self {
                // SAFETY: the caller has these instructions and `N` scalars to read.
                unsafe { $load(p) }
            }

            // SAFETY: as the trait asks.
            #[inline(always)]
            unsafe fn store(self, p: *mut $elem) {
                // SAFETY: the caller has these instructions and room for `N` scalars.
                unsafe { $store(p, self) }
            }

            // SAFETY: as the trait asks.
            #[inline(always)]
            unsafe fn ones() -> Self {
                // SAFETY: the caller has these instructions.
                unsafe { $set1(black_box(1.0)) }
            }

            // SAFETY: as the trait asks.
            #[inline(always)]
            unsafe fn plus(self, other: Self) -> Self {
                // SAFETY: the caller has these instructions.
                unsafe { $add(self, other) }
            }

            // SAFETY: as the trait asks.
            #[inline(always)]
            unsafe fn minus(self, other: Self) -> Self {
                // SAFETY: the caller has these instructions.
                unsafe { $sub(self, other) }
            }

            // SAFETY: as the trait asks.
            #[inline(always)]
            unsafe fn minus_on_multipliers(self, other: Self, ones: Self) -> Self {
                // SAFETY: the caller has these instructions.
                unsafe { $fnmadd(other, ones, self) }
            }

            // SAFETY: as the trait asks.
            #[inline(always)]
            unsafe fn inner(self) -> Self {
                let $x = self;
                // SAFETY: the caller has these instructions.
                unsafe { $inner }
            }
        }
    };
}

lanes!(
    __m256,
    f32,
    8,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_set1_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_fnmadd_ps,
    |x| {
        let s = _mm256_setr_ps(1., 1., 1., 1., -1., -1., -1., -1.);
        let x = _mm256_fmadd_ps(x, s, swap_halves(x));
        let s = _mm256_setr_ps(1., 1., -1., -1., 1., 1., -1., -1.);
        let x = _mm256_fmadd_ps(x, s, _mm256_permute_ps::<0x4e>(x));
        let s = _mm256_setr_ps(1., -1., 1., -1., 1., -1., 1., -1.);
        _mm256_fmadd_ps(x, s, _mm256_permute_ps::<0xb1>(x))
    }
);

lanes!(
    __m256d,
    f64,
    4,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_set1_pd,
    _mm256_add_pd,
    _mm256_sub_pd,
    _mm256_fnmadd_pd,
    |x| {
        let s = _mm256_setr_pd(1., 1., -1., -1.);
        let x = _mm256_fmadd_pd(x, s, _mm256_castps_pd(swap_halves(_mm256_castpd_ps(x))));
        let s = _mm256_setr_pd(1., -1., 1., -1.);
        _mm256_fmadd_pd(x, s, _mm256_permute_pd::<0x5>(x))
    }
);

lanes!(
    __m512,
    f32,
    16,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_set1_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_fnmadd_ps,
    |x| {
        let (p, m) = (1., -1.);
        let s = _mm512_setr_ps(p, p, p, p, p, p, p, p, m, m, m, m, m, m, m, m);
        let x = _mm512_fmadd_ps(x, s, _mm512_shuffle_f32x4::<0x4e>(x, x));
        let s = _mm512_setr_ps(p, p, p, p, m, m, m, m, p, p, p, p, m, m, m, m);
        let x = _mm512_fmadd_ps(x, s, _mm512_shuffle_f32x4::<0xb1>(x, x));
        let s = _mm512_setr_ps(p, p, m, m, p, p, m, m, p, p, m, m, p, p, m, m);
        let x = _mm512_fmadd_ps(x, s, _mm512_permute_ps::<0x4e>(x));
        let s = _mm512_setr_ps(p, m, p, m, p, m, p, m, p, m, p, m, p, m, p, m);
        _mm512_fmadd_ps(x, s, _mm512_permute_ps::<0xb1>(x))
    }
);

lanes!(
    __m512d,
    f64,
    8,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_set1_pd,
    _mm512_add_pd,
    _mm512_sub_pd,
    _mm512_fnmadd_pd,
    |x| {
        let s = _mm512_setr_pd(1., 1., 1., 1., -1., -1., -1., -1.);
        let x = _mm512_fmadd_pd(x, s, _mm512_shuffle_f64x2::<0x4e>(x, x));
        let s = _mm512_setr_pd(1., 1., -1., -1., 1., 1., -1., -1.);
        let x = _mm512_fmadd_pd(x, s, _mm512_shuffle_f64x2::<0xb1>(x, x));
        let s = _mm512_setr_pd(1., -1., 1., -1., 1., -1., 1., -1.);
        _mm512_fmadd_pd(x, s, _mm512_permute_pd::<0x55>(x))
    }
);
