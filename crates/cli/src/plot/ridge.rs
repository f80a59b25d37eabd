//! The error on rows that were left out against the ridge.

use super::{Axis, Chart, Scale, Series, Style};

/// The chart of a path of ridges: `points` are `(ridge, relative error)`, of the criterion `held-out` `(ridge, relative loss)`, smallest ridge first; `used` is
/// the ridge of the run, marked where the path shows it, between its neighbours on the path.
#[must_use]
pub fn ridge_curve(points: &[(f64, f64)], used: f64, criterion: &str, title: &str) -> Chart {
    let held_out = criterion == "held-out";
    let what = if held_out { "loss" } else { "error" };
    let mut series =
        vec![Series::new(format!("{criterion} {what}"), points.to_vec(), Style::LineMarkers)];
    if let Some(error) = at(points, used) {
        let mark = vec![(used, error)];
        series.push(Series::new(format!("ridge {used} of this run"), mark, Style::Markers));
    }
    Chart {
        title: title.into(),
        subtitle: String::new(),
        x: Axis::new("ridge mu", Scale::Log10),
        y: Axis::new(format!("relative {what} on rows left out"), Scale::Linear),
        series,
    }
}

/// The value at `x` of the line through the points, straight in `log x`.
fn at(points: &[(f64, f64)], x: f64) -> Option<f64> {
    let exact = points.iter().find(|point| point.0 == x);
    let between = || {
        points.windows(2).find_map(|pair| {
            let [(a, left), (b, right)] = [pair[0], pair[1]];
            let part = (x / a).ln() / (b / a).ln();
            (a < x && x < b).then_some(left + part * (right - left))
        })
    };
    exact.map(|point| point.1).or_else(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ridge_of_the_run_is_marked_on_the_line() {
        let points = [(0.01, 1.0), (0.1, 0.5), (1.0, 0.75)];
        let mark = |used| ridge_curve(&points, used, "leave-one-out", "t").series.get(1).cloned();
        assert_eq!(mark(0.1).unwrap().points, [(0.1, 0.5)]);
        let between = mark(10f64.powf(-0.5)).unwrap().points[0].1;
        assert!((between - 0.625).abs() < 1e-12, "{between}");
        assert_eq!(mark(0.0), None);
        assert_eq!(mark(2.0), None);
    }
}
