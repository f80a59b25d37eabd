//! Preconditioners that know the curvature of a Newton step.
//!
//! With `R = diag(s)` the system `mu I + R^T G R` is `mu` times the identity where `s` vanishes: beyond the corners
//! of a Huber loss, and all but a few rows of a pinball. What is left is as large as the rows that have a curvature,
//! and one factor of it solves the step, where a factor of `G + nu I` for a mean curvature `mu / nu` knows neither
//! which rows these are nor how much steeper they are.

use core::cell::OnceCell;

use faer::dyn_stack::MemStack;
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_dense::{Cholesky, mirror_lower};
use nearlin_krylov::Precond;
use nearlin_relu::Jacobian;

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
    /// a curvature. `None` if the solver knows no block.
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
        let parts = parts.collect::<Result<_, _>>()?;
        Ok(Some(Reweighted { parts, examples: self.jacobian.examples(), ridge }))
    }
}

/// Of one output.
#[derive(Debug)]
struct Part {
    /// Rows with a curvature, ascending.
    active: Vec<usize>,
    /// Of `mu I + diag(s) B diag(s)` on those rows.
    factor: Factor<f64>,
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
        Ok(Self { active, factor })
    }
}

/// Something like `(mu I + R^T (I kron B) R)^-1`.
#[derive(Debug)]
pub(super) struct Reweighted {
    parts: Vec<Part>,
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
            for (output, part) in self.parts.iter().enumerate() {
                let at = |a: usize| part.active[a] * outputs + output;
                let mut x = Mat::from_fn(part.active.len(), 1, |a, _| r[(at(a), j)]);
                part.factor.solve_in_place(x.as_mut(), par);
                for a in 0..part.active.len() {
                    z[(at(a), j)] = x[(a, 0)];
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

        /// With the exact block of one output what is solved is the system itself, whichever rows have a curvature:
        /// an error of `eps` times the condition number. With a kernel that is cut at its full rank, likewise.
        #[test]
        fn systems_are_solved(n in 2usize..24, curved in 0.0f64..1.0, power in -4i32..1, low: bool, seed: u64) {
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
            let active = Activations::new(forward.mask, network.copies(), 3, 1);
            let kind = if low { SolverKind::RpCholesky } else { SolverKind::Cholesky };
            let solver = kind.instance::<f64>(n, seed);
            let mu = 10f64.powi(power);
            let blocks = Blocks::new(&*solver, features.jacobian(&active), mu * 1e-12, Par::rayon(2));
            prop_assert!(!blocks.are_made() && blocks.may_be_made());
            let shared = (n as f64 * curved) as usize;
            let root = (0..n).map(|i| if i < shared { 1.0 + i as f64 } else { 0.0 }).collect();
            let scale = (0..n).map(|i| 1.0 + 0.5 * (i as f64).cos()).collect();
            let curvature = Curvature { root, scale, outputs: 1, couples: false };
            let solved = blocks.at(&curvature, mu).unwrap().unwrap();
            prop_assert!(blocks.are_made());

            let b = match blocks.make().unwrap().unwrap() {
                Block::Dense(b) => b.clone(),
                Block::LowRank(low) => low.factor() * low.factor().transpose(),
            };
            let s: Vec<f64> = (0..n).map(|i| curvature.root[i] * curvature.scale[i]).collect();
            let system = Mat::from_fn(n, n, |i, j| {
                s[i] * s[j] * b[(i, j)] + if i == j { mu } else { 0.0 }
            });
            let x = sums(1, n);
            let x = MatRef::from_column_major_slice(&x, n, 1);
            let image = &system * x;
            let mut found = Mat::from_fn(n, 1, |_, _| f64::NAN);
            let mut none = faer::dyn_stack::MemBuffer::new(faer::dyn_stack::StackReq::EMPTY);
            let stack = MemStack::new(&mut none);
            solved.apply(found.as_mut(), image.as_ref(), Par::rayon(2), stack);
            let error = (&found - x).norm_l2();
            let condition = system.norm_l2() / mu;
            prop_assert!(error <= 1e-12 * condition * (1.0 + x.norm_l2()), "{error} {condition}");
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
        let active = Activations::new(forward.mask, network.copies(), 1, 1);
        let solver = SolverKind::Cg.instance::<f64>(1, 0);
        let blocks = Blocks::new(&*solver, features.jacobian(&active), 0.1, Par::Seq);
        let ones = || vec![1.0; 2];
        let curvature = Curvature { root: ones(), scale: ones(), outputs: 1, couples: false };
        assert!(blocks.at(&curvature, 0.1).unwrap().is_none());
        assert!(!blocks.are_made() && !blocks.may_be_made());
        assert!(Loss::Huber { delta: 1.0 }.has_corners() && !Loss::Logistic.has_corners());
    }
}
