//! Preconditioners that know the curvature of a Newton step.
//!
//! With `R = diag(s)` the system `mu I + R^T G R` is `mu` times the identity where `s` vanishes: beyond the corners
//! of a Huber loss, and all but a few rows of a pinball. What is left is as large as the rows that have a curvature,
//! and one factor of it solves the step, where a factor of `G + nu I` for a mean curvature `mu / nu` knows neither
//! which rows these are nor how much steeper they are. The same holds for a softmax that is sure of most rows.

use core::cell::OnceCell;

use faer::dyn_stack::MemStack;
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_dense::{Cholesky, mirror_lower};
use nearlin_krylov::Precond;
use nearlin_relu::Jacobian;

use super::coupled::Shared;
use super::curvature::Curvature;
use crate::TrainError;
use crate::dual::Factor;
use crate::low_rank::{LowRankPlus, mean_left};
use crate::solver::{Block, InnerSolver};

/// What a solver knows of one block of `G`, made where it is first asked for.
pub(crate) struct Blocks<'a> {
    solver: &'a dyn InnerSolver<f64>,
    jacobian: Jacobian<'a, f64>,
    ridge: f64,
    par: Par,
    made: OnceCell<Option<Block<f64>>>,
}

impl<'a> Blocks<'a> {
    /// Of a solver, for the masks of that Jacobian.
    pub(crate) fn new(
        solver: &'a dyn InnerSolver<f64>,
        jacobian: Jacobian<'a, f64>,
        ridge: f64,
        par: Par,
    ) -> Self {
        Self { solver, jacobian, ridge, par, made: OnceCell::new() }
    }
}

impl Blocks<'_> {
    /// Makes what can be made, with both triangles.
    ///
    /// # Errors
    /// [`TrainError`] if the solver fails.
    pub(super) fn make(&self) -> Result<Option<&Block<f64>>, TrainError> {
        if self.made.get().is_none() {
            let mut block = self.solver.block(&self.jacobian, self.ridge, self.par)?;
            if let Some(Block::Dense(block)) = &mut block {
                mirror_lower(block.as_mut());
            }
            self.made.set(block).expect("nobody else makes blocks");
        }
        Ok(self.made.get().and_then(Option::as_ref))
    }

    /// Whether blocks are known already.
    pub(super) fn are_made(&self) -> bool {
        matches!(self.made.get(), Some(Some(_)))
    }

    /// Whether they are, or might be.
    pub(super) fn may_be_made(&self) -> bool {
        !matches!(self.made.get(), Some(None))
    }

    /// Something like `(mu I + R^T (I kron B) R)^-1` for the block `B`: one factor for each output, of the rows with
    /// a curvature, and one more where outputs share theirs. `None` if the solver knows no block.
    ///
    /// # Errors
    /// [`TrainError`] if a factorisation cannot be made.
    pub(super) fn at(
        &self,
        curvature: &Curvature,
        ridge: f64,
    ) -> Result<Option<Reweighted>, TrainError> {
        let Some(block) = self.make()? else {
            return Ok(None);
        };
        let outputs = curvature.outputs;
        let parts = (0..outputs).map(|output| Part::new(block, curvature, output, ridge, self.par));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let examples = self.jacobian.examples();
        let shared = curvature.couples.then(|| Shared::new(&parts, examples, self.par));
        let roots = if shared.is_some() { curvature.root.clone() } else { Vec::new() };
        Ok(Some(Reweighted { parts, shared: shared.transpose()?, roots, examples, ridge }))
    }
}

/// Of one output.
#[derive(Debug)]
pub(super) struct Part {
    /// Rows with a curvature, ascending.
    pub(super) active: Vec<usize>,
    /// Its root there, `s`.
    pub(super) s: Vec<f64>,
    /// Of `mu I + diag(s) B diag(s)` on those rows.
    pub(super) factor: Factor<f64>,
}

impl Part {
    fn new(
        block: &Block<f64>,
        curvature: &Curvature,
        output: usize,
        ridge: f64,
        par: Par,
    ) -> Result<Self, TrainError> {
        let s = |i: usize| curvature.scale[i] * curvature.root[i * curvature.outputs + output];
        let active: Vec<usize> = (0..curvature.scale.len()).filter(|&i| s(i) != 0.0).collect();
        let size = active.len();
        let s: Vec<f64> = active.iter().map(|&i| s(i)).collect();
        let factor = match block {
            _ if size == 0 => Factor::Identity,
            Block::Dense(block) => {
                let scaled = || {
                    Mat::from_fn(size, size, |a, b| {
                        let diagonal = if a == b { ridge } else { 0.0 };
                        s[a] * s[b] * block[(active[a], active[b])] + diagonal
                    })
                };
                Factor::Cholesky(Cholesky::factor_shifted(scaled, par)?)
            }
            Block::LowRank(low) => {
                let f = low.factor();
                let scaled = Mat::from_fn(size, low.rank(), |a, j| s[a] * f[(active[a], j)]);
                let mean = s.iter().map(|s| s * s).sum::<f64>() / size as f64;
                let delta = ridge + mean * mean_left(low);
                Factor::LowRank(LowRankPlus::from_factor(scaled, delta, par)?)
            }
        };
        Ok(Self { active, s, factor })
    }

