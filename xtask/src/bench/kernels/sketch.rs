//! Sketches of a tall matrix, beside reading it.

use std::hint::black_box;

use faer::{Mat, Par};
use nearlin::Element;
use nearlin_sketch::{Gaussian, Sketch, SparseSign, Srht, TensorSrht};
use rayon::prelude::*;

use super::Bench;
use super::case::Case;
use super::model::Model;
use super::operands::{noise, precision};
use crate::bench::Outcome;

/// Seed of the sketches.
const SEED: u64 = 0;

pub(super) fn measure(bench: &mut Bench) -> Outcome {
    group::<f32>(bench)?;
    group::<f64>(bench)
}

fn group<T: Element>(bench: &mut Bench) -> Outcome {
    let usual = (1 << 11, 1 << 6, 512, 2048);
    // The rows are read as p x q for the tensor form.
    let (p, q, k, s) = bench.pick((1 << 8, 1 << 5, 32, 256), usual, usual);
    let n = p * q;
    let a = noise::<T>(n, k);
    one(bench, "SRHT", Model::Srht { n, k, s }, &a, &Srht::new(n, s, SEED)?)?;
    for each in [1, 8] {
        let model = Model::SparseSign { n, k, s, each };
        one(bench, "SparseSign", model, &a, &SparseSign::new(n, s, each, SEED)?)?;
    }
    let tensor = TensorSrht::new(p, q, s, SEED)?;
    one(bench, "TensorSRHT", Model::TensorSrht { p, q, k, s }, &a, &tensor)?;
    one(bench, "Gaussian", Model::Gaussian { n, k, s }, &a, &Gaussian::new(n, s, SEED)?)
}

fn one<T: Element>(
    bench: &mut Bench,
    kernel: &'static str,
    model: Model,
    a: &Mat<T>,
    sketch: &impl Sketch<T>,
) -> Outcome {
    bench.on_all_threads(None, |par| {
        let mut out = Mat::<T>::zeros(sketch.embedding_dim(), a.ncols());
        Case::new(kernel, model, precision::<T>())
            .ours(move || {
                sketch.apply(black_box(out.as_mut()), a.as_ref(), par).expect("shapes fit");
            })
            .other("reading", move || read(black_box(a), par))
    })
}

/// Adds the entries up, column by column.
fn read<T: Element>(a: &Mat<T>, par: Par) {
    let column = |column: faer::ColRef<'_, T>| {
        let column = column.try_as_col_major().map_or(&[][..], |column| column.as_slice());
        let sum = pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let mut lanes = [<T as nearlin_dense::Real>::of(0.0); 64];
                for chunk in column.as_chunks::<64>().0 {
                    lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += *x);
                }
                lanes
            },
        );
        black_box(sum);
    };
    match par {
        Par::Seq => a.col_iter().for_each(column),
        Par::Rayon(_) => a.par_col_iter().for_each(column),
    }
}
