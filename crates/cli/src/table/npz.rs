//! Reading an NPZ archive, a zip file of arrays, into a [`Table`].

use std::io::{self, Read, Seek};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::column::{Column, Table};
use super::error::{ArrayFault, TableError, excerpt};
use super::npy::{self, Names};
use super::read::unique;

/// Reads the arrays in the archive's order, keeping the columns whose name `keep` accepts; `path` is
/// for messages only.
pub(super) fn read(
    input: impl Read + Seek,
    path: &Path,
    keep: &dyn Fn(&str) -> bool,
) -> Result<Table, TableError> {
    let failed = |source: io::Error| TableError::Zip { path: path.to_owned(), source };
    let broken = |error: ZipError| failed(error.into());
    let mut archive = ZipArchive::new(input).map_err(broken)?;
    let mut columns: Vec<Column> = Vec::new();
    let mut first: Option<(String, usize)> = None;
    for i in 0..archive.len() {
        let mut member = archive.by_index(i).map_err(broken)?;
        let name = member.name().map_err(broken)?.into_owned();
        let Some(array) = name.strip_suffix(".npy").filter(|array| !array.is_empty()) else {
            let (path, member) = (path.to_owned(), excerpt(&name));
            return Err(TableError::Member { path, member });
        };
        let names = Names { array, prefix: array, single: array.to_owned() };
        let (found, new) = npy::array(&mut member, &names, keep, &failed)?;
        let (first, expected) = first.get_or_insert_with(|| (array.to_owned(), found));
        if found != *expected {
            let fault = ArrayFault::Rows { found, expected: *expected, first: first.clone() };
            return Err(TableError::Array { array: excerpt(array), fault });
        }
        columns.extend(new);
    }
    let Some((_, rows)) = first else {
        return Err(TableError::EmptyFile { path: path.to_owned() });
    };
    unique(&columns.iter().map(Column::name).collect::<Vec<_>>())?;
    Ok(npy::table(columns, rows))
}
