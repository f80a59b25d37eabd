//! From options and a table to a problem with a plan: what `fit` and `plan` share.

mod limits;
mod metric;
mod planned;
mod ridges;
mod together;
mod warnings;

use std::path::Path;

use nearlin::{
    Equations, Loss, MetricChoice, Options, Plan, Rates, RidgePath, Scale, Shape, WidthChoice,
    choose_width, left_out_bytes, loss_ridge_path, ridge_path,
};

use super::args::FitArgs;
use super::batches::{Batching, Beyond};
use super::checkpoint::Store;
use super::error::ProgramError;
use super::files::Files;
use super::{loss, memory, rates, say, words};
use crate::table::{Part, Problem, Table, TableError, Truth};

use self::limits::{budget, check_network, too_large};
use self::metric::{in_squares, learned};
pub(super) use self::planned::goes_on;
use self::planned::planned;
use self::ridges::ridges;
use self::together::check_options;
use self::warnings::sentences;

/// A run that needs more than this many times the machine's memory is refused.
const MEMORY_MARGIN: f64 = 1.5;

/// What is trained, how, and why so.
#[derive(Debug)]
pub(super) struct Setup {
    /// The data; the equations' entries have moved to [`Setup::equations`].
    pub(super) problem: Problem,
    /// The equations to satisfy.
    pub(super) equations: Equations,
    /// All rows of the table, where these are a sample.
    pub(super) beyond: Option<Beyond>,
    /// Their digest before they were put into a metric.
    pub(super) digest: u64,
    /// What is minimised; `None` for squared errors.
    pub(super) loss: Option<Loss>,
    /// How.
    pub(super) options: Options,
    /// What was found about the inputs, if that was looked at; the equations are in its metric.
    pub(super) metric: Option<MetricChoice>,
    /// What other widths would do, if that was looked at.
    pub(super) width: Option<WidthChoice>,
    /// What other ridges would do, if that was looked at.
    pub(super) ridge_path: Option<RidgePath>,
    /// The choice of a solver.
    pub(super) plan: Plan,
    /// What it is made for, and the rates that it is made with.
    shape: Shape,
    rates: Rates,
    /// Whether they are of this machine.
    pub(super) calibrated: bool,
    /// Networks to train.
    ensemble: usize,
    /// Bytes to plan for, if any were asked for.
    memory: Option<u64>,
    /// What the process had needed at most when the equations stood, in bytes.
    pub(super) held_bytes: u64,
    /// The same when the ridge was chosen.
    chosen_ridge_bytes: u64,
    /// What a user should know, in sentences.
    pub(super) warnings: Vec<String>,
}

/// Checks the paths of a call and works in a pool of as many threads as it asks for.
///
/// # Errors
/// [`ProgramError`] for a wrong path, threads that cannot be started, or what `work` says.
pub(super) fn within<T: Send>(
    args: &FitArgs,
    work: impl FnOnce() -> Result<T, ProgramError> + Send,
) -> Result<T, ProgramError> {
    Files::default()
        .reads(&args.data, "the table")
        .writes("--checkpoint", args.checkpoint.as_deref())?
        .writes("--model", args.model.as_deref())?
        .writes("--report", args.report.as_deref())?
        .draws("--plot", args.plot.as_deref())?
        .draws("--ridge-plot", args.ridge_plot.as_deref())?
        .draws("--importance-plot", args.importance_plot.as_deref())?;
    let threads = args.threads.unwrap_or(0);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build()?.install(work)
}

