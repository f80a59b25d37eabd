//! Tests of the kernel benchmarks on made times.

use super::case::{FEWEST, Kind, OURS};
use super::compare::{Old, compared};
use super::model::{Model, Precision, Unit};
use super::*;
use crate::bench::facts::Machine;
use crate::bench::spread::Spread;

/// One case: a product of `4e9` flops and few bytes under a peak of 1e9 a second, with nearlin's
/// seconds round by round and a rival that takes twice as long.
fn measured(kernel: &str, seconds: [f64; 3]) -> Measured {
    let model = Model::Jacobian { n: 1000, m: 2000, d: 1000, k: 1, passes: 1 };
    let entries = [
        ((Kind::Ours, OURS.to_owned()), seconds.to_vec()),
        ((Kind::Other, "GEMM".to_owned()), seconds.map(|s| 2.0 * s).to_vec()),
    ];
    Measured {
        kernel: kernel.to_owned(),
        shape: model.shape(),
        precision: "f32".to_owned(),
        threads: 1,
        work: model.work(Precision::F32),
        formula: model.formula().to_owned(),
        limits: Vec::new(),
        entries: Vec::new(),
        failed: Vec::new(),
    }
    .with(["FMA f32", "read"], &[vec![1e9, 1e9, 2e9], vec![1e12; 3]], entries)
    .unwrap()
}

fn report(cases: Vec<Measured>) -> Report {
    let machine = Machine { cpu: "Chip".into(), cores: 7, memory_bytes: 1 << 30 };
    let (command, date) = ("cargo xtask bench jacobian".into(), "2001-02-03".into());
    let rate = |limit: &str, how: &str, per_second| Rate {
        limit: limit.into(),
        how: how.into(),
        threads: 1,
        per_second,
    };
    Report {
        benchmark: "jacobian",
        group: Some(Group::Jacobian),
        facts: Facts { command, date, commit: "abc".into(), machine },
        effort: Effort { rounds: 3, seconds: 1.0, sample: 1e-3 },
        versions: BTreeMap::new(),
        limits: vec![rate("FMA f32", "AVX2", 1e11)],
        cases,
    }
}

