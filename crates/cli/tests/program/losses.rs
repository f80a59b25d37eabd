//! Losses and weights.

use super::{Folder, classes, noise, smooth};

/// `rows` rows of `a` and a `y` that is `a` plus an exponential error, whose quantiles are known.
fn skewed(rows: usize) -> String {
    (0..rows).fold(String::from("a,y\n"), |table, i| {
        let (a, error) = (noise(2 * i), -noise(2 * i + 1).ln());
        table + &format!("{a},{}\n", a + error)
    })
}

/// The quantile of an exponential error is `-ln(1 - level)`; its density there is `1 - level`, so the one of
/// some 40 rows that decide at each place errs by `sqrt(level / (1 - level) / 40)` of it, on average over the
/// places far less than the 0.25 that is allowed.
#[test]
fn quantiles_are_quantiles() {
    let folder = Folder::with(skewed(1200));
    for level in [0.25_f64, 0.8] {
        let fixed = "--metric none --width 256 --model m.safetensors --test-fraction 0";
        folder.fit(&format!("--loss quantile:{level} {fixed}")).succeeded();
        folder.write("grid.csv", "a\n0.2\n0.4\n0.6\n0.8\n");
        let told = folder.predict("grid.csv");
        let off: f64 =
            (0..4).map(|i| told.scores[i][0] - 0.2 * (i + 1) as f64 + (1.0 - level).ln()).sum();
        assert!((off / 4.0).abs() < 0.25, "{level}: {off}");
        let below = folder.predict("data.csv");
        let table = skewed(1200);
        let y =
            table.lines().skip(1).map(|row| row.split(',').nth(1).unwrap().parse::<f64>().unwrap());
        let part = y.zip(&below.scores).filter(|(y, f)| *y < f[0]).count() as f64 / 1200.0;
        // Three standard deviations, and what the ridge keeps from being fitted.
        assert!((part - level).abs() < 0.06, "{level}: {part}");
    }
}

/// Rows with gross errors move the squared loss more than Huber's.
#[test]
fn huber_is_robust() {
    let mut table = smooth(300);
    (0..12).for_each(|i| table += &format!("{},{},c1,100\n", noise(7 * i + 1), noise(7 * i + 3)));
    let folder = Folder::with(&table);
    folder.write("clean.csv", smooth(300));
    let off = |loss: &str| -> f64 {
        folder.fit(&format!("--loss {loss} --width 512 --model m.safetensors")).succeeded();
        let told = folder.predict("clean.csv");
        let clean = smooth(300);
        let y =
            clean.lines().skip(1).map(|row| row.split(',').nth(3).unwrap().parse::<f64>().unwrap());
        y.zip(&told.scores).map(|(y, f)| (y - f[0]).powi(2)).sum::<f64>().sqrt()
    };
    let (squared, huber) = (off("squared"), off("huber:0.1"));
    assert!(huber < 0.2 * squared, "{huber} {squared}");
}

/// Logits whose softmax, sharpened by what rows that are left out say, are the probabilities that
/// `predict --probabilities` prints.
#[test]
fn cross_entropy_gives_probabilities() {
    let folder = Folder::with(classes(300));
    let ran = folder
        .fit("--loss cross-entropy --width 512 --model m.safetensors --report r.json")
        .succeeded();
    assert!(ran.stdout.contains("by held-out"), "{}", ran.stdout);
    let result = &folder.json("r.json")["result"];
    assert!(result["test_accuracy"].as_f64().unwrap() > 0.9, "{result}");
    let log_loss = folder.json("r.json")["sureness"]["test_log_loss"].as_f64().unwrap();
    assert!(0.0 < log_loss && log_loss < 0.3, "{log_loss}");
    let left_out = folder.json("r.json")["sureness"]["left_out_accuracy"].as_f64().unwrap();
    assert!(0.9 < left_out && left_out < 1.0, "{left_out}");
    let ran = folder.run(["inspect", "m.safetensors", "--json"]).succeeded();
    let model: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let sharpness = model["sureness"]["sharpness"].as_f64().unwrap();
    assert!(sharpness > 0.0 && sharpness != 1.0, "{sharpness}");
    let scores = folder.predict("data.csv");
    let ran = folder.run(["predict", "m.safetensors", "data.csv", "--probabilities"]);
    let rows: Vec<&str> = ran.stdout.lines().skip(1).collect();
    for (row, scores) in rows.iter().zip(&scores.scores) {
        let sum: f64 = scores.iter().map(|s| (sharpness * s).exp()).sum();
        for (p, s) in row.split(',').zip(scores) {
            let (p, want) = (p.parse::<f64>().unwrap(), (sharpness * s).exp() / sum);
            assert!((p - want).abs() <= 1e-12, "{p} {want}");
        }
    }
}

