//! `nearlin fit --batch`: what is chosen is chosen by a sample of the rows, and all rows are trained on, some at a time.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use nearlin::{
    Batches, NpyRows, Options, Plan, Rates, Run, Shape, Source, plan_batches_at, train_batches,
};
use serde::Serialize;

use super::args::FitArgs;
use super::error::ProgramError;
use super::progress::Watch;
use super::setup::Setup;
use super::{say, words};
use crate::table::{Table, TableRows, Truth, sample};

/// Rows that choices are made by, those held out for the test among them.
const SAMPLE: usize = 10_000;

/// Rows that are encoded at a time.
const BLOCK: usize = 1 << 14;

/// Bytes before the numbers of an array: all that a shape of two numbers can need.
const HEADER: usize = 128;

/// All rows of a table, of which some are in memory.
#[derive(Debug)]
pub(super) struct Beyond {
    rows: TableRows,
    /// The rows of the sample, in the order of the table that was made of them.
    sample: Vec<usize>,
    batches: Batches,
}

/// How the rows are gone over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Batching {
    /// Rows of a batch.
    pub(super) rows: usize,
    /// Most passes.
    pub(super) passes: usize,
    /// Rows that choices are made by.
    pub(super) sample_rows: usize,
    /// Rows of the table.
    #[serde(skip)]
    pub(super) all: usize,
}

/// Trains on batches of all rows but those held out for the test.
///
/// # Errors
/// [`ProgramError`] for rows that cannot be read or encoded, a temporary file that cannot be written, or training.
///
/// # Panics
/// If batches were not asked for.
pub(super) fn train(args: &FitArgs, setup: &Setup, watch: &mut Watch) -> Result<Run, ProgramError> {
    let beyond = setup.beyond.as_ref().expect("batches were asked for");
    let options = setup.training();
    let train = |source: &dyn Source, watch: &mut Watch| {
        train_batches(source, &options, &beyond.batches, watch).map_err(ProgramError::from)
    };
    if beyond.batching().whole() {
        return train(&setup.equations, watch);
    }
    let spooled = beyond.spool(args, setup)?;
    train(&spooled.rows, watch)
}

impl Beyond {
    /// The sample of the table that `args` name and all its rows, if it is to be trained on in batches.
    ///
    /// # Errors
    /// [`ProgramError::Table`] for a table that cannot be read.
    pub(super) fn open(args: &FitArgs) -> Result<Option<(Table, Self)>, ProgramError> {
        let Some(batch) = args.batch else { return Ok(None) };
        let rows = TableRows::open(Path::new(&args.data))?;
        let sample = sample(rows.rows(), SAMPLE, args.seed);
        let table = rows.read(&sample)?;
        let batches = Batches::of(batch).passes(args.passes);
        Ok(Some((table, Self { rows, sample, batches })))
    }

    /// How the rows are gone over.
    pub(super) fn batching(&self) -> Batching {
        let Batches { rows, passes, .. } = self.batches;
        let all = self.rows.rows();
        Batching { rows: rows.min(all), passes, sample_rows: self.sample.len(), all }
    }

    /// The plan for batches of a problem with equations of this shape.
    pub(super) fn plan(&self, shape: &Shape, options: &Options, rates: &Rates) -> Plan {
        let batching = self.batching();
        let mut batch = *shape;
        batch.rows = batching.rows;
        plan_batches_at(batching.all, &batch, options, &self.batches, rates)
    }

    /// Encodes the rows, once for all passes, into a file that is gone after the run.
    fn spool(&self, args: &FitArgs, setup: &Setup) -> Result<Spooled, ProgramError> {
        let failed = |source| ProgramError::Spool { folder: std::env::temp_dir(), source };
        let (problem, equations) = (&setup.problem, &setup.equations);
        let columns = equations.inputs() + equations.outputs();
        if !args.quiet {
            let bytes = 8.0 * (self.rows.rows() * columns) as f64;
            say(&format_args!(
                "encoding all rows into a temporary file of {}",
                words::bytes(bytes)
            ));
        }
        let mut tested: Vec<usize> =
            problem.test.rows.iter().map(|&row| self.sample[row]).collect();
        tested.sort_unstable();
        let file = tempfile::Builder::new().prefix("nearlin-").suffix(".npy").tempfile();
        let file = file.map_err(failed)?;
        let mut out = BufWriter::new(file.as_file());
        out.write_all(&header(0, columns)).map_err(failed)?;
        let (mut written, mut left_out) = (0, 0);
        for first in (0..self.rows.rows()).step_by(BLOCK) {
            let block = first..self.rows.rows().min(first + BLOCK);
            let rows: Vec<usize> = block.filter(|row| tested.binary_search(row).is_err()).collect();
            let (x, y) = self.encode(setup, &rows)?;
            let (x, y) = (x.chunks_exact(equations.inputs()), y.chunks_exact(equations.outputs()));
            left_out += rows.len() - x.len();
            written += x.len();
            for number in x.zip(y).flat_map(|(x, y)| x.iter().chain(y)) {
                out.write_all(&number.to_le_bytes()).map_err(failed)?;
            }
        }
        let mut file_out: &File = out.into_inner().map_err(|error| failed(error.into_error()))?;
        file_out.seek(SeekFrom::Start(0)).map_err(failed)?;
        file_out.write_all(&header(written, columns)).map_err(failed)?;
        if left_out > 0 && !args.quiet {
            say(&format_args!(
                "warning: {} without a target, or of a class that the sample does not have, left out",
                words::counted(left_out, "row")
            ));
        }
        let rows = NpyRows::open(file.path(), equations.outputs())?;
        // What is open can be read without a name, and no end of the process leaves it behind.
        let named = if cfg!(unix) { None } else { Some(file) };
        Ok(Spooled { rows, _named: named })
    }

