//! Laws of the input encoding.

use std::fmt::Write;

use proptest::prelude::*;

use super::{U, all, numeric_table, says, table};
use crate::table::{Encoded, Encoder, Feature, Standard, Table, Warning};

fn encode(table: &Table) -> Encoded {
    let rows = all(table);
    Encoder::fit(table, "target", &rows).0.encode(table, &rows).unwrap()
}

/// `|computed z - exact z|` for `n` values of mean `m` and spread `s`, `v = 1 + |m| / s`:
/// the mean errs by `(n + v) u s`, the spread by `(n / 2 + 3) u`, and applying it by two
/// operations, where `|z| <= sqrt(n)`.
fn standard_error(n: f64, v: f64) -> f64 {
    ((n + v) + (n / 2.0 + 5.0) * n.sqrt()) * U
}

fn mean_and_spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt())
}

/// Numbers 1, 3 are -1, 1 when standardised, one-hot columns of two equal classes as well; with
/// three coordinates and the bias the squared length is 3/3 + 1.
#[test]
fn known_table() {
    let encoded = encode(&table("n,c,target\n1,a,0\n3,b,1\n"));
    let (r, half) = ((1.0f64 / 6.0).sqrt(), 0.5f64.sqrt());
    assert_eq!(encoded.inputs, 4);
    let expected = [-r, r, -r, half, r, -r, r, half];
    for (got, want) in encoded.x.iter().zip(expected) {
        assert!((got - want).abs() <= 6.0 * U, "{got} against {want}");
    }
}

#[test]
fn constant_columns_are_dropped_by_name() {
    let table = table("a,k,b,t\n1,7,x,s\n2,7,x,s\n5,7,x,s\n");
    let (encoder, warnings) = Encoder::fit(&table, "none", &all(&table));
    let constant = |column: &str, text: &str| Warning::ConstantColumn {
        column: column.into(),
        text: text.into(),
    };
    assert_eq!(warnings, [constant("k", "7"), constant("b", "x"), constant("t", "s")]);
    assert_eq!(warnings[0].to_string(), "column `k` is `7` on all training rows: dropped");
    assert_eq!(encoder.inputs(), 2);
    // Constant on the training rows is what counts, and what is dropped need not be there later.
    let (encoder, warnings) = Encoder::fit(&table, "a", &[0, 1]);
    assert_eq!((encoder.inputs(), warnings.len()), (1, 3));
    let encoded = encoder.encode(&super::table("z\n1\n2\n"), &[0, 1]).unwrap();
    assert_eq!(encoded.x, [1.0, 1.0]);
}

#[test]
fn categories_that_training_did_not_have() {
    let train = table("c,n\nred,1\nblue,2\nred,3\n");
    let (encoder, _) = Encoder::fit(&train, "target", &all(&train));
    let Feature::Category { levels, .. } = &encoder.features()[0] else { panic!("categories") };
    let shares: Vec<(&str, f64)> = levels.iter().map(|l| (l.text.as_str(), l.share)).collect();
    assert_eq!(shares, [("blue", 1.0 / 3.0), ("red", 2.0 / 3.0)]);

    let later = table("extra,n,c\n0,2,red\n0,2,green\n0,2,\"mauve\"\n");
    let encoded = encoder.encode(&later, &all(&later)).unwrap();
    let warning =
        Warning::UnseenCategory { column: "c".into(), text: "green".into(), line: 3, rows: 2 };
    assert_eq!(encoded.warnings, [warning]);
    assert_eq!(
        encoded.warnings[0].to_string(),
        "column `c`, line 3: `green` is not among the training rows; \
         such cells, here 2, get the all-zero code"
    );
    // All zeros before standardising: -share / spread in each, and 0 for the mean of `n`.
    let row = &encoded.x[4..8];
    let spread = (2.0f64 / 9.0).sqrt();
    let z = [-1.0 / 3.0 / spread, -2.0 / 3.0 / spread, 0.0].map(|z| z / 3f64.sqrt());
    for (got, want) in row.iter().zip(z) {
        assert!((got / row[3] - want).abs() <= 20.0 * U, "{got} / {} against {want}", row[3]);
    }
    assert_eq!(encoded.x[4..8], encoded.x[8..12]);
}

