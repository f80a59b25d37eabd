//! The loss curve of a run, with the two terms of the certificate.

use super::{Axis, Chart, Scale, Series, Style};

/// One step of a run, as the loss curve shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossPoint {
    /// The number of the step; 0 is the start.
    pub step: usize,
    /// The relative residual after the step; 1 at the start.
    pub rel_residual: f64,
    /// What the inner solver left of the residual, relative to it; none at the start.
    pub eta_inner: Option<f64>,
    /// What the linear model missed, relative to the residual; none at the start.
    pub eta_lin: Option<f64>,
}

impl LossPoint {
    /// The start of every run: the network is zero, the relative residual 1.
    pub const START: Self = Self { step: 0, rel_residual: 1.0, eta_inner: None, eta_lin: None };
}

/// The chart of a run: relative residual, `eta_inner` and `eta_lin` against the step.
///
/// [`LossPoint::START`] is added in front where `steps` does not begin with step 0. A `floor` that
/// is finite and positive becomes a dashed line. A residual that is exactly zero cannot be shown
/// on the logarithmic axis and is left out.
#[must_use]
pub fn loss_curve(steps: &[LossPoint], title: &str, floor: Option<f64>) -> Chart {
    let start = (steps.first().is_none_or(|first| first.step != 0)).then_some(LossPoint::START);
    let run: Vec<LossPoint> = start.into_iter().chain(steps.iter().copied()).collect();
    let eta = |of: fn(&LossPoint) -> Option<f64>| -> Vec<(f64, f64)> {
        run.iter().filter_map(|p| of(p).map(|eta| (p.step as f64, eta))).collect()
    };
    let residual = run.iter().map(|p| (p.step as f64, p.rel_residual)).collect();
    let mut series = vec![
        Series::new("relative residual", residual, Style::LineMarkers),
        Series::new("eta_inner (left by the solver)", eta(|p| p.eta_inner), Style::LineMarkers),
        Series::new("eta_lin (missed by the linear model)", eta(|p| p.eta_lin), Style::LineMarkers),
    ];
    series.retain(|s| !s.points.is_empty());
    if let Some(floor) = floor.filter(|f| f.is_finite() && *f > 0.0) {
        let last = run.iter().map(|p| p.step).max().unwrap_or(0).max(1);
        let points = vec![(0.0, floor), (last as f64, floor)];
        series.push(Series::new(format!("floor {floor:.1e}"), points, Style::Dashed));
    }
    Chart {
        title: title.into(),
        subtitle: String::new(),
        x: Axis::new("outer step", Scale::Integer),
        y: Axis::new("relative residual, eta", Scale::Log10),
        series,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: usize, rel_residual: f64) -> LossPoint {
        LossPoint { step, rel_residual, eta_inner: Some(0.1), eta_lin: Some(0.2) }
    }

    #[test]
    fn the_start_is_added_once_and_has_no_etas() {
        let without = loss_curve(&[step(1, 0.5), step(2, 0.1)], "run", None);
        let with = loss_curve(&[LossPoint::START, step(1, 0.5), step(2, 0.1)], "run", None);
        assert_eq!(without, with);
        assert_eq!(with.series[0].points, [(0.0, 1.0), (1.0, 0.5), (2.0, 0.1)]);
        assert_eq!(with.series[1].points, [(1.0, 0.1), (2.0, 0.1)]);
        assert_eq!(with.series[2].points, [(1.0, 0.2), (2.0, 0.2)]);
    }

    #[test]
    fn only_a_positive_floor_is_drawn() {
        let floors = |floor| loss_curve(&[step(1, 0.5)], "run", floor).series.len() - 3;
        assert_eq!([None, Some(0.0), Some(f64::NAN), Some(3.9e-3)].map(floors), [0, 0, 0, 1]);
        let chart = loss_curve(&[step(1, 0.5), step(7, 0.1)], "run", Some(3.9e-3));
        assert_eq!(chart.series[3].points, [(0.0, 3.9e-3), (7.0, 3.9e-3)]);
        assert_eq!(chart.series[3].name, "floor 3.9e-3");
    }
}
