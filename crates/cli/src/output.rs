//! Files that appear whole or not at all.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The folder that it should be in is not there; folders are never created.
    #[error("cannot write `{path}`: there is no folder `{folder}`")]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// A folder has that name.
    #[error("cannot write `{path}`: it is a folder")]
    IsFolder {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot write `{path}`: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Checks that a file could be written at `path`, and touches nothing.
///
/// # Errors
/// [`OutputError`] if the folder is absent, or `path` is itself a folder.
pub fn check(path: &Path) -> Result<(), OutputError> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(OutputError::NoFolder { path: path.to_owned(), folder: folder.to_owned() });
    }
    if path.is_dir() || path.file_name().is_none() {
        return Err(OutputError::IsFolder { path: path.to_owned() });
    }
    Ok(())
}

/// Writes `path` with `fill`: to a temporary file in the same folder, renamed when complete.
///
/// If anything fails, an older file stays as it was and no other is left. What is not a regular
/// file (`/dev/stdout`, a pipe) is written directly. A link is followed, not replaced.
///
/// # Errors
/// [`OutputError`] as [`check`], or with what `fill` or the system said.
pub fn write(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), OutputError> {
    check(path)?;
    let failed = |source| OutputError::Write { path: path.to_owned(), source };
    if is_open(path) || fs::metadata(path).is_ok_and(|data| !data.is_file()) {
        // To the end of a file that the shell has opened.
        let file = fs::OpenOptions::new().append(true).open(path).map_err(failed)?;
        return fill_and_flush(file, fill).map(drop).map_err(failed);
    }
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = temporary(folder_of(&place)).map_err(failed)?;
    fill_and_flush(temporary.as_file(), fill).map_err(failed)?.sync_all().map_err(failed)?;
    temporary.persist(&place).map(drop).map_err(|error| failed(error.error))
}

/// Whether `path` names what this process has open already, whatever that is.
fn is_open(path: &Path) -> bool {
    ["/dev/stdout", "/dev/stderr"].into_iter().any(|name| path == Path::new(name))
        || ["/dev/fd", "/proc/self/fd"].into_iter().any(|folder| path.starts_with(folder))
}

/// The folder that `path` names a file in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".nearlin-");
    // Temporary files are private by default; this one is to be an ordinary file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn fill_and_flush<W: Write>(
    file: W,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<W> {
    let mut out = BufWriter::with_capacity(1 << 16, file);
    fill(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_whole_files_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        write(&path, |out| out.write_all(b"first")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");

        let error = write(&path, |out| {
            out.write_all(&vec![b'x'; 1 << 18])?;
            Err(io::Error::other("no more room"))
        });
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with("out.csv`: no more room"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(names(folder.path()), ["out.csv"]);

        write(&path, |out| out.write_all(b"second")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["out.csv"]);
    }

    #[test]
    fn folders_are_checked_and_never_made() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/such/out.csv");
        assert!(matches!(check(&missing), Err(OutputError::NoFolder { .. })));
        assert!(matches!(write(&missing, |_| Ok(())), Err(OutputError::NoFolder { .. })));
        assert!(matches!(check(folder.path()), Err(OutputError::IsFolder { .. })));
        let fine = folder.path().join("out.csv");
        check(&fine).unwrap();
        check(Path::new("out.csv")).unwrap();
        assert!(names(folder.path()).is_empty());
        write(&fine, |_| Ok(())).unwrap();
        let below = fine.join("out.csv");
        assert!(matches!(check(&below), Err(OutputError::NoFolder { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_modes_ordinary() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        write(&file, |out| out.write_all(b"old")).unwrap();
        symlink(&file, &link).unwrap();
        write(&link, |out| out.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        let plain = folder.path().join("plain");
        fs::File::create(&plain).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&file), mode(&plain));
        write(Path::new("/dev/null"), |out| out.write_all(b"gone")).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
