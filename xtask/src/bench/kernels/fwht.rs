//! Walsh-Hadamard transforms: of one vector of every size, and down the columns of a matrix.

use std::hint::black_box;

use faer::{Mat, MatMut, Par};
use nearlin::Element;
use nearlin_sketch::{fwht, fwht_columns};
use rayon::prelude::*;
use serde_json::json;

use super::Bench;
use super::case::Case;
use super::model::Model;
use super::operands::{noise, precision};
use crate::bench::Outcome;

/// The peer.
const FFHT: &str = "FFHT";

pub(super) fn measure(bench: &mut Bench) -> Outcome {
    vectors::<f32>(bench)?;
    vectors::<f64>(bench)?;
    columns::<f32>(bench)?;
    columns::<f64>(bench)
}

/// One vector, one thread. It is zero: additions take the same time whatever they add, and any other
/// vector would overflow under repeated transforms, which are not scaled.
fn vectors<T: Element>(bench: &mut Bench) -> Outcome {
    let exponents = bench.pick(vec![6, 10, 16], (6..=24).collect(), (6..=26).collect::<Vec<_>>());
    for exponent in exponents {
        let n = 1 << exponent;
        let name = precision::<T>().name();
        let request = json!({ "kernel": "fwht", "n": n, "columns": 1, "precision": name });
        bench.on_one_thread(Some((FFHT, &request)), || {
            let mut x = vec![<T as nearlin_dense::Real>::of(0.0); n];
            Case::new("fwht", Model::Fwht { n, columns: 1 }, precision::<T>())
                .in_place()
                .ours(move || fwht(black_box(&mut x[..])))
        })?;
    }
    Ok(())
}

/// The columns of a matrix, beside a copy of it.
fn columns<T: Element>(bench: &mut Bench) -> Outcome {
    let (n, columns) = bench.pick((1 << 12, 64), (1 << 17, 512), (1 << 17, 512));
    let model = Model::Fwht { n, columns };
    let name = precision::<T>().name();
    let request = json!({ "kernel": "fwht", "n": n, "columns": columns, "precision": name });
    bench.on_all_threads(Some((FFHT, &request)), |par| {
        let mut a = Mat::<T>::zeros(n, columns);
        // Not zeros, which a system may map to one page.
        let (from, mut to) = (noise::<T>(n, columns), Mat::<T>::zeros(n, columns));
        Case::new("fwht_columns", model, precision::<T>())
            .in_place()
            .ours(move || fwht_columns(black_box(a.as_mut()), par))
            .other("memcpy", move || copy(black_box(&mut to), black_box(&from), par))
    })?;
    bench.on_all_threads(None, |par| {
        let mut a = vec![<T as nearlin_dense::Real>::of(0.0); n * columns];
        let (from, mut to) = (noise::<T>(n, columns), Mat::<T>::zeros(n, columns));
        Case::new("fwht_columns, row-major", model, precision::<T>())
            .in_place()
            .ours(move || {
                let a = MatMut::from_row_major_slice_mut(black_box(&mut a), n, columns);
                fwht_columns(a, par);
            })
            .other("memcpy", move || copy(black_box(&mut to), black_box(&from), par))
    })
}

/// A copy, column by column.
fn copy<T: Element>(to: &mut Mat<T>, from: &Mat<T>, par: Par) {
    let column = |(to, from): (faer::ColMut<'_, T>, faer::ColRef<'_, T>)| {
        let (to, from) = (to.try_as_col_major_mut(), from.try_as_col_major());
        if let (Some(to), Some(from)) = (to, from) {
            to.as_slice_mut().copy_from_slice(from.as_slice());
        }
    };
    match par {
        Par::Seq => to.col_iter_mut().zip(from.col_iter()).for_each(column),
        Par::Rayon(_) => {
            to.par_col_iter_mut().zip(from.par_col_iter()).for_each(column);
        }
    }
}
