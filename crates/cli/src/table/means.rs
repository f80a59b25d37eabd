//! Categories of many levels as what their rows' targets are on average.
//!
//! A level with `n` of the rows has the mean `sum of its targets / (n + m)` in each output: targets
//! have mean 0, so this is shrunken to the mean of all rows, the more the fewer rows there are (D.
//! Micci-Barreca, 2001; `m` is 10). A training row must not see its own target: it gets its level's
//! mean over the rows of the other folds. A level that these do not have is at 0, and so is all of a
//! column that has another level in each row.

use serde::{Deserialize, Serialize};

use super::Standard;
use super::column::Column;
use super::feature::{Feature, Level};
use super::split::shuffle;

/// With more levels than these a column is coded by means, if they are also more than one for every
/// ten training rows, or more than [`MOST_LEVELS`].
const FEW_LEVELS: usize = 20;
/// With more levels than these it is coded by means however many rows there are.
const MOST_LEVELS: usize = 100;
/// Parts of the training rows, each coded by the others.
const FOLDS: usize = 5;
/// `m`: rows at the mean of all that are added to each level.
const PRIOR: f64 = 10.0;
/// The generator's stream for the folds.
const STREAM: u64 = 0x666f_6c64_7300_0000;

/// What a fit learns from: the encoded targets of the training rows.
#[derive(Clone, Copy, Debug)]
pub struct Lesson<'a> {
    /// Row-major, `n x outputs`, each output of mean 0.
    pub y: &'a [f64],
    /// `K`.
    pub outputs: usize,
    /// Seed of the folds.
    pub seed: u64,
    /// Whether numbers have normal scores beside them.
    pub scores: bool,
}

/// One text of a column that is coded by means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelMeans {
    /// The text; empty for cells without a value.
    pub text: String,
    /// Its shrunken mean target over all training rows, for each coordinate.
    pub means: Vec<f64>,
}

/// Whether `levels` categories in `rows` training rows are too many for a coordinate each.
pub(crate) fn are_many(levels: usize, rows: usize) -> bool {
    levels > FEW_LEVELS && (levels * 10 > rows || levels > MOST_LEVELS)
}

/// A column coded by means, and for each training row its standardised coordinates, told by the rows
/// of other folds. `None` if these do not vary.
pub(super) fn fit(
    column: &Column,
    levels: &[Level],
    rows: &[usize],
    lesson: &Lesson<'_>,
) -> Option<(Feature, Vec<f64>)> {
    let folds = folds(rows.len(), lesson.seed);
    let level = |row: usize| {
        let cell = column.cell(row);
        levels.binary_search_by(|level| level.text.as_str().cmp(&cell)).ok()
    };
    let codes: Option<Vec<usize>> = rows.iter().map(|&row| level(row)).collect();
    let codes = codes?;
    let mut counts = vec![[0_usize; FOLDS]; levels.len()];
    for (&code, &fold) in codes.iter().zip(&folds) {
        counts[code][fold] += 1;
    }

    let mut parts = Vec::new();
    let mut by_level: Vec<Vec<f64>> = vec![Vec::new(); levels.len()];
    let mut by_row: Vec<Vec<f64>> = Vec::new();
    for output in 0..lesson.outputs {
        let mut sums = vec![[0.0; FOLDS]; levels.len()];
        let targets = lesson.y.iter().skip(output).step_by(lesson.outputs);
        for ((&code, &fold), y) in codes.iter().zip(&folds).zip(targets) {
            sums[code][fold] += y;
        }
        let mean = |code: usize, without: usize| {
            let others = || (0..FOLDS).filter(|&fold| fold != without);
            let count: usize = others().map(|fold| counts[code][fold]).sum();
            others().map(|fold| sums[code][fold]).sum::<f64>() / (count as f64 + PRIOR)
        };
        let told: Vec<f64> =
            codes.iter().zip(&folds).map(|(&code, &fold)| mean(code, fold)).collect();
        let Some(standard) = Standard::fit(&told) else { continue };
        parts.push(standard);
        by_row.push(told.iter().map(|&mean| standard.apply(mean)).collect());
        for (code, means) in by_level.iter_mut().enumerate() {
            means.push(mean(code, FOLDS));
        }
    }
    if parts.is_empty() {
        return None;
    }
    let levels = levels.iter().zip(by_level);
    let levels = levels.map(|(level, means)| LevelMeans { text: level.text.clone(), means });
    let held = (0..rows.len()).flat_map(|row| by_row.iter().map(move |part| part[row])).collect();
    let column = column.name().to_owned();
    Some((Feature::Means { column, levels: levels.collect(), parts }, held))
}

