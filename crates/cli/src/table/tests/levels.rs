//! Columns of many categories, from cells to equations.

use std::fmt::Write;

use super::{U, all, table};
use crate::table::{
    Encoder, Feature, Holdout, Lesson, Options, Problem, Table, Target, Task, Warning,
};

fn options(target: &str, holdout: Holdout) -> Options {
    Options { target: target.into(), holdout, ..Options::default() }
}

/// `x` mixed up: SplitMix64, as a number in [0, 1).
fn noise(x: usize) -> f64 {
    let mut z = (x as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
}

/// 600 rows of 120 shops, each with a level of its own, and a number that tells nothing.
fn shops() -> Table {
    let mut text = String::from("shop,n,y,kind\n");
    for i in 0..600 {
        let shop = i * 7 % 120;
        let level = f64::from(shop * 37 % 120) / 60.0;
        let kind = if level > 1.0 { "dear" } else { "cheap" };
        writeln!(text, "s{shop},{},{},{kind}", i % 11, level + f64::from(i % 7) / 50.0).unwrap();
    }
    table(&text)
}

/// One coordinate for regression, two for two classes; new rows get the means of all training rows,
/// and the model that is written says the same.
#[test]
fn coordinates_are_few_and_survive_json() {
    let table = shops();
    for (target, ignored, outputs) in [("y", "kind", 1), ("kind", "y", 2)] {
        let problem = Problem::prepare(&table, &options(target, Holdout::Fraction(0.0))).unwrap();
        let Feature::Means { column, levels, parts } = &problem.encoder.features()[0] else {
            panic!("means")
        };
        assert_eq!((&**column, parts.len()), ("shop", outputs), "{target}, not {ignored}");
        let levels = levels.len();
        assert!(levels > 20);
        let coded = Warning::CodedByMeans { column: "shop".into(), levels, rows: 600 };
        assert_eq!(problem.warnings, [coded][..]);
        let json = serde_json::to_string(&problem.encoder).unwrap();
        let read: Encoder = serde_json::from_str(&json).unwrap();
        assert!(read.is_valid() && read == problem.encoder);
        let shortened = json.replacen("\"means\":[", "\"means\":[0.5,", 1);
        assert!(!serde_json::from_str::<Encoder>(&shortened).unwrap().is_valid());
    }
}

/// New rows: a level is coded by its mean, and a level that there was not by the mean of all, 0.
#[test]
fn new_rows_get_the_means_of_all_training_rows() {
    let table = shops();
    let y: Vec<f64> = (0..600).map(|row| table.columns()[2].number(row).unwrap() - 1.0).collect();
    let lesson = Lesson { y: &y, outputs: 1, seed: 5, scores: true };
    let (encoder, encoded) = Encoder::fit_training(&table, "y", &all(&table), &lesson).unwrap();
    let Feature::Means { levels, parts, .. } = &encoder.features()[0] else { panic!("means") };
    let new = super::table("shop,n,kind\ns1,5,dear\nnone such,5,dear\n,5,dear\n");
    let told = encoder.encode(&new, &all(&new)).unwrap();
    let c = told.inputs - 1;
    let first = |row: usize| told.x[row * (c + 1)] / told.x[row * (c + 1) + c] * (c as f64).sqrt();
    let level = levels.iter().find(|level| level.text == "s1").unwrap();
    for (row, mean) in [(0, level.means[0]), (1, 0.0), (2, 0.0)] {
        let want = parts[0].apply(mean);
        assert!((first(row) - want).abs() <= 8.0 * U * want.abs(), "{row}");
    }
    assert_eq!(
        told.warnings[0].to_string(),
        "column `shop`, line 3: `none such` is not among the training rows; such cells, here 2, \
         get the mean of all rows"
    );
    // The training rows are not told what they would be as new rows.
    let again = encoder.encode(&table, &all(&table)).unwrap();
    assert_ne!(encoded.x, again.x);
}

/// A category for each row tells nothing of the target and is dropped; what is left of a column whose
/// few repeats tell something is not the target either.
#[test]
fn identifiers_do_not_leak() {
    let row = |i: usize, id: usize| format!("id{id},{},{}\n", i % 5, noise(i));
    let unique = (0..300).fold(String::from("id,n,y\n"), |text, i| text + &row(i, i));
    let problem = Problem::prepare(&table(&unique), &options("y", Holdout::Fraction(0.0))).unwrap();
    let identifier = Warning::Identifier { column: "id".into(), levels: 300, rows: 300 };
    assert_eq!(problem.warnings, [identifier]);
    // The number, its score and the bias.
    assert_eq!(problem.equations.inputs, 3);

    // Pairs: a row's code is its partner's target over 11, or 0 where they are in one fold. Were its own
    // in it, the correlation would be near 1; by chance it is below 6 / sqrt(n) but for one in 1e8.
    let pairs = table(&(0..2000).fold(String::from("id,n,y\n"), |text, i| text + &row(i, i / 2)));
    let target = Target::fit(&pairs, "y", Task::Regression, &all(&pairs)).unwrap();
    let y = target.encode(&target.truth(&pairs, &all(&pairs)).unwrap());
    let lesson = Lesson { y: &y, outputs: 1, seed: 0, scores: true };
    let (encoder, encoded) = Encoder::fit_training(&pairs, "y", &all(&pairs), &lesson).unwrap();
    let Feature::Means { parts, .. } = &encoder.features()[0] else { panic!("means") };
    let codes: Vec<f64> =
        encoded.x.chunks_exact(4).map(|row| row[0] / row[3] * 3f64.sqrt()).collect();
    for (i, code) in codes.iter().enumerate() {
        let [alone, told] = [0.0, y[i ^ 1] / 11.0].map(|mean| parts[0].apply(mean));
        let near = |want: f64| (code - want).abs() <= 20.0 * U * want.abs().max(1.0);
        assert!(near(alone) || near(told), "{i}: {code}");
    }
    let n = codes.len() as f64;
    let correlation = codes.iter().zip(&y).map(|(code, y)| code * y).sum::<f64>() / n;
    assert!(correlation.abs() < 6.0 / n.sqrt(), "{correlation}");
}

/// Rows with the same cells in different folds are different equations; of one fold they are merged.
#[test]
fn equal_rows_of_one_fold_are_merged() {
    let text = (0..440)
        .fold(String::from("c,n,y\n"), |text, i| text + &format!("l{0},{0},{1}\n", i % 110, i % 9));
    let problem = Problem::prepare(&table(&text), &options("y", Holdout::Fraction(0.0))).unwrap();
    let equations = problem.equations.equations();
    assert!(equations > 110 && equations <= 440, "{equations}");
    assert_eq!(problem.equations.counts.iter().sum::<usize>(), 440);
}
