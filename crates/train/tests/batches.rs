//! Laws of training by batches.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::cell::Cell;
use core::ops::ControlFlow;
use std::sync::Mutex;

use common::{noise, norm};
use faer::Par;
use nearlin::{
    Batches, Ending, Equations, Event, Network, NpyRows, Options, Scale, Source, TrainError, train,
    train_batches,
};
use proptest::prelude::*;

/// Rows on the unit sphere of `d` inputs and a smooth function of them.
fn equations(n: usize, d: usize, seed: u64) -> Equations {
    let mut x = Vec::new();
    let mut y = Vec::new();
    for i in 0..n {
        let row: Vec<f64> = (0..d).map(|q| noise(seed, i * d + q)).collect();
        let size = norm(&row);
        y.push((3.0 * row[0] / size).sin());
        x.extend(row.iter().map(|x| x / size));
    }
    Equations::new(x, y, d, 1).unwrap()
}

fn silent() -> impl FnMut(&Event<'_>) -> ControlFlow<()> {
    |_: &Event<'_>| ControlFlow::Continue(())
}

/// Stops after so many steps.
fn until(steps: usize) -> impl FnMut(&Event<'_>) -> ControlFlow<()> {
    move |event: &Event<'_>| match event {
        Event::Step(report) if report.step == steps => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }
}

/// Remembers which rows were read.
struct Recording<'a> {
    of: &'a Equations,
    read: Mutex<Vec<Vec<usize>>>,
}

impl Source for Recording<'_> {
    fn rows(&self) -> usize {
        self.of.rows()
    }

    fn inputs(&self) -> usize {
        self.of.inputs()
    }

    fn outputs(&self) -> usize {
        self.of.outputs()
    }

    fn read(&self, rows: &[usize]) -> Result<Equations, TrainError> {
        self.read.lock().unwrap().push(rows.to_vec());
        self.of.subset(rows)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The second step minimises `|r + J D|^2 + (mu + lambda) |D - theta D'|^2`, as no row of its batch has a multiplier
    /// yet: central differences along any direction vanish. At a scale of 2^20 hardly a kink is crossed; where
    /// none is, the network is linear in its weights, so that differences of quadratics are exact but for rounding,
    /// `2^20 eps` of each output at most.
    #[test]
    fn steps_minimise_what_they_should(seed in 0u64..1000, theta in 0.0f64..0.99, power in -4i32..0) {
        let (n, b, d, m) = (60, 30, 3, 64);
        let all = equations(n, d, seed);
        let (mu, damping) = (0.02, 10f64.powi(power));
        let options = Options::default().width(m).ridge(mu).seed(seed).scale(Scale::Fixed(1_048_576.0));
        let how = Batches::of(b).momentum(theta).damping(damping);
        let source = Recording { of: &all, read: Mutex::new(Vec::new()) };
        let one = train_batches(&all, &options, &how, &mut until(1)).unwrap();
        let two = train_batches(&source, &options, &how, &mut until(2)).unwrap();
        prop_assert_eq!((one.ending, two.ending), (Ending::Stopped, Ending::Stopped));
        // A run returns the best network of those that it measured on all rows, and one batch may worsen the others.
        let moved = |network: &Network| network.change().iter().any(|&u| u != 0.0);
        prop_assume!(moved(&one.network) && moved(&two.network) && one.network.change() != two.network.change());
        prop_assert!(two.steps.iter().all(|step| step.eta_inner <= 1e-9 && step.step_length == 1.0));
        // A look at all rows, then the two batches.
        let rows = source.read.lock().unwrap()[n / b + 1].clone();
        let batch = all.subset(&rows).unwrap();
        let lambda = damping * 0.5;
        let first = one.network.change();
        let crossed = Cell::new(0);
        let objective = |network: &Network| -> f64 {
            let forward = network.forward(batch.x(), Par::Seq).unwrap();
            crossed.set(crossed.get() + forward.flipped());
            let f = forward.outputs;
            let squares: f64 = f.iter().zip(batch.y()).map(|(f, y)| (f - y) * (f - y)).sum();
            let near: f64 = network.change().iter().zip(first).map(|(u, first)| {
                let step = u - first;
                (step - theta * first) * (step - theta * first)
            }).sum();
            squares + (mu + lambda) * near
        };
        let scale = norm(batch.y());
        // Along the last step, where momentum tells, and others.
        for salt in 0..3 {
            let other = (0..m * d).map(|at| noise(seed ^ salt, at)).collect();
            let along: Vec<f64> = if salt == 0 { first.to_vec() } else { other };
            let length = norm(&along);
            let at = |t: f64| {
                let mut network = two.network.clone();
                network.change_mut().iter_mut().zip(&along).for_each(|(u, a)| *u += t * a / length);
                objective(&network)
            };
            let slope = (at(0.1) - at(-0.1)) / 0.2;
            prop_assume!(crossed.get() == 0);
            prop_assert!(slope.abs() <= 1e-5 * scale, "{slope} {scale}");
        }
    }

    /// A file gives the same bits as the same rows in memory, on any number of threads.
    #[test]
    fn files_are_rows(n in 2usize..80, b in 1usize..50, single: bool, seed in 0u64..1000) {
        let all = equations(n, 4, seed);
        let round = |x: f64| if single { f64::from(x as f32) } else { x };
        let x: Vec<f64> = (0..n * 4).map(|at| round(all.x()[(at / 4, at % 4)])).collect();
        let y: Vec<f64> = all.y().iter().map(|&y| round(y)).collect();
        let all = Equations::new(x.clone(), y.clone(), 4, 1).unwrap();
        let path = file(&format!("rows-{seed}-{n}-{b}-{single}.npy"), (n, 5), single, |i, j| {
            if j < 4 { x[4 * i + j] } else { y[i] }
        });
        let rows = NpyRows::open(&path, 1).unwrap();
        prop_assert_eq!((rows.rows(), rows.inputs(), Source::outputs(&rows)), (n, 4, 1));
        let options = Options::default().width(32).ridge(0.01);
        let how = Batches::of(b).passes(2);
        let run = |source: &dyn Source, par| {
            let run = train_batches(source, &options.par(par), &how, &mut silent()).unwrap();
            (run.network.change().to_vec(), run.steps, run.rel_residual)
        };
        let found = run(&rows, Par::rayon(2));
        prop_assert_eq!(&found, &run(&all, Par::Seq));
        std::fs::remove_file(path).unwrap();
    }
}

