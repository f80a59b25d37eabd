//! Which metric is best.

use core::ops::RangeInclusive;

use faer::{Mat, Par};
use nearlin_dense::SymmetricEigen;

use super::fit::{Fit, Mapped, Sample};
use super::score::Score;
use super::{Judge, Metric, MetricChoice, MetricForm, MetricRound};
use crate::ridge::{product, three_digits};
use crate::{Equations, TrainError};

/// Most equations that a metric is learned from: a factorisation of so many takes a tenth of a second.
pub(super) const SAMPLE: usize = 2048;

/// Fewest equations: halves of fewer tell nothing.
const FEWEST: usize = 40;

/// Most gradient outer products of one form.
const ROUNDS: usize = 10;

/// Rounds in a row that may be worse than the best.
const PATIENCE: usize = 2;

/// Most inputs for which the full matrix is tried.
const FULL: usize = 2048;

/// The first ridge to be tried, the least and the largest, relative to the mean of the kernel's diagonal, as
/// quarters of powers of ten.
const FIRST: i32 = -6;
const LEAST: i32 = -28;
const MOST: i32 = 12;

/// Weights of the bias that may be tried.
const BIASES: RangeInclusive<f64> = 1.0 / 64.0..=64.0;

/// Learns a metric from `equations`, whose last input is the bias, positive in every row.
///
/// `bases` are metrics that may be chosen as they are beside the plain one, such as columns in units that they
/// share (pixels, of which those that hardly vary matter little); the best of them is what learning starts from.
/// `forms` are those that may be learned. Base, form and number of rounds are chosen by metrics that are learned
/// from one half of the equations and judged by leave-one-out on the other, each way round: an error on the
/// equations that a metric was learned from would flatter it. One replaces a simpler one where it gains 1% and two
/// standard errors of that gain. Then the metric is learned from all.
///
/// Takes some tens of Cholesky factorisations of up to 2,048 equations, and `2 n^2 d K` flops a round for the
/// gradients; of more equations, as many at even distances.
///
/// # Errors
/// [`TrainError`] if a factorisation fails for another reason than the ridge.
///
/// # Examples
/// ```
/// use faer::Par;
/// use nearlin::{Equations, Judge, MetricForm, learn_metric};
///
/// // A wave along the first of four inputs.
/// let noise = |i: usize| 2.0 * ((i as f64 * 12.9898).sin() * 43758.5453).rem_euclid(1.0) - 1.0;
/// let rows = 200;
/// let s: Vec<f64> = (0..4 * rows).map(noise).collect();
/// let y: Vec<f64> = s.chunks(4).map(|s| (3.0 * s[0]).sin()).collect();
/// let x: Vec<f64> = s.chunks(4).flat_map(|s| {
///     let length = (1.0 + s.iter().map(|s| s * s).sum::<f64>()).sqrt();
///     s.iter().copied().chain([1.0]).map(move |s| s / length).collect::<Vec<_>>()
/// }).collect();
/// let equations = Equations::new(x, y, 5, 1)?;
/// let forms = [MetricForm::Diagonal, MetricForm::Full];
/// let choice = learn_metric(&equations, &[], &forms, Judge::SquaredError, Par::rayon(0))?;
/// assert!(choice.rounds[choice.best].error < choice.rounds[0].error / 2.0);
/// assert!(choice.importances[0] > 0.9);
/// # Ok::<(), nearlin::TrainError>(())
/// ```
pub fn learn_metric(
    equations: &Equations,
    bases: &[Metric],
    forms: &[MetricForm],
    judge: Judge,
    par: Par,
) -> Result<MetricChoice, TrainError> {
    let some = equations.spread(SAMPLE);
    let sample = Sample::new(&some, par);
    let (rows, p) = (sample.rows(), sample.inputs - 1);
    let plain = sample.attempt(Metric::plain(p), Start::Anywhere)?;
    let weight = sample.weight();
    let mut tried = vec![Tried::new(0, &plain, plain.fit.score.clone(), weight)];
    let (mut best, mut base) = (0, None);
    if p > 1 && rows >= FEWEST {
        let halves = [sample.part(0, 2), sample.part(1, 2)];
        let both = |metric: &Metric, start: Start| -> Result<[Attempt<'_>; 2], TrainError> {
            Ok([
                halves[0].attempt(metric.clone(), start)?,
                halves[1].attempt(metric.clone(), start)?,
            ])
        };
        let mut first = both(&Metric::plain(p), Start::Near(plain.ridge))?;
        let ridge = plain.ridge;
        tried[0] = Tried::of_both(0, [&first[0], &first[1]], weight).with_ridge(ridge);
        for metric in bases {
            let next = both(metric, Start::Anywhere)?;
            tried.push(Tried::of_both(0, [&next[0], &next[1]], weight));
            if judge.is_sure(&tried[tried.len() - 1].score, &tried[best].score) {
                (best, base, first) = (tried.len() - 1, Some(metric), next);
            }
        }
        for &form in forms {
            if form == MetricForm::Diagonal || form != MetricForm::Plain && p <= FULL {
                let found = cross_fitted(form, judge, &halves, &first, &tried[best])?;
                let sure = |&at: &usize| judge.is_sure(&found[at].score, &tried[best].score);
                if let Some(at) = best_of(judge, &found).filter(sure) {
                    best = tried.len() + at;
                }
                tried.extend(found);
            }
        }
    }
    let rounds: Vec<MetricRound> = tried.iter().map(|tried| tried.round).collect();
    let mut found = match base {
        Some(metric) => sample.attempt(metric.clone(), Start::Anywhere)?,
        None => plain,
    };
    for _ in 0..rounds[best].round {
        let Some(metric) = found.root(rounds[best].form)? else { break };
        found = sample.attempt(metric, Start::Near(found.ridge))?;
    }
    let found = with_best_bias(&sample, judge, found)?;
    let (ridge, metric) = (found.ridge, found.mapped.metric().clone());
    let importances = shares(&found.mapped.gradients(&found.fit));
    Ok(MetricChoice { metric, importances, ridge, rounds, best, rows, network: None })
}

