//! All kernels give the bits of the definition level by level.

use faer::{Mat, MatMut};

use super::*;
use crate::Scalar;

/// Each kernel that this CPU has.
trait All: Scalar {
    fn all() -> Vec<Kernels<Self>>;
}

macro_rules! all {
    ($t:ty, $portable:ident, $avx2:ident, $avx512:ident) => {
        impl All for $t {
            fn all() -> Vec<Kernels<$t>> {
                let mut all = vec![$portable()];
                #[cfg(target_arch = "x86_64")]
                {
                    all.extend(Level::Avx2.on().then($avx2));
                    all.extend(Level::Avx512.on().then($avx512));
                }
                all
            }
        }
    };
}

all!(f32, portable_f32, avx2_f32, avx512_f32);
all!(f64, portable_f64, avx2_f64, avx512_f64);

/// Numbers of all magnitudes from 2^-6 to 2^6, a zero of either sign now and then.
fn number<T: Scalar>(i: usize) -> T {
    let size = (f64::from((i % 13) as u8) - 6.0).exp2();
    let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let fraction = (mixed >> 40) as f64 / (1u64 << 23) as f64 - 1.0;
    T::of(if i % 97 == 5 { 0.0 * fraction } else { fraction * size })
}

/// The transform as its definition has it: one level after the other, the farthest first.
fn plain<T: Scalar>(x: &mut [T]) {
    let mut half = x.len() / 2;
    while half > 0 {
        for i in (0..x.len()).filter(|i| i & half == 0) {
            (x[i], x[i | half]) = (x[i] + x[i | half], x[i] - x[i | half]);
        }
        half /= 2;
    }
}

/// Bits, so that signs of zeros count.
fn bits<T: Scalar>(x: &[T]) -> Vec<(u64, i16, i8)> {
    x.iter().map(|x| x.integer_decode()).collect()
}

fn vectors<T: All>() {
    for log in 0..=18 {
        let x: Vec<T> = (0..1 << log).map(number).collect();
        let mut want = x.clone();
        plain(&mut want);
        // Wherever the vector begins in a line of the cache.
        for (kernels, ahead) in T::all().into_iter().flat_map(|k| [0, 1, 2, 4, 8].map(|a| (k, a))) {
            let mut memory = vec![T::of(7.0); ahead];
            memory.extend(&x);
            kernels.vector(&mut memory[ahead..]);
            assert!(bits(&memory[ahead..]) == bits(&want), "{} 2^{log}, {ahead}", kernels.name);
        }
    }
}

/// Down columns, of a view with gaps between the rows that must stay as they were.
fn matrices<T: All>() {
    for log in 0..=10 {
        let rows = 1 << log;
        for width in [1, 2, 3, 4, 7, 8, 16, 23, 37, 64] {
            let pitch = width + width % 3;
            let whole = Mat::<T>::from_fn(pitch, rows, |j, i| number(i * 71 + j));
            let mut want = whole.clone();
            for j in 0..width {
                let mut column: Vec<T> = (0..rows).map(|i| whole[(j, i)]).collect();
                plain(&mut column);
                (0..rows).for_each(|i| want[(j, i)] = column[i]);
            }
            for kernels in T::all() {
                let mut got = whole.clone();
                let view: MatMut<'_, T> = got.as_mut().subrows_mut(0, width).transpose_mut();
                kernels.columns(view);
                for i in 0..rows {
                    let (got, want) = (got.col_as_slice(i), want.col_as_slice(i));
                    assert!(bits(got) == bits(want), "{} 2^{log} x {width}", kernels.name);
                }
            }
        }
    }
}

#[test]
fn kernels_give_the_bits_of_the_definition() {
    vectors::<f32>();
    vectors::<f64>();
}

#[test]
fn kernels_give_the_bits_of_the_definition_down_columns() {
    matrices::<f32>();
    matrices::<f64>();
}

