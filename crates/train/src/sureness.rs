//! How sure predictions are, from training rows that were left out one at a time.

/// Sharpness is looked for between one over this and this.
pub const MOST_SHARP: f64 = 1e4;

/// The number times which scores, n x K and row-major, give the softmax of least log loss on the rows whose class is
/// known (temperature scaling: Guo, Pleiss, Sun and Weinberger, *On calibration of modern neural networks*, 2017):
/// 60 passes over the scores.
///
/// Each row's class is taken to be another one with probability `1 / (n + 2)`, any of them alike: what there is to say
/// of the next of `n` events that have always turned out well (Laplace's rule of succession). Without it rows that
/// are all told apart would make every prediction certain (Platt, *Probabilistic outputs for support vector machines*,
/// 1999).
///
/// # Panics
/// If a label is no class.
#[must_use]
pub fn sharpness(scores: &[f64], labels: &[Option<u32>]) -> f64 {
    let k = (scores.len() / labels.len().max(1)).max(1);
    let doubt = if k > 1 { 1.0 / (labels.iter().flatten().count() + 2) as f64 } else { 0.0 };
    let others = doubt / (k.max(2) - 1) as f64;
    // The log loss is convex in the sharpness: its slope is the score that is expected less the one that is true.
    let slope = |sharpness: f64| -> f64 {
        let rows = scores.chunks_exact(k).zip(labels);
        rows.filter_map(|(scores, label)| {
            let parts = probabilities(scores, sharpness).zip(scores);
            let own = scores[(*label)? as usize];
            let sum: f64 = scores.iter().sum();
            let true_score = (1.0 - doubt) * own + others * (sum - own);
            Some(parts.map(|(p, s)| p * s).sum::<f64>() - true_score)
        })
        .sum()
    };
    let (mut low, mut high) = (-MOST_SHARP.ln(), MOST_SHARP.ln());
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if slope(middle.exp()) < 0.0 { low = middle } else { high = middle }
    }
    low.midpoint(high).exp()
}

/// The softmax of a row of scores times a number.
pub fn probabilities(scores: &[f64], sharpness: f64) -> impl Iterator<Item = f64> {
    let (most, sum) = exponentials(scores, sharpness);
    scores.iter().map(move |s| (sharpness * s - most).exp() / sum)
}

/// The mean of `-ln p` over the rows whose class is known; `None` without any. Scores are n x K, row-major.
///
/// # Panics
/// If a label is no class.
#[must_use]
pub fn log_loss(scores: &[f64], labels: &[Option<u32>], sharpness: f64) -> Option<f64> {
    let k = (scores.len() / labels.len().max(1)).max(1);
    let known = labels.iter().flatten().count();
    let losses = scores.chunks_exact(k).zip(labels).filter_map(|(scores, label)| {
        let (most, sum) = exponentials(scores, sharpness);
        label.map(|label| most + sum.ln() - sharpness * scores[label as usize])
    });
    (known > 0).then(|| losses.sum::<f64>() / known as f64)
}

/// The largest of the sharpened scores, and the sum of the exponentials of what they are below it.
fn exponentials(scores: &[f64], sharpness: f64) -> (f64, f64) {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max) * sharpness;
    (most, scores.iter().map(|s| (sharpness * s - most).exp()).sum())
}

/// Of absolute residuals, ascending, the one that a new residual exceeds with probability `1 - level`: it is as likely
/// as any to be the largest, the second largest, ..; no more than the largest is known of. `None` of none.
#[must_use]
pub fn half_width(sizes: &[f64], level: f64) -> Option<f64> {
    let rank = (level * (sizes.len() + 1) as f64).ceil() as usize;
    sizes.get(rank.clamp(1, sizes.len().max(1)) - 1).copied()
}

/// Indices of at most `most` of these numbers, ascending by them and at even ranks, the largest among them.
#[must_use]
pub fn ranked(sizes: &[f64], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by(|&a, &b| sizes[a].total_cmp(&sizes[b]));
    let (n, kept) = (order.len(), order.len().min(most));
    (1..=kept).map(|at| order[at * n / kept - 1]).collect()
}

/// `2 h + 2 / (1 - level) max(|e| - h, 0)` for an absolute residual `|e|` and a half width `h`: the smaller on average, the
/// better the intervals, as what makes them wide and what they miss are both told (Gneiting and Raftery, *Strictly proper
/// scoring rules, prediction, and estimation*, 2007, eq. 43).
#[must_use]
pub fn interval_score(size: f64, half: f64, level: f64) -> f64 {
    2.0 * half + 2.0 / (1.0 - level) * (size - half).max(0.0)
}

/// Index of the largest score, the first of them on a tie; 0 of none.
#[must_use]
pub fn best(scores: &[f64]) -> usize {
    (1..scores.len()).fold(0, |best, at| if scores[at] > scores[best] { at } else { best })
}
