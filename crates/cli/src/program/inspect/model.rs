//! What is in a model.

use nearlin::{JackknifePlus, Metric, MetricForm};
use serde::Serialize;

use super::share::{Share, percent};
use super::{headed, kinds, more};
use crate::calibration::Calibration;
use crate::model::{Model, VERSION};
use crate::program::words::{aligned, bytes as size, counted, figure, plain};
use crate::table::{Feature, Standard, TargetCode, excerpt};

/// Parts of new targets whose intervals are told.
const LEVELS: [f64; 4] = [0.5, 0.8, 0.9, 0.95];

/// A model, as it is shown.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename = "model")]
pub(super) struct About {
    file: String,
    bytes: u64,
    format: u64,
    target: Target,
    /// `m`.
    width: usize,
    /// `d`.
    inputs: usize,
    /// `K`.
    outputs: usize,
    scale: f64,
    ridge: f64,
    precision: String,
    seed: u64,
    metric: Option<Weighting>,
    sureness: Option<Sureness>,
    columns: Vec<Column>,
}

#[derive(Debug, Serialize)]
struct Target {
    column: String,
    task: &'static str,
    #[serde(flatten)]
    code: Code,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Code {
    /// Of the training rows.
    Number {
        mean: f64,
        spread: f64,
    },
    Classes {
        classes: Vec<Share>,
    },
}

#[derive(Debug, Serialize)]
struct Weighting {
    form: &'static str,
    bias: f64,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Sureness {
    /// Probabilities are the softmax of the scores times this.
    Probabilities { sharpness: f64 },
    Intervals {
        /// That the model keeps.
        residuals: usize,
        intervals: Vec<Interval>,
        largest: f64,
        /// Whether widths are those of usual rows, and other rows have others.
        local: bool,
    },
}

/// Half the length of an interval that holds a part of new targets.
#[derive(Debug, Serialize)]
struct Interval {
    level: f64,
    half_width: f64,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    /// `number` or `category`.
    encoding: &'static str,
    inputs: usize,
    /// The column's part of the metric's squared weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<f64>,
    #[serde(flatten)]
    code: Option<ColumnCode>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ColumnCode {
    /// Of the training rows.
    Number {
        mean: f64,
        spread: f64,
    },
    Levels {
        levels: Vec<Share>,
    },
}

impl About {
    pub(super) fn new(file: String, bytes: u64, model: &Model) -> Self {
        let weights = model.metric.as_ref().and_then(weights);
        let mut weights = weights.as_ref().map(|weights| weights.iter());
        let features = model.encoder.features().iter();
        let columns = features.map(|feature| {
            let inputs = feature.width();
            let weight = weights.as_mut().map(|weights| weights.by_ref().take(inputs).sum());
            let (encoding, code) = code_of(feature);
            Column { name: feature.column().to_owned(), encoding, inputs, weight, code }
        });
        Self {
            file,
            bytes,
            format: VERSION,
            columns: columns.collect(),
            target: Target {
                column: model.target.column.clone(),
                task: model.target.task().name(),
                code: match &model.target.code {
                    TargetCode::Regression(standard) => {
                        let (mean, spread) = moments(standard);
                        Code::Number { mean, spread }
                    }
                    TargetCode::Classification { classes, centre }
                    | TargetCode::Logits { classes, shares: centre } => Code::Classes {
                        classes: (classes.iter().zip(centre))
                            .map(|(text, &share)| Share { text: text.clone(), share })
                            .collect(),
                    },
                },
            },
            width: model.width,
            inputs: model.inputs,
            outputs: model.outputs,
            scale: model.scale,
            ridge: model.ridge,
            precision: model.precision.clone(),
            seed: model.seed,
            metric: model
                .metric
                .as_ref()
                .map(|metric| Weighting { form: metric.form().name(), bias: metric.bias() }),
            sureness: model
                .calibration
                .as_ref()
                .map(|by| Sureness::of(by, model.jackknife.as_ref())),
        }
    }

    /// Lines for people, with at most so many columns and texts of each.
    pub(super) fn text(&self, columns: usize, levels: usize) -> String {
        let Target { column, task, code } = &self.target;
        let target = match code {
            Code::Number { mean, spread } => {
                format!("mean {}, spread {}", figure(*mean), figure(*spread))
            }
            Code::Classes { classes } => {
                let shares = Share::list(classes, levels.max(8));
                format!("{} classes, parts of the training rows {shares}", classes.len())
            }
        };
        let metric = self.metric.as_ref().map_or_else(
            || "none: inputs as they are".to_owned(),
            |Weighting { form, bias }| format!("{form}, bias times {}", plain(*bias)),
        );
        let sureness = self.sureness.as_ref().map_or_else(
            || {
                "not known: the fit had no ridge, was of a quantile, or of batches without test rows"
                    .to_owned()
            },
            Sureness::text,
        );
        let mut out = headed(&[
            (
                "model",
                format!("{}: format {}, {}", self.file, self.format, size(self.bytes as f64)),
            ),
            ("target", format!("{}, {task}; {target}", excerpt(column))),
            (
                "network",
                format!(
                    "width {}, {}, {}; scale {}, ridge {}, trained in {}, seed {}",
                    self.width,
                    counted(self.inputs, "input"),
                    counted(self.outputs, "output"),
                    plain(self.scale),
                    plain(self.ridge),
                    self.precision,
                    self.seed,
                ),
            ),
            ("metric", metric),
            ("sureness", sureness),
            ("columns", kinds(self.columns.iter().map(|column| column.encoding))),
        ]);
        out += &self.list(columns, levels);
        out
    }

