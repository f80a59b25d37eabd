//! A preconditioner for `J^T J` from some of the examples, where there are too many parameters for a factor of that.
//!
//! With the rows `J_s` of `s` examples, `J_s^T J_s + delta I` is near `(s / n) J^T J + delta I`, as in subsampled Newton methods
//! (Roosta-Khorasani and Mahoney, *Sub-sampled Newton methods*, Mathematical Programming 174, 2019). Its inverse is
//!
//! ```text
//! (I - J_s^T (J_s J_s^T + delta I)^-1 J_s) / delta
//! ```
//!
//! so what is factored is the Gram matrix of `s` examples, from popcounts, whatever the width. Rows that are drawn at random tell the
//! directions of large eigenvalues: `delta` is where the effective dimension `tr G (G + delta I)^-1` of that matrix is a quarter of
//! `s`, with which a concentration bound leaves a small factor (Rudi, Carratino and Rosasco, *FALKON: an optimal large scale kernel
//! method*, 2017). What iterations are left to do is among the smaller eigenvalues.

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_dense::{Cholesky, PackedMask};
use nearlin_krylov::{Precond, Symmetric, Tridiagonal, lanczos_each};
use nearlin_relu::{Jacobian, gram};

use crate::TrainError;
use crate::dual::{unstack, unstack_mut};
use crate::equations::mixed;
use crate::vector::{Element, cast};

/// Iterations of plain conjugate gradients after which a factor has cost about as much.
pub(super) const PATIENCE: usize = 32;

/// Most examples: a factor of 1 GiB in `f32`, made in seconds.
const MOST: usize = 16_384;

/// Fewest of many: a factor of fewer takes no time.
const FEWEST: usize = 1024;

/// Multiplications of [`PATIENCE`] iterations for each that a factor of `s` examples takes, `s^3 / 3` in `f32`.
const WORK: f64 = 240.0;

/// The effective dimension for each example.
const PART: f64 = 0.25;

/// Vectors and steps of the estimate of the effective dimension, which a tenth of it would do for.
const PROBES: usize = 4;
const STEPS: usize = 40;

/// The least `delta` for the largest eigenvalue, in `f32` and in `f64`: above what the factor is off by, and
/// where `I - ..` does not cancel to nothing.
const LEAST: [f64; 2] = [1e1 * f32::EPSILON as f64, 1e4 * f64::EPSILON];

/// How many examples are drawn of `n`, for so many parameters.
pub(crate) fn drawn(n: usize, parameters: usize) -> usize {
    let balanced = (WORK * n as f64 * parameters as f64).cbrt() as usize;
    n.min(balanced.clamp(FEWEST, MOST))
}

/// What a factor of the examples that are drawn takes beside them, in bytes, where it is in `f32`.
pub(crate) fn sampled_bytes(n: usize, (m, d): (usize, usize)) -> f64 {
    let s = drawn(n, m * d) as f64;
    s * (4.0 * s + m as f64 / 8.0 + 8.0 * d as f64)
}

/// The rows of some examples, and a factor of their Gram matrix.
pub(super) struct Sampled<'a> {
    mask: PackedMask,
    /// s x d, row-major.
    x: Vec<f64>,
    inputs: usize,
    signs: MatRef<'a, f64>,
    /// The largest input, and in its square as a unit `delta` and what the factor is of.
    unit: f64,
    delta: f64,
    factor: Factor,
}

/// `G + delta I`, where that can be in `f32`.
enum Factor {
    Single(Cholesky<f32>),
    Double(Cholesky<f64>),
}

impl<'a> Sampled<'a> {
    /// The preconditioner for one output; `None` where no drawn example has an active neuron, or nothing can be factored.
    pub(super) fn new(
        jacobian: &Jacobian<'a, f64>,
        seed: u64,
        par: Par,
    ) -> Result<Option<Self>, TrainError> {
        let parameters = jacobian.width() * jacobian.inputs();
        Self::of(jacobian, drawn(jacobian.examples(), parameters), seed, par)
    }

