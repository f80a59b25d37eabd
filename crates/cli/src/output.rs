//! Files that appear whole or not at all.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Links that are followed, one after the other.
const LINKS: usize = 40;

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
    /// A folder has that name, or the name can only be a folder's.
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

/// Where an output goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The standard output of this process.
    Stdout,
    /// Its standard error.
    Stderr,
    /// A pipe, a device, or what else this process has open: written to as it is.
    Open(PathBuf),
    /// A file, there or not, in a canonical folder: replaced as a whole.
    File(PathBuf),
}

/// Where an output to `path` goes; links are followed, whether their targets are there or not.
///
/// # Errors
/// [`OutputError`] if the folder is absent, `path` is itself a folder, or the system does not tell.
pub(crate) fn place(path: &Path) -> Result<Place, OutputError> {
    let failed = |source| OutputError::Write { path: path.to_owned(), source };
    let is_folder = || OutputError::IsFolder { path: path.to_owned() };
    let mut next = path.to_owned();
    for _ in 0..=LINKS {
        let name = file_name(&next).ok_or_else(is_folder)?;
        let folder = canonical(folder_of(&next), path)?;
        let place = folder.join(name);
        let open = descriptor(&folder, name);
        match fs::symlink_metadata(&place) {
            _ if open == Some(1) => return Ok(Place::Stdout),
            _ if open == Some(2) => return Ok(Place::Stderr),
            Ok(_) if open.is_some() => return Ok(Place::Open(place)),
            Ok(data) if data.is_symlink() => {
                next = folder.join(fs::read_link(&place).map_err(failed)?);
            }
            Ok(data) if data.is_dir() => return Err(is_folder()),
            Ok(data) if !data.is_file() => return Ok(Place::Open(place)),
            Ok(_) => return Ok(Place::File(place)),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Place::File(place)),
            Err(error) => return Err(failed(error)),
        }
    }
    Err(failed(io::Error::other("too many links")))
}

/// The name of the file that `path` can be of; `None` for what can only be a folder, as with a separator at its end.
fn file_name(path: &Path) -> Option<&OsStr> {
    let ends =
        |name: &&OsStr| path.as_os_str().as_encoded_bytes().ends_with(name.as_encoded_bytes());
    path.file_name().filter(ends)
}

/// The folder that `path` names a file in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A folder without links, for the file `path`.
fn canonical(folder: &Path, path: &Path) -> Result<PathBuf, OutputError> {
    match fs::canonicalize(folder) {
        Ok(found) if found.is_dir() => Ok(found),
        Err(source) if !matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(OutputError::Write { path: path.to_owned(), source })
        }
        _ => Err(OutputError::NoFolder { path: path.to_owned(), folder: folder.to_owned() }),
    }
}

/// The number of the open file that `name` in `folder` stands for.
fn descriptor(folder: &Path, name: &OsStr) -> Option<u32> {
    let own = |path| fs::canonicalize(path).is_ok_and(|own| own == folder);
    let number = name.to_str()?.parse().ok()?;
    ["/dev/fd", "/proc/self/fd"].into_iter().any(own).then_some(number)
}

/// Checks that a file could be written at `path`, and leaves nothing there.
///
/// # Errors
/// [`OutputError`] if the folder is absent or takes no file, or `path` is itself a folder.
pub fn check(path: &Path) -> Result<(), OutputError> {
    let Place::File(place) = place(path)? else { return Ok(()) };
    let made = tempfile::tempfile_in(folder_of(&place));
    made.map(drop).map_err(|source| OutputError::Write { path: path.to_owned(), source })
}

/// Writes `path` with `fill`: to a temporary file in the same folder, renamed when complete.
///
/// If anything fails, an older file stays as it was and no other is left; if not, the new one has its
/// permissions. What is not a regular file (a pipe, `/dev/null`) is written directly, and
/// `/dev/stdout` where the process's own output stands. A link is followed, not replaced.
///
/// # Errors
/// [`OutputError`] as [`check`], or with what `fill` or the system said. That nobody reads the
/// standard output any more is no error.
pub fn write(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), OutputError> {
    let failed = |source| OutputError::Write { path: path.to_owned(), source };
    let filled = match place(path)? {
        Place::Stdout => fill_and_flush(WhileRead(io::stdout().lock()), fill).map(drop),
        Place::Stderr => fill_and_flush(WhileRead(io::stderr().lock()), fill).map(drop),
        Place::Open(place) => {
            // To the end of a file that the shell has opened.
            let file = fs::OpenOptions::new().append(true).open(place);
            file.and_then(|file| fill_and_flush(file, fill).map(drop))
        }
        Place::File(place) => replace(&place, fill),
    };
    filled.map_err(failed)
}

