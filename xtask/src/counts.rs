//! `cargo xtask counts`: how many instructions the hot kernels execute, against docs/benchmarks/counts.json.
//!
//! Times on a shared machine are noise; the instructions of a kernel on one thread are the same in
//! every run. This program runs itself under valgrind's callgrind, which counts them one kernel after
//! the other. It emulates AVX2 but not AVX-512, so every x86-64 processor with AVX2 takes the same
//! path. Counts belong to a compiler, a target and a path, and are compared with their own only.

mod compare;
mod kernels;
mod valgrind;

use std::path::Path;
use std::process::{Command, ExitCode};

use nearlin_cli::output;

use crate::tidy;
use compare::{Difference, Setting, Table, compare};
use valgrind::Counting;

/// The counts that are expected, from the root of the repository.
const FILE: &str = "docs/benchmarks/counts.json";

/// What to do with the counts.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write the counts to docs/benchmarks/counts.json instead of comparing with it.
    #[arg(long)]
    bless: bool,
    /// Run the kernels here, under the counting tool; each one's name follows its run.
    #[arg(long, hide = true, conflicts_with = "bless")]
    kernels: bool,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> ExitCode {
    if args.kernels {
        println!("{}", kernels::features());
        kernels::run_all(&mut |name| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    ExitCode::from(if args.bless { told(bless()) } else { check() })
}

/// Counts and compares; 0 unless something has to be mended.
pub(crate) fn check() -> u8 {
    told(judge())
}

fn told(done: Result<u8, Box<dyn std::error::Error>>) -> u8 {
    done.unwrap_or_else(|error| {
        eprintln!("counts: {error}");
        1
    })
}

fn judge() -> Result<u8, Box<dyn std::error::Error>> {
    let path = crate::bench::root().join(FILE);
    let old = Table::read(&path)?;
    let rustc = rustc()?;
    // Before the time is spent: with another compiler nothing can be compared.
    if let Some(reason) =
        old.setting.differs(&Setting { features: old.setting.features.clone(), ..rustc.clone() })
    {
        println!("counts: skipped, {reason}");
        return Ok(0);
    }
    let new = match count(rustc)? {
        Ok(new) => new,
        Err(reason) => {
            println!("counts: skipped, {reason}");
            return Ok(0);
        }
    };
    if let Some(reason) = old.setting.differs(&new.setting) {
        println!("counts: skipped, {reason}");
        return Ok(0);
    }
    let differences = compare(&old, &new);
    let (failures, told): (Vec<&Difference>, Vec<_>) =
        differences.iter().partition(|found| found.fails());
    for found in told {
        println!("counts: {found}");
    }
    for found in &failures {
        eprintln!("counts: {found}");
    }
    println!("counts: {} kernels, {} to mend", new.counts.len(), failures.len());
    if failures.is_empty() {
        return Ok(0);
    }
    eprintln!("counts: if that is meant, run `cargo xtask counts --bless` and commit {FILE}");
    Ok(1)
}

fn bless() -> Result<u8, Box<dyn std::error::Error>> {
    let path = crate::bench::root().join(FILE);
    let new = count(rustc()?)?.map_err(|reason| format!("nothing is written, {reason}"))?;
    if let Ok(old) = Table::read(&path) {
        for found in compare(&old, &new) {
            println!("counts: {found}");
        }
    }
    let text = serde_json::to_string_pretty(&new)? + "\n";
    output::write(&path, |out| out.write_all(text.as_bytes()))?;
    println!("counts: wrote {} kernels to {FILE}", new.counts.len());
    Ok(0)
}

/// Counts all kernels, or says why that is impossible here.
fn count(setting: Setting) -> Result<Result<Table, String>, Box<dyn std::error::Error>> {
    if !setting.target.starts_with("x86_64-") {
        return Ok(Err(format!("kernels are counted on x86-64 and this is {}", setting.target)));
    }
    if valgrind::version().is_none() {
        return Ok(
            Err("valgrind is missing: install it (Debian: apt-get install valgrind)".into()),
        );
    }
    let program = std::env::current_exe()?;
    let Counting { features, counts } =
        valgrind::count(Path::new(&program), &["counts", "--kernels"])?;
    Ok(Ok(Table { setting: Setting { features, ..setting }, counts }))
}

/// The compiler and the target; the instruction sets are told by the counted program itself.
fn rustc() -> Result<Setting, Box<dyn std::error::Error>> {
    let program = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let told = tidy::output(Command::new(program).current_dir(crate::bench::root()).arg("-vV"))?;
    Setting::of_compiler(&told).ok_or_else(|| format!("rustc -vV is not understood: {told}").into())
}