    /// The same from `s` examples.
    fn of(
        jacobian: &Jacobian<'a, f64>,
        s: usize,
        seed: u64,
        par: Par,
    ) -> Result<Option<Self>, TrainError> {
        let (n, m, inputs) = (jacobian.examples(), jacobian.width(), jacobian.inputs());
        // One at random of each of `s` runs of as many, as rows may be sorted or come round.
        let row = |at: usize| {
            let (begin, end) = (at * n / s, (at + 1) * n / s);
            begin + (mixed(seed, at as u64) % (end - begin) as u64) as usize
        };
        let mut mask = PackedMask::zeros(s, m);
        let words = mask.words_per_row();
        let mut x = Vec::<f64>::with_capacity(s * inputs);
        for (at, into) in mask.words_mut().chunks_exact_mut(words).enumerate() {
            into.copy_from_slice(jacobian.mask().row(row(at)));
            x.extend(jacobian.x().row(row(at)).iter());
        }
        let unit = x.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        if unit == 0.0 {
            return Ok(None);
        }
        let scaled: Vec<f64> = x.iter().map(|x| x / unit).collect();
        let single = |wanted: f64| factor::<f32>(&scaled, &mask, (wanted, LEAST[0]), seed, par);
        let double = |wanted: f64| factor::<f64>(&scaled, &mask, (wanted, LEAST[1]), seed, par);
        // All examples leave nothing to chance: then `delta` is as small as rounding lets it be.
        let wanted = if s < n { PART * s as f64 } else { s as f64 };
        let rough = if s < n { single(wanted)? } else { None };
        let found = match rough {
            Some((delta, factor)) => Some((delta, Factor::Single(factor))),
            None => double(wanted)?.map(|(delta, factor)| (delta, Factor::Double(factor))),
        };
        let signs = jacobian.signs();
        Ok(found.map(|(delta, factor)| Self { mask, x, inputs, signs, unit, delta, factor }))
    }

    fn jacobian(&self) -> Jacobian<'_, f64> {
        let x = MatRef::from_row_major_slice(&self.x, self.mask.nrows(), self.inputs);
        Jacobian::new(&self.mask, x, self.signs).expect("parts of one Jacobian")
    }
}

impl Precond<f64> for Sampled<'_> {
    fn dim(&self) -> usize {
        self.mask.width() * self.inputs
    }

    fn apply_scratch(&self, _: usize, _: Par) -> StackReq {
        let s = self.mask.nrows();
        StackReq::all_of(&[temp_mat_scratch::<f64>(s, 1), temp_mat_scratch::<f32>(s, 1)])
    }

    /// `z <- M^-1 r`: two passes over the drawn examples and two triangular solves.
    fn apply(&self, mut z: MatMut<'_, f64>, r: MatRef<'_, f64>, par: Par, stack: &mut MemStack) {
        let (s, m, d) = (self.mask.nrows(), self.mask.width(), self.inputs);
        let (jacobian, fits) =
            (self.jacobian(), "a preconditioner's vectors are checked by the solver");
        let (mut u, stack) = temp_mat_zeroed::<f64, _, _>(s, 1, stack);
        let mut u = u.as_mat_mut();
        let (mut single, _) = temp_mat_zeroed::<f32, _, _>(s, 1, stack);
        let mut single = single.as_mat_mut();
        for j in 0..r.ncols() {
            let r = r.subcols(j, 1);
            jacobian.apply(u.as_mut(), unstack(r, m, d), par).expect(fits);
            match &self.factor {
                Factor::Double(factor) => factor.solve_in_place(u.as_mut(), par),
                Factor::Single(factor) => {
                    // In units that `f32` has.
                    let size = u.norm_max();
                    let unit = if size > 0.0 { size } else { 1.0 };
                    (0..s).for_each(|i| single[(i, 0)] = (u[(i, 0)] / unit) as f32);
                    factor.solve_in_place(single.as_mut(), par);
                    (0..s).for_each(|i| u[(i, 0)] = unit * f64::from(single[(i, 0)]));
                }
            }
            let square = self.unit * self.unit;
            (0..s).for_each(|i| u[(i, 0)] /= square);
            let mut z = z.as_mut().subcols_mut(j, 1);
            jacobian.apply_adjoint(unstack_mut(z.as_mut(), m, d), u.as_ref(), par).expect(fits);
            (0..m * d)
                .for_each(|at| z[(at, 0)] = (r[(at, 0)] - z[(at, 0)]) / (square * self.delta));
        }
    }
}

