//! Laws of the split.

use proptest::prelude::*;

use super::says;
use crate::table::{Holdout, Split, split};

fn sizes(classes: &[u32], rows: &[usize]) -> Vec<usize> {
    let mut sizes = vec![0; 1 + classes.iter().max().map_or(0, |&class| class as usize)];
    for &row in rows {
        sizes[classes[row] as usize] += 1;
    }
    sizes
}

fn sorted_rows(split: &Split) -> Vec<usize> {
    let mut rows = [&split.train[..], &split.test].concat();
    rows.sort_unstable();
    rows
}

/// A seed means these rows for good: models and reports are compared across versions.
#[test]
fn seed_means_the_same_rows_for_good() {
    let parts = split(10, None, None, Holdout::Fraction(0.2), 0).unwrap();
    assert_eq!(parts, Split { train: vec![9, 6, 4, 8, 3, 1, 7, 0], test: vec![2, 5] });
    let parts = split(10, None, None, Holdout::Fraction(0.2), 1).unwrap();
    assert_eq!(parts, Split { train: vec![9, 6, 2, 8, 7, 1, 3, 5], test: vec![4, 0] });
}

/// Over 9000 seeds each of 10 rows comes to each place 900 times. A count is binomial with
/// deviation 28.5; six of them, 171, are exceeded with probability 2e-9 by each of 100 counts.
#[test]
fn every_row_comes_to_every_place() {
    let mut counts = [[0_usize; 10]; 10];
    for seed in 0..9000 {
        let parts = split(10, None, None, Holdout::Fraction(0.0), seed).unwrap();
        for (place, row) in parts.train.into_iter().enumerate() {
            counts[place][row] += 1;
        }
    }
    assert!(counts.iter().flatten().all(|count| count.abs_diff(900) < 171), "{counts:?}");
}

#[test]
fn small_tables_have_no_test_set() {
    for rows in 2..5 {
        for fraction in [0.0, 0.2, 0.9] {
            let parts = split(rows, None, None, Holdout::Fraction(fraction), 3).unwrap();
            assert_eq!((parts.train.len(), parts.test.len()), (rows, 0));
        }
        let parts = split(rows, None, None, Holdout::TrainRows(2), 3).unwrap();
        assert_eq!((parts.train.len(), parts.test.len()), (2, 0));
        let parts = split(100, None, Some(rows), Holdout::default(), 3).unwrap();
        assert_eq!((parts.train.len(), parts.test.len()), (rows, 0));
    }
    let parts = split(5, None, None, Holdout::default(), 3).unwrap();
    assert_eq!((parts.train.len(), parts.test.len()), (4, 1));
}

#[test]
fn no_test_rows_when_none_are_wanted() {
    for holdout in [Holdout::Fraction(0.0), Holdout::Fraction(-0.0), Holdout::TrainRows(50)] {
        let parts = split(50, None, None, holdout, 3).unwrap();
        assert_eq!((parts.train.len(), parts.test.len()), (50, 0));
    }
}

#[test]
fn rows_beyond_the_table_are_all_rows() {
    let all = split(30, None, None, Holdout::default(), 5).unwrap();
    assert_eq!(split(30, None, Some(31), Holdout::default(), 5).unwrap(), all);
}

#[test]
fn single_rows_and_tiny_classes_stay_in_training() {
    // Classes of 1, 2 and 40 rows.
    let mut classes = vec![2; 43];
    (classes[7], classes[20], classes[30]) = (0, 1, 1);
    for fraction in [0.1, 0.5, 0.95] {
        for seed in 0..20 {
            let parts = split(43, Some(&classes), None, Holdout::Fraction(fraction), seed).unwrap();
            let train = sizes(&classes, &parts.train);
            assert_eq!(train[0], 1);
            assert!(train[1] >= 1 && train[2] >= 1, "{train:?}");
        }
    }
    // As many training rows as asked for, whatever the classes.
    for wanted in 2..=43 {
        let parts = split(43, Some(&classes), None, Holdout::TrainRows(wanted), 1).unwrap();
        assert_eq!((parts.train.len(), parts.test.len()), (wanted, 43 - wanted));
        assert!(parts.train.contains(&7));
    }
}

/// All classes single: nothing can be held out, and a fraction is no reason to fail.
#[test]
fn all_classes_single() {
    let classes: Vec<u32> = (0..9).collect();
    let parts = split(9, Some(&classes), None, Holdout::Fraction(0.5), 1).unwrap();
    assert_eq!((parts.train.len(), parts.test.len()), (9, 0));
    says(
        split(9, Some(&classes), None, Holdout::TrainRows(4), 1),
        "`--train-rows` is 4, expected at least 9: 9 classes have a single row, \
         which stays in training",
    );
}

