//! Rows of an array in the format of `NumPy`, read from the file when they are needed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Source;
use crate::{Equations, TrainError};

/// A longer header is no header.
const LONGEST_HEADER: usize = 1 << 16;

/// Rows that lie nearer to one another are read at once, with what is between them.
const GAP: usize = 1 << 12;

/// A two-dimensional array of `f32` or `f64` in row order (`NPY`, versions 1 to 3): inputs as the network takes them in
/// all columns but the last `K`, which are targets.
///
/// Nothing is kept in memory but the header. The file must not change while it is read.
#[derive(Debug)]
pub struct NpyRows {
    path: PathBuf,
    file: Mutex<File>,
    /// Where the first number stands.
    start: u64,
    /// Bytes of a number, 4 or 8.
    size: usize,
    rows: usize,
    columns: usize,
    outputs: usize,
}

impl NpyRows {
    /// Opens an array whose last `outputs` columns are targets.
    ///
    /// # Errors
    /// [`TrainError::Read`] if the file cannot be read, is no such array, is cut off, or has not more columns than
    /// `outputs`.
    pub fn open(path: impl AsRef<Path>, outputs: usize) -> Result<Self, TrainError> {
        let path = path.as_ref();
        let failed = |error: io::Error| {
            let reason = error.to_string();
            TrainError::Read { path: path.to_owned(), reason }
        };
        Self::from_file(File::open(path).map_err(failed)?, path, outputs)
    }

    /// The same of a file that is open, such as one without a name; errors call it `path`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_file(
        mut file: File,
        path: impl AsRef<Path>,
        outputs: usize,
    ) -> Result<Self, TrainError> {
        let path = path.as_ref().to_owned();
        let wrong = |found: String| TrainError::Read { path: path.clone(), reason: found };
        let failed = |error: io::Error| wrong(error.to_string());
        file.rewind().map_err(failed)?;
        let (text, start) = header(&mut file).map_err(failed)?;
        let Header { size, rows, columns } = Header::parse(&text).ok_or_else(|| {
            let shown: String = text.chars().take(100).collect();
            wrong(format!(
                "expected a two-dimensional array of <f4 or <f8 in row order, found the header `{}`",
                shown.escape_default()
            ))
        })?;
        if outputs == 0 || outputs >= columns {
            return Err(wrong(format!(
                "the array has {columns} columns, expected more than the {outputs} of targets, at least 1"
            )));
        }
        let length = file.metadata().map_err(failed)?.len();
        let needed = (rows as u64)
            .checked_mul(columns as u64)
            .and_then(|numbers| numbers.checked_mul(size as u64))
            .and_then(|bytes| bytes.checked_add(start));
        if needed != Some(length) {
            return Err(wrong(format!(
                "the file has {length} bytes, which is not the {rows} x {columns} numbers of {size} bytes \
                 that its header says"
            )));
        }
        Ok(Self { path, file: Mutex::new(file), start, size, rows, columns, outputs })
    }

    /// The numbers of rows `first .. last`, row after row.
    fn numbers(&self, first: usize, last: usize) -> io::Result<Vec<f64>> {
        let width = self.columns * self.size;
        let mut bytes = vec![0; (last - first) * width];
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(self.start + (first * width) as u64))?;
            file.read_exact(&mut bytes)?;
        }
        let number = |bytes: &[u8]| match *bytes {
            [a, b, c, d] => f64::from(f32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => f64::NAN,
        };
        Ok(bytes.chunks_exact(self.size).map(number).collect())
    }
}

impl Source for NpyRows {
    fn rows(&self) -> usize {
        self.rows
    }

    fn inputs(&self) -> usize {
        self.columns - self.outputs
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn read(&self, rows: &[usize]) -> Result<Equations, TrainError> {
        let inputs = self.inputs();
        let (mut x, mut y) = (Vec::new(), Vec::new());
        let failed = |error: io::Error| TrainError::Read {
            path: self.path.clone(),
            reason: error.to_string(),
        };
        let near = |a: &usize, b: &usize| (b.saturating_sub(*a)) * self.columns * self.size <= GAP;
        for together in rows.chunk_by(near) {
            let (first, last) = (together[0], together[together.len() - 1] + 1);
            let numbers = self.numbers(first, last).map_err(failed)?;
            for &row in together {
                let row = &numbers[(row - first) * self.columns..][..self.columns];
                x.extend_from_slice(&row[..inputs]);
                y.extend_from_slice(&row[inputs..]);
            }
        }
        Equations::new(x, y, inputs, self.outputs).map_err(|error| match error {
            // In the file's terms.
            TrainError::NonFinite { what, row, col, value } => {
                TrainError::NonFinite { what, row: rows[row], col, value }
            }
            other => other,
        })
    }
}

/// The dictionary of a header as text, and where the numbers start.
fn header(file: &mut File) -> io::Result<(String, u64)> {
    let mut head = [0; 8];
    file.read_exact(&mut head)?;
    let mut length = [0; 4];
    let width = match head {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _] => 2,
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _] => 4,
        _ => return Ok((String::from_utf8_lossy(&head).into_owned(), 0)),
    };
    file.read_exact(&mut length[..width])?;
    let length = u32::from_le_bytes(length) as usize;
    let mut text = vec![0; length.min(LONGEST_HEADER)];
    file.read_exact(&mut text)?;
    Ok((String::from_utf8_lossy(&text).into_owned(), (8 + width + length) as u64))
}

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    size: usize,
    rows: usize,
    columns: usize,
}

impl Header {
    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| -> Option<&str> {
            let (_, rest) = text.split_once(&format!("'{key}':"))?;
            Some(rest.trim_start())
        };
        let size = match value("descr")?.get(..5)? {
            "'<f4'" => 4,
            "'<f8'" => 8,
            _ => return None,
        };
        if !value("fortran_order")?.starts_with("False") {
            return None;
        }
        let (shape, _) = value("shape")?.strip_prefix('(')?.split_once(')')?;
        let lengths: Vec<usize> =
            shape.split(',').map(|length| length.trim().parse().ok()).collect::<Option<_>>()?;
        match lengths[..] {
            [rows, columns] => Some(Self { size, rows, columns }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let of = |descr: &str, order: &str, shape: &str| {
            Header::parse(&format!(
                "{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
            ))
        };
        let found = Some(Header { size: 8, rows: 3, columns: 2 });
        assert_eq!(of("<f8", "False", "(3, 2)"), found);
        assert_eq!(of("<f4", "False", "(3, 2)").map(|header| header.size), Some(4));
        for (descr, order, shape) in [
            (">f8", "False", "(3, 2)"),
            ("<i8", "False", "(3, 2)"),
            ("<f8", "True", "(3, 2)"),
            ("<f8", "False", "(3,)"),
            ("<f8", "False", "(3, 2, 1)"),
            ("<f8", "False", "(3, -2)"),
        ] {
            assert_eq!(of(descr, order, shape), None, "{descr} {order} {shape}");
        }
        assert_eq!(Header::parse(""), None);
        assert_eq!(Header::parse("'descr': '<f8"), None);
    }
}