/// `delta`, and the factor of `G + delta I`, where the effective dimension is the wanted one; in `f32` `None` where rounding does not
/// allow that, in `f64` as near as it does, and `None` where `G` is 0 or, with `delta` too, within rounding of singular.
fn factor<T: Element>(
    x: &[f64],
    mask: &PackedMask,
    (wanted, least): (f64, f64),
    seed: u64,
    par: Par,
) -> Result<Option<(f64, Cholesky<T>)>, TrainError> {
    let s = mask.nrows();
    let x: Vec<T> = x.iter().map(|&x| cast(x)).collect();
    let mut matrix = gram(MatRef::from_row_major_slice(&x, s, x.len() / s), mask, par)?;
    let starts = Mat::from_fn(s, PROBES, |i, j| {
        let word = mixed(mixed(mixed(seed, j as u64 + 1), i as u64), j as u64);
        cast::<T>(if word >> 63 == 0 { 1.0 } else { -1.0 })
    });
    let found = lanczos_each(&Symmetric::new(matrix.as_ref()), starts.as_ref(), STEPS, par)?;
    let largest = found.iter().filter_map(|of| Some(of.nodes().last()?.value)).fold(0.0, f64::max);
    if largest <= 0.0 {
        return Ok(None);
    }
    let delta = match shift(&found, wanted, largest) {
        Some(delta) if delta >= least * largest => delta,
        _ if T::NAME == "f32" => return Ok(None),
        _ => least * largest,
    };
    for i in 0..s {
        matrix[(i, i)] += cast::<T>(delta);
    }
    Ok(Cholesky::factor(matrix, par).ok().map(|factor| (delta, factor)))
}

/// The `delta` with this effective dimension, to a tenth, at most the largest eigenvalue; `None` where no `delta` is so small.
fn shift(probes: &[Tridiagonal], wanted: f64, largest: f64) -> Option<f64> {
    let weighted = |probe: &Tridiagonal| {
        let size = probe.start_norm().powi(2) / probes.len() as f64;
        probe.nodes().into_iter().map(move |node| (node.value.max(0.0), size * node.weight))
    };
    let nodes: Vec<(f64, f64)> = probes.iter().flat_map(weighted).collect();
    let dimension = |delta: f64| -> f64 {
        nodes.iter().map(|&(value, weight)| weight * value / (value + delta)).sum()
    };
    let deltas = std::iter::successors(Some(largest), |delta| Some(delta / 1.1));
    deltas.take_while(|delta| *delta > 1e-18 * largest).find(|&delta| dimension(delta) >= wanted)
}

#[cfg(test)]
mod tests {
    use core::ops::ControlFlow;

    use faer::dyn_stack::MemBuffer;
    use nearlin_krylov::{Cg, Identity, Step};
    use nearlin_relu::{Activations, Init, Signs};
    use proptest::prelude::*;

    use super::*;
    use crate::Equations;
    use crate::primal::Primal;
    use crate::step::Features;

    fn noise(seed: u64, at: usize) -> f64 {
        mixed(mixed(mixed(seed, at as u64), 7), seed).cast_signed() as f64 / 2f64.powi(63)
    }

    /// What is made of a network with `n` examples, `m` neurons and `d` inputs of that size.
    fn with_sampled<R>(
        (n, m, d): (usize, usize, usize),
        (size, drawn): (f64, usize),
        seed: u64,
        tell: impl FnOnce(&Jacobian<'_, f64>, &Sampled<'_>) -> R,
    ) -> Option<R> {
        let x = (0..n * d).map(|at| size * noise(seed, at)).collect();
        let equations = Equations::new(x, vec![0.0; n], d, 1).unwrap();
        let init = Init { inputs: d, outputs: 1, width: m, seed, signs: Signs::Random };
        let network = init.network(1.0).unwrap();
        let features = Features::<f64>::new(&equations, network.signs(), m);
        let forward = network.forward(equations.x(), Par::Seq).unwrap();
        let active = Activations::of(forward.mask, &network);
        let jacobian = features.jacobian(&active);
        let sampled = Sampled::of(&jacobian, drawn, seed, Par::rayon(2)).unwrap();
        // An example may have no active neuron, and all that were drawn.
        let sampled = sampled?;
        Some(tell(&jacobian, &sampled))
    }