/// The summary takes its numbers from the results of the groups: share and rival of the case, and
/// where it was measured.
#[test]
fn the_summary_belongs_to_its_numbers() {
    let json = serde_json::to_string(&report(vec![measured("J v", [4.0, 5.0, 8.0])])).unwrap();
    let group: summary::Measurement = serde_json::from_str(&json).unwrap();
    let page = summary::page(&[group]);
    for part in ["`cargo xtask bench jacobian`", "abc", "Chip", "| J v", "GEMM", "5.00 s"] {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
    let line = page.lines().find(|line| line.starts_with("| J v")).unwrap();
    // The limit takes 4 seconds at the median rate; the rival twice as long as nearlin.
    assert!(line.contains("4.00 s") && line.trim_end_matches(" |").ends_with(" 2.00"), "{line}");
}

/// Every model by hand at a small shape: amount, unit, bytes of `f32`.
#[test]
fn models_count_work_and_bytes() {
    use Unit::{Add, Flop};
    let cases = [
        // 8 * 3 additions in each of 5 columns; 40 numbers read and written.
        (Model::Fwht { n: 8, columns: 5 }, 120.0, Add, 320.0),
        // The triangle of 3 x 3 has 6 entries of 64 bits, two flops each; 24 bytes of mask, and the
        // triangle read and written.
        (Model::PopcountGram { n: 3, m: 64 }, 768.0, Flop, 24.0 + 48.0),
        // One flipped neuron counts twice; 48 bytes of masks and three triangles. Of many all are counted.
        (Model::PopcountUpdate { n: 3, m: 64, flipped: 1 }, 24.0, Flop, 48.0 + 72.0),
        (Model::PopcountUpdate { n: 3, m: 64, flipped: 60 }, 768.0, Flop, 48.0 + 72.0),
        // 2 * 8 * 16 * 4; 16 bytes of mask, x 32, v 64, y 8, signs 16 numbers.
        (Model::Jacobian { n: 8, m: 16, d: 4, k: 1, passes: 1 }, 1024.0, Flop, 16.0 + 480.0),
        (Model::Jacobian { n: 8, m: 16, d: 4, k: 1, passes: 2 }, 2048.0, Flop, 32.0 + 960.0),
        // Two outputs: 2 * 8 * 16 * (4 + 2); y 16 and signs 32 numbers.
        (Model::Jacobian { n: 8, m: 16, d: 4, k: 2, passes: 1 }, 1536.0, Flop, 16.0 + 576.0),
        // 2 * 8 * 4 * (16 + 8) and 2 * 8 * 16; x 32, u 64, w 32, y 8, signs 16 numbers.
        (Model::Forward { n: 8, m: 16, d: 4, k: 1, copies: 2 }, 1792.0, Flop, 16.0 + 608.0),
        (Model::Cholesky { n: 6 }, 72.0, Flop, 168.0),
        (Model::Qr { r: 12, n: 3 }, 198.0, Flop, 288.0),
        (Model::Triangular { n: 4, k: 3 }, 48.0, Flop, 136.0),
        (Model::Srht { n: 8, k: 2, s: 3 }, 48.0, Add, 88.0),
        (Model::TensorSrht { p: 4, q: 2, k: 2, s: 3 }, 48.0, Add, 88.0),
        (Model::Gaussian { n: 8, k: 2, s: 3 }, 96.0, Flop, 88.0),
    ];
    for (model, amount, unit, bytes) in cases {
        let work = model.work(Precision::F32);
        assert_eq!((work.amount, work.unit, work.bytes), (amount, unit, bytes), "{model:?}");
        assert!(model.work(Precision::F64).bytes > bytes, "{model:?}");
        assert!(!model.formula().is_empty() && !model.shape().is_empty());
    }
    assert_eq!(Model::Fwht { n: 64, columns: 1 }.shape(), "n = 2^6");
}

/// One neuron in ten has flips, in about half of the examples, and one sign in a hundred may be
/// anywhere: of 64,000 signs within five standard deviations of 640, which are 126.
#[test]
fn flips_are_where_they_are_asked_for() {
    let old = operands::mask(1000, 64);
    let differing = |new: &nearlin_dense::PackedMask| {
        let (mut columns, mut signs) = (0u64, 0);
        for flips in (0..1000).map(|row| old.row(row)[0] ^ new.row(row)[0]) {
            columns |= flips;
            signs += flips.count_ones();
        }
        (columns, signs)
    };
    let tenths = (0..64).step_by(10).fold(0, |columns, column| columns | 1 << column);
    let (columns, signs) = differing(&operands::flipped(&old, 10, 2));
    assert_eq!(columns, tenths);
    // 7,000 signs, half of them flipped: five standard deviations are 210.
    assert!(signs.abs_diff(3500) < 210, "{signs}");
    let (columns, signs) = differing(&operands::flipped(&old, 1, 100));
    assert!(columns == u64::MAX && signs.abs_diff(640) < 126, "{signs}");
}

/// The limit takes 4 s, 4 s and 2 s for the work, round by round.
#[test]
fn shares_are_of_the_limit_in_the_same_round() {
    let case = measured("J v", [8.0, 5.0, 4.0]);
    let [ours, gemm] = &case.entries[..] else { panic!("two entries") };
    assert_eq!(ours.share, Spread { median: 0.5, min: 0.5, max: 0.8 });
    assert_eq!(gemm.share.median, 0.25);
    assert_eq!((ours.seconds.median, ours.per_second), (5.0, 8e8));
    assert_eq!(case.bound().unwrap().limit, "FMA f32");
    assert_eq!(case.limits[0].seconds, 4.0);
    assert_eq!(case.key(), ("J v", "n = 1000, m = 2000, d = 1000, K = 1", "f32", 1));
}

#[test]
fn only_cases_that_both_have_are_compared() {
    let old = [measured("J v", [8.0; 3]), measured("J^T u", [8.0; 3]), measured("gone", [1.0; 3])];
    let new = [measured("J v", [8.1; 3]), measured("J^T u", [80.0; 3]), measured("new", [1.0; 3])];
    let (table, both, slower) = compared(&old, &new);
    // The third round of the made limits is twice as fast, so a tenfold time is far outside.
    assert_eq!((both, slower), (2, 1));
    let table = table.to_string();
    let line = |kernel: &str| table.lines().find(|line| line.contains(kernel)).unwrap().to_owned();
    assert!(line("J^T u").contains("0.100") && line("J^T u").contains("slower"), "{table}");
    assert!(!line("J v").contains("slower") && !table.contains("gone"), "{table}");
}

/// A result as it is written can be read and judged again.
#[test]
fn results_are_compared_through_their_json() {
    let folder = std::env::temp_dir().join(format!("nearlin-compare-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let before = report(vec![measured("J v", [8.0; 3])]);
    files::write(&folder, "jacobian", &before, "").unwrap();
    let old: Old = regress::read(&folder.join("jacobian.json")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(compare::judge(&old, &before).is_ok());
    assert!(compare::judge(&old, &report(vec![measured("J v", [4.0; 3])])).is_ok());
    let error = compare::judge(&old, &report(vec![measured("J v", [80.0; 3])])).unwrap_err();
    assert_eq!(error.to_string(), "1 case of 1 became slower");
    let error = compare::judge(&old, &report(vec![measured("other", [8.0; 3])])).unwrap_err();
    assert!(error.to_string().contains("no case"), "{error}");
    let other = Report { benchmark: "fwht", ..report(Vec::new()) };
    assert!(compare::judge(&old, &other).unwrap_err().to_string().contains("is of `jacobian`"));
    assert!(regress::read::<Old>(std::path::Path::new("absent.json")).is_err());
}

#[test]
fn pages_belong_to_their_numbers() {
    let mut slow = measured("J v", [40.0; 3]);
    slow.shape = "another".to_owned();
    slow.failed.push("NumPy: it ended".to_owned());
    let page = page::page(&report(vec![measured("J v", [8.0; 3]), slow]));
    for part in [
        "J v in f32 on 1 thread: 10 to 50 % of the limit; GEMM takes 2.00 times as long.",
        "| J v    | flops   | 2 n m d a pass, 2 n m (d + K) where K > 1 |",
        "Up to 3 rounds a case",
        "Left out, as a peer failed:\n\n- J v, another, f32, 1 thread: NumPy: it ended\n",
        "Without peers.",
        "(jacobian-1.svg)",
        "| FMA f32 | AVX2 |       1 |  100 |",
        "commit abc",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    // One line a case, without a peer.
    let line = page.lines().find(|line| line.contains("K = 1 ")).unwrap();
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let expected = ["8.00 s", "8.00 s to 8.00 s", "0.500", "50", "25 to 50", "FMA f32"];
    assert_eq!(cells[5..11], expected);
    assert_eq!(cells[11..13], ["GEMM: 2.00", "-"]);
    let times = [2.5e-9, 1e-6, 0.5, 12.0].map(page::time);
    assert_eq!(times, ["2.50 ns", "1.00 us", "500 ms", "12.0 s"]);
}

#[test]
fn the_roofline_is_drawn_for_the_jacobian_alone() {
    let report = report(vec![measured("J v", [8.0; 3])]);
    let charts = roofline::charts(&report);
    let [(name, chart)] = &charts[..] else { panic!("one chart") };
    assert_eq!((name.as_str(), chart.series.len()), ("jacobian-1", 2));
    // The roof: a ridge at 1e9 flops over 1e12 bytes a second, then level.
    let [left, ridge, right] = chart.series[0].points[..] else { panic!("three points") };
    assert!((left.1 - 0.25).abs() < 1e-12 && (ridge.0 - 1e-3).abs() < 1e-15, "{left:?}");
    assert_eq!((ridge.1, right.1), (1.0, 1.0));
    assert_eq!(chart.series[1].points[0].1, 0.5);
    assert!(roofline::charts(&Report { group: Some(Group::Fwht), ..report }).is_empty());
}

/// Times like d^2 at one size, and one case of another size, which is on no curve.
#[test]
fn exponents_of_d_are_those_of_the_cases() {
    let case = |kernel: &str, m: usize, d: usize, threads| {
        let seconds = [1.0; 3].map(|s| s * (d * d) as f64);
        let shape = Model::Jacobian { n: 8, m, d, k: 10, passes: 1 }.shape();
        Measured { shape, threads, ..measured(kernel, seconds) }
    };
    let mut cases: Vec<Measured> = [64, 16, 32].map(|d| case("J v", 64, d, 1)).to_vec();
    cases.extend([case("J v", 32, 784, 1), case("J v", 64, 16, 2), case("J J^T u", 64, 16, 1)]);
    let report = report(cases);
    let chart = inputs::chart(&report).unwrap();
    assert_eq!(chart.subtitle, "n = 8, m = 64 on 1 thread, medians");
    let [series] = &chart.series[..] else { panic!("one curve") };
    assert_eq!(series.name, "J v, K = 10, f32 (slope 2.00)");
    assert_eq!(series.points, [(16.0, 256.0), (32.0, 1024.0), (64.0, 4096.0)]);
    let page = page::page(&report);
    for part in [
        "## Against the inputs d",
        "(jacobian-d.svg)",
        "n = 8, m = 64 on 1 thread the times grow like d^2.00; the work",
        "| J v    | 10   | f32    |          2.00 |                2.00 |     16 |   64 |",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    let without = Report { group: Some(Group::Fwht), ..report };
    assert!(inputs::chart(&without).is_none() && inputs::section(&without).is_empty());
}

/// Everybody has a turn in each round, and runs often enough to be seen by the clock.
#[test]
fn contestants_take_turns() {
    let order = std::sync::Mutex::new(Vec::new());
    let note = |who: &'static str| {
        order.lock().unwrap().push(who);
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    let (peaks, rates) = Peaks::measure();
    assert!(rates.iter().all(|rate| rate.per_second > 0.0 && rate.per_second.is_finite()));
    let case = Case::new("made", Model::Cholesky { n: 8 }, Precision::F64)
        .ours_on(|| "ours", note)
        .other("other", || note("other"))
        .peer("peer", |repeats| {
            note("peer");
            Ok(repeats as f64)
        });
    let effort = Effort { rounds: 50, seconds: 0.0, sample: 1e-3 };
    let measured = case.measure(&peaks, effort).unwrap();
    let turns = ["ours", "other", "peer"];
    assert_eq!(*order.lock().unwrap(), turns.repeat(1 + FEWEST));
    assert_eq!(measured.entries[2].seconds.median, 1.0);
    assert!(measured.entries[0].seconds.min >= 2e-3);
    assert_eq!(measured.entries.iter().map(|e| e.samples.len()).max(), Some(FEWEST));
    let fails = Case::new("made", Model::Cholesky { n: 8 }, Precision::F64)
        .peer("broken", |_| Err("no answer".to_owned()))
        .peer("whole", |repeats| Ok(repeats as f64));
    let measured = fails.measure(&peaks, effort).unwrap();
    assert_eq!(measured.failed, ["broken: no answer"]);
    assert_eq!(measured.entries.iter().map(|e| &e.name).collect::<Vec<_>>(), ["whole"]);
}

/// A quick group from end to end, on one thread.
#[test]
fn groups_measure_their_cases() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let (peaks, _) = pool.install(Peaks::measure);
    let effort = Effort { rounds: FEWEST, seconds: 0.0, sample: 1e-6 };
    let (sizes, pools) = (Sizes::Quick, vec![(pool, peaks)]);
    let only = String::new();
    let mut bench = Bench { sizes, effort, pools, peers: None, only, cases: Vec::new() };
    for group in [Group::Fwht, Group::Gram, Group::Dense, Group::Sketch] {
        let before = bench.cases.len();
        group.measure(&mut bench).unwrap();
        assert!(bench.cases.len() > before, "{group:?}");
    }
    for case in &bench.cases {
        let ours = case.ours().unwrap();
        assert!(ours.seconds.min > 0.0 && ours.share.max > 0.0, "{case:?}");
    }
    for (index, case) in bench.cases.iter().enumerate() {
        assert!(bench.cases[..index].iter().all(|other| other.key() != case.key()), "{case:?}");
    }
    let mut bench = Bench { only: "solve".into(), cases: Vec::new(), ..bench };
    Group::Dense.measure(&mut bench).unwrap();
    assert!(
        !bench.cases.is_empty() && bench.cases.iter().all(|case| case.kernel == "triangular solve")
    );
}
