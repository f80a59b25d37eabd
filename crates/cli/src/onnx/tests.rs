//! Graphs that are whole: every value is made once, before it is used, and constants have their shapes.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use prost::Message;

use super::graph::number;
use super::proto::{DOUBLE, GraphProto, INT64, ModelProto, STRING, TensorProto, ValueInfoProto};
use super::{OnnxError, to_onnx, within};
use crate::calibration::Calibration;
use crate::model::Model;
use crate::table::{Encoder, Table, Target, Task};
use nearlin::{Metric, MetricForm};

/// What a model may have.
#[derive(Clone, Debug)]
struct Case {
    /// For each column how many texts it has, 0 for numbers.
    columns: Vec<usize>,
    task: Task,
    classes: usize,
    pairs: usize,
    metric: Option<MetricForm>,
    calibrated: bool,
    /// Of the initial weights; neurons do not cancel where it is negative.
    scale: f64,
}

impl Case {
    /// A model of these columns with made up weights.
    fn model(&self) -> Model {
        let rows = 60;
        let cell = |row: usize, levels: usize| match levels {
            0 => ((row * row) as f64 / 7.0).to_string(),
            _ => format!("t{}", row % levels),
        };
        let line = |row: usize| -> String {
            let y = match self.task {
                Task::Regression => row,
                Task::Classification => row % self.classes,
            };
            let cells = self.columns.iter().map(|&levels| cell(row, levels));
            cells.chain([y.to_string()]).collect::<Vec<_>>().join(",") + "\n"
        };
        let names = (0..self.columns.len()).map(|c| format!("c{c}")).chain(["y".to_owned()]);
        let header = names.collect::<Vec<_>>().join(",") + "\n";
        let csv: String = std::iter::once(header).chain((0..rows).map(line)).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        std::fs::write(&path, csv).unwrap();
        let table = Table::read(&path).unwrap();
        let all: Vec<usize> = (0..rows).collect();
        let target = Target::fit(&table, "y", self.task, &all).unwrap();
        let (encoder, _) = Encoder::fit(&table, "y", &all);
        let (inputs, outputs, width) = (encoder.inputs(), target.outputs(), 2 * self.pairs);
        let entry = |i: usize| (i as f64 * 1.7 + 0.3).sin();
        let half: Vec<f64> =
            (0..self.pairs * inputs).map(|i| self.scale.abs() * entry(i)).collect();
        let other = |w: &f64| if self.scale < 0.0 { -w } else { *w };
        let sign = |i: usize| if entry(i) < 0.0 { -1.0 } else { 1.0 };
        let signs: Vec<f64> = (0..self.pairs * outputs).map(sign).collect();
        let p = inputs - 1;
        let metric = self.metric.and_then(|form| {
            let len = if form == MetricForm::Full { p * p } else { p };
            Metric::from_parts(form, p, (0..len).map(entry).collect(), 0.5)
        });
        let calibration = self.calibrated.then(|| match self.task {
            Task::Regression => Calibration::of_residuals([0.1, 0.2].into_iter()),
            Task::Classification => Calibration::Sharpness(3.0),
        });
        Model {
            jackknife: None,
            width,
            inputs,
            outputs,
            scale: self.scale.abs(),
            seed: 0,
            ridge: 0.1,
            precision: "f64".into(),
            w0: half.iter().copied().chain(half.iter().map(other)).collect(),
            u: (0..width * inputs).map(|i| entry(3 * i)).collect(),
            signs: signs.iter().copied().chain(signs.iter().map(|sign| -sign)).collect(),
            metric,
            calibration,
            encoder,
            target,
        }
    }
}

fn case() -> impl Strategy<Value = Case> {
    let forms = [MetricForm::Plain, MetricForm::Diagonal, MetricForm::Full];
    (
        prop::collection::vec(prop_oneof![Just(0_usize), 2..5_usize], 0..6),
        prop_oneof![Just(Task::Regression), Just(Task::Classification)],
        2..5_usize,
        1..5_usize,
        prop::option::of(prop::sample::select(forms.to_vec())),
        any::<bool>(),
        prop::sample::select(&[0.5, 1e12, -1.0][..]),
    )
        .prop_map(|(columns, task, classes, pairs, metric, calibrated, scale)| Case {
            columns,
            task,
            classes,
            pairs,
            metric,
            calibrated,
            scale,
        })
}

