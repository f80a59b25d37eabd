//! Models as bytes, and bytes as models.

use std::borrow::Cow;
use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use faer::Par;
use nearlin::{JackknifePlus, KeptRows, Metric, MetricForm, Posterior};

use super::{Model, ModelError};
use crate::calibration::Calibration;
use crate::table::{Encoder, Target};

/// The one key of the file's metadata.
pub const KEY: &str = "nearlin";
/// Version of the file's format.
pub const VERSION: u64 = 2;

const NAMES: [&str; 3] = ["w0", "u", "signs"];
/// Of a metric.
const METRIC: &str = "metric";
/// Of a jackknife.
const JACKKNIFE: [&str; 4] = ["landmarks", "inner", "rows", "slopes"];

/// The JSON text; its fields are written in this order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata<'a> {
    version: u64,
    width: usize,
    inputs: usize,
    outputs: usize,
    scale: f64,
    seed: u64,
    ridge: f64,
    precision: Cow<'a, str>,
    target: Cow<'a, Target>,
    encoder: Cow<'a, Encoder>,
    /// Absent for inputs as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metric: Option<Weighting>,
    /// Absent where nothing tells how sure predictions are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calibration: Option<Cow<'a, Calibration>>,
    /// Absent for intervals that are as far around every prediction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jackknife: Option<Jackknife>,
}

/// What a jackknife is beside its tensors and the residuals.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jackknife {
    landmarks: usize,
    /// Absent for intervals that are as wide everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usual: Option<f64>,
}

/// What a metric is beside its map.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weighting {
    form: Form,
    bias: f64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    Plain,
    Diagonal,
    Full,
}

/// What is read first, whatever the version.
#[derive(Deserialize)]
struct Head {
    version: u64,
}

/// `model` must have passed its checks.
pub(super) fn to_bytes(model: &Model) -> Result<Vec<u8>, ModelError> {
    let metadata = Metadata {
        version: VERSION,
        width: model.width,
        inputs: model.inputs,
        outputs: model.outputs,
        scale: model.scale,
        seed: model.seed,
        ridge: model.ridge,
        precision: Cow::Borrowed(&model.precision),
        target: Cow::Borrowed(&model.target),
        encoder: Cow::Borrowed(&model.encoder),
        metric: model.metric.as_ref().map(|metric| Weighting {
            form: match metric.form() {
                MetricForm::Diagonal => Form::Diagonal,
                MetricForm::Full => Form::Full,
                _ => Form::Plain,
            },
            bias: metric.bias(),
        }),
        calibration: model.calibration.as_ref().map(Cow::Borrowed),
        jackknife: model.jackknife.as_ref().map(|jackknife| Jackknife {
            landmarks: jackknife.posterior().landmarks().len() / model.inputs,
            usual: jackknife.usual(),
        }),
    };
    let json = serde_json::to_string(&metadata).map_err(|error| unreadable(&error))?;
    let weights = vec![model.width, model.inputs];
    let [w0, u, signs] = NAMES;
    let mut matrices = vec![
        (w0, Matrix { data: &model.w0, shape: weights.clone(), dtype: Dtype::F64 }),
        (u, Matrix { data: &model.u, shape: weights, dtype: Dtype::F64 }),
        (
            signs,
            Matrix {
                data: &model.signs,
                shape: vec![model.width, model.outputs],
                dtype: Dtype::I8,
            },
        ),
    ];
    if let Some(metric) = &model.metric {
        let p = metric.inputs();
        let shape = if metric.form() == MetricForm::Full { vec![p, p] } else { vec![p] };
        matrices.push((METRIC, Matrix { data: metric.map(), shape, dtype: Dtype::F64 }));
    }
    let inner = model.jackknife.as_ref().map(|jackknife| jackknife.posterior().inner());
    if let (Some(jackknife), Some(inner)) = (&model.jackknife, &inner) {
        let (q, d) = (inner.len().isqrt(), model.inputs);
        let (landmarks, kept) = (jackknife.posterior().landmarks(), &jackknife.kept()[0]);
        let r = kept.sizes.len();
        let data = [landmarks, inner, &kept.x, &kept.slopes];
        let shapes = [vec![q, d], vec![q, q], vec![r, d], vec![r]];
        for (name, (data, shape)) in JACKKNIFE.into_iter().zip(data.into_iter().zip(shapes)) {
            matrices.push((name, Matrix { data, shape, dtype: Dtype::F64 }));
        }
    }
    safetensors::serialize(matrices, Some(HashMap::from([(KEY.to_owned(), json)])))
        .map_err(|error| broken(&error))
}

