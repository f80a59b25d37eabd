//! Rules for unsafe code: only in a few files, and never without a reason.

use super::Finding;
use super::source::{Line, Source, words};

/// Parts of the names of files and folders that may hold unsafe code, with the reason.
const UNSAFE_FILES: [(&str, &str); 3] = [
    ("simd", "vector instructions behind run-time detection"),
    ("dense/src/pages", "advice on the size of pages, which the standard library does not give"),
    ("no_alloc", "tests that count allocations through a global allocator of their own"),
];

/// Checks every line that says `unsafe`.
///
/// Left alone are function pointer types (`unsafe fn(..)`), which promise nothing, and the methods
/// of an `unsafe impl`, whose contract is the trait's; the `impl` itself needs its reason.
pub(super) fn check(path: &str, source: &Source) -> Vec<Finding> {
    let allowed = UNSAFE_FILES.iter().any(|(name, _)| path.contains(name));
    let mut findings = Vec::new();
    let mut depth = 0usize;
    let mut outside_impl = None;
    for (number, line) in source.lines.iter().enumerate() {
        if let Some((at, word)) = words(&line.code).find(|(_, word)| *word == "unsafe") {
            let begins = rest(source, number, at + word.len());
            let method = begins.starts_with("fn") && outside_impl.is_some();
            if begins.starts_with("impl") {
                outside_impl = Some(depth);
            }
            if !allowed && !is_pointer_type(&begins) {
                let names = UNSAFE_FILES.map(|(name, _)| name);
                let message = format!(
                    "`unsafe` outside the files that may hold it (names with {names:?}): move it, \
                     or name this file with a reason in xtask/src/tidy/unsafety.rs"
                );
                findings.push(Finding::new(path, number + 1, message));
            }
            if !method && !is_pointer_type(&begins) && !has_reason(&source.lines, number) {
                let message = "`unsafe` without a `// SAFETY:` comment (or a `# Safety` section) \
                               before it";
                findings.push(Finding::new(path, number + 1, message));
            }
        }
        depth =
            (depth + line.code.matches('{').count()).saturating_sub(line.code.matches('}').count());
        outside_impl = outside_impl.filter(|&outside| depth > outside || !line.code.contains('}'));
    }
    findings
}

/// The code after a place, without blanks, as far as it is needed to see what `unsafe` begins.
fn rest(source: &Source, number: usize, at: usize) -> String {
    let below = source.lines.iter().skip(number + 1).take(2).map(|line| line.code.as_str());
    let code = std::iter::once(&source.lines[number].code[at..]).chain(below);
    code.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect()
}

fn is_pointer_type(rest: &str) -> bool {
    let rest = rest.strip_prefix("extern").unwrap_or(rest);
    rest.trim_start_matches('"').starts_with("fn(")
}

/// Whether the comments on a line or directly above it give a reason.
///
/// Attributes and the earlier lines of the same statement may stand between. Another statement,
/// a list item or an empty line may not.
fn has_reason(lines: &[Line], number: usize) -> bool {
    let gives = |line: &Line| line.comment.contains("SAFETY:") || line.comment.contains("# Safety");
    if gives(&lines[number]) {
        return true;
    }
    for line in lines[..number].iter().rev() {
        let code = line.code.trim();
        let ends = code.ends_with([';', '{', '}', ',']) && !code.starts_with('#');
        if ends || (code.is_empty() && line.comment.is_empty()) {
            return false;
        }
        if gives(line) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(path, &Source::parse(text)).into_iter().map(|finding| finding.line).collect()
    }

    fn accepts(text: &str) -> bool {
        lines("crates/dense/src/simd/avx.rs", text).is_empty()
    }

    #[test]
    fn every_unsafe_has_its_reason() {
        assert!(accepts("// SAFETY: checked above\nunsafe { f() }"));
        assert!(accepts("// SAFETY: checked above,\n// at length\nlet x =\n    unsafe { f() };"));
        assert!(accepts("let x = unsafe { f() }; // SAFETY: checked"));
        assert!(accepts(
            "/// F.\n///\n/// # Safety\n/// Needs g.\n#[target_feature(enable = \"a\")]\n\
             unsafe fn f() {}"
        ));
        assert!(accepts("// SAFETY: no state\nunsafe impl Send for A {}"));
        assert!(accepts(
            "// SAFETY: passed on\nunsafe impl A for B {\n    unsafe fn f(&self) {\n    }\n    \
             unsafe fn g(&self) {}\n}\n// SAFETY: as above\nunsafe { f() }"
        ));
        assert!(accepts("fn f() {} // an \"unsafe\" word"));
        assert!(accepts("type F = unsafe fn(&[f32]);\ntype G = unsafe extern \"C\" fn(f32);"));
        assert!(accepts("#![allow(unsafe_code)]"));

        assert!(!accepts("unsafe { f() }"));
        assert!(!accepts("// It is fine.\nunsafe { f() }"));
        assert!(!accepts("// SAFETY: another one\nlet y = 1;\nlet x = unsafe { f() };"));
        assert!(!accepts("// SAFETY: far away\n\nunsafe { f() }"));
        assert!(!accepts("/// F.\npub unsafe fn f() {}"));
        assert!(!accepts("unsafe impl A for B {\n    unsafe fn f(&self) {}\n}"));
        assert!(!accepts("// SAFETY: passed on\nunsafe impl A for B {\n}\nunsafe fn f() {}\n"));
        assert!(!accepts("unsafe extern \"C\" {\n    fn f();\n}"));
    }

    #[test]
    fn unsafe_stays_in_the_files_that_may_hold_it() {
        let text = "// SAFETY: checked\nunsafe { f() }\n";
        assert_eq!(lines("crates/dense/src/simd.rs", text), NONE);
        assert_eq!(lines("crates/sketch/src/fwht_simd.rs", text), NONE);
        assert_eq!(lines("crates/krylov/tests/no_alloc.rs", text), NONE);
        assert_eq!(lines("crates/dense/src/gram.rs", text), [2]);
        assert_eq!(lines("crates/dense/src/gram.rs", "unsafe { f() }\n"), [1, 1]);
    }
}
