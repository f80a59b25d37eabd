//! From raw columns to points of the unit sphere, and their weighting.

use nearlin::{Metric, MetricForm};

use super::OnnxError;
use super::graph::{Graph, number};
use super::numbers::{Number, numbers};
use super::proto::{AttributeProto, STRING};
use crate::table::{Encoder, Feature, Level};

/// The columns that a model takes, by kind.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    numbers: Vec<Number<'a>>,
    /// Name, levels, and the first of the inputs that it becomes.
    categories: Vec<(&'a str, &'a [Level], usize)>,
    /// Without the bias.
    inputs: usize,
}

/// A value in the graph: rows of `inputs`, the bias last.
#[derive(Debug)]
pub(super) struct Rows {
    name: String,
    inputs: usize,
}

impl<'a> Columns<'a> {
    /// # Errors
    /// [`OnnxError::Column`] for one that is neither a number nor a category.
    pub(super) fn of(encoder: &'a Encoder) -> Result<Self, OnnxError> {
        let mut columns = Self { numbers: Vec::new(), categories: Vec::new(), inputs: 0 };
        for feature in encoder.features() {
            let first = columns.inputs;
            let fail =
                |reason| Err(OnnxError::Column { column: feature.column().to_owned(), reason });
            match feature {
                Feature::Number { column, standard, scores, missing } => {
                    let (scores, missing) = (scores.as_ref(), *missing);
                    columns.numbers.push(Number { column, standard, scores, missing, first });
                }
                Feature::Category { column, levels } => {
                    columns.categories.push((column, levels, first));
                }
                Feature::Date { .. } => return fail("dates are texts that no operator reads"),
                Feature::Means { .. } => {
                    return fail(
                        "categories that are coded by means of the target are not exported",
                    );
                }
            }
            columns.inputs += feature.width();
        }
        Ok(columns)
    }

    /// Names of the numeric columns, in the encoder's order.
    pub(super) fn numbers(&self) -> Vec<&'a str> {
        self.numbers.iter().map(|number| number.column).collect()
    }

    /// Names of the categorical columns, in the encoder's order.
    pub(super) fn categories(&self) -> Vec<&'a str> {
        self.categories.iter().map(|(name, ..)| *name).collect()
    }

    pub(super) fn has_categories(&self) -> bool {
        !self.categories.is_empty()
    }

    /// What the encoder makes of rows.
    pub(super) fn encode(&self, graph: &mut Graph) -> Rows {
        let mut parts = Vec::new();
        let mut order: Vec<usize> = Vec::new();
        // Without any column this says how many rows there are.
        if !self.numbers.is_empty() || self.categories.is_empty() {
            numbers(graph, &self.numbers, &mut parts, &mut order);
        }
        if self.has_categories() {
            graph.input("categories", STRING, self.categories.len());
        }
        for (at, &(_, levels, first)) in self.categories.iter().enumerate() {
            parts.push(one_hot(graph, at, levels));
            order.extend(first..first + levels.len());
        }
        let columns = Self::in_order(graph, &parts, &order);
        self.on_sphere(graph, columns)
    }

    /// The parts side by side, then in the encoder's order.
    fn in_order(graph: &mut Graph, parts: &[String], order: &[usize]) -> String {
        if let [alone] = parts {
            return alone.clone();
        }
        let names: Vec<&str> = parts.iter().map(String::as_str).collect();
        let axis = || vec![AttributeProto::int("axis", 1)];
        let beside = graph.op_with("Concat", &names, "columns", axis());
        if order.is_sorted() {
            return beside;
        }
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(from, &to)| places[to] = number(from));
        let places = graph.integers("places", &[places.len()], &places);
        graph.op_with("Gather", &[&beside, &places], "columns_in_order", axis())
    }

    /// `(z / sqrt(c), 1) / |..|`.
    fn on_sphere(&self, graph: &mut Graph, columns: String) -> Rows {
        let mut z = columns;
        if self.inputs > 0 {
            let root = graph.doubles("root", &[], [(self.inputs as f64).sqrt()]);
            z = graph.op("Div", &[&z, &root], "shared");
        }
        let widths = graph.integers("bias_place", &[4], &[0, 0, 0, 1]);
        let one = graph.doubles("one", &[], [1.0]);
        let with_bias = graph.op("Pad", &[&z, &widths, &one], "with_bias");
        let name = normalised(graph, &with_bias, "point");
        Rows { name, inputs: self.inputs + 1 }
    }
}

/// One-hot columns, standardised, of categorical column `at`; no level is on for a text that is none.
fn one_hot(graph: &mut Graph, at: usize, levels: &[Level]) -> String {
    let place = graph.integers(&format!("place_{at}"), &[1], &[number(at)]);
    let name = format!("text_{at}");
    let axis = vec![AttributeProto::int("axis", 1)];
    let text = graph.op_with("Gather", &["categories", &place], &name, axis);
    let count = number(levels.len());
    let attributes = vec![
        AttributeProto::strings("keys_strings", levels.iter().map(|level| level.text.as_str())),
        AttributeProto::ints("values_int64s", 0..count),
        AttributeProto::int("default_int64", -1),
    ];
    let level = graph.op_with("LabelEncoder", &[&text], &format!("level_{at}"), attributes);
    let all: Vec<i64> = (0..count).collect();
    let all = graph.integers(&format!("levels_{at}"), &[levels.len()], &all);
    let hot = graph.op("Equal", &[&level, &all], &format!("hot_{at}"));
    let codes = levels.iter().map(Level::codes);
    let off =
        graph.doubles(&format!("off_{at}"), &[levels.len()], codes.clone().map(|code| code.0));
    let on = graph.doubles(&format!("on_{at}"), &[levels.len()], codes.map(|code| code.1));
    graph.op("Where", &[&hot, &on, &off], &format!("one_hot_{at}"))
}

/// Rows in the metric, of length 1.
pub(super) fn weighted(graph: &mut Graph, rows: &Rows, metric: Option<&Metric>) -> String {
    let Some(metric) = metric else { return rows.name.clone() };
    let (d, p, bias) = (rows.inputs, metric.inputs(), metric.bias());
    let name = "weighted";
    let name = if metric.form() == MetricForm::Full {
        // Its transpose, as points are rows, with the bias in the corner.
        let entry = |at: usize| match (at % d, at / d) {
            (row, column) if row < p && column < p => metric.map()[row * p + column],
            (row, column) if row == column => bias,
            _ => 0.0,
        };
        let map = graph.doubles("metric", &[d, d], (0..d * d).map(entry));
        graph.op("MatMul", &[&rows.name, &map], name)
    } else {
        let map = graph.doubles("metric", &[d], metric.map().iter().copied().chain([bias]));
        graph.op("Mul", &[&rows.name, &map], name)
    };
    normalised(graph, &name, "weighted_point")
}

/// Rows divided by their lengths; zeros stay.
fn normalised(graph: &mut Graph, rows: &str, name: &str) -> String {
    let named = |part: &str| format!("{name}_{part}");
    let squares = graph.op("Mul", &[rows, rows], &named("squares"));
    let axis = graph.integers(&named("axis"), &[1], &[1]);
    let sum = graph.op("ReduceSum", &[&squares, &axis], &named("sum"));
    // So that nothing is divided by 0.
    let least = graph.doubles(&named("least"), &[], [f64::MIN_POSITIVE]);
    let sum = graph.op("Max", &[&sum, &least], &named("square"));
    let length = graph.op("Sqrt", &[&sum], &named("length"));
    graph.op("Div", &[rows, &length], name)
}
