//! Who runs against whom, and how nearlin runs.

use core::ops::ControlFlow;
use std::time::Instant;

use nearlin::{Equations, Event, Options, Precision, Signs, SolverKind, chosen_solver, train};

use super::cpu::Account;
use super::entry::{Cost, Entry, Network, Run};
use crate::bench::Outcome;

/// The relative residual to reach.
pub(super) const TOLERANCE: f64 = 1e-8;

/// One problem, the ways in which nearlin solves it, and its peer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contest {
    /// The name of the problem in the peers' scripts.
    pub(super) problem: &'static str,
    /// The width of nearlin's network.
    pub(super) width: usize,
    /// nearlin's entries.
    pub(super) nearlin: &'static [Variant],
    /// The other program.
    pub(super) peer: Peer,
}

/// One way to run nearlin.
#[derive(Debug)]
pub(super) struct Variant {
    /// The inner solver; `None` for the planner's choice.
    pub(super) solver: Option<SolverKind>,
    /// The precision of the inner solver.
    pub(super) precision: Precision,
}

/// One way to run the peers' script.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// The optimiser.
    pub(super) optimiser: &'static str,
    /// What it is.
    pub(super) meaning: &'static str,
    /// The width of its network.
    pub(super) width: usize,
    /// CPU seconds after which it gives up.
    pub(super) cap: u32,
}

const AUTO: Variant = Variant { solver: None, precision: Precision::F64 };
const AUTO_F32: Variant = Variant { solver: None, precision: Precision::F32 };
const CHOLESKY: Variant = Variant { solver: Some(SolverKind::Cholesky), precision: Precision::F64 };
const CHOLESKY_F32: Variant =
    Variant { solver: Some(SolverKind::Cholesky), precision: Precision::F32 };

/// The contests, the quickest first.
pub(super) const CONTESTS: [Contest; 2] = [
    Contest {
        problem: "diabetes",
        width: 1024,
        nearlin: &[AUTO, CHOLESKY],
        peer: Peer { optimiser: "scipy-lbfgs", meaning: "L-BFGS of SciPy", width: 1024, cap: 60 },
    },
    Contest {
        problem: "digits",
        width: 4096,
        nearlin: &[AUTO, AUTO_F32, CHOLESKY, CHOLESKY_F32],
        peer: Peer {
            optimiser: "ggn",
            meaning: "exact Gauss-Newton in NumPy",
            width: 1024,
            cap: 120,
        },
    },
];

impl Contest {
    /// The options of a variant; they take the threads of the current pool.
    pub(super) fn options(&self, variant: &Variant) -> Options {
        Options::default()
            .width(self.width)
            .ridge(0.0)
            .tolerance(TOLERANCE)
            .solver(variant.solver)
            .precision(variant.precision)
    }

    /// A variant without results.
    pub(super) fn entry(&self, variant: &Variant, equations: &Equations) -> Entry {
        let options = self.options(variant);
        let (n, d, k) = (equations.rows(), equations.inputs(), equations.outputs());
        let precision = options.precision.name();
        let solver = match options.solver {
            Some(solver) => solver.to_string(),
            None => format!("auto: {}", chosen_solver(equations, &options)),
        };
        let signs = match Signs::suitable(n, d, k, self.width) {
            Signs::Orthogonal if k > 1 => "orthogonal, paired",
            _ if k > 1 => "balanced, paired",
            _ => "random, paired",
        };
        let network = Network { width: self.width, parameters: self.width * d, precision, signs };
        Entry::new("nearlin", format!("nearlin ({solver}, {precision})"), network)
    }

    /// The peer without results.
    pub(super) fn peer_entry(&self, inputs: usize) -> Entry {
        let Peer { optimiser, meaning, width, .. } = self.peer;
        let parameters = width * inputs;
        let network = Network { width, parameters, precision: "f64", signs: "random" };
        Entry::new(optimiser, format!("{optimiser} ({meaning})"), network)
    }

    /// Trains once in `pool`, which has one thread, on the clock from the equations to the network.
    pub(super) fn train(
        &self,
        variant: &Variant,
        equations: &Equations,
        pool: &rayon::ThreadPool,
    ) -> Outcome<Run> {
        let options = pool.install(|| self.options(variant));
        let (mut restarts, mut inner) = (0, 0);
        let mut count = |event: &Event<'_>| {
            match event {
                Event::Inner { .. } => inner += 1,
                Event::Restart { .. } => restarts += 1,
                _ => {}
            }
            ControlFlow::Continue(())
        };
        let account = Account::of(pool)?;
        let (cpu, wall) = (account.seconds()?, Instant::now());
        let run = pool.install(|| train(equations, &options, &mut count))?;
        let cost = Cost { wall: wall.elapsed().as_secs_f64(), cpu: account.seconds()? - cpu };
        Ok(Run {
            cost: (run.rel_residual <= TOLERANCE).then_some(cost),
            steps: run.steps.len(),
            restarts: Some(restarts),
            inner_iterations: Some(inner),
            scale: run.scale,
            rel_residual: run.rel_residual,
            ending: run.ending.name().to_owned(),
            fma_per_second: None,
        })
    }
}
