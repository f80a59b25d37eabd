//! Ranges and ticks: which stretch of an axis is shown, and which values get a label.
//!
//! Everything here is in *axis coordinates*: the value itself on a proportional axis, its
//! logarithm (base 10 or 2) on a logarithmic one.

use super::Scale;

/// Values past this count as not finite: ranges and their padding must not overflow.
const LARGEST: f64 = 1e300;

impl Scale {
    /// The axis coordinate of a value, or `None` if this axis cannot show it.
    pub(super) fn coordinate(self, value: f64) -> Option<f64> {
        let log = matches!(self, Self::Log10 | Self::Log2);
        if value.is_nan() || value.abs() > LARGEST || (log && value <= 0.0) {
            return None;
        }
        Some(match self {
            Self::Linear | Self::Integer => value,
            Self::Log10 => value.log10(),
            Self::Log2 => value.log2(),
        })
    }
}

/// A labelled place on an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// Axis coordinate.
    pub(super) at: f64,
    /// What stands beside it.
    pub(super) label: String,
}

/// The stretch of an axis that is shown, with its ticks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Range {
    /// First axis coordinate shown.
    pub(super) lo: f64,
    /// Last axis coordinate shown, larger than `lo` but for names.
    pub(super) hi: f64,
    /// Labelled ticks, all within the range.
    pub(super) ticks: Vec<Tick>,
    /// Places of fainter grid lines without a label.
    pub(super) minor: Vec<f64>,
}

impl Range {
    /// The range that shows all `coordinates` (finite, at least one) with some air, and at most
    /// about `room` labels.
    pub(super) fn around(scale: Scale, coordinates: &[f64], room: i32) -> Self {
        let least = coordinates.iter().copied().fold(f64::INFINITY, f64::min);
        let most = coordinates.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let size = least.abs().max(most.abs());
        // Below this spread the values count as one: ticks between them would need ten digits.
        let one = match scale {
            Scale::Linear => (1e-9 * size).max(1.0 / LARGEST),
            Scale::Integer => (1e-9 * size).max(0.999),
            Scale::Log10 | Scale::Log2 => 1e-6,
        };
        let air = match scale {
            _ if most - least > one => 0.04 * (most - least),
            Scale::Linear if 0.1 * size > one => 0.1 * size,
            Scale::Integer => (1e-6 * size).max(1.0),
            _ => 1.0,
        };
        let (lo, hi) = (least - air, most + air);
        let (ticks, minor) = match scale {
            Scale::Linear => (round_ticks(lo, hi, room, 0.0), Vec::new()),
            Scale::Integer => (round_ticks(lo, hi, room, 1.0), Vec::new()),
            Scale::Log10 => decades(lo, hi, room),
            Scale::Log2 => octaves(lo, hi, room),
        };
        Self { lo, hi, ticks, minor }
    }

    /// The range of named places, the first at the far end.
    pub(super) fn of_names(names: &[String]) -> Self {
        let name = |(at, name): (usize, &String)| Tick { at: at as f64, label: name.clone() };
        let ticks = names.iter().enumerate().map(name).collect();
        Self { lo: names.len() as f64 - 0.5, hi: -0.5, ticks, minor: Vec::new() }
    }

    /// Where a coordinate lies between the ends of the range, 0 at `lo` and 1 at `hi`.
    pub(super) fn share(&self, coordinate: f64) -> f64 {
        (coordinate - self.lo) / (self.hi - self.lo)
    }
}

/// The smallest of 1, 2, 5, 10, 20, .. times a power of ten that is at least `least`.
fn round_step(least: f64) -> f64 {
    let magnitude = 10f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * magnitude >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * magnitude
}

/// Ticks at multiples of a round step that is at least `least_step`: the smallest that leaves room, or a smaller one where no
/// multiple of that is in the range.
fn round_ticks(lo: f64, hi: f64, room: i32, least_step: f64) -> Vec<Tick> {
    let multiples = |step: f64| ((lo / step).ceil() as i64, (hi / step).floor() as i64);
    let mut step = round_step((hi - lo) / f64::from(room.max(2))).max(least_step);
    let (mut first, mut last) = multiples(step);
    if first > last {
        // At least one of these is, as they are closer than the range is wide.
        step = round_step(0.4 * step).max(least_step);
        (first, last) = multiples(step);
    }
    let values: Vec<f64> = (first..=last).map(|k| k as f64 * step).collect();
    let largest = values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    values.into_iter().map(|at| Tick { at, label: number(at, step, largest) }).collect()
}

