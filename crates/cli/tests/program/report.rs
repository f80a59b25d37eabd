//! The report: its keys, their order, and what must hold among the figures.

use serde_json::Value;

use super::{Folder, classes, smooth};

const DATA: &str =
    "data path rows train_rows test_rows features inputs outputs task merged_rows batches";
const MODEL: &str = "parameters scale first_eta seed ridge loss";
const RIDGE: &str = "ridge error effective_parameters";
const PLAN: &str = "plan solver reason candidates";
const CANDIDATE: &str = "solver predicted_seconds predicted_bytes";
const TRIAL: &str = "scale eta_lin worst_contraction accepted";
const STEP: &str = "step solver rel_residual eta_inner eta_lin contraction flipped inner_iterations condition rank left \
     step_length damping seconds phases masks build solve update";
const RESULT: &str = "result ending floor train_rel_residual train_rmse test_rmse test_r2 \
     test_accuracy seconds training_seconds peak_bytes";
const SURENESS: &str = "sureness test_log_loss left_out_rmse left_out_r2 left_out_accuracy \
     left_out_log_loss half_width_90 widths confusion";

/// The keys that may be null, as paths without indices.
const NULLABLE: [&str; 23] = [
    "data.batches",
    "model.width_choice",
    "model.first_eta",
    "ensemble",
    "metric",
    "metric.rounds.wrong",
    "metric.network",
    "ridge_path",
    "scale_search.worst_contraction",
    "steps.rank",
    "steps.left",
    "result.test_rmse",
    "result.test_r2",
    "result.test_accuracy",
    "result.peak_bytes",
    "sureness.test_log_loss",
    "sureness.left_out_rmse",
    "sureness.left_out_r2",
    "sureness.left_out_accuracy",
    "sureness.left_out_log_loss",
    "sureness.half_width_90",
    "sureness.widths",
    "sureness.confusion",
];

/// Checks everything that holds for every report of a fit.
#[track_caller]
pub(crate) fn check(folder: &Folder, name: &str) -> Value {
    let report = folder.json(name);
    let count = |key: &str| report[key].as_array().unwrap().len();
    let text = String::from_utf8(folder.bytes(name)).unwrap();
    let repeated = |what: &str, times: usize| vec![what; times].join(" ");
    let metric = &report["metric"];
    let length = |key: &str| metric[key].as_array().map_or(0, Vec::len);
    let ridges = report["ridge_path"]["points"].as_array().map_or(0, Vec::len);
    let expected = [
        DATA,
        "model width width_choice",
        if report["model"]["width_choice"].is_null() {
            ""
        } else {
            "tried error limit excess rows"
        },
        MODEL,
        "metric",
        if metric.is_null() { "" } else { "form bias rows rounds" },
        &repeated("form round ridge error wrong", length("rounds")),
        if metric.is_null() { "" } else { "network" },
        if metric["network"].is_null() { "" } else { "form rows judged errors kept" },
        if metric.is_null() { "" } else { "importances" },
        &repeated("column part", length("importances")),
        "ridge_path",
        if ridges > 0 { "criterion rows points" } else { "" },
        &repeated(RIDGE, ridges),
        PLAN,
        &repeated(CANDIDATE, report["plan"]["candidates"].as_array().unwrap().len()),
        "ensemble",
        "scale_search",
        &repeated(TRIAL, count("scale_search")),
        "steps",
        &repeated(STEP, count("steps")),
        RESULT,
        SURENESS,
        if report["sureness"]["confusion"].is_null() { "" } else { "rows classes counts" },
    ]
    .join(" ");
    assert_eq!(keys(&text).join(" "), expected.split_whitespace().collect::<Vec<_>>().join(" "));
    assert!(text.ends_with("}\n"));
    check_nulls(&report, "");
    check_figures(&report);
    report
}

/// All keys in the order of the text; no text in a report looks like one.
fn keys(text: &str) -> Vec<String> {
    let key = |line: &str| {
        let (key, _) = line.trim_start().strip_prefix('"')?.split_once("\":")?;
        Some(key.to_owned())
    };
    text.lines().filter_map(key).collect()
}

#[track_caller]
fn check_nulls(value: &Value, path: &str) {
    match value {
        Value::Null => assert!(NULLABLE.contains(&path), "{path} is null"),
        Value::Number(number) => assert!(number.as_f64().unwrap().is_finite(), "{path}"),
        Value::Array(items) => items.iter().for_each(|item| check_nulls(item, path)),
        Value::Object(entries) => {
            for (key, item) in entries {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                check_nulls(item, &below);
            }
        }
        _ => {}
    }
}

