//! What the arithmetic units can do at most: loops that touch no memory, by instruction set.
//!
//! Twelve independent sums, as many as 16 registers hold beside their operands, keep every pipe
//! busy on all current processors (latency 4, two pipes). For popcounts an empty piece of assembly
//! stands in for the load of a fresh operand: without it the compiler would count once.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::ops::{Add, Mul};

use super::peak::{Peak, Variant};

/// Independent sums.
#[cfg(target_arch = "x86_64")]
const SUMS: usize = 12;

/// Flops that one bit of a mask product replaces.
const BIT: f64 = 2.0;

/// All variants for a peak that this machine can run, the portable one first.
pub(super) fn variants(peak: Peak) -> Vec<Variant> {
    #[allow(unused_mut, reason = "one instruction set has nothing to add")]
    let mut variants = vec![match peak {
        Peak::FmaF32 => Variant::new("portable", 2.0 * PORTABLE, portable_fma::<f32>),
        Peak::FmaF64 => Variant::new("portable", 2.0 * PORTABLE, portable_fma::<f64>),
        Peak::AddF32 => Variant::new("portable", PORTABLE, portable_add::<f32>),
        Peak::AddF64 => Variant::new("portable", PORTABLE, portable_add::<f64>),
        Peak::Popcount => Variant::new("portable", BIT * 64.0 * 4.0, portable_popcount),
    }];
    #[cfg(target_arch = "x86_64")]
    variants.extend(x86::variants(peak));
    variants
}

/// Numbers in the sums of the portable loops.
const PORTABLE: f64 = (16 * 8) as f64;

fn portable_fma<T: Copy + From<u8> + Mul<Output = T> + Add<Output = T>>(steps: u64) {
    let (a, b) = black_box((T::from(1), T::from(1)));
    let mut sums = [[a; 16]; 8];
    for _ in 0..steps {
        sums.iter_mut().flatten().for_each(|sum| *sum = *sum * a + b);
    }
    black_box(sums);
}

fn portable_add<T: Copy + From<u8> + Add<Output = T>>(steps: u64) {
    let a = black_box(T::from(1));
    let mut sums = [[a; 16]; 8];
    for _ in 0..steps {
        sums.iter_mut().flatten().for_each(|sum| *sum = *sum + a);
    }
    black_box(sums);
}

