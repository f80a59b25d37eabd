//! Fits several outputs in matrices of faer, of any strides.
#![allow(clippy::print_stdout, reason = "an example may print")]

use faer::Mat;
use nearlin::{Regressor, TrainError};

fn main() -> Result<(), TrainError> {
    // 300 columns of three inputs: the rows are those of the transpose, a view.
    let x = Mat::from_fn(3, 300, |j, i| (i as f64 * [0.618, 0.414, 0.732][j]).fract());
    let y = Mat::from_fn(300, 2, |i, k| match k {
        0 => x[(0, i)] + 2.0 * x[(1, i)],
        _ => (6.0 * x[(2, i)]).cos(),
    });
    let (train, test) = x.transpose().split_at_row(200);
    let model = Regressor::new().width(1024).fit(train, y.subrows(0, 200))?;

    let predicted = model.predict(test)?; // 100 x 2, row-major
    for (k, name) in ["sum", "cosine"].iter().enumerate() {
        let squares = (0..100).map(|i| (predicted[2 * i + k] - y[(200 + i, k)]).powi(2));
        let rmse = (squares.sum::<f64>() / 100.0).sqrt();
        println!("{name}: root mean square error {rmse:.4}");
        assert!(rmse < 0.1);
    }
    println!("ridge {:.1e}, {}", model.report().ridge(), model.report().run.reason);
    Ok(())
}