#[test]
fn columns_are_found_by_name() {
    let train = table("a,b,c,target\n1,x,5,0\n2,y,7,0\n4,x,6,1\n");
    let (encoder, _) = Encoder::fit(&train, "target", &all(&train));
    let moved = table("c,extra,b,a\n5,9,x,1\n7,9,y,2\n6,9,x,4\n");
    let rows = all(&train);
    assert_eq!(encoder.encode(&train, &rows).unwrap(), encoder.encode(&moved, &rows).unwrap());

    says(
        encoder.encode(&table("b,target\nx,1\n"), &[0]),
        "the table lacks columns that the model needs: `a`, `c`",
    );
    says(
        encoder.encode(&table("c,b,a\n5,x,1\n\n5,x,one\n"), &[0, 1]),
        "line 4, column `a`: `one` is not a number, as the model expects",
    );
}

/// The model decides: a column that was learnt as categories stays so where all cells are numbers.
#[test]
fn categories_that_look_like_numbers() {
    let train = table("c,n\n1,1\n2,2\nother,3\n");
    let (encoder, _) = Encoder::fit(&train, "target", &all(&train));
    let digits = table("c,n\n1,1\n2,2\n");
    assert!(digits.column("c").unwrap().is_numeric());
    let encoded = encoder.encode(&digits, &[0, 1]).unwrap();
    assert_eq!(encoded.x[..], encoder.encode(&train, &[0, 1]).unwrap().x[..]);
    assert!(encoded.warnings.is_empty());
}

#[test]
fn odd_columns_are_pointed_out() {
    let mut text = String::from("id,size,target\n");
    for i in 0..40 {
        let size = if i == 17 { "~".into() } else { i.to_string() };
        writeln!(text, "row{i},{size},{i}").unwrap();
    }
    let table = table(&text);
    let (_, warnings) = Encoder::fit(&table, "target", &all(&table));
    let many = |column: &str| Warning::ManyLevels { column: column.into(), levels: 40, rows: 40 };
    let mostly = Warning::MostlyNumeric {
        column: "size".into(),
        text: "~".into(),
        line: 19,
        numbers: 39,
        rows: 40,
    };
    assert_eq!(warnings, [many("id"), mostly, many("size")]);
    let unread = "column `size` is read as categories because of `~` on line 19, \
                  though 39 of its 40 cells are numbers";
    assert_eq!(warnings[1].to_string(), unread);
}

/// Numbers with commas, dates but for one cell, and numbers of rows.
#[test]
fn cells_that_were_meant_otherwise() {
    let mut text = String::from("row,weight,price,day,step,target\n");
    for i in 0..40 {
        let day = if i == 5 { "soon".into() } else { format!("2026-01-{:02}", 1 + i % 28) };
        let price = format!("\"{},{:03}.5\"", 1 + i, i);
        writeln!(text, "{},\"{i},5\",{price},{day},{},{i}", i + 1, 2 * i).unwrap();
    }
    let table = table(&text);
    let (_, warnings) = Encoder::fit(&table, "target", &all(&table));
    let words: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let commas = |column: &str, cell: &str| {
        format!(
            "column `{column}` is read as categories because of `{cell}` on line 2 and such cells, here 40 of 40; numbers have \
             a decimal point and nothing between thousands"
        )
    };
    let counts =
        "column `row` counts the rows from 1 on: if it is an index, it tells nothing of new rows";
    let dates = "column `day` is read as categories because of `soon` on line 7, though 39 of its 40 cells are dates";
    for expected in [counts, &commas("weight", "0,5"), &commas("price", "1,000.5"), dates] {
        assert!(words.iter().any(|told| told == expected), "{expected}: {words:?}");
    }
    assert!(!words.iter().any(|told| told.contains("`step`")), "{words:?}");
}

/// Columns from 1e-150 to 1e150 side by side, and rows far outside what was learnt.
#[test]
fn magnitudes_do_not_matter() {
    let shape = [1.0, 2.0, -4.0, 0.5];
    let columns: Vec<Vec<f64>> = [1e-150, 1e-75, 1.0, 1e75, 1e150]
        .iter()
        .map(|magnitude| shape.iter().map(|x| x * magnitude).collect())
        .collect();
    let small = numeric_table(&columns);
    let encoded = encode(&small);
    assert_eq!(encoded.inputs, 6);
    // All columns have the same shape. Their cells are rounded once, by at most `delta = 4 u`
    // where the spread is s = 2.29 and |z| < 1.7: below `(2 + 1.7) delta / s < 7 u`; the rest is
    // the error of standardising. Dividing by sqrt(5) and by the length only shrinks that.
    let bound = 2.0 * (7.0 * U + standard_error(4.0, 2.0)) + 4.0 * U;
    for row in encoded.x.chunks_exact(6) {
        for z in &row[..5] {
            assert!((z - row[2]).abs() <= bound, "{row:?}");
        }
    }
    let (encoder, _) = Encoder::fit(&small, "target", &all(&small));
    let far = numeric_table(&[vec![f64::MAX], vec![-1e300], vec![5e-324], vec![1.0], vec![0.0]]);
    let encoded = encoder.encode(&far, &[0]).unwrap();
    let length = encoded.x.iter().map(|x| x * x).sum::<f64>().sqrt();
    assert!((length - 1.0).abs() <= 8.0 * U, "{:?}", encoded.x);
}

