//! The whole way from a table to equations.

use std::fmt::Write;

use super::{U, says, table};
use crate::table::{ClassCount, Holdout, Options, Problem, Table, Task, Truth, Warning};

fn options(target: &str) -> Options {
    Options { target: target.into(), ..Options::default() }
}

/// 30 rows of two numbers and a letter; `y` is the sum of the numbers, `kind` the letter's class.
fn sample() -> Table {
    let mut text = String::from("a,b,letter,y,kind\n");
    for i in 0..30 {
        let (a, b) = (i % 7, i * i % 11);
        let letter = ["p", "q", "r"][i % 3];
        writeln!(text, "{a},{b},{letter},{},k{}", a + b, i % 3).unwrap();
    }
    table(&text)
}

#[test]
fn regression() {
    let table = sample();
    let problem = Problem::prepare(&table, &options("y")).unwrap();
    assert_eq!(problem.target.task(), Task::Regression);
    assert_eq!((problem.rows, problem.features), (30, 4));
    assert_eq!((problem.train.rows.len(), problem.test.rows.len()), (24, 6));
    // Two numbers and their scores, three letters, three kinds, the bias.
    assert_eq!((problem.equations.inputs, problem.equations.outputs), (11, 1));
    assert_eq!((problem.test_x.len(), problem.test_y.len()), (6 * 11, 6));
    assert!(problem.warnings.is_empty() && problem.classes.is_empty());
    for part in [&problem.train, &problem.test] {
        let Truth::Numbers(numbers) = &part.truth else { panic!("numbers") };
        for ((&row, &line), &y) in part.rows.iter().zip(&part.lines).zip(numbers) {
            assert_eq!(line, row as u64 + 2);
            assert_eq!(table.column("y").unwrap().number(row), Some(y));
        }
    }
    let again = Problem::prepare(&table, &options("y")).unwrap();
    assert_eq!(again.equations, problem.equations);
    assert_eq!(again.encoder, problem.encoder);
}

/// Texts that nobody has called classes and that look like none are refused, and why is said.
#[test]
fn targets_that_look_like_no_classes() {
    let of = |cell: &dyn Fn(usize) -> String| {
        let rows = (0..40).map(|i| format!("{};{}\n", i % 7, cell(i)));
        table(&std::iter::once("a;y\n".into()).chain(rows).collect::<String>())
    };
    let numbers = of(&|i| if i == 3 { "?!".into() } else { format!("{i}.5") });
    let commas = of(&|i| if i % 2 == 0 { format!("{i},5") } else { i.to_string() });
    let texts = of(&|i| format!("text {i}"));
    says(
        Problem::prepare(&numbers, &options("y")),
        "line 5: target column `y` holds `?!`, though 39 of its 40 cells are numbers; correct it, or say --task \
         classification if these are classes",
    );
    says(
        Problem::prepare(&commas, &options("y")),
        "line 2: target column `y` holds `0,5` and such cells, 20 of 40; numbers have a decimal point and nothing between \
         thousands; correct them, or say --task classification if these are classes",
    );
    says(
        Problem::prepare(&texts, &options("y")),
        "target column `y` holds 40 different texts in 40 rows; say --task classification if these are classes",
    );
}

/// Nothing of the test rows shows in what is learnt.
#[test]
fn test_rows_do_not_leak() {
    let table = sample();
    let problem = Problem::prepare(&table, &options("y")).unwrap();
    let mut text = String::from("a,b,letter,y,kind\n");
    for row in 0..table.rows() {
        if problem.test.rows.contains(&row) {
            text += "1000,-1000,unheard,1e6,k9\n";
        } else {
            let cells: Vec<_> = table.columns().iter().map(|c| c.cell(row)).collect();
            writeln!(text, "{}", cells.join(",")).unwrap();
        }
    }
    let changed = Problem::prepare(&super::table(&text), &options("y")).unwrap();
    assert_eq!(changed.equations, problem.equations);
    assert_eq!(changed.encoder, problem.encoder);
    assert_eq!(changed.target, problem.target);
    let unseen = |warning: &Warning| matches!(warning, Warning::UnseenCategory { rows: 6, .. });
    assert_eq!(changed.warnings.len(), 2);
    assert!(changed.warnings.iter().all(unseen), "{:?}", changed.warnings);
}

#[test]
fn classification() {
    let problem = Problem::prepare(&sample(), &options("kind")).unwrap();
    assert_eq!(problem.target.task(), Task::Classification);
    assert_eq!(problem.equations.outputs, 3);
    let count = |label: &str| ClassCount { label: label.into(), train: 8, test: 2 };
    assert_eq!(problem.classes, [count("k0"), count("k1"), count("k2")]);
    // Numbers as labels, when asked for; training rows as many as asked for.
    let options = Options {
        task: Some(Task::Classification),
        rows: Some(20),
        holdout: Holdout::TrainRows(15),
        ..options("a")
    };
    let problem = Problem::prepare(&sample(), &options).unwrap();
    assert_eq!((problem.train.rows.len(), problem.test.rows.len(), problem.rows), (15, 5, 20));
    assert_eq!(problem.target.classes().unwrap(), ["0", "1", "2", "3", "4", "5", "6"]);
}

