//! Counts of two builds side by side.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The relative change that is no difference. The same kernels beside other code of the program have
/// changed by 1.6 % (the compiler cuts the program in other units), and by 0.6 % where operands lay at
/// other addresses.
const TOLERANCE: f64 = 0.03;

/// What counts depend on besides the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Setting {
    /// The compiler's version.
    pub(super) rustc: String,
    /// The target's triple.
    pub(super) target: String,
    /// Instruction sets that the kernels found.
    pub(super) features: String,
}

/// Instructions of every kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    #[serde(flatten)]
    pub(super) setting: Setting,
    /// Instructions by kernel.
    pub(super) counts: BTreeMap<String, u64>,
}

/// A kernel whose count is not the expected one.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Difference {
    /// More instructions than expected.
    More { kernel: String, expected: u64, found: u64 },
    /// Fewer: good news, which the next regression should be measured against.
    Fewer { kernel: String, expected: u64, found: u64 },
    /// Counted, but not in the file.
    Unknown { kernel: String, found: u64 },
    /// In the file, but not counted.
    Gone { kernel: String, expected: u64 },
}

impl Setting {
    /// The compiler and the target that `rustc -vV` tells.
    pub(super) fn of_compiler(told: &str) -> Option<Self> {
        let value = |key| told.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let (rustc, target) = (value("release:")?.to_owned(), value("host:")?.to_owned());
        Some(Self { rustc, target, features: String::new() })
    }

    /// Why counts of this setting say nothing about those of another.
    pub(super) fn differs(&self, here: &Self) -> Option<String> {
        let fields = [
            ("rustc", &self.rustc, &here.rustc),
            ("target", &self.target, &here.target),
            ("instruction sets", &self.features, &here.features),
        ];
        let (what, theirs, ours) = fields.into_iter().find(|(_, theirs, ours)| theirs != ours)?;
        Some(format!("the expected counts are those of {what} `{theirs}` and this is `{ours}`"))
    }
}

impl Table {
    /// Reads the counts that are expected.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let failed = |error: &dyn fmt::Display| {
            format!(
                "{}: {error}; `cargo xtask counts --bless` writes the counts of this code",
                path.display()
            )
        };
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        serde_json::from_str(&text).map_err(|error| failed(&error))
    }
}

impl Difference {
    /// Whether something has to be mended, or blessed.
    pub(super) fn fails(&self) -> bool {
        !matches!(self, Self::Fewer { .. })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |expected: u64, found: u64| 100.0 * (found as f64 / expected as f64 - 1.0);
        match self {
            Self::More { kernel, expected, found } => write!(
                f,
                "{kernel}: expected {expected} instructions, found {found} ({:+.1} %, more than \
                 {:.0} % are tolerated)",
                percent(*expected, *found),
                100.0 * TOLERANCE
            ),
            Self::Fewer { kernel, expected, found } => write!(
                f,
                "{kernel}: expected {expected} instructions, found only {found} ({:+.1} %): bless it",
                percent(*expected, *found)
            ),
            Self::Unknown { kernel, found } => {
                write!(f, "{kernel}: no count is expected, found {found} instructions")
            }
            Self::Gone { kernel, expected } => {
                write!(f, "{kernel}: expected {expected} instructions, but there is no such kernel")
            }
        }
    }
}

