//! The units of numbers in `f32` that are multiples of three bytes.
#![allow(clippy::inline_always, reason = "must be compiled with their caller's instruction set")]

/// The bits of an `f32` without its sign, those of its exponent's place, and those of infinity.
const SIZE: u32 = 0x7fff_ffff;
const EXPONENT: u32 = 23;
const INFINITE: u32 = 0x7f80_0000;

/// The largest fraction of a number whose multiple is of three bytes with signs: `127 2^16 + 127 2^8 + 127` over `2^22`.
const LARGEST: u32 = 8_322_814;

/// The least exponent, as it is stored, whose unit has a reciprocal: numbers below some 5e-32 lose digits.
const LEAST: u32 = 23;

/// A unit, a power of two, and its reciprocal, of which numbers with these bits, and all below, are multiples of up to three
/// bytes with signs, once they are rounded: by at most about a 2^23th of the largest. Of numbers that are not all finite none is
/// told.
fn unit(largest: u32) -> (f32, f32) {
    if largest >= INFINITE {
        return (f32::NAN, 0.0);
    }
    let fraction = largest & ((1 << EXPONENT) - 1);
    let exponent = ((largest >> EXPONENT) + u32::from(fraction > LARGEST)).max(LEAST);
    let power = |stored: u32| f32::from_bits(stored << EXPONENT);
    (power(exponent - 22), power(276 - exponent))
}

/// The units of columns, and their reciprocals, in place of the bits of their largest numbers.
pub(super) fn units(largest: &mut [f32], reciprocals: &mut [f32]) {
    for (largest, reciprocal) in largest.iter_mut().zip(reciprocals) {
        (*largest, *reciprocal) = unit(largest.to_bits());
    }
}

/// `largest <-` the larger of its bits and those of the sizes of a row, entry by entry: numbers that are not finite are the
/// largest.
#[inline(always)]
pub(super) fn raise(largest: &mut [f32], row: &[f32]) {
    for (largest, x) in largest.iter_mut().zip(row) {
        *largest = f32::from_bits((x.to_bits() & SIZE).max(largest.to_bits()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The multiples of the largest number are of three bytes with signs, and a unit is no more than a 2^22th of it.
        #[test]
        fn units_suit_the_largest(bits: u32, part in -1.0f32..=1.0) {
            let largest = f32::from_bits(bits);
            prop_assume!(largest.is_finite() && largest.abs() > 1e-30);
            let (unit, reciprocal) = unit(largest.to_bits() & SIZE);
            prop_assert!(f64::from(unit) * f64::from(reciprocal) == 1.0);
            prop_assert!(f64::from(unit) <= 1.01 / f64::from(1 << 22) * f64::from(largest.abs()));
            for x in [largest, part * largest] {
                prop_assert!((x * reciprocal).round_ties_even().abs() <= 127.0 * 65_793.0);
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_told() {
        let mut largest = [0.0f32; 4];
        for row in [[1.0, -3.0, f32::NAN, 0.0], [2.0, f32::NEG_INFINITY, 1.0, -0.0]] {
            raise(&mut largest, &row);
        }
        let mut reciprocals = [7.0; 4];
        units(&mut largest, &mut reciprocals);
        assert!(largest[0] > 0.0 && largest[1].is_nan() && largest[2].is_nan() && largest[3] > 0.0);
        assert_eq!(reciprocals[1..3], [0.0, 0.0]);
    }
}