fn written(model: &Model) -> ModelProto {
    ModelProto::decode(&*to_onnx(model).unwrap()).unwrap()
}

/// Nodes in a valid order, one producer for each name, no input that is not there, no constant that
/// is not used.
fn wired(graph: &GraphProto) -> Result<(), String> {
    let mut made: HashSet<&str> = HashSet::new();
    let mut add = |name| if made.insert(name) { Ok(()) } else { Err(format!("{name} twice")) };
    let inputs = graph.input.iter().map(|value| &value.name);
    inputs.chain(graph.initializer.iter().map(|tensor| &tensor.name)).try_for_each(|n| add(n))?;
    let mut used: HashSet<&str> = HashSet::new();
    for node in &graph.node {
        for name in &node.input {
            used.insert(name);
            if !made.contains(name.as_str()) {
                return Err(format!("{} takes {name}, which is not made before", node.name));
            }
        }
        for name in &node.output {
            if !made.insert(name) {
                return Err(format!("{name} twice"));
            }
        }
    }
    let outputs: HashSet<&str> = graph.output.iter().map(|value| value.name.as_str()).collect();
    match made.iter().find(|&&name| !used.contains(name) && !outputs.contains(name)) {
        _ if !outputs.is_subset(&made) => Err(format!("{outputs:?} are not all made")),
        Some(name) => Err(format!("{name} is not used")),
        None => Ok(()),
    }
}

/// Name, type and columns.
fn described(values: &[ValueInfoProto]) -> Vec<(&str, i32, Option<i64>)> {
    let describe = |value: &'_ ValueInfoProto| {
        let tensor = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap().clone();
        let dims = tensor.shape.unwrap().dim;
        assert_eq!(dims[0].dim_param.as_deref(), Some("n"));
        (tensor.elem_type, dims.get(1).map(|dim| dim.dim_value.unwrap()))
    };
    let with_names = values.iter().map(|value| (value.name.as_str(), describe(value)));
    with_names.map(|(name, (elem_type, columns))| (name, elem_type, columns)).collect()
}

/// As many entries as the dimensions say.
fn is_full(tensor: &TensorProto) -> bool {
    let len: i64 = tensor.dims.iter().product();
    let found = match tensor.data_type {
        STRING => tensor.string_data.len(),
        _ => tensor.raw_data.as_ref().unwrap().len() / 8,
    };
    usize::try_from(len) == Ok(found)
}

proptest! {
    #[test]
    fn graphs_are_whole(case in case()) {
        let model = case.model();
        let file = written(&model);
        let graph = file.graph.as_ref().unwrap();
        prop_assert_eq!(wired(graph), Ok(()));
        let dims: BTreeMap<&str, &[i64]> =
            graph.initializer.iter().map(|t| (t.name.as_str(), &t.dims[..])).collect();
        prop_assert!(graph.initializer.iter().all(is_full), "{dims:?}");

        let [m, d, k] = [model.width, model.inputs, model.outputs].map(number);
        let p = number(case.columns.iter().filter(|&&levels| levels == 0).count());
        let q = number(case.columns.len()) - p;
        let mut shapes = vec![("signs", Some(vec![m, k])), ("std", (p > 0 || q == 0).then(|| vec![p]))];
        let kept = case.scale != 0.5;
        shapes.push(("weights", (!kept).then(|| vec![d, m])));
        shapes.push(("weights_before", kept.then(|| vec![d, m])));
        shapes.push(("weights_change", kept.then(|| vec![d, m])));
        shapes.push(("metric", case.metric.map(|form| match form {
            MetricForm::Full => vec![d, d],
            _ => vec![d],
        })));
        for (name, shape) in shapes {
            prop_assert_eq!(dims.get(name).copied(), shape.as_deref(), "{}", name);
        }
        for (at, levels) in case.columns.iter().filter(|&&levels| levels > 0).enumerate() {
            for name in ["on", "off", "levels"] {
                prop_assert_eq!(dims[&*format!("{name}_{at}")], [number(*levels)]);
            }
        }

        let inputs = [("numbers", DOUBLE, Some(p)), ("categories", STRING, Some(q))];
        let there = inputs.iter().enumerate().filter(|(at, (.., columns))| {
            *columns != Some(0) || (*at == 0 && q == 0)
        });
        let there: Vec<_> = there.map(|(_, input)| *input).collect();
        prop_assert_eq!(described(&graph.input), there);
        let outputs = match case.task {
            Task::Regression => vec![("prediction", DOUBLE, Some(1))],
            Task::Classification => {
                let mut outputs = vec![("scores", DOUBLE, Some(k)), ("label", INT64, None)];
                if case.calibrated {
                    outputs.insert(1, ("probabilities", DOUBLE, Some(k)));
                }
                outputs
            }
        };
        prop_assert_eq!(described(&graph.output), outputs);
    }
}