/// The diagonal of an average gradient outer product, scaled to a sum of 1; zeros for 0.
pub(super) fn shares(outer: &Mat<f64>) -> Vec<f64> {
    let squares: Vec<f64> = (0..outer.nrows()).map(|q| outer[(q, q)].max(0.0)).collect();
    let sum: f64 = squares.iter().sum();
    squares.iter().map(|s| if sum > 0.0 { s / sum } else { 0.0 }).collect()
}

/// A metric that was tried, and its losses on both halves.
struct Tried {
    round: MetricRound,
    score: Score,
}

impl Tried {
    /// After so many gradient outer products, of examples of so much weight.
    fn new(round: usize, of: &Attempt<'_>, score: Score, weight: f64) -> Self {
        let (error, wrong) = (score.error(), score.wrong() / weight);
        let form = of.mapped.metric().form;
        Self { round: MetricRound { form, round, ridge: of.ridge, error, wrong }, score }
    }

    /// Judged by both halves, first and second.
    fn of_both(round: usize, on: [&Attempt<'_>; 2], weight: f64) -> Self {
        let score = on[0].fit.score.and(&on[1].fit.score);
        Self::new(round, on[0], score, weight).with_ridge((on[0].ridge * on[1].ridge).sqrt())
    }

    fn is_preferred(&self, judge: Judge, to: &Self) -> bool {
        judge.prefers(&self.score, &to.score)
    }

    fn with_ridge(mut self, ridge: f64) -> Self {
        self.round.ridge = ridge;
        self
    }
}

/// The index of the first that none is preferred to.
fn best_of(judge: Judge, tried: &[Tried]) -> Option<usize> {
    (0..tried.len()).reduce(|best, at| {
        if judge.prefers(&tried[at].score, &tried[best].score) { at } else { best }
    })
}

/// Rounds of one form, learned from each half and judged on the other, until they no longer gain on each other or
/// on `simpler`, the best so far of other forms.
fn cross_fitted(
    form: MetricForm,
    judge: Judge,
    halves: &[Sample; 2],
    plain: &[Attempt<'_>; 2],
    simpler: &Tried,
) -> Result<Vec<Tried>, TrainError> {
    let mut learned: [Option<Attempt<'_>>; 2] = [None, None];
    let mut judged = [plain[1].ridge, plain[0].ridge];
    let mut tried = Vec::<Tried>::new();
    for round in 1..=ROUNDS {
        let mut others = Vec::with_capacity(2);
        for half in 0..2 {
            let last = learned[half].as_ref().unwrap_or(&plain[half]);
            let Some(metric) = last.root(form)? else { return Ok(tried) };
            let other = halves[1 - half].attempt(metric.clone(), Start::Near(judged[half]))?;
            judged[half] = other.ridge;
            others.push(other);
            let next = halves[half].attempt(metric, Start::Near(last.ridge))?;
            learned[half] = Some(next);
        }
        let weight = halves[0].weight() + halves[1].weight();
        let found = Tried::of_both(round, [&others[1], &others[0]], weight);
        tried.push(Tried { round: MetricRound { form, ..found.round }, ..found });
        let last = best_of(judge, &tried).filter(|&best| tried[best].is_preferred(judge, simpler));
        if tried.len() >= PATIENCE + last.map_or(0, |best| best + 1) {
            break;
        }
    }
    Ok(tried)
}

/// The metric with the bias whose leave-one-out error is least, from its own on, by factors of two; as found where
/// none is surely better.
fn with_best_bias<'a>(
    sample: &'a Sample,
    judge: Judge,
    found: Attempt<'a>,
) -> Result<Attempt<'a>, TrainError> {
    for factor in [0.5, 2.0] {
        let mut best: Option<Attempt<'a>> = None;
        loop {
            let last = best.as_ref().unwrap_or(&found);
            let bias = factor * last.mapped.metric().bias;
            if !BIASES.contains(&bias) {
                break;
            }
            let metric = Metric { bias, ..last.mapped.metric().clone() };
            let next = sample.attempt(metric, Start::Near(last.ridge))?;
            if !judge.prefers(&next.fit.score, &last.fit.score) {
                break;
            }
            best = Some(next);
        }
        if let Some(best) = best {
            return Ok(if judge.is_sure(&best.fit.score, &found.fit.score) { best } else { found });
        }
    }
    Ok(found)
}

/// Where the search for a ridge begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    /// With nothing known, in steps of whole decades.
    Anywhere,
    /// Near the best ridge of a similar metric.
    Near(f64),
}

