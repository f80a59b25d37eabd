//! The last rounds of a metric, on the network and on rows that the first did not see.

use core::ops::ControlFlow;

use faer::{Mat, MatRef};
use nearlin_relu::Network;

use super::fit::{Sample, outer_product};
use super::score::Score;
use super::search::{Attempt, SAMPLE, root, shares};
use super::{Judge, MetricChoice, MetricForm, NetworkRounds};
use crate::options::Options;
use crate::ridge::search::Start;
use crate::vector::norm;
use crate::{Equations, Event, TrainError, train};

/// Fewest equations that judge a round.
const FEWEST: usize = 512;

/// Most equations that a network is trained on: their Gram matrix is factored in seconds on two cores.
const LEARNED: usize = 8192;

/// Most neurons.
const NEURONS: usize = 4096;

/// Steps of a network: gradients are averages, which the first step settles.
const STEPS: usize = 1;

/// The length of the noise that gradients are smoothed by, on rows of length 1: a fifth of the neurons have a kink so
/// near, and examples are seldom nearer.
const SMOOTHED: f64 = 0.2;

/// Most multiplications for the gradients, `n m d K`: a few seconds on two cores.
const WORK: f64 = 3e10;

/// Most rounds.
const ROUNDS: usize = 3;

/// Learns a metric further from networks of up to 4,096 neurons, a step each, where `equations` (in plain inputs,
/// as [`learn_metric`](crate::learn_metric()) took them) are so many more than that saw that 512 or more of them are
/// left to judge by, after as many to learn from; where it learned something at all, and where the gradients take at most
/// 3e10 multiplications (on MNIST, 791 inputs and ten outputs, a round took 9 s and its metric was worse). Networks are trained on up
/// to 8,192 equations, at the ridge of `choice`; the metric is of the form it has, or from a diagonal on, where other forms
/// were tried before, [`MetricForm::Shrunk`] where that gains 1% on diagonals, and two standard errors of that gain. A round is kept where the
/// leave-one-out error of the others, none of which either has seen, falls, and misclassified examples, where they
/// count, are not more. The first that is not kept is the last.
///
/// Takes a training of `options.solver`, a forward pass and `2 n m d K` flops for the gradients of up to 2,048
/// equations a round, and some factorisations of as many.
///
/// # Errors
/// [`TrainError`] for options out of their range, or where a network cannot be trained.
///
/// # Examples
/// ```
/// use faer::Par;
/// use nearlin::{Equations, Judge, MetricForm, Options, learn_metric, refine_metric};
///
/// let noise = |i: usize| 2.0 * ((i as f64 * 12.9898).sin() * 43758.5453).rem_euclid(1.0) - 1.0;
/// let s: Vec<f64> = (0..3 * 200).map(noise).collect();
/// let y: Vec<f64> = s.chunks(3).map(|s| (3.0 * s[0]).sin()).collect();
/// let x = s.chunks(3).flat_map(|s| [s[0], s[1], s[2], 1.0]).collect();
/// let equations = Equations::new(x, y, 4, 1)?;
/// let forms = [MetricForm::Diagonal];
/// let choice = learn_metric(&equations, &[], &forms, Judge::SquaredError, Par::rayon(0))?;
/// // It saw all of so few equations: nothing is left to judge by.
/// let options = Options::default();
/// let refined = refine_metric(&equations, choice.clone(), Judge::SquaredError, &options)?;
/// assert_eq!(refined, choice);
/// # Ok::<(), nearlin::TrainError>(())
/// ```
pub fn refine_metric(
    equations: &Equations,
    mut choice: MetricChoice,
    judge: Judge,
    options: &Options,
) -> Result<MetricChoice, TrainError> {
    options.check()?;
    let (mut form, rounds) = (choice.rounds[choice.best].form, choice.rounds[choice.best].round);
    let (learned, judged) = parts(equations.rows());
    let neurons = options.width.min(NEURONS);
    let sides = [learned.len().min(SAMPLE), neurons, equations.inputs(), equations.outputs()];
    let work: f64 = sides.iter().map(|&side| side as f64).product();
    if rounds == 0 || judged.len() < FEWEST || work > WORK {
        return Ok(choice);
    }
    let learned = equations.subset(&learned)?.spread(LEARNED);
    let sample = Sample::new(&equations.subset(&judged)?, options.par);
    let (start, par) = (Start::Near(choice.ridge), options.par);
    let mut best = sample.attempt(choice.metric.clone(), start)?;
    let mut errors = vec![best.fit.score.error()];
    let mut kept = 0;
    // Not where only diagonals were asked for.
    let mixes = choice.rounds.iter().any(|round| round.form.is_matrix());
    let options = options.width(neurons).max_steps(STEPS);
    while kept < ROUNDS {
        let mapped = learned.clone().in_metric(&choice.metric);
        let run = train(&mapped, &options.ridge(choice.ridge), &mut |_: &Event<'_>| {
            ControlFlow::Continue(())
        })?;
        let outer = outer(&run.network, &mapped.spread(SAMPLE), &choice.metric, par)?;
        let with = |form: MetricForm| -> Result<Option<Attempt<'_>>, TrainError> {
            let metric = root(form, &outer, choice.metric.bias, par)?;
            metric.map(|metric| sample.attempt(metric, start)).transpose()
        };
        let Some(mut next) = with(form)? else { break };
        let mut formed = form;
        if mixes && form == MetricForm::Diagonal {
            let sure = |other: &Attempt<'_>| {
                [&next, &best].iter().all(|d| judge.is_sure(&other.fit.score, &d.fit.score))
            };
            if let Some(other) = with(MetricForm::Shrunk)?.filter(sure) {
                (next, formed) = (other, MetricForm::Shrunk);
            }
        }
        errors.push(next.fit.score.error());
        if !judge.falls(&next.fit.score, &best.fit.score) {
            break;
        }
        choice.metric = next.mapped.metric().clone();
        choice.importances = shares(&outer);
        choice.ridge *= next.ridge / best.ridge;
        (best, form) = (next, formed);
        kept += 1;
    }
    let (rows, judged) = (learned.rows(), sample.rows());
    choice.network = Some(NetworkRounds { form, rows, judged, errors, kept });
    Ok(choice)
}

