//! linfa's traits: `Fit` for [`Regressor`] and [`Classifier`], `PredictInplace` for their models, whence `Predict`.
//!
//! The inherent methods have the same names and come first, so the traits' are called as `Fit::fit(&regressor, &data)`
//! and `Predict::predict(&model, &data)`.

use linfa::DatasetBase;
use linfa::dataset::AsSingleTargets;
use linfa::traits::{Fit, PredictInplace};
use ndarray::{Array1, ArrayBase, Data, Ix2};

use super::{ClassificationModel, Classifier, RegressionModel, Regressor};
use crate::TrainError;

impl From<linfa::Error> for TrainError {
    fn from(error: linfa::Error) -> Self {
        Self::Linfa(error.to_string())
    }
}

impl<D, T> Fit<ArrayBase<D, Ix2>, T, TrainError> for Regressor
where
    D: Data<Elem = f64>,
    T: AsSingleTargets<Elem = f64>,
{
    type Object = RegressionModel;

    /// [`Regressor::fit`](super::Estimator::fit()) to a data set of one target.
    ///
    /// # Errors
    /// As there; also for rows with weights, which no fit here has.
    fn fit(&self, data: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<RegressionModel, TrainError> {
        refuse_weights(data)?;
        self.fit(data.records(), data.as_single_targets())
    }
}

impl<D, T, L> Fit<ArrayBase<D, Ix2>, T, TrainError> for Classifier
where
    D: Data<Elem = f64>,
    T: AsSingleTargets<Elem = L>,
    L: Ord + Clone,
{
    type Object = ClassificationModel<L>;

    /// [`Classifier::fit`](super::Estimator#method.fit-1) to a data set of labels.
    ///
    /// # Errors
    /// As there; also for rows with weights, which no fit here has.
    fn fit(
        &self,
        data: &DatasetBase<ArrayBase<D, Ix2>, T>,
    ) -> Result<ClassificationModel<L>, TrainError> {
        refuse_weights(data)?;
        let labels: Vec<L> = data.as_single_targets().iter().cloned().collect();
        self.fit(data.records(), &labels)
    }
}

impl<D: Data<Elem = f64>> PredictInplace<ArrayBase<D, Ix2>, Array1<f64>> for RegressionModel {
    /// The trait has no place for an error.
    ///
    /// # Panics
    /// Where [`RegressionModel::predict`] fails, for a model of several outputs, or for targets of another length.
    fn predict_inplace<'a>(&'a self, x: &'a ArrayBase<D, Ix2>, y: &mut Array1<f64>) {
        assert_eq!(self.outputs(), 1, "outputs of a model that predicts one number a row");
        write(self.predict(x), y);
    }

    fn default_target(&self, x: &ArrayBase<D, Ix2>) -> Array1<f64> {
        Array1::zeros(x.nrows())
    }
}

impl<D, L> PredictInplace<ArrayBase<D, Ix2>, Array1<L>> for ClassificationModel<L>
where
    D: Data<Elem = f64>,
    L: Clone,
{
    /// The trait has no place for an error.
    ///
    /// # Panics
    /// Where [`ClassificationModel::predict`] fails, or for targets of another length.
    fn predict_inplace<'a>(&'a self, x: &'a ArrayBase<D, Ix2>, y: &mut Array1<L>) {
        write(self.predict(x), y);
    }

    fn default_target(&self, x: &ArrayBase<D, Ix2>) -> Array1<L> {
        Array1::from_elem(x.nrows(), self.classes()[0].clone())
    }
}

fn write<T>(predicted: Result<Vec<T>, TrainError>, y: &mut Array1<T>) {
    match predicted {
        Ok(predicted) => {
            assert_eq!(y.len(), predicted.len(), "targets for the predictions of all rows");
            y.iter_mut().zip(predicted).for_each(|(y, predicted)| *y = predicted);
        }
        Err(error) => panic!("{error}"),
    }
}

fn refuse_weights<R: linfa::dataset::Records, T>(
    data: &DatasetBase<R, T>,
) -> Result<(), TrainError> {
    match data.weights() {
        None => Ok(()),
        Some(weights) => {
            let (found, expected) = (weights.len(), "none, as every row counts as one");
            Err(TrainError::Linfa(format!("found weights of {found} rows, expected {expected}")))
        }
    }
}
