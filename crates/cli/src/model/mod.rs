//! The model file: everything that `predict` needs, in one safetensors file.
//!
//! Tensors `w0` and `u` (`W_0`, with the scale in it, and `W - W_0`; F64, `m x d`) and `signs` (I8, `m x K`), `metric` (F64,
//! `d - 1` or `d - 1 x d - 1`) where inputs are weighted, and `landmarks`, `inner`, `rows` and `slopes` (F64, `q x d`,
//! `q x q`, `r x d`, `r`) where intervals are known; all else is one JSON text under the metadata key [`KEY`], since a map
//! of several keys would be written in random order. Equal models give equal bytes: there is no time, path or
//! thread count in the file.

mod error;
mod format;

#[cfg(test)]
mod tests;

use std::path::Path;

use crate::calibration::Calibration;
use crate::output;
use crate::table::{Encoder, Target, Task};
use nearlin::{JackknifePlus, Metric, Network};

pub use error::ModelError;
pub use format::{KEY, VERSION};

/// A trained network with the preprocessing that belongs to it.
///
/// On an encoded row `x` output `k` is
/// `m^(-1/2) sum_r signs[r, k] (relu((w0 + u)_r . x) - relu(w0_r . x))`;
/// the second part is zero in exact arithmetic where neurons are paired at the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// `m`, the number of neurons.
    pub width: usize,
    /// `d`, the inputs after encoding, the bias included.
    pub inputs: usize,
    /// `K`.
    pub outputs: usize,
    /// Scale of the initial weights.
    pub scale: f64,
    /// Seed of the split and of the initial weights.
    pub seed: u64,
    /// Ridge.
    pub ridge: f64,
    /// Name of the precision it was trained in: `f64` or `f32`.
    pub precision: String,
    /// How raw rows become inputs.
    pub encoder: Encoder,
    /// How outputs become predictions.
    pub target: Target,
    /// How inputs are weighted; `None` for inputs as they are.
    pub metric: Option<Metric>,
    /// How sure predictions are; `None` where nothing tells.
    pub calibration: Option<Calibration>,
    /// Where its intervals are, of the residuals of [`calibration`](Self::calibration); `None` for as far as these say around
    /// every prediction.
    pub jackknife: Option<JackknifePlus>,
    /// Initial weights times the scale: row-major, `m x d`.
    pub w0: Vec<f64>,
    /// What training added to them: row-major, `m x d`.
    pub u: Vec<f64>,
    /// Output signs, each 1 or -1: row-major, `m x K`.
    pub signs: Vec<f64>,
}

impl Model {
    /// Writes the model to `path`, completely or not at all.
    ///
    /// # Errors
    /// [`ModelError`] if the model is not consistent or the file cannot be written; an older file
    /// is then as it was.
    pub fn write(&self, path: &Path) -> Result<(), ModelError> {
        let bytes = self.to_bytes()?;
        Ok(output::write(path, |out| out.write_all(&bytes))?)
    }

