//! Training and test rows: a seeded shuffle, divided class by class.
//!
//! The shuffle is Fisher-Yates on the bits of `ChaCha8`, written out here so that a seed means the
//! same rows whatever the version of a sampling library. It depends on the seed and the number of
//! rows only; labels decide where the shuffled rows go, never their order.

use std::collections::BinaryHeap;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::error::TableError;

/// With fewer rows than this there is no test set.
const SMALLEST_DIVIDED: usize = 5;
/// The generator's stream for the shuffle, apart from those of the initial weights.
const STREAM: u64 = 0x7370_6c69_7400_0000;

/// The stream for samples.
const SAMPLES: u64 = 0x7361_6d70_6c65_0000;

/// How many rows are for training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holdout {
    /// This part of the rows is for testing, in `[0, 1)`. Default 0.2.
    Fraction(f64),
    /// This many rows are for training, the others for testing; at least 2.
    TrainRows(usize),
}

impl Default for Holdout {
    fn default() -> Self {
        Self::Fraction(0.2)
    }
}

/// Row indices in shuffled order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Rows to learn from.
    pub train: Vec<usize>,
    /// Rows to test on, none of them in `train`.
    pub test: Vec<usize>,
}

/// Shuffles `rows` rows, keeps the first `keep` (all, if there are no more), and divides them.
///
/// `classes` holds one code a row for classification. Then every class is divided in proportion,
/// to within one row, and keeps at least one row for training if there are that many; a class
/// with a single row always stays in training. With fewer than 5 rows kept there is no test set,
/// and [`Holdout::TrainRows`] leaves the others unused.
///
/// # Errors
/// [`TableError::TooFewRows`] below 2 rows; [`TableError::BadOption`] for a fraction outside
/// `[0, 1)` or one that leaves fewer than 2 training rows, for fewer than 2 rows to keep, and for
/// training rows that are fewer than 2, more than there are, or fewer than single-row classes.
///
/// # Panics
/// If `classes` does not have one code a row.
///
/// # Examples
/// ```
/// use nearlin_cli::table::{Holdout, split};
///
/// let parts = split(10, None, None, Holdout::Fraction(0.2), 0)?;
/// assert_eq!((parts.train.len(), parts.test.len()), (8, 2));
/// assert_eq!(parts, split(10, None, Some(10), Holdout::TrainRows(8), 0)?);
/// # Ok::<(), nearlin_cli::table::TableError>(())
/// ```
pub fn split(
    rows: usize,
    classes: Option<&[u32]>,
    keep: Option<usize>,
    holdout: Holdout,
    seed: u64,
) -> Result<Split, TableError> {
    if let Some(classes) = classes {
        assert_eq!(classes.len(), rows, "one class code a row");
    }
    let kept = check(rows, keep, holdout)?;
    let mut order: Vec<usize> = (0..rows).collect();
    shuffle(&mut order, seed, STREAM);
    order.truncate(kept);

    let class_of = |row: usize| classes.map_or(0, |codes| codes[row] as usize);
    let mut sizes = vec![0; order.iter().map(|&row| class_of(row) + 1).max().unwrap_or(0)];
    for &row in &order {
        sizes[class_of(row)] += 1;
    }
    let mut left = training_rows(&sizes, kept, holdout)?;
    let mut parts = Split::default();
    for row in order {
        let left = &mut left[class_of(row)];
        if *left > 0 {
            *left -= 1;
            parts.train.push(row);
        } else if kept >= SMALLEST_DIVIDED {
            parts.test.push(row);
        }
    }
    if let (Holdout::Fraction(fraction), true) = (holdout, parts.train.len() < 2) {
        return Err(TableError::BadOption {
            option: "--test-fraction",
            value: fraction.to_string(),
            expected: format!("one that leaves at least 2 of the {kept} rows for training"),
        });
    }
    Ok(parts)
}

