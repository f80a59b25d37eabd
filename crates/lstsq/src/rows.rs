//! How many rows a sketch has: what a count of operations finds cheapest.

/// Sketch rows for each column that are considered.
const FACTORS: [f64; 9] = [3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0];

/// Seconds for an entry of the matrix in a pass, and for a flop of the factorisation: of a common machine, to choose by.
const PASS: f64 = 4e-10;
const FLOP: f64 = 1.5e-11;

/// Rows of a sketch of an `m x n` matrix, or none where the matrix is its own sketch.
pub(crate) fn sketch_rows(
    oversampling: Option<f64>,
    (m, n): (usize, usize),
    entries: f64,
) -> Option<usize> {
    let (tall, wide) = (m as f64, n as f64);
    let factor = oversampling.unwrap_or_else(|| {
        let seconds = |factor: f64| {
            // Each iteration takes the root of the factor; some ten digits in both stages.
            let iterations = 24.0 / (0.5 * factor.ln());
            iterations * entries * PASS + 2.0 * factor * wide * wide * wide * FLOP
        };
        let best = FACTORS.into_iter().min_by(|a, b| seconds(*a).total_cmp(&seconds(*b)));
        let factor = best.unwrap_or(4.0);
        if 2.0 * tall * wide * wide * FLOP < seconds(factor) { f64::INFINITY } else { factor }
    });
    let rows = (factor * wide).ceil().max(wide + 8.0);
    (rows < tall).then_some(rows as usize)
}
