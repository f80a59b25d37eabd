//! Counting with valgrind's callgrind.
//!
//! Collection is off but inside one function; at every end of that function callgrind writes a file of
//! its own, whose total belongs to the name that the program prints next.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::Command;

use super::kernels::REGION;
use crate::tidy::output;

/// What a counted program told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counting {
    /// Its first line.
    pub(super) features: String,
    /// The instructions of each further line.
    pub(super) counts: BTreeMap<String, u64>,
}

/// The version of valgrind, if there is one.
pub(super) fn version() -> Option<String> {
    output(Command::new("valgrind").arg("--version")).ok()
}

/// Runs a program and counts the instructions of every run of the [`REGION`].
pub(super) fn count(program: &Path, arguments: &[&str]) -> Result<Counting, Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("nearlin-counts-run-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let counted = count_in(&folder, program, arguments);
    std::fs::remove_dir_all(&folder)?;
    counted
}

fn count_in(folder: &Path, program: &Path, arguments: &[&str]) -> Result<Counting, Box<dyn Error>> {
    let file = folder.join("counts");
    let mut command = Command::new("valgrind");
    // Options of the user's own could change what is counted.
    command.env_remove("VALGRIND_OPTS").env_remove("NEARLIN_ISA");
    command.args(["-q", "--command-line-only=yes", "--tool=callgrind"]);
    // The whole name: callgrind takes patterns in the first of the two only.
    command.arg(format!("--toggle-collect={REGION}")).arg(format!("--dump-after={REGION}"));
    command.arg(format!("--callgrind-out-file={}", file.display())).arg(program).args(arguments);
    let told = output(&mut command)?;
    let mut lines = told.lines();
    let features = lines.next().unwrap_or_default().to_owned();
    let mut counts = BTreeMap::new();
    for (at, name) in lines.enumerate() {
        let part = folder.join(format!("counts.{}", at + 1));
        let text = std::fs::read_to_string(&part)
            .map_err(|error| format!("{}: {error}", part.display()))?;
        let total = total(&text).ok_or_else(|| format!("{}: has no total", part.display()))?;
        if total == 0 || counts.insert(name.to_owned(), total).is_some() {
            return Err(
                format!("{name}: no instruction was counted, or the name is used twice").into()
            );
        }
    }
    if counts.is_empty() {
        return Err("no kernel was counted".into());
    }
    Ok(Counting { features, counts })
}

/// The total of a file of callgrind's: its line `summary: N` or `totals: N`.
fn total(text: &str) -> Option<u64> {
    let value = |key| text.lines().find_map(|line| line.strip_prefix(key));
    value("totals:").or_else(|| value("summary:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_found() {
        assert_eq!(total("version: 1\nevents: Ir\nfn=a\n1 2\n\ntotals: 42\n"), Some(42));
        assert_eq!(total("events: Ir\nsummary: 7\n"), Some(7));
        assert_eq!(total("events: Ir\n"), None);
        assert_eq!(total("totals: many\n"), None);
    }
}
