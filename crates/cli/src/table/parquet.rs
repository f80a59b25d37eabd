//! Reading a Parquet file into a [`Table`], row group by row group, or some of its rows.
//!
//! Numbers become numbers, texts and booleans texts, dates and times texts as they are in ISO 8601. A column of lists,
//! structures or bytes that are no text is refused where it is kept.

use std::fmt;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
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
    soundly(path, || {
        let opened = Opened::new(input, path, keep)?;
        let mut columns = opened.columns();
        if !columns.is_empty() {
            let rows = opened.reader.get_row_iter(Some(opened.projection.clone()));
            for (row, cells) in rows.map_err(|error| broken(path, &error))?.enumerate() {
                let cells = cells.map_err(|error| broken(path, &error))?;
                opened.push(&mut columns, &cells, row)?;
            }
        }
        opened.as_many(&columns, opened.rows, path)?;
        columns.iter_mut().for_each(Column::shrink);
        finite(npy::table(columns, opened.rows))
    })
}

/// A file of which rows are read as they are needed, each row group that has some from its beginning.
pub(super) struct GroupRows {
    path: PathBuf,
    opened: Opened<File>,
    /// The first row of each group, and the number of all rows.
    starts: Vec<usize>,
}

impl GroupRows {
    /// Reads the directory.
    ///
    /// # Errors
    /// As [`read`], but for what is wrong with the cells.
    pub(super) fn open(
        file: File,
        path: &Path,
        keep: &dyn Fn(&str) -> bool,
    ) -> Result<Self, TableError> {
        let opened = soundly(path, || Opened::new(file, path, keep))?;
        let mut starts = vec![0];
        for group in opened.reader.metadata().row_groups() {
            let rows = usize::try_from(group.num_rows()).unwrap_or(0);
            starts.push(starts[starts.len() - 1] + rows);
        }
        if starts[starts.len() - 1] != opened.rows {
            let (groups, rows) = (starts[starts.len() - 1], opened.rows);
            let reason = format!("its row groups have {groups} rows, and its footer says {rows}");
            return Err(TableError::Parquet { path: path.to_owned(), reason });
        }
        Ok(Self { path: path.to_owned(), opened, starts })
    }

    pub(super) fn rows(&self) -> usize {
        self.opened.rows
    }

    /// The table of these rows, which ascend.
    ///
    /// # Errors
    /// As [`read`].
    pub(super) fn read(&self, rows: &[usize]) -> Result<Table, TableError> {
        let path = &self.path;
        soundly(path, || {
            let mut columns = self.opened.columns();
            for (group, bounds) in self.starts.windows(2).enumerate() {
                let wanted = rows.partition_point(|&row| row < bounds[0])
                    ..rows.partition_point(|&row| row < bounds[1]);
                let mut wanted = rows[wanted].iter().copied().peekable();
                if wanted.peek().is_none() {
                    continue;
                }
                let failed = |error: ParquetError| broken(path, &error);
                let reader = self.opened.reader.get_row_group(group).map_err(failed)?;
                let projection = Some(self.opened.projection.clone());
                let cells = reader.get_row_iter(projection).map_err(failed)?;
                for (row, cells) in (bounds[0]..).zip(cells) {
                    let cells = cells.map_err(failed)?;
                    if wanted.next_if_eq(&row).is_some() {
                        self.opened.push(&mut columns, &cells, row)?;
                    }
                    if wanted.peek().is_none() {
                        break;
                    }
                }
            }
            self.opened.as_many(&columns, rows.len(), path)?;
            let lines = rows.iter().map(|&row| row as u64 + 1).collect();
            finite(Table { columns, lines, weights: None })
        })
    }

