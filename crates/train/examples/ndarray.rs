//! Fits classes in arrays of ndarray, views of any strides included.
#![allow(clippy::print_stdout, reason = "an example may print")]

use ndarray::{Array2, s};
use nearlin::{Classifier, TrainError};

fn main() -> Result<(), TrainError> {
    let steps = [0.618, 0.236, 0.414];
    let table = Array2::from_shape_fn((400, 3), |(i, j)| (i as f64 * steps[j]).fract());
    let labels: Vec<u8> =
        table.rows().into_iter().map(|x| u8::from(x[0] > 0.5) + u8::from(x[2] > x[0])).collect();

    // Views: the first 300 rows, and the first and the last column of them.
    let model = Classifier::new().width(1024).fit(table.slice(s![..300, ..;2]), &labels[..300])?;

    let others = table.slice(s![300.., ..;2]);
    let predicted = model.predict(others)?;
    let right = predicted.iter().zip(&labels[300..]).filter(|(a, b)| a == b).count();
    println!("classes {:?}, {right} of 100 other rows right", model.classes());
    assert!(right >= 90);

    let probabilities = model.probabilities(others)?; // 100 x 3, row-major
    for (x, p) in others.rows().into_iter().zip(probabilities.chunks(3)).take(3) {
        println!("at {x:.2}: {p:.3?}");
    }
    Ok(())
}
