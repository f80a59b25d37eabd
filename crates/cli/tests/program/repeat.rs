//! The same call gives the same bytes, on any number of threads.

use std::process::Command;

use super::{Folder, SOLVERS, classes, nearlin, smooth};

/// `nearlin fit` on `threads` threads, and the model that it wrote.
fn model(folder: &Folder, options: &str, threads: usize) -> Vec<u8> {
    let _ = std::fs::remove_file(folder.path("m.safetensors"));
    let fixed = format!("--threads {threads} --quiet --model m.safetensors --report r.json");
    folder.fit(&format!("{options} {fixed}")).succeeded();
    folder.bytes("m.safetensors")
}

/// The steps of the last report, less the times.
fn steps(folder: &Folder) -> Vec<serde_json::Value> {
    let mut steps = folder.json("r.json")["steps"].as_array().unwrap().clone();
    for step in &mut steps {
        let step = step.as_object_mut().unwrap();
        step.remove("seconds").unwrap();
        step.remove("phases").unwrap();
    }
    assert!(!steps.is_empty());
    steps
}

/// Every solver, either precision, one output and several, with more rows than a kernel takes at a
/// time.
#[test]
fn models_are_the_same_to_the_last_bit() {
    for (table, tasks) in [(smooth(400), "--ridge 0"), (classes(300), "--ridge 0.01")] {
        let folder = Folder::with(&table);
        let elsewhere = Folder::with(&table);
        for solver in SOLVERS {
            for precision in ["f64", "f32"] {
                let options = format!(
                    "{tasks} --solver {solver} --precision {precision} --width 512 --scale 64 \
                     --max-steps 3 --tol 1e-4 --seed 5"
                );
                let first = model(&folder, &options, 1);
                let told = steps(&folder);
                for threads in [1, 2, 3] {
                    assert!(model(&folder, &options, threads) == first, "{options} {threads}");
                    assert_eq!(steps(&folder), told, "{options} {threads}");
                }
                // Nor does the folder matter.
                assert!(model(&elsewhere, &options, 2) == first, "{options}");
            }
        }
    }
}

#[test]
fn the_search_for_a_scale_repeats_too() {
    let folder = Folder::with(smooth(300));
    let options = "--width 256 --seed 1";
    assert!(model(&folder, options, 1) == model(&folder, options, 2));
}

#[test]
fn seeds_matter() {
    let folder = Folder::with(smooth(60));
    let first = model(&folder, "--width 32", 1);
    assert!(first == model(&folder, "--width 32 --seed 0", 1));
    assert!(first != model(&folder, "--width 32 --seed 1", 1));
}

#[test]
fn predictions_are_the_same_on_any_number_of_threads() {
    let folder = Folder::with(classes(700));
    model(&folder, "--width 128 --rows 100", 2);
    let with = |threads: &str| {
        let mut command: Command = nearlin(folder.0.path());
        command.env("RAYON_NUM_THREADS", threads).args(["predict", "m.safetensors", "data.csv"]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let first = with("1");
    assert_eq!(first.lines().count(), 701);
    for threads in ["2", "3"] {
        assert!(with(threads) == first, "{threads}");
    }
}