impl Setup {
    /// Reads the table, learns what is not known from a checkpoint, and plans; call this in the thread pool of
    /// the run.
    ///
    /// # Errors
    /// [`ProgramError`] for anything wrong with the table, the options or their combination.
    pub(super) fn new(args: &FitArgs, store: Option<&Store>) -> Result<Self, ProgramError> {
        let options = args.options();
        check_options(args)?;
        let (mut table, beyond) = match Beyond::open(args)? {
            Some((sample, beyond)) => (sample, Some(beyond)),
            None => (Table::read(Path::new(&args.data))?, None),
        };
        if let Some(column) = &args.weights {
            if *column == args.target {
                return Err(ProgramError::Table(TableError::BadOption {
                    option: "--weights",
                    value: column.clone(),
                    expected: "another column than the target".into(),
                }));
            }
            table.weigh_by(column)?;
        }
        let mut problem = Problem::prepare(&table, &args.table_options())?;
        drop(table);
        let loss = loss::loss(args, &problem.target)?;

        let merged = &mut problem.equations;
        let (inputs, outputs, floor) = (merged.inputs, merged.outputs, merged.floor);
        let (x, y) = (std::mem::take(&mut merged.x), std::mem::take(&mut merged.y));
        let equations = Equations::new(x, y, inputs, outputs)?;
        check_network(&options, inputs, outputs)?;
        let digest = equations.digest();
        let held = store.map(|store| store.held(args, &equations)).transpose()?.flatten();
        // Metrics, and where the search for a ridge begins, are judged by squared errors whatever the loss.
        let mut squared = loss.map(|_| in_squares(&problem, &equations)).transpose()?;
        let metric = match (held, args.metric_forms()) {
            (Some(held), _) => held.metric.clone(),
            (None, None) => None,
            (None, Some(forms)) => {
                if !args.quiet {
                    say(&"learning which inputs matter");
                }
                let judged = squared.as_ref().unwrap_or(&equations);
                Some(learned(&problem, judged, forms, &options)?)
            }
        };
        let equations = match &metric {
            Some(choice) => {
                choice.metric.apply(&mut problem.test_x);
                squared = squared.map(|squared| squared.in_metric(&choice.metric));
                equations.in_metric(&choice.metric)
            }
            None => equations,
        };
        let equations = equations.with_floor(floor);
        let automatic = args.width.0.is_none() && args.ridge.0.is_none() && loss.is_none();
        let near = options.ridge(metric.as_ref().map_or(0.0, |choice| choice.ridge));
        let width = match held {
            Some(held) => held.width,
            None => automatic.then(|| choose_width(&equations, &near)).transpose()?,
        };
        let options = width.map_or(options, |choice| options.width(choice.width));
        check_network(&options, inputs, outputs)?;

        let held_bytes = memory::peak_bytes().unwrap_or(0);
        let (rates, calibrated) = rates::rates();
        let (ensemble, budget) = (args.ensemble, budget(args.memory, held_bytes));
        let shape = Shape::new(&equations, &options);
        let shape = loss.map_or(shape, |loss| shape.under(loss));
        let parts = (problem.train.rows.len(), problem.test.rows.len());
        let trained = |beyond| (beyond, Beyond::trained(beyond, equations.rows(), parts));
        let batched = beyond.as_ref().map(trained);
        let plan = planned(&shape, &options, &rates, (ensemble, batched), budget);
        let warnings = sentences(&problem.warnings);
        let mut setup = Self {
            problem,
            equations,
            beyond,
            digest,
            loss,
            options,
            metric,
            width,
            ridge_path: None,
            plan,
            shape,
            rates,
            calibrated,
            ensemble,
            memory: args.memory,
            held_bytes,
            chosen_ridge_bytes: held_bytes,
            warnings,
        };
        if args.ridge.0.is_none() || args.ridge_plot.is_some() {
            // Looking for a ridge takes a network, too.
            setup.fits_in_memory()?;
            let known = held.and_then(|held| held.ridge_path.clone());
            setup.look_at_ridges(args, known, squared.as_ref())?;
        }
        setup.doubt();
        Ok(setup)
    }

