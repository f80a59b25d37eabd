//! From a model back to predictions.

#![allow(clippy::float_cmp, reason = "equality is meant where it is asserted")]

use nearlin::{Precision, Regressor};
use nearlin_cli::model::Model;
use nearlin_cli::table::{Holdout, Options, Problem, Table, Truth};

use super::{Folder, Predicted, classes, noise, smooth};

/// By how much two forward passes may differ in an output: the network's documented accuracy
/// `(d + m) eps m^(-1/2) sum over r of |u_r| |x|` with `|x| = 1` for each, where by Cauchy the sum
/// is at most `m^(1/2) |U|`. A merged row's input is `sqrt(count) x`, divided by `sqrt(count)`
/// afterwards: two roundings more, of an output that is at most `|U|`.
fn pass_error(model: &Model) -> f64 {
    let norm = model.u.iter().map(|u| u * u).sum::<f64>().sqrt();
    2.0 * (model.inputs + model.width + 2) as f64 * f64::EPSILON * norm
}

fn root_mean_square(errors: &[f64]) -> f64 {
    (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt()
}

/// The rows that a fit with this seed and fraction trains and tests on.
fn problem(folder: &Folder, holdout: Holdout, seed: u64) -> Problem {
    let table = Table::read(&folder.path("data.csv")).unwrap();
    let options = Options { target: "y".into(), holdout, seed, ..Options::default() };
    Problem::prepare(&table, &options).unwrap()
}

/// Predictions of training and test rows give the report's errors, merged rows included.
///
/// An RMSE differs by at most the largest difference of a prediction: that of the passes times the
/// spread of the targets, and the roundings of `z std + mean`.
#[test]
fn regression_errors_are_those_of_the_predictions() {
    let mut table = smooth(80);
    let repeated: Vec<String> = table.lines().skip(1).take(9).map(String::from).collect();
    for (i, line) in repeated.iter().enumerate() {
        // Some with their target, some with another.
        let (inputs, y) = line.rsplit_once(',').unwrap();
        let y = y.parse::<f64>().unwrap() + f64::from(u8::from(i % 2 == 0));
        table += &format!("{inputs},{y}\n");
    }
    for how in [
        "--ridge 0",
        "--ridge 0.01 --scale 3",
        "--ridge 0.01 --metric full",
        "--ridge auto --metric diagonal",
    ] {
        let folder = Folder::with(&table);
        let options = format!("--width 256 {how} --seed 3 --quiet");
        folder.fit(&format!("{options} --model m.safetensors --report r.json")).succeeded();
        let report = folder.json("r.json");
        let problem = problem(&folder, Holdout::Fraction(0.2), 3);
        assert!(problem.equations.merged_rows() > 0 && !problem.test.rows.is_empty());
        assert_eq!(report["data"]["merged_rows"], problem.equations.merged_rows());
        let predicted = folder.predict("data.csv");
        assert_eq!(
            (predicted.header.as_slice(), predicted.rows()),
            (&["prediction".into()][..], 89)
        );

        let model = Model::read(&folder.path("m.safetensors")).unwrap();
        assert_eq!(model.metric.is_some(), how.contains("metric"), "{how}");
        let Truth::Numbers(all) = model
            .target
            .truth(&Table::read(&folder.path("data.csv")).unwrap(), &(0..89).collect::<Vec<_>>())
            .unwrap()
        else {
            panic!("numbers")
        };
        let largest = all.iter().fold(0.0_f64, |most, y| most.max(y.abs()));
        // The targets have spread at most `largest`; three roundings of numbers up to a few of it.
        let bound = largest * (pass_error(&model) + 32.0 * f64::EPSILON);
        for (part, key) in [(&problem.train, "train_rmse"), (&problem.test, "test_rmse")] {
            let errors: Vec<f64> =
                part.rows.iter().map(|&row| predicted.scores[row][0] - all[row]).collect();
            let reported = report["result"][key].as_f64().unwrap();
            let difference = (root_mean_square(&errors) - reported).abs();
            assert!(difference <= bound, "{key}: {difference} {bound}");
        }
        let test: Vec<f64> = problem.test.rows.iter().map(|&row| all[row]).collect();
        let mean = test.iter().sum::<f64>() / test.len() as f64;
        let about = root_mean_square(&test.iter().map(|y| y - mean).collect::<Vec<_>>());
        let rmse = report["result"]["test_rmse"].as_f64().unwrap();
        let r2 = 1.0 - (rmse / about).powi(2);
        // Both are the same formula; the mean and the sums have a few hundred roundings.
        assert!((report["result"]["test_r2"].as_f64().unwrap() - r2).abs() <= 1e3 * f64::EPSILON);
    }
}

#[test]
fn classification_errors_are_those_of_the_predictions() {
    let folder = Folder::with(classes(150));
    folder.fit("--width 128 --quiet --model m.safetensors --report r.json").succeeded();
    let report = folder.json("r.json");
    assert_eq!(report["data"]["task"], "classification");
    let predicted = folder.predict("data.csv");
    assert_eq!(predicted.header, ["p", "q", "r", "prediction"]);
    let text = String::from_utf8(folder.bytes("data.csv")).unwrap();
    let labels: Vec<&str> = text.lines().skip(1).map(|l| l.rsplit(',').next().unwrap()).collect();
    let problem = problem(&folder, Holdout::Fraction(0.2), 0);
    let model = Model::read(&folder.path("m.safetensors")).unwrap();
    for (part, key) in [(&problem.train, "train_rmse"), (&problem.test, "test_rmse")] {
        let errors: Vec<f64> = part
            .rows
            .iter()
            .flat_map(|&row| {
                let own = |class: &str| f64::from(u8::from(class == labels[row]));
                let scores = predicted.scores[row].iter().zip(&predicted.header);
                scores.map(move |(score, class)| score - own(class)).collect::<Vec<_>>()
            })
            .collect();
        let difference = root_mean_square(&errors) - report["result"][key].as_f64().unwrap();
        assert!(
            difference.abs() <= pass_error(&model) + 32.0 * f64::EPSILON,
            "{key}: {difference}"
        );
    }
    let right = problem.test.rows.iter().filter(|&&row| predicted.last[row] == labels[row]).count();
    let accuracy = right as f64 / problem.test.rows.len() as f64;
    assert_eq!(report["result"]["test_accuracy"].as_f64().unwrap(), accuracy);
    assert!(accuracy > 0.5, "better than guessing among three: {accuracy}");
    for (scores, label) in predicted.scores.iter().zip(&predicted.last) {
        let best = scores.iter().fold(f64::NEG_INFINITY, |most, &score| most.max(score));
        let at = predicted.header.iter().position(|class| class == label).unwrap();
        assert_eq!(scores[at], best);
    }
}

/// The target's column may be there, absent, or unusable; more columns and another order do not
/// matter; rows keep their order.
#[test]
fn tables_with_and_without_the_target() {
    let folder = Folder::with("a,b,y\n1,x,3\n2,y,5\n4,x,6\n3,y,1\n");
    folder.fit("--width 64 --quiet --model m.safetensors").succeeded();
    let with = folder.run(["predict", "m.safetensors", "data.csv"]).succeeded();
    assert_eq!(with.stderr, "");
    folder.write("without.csv", "note,b,a\nn,x,1\nn,y,2\nn,x,4\nn,y,3\n");
    folder.write("unusable.csv", "b,a,y\nx,1,\ny,2,nan\nx,4,?\ny,3,inf\n");
    for name in ["without.csv", "unusable.csv"] {
        let other = folder.run(["predict", "m.safetensors", name]).succeeded();
        assert_eq!(other.stdout, with.stdout, "{name}");
    }
    folder.write("one.csv", "a,b\n4,x\n");
    let (one, all) = (folder.predict("one.csv"), Predicted::parse(&with.stdout));
    let model = Model::read(&folder.path("m.safetensors")).unwrap();
    // Targets from 1 to 6.
    let bound = 6.0 * (pass_error(&model) + 32.0 * f64::EPSILON);
    assert!((one.scores[0][0] - all.scores[2][0]).abs() <= bound);
    let ran = folder.run(["predict", "m.safetensors", "data.csv", "-o", "out.csv"]).succeeded();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    assert_eq!(folder.bytes("out.csv"), with.stdout.as_bytes());
}

/// 17 significant digits: the text of every number is its shortest form or longer, and exact.
#[test]
fn numbers_have_17_digits() {
    let folder = Folder::with(smooth(12));
    folder.fit("--width 16 --quiet --model m.safetensors").succeeded();
    let text = folder.run(["predict", "m.safetensors", "data.csv"]).succeeded().stdout;
    for cell in text.lines().skip(1) {
        let mantissa = cell.split('e').next().unwrap();
        assert_eq!(mantissa.chars().filter(char::is_ascii_digit).count(), 17, "{cell}");
    }
}

/// An unseen category gets the all-zero code and one warning for its column.
#[test]
fn unseen_categories_are_told_once() {
    let folder = Folder::with(smooth(30));
    folder.fit("--width 64 --quiet --model m.safetensors").succeeded();
    folder.write("new.csv", "a,b,c\n0.1,0.2,c0\n0.1,0.2,zebra\n0.1,0.2,yak\n");
    let ran = folder.run(["predict", "m.safetensors", "new.csv"]).succeeded();
    assert_eq!(ran.stderr.matches("warning").count(), 1, "{}", ran.stderr);
    for part in ["column `c`", "line 3", "`zebra`", "here 2"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    let predicted = Predicted::parse(&ran.stdout);
    // One code for all that is unseen.
    assert_eq!(predicted.scores[1], predicted.scores[2]);
    assert_ne!(predicted.scores[0], predicted.scores[1]);
}

/// Intervals about numbers and probabilities of classes come from the training rows; neither is for the other task,
/// nor for a model that was fitted without a ridge.
#[test]
fn models_say_how_sure_they_are() {
    let run = |table: &str, fit: &str, predict: &[&str]| {
        let folder = Folder::with(table);
        folder.fit(&format!("{fit} --width 256 --quiet --model m.safetensors")).succeeded();
        let mut call = vec!["predict", "m.safetensors", "data.csv"];
        call.extend(predict);
        folder.run(call)
    };
    let numbers =
        |row: &str| -> Vec<f64> { row.split(',').filter_map(|cell| cell.parse().ok()).collect() };
    let intervals = run(&smooth(80), "--ridge 0.01", &["--interval", "0.9"]).succeeded().stdout;
    let mut rows = intervals.lines();
    assert_eq!(rows.next(), Some("prediction,lower,upper"));
    let rows: Vec<Vec<f64>> = rows.map(numbers).collect();
    assert_eq!(rows.len(), 80);
    assert!(rows.iter().all(|row| row[1] < row[0] && row[0] < row[2]), "{rows:?}");
    let sure = run(&classes(90), "--ridge 0.01", &["--probabilities"]).succeeded().stdout;
    for row in sure.lines().skip(1).map(numbers) {
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{row:?}");
    }
    for (table, fit, predict, says) in [
        (smooth(40), "--ridge 0.01", &["--probabilities"][..], "the model is for regression"),
        (
            classes(40),
            "--ridge 0.01",
            &["--interval", "0.9"][..],
            "the model is for classification",
        ),
        (
            smooth(40),
            "--ridge 0",
            &["--interval", "0.9"][..],
            "from a fit that tells nothing of that",
        ),
        (
            smooth(40),
            "--ridge 0.01 --loss quantile:0.9",
            &["--interval", "0.9"][..],
            "for a quantile",
        ),
        (smooth(40), "--ridge 0.01", &["--interval", "1"][..], "a number between 0 and 1"),
        (
            smooth(40),
            "--ridge 0.01",
            &["--interval", "0.9", "--probabilities"][..],
            "cannot be used",
        ),
    ] {
        let ran = run(&table, fit, predict);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
}

/// The program's intervals are the library's, but for other kinks on the way of rows in another order; and Huber's loss where no residual reaches its corners has those of squared
/// errors, also where rows weigh differently.
#[test]
fn intervals_are_those_of_the_library() {
    let x: Vec<[f64; 2]> = (0..24).map(|i| [noise(3 * i), noise(3 * i + 1)]).collect();
    let y: Vec<f64> =
        x.iter().enumerate().map(|(i, [a, b])| 10.0 * (a * b + noise(3 * i + 2))).collect();
    let rows = || x.iter().zip(&y).enumerate();
    let plain =
        rows().fold(String::from("a,b,y\n"), |t, (_, ([a, b], y))| t + &format!("{a},{b},{y}\n"));
    let weighted = rows().fold(String::from("a,b,w,y\n"), |t, (i, ([a, b], y))| {
        t + &format!("{a},{b},{},{y}\n", 1 + i % 3)
    });
    let folder = Folder::with(plain);
    let intervals = |options: &str| -> Vec<f64> {
        let common = "--ridge 0.5 --width 2048 --test-fraction 0 --quiet --model m.safetensors";
        folder.fit(&format!("{options} --precision f64 --tol 1e-9 {common}")).succeeded();
        let ran =
            folder.run(["predict", "m.safetensors", "data.csv", "--interval", "0.9"]).succeeded();
        let cells = ran.stdout.lines().skip(1).flat_map(|row| row.split(','));
        cells.map(|cell| cell.parse().unwrap()).collect()
    };
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.05);

    let told = intervals("");
    let model = Regressor::new()
        .width(2048)
        .ridge(0.5)
        .precision(Precision::F64)
        .tolerance(1e-9)
        .fit(&x, &y)
        .unwrap();
    let ends = model.intervals(&x, 0.9).unwrap();
    assert!(
        told.chunks(3).zip(&ends).all(|(told, ends)| close(&told[1..], ends)),
        "{told:?} {ends:?}"
    );
    // They are not those of the jackknife, whose middle is the prediction.
    assert!(told.chunks(3).any(|row| (row[0] - row[1].midpoint(row[2])).abs() > 0.2));

    folder.write("data.csv", &weighted);
    let (squared, huber) = (intervals("--weights w"), intervals("--weights w --loss huber:1000"));
    assert!(close(&squared, &huber), "{squared:?} {huber:?}");
    assert!(!close(&squared, &told));
}

/// An interval that the residuals cannot tell is as wide as the largest, and said to be.
#[test]
fn residuals_tell_no_more_than_they_are() {
    let folder = Folder::with(smooth(50));
    folder.fit("--ridge 0.01 --width 64 --quiet --model m.safetensors").succeeded();
    let predict = |level| {
        folder.run(["predict", "m.safetensors", "data.csv", "--interval", level]).succeeded()
    };
    // Of forty training rows.
    let (told, beyond) = (predict("0.975"), predict("0.98"));
    assert_eq!(told.stderr, "");
    let warning =
        "warning: `--interval` is 0.98: of 40 residuals at most the part 40/41 can be told";
    assert_eq!(beyond.stderr.matches(warning).count(), 1, "{}", beyond.stderr);
    assert_eq!((beyond.stderr.lines().count(), &beyond.stdout), (1, &told.stdout));
}

/// Columns that the model does not know may hold anything.
#[test]
fn other_columns_are_not_read() {
    let folder = Folder::with(smooth(30));
    folder.fit("--width 16 --model m.safetensors").succeeded();
    let plain = folder.run(["predict", "m.safetensors", "data.csv"]).succeeded().stdout;
    let text = String::from_utf8(folder.bytes("data.csv")).unwrap();
    let with = |line: (usize, &str)| {
        format!("{},{}\n", line.1, if line.0 == 0 { "other" } else { "1e999" })
    };
    folder.write("wide.csv", text.lines().enumerate().map(with).collect::<String>());
    let wide = folder.run(["predict", "m.safetensors", "wide.csv"]).succeeded().stdout;
    assert_eq!(wide, plain);
}