#[track_caller]
fn check_figures(report: &Value) {
    let (data, model, result) = (&report["data"], &report["model"], &report["result"]);
    let whole = |value: &Value| value.as_u64().unwrap();
    let real = |value: &Value| value.as_f64().unwrap();
    assert_eq!(whole(&model["parameters"]), whole(&model["width"]) * whole(&data["inputs"]));
    assert!(whole(&data["train_rows"]) + whole(&data["test_rows"]) <= whole(&data["rows"]));
    assert!(whole(&data["merged_rows"]) < whole(&data["train_rows"]));
    let endings = ["converged", "floor", "max-steps", "stagnated", "stopped", "breakdown"];
    let ending = result["ending"].as_str().unwrap();
    assert!(endings.contains(&ending), "{ending}");
    let regression = data["task"] == "regression";
    let tested = whole(&data["test_rows"]) > 0;
    let sure = &report["sureness"];
    // A ridge may be lost in rounding.
    let ridge = real(&model["ridge"]) > 0.0 && !sure["left_out_rmse"].is_null();
    assert!(ridge || real(&model["ridge"]) <= 1e-12);
    for (key, there) in [
        ("left_out_rmse", ridge),
        ("left_out_accuracy", ridge && !regression),
        ("left_out_log_loss", ridge && !regression),
        ("half_width_90", ridge && regression),
    ] {
        assert_eq!(sure[key].is_number(), there, "{key}");
    }
    let widths = sure["widths"].as_str();
    assert_eq!(widths.is_some_and(|w| ["equal", "local"].contains(&w)), ridge && regression);
    assert!(sure["test_log_loss"].is_null() || ridge && tested && !regression);
    if regression {
        assert!(sure["confusion"].is_null());
    } else if tested || ridge {
        let counts = sure["confusion"]["counts"].as_array().unwrap();
        let all = counts.iter().flat_map(|row| row.as_array().unwrap()).map(whole).sum::<u64>();
        assert!(all <= whole(&data[if tested { "test_rows" } else { "train_rows" }]));
    }
    assert_eq!(result["test_rmse"].is_number(), tested);
    assert_eq!(result["test_accuracy"].is_number(), tested && !regression);
    assert!(result["test_r2"].is_null() || tested && regression);
    assert!((0.0..=1.0).contains(&real(&result["floor"])));
    assert!(!cfg!(target_os = "linux") || whole(&result["peak_bytes"]) > 0);

    let candidates = report["plan"]["candidates"].as_array().unwrap();
    assert!(candidates.iter().any(|candidate| candidate["solver"] == report["plan"]["solver"]));
    let trials = report["scale_search"].as_array().unwrap();
    for (i, trial) in trials.iter().enumerate() {
        assert_eq!(trial["accepted"], i + 1 == trials.len());
    }
    if let Some(accepted) = trials.last() {
        assert_eq!(accepted["scale"], model["scale"]);
    }
    let steps = report["steps"].as_array().unwrap();
    let mut total = 0.0;
    for (i, step) in steps.iter().enumerate() {
        assert_eq!(whole(&step["step"]), i as u64 + 1);
        assert!((0.0..=1.0).contains(&real(&step["flipped"])));
        let phases = step["phases"].as_object().unwrap();
        let parts: f64 = phases.values().map(real).sum();
        assert!(phases.values().all(|part| real(part) >= 0.0));
        // Durations are whole nanoseconds, so only their sums have roundings.
        assert!(parts <= real(&step["seconds"]) + 1e-9, "{step}");
        total += real(&step["seconds"]);
    }
    assert!(total <= real(&result["seconds"]));
    if let Some(last) = steps.last() {
        assert_eq!(last["rel_residual"], result["train_rel_residual"]);
    }
}

#[test]
fn keys_are_complete_and_stable() {
    let folder = Folder::with(smooth(40));
    folder.fit("--width 32 --ridge 0.02 --quiet --report r.json").succeeded();
    let report = check(&folder, "r.json");
    assert_eq!(report["data"]["path"], "data.csv");
    assert_eq!(report["data"]["rows"], 40);
    assert_eq!(report["data"]["features"], 3);
    assert_eq!(report["data"]["inputs"], 8);
    assert_eq!(report["data"]["outputs"], 1);
    assert_eq!(report["model"]["width"], 32);
    assert_eq!(report["model"]["ridge"], 0.02);
    assert!(!report["scale_search"].as_array().unwrap().is_empty());

    let folder = Folder::with(classes(40));
    let options = "--width 32 --seed 18446744073709551615 --scale 2 --ridge 0";
    folder.fit(&format!("{options} --quiet --report r.json")).succeeded();
    let report = check(&folder, "r.json");
    assert_eq!(report["data"]["outputs"], 3);
    assert_eq!(report["model"]["seed"], u64::MAX);
    assert_eq!(report["model"]["scale"], 2.0);
    // A fixed scale is not searched for.
    assert_eq!(report["scale_search"], Value::Array(vec![]));
    assert!(report["result"]["test_accuracy"].is_number());
}

