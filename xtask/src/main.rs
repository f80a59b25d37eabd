//! Repository tasks: `cargo xtask ci`, `cargo xtask tidy`, `cargo xtask bench`, `cargo xtask counts`,
//! `cargo xtask onnx`, `cargo xtask guides`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these tasks talk to whoever started them"
)]

mod bench;
mod ci;
mod counts;
mod guides;
mod onnx;
mod python;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of the nearlin repository.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs the checks that every change must pass, and stops at the first that fails.
    Ci(ci::Args),
    /// Checks what the compiler does not: file lengths, crate edges, silence, unsafe code.
    Tidy,
    /// Measures the figures of docs/benchmarks again.
    Bench(Box<bench::Args>),
    /// Counts the instructions of the hot kernels and compares them with docs/benchmarks/counts.json.
    Counts(counts::Args),
    /// Compares exported models in onnxruntime with `nearlin predict`.
    Onnx(onnx::Args),
    /// Follows each guide of docs/guides from nothing: a new project, its build, its examples.
    Guides(guides::Args),
}

fn main() -> ExitCode {
    match Args::parse().task {
        Task::Ci(args) => ci::run(&args),
        Task::Tidy => tidy::run(),
        Task::Bench(args) => bench::run(&args),
        Task::Counts(args) => counts::run(&args),
        Task::Onnx(args) => ExitCode::from(onnx::check(&args)),
        Task::Guides(args) => ExitCode::from(guides::check(&args)),
    }
}
