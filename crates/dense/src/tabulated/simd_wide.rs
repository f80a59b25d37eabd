//! The kernels with rows in registers of AVX-512, 64 bytes each.
//!
//! Loops compiled for AVX-512 become gathers; here the additions are spelt out. On a processor with two
//! units for 512 bits products took 0.79 to 0.93 of the time with AVX2.
#![allow(unsafe_code)]

use std::any::TypeId;
use std::arch::x86_64::{
    _mm256_add_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_storeu_ps, _mm512_add_pd,
    _mm512_add_ps, _mm512_and_si512, _mm512_cvtepu8_epi16, _mm512_loadu_pd, _mm512_loadu_ps,
    _mm512_set1_epi16, _mm512_slli_epi16, _mm512_store_si512, _mm512_storeu_pd, _mm512_storeu_ps,
};
use std::ptr::{from_mut, from_ref};

use super::kernel::{self, Adds, RUN, Row, Tables, VECTOR, as_rows, as_rows_mut};
use super::reader::Reader;
use crate::Real;
use crate::simd::Level;

/// Bytes of a register.
const REGISTER: usize = 64;

/// Whether the CPU has the instructions.
pub(super) fn available() -> bool {
    Level::Avx512.on() && std::is_x86_feature_detected!("avx512bw")
}

/// Indices that are looked up side by side: additions that do not wait for one another.
const FOUR: usize = 4;

/// Where rows begin in their tables, in eighths of a register, for [`RUN`] indices: an address is such a
/// number times eight, while shifting an index and masking it takes as long as the addition.
#[repr(align(64))]
struct Offsets([[u16; 8 * FOUR]; RUN / FOUR]);

/// [`kernel::add_rows`].
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn add<T: Real, const V: usize>(
    tables: &mut Tables<T, V>,
    w: &mut [T],
    rows: &[T],
    indices: &[u64],
    reader: &mut Reader<'_>,
) {
    if size_of::<Row<T, V>>() != REGISTER {
        return kernel::add_rows::<Registers, T, V>(tables, w, rows, indices, reader);
    }
    kernel::tabulate::<Registers, T, V>(tables, as_rows::<T, V>(rows));
    let mut offsets = Offsets([[0; 8 * FOUR]; RUN / FOUR]);
    for (w, indices) in as_rows_mut::<T, V>(w).chunks_mut(RUN).zip(indices.chunks(RUN)) {
        reader.go_on();
        let (w, last_w) = w.as_chunks_mut::<FOUR>();
        let (indices, last_index) = indices.as_chunks::<FOUR>();
        for (offsets, indices) in offsets.0.iter_mut().zip(indices) {
            // SAFETY: four indices are half a register, their offsets a whole one.
            unsafe {
                let indices = _mm512_cvtepu8_epi16(_mm256_loadu_si256(indices.as_ptr().cast()));
                let indices = _mm512_and_si512(indices, _mm512_set1_epi16(63));
                _mm512_store_si512(offsets.as_mut_ptr().cast(), _mm512_slli_epi16::<3>(indices));
            }
        }
        for (w, offsets) in w.iter_mut().zip(&offsets.0) {
            *w = look_up(*w, tables, offsets);
        }
        kernel::look_up_each::<Registers, T, V>(tables, last_w, last_index);
    }
}

/// `sums[k]` plus the rows of the tables at offsets `8 k .. 8 k + 8`, all of a register's length.
#[inline]
#[target_feature(enable = "avx512f")]
fn look_up<T: Real, const V: usize>(
    mut sums: [Row<T, V>; FOUR],
    tables: &Tables<T, V>,
    offsets: &[u16; 8 * FOUR],
) -> [Row<T, V>; FOUR] {
    for (t, table) in tables.iter().enumerate() {
        for (k, sum) in sums.iter_mut().enumerate() {
            let bytes = usize::from(offsets[8 * k + t]) * (REGISTER / 8);
            // SAFETY: an offset is eight times one of 64 rows of a register.
            let row = unsafe { &*from_ref(table).cast::<u8>().add(bytes).cast() };
            add_rows(sum, &{ *sum }, row);
        }
    }
    sums
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
