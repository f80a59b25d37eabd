//! From a matrix of inputs and its targets to a model that predicts: all that the program does with no options.
//!
//! Columns are standardised and rows put on the unit sphere, equal rows become one equation, the metric and the ridge
//! are those that predict best what is left out, [`train`](crate::train()) does the rest, and training rows that are left
//! out of the result say how sure it is. Each part is there by itself: [`merge`](crate::merge()),
//! [`learn_metric`](crate::learn_metric()), [`ridge_path`](crate::ridge_path()), [`left_out`](crate::left_out()).

mod classification;
mod encoder;
mod fit;
#[cfg(feature = "linfa")]
mod linfa;
mod regression;

use core::marker::PhantomData;

use faer::Par;

use crate::{MetricForm, Options, Precision};

pub use classification::{ClassificationLeftOut, ClassificationModel};
pub use fit::FitReport;
pub use regression::{RegressionLeftOut, RegressionModel};

/// Fits numbers: see [`Estimator`].
pub type Regressor = Estimator<Regression>;

/// Fits classes: see [`Estimator`].
pub type Classifier = Estimator<Classification>;

/// The task of a [`Regressor`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Regression;

/// The task of a [`Classifier`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Classification;

/// Which ridge a fit has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Ridge {
    /// The one that predicts training rows best that are left out: [`ridge_path`](crate::ridge_path()).
    #[default]
    Auto,
    /// This one; 0 passes through every row.
    Fixed(f64),
}

impl From<f64> for Ridge {
    fn from(ridge: f64) -> Self {
        Self::Fixed(ridge)
    }
}

/// How inputs are weighted before they reach the network: [`learn_metric`](crate::learn_metric()).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MetricRule {
    /// [`Learned`](Self::Learned) with [`Ridge::Auto`], [`Plain`](Self::Plain) with a ridge that is given.
    #[default]
    Auto,
    /// Not: standardised inputs as they are.
    Plain,
    /// By what predicts best: nothing, a number for each input, or a matrix.
    Learned,
    /// At most by a number for each input.
    Diagonal,
    /// By a matrix, or nothing.
    Full,
}

/// How to fit: what [`Regressor`] and [`Classifier`] have in common.
///
/// [`Regressor::fit`](Estimator::fit()) takes numbers, one column or several, [`Classifier::fit`](Estimator#method.fit-1)
/// a label for each row. Unless told otherwise they do what the program does.
///
/// # Examples
#[doc = concat!("```\n", include_str!("../examples/slices.rs"), "```")]
///
/// An observer sees what goes on, and may stop it:
#[doc = concat!("```\n", include_str!("../examples/observer.rs"), "```")]
#[cfg_attr(feature = "linfa", doc = "\nThrough linfa's traits:")]
#[cfg_attr(feature = "linfa", doc = concat!("```\n", include_str!("../examples/linfa.rs"), "```"))]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimator<Task> {
    settings: Settings,
    task: PhantomData<Task>,
}

/// How to fit, whatever the task.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Settings {
    options: Options,
    ridge: Ridge,
    metric: MetricRule,
    width: Option<usize>,
    tolerance: Option<f64>,
    precision: Option<Precision>,
}

impl<Task> Estimator<Task> {
    /// The defaults of the program.
    #[must_use]
    pub fn new() -> Self {
        Self { settings: Settings::default(), task: PhantomData }
    }

    /// This one with `m` neurons, a positive even number. By default 4096, or with [`Ridge::Auto`] as many more as
    /// [`choose_width`](crate::choose_width()) finds worth it.
    #[must_use]
    pub fn width(mut self, width: usize) -> Self {
        self.settings.width = Some(width);
        self
    }

    /// This one with a ridge: a number, in the units of [`Options::ridge`], or [`Ridge::Auto`], the default.
    #[must_use]
    pub fn ridge(mut self, ridge: impl Into<Ridge>) -> Self {
        self.settings.ridge = ridge.into();
        self
    }

    /// This one with inputs that are weighted so. Default [`MetricRule::Auto`].
    #[must_use]
    pub fn metric(mut self, metric: MetricRule) -> Self {
        self.settings.metric = metric;
        self
    }

    /// This one with a tolerance to reach, of the relative residual at ridge 0 and else of the relative gradient. By
    /// default 1e-8 with a ridge that is given; with [`Ridge::Auto`] the fit ends where steps gain little:
    /// [`Options::automatic`].
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.settings.tolerance = Some(tolerance);
        self
    }

    /// This one with a budget of steps. Default 50.
    #[must_use]
    pub fn max_steps(self, max_steps: usize) -> Self {
        self.options(|options| options.max_steps(max_steps))
    }

    /// This one with an inner solver of this precision. By default `f32` where ridge and tolerance are left to the fit, and
    /// `f64` with either given.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.settings.precision = Some(precision);
        self
    }

    /// This one with a seed of the initial weights and the sketches. Default 0.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.options(|options| options.seed(seed))
    }

    /// This one with this parallelism, of fits and of predictions. Default: rayon's current pool. No result depends on it.
    #[must_use]
    pub fn par(self, par: Par) -> Self {
        self.options(|options| options.par(par))
    }

    /// This one with other options changed, as in `.options(|options| options.sketch_rows(Some(500)))`. Ridge,
    /// tolerance, precision, width, least gain and first `eta_lin` are not taken from there: see [`ridge`](Self::ridge),
    /// [`width`](Self::width), [`tolerance`](Self::tolerance) and [`precision`](Self::precision).
    #[must_use]
    pub fn options(mut self, change: impl FnOnce(Options) -> Options) -> Self {
        self.settings.options = change(self.settings.options);
        self
    }
}

impl Settings {
    /// The options of the training, with a ridge that is still to be chosen.
    fn options(&self) -> Options {
        let usual = Options::default();
        let ridge = match self.ridge {
            Ridge::Auto => usual.ridge,
            Ridge::Fixed(ridge) => ridge + 0.0, // no -0
        };
        let options =
            self.options.ridge(ridge).tolerance(self.tolerance.unwrap_or(usual.tolerance));
        let options = options.width(self.width.unwrap_or(usual.width));
        let options = if self.ridge == Ridge::Auto && self.tolerance.is_none() {
            options.automatic()
        } else {
            let options = options.precision(usual.precision);
            options.least_gain(usual.least_gain).first_eta(usual.first_eta)
        };
        options.precision(self.precision.unwrap_or(options.precision))
    }

    /// The forms of a metric that may be learned; `None` for inputs as they are.
    fn forms(&self) -> Option<&'static [MetricForm]> {
        match (self.metric, self.ridge) {
            (MetricRule::Plain, _) | (MetricRule::Auto, Ridge::Fixed(_)) => None,
            (MetricRule::Learned, _) | (MetricRule::Auto, Ridge::Auto) => {
                Some(&MetricForm::LEARNED)
            }
            (MetricRule::Diagonal, _) => Some(&[MetricForm::Diagonal]),
            (MetricRule::Full, _) => Some(&[MetricForm::Full]),
        }
    }
}
