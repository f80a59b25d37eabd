//! Output paths: checked before anything is done.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::{PathFault, ProgramError};
use crate::output::{self, Place};
use crate::plot;
use crate::table::STDIN;

/// The files that a call reads and writes, as far as they have been checked.
#[derive(Debug, Default)]
pub(super) struct Files {
    seen: Vec<(PathBuf, &'static str)>,
}

impl Files {
    /// Notes a file that is read, in words that fit `.. is also ..`; standard input is none.
    pub(super) fn reads(mut self, path: &Path, what: &'static str) -> Self {
        let file = Some(path).filter(|path| *path != Path::new(STDIN)).and_then(identity);
        self.seen.extend(file.map(|path| (path, what)));
        self
    }

    /// Checks that `path` can be written and is no other file of this call.
    ///
    /// # Errors
    /// [`ProgramError::Path`] with what is wrong.
    pub(super) fn writes(
        mut self,
        option: &'static str,
        path: Option<&Path>,
    ) -> Result<Self, ProgramError> {
        let Some(path) = path else { return Ok(self) };
        let wrong = |reason| ProgramError::Path { option, reason };
        if path == Path::new(STDIN) {
            return Err(wrong(PathFault::Dash));
        }
        output::check(path).map_err(|error| wrong(error.into()))?;
        if let Some(identity) = identity(path) {
            if let Some((_, other)) = self.seen.iter().find(|(seen, _)| *seen == identity) {
                return Err(wrong(PathFault::Twice { path: path.to_owned(), other }));
            }
            self.seen.push((identity, option));
        }
        Ok(self)
    }

    /// As [`writes`](Self::writes), for a picture.
    ///
    /// # Errors
    /// [`ProgramError::Path`], also for an ending that names no format.
    pub(super) fn draws(
        self,
        option: &'static str,
        path: Option<&Path>,
    ) -> Result<Self, ProgramError> {
        if let Some(path) = path {
            let wrong = |reason| ProgramError::Path { option, reason };
            plot::format_of(path).map_err(|error| wrong(error.into()))?;
        }
        self.writes(option, path)
    }
}

/// The file that `path` stands for, links followed, be it there or not; `None` for what is no ordinary
/// file, such as a pipe, which may be written to twice.
fn identity(path: &Path) -> Option<PathBuf> {
    match output::place(path).ok()? {
        Place::File(path) => Some(path),
        // What the shell has opened may be one.
        _ => fs::canonicalize(path).ok().filter(|path| path.is_file()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_role() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("data.csv"), "x").unwrap();
        fs::create_dir(path("sub")).unwrap();
        let files = || Files::default().reads(&path("data.csv"), "the table");
        let says = |result: Result<Files, ProgramError>, part: &str| {
            let error = result.unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(part), "{error}");
        };
        says(files().writes("--model", Some(&path("sub/../data.csv"))), "is also the table");
        says(files().writes("--model", Some(&path("no/m"))), "`--model`: cannot write");
        says(files().draws("--plot", Some(&path("a.pdf"))), "`--plot`: chart file");
        let one = files().writes("--model", Some(&path("new"))).unwrap();
        says(one.writes("--report", Some(&path("sub/../new"))), "is also --model");
        let two = files().writes("--model", Some(&path("a"))).unwrap();
        two.writes("--report", Some(&path("b"))).unwrap().draws("--plot", None).unwrap();
        let stdin = Files::default().reads(Path::new(STDIN), "the table");
        says(stdin.writes("--model", Some(Path::new(STDIN))), "`./-` is a file of that name");
        if cfg!(unix) {
            let null = Some(Path::new("/dev/null"));
            files().writes("--model", null).unwrap().writes("--report", null).unwrap();
        }
        #[cfg(unix)]
        for (link, other) in [("link", "the target"), ("data link", "data.csv")] {
            std::os::unix::fs::symlink(path(other), path(link)).unwrap();
            let one = Files::default().writes("--model", Some(&path(other))).unwrap();
            says(one.writes("--report", Some(&path(link))), "is also --model");
        }
    }
}
