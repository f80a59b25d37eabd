//! The kernels with rows in registers of AVX-512, 64 bytes each.
//!
//! Loops compiled for AVX-512 become gathers; here the additions are spelt out. On a processor with two
//! units for 512 bits products took 0.79 to 0.93 of the time with AVX2.
#![allow(unsafe_code)]

use std::any::TypeId;
use std::arch::x86_64::{
    _mm256_add_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm512_add_pd, _mm512_add_ps,
    _mm512_loadu_pd, _mm512_loadu_ps, _mm512_storeu_pd, _mm512_storeu_ps,
};
use std::ptr::{from_mut, from_ref};

use super::kernel::{self, Adds, Row, Tables, VECTOR};
use crate::Real;
use crate::simd::Level;

/// Bytes of a register.
const REGISTER: usize = 64;

/// Whether the CPU has the instructions.
pub(super) fn available() -> bool {
    Level::Avx512.on()
}

/// [`kernel::add_rows`].
#[target_feature(enable = "avx512f")]
pub(super) fn add<T: Real, const V: usize>(
    tables: &mut Tables<T, V>,
    w: &mut [T],
    rows: &[T],
    indices: &[u64],
) {
    kernel::add_rows::<Registers, T, V>(tables, w, rows, indices);
}

/// By registers of AVX-512; [`add`] alone names it, which is compiled for them.
struct Registers;

impl Adds for Registers {
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]
    fn add<T: Real, const V: usize>(to: &mut Row<T, V>, a: &Row<T, V>, b: &Row<T, V>) {
        // SAFETY: the type is only named where the CPU has the instructions.
        unsafe { add_rows(to, a, b) }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add_rows<T: Real, const V: usize>(to: &mut Row<T, V>, a: &Row<T, V>, b: &Row<T, V>) {
    let single = TypeId::of::<T>() == TypeId::of::<f32>();
    let (to, a, b) = (from_mut(to).cast::<T>(), from_ref(a).cast::<T>(), from_ref(b).cast::<T>());
    let (numbers, wide) = (V * VECTOR, REGISTER / size_of::<T>());
    for at in (0..numbers).step_by(wide) {
        // SAFETY: a row is `f32` or `f64` side by side, a multiple of half a register of `f32` and of a whole
        // one of `f64`; what is read and written from number `at` on lies in it.
        unsafe {
            let (to, a, b) = (to.add(at), a.add(at), b.add(at));
            if !single {
                let (to, a, b) = (to.cast(), a.cast(), b.cast());
                _mm512_storeu_pd(to, _mm512_add_pd(_mm512_loadu_pd(a), _mm512_loadu_pd(b)));
                continue;
            }
            let (to, a, b) = (to.cast(), a.cast(), b.cast());
            if at + wide <= numbers {
                _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(a), _mm512_loadu_ps(b)));
            } else {
                _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(a), _mm256_loadu_ps(b)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernel::Loops;
    use super::*;

    /// Rows of every length that a table has, and whole numbers, which no order of additions rounds.
    fn adds_as_loops_do<T: Real, const V: usize>() {
        let row = |salt: usize| -> Row<T, V> {
            std::array::from_fn(|v| {
                std::array::from_fn(|l| T::of((v * VECTOR + l * l + salt) as f64))
            })
        };
        let [mut found, mut expected] = [row(0), row(0)];
        // SAFETY: only called where the CPU has the instructions.
        unsafe { add_rows(&mut found, &row(3), &row(8)) };
        Loops::add(&mut expected, &row(3), &row(8));
        assert!(found == expected, "{} x {V}", T::NAME);
    }

    #[test]
    fn registers_add_as_loops_do() {
        if available() {
            adds_as_loops_do::<f32, 1>();
            adds_as_loops_do::<f32, 2>();
            adds_as_loops_do::<f32, 3>();
            adds_as_loops_do::<f32, 4>();
            adds_as_loops_do::<f64, 1>();
            adds_as_loops_do::<f64, 2>();
        }
    }
}
