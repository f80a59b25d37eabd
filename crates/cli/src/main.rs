//! The program `nearlin`: everything is in the library of this crate.

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    nearlin_cli::program::run(Instant::now())
}
