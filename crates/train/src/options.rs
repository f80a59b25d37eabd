//! What to train, and how.

use faer::Par;
use nearlin_relu::Signs;

use crate::TrainError;
use crate::replan::Alternatives;
use crate::solver::SolverKind;

/// Largest scale that is ever tried.
pub const MAX_SCALE: f64 = (1u64 << 20) as f64;

/// Most that `eta_lin` of the first step may be, relative to the linear model's error on rows that are left out.
const PART: f64 = 0.1;

/// Least `first_eta` for that, so that targets without noise do not ask for ever larger scales.
const LEAST_ETA: f64 = 1e-3;

/// The standard deviation of the initial weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// A power of two whose steps certify: `eta_lin` below 1/4 in the first step (or [`Options::first_eta`]) and
    /// a contraction of at most 1/2 in every one; 1, or at most eight times one that is too small.
    Auto,
    /// This number, whatever the certificate says.
    Fixed(f64),
}

/// The precision of the inner solver: its passes, sketches and factors.
///
/// Weights, residuals and certificates are `f64` always; with `F32` the inner solution is refined
/// against residuals in `f64`, so the same tolerances are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 64 bits.
    F64,
    /// 32 bits.
    F32,
}

impl Precision {
    /// `"f64"` or `"f32"`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
        }
    }
}

/// How accurately each inner system is solved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InnerTolerance {
    /// What the last step's linearisation error justifies: `min(0.1, eta_lin)`, never more than the
    /// outer tolerance asks for.
    Adaptive,
    /// This relative residual at every step.
    Fixed(f64),
}

/// Options of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// Neurons `m`, even. Default 4096.
    pub width: usize,
    /// Default [`Scale::Auto`].
    pub scale: Scale,
    /// The inner solver; `None` lets the planner choose. Default `None`.
    pub solver: Option<SolverKind>,
    /// Solvers to go on with where that one takes other than is expected of it. Where the planner chooses, it says this as
    /// well. Default `None`.
    pub alternatives: Option<Alternatives>,
    /// `mu` in `|f(W) - y|^2 + mu |W - W_0|^2`, in the units of the Gram matrix, whose diagonal is
    /// near 1/2 for inputs of length 1. Default 0.01.
    pub ridge: f64,
    /// Relative residual (without a ridge) or relative gradient (with one) to reach. Default 1e-8.
    pub tolerance: f64,
    /// With a ridge, a run also ends after a step that lowers the objective by less than this part of it, and
    /// no step need contract while it lowers the objective by more. 0 for never. Default 0. For
    /// [`train_batches`](crate::train_batches()) it is of passes, and without a ridge too.
    pub least_gain: f64,
    /// With [`Scale::Auto`], what the linear model may miss of the first step, `eta_lin`. Default 1/4.
    pub first_eta: f64,
    /// Most kept steps. Default 50.
    pub max_steps: usize,
    /// Names every random choice. Default 0.
    pub seed: u64,
    /// Default [`Precision::F64`].
    pub precision: Precision,
    /// Default [`InnerTolerance::Adaptive`].
    pub inner_tolerance: InnerTolerance,
    /// Most iterations of one inner solve. Default 20,000.
    pub max_inner: usize,
    /// Rows of a sketch; `None` for 4 n, or 2 n past 8,192 equations. For [`SolverKind::RpCholesky`],
    /// [`SolverKind::RpGram`] and [`SolverKind::Nystrom`] their rank; `None` for 2,048, or 2^27 / n where that is less. Default `None`.
    pub sketch_rows: Option<usize>,
    /// Signs of the outputs; `None` for orthogonal ones without a ridge, where the width allows them,
    /// else balanced ones. Default `None`.
    pub signs: Option<Signs>,
    /// Threads. Default: rayon's current pool. No result depends on it.
    pub par: Par,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            width: 4096,
            scale: Scale::Auto,
            solver: None,
            alternatives: None,
            ridge: 0.01,
            tolerance: 1e-8,
            least_gain: 0.0,
            first_eta: 0.25,
            max_steps: 50,
            seed: 0,
            precision: Precision::F64,
            inner_tolerance: InnerTolerance::Adaptive,
            max_inner: 20_000,
            sketch_rows: None,
            signs: None,
            par: Par::rayon(0),
        }
    }
}

/// Setters, for `Options::default().width(512).ridge(0.0)`.
impl Options {
    /// These options with this width.
    #[must_use]
    pub fn width(self, width: usize) -> Self {
        Self { width, ..self }
    }

    /// These options with this scale.
    #[must_use]
    pub fn scale(self, scale: Scale) -> Self {
        Self { scale, ..self }
    }

    /// These options with this inner solver.
    #[must_use]
    pub fn solver(self, solver: Option<SolverKind>) -> Self {
        Self { solver, ..self }
    }

    /// These options with these solvers to go on with.
    #[must_use]
    pub fn alternatives(self, alternatives: Option<Alternatives>) -> Self {
        Self { alternatives, ..self }
    }

