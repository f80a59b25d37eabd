//! Synthetic data of any size: directions on the unit sphere and a smooth function of them.

use nearlin::{Equations, TrainError};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Inputs d: the coordinates of a direction, and a bias.
pub(super) const INPUTS: usize = 64;

/// Names the data.
pub(super) const SEED: u64 = 20_210_131;

/// `rows` examples. Row i is the same whatever the number of rows.
///
/// A direction is a normalised Gaussian vector; with a bias as long as itself the input has length
/// one. With z the direction times `sqrt(d - 1)`, whose entries are nearly standard Gaussians, the
/// target is `sin(2 z_0) + z_1 z_2`.
pub(super) fn equations(rows: usize) -> Result<Equations, TrainError> {
    let (mut x, mut y) = (Vec::with_capacity(rows * INPUTS), Vec::with_capacity(rows));
    for row in 0..rows {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        random.set_stream(row as u64);
        let mut z: Vec<f64> = (1..INPUTS).map(|_| random.sample(StandardNormal)).collect();
        let length = (z.iter().map(|z| z * z).sum::<f64>() / z.len() as f64).sqrt();
        for z in &mut z {
            *z /= length;
        }
        let unit = 1.0 / (2.0 * z.len() as f64).sqrt();
        x.extend(z.iter().map(|z| unit * z));
        x.push(0.5f64.sqrt());
        y.push((2.0 * z[0]).sin() + z[1] * z[2]);
    }
    Equations::new(x, y, INPUTS, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length is a sum of 64 squares, each off by at most 2 ulp of itself, so off by 65 ulp.
    #[test]
    fn inputs_have_length_one_and_do_not_depend_on_the_number_of_rows() {
        let (few, many) = (equations(3).unwrap(), equations(40).unwrap());
        assert_eq!((many.rows(), many.inputs(), many.outputs()), (40, INPUTS, 1));
        assert_eq!(few.y(), &many.y()[..3]);
        for row in 0..40 {
            let x: Vec<f64> = (0..INPUTS).map(|col| many.x()[(row, col)]).collect();
            let square: f64 = x.iter().map(|x| x * x).sum();
            assert!((square - 1.0).abs() <= 130.0 * f64::EPSILON, "{square}");
            assert_eq!(x[INPUTS - 1], 0.5f64.sqrt());
            if row < 3 {
                assert!((0..INPUTS).all(|col| few.x()[(row, col)] == x[col]));
            }
        }
        assert!(many.y().windows(2).all(|pair| pair[0] != pair[1]));
    }
}