    /// Reads the model at `path` and checks all of it.
    ///
    /// # Errors
    /// [`ModelError`] if the file cannot be read or is not a usable model.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let failed = |source| ModelError::Read { path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(failed)?;
        Self::from_bytes(&bytes).map_err(|reason| ModelError::Unusable {
            path: path.to_owned(),
            reason: Box::new(reason),
        })
    }

    /// The bytes of the model's file.
    ///
    /// # Errors
    /// [`ModelError`] if the model is not consistent: a length that does not fit its dimensions,
    /// an entry that is not finite, a sign other than 1 and -1, or a number out of its range.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        self.check()?;
        format::to_bytes(self)
    }

    /// The model whose file has these bytes.
    ///
    /// # Errors
    /// [`ModelError`] if they are no safetensors file, not one of this program, of another
    /// version, or hold anything that [`to_bytes`](Self::to_bytes) would not write.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let model = format::from_bytes(bytes)?;
        model.check()?;
        Ok(model)
    }

    /// The network: its weights, and the proof that its neurons cancel at the start.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] if they do not.
    pub fn network(&self) -> Result<Network, ModelError> {
        let shape = (self.inputs, self.outputs);
        Network::from_parts(&self.w0, &self.u, &self.signs, shape).map_err(|error| {
            ModelError::Invalid {
                what: "network",
                found: error.to_string(),
                expected: "one that nearlin trains".into(),
            }
        })
    }

    fn check(&self) -> Result<(), ModelError> {
        let require = |fine: bool, what, found: String, expected: &str| {
            let expected = expected.to_owned();
            if fine { Ok(()) } else { Err(ModelError::Invalid { what, found, expected }) }
        };
        let show = |x: &dyn ToString| x.to_string();
        require(self.width > 0, "width", show(&self.width), "at least 1")?;
        let d = self.encoder.inputs();
        require(self.inputs == d, "inputs", show(&self.inputs), &format!("{d}, as encoded"))?;
        let k = self.target.outputs();
        require(self.outputs == k, "outputs", show(&self.outputs), &format!("{k}, as targets"))?;
        let scale = self.scale;
        require(scale.is_finite() && scale > 0.0, "scale", show(&scale), "finite and positive")?;
        let ridge = self.ridge;
        require(ridge.is_finite() && ridge >= 0.0, "ridge", show(&ridge), "finite, at least 0")?;
        let known = matches!(self.precision.as_str(), "f64" | "f32");
        require(known, "precision", self.precision.clone(), "f64 or f32")?;
        let sound = "what fitting to training rows gives";
        require(self.encoder.is_valid(), "encoder", "inconsistent".into(), sound)?;
        require(self.target.is_valid(), "target", "inconsistent".into(), sound)?;
        if let Some(metric) = &self.metric {
            let inputs = metric.inputs() + 1;
            require(inputs == d, "metric", format!("for {inputs} inputs"), &format!("for {d}"))?;
        }
        if let Some(calibration) = &self.calibration {
            let (found, of) = match calibration {
                Calibration::Sharpness(_) => ("a sharpness", Task::Classification),
                Calibration::Residuals(_) => ("residuals", Task::Regression),
            };
            let task = self.target.task();
            require(of == task, "calibration", found.into(), &format!("for {}", task.name()))?;
            require(calibration.is_valid(), "calibration", "inconsistent".into(), sound)?;
        }
        if let Some(jackknife) = &self.jackknife {
            let of = (jackknife.posterior().inputs(), jackknife.posterior().ridge());
            let found = format!("for {} inputs at ridge {}", of.0, of.1);
            let expected = format!("for {d} at {ridge}, and with its residuals");
            let sizes = jackknife.kept().iter().map(|kept| &kept.sizes);
            let same = match &self.calibration {
                Some(Calibration::Residuals(known)) => sizes.eq([known]),
                _ => false,
            };
            require(of == (d, ridge) && same, "jackknife", found, &expected)?;
        }
        check_entries("w0", &self.w0, [self.width, d], f64::is_finite)?;
        check_entries("u", &self.u, [self.width, d], f64::is_finite)?;
        check_entries("signs", &self.signs, [self.width, k], |x| x.abs().to_bits() == ONE)
    }
}

const ONE: u64 = 1.0_f64.to_bits();

fn check_entries(
    tensor: &'static str,
    data: &[f64],
    shape: [usize; 2],
    fine: impl Fn(f64) -> bool,
) -> Result<(), ModelError> {
    if shape[0].checked_mul(shape[1]) != Some(data.len()) {
        return Err(ModelError::Length { tensor, found: data.len(), expected: shape });
    }
    match data.iter().position(|&x| !fine(x)) {
        None => Ok(()),
        Some(at) => {
            let (row, column) = (at / shape[1], at % shape[1]);
            Err(ModelError::Entry { tensor, row, column, value: data[at] })
        }
    }
}
