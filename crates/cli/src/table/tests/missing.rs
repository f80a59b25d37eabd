//! Laws of missing values.

use std::fmt::Write;

use proptest::prelude::*;

use super::{U, all, says, table};
use crate::table::{
    Encoder, Feature, Holdout, NormalScores, Options, Problem, Target, Task, Warning,
};

/// Encoded rows before they were normalised: the bias back at 1, times the root of the coordinates.
fn coordinates(encoder: &Encoder, text: &str) -> (Vec<Vec<f64>>, Vec<Warning>) {
    let table = table(text);
    let encoded = encoder.encode(&table, &all(&table)).unwrap();
    let c = encoded.inputs - 1;
    let rows = encoded.x.chunks_exact(c + 1);
    let back = |row: &[f64]| row[..c].iter().map(|z| z / row[c] * (c as f64).sqrt()).collect();
    (rows.map(back).collect(), encoded.warnings)
}

fn fitted(text: &str) -> (Encoder, Vec<Warning>) {
    let table = table(text);
    Encoder::fit(&table, "y", &all(&table))
}

/// Values 1, 3 and none: the mean 2 in its place, which is 0 when standardised, and the spread of
/// 1, 3, 2, which is `sqrt(2 / 3)`; one row of three lacks it.
#[test]
fn a_missing_number_is_the_mean_and_says_so() {
    let (encoder, warnings) = fitted("a,y\n1,0\n3,0\n?,0\n");
    assert!(warnings.is_empty());
    let Feature::Number { standard, missing, .. } = &encoder.features()[0] else { panic!() };
    assert_eq!((*missing, standard.apply(2.0), encoder.inputs()), (Some(1.0 / 3.0), 0.0, 3));
    let (z, warnings) = coordinates(&encoder, "a\n1\n3\nNA\n2\n");
    assert!(warnings.is_empty());
    let (far, half, two) = (1.5_f64.sqrt(), 0.5_f64.sqrt(), 2.0_f64.sqrt());
    for (got, want) in z.iter().zip([[-far, -half], [far, -half], [0.0, two], [0.0, -half]]) {
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() <= 20.0 * U, "{z:?}");
        }
    }
    assert_eq!((z[2][0], z[3][0]), (0.0, 0.0));
}

/// Where all training rows have a value there is no second coordinate: new rows get the mean, and
/// one warning a column.
#[test]
fn numbers_that_only_new_rows_lack() {
    let (encoder, _) = fitted("a,y\n1,0\n3,0\n5,0\n");
    let (z, warnings) = coordinates(&encoder, "a\n3\n\"\"\nNA\n");
    assert_eq!(z.concat(), [0.0; 3]);
    assert_eq!(warnings, [Warning::NewlyMissing { column: "a".into(), line: 3, rows: 2 }]);
    assert_eq!(
        warnings[0].to_string(),
        "column `a`, line 3: no value, and all training rows had one; such cells, here 2, are \
         taken as the mean"
    );
}

#[test]
fn a_missing_category_is_one_like_others() {
    let (encoder, _) = fitted("c,n,y\nu,1,0\n,2,0\nu,3,0\nNone,4,0\n");
    let Feature::Category { levels, .. } = &encoder.features()[0] else { panic!() };
    let levels: Vec<(&str, f64)> = levels.iter().map(|l| (&*l.text, l.share)).collect();
    assert_eq!(levels, [("", 0.5), ("u", 0.5)]);
    let (z, warnings) = coordinates(&encoder, "c,n\nNULL,1\n");
    assert!(z[0][0] > 0.0 && z[0][1] < 0.0 && warnings.is_empty());
    // Where training rows all had one, no value is like any category that they did not have.
    let (encoder, _) = fitted("c,y\nu,1\nv,2\n");
    let (_, warnings) = coordinates(&encoder, "c,n\nu,1\n?,1\n");
    assert_eq!(
        warnings[0].to_string(),
        "column `c`, line 3: no value, which is not among the training rows; such cells, here 1, \
         get the all-zero code"
    );
}

/// One number or none: two levels. No value at all: dropped.
#[test]
fn columns_with_one_value_or_none() {
    let (encoder, warnings) = fitted("flag,void,y\n1,,0\n,NA,0\n1,?,0\n");
    let Feature::Category { levels, .. } = &encoder.features()[0] else { panic!() };
    assert_eq!((&*levels[0].text, &*levels[1].text, encoder.features().len()), ("", "1", 1));
    assert_eq!(warnings[0].to_string(), "column `void` has no value on any training row: dropped");
    let json = serde_json::to_string(&encoder).unwrap();
    assert_eq!(serde_json::from_str::<Encoder>(&json).unwrap(), encoder);
    assert!(encoder.is_valid());
}