/// Puts what `fill` writes in the place of the file `place`, if there is one.
fn replace(place: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let temporary = temporary(folder_of(place))?;
    if let Ok(older) = fs::metadata(place) {
        let (file, permissions) = (temporary.as_file(), older.permissions());
        // Some file systems have one for all, and refuse to set it.
        if file.metadata()?.permissions() != permissions {
            file.set_permissions(permissions)?;
        }
    }
    fill_and_flush(temporary.as_file(), fill)?.sync_all()?;
    temporary.persist(place).map(drop).map_err(|error| error.error)
}

/// A file of the permissions that a new one gets.
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
    out.flush()?;
    out.into_inner().map_err(io::IntoInnerError::into_error)
}

/// A pipe to a reader; what is written after the reader is gone goes nowhere, without an error.
#[derive(Debug)]
pub(crate) struct WhileRead<W>(pub(crate) W);

impl<W: Write> Write for WhileRead<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).or_else(|error| unless_broken(error, bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().or_else(|error| unless_broken(error, ()))
    }
}

fn unless_broken<T>(error: io::Error, value: T) -> io::Result<T> {
    if error.kind() == ErrorKind::BrokenPipe { Ok(value) } else { Err(error) }
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

    #[cfg(unix)]
    #[test]
    fn links_to_nothing_are_followed() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("sub")).unwrap();
        symlink("sub/file", path("link")).unwrap();
        symlink(path("link"), path("second")).unwrap();
        let target = fs::canonicalize(path("sub")).unwrap().join("file");
        for _ in 0..2 {
            assert_eq!(place(&path("second")).unwrap(), Place::File(target.clone()));
            check(&path("second")).unwrap();
            write(&path("second"), |out| out.write_all(b"new")).unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"new");
        }
        for link in ["link", "second"] {
            assert!(fs::symlink_metadata(path(link)).unwrap().is_symlink(), "{link}");
        }
        symlink("circle", path("circle")).unwrap();
        assert!(matches!(check(&path("circle")), Err(OutputError::Write { .. })));
        symlink("no/file", path("astray")).unwrap();
        assert!(matches!(check(&path("astray")), Err(OutputError::NoFolder { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        for mode in [0o600, 0o664, 0o444] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            write(&path, |out| out.write_all(b"new")).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        }
    }

    /// Before anything is done, and without a trace.
    #[test]
    fn names_that_no_file_can_have() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["new/", "new/."] {
            assert!(matches!(check(&path(name)), Err(OutputError::IsFolder { .. })), "{name}");
        }
        assert!(matches!(check(&path(&"x".repeat(300))), Err(OutputError::Write { .. })));
        check(&path("new")).unwrap();
        assert!(names(folder.path()).is_empty());
        if cfg!(target_os = "linux") {
            // Nobody can make a file there.
            assert!(matches!(check(Path::new("/proc/new")), Err(OutputError::Write { .. })));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn open_files_have_names() {
        for (names, expected) in [
            (["/dev/stdout", "/dev/fd/1", "/proc/self/../self/fd/1"], Place::Stdout),
            (["/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"], Place::Stderr),
            (["/dev/null", "/dev/./null", "/dev/../dev/null"], Place::Open("/dev/null".into())),
        ] {
            for name in names {
                assert_eq!(place(Path::new(name)).unwrap(), expected, "{name}");
            }
        }
        let (_reader, writer) = io::pipe().unwrap();
        let name = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        assert!(matches!(place(Path::new(&name)), Ok(Place::Open(_))));
        assert!(check(Path::new("/dev/fd/987654")).is_err());
    }

    #[test]
    fn readers_may_go_away() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        fill_and_flush(WhileRead(writer), |out| out.write_all(&vec![0; 1 << 18])).unwrap();
    }
}