prop_compose! {
    /// Numeric columns of the same length, with values in (-1, 1).
    fn columns()(count in 1..5usize, rows in 3..20usize)(
        columns in prop::collection::vec(prop::collection::vec(-1.0..1.0f64, rows), count),
    ) -> Vec<Vec<f64>> {
        columns
    }
}

proptest! {
    /// Squares and their sum err by `d u`, the root halves that, and the root and each
    /// quotient add one rounding: `(d / 2 + 2) u`; measuring adds `(d / 2 + 1) u`.
    #[test]
    fn rows_have_unit_length(columns in columns()) {
        let encoded = encode(&numeric_table(&columns));
        let d = encoded.inputs as f64;
        for row in encoded.x.chunks_exact(encoded.inputs) {
            let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            prop_assert!((length - 1.0).abs() <= (d + 3.0) * U, "{length}");
        }
    }

    /// A row divided by its bias and multiplied by `sqrt(c)` is the standardised row: mean 0 and
    /// variance 1 in each coordinate, one-hot ones included. Dividing by `sqrt(c)` and by the
    /// length and back takes six roundings of each `|z| <= sqrt(n)`.
    #[test]
    fn coordinates_have_mean_zero_and_variance_one(
        numbers in prop::collection::vec(-1.0..1.0f64, 3..20),
        letters in prop::collection::vec(0..4u8, 20),
    ) {
        let mut text = String::from("n,c,target\n");
        for (x, letter) in numbers.iter().zip(&letters) {
            writeln!(text, "{x:?},l{letter},0").unwrap();
        }
        let n = numbers.len() as f64;
        let (mean, spread) = mean_and_spread(&numbers);
        prop_assume!(spread > 1e-3);
        let encoded = encode(&table(&text));
        let d = encoded.inputs;
        let root = ((d - 1) as f64).sqrt();
        let error = standard_error(n, 1.0 + mean.abs() / spread) + 6.0 * U * n.sqrt();
        for j in 0..d - 1 {
            let z: Vec<f64> =
                encoded.x.chunks_exact(d).map(|row| row[j] / row[d - 1] * root).collect();
            let (mean, spread) = mean_and_spread(&z);
            prop_assert!(mean.abs() <= error + n * U, "mean {mean}");
            prop_assert!((spread - 1.0).abs() <= error + (n + 3.0) * U, "spread {spread}");
        }
    }

    /// `a x + b` for `x` in one column changes the sign of its coordinates with `a`, and nothing
    /// else. Rounding moves `a x + b` by `delta = u (max |a x| + max |a x + b|)` at most, and its
    /// mean and spread `s` by no more; so `z` moves by `(2 + sqrt(n)) delta / (s - delta)` and two
    /// computations' errors, a row before normalising by that over `sqrt(c)`, and after by no
    /// more than twice as much, lengths being at least 1.
    #[test]
    fn affine_changes_of_units_drop_out(
        columns in columns(), a in 0.01..100.0f64, negative: bool, b in -10.0..10.0f64,
    ) {
        let a = if negative { -a } else { a };
        let n = columns[0].len() as f64;
        let mut changed = columns.clone();
        changed[0].iter_mut().for_each(|x| *x = a * *x + b);
        let (mean, spread) = mean_and_spread(&columns[0]);
        let (new_mean, new_spread) = mean_and_spread(&changed[0]);
        prop_assume!(spread > 1e-3);
        let largest = |column: &[f64]| column.iter().fold(0.0, |max: f64, x| max.max(x.abs()));
        // A percent for the terms of second order.
        let delta = 1.01 * U * (largest(&columns[0]) * a.abs() + largest(&changed[0]));
        let moved = 1.01 * (2.0 + n.sqrt()) * delta / new_spread
            + standard_error(n, 1.0 + mean.abs() / spread)
            + standard_error(n, 1.0 + new_mean.abs() / new_spread);

        let before = encode(&numeric_table(&columns));
        let after = encode(&numeric_table(&changed));
        let bound = 2.0 * moved + (before.inputs as f64 + 4.0) * U;
        for (row, new) in before.x.chunks(before.inputs).zip(after.x.chunks(before.inputs)) {
            let sign = a.signum();
            prop_assert!((row[0] * sign - new[0]).abs() <= bound, "{} {}", row[0], new[0]);
            for (x, y) in row[1..].iter().zip(&new[1..]) {
                prop_assert!((x - y).abs() <= bound, "{x} {y}");
            }
        }
    }

    /// Powers of two drop out to the last bit.
    #[test]
    fn powers_of_two_drop_out(columns in columns(), exponents in prop::collection::vec(-400..400i32, 5)) {
        let scaled: Vec<Vec<f64>> = columns
            .iter()
            .zip(exponents)
            .map(|(column, e)| column.iter().map(|x| x * 2f64.powi(e)).collect())
            .collect();
        prop_assert_eq!(encode(&numeric_table(&columns)), encode(&numeric_table(&scaled)));
    }

    /// Rows in another order give the same rows in that order, up to sums taken in another
    /// order: twice the error of standardising, doubled by normalising.
    #[test]
    fn order_of_rows_does_not_matter(columns in columns(), shift in 1..20usize) {
        let turned: Vec<Vec<f64>> = columns
            .iter()
            .map(|column| {
                let mut column = column.clone();
                let by = shift % column.len();
                column.rotate_left(by);
                column
            })
            .collect();
        let n = columns[0].len();
        let mut v: f64 = 1.0;
        for column in &columns {
            let (mean, spread) = mean_and_spread(column);
            prop_assume!(spread > 1e-3);
            v = v.max(1.0 + mean.abs() / spread);
        }
        let before = encode(&numeric_table(&columns));
        let after = encode(&numeric_table(&turned));
        let d = before.inputs;
        let bound = 4.0 * standard_error(n as f64, v) + (d as f64 + 4.0) * U;
        for row in 0..n {
            let from = (row + shift) % n;
            for j in 0..d {
                let (x, y) = (before.x[from * d + j], after.x[row * d + j]);
                prop_assert!((x - y).abs() <= bound, "{x} {y}");
            }
        }
    }

    /// An encoder survives JSON to the last bit.
    #[test]
    fn json_round_trip(columns in columns()) {
        let table = numeric_table(&columns);
        let (encoder, _) = Encoder::fit(&table, "target", &all(&table));
        let text = serde_json::to_string(&encoder).unwrap();
        let read: Encoder = serde_json::from_str(&text).unwrap();
        prop_assert!(read.is_valid());
        prop_assert_eq!(read, encoder);
    }
}