    /// `(mu I + diag(s) B diag(s))^-1 x` on the rows with a curvature, from what gives `x` there.
    fn solve(&self, x: impl Fn(usize) -> f64, par: Par) -> Mat<f64> {
        let mut x = Mat::from_fn(self.active.len(), 1, |a, _| x(a));
        self.factor.solve_in_place(x.as_mut(), par);
        x
    }
}

/// Something like `(mu I + R^T (I kron B) R)^-1`.
#[derive(Debug)]
pub(super) struct Reweighted {
    parts: Vec<Part>,
    /// Where outputs share a curvature.
    shared: Option<Shared>,
    /// Its roots there, of length 1 for each example, nK.
    roots: Vec<f64>,
    examples: usize,
    ridge: f64,
}

impl Precond<f64> for Reweighted {
    fn dim(&self) -> usize {
        self.examples * self.parts.len()
    }

    fn apply(&self, mut z: MatMut<'_, f64>, r: MatRef<'_, f64>, par: Par, _: &mut MemStack) {
        let outputs = self.parts.len();
        for j in 0..r.ncols() {
            for i in 0..r.nrows() {
                z[(i, j)] = r[(i, j)] / self.ridge;
            }
            let mut t = Mat::<f64>::zeros(self.examples, 1);
            for (output, part) in self.parts.iter().enumerate() {
                let at = |a: usize| part.active[a] * outputs + output;
                let x = part.solve(|a| r[(at(a), j)], par);
                for a in 0..part.active.len() {
                    z[(at(a), j)] = x[(a, 0)];
                    t[(part.active[a], 0)] += part.s[a] * x[(a, 0)];
                }
            }
            let Some(shared) = &self.shared else { continue };
            // Along the roots the system is `mu`: nothing is there but for rounding.
            for i in 0..self.examples {
                let s = |output: usize| self.roots[i * outputs + output];
                let along: f64 = (0..outputs).map(|c| s(c) * r[(i * outputs + c, j)]).sum();
                for c in 0..outputs {
                    z[(i * outputs + c, j)] += along / self.ridge * s(c);
                }
            }
            shared.solve_in_place(t.as_mut(), par);
            for (output, part) in self.parts.iter().enumerate() {
                let x = part.solve(|a| part.s[a] * t[(part.active[a], 0)], par);
                for (a, i) in part.active.iter().enumerate() {
                    z[(i * outputs + output, j)] -= x[(a, 0)];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use faer::Mat;
    use nearlin_relu::{Activations, Init, Signs};
    use nearlin_sketch::random_signs;
    use proptest::prelude::*;

    use super::*;
    use crate::solver::SolverKind;
    use crate::step::Features;
    use crate::{Equations, Loss};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// With the exact block for each output what is solved is the system itself, whichever rows have a curvature, shared or
        /// not: an error of `eps` times the condition number. With a kernel of low rank, and what is left of it, likewise.
        #[test]
        fn systems_are_solved(
            n in 2usize..24, outputs in 1usize..4, couples: bool, curved in 0.0f64..1.0, power in -3i32..1, rank in 0usize..24,
            seed: u64,
        ) {
            let noise = |stream, len| -> Vec<f64> { random_signs(len * 4, seed, stream) };
            let sums = |stream: u64, len| -> Vec<f64> {
                noise(stream, len).chunks(4).enumerate().map(|(i, c)| {
                    c.iter().sum::<f64>() + 0.1 * (i as f64).sin()
                }).collect()
            };
            let equations = Equations::new(sums(0, 3 * n), vec![0.0; n], 3, 1).unwrap();
            let init = Init { inputs: 3, outputs: 1, width: 64, seed, signs: Signs::Random };
            let network = init.network(1.0).unwrap();
            let features = Features::<f64>::new(&equations, network.signs(), 64);
            let forward = network.forward(equations.x(), Par::Seq).unwrap();
            let active = Activations::of(forward.mask, &network);
            let kind = if rank > 0 { SolverKind::RpCholesky } else { SolverKind::Cholesky };
            let solver = kind.instance::<f64>(rank.min(n), seed);
            let mu = 10f64.powi(power);
            let blocks = Blocks::new(&*solver, features.jacobian(&active), mu * 1e-12, Par::rayon(2));
            prop_assert!(!blocks.are_made() && blocks.may_be_made());
            let shared = (n as f64 * curved) as usize;
            let mut root: Vec<f64> = (0..n * outputs).map(|at| {
                if at / outputs < shared { 1.0 + (at / outputs) as f64 + (at % outputs) as f64 } else { 0.0 }
            }).collect();
            if couples {
                // Roots of probabilities, some of them zero.
                for (i, root) in root.chunks_mut(outputs).enumerate() {
                    root.fill(1.0);
                    root[i % outputs] = if i < shared { 2.0 } else { 1e3 };
                    if i == 0 && outputs > 2 { root[1] = 0.0 }
                    let length = root.iter().map(|s| s * s).sum::<f64>().sqrt();
                    for s in root {
                        *s /= length;
                    }
                }
            }
            let scale = (0..n).map(|i| 1.0 + 0.5 * (i as f64).cos()).collect();
            let curvature = Curvature { root, scale, outputs, couples };
            let solved = blocks.at(&curvature, mu).unwrap().unwrap();
            prop_assert!(blocks.are_made());

            // What stands for the block: with a low rank the mean of what it leaves is added, by output.
            let block = |output: usize| match blocks.make().unwrap().unwrap() {
                Block::Dense(b) => b.clone(),
                Block::LowRank(low) => {
                    let s = |i: usize| curvature.scale[i] * curvature.root[i * outputs + output];
                    let active: Vec<usize> = (0..n).filter(|&i| s(i) != 0.0).collect();
                    let mean = active.iter().map(|&i| s(i) * s(i)).sum::<f64>() / active.len().max(1) as f64;
                    let mut b = low.factor() * low.factor().transpose();
                    for &i in &active {
                        b[(i, i)] += mean * mean_left(low) / (s(i) * s(i));
                    }
                    b
                }
            };
            let blocks: Vec<Mat<f64>> = (0..outputs).map(block).collect();
            let system = |x: &[f64]| -> Vec<f64> {
                let mut inner = x.to_vec();
                curvature.apply(&mut inner);
                let mut y: Vec<f64> = (0..n * outputs).map(|at| {
                    let (i, k) = (at / outputs, at % outputs);
                    (0..n).map(|j| blocks[k][(i, j)] * inner[j * outputs + k]).sum()
                }).collect();
                curvature.adjoint(&mut y);
                y.iter_mut().zip(x).for_each(|(y, x)| *y += mu * x);
                y
            };
            let x = sums(1, n * outputs);
            let image = system(&x);
            let image = MatRef::from_column_major_slice(&image, n * outputs, 1);
            let mut found = Mat::from_fn(n * outputs, 1, |_, _| f64::NAN);
            let mut none = faer::dyn_stack::MemBuffer::new(faer::dyn_stack::StackReq::EMPTY);
            let stack = MemStack::new(&mut none);
            solved.apply(found.as_mut(), image, Par::rayon(2), stack);
            let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
            let off: Vec<f64> = found.col(0).iter().zip(&x).map(|(a, b)| a - b).collect();
            let trace: f64 = (0..n * outputs).map(|at| {
                let (i, k) = (at / outputs, at % outputs);
                (curvature.scale[i] * curvature.root[at]).powi(2) * blocks[k][(i, i)]
            }).sum();
            let condition = (mu + trace) / mu;
            prop_assert!(length(&off) <= 1e-12 * condition * (1.0 + length(&x)), "{} {condition}", length(&off));
        }
    }

    /// A solver without blocks is not asked twice.
    #[test]
    fn nothing_is_made_of_nothing() {
        let equations = Equations::new(vec![1.0, 2.0], vec![1.0, 1.0], 1, 1).unwrap();
        let init = Init { inputs: 1, outputs: 1, width: 8, seed: 0, signs: Signs::Random };
        let network = init.network(1.0).unwrap();
        let features = Features::<f64>::new(&equations, network.signs(), 8);
        let forward = network.forward(equations.x(), Par::Seq).unwrap();
        let active = Activations::of(forward.mask, &network);
        let solver = SolverKind::Cg.instance::<f64>(1, 0);
        let blocks = Blocks::new(&*solver, features.jacobian(&active), 0.1, Par::Seq);
        let ones = || vec![1.0; 2];
        let curvature = Curvature { root: ones(), scale: ones(), outputs: 1, couples: false };
        assert!(blocks.at(&curvature, 0.1).unwrap().is_none());
        assert!(!blocks.are_made() && !blocks.may_be_made());
        assert!(Loss::Huber { delta: 1.0 }.has_corners() && !Loss::Logistic.has_corners());
    }
}
