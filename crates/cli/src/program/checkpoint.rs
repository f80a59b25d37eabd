//! Runs that survive the end of their process: what `--checkpoint` writes and `--resume` reads.
//!
//! A file is [`MAGIC`], a CRC-32 of the rest and the rest, [`Held`] in postcard's format; it appears whole or
//! not at all. Whatever is learned before training (metric, ridges) is in it as well.

use std::fs;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flate2::Crc;
use nearlin::{
    Checkpoint, Equations, Event, LossCheckpoint, MetricChoice, Observer, RidgePath, Run,
    SolverKind, WidthChoice, resume, resume_loss, train,
};
use serde::{Deserialize, Serialize};

use super::args::{FitArgs, RidgeRows};
use super::error::ProgramError;
use super::progress::{StepTime, Watch};
use super::setup::Setup;
use super::{say, words};
use crate::output;

/// How a checkpoint begins; the digit is the version of the format.
const MAGIC: &[u8] = b"nearlin checkpoint 7\n";

/// Bytes before the payload.
const HEAD: usize = MAGIC.len() + 4;

/// A file that is no usable checkpoint.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckpointError {
    /// There is one, and nobody asked to go on with it.
    #[error(
        "`{path}` is there already: `--resume` goes on with it, another name or removing it begins anew"
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot read the checkpoint `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not written by this program, or damaged since.
    #[error("`{path}` is no checkpoint of this version: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Of another call.
    #[error(
        "`{path}` is a checkpoint of a run with {found}, expected {expected}: --resume takes the options that the run began with"
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// What it is of.
        found: String,
        /// What it should be of.
        expected: String,
    },
}

/// All that a run would have to do again.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Held {
    /// Digest of the equations before any metric.
    equations: u64,
    /// The options that decide what is learned before training.
    choices: String,
    pub(super) metric: Option<MetricChoice>,
    pub(super) width: Option<WidthChoice>,
    pub(super) ridge_path: Option<RidgePath>,
    /// The last kept step; `None` before the first.
    run: Option<Checkpoint>,
    /// The same of a run on a loss of its own.
    loss_run: Option<LossCheckpoint>,
    /// Times of the steps at its scale, and of those at a larger scale that certified.
    times: Vec<StepTime>,
    certified: Option<Vec<StepTime>>,
}

/// A checkpoint's file, and what it held when the program began.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    held: Option<Held>,
}

impl Store {
    /// The store that a call asks for, read if the run is to go on; `None` without one.
    ///
    /// # Errors
    /// [`CheckpointError`]. A file that is not there is no error, so that one call serves both the first
    /// time and later ones.
    pub(super) fn open(args: &FitArgs) -> Result<Option<Self>, ProgramError> {
        let Some(path) = args.checkpoint.clone() else { return Ok(None) };
        let held = match fs::read(&path) {
            Ok(_) if !args.resume => return Err(CheckpointError::Exists { path }.into()),
            Ok(bytes) => Some(
                Held::from_bytes(&bytes)
                    .map_err(|reason| CheckpointError::Unusable { path: path.clone(), reason })?,
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(source) => return Err(CheckpointError::Read { path, source }.into()),
        };
        Ok(Some(Self { path, held }))
    }

    /// The solver that a run which goes on began with: another one may be planned for more steps or on another machine.
    pub(super) fn planned(&self) -> Option<SolverKind> {
        let held = self.held.as_ref()?;
        let squared = held.run.as_ref().map(Checkpoint::planned);
        squared.or_else(|| held.loss_run.as_ref().map(LossCheckpoint::planned))
    }

    /// What was held, if it is of these equations and options.
    ///
    /// # Errors
    /// [`CheckpointError::Other`].
    pub(super) fn held(
        &self,
        args: &FitArgs,
        equations: &Equations,
    ) -> Result<Option<&Held>, ProgramError> {
        let Some(held) = &self.held else { return Ok(None) };
        let other = |found: String, expected: String| {
            Err(CheckpointError::Other { path: self.path.clone(), found, expected }.into())
        };
        let choices = choices(args);
        if held.choices != choices {
            return other(format!("`{}`", held.choices), format!("`{choices}`"));
        }
        if held.equations != equations.digest() {
            return other("other data".into(), "the same rows, columns and split".into());
        }
        Ok(Some(held))
    }

    /// Trains, or goes on with the training, and sets the run down after each step.
    ///
    /// # Errors
    /// [`ProgramError`] as of training; a checkpoint of other options among it.
    pub(super) fn train(
        self,
        args: &FitArgs,
        setup: &Setup,
        watch: &mut Watch,
    ) -> Result<Run, ProgramError> {
        let Self { path, held } = self;
        let Held { run, loss_run, times, certified, .. } = held.unwrap_or_default();
        let (equations, options) = (&setup.equations, setup.training());
        let mut keeper = Keeper {
            held: Held {
                equations: setup.digest,
                choices: choices(args),
                metric: setup.metric.clone(),
                width: setup.width,
                ridge_path: setup.ridge_path.clone(),
                ..Held::default()
            },
            path,
            watch,
            failed: false,
        };
        let weights = setup.problem.weights.as_deref();
        let going_on = |steps: usize, keeper: &mut Keeper<'_>| {
            if !args.quiet {
                let (path, steps) = (keeper.path.display(), words::counted(steps, "step"));
                say(&format_args!("going on from {path}, after {steps}"));
            }
            keeper.watch.take_up(times, certified);
        };
        match (setup.loss, run, loss_run) {
            (None, Some(run), _) => {
                going_on(run.steps().len(), &mut keeper);
                Ok(resume(equations, &options, &run, &mut keeper)?)
            }
            (Some(loss), _, Some(run)) => {
                going_on(run.steps().len(), &mut keeper);
                Ok(resume_loss(equations, loss, weights, &options, &run, &mut keeper)?)
            }
            (None, None, _) => {
                keeper.write();
                Ok(train(equations, &options, &mut keeper)?)
            }
            (Some(loss), _, None) => {
                keeper.write();
                super::loss::train(setup, loss, &mut keeper)
            }
        }
    }
}

impl Held {
    fn to_bytes(&self) -> Result<Vec<u8>, postcard::Error> {
        let bytes = postcard::to_extend(self, vec![0; HEAD])?;
        let sum = check_sum(&bytes[HEAD..]);
        let mut bytes = bytes;
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        bytes[MAGIC.len()..HEAD].copy_from_slice(&sum.to_le_bytes());
        Ok(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let rest = bytes.strip_prefix(MAGIC).ok_or("it begins otherwise")?;
        let (sum, payload) = rest.split_at_checked(4).ok_or("it ends early")?;
        if sum != check_sum(payload).to_le_bytes() {
            return Err("its check sum does not hold, so it is damaged".into());
        }
        postcard::from_bytes(payload).map_err(|error| error.to_string())
    }
}

fn check_sum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    bytes.chunks(1 << 20).for_each(|chunk| crc.update(chunk));
    crc.sum()
}

/// The options that decide what is learned before training; the rest is in the library's checkpoint.
fn choices(args: &FitArgs) -> String {
    let ridge = args.ridge.0.map_or("auto".into(), |mu| mu.to_string());
    let metric = args.metric_forms().map_or("none".into(), |forms| {
        let names: Vec<&str> = forms.iter().map(|form| form.name()).collect();
        names.join(" or ")
    });
    let path = if args.ridge_plot.is_some() { " --ridge-plot" } else { "" };
    let rows = if args.ridge_rows == RidgeRows::All { " --ridge-rows all" } else { "" };
    let signs = format!("{:?}", args.signs).to_lowercase();
    let width = args.width.0.map_or("auto".into(), |m| m.to_string());
    let seed = args.seed;
    let loss = args.loss.name();
    let weights =
        args.weights.as_ref().map_or(String::new(), |column| format!(" --weights {column}"));
    let classes = format!("{:?}", args.class_weights).to_lowercase();
    format!(
        "--loss {loss}{weights} --class-weights {classes} --width {width} --seed {seed} --signs {signs} --ridge {ridge}{path}{rows}, metric {metric}"
    )
}

/// An observer that writes each kept step.
struct Keeper<'a> {
    held: Held,
    path: PathBuf,
    watch: &'a mut Watch,
    /// Whether a failure to write was told.
    failed: bool,
}

impl Keeper<'_> {
    /// Writes what is held; a failure is told once and stops nothing.
    fn write(&mut self) {
        if let Err(error) = write(&self.held, &self.path)
            && !std::mem::replace(&mut self.failed, true)
        {
            say(&format_args!("nearlin: warning: no checkpoint: {error}"));
        }
    }
}

fn write(held: &Held, path: &Path) -> Result<(), String> {
    let bytes = held.to_bytes().map_err(|error| error.to_string())?;
    output::write(path, |out| out.write_all(&bytes)).map_err(|error| error.to_string())
}

impl Observer for Keeper<'_> {
    fn on_event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        let flow = self.watch.on_event(event);
        match event {
            Event::Kept(snapshot) => self.held.run = Some(snapshot.take()),
            Event::KeptOnLoss(snapshot) => self.held.loss_run = Some(snapshot.take()),
            _ => return flow,
        }
        (self.held.times, self.held.certified) = self.watch.times();
        self.write();
        flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_seen() {
        let held = Held { choices: "some".into(), ..Held::default() };
        let bytes = held.to_bytes().unwrap();
        assert_eq!(Held::from_bytes(&bytes).unwrap().choices, "some");
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 1;
            assert!(Held::from_bytes(&broken).is_err(), "byte {at}");
            assert!(Held::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
