//! The commands `fit`, `predict`, `plan`, `export` and `inspect`.
//!
//! Whatever can be wrong with a call is found before any training and before any file is touched;
//! it exits with 2. What the library or the system refuses later exits with 1. Results go to
//! stdout, progress, warnings and errors to stderr.

mod args;
mod batches;
mod checkpoint;
mod ensemble;
mod error;
mod evaluate;
mod export;
mod files;
mod fit;
mod inspect;
mod loss;
mod memory;
mod plan;
mod predict;
mod progress;
mod rates;
mod report;
mod setup;
mod summary;
mod sureness;
mod words;

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use args::{Args, Command};
use error::ProgramError;

use crate::output::WhileRead;

/// Does what the command line says; `start` is when the program began.
///
/// Exit codes: 0 if it was done, 2 if the call or its input was wrong (then nothing was written),
/// 1 for an internal failure.
#[must_use]
pub fn run(start: Instant) -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // A closed pipe is no reason to fail: who asked for help has what they wanted.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = catch_unwind(AssertUnwindSafe(|| match &args.command {
        Command::Fit(args) => fit::run(args, start),
        Command::Predict(args) => predict::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Export(args) => export::run(args),
        Command::Inspect(args) => inspect::run(args),
    }));
    match done {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            say(&format_args!("nearlin: error: {error}"));
            ExitCode::from(error.exit_code())
        }
        Err(_) => {
            say(&"nearlin: internal error: the message above says where");
            ExitCode::from(1)
        }
    }
}

/// One line to stderr; whether anybody reads it changes nothing.
fn say(line: &dyn fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// `text` to stdout.
fn show(text: &str) -> Result<(), ProgramError> {
    to_stdout(|out| out.write_all(text.as_bytes()))
}

/// What `fill` writes to stdout. A reader that has gone away has read enough.
fn to_stdout(fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), ProgramError> {
    let mut out = BufWriter::new(WhileRead(io::stdout().lock()));
    fill(&mut out).and_then(|()| out.flush()).map_err(ProgramError::Stdout)
}
