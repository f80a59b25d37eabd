//! LAPACK in a process of its own.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use faer::Mat;
use serde::Deserialize;

use crate::bench::Outcome;

/// `dgels` on one matrix.
pub(super) struct Lapack {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    files: [PathBuf; 2],
    pub(super) libraries: String,
}

#[derive(Debug, Deserialize)]
struct Versions {
    numpy: String,
    scipy: String,
}

#[derive(Debug, Deserialize)]
struct Answer {
    seconds: f64,
    x: Vec<f64>,
}

impl Lapack {
    /// Hands the problem over in files below `root/target`.
    pub(super) fn start(python: &Path, root: &Path, a: &Mat<f64>, b: &Mat<f64>) -> Outcome<Self> {
        let folder = root.join("target/bench");
        std::fs::create_dir_all(&folder)?;
        let files = [folder.join("lstsq-a.f64"), folder.join("lstsq-b.f64")];
        for (file, matrix) in files.iter().zip([a, b]) {
            let mut out = BufWriter::new(std::fs::File::create(file)?);
            for column in matrix.col_iter() {
                for value in column.iter() {
                    out.write_all(&value.to_le_bytes())?;
                }
            }
            out.flush()?;
        }
        let mut child = Command::new(python)
            .arg(root.join("xtask/python/lstsq.py"))
            .args(&files)
            .args([a.nrows().to_string(), a.ncols().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ask = child.stdin.take().ok_or("no pipe to the script")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no pipe from the script")?);
        let mut peer = Self { child, ask, answers, files, libraries: String::new() };
        let Versions { numpy, scipy } = serde_json::from_str(&peer.line()?)?;
        peer.libraries = format!("SciPy {scipy} with the OpenBLAS of NumPy {numpy}");
        Ok(peer)
    }

    /// One solve: its seconds and the solution.
    pub(super) fn solve(&mut self) -> Outcome<(f64, Mat<f64>)> {
        writeln!(self.ask, "again")?;
        self.ask.flush()?;
        let Answer { seconds, x } = serde_json::from_str(&self.line()?)?;
        Ok((seconds, Mat::from_fn(x.len(), 1, |i, _| x[i])))
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("the script ended early".into());
        }
        Ok(line)
    }
}

impl Drop for Lapack {
    fn drop(&mut self) {
        // A benchmark that failed leaves neither a process nor its files.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
    }
}
