//! Reading a Parquet file into a [`Table`], row group by row group.
//!
//! Numbers become numbers, texts and booleans texts, dates and times texts as they are in ISO 8601. A column of lists,
//! structures or bytes that are no text is refused where it is kept.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use super::column::{CellFault, Column, Table, text};
use super::error::{TableError, excerpt};
use super::read::unique;
use super::{date, npy};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// How a column's cells are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Date,
    /// Times, that many of which are a microsecond.
    Time(i64),
}

/// Reads the columns whose name `keep` accepts; `path` is for messages only.
pub(super) fn read<R: ChunkReader + 'static>(
    input: R,
    path: &Path,
    keep: &dyn Fn(&str) -> bool,
) -> Result<Table, TableError> {
    // The decoder panics on some files that contradict themselves.
    let read = AssertUnwindSafe(|| read_sound(input, path, keep));
    catch_unwind(read).unwrap_or_else(|_| {
        let reason = "it contradicts itself".to_owned();
        Err(TableError::Parquet { path: path.to_owned(), reason })
    })
}

fn read_sound<R: ChunkReader + 'static>(
    input: R,
    path: &Path,
    keep: &dyn Fn(&str) -> bool,
) -> Result<Table, TableError> {
    let broken = |error: ParquetError| TableError::Parquet {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let reader = SerializedFileReader::new(input).map_err(broken)?;
    let schema = reader.metadata().file_metadata().schema();
    let fields = schema.get_fields();
    if fields.is_empty() {
        return Err(TableError::EmptyFile { path: path.to_owned() });
    }
    unique(&fields.iter().map(|field| field.name()).collect::<Vec<_>>())?;
    let kept: Vec<_> = fields.iter().filter(|field| keep(field.name())).cloned().collect();
    let kinds = kept.iter().map(|field| kind(field)).collect::<Result<Vec<_>, _>>()?;
    let mut columns: Vec<Column> = kept
        .iter()
        .zip(&kinds)
        .map(|(field, kind)| match kind {
            Kind::Number => Column::numeric(field.name().to_owned()),
            _ => Column::new(field.name().to_owned()),
        })
        .collect();
    let projection =
        Type::group_type_builder(schema.name()).with_fields(kept).build().map_err(broken)?;
    let rows = usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
    if rows == 0 {
        return Err(TableError::HeaderOnly { path: path.to_owned() });
    }
    if !columns.is_empty() {
        let rows = reader.get_row_iter(Some(projection)).map_err(broken)?;
        for (row, cells) in rows.enumerate() {
            let cells = cells.map_err(broken)?;
            let cells = cells.get_column_iter().zip(&kinds).zip(&mut columns);
            for (((_, cell), kind), column) in cells {
                push(column, cell, *kind, row as u64 + 1)?;
            }
        }
    }
    if let Some(column) = columns.iter().find(|column| column.rows() != rows) {
        let reason = format!(
            "column `{}` has {} rows, and its footer says {rows}",
            excerpt(column.name()),
            column.rows()
        );
        return Err(TableError::Parquet { path: path.to_owned(), reason });
    }
    columns.iter_mut().for_each(Column::shrink);
    Ok(npy::table(columns, rows))
}

/// What the cells of a column are.
fn kind(field: &Type) -> Result<Kind, TableError> {
    let refused =
        |found: String| Err(TableError::ColumnType { column: excerpt(field.name()), found });
    if field.is_group() {
        return refused("lists or structures".to_owned());
    }
    let info = field.get_basic_info();
    if info.has_repetition() && info.repetition() == parquet::basic::Repetition::REPEATED {
        return refused("lists".to_owned());
    }
    let (logical, converted) = (info.logical_type_ref(), info.converted_type());
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::NANOS => Kind::Time(1000),
        _ => Kind::Time(1),
    };
    match (field.get_physical_type(), logical, converted) {
        (_, Some(LogicalType::Date), _) | (_, _, ConvertedType::DATE) => Ok(Kind::Date),
        (_, Some(LogicalType::Timestamp(of)), _) => Ok(unit(&of.unit)),
        (Physical::INT96, ..)
        | (_, _, ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS) => {
            Ok(Kind::Time(1))
        }
        (_, Some(LogicalType::Time { .. }), _)
        | (_, _, ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS)
        | (Physical::BOOLEAN, ..) => Ok(Kind::Text),
        (Physical::INT32 | Physical::INT64 | Physical::FLOAT | Physical::DOUBLE, ..)
        | (_, Some(LogicalType::Decimal { .. } | LogicalType::Float16), _)
        | (_, _, ConvertedType::DECIMAL) => Ok(Kind::Number),
        (_, Some(LogicalType::String | LogicalType::Enum | LogicalType::Json), _)
        | (_, _, ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON) => Ok(Kind::Text),
        (physical, ..) => refused(format!("{physical} that is no text")),
    }
}

/// Appends a cell of row `line`, from 1.
fn push(column: &mut Column, cell: &Field, kind: Kind, line: u64) -> Result<(), TableError> {
    let shown = match (kind, cell) {
        (Kind::Number, _) => {
            let number = number(cell);
            return column.push_number(number).map_err(|_: CellFault| TableError::NonFinite {
                line,
                column: column.name().to_owned(),
                text: text(number),
            });
        }
        (_, Field::Null) => String::new(),
        (Kind::Date, Field::Date(days)) => date::text(i64::from(*days) * DAY),
        (_, Field::TimestampMillis(millis)) => date::text(millis.saturating_mul(1000)),
        (_, Field::TimestampMicros(micros)) => date::text(*micros),
        (Kind::Time(per), Field::Long(count)) => date::text(count.div_euclid(per)),
        (_, Field::Str(text)) => text.trim_ascii().to_owned(),
        (_, other) => other.to_string(),
    };
    column.push(&shown).map_err(|fault| {
        let column = column.name().to_owned();
        match fault {
            CellFault::TooLong => TableError::ColumnTooLong { line, column },
            CellFault::Infinite => TableError::NonFinite { line, column, text: excerpt(&shown) },
        }
    })
}

/// NaN for no value.
fn number(cell: &Field) -> f64 {
    match cell {
        Field::Byte(x) => f64::from(*x),
        Field::Short(x) => f64::from(*x),
        Field::Int(x) => f64::from(*x),
        Field::Long(x) => *x as f64,
        Field::UByte(x) => f64::from(*x),
        Field::UShort(x) => f64::from(*x),
        Field::UInt(x) => f64::from(*x),
        Field::ULong(x) => *x as f64,
        Field::Float(x) => f64::from(*x),
        Field::Double(x) => *x,
        // Half precision and decimals show all of their digits.
        Field::Float16(_) | Field::Decimal(_) => cell.to_string().parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}
