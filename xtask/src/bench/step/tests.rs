//! Tests of the step benchmark on made times.

use clap::Parser;

use super::clock::{Phases, Sample};
use super::*;
use crate::bench::facts::Machine;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn protocol(line: &str) -> Protocol {
    Protocol::of(&Line::try_parse_from(line.split(' ')).unwrap().args, 7)
}

/// As many repetitions, with this limit of a step and no other.
fn effort(repetitions: usize, step: f64) -> Effort {
    Effort { repetitions, step, size: f64::INFINITY }
}

/// A real step of the smallest problem, to have a report.
fn a_step(seconds: f64, build: f64) -> Timed {
    let options = options().width(64).solver(Some(SolverKind::Cholesky));
    let timed = one_step(&data::equations(16).unwrap(), &options, &mut Pace::of_pool()).unwrap();
    assert!(timed.sample.fma_per_second > 0.0);
    assert!(timed.sample.seconds > 0.0 && timed.sample.start_seconds > 0.0);
    let parts: f64 = timed.sample.phases.named().iter().map(|(_, seconds)| seconds).sum();
    assert!(parts > 0.0 && parts <= timed.sample.seconds * (1.0 + 1e-9), "{:?}", timed.sample);
    let phases = Phases { build, solve: seconds - build, ..Phases::default() };
    Timed { sample: Sample { seconds, start_seconds: 0.5, fma_per_second: 1e9, phases }, ..timed }
}

/// A report on made times: cholesky takes `m / 1000` seconds, srht four times that up to the limit
/// and arc-cosine fails.
pub(super) fn report() -> Report {
    let protocol = protocol("step --m 512,256,1024,2048 --at-n 16 --n 16 --at-m 64 --reps 3");
    let made = a_step(1.0, 1.0);
    let step = |solver, size: Size| match solver {
        SolverKind::Cholesky | SolverKind::Srht => {
            let factor = if solver == SolverKind::Srht { 4.0 } else { 1.0 };
            let seconds = factor * size.m as f64 / 1000.0;
            let phases =
                Phases { build: 0.75 * seconds, solve: 0.25 * seconds, ..made.sample.phases };
            Ok(Timed { sample: Sample { seconds, phases, ..made.sample }, ..made.clone() })
        }
        _ => Err("no step was kept".into()),
    };
    let solvers = [SolverKind::Cholesky, SolverKind::Srht, SolverKind::ArcCosine];
    let sizes = protocol.sizes(Along::M);
    let runs = curve::round_robin(&solvers, &sizes, effort(2, 4.0), step);
    let twice = |solver, size: Size| {
        let seconds = if solver == SolverKind::Srht { 1.0 } else { size.m as f64 / 500.0 };
        let (iterations, iteration_seconds) = (9.0, 0.0);
        Some(Prediction { seconds, build_seconds: seconds, iterations, iteration_seconds })
    };
    let curves = runs.into_iter().map(|run| Curve::new(Along::M, run, twice)).collect();
    let machine = Machine { cpu: "Chip".into(), cores: 7, memory_bytes: 1 << 30 };
    let (command, date) = ("cargo xtask bench step".into(), "2001-02-03".into());
    let facts = Facts { command, date, commit: "abc".into(), machine };
    Report { benchmark: "step", facts, protocol, rates: Rates::default(), curves }
}

#[test]
fn arguments_and_defaults() {
    let full = protocol("step");
    assert_eq!(full.widths, [1024, 2048, 4096, 8192, 16384]);
    assert_eq!(full.rows, [256, 512, 1024, 2048]);
    assert_eq!((full.rows_of_widths, full.width_of_rows), (1024, 4096));
    assert_eq!((full.threads, full.repetitions, full.limit_seconds), (7, 5, 60.0));
    assert_eq!((full.inputs, full.scale, full.ridge), (64, 8.0, 0.0));

    let asked = protocol("step --quick --n 512,64,512 --threads 2 --reps 5 --limit-seconds 1.5");
    assert_eq!((&asked.rows, asked.rows_of_widths), (&vec![64, 512], 128));
    assert_eq!((asked.threads, asked.repetitions, asked.limit_seconds), (2, 5, 1.5));
    assert_eq!((full.size_seconds, asked.size_seconds), (600.0, 600.0));
    assert_eq!(asked.widths, [128, 256, 512]);
    for wrong in ["--m 63", "--m 0", "--n 0", "--n a", "--threads 0", "--reps 2", "--at-m 5"] {
        let line = format!("step {wrong}");
        assert!(Line::try_parse_from(line.split(' ')).is_err(), "{wrong}");
    }
}