    fn applied(sampled: &Sampled<'_>, r: &Mat<f64>) -> Mat<f64> {
        let mut z = Mat::from_fn(r.nrows(), r.ncols(), |_, _| f64::NAN);
        let mut scratch = MemBuffer::new(sampled.apply_scratch(r.ncols(), Par::Seq));
        sampled.apply(z.as_mut(), r.as_ref(), Par::Seq, MemStack::new(&mut scratch));
        z
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// It is the inverse of `J_s^T J_s + delta I`: to rounding in the precision of its factor over `delta`.
        #[test]
        fn it_inverts_what_it_says(
            n in 3usize..40, half in 1usize..20, d in 1usize..5, columns in 1usize..3, size in -30i32..30,
            part in 0.0..1.2f64, seed: u64,
        ) {
            let m = 2 * half;
            let drawn = ((part * n as f64) as usize).clamp(1, n);
            let size = 10f64.powi(size);
            let found = with_sampled((n, m, d), (size, drawn), seed, |_, sampled| {
                assert!(drawn < n || matches!(sampled.factor, Factor::Double(_)));
                let r = Mat::from_fn(m * d, columns, |i, j| noise(!seed, i + j * m * d));
                let z = applied(sampled, &r);
                let own = sampled.jacobian();
                let mut back = Mat::<f64>::zeros(m * d, columns);
                for j in 0..columns {
                    let mut u = Mat::<f64>::zeros(own.examples(), 1);
                    own.apply(u.as_mut(), unstack(z.as_ref().subcols(j, 1), m, d), Par::Seq).unwrap();
                    let back = back.as_mut().subcols_mut(j, 1);
                    own.apply_adjoint(unstack_mut(back, m, d), u.as_ref(), Par::Seq).unwrap();
                }
                let delta = sampled.unit.powi(2) * sampled.delta;
                let left = &back + &z * faer::Scale(delta) - &r;
                (left.norm_l2(), r.norm_l2())
            });
            let Some((left, size)) = found else { return Ok(()) };
            prop_assert!(left <= 0.05 * size, "{left} {size}");
        }
    }

    /// Conjugate gradients meet a condition number that says how near it is to `J^T J`, and are done soon.
    #[test]
    fn few_examples_say_most_of_all() {
        let (n, m, d) = (4000, 60, 10);
        let found = with_sampled((n, m, d), (1.0, drawn(n, m * d)), 3, |jacobian, sampled| {
            assert!(sampled.mask.nrows() < n / 2, "{}", sampled.mask.nrows());
            assert!(matches!(sampled.factor, Factor::Single(_)));
            let operator = Primal(*jacobian);
            let targets = Mat::from_fn(n, 1, |i, _| noise(9, i));
            let mut b = Mat::<f64>::zeros(m * d, 1);
            let gradient = unstack_mut(b.as_mut(), m, d);
            jacobian.apply_adjoint(gradient, targets.as_ref(), Par::Seq).unwrap();
            let cg = Cg::default().with_rtol(1e-8);
            let solved = |precond: &dyn Precond<f64>| {
                let mut x = Mat::zeros(m * d, 1);
                let mut scratch = MemBuffer::new(Cg::scratch(&operator, precond, 1, Par::Seq));
                let (stack, mut watch) =
                    (MemStack::new(&mut scratch), |_: &Step<'_>| ControlFlow::Continue(()));
                cg.solve_into(
                    x.as_mut(),
                    &operator,
                    precond,
                    b.as_ref(),
                    &mut watch,
                    Par::Seq,
                    stack,
                )
                .unwrap()
            };
            let (plain, near) = (solved(&Identity { dim: m * d }), solved(sampled));
            assert!(near.condition() < 30.0 && 4.0 * near.condition() < plain.condition());
            assert!(3 * near.iters < plain.iters, "{} {}", near.iters, plain.iters);
        });
        assert!(found.is_some());
    }

    /// More parameters take more examples, up to all of them and to what a factor may take.
    #[test]
    fn examples_are_drawn_by_what_they_cost() {
        assert_eq!(
            (drawn(500, 1 << 20), drawn(1 << 14, 16), drawn(1 << 24, 1 << 20)),
            (500, 1024, MOST)
        );
        let some = drawn(20_000, 34_000);
        assert!((4000..8000).contains(&some), "{some}");
    }
}
