//! How many neurons are enough.
//!
//! A network of `m` neurons is ridge regression with a random Gram matrix `G` at its initial weights, whose mean, the
//! tangent kernel `K`, is the limit of infinite width. What `G` differs by from `K` is noise to the regression: where the
//! data call for a small ridge, leave-one-out errors of few neurons are well above the limit's, by an excess of about
//! one over `m`. Both errors are known without training, from some factorisations each, and so how many neurons bring the
//! excess down. More equations call for smaller ridges, and those for more neurons: up to logarithms as many times as the
//! root of their number are enough in general (Rudi and Rosasco, *Generalization properties of learning with random
//! features*, `NeurIPS` 2017, Thm 1), so the excess of a part of the equations is taken to grow that way to all of them.
//! That neurons bring it down is true on average; one draw of few may look as good as the limit by luck, so few
//! equations, whose steps take no time, are given many neurons whatever their errors are.

use faer::{Mat, MatRef, Par};
use nearlin_dense::DenseError;
use nearlin_relu::{Init, Signs, arc_cosine_kernel, gram};

use crate::options::Options;
use crate::ridge::DECOMPOSED;
use crate::ridge::search::{Room, Solved, Start, least_error, mean_diagonal};
use crate::vector::norm;
use crate::{Equations, TrainError};

/// What an error may be more than the limit's, relative to it.
const EXCESS: f64 = 0.01;

/// Most neurons.
const WIDEST: usize = 1 << 16;

/// Most multiplications of a pass, `n m (d + K)`: a second on two cores, and a fit takes some tens.
const WORK: f64 = 1e11;

/// What neurons may cost without being asked for by an error: `n m (d + K + n / 64)`, the multiplications of a pass and
/// the words of masks whose common ones make `G`; some hundredths of a second on two cores.
const SWIFT: f64 = 2.5e9;

/// Most weights, `m (d + K)`, that are not asked for: a model file of 64 MiB.
const FEW_WEIGHTS: f64 = 4.2e6;

/// How many neurons a fit should have.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct WidthChoice {
    /// That many.
    pub width: usize,
    /// The neurons that were tried.
    pub tried: usize,
    /// The relative leave-one-out error with those, at the best ridge.
    pub error: f64,
    /// The same at infinite width.
    pub limit: f64,
    /// The excess that is expected of all equations: `error / limit - 1`, times the root of their number over `rows`.
    pub excess: f64,
    /// Equations by which they were judged.
    pub rows: usize,
}

impl WidthChoice {
    /// Whether there are more neurons than the errors ask for, as these take next to no time.
    #[must_use]
    pub fn is_swift(&self) -> bool {
        self.width > self.tried && !is_wanted(self.excess, self.tried, self.width / 2)
    }
}

/// Whether a width leaves more of an excess than there should be.
fn is_wanted(excess: f64, tried: usize, width: usize) -> bool {
    excess * tried as f64 > EXCESS * width as f64
}

