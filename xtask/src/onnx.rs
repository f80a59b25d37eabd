//! `cargo xtask onnx`: exported models in onnxruntime beside `nearlin predict`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Outcome, root};
use crate::ci::cargo;
use crate::python::environment;

/// Options.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// A Python with the packages of xtask/python/requirements-onnx.txt [default: one made in target/onnx-venv].
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
}

/// Fits, exports and compares; 0 if everything agrees, or if the packages cannot be had.
pub(crate) fn check(args: &Args) -> u8 {
    let root = root();
    let requirements = root.join("xtask/python/requirements-onnx.txt");
    let python = args
        .python
        .clone()
        .map_or_else(|| environment(&root.join("target/onnx-venv"), &requirements), Ok);
    let python = match python {
        Ok(python) => python,
        Err(error) => {
            let packages = requirements.display();
            println!("onnx: skipped, no Python with the packages of {packages}: {error}");
            return 0;
        }
    };
    match compare(&python, &root) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("onnx: {error}");
            1
        }
    }
}

fn compare(python: &Path, root: &Path) -> Outcome {
    let mut build = Command::new(cargo());
    // Together with this program, so that what both are made of is built once.
    build.current_dir(root).args(["build", "--release", "-p", "xtask", "-p", "nearlin-cli"]);
    build.args(["--bin", "nearlin"]);
    if !build.status()?.success() {
        return Err("the program could not be built".into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let mut script = Command::new(python);
    script.arg(root.join("xtask/python/round_trip.py")).arg(target.join("release/nearlin"));
    script.arg(root.join("data")).arg(target.join("onnx"));
    let status = script.status()?;
    if status.success() { Ok(()) } else { Err(format!("the script ended with {status}").into()) }
}
