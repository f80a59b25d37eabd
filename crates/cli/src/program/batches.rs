//! `nearlin fit --batch`: what is chosen is chosen by a sample of the rows, and all rows are trained on, some at a time.

use std::collections::HashMap;
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
use crate::table::{Encoded, Table, TableError, TableRows, Truth, Warning, sample};

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
    /// Rows that were encoded to be trained on, once they are.
    encoded: Option<usize>,
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
    /// Rows that were encoded to be trained on, once they are.
    #[serde(skip)]
    pub(super) encoded: Option<usize>,
}

/// Encodes all rows of `setup` but those held out for the test, where they are to be trained on in batches and are more
/// than its sample; it knows of them then.
///
/// # Errors
/// [`ProgramError`] for rows that cannot be read or encoded, or a temporary file that cannot be written.
pub(super) fn rows(args: &FitArgs, setup: &mut Setup) -> Result<Option<NpyRows>, ProgramError> {
    let Some(beyond) = setup.beyond.as_ref().filter(|beyond| !beyond.batching().whole()) else {
        return Ok(None);
    };
    let spooled = beyond.spool(args, setup)?;
    for warning in &spooled.warnings {
        if !args.quiet {
            say(&format_args!("warning: {warning}"));
        }
    }
    setup.warnings.extend(spooled.warnings);
    if let Some(beyond) = &mut setup.beyond {
        beyond.encoded = Some(spooled.rows.rows());
    }
    Ok(Some(spooled.rows))
}

/// Trains on batches of `rows`, or of the equations of `setup` where it has none.
///
/// # Errors
/// [`ProgramError`] for rows that cannot be read, or training.
pub(super) fn train(
    setup: &Setup,
    beyond: &Beyond,
    rows: Option<&NpyRows>,
    watch: &mut Watch,
) -> Result<Run, ProgramError> {
    let source: &dyn Source = match rows {
        Some(rows) => rows,
        None => &setup.equations,
    };
    Ok(train_batches(source, &setup.training(), &beyond.batches, watch)?)
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
        Ok(Some((table, Self { rows, sample, batches, encoded: None })))
    }

    /// How the rows are gone over.
    pub(super) fn batching(&self) -> Batching {
        let Batches { rows, passes, .. } = self.batches;
        let (all, encoded) = (self.rows.rows(), self.encoded);
        Batching { rows, passes, sample_rows: self.sample.len(), all, encoded }
    }

    /// Equations that are trained on, where those of the sample are `equations` from its `taught` rows and others are `tested`.
    pub(super) fn trained(&self, equations: usize, (taught, tested): (usize, usize)) -> usize {
        let batching = self.batching();
        if batching.whole() { equations } else { batching.trained(taught, tested) }
    }

    /// The plan for batches of `trained` equations of this shape.
    pub(super) fn plan(
        &self,
        trained: usize,
        shape: &Shape,
        options: &Options,
        rates: &Rates,
    ) -> Plan {
        let mut batch = *shape;
        batch.rows = self.batches.rows.min(trained);
        plan_batches_at(trained, &batch, options, &self.batches, rates)
    }

    /// Encodes the rows, once for all passes, into a file without a name, which no end of the process leaves behind.
    fn spool(&self, args: &FitArgs, setup: &Setup) -> Result<Spooled, ProgramError> {
        let failed = |source| ProgramError::Spool { folder: std::env::temp_dir(), source };
        let equations = &setup.equations;
        let columns = equations.inputs() + equations.outputs();
        if !args.quiet {
            let bytes = 8.0 * (self.rows.rows() * columns) as f64;
            say(&format_args!(
                "encoding all rows into a temporary file of {}",
                words::bytes(bytes)
            ));
        }
        let file = tempfile::tempfile().map_err(failed)?;
        let mut out = BufWriter::new(&file);
        out.write_all(&header(0, columns)).map_err(failed)?;
        let encoding = Encoding::new(setup, &self.sample);
        let (mut written, mut left_out, mut warnings) = (0, 0, Vec::<Warning>::new());
        self.rows.blocks(BLOCK, &mut |first, table| {
            let Block { x, y, without, warnings: of_block } = encoding.of(&table, first)?;
            left_out += without;
            written += x.len() / equations.inputs();
            for warning in of_block {
                if !warnings.iter_mut().any(|held| held.absorb(&warning)) {
                    warnings.push(warning);
                }
            }
            let (x, y) = (x.chunks_exact(equations.inputs()), y.chunks_exact(equations.outputs()));
            for number in x.zip(y).flat_map(|(x, y)| x.iter().chain(y)) {
                out.write_all(&number.to_le_bytes()).map_err(failed)?;
            }
            Ok::<(), ProgramError>(())
        })?;
        let mut start: &File = out.into_inner().map_err(|error| failed(error.into_error()))?;
        start.seek(SeekFrom::Start(0)).map_err(failed)?;
        start.write_all(&header(written, columns)).map_err(failed)?;
        let mut warnings: Vec<String> =
            warnings.iter().map(|warning| format!("beyond the sample: {warning}")).collect();
        if left_out > 0 {
            warnings.push(format!(
                "{} without a target, or of a class that the sample does not have, left out",
                words::counted(left_out, "row")
            ));
        }
        let name = std::env::temp_dir().join("the temporary file of encoded rows");
        Ok(Spooled { rows: NpyRows::from_file(file, name, equations.outputs())?, warnings })
    }
}

