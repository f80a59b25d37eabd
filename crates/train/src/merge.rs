//! Rows with the same inputs as one equation.
//!
//! For `c` rows with input `x` and targets of mean `b`,
//! `sum_i |f(x) - y_i|^2 = |sqrt(c) f(x) - sqrt(c) b|^2 + sum_i |y_i - b|^2`,
//! and a network that is positively homogeneous in `x` has `sqrt(c) f(x) = f(sqrt(c) x)`. So one
//! row `sqrt(c) x` with target `sqrt(c) b` keeps the least-squares problem; the last sum, which no
//! model can touch, goes into the floor. Rows with weights `w_i` stand for `w_i` rows each: `c` becomes the
//! sum of the weights, and means are weighted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};

/// Equations, one for each different input.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// Inputs times the square root of their weight: row-major, `equations x inputs`.
    pub x: Vec<f64>,
    /// Mean targets times the square root of their weight: row-major, `equations x outputs`.
    pub y: Vec<f64>,
    /// `d`.
    pub inputs: usize,
    /// `K`.
    pub outputs: usize,
    /// Rows in each equation.
    pub counts: Vec<usize>,
    /// The weight of each equation: the sum of its rows' weights, their count without any.
    pub weights: Vec<f64>,
    /// For each row the equation that it went into: the network's output for the row is the
    /// equation's, divided by the square root of its weight.
    pub equation_of: Vec<usize>,
    /// `|Y - group means| / |Y|` over all rows (Frobenius norms, weighted as the rows are); 0 where `Y = 0`.
    pub floor: f64,
    /// Groups whose targets differ, those that add most to the floor first.
    pub contradictions: Vec<Contradiction>,
}

/// Rows with one input and several targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Contradiction {
    /// The rows, in order.
    pub rows: Vec<usize>,
    /// Norm, weighted as the rows are, of what their targets differ from their mean.
    pub deviation: f64,
}

impl Merged {
    /// Each row of `x` and `y` as an equation of weight 1, merged with no other.
    ///
    /// # Panics
    /// As [`merge`].
    #[must_use]
    pub fn apart(x: Vec<f64>, y: Vec<f64>, inputs: usize, outputs: usize) -> Self {
        assert!(inputs > 0 && outputs > 0, "merge: {inputs} inputs and {outputs} outputs");
        let n = x.len() / inputs;
        assert_eq!((x.len(), y.len()), (n * inputs, n * outputs), "merge: {n} rows");
        let (counts, weights, equation_of) = (vec![1; n], vec![1.0; n], (0..n).collect());
        let (floor, contradictions) = (0.0, Vec::new());
        Self { x, y, inputs, outputs, counts, weights, equation_of, floor, contradictions }
    }

    /// Outputs of each row, n x k, from those of its equation: the rows' times the square root of the weight.
    ///
    /// # Panics
    /// If `by_equation` is not `equations x k` for any `k`.
    #[must_use]
    pub fn by_row(&self, by_equation: &[f64]) -> Vec<f64> {
        let k = by_equation.len() / self.equations();
        assert_eq!(by_equation.len(), self.equations() * k, "outputs of each equation");
        let rows = self.equation_of.iter().flat_map(|&equation| {
            let weight = self.weights[equation].sqrt();
            by_equation[equation * k..(equation + 1) * k].iter().map(move |f| f / weight)
        });
        rows.collect()
    }

    /// Number of equations.
    #[must_use]
    pub fn equations(&self) -> usize {
        self.counts.len()
    }

    /// Rows that went into another row's equation.
    #[must_use]
    pub fn merged_rows(&self) -> usize {
        self.equation_of.len() - self.counts.len()
    }
}

/// Merges rows whose inputs are the same bit for bit (0 and -0 are the same).
///
/// `x : n x inputs` and `y : n x outputs`, row-major. Equations stand in the order in which their
/// inputs first appear. `x` is reused; besides, memory is a few words a row.
///
/// # Panics
/// If a length is not `n` rows, or a row has no inputs or no outputs.
///
/// # Examples
/// ```
/// use nearlin::merge;
///
/// let merged = merge(vec![3.0, 1.0, 3.0, 3.0, 3.0], &[0.0, 5.0, 1.0, 1.0, 2.0], 1, 1);
/// assert_eq!((merged.x, merged.y), (vec![6.0, 1.0], vec![2.0, 5.0]));
/// assert_eq!(merged.counts, [4, 1]);
/// assert_eq!(merged.floor, (2.0 / 31.0_f64).sqrt());
/// ```
#[must_use]
pub fn merge(x: Vec<f64>, y: &[f64], inputs: usize, outputs: usize) -> Merged {
    merge_by(x, y, &|_| 1.0, inputs, outputs)
}

/// As [`merge`], for rows with weights: n positive finite numbers.
///
/// # Panics
/// Also if there are not as many weights as rows, or one is not such a number.
#[must_use]
pub fn merge_weighted(
    x: Vec<f64>,
    y: &[f64],
    weights: &[f64],
    inputs: usize,
    outputs: usize,
) -> Merged {
    assert_eq!(weights.len() * inputs, x.len(), "merge: {} weights", weights.len());
    let fine = |w: &f64| *w > 0.0 && w.is_finite();
    assert!(weights.iter().all(fine), "merge: weights are positive and finite");
    merge_by(x, y, &|row| weights[row], inputs, outputs)
}

