//! Where a table comes from: a file or standard input, compressed or not, told by its first bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
#[cfg(feature = "parquet")]
use std::io::{Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::column::Table;
use super::error::TableError;
use super::{npy, npz, read};

/// As a path: standard input. A file of this name is `./-`.
pub const STDIN: &str = "-";

const GZIP_MAGIC: &[u8] = b"\x1f\x8b";
const PARQUET_MAGIC: &[u8] = b"PAR1";
/// First bytes that are looked at.
const HEAD: usize = 8;
const BUFFER: usize = 1 << 16;

/// Reads the table at `path`, keeping the columns whose name `keep` accepts.
pub(super) fn read(path: &Path, keep: &dyn Fn(&str) -> bool) -> Result<Table, TableError> {
    if path == Path::new(STDIN) {
        return from(io::stdin().lock(), Path::new("standard input"), keep);
    }
    let failed = |source| TableError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let seekable = file.metadata().is_ok_and(|data| data.is_file());
    let mut input = BufReader::with_capacity(BUFFER, file);
    if seekable && is_zip(input.fill_buf().map_err(failed)?) {
        return npz::read(input, path, keep);
    }
    #[cfg(feature = "parquet")]
    if seekable && is_parquet_file(&mut input).map_err(failed)? {
        return super::parquet::read(input.into_inner(), path, keep);
    }
    from(input, path, keep)
}

/// Reads `input`; `path` is for messages only.
pub(super) fn from(
    input: impl BufRead,
    path: &Path,
    keep: &dyn Fn(&str) -> bool,
) -> Result<Table, TableError> {
    let failed = |source| TableError::Read { path: path.to_owned(), source };
    let (head, input) = peek(input).map_err(failed)?;
    if !head.starts_with(GZIP_MAGIC) {
        return plain(&head, input, path, keep, &failed);
    }
    let broken = |source| TableError::Gzip { path: path.to_owned(), source };
    let input = BufReader::with_capacity(BUFFER, MultiGzDecoder::new(input));
    let (head, input) = peek(input).map_err(broken)?;
    plain(&head, input, path, keep, &broken)
}

/// Reads what is not compressed as a whole.
fn plain(
    head: &[u8],
    mut input: impl BufRead,
    path: &Path,
    keep: &dyn Fn(&str) -> bool,
    failed: &dyn Fn(io::Error) -> TableError,
) -> Result<Table, TableError> {
    if head.starts_with(npy::MAGIC) {
        return npy::read(input, path, keep, failed);
    }
    if is_zip(head) {
        // The directory of an archive stands at its end.
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(failed)?;
        return npz::read(Cursor::new(bytes), path, keep);
    }
    if head.starts_with(PARQUET_MAGIC) {
        // So does that of a Parquet file, and a text may begin like one.
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(failed)?;
        if is_parquet(head, &bytes) {
            return parquet(bytes, path, keep);
        }
        return read::parse(Cursor::new(bytes), path, keep, failed);
    }
    read::parse(input, path, keep, failed)
}

#[cfg(feature = "parquet")]
fn parquet(bytes: Vec<u8>, path: &Path, keep: &dyn Fn(&str) -> bool) -> Result<Table, TableError> {
    super::parquet::read(prost::bytes::Bytes::from(bytes), path, keep)
}

#[cfg(not(feature = "parquet"))]
fn parquet(_: Vec<u8>, path: &Path, _: &dyn Fn(&str) -> bool) -> Result<Table, TableError> {
    let reason = "this program was built without its feature `parquet`".to_owned();
    Err(TableError::Parquet { path: path.to_owned(), reason })
}

/// Whether a file begins like a zip archive, be it an empty one.
fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

/// Whether what begins with `head` and ends with `end` is a Parquet file, or was one before it was cut off, and no text
/// whose first column is called so.
fn is_parquet(head: &[u8], end: &[u8]) -> bool {
    let is_no_text = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    head.strip_prefix(PARQUET_MAGIC)
        .is_some_and(|rest| end.ends_with(PARQUET_MAGIC) || rest.first().is_some_and(is_no_text))
}

/// [`is_parquet`] for a file, which is left at its beginning.
#[cfg(feature = "parquet")]
pub(super) fn is_parquet_file(input: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    let head = input.fill_buf()?.to_vec();
    let mut end = Vec::new();
    if head.starts_with(PARQUET_MAGIC) {
        input.seek(SeekFrom::End(-4))?;
        input.read_to_end(&mut end)?;
        input.rewind()?;
    }
    Ok(is_parquet(&head, &end))
}

/// The first bytes of `input`, as many as there are up to [`HEAD`], and all of it. (A pipe may give
/// them one at a time.)
fn peek(mut input: impl BufRead) -> io::Result<(Vec<u8>, impl BufRead)> {
    let mut head = Vec::with_capacity(HEAD);
    input.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(input)))
}