    /// The columns; in a metric, those with the largest weights first.
    fn list(&self, columns: usize, levels: usize) -> String {
        if self.columns.is_empty() {
            return "  all columns were constant: every row is told the same\n".into();
        }
        let mut order: Vec<&Column> = self.columns.iter().collect();
        order.sort_by(|a, b| b.weight.unwrap_or(0.0).total_cmp(&a.weight.unwrap_or(0.0)));
        let weighted = order.iter().any(|column| column.weight.is_some());
        let weight = weighted.then_some("weight");
        let head = ["column", "encoding", "inputs"].into_iter().chain(weight);
        let head = head.chain(["of the training rows"]).map(String::from).collect();
        let mut rows: Vec<Vec<String>> = vec![head];
        for column in order.iter().take(columns) {
            let mut row =
                vec![excerpt(&column.name), column.encoding.to_owned(), column.inputs.to_string()];
            row.extend(column.weight.map(percent));
            row.push(match &column.code {
                Some(ColumnCode::Number { mean, spread }) => {
                    format!("mean {}, spread {}", figure(*mean), figure(*spread))
                }
                Some(ColumnCode::Levels { levels: shares }) => Share::list(shares, levels),
                None => String::new(),
            });
            rows.push(row);
        }
        let last = rows[0].len() - 1;
        aligned(&rows, &[0, 1, last]) + &more(self.columns.len().saturating_sub(columns))
    }
}

impl Sureness {
    fn of(calibration: &Calibration, jackknife: Option<&JackknifePlus>) -> Self {
        let interval =
            |level| calibration.half_width(level).map(|half_width| Interval { level, half_width });
        match calibration {
            Calibration::Sharpness(sharpness) => Self::Probabilities { sharpness: *sharpness },
            Calibration::Residuals(sizes) => Self::Intervals {
                residuals: sizes.len(),
                intervals: LEVELS.into_iter().filter_map(interval).collect(),
                largest: sizes.last().copied().unwrap_or(0.0),
                local: jackknife.is_some_and(|by| by.usual().is_some()),
            },
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Probabilities { sharpness } => {
                format!("probabilities are the softmax of {} times the scores", figure(*sharpness))
            }
            Self::Intervals { residuals, intervals, largest, local } => {
                let parts = intervals.iter().map(|Interval { level, half_width }| {
                    format!("{:.0}% within {}", 100.0 * level, figure(*half_width))
                });
                let parts: Vec<String> = parts.collect();
                let residuals = counted(*residuals, "residual");
                format!(
                    "of {residuals} of left-out rows {}, all within {}{}",
                    parts.join(", "),
                    figure(*largest),
                    if *local { ", at usual rows; more where training rows say less" } else { "" }
                )
            }
        }
    }
}

fn moments(standard: &Standard) -> (f64, f64) {
    (standard.invert(0.0), standard.spread())
}

fn code_of(feature: &Feature) -> (&'static str, Option<ColumnCode>) {
    if let Feature::Number { standard, .. } = feature {
        let (mean, spread) = moments(standard);
        ("number", Some(ColumnCode::Number { mean, spread }))
    } else if let Feature::Category { levels, .. } = feature {
        let shares =
            levels.iter().map(|level| Share { text: level.text.clone(), share: level.share });
        ("category", Some(ColumnCode::Levels { levels: Share::sorted(shares.collect()) }))
    } else {
        match feature {
            Feature::Date { .. } => ("date", None),
            Feature::Means { .. } => ("means", None),
            _ => ("other", None),
        }
    }
}

/// Each input's part of the squared weights, but the bias; `None` where all are the same.
///
/// The square of the map is an average gradient outer product, whose diagonal this is.
fn weights(metric: &Metric) -> Option<Vec<f64>> {
    let p = metric.inputs();
    let squares: Vec<f64> = match metric.form() {
        MetricForm::Diagonal => metric.map().iter().map(|m| m * m).collect(),
        MetricForm::Full => {
            let column = |q: usize| metric.map().iter().skip(q).step_by(p);
            (0..p).map(|q| column(q).map(|m| m * m).sum()).collect()
        }
        _ => return None,
    };
    let sum: f64 = squares.iter().sum();
    (sum > 0.0 && sum.is_finite()).then(|| squares.iter().map(|square| square / sum).collect())
}
