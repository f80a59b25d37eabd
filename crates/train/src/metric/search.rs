//! Which metric is best.

use core::ops::RangeInclusive;

use faer::{Mat, Par};
use nearlin_dense::SymmetricEigen;

use super::fit::{Fit, Mapped, Sample, Score};
use super::{Judge, Metric, MetricChoice, MetricForm, MetricRound};
use crate::ridge::{product, three_digits};
use crate::vector::norm;
use crate::{Equations, TrainError};

/// Most equations that a metric is learned from: a factorisation of so many takes a tenth of a second.
const SAMPLE: usize = 2048;

/// Fewest equations: halves of fewer tell nothing.
const FEWEST: usize = 40;

/// Most gradient outer products of one form.
const ROUNDS: usize = 10;

/// Rounds in a row that may be worse than the best.
const PATIENCE: usize = 2;

/// What a metric must gain on a simpler one, relative to its error.
const GAIN: f64 = 0.01;

/// What it must gain in misclassified examples, in roots of their number: as much as the number itself is uncertain
/// by, and more than most differences of two metrics, which agree on most examples.
const FEWER: f64 = 1.0;

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
/// equations that a metric was learned from would flatter it. Then the metric is learned from all.
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
    let weight: f64 = sample.weight();
    let mut rounds = vec![plain.round(0, plain.fit.score, weight)];
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
        rounds[0] = plain.round(0, together(&halves, [&first[0], &first[1]]), weight);
        for metric in bases {
            let tried = both(metric, Start::Anywhere)?;
            let score = together(&halves, [&tried[0], &tried[1]]);
            let ridge = (tried[0].ridge * tried[1].ridge).sqrt();
            rounds.push(MetricRound { ridge, ..tried[0].round(0, score, weight) });
            if simplest(judge, &rounds, weight) + 1 == rounds.len() {
                (best, base, first) = (rounds.len() - 1, Some(metric), tried);
            }
        }
        for &form in forms {
            if form == MetricForm::Diagonal || form != MetricForm::Plain && p <= FULL {
                let found = cross_fitted(form, judge, &halves, &first, rounds[best])?;
                rounds.extend(found);
                best = simplest(judge, &rounds, weight);
            }
        }
    }
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
    let outer = found.mapped.gradients(&found.fit);
    let squares: Vec<f64> = (0..p).map(|q| outer[(q, q)].max(0.0)).collect();
    let sum: f64 = squares.iter().sum();
    let importances = squares.iter().map(|s| if sum > 0.0 { s / sum } else { 0.0 }).collect();
    Ok(MetricChoice { metric, importances, ridge, rounds, best, rows })
}

/// The first of all that none beats by much.
fn simplest(judge: Judge, rounds: &[MetricRound], weight: f64) -> usize {
    let mut best = 0;
    for (at, round) in rounds.iter().enumerate() {
        if judge.prefers(round.score(weight), rounds[best].score(weight)) {
            best = at;
        }
    }
    best
}

impl Judge {
    /// Whether a score is better than another by more than chance.
    fn prefers(self, score: Score, other: Score) -> bool {
        let closer = score.error < (1.0 - GAIN) * other.error;
        match self {
            Self::SquaredError => closer,
            Self::Misclassified => {
                score.wrong < other.wrong - FEWER * other.wrong.sqrt()
                    || score.wrong <= other.wrong && closer
            }
        }
    }
}

impl MetricRound {
    /// For so many examples.
    fn score(&self, weight: f64) -> Score {
        Score { error: self.error, wrong: self.wrong * weight }
    }
}