fn merge_by(
    mut x: Vec<f64>,
    y: &[f64],
    weight_of: &dyn Fn(usize) -> f64,
    inputs: usize,
    outputs: usize,
) -> Merged {
    assert!(inputs > 0 && outputs > 0, "merge: {inputs} inputs and {outputs} outputs");
    let n = x.len() / inputs;
    assert_eq!((x.len(), y.len()), (n * inputs, n * outputs), "merge: {n} rows");

    let (equation_of, first) = groups(&x, inputs);
    let mut counts = vec![0_usize; first.len()];
    let mut weights = vec![0.0; first.len()];
    for (row, &equation) in equation_of.iter().enumerate() {
        counts[equation] += 1;
        weights[equation] += weight_of(row);
    }
    let (mean, deviation) = means(y, outputs, &equation_of, &first, (weight_of, &weights));

    for (equation, &row) in first.iter().enumerate() {
        // An equation never stands behind its first row, so nothing is overwritten unread.
        x.copy_within(row * inputs..(row + 1) * inputs, equation * inputs);
    }
    x.truncate(first.len() * inputs);
    x.shrink_to_fit();
    let mut merged_y = mean;
    for (equation, weight) in weights.iter().enumerate() {
        let weight = weight.sqrt();
        x[equation * inputs..][..inputs].iter_mut().for_each(|x| *x *= weight);
        merged_y[equation * outputs..][..outputs].iter_mut().for_each(|y| *y *= weight);
    }

    let rows = y.chunks_exact(outputs).enumerate();
    let squares = rows.map(|(row, y)| weight_of(row) * y.iter().map(|y| y * y).sum::<f64>());
    let norm = squares.sum::<f64>().sqrt();
    let lost = deviation.iter().sum::<f64>().sqrt();
    Merged {
        x,
        y: merged_y,
        inputs,
        outputs,
        floor: if lost > 0.0 { lost / norm } else { 0.0 },
        contradictions: contradictions(&equation_of, &deviation),
        counts,
        weights,
        equation_of,
    }
}

/// A row of inputs as a key: its bits, -0 as 0.
struct Key<'a>(&'a [f64]);

impl Key<'_> {
    fn bits(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|x| (x + 0.0).to_bits())
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bits().eq(other.bits())
    }
}

impl Eq for Key<'_> {}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().for_each(|bits| bits.hash(state));
    }
}

/// For each row its equation, and for each equation its first row.
fn groups(x: &[f64], inputs: usize) -> (Vec<usize>, Vec<usize>) {
    let mut first = Vec::new();
    let mut index: HashMap<Key<'_>, usize> = HashMap::new();
    let equation_of = x
        .chunks_exact(inputs)
        .enumerate()
        .map(|(row, x)| match index.entry(Key(x)) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                first.push(row);
                *entry.insert(first.len() - 1)
            }
        })
        .collect();
    (equation_of, first)
}

/// For each equation its mean target and the weighted sum of squares of what its rows differ from it.
///
/// Means are taken from the first row on, so rows that agree have their own target as mean,
/// to the last bit.
fn means(
    y: &[f64],
    outputs: usize,
    equation_of: &[usize],
    first: &[usize],
    (weight_of, weights): (&dyn Fn(usize) -> f64, &[f64]),
) -> (Vec<f64>, Vec<f64>) {
    let mut mean = vec![0.0; first.len() * outputs];
    for (row, (y_row, &equation)) in y.chunks_exact(outputs).zip(equation_of).enumerate() {
        let from = &y[first[equation] * outputs..][..outputs];
        let sums = &mut mean[equation * outputs..][..outputs];
        for ((sum, y), from) in sums.iter_mut().zip(y_row).zip(from) {
            *sum += weight_of(row) * (y - from);
        }
    }
    for (equation, sums) in mean.chunks_exact_mut(outputs).enumerate() {
        let from = &y[first[equation] * outputs..][..outputs];
        for (sum, from) in sums.iter_mut().zip(from) {
            *sum = from + *sum / weights[equation];
        }
    }
    let mut deviation = vec![0.0; first.len()];
    for (row, (y_row, &equation)) in y.chunks_exact(outputs).zip(equation_of).enumerate() {
        let mean = &mean[equation * outputs..][..outputs];
        let squares = y_row.iter().zip(mean).map(|(y, mean)| (y - mean) * (y - mean));
        deviation[equation] += weight_of(row) * squares.sum::<f64>();
    }
    (mean, deviation)
}

fn contradictions(equation_of: &[usize], deviation: &[f64]) -> Vec<Contradiction> {
    let mut slot = vec![None; deviation.len()];
    let mut found: Vec<Contradiction> = Vec::new();
    for (row, &equation) in equation_of.iter().enumerate() {
        if deviation[equation] > 0.0 {
            let slot = *slot[equation].get_or_insert_with(|| {
                let deviation = deviation[equation].sqrt();
                found.push(Contradiction { rows: Vec::new(), deviation });
                found.len() - 1
            });
            found[slot].rows.push(row);
        }
    }
    found.sort_by(|a, b| b.deviation.total_cmp(&a.deviation));
    found
}