    /// Judges ridges, and takes the best if the choice is free.
    fn look_at_ridges(
        &mut self,
        args: &FitArgs,
        known: Option<RidgePath>,
        squared: Option<&Equations>,
    ) -> Result<(), ProgramError> {
        let path = match (known, self.loss) {
            (Some(path), _) => path,
            (None, None) => ridges(&self.equations, &self.options, args.ridge_rows)?,
            // In the units of the loss, from where squared errors end.
            (None, Some(loss)) => {
                let judged = squared.unwrap_or(&self.equations);
                let options = self.options.ridge(ridge_path(judged, &self.options)?.ridge());
                loss_ridge_path(&self.equations, loss, self.problem.weights.as_deref(), &options)?
            }
        };
        if args.ridge.0.is_none() {
            self.options = self.options.ridge(path.ridge() * self.growth());
            // Steps on batches hardly get near the model's error; the path of another loss knows none, and `--tol` asks for
            // certificates.
            if self.loss.is_none() && args.tol.0.is_none() && self.beyond.is_none() {
                self.options = self.options.first_eta_within(path.error());
            }
            let budget = budget(self.memory, self.held_bytes);
            let how = (self.ensemble, self.beyond.as_ref().map(|b| (b, self.trained_equations())));
            self.plan = planned(&self.shape, &self.options, &self.rates, how, budget);
        }
        self.ridge_path = Some(path);
        self.chosen_ridge_bytes = memory::peak_bytes().unwrap_or(0);
        Ok(())
    }

    /// How the rows are gone over, where they are trained on in batches.
    pub(super) fn batching(&self) -> Option<Batching> {
        let batching = self.beyond.as_ref()?.batching();
        Some(Batching { rows: batching.rows.min(self.trained_equations()), ..batching })
    }

    /// The same where the equations are of a sample.
    pub(super) fn sampled(&self) -> Option<Batching> {
        self.beyond.as_ref().map(Beyond::batching).filter(|batching| !batching.whole())
    }

    /// Rows of the sample that are trained on, and that are held out for the test; of all rows without one.
    fn parts(&self) -> (usize, usize) {
        (self.problem.train.rows.len(), self.problem.test.rows.len())
    }

    /// Rows of the table that are used.
    pub(super) fn rows(&self) -> usize {
        self.sampled().map_or(self.problem.rows, |batching| batching.all)
    }

    /// Rows that are trained on, at most.
    pub(super) fn train_rows(&self) -> usize {
        let (taught, tested) = self.parts();
        self.sampled().map_or(taught, |batching| batching.trained(taught, tested))
    }

    /// Equations that are trained on: rows are merged where they are in memory.
    pub(super) fn trained_equations(&self) -> usize {
        let rows = self.equations.rows();
        self.beyond.as_ref().map_or(rows, |beyond| beyond.trained(rows, self.parts()))
    }

    /// The ridge for all rows over the same for those of the sample.
    pub(super) fn growth(&self) -> f64 {
        let (taught, tested) = self.parts();
        self.sampled().map_or(1.0, |batching| batching.growth(taught, tested))
    }

    /// Predicted bytes at the whole process's high-water mark for each candidate of the plan.
    pub(super) fn predicted_bytes(&self) -> impl Iterator<Item = f64> {
        // What the choice of the ridge needed is free again, and training's before rows are left out.
        let least = (self.chosen_ridge_bytes as f64).max(self.held() + self.judging_bytes());
        let candidates = self.plan.candidates.iter();
        candidates.map(move |candidate| (candidate.predicted_bytes + self.held()).max(least))
    }

    /// The same for the chosen solver.
    pub(super) fn chosen_bytes(&self) -> f64 {
        let chosen =
            |&(candidate, _): &(&nearlin::Candidate, f64)| candidate.solver == self.plan.chosen;
        let mut candidates = self.plan.candidates.iter().zip(self.predicted_bytes());
        candidates.find(chosen).map_or(self.held(), |(_, bytes)| bytes)
    }

    /// What it takes to tell what rows would be told without themselves.
    fn judging_bytes(&self) -> f64 {
        let told = self.options.ridge > 0.0 && self.loss.is_none() && self.beyond.is_none();
        if told { left_out_bytes(self.equations.rows()) } else { 0.0 }
    }

