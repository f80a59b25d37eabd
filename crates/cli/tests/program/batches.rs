//! Training on batches of rows.

use std::f64::consts::PI;

use super::{Folder, noise};

/// Rows of two inputs and a `x2` that is a smooth function of them, an array.
fn array(rows: usize) -> Vec<u8> {
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, 3), }}");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    let mut bytes = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes()].concat();
    for i in 0..rows {
        let (a, b) = (noise(2 * i), noise(2 * i + 1));
        for number in [a, b, (PI * a).sin() + b * b] {
            bytes.extend(number.to_le_bytes());
        }
    }
    bytes
}

const OPTIONS: [&str; 10] = [
    "--batch",
    "500",
    "--width",
    "256",
    "--metric",
    "none",
    "--report",
    "r.json",
    "--model",
    "m.safetensors",
];

/// All rows are trained on though choices are made by a sample, and nothing is left behind but what was asked for.
#[test]
fn more_rows_than_the_sample() {
    let folder = Folder::new();
    folder.write("rows.npy", array(12_000));
    let call = ["fit", "rows.npy", "--target", "x2", "--passes", "3", "--ridge", "0.0001"];
    let ran = folder.run(call.into_iter().chain(OPTIONS)).succeeded();
    assert!(ran.stderr.contains("choices and errors by a sample of 10000 rows"), "{}", ran.stderr);
    assert!(ran.stderr.contains("pass 1 of at most 3"), "{}", ran.stderr);
    let report = folder.json("r.json");
    let data = &report["data"];
    assert_eq!((&data["rows"], &data["train_rows"]), (&12_000.into(), &10_000.into()));
    assert_eq!((&data["batches"]["rows"], &data["batches"]["passes"]), (&500.into(), &3.into()));
    assert_eq!(data["batches"]["sample_rows"], 10_000);
    assert!(report["result"]["floor"].is_null());
    // Twenty batches a pass, each with its certificate.
    let steps = report["steps"].as_array().unwrap();
    assert!(!steps.is_empty() && steps.len().is_multiple_of(20), "{}", steps.len());
    assert!(steps.iter().all(|step| step["eta_inner"].as_f64().unwrap() <= 0.01));
    let result = &report["result"];
    assert!(result["train_rel_residual"].as_f64().unwrap() < 0.03, "{result}");
    assert!(result["test_rmse"].as_f64().unwrap() < 0.03, "{result}");
    let mut names: Vec<String> = folder.contents().into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, ["m.safetensors", "r.json", "rows.npy"]);

    // Intervals come from test rows: nine of ten targets lie in theirs.
    folder.write("new.npy", array(1000));
    let ran = folder.run(["predict", "m.safetensors", "new.npy", "--interval", "0.9"]).succeeded();
    let rows: Vec<Vec<f64>> = (ran.stdout.lines().skip(1))
        .map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect())
        .collect();
    let bytes = array(1000);
    let inside = (rows.iter().enumerate()).filter(|(i, row)| {
        let at = bytes.len() - 8 * (3 * (1000 - i) - 2);
        let y = f64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let n = row.len();
        row[n - 2] <= y && y <= row[n - 1]
    });
    let inside = inside.count();
    assert!((850..950).contains(&inside), "{inside} {:?}", &rows[..3]);
}

/// Fewer rows are their own sample: what is chosen is what whole steps choose.
#[test]
fn few_rows_are_chosen_by_as_whole() {
    let folder = Folder::new();
    folder.write("rows.npy", array(2000));
    let call = ["fit", "rows.npy", "--target", "x2"];
    folder.run(call.into_iter().chain(OPTIONS)).succeeded();
    let batches = folder.json("r.json");
    folder.run(call.into_iter().chain(OPTIONS[2..].iter().copied())).succeeded();
    let whole = folder.json("r.json");
    assert_eq!(batches["model"]["ridge"], whole["model"]["ridge"]);
    assert_eq!(batches["data"]["train_rows"], whole["data"]["train_rows"]);
    assert!(whole["data"]["batches"].is_null());
    let [a, b] = [&batches, &whole].map(|report| report["result"]["test_rmse"].as_f64().unwrap());
    assert!(a < 1.2 * b, "{a} {b}");
}

#[test]
fn what_batches_do_not_go_with() {
    let folder = Folder::new();
    folder.write("rows.npy", array(50));
    for options in [
        &["--ensemble", "2"][..],
        &["--checkpoint", "c"],
        &["--loss", "huber:1"],
        &["--precision", "f32"],
        &["--max-steps", "3"],
    ] {
        let call = ["fit", "rows.npy", "--target", "x2", "--batch", "10"];
        let ran = folder.run(call.iter().chain(options));
        assert_eq!(ran.code, Some(2), "{options:?}");
        assert!(ran.stderr.contains(options[0]), "{}", ran.stderr);
    }
    let ran = folder.run(["fit", "rows.npy", "--target", "x2", "--passes", "3"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--batch"), "{}", ran.stderr);
    let ran = folder.run(["fit", "rows.npy", "--target", "x2", "--batch", "0"]);
    assert!(ran.stderr.contains("at least 1"), "{}", ran.stderr);
}
