//! Kernels of the transform, compiled for several instruction sets and chosen at run time.
//!
//! `lanes.rs` says what a vector register must do, `x86.rs` says how AVX2 and AVX-512 do it,
//! `passes.rs` holds the transform's passes over memory, once for all of them, and `lines.rs` what
//! sparse sketches do with rows. The order of the additions is
//! part of the transform: levels run from the farthest to the nearest, so all kernels give the
//! same bits, and so does any cut of the work by columns or by blocks.
#![allow(unsafe_code)]
#![allow(clippy::inline_always, reason = "must be compiled with its caller's instruction set")]

mod lanes;
#[cfg(target_arch = "x86_64")]
mod level;
mod lines;
mod passes;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};

use faer::MatMut;
use lanes::Array;
#[cfg(target_arch = "x86_64")]
use level::Level;
pub(crate) use lines::{Plan, WIDEST};

/// The kernels of one instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Kernels<T: Transform> {
    #[cfg(test)]
    name: &'static str,
    vector: unsafe fn(*mut T, usize),
    columns: unsafe fn(*mut T, usize, usize, usize),
    flip: unsafe fn(&mut [T], &[u64]),
    transpose: Transpose<T>,
    add: Add<T>,
}

/// Numbers that are added side by side: those of one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Line<T, const L: usize>([T; L]);

