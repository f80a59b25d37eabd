//! Numbers: each output standardised on the training rows.

use core::ops::ControlFlow;

use faer::{MatRef, Par};

use super::fit::{FitReport, Fitted, Held, Inputs};
use super::{Estimator, Regression};
use crate::matrix::entries;
use crate::sureness::half_width;
use crate::{Event, JackknifePlus, Judge, LeftOutRows, Matrix, Observer, Standard, TrainError};

/// A fit that predicts numbers.
#[derive(Clone, Debug)]
pub struct RegressionModel {
    fitted: Fitted,
    targets: Vec<Standard>,
    left_out: Option<RegressionLeftOut>,
    /// Its intervals; `None` where nothing was left out or rounding leaves no posterior.
    jackknife: Option<JackknifePlus>,
}

/// What training rows would have been told had each been left out.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RegressionLeftOut {
    /// Their predictions, n x K, row-major, in the targets' units.
    pub predictions: Vec<f64>,
    /// The root mean square error of each output, in its units.
    pub rmse: Vec<f64>,
    /// `1 - (rmse / standard deviation of the targets)^2` of each output.
    pub r2: Vec<f64>,
    /// Absolute residuals of each output over the scale of intervals, ascending, those that are kept.
    sizes: Vec<Vec<f64>>,
}

