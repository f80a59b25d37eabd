//! Fits and predicts through linfa's traits, with linfa's data sets and metrics.
#![allow(clippy::print_stdout, reason = "an example may print")]

use linfa::dataset::Dataset;
use linfa::prelude::{SingleTargetRegression, ToConfusionMatrix};
use linfa::traits::{Fit, Predict};
use ndarray::{Array1, Array2};
use nearlin::{Classifier, Regressor};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let x = Array2::from_shape_fn((400, 2), |(i, j)| (i as f64 * [0.618, 0.414][j]).fract());
    let y: Array1<f64> = x.rows().into_iter().map(|x| (6.0 * x[0]).sin() * x[1]).collect();
    let above = y.mapv(|y| y > 0.2);

    // The inherent methods have the same names, so the traits' are called by theirs.
    let (train, test) = Dataset::new(x.clone(), y).split_with_ratio(0.75);
    let model = Fit::fit(&Regressor::new().width(1024), &train)?;
    let predicted: Array1<f64> = Predict::predict(&model, &test);
    println!("R2 on {} other rows: {:.4}", predicted.len(), predicted.r2(&test)?);

    let (train, test) = Dataset::new(x, above).split_with_ratio(0.75);
    let model = Fit::fit(&Classifier::new().width(1024), &train)?;
    let predicted: Array1<bool> = Predict::predict(&model, &test);
    println!("accuracy: {:.4}", predicted.confusion_matrix(&test)?.accuracy());
    Ok(())
}