/// A metric that is learned is one of those that were tried, told in the report and the summary with the columns
/// that matter; with a ridge that is given none is, unless it is asked for.
#[test]
fn a_metric_is_learned() {
    // Of three columns the first alone matters.
    let mut table = String::from("a,b,c,y\n");
    for i in 0..120 {
        let number = |step: f64| (f64::from(i) * step).sin();
        let a = number(12.9898);
        table += &format!("{a},{},{},{}\n", number(78.233), number(37.719), (3.0 * a).sin());
    }
    let folder = Folder::with(table);
    let ran = folder.fit("--width 256 --report r.json --importance-plot i.svg").succeeded();
    let svg = String::from_utf8(folder.bytes("i.svg")).unwrap();
    assert!(svg.contains("percent of the squared gradient"), "{svg}");
    let refused = folder.fit("--ridge 0.1 --importance-plot j.svg");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("--metric"), "{}", refused.stderr);
    assert!(ran.stdout.contains("learned from 96 equations"), "{}", ran.stdout);
    assert!(ran.stdout.contains("squared gradient by column: a "), "{}", ran.stdout);
    let metric = check(&folder, "r.json")["metric"].clone();
    let rounds = metric["rounds"].as_array().unwrap();
    let error = |round: &Value| round["error"].as_f64().unwrap();
    let least = rounds.iter().map(error).fold(f64::INFINITY, f64::min);
    assert!(rounds.iter().any(|r| r["form"] == metric["form"] && error(r) <= 1.02 * least));
    assert!(error(&rounds[0]) > 2.0 * least, "{metric}");
    assert_eq!((&rounds[0]["form"], &rounds[0]["round"]), (&"plain".into(), &0.into()));
    let parts = metric["importances"].as_array().unwrap();
    assert_eq!((parts.len(), &parts[0]["column"]), (3, &"a".into()));
    let sum: f64 = parts.iter().map(|part| part["part"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-12);

    for (options, form) in [
        ("--ridge 0.1", None),
        ("--ridge 0.1 --metric full", Some("full")),
        ("--metric none", None),
    ] {
        folder.fit(&format!("--width 64 {options} --quiet --report r.json")).succeeded();
        assert_eq!(check(&folder, "r.json")["metric"]["form"].as_str(), form, "{options}");
    }
}

/// What the first step may miss of the linear model is a tenth of that model's error where nothing else is asked for.
#[test]
fn the_first_step_misses_less_than_the_model() {
    let folder = Folder::with(smooth(90));
    let first_eta = |options: &str| {
        folder.fit(&format!("--width 128 {options} --quiet --report r.json")).succeeded();
        let report = folder.json("r.json");
        let mut points = report["ridge_path"]["points"].as_array().into_iter().flatten();
        let chosen = points.find(|point| point["ridge"] == report["model"]["ridge"]);
        let error = chosen.map(|point| point["error"].as_f64().unwrap());
        (report["model"]["first_eta"].as_f64(), error)
    };
    let (automatic, error) = first_eta("");
    let error = error.unwrap();
    assert!(error < 0.2, "{error}");
    assert!((automatic.unwrap() - (0.1 * error).max(1e-3)).abs() < 1e-12, "{automatic:?} {error}");
    let others =
        [("--tol 1e-6", 0.25), ("--ridge 0.1", 0.25), ("--loss huber:1 --max-steps 2", 0.02)];
    for (options, expected) in others {
        assert_eq!(first_eta(options).0, Some(expected), "{options}");
    }
    assert_eq!(first_eta("--scale 64").0, None);
    assert_eq!(first_eta("--batch 40").0, None);
}

