//! What is printed, and what is written when something goes wrong at the end.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use super::{Folder, Ran, classes, nearlin, smooth};

#[test]
fn quiet_is_quiet() {
    let folder = Folder::with(smooth(40) + "0.5,0.5,c9,1\n0.5,0.5,c9,2\n");
    let options = "--width 32 --quiet --model m.safetensors --report r.json --plot p.png";
    let ran = folder.fit(options).succeeded();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    assert_eq!(folder.contents().len(), 4);
    // Errors are said all the same.
    assert!(folder.fit("--quiet --width 3").stderr.contains("--width"));
}

/// Into a pipe: what will be done and a line for each step on stderr, a summary on stdout, and no
/// colour codes or carriage returns anywhere.
#[test]
fn plain_lines_without_a_terminal() {
    let folder = Folder::with(smooth(40));
    let ran =
        folder.fit("--width 64 --ridge 0 --report r.json --plot p.svg --threads 1").succeeded();
    for part in ["data.csv: 40 rows, 32 to train on, 8 to test on", "width 64", "32 equations"] {
        assert!(ran.stderr.contains(part), "no `{part}` in: {}", ran.stderr);
    }
    let report = folder.json("r.json");
    let steps = report["steps"].as_array().unwrap();
    let last = format!("step {}: residual ", steps.len());
    assert!(!steps.is_empty() && ran.stderr.contains(&last), "{}", ran.stderr);
    let ending = report["result"]["ending"].as_str().unwrap();
    let solver = report["plan"]["solver"].as_str().unwrap();
    for part in [
        "eta_inner",
        "eta_lin",
        "contraction",
        "flipped",
        "inner",
        "seconds",
        "scale",
        "RMSE",
        "r.json",
        "p.svg",
        "floor",
        ending,
        solver,
    ] {
        assert!(ran.stdout.contains(part), "no `{part}` in: {}", ran.stdout);
    }
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains(['\x1b', '\r']), "{text:?}");
    }
    let svg = String::from_utf8(folder.bytes("p.svg")).unwrap();
    assert!(svg.contains("<svg") && svg.contains("relative residual"), "{svg}");
}

/// The lines of contradictory rows are named, the worst group first, and the warnings said.
#[test]
fn the_summary_names_what_is_wrong_with_the_data() {
    let mut table = String::from("a,k,y\n");
    for i in 0..12 {
        table += &format!("{i},1,{i}\n");
    }
    // Lines 14 and 15 contradict line 2 by a little; line 16 contradicts line 13 by a lot.
    table += "0,1,0.5\n0,1,0\n11,1,99\n";
    let folder = Folder::with(table);
    let ran = folder.fit("--width 64 --test-fraction 0").succeeded();
    let at = |part: &str| ran.stdout.find(part).unwrap_or_else(|| panic!("{part}: {}", ran.stdout));
    assert!(at("5 rows in 2 groups") < at("lines 13, 16"), "{}", ran.stdout);
    assert!(at("lines 13, 16") < at("lines 2, 14, 15"), "{}", ran.stdout);
    at("column `k` is `1` on all training rows");
    assert!(ran.stderr.contains("column `k` is `1`"), "{}", ran.stderr);
}

/// Seven groups: five are named, two counted.
#[test]
fn many_contradictions_are_counted() {
    let pairs =
        (0..7).fold(String::from("a,y\n"), |table, i| table + &format!("{i},0\n{i},{i}9\n"));
    let ran = Folder::with(pairs).fit("--width 16 --test-fraction 0").succeeded();
    assert!(ran.stdout.contains("14 rows in 7 groups"), "{}", ran.stdout);
    assert_eq!(ran.stdout.matches(" lines ").count(), 5, "{}", ran.stdout);
    assert!(ran.stdout.contains("and 2 groups more"), "{}", ran.stdout);
}

/// Many constant columns make one warning.
#[test]
fn constant_columns_are_told_together() {
    let header: String = (0..20).map(|i| format!("k{i},")).collect();
    let zeros = "0,".repeat(20);
    let table = format!("{header}a,y\n{zeros}1,1\n{zeros}2,5\n{zeros}4,2\n");
    let ran = Folder::with(table).fit("--width 16").succeeded();
    assert_eq!(ran.stderr.matches("warning").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("20 columns") && ran.stderr.contains("k0, k1"), "{}", ran.stderr);
}