/// Kernels whose counts differ by more than the tolerance or that only one side has, by name.
pub(super) fn compare(old: &Table, new: &Table) -> Vec<Difference> {
    let mut kernels: Vec<&String> = old.counts.keys().chain(new.counts.keys()).collect();
    kernels.sort();
    kernels.dedup();
    let difference = |kernel: &String| {
        let name = kernel.clone();
        match (old.counts.get(kernel).copied(), new.counts.get(kernel).copied()) {
            (Some(expected), Some(found)) => {
                let (least, most) = (1.0 - TOLERANCE, 1.0 + TOLERANCE);
                if found as f64 > most * expected as f64 {
                    Some(Difference::More { kernel: name, expected, found })
                } else if (found as f64) < least * expected as f64 {
                    Some(Difference::Fewer { kernel: name, expected, found })
                } else {
                    None
                }
            }
            (None, Some(found)) => Some(Difference::Unknown { kernel: name, found }),
            (Some(expected), None) => Some(Difference::Gone { kernel: name, expected }),
            (None, None) => None,
        }
    };
    kernels.into_iter().filter_map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(counts: &[(&str, u64)]) -> Table {
        let setting = Setting {
            rustc: "1.2.3".into(),
            target: "x86_64-unknown-linux-gnu".into(),
            features: "avx2 fma".into(),
        };
        let counts = counts.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
        Table { setting, counts }
    }

    #[test]
    fn changes_within_the_tolerance_are_none() {
        let old = table(&[("a", 10_000), ("b", 0)]);
        for count in [9_700, 10_000, 10_300] {
            assert_eq!(compare(&old, &table(&[("a", count), ("b", 0)])), []);
        }
    }

    #[test]
    fn regressions_fail_and_say_what_was_expected() {
        let found = compare(&table(&[("a", 10_000)]), &table(&[("a", 10_400)]));
        let [more] = &found[..] else { panic!("{found:?}") };
        assert!(more.fails());
        let text = more.to_string();
        for part in ["a: ", "expected 10000", "found 10400", "+4.0 %", "3 %"] {
            assert!(text.contains(part), "{text}");
        }
        // From nothing to something is a regression too.
        assert!(compare(&table(&[("a", 0)]), &table(&[("a", 1)]))[0].fails());
    }

    #[test]
    fn improvements_are_told_and_do_not_fail() {
        let found = compare(&table(&[("a", 10_000)]), &table(&[("a", 9_000)]));
        let [fewer] = &found[..] else { panic!("{found:?}") };
        assert!(!fewer.fails());
        assert!(fewer.to_string().contains("found only 9000 (-10.0 %)"), "{fewer}");
    }

    #[test]
    fn kernels_of_one_side_fail() {
        let found = compare(&table(&[("a", 1), ("b", 2)]), &table(&[("b", 2), ("c", 3)]));
        let gone = Difference::Gone { kernel: "a".into(), expected: 1 };
        let unknown = Difference::Unknown { kernel: "c".into(), found: 3 };
        assert_eq!(found, [gone, unknown]);
        assert!(found.iter().all(Difference::fails));
    }

    #[test]
    fn another_setting_is_named() {
        let old = table(&[]).setting;
        assert_eq!(old.differs(&old), None);
        let new = Setting { rustc: "1.2.4".into(), ..old.clone() };
        assert!(old.differs(&new).unwrap().contains("rustc `1.2.3` and this is `1.2.4`"));
        let new = Setting { features: "avx512f".into(), ..old.clone() };
        assert!(old.differs(&new).unwrap().contains("instruction sets `avx2 fma`"));
    }

    #[test]
    fn the_compiler_tells_its_release_and_host() {
        let told = "rustc 1.95.0 (abc 2026-01-01)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n\
                    release: 1.95.0\nLLVM version: 22\n";
        let setting = Setting::of_compiler(told).unwrap();
        assert_eq!(
            (&setting.rustc[..], &setting.target[..]),
            ("1.95.0", "x86_64-unknown-linux-gnu")
        );
        assert_eq!(Setting::of_compiler("release: 1.95.0\n"), None);
    }

    #[test]
    fn a_missing_or_broken_file_says_how_to_make_one() {
        let folder = std::env::temp_dir().join(format!("nearlin-counts-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("counts.json");
        let missing = Table::read(&path).unwrap_err();
        assert!(missing.contains("counts.json") && missing.contains("--bless"), "{missing}");
        std::fs::write(&path, "{}").unwrap();
        let broken = Table::read(&path).unwrap_err();
        assert!(broken.contains("missing field") && broken.contains("--bless"), "{broken}");
        let table = table(&[("a", 1)]);
        std::fs::write(&path, serde_json::to_string(&table).unwrap()).unwrap();
        assert_eq!(Table::read(&path).unwrap(), table);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
