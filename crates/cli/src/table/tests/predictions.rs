//! Predictions as text.

use proptest::prelude::*;

use super::{all, table};
use crate::calibration::Calibration;
use crate::table::{Sureness, Target, Task, prediction_header, write_predictions};

fn target(text: &str, task: Task) -> Target {
    let table = table(text);
    Target::fit(&table, "y", task, &all(&table)).unwrap()
}

fn written(target: &Target, outputs: &[f64]) -> String {
    surely_written(target, outputs, &Sureness::Silent)
}

fn surely_written(target: &Target, outputs: &[f64], sure: &Sureness) -> String {
    let mut bytes = Vec::new();
    write_predictions(&mut bytes, target, outputs, sure).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Targets 1 and 3 have mean 2 and deviation 1; intervals are in the user's units already.
#[test]
fn intervals_about_predictions() {
    let target = target("y\n1\n3\n", Task::Regression);
    assert_eq!(
        surely_written(
            &target,
            &[0.0, 1.0],
            &Sureness::Interval { ends: vec![[1.75, 2.25], [2.5, 4.5]] }
        ),
        "prediction,lower,upper\n\
         2.0000000000000000e0,1.7500000000000000e0,2.2500000000000000e0\n\
         3.0000000000000000e0,2.5000000000000000e0,4.5000000000000000e0\n"
    );
}

/// At a sharpness of `ln 3` a score that is higher by 1 is three times as likely.
#[test]
fn probabilities_in_place_of_scores() {
    let target = target("y\na\nb\n", Task::Classification);
    let sure = Sureness::Probabilities(Calibration::Sharpness(3f64.ln()));
    let text = surely_written(&target, &[0.5, -0.5], &sure);
    let (header, row) = text.split_once('\n').unwrap();
    assert_eq!(header, "a,b,prediction");
    let cells: Vec<&str> = row.trim().split(',').collect();
    let [a, b] = [cells[0], cells[1]].map(|cell| cell.parse::<f64>().unwrap());
    assert!((a - 0.75).abs() < 1e-15 && (b - 0.25).abs() < 1e-15, "{row}");
    assert_eq!(cells[2], "a");
}

/// Targets 1 and 3 have mean 2 and deviation 1.
#[test]
fn regression_in_the_users_units() {
    let target = target("y\n1\n3\n", Task::Regression);
    assert_eq!(
        written(&target, &[0.0, -0.5, 1e3]),
        "prediction\n2.0000000000000000e0\n1.5000000000000000e0\n1.0020000000000000e3\n"
    );
    assert_eq!(written(&target, &[]), "prediction\n");
}

#[test]
fn classification_with_scores_and_label() {
    let target = target("y\nb\n\"a,1\"\nb\nb\n", Task::Classification);
    assert_eq!(
        written(&target, &[0.75, -0.75, 0.0, 0.0, 0.25, -0.25]),
        "\"a,1\",b,prediction\n\
         1.0000000000000000e0,0.0000000000000000e0,\"a,1\"\n\
         2.5000000000000000e-1,7.5000000000000000e-1,b\n\
         5.0000000000000000e-1,5.0000000000000000e-1,\"a,1\"\n"
    );
}

#[test]
fn classes_called_prediction() {
    let header = |text| prediction_header(&target(text, Task::Classification));
    assert_eq!(header("y\nprediction\nother\n"), ["other", "score:prediction", "prediction"]);
    assert_eq!(
        header("y\nprediction\nscore:prediction\n"),
        ["score:score:prediction", "score:prediction", "prediction"]
    );
    assert_eq!(header("y\nPrediction\nx\n"), ["Prediction", "x", "prediction"]);
}

proptest! {
    /// 17 significant digits give the number back, bit for bit.
    #[test]
    fn numbers_read_back_exactly(outputs in prop::collection::vec(-1e3..1e3f64, 1..20)) {
        let target = target("y\n0.1\n0.7\n12\n", Task::Regression);
        let text = written(&target, &outputs);
        for (line, output) in text.lines().skip(1).zip(&outputs) {
            let mut row = [*output];
            target.decode(&mut row);
            prop_assert_eq!(line.parse::<f64>().unwrap().to_bits(), row[0].to_bits());
        }
        prop_assert_eq!(text.lines().count(), outputs.len() + 1);
    }
}
