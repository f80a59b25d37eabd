//! Models to bytes and back, and bytes that are no models.

use std::collections::HashMap;
use std::fs;

use proptest::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{KEY, Model, ModelError};
use crate::calibration::Calibration;
use crate::table::{Encoder, Table, Target, Task};
use faer::Par;
use nearlin::{JackknifePlus, KeptRows, Metric, MetricForm, Posterior};

/// A model of a small table with numbers and categories; its weights are made up.
fn model(task: Task) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    fs::write(&path, "n,c,y,l\n1,a,0.1,p\n2,b,7,q\n4,a,1e-9,r\n0.3,\"é,\"\"\",-3,q\n").unwrap();
    let table = Table::read(&path).unwrap();
    let rows: Vec<usize> = (0..table.rows()).collect();
    let column = if task == Task::Regression { "y" } else { "l" };
    let target = Target::fit(&table, column, task, &rows).unwrap();
    let (encoder, _) = Encoder::fit(&table, column, &rows);
    let (width, inputs, outputs) = (6, encoder.inputs(), target.outputs());
    let entry = |i: usize| (i as f64 + 0.3).sin() * 10f64.powf((i % 40) as f64 - 20.0);
    Model {
        width,
        inputs,
        outputs,
        scale: 0.1,
        seed: u64::MAX,
        ridge: 0.01,
        precision: "f64".into(),
        w0: (0..width * inputs).map(entry).collect(),
        u: (0..width * inputs).map(|i| -entry(i + 7)).collect(),
        signs: (0..width * outputs).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect(),
        metric: None,
        calibration: None,
        jackknife: None,
        encoder,
        target,
    }
}

/// Where intervals are comes back bit for bit; what is for other inputs, another ridge or other residuals, or broken, is refused.
#[test]
fn jackknives_round_trip() {
    let plain = model(Task::Regression);
    let d = plain.inputs;
    let sizes = vec![0.3, 2.5];
    let made = |d: usize, ridge: f64, usual: Option<f64>| {
        let landmarks: Vec<f64> = (0..3 * d).map(|i| (i as f64).sin()).collect();
        let inner = [2.0, 0.1, 0.2, 0.0, 3.0, 0.3, 0.0, 0.0, 4.0];
        let posterior = Posterior::from_parts(landmarks, ridge, &inner, Par::Seq).unwrap();
        let x = (0..2 * d).map(|i| (i as f64).cos()).collect();
        let kept = KeptRows::new(x, vec![0.1, -0.2], sizes.clone());
        JackknifePlus::from_parts(posterior, usual, vec![kept], Par::Seq)
    };
    let residuals = Some(Calibration::Residuals(sizes.clone()));
    let with = |jackknife: Option<JackknifePlus>| Model {
        calibration: residuals.clone(),
        jackknife,
        ..plain.clone()
    };
    for usual in [None, Some(0.2)] {
        let sound = with(made(d, 0.01, usual));
        assert_eq!(Model::from_bytes(&sound.to_bytes().unwrap()).unwrap(), sound);
    }
    let sound = with(made(d, 0.01, Some(0.2)));
    let others = Some(Calibration::Residuals(vec![0.3, 2.0]));
    let classes = Model { calibration: None, ..sound.clone() };
    let others = Model { calibration: others, ..sound.clone() };
    for wrong in [with(made(d + 1, 0.01, None)), with(made(d, 0.02, None)), others, classes] {
        let error = wrong.to_bytes().unwrap_err().to_string();
        assert!(error.contains("jackknife") && error.contains("at 0.01, and with its"), "{error}");
    }
    // A usual deviation of no length.
    let mut broken = sound.to_bytes().unwrap();
    let find = |from: usize, what: &[u8]| {
        from + broken[from..].windows(what.len()).position(|window| window == what).unwrap()
    };
    let at = find(find(0, b"usual"), b"0.2");
    broken[at..at + 3].copy_from_slice(b"0.0");
    let error = Model::from_bytes(&broken).unwrap_err().to_string();
    assert!(error.contains("jackknife") && error.contains("deviation of 0"), "{error}");
}