/// A multiple of `step` with just the digits that tell it from its neighbours; with a power of
/// ten where the axis is far from 1.
fn number(value: f64, step: f64, largest: f64) -> String {
    let step_exponent = (step.log10() + 1e-9).floor() as i32;
    if largest < 1e6 && step_exponent >= -4 {
        return format!("{:.*}", (-step_exponent).max(0) as usize, value);
    }
    if value == 0.0 {
        return "0".into();
    }
    let exponent = (value.abs().log10() + 1e-12).floor() as i32;
    let text = format!("{value:.*e}", (exponent - step_exponent).clamp(0, 15) as usize);
    match text.split_once('e') {
        Some((digits, power)) if digits.contains('.') => {
            format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// Ticks of a decimal logarithmic axis: powers of ten if the range holds three of them, else
/// round values between them.
fn decades(lo: f64, hi: f64, room: i32) -> (Vec<Tick>, Vec<f64>) {
    let (first, last) = (lo.ceil() as i32, hi.floor() as i32);
    if last - first < 2 {
        return within_decades(lo, hi, room);
    }
    let count = last - first + 1;
    let steps = [1, 2, 3, 5, 10, 20, 50, 100, 200];
    let step = steps.into_iter().find(|step| count <= step * room.max(3)).unwrap_or(500);
    let kept: Vec<i32> = (first..=last).filter(|k| k.rem_euclid(step) == 0).collect();
    let plain = kept.iter().all(|k| (-3..=4).contains(k));
    let label = |k: i32| match k {
        0 => "1".to_owned(),
        k if plain => format!("{:.*}", (-k).max(0) as usize, 10f64.powi(k)),
        k => format!("1e{k}"),
    };
    let ticks = kept.iter().map(|&k| Tick { at: f64::from(k), label: label(k) }).collect();
    let minor: Vec<f64> = if step > 1 {
        (first..=last).filter(|k| k.rem_euclid(step) != 0).map(f64::from).collect()
    } else if count <= 4 {
        let inside = |k: i32| (2..=9).map(move |m| f64::from(k) + f64::from(m).log10());
        (first - 1..=last).flat_map(inside).filter(|at| (lo..=hi).contains(at)).collect()
    } else {
        Vec::new()
    };
    (ticks, if minor.len() <= 60 { minor } else { Vec::new() })
}

/// Ticks for less than three powers of ten: 1, 2, 5 or all of 1 to 9 times powers of ten, or
/// round values of a narrow range.
fn within_decades(lo: f64, hi: f64, room: i32) -> (Vec<Tick>, Vec<f64>) {
    let digits: Vec<(i32, i32)> = (lo.floor() as i32..=hi.floor() as i32)
        .flat_map(|power| (1..=9).map(move |digit| (digit, power)))
        .filter(|&place| (lo..=hi).contains(&digit_place(place)))
        .collect();
    let (few, rest): (Vec<_>, Vec<_>) = digits.iter().partition(|(d, _)| [1, 2, 5].contains(d));
    let ticks = |places: Vec<(i32, i32)>| places.into_iter().map(digit_tick).collect();
    if few.len() >= 3 {
        (ticks(few), rest.into_iter().map(digit_place).collect())
    } else if digits.len() >= 3 {
        (ticks(digits), Vec::new())
    } else {
        (values_on_log(10.0, lo, hi, room), Vec::new())
    }
}

/// The decimal logarithm of a digit times a power of ten.
fn digit_place((digit, power): (i32, i32)) -> f64 {
    f64::from(power) + f64::from(digit).log10()
}

fn digit_tick((digit, power): (i32, i32)) -> Tick {
    let label = match power {
        -3..0 => {
            format!("{:.*}", power.unsigned_abs() as usize, f64::from(digit) * 10f64.powi(power))
        }
        0..6 => format!("{}", digit * 10i32.pow(power.unsigned_abs())),
        _ => format!("{digit}e{power}"),
    };
    Tick { at: digit_place((digit, power)), label }
}

/// Ticks of a binary logarithmic axis: powers of two, or round values of a narrow range.
fn octaves(lo: f64, hi: f64, room: i32) -> (Vec<Tick>, Vec<f64>) {
    let (first, last) = (lo.ceil() as i32, hi.floor() as i32);
    if last - first < 1 {
        return (values_on_log(2.0, lo, hi, room), Vec::new());
    }
    let count = last - first + 1;
    let steps = [1, 2, 4, 8, 16, 32, 64, 128, 256];
    let step = steps.into_iter().find(|step| count <= step * room.max(3)).unwrap_or(512);
    let plain = first >= -6 && last <= 23;
    let label = |k: i32| if plain { format!("{}", 2f64.powi(k)) } else { format!("2^{k}") };
    let kept = (first..=last).filter(|k| k.rem_euclid(step) == 0);
    let ticks = kept.map(|k| Tick { at: f64::from(k), label: label(k) }).collect();
    let minor = (first..=last).filter(|k| k.rem_euclid(step) != 0).map(f64::from).collect();
    (ticks, minor)
}

/// Round values of a narrow range on a logarithmic axis.
fn values_on_log(base: f64, lo: f64, hi: f64, room: i32) -> Vec<Tick> {
    round_ticks(base.powf(lo), base.powf(hi), room, 0.0)
        .into_iter()
        .filter(|tick| tick.at > 0.0)
        .map(|tick| Tick { at: tick.at.ln() / base.ln(), label: tick.label })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(scale: Scale, values: &[f64]) -> Vec<String> {
        let at: Vec<f64> = values.iter().filter_map(|&v| scale.coordinate(v)).collect();
        Range::around(scale, &at, 9).ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn labels_are_the_ones_a_reader_expects() {
        let decades = ["1e-15", "1e-12", "1e-9", "1e-6", "1e-3", "1", "1e3"];
        assert_eq!(labels(Scale::Log10, &[1e-15, 1e5]), decades);
        assert_eq!(labels(Scale::Log10, &[0.01, 10.0]), ["0.01", "0.1", "1", "10"]);
        assert_eq!(labels(Scale::Log10, &[2.0, 90.0]), ["2", "5", "10", "20", "50", "100"]);
        assert_eq!(labels(Scale::Log10, &[2e-9, 4.5e-9]), ["2e-9", "3e-9", "4e-9"]);
        assert_eq!(labels(Scale::Log2, &[1024.0, 4096.0]), ["1024", "2048", "4096"]);
        assert_eq!(labels(Scale::Log2, &[16.0, 2f64.powi(30)])[..2], ["2^4", "2^8"]);
        assert_eq!(labels(Scale::Integer, &[0.0, 3.0]), ["0", "1", "2", "3"]);
        assert_eq!(labels(Scale::Integer, &[5.0]), ["4", "5", "6"]);
        assert_eq!(labels(Scale::Linear, &[-0.1, 0.1])[..3], ["-0.10", "-0.05", "0.00"]);
        assert_eq!(labels(Scale::Linear, &[0.0, 4e6])[..3], ["0", "5e5", "1e6"]);
    }

    #[test]
    fn values_that_cannot_be_shown_have_no_coordinate() {
        for scale in [Scale::Linear, Scale::Integer, Scale::Log10, Scale::Log2] {
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
                assert_eq!(scale.coordinate(value), None);
            }
        }
        for value in [0.0, -0.0, -1.0] {
            assert_eq!(Scale::Log10.coordinate(value), None);
            assert_eq!(Scale::Log2.coordinate(value), None);
            assert_eq!(Scale::Linear.coordinate(value), Some(value));
        }
    }

    fn magnitude() -> impl Strategy<Value = f64> {
        (prop_oneof![Just(0.0), 0.1..1.0f64], prop_oneof![-320..=300i32, -3..=3i32], any::<bool>())
            .prop_map(|(m, exponent, minus)| if minus { -m } else { m } * 10f64.powi(exponent))
    }

    proptest! {
        /// Every range holds its values; ticks ascend inside it, are neither none nor too many,
        /// and the number on a label lies where the label stands. Labels carry the digits of
        /// their step, at least 1e-9 of the value, so what is left is rounding: some 1e-16 of
        /// the value, or 1e-7 of the range; on logarithmic axes 1e-16 * 324 of 1e-6.
        #[test]
        fn ranges_hold_their_values_and_labels_tell_the_truth(
            values in prop::collection::vec(magnitude(), 1..5),
            scale in prop::sample::select(vec![
                Scale::Linear, Scale::Integer, Scale::Log10, Scale::Log2,
            ]),
            room in 2..14i32,
        ) {
            let at: Vec<f64> = values.iter().filter_map(|&v| scale.coordinate(v)).collect();
            if at.is_empty() {
                return Ok(());
            }
            let range = Range::around(scale, &at, room);
            let inside = |at: f64| (range.lo..=range.hi).contains(&at);
            prop_assert!(at.iter().all(|&at| inside(at) && (0.0..=1.0).contains(&range.share(at))));
            prop_assert!(range.ticks.iter().all(|tick| inside(tick.at)));
            prop_assert!(range.minor.iter().all(|&at| inside(at)));
            prop_assert!(range.ticks.windows(2).all(|pair| pair[0].at < pair[1].at));
            let count = i32::try_from(range.ticks.len()).unwrap();
            prop_assert!((1..=room.max(9) + 1).contains(&count), "{:?}", range);
            for Tick { at, label } in &range.ticks {
                let value: f64 = match label.strip_prefix("2^") {
                    Some(exponent) => 2f64.powi(exponent.parse().unwrap()),
                    None => label.parse().unwrap(),
                };
                let told = match scale {
                    Scale::Linear | Scale::Integer => value,
                    Scale::Log10 => value.log10(),
                    Scale::Log2 => value.log2(),
                };
                // Labels such as 1e-324 and 2^1024 are right, but no numbers of the machine.
                let told = if told.is_infinite() { *at } else { told };
                prop_assert!((told - at).abs() <= 1e-6 * (range.hi - range.lo), "{:?}", range);
            }
        }
    }
}