#[test]
fn standard_is_what_numeric_columns_use() {
    let table = numeric_table(&[vec![1.0, 2.0, 4.0]]);
    let (encoder, _) = Encoder::fit(&table, "target", &all(&table));
    let standard = Standard::fit(&[1.0, 2.0, 4.0]).unwrap();
    assert_eq!(
        encoder.features(),
        [Feature::Number { column: "c0".into(), standard, scores: None, missing: None }]
    );
}

/// Deviations of 1 and 100; with a category there is no unit that columns share.
#[test]
fn spreads_are_in_the_columns_units() {
    let fitted = |text: &str| {
        let table = table(text);
        Encoder::fit(&table, "y", &all(&table)).0
    };
    let spreads = fitted("a,b,y\n1,100,0\n3,300,1\n").spreads().unwrap();
    assert!((spreads[0] - 1.0).abs() < 1e-14 && (spreads[1] - 100.0).abs() < 1e-12, "{spreads:?}");
    // Twenty different values have normal scores, which have no unit.
    let rows: Vec<String> = (0..20).map(|i| format!("{},{i}\n", i * i)).collect();
    let spreads = fitted(&format!("a,y\n{}", rows.concat())).spreads().unwrap();
    assert!(spreads.len() == 2 && spreads[0] > 100.0 && spreads[1] == 0.0, "{spreads:?}");
    assert_eq!(fitted("a,b,y\n1,p,0\n3,q,1\n").spreads(), None);
    assert_eq!(fitted("a,b,y\n1,2,0\n3,,1\n5,3,1\n").spreads(), None);
}