impl Estimator<Regression> {
    /// Fits to inputs `x : n x d` and targets `y : n x K`, each kept in memory once more; `y` may be a slice or vector of
    /// one number for each row.
    ///
    /// # Errors
    /// [`TrainError`] says where: fewer than two rows, no columns, different numbers of rows, an entry that is no finite
    /// number, a column of targets that is constant, or a setting out of its range. Not converging is no error: read
    /// [`FitReport::ending`].
    ///
    /// # Examples
    /// ```
    /// use nearlin::Regressor;
    ///
    /// let x: Vec<[f64; 1]> = (0..40).map(|i| [i as f64 / 20.0 - 1.0]).collect();
    /// let y: Vec<[f64; 2]> = x.iter().map(|[x]| [x * x, x.abs()]).collect();
    /// let model = Regressor::new().width(512).fit(&x, &y)?;
    /// let predicted = model.predict([[0.5]].as_slice())?; // one row, two outputs
    /// assert!((predicted[0] - 0.25).abs() < 0.05 && (predicted[1] - 0.5).abs() < 0.05);
    /// # Ok::<(), nearlin::TrainError>(())
    /// ```
    pub fn fit(&self, x: impl Matrix, y: impl Matrix) -> Result<RegressionModel, TrainError> {
        self.fit_observed(x, y, &mut |_: &Event<'_>| ControlFlow::Continue(()))
    }

    /// [`fit`](Self::fit()) that an observer watches. Where it breaks, the model is the last one that there was, be it the
    /// mean of the targets, and the ending is [`Ending::Stopped`](crate::Ending::Stopped).
    ///
    /// # Errors
    /// As [`fit`](Self::fit()).
    pub fn fit_observed(
        &self,
        x: impl Matrix,
        y: impl Matrix,
        observer: &mut dyn Observer,
    ) -> Result<RegressionModel, TrainError> {
        let (rows, outputs) = (y.nrows(), y.ncols());
        let inputs = Inputs::new(&x, rows)?;
        if outputs == 0 {
            return Err(TrainError::Empty { rows, inputs: x.ncols(), outputs });
        }
        let truth = entries("targets", &y)?;
        let targets = (0..outputs)
            .map(|col| {
                let column: Vec<f64> = truth.iter().skip(col).step_by(outputs).copied().collect();
                let constant = TrainError::ConstantTarget { col, value: column[0], rows };
                Standard::fit(&column).ok_or(constant)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut y = truth.clone();
        for row in y.chunks_exact_mut(outputs) {
            row.iter_mut().zip(&targets).for_each(|(y, standard)| *y = standard.apply(*y));
        }
        let (fitted, held) =
            Fitted::new(&self.settings, inputs, &y, Judge::SquaredError, observer)?;
        let par = fitted.report.options.par;
        let (left_out, jackknife) = held
            .map(|held| RegressionLeftOut::new(held, &truth, &targets, par))
            .map_or((None, None), |(left_out, jackknife)| (Some(left_out), jackknife));
        Ok(RegressionModel { fitted, targets, left_out, jackknife })
    }
}

impl RegressionModel {
    /// Predictions for rows `x : n x d`, in the targets' units: n x K, row-major.
    ///
    /// A forward pass, `2 n m d` flops, and memory for the encoded rows.
    ///
    /// # Errors
    /// [`TrainError::Columns`] for another number of columns than in the training, [`TrainError::NonFinite`] for an entry
    /// that is no finite number.
    pub fn predict(&self, x: impl Matrix) -> Result<Vec<f64>, TrainError> {
        let mut outputs = self.fitted.outputs(&x)?;
        decode(&mut outputs, &self.targets);
        Ok(outputs)
    }

    /// For each output half the length of an interval around predictions that holds new targets with probability
    /// `level`, by the residuals of training rows that were left out (the jackknife), in the middle of the data:
    /// [`intervals`](Self::intervals) has each row's own.
    ///
    /// # Errors
    /// [`TrainError::Option`] for a level not between 0 and 1, [`TrainError::Unsure`] without
    /// [`left_out`](Self::left_out).
    pub fn half_widths(&self, level: f64) -> Result<Vec<f64>, TrainError> {
        if !(level > 0.0 && level < 1.0) {
            let (name, expected) = ("level", "a number between 0 and 1");
            return Err(TrainError::Option { name, value: level, expected });
        }
        let left_out = self.left_out.as_ref().ok_or(TrainError::Unsure)?;
        Ok(left_out.sizes.iter().filter_map(|sizes| half_width(sizes, level)).collect())
    }

    /// For rows `x : n x d` and each output the ends of an interval that holds new targets with probability `level`, in
    /// the targets' units: n x K, row-major. They are those of [`JackknifePlus`], or of
    /// [`half_widths`](Self::half_widths) where rounding leaves no [`jackknife`](Self::jackknife).
    ///
    /// # Errors
    /// As [`predict`](Self::predict) and [`half_widths`](Self::half_widths).
    ///
    /// # Examples
    /// ```
    /// use nearlin::Regressor;
    ///
    /// let x: Vec<[f64; 1]> = (0..60).map(|i| [f64::from(i) / 30.0 - 1.0]).collect();
    /// let y: Vec<f64> = x.iter().enumerate().map(|(i, [x])| x.sin() + 0.01 * (i % 3) as f64).collect();
    /// let model = Regressor::new().width(512).fit(x.as_slice(), y.as_slice())?;
    /// let [lower, upper] = model.intervals([[0.5]].as_slice(), 0.9)?[0];
    /// assert!(lower < 0.49 && 0.49 < upper && upper - lower < 0.1);
    /// # Ok::<(), nearlin::TrainError>(())
    /// ```
    pub fn intervals(&self, x: impl Matrix, level: f64) -> Result<Vec<[f64; 2]>, TrainError> {
        let half_widths = self.half_widths(level)?;
        let encoded = self.fitted.encoded(&x)?;
        let mut predictions = self.fitted.forward(&encoded)?;
        decode(&mut predictions, &self.targets);
        let Some(jackknife) = &self.jackknife else {
            let rows = predictions.chunks_exact(half_widths.len());
            let around = rows
                .flat_map(|row| row.iter().zip(&half_widths).map(|(f, half)| [f - half, f + half]));
            return Ok(around.collect());
        };
        let d = jackknife.posterior().inputs();
        let encoded = MatRef::from_row_major_slice(&encoded, encoded.len() / d, d);
        let par = self.fitted.report.options.par;
        Ok(jackknife.intervals(encoded, &predictions, level, par))
    }

    /// What tells intervals; `None` where rounding leaves none, or nothing was left out.
    #[must_use]
    pub fn jackknife(&self) -> Option<&JackknifePlus> {
        self.jackknife.as_ref()
    }

    /// Training rows that were left out: an honest error. `None` at ridge 0 or one that is
    /// lost in rounding, or where an observer stopped the fit.
    #[must_use]
    pub fn left_out(&self) -> Option<&RegressionLeftOut> {
        self.left_out.as_ref()
    }

    /// How the fit went.
    #[must_use]
    pub fn report(&self) -> &FitReport {
        &self.fitted.report
    }

    /// `K`.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.targets.len()
    }
}

impl RegressionLeftOut {
    fn new(
        held: Held,
        truth: &[f64],
        targets: &[Standard],
        par: Par,
    ) -> (Self, Option<JackknifePlus>) {
        let (k, mut predictions) = (targets.len(), held.outputs);
        decode(&mut predictions, targets);
        let residuals: Vec<f64> =
            predictions.iter().zip(truth).map(|(f, y)| (f - y).clamp(f64::MIN, f64::MAX)).collect();
        let column = |col: usize| residuals.iter().skip(col).step_by(k).map(|r| r.abs()).collect();
        let mut sizes: Vec<Vec<f64>> = (0..k).map(column).collect();
        // In units of the spread, so that no square overflows.
        let relative = |sizes: &Vec<f64>, standard: &Standard| {
            let squares = sizes.iter().map(|size| (size / standard.spread()).powi(2));
            squares.sum::<f64>() / sizes.len() as f64
        };
        let relative: Vec<f64> = sizes.iter().zip(targets).map(|(s, t)| relative(s, t)).collect();
        let rmse = relative.iter().zip(targets).map(|(square, t)| square.sqrt() * t.spread());
        let (rmse, r2) = (rmse.collect(), relative.iter().map(|square| 1.0 - square).collect());
        let jackknife = held.posterior.map(|(posterior, deviations)| {
            let in_units = |(at, slope): (usize, &f64)| slope * targets[at % k].spread();
            let slopes: Vec<f64> = held.slopes.iter().enumerate().map(in_units).collect();
            let rows = LeftOutRows {
                residuals: &residuals,
                deviations: &deviations,
                equation_of: &held.equation_of,
                x: held.equations.x(),
                slopes: &slopes,
            };
            JackknifePlus::new(posterior, &rows, par)
        });
        match &jackknife {
            Some(jackknife) => {
                sizes = jackknife.kept().iter().map(|kept| kept.sizes.clone()).collect();
            }
            None => sizes.iter_mut().for_each(|sizes| sizes.sort_by(f64::total_cmp)),
        }
        (Self { predictions, rmse, r2, sizes }, jackknife)
    }
}

/// Outputs as numbers in the targets' units, in place.
fn decode(outputs: &mut [f64], targets: &[Standard]) {
    for row in outputs.chunks_exact_mut(targets.len()) {
        row.iter_mut().zip(targets).for_each(|(f, standard)| *f = standard.invert(*f));
    }
}
