//! How sure predictions are, from training rows that were left out one at a time.

/// Sharpness is looked for between one over this and this.
const MOST_SHARP: f64 = 1e4;

/// The number times which scores, n x K and row-major, give the softmax of least log loss on rows of these classes
/// (temperature scaling: Guo, Pleiss, Sun and Weinberger, *On calibration of modern neural networks*, 2017).
pub(super) fn sharpness(scores: &[f64], labels: &[usize]) -> f64 {
    let k = scores.len() / labels.len();
    // The log loss is convex in the sharpness: its slope is the score that is expected less the one that is true.
    let slope = |sharpness: f64| -> f64 {
        let rows = scores.chunks_exact(k).zip(labels);
        rows.map(|(scores, &label)| {
            let parts = probabilities(scores, sharpness).zip(scores);
            parts.map(|(p, s)| p * s).sum::<f64>() - scores[label]
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
pub(super) fn probabilities(scores: &[f64], sharpness: f64) -> impl Iterator<Item = f64> {
    let (most, sum) = exponentials(scores, sharpness);
    scores.iter().map(move |s| (sharpness * s - most).exp() / sum)
}

/// `-ln p` of the classes on average.
pub(super) fn log_loss(scores: &[f64], labels: &[usize], sharpness: f64) -> f64 {
    let k = scores.len() / labels.len();
    let losses = scores.chunks_exact(k).zip(labels).map(|(scores, &label)| {
        let (most, sum) = exponentials(scores, sharpness);
        most + sum.ln() - sharpness * scores[label]
    });
    losses.sum::<f64>() / labels.len() as f64
}

/// The largest of the sharpened scores, and the sum of the exponentials of what they are below it.
fn exponentials(scores: &[f64], sharpness: f64) -> (f64, f64) {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max) * sharpness;
    (most, scores.iter().map(|s| (sharpness * s - most).exp()).sum())
}

/// Of absolute residuals, ascending, the one that a new residual exceeds with probability `1 - level`: it is as likely
/// as any to be the largest, the second largest, ..; no more than the largest is known of.
pub(super) fn half_width(sizes: &[f64], level: f64) -> f64 {
    let rank = (level * (sizes.len() + 1) as f64).ceil() as usize;
    sizes[rank.clamp(1, sizes.len()) - 1]
}

/// Index of the largest score, the first of them on a tie.
pub(super) fn best(scores: &[f64]) -> usize {
    (1..scores.len()).fold(0, |best, at| if scores[at] > scores[best] { at } else { best })
}