/// A metric, and the fit in it with the best ridge.
pub(super) struct Attempt<'a> {
    pub(super) mapped: Mapped<'a>,
    pub(super) ridge: f64,
    pub(super) fit: Fit,
}

impl Sample {
    /// Fits in a metric with the best ridge.
    pub(super) fn attempt(&self, metric: Metric, start: Start) -> Result<Attempt<'_>, TrainError> {
        let mapped = self.mapped(metric);
        let (ridge, fit) = best_ridge(&mapped, start)?;
        Ok(Attempt { mapped, ridge, fit })
    }

    /// The effective number of examples.
    fn weight(&self) -> f64 {
        self.x.iter().map(|x| x * x).sum::<f64>() / self.unit_weight()
    }

    /// Every `count`-th example, from `first` on.
    fn part(&self, first: usize, count: usize) -> Self {
        let every = |rows: &[f64], width: usize| -> Vec<f64> {
            rows.chunks_exact(width).skip(first).step_by(count).flatten().copied().collect()
        };
        let Self { inputs, outputs, par, .. } = *self;
        let (x, y) = (every(&self.x, inputs), every(&self.y, outputs));
        Self { x, y, inputs, outputs, par }
    }
}

impl Attempt<'_> {
    /// The square root of the fit's average gradient outer product, scaled to the trace `p` of the plain
    /// metric's; `None` where the fit is constant.
    fn root(&self, form: MetricForm) -> Result<Option<Metric>, TrainError> {
        root(form, &self.mapped.gradients(&self.fit), self.mapped.metric().bias, self.mapped.par())
    }
}

/// The square root of an average gradient outer product, scaled to the trace `p`, with that bias; `None` for 0.
pub(super) fn root(
    form: MetricForm,
    outer: &Mat<f64>,
    bias: f64,
    par: Par,
) -> Result<Option<Metric>, TrainError> {
    let p = outer.nrows();
    let trace: f64 = (0..p).map(|q| outer[(q, q)]).sum();
    if !(trace > 0.0 && trace.is_finite()) {
        return Ok(None);
    }
    let scale = p as f64 / trace;
    let map = if matches!(form, MetricForm::Full | MetricForm::Damped) {
        let eigen = SymmetricEigen::decompose(outer.as_ref(), par)?;
        let vectors = eigen.vectors();
        let mut squares: Vec<f64> = eigen.values().iter().map(|s| scale * s.max(0.0)).collect();
        if form == MetricForm::Damped {
            let sum: f64 = squares.iter().map(|s| s.sqrt()).sum();
            for s in &mut squares {
                *s = s.sqrt() * p as f64 / sum;
            }
        }
        let roots: Vec<f64> = squares.iter().map(|s| s.sqrt()).collect();
        let scaled = Mat::from_fn(p, p, |i, j| vectors[(i, j)] * roots[j]);
        let map = product(scaled.as_ref(), vectors.transpose(), par);
        (0..p * p).map(|at| map[(at / p, at % p)]).collect()
    } else {
        (0..p).map(|q| (scale * outer[(q, q)].max(0.0)).sqrt()).collect()
    };
    Ok(Metric::from_parts(form, p, map, bias))
}

/// The ridge of least error, to a quarter of a decade, and its fit.
fn best_ridge(mapped: &Mapped<'_>, start: Start) -> Result<(f64, Fit), TrainError> {
    let unit = if mapped.unit() > 0.0 { mapped.unit() } else { 1.0 };
    let (mut at, mut step) = match start {
        Start::Anywhere => (FIRST, 4),
        Start::Near(ridge) => ((4.0 * (ridge / unit).log10()).round() as i32, 2),
    };
    let ridge = |at: i32| three_digits(unit * 10f64.powf(f64::from(at) / 4.0));
    at = at.clamp(LEAST, MOST);
    let mut best = mapped.fit(ridge(at))?;
    while best.is_none() && at < MOST {
        at += step;
        best = mapped.fit(ridge(at))?;
    }
    let mut best =
        best.ok_or(TrainError::Factor(nearlin_dense::DenseError::NotPositiveDefinite {
            index: 0,
            dim: mapped.rows(),
        }))?;
    while step > 0 {
        for direction in [-step, step] {
            let mut moved = false;
            while (LEAST..=MOST).contains(&(at + direction)) {
                match mapped.fit(ridge(at + direction))? {
                    Some(fit) if fit.score.error() < best.score.error() => {
                        (at, best, moved) = (at + direction, fit, true);
                    }
                    _ => break,
                }
            }
            if moved {
                break;
            }
        }
        step /= 2;
    }
    Ok((ridge(at), best))
}
