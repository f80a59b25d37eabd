//! Values of options: what they may be, and how they are read.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use nearlin::{Scale, SolverKind};

/// `None` leaves the choice to the planner.
pub(in crate::program) type SolverChoice = Choice<SolverKind>;

/// A named value or `auto`. (Clap reads meaning into an `Option`.)
#[derive(Clone, Copy, Debug)]
pub(in crate::program) struct Choice<T>(pub(in crate::program) Option<T>);

/// The loss that is minimised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::program) enum LossChoice {
    /// Half the squared error.
    Squared,
    /// Of the classes' probabilities.
    CrossEntropy,
    /// Squared up to this residual in the target's units, linear beyond.
    Huber(f64),
    /// For this quantile of the target.
    Quantile(f64),
}

impl LossChoice {
    /// The name, with its number.
    pub(in crate::program) fn name(self) -> String {
        match self {
            Self::Squared => "squared".into(),
            Self::CrossEntropy => "cross-entropy".into(),
            Self::Huber(delta) => format!("huber:{delta}"),
            Self::Quantile(level) => format!("quantile:{level}"),
        }
    }
}

pub(super) fn loss(text: &str) -> Result<LossChoice, String> {
    let number = |text: &str, fine: &dyn Fn(f64) -> bool| {
        text.trim().parse().ok().filter(|&x: &f64| x.is_finite() && fine(x))
    };
    let choice = match text.split_once(':') {
        None if text == "squared" => Some(LossChoice::Squared),
        None if text == "cross-entropy" => Some(LossChoice::CrossEntropy),
        Some(("huber", delta)) => number(delta, &|x| x > 0.0).map(LossChoice::Huber),
        Some(("quantile", level)) => {
            number(level, &|x| x > 0.0 && x < 1.0).map(LossChoice::Quantile)
        }
        _ => None,
    };
    choice.ok_or_else(|| {
        "expected squared, cross-entropy, huber:DELTA with a positive DELTA, or quantile:LEVEL with a \
         LEVEL between 0 and 1"
            .into()
    })
}

/// Parses a value and checks its range; clap's message names option and value.
pub(super) fn checked<T: FromStr>(
    text: &str,
    expected: &str,
    fine: impl Fn(&T) -> bool,
) -> Result<T, String> {
    text.trim().parse().ok().filter(fine).ok_or_else(|| format!("expected {expected}"))
}

/// Neurons, or `auto`.
pub(super) fn width(text: &str) -> Result<Choice<usize>, String> {
    if text == "auto" {
        return Ok(Choice(None));
    }
    let fine = |&width: &usize| width > 0 && width.is_multiple_of(2);
    checked(text, "auto or a positive even number", fine).map(|width| Choice(Some(width)))
}

pub(super) fn positive(text: &str, expected: &str) -> Result<f64, String> {
    checked(text, expected, |x: &f64| x.is_finite() && *x > 0.0)
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    checked(text, "a whole number, at least 1", |&n: &usize| n >= 1)
}

pub(super) fn at_least_two(text: &str) -> Result<usize, String> {
    checked(text, "a whole number, at least 2", |&n: &usize| n >= 2)
}

/// A size with a unit of a power of 1,024, or without.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let units = ["K", "M", "G", "T"].into_iter().zip(1u32..);
    let with_unit =
        units.filter_map(|(unit, power)| Some((text.trim().strip_suffix(unit)?, power)));
    let (number, power) = with_unit.last().unwrap_or((text, 0));
    let expected = "a positive number of bytes, or of K, M, G or T of them, as 512M or 1.5G";
    let bytes = positive(number, expected)? * 1024f64.powi(power.cast_signed());
    if bytes >= 1.0 { Ok(bytes as u64) } else { Err(format!("expected {expected}")) }
}

pub(super) fn scale(text: &str) -> Result<Scale, String> {
    match text {
        "auto" => Ok(Scale::Auto),
        _ => positive(text, "auto or a positive finite number").map(Scale::Fixed),
    }
}

pub(super) fn ridge(text: &str) -> Result<Choice<f64>, String> {
    if text == "auto" {
        return Ok(Choice(None));
    }
    let expected = "auto or a finite number, at least 0";
    let mu = checked(text, expected, |mu: &f64| mu.is_finite() && *mu >= 0.0)?;
    Ok(Choice(Some(mu + 0.0))) // no -0 in reports
}

pub(super) fn tolerance(text: &str) -> Result<Choice<f64>, String> {
    match text {
        "auto" => Ok(Choice(None)),
        _ => positive(text, "auto or a positive finite number").map(|tol| Choice(Some(tol))),
    }
}

pub(super) fn solvers() -> impl TypedValueParser<Value = SolverChoice> {
    let names = SolverKind::ALL.map(SolverKind::name);
    PossibleValuesParser::new(std::iter::once("auto").chain(names))
        .map(|name| Choice(name.parse().ok()))
}
