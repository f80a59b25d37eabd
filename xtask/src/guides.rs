//! `cargo xtask guides`: what a reader of docs/guides does, from nothing: a new project with the dependencies that the guide
//! states, built, and every example run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{env, fs, path};

use crate::bench::{Outcome, root};
use crate::ci::cargo;

/// What guides write for the place where the repository lies.
const PLACEHOLDER: &str = "path = \"nearlin/";

/// Options.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Guides to follow, by the names of their files without an ending; all of them by default.
    guides: Vec<String>,
    /// Most seconds that a project may take to build, from nothing but downloaded sources.
    #[arg(long, value_name = "SECONDS", default_value_t = 180.0)]
    limit: f64,
}

/// A new project: a block of dependencies and the code that stands below it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Project {
    dependencies: String,
    examples: Vec<String>,
}

/// Follows the guides; 0 if every example runs and no build takes too long.
pub(crate) fn check(args: &Args) -> u8 {
    match follow_all(args) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("guides: {error}");
            1
        }
    }
}

fn follow_all(args: &Args) -> Outcome {
    let target = env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from);
    // Cargo is started from elsewhere.
    let target = path::absolute(target)?;
    let guides = guides()?;
    if let Some(unknown) = args.guides.iter().find(|name| guides.iter().all(|(n, _)| n != *name)) {
        return Err(format!("no guide docs/guides/{unknown}.md").into());
    }
    for (name, text) in guides {
        if !args.guides.is_empty() && !args.guides.contains(&name) {
            continue;
        }
        for (at, project) in projects(&text)?.iter().enumerate() {
            let folder = target.join("guides").join(format!("{name}-{}", at + 1));
            let (built, ran) = follow(project, &folder, &root())
                .map_err(|error| format!("{name}, project {}: {error}", at + 1))?;
            let examples = project.examples.len();
            println!(
                "{name}, project {}: built in {built:.0} s, {examples} examples ran in {ran:.1} s",
                at + 1
            );
            if built > args.limit {
                let limit = args.limit;
                return Err(format!("{name} took {built:.0} s to build, expected {limit}").into());
            }
        }
    }
    Ok(())
}

/// Names and texts of the guides, in the order of their names.
fn guides() -> Outcome<Vec<(String, String)>> {
    let mut guides = Vec::new();
    for entry in fs::read_dir(root().join("docs/guides"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_some_and(|ending| ending == "md") && name != "README" {
            guides.push((name, fs::read_to_string(path)?));
        }
    }
    guides.sort();
    Ok(guides)
}

/// The projects of a guide: a block of TOML begins one, blocks of Rust are its examples.
fn projects(text: &str) -> Outcome<Vec<Project>> {
    let mut projects: Vec<Project> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let block = block.join("\n");
        match (language, projects.last_mut()) {
            ("toml", _) => {
                projects.push(Project { dependencies: block, ..Project::default() });
            }
            ("rust", Some(project)) => project.examples.push(block),
            ("rust", None) => return Err("an example above the first dependencies".into()),
            _ => {}
        }
    }
    if projects.is_empty() {
        return Err("no dependencies".into());
    }
    Ok(projects)
}

/// A program of an example: the body of a `main`, of one that may fail where a hidden line names the error. Other hidden
/// lines are code.
fn program(example: &str) -> String {
    let fails = example.lines().any(|line| line.starts_with("# Ok::<"));
    let seen = example.lines().filter(|line| !line.starts_with("# Ok::<"));
    let body: Vec<&str> = seen.map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
    let body = body.join("\n");
    match fails {
        _ if body.contains("fn main(") => body,
        true => {
            format!("fn main() -> Result<(), Box<dyn std::error::Error>> {{\n{body}\nOk(())\n}}\n")
        }
        false => format!("fn main() {{\n{body}\n}}\n"),
    }
}