/// The model with a metric of each form.
fn weighted(task: Task) -> impl Iterator<Item = Model> {
    [MetricForm::Plain, MetricForm::Diagonal, MetricForm::Full].into_iter().map(move |form| {
        let (model, p) = (model(task), model(task).inputs - 1);
        let len = if form == MetricForm::Full { p * p } else { p };
        let map = (0..len).map(|i| (i as f64).cos() / 3.0).collect();
        Model { metric: Metric::from_parts(form, p, map, 0.3), ..model }
    })
}

/// What says how sure a model is comes back bit for bit; what is for another task, or no such thing, is
/// refused.
#[test]
fn calibrations_round_trip() {
    let sharp = Calibration::Sharpness(0.1 + 0.2);
    let residuals = Calibration::of_residuals([0.3, -1e-9, 2.5].into_iter());
    for (task, right, wrong) in
        [(Task::Regression, &residuals, &sharp), (Task::Classification, &sharp, &residuals)]
    {
        let with = |by: &Calibration| Model { calibration: Some(by.clone()), ..model(task) };
        let sound = with(right);
        assert_eq!(Model::from_bytes(&sound.to_bytes().unwrap()).unwrap(), sound);
        let error = with(wrong).to_bytes().unwrap_err().to_string();
        assert!(error.contains("calibration") && error.contains(task.name()), "{error}");
    }
    for by in [Calibration::Residuals(vec![]), Calibration::Residuals(vec![2.0, 1.0])] {
        let model = Model { calibration: Some(by), ..model(Task::Regression) };
        assert!(model.to_bytes().unwrap_err().to_string().contains("inconsistent"));
    }
}

/// A metric comes back bit for bit; one that does not fit is refused.
#[test]
fn metrics_round_trip() {
    for model in weighted(Task::Regression) {
        let bytes = model.to_bytes().unwrap();
        assert_eq!(Model::from_bytes(&bytes).unwrap(), model);
        assert!(model.metric.is_some());
        // A tensor that the metadata do not speak of, and one that they miss.
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("\\\"metric\\\":{") && text.contains("\"metric\":{"));
        let other = Metric::plain(model.inputs);
        let wrong = Model { metric: Some(other), ..model };
        let error = wrong.to_bytes().unwrap_err().to_string();
        assert!(error.contains("its metric is for"), "{error}");
    }
    let plain = model(Task::Regression).to_bytes().unwrap();
    assert!(!String::from_utf8_lossy(&plain).contains("metric"));
}

#[test]
fn round_trip_is_exact_and_repeatable() {
    for task in [Task::Regression, Task::Classification] {
        let model = model(task);
        let bytes = model.to_bytes().unwrap();
        let read = Model::from_bytes(&bytes).unwrap();
        let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read.w0), bits(&model.w0));
        assert_eq!(bits(&read.u), bits(&model.u));
        assert_eq!(read, model);
        assert_eq!(read.to_bytes().unwrap(), bytes);
    }
}

#[test]
fn files_are_replaced_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let first = model(Task::Regression);
    first.write(&path).unwrap();
    assert_eq!(Model::read(&path).unwrap(), first);

    let mut broken = model(Task::Classification);
    broken.u[3] = f64::NAN;
    let error = broken.write(&path).unwrap_err();
    assert!(matches!(error, ModelError::Entry { tensor: "u", row: 0, column: 3, .. }), "{error}");
    assert_eq!(Model::read(&path).unwrap(), first);

    let second = model(Task::Classification);
    second.write(&path).unwrap();
    assert_eq!(Model::read(&path).unwrap(), second);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    let nowhere = folder.path().join("no/model.safetensors");
    assert!(matches!(first.write(&nowhere), Err(ModelError::Write(_))));
    assert!(matches!(Model::read(&nowhere), Err(ModelError::Read { .. })));
    fs::write(&path, "a,b\n1,2\n").unwrap();
    let error = Model::read(&path).unwrap_err();
    assert!(matches!(error, ModelError::Unusable { .. }));
    assert!(error.to_string().contains("is not a usable model: not a complete safetensors file"));
}

