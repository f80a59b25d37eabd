//! What fits and models refuse, and what they say.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use core::fmt::Debug;

use nearlin::{Classifier, Regressor, Rows, SolverKind, TrainError};

const X: [[f64; 2]; 4] = [[0.0, 1.0], [1.0, 0.0], [2.0, 5.0], [3.0, 1.0]];
const Y: [f64; 4] = [1.0, 2.0, 4.0, 3.0];

fn says<T: Debug>(result: Result<T, TrainError>, words: &str) {
    assert_eq!(result.unwrap_err().to_string(), words);
}

#[test]
fn fits_say_what_is_wrong_and_where() {
    let fit = Regressor::new().width(16);
    let with = |row: usize, col: usize, value: f64| {
        let mut x = X;
        x[row][col] = value;
        fit.fit(x.as_slice(), Y.as_slice())
    };
    says(with(2, 1, f64::NAN), "inputs holds NaN at row 2, column 1; expected finite numbers");
    says(with(0, 0, f64::INFINITY), "inputs holds inf at row 0, column 0; expected finite numbers");
    let y = [1.0, 2.0, f64::NEG_INFINITY, f64::NAN];
    let targets = "targets holds -inf at row 2, column 0; expected finite numbers";
    says(fit.fit(X.as_slice(), y.as_slice()), targets);
    says(
        fit.fit(X.as_slice(), &Y[..3]),
        "found 3 rows of targets for 4 rows of inputs, expected as many",
    );
    says(fit.fit(&X[..1], &Y[..1]), "found 1 rows to fit to, expected at least two");
    let empty = "training needs at least one row, one input and one output; found ";
    says(fit.fit(&X[..0], &Y[..0]), &format!("{empty}0 x 2 inputs and 1 outputs"));
    says(fit.fit([[]; 4].as_slice(), Y.as_slice()), &format!("{empty}4 x 0 inputs and 1 outputs"));
    says(fit.fit(X.as_slice(), [[]; 4].as_slice()), &format!("{empty}4 x 2 inputs and 0 outputs"));
    let y = Y.map(|y| [y, 3.5]);
    says(
        fit.fit(X.as_slice(), y.as_slice()),
        "targets hold 3.5 in all 4 rows of column 1; expected two different numbers",
    );
    says(Rows::new(&Y, 3), "slice of rows has 4 entries, expected 1 x 3");
    says(Rows::new(&Y, 0), "slice of rows has 4 entries, expected 0 x 0");

    let classify = Classifier::new().width(16);
    says(
        classify.fit(X.as_slice(), &["a"; 4]),
        "all 4 rows are of one class, expected two at least",
    );
    says(
        classify.fit(X.as_slice(), &[true, false]),
        "found 2 rows of targets for 4 rows of inputs, expected as many",
    );
}

#[test]
fn settings_say_what_is_wrong() {
    let fit = |regressor: Regressor| regressor.fit(X.as_slice(), Y.as_slice());
    let new = Regressor::new;
    says(fit(new().width(7)), "width is 7, expected a positive even number");
    says(fit(new().ridge(-1.0)), "ridge is -1, expected a finite number that is not negative");
    says(fit(new().ridge(f64::NAN)), "ridge is NaN, expected a finite number that is not negative");
    says(fit(new().tolerance(0.0)), "tolerance is 0, expected a positive finite number");
    let sketch = |rows| new().options(|options| options.sketch_rows(rows));
    says(fit(sketch(Some(0))), "sketch rows is 0, expected at least 1");
    let width = usize::MAX - 1;
    let words = format!("{width} x 4 weights do not fit into memory");
    says(fit(new().width(width)), &words);
}

#[test]
fn models_say_what_is_wrong_and_where() {
    let model = Regressor::new().width(16).fit(X.as_slice(), Y.as_slice()).unwrap();
    let columns = "rows to predict have 1 columns, expected 2 as in the training";
    says(model.predict(Y.as_slice()), columns);
    let inputs = "inputs holds NaN at row 1, column 0; expected finite numbers";
    says(model.predict([[0.0, 0.0], [f64::NAN, 0.0]].as_slice()), inputs);
    for level in [0.0, 1.0, -0.5, f64::NAN] {
        let words = format!("level is {level}, expected a number between 0 and 1");
        says(model.half_widths(level), &words);
    }

    let unsure = "no training rows were left out to tell how sure predictions are; \
                  expected a positive ridge and a fit that was not stopped";
    let exact = Regressor::new().width(64).ridge(0.0).fit(X.as_slice(), Y.as_slice()).unwrap();
    says(exact.half_widths(0.5), unsure);
    assert!(exact.left_out().is_none());
    let predicted = exact.predict(X.as_slice()).unwrap();
    assert!(predicted.iter().zip(Y).all(|(f, y)| (f - y).abs() < 1e-6), "{predicted:?}");
    let exact = Classifier::new().width(64).ridge(0.0).fit(X.as_slice(), &[1, 2, 1, 2]).unwrap();
    says(exact.probabilities(X.as_slice()), unsure);
    says(exact.predict(Y.as_slice()), columns);
}

/// Other options go through, and none of those that the builder sets itself.
#[test]
fn other_options_go_through() {
    let fit = Regressor::new().width(32).ridge(0.5).options(|options| {
        options.solver(Some(SolverKind::Cg)).ridge(7.0).tolerance(0.3).least_gain(0.9)
    });
    let model = fit.fit(X.as_slice(), Y.as_slice()).unwrap();
    let options = model.report().options;
    assert_eq!((options.ridge, options.tolerance, options.least_gain), (0.5, 1e-8, 0.0));
    assert!(model.report().run.steps.iter().all(|step| step.solver == nearlin::SolverKind::Cg));
}
