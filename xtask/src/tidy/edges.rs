//! Edges between the crates of the workspace: who may depend on whom.

use std::error::Error;

use serde::Deserialize;

use super::{Finding, manifest};

/// What a crate may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    /// These crates of the workspace, and no more.
    UseOnly(&'static [&'static str]),
    /// Any crate of the workspace.
    UseAny,
}

/// The allowed edges; docs/architecture.md says why.
const EDGES: [(&str, May); 9] = [
    ("nearlin-dense", May::UseOnly(&[])),
    ("nearlin-sketch", May::UseOnly(&[])),
    ("nearlin-krylov", May::UseOnly(&[])),
    ("nearlin-lstsq", May::UseOnly(&["nearlin-sketch", "nearlin-krylov"])),
    ("nearlin-relu", May::UseOnly(&["nearlin-dense"])),
    (
        "nearlin",
        May::UseOnly(&["nearlin-dense", "nearlin-sketch", "nearlin-krylov", "nearlin-relu"]),
    ),
    ("nearlin-cli", May::UseOnly(&["nearlin"])),
    ("xtask", May::UseAny),
    ("nearlin-tests", May::UseAny),
];

/// The parts of `cargo metadata` that the rules need.
#[derive(Debug, Deserialize)]
pub(super) struct Workspace {
    /// All members, as no others are asked for.
    pub(super) packages: Vec<Package>,
    /// The folder of the root manifest.
    pub(super) workspace_root: String,
}

/// A member of the workspace.
#[derive(Debug, Deserialize)]
pub(super) struct Package {
    /// Its name.
    name: String,
    /// Its manifest.
    pub(super) manifest_path: String,
    /// What it depends on, for building and for testing.
    dependencies: Vec<Dependency>,
}

/// A dependency as the manifest declares it.
#[derive(Debug, Deserialize)]
struct Dependency {
    /// The package's name, whatever it is called locally.
    name: String,
    /// What it is called locally, if that differs.
    rename: Option<String>,
    /// `dev` or `build`, or none for an ordinary one.
    kind: Option<String>,
}

impl Workspace {
    /// Reads the output of `cargo metadata --no-deps`.
    pub(super) fn parse(json: &str) -> Result<Self, Box<dyn Error>> {
        Ok(serde_json::from_str(json).map_err(|error| format!("cargo metadata: {error}"))?)
    }
}

/// Checks the edges of one package; `path` and `text` are its manifest.
pub(super) fn check(
    path: &str,
    text: &str,
    package: &Package,
    workspace: &Workspace,
) -> Vec<Finding> {
    let Some((_, may)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
        let message = format!(
            "package `{}` is not in the table of edges: add it to xtask/src/tidy/edges.rs",
            package.name
        );
        return vec![Finding::new(path, 1, message)];
    };
    let May::UseOnly(allowed) = may else { return Vec::new() };
    let of_workspace = |d: &&Dependency| workspace.packages.iter().any(|p| p.name == d.name);
    let wrong = package.dependencies.iter().filter(of_workspace).filter_map(|dependency| {
        let Dependency { name, rename, kind } = dependency;
        let message = if kind.as_deref() == Some("dev") {
            format!(
                "`{}` has the dev-dependency `{name}`: put laws across crates into nearlin-tests",
                package.name
            )
        } else if allowed.contains(&name.as_str()) {
            return None;
        } else {
            format!("`{}` depends on `{name}`, allowed are {allowed:?}", package.name)
        };
        let line = manifest::line_of(text, rename.as_ref().unwrap_or(name));
        Some(Finding::new(path, line, message))
    });
    wrong.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of the crates in the table in which `from` depends on `to`.
    fn workspace(from: &str, to: &str, kind: Option<&str>) -> Workspace {
        let packages: Vec<_> = EDGES
            .iter()
            .map(|(name, _)| {
                let edge =
                    serde_json::json!({ "name": to, "rename": null, "kind": kind, "req": "*" });
                let other = serde_json::json!({ "name": "rayon", "rename": null, "kind": null });
                let dependencies = if *name == from { vec![other, edge] } else { vec![] };
                serde_json::json!({
                    "name": name, "manifest_path": "/w/Cargo.toml", "dependencies": dependencies,
                })
            })
            .collect();
        let json = serde_json::json!({ "packages": packages, "workspace_root": "/w" });
        Workspace::parse(&json.to_string()).unwrap()
    }

    fn findings(from: &str, to: &str, kind: Option<&str>) -> Vec<Finding> {
        let workspace = workspace(from, to, kind);
        let package = workspace.packages.iter().find(|package| package.name == from).unwrap();
        let text = format!("[package]\n\n[dependencies]\n{to}.workspace = true\n");
        check("a/Cargo.toml", &text, package, &workspace)
    }

    #[test]
    fn only_the_edges_of_the_table_are_allowed() {
        let mut allowed = Vec::new();
        for (from, may) in EDGES {
            for (to, _) in EDGES {
                let found = findings(from, to, None);
                match found.as_slice() {
                    [] if may == May::UseAny => {}
                    [] => allowed.push((from, to)),
                    [one] => assert_eq!((one.line, one.message.contains(to)), (4, true), "{one}"),
                    more => panic!("{more:?}"),
                }
            }
        }
        assert_eq!(
            allowed,
            [
                ("nearlin-lstsq", "nearlin-sketch"),
                ("nearlin-lstsq", "nearlin-krylov"),
                ("nearlin-relu", "nearlin-dense"),
                ("nearlin", "nearlin-dense"),
                ("nearlin", "nearlin-sketch"),
                ("nearlin", "nearlin-krylov"),
                ("nearlin", "nearlin-relu"),
                ("nearlin-cli", "nearlin"),
            ]
        );
    }

    #[test]
    fn build_dependencies_count_and_dev_dependencies_are_refused() {
        assert_eq!(findings("nearlin-sketch", "nearlin-dense", Some("build")).len(), 1);
        assert_eq!(findings("nearlin-relu", "nearlin-dense", Some("build")), []);
        let dev = findings("nearlin-relu", "nearlin-dense", Some("dev"));
        assert!(dev[0].message.contains("dev-dependency `nearlin-dense`"), "{dev:?}");
        assert_eq!(findings("nearlin-tests", "nearlin", Some("dev")), []);
        assert_eq!(findings("nearlin", "rayon", Some("dev")), []);
    }

    #[test]
    fn a_new_crate_must_enter_the_table() {
        let mut workspace = workspace("xtask", "nearlin", None);
        workspace.packages[6].name = "nearlin-new".into();
        let found = check("a/Cargo.toml", "", &workspace.packages[6], &workspace);
        assert!(found[0].message.contains("not in the table of edges"), "{found:?}");
    }
}
