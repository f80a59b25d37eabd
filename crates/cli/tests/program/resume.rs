//! Runs whose process is killed, and that go on.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Folder, classes, nearlin, smooth};

const OUTPUTS: &str = "--model m.safetensors --report r.json";

/// Kills a run again and again, each time a little later after its checkpoint has changed, until one gets
/// through; counts the kills.
fn killed_until_done(folder: &Folder, options: &str) -> usize {
    for kills in 0..200 {
        let call = format!("fit data.csv {options} --checkpoint c --resume {OUTPUTS}");
        let mut command = nearlin(folder.path("").as_path());
        let mut child = command
            .args(call.split(' '))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (began, before) = (Instant::now(), std::fs::read(folder.path("c")).ok());
        let spare = Duration::from_millis(2 * kills as u64);
        let done = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status.success());
            }
            let moved = std::fs::read(folder.path("c")).ok() != before;
            if moved || began.elapsed() > Duration::from_secs(20) {
                sleep(spare);
                break None;
            }
            sleep(Duration::from_millis(1));
        };
        if let Some(success) = done {
            assert!(success, "a run that went on failed");
            return kills;
        }
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
    }
    panic!("200 kills, and no end");
}

/// The steps of a report, less the times.
fn steps(folder: &Folder) -> Vec<serde_json::Value> {
    let mut steps = folder.json("r.json")["steps"].as_array().unwrap().clone();
    for step in &mut steps {
        assert!(step.as_object_mut().unwrap().remove("seconds").unwrap().as_f64().unwrap() > 0.0);
        step.as_object_mut().unwrap().remove("phases").unwrap();
    }
    steps
}

/// Killed at each step, and in between, a run ends with the bits of one that was let alone: with all that is
/// automatic, and with a search for a scale that begins anew.
#[test]
fn killed_runs_end_the_same() {
    let automatic = "--target y --width 1024";
    let exact = "--target y --width 512 --ridge 0 --tol 1e-12 --solver arc-cosine";
    let entropy = "--target y --width 128 --metric none --loss cross-entropy --tol 1e-9";
    let tables = [
        (smooth(300), automatic),
        (smooth(200), exact),
        (classes(200), exact),
        (classes(60), entropy),
    ];
    for (table, options) in tables {
        let (whole, folder) = (Folder::with(&table), Folder::with(&table));
        whole.fit(&format!("{} {OUTPUTS}", &options["--target y ".len()..])).succeeded();
        let kills = killed_until_done(&folder, options);
        assert!(kills >= 2, "{kills} kills");
        assert!(folder.bytes("m.safetensors") == whole.bytes("m.safetensors"), "{options}");
        assert_eq!(steps(&folder), steps(&whole), "{options}");
        assert_eq!(folder.json("r.json")["scale_search"], whole.json("r.json")["scale_search"]);
        // Once more: there is nothing left to do.
        let again = format!("{options} --checkpoint c --resume --model again");
        folder.fit(&again["--target y ".len()..]).succeeded();
        assert!(folder.bytes("again") == whole.bytes("m.safetensors"));
    }
}

/// A larger budget of steps and other threads are no other run: it goes on with its solver, though another one would be
/// planned for them, and nothing is said to have taken over.
#[test]
fn more_steps_go_on() {
    let cell =
        |i: u32, q: u32| f64::from((i * 37 + 1).wrapping_mul(q * 7919 + 104_729) % 997) / 997.0;
    let table: String = (0..1800).fold("a,b,c,d,e,f,g,h,y\n".to_owned(), |table, i| {
        let cells: Vec<f64> = (0..8).map(|q| cell(i, q)).collect();
        let y = (5.0 * cells[0]).sin() + cells[1] * cells[2];
        table + &cells.iter().map(|x| format!("{x},")).collect::<String>() + &format!("{y}\n")
    });
    let folder = Folder::with(table);
    let options = "--width 4096 --ridge 1 --metric none --checkpoint c";
    folder.fit(&format!("{options} --max-steps 1 --threads 1 --report one")).succeeded();
    let ran = folder.fit(&format!("{options} --max-steps 50 --resume --report two")).succeeded();
    let began = folder.json("one")["plan"]["solver"].clone();
    assert_eq!(folder.json("two")["plan"]["solver"], began);
    assert!(ran.stderr.contains("going on") && !ran.stdout.contains("took over"), "{}", ran.stdout);
}

#[test]
fn what_cannot_go_on_is_refused_and_left_alone() {
    let folder = Folder::with(smooth(60));
    folder.fit("--width 64 --max-steps 2 --checkpoint c").succeeded();
    let held = folder.bytes("c");
    let refused = |options: &str, words: &[&str]| {
        let ran = folder.fit(&format!("--checkpoint c {options} --model m"));
        assert_eq!(ran.code, Some(2), "{options}: {}", ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "{options}: {}", ran.stderr);
        }
        assert!(!folder.path("m").exists());
    };
    refused("--width 64", &["`c` is there already", "--resume"]);
    refused("--width 128 --resume", &["--width 64", "--width 128"]);
    refused("--width 64 --resume --ridge 0.5", &["--ridge auto", "--ridge 0.5"]);
    refused("--width 64 --resume --precision f64", &["precision: F64", "precision: F32"]);
    refused("--width 64 --resume --rows 50", &["other data"]);
    refused("--width 64 --resume --loss huber:1", &["--loss squared", "--loss huber:1"]);
    assert!(folder.bytes("c") == held);
    folder.write("c", &held[..held.len() - 1]);
    refused("--width 64 --resume", &["`c` is no checkpoint", "damaged"]);
    folder.write("c", "x");
    refused("--width 64 --resume", &["`c` is no checkpoint"]);
    let ran = folder.fit("--resume");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}