    /// Hands all rows to `each`, `count` at a time, in order, with the place of the first: a row group is decoded once,
    /// whatever its length.
    ///
    /// # Errors
    /// As [`read`], or what `each` says.
    pub(super) fn blocks<E: From<TableError>>(
        &self,
        count: usize,
        each: &mut dyn FnMut(usize, Table) -> Result<(), E>,
    ) -> Result<(), E> {
        let (path, opened) = (&self.path, &self.opened);
        let failed = |error: ParquetError| broken(path, &error);
        let projection = || Some(opened.projection.clone());
        let mut all = soundly(path, || opened.reader.get_row_iter(projection()).map_err(failed))?;
        for first in (0..opened.rows).step_by(count) {
            let block = first..opened.rows.min(first + count);
            let table = soundly(path, || {
                let mut columns = opened.columns();
                // The end of the block comes before the next row is decoded.
                for (row, cells) in block.clone().zip(&mut all) {
                    opened.push(&mut columns, &cells.map_err(failed)?, row)?;
                }
                opened.as_many(&columns, block.len(), path)?;
                let lines = block.map(|row| row as u64 + 1).collect();
                finite(Table { columns, lines, weights: None })
            })?;
            each(first, table)?;
        }
        Ok(())
    }
}

impl fmt::Debug for GroupRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupRows")
            .field("path", &self.path)
            .field("starts", &self.starts)
            .finish_non_exhaustive()
    }
}

/// A file whose directory was read.
struct Opened<R: ChunkReader> {
    reader: SerializedFileReader<R>,
    /// The columns that are kept: their names, and what their cells are.
    kept: Vec<(String, Kind)>,
    projection: Type,
    rows: usize,
}

impl<R: ChunkReader + 'static> Opened<R> {
    fn new(input: R, path: &Path, keep: &dyn Fn(&str) -> bool) -> Result<Self, TableError> {
        let failed = |error: ParquetError| broken(path, &error);
        let reader = SerializedFileReader::new(input).map_err(failed)?;
        let schema = reader.metadata().file_metadata().schema();
        let fields = schema.get_fields();
        if fields.is_empty() {
            return Err(TableError::EmptyFile { path: path.to_owned() });
        }
        unique(&fields.iter().map(|field| field.name()).collect::<Vec<_>>())?;
        let fields: Vec<_> = fields.iter().filter(|field| keep(field.name())).cloned().collect();
        let kept = (fields.iter())
            .map(|field| Ok((field.name().to_owned(), kind(field)?)))
            .collect::<Result<_, TableError>>()?;
        let projection = Type::group_type_builder(schema.name()).with_fields(fields);
        let projection = projection.build().map_err(failed)?;
        let rows = usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
        if rows == 0 {
            return Err(TableError::HeaderOnly { path: path.to_owned() });
        }
        Ok(Self { reader, kept, projection, rows })
    }

    /// The columns without cells.
    fn columns(&self) -> Vec<Column> {
        let column = |(name, kind): &(String, Kind)| match kind {
            Kind::Number => Column::numeric(name.clone()),
            _ => Column::new(name.clone()),
        };
        self.kept.iter().map(column).collect()
    }

    /// Appends the cells of row `row`, from 0.
    fn push(&self, columns: &mut [Column], cells: &Row, row: usize) -> Result<(), TableError> {
        let cells = cells.get_column_iter().zip(&self.kept).zip(columns);
        for (((_, cell), (_, kind)), column) in cells {
            push(column, cell, *kind, row as u64 + 1)?;
        }
        Ok(())
    }

    /// Checks that so many rows were there.
    fn as_many(&self, columns: &[Column], rows: usize, path: &Path) -> Result<(), TableError> {
        let Some(column) = columns.iter().find(|column| column.rows() != rows) else {
            return Ok(());
        };
        let (name, found) = (excerpt(column.name()), column.rows());
        let said = if rows == self.rows { "its footer says" } else { "there should be" };
        let reason = format!("column `{name}` has {found} rows, and {said} {rows}");
        Err(TableError::Parquet { path: path.to_owned(), reason })
    }
}

fn broken(path: &Path, error: &ParquetError) -> TableError {
    TableError::Parquet { path: path.to_owned(), reason: error.to_string() }
}

/// The decoder panics on some files that contradict themselves.
fn soundly<T>(path: &Path, read: impl FnOnce() -> Result<T, TableError>) -> Result<T, TableError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let reason = "it contradicts itself".to_owned();
        Err(TableError::Parquet { path: path.to_owned(), reason })
    })
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
    column.push(&shown).map_err(|_: CellFault| {
        let column = column.name().to_owned();
        TableError::ColumnTooLong { line, column }
    })
}

/// The table, unless texts that are all numbers have an infinite one among them.
fn finite(table: Table) -> Result<Table, TableError> {
    table.columns.iter().try_for_each(|column| column.finite(&table.lines))?;
    Ok(table)
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