/// Chooses the width of a fit with a ridge: that of `options` where its leave-one-out error is within 1% of
/// the error of infinite width, at the best ridge of each, or the power of two times it that should be, where an excess of some
/// of the equations is taken to grow with the root of their number; at most 65,536 neurons and `n m (d + K)` of 1e11. Where `n m (d + K + n / 64)` is then less than 2.5e9 and `m (d + K)` less than 4.2e6, as many
/// as make one of them that.
///
/// The search for both ridges begins at that of `options`, if there is one, and takes some six Cholesky factorisations of at most
/// 2,048 equations at even distances from there, twice as many from nothing, in single precision for ridges of 0.003 mean diagonals
/// and more; beside them `n^2 m / 2` bit operations.
///
/// # Errors
/// [`TrainError`] for options out of their range or a network that cannot be made.
///
/// # Examples
/// ```
/// use nearlin::{Equations, Options, choose_width};
///
/// // A wave without noise, which takes many neurons.
/// let x: Vec<f64> = (0..60).flat_map(|i| [i as f64 / 30.0 - 1.0, 1.0]).collect();
/// let y = x.chunks(2).map(|x| (4.0 * x[0]).sin()).collect();
/// let equations = Equations::new(x, y, 2, 1)?;
/// let few = choose_width(&equations, &Options::default().width(64))?;
/// assert!(few.width > 64 && few.error > few.limit, "{few:?}");
/// # Ok::<(), nearlin::TrainError>(())
/// ```
pub fn choose_width(equations: &Equations, options: &Options) -> Result<WidthChoice, TrainError> {
    options.check()?;
    let (par, tried) = (options.par, options.width);
    let some = equations.spread(DECOMPOSED);
    let init = Init {
        inputs: some.inputs(),
        outputs: some.outputs(),
        width: tried,
        seed: options.seed,
        signs: options.signs.unwrap_or_else(|| Signs::usual(some.outputs())),
    };
    let mask = init.network(1.0)?.forward(some.x(), par)?.mask;
    let start = if options.ridge > 0.0 { Start::Near(options.ridge) } else { Start::Anywhere };
    let (ridge, limit) = least(&some, &arc_cosine_kernel(some.x(), par), start, par)?;
    let (_, error) = least(&some, &gram(some.x(), &mask, par)?, Start::Near(ridge), par)?;
    let affordable = Affordable::of(equations.rows(), equations.inputs() + equations.outputs());
    let more = equations.rows() as f64 / some.rows() as f64;
    let excess = more.sqrt() * (error / limit - 1.0);
    let width = wide_enough(tried, excess, affordable);
    Ok(WidthChoice { width, tried, error, limit, excess, rows: some.rows() })
}

/// The best ridge with a kernel, of which the lower triangle is read, and its relative leave-one-out error.
fn least(
    equations: &Equations,
    kernel: &Mat<f64>,
    start: Start,
    par: Par,
) -> Result<(f64, f64), TrainError> {
    let (n, y) = (equations.rows(), equations.y());
    let (rows, size) = (MatRef::from_row_major_slice(y, n, equations.outputs()), norm(y));
    let mut room = Room::rounded();
    let best = least_error(mean_diagonal(kernel), start, |ridge| {
        let solved = Solved::new(kernel, ridge, rows, &mut room, par)?;
        Ok(solved.map(|solved| {
            let all: Vec<f64> = (0..n).flat_map(|i| solved.left_out(i)).collect();
            let error = if size > 0.0 { norm(&all) / size } else { 0.0 };
            (error, error)
        }))
    })?;
    let indefinite = DenseError::NotPositiveDefinite { index: 0, dim: n };
    best.ok_or(TrainError::Factor(indefinite))
}

/// Neurons that can be afforded.
#[derive(Clone, Copy, Debug)]
struct Affordable {
    /// Where an error asks for them.
    wanted: f64,
    /// Anyway.
    swift: f64,
}

impl Affordable {
    /// For `n` equations and `d + K` inputs and outputs.
    fn of(equations: usize, pass: usize) -> Self {
        let (n, pass) = (equations as f64, pass as f64);
        let swift = (SWIFT / (n * (pass + n / 64.0))).min(FEW_WEIGHTS / pass);
        Self { wanted: WORK / (n * pass), swift }
    }
}

