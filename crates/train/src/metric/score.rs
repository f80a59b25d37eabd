//! How good fits are on examples that were left out, and when one is better than another by more than chance.

use super::Judge;

/// What a metric must gain on a simpler one, relative to its error.
const GAIN: f64 = 0.01;

/// What a metric must gain on a simpler one, in standard errors of the gain: the same examples judge both, so that
/// the differences, example by example, tell how sure their sum is.
const SURE: f64 = 2.0;

/// The losses of examples that were left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Score {
    /// The squared residual of each.
    pub(super) squares: Vec<f64>,
    /// For each 0, or if targets are one-hot and it is misclassified, its weight in effective examples.
    pub(super) wrong: Vec<f64>,
    /// `|y|^2`.
    pub(super) size: f64,
}

impl Score {
    /// The root of the sum of squares, relative to `|y|`.
    pub(super) fn error(&self) -> f64 {
        if self.size > 0.0 { (self.squares.iter().sum::<f64>() / self.size).sqrt() } else { 0.0 }
    }

    /// Misclassified examples.
    pub(super) fn wrong(&self) -> f64 {
        self.wrong.iter().sum()
    }

    /// Of the examples of both.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self {
            squares: [&self.squares[..], &other.squares].concat(),
            wrong: [&self.wrong[..], &other.wrong].concat(),
            size: self.size + other.size,
        }
    }
}

impl Judge {
    /// Whether a score is better than another of the same examples.
    pub(super) fn prefers(self, score: &Score, other: &Score) -> bool {
        let closer = score.error() < (1.0 - GAIN) * other.error();
        match self {
            Self::SquaredError => closer,
            Self::Misclassified => {
                let (wrong, others) = (score.wrong(), other.wrong());
                wrong < others || wrong <= others && closer
            }
        }
    }

    /// Whether it is better by more than chance.
    pub(super) fn is_sure(self, score: &Score, other: &Score) -> bool {
        let closer = score.error() < (1.0 - GAIN) * other.error()
            && gain(&score.squares, &other.squares) > SURE;
        match self {
            Self::SquaredError => closer,
            Self::Misclassified => {
                gain(&score.wrong, &other.wrong) > SURE || score.wrong() <= other.wrong() && closer
            }
        }
    }
}

/// What losses are less by in all, in standard errors under the hypothesis that neither is better: the sum of the
/// differences over the root of the sum of their squares. For misclassified examples this is the root of `McNemar`'s
/// statistic (*Psychometrika* 12, 1947).
fn gain(losses: &[f64], others: &[f64]) -> f64 {
    let differences = || losses.iter().zip(others).map(|(loss, other)| other - loss);
    let squares: f64 = differences().map(|d| d * d).sum();
    if squares > 0.0 { differences().sum::<f64>() / squares.sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(squares: &[f64], wrong: &[f64]) -> Score {
        Score { squares: squares.to_vec(), wrong: wrong.to_vec(), size: 10.0 }
    }

    #[test]
    fn one_example_makes_no_gain_sure() {
        let plain = score(&[1.0; 9], &[0.0; 9]);
        let mut lucky = plain.clone();
        lucky.squares[4] = 0.0;
        assert!(Judge::SquaredError.prefers(&lucky, &plain));
        assert!(!Judge::SquaredError.is_sure(&lucky, &plain));
        let better = score(&[0.9; 9], &[0.0; 9]);
        assert!(Judge::SquaredError.is_sure(&better, &plain));
        assert!(!Judge::SquaredError.is_sure(&plain, &better));
    }

    #[test]
    fn classes_are_told_apart_by_the_examples_that_differ() {
        // Twenty that both get wrong say nothing; five of five that only one does say enough, three of three do not.
        let wrong = |more: usize| {
            let wrong = [vec![1.0; 20], vec![1.0; more], vec![0.0; 5 - more]].concat();
            score(&[1.0; 25], &wrong)
        };
        let judge = Judge::Misclassified;
        assert!(judge.is_sure(&wrong(0), &wrong(5)) && !judge.is_sure(&wrong(5), &wrong(0)));
        assert!(judge.prefers(&wrong(0), &wrong(3)) && !judge.is_sure(&wrong(0), &wrong(3)));
    }
}