/// The weights are where any reader of the format finds them, and nothing depends on the run.
#[test]
fn layout_is_plain_safetensors() {
    let model = model(Task::Classification);
    let bytes = model.to_bytes().unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let signs = tensors.tensor("signs").unwrap();
    assert_eq!((signs.dtype(), signs.shape()), (Dtype::I8, &[6, 3][..]));
    assert_eq!(signs.data()[..4], [1, 255, 255, 1]);
    let w0 = tensors.tensor("w0").unwrap();
    assert_eq!((w0.dtype(), w0.shape()), (Dtype::F64, &[6, model.inputs][..]));
    assert_eq!(w0.data()[..8], model.w0[0].to_le_bytes());
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let keys: Vec<&String> = header.metadata().as_ref().unwrap().keys().collect();
    assert_eq!(keys, [KEY]);
}

/// Every way in which a model can be inconsistent, by what it says.
#[test]
fn inconsistent_models_are_not_written() {
    let says = |change: &dyn Fn(&mut Model), message: &str| {
        let mut model = model(Task::Classification);
        change(&mut model);
        assert_eq!(model.to_bytes().unwrap_err().to_string(), message);
    };
    says(&|m| m.width = 0, "its width is 0, expected at least 1");
    says(&|m| m.width = 5, "`w0` has 36 entries, expected 5 x 6");
    says(&|m| m.inputs = 9, "its inputs is 9, expected 6, as encoded");
    says(&|m| m.outputs = 1, "its outputs is 1, expected 3, as targets");
    says(&|m| m.scale = 0.0, "its scale is 0, expected finite and positive");
    says(&|m| m.scale = f64::INFINITY, "its scale is inf, expected finite and positive");
    says(&|m| m.ridge = -1.0, "its ridge is -1, expected finite, at least 0");
    says(&|m| m.precision = "f16".into(), "its precision is f16, expected f64 or f32");
    says(&|m| m.u.truncate(35), "`u` has 35 entries, expected 6 x 6");
    says(&|m| m.w0[9] = f64::INFINITY, "`w0` holds inf in row 1, column 3 (from 0)");
    says(&|m| m.signs[5] = 0.5, "`signs` holds 0.5 in row 1, column 2 (from 0)");
    says(
        &|m| m.target.column.clear(),
        "its target is inconsistent, expected what fitting to training rows gives",
    );
}

/// A file with this JSON text and these shapes, all entries zero but the signs.
fn file(json: &str, tensors: &[(&str, Dtype, [usize; 2])]) -> Vec<u8> {
    let data: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, dtype, shape)| {
            vec![u8::from(*dtype == Dtype::I8); shape[0] * shape[1] * dtype.bitsize() / 8]
        })
        .collect();
    let views = tensors.iter().zip(&data).map(|((name, dtype, shape), data)| {
        (*name, TensorView::new(*dtype, shape.to_vec(), data).unwrap())
    });
    let metadata = HashMap::from([(KEY.to_owned(), json.to_owned())]);
    safetensors::serialize(views, Some(metadata)).unwrap()
}

fn json(model: &Model) -> String {
    let bytes = model.to_bytes().unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    header.metadata().as_ref().unwrap()[KEY].clone()
}

