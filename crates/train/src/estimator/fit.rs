//! What both tasks have in common: from numbers to a trained network, and its outputs.

use faer::{MatRef, Par};

use super::encoder::Encoder;
use super::{Ridge, Settings};
use crate::matrix::{entries, room};
use crate::observe::Latch;
use crate::{
    Contradiction, Ending, Equations, Event, Judge, LeftOut, Matrix, Metric, MetricChoice,
    Observer, Options, Phase, Posterior, RidgePath, Run, TrainError, WidthChoice, choose_width,
    learn_metric, left_out, merge, refine_metric, ridge_path, train,
};

/// Rows of a forward pass at a time, so that masks take little memory; a multiple of the rows that the pass takes at a
/// time, so that it changes no bit.
const BLOCK: usize = 8192;

/// Arrays of the size of the weights that training holds, at most.
const ARRAYS: usize = 16;

/// How a fit went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FitReport {
    /// Rows that it was fitted to.
    pub rows: usize,
    /// Equations that they became: rows with equal inputs are one.
    pub equations: usize,
    /// Rows with equal inputs and different targets, those that differ most first.
    pub contradictions: Vec<Contradiction>,
    /// The part of the targets' norm that no model can fit because of those.
    pub floor: f64,
    /// Columns that hold the same number in all rows, and are left out.
    pub constant_columns: Vec<usize>,
    /// What was found about the inputs; `None` where they are taken as they are.
    pub metric: Option<MetricChoice>,
    /// The part of the squared gradient along each column of the inputs, as [`MetricChoice::importances`] has it along
    /// each that varies; `None` without a metric.
    pub importances: Option<Vec<f64>>,
    /// What other widths would do; `None` for a width or a ridge that was given.
    pub width: Option<WidthChoice>,
    /// What other ridges would do; `None` for a ridge that was given.
    pub ridge_path: Option<RidgePath>,
    /// The options of the training, with the ridge that was chosen.
    pub options: Options,
    /// The network, how its training ended, and each step.
    pub run: Run,
}

impl FitReport {
    /// The ridge.
    #[must_use]
    pub fn ridge(&self) -> f64 {
        self.options.ridge
    }

    /// How the training ended.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.run.ending
    }
}

/// Rows that inputs are ready for.
pub(super) struct Inputs {
    encoder: Encoder,
    /// Encoded, n x d.
    x: Vec<f64>,
    rows: usize,
}

impl Inputs {
    /// # Errors
    /// [`TrainError`] for numbers of rows that differ or are too few, no columns, or an entry that is no number.
    pub(super) fn new(x: &impl Matrix, targets: usize) -> Result<Self, TrainError> {
        let (rows, columns) = (x.nrows(), x.ncols());
        if rows == 0 || columns == 0 {
            return Err(TrainError::Empty { rows, inputs: columns, outputs: 1 });
        }
        if targets != rows {
            return Err(TrainError::Rows { inputs: rows, targets });
        }
        if rows < 2 {
            return Err(TrainError::FewRows { rows });
        }
        let x = entries("inputs", x)?;
        let encoder = Encoder::fit(&x, columns);
        Ok(Self { x: encoder.encode(&x)?, encoder, rows })
    }
}

/// Training rows, each left out.
pub(super) struct Held {
    /// n x K, row-major.
    pub(super) outputs: Vec<f64>,
    /// For regression, what they leave open, and the function's deviation at each of them.
    pub(super) posterior: Option<(Posterior, Vec<f64>)>,
    /// Outputs less targets of each equation, equations x K, row-major.
    pub(super) slopes: Vec<f64>,
    pub(super) equations: Equations,
    pub(super) equation_of: Vec<usize>,
}

/// A trained network with what it takes to use it.
#[derive(Clone, Debug)]
pub(super) struct Fitted {
    encoder: Encoder,
    pub(super) report: FitReport,
}

