//! `cargo xtask bench runs`: whole runs of the program on the shipped tables.
//!
//! Five pages: `certified` (1e-8 with every solver), `errors` (test errors at the default ridge, and
//! how far the solvers agree), `memory` (peak memory of a step at 16,000 equations, beside the plan),
//! `rows` (time and memory against the number of rows, to a million), `signs` (orthogonal output signs beside random
//! ones).

mod certified;
mod errors;
mod memory;
mod program;
mod rows;
mod signs;

use std::path::PathBuf;

use clap::ValueEnum;

use super::facts::Facts;
use super::{Outcome, files};
pub(super) use program::Program;

/// The solvers, in the order of the pages.
const SOLVERS: [&str; 5] = ["cholesky", "srht", "tensor-srht", "arc-cosine", "cg"];

/// What to run.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Pages to measure [default: all].
    #[arg(value_enum)]
    pages: Vec<Page>,
    /// One small table, one seed: a smoke test of some seconds.
    #[arg(long)]
    quick: bool,
    /// Folder for the results [default: docs/benchmarks, with --quick target/bench].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Page {
    /// Relative residual 1e-8 with every solver, without a ridge.
    Certified,
    /// Test errors with the default ridge, and agreement of the solvers.
    Errors,
    /// Peak memory against the planner's prediction.
    Memory,
    /// Time and memory against the number of rows, to a million.
    Rows,
    /// Orthogonal output signs beside random ones.
    Signs,
}

/// Runs the benchmark.
pub(super) fn run(args: &Args) -> Outcome {
    let root = files::root();
    let folder = files::folder(args.out.as_deref(), &root, args.quick)?;
    let program = Program::build(&root)?;
    let pages = if args.pages.is_empty() { Page::value_variants() } else { &args.pages };
    for page in pages {
        let facts = Facts::gather(&root)?;
        match page {
            Page::Certified => certified::run(&program, facts, &folder, args.quick)?,
            Page::Errors => errors::run(&program, facts, &folder, args.quick)?,
            Page::Memory => memory::run(&program, facts, &folder, args.quick)?,
            Page::Rows => rows::run(&program, facts, &folder, args.quick)?,
            Page::Signs => signs::run(&program, facts, &folder, args.quick)?,
        }
    }
    Ok(())
}