/// Row pairs with one input: two that agree, two that do not. The file's lines are named.
#[test]
fn contradictions_by_line() {
    let table = table("x,y\n1,5\n2,7\n\n1,5\n3,9\n2,8\n4,1\n");
    let options = Options { holdout: Holdout::Fraction(0.0), ..options("y") };
    let problem = Problem::prepare(&table, &options).unwrap();
    let equations = &problem.equations;
    assert_eq!((equations.equations(), equations.merged_rows()), (4, 2));
    assert_eq!(equations.contradictions.len(), 1);
    let mut lines = problem.lines_of(&equations.contradictions[0]);
    lines.sort_unstable();
    assert_eq!(lines, [3, 7]);
    // Targets 5 7 5 9 8 1: mean 35/6, sum of squares about it 245 - 35^2/6; the pair loses 1/2.
    let floor = (0.5 / (245.0 - 1225.0 / 6.0f64)).sqrt();
    assert!((equations.floor - floor).abs() <= 100.0 * U, "{} {floor}", equations.floor);
}

/// All inputs constant: one equation, the mean, whose target is 0; all of `y` is floor.
#[test]
fn only_the_bias_is_left() {
    let table = table("k,c,y\n1,a,2\n1,a,3\n1,a,7\n");
    let problem = Problem::prepare(&table, &options("y")).unwrap();
    assert_eq!(problem.equations.inputs, 1);
    assert_eq!(problem.equations.counts, [3]);
    assert_eq!(problem.equations.x, [3f64.sqrt()]);
    assert_eq!(problem.warnings.len(), 2);
    assert!((problem.equations.floor - 1.0).abs() <= 20.0 * U);
    assert!(problem.equations.y[0].abs() <= 20.0 * U);
    let alone = Problem::prepare(&super::table("y\n1\n2\n"), &options("y")).unwrap();
    assert_eq!((alone.features, alone.equations.inputs), (0, 1));
}

/// Two training rows leave a third class to the test rows: it is named and counts as wrong.
#[test]
fn classes_only_in_test_rows() {
    let text = "x,y\n1,a\n2,a\n3,b\n4,b\n5,c\n6,c\n";
    let options = Options { holdout: Holdout::TrainRows(2), ..options("y") };
    let problem = Problem::prepare(&table(text), &options).unwrap();
    let Truth::Labels(labels) = &problem.test.truth else { panic!("labels") };
    assert_eq!(labels.iter().filter(|label| label.is_none()).count(), 2);
    let unseen = |warning: &&Warning| matches!(warning, Warning::UnseenClass { rows: 2, .. });
    assert_eq!(problem.warnings.iter().filter(unseen).count(), 1);
    assert_eq!(problem.test_y.len(), 4 * 2);
}

#[test]
fn magnitudes_of_targets_do_not_matter() {
    for magnitude in ["1e-150", "1e150"] {
        let text = format!("x,y\n1,1{0}\n2,2{0}\n3,-4{0}\n", &magnitude[1..]);
        let problem = Problem::prepare(&table(&text), &options("y")).unwrap();
        let squares: f64 = problem.equations.y.iter().map(|y| y * y).sum();
        assert!((squares - 3.0).abs() <= 100.0 * U, "{squares}");
    }
}

#[test]
fn requests_that_do_not_fit() {
    let table = sample();
    let with = |change: &dyn Fn(&mut Options)| {
        let mut options = options("y");
        change(&mut options);
        Problem::prepare(&table, &options)
    };
    says(
        with(&|o| o.target = "Y".into()),
        "no column `Y` (did you mean `y`?); the columns are `a`, `b`, `letter`, `y`, `kind`",
    );
    says(
        with(&|o| (o.target, o.task) = ("kind".into(), Some(Task::Regression))),
        "line 2, column `kind`: `k0` is not a number, as `--task regression` expects",
    );
    says(
        with(&|o| o.holdout = Holdout::Fraction(1.0)),
        "`--test-fraction` is 1, expected a number in [0, 1)",
    );
    says(
        with(&|o| o.holdout = Holdout::TrainRows(31)),
        "`--train-rows` is 31, expected at most 30, the rows that there are",
    );
    says(with(&|o| o.rows = Some(1)), "`--rows` is 1, expected at least 2");
    says(
        Problem::prepare(&super::table("x,y\n1,2\n"), &options("y")),
        "the table has 1 row with a target, expected at least 2",
    );
    says(
        Problem::prepare(&super::table("x,y\n1,2\n2,2\n"), &options("y")),
        "target `y` is `2` on all 2 training rows, so there is nothing to learn",
    );
}
