//! Tests of the comparison on made times.

use nearlin::{Precision, SolverKind};

use super::entry::{Cost, Network};
use super::*;
use crate::bench::facts::Machine;

fn run(cpu: Option<f64>) -> Run {
    Run {
        cost: cpu.map(|cpu| Cost { cpu, wall: 2.0 * cpu }),
        steps: 8,
        restarts: Some(1),
        inner_iterations: None,
        scale: 8.0,
        rel_residual: 5e-9,
        ending: "converged".into(),
        fma_per_second: None,
    }
}

fn entry(program: &'static str, width: usize, cpu: &[Option<f64>]) -> Entry {
    let network = Network { width, parameters: 3 * width, precision: "f64", signs: "random" };
    let mut entry = Entry::new(program, format!("{program} (a)"), network);
    entry.take(cpu.iter().map(|&cpu| run(cpu)).collect());
    entry
}

/// A report on one problem: nearlin's CPU seconds in three rounds, and the peer's.
fn report(nearlin: [Option<f64>; 3], peer: [Option<f64>; 3]) -> Report {
    let entries = vec![entry("nearlin", 64, &nearlin), entry("other", 32, &peer)];
    let ratios = Ratio::all(&entries);
    let problem = Problem { name: "made", rows: 5, inputs: 3, outputs: 1, entries, ratios };
    let machine = Machine { cpu: "Chip".into(), cores: 7, memory_bytes: 1 << 30 };
    let (command, date) = ("cargo xtask bench peers".into(), "2001-02-03".into());
    Report {
        benchmark: "peers",
        facts: Facts { command, date, commit: "abc".into(), machine },
        tolerance: TOLERANCE,
        threads: 1,
        repetitions: 3,
        versions: BTreeMap::from([("numpy".into(), "1.2.3".into())]),
        problems: vec![problem],
    }
}

#[test]
fn everybody_runs_once_in_each_round() {
    let mut order = Vec::new();
    let runs = rounds(3, 2, |index| {
        order.push(index);
        Ok(run(Some(order.len() as f64)))
    });
    let runs = runs.unwrap();
    assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    let cpu: Vec<Vec<f64>> =
        runs.iter().map(|runs| runs.iter().map(|run| run.cost.unwrap().cpu).collect()).collect();
    assert_eq!(cpu, [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]);
    assert!(rounds(1, 1, |_| Err("broken".into())).is_err());
}

#[test]
fn ratios_are_of_medians_and_by_round() {
    let report = report([Some(1.0), Some(2.0), Some(4.0)], [Some(8.0), Some(6.0), Some(10.0)]);
    let ratio = &report.problems[0].ratios[0];
    assert_eq!((ratio.cpu, ratio.wall), (Some(4.0), Some(4.0)));
    let by_round = ratio.cpu_by_round.unwrap();
    assert_eq!((by_round.median, by_round.min, by_round.max), (3.0, 2.5, 8.0));
}

#[test]
fn the_page_says_who_is_faster() {
    let (fast, slow) = ([Some(0.5); 3], [Some(2.0); 3]);
    let page = page::page(&report(fast, slow));
    for part in [
        "made (5 rows, 3 inputs, 1 output): nearlin (a) at width 64 takes 0.500 CPU s in 8 steps, \
         other (a) at width 32 takes 2.00 CPU s in 8 steps: nearlin is 4.00 times faster in CPU time.",
        "on 1 thread",
        "residual of 1e-8",
        "numpy 1.2.3",
        "medians of 3 rounds",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    assert!(page::page(&report(slow, fast)).contains("nearlin is 4.00 times slower in CPU time."));
}

#[test]
fn who_misses_the_tolerance_once_has_no_time() {
    let (all, some) = ([Some(0.5); 3], [Some(0.5), None, Some(0.5)]);
    let missed = report(all, some);
    let ratio = &missed.problems[0].ratios[0];
    assert_eq!((ratio.cpu, ratio.wall, ratio.cpu_by_round), (None, None, None));
    let page = page::page(&missed);
    assert!(page.contains("other (a) at width 32 does not reach it in 8 steps"), "{page}");
    assert!(page.contains("nearlin is alone in reaching the tolerance."), "{page}");
    assert!(page.contains("not reached"), "{page}");
    assert!(page::page(&report(some, all)).contains("the one that misses the tolerance."));
}

#[test]
fn the_json_holds_networks_and_runs() {
    let json = serde_json::to_value(report([Some(0.5); 3], [None; 3])).unwrap();
    assert_eq!((&json["threads"], &json["tolerance"]), (&1.into(), &1e-8.into()));
    let [nearlin, other] = &json["problems"][0]["entries"].as_array().unwrap()[..] else {
        panic!("two entries")
    };
    assert_eq!(nearlin["network"]["parameters"], 192);
    assert_eq!(nearlin["runs"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&nearlin["runs"][0]["cost"]["wall"], &nearlin["cpu"]["median"]),
        (&1.0.into(), &0.5.into())
    );
    assert!(nearlin["runs"][0]["inner_iterations"].is_null());
    assert!(other["cpu"].is_null() && other["runs"][2]["cost"].is_null());
    assert!(json["problems"][0]["ratios"][0]["cpu"].is_null());
}

/// A small contest on made equations: the clock runs, and what is told is what was trained.
#[test]
fn nearlin_is_trained_to_the_tolerance_on_one_thread() {
    let x: Vec<f64> = (0..20_u32)
        .flat_map(|i| (1..=8).map(move |j| (1.7 * f64::from(i * i * j) + f64::from(j)).cos()))
        .collect();
    let y: Vec<f64> = x.chunks(8).map(|x| x[0] * x[1] + x[2]).collect();
    let equations = nearlin::Equations::new(x, y, 8, 1).unwrap();
    let contest = Contest { width: 256, ..CONTESTS[0] };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let variant =
        contest::Variant { solver: Some(SolverKind::Cholesky), precision: Precision::F64 };
    let entry = contest.entry(&variant, &equations);
    assert_eq!(entry.label, "nearlin (cholesky, f64)");
    assert_eq!(entry.network.parameters, 2048);
    let run = contest.train(&variant, &equations, &pool).unwrap();
    let cost = run.cost.expect("the tolerance is reached");
    assert!(cost.wall > 0.0 && cost.cpu > 0.0, "{cost:?}");
    assert!(run.rel_residual <= TOLERANCE && run.steps > 0, "{run:?}");
    assert!(run.inner_iterations.unwrap() >= run.steps, "{run:?}");
    let auto = contest.entry(&contest.nearlin[0], &equations);
    assert!(auto.label.starts_with("nearlin (auto: "), "{}", auto.label);
    assert_eq!(contest.peer_entry(8).label, "scipy-lbfgs (L-BFGS of SciPy)");
}

#[test]
fn both_precisions_and_solvers_run_on_digits() {
    let [diabetes, digits] = &CONTESTS;
    let variants = |contest: &Contest| -> Vec<_> {
        contest
            .nearlin
            .iter()
            .map(|v| (v.solver.map(SolverKind::name), v.precision.name()))
            .collect()
    };
    assert_eq!(variants(diabetes), [(None, "f64"), (Some("cholesky"), "f64")]);
    assert_eq!(
        variants(digits),
        [(None, "f64"), (None, "f32"), (Some("cholesky"), "f64"), (Some("cholesky"), "f32")]
    );
    assert_eq!((diabetes.width, digits.width), (1024, 4096));
}
