//! Targets: tasks, codes, and the way back.

use super::{U, all, says, table};
use crate::table::{Target, TargetCode, Task, Truth};

#[test]
fn tasks_are_chosen_by_the_target() {
    let table = table("n,c\n1,1\n2,two\n");
    assert_eq!(Task::auto(table.column("n").unwrap()), Task::Regression);
    assert_eq!(Task::auto(table.column("c").unwrap()), Task::Classification);
    assert_eq!(Task::Regression.name(), "regression");
    assert_eq!(Task::Classification.name(), "classification");
}

/// Numbers go to mean 0 and variance 1 and come back up to a few roundings of the largest, 40.
#[test]
fn regression_there_and_back() {
    let table = table("y\n10\n20\n30\n40\n");
    let rows = all(&table);
    let target = Target::fit(&table, "y", Task::Regression, &rows).unwrap();
    assert_eq!((target.outputs(), target.classes(), target.task()), (1, None, Task::Regression));
    let truth = target.truth(&table, &rows).unwrap();
    assert_eq!(truth, Truth::Numbers(vec![10.0, 20.0, 30.0, 40.0]));
    let y = target.encode(&truth);
    let root = 5f64.sqrt();
    for (y, want) in y.iter().zip([-3.0 / root, -1.0 / root, 1.0 / root, 3.0 / root]) {
        assert!((y - want).abs() <= 8.0 * U, "{y} against {want}");
    }
    for (y, want) in y.iter().zip([10.0, 20.0, 30.0, 40.0]) {
        let mut row = [*y];
        target.decode(&mut row);
        assert!((row[0] - want).abs() <= 5.0 * U * 100.0, "{} against {want}", row[0]);
    }
}

/// Every column of a centred one-hot code has mean 0, and the code of a row decodes to its class.
#[test]
fn classification_there_and_back() {
    let table = table("y\nb\na\nb\nc\nb\nb\nc\na\n");
    let rows = all(&table);
    let target = Target::fit(&table, "y", Task::Classification, &rows).unwrap();
    let TargetCode::Classification { classes, centre } = &target.code else { panic!("classes") };
    assert_eq!(classes[..], ["a", "b", "c"]);
    assert_eq!(centre[..], [0.25, 0.5, 0.25]);
    let truth = target.truth(&table, &rows).unwrap();
    let labels = [1, 0, 1, 2, 1, 1, 2, 0].map(Some).to_vec();
    assert_eq!(truth, Truth::Labels(labels.clone()));
    let y = target.encode(&truth);
    assert_eq!(y[..3], [-0.25, 0.5, -0.25]);
    for class in 0..3 {
        assert_eq!(y.chunks_exact(3).map(|row| row[class]).sum::<f64>(), 0.0);
    }
    for (row, label) in y.chunks_exact(3).zip(labels) {
        let mut scores = row.to_vec();
        target.decode(&mut scores);
        let mut one_hot = [0.0; 3];
        one_hot[label.unwrap() as usize] = 1.0;
        assert_eq!(scores, one_hot);
    }
    let later = super::table("y\nc\nnew\n");
    let truth = target.truth(&later, &[0, 1]).unwrap();
    assert_eq!(truth, Truth::Labels(vec![Some(2), None]));
    assert_eq!(target.encode(&truth)[3..], [-0.25, -0.5, -0.25]);
}

#[test]
fn two_classes_have_two_outputs_and_only_training_counts() {
    let table = table("y\nyes\nno\nmaybe\nyes\n");
    let target = Target::fit(&table, "y", Task::Classification, &[0, 1, 3]).unwrap();
    assert_eq!(target.classes().unwrap(), ["no", "yes"]);
    assert_eq!(target.outputs(), 2);
}

#[test]
fn labels_that_are_numbers_keep_their_text_and_stand_in_order() {
    let table = table("y\n10\n9\n2.0\n9\n");
    let target = Target::fit(&table, "y", Task::Classification, &all(&table)).unwrap();
    assert_eq!(target.classes().unwrap(), ["2.0", "9", "10"]);
    let mixed = super::table("y\n10\n9\nx\n");
    let target = Target::fit(&mixed, "y", Task::Classification, &all(&mixed)).unwrap();
    assert_eq!(target.classes().unwrap(), ["10", "9", "x"]);
}

#[test]
fn targets_that_cannot_be_learnt() {
    let table = table("carat,price,cut\n1,5,a\n1,6,a\n2,7,b\n");
    let fit = |name, task, rows: &[usize]| Target::fit(&table, name, task, rows);
    says(
        fit("prise", Task::Regression, &[0, 1]),
        "no column `prise` (did you mean `price`?); the columns are `carat`, `price`, `cut`",
    );
    says(
        fit("weight", Task::Regression, &[0, 1]),
        "no column `weight`; the columns are `carat`, `price`, `cut`",
    );
    says(
        fit("cut", Task::Regression, &[0, 1]),
        "line 2, column `cut`: `a` is not a number, as `--task regression` expects",
    );
    says(
        fit("carat", Task::Regression, &[0, 1]),
        "target `carat` is `1` on all 2 training rows, so there is nothing to learn",
    );
    says(
        fit("cut", Task::Classification, &[0, 1]),
        "target `cut` is `a` on all 2 training rows, so there is nothing to learn",
    );
    assert!(fit("carat", Task::Regression, &[1, 2]).is_ok());
}