/// The indices of equations to learn from, and of those to judge by: every second of those that a sample at even
/// distances did not have, up to as many as such a sample.
fn parts(n: usize) -> (Vec<usize>, Vec<usize>) {
    let mut seen = vec![false; n];
    (0..n.min(SAMPLE)).for_each(|at| seen[at * n / n.min(SAMPLE)] = true);
    let unseen: Vec<usize> = (0..n).filter(|&i| !seen[i]).collect();
    let count = (unseen.len() / 2).min(SAMPLE);
    let judged: Vec<usize> = (0..count).map(|at| unseen[at * unseen.len() / count]).collect();
    let mut learned = vec![true; n];
    for &i in &judged {
        learned[i] = false;
    }
    ((0..n).filter(|&i| learned[i]).collect(), judged)
}

/// The average gradient outer product of a network's outputs in the inputs before the metric.
fn outer(
    network: &Network,
    equations: &Equations,
    metric: &super::Metric,
    par: faer::Par,
) -> Result<Mat<f64>, TrainError> {
    let (n, d) = (equations.rows(), equations.inputs());
    let x = equations.x();
    let lengths: Vec<f64> =
        (0..n).map(|i| norm(&(0..d).map(|q| x[(i, q)]).collect::<Vec<_>>())).collect();
    let unit =
        Mat::from_fn(n, d, |i, q| if lengths[i] > 0.0 { x[(i, q)] / lengths[i] } else { 0.0 });
    let mut gradients =
        network.input_gradients(unit.as_ref(), SMOOTHED / (d as f64).sqrt(), par)?;
    across(&mut gradients, unit.as_ref());
    Ok(outer_product(gradients, unit.as_ref(), &lengths, metric, par))
}

/// Takes out of gradients, n x (d K), their parts along the rows of `unit`, n x d.
fn across(gradients: &mut Mat<f64>, unit: MatRef<'_, f64>) {
    let (n, d) = (unit.nrows(), unit.ncols());
    for first in (0..gradients.ncols()).step_by(d) {
        for i in 0..n {
            let along: f64 = (0..d).map(|q| gradients[(i, first + q)] * unit[(i, q)]).sum();
            (0..d).for_each(|q| gradients[(i, first + q)] -= along * unit[(i, q)]);
        }
    }
}

impl Judge {
    /// Whether errors fell, by however little: for metrics of which the later is no less plausible.
    fn falls(self, score: &Score, before: &Score) -> bool {
        let wrong = self == Self::Misclassified && score.wrong() > before.wrong();
        score.error() < before.error() && !wrong
    }
}

#[cfg(test)]
mod tests {
    use faer::Par;

    use super::*;
    use crate::ridge::search::Room;
    use crate::{Metric, MetricForm, MetricRound, Scale};

    /// `n` points `[s; 1]` on the sphere, of lengths 1 and 2, and a wave along this combination of three inputs.
    fn waves(n: usize, along: [f64; 3]) -> Equations {
        let noise =
            |at: usize| 2.0 * ((at as f64 * 12.9898).sin() * 43_758.545_3).rem_euclid(1.0) - 1.0;
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for i in 0..n {
            let row = [noise(3 * i), noise(3 * i + 1), noise(3 * i + 2), 1.0];
            let weight = f64::from(1 + u8::from(i % 3 == 0));
            x.extend(row.iter().map(|s| weight * s / norm(&row)));
            let at: f64 = along.iter().zip(&row).map(|(a, s)| a * s).sum();
            y.push(weight * at.sin());
        }
        Equations::new(x, y, 4, 1).unwrap()
    }