impl Fitted {
    /// Fits to encoded targets `y : n x outputs` in the metric that `judge` prefers; also gives what training rows would have been told
    /// had each been left out, unless the ridge is none or the training was stopped.
    ///
    /// # Errors
    /// [`TrainError`] for options out of their range, or weights beyond all memory.
    pub(super) fn new(
        settings: &Settings,
        Inputs { encoder, x, rows }: Inputs,
        y: &[f64],
        judge: Judge,
        observer: &mut dyn Observer,
    ) -> Result<(Self, Option<Held>), TrainError> {
        let mut options = settings.options();
        options.check()?;
        let (inputs, outputs) = (encoder.inputs(), y.len() / rows);
        check_weights(options.width, inputs + outputs)?;
        let mut observer = Latch::new(observer);

        let mut merged = merge(x, y, inputs, outputs);
        let (x, y) = (core::mem::take(&mut merged.x), core::mem::take(&mut merged.y));
        let mut equations = Equations::new(x, y, inputs, outputs)?;
        let mut metric = None;
        if let Some(forms) = settings.forms()
            && observer.on_event(&Event::Phase(Phase::Metric)).is_continue()
        {
            let bases: Vec<Metric> = Metric::own_units(&encoder.spreads()).into_iter().collect();
            let choice = learn_metric(&equations, &bases, forms, judge, options.par)?;
            let choice = refine_metric(&equations, choice, judge, &options)?;
            equations = equations.in_metric(&choice.metric);
            metric = Some(choice);
        }
        let equations = equations.with_floor(merged.floor);
        let mut width = None;
        if settings.width.is_none()
            && settings.ridge == Ridge::Auto
            && observer.on_event(&Event::Phase(Phase::Ridge)).is_continue()
        {
            let known = metric.as_ref().map_or(0.0, |choice| choice.ridge);
            let found = choose_width(&equations, &options.ridge(known))?;
            options = options.width(found.width);
            check_weights(options.width, inputs + outputs)?;
            width = Some(found);
        }
        let mut path = None;
        if settings.ridge == Ridge::Auto
            && observer.on_event(&Event::Phase(Phase::Ridge)).is_continue()
        {
            let found = ridge_path(&equations, &options)?;
            options = options.ridge(found.ridge());
            if settings.tolerance.is_none() {
                options = options.first_eta_within(found.error());
            }
            path = Some(found);
        }
        let run = train(&equations, &options, &mut observer)?;
        let report = FitReport {
            rows,
            equations: equations.rows(),
            contradictions: core::mem::take(&mut merged.contradictions),
            floor: merged.floor,
            constant_columns: encoder.constant(),
            importances: metric.as_ref().map(|choice| encoder.by_column(&choice.importances)),
            metric,
            width,
            ridge_path: path,
            options,
            run,
        };
        let held = held(&equations, &report)?.map(|outputs| {
            let posterior = (judge == Judge::SquaredError)
                .then(|| Posterior::new(&equations, None, options.ridge, options.par).ok())
                .flatten()
                .map(|(posterior, deviations)| (posterior, merged.by_row(&deviations)));
            let slopes = outputs.iter().zip(equations.y()).map(|(f, y)| f - y).collect();
            let outputs = merged.by_row(&outputs);
            Held { outputs, posterior, slopes, equations, equation_of: merged.equation_of }
        });
        Ok((Self { encoder, report }, held))
    }

    /// Rows as the network takes them, n x d, row-major.
    ///
    /// # Errors
    /// [`TrainError::Columns`] or [`TrainError::NonFinite`].
    pub(super) fn encoded(&self, x: &impl Matrix) -> Result<Vec<f64>, TrainError> {
        let (found, expected) = (x.ncols(), self.encoder.columns());
        if found != expected {
            return Err(TrainError::Columns { found, expected });
        }
        let mut encoded = self.encoder.encode(&entries("inputs", x)?)?;
        if let Some(choice) = &self.report.metric {
            choice.metric.apply(&mut encoded);
        }
        Ok(encoded)
    }

    /// Outputs for rows, n x K, row-major.
    ///
    /// # Errors
    /// [`TrainError::Columns`], [`TrainError::NonFinite`] or [`TrainError::TooLarge`].
    pub(super) fn outputs(&self, x: &impl Matrix) -> Result<Vec<f64>, TrainError> {
        self.forward(&self.encoded(x)?)
    }

    /// Outputs for encoded rows, n x K, row-major.
    ///
    /// # Errors
    /// [`TrainError::TooLarge`].
    pub(super) fn forward(&self, encoded: &[f64]) -> Result<Vec<f64>, TrainError> {
        let (network, par) = (&self.report.run.network, self.report.options.par);
        let d = network.inputs();
        let mut outputs = room("outputs", encoded.len() / d, network.outputs())?;
        for x in encoded.chunks(BLOCK * d) {
            let x = MatRef::from_row_major_slice(x, x.len() / d, d);
            outputs.extend(network.forward(x, par)?.outputs);
        }
        Ok(outputs)
    }
}

/// Outputs for equations that were left out, where ridge and ending let them be told.
fn held(equations: &Equations, report: &FitReport) -> Result<Option<Vec<f64>>, TrainError> {
    let (ridge, par): (f64, Par) = (report.options.ridge, report.options.par);
    if ridge == 0.0 || report.run.ending == Ending::Stopped {
        return Ok(None);
    }
    match left_out(equations, &report.run.network, ridge, par) {
        Ok(LeftOut { outputs, converged, .. }) => Ok(Some(outputs).filter(|_| converged)),
        // The ridge is lost in rounding: as good as none.
        Err(TrainError::Factor(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Refuses weights whose number of bytes is no number of this machine.
fn check_weights(width: usize, cols: usize) -> Result<(), TrainError> {
    let bytes = width.checked_mul(cols).and_then(|m| m.checked_mul(ARRAYS * size_of::<f64>()));
    match bytes {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(()),
        _ => Err(TrainError::TooLarge { what: "weights", rows: width, cols }),
    }
}
