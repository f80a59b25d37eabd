//! Exponents of power laws through measured times.

use nearlin_cli::plot::fit_loglog;
use serde::Serialize;

/// Exponents of the power laws through points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Slopes {
    /// Through all of them.
    pub(super) all: Option<f64>,
    /// Through the last three, where there are three.
    pub(super) last_three: Option<f64>,
}

impl Slopes {
    /// Fitted to points, smallest first.
    pub(super) fn of(points: &[(f64, f64)]) -> Self {
        let slope = |points: &[(f64, f64)]| fit_loglog(points).map(|fit| fit.slope);
        let last_three = points.len().checked_sub(3).and_then(|first| slope(&points[first..]));
        Self { all: slope(points), last_three }
    }

    /// Both as cells of a table.
    pub(super) fn cells(self) -> [String; 2] {
        [self.all, self.last_three]
            .map(|slope| slope.map_or_else(|| "-".to_owned(), |slope| format!("{slope:.2}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last three of four points are on a line of slope 2, the first two on one of slope 1.
    #[test]
    fn slopes_are_those_of_the_logarithms() {
        let points = [(1.0, 3.0), (2.0, 6.0), (4.0, 24.0), (8.0, 96.0)];
        let slopes = Slopes::of(&points);
        assert!((slopes.last_three.unwrap() - 2.0).abs() < 1e-12);
        assert!((1.0..2.0).contains(&slopes.all.unwrap()));
        assert_eq!(slopes.cells()[1], "2.00");
        let two = Slopes::of(&points[..2]);
        assert!((two.all.unwrap() - 1.0).abs() < 1e-12 && two.last_three.is_none());
        assert_eq!(Slopes::of(&points[..1]).cells(), ["-", "-"]);
    }
}
