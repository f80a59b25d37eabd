//! Rules for `Cargo.toml` files: shared lints, and versions in one place.
//!
//! Cargo's own view has the versions resolved and no lints, so this reads the text: sections, keys
//! and values with their lines, which is all of TOML that manifests here use.

use super::Finding;

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The section it stands in, empty before the first.
    pub(super) section: String,
    /// The key, dots included.
    pub(super) key: String,
    /// The value as written, on one line, without comments.
    pub(super) value: String,
    /// The line of the key, from 1.
    pub(super) line: usize,
}

/// Which manifest a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The root of the workspace.
    Root,
    /// A member of the workspace.
    Member,
}

/// Checks one manifest.
pub(super) fn check(path: &str, text: &str, role: Role) -> Vec<Finding> {
    let entries = entries(text);
    let mut findings = Vec::new();
    let shares_lints = entries.iter().any(|entry| {
        let name = format!("{}.{}", entry.section, entry.key);
        name.trim_start_matches('.') == "lints.workspace" && entry.value == "true"
    });
    if role == Role::Member && !shares_lints {
        findings.push(Finding::new(path, 1, "lacks `[lints]` with `workspace = true`"));
    }
    for (entry, name) in dependencies(&entries) {
        if !comes_from_workspace(entry, &name) {
            let message = format!(
                "`{name}` is not taken from the workspace: put its version into \
                 [workspace.dependencies] and write `{name}.workspace = true`"
            );
            findings.push(Finding::new(path, entry.line, message));
        }
    }
    findings
}

/// The line on which a manifest first names a dependency, or 1.
pub(super) fn line_of(text: &str, name: &str) -> usize {
    let entries = entries(text);
    dependencies(&entries).find(|(_, found)| found == name).map_or(1, |(entry, _)| entry.line)
}

/// The entries that say something about a dependency, with its name; those of
/// `[workspace.dependencies]` aside.
fn dependencies(entries: &[Entry]) -> impl Iterator<Item = (&Entry, String)> {
    entries.iter().filter(|entry| !entry.section.starts_with("workspace")).filter_map(|entry| {
        let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
        let mut path = parts(&entry.section);
        path.extend(parts(&entry.key));
        let at = path.iter().position(|part| kinds.contains(&part.as_str()))?;
        Some((entry, path.get(at + 1)?.clone()))
    })
}

/// Whether an entry leaves version and source to the workspace.
fn comes_from_workspace(entry: &Entry, name: &str) -> bool {
    let key = parts(&entry.key);
    match key.last() {
        // `name = { workspace = true, .. }`, or a version as text
        Some(last) if last == name && entry.value.starts_with('{') => {
            let inside = entry.value.trim_matches(['{', '}']);
            inside.split(',').any(|part| part.replace(' ', "") == "workspace=true")
        }
        Some(last) if last == name => false,
        Some(last) if last == "workspace" => entry.value == "true",
        Some(last) => {
            !["version", "git", "path", "registry", "branch", "tag", "rev"].contains(&last.as_str())
        }
        None => true,
    }
}

/// The parts of a dotted name, quotes respected and removed.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    for character in name.chars() {
        match (character, quote) {
            ('"' | '\'', None) => quote = Some(character),
            (c, Some(q)) if c == q => quote = None,
            ('.', None) => parts.push(String::new()),
            (c, Some(_)) => parts.last_mut().into_iter().for_each(|part| part.push(c)),
            (c, None) if c.is_whitespace() => {}
            (c, None) => parts.last_mut().into_iter().for_each(|part| part.push(c)),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Reads the entries of a manifest in order; values over several lines are joined.
pub(super) fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut section = String::new();
    let mut open = 0i32;
    for (number, line) in text.lines().enumerate() {
        let line = without_comment(line).trim();
        if open > 0 {
            if let Some(entry) = entries.last_mut() {
                entry.value.push_str(line);
            }
        } else if let Some(name) = line.strip_prefix('[') {
            name.trim_matches(['[', ']', ' ']).clone_into(&mut section);
            continue;
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            entries.push(Entry { section: section.clone(), key, value, line: number + 1 });
        } else {
            continue;
        }
        let value = entries.last().map_or("", |entry| &entry.value);
        open = outside_quotes(value)
            .map(|c| i32::from("[{".contains(c)) - i32::from("]}".contains(c)))
            .sum();
    }
    entries
}

/// The characters of a line that stand outside quotes.
fn outside_quotes(line: &str) -> impl Iterator<Item = char> {
    let mut quote = None;
    line.chars().filter(move |&c| {
        let quoted = quote.is_some();
        match quote {
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(q) if c == q => quote = None,
            _ => {}
        }
        !quoted
    })
}

/// A line up to a `#` outside quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (c, quote) {
            ('#', None) => return &line[..at],
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(q)) if c == q => quote = None,
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn lines(text: &str) -> Vec<usize> {
        let findings = check("a/Cargo.toml", &format!("{text}{LINTS}"), Role::Member);
        findings.into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn every_member_takes_the_lints_of_the_workspace() {
        assert_eq!(check("a/Cargo.toml", LINTS, Role::Member), []);
        assert_eq!(check("a/Cargo.toml", "lints.workspace = true\n", Role::Member), []);
        assert_eq!(check("Cargo.toml", "", Role::Root), []);
        for text in ["", "[lints]\nworkspace = false\n", "# [lints]\n[other]\nworkspace = true\n"] {
            let findings = check("a/Cargo.toml", text, Role::Member);
            assert_eq!(findings.len(), 1, "{text:?}");
            assert!(findings[0].message.starts_with("lacks `[lints]`"));
        }
    }

    #[test]
    fn versions_stand_in_the_workspace_alone() {
        assert_eq!(lines("[dependencies]\na.workspace = true\nb = { workspace = true }\n"), NONE);
        assert_eq!(
            lines("[dependencies]\na = { workspace = true, features = [\n  \"x\", # y\n] }\n"),
            NONE
        );
        assert_eq!(lines("[dependencies.a]\nworkspace = true\noptional = true\n"), NONE);
        assert_eq!(lines("[package]\nversion = \"1\"\n[features]\na = [\"b/c\"]\n"), NONE);
        assert_eq!(check("Cargo.toml", "[workspace.dependencies]\na = \"1\"\n", Role::Root), []);

        assert_eq!(lines("[dependencies]\na = \"1\"\nb.workspace = true\n"), [2]);
        assert_eq!(lines("[dev-dependencies]\na = { version = \"1\" }\n"), [2]);
        assert_eq!(lines("[build-dependencies.a]\nfeatures = []\nversion = \"1\"\n"), [3]);
        assert_eq!(lines("[dependencies]\na.version = \"1\"\n"), [2]);
        assert_eq!(lines("[dependencies]\n\n# b\na = { path = \"../a\" }\n"), [4]);
        assert_eq!(lines("[target.'cfg(unix)'.dependencies]\na = \"1\"\n"), [2]);
        assert_eq!(
            lines("[target.\"cfg(target_os = \\\"x.y\\\")\".dependencies.a]\ngit = \"u\"\n"),
            [2]
        );
    }

    #[test]
    fn a_dependency_is_found_on_its_line() {
        let text = "[package]\nname = \"a\"\n[dependencies]\nb.workspace = true\n\
                    [dependencies.c]\nworkspace = true\n";
        assert_eq!(["b", "c", "d"].map(|name| line_of(text, name)), [4, 6, 1]);
    }
}