impl Batching {
    /// Whether the sample is all rows.
    pub(super) fn whole(&self) -> bool {
        self.sample_rows == self.all
    }

    /// Rows that are trained on, where of those of the sample `taught` are and `tested` are held out, and the others have no
    /// target: those that were encoded, or as many as that makes expect.
    pub(super) fn trained(&self, taught: usize, tested: usize) -> usize {
        let usable = (taught + tested) as f64 / self.sample_rows as f64;
        let expected = (usable * self.all as f64).round() as usize;
        self.encoded.unwrap_or_else(|| expected.saturating_sub(tested).max(taught))
    }

    /// How many times as many rows are expected to be trained on as the sample has: what a ridge for them is times one for
    /// those of the sample, if it is to be the same for each.
    pub(super) fn growth(&self, taught: usize, tested: usize) -> f64 {
        let expected = Self { encoded: None, ..*self }.trained(taught, tested);
        if self.whole() { 1.0 } else { expected as f64 / taught as f64 }
    }
}

/// Encoded rows, and what to say of them.
#[derive(Debug)]
struct Spooled {
    rows: NpyRows,
    warnings: Vec<String>,
}

/// How the rows of a table become those that are trained on.
struct Encoding<'a> {
    setup: &'a Setup,
    /// Rows that are held out for the test, ascending.
    tested: Vec<usize>,
    /// The rows that codes were learned from, with their places among the training rows of the sample.
    taught: HashMap<usize, usize>,
}

/// Some encoded rows.
struct Block {
    /// n x d.
    x: Vec<f64>,
    /// n x K.
    y: Vec<f64>,
    /// Rows that have no target, or one that the sample does not know.
    without: usize,
    warnings: Vec<Warning>,
}

impl<'a> Encoding<'a> {
    fn new(setup: &'a Setup, sample: &[usize]) -> Self {
        let (train, test) = (&setup.problem.train.rows, &setup.problem.test.rows);
        let mut tested: Vec<usize> = test.iter().map(|&row| sample[row]).collect();
        tested.sort_unstable();
        let taught = train.iter().enumerate().map(|(place, &row)| (sample[row], place)).collect();
        Self { setup, tested, taught }
    }

