//! Numeric columns: values, normal scores, and where there is no value.

use super::graph::{Graph, number};
use super::proto::{AttributeProto, DOUBLE};
use crate::table::{Level, NormalScores, Standard};

/// A numeric column.
#[derive(Debug)]
pub(super) struct Number<'a> {
    pub(super) column: &'a str,
    pub(super) standard: &'a Standard,
    pub(super) scores: Option<&'a NormalScores>,
    /// The part of the training rows without a value.
    pub(super) missing: Option<f64>,
    /// The first of the inputs that it becomes.
    pub(super) first: usize,
}

/// Adds what the encoder makes of the input `numbers` to `parts`, and to `order` which inputs those are. A missing
/// number is a NaN.
pub(super) fn numbers(
    graph: &mut Graph,
    columns: &[Number<'_>],
    parts: &mut Vec<String>,
    order: &mut Vec<usize>,
) {
    let input = graph.input("numbers", DOUBLE, columns.len());
    let zero = graph.doubles("no_value", &[], [0.0]);
    let none = graph.op("IsNaN", &[&input], "no_number");
    let standards: Vec<&Standard> = columns.iter().map(|number| number.standard).collect();
    let z = standardised(graph, &input, &standards, "");
    parts.push(graph.op("Where", &[&none, &zero, &z], "values"));
    order.extend(columns.iter().map(|number| number.first));
    for (at, column) in columns.iter().enumerate() {
        let axis = || vec![AttributeProto::int("axis", 1)];
        let place = graph.integers(&format!("number_place_{at}"), &[1], &[number(at)]);
        let lacks = graph.op_with("Gather", &[&none, &place], &format!("lacks_{at}"), axis());
        if let Some(scores) = column.scores {
            let name = format!("value_{at}");
            let value = graph.op_with("Gather", &[&input, &place], &name, axis());
            let score = score(graph, at, &value, scores);
            parts.push(graph.op("Where", &[&lacks, &zero, &score], &format!("score_{at}")));
            order.push(column.first + 1);
        }
        if let Some(share) = column.missing {
            let (off, on) = Level { text: String::new(), share }.codes();
            let off = graph.doubles(&format!("present_{at}"), &[], [off]);
            let on = graph.doubles(&format!("missing_{at}"), &[], [on]);
            parts.push(graph.op("Where", &[&lacks, &on, &off], &format!("missing_code_{at}")));
            order.push(column.first + 1 + usize::from(column.scores.is_some()));
        }
    }
}

/// Less their means, in multiples of their spreads, `name` making the values' names their own.
fn standardised(graph: &mut Graph, of: &str, standards: &[&Standard], name: &str) -> String {
    let mut z = of.to_owned();
    let steps = [("Div", "unit", "in_units"), ("Sub", "mean", "centred"), ("Div", "std", "spread")];
    for (part, (op, by, value)) in steps.into_iter().enumerate() {
        let parts = standards.iter().map(|standard| standard.parts()[part]);
        let by = graph.doubles(&format!("{by}{name}"), &[standards.len()], parts);
        z = graph.op(op, &[&z, &by], &format!("{value}{name}"));
    }
    let least = graph.doubles(&format!("nearest{name}"), &[], [-Standard::FARTHEST]);
    let most = graph.doubles(&format!("farthest{name}"), &[], [Standard::FARTHEST]);
    graph.op("Clip", &[&z, &least, &most], &format!("standardised{name}"))
}

/// The piecewise linear function: the first score, and for each piece the part of it that lies below the value.
fn score(graph: &mut Graph, at: usize, value: &str, scores: &NormalScores) -> String {
    let pieces: Vec<_> = scores.knots().windows(2).map(|pair| (pair[0], pair[1])).collect();
    let name = |what: &str| format!("{what}_{at}");
    let k = pieces.len();
    // Halves, as the distance of two numbers may be none.
    let half = graph.doubles(&name("half"), &[], [0.5]);
    let starts = pieces.iter().map(|(left, _)| 0.5 * left.0);
    let starts = graph.doubles(&name("knots"), &[k], starts);
    let lengths = pieces.iter().map(|(left, right)| 0.5 * right.0 - 0.5 * left.0);
    let lengths = graph.doubles(&name("lengths"), &[k], lengths);
    let rises = pieces.iter().map(|(left, right)| right.1 - left.1);
    let rises = graph.doubles(&name("rises"), &[k, 1], rises);
    let lowest = graph.doubles(&name("lowest"), &[], [pieces[0].0.1]);
    let (zero, one) = (
        graph.doubles(&name("none_of_it"), &[], [0.0]),
        graph.doubles(&name("all_of_it"), &[], [1.0]),
    );
    let halved = graph.op("Mul", &[value, &half], &name("halved"));
    let away = graph.op("Sub", &[&halved, &starts], &name("away"));
    let parts = graph.op("Div", &[&away, &lengths], &name("parts"));
    let parts = graph.op("Clip", &[&parts, &zero, &one], &name("parts_below"));
    let risen = graph.op("MatMul", &[&parts, &rises], &name("risen"));
    let score = graph.op("Add", &[&risen, &lowest], &name("normal_score"));
    standardised(graph, &score, &[scores.standard()], &format!("_of_scores_{at}"))
}