    /// A wide network's gradients are those of the kernel that it tends to, but for a smoothing that hardly depends on
    /// the direction: parts of the trace err by less than 1% here, by 9% without smoothing.
    #[test]
    fn wide_networks_agree_with_the_kernel() {
        let metric = Metric::from_parts(MetricForm::Diagonal, 3, vec![1.5, 0.7, 0.4], 0.8).unwrap();
        let (plain, ridge) = (waves(60, [4.0, 0.0, 0.0]), 0.01);
        let sample = Sample::new(&plain, Par::Seq);
        let mapped = sample.mapped(metric.clone());
        let limit = mapped.gradients(&mapped.fit(ridge, &mut Room::default()).unwrap().unwrap());
        let equations = plain.in_metric(&metric);
        let options = Options::default().width(16_384).ridge(ridge).scale(Scale::Fixed(64.0));
        let run =
            train(&equations, &options, &mut |_: &Event<'_>| ControlFlow::Continue(())).unwrap();
        let found = outer(&run.network, &equations, &metric, Par::Seq).unwrap();
        let part = |outer: Mat<f64>| &outer * (1.0 / (0..3).map(|q| outer[(q, q)]).sum::<f64>());
        let error = (part(found) - part(limit)).norm_l2();
        assert!(error < 0.02, "{error}");
    }

    /// The plain metric, learned in one round of the first of these forms, the others tried beside it.
    fn learned(forms: &[MetricForm]) -> MetricChoice {
        let round = |&form| MetricRound { form, round: 1, ridge: 0.01, error: 1.0, wrong: 0.0 };
        MetricChoice {
            metric: Metric::plain(3),
            importances: vec![1.0 / 3.0; 3],
            ridge: 0.01,
            rounds: forms.iter().map(round).collect(),
            best: 0,
            rows: SAMPLE,
            network: None,
        }
    }

    /// From a metric that says little, rounds find the wave, and stop.
    #[test]
    fn rounds_gain() {
        let equations = waves(3200, [4.0, 0.0, 0.0]);
        let choice = learned(&[MetricForm::Diagonal, MetricForm::Full]);
        let judge = Judge::SquaredError;
        let options = Options::default().width(256);
        let found = refine_metric(&equations, choice, judge, &options).unwrap();
        let network = found.network.unwrap();
        assert_eq!((network.rows, network.judged), (3200 - 576, 576));
        assert!(
            network.kept > 0
                && network.errors.len()
                    == ROUNDS.min(network.kept + 1) + usize::from(network.kept == ROUNDS)
        );
        assert!(network.errors[network.kept] < 0.5 * network.errors[0], "{network:?}");
        assert!(found.importances[0] > 0.9 && network.form == MetricForm::Diagonal, "{network:?}");
    }

    /// A wave along two inputs together takes more than a diagonal, where more than diagonals may be tried.
    #[test]
    fn rounds_mix_what_belongs_together() {
        let equations = waves(3200, [4.0, 4.0, 0.0]);
        let options = Options::default().width(256);
        let refined = |forms: &[MetricForm]| {
            refine_metric(&equations, learned(forms), Judge::SquaredError, &options).unwrap()
        };
        let diagonal = refined(&[MetricForm::Diagonal]);
        assert_eq!(diagonal.metric.form(), MetricForm::Diagonal);
        let mixed = refined(&[MetricForm::Diagonal, MetricForm::Full]);
        let [rounds, others] = [&mixed, &diagonal].map(|found| found.network.as_ref().unwrap());
        assert_eq!((rounds.form, others.form), (MetricForm::Shrunk, MetricForm::Diagonal));
        assert!(
            rounds.errors[rounds.kept] < 0.9 * others.errors[others.kept],
            "{rounds:?}, {others:?}"
        );
        assert!(mixed.metric.map()[1] > 0.3 && mixed.metric.map()[2].abs() < 0.1, "{mixed:?}");
    }

    #[test]
    fn judges_are_seen_by_nobody() {
        for n in [1, 100, SAMPLE, SAMPLE + 1, 3000, 4000, 20_000] {
            let (learned, judged) = parts(n);
            let mut all = [learned, judged.clone()].concat();
            all.sort_unstable();
            assert_eq!(all, (0..n).collect::<Vec<_>>());
            let unseen = n.saturating_sub(SAMPLE);
            assert_eq!(judged.len(), (unseen / 2).min(SAMPLE));
            let seen: Vec<usize> = (0..n.min(SAMPLE)).map(|at| at * n / n.min(SAMPLE)).collect();
            assert!(judged.iter().all(|i| seen.binary_search(i).is_err()));
        }
    }
}