/// The fold of each of `rows` rows: a seeded shuffle, dealt out.
fn folds(rows: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    shuffle(&mut order, seed, STREAM);
    let mut folds = vec![0; rows];
    for (place, row) in order.into_iter().enumerate() {
        folds[row] = place % FOLDS;
    }
    folds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::Encoder;
    use crate::table::tests::{all, table};

    /// A column `c` of these levels, and its feature with the coordinates of the training rows.
    fn fitted(
        codes: &[usize],
        lesson: &Lesson<'_>,
    ) -> Option<(Vec<LevelMeans>, Vec<Standard>, Vec<f64>)> {
        let text =
            codes.iter().fold(String::from("c\n"), |text, code| text + &format!("l{code}\n"));
        let table = table(&text);
        let (encoder, _) = Encoder::fit(&table, "", &all(&table));
        let Some(Feature::Category { levels, .. }) = encoder.features().first() else {
            return None;
        };
        let (feature, held) = fit(&table.columns()[0], levels, &all(&table), lesson)?;
        assert!(feature.is_valid());
        let Feature::Means { levels, parts, .. } = feature else { panic!("means") };
        Some((levels, parts, held))
    }

    #[test]
    fn folds_are_even_and_seeded() {
        let dealt = folds(23, 7);
        let sizes = [0, 1, 2, 3, 4].map(|fold| dealt.iter().filter(|&&f| f == fold).count());
        assert_eq!(sizes, [5, 5, 5, 4, 4]);
        assert_eq!(folds(23, 7), dealt);
        assert_ne!(folds(23, 8), dealt);
    }

    #[test]
    fn what_is_many() {
        for (levels, rows, many) in [
            (20, 20, false),
            (21, 210, false),
            (21, 209, true),
            (100, 1000, false),
            (101, 1_000_000, true),
        ] {
            assert_eq!(are_many(levels, rows), many, "{levels} in {rows}");
        }
    }

    /// Another level in each row tells nothing, and does not give the target away.
    #[test]
    fn identifiers_tell_nothing() {
        let y: Vec<f64> = (0..50).map(|i| f64::from(i) - 24.5).collect();
        let lesson = Lesson { y: &y, outputs: 1, seed: 3, scores: true };
        assert!(fitted(&(0..50).collect::<Vec<_>>(), &lesson).is_none());
    }

    proptest! {
        /// By brute force: a training row's code is the shrunken mean over the rows with its level in
        /// other folds, whatever its own target is; a level's is that over all rows. Sums of 60
        /// numbers below 1 in another order differ by less than `60^2 eps`, before they are divided by
        /// 10 or more.
        #[test]
        fn means_are_those_of_the_other_folds(
            codes in prop::collection::vec(0..8usize, 10..60),
            y in prop::collection::vec(-1.0..1.0f64, 120),
            seed: u64,
            changed in any::<prop::sample::Index>(),
        ) {
            let n = codes.len();
            let lesson = Lesson { y: &y[..2 * n], outputs: 2, seed, scores: true };
            let Some((levels, parts, held)) = fitted(&codes, &lesson) else { return Ok(()) };
            prop_assume!(parts.len() == 2);
            let folds = folds(n, seed);
            let bound = 360.0 * f64::EPSILON;
            let mean = |code: usize, without: usize, k: usize| {
                let others = (0..n).filter(|&j| codes[j] == code && folds[j] != without);
                let (count, sum) = others.fold((10.0, 0.0), |(n, sum), j| (n + 1.0, sum + y[2 * j + k]));
                sum / count
            };
            for i in 0..n {
                for k in 0..2 {
                    let got = parts[k].invert(held[2 * i + k]);
                    // Standardising and back, of numbers below 1.
                    let bound = bound + 8.0 * f64::EPSILON;
                    prop_assert!((got - mean(codes[i], folds[i], k)).abs() <= bound);
                }
            }
            for level in &levels {
                let code = level.text[1..].parse().unwrap();
                for k in 0..2 {
                    prop_assert!((level.means[k] - mean(code, 9, k)).abs() <= bound);
                }
            }
            // A row's own target, and those of its fold, are not in its code.
            let i = changed.index(n);
            let mut other = y.clone();
            for j in (0..n).filter(|&j| folds[j] == folds[i]) {
                other[2 * j] = 0.5;
            }
            let lesson = Lesson { y: &other[..2 * n], ..lesson };
            if let Some((_, new, again)) = fitted(&codes, &lesson) {
                prop_assume!(new.len() == 2);
                let (before, after) = (parts[0].invert(held[2 * i]), new[0].invert(again[2 * i]));
                prop_assert!((before - after).abs() <= 16.0 * f64::EPSILON, "{before} {after}");
            }
        }
    }
}
