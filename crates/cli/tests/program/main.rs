//! The program as its users call it: the built `nearlin` on small tables in a folder of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::format_push_string, clippy::format_collect, reason = "the tables are small")]

mod batches;
mod ensemble;
mod errors;
mod export;
mod help;
mod inputs;
mod inspect;
mod losses;
mod outputs;
mod plan;
mod predict;
mod repeat;
mod report;
mod resume;
mod valid;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The names of all solvers.
const SOLVERS: [&str; 8] =
    ["cholesky", "srht", "tensor-srht", "arc-cosine", "rp-cholesky", "rp-gram", "nystrom", "cg"];

/// A folder with the files of one test.
struct Folder(tempfile::TempDir);

/// What a call of the program left behind.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a table `data.csv`.
    fn with(table: impl AsRef<[u8]>) -> Self {
        let folder = Self::new();
        folder.write("data.csv", table);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.bytes(name)).unwrap()
    }

    /// Everything that is in the folder.
    fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let mut contents: Vec<(String, Vec<u8>)> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_file())
            .map(|entry| {
                (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
            })
            .collect();
        contents.sort();
        contents
    }

    /// Calls the program in this folder.
    fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
        Ran::from(nearlin(self.0.path()).args(args).output().unwrap())
    }

    /// Calls the program in this folder with `input` on its standard input.
    fn pipe(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>, input: &[u8]) -> Ran {
        let mut command = nearlin(self.0.path());
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that refuses its call need not read.
        let _ = child.stdin.take().unwrap().write_all(input);
        Ran::from(child.wait_with_output().unwrap())
    }

    /// Calls `nearlin fit data.csv --target y` and `options`, which spaces divide.
    fn fit(&self, options: &str) -> Ran {
        self.run(["fit", "data.csv", "--target", "y"].into_iter().chain(options.split_whitespace()))
    }

    /// Calls `nearlin predict m.safetensors TABLE` and reads what it prints.
    fn predict(&self, table: &str) -> Predicted {
        let ran = self.run(["predict", "m.safetensors", table]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        Predicted::parse(&ran.stdout)
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    #[track_caller]
    fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self
    }
}

/// A prediction file: numbers by row, and the last column as text.
struct Predicted {
    header: Vec<String>,
    scores: Vec<Vec<f64>>,
    last: Vec<String>,
}

impl Predicted {
    fn parse(text: &str) -> Self {
        let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect());
        let header: Vec<String> = lines.next().unwrap();
        let rows: Vec<Vec<String>> = lines.collect();
        let numbers = if header.len() == 1 { 1 } else { header.len() - 1 };
        let scores = rows.iter().map(|row| {
            row[..numbers].iter().map(|cell| cell.parse().unwrap()).collect::<Vec<f64>>()
        });
        let scores: Vec<Vec<f64>> = scores.collect();
        assert!(scores.iter().flatten().all(|score| score.is_finite()));
        let last = rows.iter().map(|row| row[header.len() - 1].clone()).collect();
        Self { header, scores, last }
    }

    fn rows(&self) -> usize {
        self.scores.len()
    }
}

fn nearlin(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nearlin"));
    // Whoever runs the tests may have measured the machine.
    command.current_dir(folder).env("XDG_CACHE_HOME", folder.join(".cache"));
    command
}

/// `x` mixed up: SplitMix64, as a number in [0, 1).
fn noise(x: usize) -> f64 {
    let mut z = (x as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
}

/// `rows` rows of columns `a`, `b` (numbers), `c` (three texts) and a smooth numeric `y`.
fn smooth(rows: usize) -> String {
    (0..rows).fold(String::from("a,b,c,y\n"), |table, i| {
        let (a, b, c) = (noise(3 * i), noise(3 * i + 1), i % 3);
        let y = (3.0 * a).sin() + b * b + 0.3 * c as f64;
        table + &format!("{a},{b},c{c},{y}\n")
    })
}

/// `rows` rows of two numbers and a class `p`, `q` or `r` that depends on them.
fn classes(rows: usize) -> String {
    (0..rows).fold(String::from("a,b,y\n"), |table, i| {
        let (a, b) = (noise(2 * i), noise(2 * i + 1));
        let class = if a + b < 0.8 {
            "p"
        } else if a > b {
            "q"
        } else {
            "r"
        };
        table + &format!("{a},{b},{class}\n")
    })
}