/// A ridge that is chosen is the best of the path, which is in the report, in the summary and in a
/// picture; a ridge that is given can be looked at beside others.
#[test]
fn a_ridge_is_chosen() {
    let folder = Folder::with(smooth(60));
    let ran = folder.fit("--width 64 --report r.json --ridge-plot r.svg").succeeded();
    assert!(ran.stdout.contains("leave-one-out"), "{}", ran.stdout);
    assert!(ran.stdout.contains("r.svg"), "{}", ran.stdout);
    let report = check(&folder, "r.json");
    let (path, ridge) = (&report["ridge_path"], report["model"]["ridge"].as_f64().unwrap());
    assert_eq!(path["criterion"], "leave-one-out");
    let points = path["points"].as_array().unwrap();
    let of =
        |key: &str| points.iter().map(|point| point[key].as_f64().unwrap()).collect::<Vec<_>>();
    let (ridges, errors, parameters) = (of("ridge"), of("error"), of("effective_parameters"));
    assert!(ridges.is_sorted() && parameters.iter().rev().is_sorted());
    let least = errors.iter().copied().fold(f64::INFINITY, f64::min);
    let chosen = ridges.iter().position(|&r| r == ridge).expect("a ridge of the path");
    assert!(errors[chosen] <= 1.001 * least, "{ridge}: {} > {least}", errors[chosen]);
    let svg = String::from_utf8(folder.bytes("r.svg")).unwrap();
    assert!(svg.contains("leave-one-out error") && svg.contains("of this run"), "{svg}");

    // The metric of an automatic ridge, or the path were another.
    let given = "--width 64 --ridge 0.1 --metric auto --quiet --report g.json --ridge-plot g.png";
    folder.fit(given).succeeded();
    let given = check(&folder, "g.json");
    assert_eq!((&given["model"]["ridge"], &given["ridge_path"]), (&Value::from(0.1), path));
    assert!(folder.bytes("g.png").starts_with(b"\x89PNG"));

    folder
        .run(["plan", "data.csv", "--target", "y", "--width", "64", "--ridge", "auto"])
        .succeeded();

    // So few rows are all judged by anyway.
    folder.fit("--width 64 --ridge-rows all --quiet --report a.json").succeeded();
    assert_eq!(&check(&folder, "a.json")["ridge_path"], path);
    for (options, part) in [
        ("--ridge 0.1 --ridge-rows all", "leave one of both out"),
        ("--loss huber:1 --ridge-rows all", "`--ridge-rows`"),
    ] {
        let refused = folder.fit(options);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
}

/// Wide enough and without a ridge, a run must end where it was asked to, and say so.
#[test]
fn a_run_that_can_converge_does() {
    let folder = Folder::with(smooth(60));
    folder.fit("--width 512 --ridge 0 --tol 1e-6 --quiet --report r.json").succeeded();
    let report = check(&folder, "r.json");
    assert_eq!(report["result"]["ending"], "converged");
    assert!(report["result"]["train_rel_residual"].as_f64().unwrap() <= 1e-6);
    // Every kept step is certified: the contraction is at most what the two terms allow.
    for step in report["steps"].as_array().unwrap() {
        let figure = |key: &str| step[key].as_f64().unwrap();
        // The triangle inequality for vectors of 48 entries at most twice the residual: a few
        // roundings an entry, and 48 in each of the three norms.
        let rounding = 4.0 * (48.0 + 8.0) * f64::EPSILON;
        let certified = figure("eta_inner") + figure("eta_lin");
        assert!(figure("contraction") <= certified + rounding, "{step}");
    }
}

/// Rows that contradict each other leave the known floor, and the ending names it.
#[test]
fn a_floor_is_an_ending() {
    let table = smooth(40) + "0.5,0.5,c1,1\n0.5,0.5,c1,2\n";
    let folder = Folder::with(table);
    folder.fit("--width 512 --ridge 0 --test-fraction 0 --quiet --report r.json").succeeded();
    let report = check(&folder, "r.json");
    assert_eq!(report["result"]["ending"], "floor");
    assert_eq!(report["data"]["merged_rows"], 1);
    // Each of the two rows is 1/2 off their mean.
    let table = String::from_utf8(folder.bytes("data.csv")).unwrap();
    let y: Vec<f64> =
        table.lines().skip(1).map(|l| l.rsplit(',').next().unwrap().parse().unwrap()).collect();
    let mean = y.iter().sum::<f64>() / y.len() as f64;
    let norm = y.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>().sqrt();
    let (floor, expected) = (report["result"]["floor"].as_f64().unwrap(), 0.5_f64.sqrt() / norm);
    // Sums over 42 rows.
    assert!((floor - expected).abs() <= 200.0 * f64::EPSILON * expected, "{floor} {expected}");
    // With nothing left but the floor, the RMSE is the floor's: sqrt(1/2) over all rows.
    let rmse = report["result"]["train_rmse"].as_f64().unwrap();
    let least = (0.5 / y.len() as f64).sqrt();
    // What the tolerance of 1e-8 leaves is orthogonal to the floor: sqrt(1 + (1e-8 / floor)^2).
    assert!(
        rmse >= least * (1.0 - 1e-12) && rmse <= least * (1.0 + 1e-12 + (1e-8 / floor).powi(2))
    );
}
