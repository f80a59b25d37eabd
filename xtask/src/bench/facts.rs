//! Where figures come from: command, date, commit and machine.

use std::path::Path;
use std::process::Command;

use serde::Serialize;

use super::Outcome;
use crate::tidy::output;

/// Options whose values are paths, with what is written in their place.
const PATHS: [(&str, &str); 4] =
    [("--out", "DIR"), ("--peers", "SCRIPTS"), ("--python", "PYTHON"), ("--compare", "JSON")];

/// What a reader must know to measure the same again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Facts {
    /// The command, paths aside.
    pub(super) command: String,
    /// The day, in UTC.
    pub(super) date: String,
    /// The commit, with `-dirty` if the code differs from it.
    pub(super) commit: String,
    /// The machine.
    pub(super) machine: Machine,
}

/// A machine, as far as times depend on it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Machine {
    /// The processor's name for itself.
    pub(super) cpu: String,
    /// Logical processors that this process may use.
    pub(super) cores: usize,
    /// Bytes of memory.
    pub(super) memory_bytes: u64,
}

impl Facts {
    /// Asks the system; `root` is the repository.
    pub(super) fn gather(root: &Path) -> Outcome<Self> {
        let git = |arguments: &[&str]| -> Outcome<String> {
            let mut git = Command::new("git");
            git.current_dir(root).arg("--no-optional-locks").args(arguments);
            Ok(output(&mut git)?.trim().to_owned())
        };
        let commit = git(&["rev-parse", "--short", "HEAD"])?;
        // The figures themselves are no part of the code that they were measured with.
        let changes = git(&["status", "--porcelain", "--", ".", ":!docs/benchmarks"])?;
        let dirty = if changes.is_empty() { "" } else { "-dirty" };
        Ok(Self {
            command: command(std::env::args().skip(1)),
            date: output(Command::new("date").args(["-u", "+%F"]))?.trim().to_owned(),
            commit: format!("{commit}{dirty}"),
            machine: Machine::this()?,
        })
    }

    /// The facts as two paragraphs of a page.
    pub(super) fn paragraph(&self) -> String {
        let Machine { cpu, cores, memory_bytes } = &self.machine;
        let gib = *memory_bytes as f64 / f64::from(1 << 30);
        format!(
            "Measured by\n\n    {}\n\non {}, commit {}, with {cpu}, {cores} logical processors, \
             {gib:.1} GiB of memory.\n",
            self.command, self.date, self.commit
        )
    }
}

impl Machine {
    /// The machine that this runs on.
    fn this() -> Outcome<Self> {
        let memory = std::fs::read_to_string("/proc/meminfo")?;
        let kibibytes: u64 = field(&memory, "MemTotal")
            .and_then(|value| value.strip_suffix("kB"))
            .and_then(|value| value.trim().parse().ok())
            .ok_or("/proc/meminfo has no line `MemTotal: .. kB`")?;
        let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
        Ok(Self {
            cpu: field(&cpu, "model name").unwrap_or("an unnamed processor").to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            memory_bytes: kibibytes * 1024,
        })
    }
}

/// The value in the first line `KEY : value`.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(found, _)| found.trim() == key).map(|(_, value)| value.trim())
}

/// The command that `arguments` (those after the program's name) belong to. The values of options
/// that name folders of one machine are replaced.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let mut words = vec!["cargo xtask".to_owned()];
    let mut hidden = None;
    for argument in arguments {
        // Some benchmarks have `--peers` without a value.
        if let Some(placeholder) = hidden.take().filter(|_| !argument.starts_with('-')) {
            words.push(String::from(placeholder));
            continue;
        }
        let path = PATHS.iter().find(|(option, _)| {
            argument
                .strip_prefix(option)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        });
        match path {
            Some((option, placeholder)) if argument.contains('=') => {
                words.push(format!("{option}={placeholder}"));
            }
            Some((_, placeholder)) => {
                hidden = Some(*placeholder);
                words.push(argument);
            }
            None => words.push(argument),
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_hold_no_paths() {
        let of = |line: &str| command(line.split(' ').map(str::to_owned));
        assert_eq!(
            of("bench step --n 64,128 --quick"),
            "cargo xtask bench step --n 64,128 --quick"
        );
        assert_eq!(
            of("bench peers --peers /a/b --reps 2 --python=/c/d --out /e"),
            "cargo xtask bench peers --peers SCRIPTS --reps 2 --python=PYTHON --out DIR"
        );
        assert_eq!(
            of("bench fwht --peers --quick --compare /a.json --peers"),
            "cargo xtask bench fwht --peers --quick --compare JSON --peers"
        );
        assert_eq!(of("bench --outer"), "cargo xtask bench --outer");
    }

    #[test]
    fn fields_of_proc_files() {
        let text = "processor\t: 0\nmodel name\t: A: B\nmodel name\t: C\nMemTotal:   17 kB\n";
        assert_eq!(field(text, "model name"), Some("A: B"));
        assert_eq!(field(text, "MemTotal"), Some("17 kB"));
        assert_eq!(field(text, "model"), None);
    }

    #[test]
    fn the_paragraph_names_everything() {
        let machine = Machine { cpu: "Chip".into(), cores: 2, memory_bytes: 3 << 30 };
        let facts = Facts {
            command: "cargo xtask bench".into(),
            date: "2001-02-03".into(),
            commit: "abc-dirty".into(),
            machine,
        };
        let text = facts.paragraph();
        for part in ["    cargo xtask bench\n", "2001-02-03", "abc-dirty", "Chip", "3.0 GiB"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
