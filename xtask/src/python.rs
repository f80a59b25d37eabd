//! A Python with packages of pinned versions, made below `target`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::Outcome;
use crate::tidy::output;

/// A virtual environment with the packages that a file requires; its interpreter.
pub(crate) fn environment(folder: &Path, requirements: &Path) -> Outcome<PathBuf> {
    let python = folder.join("bin/python");
    if !python.is_file() {
        eprintln!("making a virtual environment, once");
        output(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    output(pip.args(["--retries", "2", "--timeout", "20", "-r"]).arg(requirements))?;
    Ok(python)
}

#[cfg(test)]
mod tests {
    use crate::bench::root;

    /// What is measured and checked today can be tomorrow.
    #[test]
    fn every_package_is_pinned() {
        let folder = std::fs::read_dir(root().join("xtask/python")).unwrap();
        let files = folder.map(|entry| entry.unwrap().path());
        let files: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|ending| ending == "txt")).collect();
        assert!(files.len() >= 3, "{files:?}");
        for path in files {
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                assert!(line.contains("=="), "{}: {line}", path.display());
            }
        }
    }
}