/// Matrices of over 16 MiB take six levels at once: the bits are those of the columns one by one, with
/// gaps between the rows, which must stay as they were, and without, wherever in a line they begin.
fn large<T: All>() {
    let rows = (1 << 18) / size_of::<T>();
    for (width, pitch, first) in [(68, 68, 0), (68, 70, 0), (64, 64, 4), (68, 80, 4)] {
        let whole: Vec<T> = (0..first + rows * pitch).map(number).collect();
        for kernels in T::all() {
            let mut columns = Mat::from_fn(rows, width, |i, j| whole[first + i * pitch + j]);
            for j in 0..width {
                kernels.vector(columns.col_as_slice_mut(j));
            }
            let mut want = whole.clone();
            for (i, row) in want[first..].chunks_exact_mut(pitch).enumerate() {
                (0..width).for_each(|j| row[j] = columns[(i, j)]);
            }
            let mut got = whole.clone();
            let view = MatMut::from_row_major_slice_mut(&mut got[first..], rows, pitch);
            kernels.columns(view.subcols_mut(0, width));
            let same = |(got, want): (&T, &T)| got.integer_decode() == want.integer_decode();
            let wrong = got.iter().zip(&want).position(|pair| !same(pair));
            assert_eq!(wrong, None, "{} {rows} x {width}, {pitch} apart", kernels.name);
        }
    }
}

#[test]
fn kernels_give_the_bits_of_the_columns_down_large_matrices() {
    large::<f32>();
    large::<f64>();
}

fn signs<T: All>() {
    let words = [0x8000_0000_0000_0001, 0x0123_4567_89ab_cdef, u64::MAX, 0];
    for len in [0, 1, 31, 32, 33, 64, 100, 255] {
        let x: Vec<T> = (0..len).map(number).collect();
        let negative = |i: usize| words[i / 64] >> (i % 64) & 1 == 1;
        let want: Vec<T> =
            x.iter().enumerate().map(|(i, &x)| if negative(i) { -x } else { x }).collect();
        for kernels in T::all() {
            let mut got = x.clone();
            kernels.flip(&mut got, &words);
            assert!(bits(&got) == bits(&want), "{} {len}", kernels.name);
        }
    }
}

#[test]
fn kernels_flip_signs() {
    signs::<f32>();
    signs::<f64>();
}

/// Lines made of columns, and added to sums and taken off as their places say, one row after the other.
fn lines<T: All>() {
    let (scale, each) = (T::of(0.7), 3);
    // More sums than places, so that rows are added one by one; fewer, so that sums are finished one by one.
    for (rows, sums) in [(1, 5), (7, 40), (8, 200), (33, 90), (100, 11), (257, 3)] {
        let columns: Vec<Vec<T>> =
            (0..T::LINE).map(|j| (0..rows).map(|i| number(i * 31 + j)).collect()).collect();
        let columns: Vec<&[T]> = columns.iter().map(Vec::as_slice).collect();
        let places: Vec<u32> =
            (0..rows * each).map(|i| (i * i * 17 + 3 * i) as u32 % (2 * sums as u32)).collect();
        let mut want_lines = vec![T::ZEROS; rows];
        for (i, line) in want_lines.iter_mut().enumerate() {
            line.as_mut().iter_mut().zip(&columns).for_each(|(v, column)| *v = scale * column[i]);
        }
        let begin: Vec<T::Line> = (0..sums)
            .map(|i| {
                let mut line = T::ZEROS;
                line.as_mut().iter_mut().enumerate().for_each(|(j, v)| *v = number(7 * i + j));
                line
            })
            .collect();
        let mut want = begin.clone();
        for (line, places) in want_lines.iter().zip(places.chunks(each)) {
            for place in places {
                for (sum, &v) in want[(place >> 1) as usize].as_mut().iter_mut().zip(line.as_ref())
                {
                    *sum = if place & 1 == 1 { *sum - v } else { *sum + v };
                }
            }
        }
        let flat = |lines: &[T::Line]| -> Vec<T> {
            lines.iter().flat_map(|line| line.as_ref().to_vec()).collect()
        };
        let plan = Plan::new(&places, each, sums);
        for kernels in T::all() {
            let mut lines = vec![T::ZEROS; rows + 1];
            kernels.transpose(&columns, &mut lines[..rows], scale);
            let same = bits(&flat(&lines[..rows])) == bits(&flat(&want_lines));
            assert!(same, "{}: {rows} lines", kernels.name);
            let mut got = begin.clone();
            kernels.add(&mut got, &lines, &plan);
            let same = bits(&flat(&got)) == bits(&flat(&want));
            assert!(same, "{}: {rows} lines to {sums} sums", kernels.name);
        }
    }
}

#[test]
fn kernels_make_lines_and_add_them() {
    lines::<f32>();
    lines::<f64>();
}
