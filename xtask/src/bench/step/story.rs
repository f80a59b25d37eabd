//! What the step times mean, in sentences that are computed from them.

use super::curve::{Along, Curve, Point};
use crate::bench::words::{figure, listed};

/// Exponents up to this count as linear: a tenth more than 1, for caches and logarithms.
const LINEAR: f64 = 1.1;

/// The sentences along one axis.
pub(super) fn sentences(along: Along, curves: &[&Curve]) -> Vec<String> {
    let computed =
        [growth(along, curves), bends(along, curves), fastest(along, curves), planner(curves)];
    let ended = curves.iter().filter_map(|curve| {
        let reason = curve.ended.as_ref()?;
        Some(format!("The curve of {} {reason}.", curve.solver))
    });
    computed.into_iter().flatten().chain(ended).collect()
}

/// How the times grow at the large end.
fn growth(along: Along, curves: &[&Curve]) -> Option<String> {
    let slopes: Vec<(&str, f64)> =
        curves.iter().filter_map(|curve| Some((curve.solver, curve.slopes.last_three?))).collect();
    if slopes.is_empty() {
        return None;
    }
    let axis = along.name();
    let told: Vec<String> =
        slopes.iter().map(|(solver, slope)| format!("{axis}^{slope:.2} with {solver}")).collect();
    let steep: Vec<&str> =
        slopes.iter().filter(|(_, slope)| *slope > LINEAR).map(|(solver, _)| *solver).collect();
    let verdict = if steep.is_empty() {
        format!("No exponent is above {LINEAR}: the step is linear in {axis} here, or better")
    } else {
        format!("More than linear in {axis} (an exponent above {LINEAR}): {}", listed(&steep))
    };
    let why = match along {
        Along::M => {
            "Passes over the data and popcounts cost O(m), sketches O(m log m); the factorisation \
             does not depend on m"
        }
        Along::N => {
            "Passes over the data cost O(n), Gram matrices O(n^2) and factorisations O(n^3), which \
             is where every solver here must end"
        }
    };
    let told = listed(&told);
    Some(format!("Over the last three points a step's time grows like {told}. {verdict}. {why}."))
}

/// Up to where time against `n` stays linear from one size to the next, measured and planned.
fn bends(along: Along, curves: &[&Curve]) -> Option<String> {
    if along != Along::N {
        return None;
    }
    let told: Vec<String> = curves
        .iter()
        .filter_map(|curve| {
            let until = |seconds: fn(&Point) -> Option<f64>| {
                let at = |point: &Point| Some((along.of(point.n, point.m), seconds(point)?));
                linear_until(&curve.points.iter().map_while(at).collect::<Vec<_>>())
            };
            let measured = until(|point| Some(point.seconds.median))?;
            let planned = until(|point| point.predicted.map(|predicted| predicted.seconds))?;
            Some(format!("n = {measured} with {} (the planner: {planned})", curve.solver))
        })
        .collect();
    (!told.is_empty()).then(|| {
        let told = listed(&told);
        format!("From one size to the next no exponent exceeds {LINEAR} up to {told}.")
    })
}

/// The largest size up to which no exponent from one to the next exceeds [`LINEAR`].
pub(super) fn linear_until(points: &[(usize, f64)]) -> Option<usize> {
    let linear = |pair: &&[(usize, f64)]| {
        let [(a, before), (b, after)] = **pair else { return false };
        (after / before).ln() <= LINEAR * (b as f64 / a as f64).ln()
    };
    let linear = points.windows(2).take_while(linear).count();
    (points.len() > 1).then(|| points[linear].0)
}

/// Who is fastest at the largest size that all of them reached, and where the time goes there.
fn fastest(along: Along, curves: &[&Curve]) -> Option<String> {
    let curves: Vec<&Curve> = curves.iter().copied().filter(|c| !c.points.is_empty()).collect();
    let reached = |curve: &Curve| curve.points.last().map(|p| along.of(p.n, p.m));
    let size = curves.iter().filter_map(|curve| reached(curve)).min()?;
    let mut there: Vec<(&str, &Point)> =
        curves.iter().filter_map(|curve| Some((curve.solver, curve.at(size)?))).collect();
    there.sort_by(|a, b| a.1.seconds.median.total_cmp(&b.1.seconds.median));
    let best = there.first()?.1.seconds.median;
    let told: Vec<String> = there
        .iter()
        .map(|(solver, point)| {
            let seconds = point.seconds.median;
            let (phase, part) = largest_phase(point);
            let times = if seconds > best {
                format!("{} times as long, ", figure(seconds / best))
            } else {
                String::new()
            };
            format!("{} s with {solver} ({times}{part:.0}% of it {phase})", figure(seconds))
        })
        .collect();
    let axis = along.name();
    Some(format!("At {axis} = {size} a step takes {}.", listed(&told)))
}

/// The phase that takes the most time, with its share in per cent.
fn largest_phase(point: &Point) -> (&'static str, f64) {
    let named = point.phases.named();
    let total: f64 = named.iter().map(|(_, seconds)| seconds).sum();
    let (name, seconds) =
        named.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(("nothing", 0.0));
    (name, if total > 0.0 { 100.0 * seconds / total } else { 0.0 })
}

/// How the planner's predictions compare, and whether they would choose well.
fn planner(curves: &[&Curve]) -> Option<String> {
    let ratios: Vec<String> = curves
        .iter()
        .filter_map(|curve| {
            let ratios: Vec<f64> = curve.points.iter().filter_map(predicted_ratio).collect();
            let (low, high) = (
                ratios.iter().copied().reduce(f64::min)?,
                ratios.iter().copied().reduce(f64::max)?,
            );
            Some(format!("{} to {} with {}", figure(low), figure(high), curve.solver))
        })
        .collect();
    if ratios.is_empty() {
        return None;
    }
    let (right, sizes) = choices(curves);
    let ratios = listed(&ratios);
    Some(format!(
        "Planned over measured time: {ratios}. The solver that the planner takes for the fastest is \
         the fastest at {right} of {sizes} sizes."
    ))
}

fn predicted_ratio(point: &Point) -> Option<f64> {
    point.predicted.map(|predicted| predicted.seconds / point.seconds.median)
}

/// At how many sizes the smallest prediction belongs to the smallest time, and of how many that have
/// more than one solver to choose from.
fn choices(curves: &[&Curve]) -> (usize, usize) {
    let longest = curves.iter().max_by_key(|curve| curve.points.len());
    let (mut right, mut sizes) = (0, 0);
    for size in longest.map_or(&[][..], |curve| &curve.points) {
        let there: Vec<&Point> = curves
            .iter()
            .flat_map(|curve| &curve.points)
            .filter(|point| (point.n, point.m) == (size.n, size.m))
            .collect();
        let least = |key: fn(&Point) -> f64| {
            (0..there.len()).min_by(|&a, &b| key(there[a]).total_cmp(&key(there[b])))
        };
        let predicted = |p: &Point| p.predicted.map_or(f64::INFINITY, |p| p.seconds);
        if there.len() > 1 {
            sizes += 1;
            right += usize::from(least(predicted) == least(|p| p.seconds.median));
        }
    }
    (right, sizes)
}