fn portable_popcount(steps: u64) {
    let mut sums = [0; 4];
    for step in 0..steps {
        let word = black_box(step);
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += u64::from((word & !(i as u64)).count_ones());
        }
    }
    black_box(sums);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_add_epi8, _mm256_add_epi64, _mm256_add_pd, _mm256_add_ps,
        _mm256_and_si256, _mm256_fmadd_pd, _mm256_fmadd_ps, _mm256_or_si256, _mm256_sad_epu8,
        _mm256_set1_epi8, _mm256_set1_pd, _mm256_set1_ps, _mm256_setr_epi8, _mm256_setzero_si256,
        _mm256_shuffle_epi8, _mm256_slli_epi64, _mm256_srli_epi16, _mm256_xor_si256,
        _mm512_add_epi64, _mm512_add_pd, _mm512_add_ps, _mm512_and_si512, _mm512_fmadd_pd,
        _mm512_fmadd_ps, _mm512_popcnt_epi64, _mm512_set1_epi64, _mm512_set1_pd, _mm512_set1_ps,
        _mm512_setzero_si512,
    };
    use std::hint::black_box;

    use super::{BIT, Peak, SUMS, Variant};

    /// Vectors whose popcounts are summed bytewise before the bytes are: each counts up to 8 and a
    /// byte holds 255.
    const BYTEWISE: usize = 16;

    pub(super) fn variants(peak: Peak) -> Vec<Variant> {
        let avx2 = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
        let avx512 = std::is_x86_feature_detected!("avx512f");
        let popcnt = std::is_x86_feature_detected!("popcnt");
        let vpopcnt = avx512 && std::is_x86_feature_detected!("avx512vpopcntdq");
        let sums = SUMS as f64;
        let bits = |count: usize| BIT * count as f64;
        // SAFETY, for every call below: it is made only where its `bool` says that the processor
        // has the features that the function is compiled for.
        let all = match peak {
            Peak::FmaF32 => vec![
                // SAFETY: see above.
                (avx2, Variant::new("AVX2", 16.0 * sums, |n| unsafe { fma_f32_avx2(n) })),
                // SAFETY: see above.
                (avx512, Variant::new("AVX-512", 32.0 * sums, |n| unsafe { fma_f32_avx512(n) })),
            ],
            Peak::FmaF64 => vec![
                // SAFETY: see above.
                (avx2, Variant::new("AVX2", 8.0 * sums, |n| unsafe { fma_f64_avx2(n) })),
                // SAFETY: see above.
                (avx512, Variant::new("AVX-512", 16.0 * sums, |n| unsafe { fma_f64_avx512(n) })),
            ],
            Peak::AddF32 => vec![
                // SAFETY: see above.
                (avx2, Variant::new("AVX2", 8.0 * sums, |n| unsafe { add_f32_avx2(n) })),
                // SAFETY: see above.
                (avx512, Variant::new("AVX-512", 16.0 * sums, |n| unsafe { add_f32_avx512(n) })),
            ],
            Peak::AddF64 => vec![
                // SAFETY: see above.
                (avx2, Variant::new("AVX2", 4.0 * sums, |n| unsafe { add_f64_avx2(n) })),
                // SAFETY: see above.
                (avx512, Variant::new("AVX-512", 8.0 * sums, |n| unsafe { add_f64_avx512(n) })),
            ],
            Peak::Popcount => vec![
                // SAFETY: see above.
                (popcnt, Variant::new("POPCNT", bits(64 * 4), |n| unsafe { popcnt_scalar(n) })),
                (
                    avx2,
                    // SAFETY: see above.
                    Variant::new("AVX2 look-up", bits(256 * BYTEWISE), |n| unsafe {
                        popcnt_look_up(n);
                    }),
                ),
                (
                    avx2,
                    // SAFETY: see above.
                    Variant::new("AVX2 Harley-Seal", bits(256 * BYTEWISE), |n| unsafe {
                        popcnt_harley_seal(n);
                    }),
                ),
                // SAFETY: see above.
                (vpopcnt, Variant::new("VPOPCNTDQ", bits(512 * 8), |n| unsafe { popcnt_wide(n) })),
            ],
        };
        all.into_iter().filter_map(|(runs, variant)| runs.then_some(variant)).collect()
    }

    macro_rules! flops {
        ($name:ident, $features:literal, $set:ident, $step:expr) => {
            #[target_feature(enable = $features)]
            fn $name(steps: u64) {
                let (a, b) = ($set(black_box(1.0)), $set(black_box(1.0)));
                let mut sums = [a; SUMS];
                for _ in 0..steps {
                    for sum in &mut sums {
                        *sum = $step(a, b, *sum);
                    }
                }
                black_box(sums);
            }
        };
    }

    flops!(fma_f32_avx2, "avx2,fma", _mm256_set1_ps, |a, b, sum| _mm256_fmadd_ps(a, b, sum));
    flops!(fma_f64_avx2, "avx2,fma", _mm256_set1_pd, |a, b, sum| _mm256_fmadd_pd(a, b, sum));
    flops!(fma_f32_avx512, "avx512f", _mm512_set1_ps, |a, b, sum| _mm512_fmadd_ps(a, b, sum));
    flops!(fma_f64_avx512, "avx512f", _mm512_set1_pd, |a, b, sum| _mm512_fmadd_pd(a, b, sum));
    flops!(add_f32_avx2, "avx2,fma", _mm256_set1_ps, |a, _, sum| _mm256_add_ps(a, sum));
    flops!(add_f64_avx2, "avx2,fma", _mm256_set1_pd, |a, _, sum| _mm256_add_pd(a, sum));
    flops!(add_f32_avx512, "avx512f", _mm512_set1_ps, |a, _, sum| _mm512_add_ps(a, sum));
    flops!(add_f64_avx512, "avx512f", _mm512_set1_pd, |a, _, sum| _mm512_add_pd(a, sum));

    /// A vector that the compiler knows nothing about, at no instruction.
    #[target_feature(enable = "avx2")]
    fn fresh(mut x: __m256i) -> __m256i {
        // SAFETY: no instruction, no memory.
        unsafe { asm!("/* {0} */", inout(ymm_reg) x, options(nomem, nostack, preserves_flags)) };
        x
    }

    #[target_feature(enable = "avx512f")]
    fn fresh_wide(mut x: __m512i) -> __m512i {
        // SAFETY: no instruction, no memory.
        unsafe { asm!("/* {0} */", inout(zmm_reg) x, options(nomem, nostack, preserves_flags)) };
        x
    }

    #[target_feature(enable = "popcnt")]
    fn popcnt_scalar(steps: u64) {
        let (mut x, y) = (black_box(!0u64), black_box(!0u64));
        let mut sums = [0u64; 4];
        for _ in 0..steps {
            for sum in &mut sums {
                // SAFETY: no instruction, no memory.
                unsafe {
                    asm!("/* {0} */", inout(reg) x, options(nomem, nostack, preserves_flags));
                };
                *sum += u64::from((x & y).count_ones());
            }
        }
        black_box(sums);
    }

    /// Each half byte is looked up in a register (Muła, Kurz, Lemire, *Faster population counts
    /// using AVX2 instructions*, Computer Journal 61 (2018)).
    #[target_feature(enable = "avx2")]
    fn popcnt_look_up(steps: u64) {
        let (mut x, y) = black_box((_mm256_set1_epi8(-1), _mm256_set1_epi8(-1)));
        let mut total = _mm256_setzero_si256();
        for _ in 0..steps {
            let mut bytes = _mm256_setzero_si256();
            for _ in 0..BYTEWISE {
                x = fresh(x);
                bytes = _mm256_add_epi8(bytes, byte_counts(_mm256_and_si256(x, y)));
            }
            total = _mm256_add_epi64(total, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
        }
        black_box(total);
    }

    /// Carry-save adders leave one vector in sixteen to be counted (ibid.).
    #[target_feature(enable = "avx2")]
    fn popcnt_harley_seal(steps: u64) {
        let (mut x, y) = black_box((_mm256_set1_epi8(-1), _mm256_set1_epi8(-1)));
        let zero = _mm256_setzero_si256();
        let (mut ones, mut twos, mut fours, mut eights, mut total) = (zero, zero, zero, zero, zero);
        for _ in 0..steps {
            let mut carry8 = [zero; 2];
            for carry8 in &mut carry8 {
                let mut carry4 = [zero; 2];
                for carry4 in &mut carry4 {
                    let mut carry2 = [zero; 2];
                    for carry2 in &mut carry2 {
                        x = fresh(x);
                        let a = _mm256_and_si256(x, y);
                        x = fresh(x);
                        let b = _mm256_and_si256(x, y);
                        (*carry2, ones) = carry_save(ones, a, b);
                    }
                    (*carry4, twos) = carry_save(twos, carry2[0], carry2[1]);
                }
                (*carry8, fours) = carry_save(fours, carry4[0], carry4[1]);
            }
            let sixteens;
            (sixteens, eights) = carry_save(eights, carry8[0], carry8[1]);
            total = _mm256_add_epi64(total, _mm256_sad_epu8(byte_counts(sixteens), zero));
        }
        black_box((ones, twos, fours, eights, _mm256_slli_epi64(total, 4)));
    }

    /// Carry and sum of three bits, in every position.
    #[target_feature(enable = "avx2")]
    fn carry_save(a: __m256i, b: __m256i, c: __m256i) -> (__m256i, __m256i) {
        let u = _mm256_xor_si256(a, b);
        let carry = _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(u, c));
        (carry, _mm256_xor_si256(u, c))
    }

    /// The popcount of every byte.
    #[target_feature(enable = "avx2")]
    fn byte_counts(x: __m256i) -> __m256i {
        let table = _mm256_setr_epi8(
            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2,
            3, 3, 4,
        );
        let low = _mm256_set1_epi8(15);
        let first = _mm256_shuffle_epi8(table, _mm256_and_si256(x, low));
        let second = _mm256_and_si256(_mm256_srli_epi16(x, 4), low);
        _mm256_add_epi8(first, _mm256_shuffle_epi8(table, second))
    }

    #[target_feature(enable = "avx512f,avx512vpopcntdq")]
    fn popcnt_wide(steps: u64) {
        let (mut x, y) = black_box((_mm512_set1_epi64(-1), _mm512_set1_epi64(-1)));
        let mut sums = [_mm512_setzero_si512(); 8];
        for _ in 0..steps {
            for sum in &mut sums {
                x = fresh_wide(x);
                *sum = _mm512_add_epi64(*sum, _mm512_popcnt_epi64(_mm512_and_si512(x, y)));
            }
        }
        black_box(sums);
    }
}