/// The caller must check the model.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Model, ModelError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| broken(&error))?;
    let json = header.metadata().as_ref().and_then(|map| map.get(KEY));
    let json = json.ok_or(ModelError::Foreign { key: KEY })?;
    let head: Head = serde_json::from_str(json).map_err(|error| unreadable(&error))?;
    if head.version != VERSION {
        return Err(ModelError::Version { found: head.version, expected: VERSION });
    }
    let metadata: Metadata<'static> =
        serde_json::from_str(json).map_err(|error| unreadable(&error))?;

    let tensors = SafeTensors::deserialize(bytes).map_err(|error| broken(&error))?;
    let mut found: Vec<String> = tensors.names().into_iter().map(str::to_owned).collect();
    found.sort_unstable();
    let mut expected = NAMES.to_vec();
    expected.extend(metadata.metric.map(|_| METRIC));
    expected.extend(metadata.jackknife.iter().flat_map(|_| JACKKNIFE));
    expected.sort_unstable();
    if found != expected {
        return Err(ModelError::Tensors { found, expected });
    }
    let jackknife = metadata.jackknife.map(|of| read_jackknife(&tensors, of, &metadata));
    let metric = metadata.metric.map(|weighting| read_metric(&tensors, weighting, metadata.inputs));
    let weights = [metadata.width, metadata.inputs];
    let signs = read(&tensors, "signs", Dtype::I8, &[metadata.width, metadata.outputs])?;
    let w0 = numbers(read(&tensors, "w0", Dtype::F64, &weights)?);
    let u = numbers(read(&tensors, "u", Dtype::F64, &weights)?);
    Ok(Model {
        width: metadata.width,
        inputs: metadata.inputs,
        outputs: metadata.outputs,
        scale: metadata.scale,
        seed: metadata.seed,
        ridge: metadata.ridge,
        precision: metadata.precision.into_owned(),
        encoder: metadata.encoder.into_owned(),
        target: metadata.target.into_owned(),
        metric: metric.transpose()?,
        calibration: metadata.calibration.map(Cow::into_owned),
        jackknife: jackknife.transpose()?,
        w0,
        u,
        signs: signs.iter().map(|&b| f64::from(b.cast_signed())).collect(),
    })
}

/// The metric of a model with `inputs`, the bias included.
fn read_metric(
    tensors: &SafeTensors<'_>,
    Weighting { form, bias }: Weighting,
    inputs: usize,
) -> Result<Metric, ModelError> {
    let p = inputs.saturating_sub(1);
    let (form, shape) = match form {
        Form::Plain => (MetricForm::Plain, vec![p]),
        Form::Diagonal => (MetricForm::Diagonal, vec![p]),
        Form::Full => (MetricForm::Full, vec![p, p]),
    };
    let map = numbers(read(tensors, "metric", Dtype::F64, &shape)?);
    Metric::from_parts(form, p, map, bias).ok_or_else(|| ModelError::Invalid {
        what: "metric",
        found: format!("numbers that are not finite, or a bias of {bias}"),
        expected: "finite numbers and a positive bias".into(),
    })
}

/// The jackknife of a model.
fn read_jackknife(
    tensors: &SafeTensors<'_>,
    Jackknife { landmarks: q, usual }: Jackknife,
    of: &Metadata<'_>,
) -> Result<JackknifePlus, ModelError> {
    let sizes = match of.calibration.as_deref() {
        Some(Calibration::Residuals(sizes)) => sizes.clone(),
        _ => Vec::new(),
    };
    let (d, r) = (of.inputs, sizes.len());
    let shapes: [&[usize]; 4] = [&[q, d], &[q, q], &[r, d], &[r]];
    let mut parts = Vec::with_capacity(shapes.len());
    for (name, shape) in JACKKNIFE.into_iter().zip(shapes) {
        parts.push(numbers(read(tensors, name, Dtype::F64, shape)?));
    }
    let made = <[Vec<f64>; 4]>::try_from(parts).ok().and_then(|[landmarks, inner, x, slopes]| {
        let par = Par::rayon(0);
        let posterior = Posterior::from_parts(landmarks, of.ridge, &inner, par)?;
        JackknifePlus::from_parts(posterior, usual, vec![KeptRows::new(x, slopes, sizes)], par)
    });
    made.ok_or_else(|| ModelError::Invalid {
        what: "jackknife",
        found: match usual {
            Some(usual) => format!("numbers that no rows give, or a usual deviation of {usual}"),
            None => "numbers that no rows give".into(),
        },
        expected:
            "finite numbers, landmarks whose kernel has a factor, and a positive deviation or none"
                .into(),
    })
}

fn numbers(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("8 bytes"))).collect()
}

/// The bytes of a tensor that must be of this type and shape.
fn read<'a>(
    tensors: &SafeTensors<'a>,
    tensor: &'static str,
    dtype: Dtype,
    shape: &[usize],
) -> Result<&'a [u8], ModelError> {
    let view = tensors.tensor(tensor).map_err(|error| broken(&error))?;
    if view.dtype() == dtype && view.shape() == shape {
        return Ok(view.data());
    }
    Err(ModelError::Tensor {
        tensor,
        found_type: view.dtype().to_string(),
        expected_type: dtype.to_string(),
        found: view.shape().to_vec(),
        expected: shape.to_vec(),
    })
}

/// A matrix whose bytes are made when they are written.
struct Matrix<'a> {
    data: &'a [f64],
    shape: Vec<usize>,
    dtype: Dtype,
}

impl View for Matrix<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        if self.dtype == Dtype::I8 {
            return self.data.iter().map(|&x| (x as i8).cast_unsigned()).collect();
        }
        self.data.iter().flat_map(|x| x.to_le_bytes()).collect()
    }
    fn data_len(&self) -> usize {
        self.data.len() * self.dtype.bitsize() / 8
    }
}

fn broken(reason: &impl ToString) -> ModelError {
    ModelError::NotSafetensors { reason: reason.to_string() }
}

fn unreadable(reason: &impl ToString) -> ModelError {
    ModelError::Metadata { reason: reason.to_string() }
}
