//! Tables in every form that the program reads, each from the fit to predictions.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use nearlin_cli::table::{Options, Problem, Table, Truth};
use serde_json::Value;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::{Folder, Predicted, noise, smooth};

const FIT: &str = "--width 64 --ridge 0.01 --quiet --model m.safetensors";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Model and predictions are those of the same table with commas, to the byte.
#[test]
fn tabs_semicolons_and_standard_input() {
    let table = smooth(40);
    let folder = Folder::with(&table);
    let call = |data: &'static str, options: &'static str| {
        ["fit", data, "--target", "y"].into_iter().chain(options.split(' '))
    };
    let fitted = |run: &dyn Fn() -> super::Ran| {
        run().succeeded();
        folder.bytes("m.safetensors")
    };
    let model = fitted(&|| folder.run(call("data.csv", FIT)));
    let predicted = folder.run(["predict", "m.safetensors", "data.csv"]).succeeded().stdout;
    for divided in [table.clone(), table.replace(',', "\t"), table.replace(',', ";")] {
        for bytes in [divided.clone().into_bytes(), gzip(divided.as_bytes())] {
            folder.write("other", &bytes);
            assert!(fitted(&|| folder.run(call("other", FIT))) == model);
            assert!(fitted(&|| folder.pipe(call("-", FIT), &bytes)) == model);
            let predict = |data: &str| folder.pipe(["predict", "m.safetensors", data], &bytes);
            assert_eq!(predict("other").succeeded().stdout, predicted);
            assert_eq!(predict("-").succeeded().stdout, predicted);
        }
    }
    assert_eq!(Predicted::parse(&predicted).rows(), 40);
    let plan = folder.pipe(call("-", "--width 64 --ridge 0.01"), table.as_bytes()).succeeded();
    assert!(plan.stdout.contains("for the target y"), "{}", plan.stdout);
    assert!(plan.stderr.contains("standard input: 40 rows"), "{}", plan.stderr);
    let plan = folder.pipe(["plan", "-", "--target", "y", "--width", "64"], table.as_bytes());
    assert!(plan.succeeded().stdout.contains("standard input: 40 rows"));
}

#[test]
fn standard_input_that_is_no_table() {
    let folder = Folder::new();
    for (input, part) in [
        (&b""[..], "`standard input` is empty"),
        (b"a\ty\n1\t2\n3\n", "line 3 has 1 field, expected 2 as in the header; tabs divide"),
        (b"\x1f\x8b\x08", "`standard input`, which is truncated or corrupt gzip"),
    ] {
        let ran = folder.pipe(["fit", "-", "--target", "y"], input);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
}

/// Missing inputs are trained and predicted on, missing targets left out; the report's test error
/// is that of the predictions.
#[test]
fn missing_values() {
    let mut table = String::from("a,b,c,void,y\n");
    for i in 0..60 {
        let (a, b) = (noise(2 * i), noise(2 * i + 1));
        let y = if i % 11 == 4 { "?".into() } else { format!("{}", (3.0 * a).sin() + b) };
        let a = if i % 5 == 1 { "NA".into() } else { a.to_string() };
        let c = ["u", "v", ""][i % 3];
        table += &format!("{a},{b},{c},,{y}\n");
    }
    let folder = Folder::with(&table);
    let ran = folder.fit(&FIT.replace("--quiet", "--report r.json")).succeeded();
    for part in [
        "target `y`, line 6: no value",
        "such rows, here 6, are left out",
        "column `void` has no value on any training row: dropped",
    ] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    let report = folder.json("r.json");
    // `a`, its score and where it is missing, `b` and its score, three texts, the bias.
    assert_eq!((&report["data"]["rows"], &report["data"]["inputs"]), (&54.into(), &9.into()));
    let ran = folder.run(["predict", "m.safetensors", "data.csv"]).succeeded();
    assert_eq!(ran.stderr, "");
    let predicted = Predicted::parse(&ran.stdout);
    assert_eq!(predicted.rows(), 60);
    assert_test_error(&folder, &predicted, &report);

    folder.write("new.csv", "a,b,c\n0.5,,u\n,0.5,w\n");
    let ran = folder.run(["predict", "m.safetensors", "new.csv"]).succeeded();
    for part in ["column `b`, line 2: no value, and all training rows had one", "`w` is not"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    assert_eq!(ran.stderr.matches("warning").count(), 2, "{}", ran.stderr);
}

/// The report's error on test rows is that of the predictions for `data.csv`. Predictions and
/// targets are a few units at most, and forward passes of this width agree to far below 1e-9.
#[track_caller]
fn assert_test_error(folder: &Folder, predicted: &Predicted, report: &Value) {
    let table = Table::read(&folder.path("data.csv")).unwrap();
    let options = Options { target: "y".into(), ..Options::default() };
    let test = Problem::prepare(&table, &options).unwrap().test;
    let Truth::Numbers(truth) = &test.truth else { panic!("numbers") };
    let squares =
        test.rows.iter().zip(truth).map(|(&row, y)| (predicted.scores[row][0] - y).powi(2));
    let rmse = (squares.sum::<f64>() / truth.len() as f64).sqrt();
    assert!((rmse - report["result"]["test_rmse"].as_f64().unwrap()).abs() < 1e-9);
}

/// Arrays train the model that the same numbers as text do.
#[test]
fn arrays() {
    let numbers: Vec<f64> = (0..120).map(noise).collect();
    let y: Vec<f64> = numbers.chunks(2).map(|x| (3.0 * x[0]).sin() + x[1]).collect();
    let folder = Folder::new();
    folder.write("data.npz", zip(&[("X.npy", npy(&[60, 2], &numbers)), ("y.npy", npy(&[60], &y))]));
    folder.write("new.npz", zip(&[("X.npy", npy(&[60, 2], &numbers))]));
    folder.write("X.npy", npy(&[60, 2], &numbers));
    let text = numbers.chunks(2).zip(&y).fold(String::from("X0,X1,y\n"), |text, (x, y)| {
        text + &format!("{:?},{:?},{y:?}\n", x[0], x[1])
    });
    folder.write("data.csv", text);
    let fit = |data: &str| {
        folder.run(["fit", data, "--target", "y"].into_iter().chain(FIT.split(' '))).succeeded();
        folder.bytes("m.safetensors")
    };
    assert!(fit("data.csv") == fit("data.npz"));
    let predict = |data: &str| folder.run(["predict", "m.safetensors", data]);
    let predicted = predict("data.csv").succeeded().stdout;
    assert_eq!(predict("data.npz").succeeded().stdout, predicted);
    assert_eq!(predict("new.npz").succeeded().stdout, predicted);
    let piped = folder.pipe(["predict", "m.safetensors", "-"], &folder.bytes("new.npz"));
    assert_eq!(piped.succeeded().stdout, predicted);
    let ran = predict("X.npy");
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("lacks columns that the model needs: `X0`, `X1`"),
        "{}",
        ran.stderr
    );
    // A target without a name.
    let call = ["fit", "X.npy", "--target", "x1"].into_iter().chain(FIT.split(' '));
    folder.run(call).succeeded();
    assert_eq!(Predicted::parse(&predict("X.npy").succeeded().stdout).rows(), 60);
}

fn npy(shape: &[usize], numbers: &[f64]) -> Vec<u8> {
    let shape: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    let data: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &data].concat()
}

