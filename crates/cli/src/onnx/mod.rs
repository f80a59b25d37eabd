//! A trained model as an ONNX graph, from the user's numbers and texts to the user's predictions.
//!
//! The graph computes in double precision what `nearlin predict` computes. Its operators are of
//! opset 13 and `ai.onnx.ml` 3, which onnxruntime has for doubles on any CPU.

mod error;
mod graph;
mod inputs;
mod numbers;
mod outputs;
mod proto;

#[cfg(test)]
mod tests;

use prost::Message;
use serde::Serialize;

use crate::model::Model;
use crate::table::Task;
use graph::{Graph, ML};
use inputs::Columns;
use proto::{ModelProto, OperatorSetIdProto, StringStringEntryProto};

pub use error::OnnxError;

/// Version of the file format; 7 came with opset 12.
const IR_VERSION: i64 = 7;
/// Version of ONNX's operators.
const OPSET: i64 = 13;
/// Version of the operators on categories.
const OPSET_ML: i64 = 3;

/// No protocol buffer may be longer.
const MOST_BYTES: usize = i32::MAX as usize;

/// What may be lost to rounding, in standard deviations of the target, for the cheaper form of the network.
const ROUNDING: f64 = 1e-8;

/// The bytes of an ONNX file that predicts as `model` does.
///
/// Inputs, each there if the model has such columns: `numbers` (double, `n x p`) and `categories`
/// (text, `n x q`, without blanks around a cell), whose columns are named in the metadata of the
/// same names, as JSON; a model without any column takes `numbers` of no columns. Outputs: for
/// regression `prediction` (double, `n x 1`); for classification `scores` (double, `n x K`),
/// `probabilities` (double, `n x K`) where the model is calibrated, and `label` (`n` integers where
/// all classes are, else `n` texts). A text that is no level of its column is what it is to
/// `nearlin predict`, where a missing one is the empty text.
///
/// # Errors
/// [`OnnxError`] for a column that cannot be exported, or a graph of more than 2 GiB.
///
/// # Accuracy
/// Outputs are those of `nearlin predict` up to an estimate of 1e-8 standard deviations of the target,
/// whatever the scale of the initial weights; 1e-13 is usual.
pub fn to_onnx(model: &Model) -> Result<Vec<u8>, OnnxError> {
    let file = file(model)?;
    within(file.encoded_len())?;
    Ok(file.encode_to_vec())
}

fn within(bytes: usize) -> Result<(), OnnxError> {
    if bytes > MOST_BYTES {
        return Err(OnnxError::TooLarge { bytes, most: MOST_BYTES });
    }
    Ok(())
}

fn file(model: &Model) -> Result<ModelProto, OnnxError> {
    let columns = Columns::of(&model.encoder)?;
    let mut graph = Graph::new("nearlin");
    let encoded = columns.encode(&mut graph);
    let x = inputs::weighted(&mut graph, &encoded, model.metric.as_ref());
    let f = outputs::network(&mut graph, &x, model);
    outputs::decode(&mut graph, &f, &model.target, model.calibration.as_ref());

    let mut opsets = vec![OperatorSetIdProto { domain: String::new(), version: OPSET }];
    if columns.has_categories() {
        opsets.push(OperatorSetIdProto { domain: ML.into(), version: OPSET_ML });
    }
    Ok(ModelProto {
        ir_version: IR_VERSION,
        producer_name: "nearlin".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: format!("predicts `{}` from raw columns", model.target.column),
        graph: Some(graph.finish()),
        opset_import: opsets,
        metadata_props: metadata(model, &columns),
    })
}

/// What a caller must know: the columns by name, the target, and the classes in the order of the scores.
fn metadata(model: &Model, columns: &Columns<'_>) -> Vec<StringStringEntryProto> {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
    let mut entries = vec![
        entry("numbers", json(&columns.numbers())),
        entry("categories", json(&columns.categories())),
        entry("target", model.target.column.clone()),
        entry("task", model.target.task().name().into()),
    ];
    if model.target.task() == Task::Classification {
        entries.push(entry("classes", json(&model.target.classes().unwrap_or_default())));
    }
    entries
}

fn json(names: &impl Serialize) -> String {
    serde_json::to_string(names).unwrap_or_default()
}
