//! `cargo xtask ci`: format, lints, tests, on other kernels too, optional features, documentation, tidiness, instruction
//! counts, exported models and another architecture, one after the other.

mod paths;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::ValueEnum;

use crate::{counts, onnx, tidy};

/// Which checks to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Checks to run, in this order; all of them by default.
    checks: Vec<Check>,
}

/// One check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Check {
    /// The code is formatted.
    Fmt,
    /// No lint speaks up in any target. In the release profile, whose build scripts and macros
    /// the tests need as well.
    Clippy,
    /// The tests of the whole workspace pass.
    Tests,
    /// The tests of the crates with kernels pass on those that this processor does not choose.
    Paths,
    /// The library compiles without its optional features, which the workspace's tests turn on.
    Plain,
    /// The program compiles without its optional features.
    Lean,
    /// The documentation builds without a warning.
    Docs,
    /// The rules of `cargo xtask tidy` hold.
    Tidy,
    /// No kernel executes more instructions than expected; skipped where they cannot be counted.
    Counts,
    /// Exported models predict in onnxruntime as they do here; skipped where that cannot be installed.
    Onnx,
    /// The code compiles for 64-bit Arm; skipped where its standard library is not installed.
    Aarch64,
}

/// The target of [`Check::Aarch64`].
const AARCH64: &str = "aarch64-unknown-linux-gnu";

impl Check {
    /// Arguments to cargo and, if any, an environment variable with its value. None where the
    /// check runs in this process.
    fn command(self) -> Option<(&'static str, Option<(&'static str, &'static str)>)> {
        match self {
            Self::Fmt => Some(("fmt --all --check", None)),
            Self::Clippy => {
                Some(("clippy --release --workspace --all-targets -- -D warnings", None))
            }
            Self::Tests => Some(("test --release --workspace", None)),
            Self::Plain => Some(("check --release --package nearlin", None)),
            Self::Lean => {
                Some(("check --release --package nearlin-cli --no-default-features", None))
            }
            Self::Docs => {
                Some(("doc --no-deps --workspace", Some(("RUSTDOCFLAGS", "-D warnings"))))
            }
            Self::Aarch64 => Some((
                "check --release --workspace --no-default-features --target aarch64-unknown-linux-gnu",
                None,
            )),
            Self::Paths | Self::Tidy | Self::Counts | Self::Onnx => None,
        }
    }

    /// Why the check says nothing on this machine.
    fn skipped(self) -> Option<String> {
        if self != Self::Aarch64 || has_std(AARCH64) {
            return None;
        }
        Some(format!("the target is missing: rustup target add {AARCH64}"))
    }

    /// Runs the check; its exit code, 0 if it passed.
    fn run(self) -> u8 {
        let Some((arguments, variable)) = self.command() else {
            println!("\n==> {self:?}");
            return match self {
                Self::Paths => paths::check(),
                Self::Tidy => tidy::check(),
                Self::Onnx => onnx::check(&onnx::Args::default()),
                _ => counts::check(),
            };
        };
        if let Some(reason) = self.skipped() {
            println!("\n==> {self:?} skipped, {reason}");
            return 0;
        }
        let prefix = variable.map_or(String::new(), |(name, value)| format!("{name}=\"{value}\" "));
        println!("\n==> {prefix}cargo {arguments}");
        let mut command = Command::new(cargo());
        command.args(arguments.split(' ')).envs(variable);
        match command.status() {
            Ok(status) => exit_code(status.code()),
            Err(error) => {
                eprintln!("ci: cargo could not be started: {error}");
                1
            }
        }
    }
}

/// Whether the compiler has the standard library of a target.
fn has_std(target: &str) -> bool {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let mut rustc = Command::new(rustc);
    let told = tidy::output(rustc.args(["--print", "target-libdir", "--target", target]));
    told.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

/// The cargo that started this program, or the one on the path.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}

/// Runs the checks asked for and reports the total time.
pub(crate) fn run(args: &Args) -> ExitCode {
    let start = Instant::now();
    let checks = if args.checks.is_empty() { Check::value_variants() } else { &args.checks };
    let failed = first_failure(checks, Check::run);
    let seconds = start.elapsed().as_secs_f64();
    match failed {
        None => {
            println!("\nci: {} checks passed in {seconds:.0} s", checks.len());
            ExitCode::SUCCESS
        }
        Some((check, code)) => {
            eprintln!("\nci: {check:?} failed with exit code {code} after {seconds:.0} s");
            ExitCode::from(code)
        }
    }
}

/// Runs checks in order up to the first that does not return 0.
fn first_failure(checks: &[Check], mut run: impl FnMut(Check) -> u8) -> Option<(Check, u8)> {
    checks.iter().map(|&check| (check, run(check))).find(|&(_, code)| code != 0)
}

/// A child's exit code as ours: 1 for a child that a signal ended or whose code has no `u8`.
fn exit_code(code: Option<i32>) -> u8 {
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_ends_the_run_with_its_code() {
        let mut seen = Vec::new();
        let failed = first_failure(Check::value_variants(), |check| {
            seen.push(check);
            if check == Check::Tests { 101 } else { 0 }
        });
        assert_eq!(failed, Some((Check::Tests, 101)));
        assert_eq!(seen, [Check::Fmt, Check::Clippy, Check::Tests]);
        assert_eq!(first_failure(Check::value_variants(), |_| 0), None);
    }

    #[test]
    fn no_failure_becomes_a_success() {
        assert_eq!(
            [Some(0), Some(101), None, Some(256), Some(-1)].map(exit_code),
            [0, 101, 1, 1, 1]
        );
    }

    #[test]
    fn only_a_missing_target_skips_a_check() {
        assert!(!has_std("no-such-target"));
        let skipped = Check::Aarch64.skipped();
        assert_eq!(skipped.is_none(), has_std(AARCH64));
        assert!(skipped.is_none_or(|reason| reason.contains("rustup target add")));
        assert!(
            Check::value_variants()
                .iter()
                .all(|&check| { check == Check::Aarch64 || check.skipped().is_none() })
        );
    }

    #[test]
    fn warnings_are_errors_and_the_whole_workspace_is_checked() {
        let clippy = Check::Clippy.command().unwrap().0;
        assert!(clippy.ends_with("--workspace --all-targets -- -D warnings"), "{clippy}");
        let other = Check::Aarch64.command().unwrap().0;
        assert!(other.contains("--workspace") && other.ends_with(AARCH64), "{other}");
        let plain = Check::Plain.command().unwrap().0;
        assert!(plain.ends_with("--package nearlin"), "{plain}");
        let (docs, variable) = Check::Docs.command().unwrap();
        assert!(docs.contains("--workspace"), "{docs}");
        assert_eq!(variable, Some(("RUSTDOCFLAGS", "-D warnings")));
    }
}
