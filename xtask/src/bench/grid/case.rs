//! The problems of the grid.

use faer::Par;
use nearlin::{Equations, TrainError};
use nearlin_dense::{SymmetricEigen, mirror_lower};
use nearlin_relu::{Init, Signs};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::Serialize;

use crate::bench::Outcome;

/// Rows whose Gram matrix is decomposed for the condition number.
const LOOKED_AT: usize = 1024;

/// How the inputs lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::bench) enum Inputs {
    /// Normal vectors: every direction counts.
    Cloud,
    /// On a smooth surface of two dimensions: eigenvalues fall fast.
    Surface,
    /// Normal vectors in pairs at this distance: small eigenvalues.
    Pairs(f64),
}

/// A problem: `rows` equations in so many `inputs` (a bias among them) and `outputs`, trained at a width and a ridge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(in crate::bench) struct Case {
    pub(in crate::bench) rows: usize,
    pub(in crate::bench) width: usize,
    pub(in crate::bench) inputs: usize,
    pub(in crate::bench) outputs: usize,
    pub(in crate::bench) ridge: f64,
    pub(in crate::bench) points: Inputs,
}

const fn case(
    (rows, width, inputs, outputs): (usize, usize, usize, usize),
    ridge: f64,
    points: Inputs,
) -> Case {
    Case { rows, width, inputs, outputs, ridge, points }
}

/// From 200 rows to 50,000, two of them with fewer parameters than equations and no ridge, with a tenth to a thousand parameters for each row, condition numbers from 1e2 to 1e10.
pub(super) const CASES: [Case; 27] = {
    use Inputs::{Cloud, Pairs, Surface};
    [
        case((200, 4, 5, 1), 1e-2, Cloud),
        case((200, 200, 10, 1), 0.0, Cloud),
        case((200, 4096, 50, 1), 0.1, Cloud),
        case((500, 2048, 10, 1), 0.0, Pairs(1e-4)),
        case((500, 1024, 20, 5), 1e-3, Cloud),
        case((1000, 8192, 100, 1), 0.0, Cloud),
        case((1000, 1024, 20, 5), 0.1, Surface),
        case((2000, 40, 5, 1), 0.1, Cloud),
        case((2000, 4096, 20, 1), 0.0, Surface),
        case((2000, 4096, 20, 1), 1e-3, Cloud),
        case((2000, 2048, 50, 10), 1e-2, Cloud),
        case((5000, 1024, 10, 1), 1e-2, Cloud),
        case((5000, 8192, 20, 1), 0.0, Cloud),
        case((5000, 4096, 20, 1), 1e-6, Pairs(1e-3)),
        case((5000, 16_384, 100, 1), 0.1, Cloud),
        case((10_000, 4096, 20, 1), 0.0, Cloud),
        case((10_000, 4096, 20, 1), 1e-3, Surface),
        case((10_000, 4096, 20, 1), 0.1, Cloud),
        case((10_000, 100, 10, 1), 1e-2, Cloud),
        case((2000, 100, 10, 1), 0.0, Surface),
        case((5000, 400, 10, 1), 0.0, Cloud),
        case((20_000, 4096, 10, 1), 1e-2, Surface),
        case((20_000, 16_384, 20, 1), 1e-2, Cloud),
        case((20_000, 4096, 10, 1), 1e-4, Surface),
        case((50_000, 512, 10, 1), 0.1, Cloud),
        case((50_000, 5000, 10, 1), 1e-1, Surface),
        case((50_000, 8192, 20, 1), 1e-2, Cloud),
    ]
};

impl Case {
    /// Whether there are fewer parameters than equations and no ridge: steps are solved for in the weights, whatever the solver.
    pub(super) fn in_weights(&self) -> bool {
        self.ridge == 0.0 && self.width / 2 * self.inputs < self.rows * self.outputs
    }