impl<T, const L: usize> AsRef<[T]> for Line<T, L> {
    #[inline]
    fn as_ref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const L: usize> AsMut<[T]> for Line<T, L> {
    #[inline]
    fn as_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

/// Makes lines of columns, so many of them, scaled.
type Transpose<T> = unsafe fn(&[*const T], *mut T, usize, T);

/// Adds lines to sums as a plan has it.
type Add<T> = unsafe fn(*mut T, *const T, &Plan);

impl<T: Transform> Kernels<T> {
    /// `x <- H x`, the length a power of two.
    #[inline]
    pub(crate) fn vector(self, x: &mut [T]) {
        debug_assert!(x.len().is_power_of_two());
        // SAFETY: the slice is writable, and kernels are only handed out where they run.
        unsafe { (self.vector)(x.as_mut_ptr(), x.len()) }
    }

    /// `a <- H a` for `a` whose rows are contiguous; their number is a power of two.
    #[allow(clippy::needless_pass_by_value, reason = "the view is used up: its entries change")]
    pub(crate) fn columns(self, a: MatMut<'_, T>) {
        let (rows, cols) = (a.nrows(), a.ncols());
        assert!(rows.is_power_of_two() && a.col_stride() == 1 && a.row_stride() >= 0);
        // SAFETY: the view is writable, its rows are `row_stride` apart, and kernels are only
        // handed out where they run.
        unsafe { (self.columns)(a.as_ptr_mut(), rows, a.row_stride().unsigned_abs(), cols) }
    }

    /// `x_i <- -x_i` where bit `i % 64` of word `i / 64` is set.
    pub(crate) fn flip(self, x: &mut [T], words: &[u64]) {
        // SAFETY: kernels are only handed out where they run.
        unsafe { (self.flip)(x, words) }
    }

    /// Makes lines of as many columns: `lines_i <- scale (columns_0[i], columns_1[i], ..)`.
    ///
    /// # Panics
    /// Unless there are as many columns as a line has scalars, each at least as long as there are lines.
    pub(crate) fn transpose(self, columns: &[&[T]], lines: &mut [T::Line], scale: T) {
        assert!(
            columns.len() == T::LINE && columns.iter().all(|column| column.len() >= lines.len())
        );
        let mut starts = [std::ptr::null(); WIDEST];
        starts.iter_mut().zip(columns).for_each(|(start, column)| *start = column.as_ptr());
        // SAFETY: columns and lines are long enough, and kernels are only handed out where they run.
        unsafe {
            let (starts, to) = (&starts[..T::LINE], lines.as_mut_ptr().cast());
            (self.transpose)(starts, to, lines.len(), scale);
        }
    }

    /// Adds rows to sums as `plan` has it: the rows that it was made of, and one of zeros.
    ///
    /// # Panics
    /// If there are fewer rows or sums.
    pub(crate) fn add(self, sums: &mut [T::Line], rows: &[T::Line], plan: &Plan) {
        let (planned_rows, planned_sums) = plan.shape();
        assert!(sums.len() >= planned_sums && rows.len() > planned_rows);
        // SAFETY: the plan names no others, and kernels are only handed out where they run.
        unsafe { (self.add)(sums.as_mut_ptr().cast(), rows.as_ptr().cast(), plan) }
    }
}

/// The entries of a row-major matrix without gaps, row after row.
pub(crate) fn entries<T>(a: MatMut<'_, T>) -> Result<&mut [T], MatMut<'_, T>> {
    let (rows, cols) = (a.nrows(), a.ncols());
    if a.col_stride() != 1 || a.row_stride().unsigned_abs() != cols || a.row_stride() < 0 {
        return Err(a);
    }
    // SAFETY: the view, which is used up, has `rows` rows of `cols` entries, each directly behind
    // the one before.
    Ok(unsafe { std::slice::from_raw_parts_mut(a.as_ptr_mut(), rows * cols) })
}

/// Scalars that there are kernels for; seals [`Scalar`](crate::Scalar).
pub trait Transform: Sized {
    /// A cache line of them.
    type Line: AsRef<[Self]> + AsMut<[Self]> + Copy + Send + Sync;

    /// Zeros.
    const ZEROS: Self::Line;

    /// How many are in a cache line.
    const LINE: usize;

    /// The kernels that suit this CPU.
    fn kernels() -> Kernels<Self>;
}

/// Kernels on vectors of one kind, compiled with the instructions that it needs.
macro_rules! kernels {
    ($name:ident, $t:ty, $bits:ty, $lanes:ty $(, $features:literal)?) => {
        fn $name() -> Kernels<$t> {
            /// # Safety
            /// That of [`passes::vector`].
            $(#[target_feature(enable = $features)])?
            unsafe fn vector(x: *mut $t, len: usize) {
                // SAFETY: passed on.
                unsafe { passes::vector::<$lanes>(x, len) }
            }
            /// # Safety
            /// That of [`passes::columns`].
            $(#[target_feature(enable = $features)])?
            unsafe fn columns(x: *mut $t, rows: usize, pitch: usize, width: usize) {
                // SAFETY: passed on.
                unsafe { passes::columns::<$lanes>(x, rows, pitch, width) }
            }
            $(#[target_feature(enable = $features)])?
            fn flip(x: &mut [$t], words: &[u64]) {
                const BITS: usize = <$bits>::BITS as usize;
                let words = words.iter().flat_map(|word| {
                    (0..64 / BITS).map(move |part| (word >> (part * BITS)) as $bits)
                });
                for (chunk, word) in x.chunks_mut(BITS).zip(words) {
                    for (i, v) in chunk.iter_mut().enumerate() {
                        *v = <$t>::from_bits(v.to_bits() ^ (word >> i << (BITS - 1)));
                    }
                }
            }
            const LANES: usize = <$lanes as lanes::Lanes>::N;
            /// Vectors of a line.
            const SIDE: usize = <$t>::LINE / LANES;
            /// # Safety
            /// That of [`lines::transpose`].
            $(#[target_feature(enable = $features)])?
            unsafe fn transpose(columns: &[*const $t], to: *mut $t, rows: usize, scale: $t) {
                // SAFETY: passed on.
                unsafe { lines::transpose::<$lanes, LANES>(columns, to, rows, scale) }
            }
            /// # Safety
            /// That of [`lines::add`].
            $(#[target_feature(enable = $features)])?
            unsafe fn add(sums: *mut $t, rows: *const $t, plan: &Plan) {
                // SAFETY: passed on.
                unsafe { lines::add::<$lanes, SIDE>(sums, rows, plan) }
            }
            Kernels {
                #[cfg(test)]
                name: stringify!($name),
                vector,
                columns,
                flip,
                transpose,
                add,
            }
        }
    };
}

kernels!(portable_f32, f32, u32, Array<f32, 4>);
kernels!(portable_f64, f64, u64, Array<f64, 2>);
#[cfg(target_arch = "x86_64")]
kernels!(avx2_f32, f32, u32, __m256, "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx2_f64, f64, u64, __m256d, "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx512_f32, f32, u32, __m512, "avx512f");
#[cfg(target_arch = "x86_64")]
kernels!(avx512_f64, f64, u64, __m512d, "avx512f");

macro_rules! transform {
    ($t:ty, $line:literal, $portable:ident, $avx2:ident, $avx512:ident) => {
        impl Transform for $t {
            type Line = Line<$t, $line>;

            const ZEROS: Self::Line = Line([0.0; $line]);

            const LINE: usize = $line;

            #[inline]
            fn kernels() -> Kernels<$t> {
                #[cfg(target_arch = "x86_64")]
                {
                    if Level::Avx512.on() {
                        return $avx512();
                    }
                    if Level::Avx2.on() {
                        return $avx2();
                    }
                }
                $portable()
            }
        }
    };
}

transform!(f32, 16, portable_f32, avx2_f32, avx512_f32);
transform!(f64, 8, portable_f64, avx2_f64, avx512_f64);
