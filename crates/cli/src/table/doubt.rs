//! What looks odd about a column.

use super::column::{Column, Table};
use super::date;
use super::warning::Warning;

/// Rows from which on numbers that count them are taken for an index.
const COUNTED: usize = 20;

/// What looks odd about a column that is read as `levels` categories in `rows` training rows.
pub(super) fn doubts(table: &Table, column: &Column, levels: usize, rows: usize) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = misread(table, column).into_iter().collect();
    if levels > 20 && levels * 10 > rows {
        warnings.push(Warning::ManyLevels { column: column.name().to_owned(), levels, rows });
    }
    warnings
}

/// Whether few cells keep a column from being numeric, or from being dates, or it has numbers as other countries write them.
pub(super) fn misread(table: &Table, column: &Column) -> Option<Warning> {
    mostly_numeric(table, column)
        .or_else(|| other_numbers(table, column))
        .or_else(|| mostly_dates(table, column))
}

/// Whether few cells keep a column from being numeric.
pub(super) fn mostly_numeric(table: &Table, column: &Column) -> Option<Warning> {
    let values = table.rows() - column.missing();
    let row = column.first_text().filter(|_| column.numbers() * 10 >= values * 9)?;
    Some(Warning::MostlyNumeric {
        column: column.name().to_owned(),
        text: column.cell(row).into_owned(),
        line: table.line(row),
        numbers: column.numbers(),
        rows: values,
    })
}

/// Whether nearly all cells are numbers, some of them in another notation.
pub(super) fn other_numbers(table: &Table, column: &Column) -> Option<Warning> {
    let values = table.rows() - column.missing();
    let is_other = |row: &usize| other_number(&column.cell(*row));
    let first = column.first_text()?;
    let others = (first..column.rows()).filter(is_other).count();
    let row = (first..column.rows()).find(is_other)?;
    (10 * (column.numbers() + others) >= 9 * values).then(|| Warning::OtherNumbers {
        column: column.name().to_owned(),
        text: column.cell(row).into_owned(),
        line: table.line(row),
        others,
        rows: values,
    })
}

/// Whether a text is a number with a comma in it: a decimal one, perhaps with points between thousands, or some between thousands,
/// perhaps with a decimal point.
fn other_number(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let grouped = |text: &str, by: char| {
        let mut groups = text.split(by);
        let first =
            groups.next().is_some_and(|first| (1..=3).contains(&first.len()) && digits(first));
        first && groups.all(|group| group.len() == 3 && digits(group))
    };
    let decimal = text.split_once(',').is_some_and(|(whole, part)| {
        !part.is_empty() && digits(part) && (digits(whole) || grouped(whole, '.'))
    });
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    decimal || whole.contains(',') && grouped(whole, ',') && digits(part)
}

/// Whether few cells keep a column from being dates.
fn mostly_dates(table: &Table, column: &Column) -> Option<Warning> {
    let values = table.rows() - column.missing();
    let is_date = |row: &usize| date::days(&column.cell(*row)).is_some();
    let dates = (0..column.rows()).filter(is_date).count();
    if dates == 0 || 10 * dates < 9 * values {
        return None;
    }
    let other = |row: &usize| !column.is_missing(*row) && !is_date(row);
    let row = (0..column.rows()).find(other)?;
    Some(Warning::MostlyDates {
        column: column.name().to_owned(),
        text: column.cell(row).into_owned(),
        line: table.line(row),
        dates,
        rows: values,
    })
}

/// Whether a column of numbers counts the rows.
pub(super) fn counts_rows(column: &Column) -> Option<Warning> {
    let rows = column.rows();
    let first = column.number(0)?;
    let counts = || (0..rows).all(|row| column.number(row) == Some(first + row as f64));
    let named = (first == 0.0 || first == 1.0) && rows >= COUNTED && counts();
    named.then(|| Warning::CountsRows { column: column.name().to_owned(), first: first as u64 })
}

#[cfg(test)]
mod tests {
    use super::other_number;

    #[test]
    fn commas_in_numbers() {
        for text in ["3,5", "-0,25", "1.234,5", "1,234", "1,234,567.8", "+12345,6", ",5"] {
            assert!(other_number(text), "{text}");
        }
        let others = [
            "3.5",
            "3",
            "",
            ",",
            "a,b",
            "3,5 kg",
            "1.2.3",
            "inf,",
            "52.1,4.3",
            "1,2,3",
            "01,02,2024",
            "1..2,3",
        ];
        for text in others {
            assert!(!other_number(text), "{text}");
        }
    }
}