    /// Inputs and targets of these rows, as far as they have a target that the sample knows.
    fn encode(&self, setup: &Setup, rows: &[usize]) -> Result<(Vec<f64>, Vec<f64>), ProgramError> {
        let (encoder, target) = (&setup.problem.encoder, &setup.problem.target);
        let table = self.rows.read(rows)?;
        let column = table.column(&target.column);
        let has_target = |row: &usize| column.is_some_and(|column| !column.is_missing(*row));
        let mut rows: Vec<usize> = (0..table.rows()).filter(has_target).collect();
        let mut truth = target.truth(&table, &rows)?;
        if let Truth::Labels(labels) = &mut truth {
            let mut known = labels.iter().map(Option::is_some);
            rows.retain(|_| known.next().unwrap_or(false));
            labels.retain(Option::is_some);
        }
        let mut x = encoder.encode(&table, &rows)?.x;
        if let Some(choice) = &setup.metric {
            choice.metric.apply(&mut x);
        }
        Ok((x, target.encode(&truth)))
    }
}

impl Batching {
    /// Whether the sample is all rows.
    pub(super) fn whole(&self) -> bool {
        self.sample_rows == self.all
    }

    /// Rows that are trained on where `tested` are held out.
    pub(super) fn trained(&self, tested: usize) -> usize {
        self.all - tested
    }

    /// The ridge for all rows that is for each what `ridge` is for each of those of the sample, without the `tested`.
    pub(super) fn ridge(&self, ridge: f64, tested: usize) -> f64 {
        let grown = self.trained(tested) as f64 / (self.sample_rows - tested) as f64;
        if self.whole() { ridge } else { ridge * grown }
    }
}

/// Encoded rows in a file.
#[derive(Debug)]
struct Spooled {
    rows: NpyRows,
    /// Removes it where its name must last as long as it is read.
    _named: Option<tempfile::NamedTempFile>,
}

/// The beginning of an NPY file of so many rows.
fn header(rows: usize, columns: usize) -> [u8; HEADER] {
    let mut bytes = [b' '; HEADER];
    let text =
        format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    bytes[..8].copy_from_slice(b"\x93NUMPY\x01\x00");
    bytes[8..10].copy_from_slice(&(HEADER as u16 - 10).to_le_bytes());
    bytes[10..10 + text.len()].copy_from_slice(text.as_bytes());
    bytes[HEADER - 1] = b'\n';
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row bears the same ridge, whether all are trained on or a sample.
    #[test]
    fn ridges_grow_with_the_rows() {
        let batching = Batching { rows: 100, passes: 1, sample_rows: 500, all: 10_100 };
        assert_eq!((batching.whole(), batching.trained(100)), (false, 10_000));
        assert!((batching.ridge(0.4, 100) - 0.4 * 10_000.0 / 400.0).abs() < 1e-12);
        let all = Batching { sample_rows: 10_100, ..batching };
        assert!(all.whole());
        assert_eq!(all.ridge(0.4, 100).to_bits(), 0.4_f64.to_bits());
    }

    #[test]
    fn headers_are_of_any_shape() {
        for rows in [0, usize::MAX] {
            let header = header(rows, usize::MAX);
            assert!(header.ends_with(b"\n") && header.starts_with(b"\x93NUMPY\x01\x00"));
            let text = String::from_utf8_lossy(&header[10..]).into_owned();
            assert!(text.contains(&format!("({rows}, {}), }}", usize::MAX)), "{text}");
        }
    }
}
