//! Classes: one output for each, 1 for a row's own and 0 for others, less the mean.

use core::ops::ControlFlow;

use super::fit::{FitReport, Fitted, Held, Inputs};
use super::{Classification, Estimator};
use crate::matrix::room;
use crate::sureness::{best, log_loss, probabilities, sharpness};
use crate::{Event, Judge, Matrix, Observer, TrainError};

/// A fit that predicts classes.
#[derive(Clone, Debug)]
pub struct ClassificationModel<L> {
    fitted: Fitted,
    /// In order, with each one's part of the training rows.
    classes: Vec<L>,
    shares: Vec<f64>,
    left_out: Option<ClassificationLeftOut>,
}

/// What training rows would have been told had each been left out.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClassificationLeftOut {
    /// Their scores, n x K, row-major.
    pub scores: Vec<f64>,
    /// The part of them whose class has the highest score.
    pub accuracy: f64,
    /// `-ln` of the probability of their class, on average.
    pub log_loss: f64,
    /// What scores are multiplied by before the softmax that makes them probabilities: the number with the least log
    /// loss.
    pub sharpness: f64,
}

impl Estimator<Classification> {
    /// Fits to inputs `x : n x d` and the label of each row, by least squares on one output for each class.
    ///
    /// # Errors
    /// [`TrainError`] says where: fewer than two rows, no columns, different numbers of rows, an entry that is no finite
    /// number, one class alone, or a setting out of its range. Not converging is no error: read [`FitReport::ending`].
    ///
    /// # Examples
    /// ```
    /// use nearlin::Classifier;
    ///
    /// let x: Vec<[f64; 2]> = (0..60).map(|i| [(i % 8) as f64, (i % 11) as f64]).collect();
    /// let labels: Vec<&str> = x.iter().map(|[a, b]| if a > b { "below" } else { "above" }).collect();
    /// let model = Classifier::new().width(512).fit(&x, &labels)?;
    /// assert_eq!(model.classes(), ["above", "below"]);
    /// assert_eq!(model.predict([[1.0, 9.0], [6.0, 2.0]].as_slice())?, ["above", "below"]);
    /// # Ok::<(), nearlin::TrainError>(())
    /// ```
    pub fn fit<L: Ord + Clone>(
        &self,
        x: impl Matrix,
        labels: &[L],
    ) -> Result<ClassificationModel<L>, TrainError> {
        self.fit_observed(x, labels, &mut |_: &Event<'_>| ControlFlow::Continue(()))
    }

    /// [`fit`](Self#method.fit-1) that an observer watches. Where it breaks, the model is the last one that there was, be
    /// it the classes' parts of the training rows, and the ending is [`Ending::Stopped`](crate::Ending::Stopped).
    ///
    /// # Errors
    /// As [`fit`](Self#method.fit-1).
    pub fn fit_observed<L: Ord + Clone>(
        &self,
        x: impl Matrix,
        labels: &[L],
        observer: &mut dyn Observer,
    ) -> Result<ClassificationModel<L>, TrainError> {
        let inputs = Inputs::new(&x, labels.len())?;
        let (classes, of) = classes(labels);
        if classes.len() < 2 {
            return Err(TrainError::OneClass { rows: labels.len() });
        }
        let mut counts = vec![0_usize; classes.len()];
        for &class in &of {
            counts[class] += 1;
        }
        let shares: Vec<f64> = counts.iter().map(|&c| c as f64 / of.len() as f64).collect();
        let mut y = room("targets", of.len(), classes.len())?;
        for &class in &of {
            let start = y.len();
            y.extend(shares.iter().map(|share| -share));
            y[start + class] = 1.0 - shares[class];
        }
        let (fitted, held) =
            Fitted::new(&self.settings, inputs, &y, Judge::Misclassified, observer)?;
        let left_out = held.map(|Held { outputs: mut scores, .. }| {
            decode(&mut scores, &shares);
            ClassificationLeftOut::new(scores, &of)
        });
        Ok(ClassificationModel { fitted, classes, shares, left_out })
    }
}

impl<L: Clone> ClassificationModel<L> {
    /// The class with the highest score for each row of `x : n x d`.
    ///
    /// # Errors
    /// [`TrainError::Columns`] for another number of columns than in the training, [`TrainError::NonFinite`] for an entry
    /// that is no finite number.
    pub fn predict(&self, x: impl Matrix) -> Result<Vec<L>, TrainError> {
        let scores = self.scores(x)?;
        let rows = scores.chunks_exact(self.classes.len());
        Ok(rows.map(|scores| self.classes[best(scores)].clone()).collect())
    }
}

impl<L> ClassificationModel<L> {
    /// The classes in the training rows, in order.
    #[must_use]
    pub fn classes(&self) -> &[L] {
        &self.classes
    }

    /// A score of each class for each row of `x : n x d`, near 1 for a class that fits and near 0 for one that does not:
    /// n x K, row-major.
    ///
    /// # Errors
    /// As [`predict`](Self::predict()).
    pub fn scores(&self, x: impl Matrix) -> Result<Vec<f64>, TrainError> {
        let mut outputs = self.fitted.outputs(&x)?;
        decode(&mut outputs, &self.shares);
        Ok(outputs)
    }

    /// The probability of each class for each row of `x : n x d`, calibrated by training rows that were left out: n x K,
    /// row-major.
    ///
    /// # Errors
    /// As [`predict`](Self::predict()), and [`TrainError::Unsure`] without [`left_out`](Self::left_out).
    pub fn probabilities(&self, x: impl Matrix) -> Result<Vec<f64>, TrainError> {
        let sharpness = self.left_out.as_ref().ok_or(TrainError::Unsure)?.sharpness;
        let scores = self.scores(x)?;
        let rows = scores.chunks_exact(self.classes.len());
        Ok(rows.flat_map(|scores| probabilities(scores, sharpness)).collect())
    }

    /// Training rows that were left out: an honest error. `None` at ridge 0 or one that is
    /// lost in rounding, or where an observer stopped the fit.
    #[must_use]
    pub fn left_out(&self) -> Option<&ClassificationLeftOut> {
        self.left_out.as_ref()
    }

    /// How the fit went.
    #[must_use]
    pub fn report(&self) -> &FitReport {
        &self.fitted.report
    }
}

impl ClassificationLeftOut {
    fn new(scores: Vec<f64>, of: &[usize]) -> Self {
        let k = scores.len() / of.len();
        let right =
            scores.chunks_exact(k).zip(of).filter(|(scores, class)| best(scores) == **class);
        let accuracy = right.count() as f64 / of.len() as f64;
        let labels: Vec<Option<u32>> = of.iter().map(|&class| Some(class as u32)).collect();
        let sharpness = sharpness(&scores, &labels);
        let log_loss = log_loss(&scores, &labels, sharpness).unwrap_or(0.0);
        Self { scores, accuracy, log_loss, sharpness }
    }
}

/// The different labels in order, and for each row the index of its own.
fn classes<L: Ord + Clone>(labels: &[L]) -> (Vec<L>, Vec<usize>) {
    let mut classes = labels.to_vec();
    classes.sort();
    classes.dedup();
    // An order that is none may lose a label; it goes to the nearest place that there is.
    let last = classes.len().saturating_sub(1);
    let of = |label: &L| classes.partition_point(|class| class < label).min(last);
    let of = labels.iter().map(of).collect();
    (classes, of)
}

/// Outputs as scores, in place.
fn decode(outputs: &mut [f64], shares: &[f64]) {
    for row in outputs.chunks_exact_mut(shares.len()) {
        row.iter_mut().zip(shares).for_each(|(f, share)| *f += share);
    }
}