/// A reader that goes away is no failure.
#[test]
fn closed_pipes_do_not_matter() {
    let folder = Folder::with(classes(2000));
    let close = |args: &[&str]| {
        let mut command = nearlin(folder.0.path());
        let mut child =
            command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert!(!ran.stderr.contains("panicked"), "{args:?}: {}", ran.stderr);
        ran.code
    };
    let fit = ["fit", "data.csv", "--target", "y", "--width", "16", "--rows", "50"];
    assert_eq!(close(&[&fit[..], &["--model", "m.safetensors"]].concat()), Some(0));
    assert_eq!(close(&["predict", "m.safetensors", "data.csv"]), Some(0));
    assert_eq!(close(&["plan", "data.csv", "--target", "y"]), Some(0));
    assert_eq!(close(&["fit", "--help"]), Some(0));
}

/// A full disk at the end: exit code 1, and the other outputs are written all the same.
#[test]
#[cfg(target_os = "linux")]
fn failed_writes() {
    let folder = Folder::with(smooth(30));
    let ran = folder.fit("--width 16 --model /dev/full --report r.json --plot p.svg");
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("/dev/full") && ran.stderr.contains("1 of 3"), "{}", ran.stderr);
    assert!(folder.json("r.json")["result"].is_object());
    assert!(folder.path("p.svg").is_file());

    let ran = folder.fit("--width 16 --model m.safetensors --report /dev/full");
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let ran = folder.run(["predict", "m.safetensors", "data.csv", "-o", "/dev/full"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = nearlin(folder.0.path());
    let output = command.args(["predict", "m.safetensors", "data.csv"]).stdout(full).output();
    let ran = Ran::from(output.unwrap());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("standard output"), "{}", ran.stderr);
}

/// A file that the shell has opened is written to its end, not replaced.
#[test]
#[cfg(target_os = "linux")]
fn standard_output_by_name_is_appended_to() {
    let folder = Folder::with(smooth(30));
    folder.fit("--width 16 --model m.safetensors").succeeded();
    let whole = folder.run(["predict", "m.safetensors", "data.csv"]).succeeded().stdout;
    folder.write("all.csv", "before\n");
    for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        folder.write("all.csv", "before\n");
        let all = std::fs::OpenOptions::new().append(true).open(folder.path("all.csv")).unwrap();
        let mut command = nearlin(folder.0.path());
        command.args(["predict", "m.safetensors", "data.csv", "-o", name]).stdout(all);
        assert!(command.status().unwrap().success());
        let text = String::from_utf8(folder.bytes("all.csv")).unwrap();
        assert_eq!(text, format!("before\n{whole}"), "{name}");
    }
}

/// What is printed comes after what was written there by name, and overwrites nothing.
#[test]
#[cfg(unix)]
fn outputs_and_summary_share_standard_output() {
    let folder = Folder::with(smooth(30));
    std::os::unix::fs::symlink("/dev/stdout", folder.path("link")).unwrap();
    for name in ["/dev/stdout", "/dev/fd/1", "link"] {
        let mut all = std::fs::File::create(folder.path("all")).unwrap();
        all.write_all(b"before\n").unwrap();
        let mut command = nearlin(folder.0.path());
        command.args(["fit", "data.csv", "--target", "y", "--width", "16", "--report", name]);
        assert!(command.stdout(all).status().unwrap().success());
        let text = String::from_utf8(folder.bytes("all")).unwrap();
        let report = text.strip_prefix("before\n").unwrap_or_else(|| panic!("{text}"));
        let mut values = serde_json::Deserializer::from_str(report).into_iter::<Value>();
        assert!(values.next().unwrap().unwrap()["result"].is_object(), "{text}");
        let summary = &report[values.byte_offset()..];
        assert!(summary.contains("RMSE") && summary.contains(name), "{name}: {summary}");
    }
    let link = std::fs::symlink_metadata(folder.path("link")).unwrap();
    assert!(link.is_symlink());
}

/// Nor is a reader that goes away before an output that it would have read.
#[test]
#[cfg(unix)]
fn closed_pipes_by_name_do_not_matter() {
    let folder = Folder::with(smooth(30));
    let fit = ["fit", "data.csv", "--target", "y", "--width", "16", "--quiet"];
    let mut child = nearlin(folder.0.path())
        .args(fit)
        .args(["--model", "/dev/stdout", "--report", "/dev/stderr"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Nothing is left to any width where the training rows have one target.
#[test]
fn no_percentage_of_nothing() {
    let ran = Folder::with("y\n1\n2\n").fit("").succeeded();
    assert!(!(ran.stdout + &ran.stderr).contains("NaN"));
}
