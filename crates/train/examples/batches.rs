//! Trains from a file, a batch of rows at a time, and watches the certificates of the steps.
//!
//! `cargo run --release -p nearlin --example batches [ROWS]`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;

use nearlin::{Batches, Event, NpyRows, Options, to_sphere, train_batches};

/// Inputs of a row, with the bias.
const INPUTS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let rows: usize = std::env::args().nth(1).map_or(Ok(20_000), |rows| rows.parse())?;
    let path = std::env::temp_dir().join("nearlin-batches.npy");
    write(&path, rows)?;

    // The last column holds the targets. Only batches of it are ever in memory.
    let table = NpyRows::open(&path, 1)?;
    let options = Options::default().width(1024).ridge(0.01).least_gain(1e-2);
    let batches = Batches::of(1000).passes(5);
    let mut watch = |event: &Event<'_>| {
        if let Event::Step(step) = event {
            println!(
                "step {:3}: residual {:.4} of the batch, eta_inner {:.1e}, eta_lin {:.1e}",
                step.step, step.rel_residual, step.eta_inner, step.eta_lin
            );
        }
        ControlFlow::Continue(())
    };
    let run = train_batches(&table, &options, &batches, &mut watch)?;
    println!("{}: {}; relative residual {:.4}", run.ending.name(), run.reason, run.rel_residual);
    std::fs::remove_file(path)?;
    Ok(())
}

/// An array in the format of `NumPy`: points on the unit sphere and a function of them, row after row.
fn write(path: &std::path::Path, rows: usize) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let header = format!(
        "{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, {}), }}\n",
        INPUTS + 1
    );
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&(header.len() as u16).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for i in 0..rows {
        let mut row: [f64; INPUTS] = std::array::from_fn(|q| ((i * (q + 3)) as f64 * 0.618).sin());
        let target = (2.0 * row[0]).sin() * row[1];
        to_sphere(&mut row);
        for number in row.iter().chain([&target]) {
            file.write_all(&number.to_le_bytes())?;
        }
    }
    file.flush()
}