    /// These options with this ridge.
    #[must_use]
    pub fn ridge(self, ridge: f64) -> Self {
        Self { ridge, ..self }
    }

    /// These options with this tolerance.
    #[must_use]
    pub fn tolerance(self, tolerance: f64) -> Self {
        Self { tolerance, ..self }
    }

    /// These options with this least gain of a step.
    #[must_use]
    pub fn least_gain(self, least_gain: f64) -> Self {
        Self { least_gain, ..self }
    }

    /// These options with this limit to what the linear model misses of the first step.
    #[must_use]
    pub fn first_eta(self, first_eta: f64) -> Self {
        Self { first_eta, ..self }
    }

    /// These options with the ends of a fit whose ridge and metric were judged by the linear model, as
    /// [`ridge_path`](crate::ridge_path()) and [`learn_metric`](crate::learn_metric()) do: a `first_eta` of 0.02, so that
    /// the network stays near that model, a `least_gain` of 1e-3, as no prediction tells smaller steps, and an inner
    /// solver in `f32`, which is accurate enough for them and faster.
    #[must_use]
    pub fn automatic(self) -> Self {
        self.first_eta(0.02).least_gain(1e-3).precision(Precision::F32)
    }

    /// These options with a `first_eta` of at most a tenth of `error`, the relative error of the linear model on rows that
    /// are left out ([`RidgePath::error`](crate::RidgePath::error)): what the network's steps miss of the model is noise
    /// beside that error, and a tenth adds little to it. No less than 1e-3 for that, so that targets without noise do not ask for
    /// ever larger scales. For squared errors, after [`Self::automatic`].
    ///
    /// # Examples
    /// ```
    /// use nearlin::Options;
    ///
    /// let options = Options::default().automatic();
    /// assert_eq!(options.first_eta_within(0.7).first_eta, 0.02);
    /// assert_eq!(options.first_eta_within(0.0625).first_eta, 0.00625);
    /// assert_eq!(options.first_eta_within(0.0).first_eta, 1e-3);
    /// assert_eq!(options.first_eta_within(f64::NAN).first_eta, 0.02);
    /// assert_eq!(options.first_eta(1e-4).first_eta_within(0.0625).first_eta, 1e-4);
    /// ```
    #[must_use]
    pub fn first_eta_within(self, error: f64) -> Self {
        let least = self.first_eta.min(LEAST_ETA);
        self.first_eta(self.first_eta.min(PART * error).max(least))
    }

    /// These options with this budget of steps.
    #[must_use]
    pub fn max_steps(self, max_steps: usize) -> Self {
        Self { max_steps, ..self }
    }

    /// These options with this seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// These options with this precision.
    #[must_use]
    pub fn precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// These options with this inner tolerance.
    #[must_use]
    pub fn inner_tolerance(self, inner_tolerance: InnerTolerance) -> Self {
        Self { inner_tolerance, ..self }
    }

    /// These options with this budget of inner iterations.
    #[must_use]
    pub fn max_inner(self, max_inner: usize) -> Self {
        Self { max_inner, ..self }
    }

    /// These options with this many rows in the sketch.
    #[must_use]
    pub fn sketch_rows(self, sketch_rows: Option<usize>) -> Self {
        Self { sketch_rows, ..self }
    }

    /// These options with these output signs.
    #[must_use]
    pub fn signs(self, signs: Option<Signs>) -> Self {
        Self { signs, ..self }
    }

    /// These options with this parallelism.
    #[must_use]
    pub fn par(self, par: Par) -> Self {
        Self { par, ..self }
    }

    /// `Ok` if every number is in its range.
    ///
    /// # Errors
    /// [`TrainError::Option`] names the first that is not.
    pub fn check(&self) -> Result<(), TrainError> {
        let fail = |name, value, expected| Err(TrainError::Option { name, value, expected });
        if self.width == 0 || !self.width.is_multiple_of(2) {
            return fail("width", self.width as f64, "a positive even number");
        }
        if let Scale::Fixed(scale) = self.scale
            && !(scale > 0.0 && scale.is_finite())
        {
            return fail("scale", scale, "a positive finite number");
        }
        if !(self.ridge >= 0.0 && self.ridge.is_finite()) {
            return fail("ridge", self.ridge, "a finite number that is not negative");
        }
        if !(self.tolerance > 0.0 && self.tolerance.is_finite()) {
            return fail("tolerance", self.tolerance, "a positive finite number");
        }
        if !(self.least_gain >= 0.0 && self.least_gain < 1.0) {
            return fail("least gain", self.least_gain, "a number from 0 to below 1");
        }
        if !(self.first_eta > 0.0 && self.first_eta < 1.0) {
            return fail("first eta", self.first_eta, "a number between 0 and 1");
        }
        if let InnerTolerance::Fixed(tolerance) = self.inner_tolerance
            && !(tolerance > 0.0 && tolerance < 1.0)
        {
            return fail("inner tolerance", tolerance, "a number between 0 and 1");
        }
        if self.sketch_rows == Some(0) {
            return fail("sketch rows", 0.0, "at least 1");
        }
        Ok(())
    }
}
