//! Dates from cells to coordinates.

use std::fmt::Write;

use proptest::prelude::*;

use super::{U, all, says, table};
use crate::table::{Clock, Column, Encoder, Feature, Table, Values, Warning};

fn fitted(table: &Table) -> Encoder {
    Encoder::fit(table, "y", &all(table)).0
}

fn clocks(table: &Table) -> Vec<Clock> {
    let encoder = fitted(table);
    let Feature::Date { parts, .. } = &encoder.features()[0] else { panic!("dates") };
    parts.iter().map(|part| part.clock).collect()
}

/// A table of dates from 2024-02-26 on, the given days apart, each with this ending.
fn dates(steps: &[i64], ending: &str) -> Table {
    let mut text = String::from("t,y\n");
    for step in steps {
        let (mut month, mut day) = (2, 26 + step);
        for length in [29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if day > length {
                (month, day) = (month + 1, day - length);
            } else {
                break;
            }
        }
        let year = 2024 + (month - 1) / 12;
        writeln!(text, "{year}-{:02}-{day:02}{ending},1", (month - 1) % 12 + 1).unwrap();
    }
    table(&text)
}

#[test]
fn columns_of_dates_alone_are_dates() {
    let table = table(
        "a,b,c,d,e,f\n2024-02-29,2024-02-29,2024-02-29,2024-02-30,20240229,?\n\
         ,2024,June,2024-02-29,20240301,\n2024/03/01T12:00,2024-03-01,x,x,1,\n",
    );
    let is_date: Vec<bool> = table.columns().iter().map(Column::is_date).collect();
    assert_eq!(is_date, [true, false, false, false, false, false]);
    let Values::Dates(days) = table.columns()[0].values() else { panic!("dates") };
    assert!(days[0] == 19_782.0 && days[1].is_nan() && days[2] == 19_783.5);
    assert_eq!(table.columns()[0].date(2), Some(19_783.5));
}

/// What comes round is used where there is more than one round of it, and where it varies.
#[test]
fn rounds() {
    use Clock::{Days, WeekCos, WeekSin, YearCos, YearSin};
    assert_eq!(clocks(&dates(&[0, 1, 3], "")), [Days]);
    assert_eq!(clocks(&dates(&[0, 3, 7], "")), [Days]);
    assert_eq!(clocks(&dates(&[0, 3, 8], "")), [Days, WeekSin, WeekCos]);
    // One weekday, and one time of day that binary fractions only come near.
    assert_eq!(clocks(&dates(&[0, 7, 14, 21], " 06:20:01")), [Days]);
    let long = table("t,y\n2020-01-01,1\n2020-05-02,1\n2021-02-01,1\n");
    assert_eq!(clocks(&long), [Days, WeekSin, WeekCos, YearSin, YearCos]);
    let hours = table("t,y\n2020-01-01T06:00,1\n2020-01-01T13:00,1\n2020-01-02T09:30,1\n");
    assert_eq!(clocks(&hours), [Days, Clock::DaySin, Clock::DayCos]);
}

/// Three dates, two missing: the mean for those, and a coordinate that says so.
#[test]
fn missing_dates() {
    let table = table("t,y\n2024-01-01,1\nNA,1\n2024-01-03,1\n?,1\n2024-01-05,1\n");
    let encoder = fitted(&table);
    let Feature::Date { parts, missing, .. } = &encoder.features()[0] else { panic!("dates") };
    assert_eq!(
        (*missing, parts[0].standard.apply(19_725.0), encoder.inputs()),
        (Some(0.4), 0.0, 3)
    );
    let encoded = encoder.encode(&table, &all(&table)).unwrap();
    for row in [1, 3] {
        assert!(encoded.x[3 * row] == 0.0 && encoded.x[3 * row + 1] > 0.0);
    }
    assert!(encoded.warnings.is_empty());
    let later = super::table("t\n2024-01-03\n\n");
    assert_eq!(encoder.encode(&later, &[0]).unwrap().x[0], 0.0);
    assert!(encoder.is_valid() && encoder.spreads().is_none());

    let whole = fitted(&dates(&[0, 2, 3], ""));
    let new = super::table("t,z\n2024-03-01,1\n,2\n");
    let warnings = whole.encode(&new, &[0, 1]).unwrap().warnings;
    assert_eq!(warnings, [Warning::NewlyMissing { column: "t".into(), line: 3, rows: 1 }]);
    says(
        whole.encode(&super::table("t,z\n2024-03-01,1\n1.3.2024,2\n"), &[0, 1]),
        "line 3, column `t`: `1.3.2024` is not a date (YYYY-MM-DD, perhaps with a time), as the \
         model expects",
    );
    // One date or none is a category.
    let flag = fitted(&super::table("t,y\n2024-03-01,1\n,1\n"));
    assert!(matches!(&flag.features()[0], Feature::Category { levels, .. } if levels.len() == 2));
}

#[test]
fn encoders_of_dates_survive_json() {
    let encoder =
        fitted(&table("t,y\n2020-01-01 10:00,1\n?,1\n2021-02-01 11:30,1\n2020-07-07,1\n"));
    let text = serde_json::to_string(&encoder).unwrap();
    assert!(text.contains(r#""kind":"date""#) && text.contains(r#""clock":"year-sin""#), "{text}");
    assert_eq!(serde_json::from_str::<Encoder>(&text).unwrap(), encoder);
    assert!(encoder.is_valid());
    let twice = text.replace("day-sin", "days");
    assert!(!serde_json::from_str::<Encoder>(&twice).unwrap().is_valid());
}

proptest! {
    /// Each coordinate is `clock`, standardised: the encoder adds nothing to what days and clocks say.
    #[test]
    fn coordinates_are_standardised_clocks(steps in prop::collection::vec(0..300i64, 3..30)) {
        prop_assume!(steps.iter().any(|step| *step != steps[0]));
        let table = dates(&steps, "");
        let encoder = fitted(&table);
        let Feature::Date { parts, .. } = &encoder.features()[0] else { panic!("dates") };
        let encoded = encoder.encode(&table, &all(&table)).unwrap();
        let c = parts.len();
        for (row, step) in encoded.x.chunks_exact(c + 1).zip(&steps) {
            for (part, z) in parts.iter().zip(row) {
                let want = part.standard.apply(part.clock.read(19_779.0 + *step as f64));
                let got = z / row[c] * (c as f64).sqrt();
                prop_assert!((got - want).abs() <= 8.0 * U * want.abs(), "{got} {want}");
            }
        }
    }
}
