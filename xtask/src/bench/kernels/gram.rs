//! The popcount Gram matrix, beside GEMMs that multiply the mask as `f32`, and its update after a step
//! beside making it anew.

use std::hint::black_box;

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat};
use nearlin_dense::{PackedMask, popcount_gram, popcount_gram_update};
use serde_json::json;

use super::Bench;
use super::case::Case;
use super::model::{Model, Precision};
use super::operands::{PANEL, flipped, mask, noise};
use super::peak::Peak;
use crate::bench::Outcome;

/// The peer: `NumPy` multiplies a matrix by its own transpose with BLAS's `ssyrk`, half of a GEMM.
const NUMPY: &str = "NumPy SYRK f32";

pub(super) fn measure(bench: &mut Bench) -> Outcome {
    let usual = vec![(4096, 65_536), (2000, 4096), (512, 262_144)];
    let sizes = bench.pick(vec![(512, 4096), (300, 8192)], usual.clone(), usual);
    for (index, (n, m)) in sizes.into_iter().enumerate() {
        let mask = mask(n, m);
        anew(bench, &mask)?;
        if index == 0 {
            updates(bench, &mask)?;
        }
    }
    Ok(())
}

/// The matrix from the mask alone.
fn anew(bench: &mut Bench, mask: &PackedMask) -> Outcome {
    let (n, m) = (mask.nrows(), mask.width());
    // The panels of a wide mask, one after the other, are all the same one.
    let cols = m.min(PANEL);
    let panel = noise::<f32>(n, cols);
    let request = json!({ "kernel": "gram", "n": n, "m": m, "precision": "f32" });
    bench.on_all_threads(Some((NUMPY, &request)), |par| {
        let (mut g, mut h) = (Mat::<f32>::zeros(n, n), Mat::<f32>::zeros(n, n));
        let panel = &panel;
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
    })
}

/// The matrix after a step: one neuron in a hundred flipped, one in ten, and one sign in a hundred
/// wherever it is, which leaves no neuron as it was.
fn updates(bench: &mut Bench, old: &PackedMask) -> Outcome {
    let (n, m) = (old.nrows(), old.width());
    let products = Mat::<f32>::full(n, n, 1.0);
    let mut before = products.clone();
    popcount_gram(before.as_mut(), old, 1.0, faer::Par::Seq)?;
    for (neurons, signs) in [(100, 2), (10, 2), (1, 100)] {
        let new = flipped(old, neurons, signs);
        let (trial, masks) = (&mut before.clone(), (old, &new));
        let par = faer::Par::Seq;
        let flipped = popcount_gram_update(trial.as_mut(), products.as_ref(), masks, 1.0, par)?;
        let model = Model::PopcountUpdate { n, m, flipped };
        bench.on_all_threads(None, |par| {
            let (mut g, mut h) = (before.clone(), before.clone());
            let (products, new) = (&products, &new);
            // There and back again, so that every update finds the matrix that it expects.
            let mut masks = (old, new);
            Case::new("popcount_gram_update", model, Precision::F32)
                .peak(Peak::Popcount)
                .ours(move || {
                    let g = black_box(g.as_mut());
                    popcount_gram_update(g, products.as_ref(), masks, 1.0, par)
                        .expect("shapes fit");
                    masks = (masks.1, masks.0);
                })
                .other("popcount_gram anew", move || {
                    h.copy_from_triangular_lower(products);
                    popcount_gram(black_box(h.as_mut()), new, 1.0, par).expect("shapes fit");
                })
        })?;
    }
    Ok(())
}
