//! Vectors of AVX2 with FMA, and of AVX-512.
//!
//! Within a vector a level is one exchange of lanes and one `s x + exchanged x` with `s` the signs
//! of the level, which rounds once, as an addition does.

use std::arch::asm;
use std::arch::x86_64::{
    __m256, __m256d, __m512, __m512d, _mm256_add_pd, _mm256_add_ps, _mm256_blend_ps,
    _mm256_castpd_ps, _mm256_castps_pd, _mm256_fmadd_pd, _mm256_fmadd_ps, _mm256_fnmadd_pd,
    _mm256_fnmadd_ps, _mm256_loadu_pd, _mm256_loadu_ps, _mm256_movehdup_ps, _mm256_moveldup_ps,
    _mm256_mul_pd, _mm256_mul_ps, _mm256_permute_pd, _mm256_permute_ps, _mm256_permute2f128_pd,
    _mm256_permute2f128_ps, _mm256_set1_pd, _mm256_set1_ps, _mm256_setr_pd, _mm256_setr_ps,
    _mm256_storeu_pd, _mm256_storeu_ps, _mm256_sub_pd, _mm256_sub_ps, _mm256_unpackhi_pd,
    _mm256_unpacklo_pd, _mm512_add_pd, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd,
    _mm512_fmadd_pd, _mm512_fmadd_ps, _mm512_fnmadd_pd, _mm512_fnmadd_ps, _mm512_loadu_pd,
    _mm512_loadu_ps, _mm512_mask_movehdup_ps, _mm512_mask_moveldup_ps, _mm512_mul_pd,
    _mm512_mul_ps, _mm512_permute_pd, _mm512_permute_ps, _mm512_permutex2var_pd, _mm512_set1_pd,
    _mm512_set1_ps, _mm512_setr_epi64, _mm512_setr_pd, _mm512_setr_ps, _mm512_shuffle_f32x4,
    _mm512_shuffle_f64x2, _mm512_storeu_pd, _mm512_storeu_ps, _mm512_sub_pd, _mm512_sub_ps,
    _mm512_unpackhi_pd, _mm512_unpacklo_pd,
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
     $sub:ident, $fnmadd:ident, $mul:ident, $fmadd:ident, |$x:ident| $inner:block,
     |$a:ident, $b:ident, $half:ident| $exchange:block) => {
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
            unsafe fn splat(x: $elem) -> Self {
                // SAFETY: the caller has these instructions.
                unsafe { $set1(x) }
            }

            // SAFETY: as the trait asks.
            #[inline(always)]
            unsafe fn times(self, other: Self) -> Self {
                // SAFETY: the caller has these instructions.
                unsafe { $mul(self, other) }
            }

            // SAFETY: as the trait asks.
            #[inline(always)]
            unsafe fn plus_signed(self, other: Self, signs: Self) -> Self {
                // SAFETY: the caller has these instructions.
                unsafe { $fmadd(signs, other, self) }
            }

            // SAFETY: as the trait asks.
            #[inline(always)]
            unsafe fn exchange(self, other: Self, half: usize) -> (Self, Self) {
                let ($a, $b, $half) = (self, other, half);
                // SAFETY: the caller has these instructions.
                unsafe { $exchange }
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
    _mm256_mul_ps,
    _mm256_fmadd_ps,
    |x| {
        let s = _mm256_setr_ps(1., 1., 1., 1., -1., -1., -1., -1.);
        let x = _mm256_fmadd_ps(x, s, swap_halves(x));
        let s = _mm256_setr_ps(1., 1., -1., -1., 1., 1., -1., -1.);
        let x = _mm256_fmadd_ps(x, s, _mm256_permute_ps::<0x4e>(x));
        let s = _mm256_setr_ps(1., -1., 1., -1., 1., -1., 1., -1.);
        _mm256_fmadd_ps(x, s, _mm256_permute_ps::<0xb1>(x))
    },
    |a, b, half| {
        match half {
            1 => (
                _mm256_blend_ps::<0xaa>(a, _mm256_moveldup_ps(b)),
                _mm256_blend_ps::<0xaa>(_mm256_movehdup_ps(a), b),
            ),
            2 => {
                let (a, b) = (_mm256_castps_pd(a), _mm256_castps_pd(b));
                let (low, high) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
                (_mm256_castpd_ps(low), _mm256_castpd_ps(high))
            }
            _ => (_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b)),
        }
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
    _mm256_mul_pd,
    _mm256_fmadd_pd,
    |x| {
        let s = _mm256_setr_pd(1., 1., -1., -1.);
        let x = _mm256_fmadd_pd(x, s, _mm256_castps_pd(swap_halves(_mm256_castpd_ps(x))));
        let s = _mm256_setr_pd(1., -1., 1., -1.);
        _mm256_fmadd_pd(x, s, _mm256_permute_pd::<0x5>(x))
    },
    |a, b, half| {
        match half {
            1 => (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b)),
            _ => (_mm256_permute2f128_pd::<0x20>(a, b), _mm256_permute2f128_pd::<0x31>(a, b)),
        }
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
    _mm512_mul_ps,
    _mm512_fmadd_ps,
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
    },
    |a, b, half| {
        if half == 1 {
            let low = _mm512_mask_moveldup_ps(a, 0xaaaa, b);
            return (low, _mm512_mask_movehdup_ps(b, 0x5555, a));
        }
        let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
        let (low, high) = a.exchange(b, half / 2);
        (_mm512_castpd_ps(low), _mm512_castpd_ps(high))
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
    _mm512_mul_pd,
    _mm512_fmadd_pd,
    |x| {
        let s = _mm512_setr_pd(1., 1., 1., 1., -1., -1., -1., -1.);
        let x = _mm512_fmadd_pd(x, s, _mm512_shuffle_f64x2::<0x4e>(x, x));
        let s = _mm512_setr_pd(1., 1., -1., -1., 1., 1., -1., -1.);
        let x = _mm512_fmadd_pd(x, s, _mm512_shuffle_f64x2::<0xb1>(x, x));
        let s = _mm512_setr_pd(1., -1., 1., -1., 1., -1., 1., -1.);
        _mm512_fmadd_pd(x, s, _mm512_permute_pd::<0x55>(x))
    },
    |a, b, half| {
        let (low, high) = match half {
            1 => return (_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b)),
            2 => (
                _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13),
                _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15),
            ),
            _ => (
                _mm512_setr_epi64(0, 1, 2, 3, 8, 9, 10, 11),
                _mm512_setr_epi64(4, 5, 6, 7, 12, 13, 14, 15),
            ),
        };
        (_mm512_permutex2var_pd(a, low, b), _mm512_permutex2var_pd(a, high, b))
    }
);
