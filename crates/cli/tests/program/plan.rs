//! `nearlin plan`.

use serde_json::Value;

use super::{Folder, SOLVERS, classes, smooth};

#[test]
fn every_solver_has_a_price() {
    let folder = Folder::with(smooth(60));
    let options = "--width 64 --model m.safetensors --plot p.svg --report r.json";
    let call = ["plan", "data.csv", "--target", "y"].into_iter().chain(options.split(' '));
    let ran = folder.run(call).succeeded();
    assert!(ran.stderr.starts_with("learning which inputs matter"), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    for solver in SOLVERS {
        let lines = ran.stdout.lines().filter(|line| line.starts_with(&format!("  {solver} ")));
        assert_eq!(lines.count(), 1, "{solver}: {}", ran.stdout);
    }
    let report = folder.json("r.json");
    let reason = report["plan"]["reason"].as_str().unwrap();
    // Three texts, two numbers and their scores make seven coordinates, the bias an eighth: 8 x 64 parameters.
    let shape = ["48 to train on", "8 inputs from 3 columns", "512 parameters"];
    for part in shape.into_iter().chain([reason, "iterations a step", "MiB"]) {
        assert!(ran.stdout.contains(part), "no `{part}` in: {}", ran.stdout);
    }
    // Only the report was written, and of it what is known before a run.
    let names: Vec<String> = folder.contents().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["data.csv", "r.json"]);
    for key in ["scale_search", "steps", "result"] {
        assert_eq!(report[key], Value::Null);
    }
    assert_eq!(report["model"]["scale"], Value::Null);
    assert_eq!(report["data"]["train_rows"], 48);
}

/// What is announced is what runs, and a plan predicts what a fit would.
#[test]
fn plan_and_fit_agree() {
    let folder = Folder::with(classes(60));
    for solver in SOLVERS.into_iter().chain(["auto"]) {
        let options = format!("--width 64 --solver {solver} --quiet --scale 100 --report");
        let call = |command| [command, "data.csv", "--target", "y"].into_iter();
        folder.run(call("plan").chain(options.split(' ')).chain(["plan.json"])).succeeded();
        folder.run(call("fit").chain(options.split(' ')).chain(["fit.json"])).succeeded();
        let (plan, fit) = (folder.json("plan.json"), folder.json("fit.json"));
        let chosen = plan["plan"]["solver"].as_str().unwrap();
        assert!(solver == "auto" || solver == chosen);
        assert_eq!(fit["plan"]["solver"], chosen);
        assert_eq!(fit["plan"]["reason"], plan["plan"]["reason"]);
        let price = |report: &Value, i: usize| {
            let candidate = &report["plan"]["candidates"][i];
            (candidate["solver"].clone(), candidate["predicted_seconds"].clone())
        };
        for i in 0..SOLVERS.len() {
            assert_eq!(price(&fit, i), price(&plan, i));
        }
        let steps = fit["steps"].as_array().unwrap();
        assert!(!steps.is_empty() && steps.iter().all(|step| step["solver"] == chosen));
    }
}

/// A budget rules solvers out, in words; one that nothing meets is refused by `fit`.
#[test]
fn memory_is_planned_for() {
    let folder = Folder::with(smooth(400));
    let call = |command: &str, memory: &str| {
        let options = format!("--ridge 0.1 --width 64 --memory {memory} --report r.json");
        folder.run([command, "data.csv", "--target", "y"].into_iter().chain(options.split(' ')))
    };
    call("plan", "64G").succeeded();
    let most = |report: &Value| {
        let bytes = report["plan"]["candidates"].as_array().unwrap().iter();
        bytes.map(|c| c["predicted_bytes"].as_f64().unwrap()).fold(0.0, f64::max)
    };
    assert!(most(&folder.json("r.json")) < 64.0 * f64::from(1 << 30));
    let ran = call("fit", "1K");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("`--memory` allows 1.0 KiB"), "{}", ran.stderr);
    for bad in ["0", "-1G", "2X", "G"] {
        let ran = call("plan", bad);
        assert_eq!(ran.code, Some(2), "{bad}: {}", ran.stderr);
        assert!(ran.stderr.contains("--memory") && ran.stderr.contains("512M"), "{}", ran.stderr);
    }
}

/// Rates that were measured are those of later plans, on this machine alone.
#[test]
fn a_machine_is_measured_once() {
    let folder = Folder::with(smooth(60));
    let plan = || {
        let options = "--ridge 0.1 --width 64";
        let call = ["plan", "data.csv", "--target", "y"].into_iter().chain(options.split(' '));
        folder.run(call).succeeded().stdout
    };
    assert!(plan().contains("`--calibrate` measures this one"), "{}", plan());
    let ran = folder.run(["plan", "--calibrate"]).succeeded();
    let path = folder.path(".cache/nearlin/rates.json");
    assert!(ran.stdout.contains(path.to_str().unwrap()), "{}", ran.stdout);
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for (rate, least) in [("arc_cosine", 1e5), ("parameter", 0.0)] {
        assert!(kept["rates"][rate].as_f64().unwrap() > least, "{rate}: {kept}");
    }
    let begin = &kept["rates"]["begin"];
    let [item, input] = ["item", "input"].map(|part| begin[part].as_f64().unwrap());
    assert!(item >= 0.0 && input >= 0.0 && item + input > 0.0, "{kept}");
    assert!(plan().contains("measured on this machine"), "{}", plan());

    let other = kept.to_string().replace("model", "other").replace('(', "[");
    // Of when the same numbers were rates of something else.
    let older = kept.to_string().replace(r#""meaning":2"#, r#""meaning":1"#);
    assert_ne!(older, kept.to_string());
    for text in ["{", &other, &older, &older.replace(r#""meaning":1,"#, "")] {
        std::fs::write(&path, text).unwrap();
        assert!(plan().contains("`--calibrate` measures this one"), "{text}");
    }
    let ran = folder.run(["plan", "--calibrate", "data.csv", "--target", "y"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}