/// The number of rows to keep, once the options make sense.
fn check(rows: usize, keep: Option<usize>, holdout: Holdout) -> Result<usize, TableError> {
    let bad = |option, value: String, expected: &str| {
        Err(TableError::BadOption { option, value, expected: expected.to_owned() })
    };
    let kept = keep.map_or(rows, |keep| keep.min(rows));
    match (keep, holdout) {
        (_, Holdout::Fraction(fraction)) if !(0.0..1.0).contains(&fraction) => {
            bad("--test-fraction", fraction.to_string(), "a number in [0, 1)")
        }
        (_, Holdout::TrainRows(wanted)) if wanted < 2 => {
            bad("--train-rows", wanted.to_string(), "at least 2")
        }
        (Some(keep), _) if keep < 2 => bad("--rows", keep.to_string(), "at least 2"),
        _ if rows < 2 => Err(TableError::TooFewRows { found: rows }),
        (_, Holdout::TrainRows(wanted)) if wanted > kept => {
            let expected = format!("at most {kept}, the rows that there are");
            bad("--train-rows", wanted.to_string(), &expected)
        }
        _ => Ok(kept),
    }
}

/// `count` of `rows` rows, any of them as likely as another, ascending; all, if there are no more.
#[must_use]
pub fn sample(rows: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    if count < rows {
        shuffle(&mut order, seed, SAMPLES);
        order.truncate(count);
        order.sort_unstable();
    }
    order
}

/// Shuffles by a stream of the generator.
pub(super) fn shuffle(order: &mut [usize], seed: u64, stream: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    for i in (1..order.len()).rev() {
        // A 64-bit fraction of i + 1, rounded down: its bias is below (i + 1) / 2^64.
        let j = (u128::from(rng.next_u64()) * (i as u128 + 1)) >> 64;
        order.swap(i, j as usize);
    }
}

/// How many rows of each class are for training, from the classes' sizes.
fn training_rows(sizes: &[usize], kept: usize, holdout: Holdout) -> Result<Vec<usize>, TableError> {
    let divided = || sizes.iter().filter(|&&size| size >= 2);
    let (eligible, classes) = (divided().sum::<usize>(), divided().count());
    let test = match holdout {
        Holdout::Fraction(_) if kept < SMALLEST_DIVIDED => 0,
        Holdout::Fraction(fraction) => {
            ((fraction * eligible as f64).round() as usize).min(eligible - classes)
        }
        Holdout::TrainRows(wanted) if kept - wanted > eligible => {
            let singles = kept - eligible;
            return Err(TableError::BadOption {
                option: "--train-rows",
                value: wanted.to_string(),
                expected: format!(
                    "at least {singles}: {singles} classes have a single row, which stays in training"
                ),
            });
        }
        Holdout::TrainRows(wanted) => kept - wanted,
    };
    let spare = usize::from(test <= eligible - classes);
    let most: Vec<usize> =
        sizes.iter().map(|&size| if size < 2 { 0 } else { size - spare }).collect();
    let tests = apportion(test, sizes, &most, eligible);
    Ok(sizes.iter().zip(tests).map(|(size, test)| size - test).collect())
}

/// Divides `total` among classes in proportion to `sizes / eligible`, class `c` getting at most
/// `most[c]`: the whole parts first, then one at a time to the class that lacks most.
fn apportion(total: usize, sizes: &[usize], most: &[usize], eligible: usize) -> Vec<usize> {
    let quota = |c: usize| total as i128 * sizes[c] as i128;
    let mut given: Vec<usize> = (0..sizes.len())
        .map(|c| most[c].min((quota(c) / eligible.max(1) as i128) as usize))
        .collect();
    let lack = |c: usize, given: usize| quota(c) - given as i128 * eligible as i128;
    let mut open: BinaryHeap<(i128, std::cmp::Reverse<usize>)> = (0..sizes.len())
        .filter(|&c| given[c] < most[c])
        .map(|c| (lack(c, given[c]), std::cmp::Reverse(c)))
        .collect();
    for _ in given.iter().sum()..total {
        let Some((_, std::cmp::Reverse(c))) = open.pop() else { break };
        given[c] += 1;
        if given[c] < most[c] {
            open.push((lack(c, given[c]), std::cmp::Reverse(c)));
        }
    }
    given
}