#[test]
fn solvers_take_turns_and_drop_out_past_the_limit() {
    let timed = a_step(1.0, 0.5);
    let mut calls = Vec::new();
    let sizes = [1, 2].map(|n| Size { n, m: 64 });
    let step = |solver: SolverKind, size: Size| {
        calls.push((solver.name(), size.n));
        let slow = solver == SolverKind::Srht && size.n == 1;
        let seconds = if slow { 9.0 } else { 1.0 };
        Ok(Timed { sample: Sample { seconds, ..timed.sample }, ..timed.clone() })
    };
    let solvers = [SolverKind::Cholesky, SolverKind::Srht, SolverKind::Cg];
    let runs = curve::round_robin(&solvers, &sizes, effort(2, 8.0), step);
    let expected = [
        ("cholesky", 1),
        ("srht", 1),
        ("cg", 1),
        ("cholesky", 1),
        ("cg", 1),
        ("cholesky", 2),
        ("cg", 2),
        ("cholesky", 2),
        ("cg", 2),
    ];
    assert_eq!(calls, expected);
    let curves: Vec<Curve> =
        runs.into_iter().map(|run| Curve::new(Along::N, run, |_, _| None)).collect();
    assert_eq!(curves.iter().map(|c| c.points.len()).collect::<Vec<_>>(), [2, 1, 2]);
    assert_eq!(curves[1].points[0].samples.len(), 1);
    let ended = curves[1].ended.as_deref().unwrap();
    assert_eq!(
        ended,
        "stopped at n = 1, m = 64: a step took 9.00 s, more than the limit of 8.00 s"
    );
    assert!(curves[0].ended.is_none() && curves[2].ended.is_none());
}

/// A step takes a second and half a second before it: the second repetition of both solvers ends at
/// six seconds.
#[test]
fn a_size_that_took_too_long_gets_no_further_repetition() {
    let timed = a_step(1.0, 0.5);
    let solvers = [SolverKind::Cholesky, SolverKind::Srht];
    let sizes = [1, 2].map(|n| Size { n, m: 64 });
    let step = |_: SolverKind, _: Size| Ok(timed.clone());
    let samples = |size: f64| -> Vec<usize> {
        let effort = Effort { size, ..effort(5, 8.0) };
        let runs = curve::round_robin(&solvers, &sizes, effort, step);
        runs.into_iter()
            .flat_map(|run| Curve::new(Along::N, run, |_, _| None).points)
            .map(|point| point.samples.len())
            .collect()
    };
    assert_eq!(samples(5.9), [2; 4]);
    assert_eq!(samples(6.1), [3; 4]);
    assert_eq!(samples(0.0), [1; 4]);
    assert_eq!(samples(f64::INFINITY), [5; 4]);
}

/// Both curves are exactly linear, so the exponents are 1 up to rounding.
#[test]
fn slopes_are_fitted_to_medians() {
    let report = report();
    let [cholesky, srht, arc_cosine] = &report.curves[..] else { panic!("three curves") };
    for slope in [cholesky.slopes.all, cholesky.slopes.last_three, srht.slopes.last_three] {
        assert!((slope.unwrap() - 1.0).abs() < 1e-12);
    }
    assert_eq!((cholesky.points.len(), srht.points.len()), (4, 3));
    assert_eq!(cholesky.at(2048).unwrap().seconds.median, 2.048);
    assert!(arc_cosine.points.is_empty() && arc_cosine.slopes.all.is_none());
}

