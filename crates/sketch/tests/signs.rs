//! Laws of the vectors of random signs.

use nearlin_sketch::random_signs;
use proptest::prelude::*;

const LEN: usize = 4096;

/// Six standard deviations of a sum of independent signs: passed by chance once in 5e8.
const BOUND: f64 = 6.0 * 64.0;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Signs have mean 0, and vectors of other indices and seeds are independent: their inner products
    /// have mean 0 as well.
    #[test]
    fn signs_are_independent(seed in 0..u64::MAX, index in 0..u64::MAX) {
        let z: Vec<f64> = random_signs(LEN, seed, index);
        prop_assert!(z.iter().all(|z| z.abs() == 1.0));
        prop_assert!(z.iter().sum::<f64>().abs() <= BOUND);
        for other in [random_signs(LEN, seed, index + 1), random_signs(LEN, seed + 1, index)] {
            let product: f64 = z.iter().zip(&other).map(|(a, b): (&f64, &f64)| a * b).sum();
            prop_assert!(product.abs() <= BOUND, "{product}");
        }
        // A shorter vector is the beginning of a longer one.
        prop_assert_eq!(&random_signs::<f64>(100, seed, index)[..], &z[..100]);
    }
}
