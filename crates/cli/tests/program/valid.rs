//! Odd but valid tables: a model is trained, the ending is honest, every figure finite.

use serde_json::Value;

use super::report::check;
use super::{Folder, classes, noise, smooth};

/// Fits with a few settings; checks report and predictions each time, and returns the reports.
#[track_caller]
fn trained(table: &str, options: &str) -> Vec<Value> {
    let folder = Folder::with(table);
    let settings = ["--ridge 0.01", "--ridge 0", "--ridge 0 --precision f32 --solver arc-cosine"];
    let rows = table.lines().count() - 1;
    let run = |setting: &str| {
        let call =
            format!("{options} {setting} --model m.safetensors --report r.json --plot p.svg");
        let ran = folder.fit(&call);
        assert_eq!(ran.code, Some(0), "{setting}: {}{}", ran.stdout, ran.stderr);
        for text in [&ran.stdout, &ran.stderr] {
            let lower = text.to_lowercase();
            assert!(!lower.contains("nan") && !lower.contains(" inf"), "{setting}: {text}");
        }
        let report = check(&folder, "r.json");
        assert_honest(&report, setting);
        let predicted = folder.predict("data.csv");
        assert_eq!(predicted.rows(), rows);
        report
    };
    settings.map(run).to_vec()
}

/// An ending says what is so.
#[track_caller]
fn assert_honest(report: &Value, setting: &str) {
    let result = &report["result"];
    let figure = |key: &str| result[key].as_f64().unwrap();
    let (residual, floor) = (figure("train_rel_residual"), figure("floor"));
    let ridge = report["model"]["ridge"].as_f64().unwrap();
    match result["ending"].as_str().unwrap() {
        "converged" if ridge == 0.0 => {
            assert!(residual <= 1e-8 && floor <= 1e-8, "{setting}: {result}");
        }
        "floor" => assert!(residual <= 1e-8 && floor > 1e-8, "{setting}: {result}"),
        "max-steps" => assert_eq!(report["steps"].as_array().unwrap().len(), 50),
        "stopped" => panic!("{setting}: nobody asked to stop: {result}"),
        _ => {}
    }
}

#[test]
fn constant_features() {
    let table = smooth(30).lines().enumerate().fold(String::new(), |table, (i, line)| {
        table + &if i == 0 { format!("k,t,{line}\n") } else { format!("7,same,{line}\n") }
    });
    for report in trained(&table, "--width 64") {
        assert_eq!(
            (&report["data"]["features"], &report["data"]["inputs"]),
            (&5.into(), &8.into())
        );
    }
}

/// With no feature that varies only the mean can be learnt; it is, and the rest is floor.
#[test]
fn nothing_but_constant_features() {
    let table = "k,y\n1,2\n1,3\n1,7\n1,-1\n1,0\n1,5\n";
    for report in trained(table, "--width 8 --test-fraction 0") {
        assert_eq!(report["data"]["inputs"], 1);
        assert_eq!(report["data"]["merged_rows"], 5);
        // All of the target's variance, up to the roundings of six rows.
        let floor = report["result"]["floor"].as_f64().unwrap();
        assert!((floor - 1.0).abs() <= 100.0 * f64::EPSILON, "{floor}");
        // Variance of the targets: 88/6 - (16/6)^2.
        let rmse = report["result"]["train_rmse"].as_f64().unwrap();
        let expected = (88.0 / 6.0 - (16.0_f64 / 6.0).powi(2)).sqrt();
        assert!((rmse - expected).abs() <= 1e-12 * expected, "{rmse} {expected}");
    }
    trained("y\n1\n2\n3\n", "--width 8");
    trained("k,y\n1,a\n1,b\n1,b\n1,a\n1,b\n1,a\n", "--width 8");
}

#[test]
fn duplicate_rows() {
    let body: String = smooth(15).lines().skip(1).map(|line| format!("{line}\n")).collect();
    let table = format!("a,b,c,y\n{body}{body}{body}");
    for report in trained(&table, "--width 128 --test-fraction 0") {
        assert_eq!(report["data"]["merged_rows"], 30);
        // Equal targets leave no floor, not even a rounding.
        assert_eq!(report["result"]["floor"], 0.0);
    }
}

#[test]
fn contradictory_rows() {
    let table = smooth(20) + "0.1,0.1,c0,5\n0.1,0.1,c0,-5\n0.1,0.1,c0,1\n";
    for report in trained(&table, "--width 256 --test-fraction 0") {
        let result = &report["result"];
        assert!(result["floor"].as_f64().unwrap() > 0.1);
        assert!(report["model"]["ridge"] != 0.0 || result["ending"] == "floor", "{result}");
    }
    // Every row contradicts every other.
    trained("a,y\n1,2\n1,4\n1,9\n1,-3\n1,0\n", "--width 16 --test-fraction 0");
    // Classes that contradict.
    trained("a,y\n1,p\n1,q\n2,p\n2,q\n3,p\n3,q\n", "--width 32 --test-fraction 0");
}

