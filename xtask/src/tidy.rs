//! `cargo xtask tidy`: the rules of the repository that no compiler checks.
//!
//! Each rule is a function from text to findings, tested on small made inputs; this file only
//! collects the inputs and prints what was found.

mod edges;
mod files;
mod manifest;
mod source;
mod unsafety;

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::ci::cargo;

/// A broken rule: where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// The file, relative to the repository, with forward slashes.
    file: String,
    /// The line, from 1.
    line: usize,
    /// What was found and what is expected.
    message: String,
}

impl Finding {
    fn new(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.into(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// Runs the task.
pub(crate) fn run() -> ExitCode {
    ExitCode::from(check())
}

/// Checks everything and prints what was found; 0 if that is nothing.
pub(crate) fn check() -> u8 {
    match findings() {
        Ok((files, findings)) if findings.is_empty() => {
            println!("tidy: {files} files, nothing to mend");
            0
        }
        Ok((files, findings)) => {
            for finding in &findings {
                eprintln!("{finding}");
            }
            eprintln!("tidy: {files} files, {} places to mend", findings.len());
            1
        }
        Err(error) => {
            eprintln!("tidy: {error}");
            1
        }
    }
}

/// How many files were read, and the findings by file and line.
fn findings() -> Result<(usize, Vec<Finding>), Box<dyn Error>> {
    let metadata =
        output(Command::new(cargo()).args(["metadata", "--format-version=1", "--no-deps"]))?;
    let workspace = edges::Workspace::parse(&metadata)?;
    let root = PathBuf::from(&workspace.workspace_root);
    let mut findings = Vec::new();
    let mut count = 1;
    let manifest = std::fs::read_to_string(root.join("Cargo.toml"))?;
    findings.extend(manifest::check("Cargo.toml", &manifest, manifest::Role::Root));
    for package in &workspace.packages {
        let path = relative(&root, Path::new(&package.manifest_path));
        let text = std::fs::read_to_string(&package.manifest_path)?;
        findings.extend(manifest::check(&path, &text, manifest::Role::Member));
        findings.extend(edges::check(&path, &text, package, &workspace));
        count += 1;
    }
    for path in rust_files(&root)? {
        let text = std::fs::read_to_string(root.join(&path))
            .map_err(|error| format!("{path}: cannot be read: {error}"))?;
        findings.extend(files::check(&path, &text));
        count += 1;
    }
    findings.sort();
    Ok((count, findings))
}

/// The `.rs` files that git tracks or would track, as far as they exist.
fn rust_files(root: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let listed = output(git.args(["--", "*.rs"]))?;
    let paths = listed.split('\0').filter(|path| !path.is_empty() && root.join(path).is_file());
    Ok(paths.map(str::to_owned).collect())
}

/// What a command prints.
pub(crate) fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.output().map_err(|error| format!("{name} could not be started: {error}"))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{name} failed ({}): {}", output.status, told.trim()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A path below the root, with forward slashes.
fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.to_string_lossy().replace('\\', "/")
}
