//! Fits numbers in plain slices.
#![allow(clippy::print_stdout, reason = "an example may print")]

use nearlin::{Regressor, Rows, TrainError};

fn main() -> Result<(), TrainError> {
    // 300 rows of two inputs, one after the other, and their targets with some noise.
    let point = |i: i32| [(f64::from(i) * 0.618).fract(), (f64::from(i) * 0.414).fract()];
    let truth = |x: &[f64]| (6.0 * x[0]).sin() * x[1];
    let noise = |i: i32| 0.1 * (f64::from(i) * 0.732).fract() - 0.05;
    let x: Vec<f64> = (0..300).flat_map(point).collect();
    let y: Vec<f64> = x.chunks(2).zip(0..).map(|(x, i)| truth(x) + noise(i)).collect();

    let model = Regressor::new().width(1024).fit(Rows::new(&x, 2)?, &y)?;
    let others = [0.25, 0.5, 0.75, 0.9];
    let predicted = model.predict(Rows::new(&others, 2)?)?;
    println!(
        "predicted {predicted:.3?}, true {:.3?}",
        others.chunks(2).map(truth).collect::<Vec<_>>()
    );

    if let Some(left_out) = model.left_out() {
        println!("R2 of rows that were left out: {:.4}", left_out.r2[0]);
        assert!(left_out.r2[0] > 0.95);
    }
    println!("90% of new targets lie within {:.4} of the prediction", model.half_widths(0.9)?[0]);
    if let Some(importances) = &model.report().importances {
        println!("parts of the squared gradient along each input: {importances:.2?}");
    }
    Ok(())
}
