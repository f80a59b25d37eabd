//! Factorisations and triangular solves, beside LAPACK and BLAS through `SciPy`; Cholesky and the
//! solves beside faer's too.

use std::hint::black_box;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::triangular_solve::solve_upper_triangular_in_place;
use faer::{Mat, Par};
use nearlin::Element;
use nearlin_dense::{Cholesky, Real, Triangular, fixed_par, qr_r};
use serde_json::json;

use super::Bench;
use super::case::Case;
use super::model::Model;
use super::operands::{noise, precision};
use crate::bench::Outcome;

/// The rival.
const FAER: &str = "faer";

/// The peer.
const LAPACK: &str = "OpenBLAS";

pub(super) fn measure(bench: &mut Bench) -> Outcome {
    group::<f32>(bench)?;
    group::<f64>(bench)
}

fn group<T: Element>(bench: &mut Bench) -> Outcome {
    let usual = vec![1000, 2000, 4000, 8000];
    let full = vec![1000, 2000, 4000, 8000, 16_000];
    for n in bench.pick(vec![200, 400], usual.clone(), full) {
        cholesky::<T>(bench, n)?;
    }
    for n in bench.pick(vec![200], vec![1000, 2000, 4000], usual.clone()) {
        qr::<T>(bench, n)?;
    }
    for n in bench.pick(vec![400], usual.clone(), usual) {
        triangular::<T>(bench, n)?;
    }
    Ok(())
}

/// A matrix with noise off the diagonal, times `off`, and `diagonal` on it: positive definite if
/// `diagonal >= n off`, as its eigenvalues are positive by Gershgorin's theorem.
fn dominant<T: Element>(n: usize, off: f64, diagonal: f64) -> Mat<T> {
    let mut a = noise::<T>(n, n);
    a *= faer::Scale(<T as Real>::of(off));
    (0..n).for_each(|i| a[(i, i)] = <T as Real>::of(diagonal));
    a
}

fn cholesky<T: Element>(bench: &mut Bench, n: usize) -> Outcome {
    let a = dominant::<T>(n, 1.0, n as f64);
    let request = json!({ "kernel": "cholesky", "n": n, "precision": T::NAME });
    bench.on_all_threads(Some((LAPACK, &request)), |par| {
        let a = &a;
        Case::new("Cholesky", Model::Cholesky { n }, precision::<T>())
            .ours_on(
                || a.clone(),
                move |a| drop(black_box(Cholesky::factor(a, par).expect("positive definite"))),
            )
            .other_on(FAER, || a.clone(), move |a| drop(black_box(faer_cholesky(a, par))))
    })
}

/// faer's factorisation with its own choice of block sizes.
fn faer_cholesky<T: Element>(mut a: Mat<T>, par: Par) -> Mat<T> {
    let params = faer::prelude::default();
    let mut scratch = MemBuffer::new(cholesky_in_place_scratch::<T>(a.nrows(), par, params));
    let stack = MemStack::new(&mut scratch);
    cholesky_in_place(a.as_mut(), faer::prelude::default(), par, stack, params)
        .expect("positive definite");
    a
}

fn qr<T: Element>(bench: &mut Bench, n: usize) -> Outcome {
    let r = 4 * n;
    let a = noise::<T>(r, n);
    let request = json!({ "kernel": "qr", "n": n, "r": r, "precision": T::NAME });
    bench.on_all_threads(Some((LAPACK, &request)), |par| {
        let a = &a;
        Case::new("QR", Model::Qr { r, n }, precision::<T>())
            .ours_on(|| a.clone(), move |mut a| drop(black_box(qr_r(&mut a, par).expect("tall"))))
    })
}

fn triangular<T: Element>(bench: &mut Bench, n: usize) -> Outcome {
    let factor = Triangular::upper(dominant::<T>(n, 1.0 / n as f64, 1.0))?;
    for k in [1, 10, 64, n] {
        let b = noise::<T>(n, k);
        let request = json!({ "kernel": "triangular", "n": n, "k": k, "precision": T::NAME });
        bench.on_all_threads(Some((LAPACK, &request)), |par| {
            let (factor, b) = (&factor, &b);
            Case::new("triangular solve", Model::Triangular { n, k }, precision::<T>())
                .ours_on(
                    || b.clone(),
                    move |mut b| {
                        factor.solve_in_place(b.as_mut(), par);
                        black_box(b);
                    },
                )
                .other_on(
                    FAER,
                    || b.clone(),
                    move |mut b| {
                        let par = fixed_par(par);
                        solve_upper_triangular_in_place(factor.matrix(), b.as_mut(), par);
                        black_box(b);
                    },
                )
        })?;
    }
    Ok(())
}