    /// The rows of `table`, of which `first` is the place of the first among all, but for those held out.
    fn of(&self, table: &Table, first: usize) -> Result<Block, TableError> {
        let Setup { problem, equations, metric, .. } = self.setup;
        let (encoder, target) = (&problem.encoder, &problem.target);
        let column = table.column(&target.column);
        let trained: Vec<usize> = (0..table.rows())
            .filter(|row| self.tested.binary_search(&(first + row)).is_err())
            .collect();
        let has_target = |row: &usize| column.is_some_and(|column| !column.is_missing(*row));
        let mut rows: Vec<usize> = trained.iter().copied().filter(has_target).collect();
        let mut truth = target.truth(table, &rows)?;
        if let Truth::Labels(labels) = &mut truth {
            let mut known = labels.iter().map(Option::is_some);
            rows.retain(|_| known.next().unwrap_or(false));
            labels.retain(Option::is_some);
        }
        let Encoded { mut x, warnings, inputs } = encoder.encode(table, &rows)?;
        if let Some(choice) = metric {
            choice.metric.apply(&mut x);
        }
        // As it was for the sample: the code of a row that codes were learned from must not hold its own target.
        for (x, row) in x.chunks_exact_mut(inputs).zip(&rows) {
            if let Some(&place) = self.taught.get(&(first + row)) {
                let equation = problem.equations.equation_of[place];
                let root = problem.equations.weights[equation].sqrt();
                let row = equations.x().row(equation);
                x.iter_mut().zip(row.iter()).for_each(|(x, known)| *x = known / root);
            }
        }
        let (without, y) = (trained.len() - rows.len(), target.encode(&truth));
        Ok(Block { x, y, without, warnings })
    }
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
    use clap::Parser;

    use super::*;
    use crate::program::args::{Args, Command};

    /// Each row bears the same ridge, whether all are trained on or a sample; rows without a target are not counted.
    #[test]
    fn ridges_grow_with_the_rows() {
        let of = |all: usize| Batching { rows: 9, passes: 1, sample_rows: 500, all, encoded: None };
        let batching = of(10_100);
        assert_eq!((batching.whole(), batching.trained(400, 100)), (false, 10_000));
        assert!((batching.growth(400, 100) - 25.0).abs() < 1e-12);
        assert_eq!(batching.trained(30, 20), 1010 - 20);
        assert!((batching.growth(30, 20) - 33.0).abs() < 1e-12);
        let known = Batching { encoded: Some(977), ..batching };
        assert_eq!(known.trained(30, 20), 977);
        assert!((known.growth(30, 20) - 33.0).abs() < 1e-12);
        assert!(of(500).whole() && of(500).growth(400, 100).to_bits() == 1.0_f64.to_bits());
    }

    /// No row is trained on with a code that holds its own target: targets are noise, and means of others tell nothing of
    /// them, while a mean of four rows with one's own has a quarter of it.
    #[test]
    fn codes_hold_no_targets_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        let noise = |i: usize| ((i as f64 * 12.9898).sin() * 43_758.545_3).rem_euclid(1.0) - 0.5;
        let rows = 10_400;
        let line = |i: usize| format!("u{},{},{}\n", i * 7 % 2600, noise(i), noise(i + rows));
        let text: String =
            std::iter::once("u,x,y\n".to_owned()).chain((0..rows).map(line)).collect();
        std::fs::write(&path, text).unwrap();
        let call = ["fit", &path.display().to_string(), "--target", "y", "--batch", "1000"];
        let options = ["--width", "16", "--ridge", "1", "--metric", "none", "--quiet"];
        let call = ["nearlin"].into_iter().chain(call).chain(options);
        let Command::Fit(args) = Args::try_parse_from(call).unwrap().command else { panic!() };
        let setup = Setup::new(&args, None).unwrap();
        let beyond = setup.beyond.as_ref().unwrap();
        let spooled = beyond.spool(&args, &setup).unwrap();
        let n = spooled.rows.rows();
        assert_eq!(n, rows - 2000);
        let all = spooled.rows.read(&(0..n).collect::<Vec<_>>()).unwrap();
        let size = all.y().iter().map(|y| y * y).sum::<f64>();
        // The column that codes levels is the first.
        let along: f64 = (0..n).map(|i| all.x()[(i, 0)] * all.y()[i]).sum();
        let length: f64 = (0..n).map(|i| all.x()[(i, 0)].powi(2)).sum();
        let correlation = along / (size * length).sqrt();
        assert!(correlation.abs() < 0.1, "{correlation}");
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
