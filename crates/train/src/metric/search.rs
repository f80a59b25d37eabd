//! Which metric is best.

use core::ops::RangeInclusive;

use faer::{Mat, Par};
use nearlin_dense::{DenseError, SymmetricEigen};

use super::fit::{Fit, Mapped, Sample};
use super::score::Score;
use super::{Judge, Metric, MetricChoice, MetricForm, MetricRound};
use crate::ridge::product;
use crate::ridge::search::{Room, Start, least_error};
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

/// Most equations for which the blended form is tried beside others: more tell those apart.
const BLENDED: usize = 1024;

/// Weights of the bias that may be tried.
const BIASES: RangeInclusive<f64> = 1.0 / 64.0..=64.0;

/// Learns a metric from `equations`, whose last input is the bias, positive in every row.
///
/// `bases` are metrics that may be chosen as they are beside the plain one, such as columns in units that they
/// share (pixels, of which those that hardly vary matter little); the best of them is what learning starts from.
/// `forms` are those that may be learned, simpler ones first; matrices of up to 2,048 inputs, and the blended form beside
/// others from up to 1,024 equations. Base, form and number of rounds are chosen by metrics that are learned
/// from one half of the equations and judged by leave-one-out on the other, each way round: an error on the
/// equations that a metric was learned from would flatter it. One replaces a simpler one where it gains 1% and two
/// standard errors of that gain. Then the metric is learned from all.
///
/// Takes some tens of Cholesky factorisations of up to 2,048 equations, in single precision for ridges of 0.003 mean diagonals of
/// the kernel and more, and `2 n^2 d K` flops a round for the
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
    let weight = sample.weight();
    let halves = (p > 1 && rows >= FEWEST).then(|| [sample.part(0, 2), sample.part(1, 2)]);
    let (mut tried, mut best, mut base, mut ridge) = (Vec::<Tried>::new(), 0, None, None);
    if let Some(halves) = halves {
        let both = |metric: &Metric| -> Result<[Attempt<'_>; 2], TrainError> {
            let attempt = |half: usize| halves[half].attempt(metric.clone(), Start::Anywhere);
            let [first, second] = together(par, attempt);
            Ok([first?, second?])
        };
        let mut first = both(&Metric::plain(p))?;
        tried.push(Tried::of_both(0, [&first[0], &first[1]], weight));
        for metric in bases {
            let next = both(metric)?;
            tried.push(Tried::of_both(0, [&next[0], &next[1]], weight));
            if judge.is_sure(&tried[tried.len() - 1].score, &tried[best].score) {
                (best, base, first) = (tried.len() - 1, Some(metric), next);
            }
        }
        ridge = Some((first[0].ridge * first[1].ridge).sqrt());
        for &form in forms {
            let fits = match form {
                MetricForm::Plain => false,
                MetricForm::Diagonal => true,
                MetricForm::Damped | MetricForm::Shrunk | MetricForm::Full => p <= FULL,
                MetricForm::Blended => p <= FULL && (rows <= BLENDED || forms.len() == 1),
            };
            if fits {
                let found = cross_fitted(form, judge, &halves, &first, &tried[best])?;
                let sure = |&at: &usize| judge.is_sure(&found[at].score, &tried[best].score);
                if let Some(at) = best_of(judge, &found).filter(sure) {
                    best = tried.len() + at;
                }
                tried.extend(found);
            }
        }
    }
    // Examples are as noisy in a part as in all of them: the ridges of the halves will do until the last round.
    let plain = Metric::plain(p);
    let (metric, last) =
        (base.unwrap_or(&plain).clone(), tried.get(best).map_or(0, |t| t.round.round));
    let start = |round: usize, ridge: f64| {
        if round == last { Start::Near(ridge) } else { Start::At(ridge) }
    };
    let mut found =
        sample.attempt(metric, ridge.map_or(Start::Anywhere, |ridge| start(0, ridge)))?;
    if tried.is_empty() {
        tried.push(Tried::new(0, &found, found.fit.score.clone(), weight));
    }
    let rounds: Vec<MetricRound> = tried.iter().map(|tried| tried.round).collect();
    for round in 1..=last {
        let of = &rounds[best + round - last];
        let Some(metric) = found.root(of.form)? else { break };
        found = sample.attempt(metric, start(round, of.ridge))?;
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
    let mut judged: Option<[Attempt<'_>; 2]> = None;
    let mut tried = Vec::<Tried>::new();
    let weight = halves[0].weight() + halves[1].weight();
    for round in 1..=ROUNDS {
        let [first, second] = together(halves[0].par, |half| -> Result<_, TrainError> {
            let (own, other) = (&halves[half], &halves[1 - half]);
            let last = learned[half].as_ref().unwrap_or(&plain[half]);
            let before = judged.as_ref().map_or(&plain[1 - half], |judged| &judged[half]);
            // The metric that the other half has judged, for one more step.
            let next = match &judged {
                Some(judged) => {
                    let metric = judged[half].mapped.metric().clone();
                    Some(own.attempt(metric, Start::At(judged[half].ridge))?)
                }
                None => None,
            };
            let Some(metric) = next.as_ref().unwrap_or(last).root(form)? else { return Ok(None) };
            Ok(Some((next, other.attempt(metric, Start::Near(before.ridge))?)))
        });
        let (Some(first), Some(second)) = (first?, second?) else { return Ok(tried) };
        let found = Tried::of_both(round, [&second.1, &first.1], weight);
        learned = [first.0, second.0];
        judged = Some([first.1, second.1]);
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
            // A better ridge gains little: what is worse with this one is not better by enough.
            let look = sample.attempt(metric, Start::At(last.ridge))?;
            let (score, before) = (&look.fit.score, &last.fit.score);
            if score.error() >= before.error() && score.wrong() >= before.wrong() {
                break;
            }
            let (ridge, fit) = best_ridge(&look.mapped, Start::Near(look.ridge))?;
            let next = Attempt { mapped: look.mapped, ridge, fit };
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
    let map = if form.is_matrix() {
        let square = match form {
            MetricForm::Blended => Mat::from_fn(p, p, |a, b| {
                let part = outer[(a, b)] / 3.0;
                if a == b { 2.0 * part + 1.0 / (3.0 * scale) } else { part }
            }),
            MetricForm::Shrunk => {
                Mat::from_fn(p, p, |a, b| outer[(a, b)] / if a == b { 1.0 } else { 2.0 })
            }
            _ => outer.clone(),
        };
        let eigen = SymmetricEigen::decompose(square.as_ref(), par)?;
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

/// What becomes of both halves: side by side where there are threads, as matrices of so few examples keep one busy.
fn together<R: Send>(par: Par, task: impl Fn(usize) -> R + Sync) -> [R; 2] {
    let (first, second) = match par {
        Par::Seq => (task(0), task(1)),
        Par::Rayon(_) => rayon::join(|| task(0), || task(1)),
    };
    [first, second]
}

/// The ridge of least error, to a quarter of a decade, and its fit.
fn best_ridge(mapped: &Mapped<'_>, start: Start) -> Result<(f64, Fit), TrainError> {
    let mut room = Room::rounded();
    let best = least_error(mapped.unit(), start, |ridge| {
        Ok(mapped.fit(ridge, &mut room)?.map(|fit| (fit.score.error(), fit)))
    })?;
    let indefinite = DenseError::NotPositiveDefinite { index: 0, dim: mapped.rows() };
    best.ok_or(TrainError::Factor(indefinite))
}
