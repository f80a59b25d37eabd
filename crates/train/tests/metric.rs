//! Laws of the learned metric.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{noise, norm};
use faer::Par;
use nearlin::{Equations, Judge, Metric, MetricForm, learn_metric};
use proptest::prelude::*;

const FORMS: [MetricForm; 2] = [MetricForm::Diagonal, MetricForm::Full];

/// `n` points `[s; 1]` on the sphere with targets `f(s)`.
fn equations(n: usize, p: usize, seed: u64, f: impl Fn(&[f64]) -> f64) -> Equations {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for i in 0..n {
        let mut row: Vec<f64> = (0..p).map(|q| 1.7 * noise(seed, i * p + q)).collect();
        y.push(f(&row));
        let size = (p as f64).sqrt();
        for s in &mut row {
            *s /= size;
        }
        row.push(1.0);
        let length = norm(&row);
        x.extend(row.iter().map(|s| s / length));
    }
    Equations::new(x, y, p + 1, 1).unwrap()
}

proptest! {
    /// Lengths stay, and a row times a number is mapped to the map's times that number.
    #[test]
    fn a_metric_keeps_lengths(p in 1usize..6, full: bool, scale in 0.1..10.0f64, seed: u64) {
        let form = if full { MetricForm::Full } else { MetricForm::Diagonal };
        let len = if full { p * p } else { p };
        let map = (0..len).map(|at| noise(seed, at)).collect();
        let metric = Metric::from_parts(form, p, map, 0.5).unwrap();
        prop_assert_eq!(metric.inputs(), p);
        let row: Vec<f64> = (0..p).map(|q| noise(seed ^ 1, q)).chain([0.3]).collect();
        let mut mapped: Vec<f64> = row.iter().copied().chain(row.iter().map(|x| scale * x)).collect();
        metric.apply(&mut mapped);
        let (one, other) = mapped.split_at(p + 1);
        prop_assert!((norm(one) - norm(&row)).abs() <= 1e-14 * norm(&row) * (p + 2) as f64);
        for (a, b) in one.iter().zip(other) {
            prop_assert!((scale * a - b).abs() <= 1e-14 * scale * (p + 2) as f64);
        }
    }
}

/// Of two inputs one varies little, in units that both share, and does not matter: the base that says so is
/// taken, the plain metric where it says the contrary.
#[test]
fn a_base_is_taken_where_it_helps() {
    let equations = equations(200, 8, 11, |s| (1.5 * s[0]).sin() * s[1]);
    let base = |matter: f64, other: f64| {
        let map = (0..8).map(|q| if q < 2 { matter } else { other }).collect();
        Metric::from_parts(MetricForm::Diagonal, 8, map, 1.0).unwrap()
    };
    let bases = [base(0.1, 1.1), base(1.9, 0.3)];
    let choice = learn_metric(&equations, &bases, &[], Judge::SquaredError, Par::rayon(0)).unwrap();
    assert_eq!((choice.rounds.len(), choice.best), (3, 2), "{:?}", choice.rounds);
    assert_eq!((choice.metric.form(), choice.metric.map()), (MetricForm::Diagonal, bases[1].map()));
    let plain =
        learn_metric(&equations, &bases[..1], &[], Judge::SquaredError, Par::rayon(0)).unwrap();
    assert_eq!((plain.best, plain.metric.form()), (0, MetricForm::Plain));
    let learned =
        learn_metric(&equations, &bases, &FORMS, Judge::SquaredError, Par::rayon(0)).unwrap();
    assert!(learned.rounds[learned.best].error <= choice.rounds[2].error);
}

/// One direction of six matters, along an axis or across all of them: the metric finds it, a diagonal one only
/// where it is an axis, and the error falls by more than half.
#[test]
fn directions_that_matter_are_found() {
    let axis = equations(300, 6, 3, |s| (2.0 * s[2]).sin());
    for forms in [&FORMS[..1], &FORMS[1..], &FORMS[..]] {
        let choice = learn_metric(&axis, &[], forms, Judge::SquaredError, Par::rayon(0)).unwrap();
        assert!(choice.importances[2] > 0.9, "{:?}", choice.importances);
        assert!((choice.importances.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(choice.rounds[choice.best].error < 0.5 * choice.rounds[0].error);
    }
    let across = |s: &[f64]| (s[0] + s[1] - s[2] + s[3] - s[4] - s[5]).sin();
    let choice = learn_metric(
        &equations(300, 6, 3, across),
        &[],
        &FORMS,
        Judge::SquaredError,
        Par::rayon(0),
    )
    .unwrap();
    assert_eq!(choice.metric.form(), MetricForm::Full);
    assert!(choice.rounds[choice.best].error < 0.5 * choice.rounds[0].error);
}

/// A plain metric tells what matters as well: importances are of the fit's gradients, not of the metric.
#[test]
fn importances_are_of_gradients() {
    let axis = equations(300, 6, 3, |s| s[2]);
    let choice = learn_metric(&axis, &[], &[], Judge::SquaredError, Par::Seq).unwrap();
    assert_eq!(choice.metric.form(), MetricForm::Plain);
    assert!(choice.importances[2] > 0.8, "{:?}", choice.importances);
}

/// Noise alone teaches nothing, and neither does a constant.
#[test]
fn nothing_is_learned_from_nothing() {
    let choice =
        learn_metric(&equations(200, 4, 1, |_| 0.0), &[], &FORMS, Judge::SquaredError, Par::Seq)
            .unwrap();
    assert_eq!(choice.metric.form(), MetricForm::Plain);
    assert_eq!(choice.importances, [0.0; 4]);
    assert_eq!(choice.rounds[choice.best].error, 0.0);
    let tiny =
        learn_metric(&equations(2, 1, 1, |s| s[0]), &[], &FORMS, Judge::SquaredError, Par::Seq)
            .unwrap();
    assert!(tiny.rounds.iter().all(|round| round.error.is_finite()));
    assert_eq!(tiny.rows, 2);
}

/// The same metric on any number of threads, from an even part of the rows where there are many.
#[test]
fn threads_change_nothing() {
    let equations = equations(400, 4, 2, |s| s[0] * s[1]);
    let one = learn_metric(&equations, &[], &FORMS, Judge::SquaredError, Par::Seq).unwrap();
    assert_eq!(
        one,
        learn_metric(&equations, &[], &FORMS, Judge::SquaredError, Par::rayon(0)).unwrap()
    );
    assert_eq!(one.rows, 400);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let from = |form, p, len, bias| Metric::from_parts(form, p, vec![1.0; len], bias);
    assert!(from(MetricForm::Full, 3, 9, 1.0).is_some());
    assert!(from(MetricForm::Full, 3, 3, 1.0).is_none());
    assert!(from(MetricForm::Diagonal, 3, 9, 1.0).is_none());
    for bias in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(from(MetricForm::Diagonal, 3, 3, bias).is_none());
    }
    assert!(Metric::from_parts(MetricForm::Plain, 1, vec![f64::NAN], 1.0).is_none());
}
