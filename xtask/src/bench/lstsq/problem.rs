//! The problems.

use faer::linalg::matmul::matmul;
use faer::sparse::{SparseRowMat, Triplet};
use faer::{Accum, Mat, Par};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use crate::bench::Outcome;

/// Noise of the right-hand sides.
const NOISE: f64 = 1e-3;

/// A problem by its shape.
#[derive(Clone, Copy, Debug)]
pub(super) enum Problem {
    Dense { rows: usize, columns: usize },
    Sparse { rows: usize, columns: usize, each: usize },
}

impl Problem {
    pub(super) fn all(quick: bool) -> [Self; 3] {
        let by = if quick { 50 } else { 1 };
        [
            Self::Dense { rows: 1_000_000 / by, columns: 200 },
            Self::Dense { rows: 100_000 / by, columns: 2000 / by },
            Self::Sparse { rows: 1_000_000 / by, columns: 1000 / by.min(10), each: 10 },
        ]
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Dense { rows, columns } => format!("dense, {rows} x {columns}"),
            Self::Sparse { rows, columns, each } => {
                format!("sparse, {rows} x {columns}, {each} entries a row")
            }
        }
    }
}

fn normal(stream: u64) -> impl Iterator<Item = f64> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    random.set_stream(stream);
    std::iter::repeat_with(move || random.sample(StandardNormal))
}

/// Normal entries times singular values from 1 down to 1e-10 and a rotation.
pub(super) fn dense(rows: usize, columns: usize) -> (Mat<f64>, Mat<f64>) {
    let rotation = {
        let mut entries = normal(0);
        let dense = Mat::from_fn(columns, columns, |_, _| entries.next().unwrap_or(0.0));
        dense.qr().compute_Q()
    };
    let fall = |j: usize| 10f64.powf(-10.0 * j as f64 / (columns - 1) as f64);
    let turned = Mat::from_fn(columns, columns, |i, j| fall(i) * rotation[(j, i)]);
    let mut a = Mat::zeros(rows, columns);
    a.as_mut().par_row_chunks_mut(10_000).enumerate().for_each(|(chunk, a)| {
        let mut entries = normal(1 + chunk as u64);
        let scale = 1.0 / (rows as f64).sqrt();
        let normal = Mat::from_fn(a.nrows(), columns, |_, _| scale * entries.next().unwrap_or(0.0));
        matmul(a, Accum::Replace, &normal, &turned, 1.0, Par::Seq);
    });
    let mut entries = normal(u64::MAX);
    let x = Mat::from_fn(columns, 1, |_, _| entries.next().unwrap_or(0.0));
    let mut b = &a * &x;
    let scale = NOISE * b.norm_l2() / (rows as f64).sqrt();
    b.col_mut(0).iter_mut().zip(entries).for_each(|(b, noise)| *b += scale * noise);
    (a, b)
}

/// So many entries in each row, at random places, in columns whose lengths fall from 1 to 1e-6.
pub(super) fn sparse(
    rows: usize,
    columns: usize,
    each: usize,
) -> Outcome<(SparseRowMat<usize, f64>, Mat<f64>)> {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let mut entries = normal(0);
    let fall = |j: usize| 10f64.powf(-6.0 * j as f64 / (columns - 1) as f64);
    let scale = 1.0 / (rows as f64 * each as f64 / columns as f64).sqrt();
    let mut triplets = Vec::with_capacity(rows * each);
    let mut b = Mat::zeros(rows, 1);
    let x: Vec<f64> = normal(1).take(columns).collect();
    for row in 0..rows {
        for _ in 0..each {
            let column = random.random_range(0..columns);
            let value = scale * fall(column) * entries.next().unwrap_or(0.0);
            triplets.push(Triplet::new(row, column, value));
            // In units of the columns, so that all of them matter.
            b[(row, 0)] += value * x[column] / fall(column);
        }
    }
    let noise = NOISE * b.norm_l2() / (rows as f64).sqrt();
    b.col_mut(0).iter_mut().zip(entries).for_each(|(b, e)| *b += noise * e);
    let a = SparseRowMat::try_new_from_triplets(rows, columns, &triplets);
    Ok((a.map_err(|error| format!("{error:?}"))?, b))
}