    /// The equations: inputs on the unit sphere, and a smooth function of them, with noise where a ridge is there for it.
    pub(in crate::bench) fn equations(&self) -> Result<Equations, TrainError> {
        let (d, k) = (self.inputs, self.outputs);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let frequencies: Vec<f64> =
            (0..4 * d).map(|_| random.sample::<f64, _>(StandardNormal)).collect();
        let weights: Vec<f64> =
            (0..d * k).map(|_| random.sample::<f64, _>(StandardNormal)).collect();
        let (mut x, mut y) = (Vec::new(), Vec::new());
        let mut last: Vec<f64> = Vec::new();
        for row in 0..self.rows {
            let mut normal = |count: usize| -> Vec<f64> {
                (0..count).map(|_| random.sample(StandardNormal)).collect()
            };
            let mut point = match self.points {
                Inputs::Surface => {
                    let z = normal(2);
                    let wave = |q: usize| {
                        let f = &frequencies[4 * q..];
                        (f[0] * z[0] + f[1] * z[1] + 3.0 * f[2]).sin()
                    };
                    (0..d - 1).map(wave).collect()
                }
                Inputs::Pairs(distance) if row % 2 == 1 => {
                    let away = normal(d - 1);
                    last.iter().zip(away).map(|(x, a)| x + distance * a).collect()
                }
                Inputs::Cloud | Inputs::Pairs(_) => normal(d - 1),
            };
            last.clone_from(&point);
            point.push(((d - 1) as f64).sqrt());
            let length = point.iter().map(|v| v * v).sum::<f64>().sqrt();
            for v in &mut point {
                *v /= length;
            }
            let noise = if self.ridge > 0.0 { 0.1 } else { 0.0 };
            for output in weights.chunks_exact(d) {
                let along: f64 = point.iter().zip(output).map(|(x, w)| x * w).sum();
                y.push((2.0 * along).sin() + along * along + noise * normal(1)[0]);
            }
            x.extend(point);
        }
        Equations::new(x, y, d, k)
    }

    /// The condition number of `J J^T + mu I` at the initial weights, from its first 1,024 rows: the largest eigenvalue
    /// grows like the rows. At most what `f64` tells, 1e15.
    pub(super) fn condition(&self) -> Outcome<f64> {
        let few = Self { rows: self.rows.min(LOOKED_AT), ..*self }.equations()?;
        let (n, d, par) = (few.rows(), self.inputs, Par::rayon(0));
        let init = Init { inputs: d, outputs: 1, width: self.width, seed: 0, signs: Signs::Random };
        let mask = init.network(1.0)?.forward(few.x(), par)?.mask;
        let mut gram = nearlin_relu::gram(few.x(), &mask, par)?;
        mirror_lower(gram.as_mut());
        let eigen = SymmetricEigen::decompose(gram.as_ref(), par)?;
        let largest = eigen.values().iter().copied().fold(0.0, f64::max);
        let smallest = eigen.values().iter().copied().fold(f64::INFINITY, f64::min);
        let grown = largest * self.rows as f64 / n as f64 + self.ridge;
        Ok(grown / (smallest + self.ridge).max(grown * 1e-15))
    }

    /// The problem in words.
    pub(super) fn points(&self) -> String {
        match self.points {
            Inputs::Cloud => "cloud".into(),
            Inputs::Surface => "surface".into(),
            Inputs::Pairs(distance) => format!("pairs at {distance:e}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the grid is said to span.
    #[test]
    fn the_grid_spans_shapes() {
        let of = |value: fn(&Case) -> f64| {
            let values = CASES.iter().map(value);
            values.fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)))
        };
        assert!(CASES.len() >= 24);
        assert_eq!(of(|case| case.rows as f64), (200.0, 50_000.0));
        let (low, high) = of(|case| (case.width * case.inputs) as f64 / case.rows as f64);
        assert!(low <= 0.1 && high >= 1000.0, "{low} {high}");
        assert_eq!(of(|case| case.ridge), (0.0, 0.1));
        assert!(CASES.iter().all(|case| case.rows * case.width * case.inputs <= 10_000_000_000));
    }

    #[test]
    fn rows_are_on_the_sphere_and_pairs_are_close() {
        let equations = case((40, 2, 6, 2), 0.0, Inputs::Pairs(1e-3)).equations().unwrap();
        let x = equations.x();
        assert_eq!((equations.rows(), equations.outputs()), (40, 2));
        for i in (0..40).step_by(2) {
            let (a, b) = (x.row(i), x.row(i + 1));
            assert!((a.squared_norm_l2() - 1.0).abs() < 1e-12);
            let distance = (a - b).norm_l2();
            assert!(distance > 0.0 && distance < 5e-3, "{distance}");
        }
    }
}
