//! `cargo xtask ci paths`: the tests of the crates with kernels, on the kernels that this processor does not choose.
//!
//! The programs are those of the test command of all crates: cargo is asked where they are, as a choice of crates
//! would be another choice of features, and so another build of all that they depend on.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::Deserialize;

use super::{cargo, exit_code};
use crate::tidy::output;

/// Folders of the crates.
const CRATES: [&str; 3] = ["crates/dense", "crates/sketch", "crates/relu"];

/// What caps the instruction sets of kernels.
const CAP: &str = "NEARLIN_ISA";

/// A message of cargo's, as far as it is of interest.
#[derive(Debug, Deserialize)]
struct Message {
    /// The manifest of what was compiled.
    manifest_path: Option<PathBuf>,
    /// The program, if it is one.
    executable: Option<PathBuf>,
    profile: Option<Profile>,
}

/// How something was compiled.
#[derive(Debug, Deserialize)]
struct Profile {
    test: bool,
}

/// A program of tests, and the folder of its crate, where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tests {
    program: PathBuf,
    folder: PathBuf,
}

/// Runs the tests once for each cap that changes what this processor runs; 0 if all pass.
pub(super) fn check() -> u8 {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("paths: {error}");
            1
        }
    }
}

fn run() -> Result<u8, Box<dyn Error>> {
    let (avx2, avx512, amx) = processor();
    let mut tests = None;
    for (cap, changes, why) in [
        ("portable", avx2, "this processor runs the portable kernels anyway"),
        ("avx2", avx512, "this processor has nothing above it"),
        ("avx512", avx512 && amx, "this processor has nothing above it"),
    ] {
        if !changes {
            println!("paths: {CAP}={cap} skipped, {why}");
            continue;
        }
        if tests.is_none() {
            tests = Some(compiled()?);
        }
        let (tests, start) = (tests.as_deref().unwrap_or_default(), Instant::now());
        for Tests { program, folder } in tests {
            let mut command = Command::new(program);
            // As cargo runs it.
            command.arg("--quiet").current_dir(folder).env("CARGO_MANIFEST_DIR", folder);
            let status = command.env(CAP, cap).status();
            match status.map_err(|error| format!("{}: {error}", program.display()))?.code() {
                Some(0) => {}
                code => {
                    eprintln!("paths: {CAP}={cap} {} failed", program.display());
                    return Ok(exit_code(code));
                }
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("paths: {CAP}={cap}, {} programs of tests in {seconds:.0} s", tests.len());
    }
    Ok(0)
}

/// Whether this processor has AVX2 and FMA, AVX-512 beside them, and a matrix unit, as the kernels need them.
fn processor() -> (bool, bool, bool) {
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
        let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        (avx2, avx2 && std::is_x86_feature_detected!("avx512f"), flags.contains("amx_int8"))
    }
    #[cfg(not(target_arch = "x86_64"))]
    (false, false, false)
}

/// The programs, compiled where they are not.
fn compiled() -> Result<Vec<Tests>, Box<dyn Error>> {
    let arguments = "test --release --workspace --no-run --message-format=json-render-diagnostics";
    let mut command = Command::new(cargo());
    let told = output(command.args(arguments.split(' ')).stderr(Stdio::inherit()))?;
    let tests = of_crates(&told)?;
    let missing =
        CRATES.iter().find(|folder| !tests.iter().any(|tests| tests.folder.ends_with(folder)));
    if let Some(missing) = missing {
        return Err(format!("cargo names no tests of {missing}").into());
    }
    Ok(tests)
}

/// The programs of the [`CRATES`] among cargo's messages, one a line.
fn of_crates(messages: &str) -> Result<Vec<Tests>, Box<dyn Error>> {
    let mut tests = Vec::new();
    for line in messages.lines() {
        let message: Message =
            serde_json::from_str(line).map_err(|error| format!("cargo: {error} in {line}"))?;
        let Message { manifest_path: Some(manifest), executable: Some(program), .. } = message
        else {
            continue;
        };
        let folder = manifest.parent().unwrap_or(Path::new("")).to_path_buf();
        let wanted = CRATES.iter().any(|wanted| folder.ends_with(wanted));
        if wanted && message.profile.is_some_and(|profile| profile.test) {
            tests.push(Tests { program, folder });
        }
    }
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not what was compiled for them, no examples, and not the tests of other crates.
    #[test]
    fn tests_of_the_kernels_are_found() {
        let line = |folder: &str, executable: Option<&str>, test: bool| {
            let message = serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": format!("/w/{folder}/Cargo.toml"),
                "executable": executable, "profile": { "opt_level": "3", "test": test },
            });
            format!("{message}\n")
        };
        let messages = [
            line("crates/dense", None, false),
            line("crates/dense", Some("/t/laws-1"), true),
            line("crates/train", Some("/t/laws-2"), true),
            line("other/dense", Some("/t/laws-3"), true),
            line("crates/sketch", Some("/t/example"), false),
            line("crates/relu", Some("/t/laws-4"), true),
            "{\"reason\":\"build-finished\",\"success\":true}\n".into(),
        ];
        let tests =
            |program: &str, folder: &str| Tests { program: program.into(), folder: folder.into() };
        let want = [tests("/t/laws-1", "/w/crates/dense"), tests("/t/laws-4", "/w/crates/relu")];
        assert_eq!(of_crates(&messages.concat()).unwrap(), want);
        assert!(of_crates("error: no such command").is_err());
    }

    #[test]
    fn wider_vectors_come_with_narrower_ones() {
        let (avx2, avx512, amx) = processor();
        assert!((avx2 || !avx512) && (avx512 || !amx));
    }
}
