//! Rules for single `.rs` files: header, length, silent libraries, unsafe code.

use super::source::{Source, compact, words};
use super::{Finding, unsafety};

/// Most lines of a file, tests aside.
const LONGEST: usize = 400;

/// Library crates: they neither print nor read a clock.
const LIBRARIES: [&str; 5] =
    ["crates/dense/", "crates/sketch/", "crates/krylov/", "crates/relu/", "crates/train/"];

/// Macros that print.
const PRINTING: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];

/// Checks one file by all rules.
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let source = Source::parse(text);
    let mut findings = Vec::new();
    findings.extend(check_header(path, text));
    findings.extend(check_length(path, &source, text.lines().count()));
    findings.extend(check_silence(path, &source));
    findings.extend(unsafety::check(path, &source));
    findings
}

/// Whether a file holds nothing but tests: it lies in a folder `tests` or is a module `tests.rs`.
fn is_test(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

/// Every file says in its first line what it holds.
fn check_header(path: &str, text: &str) -> Option<Finding> {
    let described = text
        .strip_prefix("//!")
        .is_some_and(|rest| rest.lines().next().is_some_and(|line| !line.trim().is_empty()));
    (!described).then(|| {
        Finding::new(path, 1, "must start with a `//!` line that says what the file holds")
    })
}

/// No file is longer than [`LONGEST`] lines, tests aside.
fn check_length(path: &str, source: &Source, lines: usize) -> Option<Finding> {
    let test = source.test_lines().iter().filter(|test| **test).count();
    let length = lines.saturating_sub(test);
    (length > LONGEST && !is_test(path)).then(|| {
        let message =
            format!("has {length} lines without its tests, more than {LONGEST}: split it");
        Finding::new(path, LONGEST, message)
    })
}

/// Library code, tests aside, does not print and reads no clock.
fn check_silence(path: &str, source: &Source) -> Vec<Finding> {
    let library = LIBRARIES
        .iter()
        .any(|library| path.strip_prefix(library).is_some_and(|inside| inside.starts_with("src/")));
    if !library || is_test(path) {
        return Vec::new();
    }
    let lines = source.lines.iter().zip(source.test_lines()).enumerate();
    lines
        .filter(|(_, (_, test))| !test)
        .flat_map(|(number, (line, _))| {
            let found = loud_words(&line.code);
            found.into_iter().map(move |message| Finding::new(path, number + 1, message))
        })
        .collect()
}

/// What a line of code says of printing and clocks.
fn loud_words(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, word) in words(code) {
        if PRINTING.contains(&word) && code[at + word.len()..].trim_start().starts_with('!') {
            found.push(format!(
                "`{word}!` in a library: libraries do not print, report through an observer"
            ));
        }
        if word == "Instant" || word == "SystemTime" {
            found.push(format!(
                "`{word}` in a library: libraries read no clock, time in an observer"
            ));
        }
    }
    if found.is_empty() && compact(code).contains("std::time") {
        found.push("`std::time` in a library: libraries read no clock, time in an observer".into());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(path, text).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_file_starts_by_saying_what_it_holds() {
        assert_eq!(lines("xtask/src/a.rs", "//! Good.\nfn f() {}\n"), NONE);
        for text in ["", "\n//! Late.\n", "// Plain.\n", "//!\n", "fn f() {}\n"] {
            let findings = check("xtask/src/a.rs", text);
            assert_eq!(findings.len(), 1, "{text:?}");
            assert!(findings[0].to_string().starts_with("xtask/src/a.rs:1: must start with"));
        }
    }

    #[test]
    fn a_file_has_at_most_400_lines_without_its_tests() {
        let text = |code: usize, test: usize| {
            let code = "fn f() {}\n".repeat(code - 1);
            format!("//! Long.\n{code}#[cfg(test)]\nmod tests {{\n{}}}\n", "//\n".repeat(test))
        };
        assert_eq!(lines("crates/dense/src/a.rs", &text(400, 500)), NONE);
        assert_eq!(lines("crates/dense/src/a.rs", &text(401, 500)), [400]);
        assert_eq!(lines("crates/dense/tests/a.rs", &text(401, 500)), NONE);
        assert_eq!(lines("tests/src/a.rs", &text(401, 500)), NONE);
        assert_eq!(lines("crates/cli/src/plot/tests.rs", &text(401, 500)), NONE);
        let after = format!("//! A.\n#[cfg(test)]\nmod tests;\n{}", "fn f() {}\n".repeat(401));
        assert_eq!(lines("crates/dense/src/a.rs", &after), [400]);
    }

    #[test]
    fn libraries_neither_print_nor_read_a_clock() {
        let text = "//! A `println!` in a comment.\nfn f() {\n    println!(\"x\");\n    \
                    let s = \"eprintln! Instant\";\n    let t = std::time::Instant::now();\n}\n\
                    use std :: time::Duration;\nfn println() {}\n\
                    #[cfg(test)]\nmod tests {\n    fn f() { dbg!(SystemTime::now()); }\n}\n";
        for library in LIBRARIES {
            assert_eq!(lines(&format!("{library}src/a/b.rs"), text), [3, 5, 7]);
            assert_eq!(lines(&format!("{library}tests/a.rs"), text), NONE);
            assert_eq!(lines(&format!("{library}src/tests.rs"), text), NONE);
        }
        assert_eq!(lines("crates/cli/src/main.rs", text), NONE);
        assert_eq!(lines("xtask/src/main.rs", text), NONE);
    }
}