#[test]
fn sentences_follow_the_numbers() {
    let report = report();
    let told = story::sentences(Along::M, &report.along(Along::M));
    assert!(told[0].contains("m^1.00 with cholesky and m^1.00 with srht"), "{}", told[0]);
    assert!(told[0].contains("No exponent is above 1.1"), "{}", told[0]);
    assert_eq!(
        told[1],
        "At m = 1024 a step takes 1.02 s with cholesky (75% of it build) and 4.10 s with srht \
         (4.00 times as long, 75% of it build)."
    );
    // Predicted: cholesky 0.512, 1.024 and 2.048 where srht has 1; at the last size it is alone.
    assert!(told[2].contains("2.00 to 2.00 with cholesky"), "{}", told[2]);
    assert!(told[2].ends_with("fastest at 1 of 3 sizes."), "{}", told[2]);
    assert!(told[3].starts_with("The curve of srht stopped at n = 16, m = 1024"), "{}", told[3]);
    assert!(told[4].starts_with("The curve of arc-cosine failed at n = 16, m = 256: no step"));
    assert_eq!(told.len(), 5);
    assert!(story::sentences(Along::N, &[]).is_empty());
}

/// A size counts while no exponent up to it exceeds 1.1, whatever comes later.
#[test]
fn times_bend_where_the_first_exponent_is_large() {
    let until = |seconds: [f64; 4]| {
        story::linear_until(&[
            (256, seconds[0]),
            (512, seconds[1]),
            (1024, seconds[2]),
            (2048, seconds[3]),
        ])
    };
    assert_eq!(until([1.0, 2.0, 4.0, 8.0]), Some(2048));
    assert_eq!(until([1.0, 2.0, 8.0, 16.0]), Some(512));
    assert_eq!(until([1.0, 2.2, 4.0, 8.0]), Some(256));
    assert_eq!(until([4.0, 3.0, 2.0, 1.0]), Some(2048));
    assert_eq!(story::linear_until(&[(256, 1.0)]), None);
}

#[test]
fn the_page_and_the_chart_show_every_curve() {
    let report = report();
    let page = page::page(&report);
    for part in [
        "| cholesky |   16 |  256 |    2 |   0.256 |",
        "](step-m.svg)",
        "exponent of m",
        "was 1.00 Gflop/s (1.00 to 1.00)",
        "Scale 8, ridge 0, f64, 7 threads",
        "medians of 3 repetitions, or of fewer where those of a size took longer than 600 s",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    assert!(!page.contains("step-n.svg"), "there is no curve against n");
    let chart = chart::chart(&report, Along::M).unwrap();
    let names: Vec<&str> = chart.series.iter().map(|series| series.name.as_str()).collect();
    assert_eq!(names, ["cholesky (slope 1.00)", "srht (slope 1.00)"]);
    assert_eq!(chart.subtitle, "n = 16, d = 64, f64, 7 threads, medians of up to 3");
    assert!(chart::chart(&report, Along::N).is_none());
}

#[test]
fn the_json_holds_all_samples() {
    let json = serde_json::to_value(report()).unwrap();
    assert_eq!(json["benchmark"], "step");
    assert_eq!(json["facts"]["machine"]["cores"], 7);
    assert_eq!(json["protocol"]["widths"], serde_json::json!([256, 512, 1024, 2048]));
    let curve = &json["curves"][0];
    assert_eq!((&curve["along"], &curve["solver"]), (&"m".into(), &"cholesky".into()));
    assert_eq!(curve["ended"], serde_json::Value::Null);
    let point = &curve["points"][0];
    assert_eq!(point["samples"].as_array().unwrap().len(), 2);
    let keys = ["seconds", "start_seconds", "fma_per_second", "phases"];
    assert!(keys.iter().all(|key| !point["samples"][1][key].is_null()), "{point}");
    assert_eq!(point["seconds"]["median"], 0.256);
    assert_eq!(point["predicted"]["seconds"], 0.512);
    assert_eq!(json["curves"][1]["points"][2]["samples"].as_array().unwrap().len(), 1);
}

#[test]
fn predictions_are_those_of_the_planner() {
    for solver in SOLVERS {
        let predicted = predicted(solver, Size { n: 256, m: 512 }, &Rates::default()).unwrap();
        let sum = predicted.build_seconds + predicted.iterations * predicted.iteration_seconds;
        assert!(predicted.seconds == sum && predicted.build_seconds > 0.0, "{predicted:?}");
    }
}