/// A file from before there were missing values reads as it did, and is written as it was.
#[test]
fn encoders_without_missing_values_are_written_as_before() {
    let old = r#"{"features":[{"kind":"number","column":"a","standard":{"unit":2.0,"mean":1.0,"std":0.5}}]}"#;
    let encoder: Encoder = serde_json::from_str(old).unwrap();
    assert!(encoder.is_valid());
    assert_eq!(serde_json::to_string(&encoder).unwrap(), old);
    for share in ["0.0", "1.0", "-0.5"] {
        let text = old.replace("0.5}}", &format!(r#"0.5}},"missing":{share}}}"#));
        assert!(!serde_json::from_str::<Encoder>(&text).unwrap().is_valid(), "{share}");
    }
}

/// Rows without a target take no part; the others are split as if they were the table.
#[test]
fn rows_without_a_target_are_left_out() {
    let (mut with, mut without) = (String::from("a,y\n"), String::from("a,y\n"));
    for i in 0..30 {
        if i % 7 == 2 {
            writeln!(with, "{},{}", 1000 + i, ["", "NA", "?"][i % 3]).unwrap();
        }
        for text in [&mut with, &mut without] {
            writeln!(text, "{},{}", 2 * i, i * i % 13).unwrap();
        }
    }
    for task in [Task::Regression, Task::Classification] {
        let options = Options {
            target: "y".into(),
            task: Some(task),
            holdout: Holdout::TrainRows(20),
            ..Options::default()
        };
        let prepare = |text: &str| Problem::prepare(&table(text), &options).unwrap();
        let (left, all) = (prepare(&with), prepare(&without));
        assert_eq!((&left.equations, &left.test_x), (&all.equations, &all.test_x));
        assert_eq!((left.rows, &left.encoder, &left.target), (30, &all.encoder, &all.target));
        assert_eq!(
            left.warnings[0].to_string(),
            "target `y`, line 4: no value (the cell is empty or one of na, n/a, nan, null, none, \
             ?); such rows, here 4, are left out"
        );
        assert_eq!(left.warnings[1..], all.warnings);
        let table = table(&with);
        assert!(
            left.train
                .rows
                .iter()
                .chain(&left.test.rows)
                .all(|&row| { !table.columns()[1].is_missing(row) })
        );
        says(
            Target::fit(&table, "y", task, &[0, 2]).map(|_| ()),
            "line 4, column `y`: the target has no value",
        );
    }
}

proptest! {
    /// The mean in place of what is missing changes no mean; both coordinates have mean 0 and
    /// variance 1. Values lie in (-1, 1) with spread above 0.01, so `v < 101`, and with at most 40
    /// values the sums of [`Standard::fit`] err by less than `8 (n + v) u < 1200 u`, twice over.
    #[test]
    fn coordinates_have_mean_zero_and_variance_one(
        cells in prop::collection::vec(prop::option::weighted(0.7, -1.0..1.0f64), 4..40),
    ) {
        let present: Vec<f64> = cells.iter().flatten().copied().collect();
        let mean = present.iter().sum::<f64>() / present.len() as f64;
        let squares = present.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
        prop_assume!(present.len() >= 2 && (squares / cells.len() as f64).sqrt() > 0.01);
        let text = cells.iter().fold(String::from("a,y\n"), |text, cell| match cell {
            Some(x) => text + &format!("{x:?},1\n"),
            None => text + "NA,1\n",
        });
        let table = table(&text);
        let (encoder, _) = Encoder::fit(&table, "y", &all(&table));
        let (z, warnings) = coordinates(&encoder, &text);
        prop_assert!(warnings.is_empty());
        let missing = cells.len() - present.len();
        let scores = NormalScores::fit_among(&present, missing).is_some();
        prop_assert_eq!(z[0].len(), 1 + usize::from(scores) + usize::from(missing > 0));
        for j in 0..z[0].len() {
            let mean = z.iter().map(|row| row[j]).sum::<f64>() / z.len() as f64;
            let variance = z.iter().map(|row| row[j] * row[j]).sum::<f64>() / z.len() as f64;
            prop_assert!(mean.abs() <= 2400.0 * U && (variance - 1.0).abs() <= 4800.0 * U);
        }
        for (row, cell) in z.iter().zip(&cells) {
            prop_assert!(cell.is_some() || row[0] == 0.0 && (!scores || row[1] == 0.0));
        }
    }
}