/// The power of two times a width of this excess that has little of it, if that can be afforded, or as many neurons as
/// cost next to nothing.
fn wide_enough(tried: usize, excess: f64, affordable: Affordable) -> usize {
    let mut width = tried;
    // Not for an excess that is no number.
    while 2 * width <= WIDEST
        && (2.0 * width as f64 <= affordable.swift
            || is_wanted(excess, tried, width) && 2.0 * width as f64 <= affordable.wanted)
    {
        width *= 2;
    }
    width
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As few neurons as will do, or as many as there may be; no fewer than are free.
        #[test]
        fn widths_are_just_enough(
            half in 1usize..4096, excess in -0.5..20.0f64, wanted in 1.0..1e6f64, swift in 1.0..1e5f64,
        ) {
            let tried = 2 * half;
            let width = wide_enough(tried, excess, Affordable { wanted, swift });
            prop_assert!(width.is_multiple_of(tried) && (width / tried).is_power_of_two());
            let left = |width: usize| excess * tried as f64 / width as f64;
            if width > tried {
                let asked = left(width / 2) > EXCESS && width as f64 <= wanted;
                prop_assert!(width <= WIDEST && (asked || width as f64 <= swift));
            }
            prop_assert!(2 * width > WIDEST || 2.0 * width as f64 > swift);
            prop_assert!(left(width) <= EXCESS || 2 * width > WIDEST || 2.0 * width as f64 > wanted);
        }
    }

    #[test]
    fn no_number_asks_for_nothing() {
        let affordable = Affordable { wanted: 1e9, swift: 1e3 };
        assert_eq!(wide_enough(64, f64::NAN, affordable), 512);
        assert_eq!(wide_enough(4096, f64::NAN, affordable), 4096);
    }

    /// A few hundred equations are swift at any width, 1,500 of 64 pixels and ten classes at 16,384 neurons, 4,000 of a
    /// table at 4,096, as their `G` takes twice as long as a pass.
    #[test]
    fn swift_widths() {
        let swift = |n: usize, pass: usize| Affordable::of(n, pass).swift as usize;
        assert!(swift(174, 21) > WIDEST && swift(455, 63) > WIDEST);
        assert!((16_384..32_768).contains(&swift(1500, 75)), "{}", swift(1500, 75));
        assert!((4096..8192).contains(&swift(4000, 27)), "{}", swift(4000, 27));
        assert!((4096..8192).contains(&swift(5700, 9)));
        // Few rows of many columns: weights take memory, whatever a pass takes.
        assert!((2048..8192).contains(&swift(20, 1001)), "{}", swift(20, 1001));
    }

    /// A few hundred equations have as many neurons as there may be, however well fewer do on them.
    #[test]
    fn few_equations_have_many_neurons() {
        let x: Vec<f64> = (0..100).flat_map(|i| [f64::from(i) / 50.0 - 1.0, 1.0]).collect();
        // Noise that leaves no width anything to gain.
        let y = x.chunks(2).enumerate().map(|(i, x)| x[0] + (i * 37 % 100) as f64 / 50.0).collect();
        let equations = Equations::new(x, y, 2, 1).unwrap();
        let found = choose_width(&equations, &Options::default()).unwrap();
        assert!(found.width == WIDEST && found.is_swift(), "{found:?}");
        let asked = WidthChoice { excess: 0.5, width: 2 * found.tried, ..found };
        assert!(!asked.is_swift() && !WidthChoice { width: found.tried, ..found }.is_swift());
    }

    /// What a part of the equations says is taken to grow with the root of their number, and asks for neurons as it has grown.
    #[test]
    fn more_equations_have_more_of_an_excess() {
        let rows = 2 * DECOMPOSED;
        let x: Vec<f64> = (0..rows).flat_map(|i| [i as f64 / rows as f64, 1.0]).collect();
        let y = (0..rows).map(|i| (i as f64 / 100.0).sin()).collect();
        let equations = Equations::new(x, y, 2, 1).unwrap();
        let found = choose_width(&equations, &Options::default().width(64)).unwrap();
        let part = found.error / found.limit - 1.0;
        assert!(found.rows == DECOMPOSED && part > 0.1, "{found:?}");
        assert!((found.excess / part - 2f64.sqrt()).abs() < 1e-12, "{found:?}");
        let affordable = Affordable::of(rows, 3);
        assert_eq!(found.width, wide_enough(64, found.excess, affordable));
        // A tried width beyond what is swift, with excesses on either side of 1%.
        let tried = (2.0 * affordable.swift) as usize;
        assert_eq!(wide_enough(tried, 0.009, affordable), tried);
        assert_eq!(wide_enough(tried, 0.009 * 2f64.sqrt(), affordable), 2 * tried);
    }
}