fn zip(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A year and a half of dates with a season and a trend, some of them missing.
#[test]
fn dates() {
    let mut table = String::from("day,y\n");
    for i in 0..140 {
        let (month, day) = (i % 18, 1 + i * 7 % 28);
        let season = f64::from(month % 12) / 12.0 * std::f64::consts::TAU;
        let date = format!("{}-{:02}-{day:02}", 2023 + month / 12, month % 12 + 1);
        let date = if i % 20 == 3 { "" } else { &date };
        table += &format!("{date},{}\n", season.sin() + 0.01 * f64::from(i));
    }
    let folder = Folder::with(&table);
    folder.fit(&format!("{FIT} --report r.json")).succeeded();
    let report = folder.json("r.json");
    // The day, week and year by sine and cosine, where it is missing, the bias.
    assert_eq!(report["data"]["inputs"], 7);
    let ran = folder.run(["predict", "m.safetensors", "data.csv"]).succeeded();
    assert_eq!(ran.stderr, "");
    assert_test_error(&folder, &Predicted::parse(&ran.stdout), &report);
    folder.write("new.csv", "day\nyesterday\n");
    let ran = folder.run(["predict", "m.safetensors", "new.csv"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("line 2, column `day`: `yesterday` is not a date"),
        "{}",
        ran.stderr
    );
}

/// A column of 150 categories becomes one coordinate that new rows share with training rows, and a
/// column with another text in each row is dropped.
#[test]
fn many_levels() {
    let table = (0..900).fold(String::from("id,city,n,y\n"), |table, i| {
        let city = (noise(i) * 150.0) as usize;
        let y = noise(1000 + city) + 0.1 * noise(5000 + i);
        table + &format!("id{i},city {city},{},{y}\n", noise(9000 + i))
    });
    let folder = Folder::with(&table);
    let ran = folder.fit(&FIT.replace("--quiet", "--report r.json")).succeeded();
    for part in [
        "column `id` has 720 categories in 720 training rows, too few rows each",
        "categories in 720 training rows: each is coded by the mean target",
    ] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    let report = folder.json("r.json");
    assert_eq!(report["data"]["inputs"], 4);
    // The cities explain all but a hundredth of the variance; about six rows tell each of them.
    assert!(report["result"]["test_r2"].as_f64().unwrap() > 0.7, "{}", report["result"]);
    let predicted = folder.run(["predict", "m.safetensors", "data.csv"]).succeeded();
    assert_test_error(&folder, &Predicted::parse(&predicted.stdout), &report);
    folder.write("new.csv", "city,n\ncity 3,0.5\nnowhere,0.5\n,0.5\n");
    let ran = folder.run(["predict", "m.safetensors", "new.csv"]).succeeded();
    assert_eq!(ran.stderr.matches("warning").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("line 3: `nowhere` is not among"), "{}", ran.stderr);
    let new = Predicted::parse(&ran.stdout);
    assert!(new.scores[1] == new.scores[2] && new.scores[0] != new.scores[1]);
}