/// Rounds of one form, learned from each half and judged on the other, until they no longer gain on the best of the
/// simpler forms, `start`, or on their own.
fn cross_fitted(
    form: MetricForm,
    judge: Judge,
    halves: &[Sample; 2],
    plain: &[Attempt<'_>; 2],
    start: MetricRound,
) -> Result<Vec<MetricRound>, TrainError> {
    let weight = halves[0].weight() + halves[1].weight();
    let mut learned: [Option<Attempt<'_>>; 2] = [None, None];
    let mut judged = [plain[1].ridge, plain[0].ridge];
    let (mut rounds, mut best, mut idle) = (Vec::<MetricRound>::new(), start, 0);
    for round in 1..=ROUNDS {
        let mut others = Vec::with_capacity(2);
        for half in 0..2 {
            let last = learned[half].as_ref().unwrap_or(&plain[half]);
            let Some(metric) = last.root(form)? else { return Ok(rounds) };
            let other = halves[1 - half].attempt(metric.clone(), Start::Near(judged[half]))?;
            judged[half] = other.ridge;
            others.push(other);
            let next = halves[half].attempt(metric, Start::Near(last.ridge))?;
            learned[half] = Some(next);
        }
        let score = together(halves, [&others[1], &others[0]]);
        let ridge = (judged[0] * judged[1]).sqrt();
        let found = MetricRound { form, round, ridge, ..others[0].round(round, score, weight) };
        rounds.push(found);
        if judge.prefers(found.score(weight), best.score(weight)) {
            (best, idle) = (found, 0);
        } else {
            idle += 1;
        }
        if idle >= PATIENCE {
            break;
        }
    }
    Ok(rounds)
}

/// The score on both halves from that on each.
fn together(halves: &[Sample; 2], on: [&Attempt<'_>; 2]) -> Score {
    let sizes = [norm(&halves[0].y), norm(&halves[1].y)];
    let size = sizes[0].hypot(sizes[1]);
    let [a, b] = on.map(|attempt| attempt.fit.score);
    let error = (a.error * sizes[0]).hypot(b.error * sizes[1]);
    Score { error: if size > 0.0 { error / size } else { 0.0 }, wrong: a.wrong + b.wrong }
}

/// The metric with the bias whose leave-one-out error is least, from its own on, by factors of two.
fn with_best_bias<'a>(
    sample: &'a Sample,
    judge: Judge,
    found: Attempt<'a>,
) -> Result<Attempt<'a>, TrainError> {
    let mut best = found;
    for factor in [0.5, 2.0] {
        let mut gained = false;
        loop {
            let bias = factor * best.mapped.metric().bias;
            if !BIASES.contains(&bias) {
                break;
            }
            let metric = Metric { bias, ..best.mapped.metric().clone() };
            let next = sample.attempt(metric, Start::Near(best.ridge))?;
            if !judge.prefers(next.fit.score, best.fit.score) {
                break;
            }
            (best, gained) = (next, true);
        }
        if gained {
            break;
        }
    }
    Ok(best)
}

/// Where the search for a ridge begins.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// With nothing known, in steps of whole decades.
    Anywhere,
    /// Near the best ridge of a similar metric.
    Near(f64),
}

/// A metric, and the fit in it with the best ridge.
struct Attempt<'a> {
    mapped: Mapped<'a>,
    ridge: f64,
    fit: Fit,
}

impl Sample {
    /// Fits in a metric with the best ridge.
    fn attempt(&self, metric: Metric, start: Start) -> Result<Attempt<'_>, TrainError> {
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
    fn round(&self, round: usize, Score { error, wrong }: Score, weight: f64) -> MetricRound {
        let (form, wrong) = (self.mapped.metric().form, wrong / weight);
        MetricRound { form, round, ridge: self.ridge, error, wrong }
    }

    /// The square root of the fit's average gradient outer product, scaled to the trace `p` of the plain
    /// metric's; `None` where the fit is constant.
    fn root(&self, form: MetricForm) -> Result<Option<Metric>, TrainError> {
        root(form, &self.mapped, &self.fit)
    }
}

/// [`Attempt::root`].
fn root(form: MetricForm, of: &Mapped<'_>, fit: &Fit) -> Result<Option<Metric>, TrainError> {
    let outer = of.gradients(fit);
    let p = outer.nrows();
    let trace: f64 = (0..p).map(|q| outer[(q, q)]).sum();
    if !(trace > 0.0 && trace.is_finite()) {
        return Ok(None);
    }
    let scale = p as f64 / trace;
    let map = if matches!(form, MetricForm::Full | MetricForm::Damped) {
        let eigen = SymmetricEigen::decompose(outer.as_ref(), of.par())?;
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
        let map = product(scaled.as_ref(), vectors.transpose(), of.par());
        (0..p * p).map(|at| map[(at / p, at % p)]).collect()
    } else {
        (0..p).map(|q| (scale * outer[(q, q)].max(0.0)).sqrt()).collect()
    };
    Ok(Metric::from_parts(form, p, map, of.metric().bias))
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
                    Some(fit) if fit.score.error < best.score.error => {
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
