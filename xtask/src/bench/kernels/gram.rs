//! The popcount Gram matrix, beside a GEMM that multiplies the mask as `f32`.

use std::hint::black_box;

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat};
use nearlin_dense::popcount_gram;

use super::Bench;
use super::case::Case;
use super::model::{Model, Precision};
use super::operands::{PANEL, mask, noise};
use super::peak::Peak;
use crate::bench::Outcome;

pub(super) fn measure(bench: &mut Bench) -> Outcome {
    let usual = vec![(4096, 65_536), (2000, 4096), (512, 262_144)];
    let sizes = bench.pick(vec![(512, 4096), (300, 8192)], usual.clone(), usual);
    for (n, m) in sizes {
        let mask = mask(n, m);
        // The panels of a wide mask, one after the other, are all the same one.
        let cols = m.min(PANEL);
        let panel = noise::<f32>(n, cols);
        bench.on_all_threads(None, |par| {
            let (mut g, mut h) = (Mat::<f32>::zeros(n, n), Mat::<f32>::zeros(n, n));
            let (mask, panel) = (&mask, &panel);
            Case::new("popcount_gram", Model::PopcountGram { n, m }, Precision::F32)
                .peak(Peak::Popcount)
                .ours(move || {
                    popcount_gram(black_box(g.as_mut()), mask, 1.0, par).expect("shapes fit");
                })
                .other("faer GEMM f32, triangle", move || {
                    for _ in 0..m / cols {
                        matmul(
                            black_box(h.as_mut()),
                            BlockStructure::TriangularLower,
                            Accum::Add,
                            panel.as_ref(),
                            BlockStructure::Rectangular,
                            panel.transpose(),
                            BlockStructure::Rectangular,
                            1.0,
                            par,
                        );
                    }
                })
        })?;
    }
    Ok(())
}
