//! The network, and its outputs in the user's terms.

use super::ROUNDING;
use super::graph::Graph;
use super::proto::{AttributeProto, DOUBLE, INT64, STRING};
use crate::calibration::Calibration;
use crate::model::Model;
use crate::table::{Standard, Target, TargetCode};

/// `f(x) = m^(-1/2) sum_r signs_r (relu((w0 + u)_r . x) - relu(w0_r . x))` for the rows of `x`.
///
/// The second part is zero where neurons cancel at the start, but for roundings of the first. Where
/// neurons do not cancel, or those roundings would show, each difference is formed without them:
/// `relu(a + b) - relu(a) = max(b + min(a, 0), -relu(a))`.
pub(super) fn network(graph: &mut Graph, x: &str, model: &Model) -> String {
    let (m, d, k) = (model.width, model.inputs, model.outputs);
    let transposed = |weights: &dyn Fn(usize) -> f64| -> Vec<f64> {
        (0..d * m).map(|at| weights(at % m * d + at / m)).collect()
    };
    let scaled = model.signs.iter().map(|sign| sign / (m as f64).sqrt());
    let signs = graph.doubles("signs", &[m, k], scaled);
    let terms = if rounding(model) <= ROUNDING && model.network().is_ok() {
        let sums = transposed(&|at| model.w0[at] + model.u[at]);
        let weights = graph.doubles("weights", &[d, m], sums);
        let sums = graph.op("MatMul", &[x, &weights], "neurons");
        graph.op("Relu", &[&sums], "active")
    } else {
        let before = graph.doubles("weights_before", &[d, m], transposed(&|at| model.w0[at]));
        let change = graph.doubles("weights_change", &[d, m], transposed(&|at| model.u[at]));
        let zero = graph.doubles("zero", &[], [0.0]);
        let a = graph.op("MatMul", &[x, &before], "neurons_before");
        let b = graph.op("MatMul", &[x, &change], "neurons_change");
        let below = graph.op("Min", &[&a, &zero], "neurons_below");
        let above = graph.op("Relu", &[&a], "active_before");
        let from = graph.op("Add", &[&b, &below], "change_from_below");
        let to = graph.op("Neg", &[&above], "change_to_zero");
        graph.op("Max", &[&from, &to], "active_change")
    };
    graph.op("MatMul", &[&terms, &signs], "outputs")
}

/// An estimate of what an output errs by where large terms cancel: `m^(-1/2) sum_r |w0_r| d eps`, as if all
/// roundings in the neurons had one sign, and those of their sum were few beside.
fn rounding(model: &Model) -> f64 {
    let lengths = model.w0.chunks_exact(model.inputs).map(length);
    lengths.sum::<f64>() / (model.width as f64).sqrt() * model.inputs as f64 * f64::EPSILON
}

fn length(weights: &[f64]) -> f64 {
    weights.iter().map(|w| w * w).sum::<f64>().sqrt()
}

/// The outputs of the graph from those of the network.
pub(super) fn decode(
    graph: &mut Graph,
    f: &str,
    target: &Target,
    calibration: Option<&Calibration>,
) {
    match &target.code {
        TargetCode::Regression(standard) => number_of(graph, f, standard),
        TargetCode::Classification { classes, centre } => {
            let centre = graph.doubles("centre", &[classes.len()], centre.iter().copied());
            let scores = graph.op("Add", &[f, &centre], "scores");
            class_of(graph, &scores, classes, calibration);
        }
        TargetCode::Logits { classes, .. } => {
            let scores = graph.op("Identity", &[f], "scores");
            class_of(graph, &scores, classes, calibration);
        }
    }
}

/// Scores or logits, the probabilities that they stand for, if that is known, and the label.
fn class_of(
    graph: &mut Graph,
    scores: &str,
    classes: &[String],
    calibration: Option<&Calibration>,
) {
    let k = classes.len();
    graph.output(scores, DOUBLE, Some(k));
    if let Some(Calibration::Sharpness(sharpness)) = calibration {
        let sharpness = graph.doubles("sharpness", &[], [*sharpness]);
        let sharp = graph.op("Mul", &[scores, &sharpness], "sharp_scores");
        let axis = vec![AttributeProto::int("axis", 1)];
        let name = graph.op_with("Softmax", &[&sharp], "probabilities", axis);
        graph.output(&name, DOUBLE, Some(k));
    }
    label_of(graph, scores, classes);
}

/// `(f std + mean) unit`, kept finite.
fn number_of(graph: &mut Graph, f: &str, standard: &Standard) {
    let [unit, mean, std] = standard.parts();
    let constant = |graph: &mut Graph, name: &str, value| graph.doubles(name, &[], [value]);
    let std = constant(graph, "target_std", std);
    let mean = constant(graph, "target_mean", mean);
    let unit = constant(graph, "target_unit", unit);
    let least = constant(graph, "target_least", f64::MIN);
    let most = constant(graph, "target_most", f64::MAX);
    let spread = graph.op("Mul", &[f, &std], "target_spread");
    let centred = graph.op("Add", &[&spread, &mean], "target_in_units");
    let scaled = graph.op("Mul", &[&centred, &unit], "target_value");
    let name = graph.op("Clip", &[&scaled, &least, &most], "prediction");
    graph.output(&name, DOUBLE, Some(1));
}

/// The class with the highest score, the first of them on a tie.
fn label_of(graph: &mut Graph, scores: &str, classes: &[String]) {
    let attributes = vec![AttributeProto::int("axis", 1), AttributeProto::int("keepdims", 0)];
    let best = graph.op_with("ArgMax", &[scores], "best", attributes);
    let whole = |text: &String| text.parse().ok().filter(|i: &i64| i.to_string() == *text);
    let integers: Option<Vec<i64>> = classes.iter().map(whole).collect();
    let (labels, elem_type) = match integers {
        Some(labels) => (graph.integers("labels", &[labels.len()], &labels), INT64),
        None => (graph.texts("labels", classes), STRING),
    };
    let axis = vec![AttributeProto::int("axis", 0)];
    let name = graph.op_with("Gather", &[&labels, &best], "label", axis);
    graph.output(&name, elem_type, None);
}