fn small() -> Case {
    Case {
        columns: vec![2, 0, 3, 0],
        task: Task::Classification,
        classes: 3,
        pairs: 2,
        metric: Some(MetricForm::Full),
        calibrated: true,
        scale: 0.5,
    }
}

/// Readers learn from the metadata which column goes where, and bytes depend on the model alone.
#[test]
fn metadata_name_columns_and_classes() {
    let model = small().model();
    let file = written(&model);
    let entries: Vec<(&str, &str)> =
        file.metadata_props.iter().map(|entry| (&*entry.key, &*entry.value)).collect();
    assert_eq!(
        entries,
        [
            ("numbers", r#"["c1","c3"]"#),
            ("categories", r#"["c0","c2"]"#),
            ("target", "y"),
            ("task", "classification"),
            ("classes", r#"["0","1","2"]"#),
        ]
    );
    let opsets: Vec<(&str, i64)> =
        file.opset_import.iter().map(|set| (&*set.domain, set.version)).collect();
    assert_eq!(opsets, [("", 13), ("ai.onnx.ml", 3)]);
    assert_eq!(to_onnx(&model).unwrap(), to_onnx(&model).unwrap());
    let numbers = Case { columns: vec![0], ..small() }.model();
    assert_eq!(written(&numbers).opset_import.len(), 1);
}

/// The encoder's order: `c0` (2 inputs), `c1` and its score, `c2` (3), `c3` and its score from `c1`, `c3`, both scores,
/// `c0`, `c2`.
#[test]
fn columns_are_put_in_order() {
    let file = written(&small().model());
    let constants = file.graph.unwrap().initializer;
    let places = constants.iter().find(|tensor| tensor.name == "places").unwrap();
    let bytes = places.raw_data.as_ref().unwrap().as_chunks().0.iter();
    let places: Vec<i64> = bytes.map(|&eight| i64::from_le_bytes(eight)).collect();
    assert_eq!(places, [4, 5, 0, 2, 6, 7, 8, 1, 3]);
}

/// Classes that are whole numbers as they would be written are labels of that type; others are texts.
#[test]
fn labels_are_integers_where_classes_are() {
    for (classes, elem_type) in
        [(["-1", "7"], INT64), (["01", "7"], STRING), (["1", "1.0"], STRING), (["a", "b"], STRING)]
    {
        let mut model = Case { classes: 2, ..small() }.model();
        let crate::table::TargetCode::Classification { classes: names, .. } =
            &mut model.target.code
        else {
            panic!("classification")
        };
        *names = classes.map(String::from).to_vec();
        let graph = written(&model).graph.unwrap();
        assert_eq!(described(&graph.output)[2], ("label", elem_type, None));
        let labels = graph.initializer.iter().find(|tensor| tensor.name == "labels").unwrap();
        if elem_type == STRING {
            assert_eq!(labels.string_data, classes.map(|text| text.as_bytes().to_vec()));
        }
    }
}

/// What protocol buffers cannot hold is an error that says so.
#[test]
fn two_gibibytes_are_the_limit() {
    assert!(within(i32::MAX as usize).is_ok());
    let error = within(i32::MAX as usize + 1).unwrap_err();
    assert!(matches!(error, OnnxError::TooLarge { bytes: 2_147_483_648, .. }), "{error}");
    assert!(error.to_string().contains("smaller width"), "{error}");
}
