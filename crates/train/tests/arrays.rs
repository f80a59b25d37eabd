//! Laws of ndarray's arrays and linfa's traits.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::noise;
use linfa::dataset::{Dataset, DatasetBase};
use linfa::traits::{Fit, Predict, PredictInplace};
use ndarray::{Array1, Array2, ShapeBuilder, s};
use nearlin::{Classifier, Matrix, Regressor, Rows, TrainError};
use proptest::prelude::*;

fn table(n: usize, seed: u64) -> (Array2<f64>, Array1<f64>) {
    let x = Array2::from_shape_fn((n, 3), |(i, j)| noise(seed, 3 * i + j));
    let y = x.rows().into_iter().map(|x| (2.0 * x[0]).sin() + x[1] * x[2]).collect();
    (x, y)
}

fn bits(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Arrays give the bits that slices do, whatever their order and strides.
    #[test]
    fn layouts_change_nothing(n in 10usize..60, seed: u64) {
        let (x, y) = table(n, seed);
        let (flat, targets) = (x.as_slice().unwrap(), y.to_vec());
        let rows = Rows::new(flat, 3).unwrap();
        let fit = Regressor::new().width(64);
        let predicted = bits(&fit.fit(rows, &targets).unwrap().predict(rows).unwrap());

        let mut columns = Array2::zeros((n, 3).f());
        columns.assign(&x);
        let mut wide = Array2::from_elem((2 * n, 7), f64::NAN);
        wide.slice_mut(s![..;-2, 1..;2]).assign(&x);
        let transposed = x.t().as_standard_layout().into_owned();
        let model = fit.fit(&x, &y).unwrap();
        prop_assert_eq!(&bits(&model.predict(&columns).unwrap()), &predicted);
        let model = fit.fit(columns.view(), y.view()).unwrap();
        prop_assert_eq!(&bits(&model.predict(wide.slice(s![..;-2, 1..;2])).unwrap()), &predicted);
        let model = fit.fit(wide.slice(s![..;-2, 1..;2]), &targets).unwrap();
        prop_assert_eq!(&bits(&model.predict(transposed.t()).unwrap()), &predicted);
        let column = y.clone().insert_axis(ndarray::Axis(1));
        let model = fit.fit(transposed.t(), &column).unwrap();
        prop_assert_eq!(&bits(&model.predict(&x).unwrap()), &predicted);
    }
}

/// linfa's traits give what the methods of the same names do.
#[test]
fn linfa_says_the_same() {
    let (x, y) = table(80, 1);
    let fit = Regressor::new().width(64);
    let model = Fit::fit(&fit, &Dataset::new(x.clone(), y.clone())).unwrap();
    let expected = fit.fit(&x, &y).unwrap().predict(&x).unwrap();
    let predicted: Array1<f64> = Predict::predict(&model, &x);
    assert_eq!(predicted.to_vec(), expected);
    let whole: DatasetBase<_, Array1<f64>> = Predict::predict(&model, x.clone());
    assert_eq!(whole.targets().to_vec(), expected);
    let mut into = Array1::zeros(80);
    model.predict_inplace(&x, &mut into);
    assert_eq!(into, predicted);

    let labels = y.mapv(|y| if y > 0.0 { "above" } else { "below" });
    let fit = Classifier::new().width(64);
    let model = Fit::fit(&fit, &DatasetBase::new(x.view(), labels.view())).unwrap();
    let predicted: Array1<&str> = Predict::predict(&model, &x);
    let expected = fit.fit(&x, &labels.to_vec()).unwrap().predict(&x).unwrap();
    assert_eq!(predicted.to_vec(), expected);
    assert_eq!(model.default_target(&x).len(), 80);
}

#[test]
fn data_sets_are_refused_in_words() {
    let (mut x, y) = table(20, 2);
    let weighted = Dataset::new(x.clone(), y.clone()).with_weights(Array1::ones(20));
    let fit = |data: &Dataset<f64, f64, ndarray::Ix1>| Fit::fit(&Regressor::new().width(16), data);
    assert_eq!(
        fit(&weighted).unwrap_err().to_string(),
        "data set: found weights of 20 rows, expected none, as every row counts as one"
    );
    x[(4, 1)] = f64::NAN;
    assert!(matches!(
        fit(&Dataset::new(x, y)).unwrap_err(),
        TrainError::NonFinite { what: "inputs", row: 4, col: 1, .. }
    ));
    let other = TrainError::from(linfa::Error::NotEnoughSamples);
    assert_eq!(other.to_string(), "data set: not enough samples");
}

#[test]
#[should_panic(expected = "rows to predict have 2 columns, expected 3 as in the training")]
fn predictions_without_a_place_for_errors_panic() {
    let (x, y) = table(20, 3);
    let model = Regressor::new().width(16).fit(&x, &y).unwrap();
    assert_eq!((Matrix::nrows(&y), Matrix::ncols(&y)), (20, 1));
    let _: Array1<f64> = Predict::predict(&model, &x.slice(s![.., ..2]));
}