/// An array in the format of `NumPy`, version 1.
fn file(
    name: &str,
    (rows, columns): (usize, usize),
    single: bool,
    number: impl Fn(usize, usize) -> f64,
) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("nearlin-{}-{name}", std::process::id()));
    let descr = if single { "<f4" } else { "<f8" };
    let header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    for at in 0..rows * columns {
        let number = number(at / columns, at % columns);
        if single {
            bytes.extend((number as f32).to_le_bytes());
        } else {
            bytes.extend(number.to_le_bytes());
        }
    }
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Batches end where whole steps do, whatever their ridge and their size: the same objective, to a hundredth.
#[test]
fn batches_end_where_whole_steps_do() {
    let all = equations(600, 4, 1);
    let options = Options::default().width(512).ridge(1e-2).scale(Scale::Fixed(4096.0));
    let options = options.signs(Some(nearlin::Signs::Random)).tolerance(1e-4);
    let whole = train(&all, &options, &mut silent()).unwrap();
    let objective = |network: &Network| {
        let f = network.forward(all.x(), Par::Seq).unwrap().outputs;
        let squares: f64 = f.iter().zip(all.y()).map(|(f, y)| (f - y) * (f - y)).sum();
        squares + 1e-2 * norm(network.change()).powi(2)
    };
    let least = objective(&whole.network);
    for rows in [60, 150, 600] {
        let how = Batches::of(rows).passes(30);
        let run = train_batches(&all, &options, &how, &mut silent()).unwrap();
        let found = objective(&run.network);
        assert!(found <= 1.01 * least, "{rows}: {found} {least}");
        assert!(run.steps.iter().all(|step| step.eta_inner <= 0.01));
    }
}

/// Without a ridge and with enough neurons all rows are met, although no step sees them all.
#[test]
fn consistent_rows_are_met() {
    let all = equations(200, 4, 2);
    let options = Options::default().width(1024).ridge(0.0).tolerance(1e-2);
    let how = Batches::of(50).passes(60).momentum(0.5);
    let run = train_batches(&all, &options, &how, &mut silent()).unwrap();
    assert_eq!(run.ending, Ending::Converged, "{} {}", run.reason, run.rel_residual);
    assert!(run.rel_residual <= 1e-2 && run.scale_search.last().unwrap().accepted);
}

/// Gives a row too few.
struct Short(Equations);
impl Source for Short {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn inputs(&self) -> usize {
        self.0.inputs()
    }

    fn outputs(&self) -> usize {
        self.0.outputs()
    }

    fn read(&self, rows: &[usize]) -> Result<Equations, TrainError> {
        self.0.subset(&rows[1..])
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let options = Options::default().width(8);
    let message = |how: Batches| {
        let all = equations(4, 2, 0);
        train_batches(&all, &options, &how, &mut silent()).unwrap_err().to_string()
    };
    assert_eq!(message(Batches::of(0)), "rows of a batch is 0, expected at least 1");
    assert_eq!(message(Batches::of(2).passes(0)), "passes is 0, expected at least 1");
    assert_eq!(
        message(Batches::of(2).momentum(1.0)),
        "momentum is 1, expected at least 0 and below 1"
    );
    assert_eq!(
        message(Batches::of(2).damping(0.0)),
        "damping is 0, expected a positive finite number"
    );

    let short = Short(equations(6, 2, 0));
    let error = train_batches(&short, &options, &Batches::of(3), &mut silent()).unwrap_err();
    assert_eq!(error.to_string(), "a batch of a source has 4 entries, expected 3 x 2");

    let path = file("bad.npy", (3, 3), false, |i, j| if (i, j) == (2, 1) { f64::NAN } else { 1.0 });
    let rows = NpyRows::open(&path, 1).unwrap();
    let error = train_batches(&rows, &options, &Batches::of(2), &mut silent()).unwrap_err();
    let value = match error {
        TrainError::NonFinite { what: "inputs", row: 2, col: 1, value } => value,
        other => panic!("{other}"),
    };
    assert!(value.is_nan());
    let reason = |outputs| match NpyRows::open(&path, outputs).unwrap_err() {
        TrainError::Read { reason, .. } => reason,
        other => panic!("{other}"),
    };
    assert_eq!(
        reason(3),
        "the array has 3 columns, expected more than the 3 of targets, at least 1"
    );
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.pop();
    std::fs::write(&path, &bytes).unwrap();
    assert!(reason(1).contains("is not the 3 x 3 numbers of 8 bytes"), "{}", reason(1));
    std::fs::write(&path, b"a,b\n1,2\n").unwrap();
    assert!(reason(1).contains("found the header `a,b"), "{}", reason(1));
    std::fs::remove_file(&path).unwrap();
    assert!(NpyRows::open(&path, 1).unwrap_err().to_string().starts_with("cannot read "));
}