/// The manifest of a project of the guide, whose dependency lies in `root`.
fn manifest(project: &Project, root: &Path) -> Outcome<String> {
    if !project.dependencies.contains(PLACEHOLDER) {
        return Err(format!("no dependency with {PLACEHOLDER}.. in its TOML").into());
    }
    let here = format!("path = \"{}/", root.display());
    let dependencies = project.dependencies.replace(PLACEHOLDER, &here);
    // A workspace of its own: the folder may lie within the repository.
    Ok(format!(
        "[package]\nname = \"guide\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n{dependencies}\n\n[workspace]\n"
    ))
}

/// Seconds of the build and of all examples.
fn follow(project: &Project, folder: &Path, root: &Path) -> Outcome<(f64, f64)> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder.join("src/bin"))?;
    fs::write(folder.join("Cargo.toml"), manifest(project, root)?)?;
    let names: Vec<String> =
        (1..=project.examples.len()).map(|at| format!("example_{at}")).collect();
    for (name, example) in names.iter().zip(&project.examples) {
        fs::write(folder.join("src/bin").join(format!("{name}.rs")), program(example))?;
    }
    run(Command::new(cargo()).current_dir(folder).args(["fetch", "--quiet"]))?;
    let target = folder.join("target");
    let start = Instant::now();
    let mut build = Command::new(cargo());
    run(build.current_dir(folder).args(["build", "--quiet", "--target-dir"]).arg(&target))?;
    let built = start.elapsed().as_secs_f64();
    let start = Instant::now();
    for name in &names {
        run(&mut Command::new(target.join("debug").join(name)))?;
    }
    let ran = start.elapsed().as_secs_f64();
    // Hundreds of megabytes that nobody uses again.
    fs::remove_dir_all(target)?;
    Ok((built, ran))
}

fn run(command: &mut Command) -> Outcome {
    let name = command.get_program().to_string_lossy().into_owned();
    let status =
        command.status().map_err(|error| format!("{name} could not be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} failed ({status})").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = "# A guide\n\n```toml\n[dependencies]\na = { path = \"nearlin/crates/a\" }\n```\n\n```text\nnot code\n```\n\n```rust\nlet x: u8 = \"1\".parse()?;\nassert_eq!(x, 1);\n# Ok::<(), E>(())\n```\n\n```rust\n# let y = 2;\nassert_eq!(y, 2);\n```\n\n```toml\n[dependencies]\nb = \"1\"\n```\n";

    #[test]
    fn code_belongs_to_the_dependencies_above_it() {
        let found = projects(GUIDE).unwrap();
        let examples: Vec<usize> = found.iter().map(|project| project.examples.len()).collect();
        assert_eq!(examples, [2, 0]);
        let manifest = manifest(&found[0], Path::new("/there")).unwrap();
        assert!(manifest.contains("a = { path = \"/there/crates/a\" }"), "{manifest}");
        assert!(super::manifest(&found[1], Path::new("/there")).is_err());
        assert!(projects("```rust\n1;\n```").is_err() && projects("# Nothing").is_err());
    }

    #[test]
    fn programs_are_what_a_reader_writes() {
        let found = projects(GUIDE).unwrap();
        let fails = program(&found[0].examples[0]);
        assert!(fails.starts_with("fn main() -> Result<(), Box<dyn std::error::Error>> {"));
        assert!(!fails.contains("E>") && fails.ends_with("Ok(())\n}\n"), "{fails}");
        assert_eq!(
            program(&found[0].examples[1]),
            "fn main() {\nlet y = 2;\nassert_eq!(y, 2);\n}\n"
        );
        let whole = "fn main() {\n    assert!(true);\n}";
        assert_eq!(program(whole), whole);
    }

    /// Every guide has something to follow, from the repository's own folder.
    #[test]
    fn guides_can_be_followed() {
        let guides = guides().unwrap();
        assert!(guides.len() >= 3);
        for (name, text) in guides {
            for project in projects(&text).unwrap() {
                assert!(!project.examples.is_empty(), "{name}");
                manifest(&project, &root()).unwrap();
            }
        }
    }
}