#[test]
fn options_that_do_not_fit() {
    for fraction in [1.0, -0.1, 2.5, f64::NAN, f64::INFINITY] {
        says(
            split(50, None, None, Holdout::Fraction(fraction), 0),
            &format!("`--test-fraction` is {fraction}, expected a number in [0, 1)"),
        );
    }
    let train = |wanted, keep| split(50, None, keep, Holdout::TrainRows(wanted), 0);
    says(train(0, None), "`--train-rows` is 0, expected at least 2");
    says(train(1, None), "`--train-rows` is 1, expected at least 2");
    says(train(51, None), "`--train-rows` is 51, expected at most 50, the rows that there are");
    says(train(21, Some(20)), "`--train-rows` is 21, expected at most 20, the rows that there are");
    let keep = |keep| split(50, None, Some(keep), Holdout::default(), 0);
    says(keep(0), "`--rows` is 0, expected at least 2");
    says(keep(1), "`--rows` is 1, expected at least 2");
    says(
        split(10, None, None, Holdout::Fraction(0.95), 0),
        "`--test-fraction` is 0.95, expected one that leaves at least 2 of the 10 rows for training",
    );
    says(
        split(1, None, None, Holdout::default(), 0),
        "the table has 1 row with a target, expected at least 2",
    );
}

prop_compose! {
    fn labelled()(count in 1..8u32)(
        labels in prop::collection::vec(0..count, 5..120)
    ) -> Vec<u32> {
        labels
    }
}

proptest! {
    /// Disjoint and complete; the same call gives the same rows; the kept rows are the first of
    /// the shuffle, so a smaller `keep` keeps a part of a larger one's.
    #[test]
    fn divides_the_rows_that_are_kept(
        rows in 5..200usize, keep in 5..200usize, fraction in 0.0..0.5f64, seed: u64,
    ) {
        let holdout = Holdout::Fraction(fraction);
        let parts = split(rows, None, Some(keep), holdout, seed).unwrap();
        let kept = keep.min(rows);
        prop_assert_eq!(parts.test.len(), (fraction * kept as f64).round() as usize);
        prop_assert_eq!(parts.train.len() + parts.test.len(), kept);
        prop_assert!(sorted_rows(&parts).windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(sorted_rows(&parts).iter().all(|&row| row < rows));
        prop_assert_eq!(&parts, &split(rows, None, Some(keep), holdout, seed).unwrap());
        let more = sorted_rows(&split(rows, None, Some(keep + 1), holdout, seed).unwrap());
        prop_assert!(sorted_rows(&parts).iter().all(|row| more.binary_search(row).is_ok()));
    }

    /// Of `T` test rows a class of `n_c >= 2` among `n` such rows gets `T n_c / n`, up to less
    /// than one row. (At most 0.4 are held out, so that no class runs out of training rows.)
    #[test]
    fn stratified_within_one_row(classes in labelled(), fraction in 0.0..0.4f64, seed: u64) {
        let holdout = Holdout::Fraction(fraction);
        let parts = split(classes.len(), Some(&classes), None, holdout, seed).unwrap();
        prop_assert_eq!(sorted_rows(&parts), (0..classes.len()).collect::<Vec<_>>());
        let everywhere = sizes(&classes, &sorted_rows(&parts));
        let n: usize = everywhere.iter().filter(|&&size| size >= 2).sum();
        prop_assert_eq!(parts.test.len(), (fraction * n as f64).round() as usize);
        let tests = sizes(&classes, &parts.test);
        for class in 0..tests.len() {
            let size = everywhere[class];
            if size < 2 {
                prop_assert_eq!(tests[class], 0);
            } else {
                let (test, share) = (tests[class] * n, parts.test.len() * size);
                prop_assert!(test.abs_diff(share) < n, "{:?} of {:?}", tests, everywhere);
            }
        }
    }

    /// Labels decide where rows go, not which are kept; and the number asked for is met.
    #[test]
    fn labels_do_not_change_which_rows_are_kept(
        classes in labelled(), keep in 5..120usize, wanted in 2..120usize, seed: u64,
    ) {
        let kept = keep.min(classes.len());
        let wanted = wanted.min(kept);
        let plain = split(classes.len(), None, Some(keep), Holdout::TrainRows(wanted), seed);
        let plain = plain.unwrap();
        prop_assert_eq!(plain.train.len(), wanted);
        let parts = split(classes.len(), Some(&classes), Some(keep), Holdout::TrainRows(wanted), seed);
        if let Ok(parts) = parts {
            prop_assert_eq!(parts.train.len(), wanted);
            prop_assert_eq!(sorted_rows(&parts), sorted_rows(&plain));
        } else {
            let singles = sizes(&classes, &sorted_rows(&plain));
            prop_assert!(singles.iter().filter(|&&size| size == 1).count() > wanted);
        }
    }
}