/// Features and targets of any size from 1e-150 to 1e150, the ends included, alone and mixed.
#[test]
fn magnitudes() {
    for exponent in [-150, -80, 80, 150] {
        let table = (0..20).fold(String::from("a,b,y\n"), |table, i| {
            let (a, b) = (noise(i) + 0.1, noise(i + 100));
            table + &format!("{a}e{exponent},{b},{}e{exponent}\n", a * a - b)
        });
        for report in trained(&table, "--width 64") {
            // In the target's units, so of its size or below it.
            let rmse = report["result"]["train_rmse"].as_f64().unwrap();
            assert!((0.0..=2.0 * 10_f64.powi(exponent)).contains(&rmse), "{rmse}");
        }
    }
    let mixed = "a,b,y\n1e-150,1e150,1\n1e150,-1e150,2\n-1e150,1e-150,-3\n3,4e149,4\n\
                 -1e-150,0,5\n1,1,6\n2e-150,-1,0\n";
    trained(mixed, "--width 64");
    let targets = "a,y\n1,1e-150\n2,-1e150\n3,1e150\n4,5\n5,-1e-150\n6,0\n7,1e10\n8,3e149\n";
    trained(targets, "--width 64");
    for seed in 0..4 {
        // Sometimes the one large target is in the test rows, far outside what was learnt.
        let outlier = "a,y\n1,1e-150\n2,2e-150\n3,1e-150\n4,5e-150\n5,2e-150\n6,1e150\n";
        trained(outlier, &format!("--width 32 --seed {seed}"));
    }
}

/// Fewer parameters than equations: the residual cannot vanish and nothing claims that it did.
#[test]
fn fewer_parameters_than_equations() {
    let table = (0..80).fold(String::from("a,y\n"), |table, i| {
        table + &format!("{},{}\n", noise(i), noise(i + 1000))
    });
    for report in trained(&table, "--width 2 --test-fraction 0") {
        let result = &report["result"];
        assert!(report["model"]["parameters"].as_u64().unwrap() < 80);
        assert!(result["train_rel_residual"].as_f64().unwrap() > 1e-3, "{result}");
        // No worse than the mean, which is the start.
        assert!(result["train_rel_residual"].as_f64().unwrap() <= 1.0 + 1e-12, "{result}");
    }
    trained(&classes(60), "--width 4");
}

#[test]
fn far_more_rows_than_neurons() {
    let table = (0..3000).fold(String::from("a,b,y\n"), |table, i| {
        let (a, b) = (noise(2 * i), noise(2 * i + 1));
        table + &format!("{a},{b},{}\n", a * b)
    });
    for report in trained(&table, "--width 8 --max-steps 50") {
        assert_eq!(report["data"]["train_rows"], 2400);
        assert!(report["result"]["train_rel_residual"].as_f64().unwrap() <= 1.0 + 1e-12);
    }
}

#[test]
fn two_rows() {
    for report in trained("a,y\n1,2\n3,4\n", "--width 16") {
        assert_eq!(
            (&report["data"]["train_rows"], &report["data"]["test_rows"]),
            (&2.into(), &0.into())
        );
        assert!(report["model"]["ridge"] != 0.0 || report["result"]["ending"] == "converged");
    }
    trained("a,y\n1,p\n3,q\n", "--width 16");
    trained("a,y\n1,2\n1,4\n", "--width 16");
    trained("a,y\nu,2\nv,4\n", "--width 2");
}

/// A class with a single row stays in training.
#[test]
fn classes_of_one_row() {
    for report in trained(&(classes(40) + "0.5,0.5,single\n"), "--width 64") {
        assert_eq!(report["data"]["outputs"], 4);
    }
    let all_single = "a,y\n1,p\n2,q\n3,r\n4,s\n5,t\n6,u\n";
    for report in trained(all_single, "--width 64") {
        assert_eq!(report["data"]["test_rows"], 0);
    }
    // A class that only test rows have counts as wrong.
    trained("a,y\n1,p\n2,p\n3,q\n4,q\n5,r\n6,r\n", "--width 16 --train-rows 2 --seed 1");
}

/// Numbers as classes when asked for, texts as classes without asking.
#[test]
fn tasks() {
    let table = "a,y\n1,0\n2,1\n3,0\n4,1\n5,0\n6,1\n7,1\n8,0\n";
    for (options, task) in [
        ("--task auto", "regression"),
        ("--task regression", "regression"),
        ("--task classification", "classification"),
    ] {
        for report in trained(table, &format!("{options} --width 32")) {
            assert_eq!(report["data"]["task"], task);
        }
    }
}

/// More columns than rows, one-hot columns among them.
#[test]
fn wide_tables() {
    let header: String = (0..40).map(|i| format!("x{i},")).collect();
    let table = (0..12).fold(format!("{header}t,y\n"), |table, i| {
        let row: String = (0..40).map(|j| format!("{},", noise(50 * i + j))).collect();
        table + &format!("{row}text{},{}\n", i % 5, noise(7 * i))
    });
    trained(&table, "--width 32");
}

/// The ends of the options' ranges.
#[test]
fn extreme_options() {
    let table = smooth(30);
    for options in [
        "--width 2",
        "--width 64 --scale 1e-300",
        "--width 64 --scale 1e100",
        "--width 64 --tol 1e-300",
        "--width 64 --tol 1e300",
        "--width 64 --max-steps 1",
        "--width 64 --rows 2",
        "--width 64 --train-rows 30",
        "--width 64 --threads 7",
        "--width 64 --sketch-rows 1 --solver srht",
        "--width 64 --sketch-rows 1 --solver tensor-srht",
        "--width 64 --sketch-rows 1000000000000 --solver tensor-srht",
        "--width 64 --ridge 1e300",
        "--width 64 --ridge 1e-300",
    ] {
        let folder = Folder::with(&table);
        let call = format!("{options} --model m.safetensors --report r.json --plot p.png");
        let ran = folder.fit(&call);
        assert_eq!(ran.code, Some(0), "{options}: {}{}", ran.stdout, ran.stderr);
        check(&folder, "r.json");
        assert_eq!(folder.predict("data.csv").rows(), 30);
    }
}