#[test]
fn files_that_are_no_models() {
    let model = model(Task::Classification);
    let json = json(&model);
    let good =
        [("w0", Dtype::F64, [6, 6]), ("u", Dtype::F64, [6, 6]), ("signs", Dtype::I8, [6, 3])];
    assert!(Model::from_bytes(&file(&json, &good)).is_ok());
    let fails = |json: &str, tensors: &[_]| Model::from_bytes(&file(json, tensors)).unwrap_err();

    let none: Option<HashMap<String, String>> = None;
    let foreign = safetensors::serialize(Vec::<(&str, TensorView<'_>)>::new(), none).unwrap();
    assert!(matches!(Model::from_bytes(&foreign), Err(ModelError::Foreign { .. })));
    assert!(matches!(Model::from_bytes(b""), Err(ModelError::NotSafetensors { .. })));

    let later = json.replace("\"version\":2", "\"version\":3,\"more\":[]");
    let error = fails(&later, &good);
    assert_eq!(error.to_string(), "format version 3, expected 2");
    for bad in ["", "{}", "[2]", &json[1..], &json.replace("\"seed\"", "\"sead\"")] {
        assert!(matches!(fails(bad, &good), ModelError::Metadata { .. }), "{bad}");
    }
    for (from, to) in [
        ("\"width\":6", "\"width\":7"),
        ("\"width\":6", "\"width\":18446744073709551615"),
        ("\"inputs\":6", "\"inputs\":7"),
        ("\"outputs\":3", "\"outputs\":0"),
    ] {
        assert!(json.contains(from), "{json}");
        let error = fails(&json.replace(from, to), &good);
        assert!(matches!(error, ModelError::Tensor { .. }), "{error}");
    }
    for (from, to) in [("\"scale\":0.1", "\"scale\":-0.1"), ("\"f64\"", "\"f6\"")] {
        assert!(json.contains(from), "{json}");
        let error = fails(&json.replace(from, to), &good);
        assert!(matches!(error, ModelError::Invalid { .. }), "{error}");
    }
    assert!(matches!(fails(&json, &good[..2]), ModelError::Tensors { .. }));
    let more = [good[0], good[1], good[2], ("v", Dtype::F64, [1, 1])];
    assert!(matches!(fails(&json, &more), ModelError::Tensors { .. }));
    let single = [("w0", Dtype::F32, [6, 6]), good[1], good[2]];
    assert_eq!(fails(&json, &single).to_string(), "tensor `w0` is F32 [6, 6], expected F64 [6, 6]");
    let turned = [good[0], ("u", Dtype::F64, [4, 9]), good[2]];
    assert_eq!(fails(&json, &turned).to_string(), "tensor `u` is F64 [4, 9], expected F64 [6, 6]");
}

#[test]
fn entries_of_files_are_checked() {
    let model = model(Task::Regression);
    let bytes = model.to_bytes().unwrap();
    let at = bytes.windows(8).position(|window| window == model.w0[2].to_le_bytes()).unwrap();
    let mut changed = bytes.clone();
    changed[at..at + 8].copy_from_slice(&f64::NAN.to_le_bytes());
    let error = Model::from_bytes(&changed).unwrap_err();
    assert!(matches!(error, ModelError::Entry { tensor: "w0", row: 0, column: 2, .. }), "{error}");
    let mut changed = bytes.clone();
    // The signs stand last.
    *changed.last_mut().unwrap() = 0;
    let error = Model::from_bytes(&changed).unwrap_err();
    assert!(
        matches!(error, ModelError::Entry { tensor: "signs", row: 5, column: 0, .. }),
        "{error}"
    );
}

/// No part of a file is a file.
#[test]
fn truncated_files_are_errors() {
    let bytes = model(Task::Classification).to_bytes().unwrap();
    for length in 0..bytes.len() {
        let error = Model::from_bytes(&bytes[..length]).unwrap_err();
        assert!(matches!(error, ModelError::NotSafetensors { .. }), "{length}: {error}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(Model::from_bytes(&longer), Err(ModelError::NotSafetensors { .. })));
}

/// Whatever can be read can be written.
fn survives(bytes: &[u8]) {
    if let Ok(model) = Model::from_bytes(bytes) {
        model.to_bytes().unwrap();
    }
}

#[test]
fn one_wrong_byte_never_panics() {
    let mut bytes = model(Task::Classification).to_bytes().unwrap();
    for at in 0..bytes.len() {
        for mask in [0x01, 0x10, 0x80, 0xff] {
            bytes[at] ^= mask;
            survives(&bytes);
            bytes[at] ^= mask;
        }
    }
}

proptest! {
    #[test]
    fn wrong_bytes_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = model(Task::Regression).to_bytes().unwrap();
        for (at, mask) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
        }
        survives(&bytes);
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }
}
