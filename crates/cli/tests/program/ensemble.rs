//! Several networks that are averaged.

use super::{Folder, smooth};

/// What the average predicts is the mean of what its networks do, each trained by itself.
#[test]
fn an_ensemble_is_the_mean_of_its_networks() {
    let folder = Folder::with(smooth(120));
    let fixed = "--ridge 0.1 --metric none --scale 512 --width 64 --test-fraction 0 --solver arc-cosine \
                 --model m.safetensors --report r.json";
    let mut mean = vec![0.0; 120];
    let mut residuals = Vec::new();
    for seed in 5..8 {
        folder.fit(&format!("{fixed} --seed {seed}")).succeeded();
        let told = folder.predict("data.csv");
        mean.iter_mut().zip(&told.scores).for_each(|(mean, f)| *mean += f[0] / 3.0);
        let report = folder.json("r.json");
        assert!(report["ensemble"].is_null());
        residuals.push(report["result"]["train_rel_residual"].as_f64().unwrap());
    }
    let ran = folder.fit(&format!("{fixed} --seed 5 --ensemble 3"));
    let (_, of_others) = ran.stderr.split_once("network 2 of 3").unwrap();
    assert!(of_others.contains("step 1: "), "{of_others}");
    let words = "the average of 3 networks, one of width 192";
    assert!(ran.stdout.contains(words), "{}", ran.stdout);
    let told = folder.predict("data.csv");
    for (f, mean) in told.scores.iter().zip(&mean) {
        assert!((f[0] - mean).abs() < 1e-6, "{} {mean}", f[0]);
    }
    let report = folder.json("r.json");
    let members = report["ensemble"].as_array().unwrap();
    assert_eq!(members.len(), 3);
    for (at, (member, alone)) in members.iter().zip(residuals).enumerate() {
        assert_eq!((&member["seed"], &member["ending"]), (&(5 + at).into(), &"converged".into()));
        let residual = member["rel_residual"].as_f64().unwrap();
        assert!((residual - alone).abs() < 1e-6, "{residual} {alone}");
    }
    // The steps and their times are those of the first, one by one.
    assert_eq!(report["steps"].as_array().unwrap().len() as u64, members[0]["steps"]);
}

/// With nothing chosen for it: it works, and its average is not worse than its worst network.
#[test]
fn an_automatic_ensemble() {
    let folder = Folder::with(smooth(150));
    let ran = folder.fit("--ensemble 2 --width 128 --report r.json --model m.safetensors");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let report = folder.json("r.json");
    assert!(report["result"]["test_r2"].as_f64().unwrap() > 0.5);
    assert!(report["sureness"]["left_out_rmse"].is_number());
}

/// Seconds are planned for all networks, and memory for what is kept of them.
#[test]
fn all_networks_are_planned_for() {
    let folder = Folder::with(smooth(400));
    let planned = |ensemble: usize| {
        let options = "--ridge 0.01 --metric none --width 2048 --report r.json";
        let call = format!("plan data.csv --target y --ensemble {ensemble} {options}");
        let ran = folder.run(call.split_whitespace());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert_eq!(ran.stdout.contains("of each of"), ensemble > 1, "{}", ran.stdout);
        let candidates = folder.json("r.json")["plan"]["candidates"].clone();
        let mut candidates = candidates.as_array().unwrap().iter();
        let cholesky = candidates.find(|one| one["solver"] == "cholesky").unwrap();
        let number = |key: &str| cholesky[key].as_f64().unwrap();
        [number("predicted_seconds"), number("predicted_bytes")]
    };
    let ([one, of_one], [eight, of_eight]) = (planned(1), planned(8));
    assert!(eight > 4.0 * one && eight <= 8.0 * one, "{eight} {one}");
    assert!(of_eight > of_one + 7.0 * 8.0 * 2048.0 * 1.5 * 3.0, "{of_eight} {of_one}");
}

#[test]
fn what_does_not_go_with_it() {
    let folder = Folder::with(smooth(40));
    for (options, word) in [
        ("--ensemble 0", "at least 1"),
        ("--ensemble 2 --checkpoint c", "cannot be used with"),
        ("--ensemble 2 --loss huber:1", "--ensemble"),
    ] {
        let ran = folder.fit(&format!("{options} --width 32 --model m"));
        assert_eq!(ran.code, Some(2), "{options}: {}", ran.stderr);
        assert!(ran.stderr.contains(word), "{options}: {}", ran.stderr);
        assert!(!folder.path("m").exists());
    }
}
