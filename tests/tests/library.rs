//! The library's estimators and the program encode alike: the same networks on the shipped tables, bit for bit.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use core::ops::ControlFlow;
use std::path::Path;

use faer::Mat;
use nearlin::{Classifier, Equations, Event, Network, Options, Regressor, train};
use nearlin_cli::table::{self, Holdout, Problem, Table, Task, Truth};

/// A few steps on part of a table with a ridge that is given, as the program takes them: the inputs, row by row, what
/// they are to give, and the network.
fn by_the_program(
    file: &str,
    target: &str,
    task: Option<Task>,
    options: &Options,
) -> (Mat<f64>, Truth, Network) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data").join(file);
    let table = Table::read(&path).unwrap();
    let mut asked = table::Options::default();
    (asked.target, asked.task, asked.rows, asked.holdout) =
        (target.to_owned(), task, Some(400), Holdout::Fraction(0.0));
    let problem = Problem::prepare(&table, &asked).unwrap();
    let columns: Vec<_> = table.columns().iter().filter(|c| c.name() != target).collect();
    let rows = &problem.train.rows;
    let x = Mat::from_fn(rows.len(), columns.len(), |i, j| columns[j].number(rows[i]).unwrap());

    let merged = problem.equations;
    let equations = Equations::new(merged.x, merged.y, merged.inputs, merged.outputs).unwrap();
    let run = train(&equations, options, &mut |_: &Event<'_>| ControlFlow::Continue(())).unwrap();
    (x, problem.train.truth, run.network)
}

#[test]
fn numbers_are_encoded_alike() {
    let options = Options::default().width(128).ridge(0.1).max_steps(3);
    let (x, truth, network) = by_the_program("diabetes.csv.gz", "target", None, &options);
    let Truth::Numbers(y) = truth else { panic!("numbers") };
    let model = Regressor::new().width(128).ridge(0.1).max_steps(3).fit(&x, &y).unwrap();
    assert_eq!(model.report().run.network, network);
}

#[test]
fn classes_are_encoded_alike() {
    let options = Options::default().width(128).ridge(0.1).max_steps(3);
    let (x, truth, network) =
        by_the_program("digits.csv.gz", "digit", Some(Task::Classification), &options);
    let Truth::Labels(labels) = truth else { panic!("labels") };
    let estimator = Classifier::new().width(128).ridge(0.1).max_steps(3);
    let model = estimator.fit(&x, &labels).unwrap();
    assert_eq!(model.classes().len(), 10);
    assert!(!model.report().constant_columns.is_empty());
    assert_eq!(model.report().run.network, network);
}