/// A row of weight 3 is three rows, for every loss.
#[test]
fn weights_are_repetitions() {
    let (mut weighed, mut repeated) = (String::from("a,b,y,w\n"), String::from("a,b,y\n"));
    for i in 0..80 {
        let (a, b) = (noise(2 * i), noise(2 * i + 1));
        let (y, w) = ((4.0 * a).sin() + b, 1 + i % 3);
        weighed += &format!("{a},{b},{y},{w}\n");
        (0..w).for_each(|_| repeated += &format!("{a},{b},{y}\n"));
    }
    for loss in ["squared", "huber:0.3", "quantile:0.6"] {
        let predictions = |table: &str, more: &str| {
            let folder = Folder::with(table);
            // Columns are standardised with their repetitions, so the splits of numbers differ a little.
            folder
                .fit(&format!(
                    "--loss {loss} --ridge 0.01 --width 256 --scale 1000 --tol 1e-6 --test-fraction 0 \
                     --model m.safetensors {more}"
                ))
                .succeeded();
            folder.write("grid.csv", "a,b\n0.3,0.4\n0.6,0.1\n0.9,0.9\n");
            folder.predict("grid.csv").scores
        };
        let (one, other) = (predictions(&weighed, "--weights w"), predictions(&repeated, ""));
        for (one, other) in one.iter().zip(&other) {
            assert!((one[0] - other[0]).abs() < 0.05, "{loss}: {one:?} {other:?}");
        }
    }
}

/// Rows that all weigh two at twice the ridge are rows of weight one, also where each is left out.
#[test]
fn weights_weigh_in_rows_that_are_left_out() {
    let (mut plain, mut weighed) = (String::from("a,b,y\n"), String::from("a,b,y,w\n"));
    for i in 0..80 {
        let (a, b) = (noise(2 * i), noise(2 * i + 1));
        let y = (4.0 * a).sin() + b + 0.3 * noise(i + 500);
        plain += &format!("{a},{b},{y}\n");
        weighed += &format!("{a},{b},{y},2\n");
    }
    let left_out = |table: &str, more: &str| {
        let folder = Folder::with(table);
        let fixed = "--loss huber:0.3 --width 256 --scale 1000 --tol 1e-8 --metric none";
        folder.fit(&format!("{fixed} --test-fraction 0 --report r.json {more}")).succeeded();
        folder.json("r.json")["sureness"]["left_out_rmse"].as_f64().unwrap()
    };
    let plain = left_out(&plain, "--ridge 0.1");
    let weighed = left_out(&weighed, "--ridge 0.2 --weights w");
    assert!((plain / weighed - 1.0).abs() < 1e-5, "{plain} {weighed}");
}

/// Balanced classes are rows whose weights are as much in all for each class, to the last bit, and what is rare is
/// predicted more often than without them.
#[test]
fn balanced_classes_are_weights() {
    let (mut plain, mut weighed) = (String::from("a,b,y\n"), String::from("a,b,y,w\n"));
    for i in 0..120 {
        let rare = i % 6 == 0;
        let (a, b) = (noise(2 * i) + if rare { 0.4 } else { 0.0 }, noise(2 * i + 1));
        let (y, w) = if rare { ("no", 60.0 / 20.0) } else { ("yes", 60.0 / 100.0) };
        plain += &format!("{a},{b},{y}\n");
        weighed += &format!("{a},{b},{y},{w}\n");
    }
    for loss in ["squared", "cross-entropy"] {
        let scores = |table: &str, more: &str| {
            let folder = Folder::with(table);
            let fixed =
                "--width 256 --ridge 1 --metric none --test-fraction 0 --model m.safetensors";
            folder.fit(&format!("--loss {loss} {fixed} {more}")).succeeded();
            folder.write("plain.csv", &plain);
            folder.predict("plain.csv").scores
        };
        let balanced = scores(&plain, "--class-weights balanced");
        assert_eq!(balanced, scores(&weighed, "--weights w"), "{loss}");
        let rare = |scores: &[Vec<f64>]| scores.iter().filter(|s| s[0] > s[1]).count();
        let (without, with) = (rare(&scores(&plain, "")), rare(&balanced));
        assert!(without < 20 && with > 2 * without.max(10), "{loss}: {without} and {with} of 120");
    }
}

#[test]
fn what_does_not_go_together_is_told() {
    let mut table = classes(60);
    table.insert_str(0, "w,");
    let table: String = table
        .lines()
        .enumerate()
        .map(|(i, row)| if i == 0 { format!("{row}\n") } else { format!("{},{row}\n", i % 7) })
        .collect();
    let folder = Folder::with(&table);
    for (options, words) in [
        ("--loss huber:1", ["huber:1", "classification"]),
        ("--loss cross-entropy --ridge 0", ["`--ridge`", "positive"]),
        ("--loss cross-entropy --precision f32", ["`--precision`", "f64"]),
        ("--loss quantile:2", ["quantile:LEVEL", "between 0 and 1"]),
        ("--weights v", ["no column `v`", "the columns are"]),
        ("--weights w", ["column `w`", "found `0`"]),
        ("--weights y", ["`--weights`", "another column than the target"]),
    ] {
        let ran = folder.fit(options);
        assert_eq!(ran.code, Some(2), "{options}: {}", ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "{options}: {}", ran.stderr);
        }
    }
    let folder = Folder::with(smooth(60));
    for options in ["--loss cross-entropy", "--class-weights balanced"] {
        let ran = folder.fit(options);
        assert_eq!(ran.code, Some(2), "{options}: {}", ran.stderr);
        assert!(ran.stderr.contains("target of numbers"), "{}", ran.stderr);
    }
}
