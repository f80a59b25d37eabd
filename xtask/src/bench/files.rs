//! Where results go, and how they get there.

use std::path::{Path, PathBuf};

use nearlin_cli::output;
use serde::Serialize;

use super::Outcome;

/// The folder of the repository, which cargo tells the program it runs; without cargo, the folder that it
/// is run in.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let above = manifest.and_then(|folder| folder.parent().map(Path::to_owned));
    above.or_else(|| std::env::current_dir().ok()).unwrap_or_else(|| ".".into())
}

/// The folder for results, made where it is missing: the one asked for, or `docs/benchmarks`. What
/// is measured of a `part`, or by a smoke test, would stand there for the whole, so it goes to `target/bench`.
pub(super) fn folder(asked: Option<&Path>, root: &Path, part: bool) -> Outcome<PathBuf> {
    let folder = match asked {
        Some(folder) => folder.to_owned(),
        None if part => root.join("target/bench"),
        None => root.join("docs/benchmarks"),
    };
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("{}: cannot be made: {error}", folder.display()))?;
    Ok(folder)
}

/// Writes `NAME.json` with all samples and `NAME.md`, the page, and says so.
pub(super) fn write(folder: &Path, name: &str, report: &impl Serialize, page: &str) -> Outcome {
    let json = serde_json::to_string_pretty(report)? + "\n";
    write_text(&folder.join(format!("{name}.json")), &json)?;
    write_page(folder, name, page)
}

/// Writes `NAME.md` alone, and says so.
pub(super) fn write_page(folder: &Path, name: &str, page: &str) -> Outcome {
    write_text(&folder.join(format!("{name}.md")), page)
}

fn write_text(path: &Path, text: &str) -> Outcome {
    output::write(path, |out| out.write_all(text.as_bytes()))?;
    println!("wrote {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoke_tests_leave_the_published_figures_alone() {
        let root = std::env::temp_dir().join(format!("nearlin-xtask-{}", std::process::id()));
        let published = folder(None, &root, false).unwrap();
        assert_eq!(published, root.join("docs/benchmarks"));
        assert_eq!(folder(None, &root, true).unwrap(), root.join("target/bench"));
        let asked = root.join("a/b");
        assert_eq!(folder(Some(&asked), &root, true).unwrap(), asked);
        write(&asked, "step", &[1.5], "# Page\n").unwrap();
        assert_eq!(std::fs::read_to_string(asked.join("step.json")).unwrap(), "[\n  1.5\n]\n");
        assert_eq!(std::fs::read_to_string(asked.join("step.md")).unwrap(), "# Page\n");
        std::fs::remove_dir_all(&root).unwrap();
    }
}