    fn held(&self) -> f64 {
        self.held_bytes as f64
    }

    /// The mean loss of predictions in the target's units, where it is one of numbers.
    pub(super) fn mean_loss(&self, part: &Part, predicted: &[f64]) -> Option<f64> {
        let spread = self.problem.target.spread()?;
        let loss = match self.loss? {
            Loss::Huber { delta } => Loss::Huber { delta: delta * spread },
            // Without the envelope.
            Loss::Pinball { level, .. } => Loss::Pinball { level, width: f64::MIN_POSITIVE },
            _ => return None,
        };
        let Truth::Numbers(numbers) = &part.truth else { return None };
        let losses = predicted.iter().zip(numbers).map(|(&f, &y)| loss.value(&[f], &[y]));
        Some(losses.sum::<f64>() / numbers.len() as f64)
    }

    /// The options of the training: the solver that was announced is the one that runs, until the rest is planned anew.
    pub(super) fn training(&self) -> Options {
        self.options.solver(Some(self.plan.chosen)).alternatives(self.plan.alternatives)
    }

    /// What the linear model may miss of the first step, where a scale is looked for by that.
    pub(super) fn first_eta(&self) -> Option<f64> {
        let looked_for = self.options.scale == Scale::Auto && self.beyond.is_none();
        looked_for.then_some(self.options.first_eta)
    }

    /// `m d`.
    pub(super) fn parameters(&self) -> usize {
        self.options.width * self.equations.inputs()
    }

    /// The part of the squared gradient along each column of the table, largest first; empty for inputs as
    /// they are.
    pub(super) fn importances(&self) -> Vec<(&str, f64)> {
        let Some(choice) = &self.metric else { return Vec::new() };
        let mut parts = choice.importances.iter();
        let features = self.problem.encoder.features().iter();
        let mut columns: Vec<(&str, f64)> = features
            .map(|feature| (feature.column(), parts.by_ref().take(feature.width()).sum()))
            .collect();
        columns.sort_by(|a, b| b.1.total_cmp(&a.1));
        columns
    }

    /// `m d / (n K)`.
    pub(super) fn parameters_per_equation(&self) -> f64 {
        self.parameters() as f64 / (self.trained_equations() * self.equations.outputs()) as f64
    }

    /// Refuses what the machine cannot hold.
    ///
    /// # Errors
    /// [`ProgramError::TooLarge`].
    pub(super) fn fits_in_memory(&self) -> Result<(), ProgramError> {
        let needed = self.chosen_bytes();
        let (most, there) = match (self.memory, memory::machine_bytes()) {
            (Some(asked), _) => {
                (asked as f64, format!("`--memory` allows {}", words::bytes(asked as f64)))
            }
            (None, Some(there)) => {
                let has = format!("there are {} of memory", words::bytes(there as f64));
                (MEMORY_MARGIN * there as f64, has)
            }
            (None, None) => return Ok(()),
        };
        if needed > most {
            let (width, inputs) = (self.options.width, self.equations.inputs());
            let batches = if self.beyond.is_some() {
                ""
            } else {
                "; steps on some rows at a time (`--batch`) need less"
            };
            return Err(too_large(width, inputs, needed, there + batches));
        }
        Ok(())
    }

    fn doubt(&mut self) {
        let needed = self.chosen_bytes();
        if let Some(there) = memory::available_bytes()
            && needed > there as f64
        {
            self.warnings.push(format!(
                "the run may need {}, and {} are free",
                words::bytes(needed),
                words::bytes(there as f64)
            ));
        }
        // Neurons start in pairs, so half of the parameters have an effect.
        if self.options.ridge == 0.0 && self.parameters_per_equation() < 2.0 {
            self.warnings.push(format!(
                "{} parameters for each equation: below 2 the residual cannot vanish; \
                 a larger `--width` helps",
                words::figure(self.parameters_per_equation())
            ));
        }
    }
}
